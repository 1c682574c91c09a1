"""Classic functions of two variables (or d), with every answer that is known.

They are written with NumPy's functions, which work on arrays and on tensors alike. Values were computed at 30
digits; eigenvalues are those of the Hessian at the first minimiser.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .function import CriticalValue, FunctionProblem

__all__ = [
    "ackley", "banana", "branin", "dixon_price", "easom", "freudenstein_roth", "goldstein_price", "griewank", "levy13",
    "mccormick", "rastrigin", "six_hump_camel", "styblinski_tang", "three_hump_camel", "zakharov",
]  # fmt: skip


def _square(half_width: float, dimension: int = 2) -> tuple[tuple[float, float], ...]:
    return ((-half_width, half_width),) * dimension


def styblinski_tang(dimension: int = 2) -> FunctionProblem:
    """½ Σ (xᵢ⁴ - 16xᵢ² + 5xᵢ): 2^d minima, one of them global (Styblinski & Tang 1990)."""
    low, high = -2.903534027771177, 2.746802770990415
    best = -39.16616570377142
    other = (
        CriticalValue((high,) * dimension, "minimum", -25.029446657238 * dimension, (29.269553,) * dimension),
        *((CriticalValue((low, high), "minimum", -64.19561236, (29.269553, 34.583059)),) if dimension == 2 else ()),
    )
    return FunctionProblem(
        "styblinski_tang",
        "sum(x**4 - 16*x**2 + 5*x)/2",
        lambda x: (x**4 - 16 * x**2 + 5 * x).sum(0) / 2,
        _square(5.0, dimension),
        starts=((0.0,) * dimension,),
        minimisers=((low,) * dimension,),
        optimum=best * dimension,
        eigenvalues=(34.583059,) * dimension,
        source="Styblinski & Tang 1990",
        critical=other,
    )


def rastrigin(dimension: int = 2) -> FunctionProblem:
    """10d + Σ (xᵢ² - 10 cos 2πxᵢ): a bowl with a minimum near every integer point (Rastrigin 1974)."""
    return FunctionProblem(
        "rastrigin",
        "10*d + sum(x**2 - 10*cos(2*pi*x))",
        lambda x: (x**2 - 10 * np.cos(2 * np.pi * x)).sum(0) + 10.0 * dimension,
        _square(5.12, dimension),
        starts=((-2.0, 3.5),) if dimension == 2 else (),
        minimisers=((0.0,) * dimension,),
        optimum=0.0,
        eigenvalues=(396.78418,) * dimension,
        source="Rastrigin 1974",
    )


def three_hump_camel() -> FunctionProblem:
    """2x² - 1.05x⁴ + x⁶/6 + xy + y²: three minima, the middle one deepest."""
    side = (1.747552345830289, -0.8737761729151445)

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return 2 * a**2 - 1.05 * a**4 + a**6 / 6 + a * b + b**2

    return FunctionProblem(
        "three_hump_camel",
        "2*x1**2 - 1.05*x1**4 + x1**6/6 + x1*x2 + x2**2",
        function,
        _square(5.0),
        starts=((2.0, -1.0),),
        minimisers=((0.0, 0.0),),
        optimum=0.0,
        eigenvalues=(1.5857864, 4.4142136),
        critical=(
            CriticalValue(side, "minimum", 0.2986384422),
            CriticalValue((-side[0], -side[1]), "minimum", 0.2986384422),
        ),
    )


def six_hump_camel() -> FunctionProblem:
    """(4 - 2.1x² + x⁴/3)x² + xy + (4y² - 4)y²: six minima, two of them global (Dixon & Szegő 1978)."""
    best = (0.08984201310031806, -0.7126564030207396)

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2

    return FunctionProblem(
        "six_hump_camel",
        "(4 - 2.1*x1**2 + x1**4/3)*x1**2 + x1*x2 + (4*x2**2 - 4)*x2**2",
        function,
        ((-3.0, 3.0), (-2.0, 2.0)),
        starts=((-2.0, 1.0),),
        minimisers=(best, (-best[0], -best[1])),
        optimum=-1.031628453489877,
        eigenvalues=(7.6822514, 16.493195),
        source="Dixon & Szego 1978",
        critical=(CriticalValue((0.0, 0.0), "saddle", 0.0),),
    )


def goldstein_price() -> FunctionProblem:
    """A polynomial of degree eight with four minima and values over six decades (Goldstein & Price 1971)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
        second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
        return first * second

    return FunctionProblem(
        "goldstein_price",
        "(1 + (x1+x2+1)**2*(19 - 14*x1 + 3*x1**2 - 14*x2 + 6*x1*x2 + 3*x2**2))"
        "*(30 + (2*x1-3*x2)**2*(18 - 32*x1 + 12*x1**2 + 48*x2 - 36*x1*x2 + 27*x2**2))",
        function,
        _square(2.0),
        starts=((1.0, 1.0),),
        minimisers=((0.0, -1.0),),
        optimum=3.0,
        eigenvalues=(402.83101, 965.16899),
        source="Goldstein & Price 1971",
    )


