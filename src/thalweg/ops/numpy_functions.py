"""NumPy's functions on tensors: ``np.sin(t)``, ``array * t`` and ``np.sum(t, axis=0)`` are the library's operations.

What has no counterpart here computes on the values, gives arrays, and refuses a tensor that requires grad.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import DTypeError, GraphError
from . import (
    arithmetic,
    arrange,
    combine,
    create,
    diagonals,
    extremes,
    logic,
    pointwise,
    products,
    reduce,
    rounding,
    scan,
    shape,
    statistics,
)
from ._coerce import as_tensor
from .numpy_algebra import ALGEBRA
from .numpy_shapes import SHAPES, given

__all__ = ["function_call", "ufunc_call"]

_UFUNCS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: arithmetic.add,
    np.subtract: arithmetic.sub,
    np.multiply: arithmetic.mul,
    np.true_divide: arithmetic.div,
    np.floor_divide: arithmetic.floor_divide,
    np.remainder: arithmetic.remainder,
    np.fmod: arithmetic.fmod,
    np.divmod: lambda x, y: (arithmetic.floor_divide(x, y), arithmetic.remainder(x, y)),
    np.power: arithmetic.pow,
    np.float_power: combine.float_power,
    np.maximum: arithmetic.maximum,
    np.minimum: arithmetic.minimum,
    np.fmax: combine.fmax,
    np.fmin: combine.fmin,
    np.arctan2: combine.atan2,
    np.hypot: combine.hypot,
    np.copysign: combine.copysign,
    np.heaviside: combine.heaviside,
    np.ldexp: combine.ldexp,
    np.logaddexp: combine.logaddexp,
    np.logaddexp2: combine.logaddexp2,
    np.equal: arithmetic.eq,
    np.not_equal: arithmetic.ne,
    np.less: arithmetic.lt,
    np.less_equal: arithmetic.le,
    np.greater: arithmetic.gt,
    np.greater_equal: arithmetic.ge,
    np.logical_and: logic.logical_and,
    np.logical_or: logic.logical_or,
    np.logical_xor: logic.logical_xor,
    np.logical_not: logic.logical_not,
    np.bitwise_and: logic.bitwise_and,
    np.bitwise_or: logic.bitwise_or,
    np.bitwise_xor: logic.bitwise_xor,
    np.invert: logic.bitwise_not,
    np.left_shift: logic.bitwise_left_shift,
    np.right_shift: logic.bitwise_right_shift,
    np.isnan: logic.isnan,
    np.isinf: logic.isinf,
    np.isfinite: logic.isfinite,
    np.signbit: logic.signbit,
    np.negative: pointwise.neg,
    np.positive: pointwise.positive,
    np.conjugate: pointwise.positive,
    np.absolute: pointwise.abs,
    np.fabs: pointwise.abs,
    np.sign: pointwise.sign,
    np.exp: pointwise.exp,
    np.exp2: pointwise.exp2,
    np.expm1: pointwise.expm1,
    np.log: pointwise.log,
    np.log2: pointwise.log2,
    np.log10: pointwise.log10,
    np.log1p: pointwise.log1p,
    np.sqrt: pointwise.sqrt,
    np.square: pointwise.square,
    np.reciprocal: pointwise.reciprocal,
    np.sin: pointwise.sin,
    np.cos: pointwise.cos,
    np.tan: pointwise.tan,
    np.arcsin: pointwise.asin,
    np.arccos: pointwise.acos,
    np.arctan: pointwise.atan,
    np.sinh: pointwise.sinh,
    np.cosh: pointwise.cosh,
    np.tanh: pointwise.tanh,
    np.arcsinh: pointwise.asinh,
    np.arccosh: pointwise.acosh,
    np.arctanh: pointwise.atanh,
    np.deg2rad: pointwise.deg2rad,
    np.radians: pointwise.deg2rad,
    np.rad2deg: pointwise.rad2deg,
    np.degrees: pointwise.rad2deg,
    np.floor: rounding.floor,
    np.ceil: rounding.ceil,
    np.trunc: rounding.trunc,
    np.rint: rounding.round,
    np.matmul: products.matmul,
    np.vecdot: lambda x, y: reduce.sum(arithmetic.mul(x, y), dim=-1),
}


def ufunc_call(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a ufunc met on a tensor."""
    name = ufunc.__name__
    if kwargs.get("out") is not None:
        raise DTypeError(
            f"np.{name}: a result computed from tensors cannot be written into an array, which has no history; write "
            "a = a + t instead of a += t, or use t.detach().numpy()."
        )
    if method != "__call__" or any(value is not None for value in kwargs.values()):
        what = f"np.{name}.{method}" if method != "__call__" else f"np.{name} with {', '.join(sorted(kwargs))}"
        raise DTypeError(f"{what}: not available for tensors; use the function of the library, or t.detach().numpy().")
    function = _UFUNCS.get(ufunc)
    if function is not None:
        return function(*(as_tensor(np.asarray(x)) if isinstance(x, (list, tuple, int, float)) else x for x in inputs))
    return _on_values(ufunc, f"np.{name}", inputs, {})


