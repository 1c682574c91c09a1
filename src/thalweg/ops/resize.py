"""Interpolation to another size: along each dim, a product with a fixed matrix, or a choice of elements."""

from __future__ import annotations

import functools
import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, ShapeError
from ._coerce import as_tensor
from .pool import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["interpolate", "upsample"]

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # modes for one number of dims only


def _scale(size: int, out: int, aligned: bool, factor: float | None) -> float:
    """Return how many input steps one output step is."""
    if aligned:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1 / factor if factor else size / out


def _cubic(t: Any, a: float) -> Any:
    """The cubic convolution kernel (Keys 1981) at distances t."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


@functools.lru_cache(maxsize=256)
def _matrix(size: int, out: int, mode: str, aligned: bool, antialias: bool, factor: float | None) -> Any:
    """Return the matrix [size, out] that interpolates one dim."""
    scale = _scale(size, out, aligned, factor)
    i = np.arange(out)
    matrix = np.zeros((size, out))
    if antialias:
        stretch = max(scale, 1.0)
        reach = (1.0 if mode == "linear" else 2.0) * stretch
        for k in range(out):
            centre = scale * (k + 0.5)
            first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), size)
            t = (np.arange(first, last) - centre + 0.5) / stretch
            w = np.maximum(0, 1 - np.abs(t)) if mode == "linear" else _cubic(t, -0.5)
            matrix[first:last, k] = w / w.sum()
        return matrix
    source = i * scale if aligned else (i + 0.5) * scale - 0.5
    if mode == "linear":
        source = np.maximum(source, 0)
        low = np.minimum(source.astype(int), size - 1)
        high = np.minimum(low + 1, size - 1)
        t = source - low
        np.add.at(matrix, (low, i), 1 - t)
        np.add.at(matrix, (high, i), t)
        return matrix
    low = np.floor(source).astype(int)
    for k in range(-1, 3):
        np.add.at(matrix, (np.clip(low + k, 0, size - 1), i), _cubic(source - low - k, -0.75))
    return matrix


def _chosen(size: int, out: int, exact: bool, factor: float | None, k: int) -> Any:
    """Return which element each output takes, in one of `k` dims."""
    if not exact and k > 1 and out in (size, 2 * size):  # whatever the factor says, as PyTorch does
        return np.arange(out) // (out // size)
    scale = np.float32(_scale(size, out, False, factor))  # PyTorch's type here, whose rounding shows in the choice
    i = np.arange(out, dtype=np.float32)
    return np.minimum(np.floor((i + np.float32(0.5)) * scale if exact else i * scale).astype(int), size - 1)


def _sizes(x: Any, size: Any, scale_factor: Any, recompute: Any, k: int) -> tuple[tuple[int, ...], list[Any]]:
    """Return the output's sizes and the scale factors to compute with (None: from the sizes)."""
    have = x._data.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: either size or scale_factor is required, and not both.")
    if size is not None:
        outs = (
            tuple(operator.index(n) for n in size) if isinstance(size, (tuple, list)) else (operator.index(size),) * k
        )
        if len(outs) != k:
            raise ArgumentError(f"interpolate: size must be an integer or {k} of them, got {size!r}.")
        return outs, [None] * k
    factors = [float(f) for f in scale_factor] if isinstance(scale_factor, (tuple, list)) else [float(scale_factor)] * k
    if len(factors) != k:
        raise ArgumentError(f"interpolate: scale_factor must be a number or {k} of them, got {scale_factor!r}.")
    outs = tuple(math.floor(n * f) for n, f in zip(have, factors, strict=True))
    return outs, [None] * k if recompute else list(factors)


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """[N, C, *] resized to `size`, or by `scale_factor`.

    `mode`: nearest, nearest-exact, linear (3-d input), bilinear or bicubic (4-d), trilinear (5-d), area.

    >>> import thalweg as tw
    >>> tw.nn.functional.interpolate(tw.tensor([[[0.0, 1.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """
    x: Any = as_tensor(input)
    k = x.ndim - 2
    if mode not in ("nearest", "nearest-exact", "area", *_DIMS):
        raise _Mode(f"interpolate: mode must be nearest, nearest-exact, area, {', '.join(_DIMS)}, got {mode!r}.")
    if not 1 <= k <= 3 or (mode in _DIMS and _DIMS[mode] != k):
        raise _Mode(f"interpolate: mode {mode!r} is not made for an input of {x.ndim} dims (shape {x._data.shape}).")
    if align_corners is not None and mode not in _DIMS:
        raise ArgumentError(f"interpolate: align_corners is for the linear and cubic modes only, got mode {mode!r}.")
    if antialias and not (mode in ("bilinear", "bicubic") and k == 2):
        raise ArgumentError(f"interpolate: antialias is for bilinear and bicubic only, got mode {mode!r}.")
    if recompute_scale_factor and size is not None:
        raise ArgumentError("interpolate: recompute_scale_factor is for scale_factor only, not for size.")
    outs, factors = _sizes(x, size, scale_factor, recompute_scale_factor, k)
    if min(outs) < 1 or (mode != "area" and min(x._data.shape[1:]) < 1):
        raise ShapeError(f"interpolate: sizes > 0 are required, got an input {x._data.shape} and an output {outs}.")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[k - 1](x, outs)
    if mode.startswith("nearest"):
        for axis, (n, out, factor) in enumerate(zip(x._data.shape[2:], outs, factors, strict=True), 2):
            x = x[(slice(None),) * axis + (_chosen(n, out, mode == "nearest-exact", factor, k),)]
        return x  # type: ignore[no-any-return]
    kind = "cubic" if mode == "bicubic" else "linear"
    if x._data.dtype.kind != "f":
        return _of_bytes(x, outs, factors, kind, bool(align_corners), antialias, mode)
    for axis, (n, out, factor) in enumerate(zip(x._data.shape[2:], outs, factors, strict=True), 2):
        if n == out and (align_corners or factor in (None, 1.0) or (kind == "linear" and not antialias)):
            continue
        matrix = _matrix(n, out, kind, bool(align_corners), antialias, factor).astype(x._data.dtype)
        x = (x.transpose(axis, -1) @ TensorBase._wrap(matrix)).transpose(axis, -1)
    return x  # type: ignore[no-any-return]


def _of_bytes(
    x: Any, outs: tuple[int, ...], factors: list[Any], kind: str, aligned: bool, antialias: bool, mode: str
) -> Any:
    """Return the interpolation of uint8 pixels: weights in fixed point, each dim rounded to a pixel, the last one first."""
    if x._data.dtype != np.uint8 or len(outs) != 2:
        raise _Mode(f"interpolate: mode {mode!r} is not made for an input of type {x.dtype} and {x.ndim} dims.")
    data = x._data
    for axis in (3, 2):
        n, out, factor = data.shape[axis], outs[axis - 2], factors[axis - 2]
        if n == out:
            continue
        matrix = _matrix(n, out, kind, aligned, antialias, factor)
        digits = 0
        while digits < 22 and int(0.5 + matrix.max() * (1 << (digits + 1))) < 1 << 15:
            digits += 1
        weights = np.trunc(matrix * (1 << digits) + np.copysign(0.5, matrix)).astype(np.int64)
        sums = np.moveaxis(np.moveaxis(data, axis, -1).astype(np.int64) @ weights, -1, axis)
        data = np.clip((sums + (1 << digits >> 1)) >> digits, 0, 255).astype(np.uint8)
    return TensorBase._wrap(data)


class _Mode(ArgumentError, NotImplementedError):
    """PyTorch raises NotImplementedError here."""


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """PyTorch's older name of :func:`interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)
