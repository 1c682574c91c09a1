"""Summaries of records: medians with intervals over seeds, steps to a goal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .compare import ENOUGH, median_interval
from .trial import Record

__all__ = ["FEW", "Summary", "goal_for", "goals_for", "median", "steps_to", "summarize"]

FEW = ENOUGH  # below so many seeds no interval is given
GOAL_PART = 0.01  # of the way from the smallest loss up to the loss at the start
HELD_OUT_PART = 0.05  # the same on validation rows, from the smallest loss that a contender ended at


@dataclass(frozen=True)
class Summary:
    """One contender over its seeds: medians, and the mean that contenders are compared by."""

    contender: str
    runs: int
    diverged: int
    final: float  # of the training loss
    report: float  # of the loss that is reported: on test rows, where there are any
    mean: float  # the mean of that loss; infinite if a run diverged
    interval: tuple[float, float] | None  # 95% of its median, for FEW seeds or more
    validation: float | None
    test: float | None
    steps_to_goal: float  # infinite when half of the runs or more missed it
    gradients_to_goal: float
    reached: int
    seconds_per_step: float
    metrics: dict[str, float] = field(default_factory=dict)


def median(values: Sequence[float]) -> float:
    """Return the median; infinities count as the largest values."""
    ordered = sorted(values)
    k = len(ordered) // 2
    if len(ordered) % 2 or math.isinf(ordered[k]):
        return ordered[k]
    return (ordered[k - 1] + ordered[k]) / 2


def goal_for(optimum: float | None, records: Sequence[Record]) -> float:
    """Return the loss to reach: 1% of the way from the smallest loss (known, or found in this race) to the start."""
    starts = median([r.losses[0] for r in records])
    best = optimum
    if best is None:
        best = min(min(r.losses) for r in records)
    return best + GOAL_PART * (starts - best)


def goals_for(optimum: float | None, records: Sequence[Record]) -> dict[int, float]:
    """Return the loss to reach, by seed: where rows are held out, the validation loss, and each seed has its own."""
    seeds = sorted({r.seed for r in records})
    if not all(r.validations for r in records):
        return dict.fromkeys(seeds, goal_for(optimum, records)) if records else {}
    goals = {}
    for seed in seeds:
        mine = [r for r in records if r.seed == seed]
        start, best = median([r.validations[0] for r in mine]), min(r.choose_by for r in mine)
        goals[seed] = best + HELD_OUT_PART * (start - best) if math.isfinite(best) else -math.inf
    return goals


def steps_to(record: Record, goal: float) -> float:
    """Return the first evaluated step with a loss of `goal` or below; infinite if there is none.

    It is the loss on validation rows, where there are any.
    """
    losses = record.validations or record.losses
    return next((float(s) for s, loss in zip(record.steps, losses, strict=True) if loss <= goal), math.inf)


def summarize(
    contender: str, records: Sequence[Record], goals: Mapping[int, float], clock: float | None = None
) -> Summary:
    """Return the medians of one contender's records; `clock` is the time of a step where it was measured apart."""
    needed = [steps_to(r, goals[r.seed]) for r in records]
    each = [r.gradients / max(1, r.steps[-1]) for r in records]
    reports = [r.report for r in records]
    names = list(dict.fromkeys(name for r in records for name in r.metrics))
    return Summary(
        contender,
        len(records),
        sum(r.status == "diverged" for r in records),
        median([r.final for r in records]),
        median(reports),
        sum(reports) / max(1, len(reports)),
        median_interval(reports),
        _held_out([r.validation for r in records], [r.choose_by for r in records]),
        _held_out([r.test for r in records], reports),
        median(needed),
        median([n * g for n, g in zip(needed, each, strict=True)]),
        sum(math.isfinite(n) for n in needed),
        median([r.seconds_per_step for r in records]) if clock is None else clock,
        {name: median([r.metrics.get(name, math.nan) for r in records]) for name in names},
    )


def _held_out(raw: Sequence[float | None], values: Sequence[float]) -> float | None:
    return None if any(v is None for v in raw) else median(values)
