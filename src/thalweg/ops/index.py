"""Indexing: ``x[...]`` and ``x[...] = y`` with integers, slices, None, Ellipsis, arrays and truth values.

As in PyTorch, the integers, slices and None of an index are taken first, giving a view; then its arrays and
masks pick from that view. (NumPy counts an integer among the arrays, and so orders the dims of some mixed
indices differently.)
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor, check_fits, piece, zeros_for
from ._index_arrays import OutOfRange, picked, places, slices, sum_into, within
from .gather import write_into
from .inplace import copy_
from .masks import where_true
from .reduce import converted
from .shape import broadcast_to

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["getitem", "index_put", "setitem"]

# Integers, slices and None: views


def _slice_back_forward(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
    first = key[0] if key else None
    if g.size >= 1 << 16 and type(first) is slice and first.step in (None, 1) and key[1:] == (Ellipsis,):
        out = np.empty(shape, g.dtype)  # zeros only where nothing is written: memory is walked once
        start, stop, _ = first.indices(shape[0])
        out[:start] = 0
        out[start:stop] = g
        out[max(start, stop) :] = 0
        return out
    out = np.zeros(shape, g.dtype)
    out[key] = g
    return out


_slice: Primitive = Primitive(
    "slice",
    lambda x, key: x[key],
    [lambda g, key, x_shape: _slice_back(g, key, x_shape)],
    linear=True,
    view=True,
)
_slice_back: Primitive = Primitive("slice_back", _slice_back_forward, [lambda g, key: _slice(g, key)], linear=True)
_select: Primitive = Primitive("select", _slice.forward, _slice.vjps, linear=True, view=True)
_new_dim: Primitive = Primitive("unsqueeze", _slice.forward, _slice.vjps, linear=True, view=True)
_alias: Primitive = Primitive("alias", _slice.forward, _slice.vjps, linear=True, view=True)

# Arrays of integers. Several are put into one, as its rows, so that the index is one input. `dims` says which
# dims of x they stand for; the others are taken whole.


def _key(index: Any, dims: tuple[int, ...], ndim: int) -> tuple[Any, ...]:
    key: list[Any] = [slice(None)] * ndim
    if len(dims) == 1:
        key[dims[0]] = index
    else:
        for k, d in enumerate(dims):
            key[d] = index[k]
    return tuple(key)


def _index_forward(x: Any, index: Any, dims: tuple[int, ...]) -> Any:
    if len(dims) == 1 and x.ndim == 1:
        return picked(x, index)
    if len(dims) == 1 and index.ndim == 1:
        return slices(x, index, dims[0])
    if len(dims) > 1 and dims == tuple(range(x.ndim)) and x.flags.c_contiguous:
        at = places(index, x.shape)
        if at is not None:
            return picked(x.reshape(-1), at)
    return x[_key(index, dims, x.ndim)]


def _add_at(out: Any, index: Any, g: Any, dims: tuple[int, ...]) -> None:
    """Add `g` where the index points, as often as it points there."""
    if dims == tuple(range(len(dims))):  # the first dims: whole rows of what is left
        shape = out.shape[: len(dims)]
        rows = index if len(dims) == 1 else places(index, shape)
        if rows is None:
            rows = np.ravel_multi_index(tuple(i % n for i, n in zip(index, shape, strict=True)), shape)
        rest = out.shape[len(dims) :]
        sum_into(out.reshape((math.prod(shape), *rest)), rows.reshape(-1), g.reshape((rows.size, *rest)))
    else:
        at = np.arange(out.size).reshape(out.shape)[_key(index, dims, out.ndim)]
        np.add.at(out.reshape(-1), at.reshape(-1), g.reshape(-1))


def _index_back_forward(g: Any, index: Any, dims: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    _add_at(out, index, g, dims)
    return out


_index: Primitive = Primitive(
    "index",
    _index_forward,
    [lambda g, index, dims, x_shape: _index_back(g, index, dims, x_shape), None],
    linear=True,
)
_index_back: Primitive = Primitive(
    "index_put", _index_back_forward, [lambda g, index, dims: _index(g, index, dims), None], linear=True
)

# One mask: no element is met twice, so its transpose is an assignment.


def _mask_forward(x: Any, mask: Any, at: int) -> Any:
    if mask.ndim == x.ndim:
        return x.reshape(-1)[where_true(mask)]
    return x[piece(at, mask)]


def _mask_put_into(out: Any, value: Any, mask: Any, at: int) -> Any:
    if mask.ndim == out.ndim and out.flags.c_contiguous:
        out.reshape(-1)[where_true(mask)] = value
    else:
        out[piece(at, mask)] = value
    return out


def _mask_back_forward(g: Any, mask: Any, at: int, shape: tuple[int, ...]) -> Any:
    return _mask_put_into(np.zeros(shape, g.dtype), g, mask, at)


_mask: Primitive = Primitive(
    "index",
    _mask_forward,
    [lambda g, mask, at, x_shape: _mask_back(g, mask, at, x_shape), None],
    linear=True,
)
_mask_back: Primitive = Primitive(
    "index_put", _mask_back_forward, [lambda g, mask, at: _mask(g, mask, at), None], linear=True
)

# Writing where arrays point


def _put_into(out: Any, value: Any, index: Any, dims: tuple[int, ...], accumulate: bool) -> Any:
    key = _key(index, dims, out.ndim)
    if accumulate:
        shape = np.broadcast_shapes(value.shape, out[key].shape)
        target = out if out.flags.c_contiguous else np.zeros(out.shape, out.dtype)
        _add_at(target, index, np.broadcast_to(value, shape), dims)
        if target is not out:
            out += target
    else:
        out[key] = value
    return out


def _put_rule(g: Any, index: Any, dims: tuple[int, ...], accumulate: bool) -> Any:
    return g if accumulate else _put(g, zeros_for(g), index, dims, False)


def _fitted(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a picked gradient down to the shape of the value that was broadcast."""
    if g.ndim < len(shape):
        g = g.reshape((1,) * (len(shape) - g.ndim) + tuple(g.shape))
    return sum_to(g, shape)


