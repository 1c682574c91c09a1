"""Softmax, its logarithm and the logarithm of a sum of exponentials, with their derivatives, in one walk over a row.

Arrays lie as ``[row, n]``, or as ``[outer, n, inner]`` where the dim that is summed is not the last; then columns are
walked side by side. One row is one thread's, in a fixed order, so results do not depend on the number of threads.
A NaN in a row makes the whole row NaN, and so does an infinity that NumPy's form would subtract from itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ...ops._kernels import flat
from ..threads import share_parts
from .intrinsics import as_f4, as_f8, bits_f4, bits_f8, i4, i8
from .jit import kernel
from .scalar import exp_f8, log_f8
from .single import exp_f4

__all__ = ["log_softmax", "log_softmax_back", "logsumexp", "logsumexp_back", "softmax", "softmax_back"]

FAST = {"reassoc", "contract", "nsz"}  # NaN and infinity behave as in NumPy
SOFTMAX, LOG_SOFTMAX, LOGSUMEXP = 0, 1, 2
PIECE = 1024  # elements that are added in their own precision, before their sum joins the others in double
WIDE = 128  # columns that are walked side by side


def _exponential(x):  # type: ignore[no-untyped-def]
    """Exponential, in the precision of x."""
    raise NotImplementedError


_exp: Any = _exponential


@overload(_exp)
def _exp_of(x):  # type: ignore[no-untyped-def]
    return (lambda x: exp_f4(x)) if x == types.float32 else (lambda x: exp_f8(x))


def _largest(row):  # type: ignore[no-untyped-def]
    """Return the largest element, or a NaN (if there is one, any result will do).

    The bits of a number, in the order of the numbers, are compared as integers: machine code may do that side by side.
    """
    raise NotImplementedError


_top: Any = _largest


@kernel()
def _top_f4(row: Any) -> Any:
    best = i4(-2147483648)
    for k in range(row.shape[0]):
        b = bits_f4(row[k])
        key = i4(b ^ i4(i4(b >> i4(31)) & i4(0x7FFFFFFF)))
        best = key if key > best else best
    return as_f4(i4(best ^ i4(i4(best >> i4(31)) & i4(0x7FFFFFFF))))


@kernel()
def _top_f8(row: Any) -> Any:
    best = i8(-0x7FFFFFFFFFFFFFFF)
    for k in range(row.shape[0]):
        b = bits_f8(row[k])
        key = b ^ ((b >> 63) & 0x7FFFFFFFFFFFFFFF)
        best = key if key > best else best
    return as_f8(best ^ ((best >> 63) & 0x7FFFFFFFFFFFFFFF))


@overload(_top)
def _top_of(row):  # type: ignore[no-untyped-def]
    return (lambda row: _top_f4(row)) if row.dtype == types.float32 else (lambda row: _top_f8(row))


@kernel(fastmath=FAST)
def _forward_rows(kind: int, x: Any, out: Any, start: int, stop: int) -> None:
    n = x.shape[1]
    zero = x.dtype.type(0)
    for r in range(start, stop):
        row, to = x[r], out[r]
        top = _top(row)
        if kind == LOGSUMEXP and not np.isfinite(top):
            top = zero
        total = 0.0
        for first in range(0, n, PIECE):
            last = min(first + PIECE, n)
            s = zero
            if kind == SOFTMAX:
                for k in range(first, last):
                    e = _exp(row[k] - top)
                    to[k] = e
                    s += e
            else:
                for k in range(first, last):
                    s += _exp(row[k] - top)
            total += s
        if kind == SOFTMAX:
            whole = x.dtype.type(total)
            for k in range(n):
                to[k] /= whole
        elif kind == LOG_SOFTMAX:
            shift = x.dtype.type(log_f8(total))
            for k in range(n):
                to[k] = (row[k] - top) - shift
        else:
            to[0] = x.dtype.type(log_f8(total) + top)


@kernel(fastmath=FAST)
def _forward_columns(kind: int, x: Any, out: Any, start: int, stop: int) -> None:
    _, n, inner = x.shape
    stripes = (inner + WIDE - 1) // WIDE
    tops, sums = np.empty(WIDE, x.dtype), np.empty(WIDE, x.dtype)
    for task in range(start, stop):
        o = task // stripes
        a = (task - o * stripes) * WIDE
        w = min(WIDE, inner - a)
        z = a + w
        top, total = tops[:w], sums[:w]
        top[:] = -np.inf
        total[:] = 0
        for k in range(n):
            row = x[o, k, a:z]
            for j in range(w):
                top[j] = row[j] if row[j] > top[j] else top[j]
        if kind == LOGSUMEXP:
            for j in range(w):
                if not np.isfinite(top[j]):
                    top[j] = 0
        for k in range(n):
            row = x[o, k, a:z]
            if kind == SOFTMAX:
                there = out[o, k, a:z]
                for j in range(w):
                    e = _exp(row[j] - top[j])
                    there[j] = e
                    total[j] += e
            else:
                for j in range(w):
                    total[j] += _exp(row[j] - top[j])
        if kind == SOFTMAX:
            for k in range(n):
                there = out[o, k, a:z]
                for j in range(w):
                    there[j] /= total[j]
            continue
        for j in range(w):
            total[j] = x.dtype.type(log_f8(np.float64(total[j])))
        if kind == LOG_SOFTMAX:
            for k in range(n):
                row, there = x[o, k, a:z], out[o, k, a:z]
                for j in range(w):
                    there[j] = (row[j] - top[j]) - total[j]
        else:
            there = out[o, 0, a:z]
            for j in range(w):
                there[j] = total[j] + top[j]


@kernel(fastmath=FAST)
def _backward_rows(kind: int, g: Any, y: Any, out: Any, start: int, stop: int) -> None:
    n = y.shape[1]
    zero = y.dtype.type(0)
    for r in range(start, stop):
        into, row, to = g[r], y[r], out[r]
        total = 0.0
        for first in range(0, n, PIECE):
            last = min(first + PIECE, n)
            s = zero
            if kind == SOFTMAX:
                for k in range(first, last):
                    s += into[k] * row[k]
            else:
                for k in range(first, last):
                    s += into[k]
            total += s
        whole = y.dtype.type(total)
        if kind == SOFTMAX:
            for k in range(n):
                to[k] = (into[k] - whole) * row[k]
        else:
            for k in range(n):
                to[k] = into[k] - _exp(row[k]) * whole


@kernel(fastmath=FAST)
def _backward_columns(kind: int, g: Any, y: Any, out: Any, start: int, stop: int) -> None:
    _, n, inner = y.shape
    stripes = (inner + WIDE - 1) // WIDE
    sums = np.empty(WIDE, y.dtype)
    for task in range(start, stop):
        o = task // stripes
        a = (task - o * stripes) * WIDE
        w = min(WIDE, inner - a)
        z = a + w
        total = sums[:w]
        total[:] = 0
        for k in range(n):
            some, row = g[o, k, a:z], y[o, k, a:z]
            if kind == SOFTMAX:
                for j in range(w):
                    total[j] += some[j] * row[j]
            else:
                for j in range(w):
                    total[j] += some[j]
        for k in range(n):
            some, row, there = g[o, k, a:z], y[o, k, a:z], out[o, k, a:z]
            if kind == SOFTMAX:
                for j in range(w):
                    there[j] = (some[j] - total[j]) * row[j]
            else:
                for j in range(w):
                    there[j] = some[j] - _exp(row[j]) * total[j]


@kernel(fastmath=FAST)
def _share_rows(g: Any, x: Any, total: Any, out: Any, start: int, stop: int) -> None:
    for r in range(start, stop):
        row, to, each, whole = x[r], out[r], g[r], total[r]
        for k in range(row.shape[0]):
            to[k] = _exp(row[k] - whole) * each


@kernel(fastmath=FAST)
def _share_columns(g: Any, x: Any, total: Any, out: Any, start: int, stop: int) -> None:
    _, n, inner = x.shape
    for task in range(start, stop):
        o = task // n
        k = task - o * n
        row, to, each, whole = x[o, k], out[o, k], g[o], total[o]
        for j in range(inner):
            to[j] = _exp(row[j] - whole[j]) * each[j]


def _walk(rows: Any, columns: Any, kind: int, *arrays: Any) -> None:
    outer, _, inner = arrays[0].shape
    if inner == 1:
        lines = [a.reshape(a.shape[:2]) for a in arrays]
        rows(kind, *lines, 0, 0)  # compiles before threads start
        share_parts(lambda start, stop: rows(kind, *lines, start, stop), outer, arrays[0].size)
    else:
        columns(kind, *arrays, 0, 0)
        tasks = outer * ((inner + WIDE - 1) // WIDE)
        share_parts(lambda start, stop: columns(kind, *arrays, start, stop), tasks, arrays[0].size)


def _forward(kind: int, x: Any, first: int, last: int) -> Any:
    lies = flat(x, first, last)
    out = np.empty((lies.shape[0], 1, lies.shape[2]) if kind == LOGSUMEXP else lies.shape, x.dtype)
    _walk(_forward_rows, _forward_columns, kind, lies, out)
    return out


def _backward(kind: int, g: Any, y: Any, axis: int) -> Any:
    out = np.empty(y.shape, y.dtype)
    _walk(_backward_rows, _backward_columns, kind, flat(g, axis), flat(y, axis), flat(out, axis))
    return out


def softmax(x: Any, axis: int) -> Any:
    """Return ``exp(x) / Σ exp(x)`` along a dim."""
    return _forward(SOFTMAX, x, axis, axis).reshape(x.shape)


def log_softmax(x: Any, axis: int) -> Any:
    """Return ``x - log Σ exp(x)`` along a dim."""
    return _forward(LOG_SOFTMAX, x, axis, axis).reshape(x.shape)


def logsumexp(x: Any, first: int, last: int) -> Any:
    """Return ``log Σ exp(x)`` over neighbouring dims, without them."""
    return _forward(LOGSUMEXP, x, first, last).reshape(x.shape[:first] + x.shape[last + 1 :])


def softmax_back(g: Any, y: Any, axis: int) -> Any:
    """Return the gradient of softmax, of which y was the result: ``(g - Σ g y) y``."""
    return _backward(SOFTMAX, g, y, axis)


def log_softmax_back(g: Any, y: Any, axis: int) -> Any:
    """Return the gradient of the logarithm of softmax, of which y was the result: ``g - exp(y) Σ g``."""
    return _backward(LOG_SOFTMAX, g, y, axis)


def logsumexp_back(g: Any, x: Any, total: Any, first: int, last: int) -> Any:
    """Return ``g exp(x - total)``, where g and `total` lack the neighbouring dims that were summed."""
    out = np.empty(x.shape, x.dtype)
    lies, to = flat(x, first, last), flat(out, first, last)
    outer, n, inner = lies.shape
    arrays = [
        np.ascontiguousarray(g).reshape(outer, inner),
        lies,
        np.ascontiguousarray(total).reshape(outer, inner),
        to,
    ]
    kernel: Any = _share_columns
    tasks = outer * n
    if inner == 1:
        kernel, tasks = _share_rows, outer
        arrays = [a.reshape(a.shape[: a.ndim - 1]) for a in arrays]
    kernel(*arrays, 0, 0)  # compiles before threads start
    share_parts(lambda start, stop: kernel(*arrays, start, stop), tasks, x.size)
    return out
