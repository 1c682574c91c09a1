"""Norms of vectors and matrices, and distances between points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import EXPAND, sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import dims, reduced_dims
from ._linalg import floating, quotient
from .linalg_factors import ArgumentFault
from .linalg_spectral import svdvals
from .pointwise import _abs, _sign
from .reduce import converted, kept

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["cdist", "matrix_norm", "norm", "vecdot", "vector_norm"]


# The reductions of ufuncs cost half as much as the methods of arrays; their published types leave `keepdims` out.
_total: Any = np.add.reduce
_maximum: Any = np.maximum.reduce
_minimum: Any = np.minimum.reduce


# Vector norms


def _vector_norm_forward(x: Any, ord: float, axes: tuple[int, ...], keepdim: bool) -> Any:
    if ord == 2:
        return np.sqrt(_total(x * x, axis=axes, keepdims=keepdim))
    size = np.abs(x)
    if ord == 1:
        return _total(size, axis=axes, keepdims=keepdim)
    if ord == math.inf:
        return _maximum(size, axis=axes, keepdims=keepdim, initial=0)
    if ord == -math.inf:
        return _minimum(size, axis=axes, keepdims=keepdim)
    if ord == 0:
        return (x != 0).sum(axis=axes, keepdims=keepdim, dtype=x.dtype)
    return _total(size**ord, axis=axes, keepdims=keepdim) ** (1 / ord)


def _vector_norm_rule(g: Any, x: Any, out: Any, ord: float, axes: tuple[int, ...]) -> Any:
    """Gradient of a norm; 0 where the norm is 0, which is its smallest subgradient."""
    shape = kept(tuple(x.shape), axes)
    g, out = g.reshape(shape), out.reshape(shape)
    if ord == 2:
        return x * quotient(g, out)
    if ord == 1:
        return _sign(x) * g
    if ord == 0:
        return EXPAND(g * 0, tuple(x.shape))
    if abs(ord) == math.inf:  # ties share evenly
        hit = (_abs(x) == out) * (g * 0 + 1)
        return _sign(x) * hit * (g / hit.sum(axis=axes, keepdims=True))
    if ord < 2:
        scale = quotient(_abs(x) ** ord, _abs(x)) if ord < 1 else _abs(x) ** (ord - 1)
        return _sign(x) * scale * quotient(g, out ** (ord - 1))
    return x * _abs(x) ** (ord - 2) * quotient(g, out ** (ord - 1))


_vector_norm: Primitive = Primitive("linalg_vector_norm", _vector_norm_forward, [_vector_norm_rule])


def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """``(Σ |xᵢ|^ord)^(1/ord)`` over `dim` (all dims by default).

    ±inf gives the largest or smallest magnitude, 0 the number of elements other than 0. The gradient at 0 is 0.

    >>> import thalweg as tw
    >>> tw.linalg.vector_norm(tw.tensor([3.0, -4.0]))
    tensor(5.)
    """
    t = _as_type(x, dtype, "vector_norm")
    if isinstance(ord, TensorBase):
        ord = ord.item()
    if not isinstance(ord, (int, float)):
        raise DTypeError(f"vector_norm: ord must be a number, got {ord!r}.")
    axes = reduced_dims(dim, t.ndim, "vector_norm")
    if (ord < 0 or ord == math.inf) and any(t._data.shape[k] == 0 for k in axes):
        raise ShapeError(f"vector_norm: ord={ord} of no elements does not exist (shape {t._data.shape}).")
    return apply(_vector_norm, (t,), (float(ord), axes, bool(keepdim)))


def _as_type(x: Any, dtype: Any, who: str) -> Any:
    t = floating(x, who)
    if dtype is None:
        return t
    from ..core.dtype import as_dtype

    target = as_dtype(dtype)
    if not target.is_floating_point or target.itemsize < t._data.itemsize:
        raise DTypeError(f"{who}: dtype must be a floating-point type at least as wide as {t.dtype}, got {target}.")
    return converted(t, target)


# Matrix norms


def matrix_norm(A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Norm of matrices over the two dims `dim`.

    `ord`: "fro" (square root of the sum of squares), "nuc" (sum of singular values), 2 and -2 (largest and smallest
    singular value), 1 and -1 (largest and smallest column sum of magnitudes), inf and -inf (of row sums).
    """
    t = _as_type(A, dtype, "matrix_norm")
    if isinstance(ord, TensorBase):
        ord = ord.item()
    given = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(given) != 2 or t.ndim < 2:
        raise ShapeError(f"matrix_norm: two dims of a tensor with at least two are required, got {dim} and {t.ndim}.")
    row, column = dims(given, t.ndim, "matrix_norm")
    if ord == "fro":
        return vector_norm(t, 2, (row, column), keepdim)
    if ord == "nuc" or ord in (2, -2):
        moved = t.permute(*[k for k in range(t.ndim) if k not in (row, column)], row, column)
        s = svdvals(moved)
        found = s.sum(-1) if ord == "nuc" else _largest(s, s.ndim - 1) if ord == 2 else s.amin(-1)
        return found.reshape(kept(tuple(t._data.shape), (row, column))) if keepdim else found
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise ArgumentFault(f"matrix_norm: ord must be 'fro', 'nuc', ±1, ±2 or ±inf, got {ord!r}.")
    summed, over = (row, column) if abs(ord) == 1 else (column, row)
    sums = vector_norm(t, 1, summed, True)
    found = _largest(sums, over, True) if ord > 0 else sums.amin(over, True)
    shape = tuple(n for k, n in enumerate(t._data.shape) if k not in (row, column))
    return found if keepdim else found.reshape(shape)


