"""Running sums, products and extremes along a dimension, differences and trapezoids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from . import arithmetic, return_types
from ._coerce import as_tensor, one_dim, piece
from ._kernels import scans
from .arrange import _flip
from .join import cat
from .reduce import as_float, converted
from .reduce import sum as _sum_of

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "logcumsumexp", "trapezoid", "trapz",
]  # fmt: skip


def reversed_along(x: Any, axis: int) -> Any:
    """Return `x` from last to first along `axis`."""
    return x[piece(axis, slice(None, None, -1))] if type(x) is np.ndarray else _flip(x, (axis,))


def _along(x: TensorBase, dim: Any, who: str) -> int | None:
    """Return the dim to scan, or None for a 0-d tensor, which is its own scan."""
    axis = one_dim(dim, x._data.ndim, who)
    return axis if x._data.ndim else None


def _scanned(primitive: Primitive, x: TensorBase, dim: Any, who: str) -> Any:
    axis = _along(x, dim, who)
    if axis is None:
        return (x if x._data.dtype.kind == "f" else converted(x, "int64")).clone()  # type: ignore[attr-defined]
    return apply(primitive, (x,), (axis,))


# Sums


def _block_of(n: int) -> int:
    """Return a divisor of `n` between 16 and 64, or 0."""
    return next((k for k in range(16, 65) if n % k == 0), 0)


def running_sum(x: Any, axis: int, backwards: bool = False) -> Any:
    """Return the running sum of an array along `axis`, from the first element on or from the last.

    np.cumsum waits for every addition before the next. Long rows are twice as fast in blocks, each multiplied by
    a triangle of ones; what an infinity would spoil there (inf * 0) is done the plain way.
    """
    kernels = scans(x)
    if kernels is not None:
        return kernels.running_sum(x, axis, backwards)
    n = x.shape[axis]
    block = _block_of(n) if x.dtype.kind == "f" and n >= 256 and x.size >= 16384 and axis == x.ndim - 1 else 0
    if block:
        triangle = np.triu(np.ones((block, block), x.dtype))
        sums = (x.reshape(-1, block) @ (triangle.T if backwards else triangle)).reshape(*x.shape[:-1], -1, block)
        if backwards:
            ends = np.cumsum(sums[..., ::-1, 0], -1)[..., ::-1]
            sums[..., :-1, :] += ends[..., 1:, None]
        else:
            ends = np.cumsum(sums[..., -1], -1)
            sums[..., 1:, :] += ends[..., :-1, None]
        if np.isfinite(ends).all():
            return sums.reshape(x.shape)
    flip = piece(axis, slice(None, None, -1))
    total = np.cumsum(x[flip] if backwards else x, axis, dtype=None if x.dtype.kind == "f" else np.int64)
    return total[flip] if backwards else total


_cumsum: Primitive = Primitive(
    "cumsum", lambda x, axis: running_sum(x, axis), [lambda g, axis: _cumsum_back(g, axis)], linear=True
)
_cumsum_back: Primitive = Primitive(
    "cumsum_backward",
    lambda x, axis: running_sum(x, axis, backwards=True),
    [lambda g, axis: _cumsum(g, axis)],
    linear=True,
)


def cumsum(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """Running sum along `dim`; integers and truth values add up in int64.

    >>> import thalweg as tw
    >>> tw.cumsum(tw.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    x = converted(as_tensor(input), dtype)
    return converted(_scanned(_cumsum, x, dim if axis is None else axis, "cumsum"), dtype)  # type: ignore[return-value]


# Products. Linear recurrences make their derivatives exact where elements are 0, to any order: with
# s[i] = b[i] + a[i] s[i-1] (running forwards) the derivatives in b and a are such recurrences again.


def _recurrence(b: Any, a: Any, axis: int) -> Any:
    """Solve ``s[i] = b[i] + a[i] * s[i-1]`` by doubling: log2(n) passes over whole arrays."""
    s, a = np.moveaxis(b, axis, 0).copy(), np.moveaxis(a, axis, 0).copy()
    step, n = 1, s.shape[0]
    while step < n:
        s[step:] += a[step:] * s[:-step]
        a[step:] = a[step:] * a[:-step]
        step *= 2
    return np.ascontiguousarray(np.moveaxis(s, 0, axis))


def _forwards(b: Any, x: Any, axis: int) -> Any:
    return _recurrence(b, x, axis)


def _backwards(b: Any, x: Any, axis: int) -> Any:
    flip = piece(axis, slice(None, None, -1))
    shifted = np.concatenate([x[piece(axis, slice(1, None))], np.zeros_like(x[piece(axis, slice(0, 1))])], axis)
    return _recurrence(b[flip], shifted[flip], axis)[flip]


# s[i] = b[i] + x[i] s[i-1], and s[i] = b[i] + x[i+1] s[i+1].
_prefix: Primitive = Primitive(
    "linear_recurrence",
    _forwards,
    [lambda g, x, axis: _suffix(g, x, axis), lambda g, x, out, axis: _suffix(g, x, axis) * before(out, axis, 0.0)],
)
_suffix: Primitive = Primitive(
    "linear_recurrence",
    _backwards,
    [lambda g, x, axis: _prefix(g, x, axis), lambda g, x, out, axis: before(_prefix(g, x, axis), axis, 0.0) * out],
)


def _before_forward(x: Any, axis: int, first: float) -> Any:
    out = np.empty_like(x)
    out[piece(axis, slice(0, 1))] = first
    out[piece(axis, slice(1, None))] = x[piece(axis, slice(None, -1))]
    return out


def _after_forward(x: Any, axis: int) -> Any:
    out = np.zeros_like(x)
    out[piece(axis, slice(None, -1))] = x[piece(axis, slice(1, None))]
    return out


_before: Primitive = Primitive("shift", _before_forward, [lambda g, axis: _after(g, axis)])
_after: Primitive = Primitive("shift", _after_forward, [lambda g, axis: _before(g, axis, 0.0)], linear=True)


def before(x: Any, axis: int, first: float) -> Any:
    """Return `x` moved one place on along `axis`, beginning with `first`."""
    return _before(x, axis, first)


def product_of_others(x: Any, axis: int) -> Any:
    """Return for each element the product of all others along `axis`."""
    left = _cumprod(before(x, axis, 1.0), axis)
    right = _cumprod(before(reversed_along(x, axis), axis, 1.0), axis)
    return left * reversed_along(right, axis)


def _cumprod_rule(g: Any, x: Any, out: Any, axis: int) -> Any:
    if type(x) is np.ndarray and (x != 0).all():
        return running_sum(g * out, axis, backwards=True) / x
    return before(out, axis, 1.0) * _suffix(g, x, axis)


def _cumprod_forward(x: Any, axis: int) -> Any:
    kernels = scans(x)
    if kernels is not None:
        return kernels.running_product(x, axis)
    return np.cumprod(x, axis, dtype=None if x.dtype.kind == "f" else np.int64)


_cumprod: Primitive = Primitive("cumprod", _cumprod_forward, [_cumprod_rule])


def cumprod(input: Any, dim: Any = None, *, dtype: Any = None, axis: Any = None) -> Tensor:
    """Running product along `dim`; its derivative is exact where elements are 0."""
    x = converted(as_tensor(input), dtype)
    return converted(_scanned(_cumprod, x, dim if axis is None else axis, "cumprod"), dtype)  # type: ignore[return-value]


# The logarithm of a running sum of exponentials: the ratio of neighbouring sums never exceeds 1.


def _logcumsumexp_rule(g: Any, x: Any, out: Any, axis: int) -> Any:
    from .arithmetic import _where
    from .pointwise import _exp

    # With T[i] = sum over k >= i of g[k] exp(out[i] - out[k]) the derivative is exp(x - out) T.
    previous = before(out, axis, -float("inf"))
    nothing = out == -float("inf")
    ratio = _where(previous == -float("inf"), 0.0, _exp(_where(nothing, 0.0, previous) - _where(nothing, 0.0, out)))
    share = _where(nothing, 0.0, _exp(x - _where(nothing, 0.0, out)))
    return share * _suffix(g, ratio, axis)


_logcumsumexp: Primitive = Primitive(
    "logcumsumexp", lambda x, axis: np.logaddexp.accumulate(x, axis), [_logcumsumexp_rule]
)


def logcumsumexp(input: Any, dim: Any = None, *, axis: Any = None) -> Tensor:
    """``log(cumsum(exp(input)))`` along `dim`, without overflow."""
    x = as_tensor(input)
    if x._data.dtype.kind != "f":
        raise DTypeError(f"logcumsumexp: a floating-point tensor is required, got {x.dtype}.")
    return _scanned(_logcumsumexp, x, dim if axis is None else axis, "logcumsumexp")


# Extremes: the gradient goes to where each came from; of equal elements the last counts.


def _extreme(ufunc: np.ufunc) -> Any:
    def forward(x: Any, axis: int) -> tuple[Any, Any]:
        values = ufunc.accumulate(x, axis)
        places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1))
        hit = x == values
        if x.dtype.kind == "f":
            hit |= np.isnan(x)
        return values, np.maximum.accumulate(np.where(hit, places, 0), axis)

    return forward


