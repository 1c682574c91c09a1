"""Critical points: classified by the Hessian's signs, and found from many starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..minimize.objective import Objective, start

__all__ = ["CriticalPoint", "classify", "critical_points"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class CriticalPoint:
    """A point, its value, gradient norm, Hessian eigenvalues (ascending) and kind.

    `kind`: ``minimum``, ``maximum``, ``saddle``, ``degenerate`` (an eigenvalue is zero to rounding, so signs do
    not decide), or ``not critical``.
    """

    x: Array
    value: float
    gradient_norm: float
    eigenvalues: Array
    kind: str


def classify(fun: Callable[[Any], Any], x: Any, *, gtol: float = 1e-5, rtol: float = 1e-7) -> CriticalPoint:
    """Classify a point: eigenvalues within `rtol` of the largest in size count as zero.

    >>> classify(lambda x: x[0] ** 2 - x[1] ** 2, [0.0, 0.0]).kind
    'saddle'
    """
    point = start(x, "classify")
    return _classified(Objective(fun, point.shape, who="classify"), point, gtol, rtol)


def _classified(f: Objective, point: Array, gtol: float, rtol: float) -> CriticalPoint:
    flat = point.reshape(-1)
    g = float(np.linalg.norm(f.grad(flat)))
    h = f.hessian(flat)
    values = np.linalg.eigvalsh(h) if np.isfinite(h).all() else np.full(flat.size, np.nan)
    size = float(np.abs(values).max())
    zero = rtol * max(size, 1e-300)
    if not g <= gtol * max(1.0, size):
        kind = "not critical"
    elif not np.isfinite(values).all() or size < 1e-10 or (np.abs(values) <= zero).any():
        kind = "saddle" if np.isfinite(values).all() and values[0] < -zero and values[-1] > zero else "degenerate"
    elif values[0] > 0:
        kind = "minimum"
    elif values[-1] < 0:
        kind = "maximum"
    else:
        kind = "saddle"
    return CriticalPoint(point, f.value(flat), g, values, kind)


def critical_points(
    fun: Callable[[Any], Any],
    low: Any,
    high: Any,
    *,
    starts: int = 100,
    seed: int = 0,
    tol: float = 1e-9,
    apart: float = 1e-4,
) -> list[CriticalPoint]:
    """Find critical points of every kind in a box, by minimising ``‖∇f‖²`` with damped Newton steps from many starts.

    Starts are a scrambled Sobol sequence. Returns what was found, sorted by value; there may be more.
    """
    lo, hi = np.broadcast_arrays(start(low, "critical_points").reshape(-1), start(high, "critical_points").reshape(-1))
    if not (lo < hi).all():
        raise ArgumentError("critical_points: low < high is required in every coordinate.")
    from scipy.stats import qmc

    n = lo.size
    unit = qmc.Sobol(n, seed=np.random.default_rng(seed)).random_base2(int(np.ceil(np.log2(max(starts, 2)))))
    f = Objective(fun, (n,), who="critical_points")
    found: list[CriticalPoint] = []
    for row in unit[:starts]:
        x = _gradient_zero(f, lo + row * (hi - lo), tol)
        if x is None or (x < lo - apart).any() or (x > hi + apart).any():
            continue
        if any(np.linalg.norm(x - p.x) <= apart * max(1.0, float(np.linalg.norm(x))) for p in found):
            continue
        point = _classified(f, x, 1e-5, 1e-7)
        if point.kind != "not critical":
            found.append(point)
    return sorted(found, key=lambda p: p.value)


def _gradient_zero(f: Objective, x: Array, tol: float) -> Array | None:
    """Newton on the gradient, each step shortened until the gradient shrinks."""
    g = f.grad(x).copy()
    for _ in range(100):
        size = float(np.linalg.norm(g))
        if not np.isfinite(size):
            return None
        if size <= tol:
            return x
        h = f.hessian(x)
        if not np.isfinite(h).all():
            return None
        step = -np.linalg.lstsq(h.T @ h, h.T @ g, rcond=None)[0]
        a = 1.0
        for _ in range(30):
            new = f.grad(x + a * step).copy()
            if np.linalg.norm(new) < (1 - 1e-4 * a) * size:
                break
            a /= 2
        else:
            return x if size <= 1e-7 else None
        x, g = x + a * step, new
    return x if float(np.linalg.norm(g)) <= 1e-7 else None
