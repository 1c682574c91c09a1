"""The same elements in another order, or several times over."""

from __future__ import annotations

import itertools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, dims, one_dim, shape_of
from .shape import expand, flatten, permute, reshape

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "block_diag", "cartesian_prod", "combinations", "flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll",
    "rot90", "tile",
]  # fmt: skip

_flip: Primitive = Primitive(
    "flip", lambda x, axes: np.flip(x, axes).copy(), [lambda g, axes: _flip(g, axes)], linear=True
)
_roll: Primitive = Primitive(
    "roll",
    lambda x, shifts, axes: np.roll(x, shifts, axes),
    [lambda g, shifts, axes: _roll(g, tuple(-k for k in shifts), axes)],
    linear=True,
)


def flip(input: Any, *dims_: Any, **named: Any) -> Tensor:
    """The elements in reverse order along some dims (a copy).

    >>> import thalweg as tw
    >>> tw.flip(tw.tensor([[1, 2], [3, 4]]), [0])
    tensor([[3, 4],
            [1, 2]])
    """
    x = as_tensor(input)
    given = shape_of(dims_ or (named.get("dims"),), "flip")
    return apply(_flip, (x,), (dims(given, x._data.ndim, "flip") if x._data.ndim else (),))


def fliplr(input: Any) -> Tensor:
    """The elements in reverse order along dim 1."""
    if as_tensor(input)._data.ndim < 2:
        raise ShapeError("fliplr: at least 2 dims are required.")
    return flip(input, 1)


def flipud(input: Any) -> Tensor:
    """The elements in reverse order along dim 0."""
    if as_tensor(input)._data.ndim < 1:
        raise ShapeError("flipud: at least 1 dim is required.")
    return flip(input, 0)


def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """The elements moved on by `shifts` along `dims`, those pushed out coming in again at the other end."""
    x = as_tensor(input)
    steps = shape_of((shifts,), "roll")
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        if len(steps) != 1:
            raise ShapeError(f"roll: one shift is required without dims, got {shifts}.")
        return apply(_roll, (x,), (steps, None))
    if x._data.ndim == 0:
        raise _NoDim("roll: a tensor of at least one dim is required with dims, got a 0-d tensor.")
    along = tuple(one_dim(d, x._data.ndim, "roll") for d in shape_of((dims,), "roll"))
    if len(along) != len(steps):
        raise ShapeError(f"roll: as many shifts as dims are required, got {shifts} and {dims}.")
    return apply(_roll, (x,), (steps, along))


def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """Turned by `k` times 90 degrees in the plane of two dims, from the first towards the second."""
    x: Any = as_tensor(input)
    given = shape_of((dims,), "rot90")
    if len(given) != 2 or x.ndim < 2:
        raise ShapeError(f"rot90: two dims of a tensor of at least 2 are required, got {given} of {x.ndim}.")
    a, b = (one_dim(d, x.ndim, "rot90") for d in given)
    if a == b:
        raise ShapeError(f"rot90: two different dims are required, got {given}.")
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    turns = k % 4
    if turns == 0:
        return x.clone()
    if turns == 2:
        return flip(x, a, b)
    return permute(flip(x, b), order) if turns == 1 else flip(permute(x, order), b)


# Several times over


