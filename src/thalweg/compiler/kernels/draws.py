"""Uniform random numbers inside compiled loops: the same, bit for bit, as those of the eager generator.

The generator is Philox 4×64 with ten rounds (Salmon et al. 2011), whose counter is (block, 0, call, 0) and whose key is
(seed, 0). A block gives four words; a double takes the upper 53 bits of one, a single the upper 24 bits of each half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import kernel, part

__all__ = ["block", "uniform"]


@intrinsic
def _high(typing: Any, x: Any, y: Any) -> Any:
    """Return the upper 64 bits of a product."""

    def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        wide = ir.IntType(128)
        a, b = (builder.zext(v, wide) for v in given)
        return builder.trunc(builder.lshr(builder.mul(a, b), ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(x, y), write


high: Any = _high
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)


@part(inline="always")
def block(number: int, seed: Any, call: Any) -> Any:
    """Return the four words of a block, the blocks counted from 1."""
    zero = np.uint64(0)
    c0, c1, c2, c3 = np.uint64(number), zero, np.uint64(call), zero
    k0, k1 = np.uint64(seed), zero
    for _ in range(10):
        h0, l0 = high(_M0, c0), _M0 * c0
        h1, l1 = high(_M1, c2), _M1 * c2
        c0, c1, c2, c3 = h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0
        k0 += _W0
        k1 += _W1
    return c0, c1, c2, c3


@kernel()
def uniform(out: Any, count: int, seed: int, call: int) -> None:
    """Write the first `count` numbers, uniform on [0, 1), of a call of the generator."""
    half = out.itemsize == 4
    each = 8 if half else 4
    one = out.dtype.type(1)
    for at in range((count + each - 1) // each):
        c0, c1, c2, c3 = block(at + 1, seed, call)
        first = at * each
        for k in range(min(each, count - first)):
            n = k // 2 if half else k
            word = c0 if n == 0 else c1 if n == 1 else c2 if n == 2 else c3
            if half:
                part = (word >> np.uint64(32)) if k % 2 else (word & np.uint64(0xFFFFFFFF))
                out[first + k] = one * (part >> np.uint64(8)) / 16777216
            else:
                out[first + k] = one * (word >> np.uint64(11)) / 9007199254740992
