"""Sums, means and extremes over some or all dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.moves import CAST, EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ._coerce import as_tensor, reduced_dims

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["amax", "amin", "mean", "sum"]


def kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` with 1 in place of the reduced dims."""
    return tuple(1 if k in axes else n for k, n in enumerate(shape))


def _restore(g: Any, axes: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    """Spread a reduced gradient over the elements it came from."""
    return EXPAND(g.reshape(kept(x_shape, axes)), x_shape)


def _sum_rule(g: Any, axes: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    return _restore(g, axes, x_shape)


def _sum_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return x.sum(axis=axes, keepdims=keepdim)


_sum: Primitive = Primitive("sum", _sum_forward, [_sum_rule], linear=True)
_sum_dim: Primitive = Primitive("sum", _sum_forward, [_sum_rule], linear=True, backward="SumBackward1")


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Sum over `dim` (one, several, or None for all); integers and truth values add up in int64.

    >>> import thalweg as tw
    >>> tw.sum(tw.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    x = converted(as_tensor(input), dtype)
    if dtype is None and x._data.dtype.kind != "f":
        x = converted(x, _dtype.int64)
    dim = axis if dim is None else dim
    axes = reduced_dims(dim, x.ndim, "sum")
    return apply(_sum if dim is None else _sum_dim, (x,), (axes, bool(keepdim or keepdims)))


def _mean_rule(g: Any, axes: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    n = 1
    for k in axes:
        n *= x_shape[k]
    return _restore(g, axes, x_shape) / max(n, 1) if n else _restore(g, axes, x_shape)


def _mean_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    total = x.sum(axis=axes, keepdims=keepdim)
    n = 1
    for k in axes:
        n *= x.shape[k]
    return total / x.dtype.type(n)


_mean: Primitive = Primitive("mean", _mean_forward, [_mean_rule], linear=True)
_mean_dim: Primitive = Primitive("mean", _mean_forward, [_mean_rule], linear=True, backward="MeanBackward1")


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Mean over `dim` (one, several, or None for all) of a floating-point tensor; NaN over nothing."""
    x = converted(as_tensor(input), dtype)
    if x._data.dtype.kind != "f":
        from ..errors import DTypeError

        raise DTypeError(f"mean: a floating-point tensor is required, got {x.dtype}; convert it with float().")
    dim = axis if dim is None else dim
    axes = reduced_dims(dim, x.ndim, "mean")
    return apply(_mean if dim is None else _mean_dim, (x,), (axes, bool(keepdim or keepdims)))


def _share_rule(g: Any, x: Any, out: Any, axes: tuple[int, ...]) -> Any:
    """Ties share the gradient evenly."""
    shape = kept(x.shape, axes)
    hit = x == out.reshape(shape)
    if isinstance(hit, TensorBase):
        hit = CAST(hit, x.dtype.np, np.dtype(bool))
        n = _sum(hit, axes, True)
    else:
        hit = hit.astype(x.dtype)
        n = np.add.reduce(hit, axis=axes, keepdims=True)
    return hit * (g.reshape(shape) / n)


_amax: Primitive = Primitive(
    "amax", lambda x, axes, keepdim: np.maximum.reduce(x, axis=axes, keepdims=keepdim), [_share_rule]
)
_amin: Primitive = Primitive(
    "amin", lambda x, axes, keepdim: np.minimum.reduce(x, axis=axes, keepdims=keepdim), [_share_rule]
)


def amax(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Largest element over `dim`; ties share the gradient evenly."""
    x = as_tensor(input)
    axes = reduced_dims(dim if axis is None else axis, x.ndim, "amax")
    return apply(_amax, (x,), (axes, bool(keepdim or keepdims)))


def amin(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Smallest element over `dim`; ties share the gradient evenly."""
    x = as_tensor(input)
    axes = reduced_dims(dim if axis is None else axis, x.ndim, "amin")
    return apply(_amin, (x,), (axes, bool(keepdim or keepdims)))


def converted(x: TensorBase, dtype: Any) -> TensorBase:
    """Return `x` with elements of `dtype`, itself if it has them."""
    if dtype is None:
        return x
    target = _dtype.as_dtype(dtype).np
    if x._data.dtype == target:
        return x
    return apply(CAST, (x,), (target, x._data.dtype))
