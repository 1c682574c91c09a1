"""Shapes and indexing as methods."""

from __future__ import annotations

from .. import create, shape


class Shapes:
    """Shapes."""

    __slots__ = ()

    reshape = shape.reshape
    view = shape.view
    flatten = shape.flatten
    permute = shape.permute
    transpose = swapaxes = swapdims = shape.transpose
    t = shape.t
    unsqueeze = shape.unsqueeze
    squeeze = shape.squeeze
    expand = shape.expand
    clone = create.clone
