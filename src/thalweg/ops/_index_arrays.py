"""Picking and adding by an index, on arrays.

Two forms: NumPy's, which make positions in flat memory, and the compiler's kernels, which take the index as it is and
serve where there are many elements.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ._blocks import each_block
from ._kernels import moves

__all__ = [
    "OutOfRange", "add_along", "add_slices", "along", "checked", "picked", "places", "positions", "slices", "sum_into", "summed_along",
    "within",
]  # fmt: skip


FEW = 1024  # elements below which comparing with all indices is quicker than making positions


def positions(index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Return where in a flat array of `shape` the elements lie that `index` names along `axis`."""
    inner = math.prod(shape[axis + 1 :])
    at = index * inner if inner != 1 else index
    stride = 1
    for k in range(len(shape) - 1, -1, -1):
        if k != axis and index.shape[k] > 1:
            at = at + (np.arange(index.shape[k]) * stride).reshape((-1,) + (1,) * (len(shape) - 1 - k))
        stride *= shape[k]
    return at


class OutOfRange(ShapeError, IndexError):
    """An index out of range: PyTorch raises IndexError or RuntimeError."""


def checked(index: Any, n: int, who: str, negative: bool = False) -> None:
    """Refuse an index out of range."""
    low = -n if negative else 0
    if not within(index, low, n):
        raise OutOfRange(f"{who}: indices must lie in [{low}, {n - 1}], got {index.min()} to {index.max()}.")


def within(index: Any, low: int, n: int) -> bool:
    """Tell whether all of an index lies in [low, n)."""
    kernels = moves(index.size)
    if kernels is not None and index.dtype == np.int64:
        return kernels.within(index, low, n)
    return not index.size or (int(index.max()) < n and int(index.min()) >= low)


def sum_into(out: Any, at: Any, values: Any) -> None:
    """Add `values` [n, …] to the rows `at` [n] of `out`, whatever occurs more than once.

    Measured: np.add.at is fastest on numbers (also against bincount and sorting), a sparse product on rows.
    """
    width = math.prod(out.shape[1:])
    kernels = moves(len(at) * width) if out.flags.c_contiguous else None
    if kernels is not None:
        every = np.broadcast_to(values, (len(at), *out.shape[1:]))
        if width == 1 and kernels.add_along(out.reshape(-1), at, every.reshape(-1), 0):
            return
        if width > 1 and kernels.add_rows(out.reshape(-1, width), at, every.reshape(-1, width)):
            return
    if width == 1:
        np.add.at(out.reshape(-1), at, np.broadcast_to(values, (len(at), *out.shape[1:])).reshape(-1))
    elif len(at) * width < 2048 or out.dtype.kind != "f":
        np.add.at(out, at, values)
    else:
        from scipy.sparse import csr_matrix

        n = len(at)
        rows = csr_matrix((np.ones(n, out.dtype), np.where(at < 0, at + len(out), at), np.arange(n + 1)), (n, len(out)))
        out += (rows.T @ values.reshape(n, width)).reshape(out.shape)


def along(x: Any, index: Any, axis: int) -> Any:
    """Return the elements that an index >= 0, one for each of them, names along a dim.

    The kernel checks a long index on its way; that of a shorter one is the caller's.
    """
    kernels = moves(index.size)
    if kernels is not None:
        found = kernels.gather(x, index, axis, False)
        if found is not None:
            return found
        checked(index, x.shape[axis], "gather")
    if axis == 0 or index.shape[0] != x.shape[0]:
        return x.reshape(-1).take(positions(index, axis, x.shape))
    out = np.empty(index.shape, x.dtype)

    def work(block: slice) -> None:  # rows do not mix, so places within a block are enough
        part = np.ascontiguousarray(x[block])
        part.reshape(-1).take(positions(index[block], axis, part.shape), out=out[block], mode="clip")

    each_block(index, (axis,), work)
    return out


def _added(out: Any, index: Any, g: Any, axis: int, fresh: bool = False) -> bool:
    """Add `g` to contiguous (or `fresh`, then zero) `out` by a kernel, if there is one; tell whether it was done."""
    kernels = moves(index.size)
    if kernels is None or not out.flags.c_contiguous or out.shape != _grown(index.shape, axis, out.shape[axis]):
        return False
    return kernels.add_along(out, index, np.broadcast_to(g, index.shape), axis, fresh)


def _grown(shape: tuple[int, ...], axis: int, n: int) -> tuple[int, ...]:
    return (*shape[:axis], n, *shape[axis + 1 :])


def summed_along(g: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Return zeros of `shape` with `g` added where the index points along a dim."""
    if index.shape[axis] == 1 and math.prod(shape) < FEW and shape == _grown(index.shape, axis, shape[axis]):
        places = np.arange(shape[axis]).reshape((-1,) + (1,) * (len(shape) - 1 - axis))
        return np.where(places == index, g, g.dtype.type(0))
    found = np.empty(shape, g.dtype)
    if _added(found, index, g, axis, fresh=True):
        return found
    out = np.zeros(math.prod(shape), g.dtype)
    if index.shape[axis] == 1:  # then no place occurs twice
        out[positions(index, axis, shape)] = g
    elif axis == 0 or index.shape[0] != shape[0]:
        np.add.at(out, positions(index, axis, shape).reshape(-1), g.reshape(-1))
    else:
        rows = out.reshape(shape)

        def work(block: slice) -> None:
            part = rows[block]
            np.add.at(part.reshape(-1), positions(index[block], axis, part.shape).reshape(-1), g[block].reshape(-1))

        each_block(index, (axis,), work)
    return out.reshape(shape)


def add_along(out: Any, src: Any, index: Any, axis: int) -> Any:
    """Add `src` to contiguous `out` where the index points along a dim."""
    if _added(out, index, src, axis):
        return out
    at = positions(index, axis, out.shape)
    np.add.at(out.reshape(-1), at.reshape(-1), src.reshape(-1) if src.ndim else src)
    return out


def slices(x: Any, index: Any, axis: int) -> Any:
    """Return the slices of an array that a vector of indices names along a dim."""
    kernels = moves(len(index) * (x.size // max(x.shape[axis], 1)))
    found = None if kernels is None else kernels.rows(x, index, axis)
    return np.take(x, index, axis) if found is None else found


def add_slices(out: Any, src: Any, index: Any, axis: int) -> Any:
    """Add the slices of `src` to those of `out` that a vector of indices names along a dim."""
    rows = np.moveaxis(out, axis, 0)
    if rows.flags.c_contiguous:
        sum_into(rows, index.reshape(-1), np.moveaxis(src, axis, 0))
    else:
        inner = np.zeros(rows.shape, out.dtype)
        sum_into(inner, index.reshape(-1), np.ascontiguousarray(np.moveaxis(src, axis, 0)))
        rows += inner
    return out


def picked(x: Any, index: Any) -> Any:
    """Return the elements of a vector at the places of an index of any shape."""
    kernels = moves(index.size)
    found = None if kernels is None else kernels.gather(x, index.reshape(-1), 0, True)
    return x.take(index) if found is None else found.reshape(index.shape)


def places(index: Any, shape: tuple[int, ...]) -> Any:
    """Return the places in memory of `shape` that several indices name together, by a kernel; else None."""
    kernels = moves(index.size)
    found = None if kernels is None else kernels.positions(index, shape)
    return None if found is None else found.reshape(index.shape[1:])
