"""Views with strides of their own: slices by name, sliding windows, and memory read at will."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided as _numpy_strided

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor, one_dim, piece, shape_of, zeros_for

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["as_strided", "narrow", "select", "select_scatter", "slice_scatter"]


class _IndexError(ShapeError, IndexError):
    """An index out of range: PyTorch raises IndexError."""


def select(input: Any, dim: int, index: Any) -> Tensor:
    """The slice number `index` along `dim`, which is left out: a view."""
    x: Any = as_tensor(input)
    axis, k = _slot(x, dim, index, "select")
    return x[piece(axis, k)]


def _slot(x: TensorBase, dim: int, index: Any, who: str) -> tuple[int, int]:
    if x._data.ndim == 0:
        raise _IndexError(f"{who}: at least one dim is required, got a 0-d tensor.")
    axis, k = one_dim(dim, x._data.ndim, who), operator.index(index)
    n = x._data.shape[axis]
    if not -n <= k < n:
        raise _IndexError(f"{who}: index must lie in [{-n}, {n - 1}] for dim {axis} of size {n}, got {k}.")
    return axis, k % n


def narrow(input: Any, dim: int, start: Any, length: int) -> Tensor:
    """The `length` slices from `start` on along `dim`: a view."""
    x: Any = as_tensor(input)
    if x.ndim == 0:
        raise ShapeError("narrow: at least one dim is required, got a 0-d tensor.")
    axis = one_dim(dim, x.ndim, "narrow")
    if isinstance(start, TensorBase):
        if start._data.ndim or start._data.dtype.kind not in "iu":
            raise ShapeError(f"narrow: start must be one integer, got {start.dtype} of shape {start._data.shape}.")
        start = start.item()
    n, first = x._data.shape[axis], operator.index(start)
    if length < 0:
        raise ShapeError(f"narrow: length must be >= 0, got {length}.")
    if not -n <= first <= n:
        raise _IndexError(f"narrow: start must lie in [{-n}, {n}], got {first}.")
    first += n if first < 0 else 0
    if first + length > n:
        raise ShapeError(f"narrow: start + length must be <= {n}, got {first} + {length}.")
    return x[piece(axis, slice(first, first + length))]


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` in place of one slice along `dim`."""
    from .gather import placed
    from .index import _select

    x = as_tensor(input)
    axis, k = _slot(x, dim, index, "select_scatter")
    return placed(x, src, _select, (piece(axis, k),), "select_scatter")


