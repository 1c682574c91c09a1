"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor, one_dim
from ._kernels import moves
from .shape import reshape

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "trace", "tril", "triu"]


def _diagonal_forward(x: Any, offset: int, a: int, b: int) -> Any:
    out = np.diagonal(x, offset, a, b)
    if x.flags.writeable:
        out.flags.writeable = True  # NumPy hands it out read-only, though it is a view like any other
    return out


def _diagonal_back_forward(g: Any, offset: int, a: int, b: int, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    _diagonal_forward(out, offset, a, b)[...] = g
    return out


_diagonal: Primitive = Primitive(
    "diagonal",
    _diagonal_forward,
    [lambda g, offset, a, b, x_shape: _diagonal_back(g, offset, a, b, x_shape)],
    linear=True,
    view=True,
)
_diagonal_back: Primitive = Primitive(
    "diag_embed",
    _diagonal_back_forward,
    [lambda g, offset, a, b: _diagonal(g, offset, a, b)],
    linear=True,
)
_trace: Primitive = Primitive(
    "trace",
    lambda x: np.trace(x, dtype=x.dtype if x.dtype.kind == "f" else np.int64),
    [lambda g, x_shape: _diagonal_back(EXPAND(g.reshape((1,)), (min(x_shape),)), 0, 0, 1, x_shape)],
    linear=True,
)


def _triangle(x: Any, k: int, lower: bool) -> Any:
    """Return the elements of matrices up to the diagonal `k`, or from it on, and zeros elsewhere."""
    kernels = moves(x.size) if x.flags.c_contiguous and x.itemsize in (4, 8) and x.flags.writeable else None
    if kernels is not None:
        return kernels.triangle(x, k, lower)
    return np.tril(x, k) if lower else np.triu(x, k)


_tril: Primitive = Primitive("tril", lambda x, k: _triangle(x, k, True), [lambda g, k: _tril(g, k)], linear=True)
_triu: Primitive = Primitive("triu", lambda x, k: _triangle(x, k, False), [lambda g, k: _triu(g, k)], linear=True)


def _two_dims(x: TensorBase, dim1: int, dim2: int, who: str) -> tuple[int, int]:
    n = x._data.ndim
    if n < 2:
        one_dim(dim1, n, who)
        one_dim(dim2, n, who)
        raise ShapeError(f"{who}: at least 2 dims are required, got shape {x._data.shape}.")
    a, b = one_dim(dim1, n, who), one_dim(dim2, n, who)
    if a == b:
        raise ShapeError(f"{who}: two different dims are required, got {dim1} and {dim2}.")
    return a, b


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal in the plane of two dims, as the last dim of a view; `offset` > 0 lies above the main one."""
    x = as_tensor(input)
    return apply(_diagonal, (x,), (offset, *_two_dims(x, dim1, dim2, "diagonal")))


def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as the last dim of a view."""
    return diagonal(A, offset, dim1, dim2)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices whose diagonals are the last dim of `input`, zeros elsewhere.

    >>> import thalweg as tw
    >>> tw.diag_embed(tw.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    x = as_tensor(input)
    if x._data.ndim == 0:
        raise ShapeError("diag_embed: at least one dim is required, got a 0-d tensor.")
    n = x._data.ndim + 1
    a, b = one_dim(dim1, n, "diag_embed"), one_dim(dim2, n, "diag_embed")
    if a == b:
        raise ShapeError(f"diag_embed: two different dims are required, got {dim1} and {dim2}.")
    size = x._data.shape[-1] + abs(offset)
    shape = list(x._data.shape[:-1])
    for at in sorted((a, b)):
        shape.insert(at, size)
    return apply(_diagonal_back, (x,), (offset, a, b, tuple(shape)))


def diag(input: Any, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector as its diagonal."""
    x: Any = as_tensor(input)
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim != 2:
        raise ShapeError(f"diag: a vector or a matrix is required, got shape {x._data.shape}.")
    return apply(_diagonal, (x,), (diagonal, 0, 1)).clone()  # type: ignore[attr-defined]


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix with all elements of `input` as its diagonal."""
    return diag_embed(reshape(input, -1), offset)


def _matrices(input: Any, who: str) -> TensorBase:
    x = as_tensor(input)
    if x._data.ndim < 2:
        raise ShapeError(f"{who}: at least 2 dims are required, got shape {x._data.shape}.")
    return x


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """The lower triangles of matrices: zeros above a diagonal."""
    return apply(_tril, (_matrices(input, "tril"),), (diagonal,))


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """The upper triangles of matrices: zeros below a diagonal."""
    return apply(_triu, (_matrices(input, "triu"),), (diagonal,))


def trace(input: Any) -> Tensor:
    """Sum of the diagonal of a matrix."""
    x = as_tensor(input)
    if x._data.ndim != 2:
        raise ShapeError(f"trace: a matrix is required, got shape {x._data.shape}.")
    return apply(_trace, (x,))


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` in place of a diagonal."""
    from .gather import placed

    x = as_tensor(input)
    a, b = _two_dims(x, dim1, dim2, "diagonal_scatter")
    return placed(x, src, _diagonal, (offset, a, b), "diagonal_scatter")
