"""Spread, medians, quantiles and correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from . import return_types
from ._blocks import each_block
from ._coerce import as_tensor, one_dim, reduced_dims
from .extremes import along_one, share, value_rule
from .gather import gather
from .reduce import _add_reduce, as_float, kept, need_float, reduced_count
from .sort import sort

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "corrcoef", "cov", "median", "nanmedian", "nanquantile", "quantile", "std", "std_mean", "var", "var_mean",
]  # fmt: skip


# Variance: sum of squared distances from the mean over n - correction.


def _centred(x: Any, axes: tuple[int, ...]) -> Any:
    return x - _add_reduce(x, axes, None, None, True) / x.dtype.type(reduced_count(x.shape, axes))


def _var_forward(x: Any, axes: tuple[int, ...], keepdim: bool, correction: float) -> Any:
    divisor = x.dtype.type(max(reduced_count(x.shape, axes) - correction, 0))
    if len(axes) == x.ndim and x.flags.c_contiguous:
        flat = _centred(x, axes).reshape(-1)
        total = np.dot(flat, flat) if flat.size < 1024 else _add_reduce(np.multiply(flat, flat, out=flat))
        out = np.asarray(total / divisor)
        return out.reshape((1,) * x.ndim) if keepdim else out
    out = np.empty(kept(x.shape, axes), x.dtype)

    def work(block: slice) -> None:
        d = np.asarray(_centred(x[block], axes))
        out[block] = _add_reduce(np.multiply(d, d, out=d), axes, None, None, True) / divisor

    each_block(x, axes, work)
    return out if keepdim else out.reshape(tuple(n for k, n in enumerate(x.shape) if k not in axes))


def _std_forward(x: Any, axes: tuple[int, ...], keepdim: bool, correction: float) -> Any:
    out = np.sqrt(_var_forward(x, axes, keepdim, correction))
    if x.dtype == np.float32 and not ((out > 1e-17) & (out < np.inf)).all():  # squares beyond the range of float32
        wide = np.sqrt(_var_forward(x.astype(np.float64), axes, keepdim, correction))
        return np.asarray(wide, np.float32)
    return out


def _mean_kept(x: Any, axes: tuple[int, ...]) -> Any:
    return x.sum(axis=axes, keepdims=True) / max(reduced_count(x.shape, axes), 1)


def _var_rule(g: Any, x: Any, axes: tuple[int, ...], correction: float) -> Any:
    divisor = max(reduced_count(x.shape, axes) - correction, 0)
    scale = 2.0 / divisor if divisor else float("inf")
    return g.reshape(kept(x.shape, axes)) * scale * (x - _mean_kept(x, axes))


def _std_rule(g: Any, x: Any, out: Any, axes: tuple[int, ...], correction: float) -> Any:
    from .arithmetic import _where

    still = out == 0
    return _var_rule(_where(still, 0.0, g / (_where(still, 1.0, out) * 2.0)), x, axes, correction)


_var: Primitive = Primitive("var", _var_forward, [_var_rule])
_std: Primitive = Primitive("std", _std_forward, [_std_rule])


def _mean_part(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _add_reduce(x, axes, None, None, keepdim) / x.dtype.type(reduced_count(x.shape, axes))


def _mean_share(g: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return EXPAND(g.reshape(kept(x.shape, axes)) / max(reduced_count(x.shape, axes), 1), x.shape)


_var_mean: Primitive = Primitive(
    "var_mean",
    lambda x, axes, keepdim, correction: (_var_forward(x, axes, keepdim, correction), _mean_part(x, axes, keepdim)),
    [lambda g, x, axes, correction: _var_rule(g[0], x, axes, correction) + _mean_share(g[1], x, axes)],
    outputs=("out", "mean"),
)
_std_mean: Primitive = Primitive(
    "std_mean",
    lambda x, axes, keepdim, correction: (_std.forward(x, axes, keepdim, correction), _mean_part(x, axes, keepdim)),
    [lambda g, x, out, axes, correction: _std_rule(g[0], x, out, axes, correction) + _mean_share(g[1], x, axes)],
    outputs=("out", "mean"),
)


def _spread(
    primitive: Primitive, input: Any, dim: Any, unbiased: Any, keepdim: Any, correction: Any, axis: Any, keepdims: Any
) -> Any:
    x = as_tensor(input)
    need_float(x, primitive.name)
    dim = dim if axis is None else axis
    if isinstance(dim, bool):  # var(input, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise DTypeError(f"{primitive.name}: either unbiased or correction may be given, not both.")
        correction = int(bool(unbiased))
    axes = reduced_dims(dim, x._data.ndim, primitive.name)
    return apply(primitive, (x,), (axes, bool(keepdim or keepdims), 1 if correction is None else correction))


def var(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None,
) -> Tensor:  # fmt: skip
    """Variance over `dim`: the sum of squared distances from the mean over ``n - correction`` (1 by default).

    >>> import thalweg as tw
    >>> tw.var(tw.tensor([1.0, 2.0, 3.0, 4.0]), correction=0)
    tensor(1.2500)
    """
    return _spread(_var, input, dim, unbiased, keepdim, correction, axis, keepdims)


def std(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None,
) -> Tensor:  # fmt: skip
    """Standard deviation over `dim`; its derivative is 0 where all elements are equal."""
    return _spread(_std, input, dim, unbiased, keepdim, correction, axis, keepdims)


def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Variance and mean over `dim`."""
    return _spread(_var_mean, input, dim, unbiased, keepdim, correction, axis, keepdims)


