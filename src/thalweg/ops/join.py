"""Joining tensors and taking them apart.

The rule of a variadic primitive is asked for each input by its index; the parts of a split are views that
share one node, and refuse writes that would have to be recorded.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, one_dim, piece
from ._kernels import MANY, in_parts
from .reduce import converted
from .shape import atleast_1d, atleast_2d, atleast_3d, reshape

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "row_stack",
    "split", "split_with_sizes", "stack", "tensor_split", "unbind", "vsplit", "vstack",
]  # fmt: skip


# Joining


def _cat_rule(g: Any, i: int, shapes: tuple[tuple[int, ...], ...], axis: int) -> Any:
    own = shapes[i]
    if own == (0,) and g.ndim != 1:
        return g.reshape((-1,))[:0]
    start = 0
    for shape in shapes[:i]:
        start += shape[axis] if len(shape) == g.ndim else 0
    return g[piece(axis, slice(start, start + own[axis]))]


def _piled(xs: Any) -> Any:
    """Return arrays of one shape, not 0-d, along a new first axis, every thread copying its part of each."""
    out = np.empty((len(xs), *xs[0].shape), xs[0].dtype)

    def copy(i: int, j: int) -> None:
        for to, x in zip(out, xs, strict=True):
            to[i:j] = x[i:j]

    in_parts(copy, len(xs[0]))
    return out


def _cat_forward(xs: Any, axis: int) -> Any:
    if xs[0].size * len(xs) >= MANY and all([x.shape == xs[0].shape for x in xs]):
        shape = xs[0].shape
        if axis == 0:
            return _piled(xs).reshape(-1, *shape[1:])
        out = np.empty((*shape[:axis], len(xs) * shape[axis], *shape[axis + 1 :]), xs[0].dtype)
        in_parts(lambda i, j: np.concatenate([x[i:j] for x in xs], axis, out=out[i:j]), shape[0])
        return out
    try:
        return np.concatenate(xs, axis)
    except ValueError:  # an empty 1-d array among others, which counts as nothing
        return np.concatenate([x for x in xs if x.shape != (0,)], axis)


_cat: Primitive = Primitive("cat", _cat_forward, [_cat_rule], arity=-1, linear=True)


def _stack_forward(xs: Any, axis: int) -> Any:
    shape = xs[0].shape
    if axis == 0 and shape and xs[0].size * len(xs) >= MANY:
        return _piled(xs)
    if axis == 0:  # rows one after the other: several times faster than np.stack on small arrays
        out = np.empty((len(xs), *shape), xs[0].dtype)
        for k, x in enumerate(xs):
            out[k] = x
        return out
    return np.stack(xs, axis=axis)


_stack: Primitive = Primitive("stack", _stack_forward, [lambda g, i, axis: g[piece(axis, i)]], arity=-1, linear=True)


def _common(tensors: Any, who: str) -> tuple[TensorBase, ...]:
    """Return the tensors in the type they promote to."""
    if isinstance(tensors, TensorBase) or not isinstance(tensors, Sequence):
        raise DTypeError(f"{who}: a list or tuple of tensors is required, got {type(tensors).__name__}.")
    xs = tuple(as_tensor(x, who) for x in tensors)
    if not xs:
        raise ShapeError(f"{who}: at least one tensor is required, got none.")
    first = xs[0]._data.dtype
    for x in xs:
        if x._data.dtype is not first and x._data.dtype != first:
            target = _dtype.promote(*(x._data for x in xs))
            return tuple(converted(x, target) for x in xs)
    return xs


def cat(tensors: Any, dim: Any = 0, *, axis: Any = None) -> Tensor:
    """The tensors one after the other along an existing dim; empty 1-d tensors are skipped.

    >>> import thalweg as tw
    >>> tw.cat([tw.tensor([1, 2]), tw.tensor([3])])
    tensor([1, 2, 3])
    """
    xs = _common(tensors, "cat")
    model = xs[0]._data.shape
    if model and all([x._data.shape == model for x in xs]):  # the frequent case
        return apply(_cat, xs, (one_dim(dim if axis is None else axis, len(model), "cat"),))
    rank = max(x._data.ndim for x in xs)
    if any(x._data.ndim == 0 for x in xs):
        raise ShapeError("cat: tensors with at least one dim are required, got a 0-d tensor; use stack.")
    at = one_dim(dim if axis is None else axis, rank, "cat")
    model = next((x._data.shape for x in xs if x._data.shape != (0,)), (0,))
    for x in xs:
        shape = x._data.shape
        if shape != (0,) and (len(shape) != len(model) or shape[:at] + shape[at + 1 :] != model[:at] + model[at + 1 :]):
            raise ShapeError(f"cat: shapes equal except in dim {at} are required, got {model} and {shape}.")
    return apply(_cat, xs, (at,))


def stack(tensors: Any, dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new dim.

    >>> import thalweg as tw
    >>> tw.stack([tw.tensor([1, 2]), tw.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    xs = _common(tensors, "stack")
    if len({x._data.shape for x in xs}) > 1:
        shapes = ", ".join(str(x._data.shape) for x in xs[:4])
        raise ShapeError(f"stack: equal shapes are required, got {shapes}.")
    return apply(_stack, xs, (one_dim(dim, xs[0]._data.ndim + 1, "stack"),))


def hstack(tensors: Any) -> Tensor:
    """Tensors side by side: joined along dim 1, vectors along dim 0."""
    xs = [atleast_1d(x) for x in _common(tensors, "hstack")]
    return cat(xs, 0 if xs[0]._data.ndim == 1 else 1)


def vstack(tensors: Any) -> Tensor:
    """Tensors below each other: joined along dim 0, vectors as rows."""
    return cat([atleast_2d(x) for x in _common(tensors, "vstack")], 0)


def dstack(tensors: Any) -> Tensor:
    """Tensors behind each other: joined along dim 2."""
    return cat([atleast_3d(x) for x in _common(tensors, "dstack")], 2)


def column_stack(tensors: Any) -> Tensor:
    """Tensors side by side, vectors and numbers as columns."""
    xs = _common(tensors, "column_stack")
    return cat([x if x._data.ndim > 1 else reshape(x, x._data.size, 1) for x in xs], 1)


# Taking apart

_unbind: Primitive = Primitive(
    "unbind",
    lambda x, axis: [x[piece(axis, k)] for k in range(x.shape[axis])],
    [lambda g, axis: _stack(list(g), axis)],
    outputs=(),
    linear=True,
    view=True,
)


def _split_forward(x: Any, sizes: tuple[int, ...], axis: int) -> list[Any]:
    parts, start = [], 0
    for n in sizes:
        parts.append(x[piece(axis, slice(start, start + n))])
        start += n
    return parts


_split: Primitive = Primitive(
    "split", _split_forward, [lambda g, axis: _cat(list(g), axis)], outputs=(), linear=True, view=True
)
_split_sizes: Primitive = Primitive("split_with_sizes", _split_forward, _split.vjps, outputs=(), linear=True, view=True)


def unbind(input: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, each a view with that dim left out."""
    x = as_tensor(input)
    if x._data.ndim == 0:
        raise _NoDim("unbind: at least one dim is required, got a 0-d tensor.")
    axis = one_dim(dim, x._data.ndim, "unbind")
    return apply(_unbind, (x,), (axis,)) if x._data.shape[axis] else ()


