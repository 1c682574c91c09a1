"""Picking and adding by an index: loops over places, where NumPy first makes arrays of positions.

Arrays lie as ``[outer, n, inner]``, n being the dim that is indexed. An index may count from the end, as NumPy's may;
one that is out of range touches nothing and is counted, and what counted some returns None or False, so that NumPy's
form says what is wrong. Additions to one place are one thread's, in the order of the index: results do not depend on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...ops._kernels import flat
from ..threads import share_parts
from .jit import kernel

__all__ = ["add_along", "add_rows", "gather", "positions", "rows", "triangle", "within"]

_WORDS = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}  # moving needs no arithmetic, so the size of an element decides
PIECE = 1024  # places that are worked on at a time
NARROW = 16  # elements of a row below which copying rows is slower than NumPy's picking of elements
WIDE = 64  # columns of a stripe: it stays in the cache while the index jumps about in it
_INDEXED = 3  # an element and its index of eight bytes, where the memory moved decides about a second thread
_ADDED = (np.dtype(np.float32), np.dtype(np.float64))


@kernel()
def _gather_lines(x: Any, index: Any, out: Any, turn: int, rows: Any, start: int, stop: int) -> int:
    """Pick along the last dim; the parts are rows, or places of the only row. A negative index is taken plus `turn`."""
    n, bad = np.uint64(x.shape[1]), 0
    first, last = (start, stop) if rows else (0, 1)
    a, z = (0, index.shape[1]) if rows else (start, stop)
    for r in range(first, last):
        row, at, to = x[r], index[r][a:z], out[r][a:z]
        for k in range(at.shape[0]):
            i = np.uint64(at[k])  # negative ones are large there, and compared only then
            if i >= n:
                i = np.uint64(at[k] + turn)
                if i >= n:
                    bad += 1
                    continue
            to[k] = row[i]
    return bad


@kernel()
def _gather_columns(x: Any, index: Any, out: Any, turn: int, start: int, stop: int) -> int:
    """Pick along the middle dim, an index for each element; the parts are stripes of columns."""
    _, n, inner = x.shape
    stripes, bad = (inner + WIDE - 1) // WIDE, 0
    for task in range(start, stop):
        o = task // stripes
        a = (task - o * stripes) * WIDE
        z, block = min(a + WIDE, inner), x[o]
        for k in range(index.shape[1]):
            at, to = index[o, k], out[o, k]
            for j in range(a, z):
                i = at[j]
                if i < 0:
                    i += turn
                if i < 0 or i >= n:
                    bad += 1
                else:
                    to[j] = block[i, j]
    return bad


@kernel()
def _copy_rows(x: Any, index: Any, out: Any, start: int, stop: int) -> int:
    """Pick whole rows [inner] along the middle dim, an index for each."""
    n, count, bad = x.shape[1], index.shape[0], 0
    for task in range(start, stop):
        o = task // count
        k = task - o * count
        i = index[k]
        if i < 0:
            i += n
        if i < 0 or i >= n:
            bad += 1
            continue
        row, to = x[o, i], out[o, k]
        for j in range(row.shape[0]):
            to[j] = row[j]
    return bad


@kernel()
def _add_lines(out: Any, index: Any, g: Any, fresh: Any, start: int, stop: int) -> int:
    """Add along the last dim, an index for each element; the parts are rows. Where `out` is fresh it counts as zeros."""
    n, bad = out.shape[1], 0
    for r in range(start, stop):
        to, at, row = out[r], index[r], g[r]
        if fresh:
            to[:] = 0
        for k in range(at.shape[0]):
            i = np.uint64(at[k] + (n & (at[k] >> 63)))
            if i < np.uint64(n):
                to[i] += row[k]
            else:
                bad += 1
    return bad


@kernel()
def _add_columns(out: Any, index: Any, g: Any, fresh: Any, start: int, stop: int) -> int:
    """Add along the middle dim, an index for each element; the parts are stripes of columns."""
    _, n, inner = out.shape
    stripes, bad = (inner + WIDE - 1) // WIDE, 0
    for task in range(start, stop):
        o = task // stripes
        a = (task - o * stripes) * WIDE
        z, block = min(a + WIDE, inner), out[o]
        if fresh:
            for k in range(n):
                block[k, a:z] = 0
        for k in range(index.shape[1]):
            at, row = index[o, k], g[o, k]
            for j in range(a, z):
                i = at[j]
                if i < 0:
                    i += n
                if i < 0 or i >= n:
                    bad += 1
                else:
                    block[i, j] += row[j]
    return bad


@kernel()
def _add_rows(out: Any, index: Any, g: Any, start: int, stop: int) -> int:
    """Add whole rows to the rows of a matrix, an index for each; the parts are columns."""
    n, bad = out.shape[0], 0
    for k in range(index.shape[0]):
        i = index[k]
        if i < 0:
            i += n
        if i < 0 or i >= n:
            bad += 1
            continue
        row, to = g[k, start:stop], out[i, start:stop]
        for j in range(row.shape[0]):
            to[j] += row[j]
    return bad


@kernel()
def _positions(index: Any, sizes: Any, out: Any, start: int, stop: int) -> int:
    """Join the indices of several dims into places in the memory of all of them."""
    bad = 0
    for first in range(start, stop, PIECE):
        last = min(first + PIECE, stop)
        to = out[first:last]
        to[:] = 0
        for d in range(index.shape[0]):
            n, row = sizes[d], index[d, first:last]
            for k in range(to.shape[0]):
                i = row[k]
                i += n if i < 0 else 0
                bad += (i < 0) | (i >= n)
                to[k] = to[k] * n + i
    return bad


@kernel()
def _within(index: Any, low: int, n: int) -> bool:
    """Whether every index lies in [low, n): all at once, as the signs of two differences."""
    some = 0
    for k in range(index.shape[0]):
        some |= (index[k] - low) | (n - 1 - index[k])
    return some >= 0


def _whole(work: Callable[[int, int], int], count: int, size: int) -> bool:
    """Do parts of ``range(count)`` on all threads; return whether every index was in range."""
    bad: list[int] = [work(0, 0)]  # compiles before threads start
    share_parts(lambda start, stop: bad.append(work(start, stop)), count, size)
    return not any(bad)


def _words(x: Any) -> Any:
    """Return the memory of an array as integers of the same size, or None."""
    word = _WORDS.get(x.dtype.itemsize)
    return None if word is None else x.view(word)


def _index(index: Any) -> Any:
    return np.ascontiguousarray(index, np.int64)


def _stripes(x: Any) -> int:
    return int(x.shape[0] * ((x.shape[2] + WIDE - 1) // WIDE))


@kernel()
def _triangle(x: Any, n: int, k: int, lower: bool, out: Any, start: int, stop: int) -> None:
    m = x.shape[1]
    for r in range(start, stop):
        cut = min(max(r % n + k + lower, 0), m)  # where the part that is kept ends, or begins
        row, to = x[r], out[r]
        if lower:
            to[:cut] = row[:cut]
            to[cut:] = 0
        else:
            to[:cut] = 0
            to[cut:] = row[cut:]


def triangle(x: Any, k: int, lower: bool) -> Any:
    """Return the elements of contiguous matrices up to the diagonal `k`, or from it on, and zeros elsewhere."""
    words = x.view(_WORDS[x.itemsize]).reshape(-1, x.shape[-1])
    out = np.empty(x.shape, x.dtype)
    given = words, x.shape[-2], k, lower, out.view(words.dtype).reshape(words.shape)
    share_parts(lambda i, j: _triangle(*given, i, j), len(words), _INDEXED * x.size)
    return out


def gather(x: Any, index: Any, axis: int, negative: bool) -> Any:
    """Return ``out[o, k, j] = x[o, index[o, k, j], j]``, or None; the index is no longer than x in other dims.

    It may be `negative`, and counts from the end there.
    """
    lies = _words(x[tuple(slice(None if k == axis else n) for k, n in enumerate(index.shape))])
    if lies is None:
        return None
    lies, at, out = flat(lies, axis), flat(_index(index), axis), np.empty(index.shape, x.dtype)
    to, turn = flat(_words(out), axis), x.shape[axis] if negative else 0
    if lies.shape[2] == 1:
        lies, at, to = lies[:, :, 0], at[:, :, 0], to[:, :, 0]
        several = len(lies) > 1
        count = len(lies) if several else at.shape[1]

        def work(start: int, stop: int) -> int:
            return _gather_lines(lies, at, to, turn, several, start, stop)
    else:
        count = _stripes(to)

        def work(start: int, stop: int) -> int:
            return _gather_columns(lies, at, to, turn, start, stop)

    return out if _whole(work, count, _INDEXED * to.size) else None


def rows(x: Any, index: Any, axis: int) -> Any:
    """Return the slices of x that a vector of indices names along a dim, or None."""
    lies = _words(x)
    if lies is None or prod(x.shape[axis + 1 :]) < NARROW:
        return None
    lies, at = flat(lies, axis), _index(index)
    out = np.empty((*x.shape[:axis], len(at), *x.shape[axis + 1 :]), x.dtype)
    to = flat(_words(out), axis)
    right = _whole(lambda start, stop: _copy_rows(lies, at, to, start, stop), len(lies) * len(at), to.size)
    return out if right else None


def add_along(out: Any, index: Any, g: Any, axis: int, fresh: bool = False) -> bool:
    """Add g to contiguous `out` where the index points along a dim, all other dims being alike; tell whether done.

    Where `out` is fresh, whatever it holds counts as zeros.
    """
    if out.dtype not in _ADDED or g.dtype != out.dtype:
        return False
    to, at, some = flat(out, axis), flat(_index(index), axis), flat(g, axis)
    if to.shape[2] == 1:
        to, at, some = to[:, :, 0], at[:, :, 0], some[:, :, 0]
        return _whole(lambda start, stop: _add_lines(to, at, some, fresh, start, stop), len(to), _INDEXED * at.size)
    return _whole(lambda start, stop: _add_columns(to, at, some, fresh, start, stop), _stripes(to), _INDEXED * at.size)


def add_rows(out: Any, index: Any, g: Any) -> bool:
    """Add the rows of g to those of a contiguous matrix that the index names; tell whether it was done."""
    if out.dtype not in _ADDED or g.dtype != out.dtype:
        return False
    at, some = _index(index), np.ascontiguousarray(g)
    return _whole(lambda start, stop: _add_rows(out, at, some, start, stop), out.shape[1], some.size)


def within(index: Any, low: int, n: int) -> bool:
    """Tell whether all indices lie in [low, n)."""
    return index.dtype == np.int64 and bool(_within(np.ascontiguousarray(index).reshape(-1), low, n))


def positions(index: Any, sizes: tuple[int, ...]) -> Any:
    """Return the places in memory of `sizes` that the columns of an index name, counted from the start, or None."""
    at = _index(index).reshape(len(sizes), -1)
    out, extents = np.empty(at.shape[1], np.int64), np.array(sizes, np.int64)
    right = _whole(lambda start, stop: _positions(at, extents, out, start, stop), at.shape[1], at.size)
    return out if right else None
