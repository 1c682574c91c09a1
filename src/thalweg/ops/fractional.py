"""Fractional max pooling: the largest element of windows whose places are drawn (Graham 2014)."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor
from .conv import _Setting, per_dim
from .gather import gather
from .pool import _prepared
from .random import rand

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def _starts(draw: Any, size: int, width: int, out: int) -> Any:
    """Return where the windows begin, [*, out], from numbers in [0, 1)."""
    last = size - width
    steps = last / (out - 1) if out > 1 else 0.0
    i = np.arange(out - 1, dtype=draw.dtype)
    found = np.trunc((i + draw[..., None]) * draw.dtype.type(steps)) - np.trunc(
        draw[..., None] * draw.dtype.type(steps)
    )
    return np.concatenate([found.astype(np.int64), np.full((*draw.shape, 1), last, np.int64)], -1)


def _places(draws: Any, sizes: tuple[int, ...], width: tuple[int, ...], outs: tuple[int, ...]) -> Any:
    """Return the flat places of each window's elements, [sample, channel, outputs, elements]."""
    total = np.zeros((*draws.shape[:2], 1, 1), np.int64)
    for k, (size, w, out) in enumerate(zip(sizes, width, outs, strict=True)):
        at = _starts(draws[..., k], size, w, out)[..., None] + np.arange(w)
        both = total[:, :, :, None, :, None] * size + at[:, :, None, :, None, :]
        total = both.reshape(*draws.shape[:2], total.shape[2] * out, total.shape[3] * w)
    return total


def _pooled(
    input: Any, kernel: Any, output_size: Any, output_ratio: Any, return_indices: bool, samples: Any, k: int
) -> Any:
    who = f"fractional_max_pool{k}d"
    x, batched = _prepared(input, k, who)
    n, c, *sizes = x._data.shape
    width = per_dim(kernel, k, "kernel_size", who)
    if (output_size is None) == (output_ratio is None):
        raise _Setting(f"{who}: either output_size or output_ratio is required, and not both.")
    if output_size is not None:
        outs = per_dim(output_size, k, "output_size", who)
    else:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * k
        if len(ratios) != k or not all(0 < r < 1 for r in ratios):
            raise _Setting(f"{who}: output_ratio must be a number between 0 and 1, or {k} of them, got {output_ratio}.")
        outs = tuple(int(s * r) for s, r in zip(sizes, ratios, strict=True))
    if min(width) < 1 or min(outs) < 1 or any(o + w - 1 > s for o, w, s in zip(outs, width, sizes, strict=True)):
        raise _Setting(f"{who}: windows {width} and an output {outs} must fit into the sizes {tuple(sizes)}.")
    draws: Any = rand(n, c, k, dtype=x.dtype) if samples is None else as_tensor(samples)
    if draws._data.shape != (n, c, k):
        raise ShapeError(f"{who}: random samples of shape {(n, c, k)} are required, got {draws._data.shape}.")
    order = draws._data[..., ::-1] if k == 2 else draws._data  # PyTorch draws the width of planes first
    places = _places(order, tuple(sizes), width, outs)
    flat = x.reshape(n, c, prod(sizes))
    x._told(who)  # the places depend on the values
    seen = np.take_along_axis(flat._data, places.reshape(n, c, prod(outs) * prod(width)), 2)
    which = seen.reshape(n, c, prod(outs), prod(width)).argmax(-1)
    at = np.take_along_axis(places, which[..., None], -1)[..., 0].reshape(n, c, prod(outs))
    out: Any = gather(flat, 2, TensorBase._wrap(at)).reshape(n, c, *outs)  # type: ignore[attr-defined]
    found = TensorBase._wrap(at.reshape(n, c, *outs))
    if not batched:
        out, found = out.squeeze(0), found.squeeze(0)  # type: ignore[attr-defined]
    return (out, found) if return_indices else out


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Largest element of windows of [N, C, H, W] at drawn places, as many as `output_size` or a ratio of the sizes say.

    >>> import thalweg as tw
    >>> tw.nn.functional.fractional_max_pool2d(tw.ones(1, 1, 6, 6), 2, output_size=(4, 3)).shape
    thalweg.Size([1, 1, 4, 3])
    """
    return _pooled(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 2)


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """Largest element of windows of [N, C, D, H, W] at drawn places; see :func:`fractional_max_pool2d`."""
    return _pooled(input, kernel_size, output_size, output_ratio, return_indices, _random_samples, 3)
