"""Elements picked and placed by an index along one dimension.

Indices are inputs of the primitives, not settings, so that a compiled step can be given new ones. Every pick is
the transpose of a sum into place, and the other way round; so a few pairs of primitives serve all orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import apply_inplace, bump, check_write
from ..core.modes import current
from ..core.moves import COPY_SLICES, sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, check_fits, one_dim, piece, zeros_for
from ._index_arrays import (
    OutOfRange,
    add_along,
    add_slices,
    along,
    checked,
    picked,
    positions,
    slices,
    sum_into,
    summed_along,
)
from ._kernels import moves
from .arithmetic import where
from .reduce import converted
from .shape import broadcast_to, reshape

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_select", "put", "scatter", "scatter_add", "take",
    "take_along_dim",
]  # fmt: skip


def an_index(index: Any, who: str) -> TensorBase:
    """Return `index` as a tensor of int64 (or int32)."""
    found = as_tensor(index, who)
    if found._data.size == 0:
        return converted(found, "int64")
    if found._data.dtype not in (np.int64, np.int32):
        raise _IndexType(f"{who}: an index of int64 is required, got {found.dtype}.")
    return found


class _IndexType(DTypeError, IndexError):
    """An index of the wrong type: PyTorch raises RuntimeError or IndexError."""


# Picking along a dim, an index for each element, and its transpose


_gather: Primitive = Primitive(
    "gather",
    along,
    [lambda g, index, axis, x_shape: _scatter_sum(g, index, axis, x_shape), None],
    linear=True,
)
_scatter_sum: Primitive = Primitive(
    "scatter_add", summed_along, [lambda g, index, axis: _gather(g, index, axis), None], linear=True
)


def collected(g: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    """Return zeros of `shape` with `g` added where `index` points along `axis` (which both may lack)."""
    if index.ndim < len(shape):
        index, g = index[piece(axis, None)], g[piece(axis, None)]
    return _scatter_sum(g, index, axis, shape)


def _fitting(
    x: TensorBase, dim: Any, index: Any, who: str, src: TensorBase | None = None, late: bool = False
) -> tuple[int, TensorBase]:
    """Check an index that names one element for each of its own; with `late`, leave what along() checks to it."""
    at = an_index(index, who)
    axis = one_dim(dim, x._data.ndim, who)
    shape, wanted = x._data.shape, at._data.shape
    if at._data.size and (len(shape) or 1) != (len(wanted) or 1):
        raise ShapeError(f"{who}: an index with {len(shape)} dims is required, got shape {wanted}.")
    if at._data.size and shape:
        for k, n in enumerate(wanted):
            if k != axis and n > shape[k]:
                raise ShapeError(
                    f"{who}: an index no larger than {shape} apart from dim {axis} is required, got {wanted}."
                )
        if src is not None and (
            len(src._data.shape) != len(wanted) or any(n > m for n, m in zip(wanted, src._data.shape, strict=True))
        ):
            raise ShapeError(f"{who}: src no smaller than the index {wanted} is required, got {src._data.shape}.")
    if not late or moves(at._data.size) is None:
        checked(at._data, shape[axis] if shape else 1, who)
    return axis, at


def _at_least_1d(x: TensorBase) -> TensorBase:
    return x if x._data.ndim else reshape(x, 1)


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Tensor:
    """The elements that `index` names along `dim`: ``out[i, j] = input[index[i, j], j]`` for ``dim=0``.

    >>> import thalweg as tw
    >>> tw.gather(tw.tensor([[1, 2], [3, 4]]), 1, tw.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    x = as_tensor(input)
    axis, at = _fitting(x, dim, index, "gather", late=True)
    if at._data.size == 0:
        return TensorBase._wrap(np.empty(at._data.shape, x._data.dtype))  # type: ignore[return-value]
    if not x._data.ndim or not at._data.ndim:
        return reshape(apply(_gather, (_at_least_1d(x), _at_least_1d(at)), (0,)), at._data.shape)
    return apply(_gather, (x, at), (axis,))


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Tensor:
    """The elements that `indices` name along `dim`, the other dims broadcast; without `dim`, of all elements."""
    x, at = as_tensor(input), as_tensor(indices)
    if at._data.dtype != np.int64:
        raise _IndexType(f"take_along_dim: indices of int64 are required, got {at.dtype}.")
    if dim is None:
        return gather(reshape(x, -1), 0, reshape(at, -1))
    if x._data.ndim != at._data.ndim:
        raise ShapeError(f"take_along_dim: equally many dims are required, got {x._data.shape} and {at._data.shape}.")
    axis = one_dim(dim, x._data.ndim, "take_along_dim")
    a, b = list(x._data.shape), list(at._data.shape)
    if a:
        own, picked = a[axis], b[axis]
        a[axis] = b[axis] = 1
        common = list(np.broadcast_shapes(tuple(a), tuple(b)))
        x = broadcast_to(x, (*common[:axis], own, *common[axis + 1 :]))
        at = broadcast_to(at, (*common[:axis], picked, *common[axis + 1 :]))
        if at._data.size and int(at._data.min()) < 0:
            at = where(at < 0, at + own, at)  # type: ignore[operator]
    return gather(x, axis, at)


# Placing along a dim. Each `…_into` writes into its first argument: the primitive gives it a copy, the in-place
# form the memory itself when nothing is recorded.


def _scatter_into(out: Any, src: Any, index: Any, axis: int) -> Any:
    out.reshape(-1)[positions(index, axis, out.shape)] = src
    return out


def _zeroed(g: Any, index: Any, axis: int) -> Any:
    return _scatter(g, zeros_for(g), index, axis)


def _scatter_src_rule(g: Any, index: Any, axis: int, src_shape: tuple[int, ...]) -> Any:
    return sum_to(_gather(g, index, axis), src_shape)


def _contiguous_copy(x: Any) -> Any:
    return np.array(x, order="C")


_scatter: Primitive = Primitive(
    "scatter",
    lambda x, src, index, axis: _scatter_into(_contiguous_copy(x), src, index, axis),
    [_zeroed, _scatter_src_rule, None],
)
_scatter_value: Primitive = Primitive("scatter", _scatter.forward, _scatter.vjps, backward="ScatterBackward1")
_scatter_add: Primitive = Primitive(
    "scatter_add",
    lambda x, src, index, axis: add_along(_contiguous_copy(x), src, index, axis),
    [lambda g: g, _scatter_src_rule, None],
)


def scatter_arguments(
    input: Any, dim: Any, index: Any, src: Any, who: str
) -> tuple[TensorBase, TensorBase, TensorBase, int]:
    """Check and prepare: the source is cut to the size of the index, numbers become 0-d tensors."""
    x = as_tensor(input)
    number = not isinstance(src, (TensorBase, np.ndarray))
    source = TensorBase._wrap(np.asarray(src, x._data.dtype)) if number else as_tensor(src)
    if source._data.dtype != x._data.dtype:
        raise DTypeError(f"{who}: src of {x.dtype} is required, as the tensor, got {source.dtype}.")
    axis, at = _fitting(x, dim, index, who, None if number or not source._data.ndim else source)
    if source._data.shape != at._data.shape and source._data.ndim and at._data.size:
        source = source[tuple(slice(0, n) for n in at._data.shape)]  # type: ignore[index]
    return x, source, at, axis


def place(primitive: Primitive, x: TensorBase, source: TensorBase, at: TensorBase, axis: int) -> Tensor:
    """Apply one of the placing primitives; an empty index changes nothing."""
    if at._data.size == 0:
        return x.clone()  # type: ignore[attr-defined]
    if not x._data.ndim or not at._data.ndim:
        flat = apply(primitive, (_at_least_1d(x), _at_least_1d(source), _at_least_1d(at)), (0,))
        return reshape(flat, x._data.shape)
    return apply(primitive, (x, source, at), (axis,))


def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of `input` with `src` (a tensor or a number) placed where `index` points along `dim`.

    >>> import thalweg as tw
    >>> tw.scatter(tw.zeros(2, 3), 1, tw.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    given = value if src is None else src
    if reduce is not None:
        from .scatter_reduce import combined

        return combined(input, dim, index, given, reduce)
    x, source, at, axis = scatter_arguments(input, dim, index, given, "scatter")
    return place(_scatter if source._data.ndim else _scatter_value, x, source, at, axis)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Tensor:
    """A copy of `input` with `src` added where `index` points along `dim`."""
    return place(_scatter_add, *scatter_arguments(input, dim, index, src, "scatter_add"))


# Whole slices along a dim, by a vector of indices


def _index_copy_into(out: Any, src: Any, index: Any, axis: int) -> Any:
    out[piece(axis, index.reshape(-1))] = src
    return out


def _index_sum_forward(g: Any, index: Any, axis: int, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    return add_slices(out, g, index, axis)


_index_select: Primitive = Primitive(
    "index_select",
    slices,
    [lambda g, index, axis, x_shape: _index_sum(g, index, axis, x_shape), None],
    linear=True,
)
_index_sum: Primitive = Primitive(
    "index_add", _index_sum_forward, [lambda g, index, axis: _index_select(g, index, axis), None], linear=True
)
_index_add: Primitive = Primitive(
    "index_add",
    lambda x, src, index, axis: add_slices(_contiguous_copy(x), src, index, axis),
    [lambda g: g, lambda g, index, axis: _index_select(g, index, axis), None],
)


def _index_zeroed(g: Any, index: Any, axis: int) -> Any:
    return _index_fill(g, zeros_for(g), index, axis)


_index_copy: Primitive = Primitive(
    "index_copy",
    lambda x, src, index, axis: _index_copy_into(x.copy(), src, index, axis),
    [_index_zeroed, lambda g, index, axis: _index_select(g, index, axis), None],
)
_index_fill: Primitive = Primitive(
    "index_fill",
    lambda x, value, index, axis: _index_copy_into(x.copy(), value, index, axis),
    [_index_zeroed, lambda g, index, axis, value_shape: sum_to(g - _index_zeroed(g, index, axis), value_shape), None],
)
_index_fill_tensor: Primitive = Primitive(
    "index_fill", _index_fill.forward, _index_fill.vjps, backward="IndexFillBackward1"
)


def _slices(input: Any, dim: Any, index: Any, who: str) -> tuple[TensorBase, TensorBase, int]:
    x, at = as_tensor(input), an_index(index, who)
    axis = one_dim(dim, x._data.ndim, who)
    if at._data.ndim > 1:
        raise _NotAVector(f"{who}: a vector of indices is required, got shape {at._data.shape}.")
    negative = who in ("index_fill",)
    checked(at._data, x._data.shape[axis] if x._data.ndim else 1, who, negative)
    return x, _at_least_1d(at), axis


class _NotAVector(ShapeError, IndexError):
    """PyTorch raises IndexError."""


def index_select(input: Any, dim: int, index: Any) -> Tensor:
    """The slices along `dim` that a vector of indices names.

    >>> import thalweg as tw
    >>> tw.index_select(tw.tensor([[1, 2], [3, 4]]), 0, tw.tensor([1, 1]))
    tensor([[3, 4],
            [3, 4]])
    """
    x, at, axis = _slices(input, dim, index, "index_select")
    if not x._data.ndim:
        return reshape(apply(_index_select, (reshape(x, 1), at), (0,)), ())
    return apply(_index_select, (x, at), (axis,))


def sliced_source(
    input: Any, dim: Any, index: Any, source: Any, who: str
) -> tuple[TensorBase, TensorBase, TensorBase, int]:
    """Check slices to be put in place of those that `index` names."""
    x, at, axis = _slices(input, dim, index, who)
    src = as_tensor(source)
    if src._data.dtype != x._data.dtype:
        raise DTypeError(f"{who}: source of {x.dtype} is required, as the tensor, got {src.dtype}.")
    n = at._data.size
    shape = x._data.shape
    wanted = (*shape[:axis], n, *shape[axis + 1 :]) if shape else (1,)
    if src._data.ndim == 0 and n == 1 and len(shape) <= 1:
        src = reshape(src, 1)
    if src._data.shape != wanted:
        raise _NotAVector(f"{who}: a source of shape {wanted} is required, got {src._data.shape}.")
    return x, src, at, axis


def _put_slices(primitive: Primitive, x: TensorBase, src: TensorBase, at: TensorBase, axis: int) -> Tensor:
    if not x._data.ndim:
        return reshape(apply(primitive, (reshape(x, 1), src, at), (0,)), ())
    return apply(primitive, (x, src, at), (axis,))


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with `alpha` times the slices of `source` added to those that `index` names."""
    x, src, at, axis = sliced_source(input, dim, index, source, "index_add")
    return _put_slices(_index_add, x, src if alpha == 1 else src * alpha, at, axis)  # type: ignore[operator]


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Tensor:
    """A copy of `input` with the slices of `source` in place of those that `index` names."""
    return _put_slices(_index_copy, *sliced_source(input, dim, index, source, "index_copy"))


def fill_arguments(x: TensorBase, value: Any, who: str) -> TensorBase:
    """Return a value to fill with as a 0-d tensor of the type of `x`."""
    if isinstance(value, (TensorBase, np.ndarray)):
        found = as_tensor(value)
        if found._data.ndim:
            raise ShapeError(f"{who}: a number or a 0-d tensor is required, got shape {found._data.shape}.")
        if found._data.dtype.kind == "f" and x._data.dtype.kind != "f":
            raise DTypeError(f"{who}: a value of {x.dtype} is required, as the tensor, got {found.dtype}.")
        return converted(found, x.dtype)
    check_fits(value, x._data.dtype, who)
    return TensorBase._wrap(np.asarray(value).astype(x._data.dtype))


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Tensor:
    """A copy of `input` with `value` in all slices that `index` names."""
    x, at, axis = _slices(input, dim, index, "index_fill")
    primitive = _index_fill_tensor if isinstance(value, TensorBase) else _index_fill
    return _put_slices(primitive, x, fill_arguments(x, value, "index_fill"), at, axis)


# By position among all elements


def _put_into(out: Any, src: Any, index: Any, accumulate: bool) -> Any:
    flat = out.reshape(-1)
    if accumulate:
        sum_into(flat, index.reshape(-1), src.reshape(-1))
    else:
        flat[index.reshape(-1)] = src.reshape(-1)
    return out


def _take_back_forward(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    return _put_into(np.zeros(shape, g.dtype), g, index, True)


_take: Primitive = Primitive(
    "take",
    lambda x, index: picked(x.reshape(-1), index),
    [lambda g, index, x_shape: _take_back(g, index, x_shape), None],
    linear=True,
)
_take_back: Primitive = Primitive("put", _take_back_forward, [lambda g, index: _take(g, index), None], linear=True)


def _put_rule(g: Any, index: Any, accumulate: bool) -> Any:
    if accumulate:
        return g
    zeros = zeros_for(g, index.shape)
    return _put(g, zeros, index, False)


_put: Primitive = Primitive(
    "put",
    lambda x, src, index, accumulate: _put_into(_contiguous_copy(x), src, index, accumulate),
    [_put_rule, lambda g, index, src_shape: _take(g, index).reshape(src_shape), None],
)


def take(input: Any, index: Any) -> Tensor:
    """The elements at positions counted through all of `input`."""
    x, at = as_tensor(input), an_index(index, "take")
    if x._data.size == 0 and at._data.size:
        raise OutOfRange("take: the tensor has no elements to take from.")
    checked(at._data, x._data.size, "take", True)
    return apply(_take, (x, at))


def put_arguments(input: Any, index: Any, source: Any) -> tuple[TensorBase, TensorBase, TensorBase]:
    """Check values to be put at positions."""
    x, at, src = as_tensor(input), an_index(index, "put"), as_tensor(source)
    if src._data.dtype != x._data.dtype:
        raise DTypeError(f"put: source of {x.dtype} is required, as the tensor, got {src.dtype}.")
    if src._data.size != at._data.size:
        raise ShapeError(f"put: as many values as indices are required, got {src._data.size} and {at._data.size}.")
    if x._data.size == 0 and at._data.size:
        raise OutOfRange("put: the tensor has no elements to put anything in place of.")
    checked(at._data, x._data.size, "put", True)
    return x, src, at


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """A copy of `input` with the elements of `source` at positions counted through all of it, added if `accumulate`."""
    return apply(_put, put_arguments(input, index, source), (bool(accumulate),))


# A view replaced in a copy

_select_scatter: Primitive = Primitive("select_scatter", COPY_SLICES.forward, COPY_SLICES.vjps)
_slice_scatter: Primitive = Primitive("slice_scatter", COPY_SLICES.forward, COPY_SLICES.vjps)
_diagonal_scatter: Primitive = Primitive("diagonal_scatter", COPY_SLICES.forward, COPY_SLICES.vjps)
_PLACING = {p.name: p for p in (_select_scatter, _slice_scatter, _diagonal_scatter)}


def placed(x: TensorBase, src: Any, view: Primitive, params: tuple[Any, ...], who: str) -> Tensor:
    """Return a copy of `x` with `src` in place of what ``view(x, *params)`` shows."""
    source = converted(as_tensor(src), x.dtype)
    shape = view.forward(x._data, *params).shape
    if source._data.shape != shape:
        raise ShapeError(f"{who}: src of shape {shape} is required, got {source._data.shape}.")
    return apply(_PLACING[who], (x, source), (((view, params),),))


# In place


def write_into(
    primitive: Primitive, into: Any, target: TensorBase, others: tuple[Any, ...], params: tuple[Any, ...]
) -> Tensor:
    """Apply a placing primitive in place: in the memory itself when nothing has to be recorded."""
    check_write(target, others)
    modes = current()
    data = target._data
    recording = modes.grad and any(isinstance(x, TensorBase) and x.requires_grad for x in (target, *others))
    if modes.special or recording or not data.flags.c_contiguous or not data.flags.writeable or not data.ndim:
        return apply_inplace(primitive, target, others, params)
    arrays = [x._data if isinstance(x, TensorBase) else x for x in others]
    if any(np.may_share_memory(a, data) for a in arrays):
        return apply_inplace(primitive, target, others, params)
    into(data, *arrays, *params)
    bump(target)
    return target  # type: ignore[return-value]


class BadReduce(ArgumentError, RuntimeError):
    """An unknown reduction: PyTorch raises RuntimeError."""
