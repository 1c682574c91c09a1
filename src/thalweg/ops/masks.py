"""Elements picked and placed by truth values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor, zeros_for
from .gather import fill_arguments, write_into
from .shape import broadcast_to

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["argwhere", "masked_fill", "masked_scatter", "masked_select", "nonzero"]


def a_mask(mask: Any, who: str) -> TensorBase:
    """Return `mask`, which must hold truth values."""
    found = as_tensor(mask, who)
    if found._data.dtype.kind != "b":
        raise DTypeError(f"{who}: a mask of truth values is required, got {found.dtype}.")
    return found


def together(x: TensorBase, mask: TensorBase, who: str) -> tuple[int, ...]:
    """Return the shape that a tensor and a mask broadcast to."""
    if x._data.shape == mask._data.shape:
        return x._data.shape
    try:
        return np.broadcast_shapes(x._data.shape, mask._data.shape)
    except ValueError:
        raise ShapeError(
            f"{who}: a mask that broadcasts with {x._data.shape} is required, got {mask._data.shape}."
        ) from None


# Picking, and its transpose


def where_true(mask: Any) -> Any:
    """Return the flat positions where `mask` holds: five times as fast as the mask itself as an index, if it is random."""
    return np.flatnonzero(mask)


_pick: Primitive = Primitive(
    "masked_select",
    lambda x, mask: x.reshape(-1)[where_true(mask)],
    [lambda g, mask: _unpick(g, mask), None],
    linear=True,
)


def _unpick_forward(g: Any, mask: Any) -> Any:
    out = np.zeros(mask.shape, g.dtype)
    out.reshape(-1)[where_true(mask)] = g
    return out


_unpick: Primitive = Primitive("masked_scatter", _unpick_forward, [lambda g, mask: _pick(g, mask), None], linear=True)


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements where `mask` holds, as a vector.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, -2.0, 3.0])
    >>> tw.masked_select(x, x > 0)
    tensor([1., 3.])
    """
    x, truth = as_tensor(input), a_mask(mask, "masked_select")
    shape = together(x, truth, "masked_select")
    truth._told("masked_select")
    return apply(_pick, (_spread(x, shape), _spread(truth, shape)))


def _spread(x: TensorBase, shape: tuple[int, ...]) -> TensorBase:
    return x if x._data.shape == shape else broadcast_to(x, shape)


# Placing


def _fill_into(out: Any, value: Any, mask: Any) -> Any:
    out.reshape(-1)[where_true(mask)] = value
    return out


def _fill_rule(g: Any, mask: Any) -> Any:
    return _masked_fill(g, zeros_for(g), mask)


def _fill_value_rule(g: Any, mask: Any, value_shape: tuple[int, ...]) -> Any:
    return sum_to(g * mask, value_shape)


def _masked_fill_forward(x: Any, value: Any, mask: Any) -> Any:
    out = np.array(x, order="C")
    out.reshape(-1)[where_true(mask)] = value
    return out


_masked_fill: Primitive = Primitive(
    "masked_fill",
    _masked_fill_forward,
    [_fill_rule, _fill_value_rule, None],
)
_masked_fill_tensor: Primitive = Primitive(
    "masked_fill", _masked_fill.forward, _masked_fill.vjps, backward="MaskedFillBackward1"
)


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """A copy of `input` with `value` (a number or a 0-d tensor) where `mask` holds."""
    x, truth = as_tensor(input), a_mask(mask, "masked_fill")
    shape = together(x, truth, "masked_fill")
    primitive = _masked_fill_tensor if isinstance(value, TensorBase) else _masked_fill
    return apply(primitive, (_spread(x, shape), fill_arguments(x, value, "masked_fill"), _spread(truth, shape)))


def masked_fill_(input: TensorBase, mask: Any, value: Any) -> Tensor:
    """Write `value` where `mask` holds."""
    truth = a_mask(mask, "masked_fill_")
    if together(input, truth, "masked_fill_") != input._data.shape:
        raise ShapeError(
            f"masked_fill_: a mask that broadcasts to {input._data.shape} is required, got {truth._data.shape}."
        )
    primitive = _masked_fill_tensor if isinstance(value, TensorBase) else _masked_fill
    filled = fill_arguments(input, value, "masked_fill_")
    return write_into(primitive, _fill_into, input, (filled, _spread(truth, input._data.shape)), ())


def _scatter_masked(x: Any, source: Any, mask: Any) -> Any:
    out = x.copy()
    out[mask] = source.reshape(-1)[: np.count_nonzero(mask)]
    return out


def _collected(g: Any, mask: Any, source_shape: tuple[int, ...]) -> Any:
    from .join import _cat

    size = 1
    for n in source_shape:
        size *= n
    picked = _pick(g, mask)
    missing = size - picked.shape[0]
    if missing:
        zeros = zeros_for(g, (missing,))
        picked = _cat([picked, zeros], 0)
    return picked.reshape(source_shape)


_masked_scatter: Primitive = Primitive("masked_scatter", _scatter_masked, [_fill_rule, _collected, None])


def _scatter_arguments(input: Any, mask: Any, source: Any, who: str) -> tuple[TensorBase, TensorBase, TensorBase]:
    x, truth, src = as_tensor(input), a_mask(mask, who), as_tensor(source)
    if src._data.dtype != x._data.dtype:
        raise DTypeError(f"{who}: source of {x.dtype} is required, as the tensor, got {src.dtype}.")
    shape = together(x, truth, who)
    truth = _spread(truth, shape)
    truth._told(who)
    if np.count_nonzero(truth._data) > src._data.size:
        raise ShapeError(f"{who}: the mask asks for more elements than the {src._data.size} of source.")
    return _spread(x, shape), src, truth


def masked_scatter(input: Any, mask: Any, source: Any) -> Tensor:
    """A copy of `input` with the elements of `source`, in order, where `mask` holds."""
    return apply(_masked_scatter, _scatter_arguments(input, mask, source, "masked_scatter"))


def masked_scatter_(input: TensorBase, mask: Any, source: Any) -> Tensor:
    """Write the elements of `source`, in order, where `mask` holds."""
    from ..core.inplace import apply_inplace

    if together(input, a_mask(mask, "masked_scatter_"), "masked_scatter_") != input._data.shape:
        raise ShapeError(f"masked_scatter_: a mask that broadcasts to {input._data.shape} is required.")
    _, src, truth = _scatter_arguments(input, mask, source, "masked_scatter_")
    return apply_inplace(_masked_scatter, input, (src, truth))


# Where something is not zero: not differentiable


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The indices of the non-zero elements: one row each, or one vector per dim with `as_tuple`."""
    x = as_tensor(input)
    x._told("nonzero")
    if as_tuple:
        return tuple(TensorBase._wrap(k) for k in np.nonzero(np.atleast_1d(x._data)))
    if x._data.ndim == 0:
        return TensorBase._wrap(np.empty((int(bool(x._data)), 0), np.int64))
    return TensorBase._wrap(np.ascontiguousarray(np.argwhere(x._data)))


def argwhere(input: Any) -> Tensor:
    """The indices of the non-zero elements, one row each."""
    return nonzero(input)
