"""Every problem that has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .. import data
from ..ops.random import Generator
from . import functions
from .base import Problem
from .function import quadratic
from .regressions import LinearRegression, LogisticRegression

__all__ = ["PROBLEMS", "Entry", "airfoil", "find"]


class Entry(NamedTuple):
    """A problem by name: how to make it, and one line about it."""

    name: str
    make: Callable[[], Problem]
    summary: str
    kind: str = "function"


def airfoil() -> LinearRegression:
    """Linear regression on the first 1500 rows of the airfoil data, standardised over all 1503."""
    table = data.airfoil().standardized().rows(slice(0, 1500))
    return LinearRegression("airfoil", table, standardize=False)


PROBLEMS: tuple[Entry, ...] = (
    Entry("diabetes", lambda: LinearRegression("diabetes", data.diabetes()), "linear regression, 442 x 10", "data"),
    Entry("airfoil", airfoil, "linear regression, 1500 x 5 (downloaded once)", "data"),
    Entry(
        "regression",
        lambda: LinearRegression("regression", data.regression(generator=_fixed())),
        "generated linear regression, 500 x 10, condition number 100",
        "data",
    ),
    Entry(
        "breast_cancer",
        lambda: LogisticRegression("breast_cancer", data.breast_cancer()),
        "logistic regression, 569 x 30, two classes",
        "data",
    ),
    Entry("wine", lambda: LogisticRegression("wine", data.wine()), "logistic regression, 178 x 13, three classes", "data"),
    Entry("iris", lambda: LogisticRegression("iris", data.iris()), "logistic regression, 150 x 4, three classes", "data"),
    Entry("digits", lambda: LogisticRegression("digits", data.digits()), "logistic regression, 1797 x 64, ten classes", "data"),
    Entry("valley", functions.valley, "a long valley along x1"),
    Entry("sphere", functions.sphere, "equal curvature in all directions"),
    Entry("booth", functions.booth, "a turned quadratic"),
    Entry("matyas", functions.matyas, "a turned quadratic, nearly flat"),
    Entry("rosenbrock", functions.rosenbrock, "a valley along a parabola"),
    Entry("beale", functions.beale, "steep corners around a flat valley"),
    Entry("himmelblau", functions.himmelblau, "four minimisers"),
    Entry(
        "ill_conditioned",
        lambda: quadratic([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0], name="ill_conditioned"),
        "a quadratic of 7 variables, condition number 1000",
    ),
)  # fmt: skip


def _fixed() -> Generator:
    return Generator().manual_seed(0)


def find(name: str) -> Entry | None:
    """Return the entry of that name, or None."""
    wanted = name.lower().replace("-", "_")
    return next((entry for entry in PROBLEMS if entry.name == wanted), None)
