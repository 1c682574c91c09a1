"""Shapes, joining and taking apart as methods."""

from __future__ import annotations

from .. import arrange, create, diagonals, inplace_shapes, join, shape, strided


class Shapes:
    """Shapes, joining and taking apart."""

    __slots__ = ()

    reshape = shape.reshape
    reshape_as = shape.reshape_as
    view = shape.view
    view_as = shape.view_as
    flatten = shape.flatten
    unflatten = shape.unflatten
    ravel = shape.ravel
    permute = shape.permute
    movedim = moveaxis = shape.movedim
    transpose = shape.transpose
    swapaxes = shape.swapaxes
    swapdims = shape.swapdims
    t = shape.t
    unsqueeze = shape.unsqueeze
    squeeze = shape.squeeze
    expand = shape.expand
    expand_as = shape.expand_as
    broadcast_to = shape.broadcast_to
    clone = create.clone
    split = join.split
    split_with_sizes = join.split_with_sizes
    chunk = join.chunk
    tensor_split = join.tensor_split
    hsplit = join.hsplit
    vsplit = join.vsplit
    dsplit = join.dsplit
    unbind = join.unbind
    flip = arrange.flip
    fliplr = arrange.fliplr
    flipud = arrange.flipud
    roll = arrange.roll
    rot90 = arrange.rot90
    repeat = arrange.repeat
    repeat_interleave = arrange.repeat_interleave
    tile = arrange.tile
    diag = diagonals.diag
    diagflat = diagonals.diagflat
    diagonal = diagonals.diagonal
    diag_embed = diagonals.diag_embed
    diagonal_scatter = diagonals.diagonal_scatter
    tril = diagonals.tril
    triu = diagonals.triu
    trace = diagonals.trace
    select = strided.select
    narrow = strided.narrow
    select_scatter = strided.select_scatter
    slice_scatter = strided.slice_scatter
    unfold = strided.unfold
    as_strided = strided.as_strided
    squeeze_ = inplace_shapes.squeeze_
    unsqueeze_ = inplace_shapes.unsqueeze_
    transpose_ = inplace_shapes.transpose_
    swapaxes_ = inplace_shapes.swapaxes_
    swapdims_ = inplace_shapes.swapdims_
    t_ = inplace_shapes.t_
    as_strided_ = inplace_shapes.as_strided_
    tril_ = inplace_shapes.tril_
    triu_ = inplace_shapes.triu_
    cumsum_ = inplace_shapes.cumsum_
    cumprod_ = inplace_shapes.cumprod_