# Functions. An adapter translates the arguments; NumPy's names of the first one are dropped before.


def _std(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return statistics.std(x, axis, correction=ddof, keepdim=keepdims)


def _var(x: Any, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
    return statistics.var(x, axis, correction=ddof, keepdim=keepdims)


def _sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return reduce.sum(x, axis, keepdims, dtype=dtype)


def _mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return reduce.mean(x, axis, keepdims, dtype=dtype)


def _prod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return reduce.prod(x, axis, keepdims, dtype=dtype)


def _max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return extremes.amax(x, () if axis is None else axis, keepdims)


def _min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return extremes.amin(x, () if axis is None else axis, keepdims)


def _quantile(x: Any, q: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return statistics.quantile(x, q, axis, keepdims)


def _cumsum(x: Any, axis: Any = None, dtype: Any = None) -> Any:
    return scan.cumsum(shape.ravel(x) if axis is None else x, 0 if axis is None else axis, dtype=dtype)


def _cumprod(x: Any, axis: Any = None, dtype: Any = None) -> Any:
    return scan.cumprod(shape.ravel(x) if axis is None else x, 0 if axis is None else axis, dtype=dtype)


def _flip(x: Any, axis: Any = None) -> Any:
    return arrange.flip(x, *range(x.ndim)) if axis is None else arrange.flip(x, axis)


def _repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    return arrange.repeat_interleave(x, repeats, axis)


def _transpose(x: Any, axes: Any = None) -> Any:
    return shape.permute(x, *(range(x.ndim)[::-1] if axes is None else axes))


def _clip(x: Any, a_min: Any = None, a_max: Any = None, min: Any = None, max: Any = None) -> Any:
    return combine.clamp(x, a_min if min is None else min, a_max if max is None else max)


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    return scan.trapezoid(y, dim=axis, **({"dx": dx} if x is None else {"x": x}))


def _reshape(
    x: Any, shape_: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None, **named: Any
) -> Any:
    wanted = named.pop("shape", newshape) if shape_ is None else shape_
    if order not in ("C", "A", "F") or named:
        raise DTypeError(f"np.reshape: order must be 'C', 'F' or 'A', and nothing else given, got {order!r}, {named}.")
    sizes = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    if order != "F":
        return shape.reshape(x, sizes)
    return _transpose(shape.reshape(_transpose(x), tuple(sizes)[::-1]))


def _ravel(x: Any, order: str = "C") -> Any:
    return shape.ravel(_transpose(x) if order == "F" else x)


def _broadcast_to(x: Any, sizes: Any) -> Any:
    return shape.broadcast_to(x, sizes if isinstance(sizes, (tuple, list)) else (sizes,))


def _expand_dims(x: Any, axis: Any) -> Any:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for k in sorted(int(k) % (x.ndim + len(axes)) for k in axes):
        x = shape.unsqueeze(x, k)
    return x


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return tuple(TensorBase._wrap(k) for k in np.nonzero(_value(condition)))
    return arithmetic.where(given(condition), given(x), given(y))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _sum,
    np.mean: _mean,
    np.prod: _prod,
    np.max: _max,
    np.amax: _max,
    np.min: _min,
    np.amin: _min,
    np.std: _std,
    np.var: _var,
    np.median: lambda x, axis=None, keepdims=False: _quantile(x, 0.5, axis, keepdims),
    np.quantile: _quantile,
    np.all: lambda x, axis=None, keepdims=False: reduce.all(x, axis, keepdims),
    np.any: lambda x, axis=None, keepdims=False: reduce.any(x, axis, keepdims),
    np.argmax: lambda x, axis=None, keepdims=False: extremes.argmax(x, axis, keepdims),
    np.argmin: lambda x, axis=None, keepdims=False: extremes.argmin(x, axis, keepdims),
    np.count_nonzero: lambda x, axis=None: reduce.count_nonzero(x, axis),
    np.nansum: lambda x, axis=None, keepdims=False: reduce.nansum(x, axis, keepdims),
    np.nanmean: lambda x, axis=None, keepdims=False: reduce.nanmean(x, axis, keepdims),
    np.cumsum: _cumsum,
    np.cumprod: _cumprod,
    np.trapezoid: _trapezoid,
    np.where: _where,
    np.clip: _clip,
    np.round: lambda x, decimals=0: rounding.round(x, decimals=decimals),
    np.nan_to_num: lambda x, nan=0.0, posinf=None, neginf=None: rounding.nan_to_num(x, nan, posinf, neginf),
    np.sinc: lambda x: pointwise.sinc(x),
    np.isclose: lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: logic.isclose(
        given(a), given(b), rtol, atol, equal_nan
    ),
    np.allclose: lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: logic.allclose(
        given(a), given(b), rtol, atol, equal_nan
    ),
    np.array_equal: lambda a1, a2: logic.equal(given(a1), given(a2)),
    np.reshape: _reshape,
    np.ravel: _ravel,
    np.transpose: _transpose,
    np.permute_dims: _transpose,
    np.swapaxes: lambda x, axis1, axis2: shape.swapaxes(x, axis1, axis2),
    np.moveaxis: lambda x, source, destination: shape.movedim(x, source, destination),
    np.squeeze: lambda x, axis=None: shape.squeeze(x) if axis is None else shape.squeeze(x, axis),
    np.expand_dims: _expand_dims,
    np.broadcast_to: lambda x, shape: _broadcast_to(x, shape),
    np.flip: _flip,
    np.roll: lambda x, shift, axis=None: arrange.roll(x, shift, axis),
    np.repeat: _repeat,
    np.tile: lambda x, reps: arrange.tile(x, reps),
    np.diag: lambda v, k=0: diagonals.diag(v, k),
    np.diagonal: lambda x, offset=0, axis1=0, axis2=1: diagonals.diagonal(x, offset, axis1, axis2),
    np.tril: lambda m, k=0: diagonals.tril(m, k),
    np.triu: lambda m, k=0: diagonals.triu(m, k),
    np.copy: lambda x, order="K": create.clone(x),
    np.zeros_like: lambda x, dtype=None: create.zeros_like(x, dtype=dtype),
    np.ones_like: lambda x, dtype=None: create.ones_like(x, dtype=dtype),
    np.full_like: lambda x, fill_value, dtype=None: create.full_like(x, fill_value, dtype=dtype),
    np.shape: lambda x: tuple(x.shape),
    np.ndim: lambda x: x.ndim,
    np.size: lambda x, axis=None: x.numel() if axis is None else x.shape[axis],
    **SHAPES,
    **ALGEBRA,
}
_FIRST = ("a", "x", "arr", "m", "ary", "A", "array", "arrays", "tup")


def function_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a function of NumPy met on a tensor."""
    name = f"{getattr(function, '__module__', 'numpy').replace('numpy', 'np', 1)}.{function.__name__}"
    if kwargs.get("out") is not None:
        raise DTypeError(f"{name}: a result computed from tensors cannot be written into an array; leave out= out.")
    ours = _FUNCTIONS.get(function)
    if ours is None:
        return _on_values(function, name, args, kwargs)
    given = {key: value for key, value in kwargs.items() if key != "out"}
    if not args:
        first = next((key for key in _FIRST if key in given), None)
        args = () if first is None else (given.pop(first),)
    try:
        return ours(*args, **given)
    except TypeError as error:
        if isinstance(error, DTypeError) or "argument" not in str(error):
            raise
        raise DTypeError(f"{name}: these arguments are not available for tensors ({error}).") from None


def _value(x: Any) -> Any:
    return x._data if isinstance(x, TensorBase) else x


def _on_values(function: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute on the values of tensors, none of which may require grad."""

    def plain(x: Any) -> Any:
        if isinstance(x, TensorBase):
            if x.requires_grad:
                raise GraphError(f"{name}: no derivative is known for it here; use t.detach() if none is needed.")
            x._told(name)
            return x._data
        if type(x) in (list, tuple):
            return type(x)(plain(part) for part in x)
        return x

    return function(*(plain(x) for x in args), **{key: plain(value) for key, value in kwargs.items()})