def _extreme_rule(g: Any, indices: Any, axis: int, x_shape: tuple[int, ...]) -> Any:
    from .gather import collected

    return collected(g[0], indices, axis, x_shape)


_cummax: Primitive = Primitive("cummax", _extreme(np.maximum), [_extreme_rule], outputs=("values", "indices"))
_cummin: Primitive = Primitive("cummin", _extreme(np.minimum), [_extreme_rule], outputs=("values", "indices"))


def _pair(primitive: Primitive, input: Any, dim: Any, who: str) -> Any:
    x = as_tensor(input)
    axis = _along(x, dim, who)
    if axis is None:
        return tuple(part.reshape(()) for part in apply(primitive, (x.reshape(1),), (0,)))  # type: ignore[attr-defined]
    return apply(primitive, (x,), (axis,))


def cummax(input: Any, dim: Any = None, *, axis: Any = None) -> return_types.cummax:
    """Running maximum along `dim` and the index of each: ``.values``, ``.indices``."""
    return return_types.cummax(*_pair(_cummax, input, dim if axis is None else axis, "cummax"))


def cummin(input: Any, dim: Any = None, *, axis: Any = None) -> return_types.cummin:
    """Running minimum along `dim` and the index of each: ``.values``, ``.indices``."""
    return return_types.cummin(*_pair(_cummin, input, dim if axis is None else axis, "cummin"))


