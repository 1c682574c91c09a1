"""What a method costs to tune: the expected best of k tuning runs, and how wide the range of good rates is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError

__all__ = ["TuningCurve", "expected_best", "sensitivity"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TuningCurve:
    """The value of the chosen run for k = 1 … budget tuning runs, over all ways to pick k of those that were made."""

    runs: npt.NDArray[np.int64]
    expected: Floats  # infinite where a chosen run may have diverged
    median: Floats
    low: Floats  # 10% of the choices are at or below
    high: Floats  # 90% are


def expected_best(selection: Sequence[float], values: Sequence[float] | None = None) -> TuningCurve:
    """Return the expected best of k tuning runs, with exact quantiles.

    `selection` has the number by which a run is chosen (the smallest, among k), `values` what is reported of it, by
    default the same. Of n runs, that with the i-th smallest number is chosen with probability C(n-i, k-1) / C(n, k),
    so nothing is sampled (Dodge et al. 2019, drawing without replacement).

    >>> expected_best([3.0, 1.0, 2.0]).expected
    array([2.        , 1.33333333, 1.        ])
    """
    chosen_by = np.asarray(selection, np.float64)
    reported = chosen_by if values is None else np.asarray(values, np.float64)
    if chosen_by.ndim != 1 or chosen_by.shape != reported.shape or not len(chosen_by):
        raise ShapeError(
            f"expected_best: two equally long lists of numbers are required, got shapes {chosen_by.shape} and {reported.shape}."
        )
    n = len(chosen_by)
    reported = np.where(np.isnan(reported), np.inf, reported)[np.argsort(chosen_by, kind="stable")]
    rising = np.argsort(reported, kind="stable")
    ks = np.arange(1, n + 1)
    rows = []
    for k in ks.tolist():
        chance = np.array([math.comb(n - i, k - 1) / math.comb(n, k) for i in range(1, n + 1)])
        possible = chance > 0
        expected = float(chance[possible] @ reported[possible])
        up_to = np.cumsum(chance[rising])
        quantiles = [float(reported[rising[int(np.searchsorted(up_to, q - 1e-12))]]) for q in (0.5, 0.1, 0.9)]
        rows.append((expected, *quantiles))
    return TuningCurve(ks, *np.array(rows).T)


def sensitivity(rates: Sequence[float], losses: Sequence[float], floor: float = 0.0) -> float:
    """Return over how many decades of the learning rate the loss stays within 10% of the best one.

    `floor` is the smallest possible loss, from which the 10% are counted. The range is that around the best rate in
    which every tried rate is good, to half-way (in decades) towards the next rate that is not; NaN if no loss is finite.

    >>> sensitivity([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [9.0, 1.05, 1.0, 1.0, 9.0])
    3.0
    """
    rate = np.log10(np.asarray(rates, np.float64))
    loss = np.asarray(losses, np.float64)
    if rate.shape != loss.shape or rate.ndim != 1:
        raise ShapeError(f"sensitivity: one loss per rate is required, got shapes {rate.shape} and {loss.shape}.")
    order = np.argsort(rate, kind="stable")
    rate, loss = rate[order], loss[order]
    if not np.isfinite(loss).any():
        return math.nan
    best = int(np.nanargmin(loss))
    with np.errstate(invalid="ignore"):
        good = loss - floor <= 1.1 * (loss[best] - floor)
    left = right = best
    while left > 0 and good[left - 1]:
        left -= 1
    while right < len(rate) - 1 and good[right + 1]:
        right += 1
    low = rate[left] if left == 0 else (rate[left] + rate[left - 1]) / 2
    high = rate[right] if right == len(rate) - 1 else (rate[right] + rate[right + 1]) / 2
    return float(high - low)