_put: Primitive = Primitive(
    "index_put",
    lambda x, value, index, dims, accumulate: _put_into(np.array(x, order="C"), value, index, dims, accumulate),
    [_put_rule, lambda g, index, dims, value_shape: _fitted(_index(g, index, dims), value_shape), None],
)


_mask_put: Primitive = Primitive(
    "index_put",
    lambda x, value, mask, at: _mask_put_into(x.copy(), value, mask, at),
    [
        lambda g, mask, at: _mask_put(g, zeros_for(g), mask, at),
        lambda g, mask, at, value_shape: _fitted(_mask(g, mask, at), value_shape),
        None,
    ],
)

# Reading an index


def _part(part: Any) -> Any:
    """Return one part of an index as an integer, a slice, None, Ellipsis, a truth value or a tensor."""
    if isinstance(part, TensorBase):
        kind = part._data.dtype.kind
        if kind == "f":
            raise _IndexType(f"index: integers or truth values are required, got {part.dtype}.")
        if part._data.dtype == np.uint8:
            return converted(part, _dtype.bool_)
        if part._data.ndim == 0 and kind != "b":
            part._told("index")
            return int(part._data)
        return part
    if part is None or part is Ellipsis or isinstance(part, bool):
        return part
    if isinstance(part, slice):
        step = None if part.step is None else operator.index(part.step)
        if step is not None and step <= 0:
            raise ShapeError(f"index: the step of a slice must be > 0, got {step}; use flip.")
        start, stop = (None if v is None else operator.index(v) for v in (part.start, part.stop))
        return slice(start, stop, step)
    if isinstance(part, (list, tuple, range, np.ndarray, np.bool_)):
        return _array_part(part)
    try:
        return operator.index(part)
    except TypeError:
        raise _IndexType(
            f"index: an integer, slice, None, Ellipsis or tensor is required, got {type(part).__name__}."
        ) from None


def _array_part(part: Any) -> Any:
    if not isinstance(part, (np.ndarray, np.bool_)):
        part = [p._data if isinstance(p, TensorBase) else p for p in part]
    array = np.asarray(part)
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.int64)
    if array.dtype.kind not in "iub":
        raise _IndexType(f"index: integers or truth values are required, got {array.dtype}.")
    if array.dtype.kind == "b" and array.ndim == 0:
        return bool(array)
    return TensorBase._wrap(array if array.dtype.kind == "b" else array.astype(np.int64))


class _IndexType(DTypeError, IndexError):
    """An index of the wrong kind: PyTorch raises IndexError or TypeError."""


