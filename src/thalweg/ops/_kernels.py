"""Where eager operations on large arrays find the compiler's kernels, and the forms in which those take arrays.

The imports go upwards, to a room above this one, and are therefore made here, at the call: NumPy alone goes through
memory once for every step of a formula, on one processor. Without Numba, on few elements, and for types other than
float32 and float64, NumPy's forms serve as they always did; both agree to rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..core import engine

__all__ = ["ENOUGH", "MANY", "flat", "in_parts", "mapped", "moves", "rows", "scans"]

ENOUGH = 1 << 16  # elements from which a kernel pays for its start
MANY = 1 << 19  # elements from which copying them pays for a second thread
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


@functools.cache
def _rows() -> Any:
    try:
        from ..compiler.kernels import rows
    except ImportError:
        return None
    return rows


def rows(x: Any) -> Any:
    """Return the kernels of softmax and its relatives, or None where they do not serve."""
    return _rows() if _pays(x) else None


@functools.cache
def _moves() -> Any:
    try:
        from ..compiler.kernels import moves
    except ImportError:
        return None
    return moves


def moves(count: int) -> Any:
    """Return the kernels that pick and add by an index, or None where they do not serve for so many elements."""
    return _moves() if count >= ENOUGH else None


@functools.cache
def _scans() -> Any:
    try:
        from ..compiler.kernels import scans
    except ImportError:
        return None
    return scans


def scans(x: Any) -> Any:
    """Return the kernels of running sums and products, or None where they do not serve."""
    return _scans() if _pays(x) else None


@functools.cache
def _maps() -> Any:
    try:
        from ..compiler.kernels import maps
    except ImportError:
        return None
    return maps


def mapped(name: str, *arrays: Any, numbers: tuple[float, ...] = ()) -> Any:
    """Return a function of each number of large arrays of float32, all of one shape, by a kernel; or None.

    None also where a rule works on tensors, and has to be recorded.
    """
    for x in arrays:
        if type(x) is not np.ndarray or x.size < ENOUGH or x.dtype != np.float32 or not x.ndim:
            return None
        if x.shape != arrays[-1].shape:
            return None
    kernels = _maps()
    return None if kernels is None else kernels.mapped(getattr(kernels, name), arrays, numbers)


def in_parts(work: Callable[[int, int], Any], count: int) -> None:
    """Call ``work(first, last)`` on a part of ``range(count)`` for every thread: NumPy's work on many elements."""
    from ..compiler.threads import run_parts

    run_parts(work, count)


def _large_sum(x: Any, y: Any, own: bool) -> Any:
    """Return the sum of two gradients, every thread adding a part, in x's memory if `own`."""
    if type(y) is not np.ndarray or not x.ndim or x.shape != y.shape or x.dtype != y.dtype:
        return np.add(x, y, out=x) if own else x + y
    out = x if own else np.empty_like(x)
    in_parts(lambda i, j: np.add(x[i:j], y[i:j], out=out[i:j]), len(x))
    return out


engine.large_sum = _large_sum


def _pays(x: Any) -> bool:
    """Whether an array has enough elements, of a type that the kernels know."""
    return x.size >= ENOUGH and x.ndim > 0 and x.dtype in _FLOATS


def flat(x: Any, first: int, last: int | None = None) -> Any:
    """Return an array, contiguous, as [before, dims `first` to `last`, after]; without a copy if it is contiguous."""
    end = (first if last is None else last) + 1
    shape = x.shape
    return np.ascontiguousarray(x).reshape(prod(shape[:first]), prod(shape[first:end]), prod(shape[end:]))
