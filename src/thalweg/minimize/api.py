"""``minimize(fun, x0, method=…)``: one door to all methods, with SciPy's arguments and result."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..errors import ArgumentError
from . import directions as way
from .bridge import SCIPY_METHODS, scipy_descent
from .descent import MESSAGES, SUCCESS, Stopping, descend
from .least_squares import Residuals, least_squares_descent
from .line_search import Fixed, LineSearch, StrongWolfe, named
from .objective import Array, Objective, start

__all__ = ["METHODS", "OWN_METHODS", "minimize"]

# The library's own methods, each with the step length it takes unless told otherwise and what it is.
OWN_METHODS: dict[str, tuple[Any, str]] = {
    "gd": ("armijo", "steepest descent, -g"),
    "momentum": (Fixed(0.01), "Polyak's heavy ball, v = momentum·v + g"),
    "nesterov": (Fixed(0.01), "Nesterov's momentum in PyTorch's form"),
    "newton": (Fixed(1.0), "Newton's method, -H⁻¹g"),
    "damped-newton": ("armijo", "Newton's method with a line search"),
    "abs-newton": (Fixed(1.0), "-|H|⁻¹g by absolute eigenvalues; leaves saddle points"),
    "diagonal-newton": (Fixed(1.0), "-g/diag(H)"),
    "diagonal-abs-newton": (Fixed(1.0), "-g/|diag(H)|"),
    "cg": (StrongWolfe(c2=0.1), "nonlinear conjugate gradients"),
    "gauss-newton": (Fixed(1.0), "Gauss-Newton; fun returns residuals, ½‖r‖² is minimised"),
    "levenberg-marquardt": (Fixed(1.0), "Levenberg-Marquardt; fun returns residuals, ½‖r‖² is minimised"),
}
METHODS: tuple[str, ...] = (*OWN_METHODS, *SCIPY_METHODS)


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: tuple[Any, ...] = (),
    method: str | None = None,
    jac: Callable[..., Any] | None = None,
    hess: Callable[..., Any] | None = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    *,
    line_search: str | float | LineSearch | None = None,
) -> Any:
    """Minimise a function of one tensor, with exact derivatives from the engine.

    Parameters
    ----------
    fun
        Takes a float64 tensor of x0's shape (and `args`) and returns one element; for ``gauss-newton`` and
        ``levenberg-marquardt`` it returns residuals r, and ½‖r‖² is minimised.
    method
        One of ``thalweg.minimize.METHODS``: the library's own, or SciPy's by SciPy's names (``cg-scipy`` is
        SciPy's CG). By default BFGS, with bounds L-BFGS-B, with constraints SLSQP.
    jac, hess, hessp
        Derivatives to use in place of the engine's.
    tol
        Sets ``gtol`` (own methods) or SciPy's ``tol``.
    callback
        Called as ``callback(x)`` or ``callback(intermediate_result=…)`` after each step; a true result, or
        StopIteration, stops.
    options
        Own methods: gtol, xtol, ftol, target, maxiter, maxfev, return_all; momentum (momentum, nesterov),
        formula (cg), damping (levenberg-marquardt), floor (abs-newton, diagonal). SciPy's: as there.
    line_search
        For own methods: a number (fixed step), ``"bisection"``, ``"golden"``, ``"armijo"``, ``"wolfe"``.

    Returns
    -------
    scipy.optimize.OptimizeResult
        x (of x0's shape), fun, jac, nit, nfev, njev, nhev, status, success, message; with ``return_all`` also
        allvecs. How it ended is in `status` and `message`, never an exception.

    Examples
    --------
    >>> from thalweg.minimize import minimize
    >>> result = minimize(lambda x: (1 - x[0])**2 + 100 * (x[1] - x[0]**2)**2, [-1.2, 1.0], method="newton")
    >>> result.x, result.nit
    (array([1., 1.]), 6)
    >>> result.message
    "Converged: the gradient's largest component is at most gtol."
    """
    name = _method(method, bounds, constraints)
    x = start(x0)
    shape = x.shape
    given = dict(options or {})
    told = _callback(callback, shape)
    if name in SCIPY_METHODS:
        if line_search is not None:
            raise ArgumentError(f"minimize: {name} is SciPy's and has a line search of its own; leave line_search out.")
        f = Objective(fun, shape, args, jac, hess, hessp)
        found = scipy_descent(
            f, x.reshape(-1), name, bounds=bounds, constraints=constraints, tol=tol,
            callback=told if callback is not None else None, options=given or None,
        )  # fmt: skip
        found.x = found.x.reshape(shape)
        if getattr(found, "jac", None) is not None and np.size(found.jac) == x.size:
            found.jac = np.asarray(found.jac).reshape(shape)
        found.method = name
        return found
    if bounds is not None or constraints:
        raise ArgumentError(
            f"minimize: {name} takes no bounds or constraints; use l-bfgs-b, slsqp, trust-constr, or thalweg.constraints."
        )
    if tol is not None:
        given.setdefault("gtol", tol)
    path: list[Array] | None = [] if given.pop("return_all", False) else None
    stop, own = _stopping(given, name)
    search = named(OWN_METHODS[name][0] if line_search is None else line_search)
    flat = x.reshape(-1)
    if name in ("gauss-newton", "levenberg-marquardt"):
        res = Residuals(fun, shape, args)
        fields = least_squares_descent(res, flat, stop, told, damped=name == "levenberg-marquardt", path=path, **own)
        counts = {"nfev": res.nfev, "njev": res.njev, "nhev": 0}
    else:
        f = Objective(fun, shape, args, jac, hess, hessp)
        fields = descend(f, flat, _direction(name, own), search, stop, told, path)
        counts = {"nfev": f.nfev, "njev": f.njev, "nhev": f.nhev}
    return _result(fields, counts, shape, path, name)


def _result(fields: dict[str, Any], counts: dict[str, int], shape: Any, path: list[Array] | None, name: str) -> Any:
    from scipy.optimize import OptimizeResult

    result = OptimizeResult(**fields, **counts)
    result.x, result.jac = fields["x"].reshape(shape), fields["jac"].reshape(shape)
    result.success = fields["status"] in SUCCESS
    result.message = MESSAGES[fields["status"]]
    result.method = name
    if path is not None:
        result.allvecs = [p.reshape(shape) for p in path]
    return result


_ALIASES = {
    "gradient-descent": "gd",
    "steepest-descent": "gd",
    "heavy-ball": "momentum",
    "lm": "levenberg-marquardt",
    "lbfgs": "l-bfgs-b",
    "l-bfgs": "l-bfgs-b",
}


def _method(method: str | None, bounds: Any, constraints: Any) -> str:
    if method is None:
        return "slsqp" if constraints else "l-bfgs-b" if bounds is not None else "bfgs"
    if not isinstance(method, str):
        raise ArgumentError(f"minimize: method must be a name, got {method!r}.")
    name = method.lower().replace("_", "-")
    name = _ALIASES.get(name, name)
    if name not in METHODS:
        near = get_close_matches(name, METHODS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(f"minimize: method must be one of {', '.join(METHODS)}, got {method!r}.{hint}")
    return name


_STOPPING = ("gtol", "xtol", "ftol", "target", "maxiter", "maxfev")
_OWN: dict[str, tuple[str, ...]] = {
    "momentum": ("momentum",),
    "nesterov": ("momentum",),
    "abs-newton": ("floor",),
    "diagonal-abs-newton": ("floor",),
    "cg": ("formula",),
    "levenberg-marquardt": ("damping",),
}


def _stopping(options: dict[str, Any], name: str) -> tuple[Stopping, dict[str, Any]]:
    allowed = (*_STOPPING, *_OWN.get(name, ()))
    for key in options:
        if key not in allowed:
            near = get_close_matches(key, allowed, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ArgumentError(f"minimize: {name} takes the options {', '.join(allowed)}, got {key!r}.{hint}")
    stop = Stopping(**{k: v for k, v in options.items() if k in _STOPPING})
    return stop, {k: v for k, v in options.items() if k not in _STOPPING}


def _direction(name: str, own: dict[str, Any]) -> way.Direction:
    if name == "gd":
        return way.Steepest()
    if name in ("momentum", "nesterov"):
        return way.Momentum(own.get("momentum", 0.9), nesterov=name == "nesterov")
    if name in ("newton", "damped-newton"):
        return way.Newton()
    if name == "abs-newton":
        return way.AbsoluteNewton(**own)
    if name in ("diagonal-newton", "diagonal-abs-newton"):
        return way.DiagonalNewton(absolute=name == "diagonal-abs-newton", **own)
    return way.Conjugate(**own)


def _callback(callback: Callable[..., Any] | None, shape: tuple[int, ...]) -> Callable[[Array, float], bool]:
    if callback is None:
        return lambda x, value: False
    import inspect

    try:
        by_name = list(inspect.signature(callback).parameters) == ["intermediate_result"]
    except (TypeError, ValueError):
        by_name = False

    def told(x: Array, value: float) -> bool:
        try:
            if by_name:
                from scipy.optimize import OptimizeResult

                return bool(callback(intermediate_result=OptimizeResult(x=x.reshape(shape).copy(), fun=value)))
            return bool(callback(x.reshape(shape).copy()))
        except StopIteration:
            return True

    return told
