"""Convolution on arrays, in any number of dims: the sum over taps, its transpose, and the gradient of its weight.

Two forms: NumPy's (columns of windows times a matrix, in BLAS), which is the reference, and Numba's kernels with the
batch innermost, taken where there is enough work and the rows are long enough. The kernels' results lie in memory as
[channel, *dims, sample]; elementwise operations keep that order, so a network of convolutions seldom reorders.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from . import _conv_tables as tables

__all__ = [
    "Choice", "Settings", "conv", "conv_input", "conv_weight", "kernels", "out_size", "try_conv", "try_input", "try_weight",
]  # fmt: skip

Settings = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]  # stride, padding, dilation, groups

ENOUGH = 2_000_000  # multiplications from which a kernel pays for its start
LARGEST = 1 << 22  # elements of the channels of a few samples that are packed
BLOCK = 1 << 22  # elements of a matrix of columns at a time


class Choice:
    """A gradient [sample, channel, *dims] that is 0 but where a max pooling chose, to be written out by a kernel.

    `values` and `which` have an element for each window; see ``convolve.correlate`` for `windows`.
    """

    __slots__ = ("dtype", "itemsize", "shape", "values", "which", "windows")

    def __init__(self, values: Any, which: Any, sizes: tuple[int, ...], windows: tuple[Any, Any, int, bool]) -> None:
        self.values, self.which, self.windows = values, which, windows
        self.shape: tuple[int, ...] = (*values.shape[:2], *sizes)
        self.dtype, self.itemsize = values.dtype, values.itemsize

    def given(self) -> tuple[Any, tuple[Any, ...]]:
        """Return the values as one row, and how to fetch from them."""
        rows = [np.ascontiguousarray(tables.samples_last(a)).reshape(-1) for a in (self.values, self.which)]
        return rows[0], (rows[1], *self.windows)


@functools.cache
def kernels() -> Any:
    """Return the compiled kernels, or None where Numba is missing.

    The import goes upwards, to a room above this one, and is therefore made here, at the call: NumPy alone cannot
    multiply few channels at a useful speed, and without the kernels everything still works.
    """
    from ..compiler import convolve

    return convolve if convolve.available() else None


def out_size(size: int, k: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many windows fit."""
    return (size + 2 * padding - dilation * (k - 1) - 1) // stride + 1


def _worth(n: int, places: int, w_shape: tuple[int, ...], dtypes: Any) -> bool:
    """Whether there is enough work; a single tap with many channels is a matrix product already."""
    if n * places * prod(w_shape) < ENOUGH or (prod(w_shape[2:]) == 1 and prod(w_shape[:2]) >= 256):
        return False
    x, w = dtypes
    return x == w and x in (np.float32, np.float64) and kernels() is not None


