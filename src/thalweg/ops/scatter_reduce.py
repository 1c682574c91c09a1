"""Placing along a dimension where several values meet: their sum, product, mean or extreme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive
from ..core.tensor import TensorBase
from . import arithmetic
from ._index_arrays import positions
from .arithmetic import _where
from .gather import (
    BadReduce,
    _contiguous_copy,
    _gather,
    _scatter,
    _scatter_add,
    place,
    scatter_arguments,
)
from .reduce import converted

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["scatter_reduce"]


def _into(ufunc: np.ufunc) -> Any:
    def forward(x: Any, src: Any, index: Any, axis: int) -> Any:
        out = _contiguous_copy(x)
        at = positions(index, axis, out.shape)
        ufunc.at(out.reshape(-1), at.reshape(-1), np.broadcast_to(src, index.shape).reshape(-1))
        return out

    return forward


# Products: each share is the product of the others, found from the non-zero ones and the number of zeros.


def _others(x: Any, src: Any, index: Any, axis: int) -> Any:
    """Return the product of the non-zero elements, the number of zeros, and (for the next derivative) their sum."""
    product = _scatter_prod(_where(x == 0, 1.0, x), _where(src == 0, 1.0, src), index, axis)
    zeros = _scatter_add(_number(x == 0, x), _number(src == 0, x), index, axis)
    total = _scatter_add(_where(x == 0, x, 0.0), _where(src == 0, src, 0.0), index, axis)
    return product, zeros, total


def _share(x: Any, product: Any, zeros: Any, total: Any) -> Any:
    rest = product / _where(x == 0, 1.0, x)
    zeros = zeros - _number(x == 0, x)
    return _where(zeros == 0, rest, _where(zeros == 1, rest * (total - _where(x == 0, x, 0.0)), 0.0))


def _number(truth: Any, like: Any) -> Any:
    data = truth._data if isinstance(truth, TensorBase) else truth
    return data.astype(like._data.dtype if isinstance(like, TensorBase) else like.dtype)


def _prod_x_rule(g: Any, x: Any, src: Any, index: Any, axis: int) -> Any:
    return g * _share(x, *_others(x, src, index, axis))


def _prod_src_rule(g: Any, x: Any, src: Any, index: Any, axis: int) -> Any:
    found = (_gather(part, index, axis) for part in _others(x, src, index, axis))
    return _gather(g, index, axis) * _share(src, *found)


# Extremes: all that equal the result share its gradient.


def _hits(x: Any, src: Any, index: Any, out: Any, axis: int) -> tuple[Any, Any, Any]:
    own, given = _number(x == out, x), _number(src == _gather(out, index, axis), x)
    return own, given, _scatter_add(own, given, index, axis)


def _extreme_x_rule(g: Any, x: Any, src: Any, index: Any, out: Any, axis: int) -> Any:
    own, _, count = _hits(x, src, index, out, axis)
    return g / count * own


def _extreme_src_rule(g: Any, x: Any, src: Any, index: Any, out: Any, axis: int) -> Any:
    _, given, count = _hits(x, src, index, out, axis)
    return _gather(g / count, index, axis) * given


_scatter_prod: Primitive = Primitive(
    "scatter_reduce", _into(np.multiply), [_prod_x_rule, _prod_src_rule, None], arity=3
)
_scatter_total: Primitive = Primitive("scatter_reduce", _scatter_add.forward, _scatter_add.vjps)
_scatter_max: Primitive = Primitive(
    "scatter_reduce", _into(np.maximum), [_extreme_x_rule, _extreme_src_rule, None], arity=3
)
_scatter_min: Primitive = Primitive(
    "scatter_reduce", _into(np.minimum), [_extreme_x_rule, _extreme_src_rule, None], arity=3
)


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else np.iinfo(dtype).min


def _highest(dtype: Any) -> Any:
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else np.iinfo(dtype).max


def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Tensor:
    """A copy of `input` in which `src` is combined where `index` points along `dim`.

    `reduce` is ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``; without `include_self` the elements
    of `input` that are pointed at do not count.
    """
    x, source, at, axis = scatter_arguments(input, dim, index, src, "scatter_reduce")
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise BadReduce(f"scatter_reduce: reduce must be sum, prod, mean, amax or amin, got {reduce!r}.")
    if at._data.size == 0:
        return x.clone()  # type: ignore[attr-defined]
    data = x._data
    if not include_self:
        neutral = {"prod": 1, "amax": _lowest(data.dtype), "amin": _highest(data.dtype)}.get(reduce, 0)
        x = place(_scatter, x, TensorBase._wrap(np.asarray(neutral, data.dtype)), at, axis)
    if reduce in ("prod", "amax", "amin"):
        primitive = {"prod": _scatter_prod, "amax": _scatter_max, "amin": _scatter_min}[reduce]
        return place(primitive, x, source, at, axis)
    total = place(_scatter_total, x, source, at, axis)
    if reduce == "sum":
        return total
    ones = TensorBase._wrap(np.ones(at._data.shape, np.int64))
    start = TensorBase._wrap(np.ones(data.shape, np.int64))
    if not include_self:
        start = place(_scatter, start, TensorBase._wrap(np.asarray(0)), at, axis)
    count = arithmetic.maximum(place(_scatter_add, start, ones, at, axis), TensorBase._wrap(np.asarray(1)))
    if data.dtype.kind == "f":
        return total / converted(count, total.dtype)  # type: ignore[operator]
    return arithmetic.div(total, count, rounding_mode="floor")


def combined(input: Any, dim: int, index: Any, src: Any, reduce: str) -> Tensor:
    """Scatter with the older reductions ``"add"`` and ``"multiply"``, which are not differentiable in PyTorch."""
    if reduce not in ("add", "multiply"):
        raise BadReduce(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}.")
    x, source, at, axis = scatter_arguments(input, dim, index, src, "scatter")
    if source._data.ndim == 0:
        source = TensorBase._wrap(np.full(at._data.shape, source._data))
    return place(_scatter_add if reduce == "add" else _scatter_prod, x, source, at, axis)
