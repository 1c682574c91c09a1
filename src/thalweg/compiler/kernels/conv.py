"""Convolution with the batch innermost: every tap is a shifted copy of whole rows, so that any number of channels vectorises.

The input lies as ``[channel, *padded dims, sample]``, flat. A *tap* is one weight of one input channel; its offset
and the offset of an output row say where its row of the input begins. Rows are cut into pieces that stay in the
nearest cache; four (or two, or one) output channels times five taps are written out, so that the weights stay in
registers and each loaded number is used several times. One output is computed by one task in a fixed order, hence
results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..threads import run_parts

__all__ = ["GROUP", "correlate", "weight_gradient"]

FAST = {"reassoc", "contract", "nsz"}  # NaN and infinity behave as in NumPy
PIECE = 512  # elements of a row that are worked on at a time
GROUP = 5  # taps in one pass; their number is filled up with weights of 0
PARTS = 16  # the rows are divided into so many partial weight gradients, whatever the number of threads


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _four(a: Any, x: Any, o: Any, base: int, w: Any, r: int, t: int, n: int) -> None:
    """Add five taps to four output rows."""
    a0, a1, a2, a3 = a[0], a[1], a[2], a[3]
    w00, w01, w02, w03, w04 = w[r, t], w[r, t + 1], w[r, t + 2], w[r, t + 3], w[r, t + 4]
    w10, w11, w12, w13, w14 = w[r + 1, t], w[r + 1, t + 1], w[r + 1, t + 2], w[r + 1, t + 3], w[r + 1, t + 4]
    w20, w21, w22, w23, w24 = w[r + 2, t], w[r + 2, t + 1], w[r + 2, t + 2], w[r + 2, t + 3], w[r + 2, t + 4]
    w30, w31, w32, w33, w34 = w[r + 3, t], w[r + 3, t + 1], w[r + 3, t + 2], w[r + 3, t + 3], w[r + 3, t + 4]
    s0, s1, s2 = x[base + o[t] :][:n], x[base + o[t + 1] :][:n], x[base + o[t + 2] :][:n]
    s3, s4 = x[base + o[t + 3] :][:n], x[base + o[t + 4] :][:n]
    for m in range(n):
        x0, x1, x2, x3, x4 = s0[m], s1[m], s2[m], s3[m], s4[m]
        a0[m] += w00 * x0 + w01 * x1 + w02 * x2 + w03 * x3 + w04 * x4
        a1[m] += w10 * x0 + w11 * x1 + w12 * x2 + w13 * x3 + w14 * x4
        a2[m] += w20 * x0 + w21 * x1 + w22 * x2 + w23 * x3 + w24 * x4
        a3[m] += w30 * x0 + w31 * x1 + w32 * x2 + w33 * x3 + w34 * x4


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _two(a: Any, x: Any, o: Any, base: int, w: Any, r: int, t: int, n: int) -> None:
    """Add five taps to two output rows."""
    a0, a1 = a[0], a[1]
    w00, w01, w02, w03, w04 = w[r, t], w[r, t + 1], w[r, t + 2], w[r, t + 3], w[r, t + 4]
    w10, w11, w12, w13, w14 = w[r + 1, t], w[r + 1, t + 1], w[r + 1, t + 2], w[r + 1, t + 3], w[r + 1, t + 4]
    s0, s1, s2 = x[base + o[t] :][:n], x[base + o[t + 1] :][:n], x[base + o[t + 2] :][:n]
    s3, s4 = x[base + o[t + 3] :][:n], x[base + o[t + 4] :][:n]
    for m in range(n):
        x0, x1, x2, x3, x4 = s0[m], s1[m], s2[m], s3[m], s4[m]
        a0[m] += w00 * x0 + w01 * x1 + w02 * x2 + w03 * x3 + w04 * x4
        a1[m] += w10 * x0 + w11 * x1 + w12 * x2 + w13 * x3 + w14 * x4


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _one(a: Any, x: Any, o: Any, base: int, w: Any, r: int, t: int, n: int) -> None:
    """Add five taps to one output row."""
    a0 = a[0]
    w00, w01, w02, w03, w04 = w[r, t], w[r, t + 1], w[r, t + 2], w[r, t + 3], w[r, t + 4]
    s0, s1, s2 = x[base + o[t] :][:n], x[base + o[t + 1] :][:n], x[base + o[t + 2] :][:n]
    s3, s4 = x[base + o[t + 3] :][:n], x[base + o[t + 4] :][:n]
    for m in range(n):
        a0[m] += w00 * s0[m] + w01 * s1[m] + w02 * s2[m] + w03 * s3[m] + w04 * s4[m]


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _correlate(x: Any, taps: Any, rows: Any, w: Any, b: Any, out: Any, start: int, stop: int) -> None:
    channels, _, length = out.shape
    pieces = (length + PIECE - 1) // PIECE
    a = np.empty((4, PIECE), x.dtype)
    for task in range(start, stop):
        row = task // pieces
        first = (task - row * pieces) * PIECE
        n = min(PIECE, length - first)
        base = rows[row] + first
        r = 0
        while r < channels:
            k = 4 if channels - r >= 4 else 2 if channels - r >= 2 else 1
            for j in range(k):
                a[j] = b[r + j]
            for t in range(0, taps.shape[0], 5):
                if k == 4:
                    _four(a, x, taps, base, w, r, t, n)
                elif k == 2:
                    _two(a, x, taps, base, w, r, t, n)
                else:
                    _one(a, x, taps, base, w, r, t, n)
            for j in range(k):
                out[r + j, row, first : first + n] = a[j, :n]
            r += k


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _sums(out: Any, x: Any, o: Any, base: int, g: Any, r: int, row: int, first: int, t: int, n: int) -> None:
    """Add to the gradients of two channels times five taps, over one piece of a row."""
    g0, g1 = g[r, row, first : first + n], g[r + 1, row, first : first + n]
    s0, s1, s2 = x[base + o[t] :][:n], x[base + o[t + 1] :][:n], x[base + o[t + 2] :][:n]
    s3, s4 = x[base + o[t + 3] :][:n], x[base + o[t + 4] :][:n]
    z = x.dtype.type(0)
    a0, a1, a2, a3, a4, b0, b1, b2, b3, b4 = z, z, z, z, z, z, z, z, z, z
    for m in range(n):
        p, q = g0[m], g1[m]
        x0, x1, x2, x3, x4 = s0[m], s1[m], s2[m], s3[m], s4[m]
        a0 += p * x0
        a1 += p * x1
        a2 += p * x2
        a3 += p * x3
        a4 += p * x4
        b0 += q * x0
        b1 += q * x1
        b2 += q * x2
        b3 += q * x3
        b4 += q * x4
    a, b = out[r], out[r + 1]
    a[t] += a0
    a[t + 1] += a1
    a[t + 2] += a2
    a[t + 3] += a3
    a[t + 4] += a4
    b[t] += b0
    b[t + 1] += b1
    b[t + 2] += b2
    b[t + 3] += b3
    b[t + 4] += b4


@njit(fastmath=FAST, error_model="numpy", cache=True)
def _sums_one(out: Any, x: Any, o: Any, base: int, g: Any, r: int, row: int, first: int, t: int, n: int) -> None:
    """Add to the gradients of one channel times five taps, over one piece of a row."""
    g0 = g[r, row, first : first + n]
    s0, s1, s2 = x[base + o[t] :][:n], x[base + o[t + 1] :][:n], x[base + o[t + 2] :][:n]
    s3, s4 = x[base + o[t + 3] :][:n], x[base + o[t + 4] :][:n]
    z = x.dtype.type(0)
    a0, a1, a2, a3, a4 = z, z, z, z, z
    for m in range(n):
        p = g0[m]
        a0 += p * s0[m]
        a1 += p * s1[m]
        a2 += p * s2[m]
        a3 += p * s3[m]
        a4 += p * s4[m]
    a = out[r]
    a[t] += a0
    a[t + 1] += a1
    a[t + 2] += a2
    a[t + 3] += a3
    a[t + 4] += a4


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _weight_gradient(x: Any, taps: Any, rows: Any, g: Any, partial: Any, start: int, stop: int) -> None:
    channels, n_rows, length = g.shape
    pieces = (length + PIECE - 1) // PIECE
    tasks = n_rows * pieces
    parts = partial.shape[0]
    for part in range(start, stop):
        mine = partial[part]
        for task in range(part * tasks // parts, (part + 1) * tasks // parts):
            row = task // pieces
            first = (task - row * pieces) * PIECE
            n = min(PIECE, length - first)
            base = rows[row] + first
            for r in range(0, channels - 1, 2):
                for t in range(0, taps.shape[0], 5):
                    _sums(mine, x, taps, base, g, r, row, first, t, n)
            if channels % 2:
                for t in range(0, taps.shape[0], 5):
                    _sums_one(mine, x, taps, base, g, channels - 1, row, first, t, n)


def correlate(x: Any, taps: Any, rows: Any, w: Any, b: Any, out: Any) -> None:
    """Write ``out[o, r, m] = b[o] + Σ_t w[o, t] x[taps[t] + rows[r] + m]``; the taps are a multiple of GROUP."""
    tasks = len(rows) * ((out.shape[2] + PIECE - 1) // PIECE)
    _correlate(x, taps, rows, w, b, out, 0, 0)  # compiles before threads start
    run_parts(lambda start, stop: _correlate(x, taps, rows, w, b, out, start, stop), tasks)


def weight_gradient(x: Any, taps: Any, rows: Any, g: Any) -> Any:
    """Return ``Σ_{r, m} g[o, r, m] x[taps[t] + rows[r] + m]``, of shape [o, t]."""
    partial = np.zeros((min(PARTS, max(g.shape[1], 1)), g.shape[0], taps.shape[0]), x.dtype)
    _weight_gradient(x, taps, rows, g, partial, 0, 0)  # compiles before threads start
    run_parts(lambda start, stop: _weight_gradient(x, taps, rows, g, partial, start, stop), len(partial))
    return partial.sum(axis=0)
