"""Pooling: the largest element, or the mean, of windows."""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from . import _pool_arrays as arrays
from ._coerce import as_tensor
from .conv import _Setting, per_dim

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip

_take: Primitive = Primitive("pool_take", arrays.take, [lambda g, which, plan: _put(g, which, plan), None], linear=True)
_put: Primitive = Primitive(
    "pool_put", arrays.put, [lambda gg, which, plan: _take(gg, which, plan), None], linear=True, arity=2
)
_places: Primitive = Primitive("pool_places", arrays.places, [None])


def _largest(name: str, backward: str) -> Primitive:
    return Primitive(
        name,
        arrays.largest,
        [lambda g, which, plan: _put(g[0], which, plan)],
        outputs=("out", "which"),
        backward=backward,
        names=("x", "plan"),  # and a floor, which only the compiler gives
    )


_max_pool2d: Primitive = _largest("max_pool2d", "MaxPool2DWithIndicesBackward0")
_max_pool3d: Primitive = _largest("max_pool3d", "MaxPool3DWithIndicesBackward0")
_adaptive_max2d: Primitive = _largest("adaptive_max_pool2d", "AdaptiveMaxPool2DBackward0")
_adaptive_max3d: Primitive = _largest("adaptive_max_pool3d", "AdaptiveMaxPool3DBackward0")


def _average_rule(g: Any, plan: Any, with_padding: bool, divisor: int | None) -> Any:
    return _avg_back(g, plan, with_padding, divisor)


_avg_pool2d: Primitive = Primitive(
    "avg_pool2d", arrays.average, [_average_rule], linear=True, backward="AvgPool2DBackward0"
)
_avg_pool3d: Primitive = Primitive(
    "avg_pool3d", arrays.average, [_average_rule], linear=True, backward="AvgPool3DBackward0"
)
_avg_back: Primitive = Primitive(
    "avg_pool_back",
    arrays.average_back,
    [lambda gg, plan, with_padding, divisor: _avg_pool2d(gg, plan, with_padding, divisor)],
    linear=True,
)


def _prepared(input: Any, k: int, who: str, channels: bool = True) -> tuple[Any, bool]:
    """Return the input with a batch dim, and whether it had one; without `channels` there may be none."""
    x = as_tensor(input)
    if x.ndim not in (k + 1, k + 2):
        raise ShapeError(f"{who}: an input of {k + 1} or {k + 2} dims is required, got shape {x._data.shape}.")
    if 0 in x._data.shape[x.ndim - k - channels :]:
        raise ShapeError(f"{who}: sizes > 0 are required in all dims but the batch, got shape {x._data.shape}.")
    batched = x.ndim == k + 2
    return (x if batched else x.unsqueeze(0)), batched  # type: ignore[attr-defined]


def _plan(
    sizes: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, who: str
) -> arrays.Plan:
    """Check the settings and count the windows."""
    k = len(sizes)
    width = per_dim(kernel, k, "kernel_size", who)
    step = width if stride is None or stride == [] or stride == () else per_dim(stride, k, "stride", who)
    pad, gap = per_dim(padding, k, "padding", who), per_dim(dilation, k, "dilation", who)
    if min(width) < 1 or min(step) < 1 or min(gap) < 1:
        raise _Setting(f"{who}: kernel_size, stride and dilation must be > 0, got {width}, {step} and {gap}.")
    if any(p < 0 or 2 * p > ((n - 1) * d + 1 if k > 1 else n) for p, n, d in zip(pad, width, gap, strict=True)):
        raise _Setting(f"{who}: padding must be >= 0 and at most half of kernel_size, got {pad} and {width}.")
    outs = []
    for n, w, s, p, d in zip(sizes, width, step, pad, gap, strict=True):
        reach = n + 2 * p - d * (w - 1) - 1
        out = (reach + (s - 1 if ceil else 0)) // s + 1
        if ceil and (out - 1) * s >= n + p:
            out -= 1  # a window must not start in the padding at the end
        if out < 1:
            raise ShapeError(f"{who}: a window of {d * (w - 1) + 1} does not fit into {n + 2 * p} (input {sizes}).")
        outs.append(out)
    plan = ("window", sizes, width, step, pad, gap, tuple(outs))
    if max(gap) > 1 and not arrays.covers(plan):
        raise _Setting(f"{who}: every window must reach an element, got padding {pad} and dilation {gap} for {sizes}.")
    return plan


def _max_pooled(x: Any, plan: arrays.Plan, primitive: Primitive, batched: bool, indices: bool) -> Any:
    out, which = apply(primitive, (x,), (plan,))
    if not batched:
        out = out.squeeze(0)
    if not indices:
        return out
    at: Any = apply(_places, (which,), (plan,))
    return out, at if batched else at.squeeze(0)


def _max_pool(
    input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool, k: int
) -> Any:
    who = f"max_pool{k}d"
    x, batched = _prepared(input, k, who)
    plan = _plan(x._data.shape[2:], kernel, stride, padding, dilation, ceil, who)
    return _max_pooled(x, plan, _max_pool3d if k == 3 else _max_pool2d, batched, indices)


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Largest element of each window of [N, C, L]; see :func:`max_pool2d`."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 1)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Largest element of each window of [N, C, H, W], `stride` (default: the kernel's size) apart.

    With `return_indices` also their places, flat in the plane; at ties the first gets the gradient.

    >>> import thalweg as tw
    >>> tw.nn.functional.max_pool2d(tw.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 2)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Largest element of each window of [N, C, D, H, W]; see :func:`max_pool2d`."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices, 3)