def _tile_rule(g: Any, times: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    lead = len(times) - len(x_shape)
    shape = times[:lead] + tuple(v for pair in zip(times[lead:], x_shape, strict=True) for v in pair)
    axes = (*range(lead), *range(lead, len(shape), 2))
    return g.reshape(shape).sum(axes)


_repeat: Primitive = Primitive("repeat", lambda x, times: np.tile(x, times), [_tile_rule], linear=True)


def repeat(input: Any, *sizes: Any, **named: Any) -> Tensor:
    """The tensor set beside itself, so many times along each dim; extra dims come in front.

    >>> import thalweg as tw
    >>> tw.repeat(tw.tensor([1, 2]), 2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    x = as_tensor(input)
    times = shape_of(sizes or (named.get("repeats"),), "repeat")
    if len(times) < x._data.ndim:
        raise ShapeError(f"repeat: at least {x._data.ndim} counts are required, one per dim, got {times}.")
    if any(n < 0 for n in times):
        raise ShapeError(f"repeat: counts >= 0 are required, got {times}.")
    return apply(_repeat, (x,), (times,))


def tile(input: Any, *dims: Any, **named: Any) -> Tensor:
    """The tensor set beside itself, so many times along the last dims."""
    x = as_tensor(input)
    times = shape_of(dims or (named.get("dims"),), "tile")
    return repeat(x, (1,) * (x._data.ndim - len(times)) + times)


def repeat_interleave(input: Any, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Tensor:
    """Each element along `dim` so many times in a row; with one argument, each index as often as it says."""
    from .gather import index_select

    x = as_tensor(input)
    if repeats is None:
        return TensorBase._wrap(np.repeat(np.arange(x._data.size), _counts(x, "repeat_interleave")))  # type: ignore[return-value]
    if dim is None:
        x, dim = flatten(x), 0
    axis = one_dim(dim, x._data.ndim, "repeat_interleave")
    n = x._data.shape[axis] if x._data.ndim else 1
    counts = as_tensor(repeats)
    if isinstance(repeats, int):
        if repeats < 0:
            raise ShapeError(f"repeat_interleave: repeats must be >= 0, got {repeats}.")
        shape = x._data.shape or (1,)
        lead, rest = shape[: axis + 1], shape[axis + 1 :]
        wide = expand(reshape(x, (*lead, 1, *rest)), (*lead, repeats, *rest))
        return flatten(wide.clone() if repeats > 1 else wide, axis, axis + 1)  # type: ignore[attr-defined]
    if counts._data.size not in (1, n):
        raise ShapeError(f"repeat_interleave: {n} counts are required, got {counts._data.size}.")
    picked = np.repeat(np.arange(n), _counts(counts, "repeat_interleave"))
    if output_size is not None and output_size != picked.size:
        raise ShapeError(f"repeat_interleave: output_size must be {picked.size}, got {output_size}.")
    return index_select(x, axis, TensorBase._wrap(picked))


def _counts(counts: TensorBase, who: str) -> Any:
    counts._told(who)
    data = counts._data
    if data.dtype.kind not in "iu" or data.ndim > 1:
        raise DTypeError(f"{who}: a vector of integers is required, got {counts.dtype} of shape {data.shape}.")
    if data.size and data.min() < 0:
        raise ShapeError(f"{who}: counts >= 0 are required, got {data.min()}.")
    return data


# Combining several


def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of one, zeros elsewhere; vectors count as rows."""
    from .join import cat

    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    blocks = [as_tensor(x) for x in given]
    if any(x._data.ndim > 2 for x in blocks):
        raise ShapeError("block_diag: tensors of at most 2 dims are required.")
    if not blocks:
        return TensorBase._wrap(np.zeros((1, 0), np.float32))  # type: ignore[return-value]
    blocks = [reshape(x, (1, x._data.size)) if x._data.ndim < 2 else x for x in blocks]
    width = sum(x._data.shape[1] for x in blocks)
    rows, start = [], 0
    for x in blocks:
        n, m = x._data.shape
        left, right = (TensorBase._wrap(np.zeros((n, k), bool)) for k in (start, width - start - m))
        rows.append(cat([left, x, right], 1))
        start += m
    return cat(rows, 0)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All tuples of elements, one from each vector, as rows."""
    from .join import stack

    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    xs = [as_tensor(x) for x in given]
    if not xs or any(x._data.ndim > 1 for x in xs):
        raise ShapeError("cartesian_prod: vectors are required.")
    if len(xs) == 1:
        return xs[0]  # type: ignore[return-value]
    sizes = tuple(x._data.size for x in xs)
    spread = [flatten(expand(reshape(x, (1,) * k + (-1,) + (1,) * (len(xs) - k - 1)), sizes)) for k, x in enumerate(xs)]
    return stack(spread, 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a vector, in order, as rows."""
    x: Any = as_tensor(input)
    if x.ndim != 1:
        raise ShapeError(f"combinations: a vector is required, got shape {x._data.shape}.")
    if operator.index(r) < 0:
        raise _Negative(f"combinations: r must be >= 0, got {r}.")
    if r == 0:
        return TensorBase._wrap(np.empty((0,), x._data.dtype))  # type: ignore[return-value]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(x._data.size), r)), np.int64).reshape(-1, r)
    return x[TensorBase._wrap(rows)]


class _NoDim(ShapeError, IndexError):
    """PyTorch raises IndexError where a dim is asked of a 0-d tensor."""


class _Negative(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""
