"""Other shapes over the same elements: views where NumPy gives views."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import current
from ..core.moves import EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor, dims, one_dim, piece, shape_of

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "broadcast_to", "expand", "expand_as", "flatten",
    "moveaxis", "movedim", "permute", "ravel", "reshape", "reshape_as", "squeeze", "swapaxes", "swapdims", "t",
    "transpose", "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip

_view: Primitive = Primitive(
    "view", lambda x, shape: x.reshape(shape), [lambda g, x_shape: _view(g, x_shape)], linear=True, view=True
)
_permute: Primitive = Primitive(
    "permute",
    lambda x, order: x.transpose(order),
    [lambda g, order: _permute(g, tuple(sorted(range(len(order)), key=order.__getitem__)))],
    linear=True,
    view=True,
)
_transpose: Primitive = Primitive(
    "transpose",
    lambda x, a, b: x.swapaxes(a, b),
    [lambda g, a, b: _transpose(g, a, b)],
    linear=True,
    view=True,
)
_t: Primitive = Primitive("t", lambda x: x.T, [lambda g: _t(g)], linear=True, view=True)
_unsqueeze: Primitive = Primitive(
    "unsqueeze",
    lambda x, axis: x[piece(axis, None)],
    [lambda g, x_shape: _view(g, x_shape)],
    linear=True,
    view=True,
)
_squeeze: Primitive = Primitive("squeeze", _view.forward, _view.vjps, linear=True, view=True)
_squeeze_dim: Primitive = Primitive(
    "squeeze", _view.forward, _view.vjps, linear=True, view=True, backward="SqueezeBackward1"
)
_squeeze_dims: Primitive = Primitive(
    "squeeze", _view.forward, _view.vjps, linear=True, view=True, backward="SqueezeBackward2"
)
_view_dtype: Primitive = Primitive("view_dtype", lambda x, dtype: x.view(dtype), arity=1, view=True)


def resolved(shape: tuple[int, ...], size: int, who: str) -> tuple[int, ...]:
    """Return `shape` with -1 replaced by what `size` elements leave for it."""
    unknown = shape.count(-1)
    if unknown > 1 or any(k < -1 for k in shape):
        raise ShapeError(f"{who}: sizes must be >= 0, one of them at most -1, got {shape}.")
    known = math.prod(k for k in shape if k != -1)
    if unknown:
        if known == 0 or size % known:
            raise ShapeError(f"{who}: {size} elements do not fit into shape {shape}.")
        return tuple(size // known if k == -1 else k for k in shape)
    if known != size:
        raise ShapeError(f"{who}: {size} elements do not fit into shape {shape}.")
    return shape


def _sizes(given: Any, size: int, who: str) -> tuple[int, ...]:
    """Return a shape for `size` elements, given as the arguments of a function (the frequent case first)."""
    n = 1
    for k in given:
        if type(k) is not int or k < 0:
            return resolved(shape_of(given, who), size, who)
        n *= k
    return given if n == size else resolved(given, size, who)


def reshape(input: Any, *shape: Any, **named: Any) -> Tensor:
    """The same elements in another shape (one size may be -1); a view where possible, else a copy.

    >>> import thalweg as tw
    >>> tw.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    x = input if isinstance(input, TensorBase) else as_tensor(input)
    sizes = shape or _named(named, "shape", "reshape")
    if len(sizes) == 1 and type(sizes[0]) is not int:
        sizes = tuple(sizes[0]) if isinstance(sizes[0], (tuple, list)) else sizes
    return apply(_view, (x,), (_sizes(sizes, x._data.size, "reshape"),))


def _named(named: dict[str, Any], name: str, who: str) -> tuple[Any, ...]:
    """Return the sizes that were given by keyword."""
    if set(named) - {name}:
        raise DTypeError(f"{who}: unexpected arguments {sorted(named)}; sizes are given as {name}.")
    return (named[name],) if named else ()


def reshape_as(input: Any, other: TensorBase) -> Tensor:
    """The same elements in the shape of `other`."""
    return reshape(input, other._data.shape)


