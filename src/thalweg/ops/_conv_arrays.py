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

__all__ = ["Settings", "conv", "conv_input", "conv_weight", "kernels", "out_size"]

Settings = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]  # stride, padding, dilation, groups

ENOUGH = 2_000_000  # multiplications from which a kernel pays for its start
BLOCK = 1 << 22  # elements of a matrix of columns at a time


@functools.cache
def kernels() -> Any:
    """Return the compiled kernels, or None where Numba is missing.

    The import goes upwards, to a room above this one, and is therefore made here, at the call: NumPy alone cannot
    multiply few channels at a useful speed, and without the kernels everything still works.
    """
    try:
        from ..compiler.kernels import conv
    except ImportError:
        return None
    return conv


def out_size(size: int, k: int, stride: int, padding: int, dilation: int) -> int:
    """Return how many windows fit."""
    return (size + 2 * padding - dilation * (k - 1) - 1) // stride + 1


def _worth(n: int, out: tuple[int, ...], w_shape: tuple[int, ...], stride: tuple[int, ...], dtype: Any) -> bool:
    """Whether a kernel is faster than BLAS: enough work, rows that are long, and more than one tap per channel.

    With a stride, rows are as long as the batch only; a single tap with many channels is a matrix product already.
    """
    row, least = (n * out[-1], 64) if stride[-1] == 1 else (n, 256)
    if row < least or n * prod(out) * prod(w_shape) < ENOUGH or (prod(w_shape[2:]) == 1 and prod(w_shape[:2]) >= 256):
        return False
    return dtype.kind == "f" and kernels() is not None


def _padded(x: Any, padding: tuple[int, ...]) -> Any:
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def _inner(x: Any, padding: tuple[int, ...]) -> Any:
    """Return [sample, channel, *dims] as contiguous [channel, *padded dims, sample]."""
    turned = np.moveaxis(x, 0, -1)
    if not any(padding):
        return np.ascontiguousarray(turned)
    sizes = [s + 2 * p for s, p in zip(x.shape[2:], padding, strict=True)]
    out = np.zeros((x.shape[1], *sizes, x.shape[0]), x.dtype)
    out[(slice(None), *(slice(p, p + s) for s, p in zip(x.shape[2:], padding, strict=True)))] = turned
    return out


@functools.lru_cache(maxsize=256)
def _offsets(
    channels: int,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    dilation: tuple[int, ...],
    stride: tuple[int, ...],
    out: tuple[int, ...],
    n: int,
    flipped: bool,
) -> tuple[Any, Any]:
    """Return where the taps, and where the output rows, begin in a flat [channel, *sizes, n]."""
    steps = [prod(sizes[k + 1 :]) * n for k in range(len(sizes))]
    taps = np.arange(channels, dtype=np.int64) * (prod(sizes) * n)
    for k, (width, d) in enumerate(zip(kernel, dilation, strict=True)):
        places = np.arange(width, dtype=np.int64) * (d * steps[k])
        taps = taps[..., None] + (places[::-1] if flipped else places)
    taps = taps.reshape(-1)
    taps = np.concatenate([taps, np.zeros(-len(taps) % 5, np.int64)])
    joined = stride[-1] == 1  # then a whole row of outputs reads a whole row of inputs
    rows = np.zeros((), np.int64)
    for k in range(len(sizes) - joined):
        rows = rows[..., None] + np.arange(out[k], dtype=np.int64) * (stride[k] * steps[k])
    return taps, rows.reshape(-1)


def _filled(w: Any, taps: int) -> Any:
    """Return weights [o, …] as a matrix whose rows are filled up with zeros to the number of taps."""
    flat = w.reshape(w.shape[0], -1)
    if flat.shape[1] == taps:
        return np.ascontiguousarray(flat)
    out = np.zeros((w.shape[0], taps), w.dtype)
    out[:, : flat.shape[1]] = flat
    return out


