"""Every problem that has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .. import data
from ..ops.random import Generator
from . import bbob, classic, functions, least_squares, networks
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


def _spread_quadratic(name: str, condition: float) -> Entry:
    values = np.geomspace(1.0, condition, 10)
    summary = f"a turned quadratic of 10 variables, condition number {condition:g}"
    return Entry(name, lambda: quadratic(values, name=name), summary)


def _bbob(number: int, dimension: int) -> Entry:
    name = f"bbob_f{number}" if dimension == 2 else f"bbob_f{number}_d{dimension}"
    return Entry(name, lambda: bbob.bbob(number, dimension), f"BBOB: {bbob.TITLES[number]}, {dimension} variables")


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
    Entry("perceptron", networks.perceptron, "perceptron 64-32-10 on the digits, 1797 x 64", "data"),
    Entry("lenet", networks.lenet, "LeNet on 6000 pictures of Fashion-MNIST (downloaded once)", "data"),
    Entry("quadratic_deep", networks.QuadraticDeep, "a shifted quadratic with a network's spectrum, 1000 x 100", "data"),
    Entry("valley", functions.valley, "a long valley along x1"),
    Entry("sphere", functions.sphere, "equal curvature in all directions"),
    Entry("booth", functions.booth, "a turned quadratic"),
    Entry("matyas", functions.matyas, "a turned quadratic, nearly flat"),
    Entry("rosenbrock", functions.rosenbrock, "a valley along a parabola"),
    Entry("banana", classic.banana, "a valley along a parabola, scaled so that momentum shows"),
    Entry("beale", functions.beale, "steep corners around a flat valley"),
    Entry("himmelblau", functions.himmelblau, "four minimisers"),
    Entry("styblinski_tang", classic.styblinski_tang, "four minima, one of them global"),
    Entry("rastrigin", classic.rastrigin, "a bowl with a minimum near every integer point"),
    Entry("three_hump_camel", classic.three_hump_camel, "three minima, the middle one deepest"),
    Entry("six_hump_camel", classic.six_hump_camel, "six minima, two of them global"),
    Entry("goldstein_price", classic.goldstein_price, "four minima, values over six decades"),
    Entry("mccormick", classic.mccormick, "a plate with a wavy valley"),
    Entry("branin", classic.branin, "three global minima"),
    Entry("freudenstein_roth", classic.freudenstein_roth, "a local minimum that catches most runs"),
    Entry("dixon_price", classic.dixon_price, "two minima in a curved valley"),
    Entry("levy13", classic.levy13, "a rippled bowl"),
    Entry("zakharov", classic.zakharov, "a plate that turns into a steep wall"),
    Entry("griewank", classic.griewank, "a wide bowl under regular ripples"),
    Entry("easom", classic.easom, "a needle's eye in a plain"),
    Entry("ackley", classic.ackley, "a funnel under ripples, with a cusp at its minimum"),
    Entry("powell_singular", least_squares.powell_singular, "four variables, a singular Hessian at the minimum"),
    Entry("wood", least_squares.wood, "four variables, two valleys tied together"),
    Entry("helical_valley", least_squares.helical_valley, "three variables, a valley along a screw"),
    Entry("brown_badly_scaled", least_squares.brown_badly_scaled, "variables twelve decades apart"),
    Entry("powell_badly_scaled", least_squares.powell_badly_scaled, "a valley so narrow that steps must be tiny"),
    Entry("trigonometric", least_squares.trigonometric, "five variables, many minima"),
    Entry(
        "ill_conditioned",
        lambda: quadratic([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0], name="ill_conditioned"),
        "a quadratic of 7 variables, condition number 1000",
    ),
    _spread_quadratic("quadratic_1e0", 1.0),
    _spread_quadratic("quadratic_1e1", 1e1),
    _spread_quadratic("quadratic_1e2", 1e2),
    _spread_quadratic("quadratic_1e3", 1e3),
    _spread_quadratic("quadratic_1e4", 1e4),
    _spread_quadratic("quadratic_1e6", 1e6),
    *(_bbob(number, 2) for number in bbob.TITLES),
    *(_bbob(number, 5) for number in bbob.TITLES),
)  # fmt: skip


def _fixed() -> Generator:
    return Generator().manual_seed(0)


def find(name: str) -> Entry | None:
    """Return the entry of that name, or None."""
    wanted = name.lower().replace("-", "_")
    return next((entry for entry in PROBLEMS if entry.name == wanted), None)