def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Standard deviation and mean over `dim`."""
    return _spread(_std_mean, input, dim, unbiased, keepdim, correction, axis, keepdims)


# Medians: the lower of two. Over everything ties share the gradient; along a dim it goes to the index.


def _median_place(x: Any, skip: bool) -> Any:
    """Return the index of the median along the last dim (of those that are not NaN if `skip`)."""
    n = x.shape[-1]
    if x.dtype.kind != "f":
        return np.argpartition(x, (n - 1) // 2, -1)[..., [(n - 1) // 2]]
    missing = np.isnan(x)
    if not missing.any():
        return np.argpartition(x, (n - 1) // 2, -1)[..., [(n - 1) // 2]]
    order = np.argsort(x, -1, kind="stable")  # NaN last
    valid = n - np.count_nonzero(missing, axis=-1, keepdims=True)
    rank = np.maximum(valid - 1, 0) // 2
    if not skip:
        rank = np.where(valid < n, valid, rank)  # the first NaN
    return np.take_along_axis(order, rank, -1)


def _median_all(skip: bool) -> Any:
    def forward(x: Any) -> Any:
        flat = x.reshape(-1)
        if not flat.size:
            nothing = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min  # integers have no NaN; PyTorch's answer
            return np.asarray(nothing, x.dtype)
        return flat[_median_place(flat, skip)[0]]

    return forward


def _median_rule(g: Any, x: Any, out: Any) -> Any:
    axes = tuple(range(x.ndim))
    shape = (1,) * x.ndim
    out = out.reshape(shape)
    return share(g.reshape(shape), (x == out) | ((x != x) & (out != out)), axes)


def _median_dim_forward(x: Any, axis: int, keepdim: bool, skip: bool) -> tuple[Any, Any]:
    index = np.moveaxis(_median_place(np.moveaxis(x, axis, -1), skip), -1, axis)
    values = np.take_along_axis(x, index, axis)
    return (values, index) if keepdim else (values.squeeze(axis), index.squeeze(axis))


_median: Primitive = Primitive("median", _median_all(False), [_median_rule])
_nanmedian: Primitive = Primitive("nanmedian", _median_all(True), [_median_rule])
_median_dim: Primitive = Primitive(
    "median", _median_dim_forward, [value_rule], outputs=("values", "indices"), backward="MedianBackward1"
)
_nanmedian_dim: Primitive = Primitive(
    "nanmedian", _median_dim_forward, [value_rule], outputs=("values", "indices"), backward="NanmedianBackward1"
)


def median(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """The median (the lower of two) of all elements; with `dim` along it: ``.values``, ``.indices``.

    >>> import thalweg as tw
    >>> tw.median(tw.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    dim = dim if axis is None else axis
    if dim is None:
        return apply(_median, (as_tensor(input),))
    return return_types.median(*along_one(_median_dim, input, dim, keepdim, (False,)))


def nanmedian(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None) -> Any:
    """The median of the elements that are not NaN; with `dim` along it: ``.values``, ``.indices``."""
    dim = dim if axis is None else axis
    if dim is None:
        return apply(_nanmedian, (as_tensor(input),))
    return return_types.nanmedian(*along_one(_nanmedian_dim, input, dim, keepdim, (True,)))


# Quantiles: a composition of a sort and two picks

_WAYS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str, skip: bool, who: str) -> Tensor:
    from .arithmetic import where

    x: Any = as_tensor(input)
    need_float(x, who)
    number = not isinstance(q, TensorBase)
    share_of: Any = TensorBase._wrap(np.asarray(q, x._data.dtype)) if number else q
    _check_quantile(x, share_of, interpolation, who)
    shape = share_of._data.shape
    axis = 0 if dim is None else one_dim(dim, x.ndim, who)
    lead = (1,) * x.ndim if dim is None or x.ndim == 0 else (*x._data.shape[:axis], 1, *x._data.shape[axis + 1 :])
    rows = x.reshape(-1) if dim is None or x.ndim == 0 else x.movedim(axis, -1)
    if not rows._data.shape[-1]:
        raise ShapeError(f"{who}: at least one element is required, got shape {x._data.shape}.")
    values = sort(rows)[0]
    n = rows._data.shape[-1]
    flat = share_of.reshape(-1)
    broken = np.isnan(values._data).any(-1, keepdims=True)
    if skip:
        valid = np.maximum(n - np.count_nonzero(np.isnan(values._data), -1, keepdims=True), 1)
        rank = flat * TensorBase._wrap(np.asarray(valid - 1, x._data.dtype))
    else:
        rank = flat * float(n - 1) + TensorBase._wrap(np.zeros(broken.shape, x._data.dtype))
    found = _interpolated(values, rank, interpolation)
    if not skip and broken.any():
        found = where(TensorBase._wrap(broken), values[..., -1:], found)
    found = found.movedim(-1, 0)  # [quantiles, …]
    if keepdim:
        return found.reshape(shape + lead)
    kept_dims = () if dim is None else x._data.shape[:axis] + x._data.shape[axis + 1 :]
    return found.reshape(shape + kept_dims)


