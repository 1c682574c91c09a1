"""Comparing records: medians with intervals over seeds, steps to a goal, paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..problems.base import Array
from .trial import Record

__all__ = ["FEW", "Summary", "bootstrap_interval", "goal_for", "indistinguishable", "steps_to", "summarize"]

FEW = 5  # below so many seeds an interval means little, and none is given
RESAMPLES = 10_000
GOAL_PART = 0.01  # of the way from the smallest loss up to the loss at the start


@dataclass(frozen=True)
class Summary:
    """One contender over its seeds."""

    contender: str
    runs: int
    diverged: int
    final: float  # median
    interval: tuple[float, float] | None  # 95% of the median, for FEW seeds or more
    steps_to_goal: float  # median; infinite when half of the runs or more missed it
    reached: int
    seconds_per_step: float  # median


def median(values: Sequence[float]) -> float:
    """Return the median; infinities count as the largest values."""
    ordered = sorted(values)
    k = len(ordered) // 2
    if len(ordered) % 2 or math.isinf(ordered[k]):
        return ordered[k]
    return (ordered[k - 1] + ordered[k]) / 2


def _medians(samples: Array) -> Array:
    with np.errstate(invalid="ignore"):
        middle = np.median(samples, axis=1)
    return np.where(np.isnan(middle), np.inf, middle)


def bootstrap_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile interval of the median over resampled runs; infinite values stay infinite."""
    data = np.asarray(values, np.float64)
    picks = np.random.default_rng(seed).integers(0, len(data), (RESAMPLES, len(data)))
    medians = np.sort(_medians(data[picks]))
    return float(medians[round(0.025 * (RESAMPLES - 1))]), float(medians[round(0.975 * (RESAMPLES - 1))])


def goal_for(optimum: float | None, records: Sequence[Record]) -> float:
    """Return the loss to reach: 1% of the way from the smallest loss (known, or found in this race) to the start."""
    starts = median([r.losses[0] for r in records])
    best = optimum
    if best is None:
        best = min(min(r.losses) for r in records)
    return best + GOAL_PART * (starts - best)


def steps_to(record: Record, goal: float) -> float:
    """Return the first evaluated step with a loss of `goal` or below; infinite if there is none."""
    return next((float(s) for s, loss in zip(record.steps, record.losses, strict=True) if loss <= goal), math.inf)


def summarize(contender: str, records: Sequence[Record], goal: float) -> Summary:
    """Return the medians of one contender's records."""
    finals = [r.final for r in records]
    needed = [steps_to(r, goal) for r in records]
    return Summary(
        contender,
        len(records),
        sum(r.status == "diverged" for r in records),
        median(finals),
        bootstrap_interval(finals) if len(records) >= FEW else None,
        median(needed),
        sum(math.isfinite(n) for n in needed),
        median([r.seconds_per_step for r in records]),
    )


def indistinguishable(best: Sequence[Record], other: Sequence[Record]) -> bool:
    """Return whether the paired differences of final losses leave open which of two contenders is better."""
    first = {r.seed: r.final for r in best}
    differences = [r.final - first[r.seed] for r in other if r.seed in first and math.isfinite(first[r.seed])]
    if len(differences) < FEW:
        return False
    low, high = bootstrap_interval(differences)
    return low <= 0 <= high
