"""Running sums and products along a dim, accumulated in double precision.

Arrays lie as ``[outer, n, inner]``. A sum waits for the one before it; so four rows, or a stripe of columns, go side by
side. One row is one thread's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops._kernels import flat
from ..threads import share_parts
from .jit import kernel

__all__ = ["running_product", "running_sum"]

WIDE = 64  # columns of a stripe


@kernel()
def _sum_lines(x: Any, out: Any, backwards: bool, start: int, stop: int) -> None:
    n = x.shape[1]
    first, step = (n - 1, -1) if backwards else (0, 1)
    r = start
    while r + 4 <= stop:
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        k = first
        for _ in range(n):
            s0 += x[r, k]
            s1 += x[r + 1, k]
            s2 += x[r + 2, k]
            s3 += x[r + 3, k]
            out[r, k], out[r + 1, k], out[r + 2, k], out[r + 3, k] = s0, s1, s2, s3
            k += step
        r += 4
    while r < stop:
        s, k = 0.0, first
        for _ in range(n):
            s += x[r, k]
            out[r, k] = s
            k += step
        r += 1


@kernel()
def _product_lines(x: Any, out: Any, start: int, stop: int) -> None:
    for r in range(start, stop):
        s = 1.0
        for k in range(x.shape[1]):
            s *= x[r, k]
            out[r, k] = s


@kernel()
def _columns(x: Any, out: Any, product: bool, backwards: bool, start: int, stop: int) -> None:
    _, n, inner = x.shape
    stripes = (inner + WIDE - 1) // WIDE
    whole = np.empty(WIDE, np.float64)
    for task in range(start, stop):
        o = task // stripes
        a = (task - o * stripes) * WIDE
        z = min(a + WIDE, inner)
        total = whole[: z - a]
        total[:] = 1.0 if product else 0.0
        for i in range(n):
            k = n - 1 - i if backwards else i
            row, to = x[o, k, a:z], out[o, k, a:z]
            if product:
                for j in range(total.shape[0]):
                    total[j] *= row[j]
                    to[j] = total[j]
            else:
                for j in range(total.shape[0]):
                    total[j] += row[j]
                    to[j] = total[j]


def _scanned(x: Any, axis: int, product: bool, backwards: bool) -> Any:
    out = np.empty(x.shape, x.dtype)
    lies, to = flat(x, axis), flat(out, axis)
    kernel: Any
    if lies.shape[2] == 1:
        kernel, arguments = _product_lines, [lies[:, :, 0], to[:, :, 0]]
        if not product:
            kernel = _sum_lines
            arguments.append(backwards)
        count = len(lies)
    else:
        kernel, arguments = _columns, [lies, to, product, backwards]
        count = len(lies) * ((lies.shape[2] + WIDE - 1) // WIDE)
    kernel(*arguments, 0, 0)  # compiles before threads start
    share_parts(lambda start, stop: kernel(*arguments, start, stop), count, x.size)
    return out


def running_sum(x: Any, axis: int, backwards: bool) -> Any:
    """Return the running sum along a dim, from the first element on or from the last."""
    return _scanned(x, axis, False, backwards)


def running_product(x: Any, axis: int) -> Any:
    """Return the running product along a dim."""
    return _scanned(x, axis, True, False)