def mccormick() -> FunctionProblem:
    """sin(x + y) + (x - y)² - 1.5x + 2.5y + 1: a plate with a wavy valley (McCormick 1976)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return np.sin(a + b) + (a - b) ** 2 - 1.5 * a + 2.5 * b + 1

    return FunctionProblem(
        "mccormick",
        "sin(x1 + x2) + (x1 - x2)**2 - 1.5*x1 + 2.5*x2 + 1",
        function,
        ((-1.5, 4.0), (-3.0, 4.0)),
        starts=((3.0, 3.0),),
        minimisers=((-0.5471975511965976, -1.5471975511965976),),
        optimum=-1.9132229549810367,
        eigenvalues=(1.7320508, 4.0),
        source="McCormick 1976",
    )


def branin() -> FunctionProblem:
    """(y - bx² + cx - 6)² + 10(1 - 1/8π) cos x + 10: three global minima (Branin 1972)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        bowl = b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6
        return bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10

    return FunctionProblem(
        "branin",
        "(x2 - 5.1/(4*pi**2)*x1**2 + 5/pi*x1 - 6)**2 + 10*(1 - 1/(8*pi))*cos(x1) + 10",
        function,
        ((-5.0, 10.0), (0.0, 15.0)),
        starts=((2.0, 10.0),),
        minimisers=((-np.pi, 12.275), (np.pi, 2.275), (3 * np.pi, 2.475)),
        optimum=0.39788735772973816,
        eigenvalues=(0.86149516, 22.291739),
        source="Branin 1972",
    )


def freudenstein_roth() -> FunctionProblem:
    """The sum of two squared cubics: a global minimum, and a local one that catches most runs (Freudenstein & Roth 1963)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return (-13 + a + ((5 - b) * b - 2) * b) ** 2 + (-29 + a + ((b + 1) * b - 14) * b) ** 2

    return FunctionProblem(
        "freudenstein_roth",
        "(-13 + x1 + ((5 - x2)*x2 - 2)*x2)**2 + (-29 + x1 + ((x2 + 1)*x2 - 14)*x2)**2",
        function,
        ((-10.0, 15.0), (-5.0, 5.0)),
        starts=((0.5, -2.0),),
        minimisers=((5.0, 4.0),),
        optimum=0.0,
        eigenvalues=(2.9004321, 3729.0996),
        source="Freudenstein & Roth 1963",
        critical=(CriticalValue((11.412778986902094, -0.8968052532744765), "minimum", 48.98425368),),
    )


def dixon_price() -> FunctionProblem:
    """(x₁ - 1)² + 2(2x₂² - x₁)²: two minima of equal value in a curved valley (Dixon & Price 1989)."""
    root = 0.5**0.5
    return FunctionProblem(
        "dixon_price",
        "(x1 - 1)**2 + 2*(2*x2**2 - x1)**2",
        lambda x: (x[0] - 1) ** 2 + 2 * (2 * x[1] ** 2 - x[0]) ** 2,
        _square(10.0),
        starts=((5.0, 5.0),),
        minimisers=((1.0, root), (1.0, -root)),
        optimum=0.0,
        eigenvalues=(1.7663121, 36.233688),
        source="Dixon & Price 1989",
        critical=(CriticalValue((1 / 3, 0.0), "saddle"),),
    )


def levy13() -> FunctionProblem:
    """sin²3πx + (x-1)²(1 + sin²3πy) + (y-1)²(1 + sin²2πy): a rippled bowl."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return (
            np.sin(3 * np.pi * a) ** 2
            + (a - 1) ** 2 * (1 + np.sin(3 * np.pi * b) ** 2)
            + (b - 1) ** 2 * (1 + np.sin(2 * np.pi * b) ** 2)
        )

    return FunctionProblem(
        "levy13",
        "sin(3*pi*x1)**2 + (x1-1)**2*(1 + sin(3*pi*x2)**2) + (x2-1)**2*(1 + sin(2*pi*x2)**2)",
        function,
        _square(10.0),
        starts=((-4.0, 6.0),),
        minimisers=((1.0, 1.0),),
        optimum=0.0,
        eigenvalues=(2.0, 179.65288),
    )


