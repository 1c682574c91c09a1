"""Reductions as methods."""

from __future__ import annotations

from .. import reduce


class Reductions:
    """Reductions."""

    __slots__ = ()

    sum = reduce.sum
    mean = reduce.mean
    amax = reduce.amax
    amin = reduce.amin
