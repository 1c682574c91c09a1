"""The negative log-likelihood of chosen classes, and its gradient, without arrays in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import kernel

__all__ = ["nll", "nll_back"]


@kernel()
def _nll(x: Any, target: Any, ignore: int, mean: bool) -> Any:
    total, count, bad = 0.0, 0, 0
    for k in range(target.shape[0]):
        t = target[k]
        if t == ignore:
            continue
        if t < 0 or t >= x.shape[1]:
            bad += 1
            continue
        total -= x[k, t]
        count += 1
    return (total / count if mean else total), bad


@kernel()
def _nll_back(g: Any, target: Any, ignore: int, mean: bool, out: Any) -> int:
    count, bad = 0, 0
    for k in range(target.shape[0]):
        t = target[k]
        if t != ignore:
            count += 1
            if t < 0 or t >= out.shape[1]:
                bad += 1
    if bad:
        return bad
    each = g / out.dtype.type(count) if mean else g
    for k in range(target.shape[0]):
        for c in range(out.shape[1]):
            out[k, c] = 0
        if target[k] != ignore:
            out[k, target[k]] = -each
    return 0


def nll(x: Any, target: Any, reduction: str, ignore: int) -> Any:
    """Return the mean or sum of ``-x[k, target[k]]``, or None where a class is out of range."""
    value, bad = _nll(x, target, ignore, reduction == "mean")
    return None if bad else np.array(value, x.dtype)


def nll_back(g: Any, target: Any, shape: tuple[int, ...], reduction: str, ignore: int) -> Any:
    """Return the gradient of :func:`nll` for an incoming g, or None where a class is out of range."""
    out = np.empty(shape, g.dtype)
    return None if _nll_back(g.dtype.type(g), target, ignore, reduction == "mean", out) else out
