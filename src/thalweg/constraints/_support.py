"""The combinatorial part of projections: which coordinates stay, found on arrays, constant for differentiation."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.primitive import Primitive

__all__ = ["simplex_support"]


def _simplex_support(x: Any, total: Any) -> Any:
    """Return the coordinates (of the last dim) that stay positive in the projection onto the simplex.

    Condat (2016): one pass gathers candidates whose running threshold they exceed, further passes drop those
    that the final threshold excludes. Rows of several dimensions go by sorting (Duchi et al. 2008).
    """
    if x.ndim == 1 and x.size > 64 and np.isfinite(x).all():
        return _by_passes(x, float(np.asarray(total).reshape(-1)[0]))
    u = -np.sort(-x, axis=-1)
    excess = np.cumsum(u, axis=-1) - np.asarray(total)[..., None]
    k = np.arange(1, x.shape[-1] + 1)
    count = np.maximum((u * k > excess).sum(axis=-1, keepdims=True), 1)
    threshold = np.take_along_axis(excess, count - 1, axis=-1) / count
    return x > threshold


def _by_passes(x: Any, total: float) -> Any:
    """Shrink the candidates until their common threshold excludes none: few passes, no sorting."""
    top = float(x.max())
    kept = x[x > top - total]  # nobody further below the largest can stay
    while True:
        threshold = (float(kept.sum(dtype=np.float64)) - total) / kept.size
        smaller = kept[kept > threshold]
        if smaller.size == kept.size or smaller.size == 0:
            return x > threshold
        kept = smaller


simplex_support = Primitive("simplex_support", _simplex_support, (), arity=2)
