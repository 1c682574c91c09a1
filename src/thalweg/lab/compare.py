"""Which contenders differ: simultaneous inference over all pairs of a race's final values.

The values of one seed belong together (the same start, rows and orders), so contenders are compared by their paired
differences. Three statements are made, each with an error rate of 5% over *all* contenders of a race:

- the best set, a model confidence set (Hansen, Lunde & Nason 2011) with the range statistic: while the largest
  studentized difference within the set is larger than chance makes it, the contender that is worse in that pair
  leaves. Those that cannot be separated from the smallest remain.
- which pairs differ: those whose simultaneous interval excludes 0, and the best contender with every other where it
  alone remains in the best set.
- the intervals themselves: mean paired difference ± c standard errors, one c for all pairs.

Chance is what the same values give when each seed's values are dealt out to the contenders anew (exact where the
contenders are alike) and when the signs of each seed's differences are flipped (right also where their spreads are
not alike); the larger of the two critical values counts. ``tests/lab/test_claims.py`` simulates the error rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, ShapeError

__all__ = ["ENOUGH", "LEVEL", "Comparison", "compare", "median_interval"]

Floats = npt.NDArray[np.float64]

LEVEL = 0.05  # probability that a race of equal contenders claims any difference
ENOUGH = 6  # seeds: with fewer no two-sided test of signs reaches 5%
RESAMPLES = 999  # of each kind; p-values are multiples of 1/1000
POWER_QUANTILE = 0.8416  # of the normal distribution: 80% power
AT_ONCE = 4_000_000  # numbers in the products of some resamples
FAR = 10.0  # times the spread of the finite values: where a diverged run is put
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class _Test:
    """The studentized differences of all pairs of some contenders, and how large chance makes the largest."""

    t: Floats  # [k, k], positive where the row's mean is larger
    largest: Floats  # [2, RESAMPLES]: by dealing out anew, by flipping signs

    @property
    def p(self) -> float:
        """Probability that chance gives a largest difference as large."""
        counts = (self.largest >= self.t.max()).sum(axis=1)
        return float((1 + counts.max()) / (1 + RESAMPLES))

    @property
    def critical(self) -> float:
        """The value that the largest difference passes by chance with probability `LEVEL`."""
        at = math.ceil((1 - LEVEL) * (1 + RESAMPLES)) - 1
        return float(np.sort(self.largest, axis=1)[:, at].max())


def _studentized(mean: Floats, squares: Floats, n: int) -> Floats:
    """Return means over their standard errors, given the sums of squares; ±inf where all n values are equal."""
    variance = np.maximum((squares - n * mean * mean) / (n - 1), 0.0)
    error = np.sqrt(variance / n)
    error[error <= 1e-12 * np.abs(mean)] = 0.0  # equal but for rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / error
    return np.where(mean == 0, 0.0, t)


def _test(x: Floats) -> _Test:
    """Compare all columns of `x` [seeds, contenders]."""
    n, k = x.shape
    first, second = np.triu_indices(k, 1)
    differences = x[:, first] - x[:, second]
    squares = (differences * differences).sum(axis=0)
    t = np.zeros((k, k))
    t[first, second] = _studentized(differences.mean(axis=0), squares, n)
    t[second, first] = -t[first, second]

    rng = np.random.default_rng(np.frombuffer(x.tobytes(), np.uint32))  # the same values give the same words
    largest = []
    for part in np.array_split(np.arange(RESAMPLES), max(1, RESAMPLES * k * k // AT_ONCE)):
        signs = rng.integers(0, 2, (len(part), n)) * 2.0 - 1.0
        flipped = np.abs(_studentized(signs @ differences / n, squares, n)).max(axis=1)
        order = rng.random((len(part), n, k)).argsort(axis=2)
        dealt = np.take_along_axis(np.broadcast_to(x, (len(part), n, k)), order, axis=2)
        products = dealt.transpose(0, 2, 1) @ dealt  # [resamples, k, k]
        sums = dealt.sum(axis=1)
        diagonal = np.einsum("bii->bi", products)
        apart = diagonal[:, first] + diagonal[:, second] - 2 * products[:, first, second]
        means = (sums[:, first] - sums[:, second]) / n
        largest.append(np.stack([np.abs(_studentized(means, apart, n)).max(axis=1), flipped]))
    return _Test(t, np.concatenate(largest, axis=1))


@dataclass(frozen=True, eq=False)
class Comparison:
    """What can be said about the contenders of a race; see :func:`compare`."""

    names: tuple[str, ...]
    values: Floats  # [seeds, contenders], infinite for diverged runs

    @property
    def seeds(self) -> int:
        """Number of seeds that all contenders ran from."""
        return len(self.values)

    @property
    def enough(self) -> bool:
        """Whether there are seeds enough for any claim."""
        return self.seeds >= ENOUGH

    @cached_property
    def _filled(self) -> Floats:
        """The values with diverged runs far above all others, centred: a shift changes no difference."""
        finite = self.values[np.isfinite(self.values)]
        if not finite.size:
            return np.zeros_like(self.values)
        spread = float(np.ptp(finite)) or max(1.0, float(np.abs(finite).max()))
        filled = np.where(np.isfinite(self.values), self.values, finite.max() + FAR * spread)
        return np.asarray(filled - finite.mean(), np.float64)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All contenders from the smallest mean to the largest; each diverged run counts as far above all others."""
        means = self._filled.mean(axis=0)
        return tuple(self.names[k] for k in np.argsort(means, kind="stable"))

    @cached_property
    def _overall(self) -> _Test:
        return _test(self._filled)

    @cached_property
    def best(self) -> tuple[str, ...]:
        """The contenders that cannot be separated from the smallest, in order."""
        if not self.enough:
            return self.order
        left = list(range(len(self.names)))
        while len(left) > 1:
            test = self._overall if len(left) == len(self.names) else _test(self._filled[:, left])
            if test.p > LEVEL:
                break
            worst = test.t.max(axis=1)  # critical values only fall as the set shrinks, so all of these would leave
            gone = worst >= min(float(worst.max()), test.critical)
            left = [k for k, leaves in zip(left, gone, strict=True) if not leaves]
        kept = {self.names[k] for k in left}
        return tuple(name for name in self.order if name in kept)

    def differs(self, a: str, b: str) -> bool:
        """Return whether `a` and `b` can be told apart."""
        i, j = self._place(a), self._place(b)
        if i == j or not self.enough:
            return False
        return bool(abs(self._overall.t[i, j]) > self._overall.critical) or self.best in ((a,), (b,))

    def interval(self, a: str, b: str) -> tuple[float, float] | None:
        """Return the interval of the mean difference `a` - `b`, simultaneous over all pairs; None below 6 seeds.

        Where a run of either diverged, the size of the difference is unknown: an end is infinite.
        """
        i, j = self._place(a), self._place(b)
        if not self.enough:
            return None
        t, critical = float(self._overall.t[i, j]), self._overall.critical
        if not np.isfinite(self.values[:, [i, j]]).all():
            return (0.0 if t > critical else -math.inf, 0.0 if t < -critical else math.inf)
        d = self.values[:, i] - self.values[:, j]
        middle, error = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(len(d))
        half = critical * error if error > 0 else 0.0
        return middle - half, middle + half

    @cached_property
    def seeds_to_separate(self) -> int | None:
        """About how many seeds separate the first two of `order` with a probability of 80%; None if none would.

        From the observed mean and spread of their paired differences, so as uncertain as these.
        """
        if len(self.names) < 2 or self.seeds < 2:
            return None
        i, j = (self._place(name) for name in self.order[:2])
        d = self._filled[:, i] - self._filled[:, j]
        effect = abs(float(d.mean()))
        if effect == 0:
            return None
        needed = ((self._quantile() + POWER_QUANTILE) * float(d.std(ddof=1)) / effect) ** 2
        return None if needed > MOST_SEEDS else max(ENOUGH, math.ceil(needed))

    def _quantile(self) -> float:
        """Return the critical value for the contenders of the best set, with many seeds."""
        from scipy.stats import studentized_range

        return float(studentized_range.ppf(1 - LEVEL, max(2, len(self.best)), np.inf)) / math.sqrt(2)

    def _place(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise ArgumentError(f"Comparison: {name!r} is no contender; there are: {', '.join(self.names)}.") from None

    def sentences(self) -> list[str]:
        """Return the conclusion in words."""
        if not np.isfinite(self.values).any():
            return ["Every contender diverged."]
        if len(self.names) == 1:
            return [f"{self.names[0]} ran alone: there is nothing to compare."]
        if not self.enough:
            seeds = f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
            return [f"No claim: {seeds}, and at least {ENOUGH} are needed to tell contenders apart."]
        best, rest = self.best, len(self.names) - len(self.best)
        if len(best) == 1:
            return [f"Best: {best[0]}, separated from all {rest} others on {self.seeds} seeds (5% error rate)."]
        words = [
            f"Best: {', '.join(best)}: these {len(best)} cannot be separated on {self.seeds} seeds"
            + (f"; the other {rest} can be (5% error rate)." if rest else ".")
        ]
        needed = self.seeds_to_separate
        if needed is None:
            words.append(f"No number of seeds in reach would separate {best[0]} and {best[1]}.")
        elif needed > self.seeds:
            words.append(f"About {needed} seeds would separate {best[0]} and {best[1]}.")
        return words

    def to_json(self) -> dict[str, Any]:
        """Return the conclusion as plain data: the best set, the pairs that differ with their intervals, the words."""
        pairs = [(a, b) for k, a in enumerate(self.order) for b in self.order[k + 1 :]]
        return {
            "best": list(self.best),
            "seeds": self.seeds,
            "seeds_to_separate": self.seeds_to_separate,
            "differs": [
                {"contenders": [a, b], "interval": self.interval(a, b)} for a, b in pairs if self.differs(a, b)
            ],
            "words": self.sentences(),
        }


def compare(finals: Mapping[str, Sequence[float]]) -> Comparison:
    """Return what can be said about contenders, given their final values by seed: smaller is better.

    Each contender has one number per seed, in the same order of seeds; infinity (or NaN) stands for a run that
    diverged. The error rates hold over all contenders together: of races between equal contenders 5% claim any
    difference. Below 6 seeds nothing is claimed: `best` has all names and :meth:`Comparison.interval` is None.

    >>> found = compare({"a": [1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 2.0], "b": [2.0, 3.0, 4.1, 3.0, 2.1, 3.9, 3.0]})
    >>> found.best, found.differs("a", "b")
    (('a',), True)
    """
    if not finals:
        raise ArgumentError("compare: at least one contender is required, got none.")
    columns = {str(name): np.asarray(values, np.float64) for name, values in finals.items()}
    lengths = {name: column.shape for name, column in columns.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) != 1:
        shown = ", ".join(f"{name}: {list(shape)}" for name, shape in lengths.items())
        raise ShapeError(f"compare: one number per seed for every contender is required, got the shapes {shown}.")
    values = np.stack(list(columns.values()), axis=1)
    if not len(values):
        raise ShapeError("compare: at least one seed is required, got none.")
    if (values == -np.inf).any():
        raise ArgumentError("compare: final values must be finite, or inf for diverged runs, got -inf.")
    return Comparison(tuple(columns), np.where(np.isnan(values), np.inf, values))


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return an interval of the median of the distribution that `values` are from; None where there are too few.

    Between order statistics, interpolated (Hettmansperger & Sheather 1986), which needs no shape of the
    distribution. Infinite values count as the largest.

    >>> low, high = median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    >>> round(low, 3), round(high, 3)
    (1.357, 5.643)
    """
    from scipy.stats import binom

    x = np.sort(np.asarray(values, np.float64))
    n = len(x)
    levels = 1 - 2 * binom.cdf(np.arange(n // 2), n, 0.5)  # of the intervals between the k-th and the k-th last
    if n < 2 or levels[0] < level:
        return None
    k = int(np.flatnonzero(levels >= level)[-1])
    outer, inner = levels[k], (levels[k + 1] if k + 1 < len(levels) else 0.0)
    part = (outer - level) / (outer - inner)
    share = (n - k - 1) * part / (k + 1 + (n - 2 * (k + 1)) * part)
    low = _between(x[k], x[k + 1], share)
    return low, _between(x[n - 1 - k], x[n - 2 - k], share)


def _between(a: float, b: float, share: float) -> float:
    """Return the point `share` of the way from `a` to `b`; infinite where one that counts is."""
    if a == b or share == 0:
        return float(a)
    return math.inf if math.inf in (a, b) else float((1 - share) * a + share * b)