def _avg_pool(
    input: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, with_padding: bool, divisor: Any, k: int
) -> Any:
    who = f"avg_pool{k}d"
    x, batched = _prepared(input, k, who)
    if x._data.dtype.kind == "b":
        raise DTypeError(f"{who}: numbers are required, got {x.dtype}.")
    if divisor == 0:
        raise _Setting(f"{who}: divisor_override must not be 0.")
    plan = _plan(x._data.shape[2:], kernel, stride, padding, 1, ceil, who)
    if k == 3 and any(n < w for n, w in zip(plan[1], plan[2], strict=True)):
        raise ShapeError(f"{who}: a window of {plan[2]} is larger than the input's sizes {plan[1]}.")
    out: Any = apply(_avg_pool3d if k == 3 else _avg_pool2d, (x,), (plan, bool(with_padding), divisor))
    return out if batched else out.squeeze(0)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Mean over each window of [N, C, L]; see :func:`avg_pool2d`."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean over each window of [N, C, H, W].

    The divisor is the window's size, without the padding unless `count_include_pad`, or `divisor_override`.
    """
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean over each window of [N, C, D, H, W]; see :func:`avg_pool2d`."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3)


def _wanted(output_size: Any, sizes: tuple[int, ...], who: str) -> tuple[int, ...]:
    """Return the output's sizes; None keeps a size."""
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * len(sizes)
    if len(given) != len(sizes):
        raise ShapeError(f"{who}: output_size must be an integer or {len(sizes)} of them, got {output_size!r}.")
    found = tuple(n if w is None else operator.index(w) for w, n in zip(given, sizes, strict=True))
    if min(found) < 0:
        raise _Setting(f"{who}: output sizes >= 0 are required, got {found}.")
    return found


def _adaptive_max(input: Any, output_size: Any, indices: bool, k: int) -> Any:
    who = f"adaptive_max_pool{k}d"
    x, batched = _prepared(input, k, who)
    sizes = x._data.shape[2:]
    plan = ("adaptive", sizes, _wanted(output_size, sizes, who))
    return _max_pooled(x, plan, _adaptive_max3d if k == 3 else _adaptive_max2d, batched, indices)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Largest element of each of `output_size` windows that cover [N, C, L] evenly."""
    return _adaptive_max(input, output_size, return_indices, 1)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Largest element of each of `output_size` windows that cover [N, C, H, W] evenly."""
    return _adaptive_max(input, output_size, return_indices, 2)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Largest element of each of `output_size` windows that cover [N, C, D, H, W] evenly."""
    return _adaptive_max(input, output_size, return_indices, 3)


def _averaging(size: int, out: int, dtype: Any) -> TensorBase:
    """Return the matrix [size, out] whose columns average the windows of an adaptive pooling."""
    i = np.arange(out)
    first, last = i * size // out, -(-(i + 1) * size // out)
    at = np.arange(size)[:, None]
    return TensorBase._wrap((((at >= first) & (at < last)) / np.maximum(last - first, 1)).astype(dtype))


def _adaptive_avg(input: Any, output_size: Any, k: int) -> Any:
    who = f"adaptive_avg_pool{k}d"
    given: Any = as_tensor(input)
    empty = given._data.size == 0 and given.ndim in (k + 1, k + 2)
    if empty and all(n == 1 for n in _wanted(output_size, given._data.shape[-k:], who)):
        return given.mean(tuple(range(-k, 0)), keepdim=True)
    x, batched = _prepared(given, k, who, channels=k == 3)
    sizes = x._data.shape[2:]
    outs = _wanted(output_size, sizes, who)
    if x._data.size and all(o and n % o == 0 for n, o in zip(sizes, outs, strict=True)):
        width = tuple(n // o for n, o in zip(sizes, outs, strict=True))
        out = _avg_pool(x, width, None, 0, False, True, None, k)
        return out if batched else out.squeeze(0)
    out = x
    for axis, (n, o) in enumerate(zip(sizes, outs, strict=True), 2):
        if n != o:  # the windows of one dim after the other: each is a product with a fixed matrix
            out = (out.transpose(axis, -1) @ _averaging(n, o, x._data.dtype)).transpose(axis, -1)
    return out if batched else out.squeeze(0)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """Mean over each of `output_size` windows that cover [N, C, L] evenly."""
    return _adaptive_avg(input, output_size, 1)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """Mean over each of `output_size` windows that cover [N, C, H, W] evenly.

    >>> import thalweg as tw
    >>> tw.nn.functional.adaptive_avg_pool2d(tw.arange(6.0).reshape(1, 1, 2, 3), (1, 2))
    tensor([[[[2., 3.]]]])
    """
    return _adaptive_avg(input, output_size, 2)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """Mean over each of `output_size` windows that cover [N, C, D, H, W] evenly."""
    return _adaptive_avg(input, output_size, 3)


def _lp_pool(input: Any, norm_type: float, kernel: Any, stride: Any, ceil: bool, k: int) -> Any:
    x: Any = as_tensor(input)
    n = 1
    for w in per_dim(kernel, k, "kernel_size", f"lp_pool{k}d"):
        n *= w
    mean: Any = _avg_pool(x**norm_type, kernel, stride, 0, ceil, True, None, k)
    return (mean.sign() * mean.abs().relu() * n) ** (1.0 / norm_type)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(Σ x^p)^(1/p)`` over each window of [N, C, L]."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(Σ x^p)^(1/p)`` over each window of [N, C, H, W]."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """``(Σ x^p)^(1/p)`` over each window of [N, C, D, H, W]."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 3)


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
