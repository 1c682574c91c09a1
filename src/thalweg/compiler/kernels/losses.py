"""The negative log-likelihood of chosen classes, and its gradient, without arrays in between.

The tables of both: the result, the matrix or the gradient that comes in, the classes; the numbers of rows and of
classes, the distances between rows and between classes of the matrix, and between targets; the class to ignore,
whether the mean is asked for, and the bytes of a number. Both return how many classes are out of range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import part
from .native import flat, word

__all__ = ["ENTRIES", "nll", "nll_back"]


@part(forceinline=True)
def _fill(out: Any, each: Any, target: Any, rows: int, classes: int, step: int, ignore: int) -> None:
    for k in range(rows * classes):
        out[k] = 0
    for k in range(rows):
        if target[k * step] != ignore:
            out[k * classes + target[k * step]] = each


def nll(table: int, first: int, last: int) -> int:
    """Add up ``-x[k, target[k]]``, or take the mean."""
    rows, classes, row, column, step, ignore = word(table, 3), word(table, 4), word(table, 5), word(table, 6), word(table, 7), word(table, 8)
    mean, width = word(table, 9), word(table, 10)
    target = flat(table, 2, np.int64)
    total, count, bad = 0.0, 0, 0
    for k in range(rows):
        t = target[k * step]
        if t == ignore:
            continue
        if t < 0 or t >= classes:
            bad += 1
            continue
        at = k * row + t * column
        total -= np.float64(flat(table, 1, np.float32)[at]) if width == 4 else flat(table, 1, np.float64)[at]
        count += 1
    if bad:
        return bad
    value = total / count if mean else total
    if width == 4:
        flat(table, 0, np.float32)[0] = np.float32(value)
    else:
        flat(table, 0, np.float64)[0] = value
    return 0


def nll_back(table: int, first: int, last: int) -> int:
    """Write the gradient of :func:`nll`, row by row, for an incoming g."""
    rows, classes, step, ignore = word(table, 3), word(table, 4), word(table, 7), word(table, 8)
    mean, width = word(table, 9), word(table, 10)
    target = flat(table, 2, np.int64)
    count, bad = 0, 0
    for k in range(rows):
        t = target[k * step]
        if t != ignore:
            count += 1
            if t < 0 or t >= classes:
                bad += 1
    if bad:
        return bad
    if width == 4:
        g4, out4 = flat(table, 1, np.float32)[0], flat(table, 0, np.float32)
        _fill(out4, -(g4 / np.float32(count)) if mean else -g4, target, rows, classes, step, ignore)
    else:
        g8, out8 = flat(table, 1, np.float64)[0], flat(table, 0, np.float64)
        _fill(out8, -(g8 / np.float64(count)) if mean else -g8, target, rows, classes, step, ignore)
    return 0


ENTRIES = (nll, nll_back)
