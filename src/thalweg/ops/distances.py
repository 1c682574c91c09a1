"""Norms and distances under PyTorch's older names, and counting into bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from . import arithmetic
from ._coerce import as_tensor
from .linalg_norms import matrix_norm, vector_norm
from .reduce import converted, need_float

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["bincount", "dist", "histc", "norm"]


def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The `p`-norm of the elements over `dim`, or of all; ``"fro"`` is 2, ``"nuc"`` the sum of singular values.

    Its derivative at 0 is 0.

    >>> import thalweg as tw
    >>> tw.norm(tw.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = converted(as_tensor(input), dtype)
    if p == "nuc":
        return matrix_norm(x, "nuc", (-2, -1) if dim is None else dim, keepdim)
    if p is None or p == "fro":
        p = 2.0
    if isinstance(p, str):
        raise _BadOrder(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}.")
    if x._data.dtype.kind != "f":
        raise DTypeError(f"norm: a floating-point tensor is required, got {x.dtype}; convert it with float().")
    return vector_norm(x, p, dim, keepdim)


class _BadOrder(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def dist(input: Any, other: Any, p: float = 2) -> Tensor:
    """The `p`-norm of the difference of two tensors."""
    return norm(arithmetic.sub(as_tensor(input), other), p)


# Counting: not differentiable

_histc: Primitive = Primitive(
    "histc", lambda x, bins, low, high: np.histogram(x, bins, (low, high))[0].astype(x.dtype), arity=1
)


def histc(input: Any, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements fall into each of `bins` equal intervals from `min` to `max` (0 and 0: the extremes)."""
    x = as_tensor(input)
    need_float(x, "histc")
    if bins <= 0:
        raise _BadOrder(f"histc: bins must be > 0, got {bins}.")
    low, high = (float(v.item()) if isinstance(v, TensorBase) else float(v) for v in (min, max))
    if low == high and x._data.size:
        x._told("histc")
        low, high = float(x._data.min()), float(x._data.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _BadOrder(f"histc: a finite range is required, got {low} to {high}.")
    if low > high:
        raise _BadOrder(f"histc: max must not be smaller than min, got {low} and {high}.")
    if low == high:
        low, high = low - 1, high + 1
    data = x._data
    inside = data[(data >= low) & (data <= high)]
    return apply(_histc, (TensorBase._wrap(inside),), (int(bins), low, high))


_bincount: Primitive = Primitive("bincount", lambda x, weights, minlength: np.bincount(x, weights, minlength), arity=2)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each integer from 0 on occurs in a vector, or the sum of the weights where it does."""
    x = as_tensor(input)
    data = x._data
    if data.dtype.kind not in "iu" or data.ndim != 1:
        raise ShapeError(f"bincount: a vector of integers is required, got {x.dtype} of shape {data.shape}.")
    if minlength < 0:
        raise _BadOrder(f"bincount: minlength must be >= 0, got {minlength}.")
    if data.size and data.min() < 0:
        raise _BadOrder(f"bincount: integers >= 0 are required, got {data.min()}.")
    x._told("bincount")
    w = None if weights is None else as_tensor(weights)
    if w is not None and w._data.shape != data.shape:
        raise ShapeError(f"bincount: as many weights as elements are required, got {w._data.shape} and {data.shape}.")
    if w is None:
        return TensorBase._wrap(np.bincount(data, minlength=minlength).astype(np.int64))  # type: ignore[return-value]
    found = apply(_bincount, (x, w), (minlength,))
    return converted(found, w.dtype if w._data.dtype.kind == "f" else "float64")  # type: ignore[return-value]