def _largest(sizes: Any, axis: int, keepdim: bool = False) -> Any:
    """Return the largest of numbers >= 0; 0 where there are none."""
    return apply(_vector_norm, (sizes,), (math.inf, (axis,), keepdim))


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Norm of a vector or a matrix.

    Without `ord` the square root of the sum of squares over `dim`, of any number of dims; with it the
    :func:`vector_norm` of one dim, or the :func:`matrix_norm` of two.
    """
    t = floating(A, "norm")
    if dim is not None:
        dim = (dim,) if isinstance(dim, int) else tuple(dim)
        if ord is not None and len(dim) not in (1, 2):
            raise ShapeError(f"norm: one or two dims are required with ord={ord!r}, got {dim}.")
    elif ord is not None and t.ndim not in (1, 2):
        raise ShapeError(f"norm: a vector or a matrix is required with ord={ord!r}, got shape {t._data.shape}.")
    if ord is None:
        return vector_norm(t, 2, dim, keepdim, dtype=dtype)
    over = tuple(range(t.ndim)) if dim is None else dim
    if len(over) == 1:
        return vector_norm(t, ord, over, keepdim, dtype=dtype)
    return matrix_norm(t, ord, over, keepdim, dtype=dtype)


def vecdot(x: Any, y: Any, *, dim: int = -1) -> Tensor:
    """Inner products along `dim` of tensors that broadcast together."""
    a, b = floating(x, "vecdot"), floating(y, "vecdot")
    return (a * b).sum(dim)


# Distances


def _cdist_forward(x: Any, y: Any) -> Any:
    if max(x.shape[-2], y.shape[-2]) <= 25:  # exact where it is cheap; PyTorch changes over at the same size
        d = x[..., :, None, :] - y[..., None, :, :]
        return np.sqrt(_total(d * d, axis=-1))
    squares = (x * x).sum(-1)[..., :, None] + (y * y).sum(-1)[..., None, :]
    return np.sqrt(np.maximum(squares - 2 * (x @ y.mT), 0))


def _cdist_rule_x(g: Any, x: Any, y: Any, out: Any, x_shape: Any) -> Any:
    w = quotient(g, out)
    return sum_to(x * w.sum(-1)[..., None] - w @ y, x_shape)


def _cdist_rule_y(g: Any, x: Any, y: Any, out: Any, y_shape: Any) -> Any:
    w = quotient(g, out).mT
    return sum_to(y * w.sum(-1)[..., None] - w @ x, y_shape)


_cdist: Primitive = Primitive("cdist", _cdist_forward, [_cdist_rule_x, _cdist_rule_y])


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """Distances in the norm `p` between the rows of x1 [..., n, d] and those of x2 [..., m, d]: [..., n, m].

    Where two points coincide the gradient is 0.
    """
    x, y = floating(x1, "cdist"), floating(x2, "cdist")
    if x.ndim < 2 or y.ndim < 2 or x._data.shape[-1] != y._data.shape[-1]:
        raise ShapeError(f"cdist: rows of equal length are required, got {x._data.shape} and {y._data.shape}.")
    if not p >= 0:
        raise ArgumentFault(f"cdist: p must be a number >= 0, got {p!r}.")
    modes = (None, "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ArgumentFault(f"cdist: compute_mode must be one of {modes[1:]}, got {compute_mode!r}.")
    if p == 2:
        return apply(_cdist, (x, y))
    apart = x.unsqueeze(-2) - y.unsqueeze(-3)
    if not x._data.shape[-1]:
        return apart.sum(-1)
    return vector_norm(apart, p, -1)
