"""Largest and smallest elements, and where they are.

Ties: a reduction over everything, `amax` and `amin` share the gradient evenly; along one dim all of it goes to
the index that is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import CAST
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from . import arithmetic, return_types
from ._coerce import as_tensor, one_dim
from .gather import collected
from .reduce import _sum, kept, options

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]


_maximum_reduce: Any = np.maximum.reduce
_minimum_reduce: Any = np.minimum.reduce


def share(g: Any, hit: Any, axes: tuple[int, ...]) -> Any:
    """Share `g` (with the reduced dims kept) evenly between the elements that `hit` marks."""
    if isinstance(hit, TensorBase):
        if isinstance(g, TensorBase):
            hit = CAST(hit, g.dtype.np, np.dtype(bool))
        return hit * (g / _sum(hit, axes, True))  # type: ignore[operator]
    hit = hit.astype(g.dtype)
    return hit * (g / np.add.reduce(hit, axis=axes, keepdims=True))


def share_rule(g: Any, x: Any, out: Any, axes: tuple[int, ...]) -> Any:
    """Ties share the gradient evenly; where the result is NaN, the elements that are NaN do."""
    shape = kept(x.shape, axes)
    out = out.reshape(shape)
    return share(g.reshape(shape), (x == out) | ((x != x) & (out != out)), axes)


def _largest(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _maximum_reduce(x, axes, keepdims=keepdim)


def _smallest(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _minimum_reduce(x, axes, keepdims=keepdim)


_amax: Primitive = Primitive("amax", _largest, [share_rule])
_amin: Primitive = Primitive("amin", _smallest, [share_rule])
_max: Primitive = Primitive("max", _largest, [share_rule], backward="MaxBackward1")
_min: Primitive = Primitive("min", _smallest, [share_rule], backward="MinBackward1")


def _needs_elements(x: TensorBase, axes: tuple[int, ...], who: str) -> None:
    if not x._data.size and (len(axes) == x._data.ndim or any(x._data.shape[k] == 0 for k in axes)):
        raise _Empty(f"{who}: at least one element is required in what is reduced, got shape {x._data.shape}.")


class _Empty(ShapeError, IndexError):
    """Nothing to choose from: PyTorch raises RuntimeError or IndexError."""


def amax(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Largest element over `dim` (one, several or all); ties share the gradient evenly."""
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "amax")
    _needs_elements(x, axes, "amax")
    return apply(_amax, (x,), (axes, keep))


