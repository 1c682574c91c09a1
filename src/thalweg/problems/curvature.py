"""The Hessian's extreme eigenvalues: dense where it is small, by power iteration on products where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.gradients import grad
from ..ops.tensor import Tensor
from .base import Array, Curvature, tensor_of

__all__ = ["DENSE_LIMIT", "dense_hessian", "extremes", "largest_eigenvalue", "product"]

DENSE_LIMIT = 64  # parameters up to which the whole Hessian is computed


def product(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Callable[[Array], Array]:
    """Return v ↦ ∇²f v at the present parameters: the graph of the gradient is built once."""
    gradients = grad(loss(), list(parameters), create_graph=True, allow_unused=True)
    present = [(g, p) for g, p in zip(gradients, parameters, strict=True) if g is not None and g.requires_grad]
    shapes = [tuple(p.shape) for p in parameters]
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum(sizes)

    def apply(v: Array) -> Array:
        parts = {
            id(p): v[end - n : end].reshape(s) for p, s, n, end in zip(parameters, shapes, sizes, ends, strict=True)
        }
        if not present:
            return np.zeros(int(ends[-1]))
        seeds = [tensor_of(np.asarray(parts[id(p)], g.dtype.np)) for g, p in present]
        found = grad([g for g, _ in present], list(parameters), seeds, retain_graph=True, allow_unused=True)
        columns = [
            np.zeros(n) if h is None else h.numpy().ravel().astype(np.float64)
            for h, n in zip(found, sizes, strict=True)
        ]
        return np.concatenate(columns)

    return apply


def dense_hessian(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Array:
    """Return the Hessian [d, d], made symmetric."""
    apply = product(loss, parameters)
    d = sum(p.numel() for p in parameters)
    H = np.stack([apply(row) for row in np.eye(d)])
    return (H + H.T) / 2


def largest_eigenvalue(
    apply: Callable[[Array], Array], d: int, *, tolerance: float = 1e-6, steps: int = 500, seed: int = 0
) -> float:
    """Return the eigenvalue of largest size by Lanczos' recursion with full reorthogonalisation."""
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(d)
    v /= np.linalg.norm(v)
    basis = [v]
    alphas: list[float] = []
    betas: list[float] = []
    found = 0.0
    for _ in range(min(steps, d)):
        w = apply(basis[-1])
        alphas.append(float(w @ basis[-1]))
        Q = np.stack(basis, 1)
        for _ in range(2):  # once is not enough in floating point
            w = w - Q @ (Q.T @ w)
        ritz = np.linalg.eigvalsh(np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1))
        before, found = found, float(ritz[-1])
        beta = float(np.linalg.norm(w))
        if beta <= 1e-12 * max(1.0, abs(found)) or abs(found - before) <= tolerance * abs(found):
            break
        betas.append(beta)
        basis.append(w / beta)
    return found


def extremes(eigenvalues: Any) -> tuple[float, float | None, float]:
    """Return the largest eigenvalue, the smallest positive one (None if any is negative), and the sum."""
    values = np.sort(np.asarray(eigenvalues, np.float64))
    nothing = 1e-10 * max(abs(values[0]), abs(values[-1]))
    positive = values[values > nothing]
    convex = len(positive) > 0 and values[0] >= -nothing
    return float(values[-1]), float(positive[0]) if convex else None, float(values.sum())


def at_point(loss: Callable[[], Tensor], parameters: Sequence[Tensor], where: str) -> Curvature:
    """Return the curvature at the present parameters."""
    d = sum(p.numel() for p in parameters)
    if d <= DENSE_LIMIT:
        return Curvature(*extremes(np.linalg.eigvalsh(dense_hessian(loss, parameters))), where=where)
    return Curvature(largest_eigenvalue(product(loss, parameters), d), where=where)
