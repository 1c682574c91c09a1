"""Pooling with the batch innermost: windows are compared for many samples at once."""

from __future__ import annotations

from typing import Any

from numba import njit

from ..threads import run_parts

__all__ = ["max_pool", "put"]


@njit(error_model="numpy", nogil=True, cache=True)
def _max_pool(x: Any, windows: Any, out: Any, at: Any, start: int, stop: int) -> None:
    """`windows` lists, for each output place, the places of its window (-1: outside)."""
    _, places, n = out.shape
    for task in range(start, stop):
        c = task // places
        place = task - c * places
        best, where = out[c, place], at[c, place]
        started = False
        for k in range(windows.shape[1]):
            source = windows[place, k]
            if source < 0:
                continue
            row = x[c, source]
            if not started:
                started = True
                for m in range(n):
                    best[m] = row[m]
                    where[m] = source
            else:
                for m in range(n):
                    v = row[m]
                    b = best[m]
                    wins = (v > b) | (v != v)
                    best[m] = v if wins else b
                    where[m] = source if wins else where[m]


@njit(error_model="numpy", nogil=True, cache=True)
def _put(g: Any, at: Any, out: Any, start: int, stop: int) -> None:
    _, places, n = g.shape
    for c in range(start, stop):
        mine = out[c]
        mine[:] = 0
        for place in range(places):
            row, where = g[c, place], at[c, place]
            for m in range(n):
                mine[where[m], m] += row[m]


def max_pool(x: Any, windows: Any, out: Any, at: Any) -> None:
    """Write the largest element of each window, and its place, for ``x[channel, place, sample]``."""
    _max_pool(x, windows, out, at, 0, 0)  # compiles before threads start
    run_parts(lambda start, stop: _max_pool(x, windows, out, at, start, stop), out.shape[0] * out.shape[1])


def put(g: Any, at: Any, out: Any) -> None:
    """Write ``out[c, at[c, p, n], n] += g[c, p, n]`` into zeros."""
    _put(g, at, out, 0, 0)  # compiles before threads start
    run_parts(lambda start, stop: _put(g, at, out, start, stop), len(g))
