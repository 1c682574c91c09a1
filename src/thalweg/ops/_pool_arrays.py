"""Pooling on arrays: which places a window covers, the largest of them, their mean, and the transposes."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from ..core.modes import current
from . import _conv_arrays as convs
from ._conv_arrays import kernels
from ._conv_tables import samples_first, samples_last

__all__ = [
    "average", "average_back", "conv_largest", "covers", "input_put", "largest", "pick", "place", "places", "put", "table", "take",
    "weight_put",
]  # fmt: skip

Plan = tuple[Any, ...]  # ("window", sizes, kernel, stride, padding, dilation, out) or ("adaptive", sizes, out)

ENOUGH = 100_000  # elements from which a kernel pays for its start


def _starts(plan: Plan) -> list[Any]:
    """Return, for each dim, the places [out, width] that each window covers, -1 where it is outside."""
    found = []
    if plan[0] == "adaptive":
        for size, out in zip(plan[1], plan[2], strict=True):
            i = np.arange(out)
            first, last = i * size // out, -(-(i + 1) * size // out)
            places = first[:, None] + np.arange((last - first).max(initial=0))
            found.append(np.where(places < last[:, None], places, -1))
        return found
    _, sizes, kernel, stride, padding, dilation, outs = plan
    for size, k, s, p, d, out in zip(sizes, kernel, stride, padding, dilation, outs, strict=True):
        places = np.arange(out)[:, None] * s - p + np.arange(k) * d
        found.append(np.where((places >= 0) & (places < size), places, -1))
    return found


@functools.lru_cache(maxsize=128)
def table(plan: Plan) -> Any:
    """Return the flat places [outputs, window] that each window covers, in order, and then -1."""
    total = np.zeros((1, 1), np.int64)
    for size, places in zip(plan[1], _starts(plan), strict=True):
        outside = (total[:, None, :, None] < 0) | (places[None, :, None, :] < 0)
        both = np.where(outside, -1, total[:, None, :, None] * size + places[None, :, None, :])
        total = both.reshape(both.shape[0] * both.shape[1], both.shape[2] * both.shape[3])
    order = np.argsort(total < 0, axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(total, order, 1))


def covers(plan: Plan) -> bool:
    """Return whether no window lies in the padding altogether."""
    return all((places >= 0).any(1).all() for places in _starts(plan))


def _kernel(n: int, size: int, dtype: Any) -> Any:
    """Return the compiled kernels where they pay; not for the single run of a capture, whose program has kernels of its own."""
    if current().recorder is not None or n < 16 or size < ENOUGH or dtype not in (np.float32, np.float64):
        return None
    return kernels()


@functools.lru_cache(maxsize=128)
def _covered(plan: Plan) -> tuple[Any, bool]:
    """Return how many places of each window are inside, and whether every place is in exactly one window."""
    windows = table(plan)
    inside = windows[windows >= 0]
    return (windows >= 0).sum(1), len(inside) == prod(plan[1]) == len(np.unique(inside))


def _inner(x: Any) -> Any:
    """Return [sample, channel, *dims] as contiguous [channel, place, sample]."""
    turned = samples_last(x)
    if x.flags.c_contiguous and x.flags.writeable and not turned.flags.c_contiguous and x.dtype.kind == "f":
        return kernels().inner(x.reshape(*x.shape[:2], -1))
    return np.ascontiguousarray(turned).reshape(x.shape[1], -1, x.shape[0])


def _outer(a: Any, sizes: tuple[int, ...]) -> Any:
    """Undo :func:`_inner`, without copying."""
    return samples_first(a.reshape(a.shape[0], *sizes, a.shape[2]))


def largest(x: Any, plan: Plan, floor: float = -np.inf) -> tuple[Any, Any]:
    """Return the largest element of each window, at least `floor`, and its number in the window (the first at ties)."""
    windows, out = table(plan), plan[-1]
    n, c = x.shape[:2]
    small = np.uint8 if windows.shape[1] <= 256 else np.int32
    pool = _kernel(n, x.size, x.dtype)
    if pool is not None:
        best = np.empty((c, len(windows), n), x.dtype)
        which = np.empty(best.shape, small)
        pool.max_pool(_inner(x), windows, _covered(plan)[0], floor, best, which)
        return _outer(best, out), _outer(which, out)
    lowest = floor if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    if not windows.size:  # no window, or windows of nothing
        return np.empty((n, c, *out), x.dtype), np.empty((n, c, *out), small)
    seen = np.where(windows >= 0, x.reshape(n, c, prod(x.shape[2:]))[:, :, windows], x.dtype.type(lowest))
    if floor > -np.inf:
        np.maximum(seen, x.dtype.type(floor), out=seen)
    found = seen.argmax(-1)
    best = np.take_along_axis(seen, found[..., None], -1)
    return best.reshape(n, c, *out), found.astype(small).reshape(n, c, *out)


def places(which: Any, plan: Plan) -> Any:
    """Return the flat places of the elements with these numbers in their windows."""
    windows, shape = table(plan), which.shape
    return windows[np.arange(len(windows)), which.reshape(*shape[:2], prod(shape[2:]))].reshape(shape)


def take(x: Any, which: Any, plan: Plan) -> Any:
    """Return the elements with these numbers in their windows."""
    return pick(x, places(which, plan))


def put(g: Any, which: Any, plan: Plan) -> Any:
    """Return zeros with g added at the elements with these numbers in their windows: the transpose of :func:`take`."""
    n, sizes = g.shape[0], plan[1]
    pool = _kernel(n, n * g.shape[1] * prod(sizes), g.dtype)
    if pool is not None:
        out = np.empty((g.shape[1], prod(sizes), n), g.dtype)
        counts, once = _covered(plan)
        pool.put(_inner(g), _inner(which), table(plan), counts, out, once)
        return _outer(out, sizes)
    return place(g, places(which, plan), sizes)


def conv_largest(
    x: Any, w: Any, b: Any, sizes: tuple[int, ...], settings: convs.Settings, plan: Plan, floor: float
) -> tuple[Any, Any]:
    """Return :func:`largest` of a convolution, which is not kept where a kernel computes both."""
    windows = table(plan)
    done = convs.try_conv(x, w, b, sizes, settings, (windows.reshape(-1), _covered(plan)[0], windows.shape[1], floor))
    if done is None:
        return largest(convs.conv(x, w, b, sizes, settings), plan, floor)
    best, which = done
    return _outer(best, plan[-1]), _outer(which, plan[-1])


def _choice(g: Any, which: Any, plan: Plan) -> convs.Choice:
    windows = table(plan)
    counts, once = _covered(plan)
    return convs.Choice(g, which, plan[1], (windows.reshape(-1), counts, windows.shape[1], once))


def input_put(g: Any, which: Any, w: Any, plan: Plan, sizes: tuple[int, ...], settings: convs.Settings) -> Any:
    """Return the gradient of a convolution's input from that of its max pooling: ``conv_input(put(g, which), w)``."""
    done = convs.try_input(_choice(g, which, plan), w, sizes, settings)
    return convs.conv_input(put(g, which, plan), w, sizes, settings) if done is None else done


