"""Picking and placing by an index or a mask as methods."""

from __future__ import annotations

from .. import gather as by_index
from .. import index, inplace_shapes, masks
from .. import scatter_reduce as reducing


class Indexing:
    """Picking and placing by an index or a mask."""

    __slots__ = ()

    gather = by_index.gather
    take = by_index.take
    take_along_dim = by_index.take_along_dim
    scatter = by_index.scatter
    scatter_add = by_index.scatter_add
    scatter_reduce = reducing.scatter_reduce
    index_select = by_index.index_select
    index_add = by_index.index_add
    index_copy = by_index.index_copy
    index_fill = by_index.index_fill
    index_put = index.index_put
    put = by_index.put
    masked_fill = masks.masked_fill
    masked_select = masks.masked_select
    masked_scatter = masks.masked_scatter
    nonzero = masks.nonzero
    argwhere = masks.argwhere
    scatter_ = inplace_shapes.scatter_
    scatter_add_ = inplace_shapes.scatter_add_
    scatter_reduce_ = inplace_shapes.scatter_reduce_
    index_add_ = inplace_shapes.index_add_
    index_copy_ = inplace_shapes.index_copy_
    index_fill_ = inplace_shapes.index_fill_
    index_put_ = inplace_shapes.index_put_
    put_ = inplace_shapes.put_
    masked_fill_ = inplace_shapes.masked_fill_
    masked_scatter_ = inplace_shapes.masked_scatter_
