"""Pooling with the batch innermost: the windows of many samples are compared at once, in registers.

Beside the largest element goes its number within the window, which is small; places follow from it and the table of
windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import part
from .native import sized, word
from .sizes import BYTES
from .vectors import arguments, cgutils

__all__ = [
    "add_chosen", "best_of", "max_pool_f4_i4", "max_pool_f4_u1", "max_pool_f8_i4", "max_pool_f8_u1", "put_f4_i4", "put_f4_u1",
    "put_f8_i4", "put_f8_u1", "set_chosen",
]  # fmt: skip


def _write_best(
    typing: Any, x: Any, at: Any, apart: Any, windows: Any, first: Any, last: Any, floor: Any, out: Any, which: Any, to: Any
) -> Any:  # fmt: skip
    """Write the largest of `floor` and some places of x, and its number, for BYTES of neighbouring samples.

    It takes x, where the samples begin in it and the distance between places; the windows and which part of them;
    the least result; the two outputs, and where these samples lie in them.
    """

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors, given = arguments(context, builder, signature, args)
        x, at, apart, windows, first, last, floor, out, which, to = given
        lane = ir.IntType(8 * vectors.align)
        numbers = ir.VectorType(lane, vectors.size)
        none = ir.Constant(numbers, [0] * vectors.size)
        shifts = vectors.shifts()
        best = [vectors.total() for _ in shifts]
        chosen = [cgutils.alloca_once(builder, numbers) for _ in shifts]
        for value, number in zip(best, chosen, strict=True):
            builder.store(vectors.spread(floor), value)
            builder.store(none, number)
        with cgutils.for_range(builder, last, first) as loop:
            source = builder.add(at, builder.mul(vectors.number(windows, loop.index), apart))
            k = builder.sub(loop.index, first)
            k = builder.trunc(k, lane) if vectors.align < 8 else k
            k = vectors.spread(k)
            for value, number, shift in zip(best, chosen, shifts, strict=True):
                v = vectors.load(x, source, shift)
                wins = builder.fcmp_ordered(">", v, builder.load(value))
                wins = builder.or_(wins, builder.fcmp_unordered("uno", v, v))  # NaN wins
                builder.store(builder.select(wins, v, builder.load(value)), value)
                builder.store(builder.select(wins, k, builder.load(number)), number)
        small = ir.VectorType(ir.IntType(signature.args[8].dtype.bitwidth), vectors.size)
        for value, number, shift in zip(best, chosen, shifts, strict=True):
            vectors.store(builder.load(value), out, to, shift)
            place = builder.gep(which, [vectors.moved(to, shift)])
            narrow = builder.load(number)
            if small.element.width < lane.width:
                narrow = builder.trunc(narrow, small)
            builder.store(narrow, builder.bitcast(place, small.as_pointer()), align=1)
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, windows, i, i, x.dtype, out, which, i), write


def _putting(add: bool) -> Any:
    """Return the function that writes (or adds) BYTES of neighbouring samples to where they were chosen, zeros elsewhere.

    It takes g, the numbers in the window, and where these samples begin in both; the windows and which part of them;
    the output, where the samples begin in it, and the distance between places.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def put(
        typing: Any, g: Any, which: Any, at: Any, windows: Any, first: Any, last: Any, out: Any, to: Any, apart: Any
    ) -> Any:
        i = types.int64
        return types.void(g, which, i, windows, i, i, out, i, i), lambda *given: _write_put(add, *given)

    return put