def zakharov(dimension: int = 2) -> FunctionProblem:
    """Σ xᵢ² + s² + s⁴ with s = ½ Σ i·xᵢ: a plate that turns into a steep wall."""
    k = np.arange(1.0, dimension + 1)
    largest = 2 + 0.5 * float(k @ k)

    def function(x: Any) -> Any:
        s = (x.T * k).sum(-1) * 0.5
        return (x * x).sum(0) + s**2 + s**4

    return FunctionProblem(
        "zakharov",
        "sum(x**2) + s**2 + s**4, s = sum(i*x)/2",
        function,
        ((-5.0, 10.0),) * dimension,
        starts=((4.0, -3.0),) if dimension == 2 else (),
        minimisers=((0.0,) * dimension,),
        optimum=0.0,
        eigenvalues=((2.0,) * (dimension - 1) + (largest,)),
    )


def griewank() -> FunctionProblem:
    """1 + Σ xᵢ²/4000 - Π cos(xᵢ/√i): a wide bowl under regular ripples (Griewank 1981)."""
    return FunctionProblem(
        "griewank",
        "1 + (x1**2 + x2**2)/4000 - cos(x1)*cos(x2/sqrt(2))",
        lambda x: 1 + (x[0] ** 2 + x[1] ** 2) / 4000 - np.cos(x[0]) * np.cos(x[1] / 2**0.5),
        _square(600.0),
        minimisers=((0.0, 0.0),),
        optimum=0.0,
        eigenvalues=(0.5005, 1.0005),
        source="Griewank 1981",
    )


def easom() -> FunctionProblem:
    """-cos x cos y exp(-(x-π)² - (y-π)²): a needle's eye in a plain (Easom 1990)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return -np.cos(a) * np.cos(b) * np.exp(-((a - np.pi) ** 2) - (b - np.pi) ** 2)

    return FunctionProblem(
        "easom",
        "-cos(x1)*cos(x2)*exp(-(x1-pi)**2 - (x2-pi)**2)",
        function,
        _square(10.0),
        starts=((2.0, 2.0),),
        minimisers=((np.pi, np.pi),),
        optimum=-1.0,
        eigenvalues=(3.0, 3.0),
        source="Easom 1990",
    )


def ackley(dimension: int = 2) -> FunctionProblem:
    """A funnel under ripples with a cusp at its minimum, where it is not differentiable (Ackley 1987)."""

    def function(x: Any) -> Any:
        n = float(dimension)
        funnel = -20 * np.exp(-0.2 * np.sqrt((x * x).sum(0) / n))
        return funnel - np.exp(np.cos(2 * np.pi * x).sum(0) / n) + 20 + float(np.e)

    return FunctionProblem(
        "ackley",
        "-20*exp(-0.2*sqrt(mean(x**2))) - exp(mean(cos(2*pi*x))) + 20 + e",
        function,
        _square(32.0, dimension),
        minimisers=((0.0,) * dimension,),
        optimum=0.0,
        source="Ackley 1987",
    )


def banana() -> FunctionProblem:
    """(1 - x₁)² + 100(x₂ - x₁²/3)²… scaled so that momentum shows (Goh 2017): optimum (1, 1/3)."""

    def function(x: Any) -> Any:
        y = 3 * x[1]
        return ((1 - x[0]) ** 2 + 100 * (y - x[0] ** 2) ** 2) / 100

    return FunctionProblem(
        "banana",
        "((1 - x1)**2 + 100*(3*x2 - x1**2)**2)/100",
        function,
        ((-1.5, 1.5), (-0.5, 1.5)),
        starts=((-1.21, 0.853),),
        minimisers=((1.0, 1 / 3),),
        optimum=0.0,
        source="Goh 2017, a scaled Rosenbrock function",
    )