# Differences and trapezoids: compositions


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Difference of neighbours along `dim`, taken `n` times; `prepend` and `append` are joined on before.

    >>> import thalweg as tw
    >>> tw.diff(tw.tensor([1, 4, 9, 16]))
    tensor([3, 5, 7])
    """
    x: Any = as_tensor(input)
    if x.ndim == 0:
        raise _Flat("diff: at least one dim is required, got a 0-d tensor.")
    axis = one_dim(dim, x.ndim, "diff")
    if n < 0:
        raise _Flat(f"diff: n must be >= 0, got {n}.")
    if n and (prepend is not None or append is not None):
        x = cat([as_tensor(part) for part in (prepend, x, append) if part is not None], axis)
    for _ in range(min(n, x._data.shape[axis])):
        later, earlier = x[piece(axis, slice(1, None))], x[piece(axis, slice(None, -1))]
        x = arithmetic.ne(later, earlier) if x._data.dtype.kind == "b" else later - earlier
    return x if n else x.clone()


class _Flat(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def _widths(y: Any, x: Any, dx: Any, dim: int, who: str) -> tuple[Any, Any, int]:
    y = as_tensor(y)
    axis = one_dim(dim, y.ndim, who)
    if y.ndim == 0:
        raise _NoDim(f"{who}: at least one dim is required, got a 0-d tensor.")
    if x is None:
        return y, 1.0 if dx is None else dx, axis
    if dx is not None:
        raise _Flat(f"{who}: either x or dx may be given, not both.")
    x = as_tensor(x)
    if x.ndim == 0:
        raise _NoDim(f"{who}: x must have at least one dim, got a 0-d tensor.")
    size = y._data.shape[axis]
    if x.ndim == 1 and x._data.shape[0] != size:
        raise ShapeError(f"{who}: x of {size} elements is required, got {x._data.shape[0]}.")
    if x.ndim == 1:
        return y, diff(x).reshape((-1,) + (1,) * (y.ndim - axis - 1)), axis  # type: ignore[attr-defined]
    if x.ndim < y.ndim:
        x = x.reshape((1,) * (y.ndim - x.ndim) + x._data.shape)  # type: ignore[attr-defined]
    return y, diff(x, dim=axis), axis


class _NoDim(ShapeError, IndexError):
    """PyTorch raises IndexError here."""


def _trapezoids(y: Any, x: Any, dx: Any, dim: int, who: str) -> tuple[Any, Any, int]:
    """Return the sums of neighbours (times their distances), what is left to multiply by, and the dim."""
    y, width, axis = _widths(y, x, dx, dim, who)
    both = y[piece(axis, slice(1, None))] + y[piece(axis, slice(None, -1))]
    if isinstance(width, TensorBase):
        return as_float(both) * width, 0.5, axis  # type: ignore[operator]
    return as_float(both), width / 2.0, axis


def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """Integral of `y` along `dim` by the trapezoidal rule, over points `x` or a spacing `dx` (default 1)."""
    pieces, factor, axis = _trapezoids(y, x, dx, dim, "trapezoid")
    return _sum_of(pieces, axis) * factor


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """Running integral of `y` along `dim` by the trapezoidal rule."""
    pieces, factor, axis = _trapezoids(y, x, dx, dim, "cumulative_trapezoid")
    return cumsum(pieces, axis) * factor


trapz = trapezoid