def _rounded(n: int, tile: int) -> int:
    return -(-n // tile) * tile


def _form(n: int, tile: int, elements: int, row: int, packed: int, rows: int) -> str:
    """Return which layout costs less, of those that are possible; `row` is the length of a row, or 0."""
    can_pack = n >= tile and elements * tile <= LARGEST
    if row >= 64 and not (can_pack and _rounded(n, tile) * packed <= rows):
        return "rows"
    return "packed" if can_pack else ""


def _full(sizes: tuple[int, ...], padding: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(s + 2 * p for s, p in zip(sizes, padding, strict=True))


def _padded(x: Any, padding: tuple[int, ...]) -> Any:
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def _inner(x: Any, padding: tuple[int, ...]) -> Any:
    """Return [sample, channel, *dims] as contiguous [channel, *padded dims, sample]."""
    turned = tables.samples_last(x)
    if not any(padding):
        return np.ascontiguousarray(turned)
    sizes = [s + 2 * p for s, p in zip(x.shape[2:], padding, strict=True)]
    out = np.zeros((x.shape[1], *sizes, x.shape[0]), x.dtype)
    out[(slice(None), *(slice(p, p + s) for s, p in zip(x.shape[2:], padding, strict=True)))] = turned
    return out


def _correlated(
    x: Any,
    w: Any,
    b: Any,
    geometry: tables.Geometry,
    groups: int,
    row: int,
    pool: tuple[Any, Any, int, float] | None = None,
) -> Any:
    """Return the convolution that a geometry describes, of x [sample, channel, *] with w [o, channel / groups, *].

    The result lies as [o, *, sample]; None if there is no fitting kernel. `row`: the length of a row, 0 for none.
    With `pool` (windows, counts, their width, a least result) it is the largest of each window, [o, window, sample],
    and its number.
    """
    sizes, kernel, out, _, padding, _, transposed = geometry
    n, per = x.shape[0], w.shape[1]
    zeros_count = (transposed or any(padding)) and not np.isfinite(w).all()  # 0 · inf is not 0
    row = 0 if transposed and zeros_count else row
    tile = kernels().BYTES // x.itemsize
    whole = prod(out[:-1]) * prod(kernel) * _rounded(row, tile)
    reach = tables.reach(geometry) if n >= tile else 0
    form = _form(n, tile, per * prod(sizes), row, reach, whole)
    chosen = isinstance(x, Choice)
    if not form or ((chosen or pool is not None) and (form == "rows" or zeros_count)):
        return None
    lies: tuple[int, ...]
    length, fetch = n, None
    if chosen:
        flat, fetch = x.given()
        lies, where, places = (0, 0, 0), tables.inside(sizes, (0,) * len(sizes)), prod(sizes)
        table = tables.table(geometry, tile)
    elif form == "rows":
        flat, lies, table = _rows(x, geometry)
        where, places, length = tables.NOWHERE, 0, row
    else:
        flat, lies = tables.flat(x)
        where, places = tables.inside(sizes, (0,) * len(sizes)), prod(sizes)
        if zeros_count and not transposed:
            full = _full(sizes, padding)
            geometry = (full, *geometry[1:4], (0,) * len(full), geometry[5], False)
            where, places = tables.inside(sizes, padding), prod(full)
        table = tables.table(geometry, tile)
    bias = np.zeros(w.shape[0], x.dtype) if b is None else b
    pieces = w.reshape(groups, -1, per, prod(kernel))
    given = flat, (*lies, places), where, table, pieces, bias
    if pool is None:
        result = np.empty((w.shape[0], *out, n), x.dtype)
        kernels().correlate(*given, result.reshape(-1), length, fetch)
        return tables.samples_first(result)
    windows, counts, width, floor = pool
    best = np.empty((w.shape[0], len(counts), n), x.dtype)
    which = np.empty(best.shape, np.uint8 if width <= 256 else np.int32)
    chooses = which.reshape(-1), windows, counts, width, x.dtype.type(floor)
    kernels().correlate(*given, best.reshape(-1), length, fetch, chooses)
    return best, which


def _rows(x: Any, geometry: tables.Geometry) -> tuple[Any, tuple[int, ...], Any]:
    """Return the padded input in whole rows, how it lies, and the table."""
    _, kernel, out, stride, padding, dilation, transposed = geometry
    inner = _surrounded(x, out, kernel, padding, dilation) if transposed else _inner(x, padding)
    n = x.shape[0]
    table = tables.rows_table(inner.shape[1:-1], kernel, dilation, out, stride, n, transposed)
    return inner.reshape(-1), (prod(inner.shape[1:]), n, 1), table


def _windows(
    x: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], out: tuple[int, ...]
) -> Any:
    """Return a view [sample, channel, *kernel, *out] of the padded input."""
    steps = x.strides[2:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:2], *kernel, *out),
        (
            *x.strides[:2],
            *(s * d for s, d in zip(steps, dilation, strict=True)),
            *(s * t for s, t in zip(steps, stride, strict=True)),
        ),
        writeable=False,
    )