def _write_put(add: bool, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    vectors, (g, which, at, windows, first, last, out, to, apart) = arguments(context, builder, signature, args)
    small = ir.VectorType(ir.IntType(signature.args[1].dtype.bitwidth), vectors.size)
    zeros = ir.Constant(vectors.type, [0.0] * vectors.size)
    given, numbers = [], []
    for shift in vectors.shifts():
        place = builder.gep(which, [vectors.moved(at, shift)])
        given.append(vectors.load(g, at, shift))
        numbers.append(builder.load(builder.bitcast(place, small.as_pointer()), align=1))
    with cgutils.for_range(builder, last, first) as loop:
        target = builder.add(to, builder.mul(vectors.number(windows, loop.index), apart))
        k = vectors.spread(builder.trunc(builder.sub(loop.index, first), small.element))
        for shift, x, number in zip(vectors.shifts(), given, numbers, strict=True):
            some = builder.select(builder.icmp_unsigned("==", number, k), x, zeros)
            if add:
                some = builder.fadd(vectors.load(out, target, shift), some)
            vectors.store(some, out, target, shift)
    return context.get_dummy_value()


best_of: Any = intrinsic(_write_best)
set_chosen, add_chosen = _putting(False), _putting(True)


@part(inline="always")
def _max_pool(
    x: Any, places: int, windows: Any, counts: Any, width: int, floor: Any, out: Any, which: Any, n: int, start: int, stop: int
) -> None:  # fmt: skip
    tile = BYTES // x.itemsize
    for task in range(start, stop):
        c = task // len(counts)
        place = task - c * len(counts)
        i = place * width
        for m in range(0, n, tile):
            lane = min(m, n - tile)  # the last samples overlap those before them
            at = c * places * n + lane
            best_of(x, at, n, windows, i, i + counts[place], floor, out, which, task * n + lane)


@part(inline="always")
def _put(
    g: Any, which: Any, windows: Any, counts: Any, width: int, out: Any, places: int, n: int, once: bool, start: int, stop: int
) -> None:  # fmt: skip
    """If each place is in one window (`once`) tasks are windows, and nothing need be 0 before; else channels."""
    tile = BYTES // g.itemsize
    whole = n - n % tile
    for task in range(start, stop):
        if once:
            c = task // len(counts)
            i = (task - c * len(counts)) * width
            for m in range(0, n, tile):
                lane = min(m, n - tile)  # the last samples overlap those before them
                j = i + counts[i // width]
                set_chosen(g, which, task * n + lane, windows, i, j, out, c * places * n + lane, n)
            continue
        for m in range(task * places * n, (task + 1) * places * n):
            out[m] = 0
        for place in range(len(counts)):
            source, i = (task * len(counts) + place) * n, place * width
            for m in range(0, whole, tile):
                add_chosen(g, which, source + m, windows, i, i + counts[place], out, task * places * n + m, n)
            for m in range(whole, n):
                if which[source + m] < counts[place]:
                    out[(task * places + windows[i + which[source + m]]) * n + m] += g[source + m]


def _pooling(real: Any, small: Any) -> Any:
    def max_pool(table: int, first: int, last: int) -> int:
        """Pool windows; see convolve.py for the table."""
        _max_pool(
            sized(table, 0, real), word(table, 2), sized(table, 3, np.int64), sized(table, 5, np.int64), word(table, 7),
            sized(table, 8, real)[0], sized(table, 10, real), sized(table, 12, small), word(table, 14), first, last,
        )  # fmt: skip
        return 0

    return max_pool


def _putting_back(real: Any, small: Any) -> Any:
    def put(table: int, first: int, last: int) -> int:
        """Put gradients back; see convolve.py for the table."""
        _put(
            sized(table, 0, real), sized(table, 2, small), sized(table, 4, np.int64), sized(table, 6, np.int64), word(table, 8),
            sized(table, 9, real), word(table, 11), word(table, 12), word(table, 13) != 0, first, last,
        )  # fmt: skip
        return 0

    return put


max_pool_f4_u1, max_pool_f4_i4 = _pooling(np.float32, np.uint8), _pooling(np.float32, np.int32)
max_pool_f8_u1, max_pool_f8_i4 = _pooling(np.float64, np.uint8), _pooling(np.float64, np.int32)
put_f4_u1, put_f4_i4 = _putting_back(np.float32, np.uint8), _putting_back(np.float32, np.int32)
put_f8_u1, put_f8_i4 = _putting_back(np.float64, np.uint8), _putting_back(np.float64, np.int32)
