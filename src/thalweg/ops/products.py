"""Products of matrices and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["bmm", "dot", "matmul", "mm", "mv", "outer"]

_mm: Primitive = Primitive(
    "mm", np.matmul, [lambda g, y: _mm(g, y.T), lambda g, x: _mm(x.T, g)], linear=True, names=("x", "y")
)
_mv: Primitive = Primitive(
    "mv",
    np.matmul,
    [lambda g, y: _outer(g, y), lambda g, x: _mv(x.T, g)],
    linear=True,
    names=("x", "y"),
)
_outer: Primitive = Primitive(
    "outer", lambda x, y: x[:, None] * y, [lambda g, y: _mv(g, y), lambda g, x: _mv(g.T, x)], linear=True
)
_dot: Primitive = Primitive("dot", np.matmul, [lambda g, y: g * y, lambda g, x: g * x], linear=True, names=("x", "y"))
_bmm: Primitive = Primitive(
    "bmm",
    np.matmul,
    [
        lambda g, y, x_shape: sum_to(_bmm(g, y.mT), x_shape),
        lambda g, x, y_shape: sum_to(_bmm(x.mT, g), y_shape),
    ],
    linear=True,
    names=("x", "y"),
)


def _pair(input: Any, other: Any, who: str) -> tuple[TensorBase, TensorBase]:
    x, y = as_tensor(input), as_tensor(other)
    if x._data.dtype != y._data.dtype:
        raise _MixedTypes(f"{who}: tensors of one dtype are required, got {x.dtype} and {y.dtype}.")
    if x._data.dtype.kind == "b":
        raise _MixedTypes(f"{who}: numbers are required, got {x.dtype}.")
    return x, y


class _MixedTypes(DTypeError):
    """Operands of different types."""


def _need(good: bool, x: TensorBase, y: TensorBase, who: str) -> None:
    if not good:
        raise ShapeError(f"{who}: shapes {x._data.shape} and {y._data.shape} cannot be multiplied.")


def mm(input: Any, mat2: Any) -> Tensor:
    """Product of two matrices: [n, m] times [m, p]."""
    x, y = _pair(input, mat2, "mm")
    _need(x.ndim == 2 and y.ndim == 2 and x._data.shape[1] == y._data.shape[0], x, y, "mm")
    return apply(_mm, (x, y))


def mv(input: Any, vec: Any) -> Tensor:
    """Product of a matrix [n, m] and a vector [m]."""
    x, y = _pair(input, vec, "mv")
    _need(x.ndim == 2 and y.ndim == 1 and x._data.shape[1] == y._data.shape[0], x, y, "mv")
    return apply(_mv, (x, y))


def dot(input: Any, tensor: Any) -> Tensor:
    """Inner product of two vectors."""
    x, y = _pair(input, tensor, "dot")
    _need(x.ndim == 1 and y.ndim == 1 and x._data.shape == y._data.shape, x, y, "dot")
    return apply(_dot, (x, y))


def outer(input: Any, vec2: Any) -> Tensor:
    """Outer product of two vectors: [n] and [m] give [n, m]."""
    x, y = as_tensor(input), as_tensor(vec2)
    _need(x.ndim == 1 and y.ndim == 1, x, y, "outer")
    from .arithmetic import mul

    return mul(x.reshape(-1, 1), y)  # type: ignore[attr-defined]


def bmm(input: Any, mat2: Any) -> Tensor:
    """Products of matrices, pair by pair: [b, n, m] times [b, m, p]."""
    x, y = _pair(input, mat2, "bmm")
    a, b = x._data.shape, y._data.shape
    _need(len(a) == 3 and len(b) == 3 and a[0] == b[0] and a[2] == b[1], x, y, "bmm")
    return apply(_bmm, (x, y))


def matmul(input: Any, other: Any) -> Tensor:
    """Product of vectors, matrices or batches of matrices, whose batch dims broadcast.

    >>> import thalweg as tw
    >>> tw.matmul(tw.eye(2), tw.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    x, y = _pair(input, other, "matmul")
    n, m = x.ndim, y.ndim
    if not n or not m:
        raise ShapeError(f"matmul: at least one dim is required, got shapes {x._data.shape} and {y._data.shape}.")
    inner = y._data.shape[-2] if m > 1 else y._data.shape[0]
    _need(x._data.shape[-1] == inner, x, y, "matmul")
    if n == 1 and m == 1:
        return apply(_dot, (x, y))
    if n == 2 and m == 2:
        return apply(_mm, (x, y))
    if n == 2 and m == 1:
        return apply(_mv, (x, y))
    if n == 1:
        return _batched(x.reshape(1, -1), y).squeeze(-2)  # type: ignore[attr-defined]
    if m == 1:
        return _batched(x, y.reshape(-1, 1)).squeeze(-1)  # type: ignore[attr-defined]
    return _batched(x, y)


def _batched(x: TensorBase, y: TensorBase) -> Tensor:
    if x.ndim == 2 and y.ndim == 2:
        return apply(_mm, (x, y))
    try:
        np.broadcast_shapes(x._data.shape[:-2], y._data.shape[:-2])
    except ValueError:
        _need(False, x, y, "matmul")
    return apply(_bmm, (x, y))
