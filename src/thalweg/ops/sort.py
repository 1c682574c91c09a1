"""Order: sorting, selection by rank, distinct values, search in sorted values."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from . import return_types
from ._coerce import as_tensor, one_dim, piece
from .extremes import along_one, value_rule
from .gather import _scatter_sum

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "argsort", "bucketize", "isin", "kthvalue", "mode", "msort", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


def order_of(x: Any, axis: int, descending: bool) -> tuple[Any, Any]:
    """Return sorted values and their indices, equal elements in their old order, NaN as the largest.

    NumPy's stable sort is several times slower than its default one, which uses vector instructions but not on
    pairs. So 32-bit elements are packed with their index into one 64-bit key; of the others those that turn out
    equal are put back into order afterwards.
    """
    rows = np.moveaxis(x, axis, -1)
    n = rows.shape[-1]
    if x.dtype.itemsize == 4 and n > 16:
        index = _packed_order(rows, n, descending)
    elif x.dtype.itemsize < 4 or n <= 16:
        flip = (Ellipsis, slice(None, None, -1))
        index = np.argsort(rows[flip] if descending else rows, -1, kind="stable")
        index = n - 1 - index[flip] if descending else index
    else:
        index = _repaired_order(rows, n, descending)
    values = np.take_along_axis(rows, index, -1)
    if axis == x.ndim - 1:
        return values, index
    return np.ascontiguousarray(np.moveaxis(values, -1, axis)), np.ascontiguousarray(np.moveaxis(index, -1, axis))


def _packed_order(rows: Any, n: int, descending: bool) -> Any:
    if rows.dtype.kind == "f":
        bits = np.where(np.isnan(rows), rows.dtype.type(np.nan), rows + rows.dtype.type(0)).view(np.int32)  # no -0
        bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # in the order of the numbers
    else:
        bits = rows
    key = (~bits if descending else bits).astype(np.int64)
    key <<= 32
    key |= np.arange(n)
    key.sort(-1)
    key &= 0xFFFFFFFF
    return key


def _repaired_order(rows: Any, n: int, descending: bool) -> Any:
    index = np.argsort(rows, -1)
    if descending:
        index = np.ascontiguousarray(index[..., ::-1])
    values = np.take_along_axis(rows, index, -1)
    same = values[..., 1:] == values[..., :-1]
    if rows.dtype.kind == "f":
        same |= np.isnan(values[..., 1:]) & np.isnan(values[..., :-1])
    if same.any():
        starts = np.ones(values.shape, bool)
        starts[..., 1:] = ~same
        tied = ~starts
        tied[..., :-1] |= same
        at = np.flatnonzero(tied)
        run = np.cumsum(starts.reshape(-1))[at]
        flat = index.reshape(-1)
        flat[at] = np.sort(run * n + flat[at]) % n
    return index


def _sorted_rule(g: Any, indices: Any, axis: int, x_shape: tuple[int, ...]) -> Any:
    return _scatter_sum(g[0], indices, axis, x_shape)


_sort: Primitive = Primitive("sort", order_of, [_sorted_rule], outputs=("values", "indices"))


def _ordered(input: Any, dim: Any, descending: bool, who: str) -> Any:
    x = as_tensor(input)
    axis = one_dim(dim, x._data.ndim, who)
    if x._data.ndim == 0:
        flat = apply(_sort, (x.reshape(1),), (0, bool(descending)))  # type: ignore[attr-defined]
        return tuple(part.reshape(()) for part in flat)  # type: ignore[attr-defined]
    return apply(_sort, (x,), (axis, bool(descending)))


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> return_types.sort:
    """The elements in order along `dim`, and where they were: ``.values``, ``.indices``; always stable.

    >>> import thalweg as tw
    >>> tw.sort(tw.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    return return_types.sort(*_ordered(input, dim, descending, "sort"))


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that put the elements in order along `dim`."""
    return _ordered(input, dim, descending, "argsort")[1]


def msort(input: Any) -> Tensor:
    """The elements in order along dim 0."""
    return _ordered(input, 0, False, "msort")[0]


# By rank


def _topk_forward(x: Any, k: int, axis: int, largest: bool) -> tuple[Any, Any]:
    n = x.shape[axis]
    if k * 4 > n or x.dtype.kind != "f":
        values, index = order_of(x, axis, largest)
        return values[piece(axis, slice(0, k))].copy(), index[piece(axis, slice(0, k))].copy()
    # NaN counts as the largest, as in a sort; partition puts it last.
    part = np.argpartition(x, n - k if largest else k - 1, axis)
    part = part[piece(axis, slice(n - k, None) if largest else slice(0, k))]
    picked = np.take_along_axis(x, part, axis)
    values, order = order_of(picked, axis, largest)
    return values, np.take_along_axis(part, order, axis)


_topk: Primitive = Primitive("topk", _topk_forward, [_sorted_rule], outputs=("values", "indices"))


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> return_types.topk:
    """The `k` largest (or smallest) elements along `dim`, in order, and where they are: ``.values``, ``.indices``."""
    x: Any = as_tensor(input)
    axis = one_dim(dim, x.ndim, "topk")
    k, n = operator.index(k), x._data.shape[axis] if x.ndim else 1
    if not 0 <= k <= n:
        raise ShapeError(f"topk: k must lie in [0, {n}], got {k}.")
    if x.ndim == 0:
        return return_types.topk(x.clone(), TensorBase._wrap(np.zeros((), np.int64)))
    return return_types.topk(*apply(_topk, (x,), (k, axis, bool(largest))))


def _kth_forward(x: Any, axis: int, keepdim: bool, k: int) -> tuple[Any, Any]:
    index = np.take(np.argpartition(x, k - 1, axis), [k - 1], axis)
    values = np.take_along_axis(x, index, axis)
    return (values, index) if keepdim else (values.squeeze(axis), index.squeeze(axis))


_kthvalue: Primitive = Primitive("kthvalue", _kth_forward, [value_rule], outputs=("values", "indices"))


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> return_types.kthvalue:
    """The `k`-th smallest element along `dim`, counted from 1, and where it is: ``.values``, ``.indices``."""
    x = as_tensor(input)
    axis = one_dim(dim, x._data.ndim, "kthvalue")
    n = x._data.shape[axis] if x._data.ndim else 1
    if not 1 <= k <= n:
        raise ShapeError(f"kthvalue: k must lie in [1, {n}], got {k}.")
    return return_types.kthvalue(*along_one(_kthvalue, x, dim, keepdim, (operator.index(k),)))


def _mode_forward(x: Any, axis: int, keepdim: bool) -> tuple[Any, Any]:
    rows = np.moveaxis(x, axis, -1)
    lead, n = rows.shape[:-1], rows.shape[-1]
    rows = rows.reshape(-1, n)
    values, index = order_of(rows, 1, False)
    # Runs of equal values: the place of each element in its run; the first of the longest runs wins.
    starts = np.ones(values.shape, bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    place = np.arange(n) - np.maximum.accumulate(np.where(starts, np.arange(n), 0), 1)
    at = place.argmax(1)[:, None]
    found = np.take_along_axis(values, at, 1).reshape(lead), np.take_along_axis(index, at, 1).reshape(lead)
    return tuple(np.expand_dims(f, axis) for f in found) if keepdim else found  # type: ignore[return-value]


_mode: Primitive = Primitive("mode", _mode_forward, [value_rule], outputs=("values", "indices"))


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> return_types.mode:
    """The most frequent element along `dim` (the smallest of several) and its last index: ``.values``, ``.indices``."""
    return return_types.mode(*along_one(_mode, input, dim, keepdim))


# Distinct values: not differentiable


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements (or slices along `dim`) in order; with their indices in `input`, and counts, if asked.

    >>> import thalweg as tw
    >>> tw.unique(tw.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    x = as_tensor(input)
    x._told("unique")
    data = x._data
    axis = None if dim is None else one_dim(dim, data.ndim, "unique")
    if axis is not None and data.ndim == 0:
        data = data.reshape(1)
    if axis is not None and not data.size and data.shape[axis]:
        raise ShapeError(f"unique: slices with elements are required, got shape {data.shape}.")
    found = np.unique(data, return_inverse=True, return_counts=True, axis=axis, equal_nan=False)
    inverse = found[1].reshape(data.shape) if axis is None else found[1].reshape(-1)
    return _parts(found[0], inverse, found[2], return_inverse, return_counts)


def _parts(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    wrapped: list[Any] = [TensorBase._wrap(np.ascontiguousarray(values))]
    if return_inverse:
        wrapped.append(TensorBase._wrap(inverse.astype(np.int64)))
    if return_counts:
        wrapped.append(TensorBase._wrap(np.asarray(counts, np.int64)))
    return wrapped[0] if len(wrapped) == 1 else tuple(wrapped)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or slices along `dim`) without those equal to the one before; with indices and counts, if asked."""
    x = as_tensor(input)
    x._told("unique_consecutive")
    data = x._data
    if dim is None:
        rows = data.reshape(-1)
        changed = rows[1:] != rows[:-1]
        shape: tuple[int, ...] = data.shape
        axis = 0
    else:
        axis = one_dim(dim, data.ndim, "unique_consecutive")
        rows = np.moveaxis(data, axis, 0) if data.ndim else data.reshape(1)
        if rows.shape[0] and not rows.size:
            raise ShapeError(f"unique_consecutive: slices with elements are required, got shape {data.shape}.")
        differs = rows[1:] != rows[:-1]
        changed = differs.any(tuple(range(1, rows.ndim)))
        shape = (rows.shape[0],)
    starts = np.concatenate([np.ones(min(rows.shape[0], 1), bool), changed])
    at = np.flatnonzero(starts)
    values = rows[at] if dim is None or not data.ndim else np.moveaxis(rows[at], 0, axis)
    counts = np.diff(np.append(at, rows.shape[0]))
    return _parts(values, (np.cumsum(starts) - 1).reshape(shape), counts, return_inverse, return_counts)


# Search: not differentiable


def _search(sequence: Any, values: Any, right: bool) -> Any:
    side = "right" if right else "left"
    if sequence.ndim == 1:
        return np.searchsorted(sequence, values, side)  # type: ignore[call-overload]
    if not values.size:
        return np.zeros(values.shape, np.int64)
    count = values.size // values.shape[-1]
    rows, wanted = sequence.reshape(count, sequence.shape[-1]), values.reshape(count, values.shape[-1])
    found = [np.searchsorted(row, v, side) for row, v in zip(rows, wanted, strict=True)]  # type: ignore[call-overload]
    return np.array(found, np.int64).reshape(values.shape)


_searchsorted: Primitive = Primitive(
    "searchsorted",
    lambda sequence, values, right, target: np.asarray(_search(sequence, values, right)).astype(target),
    arity=2,
)


def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Tensor:
    """Where each element of `input` belongs in a sorted sequence (or in the row of its own leading dims).

    >>> import thalweg as tw
    >>> tw.searchsorted(tw.tensor([1, 3, 5]), tw.tensor([3, 4]))
    tensor([1, 2])
    """
    sequence, values = as_tensor(sorted_sequence), as_tensor(input)
    if side not in (None, "left", "right"):
        raise ShapeError(f"searchsorted: side must be 'left' or 'right', got {side!r}.")
    if side == "left" and right:
        raise ShapeError("searchsorted: side='left' and right=True contradict each other.")
    a, b = sequence._data.shape, values._data.shape
    if not a:
        raise ShapeError("searchsorted: a sequence with at least one dim is required, got a 0-d tensor.")
    if len(a) > 1 and (len(a) != len(b) or a[:-1] != b[:-1]):
        raise ShapeError(f"searchsorted: equal leading dims are required, got {a} and {b}.")
    if sequence._data.dtype != values._data.dtype and isinstance(input, (TensorBase, np.ndarray)):
        raise DTypeError(f"searchsorted: values of {sequence.dtype} are required, got {values.dtype}.")
    if sorter is not None:
        sequence = _sorted_by(sequence, as_tensor(sorter))
    target = (_dtype.int32 if out_int32 else _dtype.int64).np
    return apply(_searchsorted, (sequence, values), (right or side == "right", target))


def _sorted_by(sequence: TensorBase, sorter: TensorBase) -> TensorBase:
    data = sorter._data
    if data.shape != sequence._data.shape:
        raise ShapeError(f"searchsorted: a sorter of shape {sequence._data.shape} is required, got {data.shape}.")
    if data.dtype != np.int64:
        raise DTypeError(f"searchsorted: a sorter of int64 is required, got {sorter.dtype}.")
    if data.size and (data.min() < 0 or data.max() >= data.shape[-1]):
        raise ShapeError(f"searchsorted: indices in [0, {data.shape[-1] - 1}] are required in sorter.")
    return TensorBase._wrap(np.take_along_axis(sequence._data, data, -1))


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The number of the interval between sorted `boundaries` that holds each element of `input`."""
    edges = as_tensor(boundaries)
    if edges._data.ndim != 1:
        raise ShapeError(f"bucketize: a vector of boundaries is required, got shape {edges._data.shape}.")
    return searchsorted(edges, input, out_int32=out_int32, right=right)


_isin: Primitive = Primitive("isin", lambda x, y, invert: np.isin(x, y, invert=invert), arity=2)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is one of `test_elements`."""
    return apply(_isin, (as_tensor(elements), as_tensor(test_elements)), (bool(invert),))
