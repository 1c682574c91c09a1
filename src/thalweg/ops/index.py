"""Indexing: ``x[...]`` and ``x[...] = y`` with integers, slices, None, Ellipsis, arrays and truth values."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import apply_inplace
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor
from .inplace import copy_

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["getitem", "setitem"]


def _place(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    out[key] = g
    return out


def _gather_back(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, key, g)
    return out


_slice: Primitive = Primitive(
    "slice",
    lambda x, key: x[key],
    [lambda g, key, x_shape: _slice_back(g, key, x_shape)],
    linear=True,
    view=True,
)
_slice_back: Primitive = Primitive("slice_back", _place, [lambda g, key: _slice(g, key)], linear=True)
_select: Primitive = Primitive("select", _slice.forward, _slice.vjps, linear=True, view=True)
_index: Primitive = Primitive(
    "index",
    lambda x, key: x[key],
    [lambda g, key, x_shape: _index_back(g, key, x_shape)],
    linear=True,
)
_index_back: Primitive = Primitive("index_back", _gather_back, [lambda g, key: _index(g, key)], linear=True)
_set: Primitive = Primitive(
    "index_put",
    lambda x, value, key: _written(x, value, key),
    [
        lambda g, key, value_shape: _set(
            g, np.zeros(value_shape, g.dtype if isinstance(g, np.ndarray) else g.dtype.np), key
        ),
        lambda g, key, value_shape: _collect(g, key, value_shape),
    ],
)


def _written(x: Any, value: Any, key: Any) -> Any:
    out = x.copy()
    out[key] = value
    return out


def _collect(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
    from ..core.moves import sum_to

    picked = (_index if _is_advanced(key) else _slice)(g, key)
    while picked.ndim < len(shape):
        picked = picked.reshape((1, *picked.shape))
    return sum_to(picked, shape)


def _is_advanced(key: tuple[Any, ...]) -> bool:
    return any(isinstance(k, (np.ndarray, list)) for k in key)


def normalized(key: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Return an index as a tuple of integers, slices, None, Ellipsis and arrays; check what PyTorch checks."""
    parts = key if isinstance(key, tuple) else (key,)
    done: list[Any] = []
    for part in parts:
        if isinstance(part, TensorBase):
            part._told("index")
            data = part._data
            if data.dtype.kind == "f":
                raise _IndexType(f"index: integers or truth values are required, got {part.dtype}.")
            if data.dtype == np.uint8:
                data = data.astype(bool)
            done.append(int(data) if data.ndim == 0 and data.dtype.kind != "b" else data)
        elif part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
            done.append(part)
        elif isinstance(part, slice):
            if part.step is not None and operator.index(part.step) <= 0:
                raise ShapeError(f"index: the step of a slice must be > 0, got {part.step}; use flip.")
            done.append(slice(*(None if v is None else operator.index(v) for v in (part.start, part.stop, part.step))))
        elif isinstance(part, (list, np.ndarray, range, tuple)):
            array = np.asarray(
                [p._data if isinstance(p, TensorBase) else p for p in part]
                if not isinstance(part, np.ndarray)
                else part
            )
            if array.size == 0:
                array = array.astype(np.int64)
            if array.dtype.kind not in "iub":
                raise _IndexType(f"index: integers or truth values are required, got {array.dtype}.")
            done.append(array)
        else:
            try:
                done.append(operator.index(part))
            except TypeError:
                raise _IndexType(
                    f"index: an integer, slice, None, Ellipsis or tensor is required, got {type(part).__name__}."
                ) from None
    if not any(part is Ellipsis for part in done):
        done.append(Ellipsis)  # then NumPy gives arrays, and views, down to 0-d
    return tuple(done)


class _IndexType(DTypeError, IndexError):
    """An index of the wrong kind: PyTorch raises IndexError."""


def getitem(input: TensorBase, key: Any) -> Tensor:
    """The elements that `key` picks: a view for integers and slices, a copy for arrays and truth values."""
    parts = normalized(key, input._data.shape)
    if _is_advanced(parts) or any(isinstance(p, (bool, np.bool_)) for p in parts):
        try:
            return apply(_index, (input,), (parts,))
        except IndexError as error:
            raise _OutOfRange(f"index: {error} (shape {input._data.shape}).") from None
    try:
        return apply(_select if any(isinstance(p, int) for p in parts) else _slice, (input,), (parts,))
    except IndexError as error:
        raise _OutOfRange(f"index: {error} (shape {input._data.shape}).") from None


class _OutOfRange(ShapeError, IndexError):
    """An index out of range."""


def setitem(input: TensorBase, key: Any, value: Any) -> None:
    """Write `value` (broadcast) where `key` points."""
    parts = normalized(key, input._data.shape)
    if not isinstance(value, TensorBase):
        value = as_tensor(
            np.asarray(value, input._data.dtype) if isinstance(value, (int, float, list, tuple)) else value
        )
    if value._data.dtype != input._data.dtype:
        from .reduce import converted

        value = converted(value, input.dtype)
    piece = getitem(input, key) if not _is_advanced(parts) else None
    try:
        target_shape = piece._data.shape if piece is not None else input._data[parts].shape
    except IndexError as error:
        raise _OutOfRange(f"index: {error} (shape {input._data.shape}).") from None
    shape = value._data.shape
    while len(shape) > len(target_shape) and shape[0] == 1:
        shape = shape[1:]
    try:
        fits = np.broadcast_shapes(shape, target_shape) == tuple(target_shape)
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"index: a value that broadcasts to {tuple(target_shape)} is required, got shape {value._data.shape}."
        )
    if piece is not None:
        copy_(piece, value)
    else:
        apply_inplace(_set, input, (value,), (parts,))
