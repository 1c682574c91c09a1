"""Convolution with tiles of outputs held in registers: a few channels times a few vectors, over all taps.

A *tap* is one weight of one input channel. A table says for each output place which taps reach into the input, and
where; padding, stride, dilation and the transposed convolution differ in nothing but this table, and no zeros are
multiplied. Two layouts are read:

- *packed*: sixteen samples at a time are copied to ``[channel, place, sample]``, a few ten kilobytes that stay near;
- *rows*: ``[channel, *dims, sample]`` as it lies, where a row of outputs is one run, for few samples and stride 1.

What is packed may be the transpose of a max pooling, put among zeros on the way; and the results of packed samples may
go through a max pooling before they are written (`windows`). Neither large array then exists.

One output is computed by one task in a fixed order, and sums over samples are divided into parts that do not depend
on the number of threads, hence neither do results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from .jit import part
from .native import give_back, lend, sized, word
from .pool import add_chosen, best_of, set_chosen
from .sizes import BITS, BYTES, TALL, TAPS
from .vectors import arguments, cgutils, whole

__all__ = [
    "correlate_f4_i4", "correlate_f4_u1", "correlate_f8_i4", "correlate_f8_u1", "inner_f4", "inner_f8", "weight_gradient_f4_i4",
    "weight_gradient_f4_u1", "weight_gradient_f8_i4", "weight_gradient_f8_u1",
]  # fmt: skip


def _tile(rows: int) -> Any:
    """Return the function that computes `rows` output channels at BYTES of neighbouring elements of the output.

    It takes the input, where it begins in it, the distance between channels and their number; the table of taps and
    which part of it; weights [channel, tap, row] and where they begin, and how many there are per channel; the bias;
    the output, where it begins in it, and the distance between channels.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def tile(
        typing: Any, x: Any, at: Any, step: Any, channels: Any, taps: Any, first: Any, last: Any,
        w: Any, w_at: Any, w_step: Any, b: Any, b_at: Any, out: Any, out_at: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        i = types.int64
        signature = types.void(x, i, i, i, taps, i, i, w, i, i, b, i, out, i, i)
        return signature, lambda *given: _write_tile(rows, *given)

    return tile


def _write_tile(rows: int, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    vectors, given = arguments(context, builder, signature, args)
    x, at, step, channels, taps, first, last, w, w_at, w_step, b, b_at, out, out_at, out_step = given
    shifts = vectors.shifts()
    several = 4 // rows if rows < 3 else 1  # taps with totals of their own, which hide the time of one addition
    totals = [[[vectors.total() for _ in range(several)] for _ in shifts] for _ in range(rows)]

    def add(x_at: Any, mine: Any, tap: Any, k: int) -> None:
        entry = builder.shl(vectors.moved(tap, k), whole(1))
        source = builder.add(x_at, vectors.number(taps, entry))
        weight = builder.add(mine, builder.mul(vectors.number(taps, entry, 1), whole(rows)))
        loaded = [vectors.load(x, source, shift) for shift in shifts]
        for r, row in enumerate(totals):
            factor = vectors.spread(vectors.number(w, weight, r))
            for total, some in zip(row, loaded, strict=True):
                vectors.add_product(total[k], factor, some)

    groups = builder.sdiv(builder.sub(last, first), whole(several))
    rest = builder.add(first, builder.mul(groups, whole(several)))
    with cgutils.for_range(builder, channels) as channel:
        x_at = builder.add(at, builder.mul(channel.index, step))
        mine = builder.add(w_at, builder.mul(channel.index, w_step))
        if several > 1:
            with cgutils.for_range(builder, groups) as group:
                tap = builder.add(first, builder.mul(group.index, whole(several)))
                for k in range(several):
                    add(x_at, mine, tap, k)
        with cgutils.for_range(builder, last, rest if several > 1 else first) as one:
            add(x_at, mine, one.index, 0)
    for r, row in enumerate(totals):
        target = builder.add(out_at, builder.mul(out_step, whole(r)))
        start = vectors.spread(vectors.number(b, b_at, r))
        for total, shift in zip(row, shifts, strict=True):
            vectors.store(vectors.joined([start, *map(builder.load, total)]), out, target, shift)
    return context.get_dummy_value()


def _sums(rows: int, full: bool = True) -> Any:
    """Return the function that adds to the gradients of `rows` output channels times TAPS taps.

    It takes the input and where it begins in it; a list of pieces (where in the input, where in g, how long) and
    which of them; the taps and which of them is the first; g, where its first channel begins, and the distance
    between channels; the totals, where they begin, and the distance between channels. Pieces are BYTES long, or, if
    not `full`, shorter.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def sums(
        typing: Any, x: Any, at: Any, pieces: Any, first: Any, last: Any, taps: Any, tap: Any,
        g: Any, g_at: Any, g_step: Any, out: Any, out_at: Any, out_step: Any,
    ) -> Any:  # fmt: skip
        i = types.int64
        signature = types.void(x, i, pieces, i, i, taps, i, g, i, i, out, i, i)
        return signature, lambda *given: _write_sums(rows, full, *given)

    return sums


def _write_sums(rows: int, full: bool, context: Any, builder: Any, signature: Any, args: Any) -> Any:
    vectors, given = arguments(context, builder, signature, args)
    x, at, pieces, first, last, taps, tap, g, g_at, g_step, out, out_at, out_step = given
    shifts = vectors.shifts()
    several = 2 if rows < 3 else 1  # more totals hide the time that one addition takes
    totals = [[[vectors.total() for _ in range(several)] for _ in range(TAPS)] for _ in range(rows)]
    offsets = [vectors.number(taps, tap, t) for t in range(TAPS)]
    with cgutils.for_range(builder, last, first) as piece:
        entry = builder.mul(piece.index, whole(3))
        x_from = builder.add(at, vectors.number(pieces, entry))
        g_from = builder.add(g_at, vectors.number(pieces, entry, 1))
        length = None if full else vectors.number(pieces, entry, 2)
        for k, shift in enumerate(shifts):
            right = [vectors.load(x, builder.add(x_from, offset), shift, length) for offset in offsets]
            for r in range(rows):  # totals, three vectors of x and one of g: sixteen registers
                left = vectors.load(g, builder.add(g_from, builder.mul(g_step, whole(r))), shift, length)
                for t in range(TAPS):
                    vectors.add_product(totals[r][t][k % several], left, right[t])
    for r in range(rows):
        target = builder.add(builder.add(out_at, builder.mul(out_step, whole(r))), tap)
        for t in range(TAPS):
            total = vectors.sum(vectors.joined([builder.load(some) for some in totals[r][t]]))
            place = builder.gep(out, [vectors.moved(target, t)])
            builder.store(builder.fadd(builder.load(place), total), place)
    return context.get_dummy_value()


_tile1, _tile2, _tile3, _tile4, _tile5, _tile6 = (_tile(k) for k in range(1, TALL + 1))
_sums1, _sums2, _sums3, _sums4 = (_sums(k) for k in range(1, 5))
_sums_rest = _sums(1, full=False)


def _write_copy(typing: Any, x: Any, at: Any, out: Any, to: Any) -> Any:
    """Copy BYTES: without a loop, so that many copies wait for memory together."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors, (source, at, target, to) = arguments(context, builder, signature, args)
        for shift in vectors.shifts():
            vectors.store(vectors.load(source, at, shift), target, to, shift)
        return context.get_dummy_value()

    return types.void(x, types.int64, out, types.int64), write


def _write_turn(typing: Any, x: Any, at: Any, apart: Any, where: Any, place: Any, out: Any, to: Any, lanes: Any) -> Any:
    """Copy a square of a vector's places times as many samples, which lie `apart`, so that samples become neighbours.

    It takes x and where it begins in it; where places come to lie and which is the first; the output, where it begins
    in it, and the distance between places.
    """

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors, (source, at, apart, where, place, target, to, lanes) = arguments(context, builder, signature, args)
        n = vectors.size
        rows = [vectors.load(source, builder.add(at, builder.mul(apart, whole(k)))) for k in range(n)]
        for k, row in enumerate(vectors.transposed(rows)):
            shift = builder.mul(vectors.number(where, place, k), lanes)
            vectors.store(row, target, builder.add(to, shift))
        return context.get_dummy_value()

    i = types.int64
    return types.void(x, i, i, where, i, out, i, i), write


_copy: Any = intrinsic(_write_copy)
_turn: Any = intrinsic(_write_turn)


@part()
def _pack(
    x: Any, lies: Any, channel: int, sample: int, count: int, where: Any, lanes: int, out: Any, channels: int
) -> None:
    """Copy samples to [channel, place, lane]; `where` says at which place an element comes to lie."""
    each, by_place, by_sample, places = lies
    n, tile, square = len(where), BYTES // x.itemsize, BITS // 8 // x.itemsize
    for c in range(channels):
        start = (channel + c) * each + sample * by_sample
        to = c * places * lanes
        p, most = 0, count - count % tile
        if by_sample == 1:
            for m in range(0, most, tile):
                for p in range(n):
                    _copy(x, start + p * by_place + m, out, to + where[p] * lanes + m)
            p = n
        else:
            while p <= n - square:
                for m in range(0, most, square):
                    _turn(x, start + p + m * by_sample, by_sample, where, p, out, to + m, lanes)
                p += square
        for m in range(lanes):
            for q in range(p if m < most else 0, n):
                out[to + where[q] * lanes + m] = x[start + q * by_place + m * by_sample] if m < count else 0


@part()
def _put_back(
    g: Any, fetch: Any, n: int, channel: int, sample: int, count: int, lanes: int, out: Any, channels: int, places: int
) -> None:
    """Do as `_pack` with what a max pooling's gradient is among zeros: g is [channel, window, sample]."""
    which, windows, counts, width, once = fetch
    tile = BYTES // g.itemsize
    most = count - count % tile
    for c in range(channels):
        to = c * places * lanes
        if not once:
            out[to : to + places * lanes] = 0
        for q in range(len(counts)):
            source, i = ((channel + c) * len(counts) + q) * n + sample, q * width
            j = i + counts[q]
            for m in range(0, most, tile):
                if once:
                    set_chosen(g, which, source + m, windows, i, j, out, to + m, lanes)
                else:
                    add_chosen(g, which, source + m, windows, i, j, out, to + m, lanes)
            for m in range(most, lanes):
                for k in range(i, j):
                    here = m < count and which[source + m] == k - i
                    if once:
                        out[to + windows[k] * lanes + m] = g[source + m] if here else 0
                    elif here:
                        out[to + windows[k] * lanes + m] += g[source + m]


@part(inline="always")
def _zeros(count: int, x: Any) -> Any:
    """Return memory for so many zeros of the type of x, which must be given back."""
    out = lend(count, x.dtype)
    for k in range(count):
        out[k] = 0
    return out


def _inner(real: Any) -> Any:
    def inner(table: int, first: int, last: int) -> int:
        """Copy channels of contiguous [sample, channel, place] to [channel, place, sample]."""
        x, n, where, out = sized(table, 0, real), word(table, 6), sized(table, 7, np.int64), sized(table, 9, real)
        lies = word(table, 2), word(table, 3), word(table, 4), word(table, 5)
        _pack(x, lies, first, 0, n, where, n, out[first * len(where) * n :], last - first)
        return 0

    return inner


def _correlating(real: Any, small: Any) -> Any:
    def correlate(table: int, start: int, stop: int) -> int:
        """Compute outputs of a convolution; see convolve.py for the table."""
        lies = word(table, 2), word(table, 3), word(table, 4), word(table, 5)
        fetch = (
            sized(table, 8, small), sized(table, 10, np.int64), sized(table, 12, np.int64), word(table, 14), word(table, 15) != 0,
        )  # fmt: skip
        bases, kinds, edges, taps = (
            sized(table, 17, np.int64), sized(table, 19, np.int64), sized(table, 21, np.int64), sized(table, 23, np.int64),
        )  # fmt: skip
        w, b, tiles, out = (
            sized(table, 26, real),
            sized(table, 28, real),
            sized(table, 30, np.int64),
            sized(table, 32, real),
        )
        which, windows, counts, width, floor = (
            sized(table, 35, small), sized(table, 37, np.int64), sized(table, 39, np.int64), word(table, 41),
            sized(table, 42, real)[0],
        )  # fmt: skip
        x, where, channels, per, length = (
            sized(table, 0, real), sized(table, 6, np.int64), word(table, 16), word(table, 25), word(table, 34),
        )  # fmt: skip
        tile = BYTES // x.itemsize
        places, blocks, rows = len(bases), (length + tile - 1) // tile, tiles[-1]
        packed, fetched = len(where) > 0, len(fetch[2]) > 0
        pooled, apart, mine = len(counts) > 0, length, out
        if pooled:
            apart = tile
            mine = lend(rows * places * tile, x.dtype)
        some, step, held = x, lies[0], -1
        if packed:
            step = lies[3] * tile
            some = _zeros(channels * step, x)
        group = start // (places * blocks)
        first = start - group * places * blocks
        p, block = (first % places, first // places) if packed else (first // blocks, first % blocks)
        for _ in range(start, stop):
            lane = min(block * tile, length - tile)  # the last block overlaps the one before it
            at = bases[p]
            if not packed:
                at += group * channels * lies[0] + lane
            elif block != held:
                held = block
                if fetched:
                    _put_back(x, fetch, length, group * channels, lane, tile, tile, some, channels, lies[3])
                else:
                    _pack(x, lies, group * channels, lane, tile, where, tile, some, channels)
            i, j = edges[kinds[p]], edges[kinds[p] + 1]
            for k in range(len(tiles) - 1):
                r, n = group * rows + tiles[k], tiles[k + 1] - tiles[k]
                v, to = r * channels * per, ((tiles[k] if pooled else r) * places + p) * apart + (0 if pooled else lane)
                if n == 6:
                    _tile6(some, at, step, channels, taps, i, j, w, v, per * 6, b, r, mine, to, places * apart)
                elif n == 5:
                    _tile5(some, at, step, channels, taps, i, j, w, v, per * 5, b, r, mine, to, places * apart)
                elif n == 4:
                    _tile4(some, at, step, channels, taps, i, j, w, v, per * 4, b, r, mine, to, places * apart)
                elif n == 3:
                    _tile3(some, at, step, channels, taps, i, j, w, v, per * 3, b, r, mine, to, places * apart)
                elif n == 2:
                    _tile2(some, at, step, channels, taps, i, j, w, v, per * 2, b, r, mine, to, places * apart)
                else:
                    _tile1(some, at, step, channels, taps, i, j, w, v, per, b, r, mine, to, places * apart)
            if packed:  # places inside, so that one block of samples is copied once
                p += 1
                if p == places and pooled:
                    for r in range(rows):
                        for q in range(len(counts)):
                            at, to = q * width, ((group * rows + r) * len(counts) + q) * length + lane
                            best_of(mine, r * places * tile, tile, windows, at, at + counts[q], floor, out, which, to)
                if p == places:
                    p, block = 0, block + 1
            else:
                block += 1
                if block == blocks:
                    block, p = 0, p + 1
            if p == places or block == blocks:
                group, p, block, held = group + 1, 0, 0, -1
        if pooled:
            give_back(mine)
        if packed:
            give_back(some)
        return 0

    return correlate


def _weighing(real: Any, small: Any) -> Any:
    def weight_gradient(table: int, start: int, stop: int) -> int:
        """Compute partial gradients of a convolution's weight; see convolve.py for the table."""
        lies = word(table, 2), word(table, 3), word(table, 4), word(table, 5)
        g_lies = word(table, 11), word(table, 12), word(table, 13), word(table, 14)
        fetch = (
            sized(table, 17, small), sized(table, 19, np.int64), sized(table, 21, np.int64), word(table, 23), word(table, 24) != 0,
        )  # fmt: skip
        pieces, rests, taps = sized(table, 28, np.int64), sized(table, 30, np.int64), sized(table, 33, np.int64)
        x, where, channels, g, g_where = (
            sized(table, 0, real), sized(table, 6, np.int64), word(table, 8), sized(table, 9, real), sized(table, 15, np.int64),
        )  # fmt: skip
        rows, samples, lanes, each, total, parts = (
            word(table, 25), word(table, 26), word(table, 27), word(table, 32), sized(table, 35, real), word(table, 37),
        )  # fmt: skip
        packed, n, count = len(where) > 0, len(taps), len(pieces) // 3
        chunks = (count + each - 1) // each
        units = chunks * ((samples + lanes - 1) // lanes) if packed else chunks
        some, mine, step = x, g, g_lies[0]
        if packed:
            step = g_lies[3] * lanes
            some = _zeros(channels * lies[3] * lanes, x)
            mine = _zeros(rows * step, x)
        for task in range(start, stop):
            group, held = task // parts, -1
            part = task - group * parts
            at, g_at = (0, 0) if packed else (group * channels * lies[0], group * rows * step)
            for unit in range(part * units // parts, (part + 1) * units // parts):
                block = unit // chunks
                if packed and block != held:
                    held = block
                    here = min(lanes, samples - block * lanes)
                    _pack(x, lies, group * channels, block * lanes, here, where, lanes, some, channels)
                    if len(fetch[2]) > 0:
                        _put_back(g, fetch, samples, group * rows, block * lanes, here, lanes, mine, rows, g_lies[3])
                    else:
                        _pack(g, g_lies, group * rows, block * lanes, here, g_where, lanes, mine, rows)
                i = (unit - block * chunks) * each
                j = min(i + each, count)
                r = 0
                while r < rows:
                    tiles = (rows - r + 3) // 4
                    many = (rows - r + tiles - 1) // tiles  # as even as may be
                    to, g_from = (task * rows + r) * n, g_at + r * step
                    for t in range(0, n, TAPS):
                        if many == 4:
                            _sums4(some, at, pieces, i, j, taps, t, mine, g_from, step, total, to, n)
                        elif many == 3:
                            _sums3(some, at, pieces, i, j, taps, t, mine, g_from, step, total, to, n)
                        elif many == 2:
                            _sums2(some, at, pieces, i, j, taps, t, mine, g_from, step, total, to, n)
                        else:
                            _sums1(some, at, pieces, i, j, taps, t, mine, g_from, step, total, to, n)
                    r += many
            i, j = part * (len(rests) // 3) // parts, (part + 1) * (len(rests) // 3) // parts
            for r in range(rows if j > i else 0):
                for t in range(0, n, TAPS):
                    _sums_rest(x, at, rests, i, j, taps, t, g, g_at + r * step, step, total, (task * rows + r) * n, n)
        if packed:
            give_back(some)
            give_back(mine)
        return 0

    return weight_gradient


inner_f4, inner_f8 = _inner(np.float32), _inner(np.float64)
correlate_f4_u1, correlate_f4_i4 = _correlating(np.float32, np.uint8), _correlating(np.float32, np.int32)
correlate_f8_u1, correlate_f8_i4 = _correlating(np.float64, np.uint8), _correlating(np.float64, np.int32)
weight_gradient_f4_u1, weight_gradient_f4_i4 = _weighing(np.float32, np.uint8), _weighing(np.float32, np.int32)
weight_gradient_f8_u1, weight_gradient_f8_i4 = _weighing(np.float64, np.uint8), _weighing(np.float64, np.int32)