def view(input: Any, *shape: Any, **named: Any) -> Tensor:
    """The same memory in another shape, or read as another type; an error where that needs a copy."""
    x = input if isinstance(input, TensorBase) else as_tensor(input)
    n = 1
    for k in shape:  # the frequent case: sizes
        if type(k) is not int or k < 0:
            break
        n *= k
    else:
        if n == x._data.size and shape and x._data.flags.c_contiguous:
            return apply(_view, (x,), (shape,))
    if "dtype" in named:
        shape = (named.pop("dtype"),)
    given = shape or _named(named, "size", "view")
    if len(given) == 1 and (isinstance(given[0], (_dtype.dtype, type, np.dtype))):
        return _reinterpreted(x, _dtype.as_dtype(given[0]).np)
    sizes = _sizes(shape_of(given, "view"), x._data.size, "view")
    inner = not x._data.flags.c_contiguous and _batch_innermost(x)
    if inner and current().recorder is None:
        x._data = np.ascontiguousarray(x._data)
    result = apply(_view, (x,), (sizes,))
    if (
        result._data.size
        and not (inner or x._data.flags.c_contiguous)
        and not np.may_share_memory(result._data, x._data)
    ):
        raise ShapeError(
            f"view: shape {sizes} needs a copy of this tensor (shape {x._data.shape}, not contiguous); use reshape()."
        )
    return result


def _batch_innermost(x: TensorBase) -> bool:
    """Whether a result lies in memory as convolutions leave it; nobody asked for that order, so it may be changed."""
    return x._view is None and x._data.ndim > 2 and np.moveaxis(x._data, 0, -1).flags.c_contiguous


def _reinterpreted(x: TensorBase, target: Any) -> Tensor:
    if target == x._data.dtype:
        return apply(_view, (x,), (x._data.shape,))
    try:
        return apply(_view_dtype, (x,), (target,))
    except ValueError as error:
        raise ShapeError(f"view: {x.dtype} of shape {x._data.shape} cannot be read as {target}: {error}") from None


