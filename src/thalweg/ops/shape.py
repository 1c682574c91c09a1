"""Other shapes over the same elements: views where NumPy gives views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor, dims, one_dim, shape_of

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "cat", "concat", "concatenate", "expand", "flatten", "permute", "reshape", "squeeze", "stack", "swapaxes", "swapdims",
    "t", "transpose", "unsqueeze", "view",
]  # fmt: skip

_view: Primitive = Primitive(
    "view",
    lambda x, shape: x.reshape(shape),
    [lambda g, x_shape: _view(g, x_shape)],
    linear=True,
    view=True,
)
_permute: Primitive = Primitive(
    "permute",
    lambda x, order: x.transpose(order),
    [lambda g, order: _permute(g, tuple(int(k) for k in np.argsort(order)))],
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
    lambda x, axis: np.expand_dims(x, axis),
    [lambda g, x_shape: _view(g, x_shape)],
    linear=True,
    view=True,
)
_squeeze: Primitive = Primitive(
    "squeeze", lambda x, shape: x.reshape(shape), [lambda g, x_shape: _view(g, x_shape)], linear=True, view=True
)
_squeeze_dim: Primitive = Primitive(
    "squeeze", _squeeze.forward, _squeeze.vjps, linear=True, view=True, backward="SqueezeBackward1"
)


def _resolved(shape: tuple[int, ...], size: int, who: str) -> tuple[int, ...]:
    unknown = shape.count(-1)
    if unknown > 1 or any(k < -1 for k in shape):
        raise ShapeError(f"{who}: sizes must be >= 0, one of them at most -1, got {shape}.")
    known = 1
    for k in shape:
        known *= k if k != -1 else 1
    if unknown:
        if known == 0 or size % known:
            raise ShapeError(f"{who}: {size} elements do not fit into shape {shape}.")
        return tuple(size // known if k == -1 else k for k in shape)
    if known != size:
        raise ShapeError(f"{who}: {size} elements do not fit into shape {shape}.")
    return shape


def reshape(input: Any, *shape: Any) -> Tensor:
    """The same elements in another shape (one size may be -1); a view where possible, else a copy.

    >>> import thalweg as tw
    >>> tw.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    x = as_tensor(input)
    return apply(_view, (x,), (_resolved(shape_of(shape, "reshape"), x._data.size, "reshape"),))


def view(input: Any, *shape: Any) -> Tensor:
    """The same memory in another shape; an error where that needs a copy."""
    x = as_tensor(input)
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer, tuple, list)):
        from .reduce import converted

        return converted(x, shape[0])  # type: ignore[return-value]
    sizes = _resolved(shape_of(shape, "view"), x._data.size, "view")
    result = apply(_view, (x,), (sizes,))
    if result._data.size and not np.may_share_memory(result._data, x._data):
        raise ShapeError(
            f"view: shape {sizes} needs a copy of this tensor (shape {x._data.shape}, not contiguous); use reshape()."
        )
    return result


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dims `start_dim` to `end_dim` joined into one."""
    x = as_tensor(input)
    first, last = one_dim(start_dim, x.ndim, "flatten"), one_dim(end_dim, x.ndim, "flatten")
    if first > last:
        raise ShapeError(f"flatten: start_dim must not come after end_dim, got {start_dim} and {end_dim}.")
    if x.ndim == 0:
        return reshape(x, 1)
    if first == last:
        return x  # type: ignore[return-value]
    shape = x._data.shape
    return reshape(x, shape[:first] + (int(np.prod(shape[first : last + 1], dtype=np.int64)),) + shape[last + 1 :])


def permute(input: Any, *order: Any) -> Tensor:
    """The dims in another order."""
    x = as_tensor(input)
    given = shape_of(order, "permute")
    if len(given) != x.ndim:
        raise ShapeError(f"permute: {x.ndim} dims are required, got {given}.")
    return apply(_permute, (x,), (dims(given, x.ndim, "permute"),))


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two dims exchanged."""
    x = as_tensor(input)
    a, b = one_dim(dim0, x.ndim, "transpose"), one_dim(dim1, x.ndim, "transpose")
    return apply(_transpose, (x,), (a, b)) if x.ndim else x  # type: ignore[return-value]


def t(input: Any) -> Tensor:
    """Transpose of a matrix; vectors and scalars as they are."""
    x = as_tensor(input)
    if x.ndim > 2:
        raise ShapeError(f"t: at most 2 dims are required, got shape {x._data.shape}.")
    return apply(_t, (x,))


