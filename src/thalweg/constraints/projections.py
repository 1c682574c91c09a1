"""Projections: the nearest point of a set, differentiable wherever the projection is, batched over leading dims.

Each takes tensors, arrays or numbers and gives a tensor; vectors lie along the last dim. Points inside come back
unchanged, and every projection is idempotent and non-expansive. At a radius of 0 the set is a single point; a
negative radius is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.modes import current
from ..core.primitive import apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, ShapeError
from ..ops._coerce import as_tensor
from ..ops.arithmetic import where
from ..ops.create import tensor
from ..ops.pointwise import abs as absolute
from ..ops.pointwise import relu, sign, sqrt
from ..ops.reduce import converted
from ..ops.tensor import Tensor
from ._support import simplex_support

__all__ = [
    "dykstra",
    "project_affine",
    "project_box",
    "project_halfspace",
    "project_hyperplane",
    "project_l1_ball",
    "project_l2_ball",
    "project_psd",
    "project_simplex",
]


def _floating(x: Any) -> Tensor:
    t: Any = tensor(x) if isinstance(x, (list, tuple)) else as_tensor(x)
    if t._data.dtype.kind != "f":
        t = t.float()
    if t.ndim == 0:
        raise ShapeError("projection: a vector (or a batch of vectors) is required, got a 0-d tensor.")
    return t


def _radius(value: Any, who: str, name: str = "radius") -> Any:
    array = value._data if isinstance(value, TensorBase) else np.asarray(value)
    if not (array >= 0).all():
        raise ArgumentError(f"{who}: {name} must be >= 0, got {array.min()}.")
    return value


def _per_row(value: Any) -> Any:
    """Return one number for each row of a batch, so that it broadcasts over vectors."""
    return value.unsqueeze(-1) if isinstance(value, TensorBase) and value.ndim else value  # type: ignore[attr-defined]


def _like(value: Any, x: Tensor) -> Any:
    """Return an operand in the type of `x`."""
    if isinstance(value, (int, float)):
        return value
    t = as_tensor(value)
    return converted(t, x.dtype)


def project_box(x: Any, lower: Any = -np.inf, upper: Any = np.inf) -> Tensor:
    """Nearest point with ``lower <= x <= upper`` in every coordinate; bounds are numbers or arrays.

    >>> project_box([-2.0, 0.5, 3.0], 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    t = _floating(x)
    lo, hi = _like(lower, t), _like(upper, t)
    low, high = (b._data if isinstance(b, TensorBase) else b for b in (lo, hi))
    if np.any(np.asarray(low) > np.asarray(high)):
        raise ArgumentError("project_box: lower <= upper is required in every coordinate.")
    if all(isinstance(b, (int, float)) for b in (lo, hi)) and not t.requires_grad and not current().special:
        return Tensor._wrap(np.clip(t._data, lo, hi))  # type: ignore[return-value]
    return where(t < lo, lo, where(t > hi, hi, t))  # on a bound a coordinate still moves freely inwards


def project_l2_ball(x: Any, radius: Any = 1.0, center: Any = 0.0) -> Tensor:
    """Nearest point within Euclidean distance `radius` of `center`: ``x · min(1, r/‖x‖)``.

    >>> project_l2_ball([3.0, 4.0], 1.0)
    tensor([0.6000, 0.8000])
    """
    _radius(radius, "project_l2_ball")
    t = _floating(x)
    center = _like(center, t)
    moved = isinstance(center, TensorBase) or center != 0
    if not moved and t.ndim == 1 and isinstance(radius, (int, float)) and not t.requires_grad and not current().special:
        squared = float(np.dot(t._data, t._data))
        if 1e-30 < squared < 1e30:  # one vector, nothing to record: two passes over memory
            factor = min(1.0, radius / squared**0.5)
            return Tensor._wrap(t._data * t._data.dtype.type(factor))  # type: ignore[return-value]
    d: Any = t - center if moved else t
    largest = float(np.abs(d._data).max()) if d._data.size else 0.0
    # Scaling first keeps the squares from overflowing (1e30 in float32) or vanishing.
    unit = d / largest if np.isfinite(largest) and largest > 0 and not 1e-15 < largest < 1e15 else d
    scale = largest if unit is not d else 1.0
    squares = (unit * unit).sum(-1, keepdim=True)
    norm = sqrt(where(squares > 0, squares, 1.0)) * scale
    r: Any = _like(radius, t)
    limit = _per_row(r)
    inside = (squares == 0) | (norm <= limit)
    result = where(inside, d, d * (limit / norm))
    return result + center if moved else result


def project_simplex(x: Any, total: Any = 1.0) -> Tensor:
    """Nearest point with coordinates >= 0 that sum to `total` (Duchi et al. 2008, Condat 2016).

    >>> project_simplex([0.4, -0.3, 0.1])
    tensor([0.6500, 0.0000, 0.3500])
    """
    _radius(total, "project_simplex", "total")
    t = _floating(x)
    if t.shape[-1] == 0:
        raise ShapeError("project_simplex: at least one coordinate is required, got none.")
    z: Any = _like(total, t)
    stays = _support(t, z)
    count = stays.sum(-1, keepdim=True)
    limit = _per_row(z)
    threshold = (where(stays, t, 0.0).sum(-1, keepdim=True) - limit) / count
    return where(stays, relu(t - threshold), 0.0)


def _support(t: Any, z: Any) -> Any:
    total = z if isinstance(z, TensorBase) else as_tensor(np.asarray(z, t._data.dtype))
    return apply(simplex_support, (t.detach(), total.detach()))


def project_l1_ball(x: Any, radius: Any = 1.0) -> Tensor:
    """Nearest point whose absolute values sum to at most `radius` (Duchi et al. 2008).

    >>> project_l1_ball([3.0, -4.0], 1.0)
    tensor([ 0., -1.])
    """
    _radius(radius, "project_l1_ball")
    t = _floating(x)
    r: Any = _like(radius, t)
    limit = _per_row(r)
    size = absolute(t)
    inside = size.sum(-1, keepdim=True) <= limit
    if not current().special and bool(inside._data.all()):
        return t.clone()
    return where(inside, t, sign(t) * project_simplex(size, r))


def project_hyperplane(x: Any, a: Any, b: Any = 0.0) -> Tensor:
    """Nearest point with ``aᵀx = b``."""
    t, normal = _with_normal(x, a, "project_hyperplane")
    gap = (t * normal).sum(-1, keepdim=True) - b
    return t - normal * (gap / (normal * normal).sum())


def project_halfspace(x: Any, a: Any, b: Any = 0.0) -> Tensor:
    """Nearest point with ``aᵀx <= b``."""
    t, normal = _with_normal(x, a, "project_halfspace")
    gap = (t * normal).sum(-1, keepdim=True) - b
    return t - normal * (relu(gap) / (normal * normal).sum())


def _with_normal(x: Any, a: Any, who: str) -> tuple[Any, Any]:
    t = _floating(x)
    normal = converted(as_tensor(np.asarray(a) if isinstance(a, (list, tuple)) else a), t.dtype)
    if normal._data.shape != t._data.shape[-1:]:
        raise ShapeError(f"{who}: a normal of shape {t._data.shape[-1:]} is required, got {normal._data.shape}.")
    if not normal._data.any():
        raise ArgumentError(f"{who}: the normal must not be zero.")
    return t, normal


def project_affine(x: Any, A: Any, b: Any) -> Tensor:
    """Nearest point with ``A x = b``: ``x - Aᵀ(AAᵀ)⁺(Ax - b)``; redundant rows are allowed, contradictory ones not."""
    t: Any = _floating(x)
    matrix: Any = converted(as_tensor(np.asarray(A) if isinstance(A, (list, tuple)) else A), t.dtype)
    right: Any = converted(as_tensor(np.asarray(b) if isinstance(b, (list, tuple)) else b), t.dtype)
    if matrix.ndim != 2 or matrix.shape[1] != t.shape[-1] or right._data.shape != (matrix.shape[0],):
        raise ShapeError(
            f"project_affine: A of shape (m, {t.shape[-1]}) and b of shape (m,) are required, got {tuple(matrix.shape)} "
            f"and {tuple(right.shape)}."
        )
    inverse = np.linalg.pinv(matrix._data.astype(np.float64))
    image = matrix._data @ (inverse @ right._data)
    if not np.allclose(image, right._data, rtol=1e-6, atol=1e-6 * (1 + np.abs(right._data).max(initial=0))):
        raise ArgumentError("project_affine: no point satisfies A x = b; some rows contradict each other.")
    pinv: Any = Tensor._wrap(inverse.astype(t._data.dtype))
    return t - (t @ matrix.T - right) @ pinv.T


def project_psd(x: Any) -> Tensor:
    """Nearest symmetric positive semidefinite matrix in the Frobenius norm: the symmetric part, its eigenvalues cut at 0."""
    from ..ops.linalg_spectral import eigh  # only this projection needs it

    t: Any = _floating(x)
    if t.ndim < 2 or t.shape[-1] != t.shape[-2]:
        raise ShapeError(f"project_psd: square matrices are required, got shape {tuple(t.shape)}.")
    values, vectors = eigh((t + t.mT) / 2)
    return (vectors * relu(values).unsqueeze(-2)) @ vectors.mT


def dykstra(
    x: Any, projections: Sequence[Callable[[Any], Any]], *, tol: float = 1e-8, max_rounds: int = 10_000
) -> Tensor:
    """Nearest point of an intersection of convex sets, each given by its projection (Boyle & Dykstra 1986).

    Differentiable through the rounds. Alternating projections would find *some* common point; this finds the
    nearest. Stops when a round moves no coordinate by more than `tol` (relative to the largest), else raises.
    """
    t: Any = _floating(x)
    if not projections:
        return t
    corrections: list[Any] = [t * 0 for _ in projections]
    for _ in range(max_rounds):
        before = [c._data for c in corrections]
        start = t._data
        for k, project in enumerate(projections):
            shifted = t + corrections[k]
            t = project(shifted)
            corrections[k] = shifted - t
        scale = max(1.0, float(np.abs(t._data).max(initial=0)))
        moved = max(
            float(np.abs(t._data - start).max(initial=0)),
            *(float(np.abs(c._data - b).max(initial=0)) for c, b in zip(corrections, before, strict=True)),
        )
        if moved <= tol * scale or len(projections) == 1:
            return t
    raise ArgumentError(
        f"dykstra: no convergence to {tol:g} within {max_rounds} rounds; the sets may not intersect, or need more rounds."
    )