def amin(input: Any, dim: Any = (), keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Smallest element over `dim` (one, several or all); ties share the gradient evenly."""
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "amin")
    _needs_elements(x, axes, "amin")
    return apply(_amin, (x,), (axes, keep))


def _aminmax_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _smallest(x, axes, keepdim), _largest(x, axes, keepdim)


def _aminmax_rule(g: Any, x: Any, low: Any, high: Any, axes: tuple[int, ...]) -> Any:
    return share_rule(g[0], x, low, axes) + share_rule(g[1], x, high, axes)


_aminmax: Primitive = Primitive("aminmax", _aminmax_forward, [_aminmax_rule], outputs=("low", "high"))


def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False) -> return_types.aminmax:
    """Smallest and largest element over one dim, or of all: ``.min``, ``.max``."""
    x = as_tensor(input)
    axes: tuple[int, ...] = tuple(range(x._data.ndim))
    if dim is not None:
        axis = one_dim(dim, x._data.ndim, "aminmax")
        axes = (axis,) if x._data.ndim else ()
    _needs_elements(x, axes, "aminmax")
    return return_types.aminmax(*apply(_aminmax, (x,), (axes, bool(keepdim))))


# Along one dim, with the index


def _largest_along(x: Any, axis: int, keepdim: bool) -> Any:
    return _maximum_reduce(x, axis, None, None, keepdim), x.argmax(axis, keepdims=keepdim)


def _smallest_along(x: Any, axis: int, keepdim: bool) -> Any:
    return _minimum_reduce(x, axis, None, None, keepdim), x.argmin(axis, keepdims=keepdim)


def value_rule(g: Any, indices: Any, axis: int, x_shape: tuple[int, ...]) -> Any:
    """All of the gradient goes to the index that was returned."""
    return collected(g[0], indices, axis, x_shape)


_max_dim: Primitive = Primitive("max", _largest_along, [value_rule], outputs=("values", "indices"))
_min_dim: Primitive = Primitive("min", _smallest_along, [value_rule], outputs=("values", "indices"))


def along_one(primitive: Primitive, input: Any, dim: Any, keepdim: bool, params: tuple[Any, ...] = ()) -> Any:
    """Apply a primitive that gives values and indices along one dim; 0-d tensors have one for this purpose."""
    x = as_tensor(input)
    axis = one_dim(dim, x._data.ndim, primitive.name)
    if x._data.ndim == 0:
        found = apply(primitive, (x.reshape(1),), (0, False, *params))  # type: ignore[attr-defined]
        return found
    _needs_elements(x, (axis,), primitive.name)
    return apply(primitive, (x,), (axis, bool(keepdim), *params))


def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, axis: Any = None) -> Any:
    """Largest of all elements; with `dim` the largest along it and their indices; with a tensor the larger of two.

    >>> import thalweg as tw
    >>> tw.max(tw.tensor([[1.0, 5.0], [4.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """
    dim = dim if axis is None else axis
    if other is not None or isinstance(dim, TensorBase):
        return arithmetic.maximum(input, dim if other is None else other)
    if dim is not None:
        return return_types.max(*along_one(_max_dim, input, dim, keepdim))
    x, axes, _ = options(input, None, False, None, None, "max")
    _needs_elements(x, axes, "max")
    return apply(_max, (x,), (axes, False))


def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, axis: Any = None) -> Any:
    """Smallest of all elements; with `dim` the smallest along it and their indices; with a tensor the smaller of two."""
    dim = dim if axis is None else axis
    if other is not None or isinstance(dim, TensorBase):
        return arithmetic.minimum(input, dim if other is None else other)
    if dim is not None:
        return return_types.min(*along_one(_min_dim, input, dim, keepdim))
    x, axes, _ = options(input, None, False, None, None, "min")
    _needs_elements(x, axes, "min")
    return apply(_min, (x,), (axes, False))


_argmax: Primitive = Primitive("argmax", lambda x, axis: np.argmax(x, axis), arity=1)
_argmin: Primitive = Primitive("argmin", lambda x, axis: np.argmin(x, axis), arity=1)


def _place_of(primitive: Primitive, input: Any, dim: Any, keepdim: Any) -> Any:
    x: Any = as_tensor(input)
    if x._data.dtype.kind == "b":
        raise DTypeError(f"{primitive.name}: numbers are required, got {x.dtype}.")
    if dim is None:
        if not x._data.size:
            raise _Empty(f"{primitive.name}: at least one element is required, got shape {x._data.shape}.")
        found = apply(primitive, (x.reshape(-1),), (0,))
        return found.reshape((1,) * x.ndim) if keepdim else found  # type: ignore[attr-defined]
    axis = one_dim(dim, x.ndim, primitive.name)
    if x.ndim == 0:
        return apply(primitive, (x.reshape(1),), (0,))
    _needs_elements(x, (axis,), primitive.name)
    found = apply(primitive, (x,), (axis,))
    return found.unsqueeze(axis) if keepdim else found  # type: ignore[attr-defined]


def argmax(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Index of the largest element along `dim`, or among all; the first of equal ones."""
    return _place_of(_argmax, input, dim if axis is None else axis, keepdim or keepdims)


def argmin(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Index of the smallest element along `dim`, or among all; the first of equal ones."""
    return _place_of(_argmin, input, dim if axis is None else axis, keepdim or keepdims)