class _NoDim(ShapeError, IndexError):
    """PyTorch raises IndexError where a dim is asked of a 0-d tensor."""


def _splittable(input: Any, dim: Any, who: str) -> tuple[TensorBase, int, int]:
    x = as_tensor(input)
    if x._data.ndim == 0:
        raise ShapeError(f"{who}: at least one dim is required, got a 0-d tensor.")
    axis = one_dim(dim, x._data.ndim, who)
    return x, axis, x._data.shape[axis]


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of `tensor` along `dim`: of one size (the last may be smaller), or of the sizes listed. They are views.

    >>> import thalweg as tw
    >>> tw.split(tw.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    if isinstance(split_size_or_sections, (list, tuple)):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    x, axis, n = _splittable(tensor, dim, "split")
    size = operator.index(split_size_or_sections)
    if size < 0 or (size == 0 and n):
        raise ShapeError(f"split: a size > 0 is required, got {size}.")
    sizes = [min(size, n - k) for k in range(0, n, size)] if n else [0]
    return apply(_split, (x,), (tuple(sizes), axis))


def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Parts of `input` along `dim`, of the sizes listed, which must add up to its size. They are views."""
    x, axis, n = _splittable(input, dim, "split_with_sizes")
    sizes = tuple(operator.index(k) for k in split_sizes)
    if any(k < 0 for k in sizes) or sum(sizes) != n:
        raise ShapeError(f"split_with_sizes: sizes >= 0 that add up to {n} are required, got {sizes}.")
    return apply(_split_sizes, (x,), (sizes, axis)) if sizes else ()


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` parts of equal size along `dim` (the last may be smaller). They are views."""
    x, axis, n = _splittable(input, dim, "chunk")
    if chunks < 1:
        raise ShapeError(f"chunk: chunks must be > 0, got {chunks}.")
    if n == 0:
        return split_with_sizes(x, [0] * chunks, axis)
    return split(x, -(-n // chunks), axis)


def tensor_split(
    input: Any, indices_or_sections: Any, dim: int = 0, *, indices: Any = None, sections: Any = None
) -> tuple[Tensor, ...]:
    """Parts of `input` along `dim`: a number of nearly equal ones, or those between the indices listed."""
    given = next(v for v in (indices, sections, indices_or_sections) if v is not None)
    if isinstance(given, TensorBase):
        if given._data.dtype != np.int64:
            raise ShapeError(f"tensor_split: indices of int64 are required, got {given.dtype}.")
        if given._data.ndim > 1:
            raise ShapeError(f"tensor_split: a number or a list of indices is required, got shape {given._data.shape}.")
        given = given.tolist()
    x, axis, n = _splittable(input, dim, "tensor_split")
    if isinstance(given, (list, tuple)):
        cuts = [0, *(slice(k).indices(n)[1] for k in given), n]
    else:
        count = operator.index(given)
        if count < 1:
            raise ShapeError(f"tensor_split: the number of parts must be > 0, got {count}.")
        cuts = [0]
        for k in range(count):
            cuts.append(cuts[-1] + n // count + (k < n % count))
    view: Any = x
    return tuple(view[piece(axis, slice(a, max(a, b)))] for a, b in pairwise(cuts))


def _even_split(input: Any, parts: Any, axis: int, least: int, who: str) -> tuple[Tensor, ...]:
    x = as_tensor(input)
    if x._data.ndim < least:
        raise ShapeError(f"{who}: at least {least} dims are required, got shape {x._data.shape}.")
    if isinstance(parts, int) and (parts < 1 or x._data.shape[axis] % parts):
        raise _Uneven(f"{who}: dim {axis} of size {x._data.shape[axis]} cannot be split into {parts} equal parts.")
    return tensor_split(x, parts, axis)


class _Uneven(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def hsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the indices listed, along dim 1 (dim 0 of a vector)."""
    return _even_split(input, indices_or_sections, 0 if as_tensor(input)._data.ndim == 1 else 1, 1, "hsplit")


def vsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the indices listed, along dim 0."""
    return _even_split(input, indices_or_sections, 0, 2, "vsplit")


def dsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the indices listed, along dim 2."""
    return _even_split(input, indices_or_sections, 2, 3, "dsplit")


concat = concatenate = cat
row_stack = vstack
