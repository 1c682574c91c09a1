"""Why a contender did as it did: one of its trials again, with measurements along the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..analysis.watch import Watched, watch
from ..problems.base import Array, Problem, tensor_of
from .contender import Contender
from .options import core
from .pictures import Picture, panels
from .splits import HeldOut
from .trial import Batches, Budget, streams

__all__ = ["explain_trial", "picture"]

ROWS = 1000  # of a larger table so many, evenly spread, stand for all where curvature is measured
OWN_DRAWS = 9  # the stream of batches whose gradients are compared, apart from those of the trial


def explain_trial(
    problem: Problem, contender: Contender, seed: int, budget: Budget, entropy: int, *, points: int = 12
) -> Watched:
    """Run one trial step by step, and measure what limits it; see :func:`thalweg.analysis.watch`."""
    init, order = streams(entropy, seed)
    problem = problem.at(seed).train if isinstance(problem, HeldOut) else problem
    instance = problem.instance(init)
    steps = budget.steps_for(problem.rows, contender.batch)
    optimizer = contender.optimizer(instance.parameters, steps)
    batches = Batches(problem.arrays, contender.batch, order, problem.replacement)
    sample = _evenly(problem.arrays)
    own = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(seed, OWN_DRAWS)))

    def step() -> None:
        optimizer.zero_grad()
        instance.loss(*batches.next()).backward()
        optimizer.step()

    def one(rows: Array) -> Any:
        batch = tuple(tensor_of(np.ascontiguousarray(a[rows])) for a in problem.arrays)
        return lambda: instance.loss(*batch)

    def drawn() -> list[Any]:
        if not 0 < contender.batch < problem.rows:
            return []
        return [one(own.choice(problem.rows, contender.batch, replace=False)) for _ in range(24)]

    return watch(
        step,
        core(optimizer),
        lambda: instance.loss(*sample),
        steps,
        batches=drawn,
        batch=contender.batch,
        rows=problem.rows,
        points=points,
        name=contender.label,
        seed=seed,
    )


def _evenly(arrays: tuple[Array, ...]) -> tuple[Any, ...]:
    if not arrays:
        return ()
    rows = np.unique(np.linspace(0, len(arrays[0]) - 1, min(ROWS, len(arrays[0]))).astype(int))
    return tuple(tensor_of(np.ascontiguousarray(a[rows])) for a in arrays)


def picture(seen: Mapping[str, Watched]) -> Picture:
    """Draw the measurements of some contenders: curvature against its limit, noise, and the steps."""
    parts: dict[str, dict[str, tuple[Array, Array]]] = {
        "curvature / largest stable": {}, "noise scale, rows": {}, "step / parameters": {}, "cosine of step and descent": {},
    }  # fmt: skip
    for name, watched in seen.items():
        steps = np.array([m.step for m in watched.moments], float)
        for title, quantity in zip(parts, ("share", "noise_scale", "length", "cosine"), strict=True):
            values = np.array([getattr(m, quantity) for m in watched.moments], float)
            good = np.isfinite(values)
            if good.any():
                parts[title][name] = steps[good], values[good]
    return panels(
        {title: curves for title, curves in parts.items() if curves},
        x="step",
        log_y=("curvature / largest stable", "noise scale, rows", "step / parameters"),
        lines_at={"curvature / largest stable": 1.0, "cosine of step and descent": 0.0},
    )
