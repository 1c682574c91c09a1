"""Convolution and max pooling by the kernels of ``kernels/conv.py`` and ``kernels/pool.py``: their tables, and their parts.

A table holds, in the order of the kernel's arguments, the address and the length of every array, and every number.
Nothing here needs Numba: machine code that is on disk is called by its address.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np

from .kernels.sizes import BYTES, TALL, TAPS
from .machine import kernel
from .program import ProgramError
from .threads import helpers_for, run_parts

__all__ = ["BYTES", "TAPS", "available", "correlate", "inner", "max_pool", "put", "weight_gradient"]

EACH = 64  # pieces of a sum at a time, which stay in the nearest cache
PARTS = 16  # partial weight gradients, whatever the number of threads
_NOTHING = (np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64), 0, True)  # no pooling
_KINDS = {"float32": "f4", "float64": "f8", "uint8": "u1", "int32": "i4"}


@functools.cache
def available() -> bool:
    """Return whether there is a compiler for the kernels."""
    return importlib.util.find_spec("numba") is not None


def _table(given: tuple[Any, ...], kinds: tuple[Any, ...]) -> Any:
    """Return the table of some arrays and numbers; who calls keeps the arrays.

    `kinds` are the element types for which the kernel was compiled. Every array is of one of these, or of whole numbers
    of 64 bits, and contiguous: a kernel looks at neither.
    """
    found: list[int] = []
    for x in given:
        if isinstance(x, np.ndarray):
            if not x.flags.c_contiguous or not (x.dtype in kinds or x.dtype == np.int64):
                raise ProgramError(f"a kernel for {kinds} cannot take {x.dtype}{list(x.shape)} of strides {x.strides}.")
            found += (x.__array_interface__["data"][0], x.size)
        else:
            found.append(x)
    return np.array(found, np.int64)


def _holds(array: Any, size: int, what: str) -> None:
    """Raise ProgramError unless an array has so many elements, all that a kernel is to write."""
    if array.size != size or not array.flags.writeable:
        raise ProgramError(f"a kernel writes {size} elements of {what}, and was handed {array.size}.")


def _run(
    file: str, name: str, arrays: tuple[Any, ...], given: tuple[Any, ...], count: int, threads: int | None = None,
    unit: int = 1,
) -> None:  # fmt: skip
    """Run the kernel for the types of `arrays` on a table, its range of `unit` times `count` in parts of whole units."""
    run = kernel(file, "_".join([name, *(_KINDS[a.dtype.name] for a in arrays)]))
    table = _table(given, tuple(a.dtype for a in arrays))
    at = table.ctypes.data
    run_parts(lambda first, last: run(at, first * unit, last * unit), count, threads)


def _number(value: Any, dtype: Any) -> Any:
    """Return a number that is not whole as an array of one, of which a table holds the address."""
    return np.array([value], dtype)


def _tiled(w: Any) -> tuple[Any, Any]:
    """Return weights [group, o, channel, tap] as tiles [channel, tap, row] one after the other, and where these begin."""
    groups, rows = w.shape[:2]
    count = (rows + TALL - 1) // TALL
    tiles = np.arange(count + 1) * rows // count
    flat = w.reshape(groups, rows, -1).swapaxes(1, 2)
    parts = [flat[:, :, tiles[k] : tiles[k + 1]].reshape(groups, -1) for k in range(count)]
    return np.concatenate(parts, 1).reshape(-1), tiles


def inner(x: Any) -> Any:
    """Return contiguous [sample, channel, place] as contiguous [channel, place, sample]."""
    n, channels, places = x.shape
    out = np.empty((channels, places, n), x.dtype)
    given = x, places, 1, channels * places, places, n, np.arange(places), out
    _run("conv", "inner", (x,), given, channels, helpers_for(x.size))
    return out


def correlate(
    x: Any,
    lies: Any,
    where: Any,
    table: Any,
    w: Any,
    b: Any,
    out: Any,
    length: int,
    fetch: Any = None,
    pool: Any = None,
) -> None:
    """Write ``out[o, p, m] = b[o] + Σ_t w[o, channel(t), tap(t)] x[base(p) + offset(t) + m]`` for the taps t of place p.

    `x` and `out` are flat, w is [group, o, channel, tap]; `lies` says how far apart the channels, places and samples
    of x lie, and how many places are packed; `where` is empty if rows are read as they lie. `table` is bases, kind of
    each place, where the taps of each kind begin, and for each tap its offset and the number of its weight.
    With `fetch` x is what a max pooling gave back: the numbers chosen, the windows, how many places of each count,
    the width of the table of windows, and whether each place is in one window. With `pool` the largest elements of
    windows are written instead, and their numbers: the first four of the same, and a least result.
    """
    groups, rows, channels, per = w.shape
    flat, tiles = _tiled(w)
    unit = 1 if pool is None else len(table[0])  # what is pooled is computed whole, for BYTES of samples
    fetch = _NOTHING if fetch is None else fetch
    which, windows, counts, width, floor = (*_NOTHING[:4], 0) if pool is None else pool
    small = fetch[0] if pool is None else which
    places = len(table[0]) if pool is None else len(counts)
    _holds(out, groups * rows * places * length, "a convolution")
    if pool is not None:
        _holds(which, out.size, "a pooling's choice")
    if len(b) != groups * rows:
        raise ProgramError(f"a convolution of {groups * rows} channels was handed a bias of {len(b)}.")
    b = np.ascontiguousarray(b)
    given = (
        x, *lies, where, *fetch, channels, *table, per, flat, b, tiles, out, length,
        which, windows, counts, width, _number(floor, x.dtype),
    )  # fmt: skip
    tasks = groups * len(table[0]) * -(-length * x.itemsize // BYTES)
    threads = helpers_for(len(table[0]) * length * rows * groups * channels * per // 8)
    _run("conv", "correlate", (x, small), given, tasks // unit, threads, unit)


def weight_gradient(
    x: Any, lies: Any, where: Any, g: Any, g_lies: Any, g_where: Any, shape: tuple[int, int, int], samples: int,
    lanes: int, pieces: tuple[Any, Any], taps: Any, fetch: Any = None,
) -> Any:  # fmt: skip
    """Return ``Σ_{p, m} g[o, p, m] x[base(p) + taps[t] + m]``, of shape [group, o, t]; the taps are a multiple of TAPS.

    `shape`: how many groups, output channels and input channels of each. `pieces` says where BYTES of neighbouring
    elements lie in x and in g, and then where fewer do, and how many. `fetch`: as in :func:`correlate`, for g.
    """
    groups, rows, channels = shape
    units = -(-len(pieces[0]) // (3 * EACH)) * (-(-samples // lanes) if len(where) else 1)
    parts = max(1, min(PARTS, units))
    total = np.zeros((groups, parts, rows, len(taps)), x.dtype)
    fetch = _NOTHING if fetch is None else fetch
    given = (
        x, *lies, where, channels, g, *g_lies, g_where, *fetch, rows, samples, lanes, *pieces, EACH, taps, total, parts,
    )  # fmt: skip
    _run("conv", "weight_gradient", (x, fetch[0]), given, groups * parts)
    return total.sum(axis=1)


def max_pool(x: Any, windows: Any, counts: Any, floor: float, out: Any, which: Any) -> None:
    """Write the largest element of each window and `floor`, and its number in it, for ``x[channel, place, sample]``.

    `windows` lists the places of each window, of which the first `counts` are inside.
    """
    _holds(out, x.shape[0] * len(counts) * x.shape[2], "a pooling")
    _holds(which, out.size, "a pooling's choice")
    given = x, x.shape[1], windows, counts, windows.shape[1], _number(floor, x.dtype), out, which, x.shape[2]
    _run("pool", "max_pool", (x, which), given, out.shape[0] * out.shape[1], helpers_for(x.size))


def put(g: Any, which: Any, windows: Any, counts: Any, out: Any, once: bool) -> None:
    """Write the transpose of choosing: each ``g[channel, window, sample]`` at its place, zeros elsewhere."""
    _holds(which, g.size, "a pooling's choice")
    if g.shape[0] != out.shape[0] or g.shape[2] != out.shape[2] or len(counts) != g.shape[1]:
        raise ProgramError(f"a gradient {list(g.shape)} of {len(counts)} windows does not fit {list(out.shape)}.")
    given = g, which, windows, counts, windows.shape[1], out, out.shape[1], g.shape[2], once
    tasks = g.shape[0] * (g.shape[1] if once else 1)
    _run("pool", "put", (g, which), given, tasks, helpers_for(out.size))
