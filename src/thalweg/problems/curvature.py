"""The Hessian's extreme eigenvalues: dense where it is small, by Lanczos on Hessian products where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..analysis import hessian_product, lanczos
from ..ops.tensor import Tensor
from .base import Array, Curvature

__all__ = ["DENSE_LIMIT", "at_point", "dense_hessian", "extremes", "largest_eigenvalue"]

DENSE_LIMIT = 64  # parameters up to which the whole Hessian is computed
UNRESOLVED = 1e-14  # times the dimension, of the largest eigenvalue: what is smaller is rounding


def dense_hessian(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Array:
    """Return the Hessian [d, d], made symmetric."""
    apply, d = hessian_product(loss, parameters)
    H = np.stack([apply(row) for row in np.eye(d)])
    return (H + H.T) / 2


def largest_eigenvalue(apply: Callable[[Array], Array], d: int, *, steps: int = 200, seed: int = 0) -> float:
    """Return the largest eigenvalue of v ↦ Hv, with a residual of 1e-4 of it unless `steps` end first."""
    return lanczos(apply, d, steps=steps, tol=1e-4, seed=seed, end="largest").largest


def extremes(eigenvalues: Any) -> tuple[float, float | None, float]:
    """Return the largest eigenvalue, the smallest positive one (None if any is negative), and the sum."""
    values = np.sort(np.asarray(eigenvalues, np.float64))
    nothing = UNRESOLVED * len(values) * max(abs(values[0]), abs(values[-1]))
    positive = values[values > nothing]
    convex = len(positive) > 0 and values[0] >= -nothing
    return float(values[-1]), float(positive[0]) if convex else None, float(values.sum())


def at_point(loss: Callable[[], Tensor], parameters: Sequence[Tensor], where: str) -> Curvature:
    """Return the curvature at the present parameters."""
    d = sum(p.numel() for p in parameters)
    if d <= DENSE_LIMIT:
        return Curvature(*extremes(np.linalg.eigvalsh(dense_hessian(loss, parameters))), where=where)
    return Curvature(largest_eigenvalue(hessian_product(loss, parameters)[0], d), where=where)
