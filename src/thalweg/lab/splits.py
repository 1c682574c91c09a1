"""Held-out rows: each seed splits a table into rows to train on, to choose settings by, and to report.

The split belongs to the seed, like the start and the order of rows: it is the same for every contender, and other
seeds have others. Features (and a numeric target) are scaled once, by the means and spreads of all rows, so that one
compiled program serves every split. Sizes are the same for every seed; classes keep their shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..problems.base import Array, Curvature, Instance, Problem

__all__ = ["FEWEST", "HeldOut", "Parts", "split_rows"]

FEWEST = 5  # rows in each part
SPLIT_STREAM = 2  # beside those of the start (0) and the order of rows (1)


@dataclass(frozen=True)
class Parts:
    """One problem three times: over the rows to train on, to choose by, and to report."""

    rows: Array  # those to train on, in the whole table
    train: Problem
    validation: Problem
    test: Problem


def split_rows(
    rng: np.random.Generator, rows: int, validation: int, test: int, classes: Array | None = None
) -> tuple[Array, Array, Array]:
    """Return the row numbers of the three parts, each ascending; with `classes` each has its share of every class.

    >>> [len(part) for part in split_rows(np.random.default_rng(0), 10, 2, 3)]
    [5, 2, 3]
    """
    order = rng.permutation(rows)
    if classes is not None:  # dealt out so that every stretch of the order has the classes in their shares
        place = np.empty(rows)
        for c in np.unique(classes):
            mine = order[classes[order] == c]
            place[mine] = (np.arange(len(mine)) + rng.random()) / len(mine)
        order = np.argsort(place, kind="stable")
    parts = order[validation + test :], order[:validation], order[validation : validation + test]
    return tuple(np.sort(part) for part in parts)  # type: ignore[return-value]


class HeldOut(Problem):
    """A table's problem of which each seed holds rows out; `rows` counts those that are left to train on."""

    def __init__(self, problem: Problem, validation: float, test: float, entropy: int, batch: int = 1) -> None:
        n = problem.rows
        counts = [round(validation * n), round(test * n)]
        left = n - sum(counts)
        if min(*counts, left) < FEWEST:
            raise ArgumentError(
                f"{problem.name}: at least {FEWEST} rows are required to train on, to choose by and to test, got "
                f"{left}, {counts[0]} and {counts[1]} of {n}; change --validation and --test."
            )
        if left > batch * FEWEST:  # whole batches, so that one program serves every step
            counts[0] += left % batch
            left -= left % batch
        self.problem = problem
        self.counts: tuple[int, int, int] = (left, counts[0], counts[1])
        self.entropy = entropy
        self.name, self.formula, self.source = problem.name, problem.formula, problem.source
        self.dtype = problem.dtype
        self.replacement, self.random, self.noise_share = problem.replacement, problem.random, problem.noise_share
        self.at = lru_cache(maxsize=256)(self._at)

    def _at(self, seed: int) -> Parts:
        """Return the three parts of a seed."""
        rng = np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(seed, SPLIT_STREAM)))
        target = self.problem.arrays[-1]
        classes = target if self.metric == "accuracy" else None
        rows = split_rows(rng, self.problem.rows, self.counts[1], self.counts[2], classes)
        return Parts(rows[0], *(self.problem.restricted(part) for part in rows))

    @property
    def dimension(self) -> int:
        """How many numbers are to be found."""
        return self.problem.dimension

    @property
    def rows(self) -> int:
        """How many rows each seed trains on."""
        return self.counts[0]

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All rows: those of a seed are `at(seed).rows` of them."""
        return self.problem.arrays

    @property
    def metric(self) -> str | None:
        """The problem's."""
        return self.problem.metric

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return the problem's."""
        return self.problem.instance(rng)

    def curvature(self) -> Curvature:
        """Return the problem's, over all rows."""
        return self.problem.curvature()

    def smoothness(self) -> float:
        """Return the problem's."""
        return self.problem.smoothness()

    def scale(self) -> float:
        """Return the problem's."""
        return self.problem.scale()

    def describe(self) -> str:
        """Return the problem's line."""
        return self.problem.describe()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "problem" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.problem, name)