def unsqueeze(input: Any, dim: int) -> Tensor:
    """A dim of size 1 put in at `dim`."""
    x = as_tensor(input)
    return apply(_unsqueeze, (x,), (one_dim(dim, x.ndim + 1, "unsqueeze"),))


def squeeze(input: Any, dim: Any = None) -> Tensor:
    """Dims of size 1 left out: all of them, or those of `dim` that have size 1."""
    x = as_tensor(input)
    old = x._data.shape
    gone = range(x.ndim) if dim is None else dims(dim, x.ndim, "squeeze")
    shape = tuple(n for k, n in enumerate(old) if n != 1 or k not in gone)
    return apply(_squeeze if dim is None else _squeeze_dim, (x,), (shape,))


def expand(input: Any, *sizes: Any) -> Tensor:
    """Dims of size 1 repeated without copying; -1 keeps a size."""
    x = as_tensor(input)
    given = shape_of(sizes, "expand")
    old = x._data.shape
    extra = len(given) - len(old)
    if extra < 0 or any(k == -1 for k in given[:extra]):
        raise ShapeError(f"expand: shape {old} cannot be expanded to {given}.")
    shape = tuple(old[k - extra] if n == -1 else n for k, n in enumerate(given))
    for n, m in zip(shape[extra:], old, strict=True):
        if m not in (1, n):
            raise ShapeError(f"expand: shape {old} cannot be expanded to {given}.")
    return apply(EXPAND, (x,), (shape,))


# Joining. The rule of a variadic primitive is asked for each input by its index.


def _cat_rule(g: Any, i: int, shapes: tuple[tuple[int, ...], ...], axis: int) -> Any:
    start = 0
    for shape in shapes[:i]:
        start += shape[axis] if shape != (0,) or g.ndim == 1 else 0
    if shapes[i] == (0,) and g.ndim != 1:
        return g[:0].reshape((0,)) if g.ndim == 0 else g.reshape(-1)[:0]
    return g[(slice(None),) * axis + (slice(start, start + shapes[i][axis]),)]


def _cat_forward(xs: list[Any], axis: int) -> Any:
    rank = max(x.ndim for x in xs)
    return np.concatenate([x for x in xs if rank == 1 or x.shape != (0,)], axis=axis)


_cat: Primitive = Primitive("cat", _cat_forward, [_cat_rule], arity=-1, linear=True)
_stack: Primitive = Primitive(
    "stack",
    lambda xs, axis: np.stack(xs, axis=axis),
    [lambda g, i, axis: g[(slice(None),) * axis + (i,)]],
    arity=-1,
    linear=True,
)


def _common(tensors: Sequence[Any], who: str) -> tuple[TensorBase, ...]:
    from ..core import dtype as _dtype
    from .reduce import converted

    xs = tuple(as_tensor(x) for x in tensors)
    if not xs:
        raise ShapeError(f"{who}: at least one tensor is required, got none.")
    if len({x._data.dtype for x in xs}) > 1:
        target = _dtype.promote(*(x._data for x in xs))
        xs = tuple(converted(x, target) for x in xs)
    return xs


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """The tensors one after the other along an existing dim."""
    xs = _common(tensors, "cat")
    rank = max(x.ndim for x in xs)
    if any(x.ndim == 0 for x in xs):
        raise ShapeError("cat: tensors with at least one dim are required, got a 0-d tensor; use stack.")
    axis = one_dim(dim, rank, "cat")
    model = next((x._data.shape for x in xs if x._data.shape != (0,)), (0,))
    for x in xs:
        shape = x._data.shape
        if shape != (0,) and (
            len(shape) != len(model) or shape[:axis] + shape[axis + 1 :] != model[:axis] + model[axis + 1 :]
        ):
            raise ShapeError(f"cat: shapes equal except in dim {axis} are required, got {model} and {shape}.")
    return apply(_cat, xs, (axis,))


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new dim."""
    xs = _common(tensors, "stack")
    if len({x._data.shape for x in xs}) > 1:
        shapes = ", ".join(str(x._data.shape) for x in xs[:4])
        raise ShapeError(f"stack: equal shapes are required, got {shapes}.")
    return apply(_stack, xs, (one_dim(dim, xs[0].ndim + 1, "stack"),))


concat = concatenate = cat
swapaxes = swapdims = transpose
