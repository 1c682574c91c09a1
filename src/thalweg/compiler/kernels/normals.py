"""Normal random numbers inside compiled loops: the same, bit for bit, as those of the eager generator.

They come from the ziggurat of 256 layers (Marsaglia and Tsang 2000) with NumPy's tables, which Numba has: bits of a word
name a layer, a sign and a place in the layer's width. Nearly always that is a point below the curve; else more words decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.random import _constants as tables

from .draws import block
from .jit import kernel, part

__all__ = ["normal_f4", "normal_f8"]


# The words of a call one after the other, for numbers that take as many as they need. A stream is an array: the words of
# the present block, how many of them are used, the block's number, the seed, the call, whether half a word waits, and it.


@part(_nrt=True)
def _stream(seed: int, call: int) -> Any:
    words = np.zeros(10, np.uint64)
    words[4], words[6], words[7] = 4, np.uint64(seed), np.uint64(call)
    return words


@part()
def _word(stream: Any) -> Any:
    used = np.int64(stream[4])
    if used == 4:
        stream[5] += np.uint64(1)
        stream[0], stream[1], stream[2], stream[3] = block(stream[5], stream[6], stream[7])
        used = np.int64(0)
    stream[4] = used + 1
    return stream[used]


@part()
def _half(stream: Any) -> Any:
    """Return 32 bits: the lower half of a word, and next time the upper."""
    if stream[8] != 0:
        stream[8] = 0
        return stream[9]
    word = _word(stream)
    stream[8], stream[9] = 1, word >> np.uint64(32)
    return word & np.uint64(0xFFFFFFFF)


@part()
def _double(stream: Any) -> Any:
    return float(_word(stream) >> np.uint64(11)) / 9007199254740992.0


@part()
def _single(stream: Any) -> Any:
    return np.float32(_half(stream) >> np.uint64(8)) / np.float32(16777216.0)


_WIDTHS, _INSIDE, _HEIGHTS = tables.wi_double, tables.ki_double, tables.fi_double
_WIDTHS_F, _INSIDE_F, _HEIGHTS_F = tables.wi_float, tables.ki_float, tables.fi_float
_END, _SLOPE = float(tables.ziggurat_nor_r), float(tables.ziggurat_nor_inv_r)  # where the tail begins, and 1 by that
_END_F, _SLOPE_F = np.float32(tables.ziggurat_nor_r_f), np.float32(tables.ziggurat_nor_inv_r_f)


@kernel()
def normal_f8(out: Any, count: int, seed: int, call: int) -> None:
    """Write the first `count` standard normal numbers of a call of the generator, in double precision."""
    stream = _stream(seed, call)
    k = 0
    while k < count:
        word = _word(stream)
        layer = np.int64(word & np.uint64(0xFF))
        place = (word >> np.uint64(9)) & np.uint64(0xFFFFFFFFFFFFF)
        x = float(place) * _WIDTHS[layer]
        if (word >> np.uint64(8)) & np.uint64(1):
            x = -x
        taken = place < _INSIDE[layer]
        if not taken and layer > 0:
            between = (_HEIGHTS[layer - 1] - _HEIGHTS[layer]) * _double(stream) + _HEIGHTS[layer]
            taken = between < np.exp(-0.5 * x * x)
        while not taken and layer == 0:
            beyond = -_SLOPE * np.log1p(-_double(stream))
            height = -np.log1p(-_double(stream))
            taken = height + height > beyond * beyond
            x = -(_END + beyond) if (place >> np.uint64(8)) & np.uint64(1) else _END + beyond
        if taken:
            out[k] = x
            k += 1


@kernel()
def normal_f4(out: Any, count: int, seed: int, call: int) -> None:
    """Write the first `count` standard normal numbers of a call of the generator, in single precision."""
    stream = _stream(seed, call)
    k = 0
    while k < count:
        word = _half(stream)
        layer = np.int64(word & np.uint64(0xFF))
        place = (word >> np.uint64(9)) & np.uint64(0x7FFFFF)
        x = np.float32(place) * _WIDTHS_F[layer]
        if (word >> np.uint64(8)) & np.uint64(1):
            x = -x
        taken = place < _INSIDE_F[layer]
        if not taken and layer > 0:
            between = (_HEIGHTS_F[layer - 1] - _HEIGHTS_F[layer]) * _single(stream) + _HEIGHTS_F[layer]
            taken = between < np.exp(np.float32(-0.5) * x * x)
        while not taken and layer == 0:
            beyond = -_SLOPE_F * np.log1p(-_single(stream))
            height = -np.log1p(-_single(stream))
            taken = height + height > beyond * beyond
            x = -(_END_F + beyond) if (place >> np.uint64(8)) & np.uint64(1) else _END_F + beyond
        if taken:
            out[k] = x
            k += 1
