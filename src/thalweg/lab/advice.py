"""Advice that was tried: candidates that theory and curvature suggest race each other, and the winner runs again.

Candidates are gradient descent and heavy ball at rates around their limits, and Adam; on tables with all rows and with
batches. They run from a few seeds; the quickest to the goal that never diverged runs from fresh seeds, and is advised
only if none of these diverges either. Rates are rounded down, so that what is printed is what was tried.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import analysis
from ..problems.base import Problem
from .config import default_budget
from .contender import Contender
from .methods import minibatch_size
from .statistics import goal_for, median, steps_to
from .sweeps import run_trials
from .trial import Budget, Record

__all__ = ["Tried", "round_down", "try_candidates"]

TUNING_SEEDS = 3
FRESH_SEEDS = 8
WORK = 4e9  # operations, about, that all candidates may take together
FEWEST = 5  # candidates that are tried on the largest problems
WIDE = (0.98, 0.25, 4.0, 0.06, 0.015, 0.004, 0.001, 0.00025)  # around a limit that holds at one point only
NARROW = (0.98, 0.5, 0.25, 0.1)  # of a limit that holds everywhere


@dataclass(frozen=True)
class Tried:
    """A contender and what happened when it ran from fresh seeds."""

    contender: Contender
    budget: Budget
    seeds: int
    diverged: int
    reached: int
    goal: float
    steps_to_goal: float  # median; infinite when half of the runs or more missed it
    start: float  # median loss
    end: float
    candidates: int
    left_out: tuple[str, ...]  # candidates that were quicker while tuning, and diverged afterwards
    descent: str  # what gradient descent did at its best rate

    @property
    def typed(self) -> str:
        """The contender as an option of ``thalweg race``."""
        c = self.contender
        parts = [f"{key}={_typed(value)}" for key, value in c.settings] + ([f"batch={c.batch}"] if c.batch else [])
        return f"{c.method}:{','.join(parts)}"

    @property
    def horizon(self) -> str:
        """How long the advice is for, as options of ``thalweg race``."""
        b = self.budget
        return f"--steps {b.steps}" if b.steps is not None else f"--epochs {b.epochs:g}"

    def command(self, problem: str) -> str:
        """Return the command that runs the advice."""
        name = problem if re.fullmatch(r"[\w./-]+", problem) else f'"{problem}"'
        return f"thalweg race {name} -o {self.typed} {self.horizon} --as-is"

    def sentence(self, rows: int) -> str:
        """Return the advice and what happened, in words."""
        b, c = self.budget, self.contender
        length = f"{b.steps} steps" if b.steps is not None else f"{b.epochs:g} epochs"
        batch = (
            "" if not rows else " with all rows in each step" if c.batch >= rows else f" with batches of {c.batch} rows"
        )
        settings = " ".join(f"{key}={_typed(value)}" for key, value in c.settings)
        if self.reached * 2 > self.seeds:
            ended = f"{self.reached} of {self.seeds} runs reached {self.goal:.4g}, after {self.steps_to_goal:.0f} steps (median)"
        else:
            ended = f"the loss went from {self.start:.4g} to {self.end:.4g} (medians); {self.reached} of {self.seeds} runs reached {self.goal:.4g}"
        diverged = "none diverged" if not self.diverged else f"{self.diverged} diverged"
        return (
            f"Use {c.method} ({settings}){batch} for {length}: the quickest of {self.candidates} candidates. Tried from "
            f"{self.seeds} fresh seeds, {diverged} and {ended}. {self.descent}"
        ).rstrip()


def _typed(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def round_down(x: float, digits: int = 2) -> float:
    """Return `x` rounded down to so many significant digits: a limit is never passed by rounding.

    >>> round_down(0.49699), round_down(0.0019968, 3)
    (0.49, 0.00199)
    """
    if not (x > 0 and math.isfinite(x)):
        return x
    unit = 10.0 ** (math.floor(math.log10(x)) - digits + 1)
    return float(f"{math.floor(x / unit + 1e-9) * unit:.{digits}g}")


def _sgd(name: str, lr: float, batch: int, **more: Any) -> Contender:
    return Contender(name, name, (("lr", round_down(lr)), *more.items()), batch)


def _candidates(problem: Problem, smallest: float, largest: float) -> list[Contender]:
    """Return what is worth trying, the likeliest first, without repeats."""
    exact = problem.curvature().exact
    rows = problem.rows
    small = minibatch_size(rows) if rows else 0
    limit = 2 / largest if largest > 0 else problem.scale()
    found = []
    for share in NARROW if exact else WIDE:
        found.append(_sgd("gd", share * limit, rows))
        found.append(_sgd("momentum", share * 1.9 * limit, rows, momentum=0.9))
    if 0 < smallest < largest:
        best = analysis.best_settings(smallest, largest, "heavy_ball")
        found.insert(0, _sgd("momentum", 0.98 * best["lr"], rows, momentum=float(f"{best['momentum']:.2g}")))
        found.insert(1, _sgd("gd", 0.98 * 2 / (smallest + largest), rows))
    for k, factor in enumerate((0.1, 0.03, 0.3, 0.01, 1.0)):
        rate = ("lr", round_down(factor * problem.scale()))
        found.insert(2 + k, Contender("adam", "adam", (rate,), rows))
        if 0 < small < rows:
            found.insert(2 + k, Contender("adam", "adam", (rate,), small))
    if 0 < small < rows:
        trace = problem.curvature().trace or largest
        for factor in (1.0, 0.3, 0.1) if trace > 0 else ():
            lr = factor * min(limit / 2, problem.noise_share * small / trace)
            found.insert(4, _sgd("minibatch", lr, small))
    return list(dict.fromkeys(c for c in found if c.settings[0][1] > 0))


def _labelled(contenders: Sequence[Contender]) -> list[Contender]:
    return [Contender(f"{c.method}-{k}", c.method, c.settings, c.batch) for k, c in enumerate(contenders)]


def _affordable(problem: Problem, budget: Budget, candidates: list[Contender]) -> tuple[Budget, list[Contender], int]:
    """Shorten the horizon, the list and the seeds where the problem is large: what decides is its size, not a clock."""
    steps = budget.steps or (budget.epochs or 1)
    each = 6.0 * max(problem.rows, 1) * problem.dimension * steps * TUNING_SEEDS
    if each * len(candidates) <= WORK:
        return budget, candidates, TUNING_SEEDS
    few = candidates[: max(FEWEST, int(WORK / each))]
    if budget.epochs is not None and each * len(few) > WORK:
        budget = Budget(epochs=max(1.0, float(int(budget.epochs * WORK / (each * len(few))))))
        return budget, few, 1
    return budget, few, TUNING_SEEDS


def _order(records: Sequence[Record], goal: float) -> tuple[Any, ...]:
    """Return what candidates are sorted by: divergence, misses, gradients to the goal, last loss."""
    gradients = [steps_to(r, goal) / max(1, r.steps[-1]) * max(1, r.gradients) for r in records]
    return (
        sum(r.status == "diverged" for r in records),
        sum(math.isinf(g) for g in gradients),
        float(np.mean(gradients)) if all(map(math.isfinite, gradients)) else math.inf,
        median([r.final for r in records]),
    )


def try_candidates(
    problem: Problem, smallest: float, largest: float, *, seed: int = 0, tell: Callable[[str], None] | None = None
) -> Tried | None:
    """Return the advice for a problem whose Hessian has these extreme eigenvalues; None if every candidate diverged."""
    budget, candidates, seeds = _affordable(
        problem, default_budget(problem.rows), _candidates(problem, smallest, largest)
    )
    candidates = _labelled(candidates)
    if tell is not None:
        tell(f"trying {len(candidates)} candidates")
    with np.errstate(all="ignore"):
        tuning = list(
            run_trials(problem, [(c, s) for c in candidates for s in range(seeds)], budget, seed, compiled=False)
        )
        goal = goal_for(problem.optimum, tuning)
        by_label = {c.label: [r for r in tuning if r.contender == c.label] for c in candidates}
        ranked = sorted(candidates, key=lambda c: (*_order(by_label[c.label], goal), c.label))
        left_out: list[str] = []
        for chosen in ranked:
            if any(r.status == "diverged" for r in by_label[chosen.label]):
                break
            fresh = range(100, 100 + FRESH_SEEDS)
            records = list(run_trials(problem, [(chosen, s) for s in fresh], budget, seed, compiled=False))
            if any(r.status == "diverged" for r in records):
                left_out.append(chosen.label)
                continue
            needed = [steps_to(r, goal) for r in records]
            return Tried(
                Contender(chosen.method, chosen.method, chosen.settings, chosen.batch),
                budget,
                len(records),
                0,
                sum(map(math.isfinite, needed)),
                goal,
                median(needed),
                median([r.losses[0] for r in records]),
                median([r.final for r in records]),
                len(candidates),
                tuple(left_out),
                _of_descent([c for c in ranked if c.method == "gd"], by_label, goal, chosen),
            )
    return None


def _of_descent(ranked: Sequence[Contender], by_label: dict[str, list[Record]], goal: float, chosen: Contender) -> str:
    """Return what gradient descent did at the best of its rates."""
    if chosen.method == "gd" or not ranked:
        return ""
    best, records = ranked[0], by_label[ranked[0].label]
    lr = _typed(dict(best.settings)["lr"])
    if all(r.status == "diverged" for r in records):
        return "Gradient descent diverged at every rate that was tried."
    reached = [steps_to(r, goal) for r in records]
    known = sum(map(math.isfinite, reached))
    if known * 2 > len(reached):
        return f"Gradient descent at the best of its rates ({lr}) took {median(reached):.0f} steps."
    return f"Gradient descent at the best of its rates ({lr}) reached it in {known} of {len(reached)} runs."