def _width(part: Any) -> int:
    """Return how many dims of the tensor a part of an index stands for."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    if isinstance(part, TensorBase) and part._data.dtype.kind == "b":
        return part._data.ndim
    return 1


def _parts(key: Any, ndim: int) -> list[Any]:
    """Return the parts of an index, without an Ellipsis and one for each dim."""
    several = isinstance(key, tuple) or (isinstance(key, list) and any(_makes_a_tuple(p) for p in key))
    parts = [_part(p) for p in (key if several else (key,))]
    used = sum(map(_width, parts))
    if used > ndim:
        raise OutOfRange(f"index: at most {ndim} indices are possible for a tensor of {ndim} dims, got {used}.")
    gaps = [k for k, p in enumerate(parts) if p is Ellipsis]
    if len(gaps) > 1:
        raise OutOfRange("index: at most one Ellipsis is possible.")
    whole = [slice(None)] * (ndim - used)
    at = gaps[0] if gaps else len(parts)
    return [*parts[:at], *whole, *parts[at + 1 :]]


def _makes_a_tuple(part: Any) -> bool:
    """Whether a list that holds `part` can only be meant as the parts of an index, and is no array."""
    return part is None or part is Ellipsis or isinstance(part, slice)


def _divided(parts: list[Any]) -> tuple[list[Any], list[tuple[int, TensorBase]]]:
    """Return the basic part of an index, and the arrays with the dims of the view that they stand for."""
    basic: list[Any] = []
    arrays: list[tuple[int, TensorBase]] = []
    dim = 0
    for part in parts:
        if isinstance(part, bool):  # a new dim, picked from by a mask of one element
            basic.append(None)
            arrays.append((dim, TensorBase._wrap(np.array([part]))))
            dim += 1
        elif isinstance(part, TensorBase):
            width = _width(part)
            basic += [slice(None)] * (width or 1)
            if width == 0:
                basic[-1] = None
                arrays.append((dim, TensorBase._wrap(part._data.reshape(1))))
            else:
                arrays.append((dim, part))
            dim += max(width, 1)
        else:
            basic.append(part)
            dim += 0 if isinstance(part, int) else 1
    return basic, arrays


def _viewed(x: Any, basic: list[Any], always: bool) -> Any:
    """Apply integers, slices and None; named after the last of them, as PyTorch goes through them in order."""
    telling = [p for p in basic if p != slice(None)]
    if not telling and not always:
        return x
    shape = x._data.shape
    last = telling[-1] if telling else Ellipsis
    primitive = _alias if last is Ellipsis else _new_dim if last is None else _select if type(last) is int else _slice
    try:
        return apply(primitive, (x,), ((*basic, Ellipsis),))
    except IndexError as error:
        raise OutOfRange(f"index: {error} (shape {shape}).") from None


def _combined(view: TensorBase, arrays: list[tuple[int, TensorBase]]) -> tuple[TensorBase, tuple[int, ...]]:
    """Return several arrays and masks as one index, and the dims that it stands for."""
    from .join import stack

    shape = view._data.shape
    dims: list[int] = []
    indices: list[TensorBase] = []
    for dim, array in arrays:
        if array._data.dtype.kind == "b":
            array._told("index")
            for k, found in enumerate(_where_true(array, dim, shape)):
                dims.append(dim + k)
                indices.append(TensorBase._wrap(found))
        else:
            dims.append(dim)
            indices.append(converted(array, _dtype.int64))
    for d, index in zip(dims, indices, strict=True):
        data, n = index._data, shape[d]
        if not within(data, -n, n):
            raise OutOfRange(
                f"index: indices must lie in [{-n}, {n - 1}] for dim {d} of size {n}, got {data.min()} to {data.max()}."
            )
    if len(indices) == 1:
        return indices[0], (dims[0],)
    try:
        common = np.broadcast_shapes(*(i._data.shape for i in indices))
    except ValueError:
        shapes = ", ".join(str(i._data.shape) for i in indices)
        raise OutOfRange(f"index: indices that broadcast together are required, got {shapes}.") from None
    return stack([i if i._data.shape == common else broadcast_to(i, common) for i in indices]), tuple(dims)


def _where_true(mask: TensorBase, dim: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
    own = shape[dim : dim + mask._data.ndim]
    if mask._data.shape != own:
        raise OutOfRange(f"index: a mask of shape {own} is required at dim {dim}, got {mask._data.shape}.")
    return np.nonzero(mask._data)


def _only_mask(arrays: list[tuple[int, TensorBase]], view: TensorBase) -> bool:
    if len(arrays) == 1 and arrays[0][1]._data.dtype.kind == "b":
        dim, mask = arrays[0]
        mask._told("index")
        _ = (
            None
            if mask._data.shape == view._data.shape[dim : dim + mask._data.ndim]
            else _where_true(mask, dim, view._data.shape)
        )
        return True
    return False


_WHOLE = slice(None)
_BOUND = (int, type(None))


def _named_after(key: tuple[Any, ...]) -> Primitive | None:
    """Return the primitive of a plain index of integers, slices, None and Ellipsis; None if it holds anything else."""
    primitive = _alias
    for part in key:
        kind = type(part)
        if kind is int:
            primitive = _select
        elif kind is slice:
            if type(part.start) not in _BOUND or type(part.stop) not in _BOUND:
                return None
            if part.step is not None and (type(part.step) is not int or part.step <= 0):
                return None
            if part != _WHOLE:
                primitive = _slice
        elif part is None:
            primitive = _new_dim
        elif part is not Ellipsis:
            return None
    return primitive


def getitem(input: Any, key: Any) -> Tensor:
    """The elements that `key` picks: a view for integers, slices and None; a copy for arrays and truth values."""
    data = input._data
    kind = type(key)
    if kind is int:  # the frequent case: one row
        if data.ndim and -data.shape[0] <= key < data.shape[0]:
            return apply(_select, (input,), ((key, Ellipsis),))
        raise OutOfRange(f"index: {key} is out of range for shape {data.shape}.")
    if kind is slice or kind is tuple or key is None:
        primitive = _named_after(key if kind is tuple else (key,))
        if primitive is not None:
            try:
                if kind is slice:
                    return apply(_slice, (input,), ((key, Ellipsis),))
                key = key if kind is tuple else (key,)
                return apply(primitive, (input,), (key if Ellipsis in key else (*key, Ellipsis),))
            except IndexError as error:
                raise OutOfRange(f"index: {error} (shape {data.shape}).") from None
    basic, arrays = _divided(_parts(key, data.ndim))
    view = _viewed(input, basic, not arrays)
    if not arrays:
        return view
    if _only_mask(arrays, view):
        return apply(_mask, (view, arrays[0][1]), (arrays[0][0],))
    index, dims = _combined(view, arrays)
    return apply(_index, (view, index), (dims,))


def setitem(input: TensorBase, key: Any, value: Any) -> None:
    """Write `value` (broadcast; converted, except where tensors are the indices) where `key` points."""
    given = value
    if not isinstance(value, TensorBase):
        check_fits(value, input._data.dtype, "index")
        value = as_tensor(value if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value))
    basic, arrays = _divided(_parts(key, input._data.ndim))
    if arrays and given is value and value.dtype is not input.dtype and (value._data.ndim or not _is_mask(key)):
        raise DTypeError(f"index: a value of {input.dtype} is required where an index is a tensor, got {value.dtype}.")
    value = converted(value, input.dtype)
    view = _viewed(input, basic, not arrays)
    if not arrays:
        shape = value._data.shape
        while len(shape) > view._data.ndim and shape[0] == 1:
            shape = shape[1:]
        copy_(view, value if shape == value._data.shape else value.reshape(shape))
    else:
        _write(view, arrays, value, False)


def _is_mask(key: Any) -> bool:
    return isinstance(key, TensorBase) and key._data.dtype.kind == "b"


def _write(view: TensorBase, arrays: list[tuple[int, TensorBase]], value: TensorBase, accumulate: bool) -> None:
    if not accumulate and _only_mask(arrays, view):
        dim, mask = arrays[0]
        shape = view._data.shape
        n = (int(np.count_nonzero(mask._data)),)
        value = _broadcastable(value, shape[:dim] + n + shape[dim + mask._data.ndim :])
        write_into(_mask_put, _mask_put_into, view, (value, mask), (dim,))
        return
    index, dims = _combined(view, arrays)
    value = _broadcastable(value, view._data[_key(index._data, dims, view._data.ndim)].shape)
    write_into(_put, _put_into, view, (value, index), (dims, accumulate))


def _broadcastable(value: TensorBase, target: tuple[int, ...]) -> TensorBase:
    """Return `value` without needless leading dims of size 1; refuse it if it does not broadcast to `target`."""
    shape = value._data.shape
    while len(shape) > len(target) and shape[0] == 1:
        shape = shape[1:]
    if len(shape) > len(target) or any(m not in (1, n) for m, n in zip(shape[::-1], target[::-1], strict=False)):
        raise ShapeError(f"index: a value that broadcasts to {target} is required, got shape {value._data.shape}.")
    return value if shape == value._data.shape else value.reshape(shape)  # type: ignore[attr-defined]


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` where a tuple of index tensors points, added if `accumulate`.

    >>> import thalweg as tw
    >>> tw.index_put(tw.zeros(3), (tw.tensor([0, 0]),), tw.tensor(1.0), accumulate=True)
    tensor([2., 0., 0.])
    """
    x = as_tensor(input)
    return index_put_(x.clone(), indices, values, accumulate)  # type: ignore[attr-defined]


def index_put_(input: TensorBase, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """Write (or add) `values` where a tuple of index tensors points."""
    value = as_tensor(values)
    if value._data.dtype != input._data.dtype:
        raise DTypeError(f"index_put: values of {input.dtype} are required, as the tensor, got {value.dtype}.")
    key = tuple(slice(None) if i is None else i for i in indices)
    parts = [p if isinstance(p, slice) else _as_index(p) for p in key]
    _, arrays = _divided(_parts(tuple(parts), input._data.ndim))
    if arrays:
        _write(input, arrays, value, accumulate)
    return input  # type: ignore[return-value]


def _as_index(index: Any) -> TensorBase:
    found = as_tensor(index)
    return found if found._data.ndim or found._data.dtype.kind == "b" else found.reshape(1)  # type: ignore[attr-defined]