def _correlated(
    inner: Any, w: Any, b: Any, out: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    groups: int, flipped: bool,
) -> Any:  # fmt: skip
    """Return the convolution of [channel, *sizes, sample] with w [o, channel / groups, *kernel], in the same order."""
    n = inner.shape[-1]
    per, o = inner.shape[0] // groups, w.shape[0] // groups
    taps, rows = _offsets(per, inner.shape[1:-1], w.shape[2:], dilation, stride, out, n, flipped)
    result = np.empty((w.shape[0], len(rows), prod(out) * n // max(len(rows), 1)), inner.dtype)
    bias = np.zeros(w.shape[0], inner.dtype) if b is None else b
    for k in range(groups):
        some = slice(k * o, (k + 1) * o)
        piece = inner[k * per : (k + 1) * per].reshape(-1)
        kernels().correlate(piece, taps, rows, _filled(w[some], len(taps)), bias[some], result[some])
    return np.moveaxis(result.reshape(w.shape[0], *out, n), -1, 0)


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


def conv(x: Any, w: Any, b: Any, out: tuple[int, ...], settings: Settings) -> Any:
    """Return ``y[n, o, i] = b[o] + Σ_{c, k} w[o, c, k] x[n, c, i·stride + k·dilation - padding]`` for i in `out`."""
    stride, padding, dilation, groups = settings
    kernel = w.shape[2:]
    n, o = x.shape[0], w.shape[0]
    if _worth(n, out, w.shape, stride, x.dtype):
        return _correlated(_inner(x, padding), w, b, out, stride, dilation, groups, False)
    result = np.empty((n, o, *out), np.result_type(x, w))
    xp = _padded(x, padding)
    per, each = x.shape[1] // groups, o // groups
    flat = w.reshape(groups, each, -1)
    for some in _blocks(n, prod(out) * prod(kernel) * x.shape[1]):
        view = _windows(xp[some], kernel, stride, dilation, out)
        for k in range(groups):
            cols = view[:, k * per : (k + 1) * per].reshape(-1, per * prod(kernel), prod(out))
            result[some, k * each : (k + 1) * each] = np.matmul(flat[k], cols).reshape(-1, each, *out)
    if b is not None:
        result += b.reshape(-1, *(1,) * len(out))
    return result


def _surrounded(g: Any, sizes: tuple[int, ...], kernel: tuple[int, ...], settings: Settings) -> Any:
    """Return g as [channel, *, sample], with the zeros around it that make the transposed convolution a plain one."""
    _, padding, dilation, _ = settings
    lengths = [s + (k - 1) * d for s, k, d in zip(sizes, kernel, dilation, strict=True)]
    buffer = np.zeros((g.shape[1], *lengths, g.shape[0]), g.dtype)
    into, take = [slice(None)], [slice(None)]
    for have, length, k, p, d in zip(g.shape[2:], lengths, kernel, padding, dilation, strict=True):
        shift = (k - 1) * d - p
        start, first = max(0, shift), max(0, -shift)
        count = max(0, min(have - first, length - start))
        into.append(slice(start, start + count))
        take.append(slice(first, first + count))
    buffer[tuple(into)] = np.moveaxis(g, 0, -1)[tuple(take)]
    return buffer


def conv_input(g: Any, w: Any, sizes: tuple[int, ...], settings: Settings) -> Any:
    """Return the transpose of :func:`conv` in its input, applied to g: a sum over taps into dims `sizes`."""
    stride, padding, dilation, groups = settings
    kernel, n, o = w.shape[2:], g.shape[0], w.shape[0]
    per, each = w.shape[1], o // groups
    if prod(stride) == 1 and _worth(n, sizes, w.shape, stride, g.dtype):
        turned = w.reshape(groups, each, per, *kernel).swapaxes(1, 2).reshape(groups * per, each, *kernel)
        one = (1,) * len(kernel)
        return _correlated(_surrounded(g, sizes, kernel, settings), turned, None, sizes, one, dilation, groups, True)
    full = tuple(s + 2 * p for s, p in zip(sizes, padding, strict=True))
    result = np.zeros((n, groups * per, *full), np.result_type(g, w))
    out = g.shape[2:]
    flat = w.reshape(groups, each, -1)
    grouped = g.reshape(n, groups, each, -1)
    for some in _blocks(n, prod(out) * prod(kernel) * groups * per):
        for k in range(groups):
            cols = np.matmul(flat[k].T, grouped[some, k]).reshape(-1, per, *kernel, *out)
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


def conv_weight(g: Any, x: Any, kernel: tuple[int, ...], settings: Settings) -> Any:
    """Return the transpose of :func:`conv` in its weight, applied to g: the sum of g times x over samples and places."""
    stride, padding, dilation, groups = settings
    n, o, out = g.shape[0], g.shape[1], g.shape[2:]
    per, each = x.shape[1] // groups, o // groups
    if _worth(n, out, (o, per, *kernel), stride, g.dtype) and o * per * prod(kernel) < 1 << 18:
        inner, turned = _inner(x, padding), _inner(g, ())
        taps, rows = _offsets(per, inner.shape[1:-1], kernel, dilation, stride, out, n, False)
        turned = turned.reshape(o, len(rows), -1)
        parts = [
            kernels().weight_gradient(
                inner[k * per : (k + 1) * per].reshape(-1), taps, rows, turned[k * each : (k + 1) * each]
            )[:, : per * prod(kernel)]
            for k in range(groups)
        ]
        return np.concatenate(parts).reshape(o, per, *kernel)
    xp = _padded(x, padding)
    result = np.zeros((groups, each, per * prod(kernel)), np.result_type(g, x))
    for some in _blocks(n, prod(out) * prod(kernel) * x.shape[1]):
        view = np.moveaxis(_windows(xp[some], kernel, stride, dilation, out), 0, 1 + len(kernel))
        rows_g = np.moveaxis(g[some], 1, 0)
        for k in range(groups):
            cols = view[k * per : (k + 1) * per].reshape(per * prod(kernel), -1)
            result[k] += rows_g[k * each : (k + 1) * each].reshape(each, -1) @ cols.T
    return result.reshape(o, per, *kernel)
