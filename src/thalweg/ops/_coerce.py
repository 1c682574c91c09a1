"""Turning what a user passes (arrays, numbers, dims) into what operations take."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError

__all__ = [
    "as_tensor",
    "check_fits",
    "dims",
    "need_tensor",
    "one_dim",
    "piece",
    "reduced_dims",
    "shape_of",
    "zeros_for",
]


def as_tensor(x: Any, who: str = "input") -> TensorBase:
    """Return `x` as a tensor: tensors as they are, NumPy values over the same memory, numbers as 0-d."""
    if isinstance(x, TensorBase):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return TensorBase._wrap(_dtype.accepted(np.asarray(x)))
    if isinstance(x, bool):
        return TensorBase._wrap(np.asarray(x))
    if isinstance(x, int):
        return TensorBase._wrap(np.asarray(x, np.int64))
    if isinstance(x, float):
        return TensorBase._wrap(np.asarray(x, _dtype.default_float().np))
    raise DTypeError(f"{who}: a tensor, a NumPy array or a number is required, got {type(x).__name__}.")


class _Overflow(ArgumentError, RuntimeError):
    """A number outside the range of an integer type: PyTorch raises RuntimeError."""


def check_fits(value: Any, dtype: np.dtype[Any], who: str) -> None:
    """Refuse a number that the integer type `dtype` cannot hold; as in PyTorch, a negative one wraps in an unsigned type."""
    if dtype.kind not in "iu" or not isinstance(value, (int, float, np.number)):
        return
    limits = np.iinfo(dtype)
    least = -limits.max if dtype.kind == "u" else limits.min
    if not least <= value <= limits.max:  # NaN is in no range
        raise _Overflow(f"{who}: a number in [{limits.min}, {limits.max}] is required for {dtype.name}, got {value}.")


def need_tensor(x: Any, who: str, name: str = "input") -> TensorBase:
    """Return `x` as a tensor where PyTorch takes no Python number."""
    if isinstance(x, (int, float)) and not isinstance(x, np.generic):
        raise DTypeError(f"{who}: {name} must be a tensor or an array, got the number {x!r}; wrap it in tensor().")
    return as_tensor(x, who)


def one_dim(dim: Any, ndim: int, who: str) -> int:
    """Return `dim` counted from the front; 0-d tensors have one dim for this purpose, as in PyTorch."""
    try:
        k = operator.index(dim)
    except TypeError:
        raise DTypeError(f"{who}: dim must be an integer, got {dim!r}.") from None
    n = max(ndim, 1)
    if not -n <= k < n:
        raise _DimError(f"{who}: dim must lie in [{-n}, {n - 1}] for a tensor of {ndim} dimensions, got {k}.")
    return k % n


def piece(axis: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes `part` of one dim and all of the others."""
    return (slice(None),) * axis + (part, Ellipsis)


def zeros_for(g: Any, shape: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    """Return zeros of the element type of a gradient, which may be an array or a tensor."""
    return np.zeros(shape, g._data.dtype if isinstance(g, TensorBase) else g.dtype)


class _DimError(ArgumentError, IndexError):
    """A dim out of range: PyTorch raises IndexError."""


def dims(dim: Any, ndim: int, who: str) -> tuple[int, ...]:
    """Return several dims counted from the front, each at most once."""
    given = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    found = tuple(one_dim(d, ndim, who) for d in given)
    if len(set(found)) != len(found):
        raise _RepeatedDim(f"{who}: each dim may be given once, got {given}.")
    return found


class _RepeatedDim(ArgumentError, RuntimeError):
    """The same dim twice: PyTorch raises RuntimeError."""


_ALL = tuple(tuple(range(n)) for n in range(8))  # small tuples made once: reductions are on the hot path
_ONE = tuple((n,) for n in range(8))


def reduced_dims(dim: Any, ndim: int, who: str) -> tuple[int, ...]:
    """Return the dims to reduce: all of them for None and for an empty tuple."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return _ALL[ndim] if ndim < 8 else tuple(range(ndim))
    if type(dim) is int and -ndim <= dim < ndim:
        return _ONE[dim % ndim] if ndim < 8 else (dim % ndim,)
    found = dims(dim, ndim, who)
    return found if ndim else ()


def shape_of(sizes: Sequence[Any], who: str) -> tuple[int, ...]:
    """Return a shape given as separate integers or as one sequence."""
    given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    try:
        return tuple(operator.index(k) for k in given)
    except TypeError:
        raise DTypeError(f"{who}: a shape is a sequence of integers, got {tuple(given)!r}.") from None
