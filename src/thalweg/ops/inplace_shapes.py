"""Writing by an index or a mask, and changing a tensor's own shape, in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import bump, check_write, write
from ..core.tensor import TensorBase
from ..errors import GraphError, ShapeError
from . import diagonals, gather, scan, scatter_reduce, shape, strided
from ._index_arrays import add_along, add_slices
from .gather import write_into
from .index import index_put_ as index_put_
from .masks import masked_fill_ as masked_fill_
from .masks import masked_scatter_ as masked_scatter_

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "as_strided_", "cumprod_", "cumsum_", "index_add_", "index_copy_", "index_fill_", "index_put_", "masked_fill_",
    "masked_scatter_", "moveaxis_", "movedim_", "put_", "scatter_", "scatter_add_", "scatter_reduce_", "squeeze_",
    "swapaxes_", "swapdims_", "t_", "transpose_", "tril_", "triu_", "unsqueeze_",
]  # fmt: skip


def _placed(primitive: Any, into: Any, x: TensorBase, source: TensorBase, at: TensorBase, axis: int) -> Tensor:
    if at._data.size == 0:
        return x  # type: ignore[return-value]
    if x._data.ndim and at._data.ndim:
        return write_into(primitive, into, x, (source, at), (axis,))
    check_write(x, (source,))
    return write(x, gather.place(primitive, x, source, at, axis), primitive.name + "_")


def scatter_(
    input: TensorBase, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """Write `src` (a tensor or a number) where `index` points along `dim`."""
    given = value if src is None else src
    if reduce is not None:
        check_write(input, (given,))
        return write(input, scatter_reduce.combined(input, dim, index, given, reduce), "scatter_")
    x, source, at, axis = gather.scatter_arguments(input, dim, index, given, "scatter_")
    primitive = gather._scatter if source._data.ndim else gather._scatter_value
    return _placed(primitive, gather._scatter_into, x, source, at, axis)


def scatter_add_(input: TensorBase, dim: int, index: Any, src: Any) -> Tensor:
    """Add `src` where `index` points along `dim`."""
    arguments = gather.scatter_arguments(input, dim, index, src, "scatter_add_")
    return _placed(gather._scatter_add, add_along, *arguments)


def scatter_reduce_(
    input: TensorBase, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Combine `src` with the elements where `index` points along `dim`."""
    check_write(input, (src,))
    value = scatter_reduce.scatter_reduce(input, dim, index, src, reduce, include_self=include_self)
    return write(input, value, "scatter_reduce_")


def _slices_placed(primitive: Any, into: Any, x: TensorBase, src: TensorBase, at: TensorBase, axis: int) -> Tensor:
    if x._data.ndim:
        return write_into(primitive, into, x, (src, at), (axis,))
    check_write(x, (src,))
    return write(x, gather._put_slices(primitive, x, src, at, axis), primitive.name + "_")


def index_add_(input: TensorBase, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
    """Add `alpha` times the slices of `source` to those that `index` names."""
    x, src, at, axis = gather.sliced_source(input, dim, index, source, "index_add_")
    scaled: Any = src if alpha == 1 else src * alpha  # type: ignore[operator]
    return _slices_placed(gather._index_add, add_slices, x, scaled, at, axis)


def index_copy_(input: TensorBase, dim: int, index: Any, source: Any) -> Tensor:
    """Write the slices of `source` in place of those that `index` names."""
    arguments = gather.sliced_source(input, dim, index, source, "index_copy_")
    return _slices_placed(gather._index_copy, gather._index_copy_into, *arguments)


def index_fill_(input: TensorBase, dim: int, index: Any, value: Any) -> Tensor:
    """Write `value` into all slices that `index` names."""
    x, at, axis = gather._slices(input, dim, index, "index_fill")
    primitive = gather._index_fill_tensor if isinstance(value, TensorBase) else gather._index_fill
    return _slices_placed(
        primitive, gather._index_copy_into, x, gather.fill_arguments(x, value, "index_fill_"), at, axis
    )


def put_(input: TensorBase, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """Write (or add) the elements of `source` at positions counted through all of the tensor."""
    x, src, at = gather.put_arguments(input, index, source)
    return write_into(gather._put, gather._put_into, x, (src, at), (bool(accumulate),))


def tril_(input: TensorBase, diagonal: int = 0) -> Tensor:
    """Write zeros above a diagonal."""
    check_write(input)
    return write(input, diagonals.tril(input, diagonal), "tril_")


def triu_(input: TensorBase, diagonal: int = 0) -> Tensor:
    """Write zeros below a diagonal."""
    check_write(input)
    return write(input, diagonals.triu(input, diagonal), "triu_")


def cumsum_(input: TensorBase, dim: int, *, dtype: Any = None) -> Tensor:
    """Replace the elements by their running sum along `dim`."""
    check_write(input)
    return write(input, scan.cumsum(input, dim, dtype=dtype or input.dtype), "cumsum_")


def cumprod_(input: TensorBase, dim: int, *, dtype: Any = None) -> Tensor:
    """Replace the elements by their running product along `dim`."""
    check_write(input)
    return write(input, scan.cumprod(input, dim, dtype=dtype or input.dtype), "cumprod_")


# The tensor's own shape: it becomes the view, over the same memory.


def _become(input: TensorBase, view: TensorBase) -> Tensor:
    """Let `input` be what `view`, a view of it, is."""
    if view is input:
        return input  # type: ignore[return-value]
    check_write(input)
    if not np.may_share_memory(view._data, input._data) and input._data.size:
        raise ShapeError("in place: a change of shape that needs a copy is not possible.")
    if input._version_list is None:
        raise GraphError("in place: an inference tensor cannot change its shape.")
    known = input._view
    input._data = view._data
    input._node = view._node
    input._tangents = view._tangents
    if known is not None and view._view is not None:
        input._view = view._view
        input._view.base = known.base
    bump(input)
    if input._view is not None:
        input._view.seen = input._version_list[0]
    return input  # type: ignore[return-value]


def squeeze_(input: TensorBase, dim: Any = None) -> Tensor:
    """Leave out dims of size 1."""
    return _become(input, shape.squeeze(input, dim))


def unsqueeze_(input: TensorBase, dim: int) -> Tensor:
    """Put in a dim of size 1."""
    return _become(input, shape.unsqueeze(input, dim))


def transpose_(input: TensorBase, dim0: int, dim1: int) -> Tensor:
    """Exchange two dims."""
    return _become(input, shape.transpose(input, dim0, dim1))


def swapaxes_(input: TensorBase, axis0: int, axis1: int) -> Tensor:
    """Exchange two dims."""
    return transpose_(input, axis0, axis1)


def swapdims_(input: TensorBase, dim0: int, dim1: int) -> Tensor:
    """Exchange two dims."""
    return transpose_(input, dim0, dim1)


def t_(input: TensorBase) -> Tensor:
    """Transpose a matrix."""
    return _become(input, shape.t(input))


def movedim_(input: TensorBase, source: Any, destination: Any) -> Tensor:
    """Move some dims to other places."""
    return _become(input, shape.movedim(input, source, destination))


def as_strided_(input: TensorBase, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """See the memory with another shape, strides and offset."""
    return _become(input, strided.as_strided(input, size, stride, storage_offset))


moveaxis_ = movedim_
