"""Sliding windows as columns, and back; channels rearranged into space, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..errors import ShapeError
from . import _conv_arrays as arrays
from ._coerce import as_tensor
from .conv import _Setting, per_dim

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["channel_shuffle", "fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]

Pairs = tuple[tuple[int, ...], ...]  # kernel, dilation, padding, stride


def _places(sizes: tuple[int, ...], settings: Pairs) -> tuple[int, ...]:
    kernel, dilation, padding, stride = settings
    return tuple(
        arrays.out_size(n, k, s, p, d) for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


def _columns(x: Any, settings: Pairs) -> Any:
    kernel, dilation, padding, stride = settings
    out = _places(x.shape[2:], settings)
    view = arrays._windows(arrays._padded(x, padding), kernel, stride, dilation, out)
    return view.reshape(x.shape[0], x.shape[1] * kernel[0] * kernel[1], out[0] * out[1])


def _summed(cols: Any, sizes: tuple[int, ...], settings: Pairs) -> Any:
    kernel, dilation, padding, stride = settings
    out = _places(sizes, settings)
    view = cols.reshape(cols.shape[0], cols.shape[1] // (kernel[0] * kernel[1]), *kernel, *out)
    full = tuple(n + 2 * p for n, p in zip(sizes, padding, strict=True))
    total = np.zeros((*view.shape[:2], *full), cols.dtype)
    for p, q in np.ndindex(*kernel):
        i, j = p * dilation[0], q * dilation[1]
        rows = slice(i, i + (out[0] - 1) * stride[0] + 1, stride[0])
        columns = slice(j, j + (out[1] - 1) * stride[1] + 1, stride[1])
        total[:, :, rows, columns] += view[:, :, p, q]
    return np.ascontiguousarray(total[:, :, padding[0] : padding[0] + sizes[0], padding[1] : padding[1] + sizes[1]])


_unfold: Primitive = Primitive(
    "im2col", _columns, [lambda g, settings, x_shape: _fold(g, x_shape[2:], settings)], linear=True
)
_fold: Primitive = Primitive("col2im", _summed, [lambda gg, settings: _unfold(gg, settings)], linear=True, arity=1)


def _settings(kernel_size: Any, dilation: Any, padding: Any, stride: Any, who: str) -> Pairs:
    found = (
        per_dim(kernel_size, 2, "kernel_size", who),
        per_dim(dilation, 2, "dilation", who),
        per_dim(padding, 2, "padding", who),
        per_dim(stride, 2, "stride", who),
    )
    if min(found[0] + found[1] + found[3]) < 1 or min(found[2]) < 0:
        raise _Setting(f"{who}: kernel_size, dilation and stride must be > 0 and padding >= 0.")
    return found


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The windows of [N, C, H, W] as columns: [N, C K₁ K₂, number of windows].

    >>> import thalweg as tw
    >>> tw.nn.functional.unfold(tw.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    x: Any = as_tensor(input)
    settings = _settings(kernel_size, dilation, padding, stride, "unfold")
    if x.ndim not in (3, 4) or 0 in x._data.shape[-3:]:
        raise ShapeError(f"unfold: an input [N, C, H, W] or [C, H, W] of sizes > 0 is required, got {x._data.shape}.")
    if min(_places(x._data.shape[-2:], settings)) < 1:
        raise ShapeError(f"unfold: a window of {settings[0]} does not fit into shape {x._data.shape}.")
    if x.ndim == 3:
        return apply(_unfold, (x.unsqueeze(0),), (settings,)).squeeze(0)  # type: ignore[no-any-return]
    return apply(_unfold, (x,), (settings,))


def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns [N, C K₁ K₂, L] added into [N, C, *output_size], each where :func:`unfold` would have read it."""
    x: Any = as_tensor(input)
    settings = _settings(kernel_size, dilation, padding, stride, "fold")
    sizes = per_dim(output_size, 2, "output_size", "fold")
    if x.ndim not in (2, 3) or 0 in x._data.shape[-2:]:
        raise ShapeError(f"fold: an input [N, C K₁ K₂, L] or [C K₁ K₂, L] is required, got shape {x._data.shape}.")
    each = settings[0][0] * settings[0][1]
    places = _places(sizes, settings)
    if x._data.shape[-2] % each or min(places) < 1 or x._data.shape[-1] != places[0] * places[1]:
        raise ShapeError(
            f"fold: for an output of {sizes}, windows of {settings[0]} need [N, C·{each}, {places[0] * places[1]}], got "
            f"shape {x._data.shape}."
        )
    if x.ndim == 2:
        return apply(_fold, (x.unsqueeze(0),), (sizes, settings)).squeeze(0)  # type: ignore[no-any-return]
    return apply(_fold, (x,), (sizes, settings))


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Channels moved into space: [*, C r², H, W] gives [*, C, H r, W r]."""
    x: Any = as_tensor(input)
    r, shape = upscale_factor, x._data.shape
    if x.ndim < 3 or r < 1 or shape[-3] % (r * r):
        raise ShapeError(f"pixel_shuffle: [*, C·{r * r}, H, W] and a factor > 0 are required, got shape {shape}.")
    lead, c, h, w = shape[:-3], shape[-3] // (r * r), shape[-2], shape[-1]
    k = len(lead)
    order = (*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return x.reshape(*lead, c, r, r, h, w).permute(*order).reshape(*lead, c, h * r, w * r)  # type: ignore[no-any-return]


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Space moved into channels: [*, C, H r, W r] gives [*, C r², H, W]."""
    x: Any = as_tensor(input)
    r, shape = downscale_factor, x._data.shape
    if x.ndim < 3 or r < 1 or shape[-2] % r or shape[-1] % r:
        raise ShapeError(f"pixel_unshuffle: [*, C, H·{r}, W·{r}] and a factor > 0 are required, got shape {shape}.")
    lead, c, h, w = shape[:-3], shape[-3], shape[-2] // r, shape[-1] // r
    k = len(lead)
    order = (*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return x.reshape(*lead, c, h, r, w, r).permute(*order).reshape(*lead, c * r * r, h, w)  # type: ignore[no-any-return]


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """Channels of [N, C, *] dealt out so that those of one group come apart."""
    x: Any = as_tensor(input)
    shape = x._data.shape
    if x.ndim < 3 or groups < 1 or shape[1] % groups:
        raise ShapeError(f"channel_shuffle: [N, C, *] with C divisible by groups {groups} is required, got {shape}.")
    return x.reshape(shape[0], groups, shape[1] // groups, *shape[2:]).transpose(1, 2).reshape(*shape)  # type: ignore[no-any-return]
