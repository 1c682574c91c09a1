"""Which input places the taps of a convolution reach, and how arrays lie: what the compiled kernels are told."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

__all__ = [
    "NOWHERE", "Geometry", "flat", "inside", "pieces", "reach", "rows_table", "samples_first", "samples_last", "table", "weight_taps",
    "whole_taps",
]  # fmt: skip

Sizes = tuple[int, ...]
Geometry = tuple[Sizes, Sizes, Sizes, Sizes, Sizes, Sizes, bool]
"""Sizes read, kernel, sizes written, stride, padding, dilation, and whether the convolution is transposed."""

NOWHERE = np.empty(0, np.int64)


def samples_last(x: Any) -> Any:
    """Return [sample, channel, *dims] as [channel, *dims, sample], without copying."""
    return x.transpose(*range(1, x.ndim), 0)


def samples_first(x: Any) -> Any:
    """Undo :func:`samples_last`."""
    return x.transpose(x.ndim - 1, *range(x.ndim - 1))


def flat(x: Any) -> tuple[Any, tuple[int, ...]]:
    """Return [sample, channel, *dims] as a flat array, and how far apart channels, places and samples lie in it."""
    n, c, places = x.shape[0], x.shape[1], prod(x.shape[2:])
    if not x.flags.writeable:
        x = x.copy("K")  # a kernel would be compiled once more for an array that cannot be written
    turned = samples_last(x)
    if x.flags.c_contiguous and not turned.flags.c_contiguous:
        return x.reshape(-1), (places, 1, c * places)
    return np.ascontiguousarray(turned).reshape(-1), (places * n, n, 1)


def _reached(geometry: Geometry) -> list[Any]:
    """Return for each dim the places [written, tap] that are read, and -1 for those outside."""
    found = []
    *dims, transposed = geometry
    for size, k, out, s, p, d in zip(*dims, strict=True):
        i, tap = np.arange(out)[:, None], np.arange(k) * d
        if transposed:
            far = i + p - tap
            place, fits = far // s, far % s == 0
        else:
            place = i * s + tap - p
            fits = np.ones_like(place, bool)
        found.append(np.where(fits & (place >= 0) & (place < size), place, -1))
    return found


@functools.lru_cache(maxsize=256)
def reach(geometry: Geometry) -> int:
    """Return how many pairs of an output place and a tap meet an element of the input."""
    return prod(int((places >= 0).sum()) for places in _reached(geometry))


@functools.lru_cache(maxsize=256)
def table(geometry: Geometry, scale: int) -> tuple[Any, Any, Any, Any]:
    """Return the table of a convolution: where each place begins to read, its kind, and the taps of each kind.

    Places that reach the same taps at the same distances are of one kind; offsets are in units of 1 / `scale`.
    """
    bases, kinds = np.zeros((), np.int64), np.zeros((), np.int64)
    lists: list[list[tuple[int, int]]] = [[(0, 0)]]
    for size, width, places in zip(geometry[0], geometry[1], _reached(geometry), strict=True):
        first = np.where(places >= 0, places, size).min(1)
        first = np.where(first == size, 0, first)
        apart = np.where(places >= 0, places - first[:, None], -1)
        different, which = np.unique(apart, axis=0, return_inverse=True)
        bases = bases[..., None] * size + first
        kinds = kinds[..., None] * len(different) + which.reshape(-1)
        lists = [
            [(o * size + int(more), t * width + k) for o, t in known for k, more in enumerate(kind) if more >= 0]
            for known in lists
            for kind in different
        ]
    edges = np.cumsum([0, *(len(some) for some in lists)])
    taps = np.array([pair for some in lists for pair in some], np.int64).reshape(-1, 2) * np.array([scale, 1])
    return bases.reshape(-1) * scale, kinds.reshape(-1), edges, np.ascontiguousarray(taps).reshape(-1)


def _steps(sizes: Sizes, n: int) -> list[int]:
    return [prod(sizes[k + 1 :]) * n for k in range(len(sizes))]


@functools.lru_cache(maxsize=256)
def whole_taps(sizes: Sizes, kernel: Sizes, dilation: Sizes, n: int) -> Any:
    """Return how far each tap is from the first, where every tap reaches into `sizes`."""
    taps = np.zeros((), np.int64)
    for width, d, step in zip(kernel, dilation, _steps(sizes, n), strict=True):
        taps = taps[..., None] + np.arange(width) * (d * step)
    return taps.reshape(-1)


@functools.lru_cache(maxsize=256)
def weight_taps(sizes: Sizes, kernel: Sizes, dilation: Sizes, n: int, channels: int, multiple: int) -> Any:
    """Return :func:`whole_taps` of several channels, the last one repeated up to a multiple."""
    taps = np.arange(channels)[:, None] * (prod(sizes) * n) + whole_taps(sizes, kernel, dilation, n)
    return np.append(taps, np.repeat(taps[-1, -1], -taps.size % multiple))


@functools.lru_cache(maxsize=256)
def _starts(sizes: Sizes, out: Sizes, stride: Sizes, n: int) -> Any:
    starts = np.zeros((), np.int64)
    for count, s, step in zip(out, stride, _steps(sizes, n), strict=False):
        starts = starts[..., None] + np.arange(count) * (s * step)
    return starts.reshape(-1)


def rows_table(sizes: Sizes, kernel: Sizes, dilation: Sizes, out: Sizes, stride: Sizes, n: int, flipped: bool) -> Any:
    """Return the table for whole rows of an input [channel, *sizes, n] that has its padding."""
    taps = whole_taps(sizes, kernel, dilation, n)
    numbers = np.arange(len(taps))
    starts = _starts(sizes, out[:-1], stride, n)
    pairs = np.stack([taps, numbers[::-1] if flipped else numbers], 1)
    return starts, np.zeros(len(starts), np.int64), np.array([0, len(taps)]), pairs.reshape(-1)


@functools.lru_cache(maxsize=256)
def inside(sizes: Sizes, padding: Sizes) -> Any:
    """Return at which places of the padded input its own places lie."""
    full = tuple(s + 2 * p for s, p in zip(sizes, padding, strict=True))
    corner = sum(p * step for p, step in zip(padding, _steps(full, 1), strict=True))
    return _starts(full, sizes, (1,) * len(sizes), 1) + corner


@functools.lru_cache(maxsize=256)
def pieces(sizes: Sizes, out: Sizes, stride: Sizes, n: int, rows: bool, width: int) -> tuple[Any, Any]:
    """Return where `width` neighbouring elements lie in input and output, and how many: the whole ones, and the rests.

    The elements are those of each output place, or of each whole row.
    """
    starts = _starts(sizes, out[:-1] if rows else out, stride, n)
    length = out[-1] * n if rows else n
    cuts = np.arange(0, length, width)
    found = np.empty((len(starts), len(cuts), 3), np.int64)
    found[..., 0] = starts[:, None] + cuts
    found[..., 1] = np.arange(len(starts))[:, None] * length + cuts
    found[..., 2] = np.minimum(length - cuts, width)
    whole = length // width
    return found[:, :whole].reshape(-1), found[:, whole:].reshape(-1)
