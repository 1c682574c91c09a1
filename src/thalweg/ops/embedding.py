"""Rows of a table picked by index, and indices as unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import bump
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor
from ._index_arrays import slices, sum_into
from .arithmetic import eq
from .reduce import converted

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["embedding", "one_hot"]


def _rows(weight: Any, indices: Any) -> Any:
    return slices(weight, indices.reshape(-1), 0).reshape(*indices.shape, weight.shape[1])


def _inside(places: Any, n: int) -> Any:
    """Return the indices, which must lie in [0, n)."""
    if places.size and (places.min() < 0 or places.max() >= n):
        bad = places[(places < 0) | (places >= n)].flat[0]
        raise _RowOutside(f"embedding: indices in [0, {n - 1}] are required, got {bad}.")
    return places


def _summed_rows(g: Any, indices: Any, rows: int, padding: int, by_count: bool) -> Any:
    """Return zeros [rows, d] with each row of g added to the row of its index; the padding row stays 0."""
    flat, parts = indices.reshape(-1), g.reshape(indices.size, g.shape[-1])
    if by_count:
        parts = parts / np.bincount(flat, minlength=rows)[flat, None].astype(g.dtype)
    out = np.zeros((rows, g.shape[-1]), g.dtype)
    sum_into(out, flat, parts)
    if padding >= 0:
        out[padding] = 0
    return out


def _rows_back(gg: Any, indices: Any, padding: int, by_count: bool) -> Any:
    """Return the transpose of :func:`_summed_rows`, applied to gg."""
    out = _rows(gg, indices)
    if by_count:
        out = out / np.bincount(indices.reshape(-1), minlength=gg.shape[0])[indices][..., None].astype(gg.dtype)
    if padding >= 0:
        out = np.where((indices == padding)[..., None], gg.dtype.type(0), out)
    return out


_embedding: Primitive = Primitive(
    "embedding",
    lambda weight, indices, padding, by_count: _rows(weight, _inside(indices, weight.shape[0])),
    [
        lambda g, indices, padding, by_count, weight_shape: _embedding_back(
            g, indices, weight_shape[0], padding, by_count
        ),
        None,
    ],
    linear=True,
    arity=2,
)
_embedding_back: Primitive = Primitive(
    "embedding_back",
    _summed_rows,
    [lambda gg, indices, padding, by_count: _embedding_forth(gg, indices, padding, by_count), None],
    linear=True,
    arity=2,
)
_embedding_forth: Primitive = Primitive(
    "embedding_forth",
    _rows_back,
    [
        lambda g, indices, padding, by_count, gg_shape: _embedding_back(g, indices, gg_shape[0], padding, by_count),
        None,
    ],
    linear=True,
    arity=2,
)


class _RowOutside(ArgumentError, IndexError):
    """An index out of range: PyTorch raises IndexError."""


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight` [n, d] picked by integer indices [*]: [*, d].

    The row `padding_idx` gets no gradient. Rows longer than `max_norm` are shortened to it first, in place.
    `scale_grad_by_freq` divides each row's gradient by how often it was picked. `sparse` is accepted and has no effect.

    >>> import thalweg as tw
    >>> tw.nn.functional.embedding(tw.tensor([1, 0]), tw.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    indices, w = as_tensor(input), as_tensor(weight)
    if indices._data.dtype.kind not in "iu":
        raise DTypeError(f"embedding: indices must be integers, got {indices.dtype}.")
    if w.ndim != 2:
        raise ShapeError(f"embedding: a weight [n, d] is required, got shape {w._data.shape}.")
    n = w._data.shape[0]
    if padding_idx is not None:
        if not -n <= padding_idx < n:
            raise _Padding(f"embedding: padding_idx must lie in [{-n}, {n - 1}], got {padding_idx}.")
        padding_idx %= n
    if max_norm is not None:
        _shorten(w, _inside(indices._data, n), max_norm, norm_type)
    return apply(_embedding, (w, indices), (-1 if padding_idx is None else padding_idx, bool(scale_grad_by_freq)))


class _Padding(ArgumentError, AssertionError):
    """PyTorch raises AssertionError here."""


def _shorten(w: TensorBase, places: Any, max_norm: float, norm_type: float) -> None:
    rows = np.unique(places)
    lengths = np.linalg.norm(w._data[rows], norm_type, axis=1)
    long = lengths > max_norm
    if long.any():
        w._data[rows[long]] *= (max_norm / (lengths[long] + 1e-7))[:, None].astype(w._data.dtype)
        bump(w)


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """Unit vectors for class indices: [*] gives [*, num_classes] of int64 (default: the largest index plus 1)."""
    x: Any = as_tensor(tensor)
    if x._data.dtype != np.int64:
        raise DTypeError(f"one_hot: indices of type int64 are required, got {x.dtype}.")
    if x._data.size == 0 and num_classes <= 0:
        raise _Classes(f"one_hot: num_classes > 0 is required for an empty tensor, got {num_classes}.")
    if num_classes < 0:
        x._told("one_hot")
        num_classes = int(x._data.max()) + 1
    if x._data.size and x._data.min() < 0:
        raise _Classes(f"one_hot: class indices >= 0 are required, got {x._data.min()}.")
    if x._data.size and x._data.max() >= num_classes:
        raise _Classes(f"one_hot: class indices < {num_classes} are required, got {x._data.max()}.")
    return converted(eq(x.unsqueeze(-1), TensorBase._wrap(np.arange(num_classes))), np.int64)  # type: ignore[return-value]


class _Classes(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""
