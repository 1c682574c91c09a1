"""Penalties: constraints turned into terms of the objective.

A constraint is a function whose value should be 0 (equality) or at most 0 (inequality); several values are
several constraints.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ops._coerce import as_tensor
from ..ops.arithmetic import where
from ..ops.pointwise import abs as absolute
from ..ops.pointwise import log, relu
from ..ops.tensor import Tensor

__all__ = ["l1_penalty", "log_barrier", "quadratic_penalty"]


def _violation(values: Any, kind: str, who: str) -> Any:
    t = as_tensor(values)
    if kind == "eq":
        return t
    if kind == "ineq":
        return relu(t)
    raise ArgumentError(f"{who}: kind must be 'eq' (value = 0) or 'ineq' (value <= 0), got {kind!r}.")


def quadratic_penalty(values: Any, weight: float = 1.0, kind: str = "eq") -> Tensor:
    """``weight/2 · Σ violation²``. Smooth; leaves a violation that shrinks like 1/weight.

    >>> import thalweg as tw
    >>> quadratic_penalty(tw.tensor([1.0, -2.0]), 2.0, kind="ineq")
    tensor(1.)
    """
    v = _violation(values, kind, "quadratic_penalty")
    return (v * v).sum() * (weight / 2)


def l1_penalty(values: Any, weight: float = 1.0, kind: str = "eq") -> Tensor:
    """``weight · Σ |violation|``. Exact once `weight` exceeds every multiplier, but not smooth at 0."""
    return absolute(_violation(values, kind, "l1_penalty")).sum() * weight


def log_barrier(values: Any, weight: float = 1.0) -> Tensor:
    """``-weight · Σ log(-value)`` for ``value <= 0``; infinite on and beyond the boundary."""
    t: Any = as_tensor(values)
    inside = t < 0
    safe = where(inside, -t, 1.0)
    return where(inside, -log(safe), np.inf).sum() * weight
