"""Rows of several runs turned so that the same element of every run lies side by side, by shuffles of vectors."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from ..unroll import WIDTH
from .product import _load, _pointer

__all__ = ["turn"]

# Each step takes pairs of vectors; the numbers say which elements of the two it keeps.
_LOW, _HIGH = [0, 8, 1, 9, 4, 12, 5, 13], [2, 10, 3, 11, 6, 14, 7, 15]
_FIRST, _SECOND = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
_LEFT, _RIGHT = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of a square of vectors."""

    def mix(x: Any, y: Any, order: list[int]) -> Any:
        return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order))

    if len(rows) == 4:
        even = [mix(rows[0], rows[1], [0, 4, 2, 6]), mix(rows[0], rows[1], [1, 5, 3, 7])]
        odd = [mix(rows[2], rows[3], [0, 4, 2, 6]), mix(rows[2], rows[3], [1, 5, 3, 7])]
        return [mix(even[k % 2], odd[k % 2], [0, 1, 4, 5] if k < 2 else [2, 3, 6, 7]) for k in range(4)]
    halves = []
    for k in (0, 4):
        a, b, c, d = rows[k : k + 4]
        low, high = (mix(a, b, _LOW), mix(c, d, _LOW)), (mix(a, b, _HIGH), mix(c, d, _HIGH))
        halves.append([mix(*low, _FIRST), mix(*low, _SECOND), mix(*high, _FIRST), mix(*high, _SECOND)])
    return [mix(halves[0][k % 4], halves[1][k % 4], _LEFT if k < 4 else _RIGHT) for k in range(8)]


@intrinsic
def _square(typing: Any, x: Any, width: Any, first: Any, order: Any, at: Any, out: Any, to: Any, step: Any) -> Any:
    """Turn one vector of each of as many rows as it has elements."""

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        x, width, first, order, at, out, to, step = given
        kinds = signature.args
        number = context.get_value_type(kinds[0].dtype)
        n = WIDTH[4 if kinds[0].dtype == types.float32 else 8]
        vector = ir.VectorType(number, n)
        xp = _pointer(context, builder, kinds[0], x, first)
        rows = _pointer(context, builder, kinds[3], order, at)
        op = _pointer(context, builder, kinds[5], out, to)
        loaded = []
        for k in range(n):
            row = builder.load(builder.gep(rows, [ir.Constant(to.type, k)]))
            loaded.append(_load(builder, builder.gep(xp, [builder.mul(row, width)]), vector))
        for k, column in enumerate(_turned(builder, loaded)):
            place = builder.gep(op, [builder.mul(ir.Constant(to.type, k), step)])
            builder.store(column, builder.bitcast(place, vector.as_pointer()), align=4)
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, order, i, out, i, i), write


square: Any = _square


@njit(nogil=True, error_model="numpy", cache=True)
def turn(x: Any, width: int, order: Any, at: int, out: Any, to: int, lanes: int) -> None:
    """Write ``out[to + j lanes + l] = x[order[at + l] width + j]`` for j < width, l < lanes.

    `width` and `lanes` are multiples of a vector's length.
    """
    n = 32 // x.itemsize
    for first in range(0, width, n):
        for k in range(0, lanes, n):
            square(x, width, first, order, at + k, out, to + first * lanes + k, lanes)