def _check_quantile(x: TensorBase, q: TensorBase, interpolation: str, who: str) -> None:
    if interpolation not in _WAYS:
        raise _BadQuantile(f"{who}: interpolation must be one of {', '.join(_WAYS)}, got {interpolation!r}.")
    if q._data.ndim > 1:
        raise ShapeError(f"{who}: q must be a number or a vector, got shape {q._data.shape}.")
    if q._data.dtype != x._data.dtype:
        raise DTypeError(f"{who}: q of {x.dtype} is required, as the tensor, got {q.dtype}.")
    if not ((q._data >= 0) & (q._data <= 1)).all():
        raise _BadQuantile(f"{who}: q must lie in [0, 1], got {q._data}.")


class _BadQuantile(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def _interpolated(values: Any, rank: Any, interpolation: str) -> Any:
    position = rank._data
    shape = (*values._data.shape[:-1], position.shape[-1])

    def at(places: Any) -> Any:
        index = np.broadcast_to(places, shape).astype(np.int64)
        return gather(values, values.ndim - 1, TensorBase._wrap(np.ascontiguousarray(index)))

    if interpolation == "nearest":
        return at(np.rint(position))
    low, high = np.floor(position), np.ceil(position)
    if interpolation == "lower":
        return at(low)
    if interpolation == "higher":
        return at(high)
    below, above = at(low), at(high)
    weight = 0.5 if interpolation == "midpoint" else rank - TensorBase._wrap(low)
    if interpolation == "midpoint":
        weight = TensorBase._wrap(np.where(low == high, 0.0, 0.5).astype(position.dtype))
    return below + (above - below) * weight


def quantile(
    input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear", axis: Any = None
) -> Tensor:
    """The `q`-quantiles (a number, or a vector that becomes the first dim) along `dim`, or of all elements.

    >>> import thalweg as tw
    >>> tw.quantile(tw.tensor([0.0, 1.0, 2.0, 3.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile(input, q, dim if axis is None else axis, keepdim, interpolation, False, "quantile")


def nanquantile(
    input: Any, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear", axis: Any = None
) -> Tensor:
    """The `q`-quantiles of the elements that are not NaN."""
    return _quantile(input, q, dim if axis is None else axis, keepdim, interpolation, True, "nanquantile")


# Covariance and correlation: compositions; variables are rows, observations columns.


def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """Covariance matrix of the rows of `input`, with frequencies or weights of the observations if given."""
    x: Any = as_tensor(input)
    if x.ndim > 2:
        raise ShapeError(f"cov: at most 2 dims are required, got shape {x._data.shape}.")
    if x._data.dtype.kind == "b":
        raise DTypeError("cov: numbers are required, got bool.")
    rows = x.reshape(1, -1) if x.ndim < 2 else x
    n = rows._data.shape[1]
    weights = _weights(fweights, aweights, n)
    if x._data.dtype.kind != "f":
        rows = as_float(rows)
    if weights is None:
        total: Any = n
        mean = rows.sum(1, True) / max(n, 1) if n else rows.sum(1, True) * float("nan")
    else:
        total = weights.sum()
        if total._data == 0:
            raise ShapeError("cov: weights that do not add up to 0 are required.")
        mean = (rows * weights).sum(1, True) / total
    factor = total - correction
    if weights is not None and aweights is not None and correction != 0:
        factor = total - correction * (weights * as_tensor(aweights)).sum() / total
    centred = rows - mean
    product = centred @ (centred if weights is None else centred * weights).T
    divisor = _not_negative(factor)
    out = product / divisor if isinstance(divisor, TensorBase) else product / float(divisor)
    return out.squeeze() if x.ndim < 2 or rows._data.shape[0] == 1 else out


def _not_negative(value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value if value._data > 0 else value * 0  # type: ignore[operator]
    return max(value, 0)


def _weights(fweights: Any, aweights: Any, n: int) -> Any:
    found: Any = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        w: Any = as_tensor(given)
        if w.ndim > 1 or w._data.size != n:
            raise ShapeError(f"cov: {name} must be a vector of {n}, got shape {w._data.shape}.")
        if (name == "fweights") != (w._data.dtype.kind in "iu"):
            raise DTypeError(
                f"cov: {name} must hold {'integers' if name == 'fweights' else 'fractions'}, got {w.dtype}."
            )
        if (w._data < 0).any():
            raise ShapeError(f"cov: {name} must not be negative.")
        found = w if found is None else found * w
    return found


def corrcoef(input: Any) -> Tensor:
    """Correlation matrix of the rows of `input`, within [-1, 1]."""
    from .combine import clamp
    from .diagonals import diagonal

    x = as_tensor(input)
    if x._data.ndim > 2:
        raise ShapeError(f"corrcoef: at most 2 dims are required, got shape {x._data.shape}.")
    c: Any = cov(x)
    if c.ndim == 0:
        return c / c
    deviation = diagonal(c).sqrt()  # type: ignore[attr-defined]
    ratio = c / deviation.reshape(-1, 1) / deviation.reshape(1, -1)
    return clamp(ratio, -1, 1)