def _blocks(n: int, each: int) -> list[slice]:
    step = max(1, min(n, BLOCK // max(each, 1)))
    return [slice(k, min(k + step, n)) for k in range(0, n, step)]


def try_conv(x: Any, w: Any, b: Any, out: tuple[int, ...], settings: Settings, pool: Any = None) -> Any:
    """Return :func:`conv` from a kernel, or None if there is no fitting one; `pool`: see :func:`_correlated`."""
    stride, padding, dilation, groups = settings
    n = x.shape[0]
    if not _worth(n, prod(out), w.shape, (x.dtype, w.dtype)):
        return None
    geometry = (x.shape[2:], w.shape[2:], out, stride, padding, dilation, False)
    return _correlated(x, w, b, geometry, groups, n * out[-1] if stride[-1] == 1 else 0, pool)


def conv(x: Any, w: Any, b: Any, out: tuple[int, ...], settings: Settings) -> Any:
    """Return ``y[n, o, i] = b[o] + Σ_{c, k} w[o, c, k] x[n, c, i·stride + k·dilation - padding]`` for i in `out`."""
    done = try_conv(x, w, b, out, settings)
    if done is not None:
        return done
    stride, padding, dilation, groups = settings
    kernel = w.shape[2:]
    n, o = x.shape[0], w.shape[0]
    result = np.empty((n, o, *out), np.result_type(x, w))
    xp = _padded(x, padding)
    per, each = x.shape[1] // groups, o // groups
    flat = w.reshape(groups, each, per * prod(kernel))
    for some in _blocks(n, prod(out) * prod(kernel) * x.shape[1]):
        view = _windows(xp[some], kernel, stride, dilation, out)
        for k in range(groups):
            cols = view[:, k * per : (k + 1) * per].reshape(len(view), per * prod(kernel), prod(out))
            result[some, k * each : (k + 1) * each] = np.matmul(flat[k], cols).reshape(len(view), each, *out)
    if b is not None:
        result += b.reshape(-1, *(1,) * len(out))
    return result


def _surrounded(
    g: Any, sizes: tuple[int, ...], kernel: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Any:
    """Return g as [channel, *, sample], with the zeros around it that make the transposed convolution a plain one."""
    lengths = [s + (k - 1) * d for s, k, d in zip(sizes, kernel, dilation, strict=True)]
    buffer = np.zeros((g.shape[1], *lengths, g.shape[0]), g.dtype)
    into, take = [slice(None)], [slice(None)]
    for have, length, k, p, d in zip(g.shape[2:], lengths, kernel, padding, dilation, strict=True):
        shift = (k - 1) * d - p
        start, first = max(0, shift), max(0, -shift)
        count = max(0, min(have - first, length - start))
        into.append(slice(start, start + count))
        take.append(slice(first, first + count))
    buffer[tuple(into)] = tables.samples_last(g)[tuple(take)]
    return buffer


def try_input(g: Any, w: Any, sizes: tuple[int, ...], settings: Settings) -> Any:
    """Return :func:`conv_input` of an array or a :class:`Choice` from a kernel, or None if there is no fitting one."""
    stride, padding, dilation, groups = settings
    kernel, n, per = w.shape[2:], g.shape[0], w.shape[1]
    if not _worth(n, prod(g.shape[2:]), w.shape, (g.dtype, w.dtype)):
        return None
    turned = w.reshape(groups, -1, per, *kernel).swapaxes(1, 2).reshape(groups * per, -1, *kernel)
    geometry = (g.shape[2:], kernel, sizes, stride, padding, dilation, True)
    return _correlated(g, turned, None, geometry, groups, n * sizes[-1] if prod(stride) == 1 else 0)


def conv_input(g: Any, w: Any, sizes: tuple[int, ...], settings: Settings) -> Any:
    """Return the transpose of :func:`conv` in its input, applied to g: a sum over taps into dims `sizes`."""
    done = try_input(g, w, sizes, settings)
    if done is not None:
        return done
    stride, padding, dilation, groups = settings
    kernel, n, o = w.shape[2:], g.shape[0], w.shape[0]
    per, each = w.shape[1], o // groups
    full = _full(sizes, padding)
    result = np.zeros((n, groups * per, *full), np.result_type(g, w))
    out = g.shape[2:]
    flat = w.reshape(groups, each, per * prod(kernel))
    grouped = g.reshape(n, groups, each, prod(out))
    for some in _blocks(n, prod(out) * prod(kernel) * groups * per):
        for k in range(groups):
            cols = np.matmul(flat[k].T, grouped[some, k]).reshape(some.stop - some.start, per, *kernel, *out)
            piece = result[some, k * per : (k + 1) * per]
            for tap in np.ndindex(*kernel):
                at = tuple(
                    slice(q * d, q * d + (m - 1) * t + 1, t)
                    for q, d, m, t in zip(tap, dilation, out, stride, strict=True)
                )
                piece[(slice(None), slice(None), *at)] += cols[(slice(None), slice(None), *tap)]
    if not any(padding):
        return result
    return np.ascontiguousarray(
        result[(slice(None), slice(None), *(slice(p, p + s) for p, s in zip(padding, sizes, strict=True)))]
    )


def try_weight(g: Any, x: Any, kernel: tuple[int, ...], settings: Settings) -> Any:
    """Return :func:`conv_weight` of an array or a :class:`Choice` from a kernel, or None if there is no fitting one."""
    stride, padding, dilation, groups = settings
    n, o, out = g.shape[0], g.shape[1], g.shape[2:]
    full = _full(x.shape[2:], padding)
    per, each = x.shape[1] // groups, o // groups
    if not _worth(n, prod(out), (o, per, *kernel), (g.dtype, x.dtype)) or o * per * prod(kernel) >= 1 << 18:
        return None
    row = n * out[-1] if stride[-1] == 1 else 0
    tile = kernels().BYTES // x.itemsize
    form = _form(n, tile, per * prod(full) + each * prod(out), row, prod(out), n * prod(out))
    rows, chosen = form == "rows", isinstance(g, Choice)
    if not form or (rows and chosen):
        return None
    lies: tuple[int, ...]
    g_lies: tuple[int, ...]
    fetch = None
    if rows:
        inner = _inner(x, padding)
        flat, lies = inner.reshape(-1), (prod(inner.shape[1:]), n, 1)
        g_flat, g_lies = _inner(g, ()).reshape(-1), (prod(out) * n, n, 1)
        where, g_where, scale = tables.NOWHERE, tables.NOWHERE, n
    else:
        flat, lies = tables.flat(x)
        if chosen:
            (g_flat, fetch), g_lies = g.given(), (0, 0, 0)
        else:
            g_flat, g_lies = tables.flat(g)
        where, g_where = tables.inside(x.shape[2:], padding), tables.inside(out, (0,) * len(out))
        scale = min(_rounded(n, tile), tile * -(-64 // prod(out)))
    offsets = tables.weight_taps(full, kernel, dilation, scale, per, kernels().TAPS)
    pieces = tables.pieces(full, out, stride, scale, rows, tile)
    summed = kernels().weight_gradient(
        flat, (*lies, prod(full)), where, g_flat, (*g_lies, prod(out)), g_where, (groups, each, per), n, scale, pieces,
        offsets, fetch,
    )  # fmt: skip
    return summed[..., : per * prod(kernel)].reshape(-1, per, *kernel)


def conv_weight(g: Any, x: Any, kernel: tuple[int, ...], settings: Settings) -> Any:
    """Return the transpose of :func:`conv` in its weight, applied to g: the sum of g times x over samples and places."""
    done = try_weight(g, x, kernel, settings)
    if done is not None:
        return done
    stride, padding, dilation, groups = settings
    n, o, out = g.shape[0], g.shape[1], g.shape[2:]
    per, each = x.shape[1] // groups, o // groups
    xp = _padded(x, padding)
    result = np.zeros((groups, each, per * prod(kernel)), np.result_type(g, x))
    for some in _blocks(n, prod(out) * prod(kernel) * x.shape[1]):
        view = np.moveaxis(_windows(xp[some], kernel, stride, dilation, out), 0, 1 + len(kernel))
        rows_g = np.moveaxis(g[some], 1, 0)
        count = (some.stop - some.start) * prod(out)
        for k in range(groups):
            cols = view[k * per : (k + 1) * per].reshape(per * prod(kernel), count)
            result[k] += rows_g[k * each : (k + 1) * each].reshape(each, count) @ cols.T
    return result.reshape(o, per, *kernel)