def weight_put(g: Any, which: Any, x: Any, plan: Plan, kernel: tuple[int, ...], settings: convs.Settings) -> Any:
    """Return the gradient of a convolution's weight from that of its max pooling: ``conv_weight(put(g, which), x)``."""
    done = convs.try_weight(_choice(g, which, plan), x, kernel, settings)
    return convs.conv_weight(put(g, which, plan), x, kernel, settings) if done is None else done


def pick(x: Any, at: Any) -> Any:
    """Return the elements at flat places `at`."""
    n, c = x.shape[:2]
    return np.take_along_axis(x.reshape(n, c, prod(x.shape[2:])), at.reshape(n, c, prod(at.shape[2:])), 2).reshape(
        at.shape
    )


def place(g: Any, at: Any, sizes: tuple[int, ...]) -> Any:
    """Return zeros of [sample, channel, *sizes] with g added at flat places `at`."""
    n, c = g.shape[:2]
    size = prod(sizes)
    start = np.arange(n * c, dtype=np.int64)[:, None] * size
    spots = (at.reshape(n * c, prod(at.shape[2:])) + start).reshape(-1)
    total = np.bincount(spots, weights=g.reshape(-1), minlength=n * c * size)
    return total.astype(g.dtype).reshape(n, c, *sizes)


@functools.lru_cache(maxsize=128)
def _shares(plan: Plan, with_padding: bool, divisor: int | None) -> Any:
    """Return one over the number of elements that each window's mean divides by, of shape [*out]."""
    _, sizes, kernel, stride, padding, _, outs = plan
    if divisor is not None:
        return np.full(outs, 1 / divisor)
    count = np.ones(())
    for size, k, s, p, out in zip(sizes, kernel, stride, padding, outs, strict=True):
        first = np.arange(out) * s - p
        last = np.minimum(first + k, size + p)
        each = last - first if with_padding else np.minimum(last, size) - np.maximum(first, 0)
        count = count[..., None] * each
    return 1 / count


def _slices(plan: Plan) -> tuple[tuple[int, ...], list[tuple[slice, ...]]]:
    """Return the padded sizes that all windows fit in, and for each tap the places it reads."""
    _, sizes, kernel, stride, padding, _, outs = plan
    full = tuple(
        max((o - 1) * s + k, n + p) for n, k, s, p, o in zip(sizes, kernel, stride, padding, outs, strict=True)
    )
    taps = [
        tuple(slice(q, q + (o - 1) * s + 1, s) for q, o, s in zip(tap, outs, stride, strict=True))
        for tap in np.ndindex(*kernel)
    ]
    return full, taps


def average(x: Any, plan: Plan, with_padding: bool, divisor: int | None) -> Any:
    """Return the mean over each window."""
    _, sizes, _, _, padding, _, _ = plan
    full, taps = _slices(plan)
    if full != sizes:
        widths = [(p, f - p - n) for p, f, n in zip(padding, full, sizes, strict=True)]
        x = np.pad(x, ((0, 0), (0, 0), *widths))
    both = (slice(None), slice(None))
    out = x[(*both, *taps[0])].copy("K")
    for tap in taps[1:]:
        out += x[(*both, *tap)]
    share = _shares(plan, with_padding, divisor)
    if x.dtype.kind != "f":
        return np.trunc(out * share).astype(x.dtype)
    out *= share.astype(x.dtype)
    return out


def average_back(g: Any, plan: Plan, with_padding: bool, divisor: int | None) -> Any:
    """Return the transpose of :func:`average`, applied to g."""
    _, sizes, _, _, padding, _, _ = plan
    full, taps = _slices(plan)
    g = g * _shares(plan, with_padding, divisor).astype(g.dtype)
    out = np.zeros((*g.shape[:2], *full), g.dtype)
    for tap in taps:
        out[(slice(None), slice(None), *tap)] += g
    if full == sizes:
        return out
    kept = (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(padding, sizes, strict=True)))
    return np.ascontiguousarray(out[kept])
