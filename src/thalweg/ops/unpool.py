"""The way back from max pooling: elements at the places they were taken from, zeros elsewhere."""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..errors import DTypeError, ShapeError
from . import _pool_arrays as arrays
from ._coerce import as_tensor
from .conv import _Setting, per_dim
from .pool import _prepared

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _unpooled(input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any, k: int) -> Any:
    who = f"max_unpool{k}d"
    x, batched = _prepared(input, k, who)
    at = as_tensor(indices)
    if at._data.dtype != np.int64:
        raise DTypeError(f"{who}: indices of type int64 are required, got {at.dtype}.")
    at = at if batched else at.unsqueeze(0)  # type: ignore[attr-defined]
    if at._data.shape != x._data.shape:
        raise ShapeError(f"{who}: indices of shape {x._data.shape} are required, got {at._data.shape}.")
    width = per_dim(kernel, k, "kernel_size", who)
    step = width if stride is None or stride == [] else per_dim(stride, k, "stride", who)
    pad = per_dim(padding, k, "padding", who)
    sizes = tuple((n - 1) * s - 2 * p + w for n, s, p, w in zip(x._data.shape[2:], step, pad, width, strict=True))
    if output_size is not None:
        wanted = tuple(operator.index(n) for n in output_size)
        if len(wanted) not in (k, k + 2):
            raise _Setting(f"{who}: output_size must have {k} or {k + 2} elements, got {wanted}.")
        wanted = wanted[-k:]
        if any(abs(n - m) >= s for n, m, s in zip(wanted, sizes, step, strict=True)):
            raise _Setting(f"{who}: output_size must be nearer than the stride {step} to {sizes}, got {wanted}.")
        sizes = wanted
    if min(sizes) < 1:
        raise _Setting(f"{who}: the output would have sizes {sizes}; each must be >= 1.")
    total = int(np.prod(sizes))
    if at._data.size and (at._data.min() < 0 or at._data.max() >= total):
        raise _Setting(f"{who}: indices in [0, {total - 1}] are required for an output of {sizes}.")
    out: Any = apply(_unpool, (x, at), (sizes,))
    return out if batched else out.squeeze(0)


def _placed(g: Any, at: Any, sizes: tuple[int, ...]) -> Any:
    n, c = g.shape[:2]
    out = np.zeros((n, c, prod(sizes)), g.dtype)
    np.put_along_axis(out, at.reshape(n, c, prod(at.shape[2:])), g.reshape(n, c, prod(g.shape[2:])), 2)
    return out.reshape(n, c, *sizes)


_unpool: Primitive = Primitive(
    "max_unpool", _placed, [lambda gg, at: _pick(gg, at), None], arity=2, backward="MaxUnpool2DBackward0"
)
_pick: Primitive = Primitive(
    "unpool_take", arrays.pick, [lambda g, at, x_shape: _place(g, at, x_shape[2:]), None], linear=True
)
_place: Primitive = Primitive("unpool_put", arrays.place, [lambda gg, at: _pick(gg, at), None], linear=True, arity=2)


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, with the elements of [N, C, L] put back to the places that :func:`max_pool1d` took them from."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 1)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, with the elements of [N, C, H, W] put back to the places that :func:`max_pool2d` took them from."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Zeros, with the elements of [N, C, D, H, W] put back to the places that :func:`max_pool3d` took them from."""
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 3)
