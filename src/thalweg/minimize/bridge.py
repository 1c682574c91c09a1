"""SciPy's methods, fed with exact gradients and Hessian products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .objective import Array, Objective

__all__ = ["SCIPY_METHODS", "scipy_descent"]

# name: (uses the gradient, uses Hessian products, uses the Hessian)
SCIPY_METHODS: dict[str, tuple[bool, bool, bool]] = {
    "nelder-mead": (False, False, False),
    "powell": (False, False, False),
    "cg-scipy": (True, False, False),
    "bfgs": (True, False, False),
    "l-bfgs-b": (True, False, False),
    "tnc": (True, False, False),
    "slsqp": (True, False, False),
    "cobyla": (False, False, False),
    "newton-cg": (True, True, False),
    "trust-ncg": (True, True, False),
    "trust-krylov": (True, True, False),
    "trust-constr": (True, True, False),
    "dogleg": (True, False, True),
    "trust-exact": (True, False, True),
}


def scipy_descent(
    f: Objective,
    x: Array,
    method: str,
    *,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[[Array, float], bool] | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """Run one of SciPy's methods and return its result, with our counters."""
    from scipy.optimize import minimize as scipy_minimize

    uses_grad, uses_product, uses_hessian = SCIPY_METHODS[method]
    more: dict[str, Any] = {}
    if uses_grad:
        more["jac"] = f.grad
    if uses_product:
        more["hessp"] = f.product
    if uses_hessian:
        more["hess"] = f.hessian
    if bounds is not None:
        more["bounds"] = bounds
    if constraints:
        if method not in ("slsqp", "cobyla", "trust-constr"):
            raise ArgumentError(
                f"minimize: {method} takes no constraints; use slsqp, trust-constr, or thalweg.constraints."
            )
        more["constraints"] = constraints
    if callback is not None:

        def told(xk: Array, *rest: Any) -> Any:
            point = np.asarray(getattr(xk, "x", xk))
            if callback(point, f.value(point)):
                raise StopIteration
            return False

        more["callback"] = told
    name = {"cg-scipy": "CG"}.get(method, method)
    found = scipy_minimize(f.value, x, method=name, tol=tol, options=options, **more)
    found.nfev, found.njev, found.nhev = f.nfev, f.njev, f.nhev
    return found