def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of `input` with `src` in place of the slices ``start:end:step`` along `dim`."""
    from .gather import placed
    from .index import _slice

    x = as_tensor(input)
    if x._data.ndim == 0:
        raise ShapeError("slice_scatter: at least one dim is required, got a 0-d tensor.")
    if step <= 0:
        raise ShapeError(f"slice_scatter: step must be > 0, got {step}.")
    axis = one_dim(dim, x._data.ndim, "slice_scatter")
    return placed(x, src, _slice, (piece(axis, slice(start, end, step)),), "slice_scatter")


# Sliding windows


def _windows(x: Any, axis: int, size: int, step: int) -> Any:
    n, stride = x.shape[axis], x.strides[axis]
    shape = (*x.shape[:axis], (n - size) // step + 1, *x.shape[axis + 1 :], size)
    strides = (*x.strides[:axis], stride * step, *x.strides[axis + 1 :], stride)
    out = _numpy_strided(x, shape, strides, writeable=x.flags.writeable)
    return out


def _windows_back(g: Any, axis: int, size: int, step: int, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    count = g.shape[axis]
    for k in range(size):
        out[piece(axis, slice(k, k + step * count, step))[:-1]] += g[..., k]
    return out


_unfold: Primitive = Primitive(
    "unfold",
    _windows,
    [lambda g, axis, size, step, x_shape: _unfold_back(g, axis, size, step, x_shape)],
    linear=True,
    view=True,
)
_unfold_back: Primitive = Primitive(
    "unfold_backward",
    _windows_back,
    [lambda g, axis, size, step: _unfold(g, axis, size, step)],
    linear=True,
)


def unfold(input: Any, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` elements along a dim, `step` apart, as a new last dim: a view.

    >>> import thalweg as tw
    >>> tw.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    x: Any = as_tensor(input)
    axis = one_dim(dimension, x.ndim, "unfold")
    n = x._data.shape[axis] if x.ndim else 1
    if not 0 <= size <= n:
        raise ShapeError(f"unfold: size must lie in [0, {n}], got {size}.")
    if step <= 0:
        raise ShapeError(f"unfold: step must be > 0, got {step}.")
    if x.ndim == 0:
        return x.reshape(1)[:size]
    return apply(_unfold, (x,), (axis, size, step))


# Memory read at will. Positions are counted in elements of the storage; an element that the input shows at
# several places shares its gradient between them, and one that it does not show has none.


def _storage(data: Any) -> tuple[Any, int]:
    """Return the flat memory under an array, and where in it the array begins."""
    owner = data
    while owner.base is not None:
        below = owner.base if isinstance(owner.base, np.ndarray) else getattr(owner.base, "base", None)
        if not isinstance(below, np.ndarray):
            break
        owner = below
    flat = owner.ravel(order="K")
    if flat.dtype != data.dtype:
        flat = flat.view(data.dtype)
    start = data.__array_interface__["data"][0] - flat.__array_interface__["data"][0]
    return flat, start // data.itemsize


def _positions(shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
    at = np.asarray(offset)
    for n, k in zip(shape, stride, strict=True):
        at = at[..., None] + np.arange(n) * k
    return at


def _strided_forward(x: Any, size: tuple[int, ...], stride: tuple[int, ...], offset: int, old: Any) -> Any:
    flat, _ = _storage(x)
    return _numpy_strided(flat[offset:], size, tuple(k * x.itemsize for k in stride), writeable=x.flags.writeable)


def _moved(g: Any, source: Any, target: Any) -> Any:
    """Put the elements of `g` at their positions in the storage, adding up, and read them at others."""
    at, out = _positions(*source).ravel(), _positions(*target)
    memory = np.bincount(at, g.ravel(), minlength=int(max(at.max(initial=-1), out.max(initial=-1))) + 1)
    return memory[out].astype(g.dtype)


def _shared(old: Any) -> Any:
    """Return how many elements of the input lie at the place of each."""
    at = _positions(*old)
    return np.bincount(at.ravel())[at] if at.size else np.ones(at.shape)


def _strided_rule(g: Any, size: tuple[int, ...], stride: tuple[int, ...], offset: int, old: Any) -> Any:
    return _move(g, (size, stride, offset), old) / _shared(old).astype(zeros_for(g).dtype)


_move: Primitive = Primitive("strided_move", _moved, [lambda g, source, target: _move(g, target, source)], linear=True)
_as_strided: Primitive = Primitive("as_strided", _strided_forward, [_strided_rule], view=True)


def as_strided(input: Any, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """The memory under `input` seen with another shape, strides and offset (all counted in elements): a view."""
    x = as_tensor(input)
    shape, steps = shape_of((size,), "as_strided"), shape_of((stride,), "as_strided")
    if len(shape) != len(steps):
        raise ShapeError(f"as_strided: as many strides as sizes are required, got {steps} and {shape}.")
    if any(k < 0 for k in steps) or any(n < 0 for n in shape):
        raise DTypeError(f"as_strided: sizes and strides >= 0 are required, got {shape} and {steps}.")
    data = x._data
    flat, start = _storage(data)
    offset = start if storage_offset is None else operator.index(storage_offset)
    last = offset + sum((n - 1) * k for n, k in zip(shape, steps, strict=True)) if 0 not in shape else -1
    if offset < 0 or last >= flat.size:
        raise ShapeError(f"as_strided: the storage holds {flat.size} elements, but {last + 1} are asked for.")
    old = (data.shape, tuple(k // data.itemsize for k in data.strides), start)
    return apply(_as_strided, (x,), (shape, steps, offset, old))
