"""Problems from Moré, Garbow & Hillstrom (1981): sums of squares that break careless methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from .function import FunctionProblem

__all__ = ["brown_badly_scaled", "helical_valley", "powell_badly_scaled", "powell_singular", "trigonometric", "wood"]

SOURCE = "More, Garbow & Hillstrom 1981"


def powell_singular() -> FunctionProblem:
    """(x₁+10x₂)² + 5(x₃-x₄)² + (x₂-2x₃)⁴ + 10(x₁-x₄)⁴: a singular Hessian at the minimum, where Newton slows down."""

    def function(x: Any) -> Any:
        a, b, c, d = x[0], x[1], x[2], x[3]
        return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4

    return FunctionProblem(
        "powell_singular",
        "(x1+10*x2)**2 + 5*(x3-x4)**2 + (x2-2*x3)**4 + 10*(x1-x4)**4",
        function,
        ((-4.0, 5.0),) * 4,
        starts=((3.0, -1.0, 0.0, 1.0),),
        minimisers=((0.0,) * 4,),
        optimum=0.0,
        source=SOURCE,
    )


def wood() -> FunctionProblem:
    """Two Rosenbrock valleys tied together: four variables, with a nearly flat saddle on the way."""

    def function(x: Any) -> Any:
        a, b, c, d = x[0], x[1], x[2], x[3]
        return (
            100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
            + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10
        )  # fmt: skip

    return FunctionProblem(
        "wood",
        "100*(x2-x1**2)**2 + (1-x1)**2 + 90*(x4-x3**2)**2 + (1-x3)**2 + 10*(x2+x4-2)**2 + (x2-x4)**2/10",
        function,
        ((-4.0, 4.0),) * 4,
        starts=((-3.0, -1.0, -3.0, -1.0),),
        minimisers=((1.0,) * 4,),
        optimum=0.0,
        source=SOURCE,
    )


def helical_valley() -> FunctionProblem:
    """100((x₃-10θ)² + (r-1)²) + x₃² with (r, θ) the polar form of (x₁, x₂): a valley along a screw."""

    def function(x: Any) -> Any:
        turn = np.arctan2(x[1], x[0]) / (2 * np.pi)
        r = np.sqrt(x[0] ** 2 + x[1] ** 2)
        return 100 * ((x[2] - 10 * turn) ** 2 + (r - 1) ** 2) + x[2] ** 2

    return FunctionProblem(
        "helical_valley",
        "100*((x3 - 10*atan2(x2,x1)/(2*pi))**2 + (hypot(x1,x2) - 1)**2) + x3**2",
        function,
        ((-2.0, 2.0), (-2.0, 2.0), (-2.0, 4.0)),
        starts=((-1.0, 0.0, 0.0),),
        minimisers=((1.0, 0.0, 0.0),),
        optimum=0.0,
        source=SOURCE,
    )


def brown_badly_scaled() -> FunctionProblem:
    """(x₁ - 10⁶)² + (x₂ - 2·10⁻⁶)² + (x₁x₂ - 2)²: variables twelve decades apart."""
    return FunctionProblem(
        "brown_badly_scaled",
        "(x1 - 1e6)**2 + (x2 - 2e-6)**2 + (x1*x2 - 2)**2",
        lambda x: (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2,
        ((-1e7, 1e7), (-10.0, 10.0)),
        starts=((1.0, 1.0),),
        minimisers=((1e6, 2e-6),),
        optimum=0.0,
        eigenvalues=(2.0, 2.000000000002e12),
        source=SOURCE,
    )


def powell_badly_scaled() -> FunctionProblem:
    """(10⁴x₁x₂ - 1)² + (e^-x₁ + e^-x₂ - 1.0001)²: a valley so narrow that steps must be tiny."""
    return FunctionProblem(
        "powell_badly_scaled",
        "(1e4*x1*x2 - 1)**2 + (exp(-x1) + exp(-x2) - 1.0001)**2",
        lambda x: (1e4 * x[0] * x[1] - 1) ** 2 + (np.exp(-x[0]) + np.exp(-x[1]) - 1.0001) ** 2,
        ((-1.0, 1.0), (0.0, 15.0)),
        starts=((0.0, 1.0),),
        minimisers=((1.0981593296998218e-05, 9.106146739866489),),
        optimum=0.0,
        eigenvalues=(2.4101361e-8, 1.65843816916e10),
        source=SOURCE,
    )


def trigonometric(dimension: int = 5) -> FunctionProblem:
    """Σᵢ (n - Σⱼ cos xⱼ + i(1 - cos xᵢ) - sin xᵢ)²: many minima of value 0 and above."""
    k = np.arange(1.0, dimension + 1)

    def function(x: Any) -> Any:
        cos, sin = np.cos(x), np.sin(x)
        r = (1 - cos).T * k - sin.T + (dimension - cos.sum(0)).reshape(*x.shape[1:], 1)
        return (r * r).sum(-1)

    return FunctionProblem(
        "trigonometric",
        "sum_i (n - sum_j cos(x_j) + i*(1 - cos(x_i)) - sin(x_i))**2",
        function,
        ((-1.0, 1.0),) * dimension,
        starts=((1.0 / dimension,) * dimension,),
        minimisers=((0.0,) * dimension,),
        optimum=0.0,
        source=SOURCE,
    )
