"""Rows of several runs turned so that the same element of every run lies side by side, by shuffles of vectors."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from .jit import kernel
from .vectors import arguments, whole

__all__ = ["turn"]


def _write_square(
    typing: Any, x: Any, width: Any, first: Any, order: Any, at: Any, out: Any, to: Any, step: Any
) -> Any:
    """Turn one vector of each of as many rows as it has elements."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors, (x, width, first, order, at, out, to, step) = arguments(context, builder, signature, args)
        rows = []
        for k in range(vectors.size):
            row = builder.mul(vectors.number(order, at, k), width)
            rows.append(vectors.load(x, builder.add(row, first)))
        for k, column in enumerate(vectors.transposed(rows)):
            vectors.store(column, out, builder.add(to, builder.mul(step, whole(k))))
        return context.get_dummy_value()

    n = types.int64
    return types.void(x, n, n, order, n, out, n, n), write


_square: Any = intrinsic(_write_square)


@kernel()
def turn(x: Any, width: int, order: Any, at: int, out: Any, to: int, lanes: int) -> None:
    """Write ``out[to + j lanes + l] = x[order[at + l] width + j]`` for j < width, l < lanes.

    `width` and `lanes` are multiples of a vector's length.
    """
    n = 32 // x.itemsize
    for first in range(0, width, n):
        for k in range(0, lanes, n):
            _square(x, width, first, order, at + k, out, to + first * lanes + k, lanes)
