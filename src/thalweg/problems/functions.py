"""Functions with a name, their domains, usual starts and known minimisers."""

from __future__ import annotations

from typing import Any

from .function import CriticalValue, FunctionProblem

__all__ = ["beale", "booth", "himmelblau", "matyas", "rosenbrock", "sphere", "valley"]


def sphere(dimension: int = 2) -> FunctionProblem:
    """Σ xᵢ²: the same curvature in every direction."""
    return FunctionProblem(
        "sphere",
        "x1**2 + x2**2" if dimension == 2 else "sum of squares",
        lambda x: (x * x).sum(0),
        ((-5.0, 5.0),) * dimension,
        starts=((-5.0, -2.0),) if dimension == 2 else (),
        minimisers=((0.0,) * dimension,),
        optimum=0.0,
        eigenvalues=(2.0,) * dimension,
    )


def valley() -> FunctionProblem:
    """0.1x₁² + 2x₂²: a long valley, where gradient descent crawls or bounces."""

    def function(x: Any) -> Any:
        return 0.1 * x[0] ** 2 + 2 * x[1] ** 2

    return FunctionProblem(
        "valley",
        "0.1*x1**2 + 2*x2**2",
        function,
        ((-5.5, 5.5), (-3.0, 3.0)),
        starts=((-5.0, -2.0),),
        minimisers=((0.0, 0.0),),
        optimum=0.0,
        eigenvalues=(0.2, 4.0),
    )


def booth() -> FunctionProblem:
    """(x₁ + 2x₂ - 7)² + (2x₁ + x₂ - 5)²: a turned quadratic."""

    def function(x: Any) -> Any:
        return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2

    return FunctionProblem(
        "booth",
        "(x1 + 2*x2 - 7)**2 + (2*x1 + x2 - 5)**2",
        function,
        ((-10.0, 10.0), (-10.0, 10.0)),
        starts=((-5.0, 5.0),),
        minimisers=((1.0, 3.0),),
        optimum=0.0,
        eigenvalues=(2.0, 18.0),
    )


def matyas() -> FunctionProblem:
    """0.26(x₁² + x₂²) - 0.48x₁x₂: a turned quadratic, nearly flat along x₁ = x₂."""

    def function(x: Any) -> Any:
        return 0.26 * (x[0] ** 2 + x[1] ** 2) - 0.48 * x[0] * x[1]

    return FunctionProblem(
        "matyas",
        "0.26*(x1**2 + x2**2) - 0.48*x1*x2",
        function,
        ((-10.0, 10.0), (-10.0, 10.0)),
        starts=((8.0, -6.0),),
        minimisers=((0.0, 0.0),),
        optimum=0.0,
        eigenvalues=(0.04, 1.0),
    )


def rosenbrock() -> FunctionProblem:
    """(1 - x₁)² + 100(x₂ - x₁²)²: a valley along a parabola (Rosenbrock 1960)."""

    def function(x: Any) -> Any:
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    return FunctionProblem(
        "rosenbrock",
        "(1 - x1)**2 + 100*(x2 - x1**2)**2",
        function,
        ((-2.0, 2.0), (-1.0, 3.0)),
        starts=((-1.2, 1.0),),
        minimisers=((1.0, 1.0),),
        optimum=0.0,
        eigenvalues=(0.39936077, 1001.6006),
        source="Rosenbrock 1960",
    )


def beale() -> FunctionProblem:
    """Beale's function: steep corners around a flat valley (Beale 1958)."""

    def function(x: Any) -> Any:
        a, b = x[0], x[1]
        return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2

    return FunctionProblem(
        "beale",
        "(1.5 - x1 + x1*x2)**2 + (2.25 - x1 + x1*x2**2)**2 + (2.625 - x1 + x1*x2**3)**2",
        function,
        ((-4.5, 4.5), (-4.5, 4.5)),
        starts=((1.0, 1.0),),
        minimisers=((3.0, 0.5),),
        optimum=0.0,
        eigenvalues=(0.30146365, 48.979786),
        source="Beale 1958",
    )


def himmelblau() -> FunctionProblem:
    """(x₁² + x₂ - 11)² + (x₁ + x₂² - 7)²: four minimisers of equal value (Himmelblau 1972)."""

    def function(x: Any) -> Any:
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

    return FunctionProblem(
        "himmelblau",
        "(x1**2 + x2 - 11)**2 + (x1 + x2**2 - 7)**2",
        function,
        ((-5.0, 5.0), (-5.0, 5.0)),
        starts=((0.0, 0.0),),
        minimisers=(
            (3.0, 2.0),
            (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286169),
            (3.5844283403304917, -1.8481265269644036),
        ),
        optimum=0.0,
        eigenvalues=(25.715729, 82.284271),
        source="Himmelblau 1972",
        critical=(
            CriticalValue((-0.2708445906673476, -0.9230385564799815), "maximum", 181.6165215),
            CriticalValue((0.08667750455539634, 2.884254701174776), "saddle"),
            CriticalValue((-3.0730257507643897, -0.08135304428796751), "saddle"),
            CriticalValue((-0.12796134673068005, -1.9537149802445766), "saddle"),
            CriticalValue((3.385154183607021, 0.07385187983774928), "saddle"),
        ),
    )
