"""Gauss-Newton and Levenberg-Marquardt for sums of squared residuals ``½‖r(x)‖²``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ..ops.tensor import Tensor
from .descent import (
    CONVERGED_GRADIENT,
    CONVERGED_STEP,
    CONVERGED_VALUE,
    NO_DIRECTION,
    NO_STEP,
    NOT_FINITE,
    OUT_OF_EVALUATIONS,
    OUT_OF_STEPS,
    STOPPED,
    Stopping,
)
from .objective import Array

__all__ = ["Residuals", "least_squares_descent"]


class Residuals:
    """A vector of residuals with its exact Jacobian."""

    def __init__(self, fun: Callable[..., Any], shape: tuple[int, ...], args: tuple[Any, ...]) -> None:
        self.fun, self.shape, self.args = fun, shape, args
        self.nfev = self.njev = 0

    def _call(self, t: Any) -> Any:
        r = self.fun(t, *self.args)
        if not isinstance(r, TensorBase):
            raise ShapeError(f"minimize: fun must return the residuals as a tensor, got {type(r).__name__}.")
        return r.reshape(-1)  # type: ignore[attr-defined]

    def value(self, x: Array) -> Array:
        """Return the residuals."""
        self.nfev += 1
        return np.array(self._call(Tensor._wrap(x.reshape(self.shape).copy()))._data, np.float64)

    def jacobian(self, x: Array) -> tuple[Array, Array]:
        """Return the residuals and their Jacobian, one backward walk per residual."""
        self.nfev += 1
        self.njev += 1
        with enable_grad():
            t: Any = Tensor._wrap(x.reshape(self.shape).copy()).requires_grad_()  # type: ignore[attr-defined]
            r = self._call(t)
            jac = np.zeros((r._data.size, x.size))
            unit = np.zeros(r._data.size)
            for k in range(r._data.size):
                unit[k] = 1.0
                if r.requires_grad:
                    (row,) = backward_pass([(r, Tensor._wrap(unit.copy()))], [t], False, True)
                    if row is not None:
                        jac[k] = row._data.reshape(-1)
                unit[k] = 0.0
        return np.array(r._data, np.float64), jac


def least_squares_descent(
    res: Residuals,
    x: Array,
    stop: Stopping,
    callback: Callable[[Array, float], bool],
    *,
    damped: bool,
    damping: float = 1e-3,
    path: list[Array] | None = None,
) -> dict[str, Any]:
    """Minimise ``½‖r‖²``: full Gauss-Newton steps, or with `damped` Levenberg-Marquardt (Marquardt 1963).

    The damping multiplies the diagonal of JᵀJ; it falls threefold after a good step and doubles, ever faster,
    after a bad one (Nielsen 1999).
    """
    status, nit, grow, lam, step = OUT_OF_STEPS, 0, 2.0, damping, 1.0
    r, jac = res.jacobian(x)
    if path is not None:
        path.append(x.copy())
    while True:
        value, g = float(r @ r) / 2, jac.T @ r
        if not (np.isfinite(value) and np.isfinite(jac).all()):
            status = NOT_FINITE
        elif np.abs(g).max(initial=0) <= stop.gtol:
            status = CONVERGED_GRADIENT
        elif stop.maxfev is not None and res.nfev >= stop.maxfev:
            status = OUT_OF_EVALUATIONS
        if status != OUT_OF_STEPS or nit >= stop.maxiter:
            break
        if not damped:
            d, _, rank, _ = np.linalg.lstsq(jac, -r, rcond=None)
            if rank < min(jac.shape) and not np.isfinite(d).all():
                status = NO_DIRECTION
                break
            new = x + d
        else:
            normal = jac.T @ jac
            scale = np.diag(normal).copy()
            scale[scale == 0] = 1.0
            found: Array | None = None
            for _ in range(60):
                d = np.linalg.solve(normal + lam * np.diag(scale), -g)
                trial = res.value(x + d)
                there = float(trial @ trial) / 2
                promised = float(d @ (lam * scale * d - g)) / 2
                if np.isfinite(there) and promised > 0 and value - there > 1e-4 * promised:
                    lam *= max(1 / 3, 1 - (2 * (value - there) / promised - 1) ** 3)
                    grow, found = 2.0, x + d
                    break
                lam, grow = lam * grow, grow * 2
            if found is None:
                status = NO_STEP
                break
            new = found
        moved = float(np.abs(new - x).max())
        x, nit, before = new, nit + 1, value
        r, jac = res.jacobian(x)
        if path is not None:
            path.append(x.copy())
        if callback(x, float(r @ r) / 2):
            status = STOPPED
        elif moved <= stop.xtol:
            status = CONVERGED_STEP
        elif stop.ftol > 0 and abs(before - float(r @ r) / 2) <= stop.ftol * max(1.0, before):
            status = CONVERGED_VALUE
    return {
        "x": x,
        "fun": float(r @ r) / 2,
        "jac": jac.T @ r,
        "nit": nit,
        "status": status,
        "step": step,
        "residuals": r,
    }