def view_as(input: Any, other: TensorBase) -> Tensor:
    """The same memory in the shape of `other`."""
    return view(input, other._data.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims `start_dim` to `end_dim` joined into one."""
    x = as_tensor(input)
    shape = x._data.shape
    n = len(shape)
    if n == 1 and start_dim in (0, -1) and end_dim in (0, -1):
        return x  # type: ignore[return-value]
    first, last = one_dim(start_dim, n, "flatten"), one_dim(end_dim, n, "flatten")
    if first > last:
        raise ShapeError(f"flatten: start_dim must not come after end_dim, got {start_dim} and {end_dim}.")
    if n == 0:
        return reshape(x, 1)
    if first == last:
        return x  # type: ignore[return-value]
    return apply(_view, (x,), ((*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]),))


def unflatten(input: Any, dim: int, sizes: Any) -> Tensor:
    """One dim taken apart into several; one of the sizes may be -1."""
    x = as_tensor(input)
    axis = one_dim(dim, x._data.ndim, "unflatten")
    shape = x._data.shape or (1,)
    given = shape_of((sizes,), "unflatten")
    if not given:
        raise ShapeError("unflatten: at least one size is required, got none.")
    parts = resolved(given, shape[axis], "unflatten")
    return reshape(x, shape[:axis] + parts + shape[axis + 1 :])


def ravel(input: Any) -> Tensor:
    """All elements in one dim: a view if contiguous."""
    x = as_tensor(input)
    return x if x._data.ndim == 1 and x._data.flags.c_contiguous else reshape(x, -1)  # type: ignore[return-value]


def permute(input: Any, *order: Any, **named: Any) -> Tensor:
    """The dims in another order."""
    x = as_tensor(input)
    given = shape_of(order or _named(named, "dims", "permute"), "permute")
    if len(given) != x._data.ndim:
        raise ShapeError(f"permute: {x._data.ndim} dims are required, got {given}.")
    return apply(_permute, (x,), (dims(given, x._data.ndim, "permute"),))


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two dims exchanged."""
    x = as_tensor(input)
    a, b = one_dim(dim0, x._data.ndim, "transpose"), one_dim(dim1, x._data.ndim, "transpose")
    return apply(_transpose, (x,), (a, b)) if x._data.ndim else apply(_permute, (x,), ((),))


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two dims exchanged."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two dims exchanged."""
    return transpose(input, dim0, dim1)


def t(input: Any) -> Tensor:
    """Transpose of a matrix; vectors and scalars as they are."""
    x = as_tensor(input)
    if x._data.ndim > 2:
        raise ShapeError(f"t: at most 2 dims are required, got shape {x._data.shape}.")
    return apply(_t, (x,))


def movedim(input: Any, source: Any, destination: Any) -> Tensor:
    """Some dims moved to other places; the rest keep their order.

    >>> import thalweg as tw
    >>> tw.movedim(tw.zeros(2, 3, 5), 0, 2).shape
    thalweg.Size([3, 5, 2])
    """
    x = as_tensor(input)
    n = x._data.ndim
    old, new = dims(source, n, "movedim"), dims(destination, n, "movedim")
    if len(old) != len(new):
        raise ShapeError(f"movedim: as many sources as destinations are required, got {source} and {destination}.")
    order = [k for k in range(n) if k not in old]
    for at, k in sorted(zip(new, old, strict=True)):
        order.insert(at, k)
    return apply(_permute, (x,), (tuple(order),)) if n else x  # type: ignore[return-value]


def unsqueeze(input: Any, dim: int) -> Tensor:
    """A dim of size 1 put in at `dim`."""
    x = input if isinstance(input, TensorBase) else as_tensor(input)
    return apply(_unsqueeze, (x,), (one_dim(dim, x._data.ndim + 1, "unsqueeze"),))


def squeeze(input: Any, dim: Any = None) -> Tensor:
    """Dims of size 1 left out: all of them, or those of `dim` that have size 1."""
    x = as_tensor(input)
    old = x._data.shape
    if dim is None:
        return apply(_squeeze, (x,), (tuple([n for n in old if n != 1]),))
    gone = dims(dim, len(old), "squeeze")
    primitive = _squeeze_dims if isinstance(dim, (tuple, list)) else _squeeze_dim
    return apply(primitive, (x,), (tuple([n for k, n in enumerate(old) if n != 1 or k not in gone]),))


def expand(input: Any, *sizes: Any, **named: Any) -> Tensor:
    """Dims of size 1 repeated without copying; -1 keeps a size."""
    named.pop("implicit", None)
    x = as_tensor(input)
    given = shape_of(sizes or _named(named, "size", "expand"), "expand")
    old = x._data.shape
    extra = len(given) - len(old)
    if extra < 0 or any(k == -1 for k in given[:extra]):
        raise ShapeError(f"expand: shape {old} cannot be expanded to {given}.")
    shape = tuple(old[k - extra] if n == -1 else n for k, n in enumerate(given))
    for n, m in zip(shape[extra:], old, strict=True):
        if m not in (1, n) or n < 0:
            raise ShapeError(f"expand: shape {old} cannot be expanded to {given}.")
    return apply(EXPAND, (x,), (shape,))


def expand_as(input: Any, other: TensorBase) -> Tensor:
    """Expanded to the shape of `other`."""
    return expand(input, other._data.shape)


def broadcast_to(input: Any, size: Any) -> Tensor:
    """Expanded to a shape by NumPy's rules of broadcasting."""
    return expand(input, size)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    xs = [as_tensor(x) for x in given]
    try:
        shape = np.broadcast_shapes(*(x._data.shape for x in xs))
    except ValueError:
        shapes = ", ".join(str(x._data.shape) for x in xs)
        raise ShapeError(f"broadcast_tensors: shapes that broadcast together are required, got {shapes}.") from None
    return tuple(x if x._data.shape == shape else expand(x, shape) for x in xs)  # type: ignore[misc]


def _atleast(tensors: tuple[Any, ...], n: int) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
        x = as_tensor(tensors[0])
        shape = x._data.shape
        if len(shape) >= n:
            return x
        front = (1,) * (n - len(shape) - (n == 3 and len(shape) > 0))
        return reshape(x, front + shape + (1,) * (n - len(front) - len(shape)))
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple(_atleast((x,), n) for x in given)


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least one dim; several give a tuple."""
    return _atleast(tensors, 1)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least two dims, new ones in front; several give a tuple."""
    return _atleast(tensors, 2)


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least three dims: one behind, the others in front; several give a tuple."""
    return _atleast(tensors, 3)


moveaxis = movedim
