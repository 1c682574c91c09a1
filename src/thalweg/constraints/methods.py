"""Descent under constraints: projected and proximal gradient, and the Lagrangian methods.

All take a function of one tensor, work in float64 on a point of any shape, and return SciPy's result object
with the fields x, fun, grad, nit, nfev, njev, status, success, message (and multipliers where there are any).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops.tensor import Tensor

__all__ = ["augmented_lagrangian", "lagrangian", "projected_gradient", "proximal_gradient"]

Fun = Callable[[Any], Any]


class _Counted:
    """A function with its gradient, and how often each was asked for."""

    def __init__(self, fun: Fun, who: str) -> None:
        self.fun, self.who = fun, who
        self.nfev = self.njev = 0

    def value(self, x: np.ndarray[Any, Any]) -> float:
        self.nfev += 1
        return float(self.fun(Tensor._wrap(x)).item())

    def both(self, x: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        self.nfev += 1
        self.njev += 1
        return value_and_grad(self.fun, x, self.who)


def value_and_grad(fun: Fun, x: np.ndarray[Any, Any], who: str) -> tuple[float, np.ndarray[Any, Any]]:
    """Return the value and the gradient of `fun` at `x`."""
    with enable_grad():
        t = Tensor._wrap(x.copy()).requires_grad_()
        out = fun(t)
        if not isinstance(out, TensorBase) or out._data.size != 1:
            shape = tuple(out.shape) if isinstance(out, TensorBase) else type(out).__name__
            raise ShapeError(f"{who}: fun must return a tensor with one element, got {shape}.")
        if not out.requires_grad:
            return float(out.item()), np.zeros_like(x)
        one = Tensor._wrap(np.ones(out._data.shape, out._data.dtype))
        (g,) = backward_pass([(out, one)], [t], False, False)
    return float(out.item()), np.zeros_like(x) if g is None else np.asarray(g._data)


def _start(x0: Any) -> np.ndarray[Any, Any]:
    data = x0._data if isinstance(x0, TensorBase) else np.asarray(x0)
    if data.dtype.kind not in "fiub":
        raise DTypeError(f"x0: numbers are required, got {data.dtype}.")
    return np.array(data, np.float64)


def _result(**fields: Any) -> Any:
    from scipy.optimize import OptimizeResult

    return OptimizeResult(**fields)


MESSAGES = {
    0: "Converged: the last step moved x by no more than tol.",
    1: "Stopped at the budget of max_iter steps; x still moved.",
    2: "Diverged: the value or the gradient is no longer finite.",
    3: "Converged: the constraints hold and x stands still, both within tol.",
    4: "Stopped at the budget of rounds; the constraints do not hold within tol yet.",
}


def projected_gradient(
    fun: Fun,
    x0: Any,
    constraint: Any,
    *,
    lr: float | None = None,
    accelerated: bool = False,
    max_iter: int = 1000,
    tol: float = 1e-10,
    callback: Callable[[np.ndarray[Any, Any]], Any] | None = None,
) -> Any:
    """Gradient step, then the nearest point of the set (Nesterov's momentum with `accelerated`).

    Parameters
    ----------
    constraint
        A set with ``project``, or the projection itself.
    lr
        The step length; None finds one by backtracking on the quadratic upper bound.

    Examples
    --------
    >>> from thalweg.constraints import Simplex
    >>> projected_gradient(lambda x: ((x - 1) ** 2).sum(), [0.0, 0.0], Simplex()).x
    array([0.5, 0.5])
    """
    project = getattr(constraint, "project", constraint)
    return proximal_gradient(
        fun, x0, lambda v, _: project(v), lr=lr, accelerated=accelerated, max_iter=max_iter, tol=tol, callback=callback,
        who="projected_gradient",
    )  # fmt: skip


def proximal_gradient(
    fun: Fun,
    x0: Any,
    prox: Callable[[Any, float], Any],
    *,
    regularizer: Fun | None = None,
    lr: float | None = None,
    accelerated: bool = True,
    max_iter: int = 1000,
    tol: float = 1e-10,
    callback: Callable[[np.ndarray[Any, Any]], Any] | None = None,
    who: str = "proximal_gradient",
) -> Any:
    """Minimise ``fun(x) + R(x)`` given ``prox(v, lr)`` of R: ISTA, or FISTA with `accelerated` (Beck & Teboulle 2009).

    `regularizer` (R itself) is only used to report the full objective.
    """
    if lr is not None and not lr > 0:
        raise ArgumentError(f"{who}: lr must be a number > 0 or None, got {lr}.")
    f = _Counted(fun, who)
    x = _start(prox(Tensor._wrap(_start(x0)), 0.0 if lr is None else lr))
    y, momentum = x.copy(), 1.0
    step = 1.0 if lr is None else lr
    status, nit = 1, 0
    while nit < max_iter:
        nit += 1
        value, g = f.both(y)
        if not (np.isfinite(value) and np.isfinite(g).all()):
            status = 2
            break
        while True:
            new = _start(prox(Tensor._wrap(y - step * g), step))
            if lr is not None:
                break
            d = new - y
            bound = value + float((g * d).sum()) + float((d * d).sum()) / (2 * step)
            if f.value(new) <= bound + 1e-12 * abs(value) or step < 1e-20:
                break
            step /= 2
        moved = float(np.abs(new - x).max(initial=0))
        if accelerated:
            if (
                float(((y - new) * (new - x)).sum()) > 0
            ):  # restart when momentum points uphill (O'Donoghue & Candès 2015)
                momentum = 1.0
            following = (1 + np.sqrt(1 + 4 * momentum * momentum)) / 2
            y = new + (momentum - 1) / following * (new - x)
            momentum = following
        else:
            y = new
        x = new
        if callback is not None:
            callback(x)
        if moved <= tol * max(1.0, float(np.abs(x).max(initial=0))):
            status = 0
            break
    value, g = f.both(x)
    if regularizer is not None:
        value += float(regularizer(Tensor._wrap(x)).item())
    return _result(
        x=x, fun=value, jac=g, grad=g, nit=nit, nfev=f.nfev, njev=f.njev, lr=step, status=status, success=status == 0,
        message=MESSAGES[status],
    )  # fmt: skip


class _Constraints:
    """Equalities h(x) = 0 and inequalities c(x) <= 0 as one vector each."""

    def __init__(self, eq: Fun | None, ineq: Fun | None, x: np.ndarray[Any, Any], who: str) -> None:
        if eq is None and ineq is None:
            raise ArgumentError(f"{who}: at least one of eq (value = 0) and ineq (value <= 0) is required.")
        self.eq, self.ineq = eq, ineq
        self.n_eq = 0 if eq is None else int(self._flat(eq, Tensor._wrap(x)).shape[0])
        self.n_ineq = 0 if ineq is None else int(self._flat(ineq, Tensor._wrap(x)).shape[0])

    @staticmethod
    def _flat(function: Fun, x: Any) -> Any:
        return function(x).reshape(-1)

    def values(self, x: Any) -> tuple[Any, Any]:
        h = None if self.eq is None else self._flat(self.eq, x)
        c = None if self.ineq is None else self._flat(self.ineq, x)
        return h, c

    def violation(self, x: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        h, c = self.values(Tensor._wrap(x))
        empty = np.zeros(0)
        return (empty if h is None else h._data), (empty if c is None else c._data)


def lagrangian(
    fun: Fun,
    x0: Any,
    *,
    eq: Fun | None = None,
    ineq: Fun | None = None,
    lr: float = 0.01,
    lr_multiplier: float | None = None,
    max_iter: int = 10_000,
    tol: float = 1e-8,
    callback: Callable[[np.ndarray[Any, Any]], Any] | None = None,
) -> Any:
    """Descent in x and ascent in the multipliers of ``L(x, α) = f(x) + αᵀc(x)``, with α >= 0 for inequalities.

    Simple and readable; it needs a strictly convex f and small rates. Reports the multipliers.
    """
    for name, value in (("lr", lr), ("lr_multiplier", lr if lr_multiplier is None else lr_multiplier)):
        if not value > 0:
            raise ArgumentError(f"lagrangian: {name} must be a number > 0, got {value}.")
    rate = lr if lr_multiplier is None else lr_multiplier
    x = _start(x0)
    limits = _Constraints(eq, ineq, x, "lagrangian")
    nu, alpha = np.zeros(limits.n_eq), np.zeros(limits.n_ineq)
    f = _Counted(fun, "lagrangian")

    def total(t: Any) -> Any:
        h, c = limits.values(t)
        value = fun(t)
        if h is not None:
            value = value + (h * Tensor._wrap(nu)).sum()
        if c is not None:
            value = value + (c * Tensor._wrap(alpha)).sum()
        return value

    status, nit = 1, 0
    while nit < max_iter:
        nit += 1
        f.njev += 1
        value, g = value_and_grad(total, x, "lagrangian")
        if not (np.isfinite(value) and np.isfinite(g).all()):
            status = 2
            break
        x = x - lr * g
        h, c = limits.violation(x)
        grown = np.maximum(alpha + rate * c, 0)
        still = max(np.abs(g).max(initial=0), np.abs(h).max(initial=0), (np.abs(grown - alpha) / rate).max(initial=0))
        nu, alpha = nu + rate * h, grown
        if callback is not None:
            callback(x)
        if still <= tol:
            status = 3
            break
    return _lagrangian_result(f, limits, x, nu, alpha, nit, status)


def _lagrangian_result(
    f: _Counted, limits: _Constraints, x: Any, nu: Any, alpha: Any, nit: int, status: int, **more: Any
) -> Any:
    value, g = f.both(x)
    h, c = limits.violation(x)
    worst = max(np.abs(h).max(initial=0), np.maximum(c, 0).max(initial=0))
    return _result(
        x=x, fun=value, jac=g, grad=g, nit=nit, nfev=f.nfev, njev=f.njev, multipliers_eq=nu, multipliers_ineq=alpha,
        violation=float(worst), status=status, success=status in (0, 3), message=MESSAGES[status], **more,
    )  # fmt: skip


def augmented_lagrangian(
    fun: Fun,
    x0: Any,
    *,
    eq: Fun | None = None,
    ineq: Fun | None = None,
    weight: float = 10.0,
    growth: float = 10.0,
    max_rounds: int = 50,
    tol: float = 1e-8,
    inner: Callable[[Fun, np.ndarray[Any, Any]], Any] | None = None,
    callback: Callable[[np.ndarray[Any, Any]], Any] | None = None,
) -> Any:
    """Minimise under ``eq(x) = 0`` and ``ineq(x) <= 0`` by the method of multipliers (Hestenes 1969, Powell 1969).

    Each round minimises ``f + νᵀh + w/2‖h‖² + 1/(2w) Σ (max(0, α + w c)² - α²)`` by `inner` (default: BFGS) and
    then moves the multipliers by the violation; `weight` grows by `growth` when a round does not halve it enough.

    Examples
    --------
    >>> r = augmented_lagrangian(lambda x: (x * x).sum() / 2, [0.0, 0.0], eq=lambda x: x.sum() - 1)
    >>> r.x.round(6), r.multipliers_eq.round(6)
    (array([0.5, 0.5]), array([-0.5]))
    """
    if not weight > 0 or not growth >= 1:
        raise ArgumentError(
            f"augmented_lagrangian: weight > 0 and growth >= 1 are required, got {weight} and {growth}."
        )
    x = _start(x0)
    limits = _Constraints(eq, ineq, x, "augmented_lagrangian")
    nu, alpha = np.zeros(limits.n_eq), np.zeros(limits.n_ineq)
    f = _Counted(fun, "augmented_lagrangian")
    solve = inner or _bfgs
    before, history = np.inf, []
    status, nit = 4, 0
    for nit in range(1, max_rounds + 1):

        def total(t: Any, nu: Any = nu, alpha: Any = alpha, w: float = weight) -> Any:
            h, c = limits.values(t)
            value = fun(t)
            if h is not None:
                value = value + (h * Tensor._wrap(nu)).sum() + (h * h).sum() * (w / 2)
            if c is not None:
                push = (c * w + Tensor._wrap(alpha)).relu()
                value = value + ((push * push).sum() - float((alpha * alpha).sum())) / (2 * w)
            return value

        found = solve(total, x)
        moved = float(np.abs(found.x - x).max(initial=0))
        x = np.asarray(found.x, np.float64).reshape(x.shape)
        f.nfev += int(getattr(found, "nfev", 0))
        f.njev += int(getattr(found, "njev", 0))
        h, c = limits.violation(x)
        if not (np.isfinite(x).all() and np.isfinite(h).all() and np.isfinite(c).all()):
            status = 2
            break
        short = np.maximum(c, -alpha / weight)  # how far complementarity is missed
        worst = max(np.abs(h).max(initial=0), np.abs(short).max(initial=0))
        nu, alpha = nu + weight * h, np.maximum(alpha + weight * c, 0)
        history.append(float(worst))
        if callback is not None:
            callback(x)
        if worst <= tol and (moved <= 1e3 * tol or nit > 1):
            status = 3
            break
        if worst > 0.25 * before:
            weight *= growth
        before = worst
    return _lagrangian_result(f, limits, x, nu, alpha, nit, status, weight=weight, history=history)


def _bfgs(total: Fun, x: np.ndarray[Any, Any]) -> Any:
    from scipy.optimize import minimize as scipy_minimize

    shape = x.shape

    def both(flat: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        value, g = value_and_grad(total, flat.reshape(shape), "augmented_lagrangian")
        return value, g.reshape(-1)

    found = scipy_minimize(both, x.reshape(-1), jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 2000})
    found.x = found.x.reshape(shape)
    return found
