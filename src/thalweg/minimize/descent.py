"""The loop: a direction, a distance, a stopping test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .directions import Direction
from .line_search import Fixed, LineSearch
from .objective import Array, Objective

__all__ = ["MESSAGES", "Stopping", "descend"]

CONVERGED_GRADIENT, CONVERGED_STEP, CONVERGED_VALUE, REACHED_TARGET = 0, 1, 2, 3
OUT_OF_STEPS, OUT_OF_EVALUATIONS, NO_STEP, NOT_FINITE, DIVERGED, NO_DIRECTION, STOPPED = 4, 5, 6, 7, 8, 9, 99

MESSAGES = {
    CONVERGED_GRADIENT: "Converged: the gradient's largest component is at most gtol.",
    CONVERGED_STEP: "Converged: the last step was at most xtol.",
    CONVERGED_VALUE: "Converged: the last step changed the value by at most ftol.",
    REACHED_TARGET: "Reached the target value.",
    OUT_OF_STEPS: "Stopped at the budget of maxiter steps.",
    OUT_OF_EVALUATIONS: "Stopped at the budget of maxfev function evaluations.",
    NO_STEP: "Stalled: the line search found no step that lowers the value enough.",
    NOT_FINITE: "Stopped: the value or the gradient is NaN or infinite.",
    DIVERGED: "Diverged: x grew beyond 1e100 in size.",
    NO_DIRECTION: "Stopped: the Hessian is singular here, so the method has no direction; try the absolute or damped form.",
    STOPPED: "Stopped by the callback.",
}
SUCCESS = (CONVERGED_GRADIENT, CONVERGED_STEP, CONVERGED_VALUE, REACHED_TARGET)


@dataclass(frozen=True)
class Stopping:
    """When to stop; a tolerance of 0 never stops (except `gtol`, where an exact 0 does)."""

    gtol: float = 1e-8
    xtol: float = 0.0
    ftol: float = 0.0
    target: float = -np.inf
    maxiter: int = 1000
    maxfev: int | None = None

    def __post_init__(self) -> None:
        for name in ("gtol", "xtol", "ftol"):
            if not getattr(self, name) >= 0:
                raise ArgumentError(f"minimize: {name} must be >= 0, got {getattr(self, name)}.")
        if self.maxiter < 0:
            raise ArgumentError(f"minimize: maxiter must be >= 0, got {self.maxiter}.")


def descend(
    f: Objective,
    x: Array,
    direction: Direction,
    search: LineSearch,
    stop: Stopping,
    callback: Callable[[Array, float], bool],
    path: list[Array] | None = None,
) -> dict[str, Any]:
    """Go down from `x` until something stops it; return the fields of the result."""
    status, nit, step = OUT_OF_STEPS, 0, 0.0
    g = f.grad(x)
    value = f.value(x)
    if path is not None:
        path.append(x.copy())
    if not (np.isfinite(value) and np.isfinite(g).all()):
        status = NOT_FINITE
    elif np.abs(g).max() <= stop.gtol:
        status = CONVERGED_GRADIENT
    guess = 1.0
    while status == OUT_OF_STEPS and nit < stop.maxiter:
        d = direction(f, x, g)
        if d is None or not np.isfinite(d).all():
            status = NO_DIRECTION
            break
        slope = float(d @ g)
        length = search(*_along(f, x, d), value, slope, guess) if slope < 0 or isinstance(search, Fixed) else None
        if length is None and slope >= 0:
            d, slope = -g, -float(g @ g)  # not a descent direction: steepest descent is one
            length = search(*_along(f, x, d), value, slope, guess)
        if length is None:
            status = NO_STEP
            break
        step = length
        guess = 1.0
        x_new = x + length * d
        nit += 1
        g_new = f.grad(x_new)
        value_new = f.value(x_new)
        moved, change = float(np.abs(x_new - x).max()), abs(value_new - value)
        x, g, value = x_new, g_new, value_new
        if path is not None:
            path.append(x.copy())
        if callback(x, value):
            status = STOPPED
        elif not np.abs(x).max() <= 1e100:
            status = DIVERGED
        elif not (np.isfinite(value) and np.isfinite(g).all()):
            status = NOT_FINITE
        elif np.abs(g).max() <= stop.gtol:
            status = CONVERGED_GRADIENT
        elif value <= stop.target:
            status = REACHED_TARGET
        elif moved <= stop.xtol:
            status = CONVERGED_STEP
        elif change <= stop.ftol * max(1.0, abs(value)) and stop.ftol > 0:
            status = CONVERGED_VALUE
        elif stop.maxfev is not None and f.nfev >= stop.maxfev:
            status = OUT_OF_EVALUATIONS
    return {"x": x, "fun": value, "jac": g, "nit": nit, "status": status, "step": step}


def _along(f: Objective, x: Array, d: Array) -> tuple[Callable[[float], float], Callable[[float], float]]:
    def phi(a: float) -> float:
        return f.value(x + a * d)

    def slope(a: float) -> float:
        return float(f.grad(x + a * d) @ d)

    return phi, slope
