"""The few primitives that the graph itself needs: broadcasting, casting, and writing through a view."""

from __future__ import annotations

from typing import Any

import numpy as np

from .primitive import Primitive
from .tensor import replay

__all__ = ["ALIAS", "CAST", "COPY_SLICES", "DETACH", "EXPAND", "SUM_TO", "sum_to"]


def _sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1 and x.shape[k + extra] != 1)
    return x.sum(axis=axes, keepdims=True).reshape(shape) if axes else x.reshape(shape)


def _expand(x: Any, shape: tuple[int, ...]) -> Any:
    out = np.broadcast_to(x, shape)
    return out if out.size != x.size else x.reshape(shape)  # NumPy's is read-only even where nothing is repeated


EXPAND: Primitive = Primitive(
    "expand",
    _expand,
    (lambda g, x_shape: SUM_TO(g, x_shape),),
    linear=True,
    view=True,
)
SUM_TO: Primitive = Primitive("sum_to", _sum_to, (lambda g, x_shape: EXPAND(g, x_shape),), linear=True)
SPREAD: Primitive = Primitive("expand", EXPAND.forward, EXPAND.vjps, linear=True, implicit=True)
CAST: Primitive = Primitive(
    "_to_copy",
    lambda x, dtype, x_dtype: x.astype(dtype),
    (lambda g, dtype, x_dtype: CAST(g, x_dtype, dtype),),
    linear=True,
    backward="ToCopyBackward0",
)
IMPLICIT_CAST: Primitive = Primitive("_to_copy", CAST.forward, CAST.vjps, linear=True, implicit=True)


def _copy_slices(base: Any, value: Any, steps: Any) -> Any:
    out = np.array(base)
    replay(steps, out)[...] = value
    return out


def _cleared(g: Any, steps: Any, value_shape: tuple[int, ...]) -> Any:
    return COPY_SLICES(
        g, np.zeros(value_shape, g.dtype if isinstance(g, (np.ndarray, np.generic)) else g.dtype.np), steps
    )


COPY_SLICES: Primitive = Primitive(
    "copy_slices",
    _copy_slices,
    (_cleared, lambda g, steps: replay(steps, g)),
    backward="CopySlices",
)
ALIAS: Primitive = Primitive("alias", lambda x: x, (lambda g: g,), linear=True, implicit=True)
DETACH: Primitive = Primitive("detach", lambda x: x, (None,), implicit=True)


def sum_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Return `x` summed down to `shape`, undoing a broadcast."""
    return x if x.shape == shape else SUM_TO(x, shape)
