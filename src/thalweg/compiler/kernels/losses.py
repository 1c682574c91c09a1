"""The negative log-likelihood of chosen classes, and its gradient, without arrays in between.

The tables of both: the result, the matrix or the gradient that comes in, the classes; the numbers of rows and of
classes, the distances between rows and between classes of the matrix, and between targets; the class to ignore, and
whether the mean is asked for. Both return how many classes are out of range.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .native import flat, word

__all__ = ["nll_back_f4", "nll_back_f8", "nll_f4", "nll_f8"]


def _likelihood(real: Any) -> Any:
    def nll(table: int, first: int, last: int) -> int:
        """Add up ``-x[k, target[k]]``, or take the mean."""
        out, x, target = flat(table, 0, real), flat(table, 1, real), flat(table, 2, np.int64)
        row, column, step, ignore = word(table, 5), word(table, 6), word(table, 7), word(table, 8)
        total, count, bad = 0.0, 0, 0
        for k in range(word(table, 3)):
            t = target[k * step]
            if t == ignore:
                continue
            if t < 0 or t >= word(table, 4):
                bad += 1
                continue
            total -= x[k * row + t * column]
            count += 1
        if bad == 0:
            out[0] = real(total / count if word(table, 9) else total)
        return bad

    return nll


def _gradient(real: Any) -> Any:
    def nll_back(table: int, first: int, last: int) -> int:
        """Write the gradient of the likelihood, row by row, for an incoming g."""
        out, g, target = flat(table, 0, real), flat(table, 1, real), flat(table, 2, np.int64)
        rows, classes, step, ignore = word(table, 3), word(table, 4), word(table, 7), word(table, 8)
        count, bad = 0, 0
        for k in range(rows):
            t = target[k * step]
            if t != ignore:
                count += 1
                if t < 0 or t >= classes:
                    bad += 1
        if bad:
            return bad
        each = -(g[0] / real(count)) if word(table, 9) else -g[0]
        for k in range(rows * classes):
            out[k] = 0
        for k in range(rows):
            t = target[k * step]
            if t != ignore:
                out[k * classes + t] = each
        return 0

    return nll_back


nll_f4, nll_f8 = _likelihood(np.float32), _likelihood(np.float64)
nll_back_f4, nll_back_f8 = _gradient(np.float32), _gradient(np.float64)
