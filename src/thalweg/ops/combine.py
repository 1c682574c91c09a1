"""Functions of two and three values, element by element, beyond plain arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from ._coerce import as_tensor, need_tensor
from ._elementwise import Elementwise, apply, binary, choose, elementwise, zeros
from .arithmetic import _log, _where, add, mul, pow
from .pointwise import _exp, _exp2

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "addcdiv", "addcmul", "arctan2", "atan2", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "float_power",
    "fmax", "fmin", "heaviside", "hypot", "ldexp", "lerp", "logaddexp", "logaddexp2", "xlogy",
]  # fmt: skip


def _both(input: Any, other: Any, who: str) -> tuple[TensorBase, TensorBase]:
    """Return both as tensors; neither may be a Python number."""
    return need_tensor(input, who), need_tensor(other, who, "other")


def _pair(input: Any, other: Any, who: str) -> tuple[Any, Any]:
    """Return both as tensors; one may be a number, which takes the type of the tensor where that can hold it."""
    if isinstance(other, TensorBase):
        return input if isinstance(input, TensorBase) else _beside(input, other), other
    x = need_tensor(input, who)
    return x, _beside(other, x)


def _beside(value: Any, tensor: TensorBase) -> TensorBase:
    if isinstance(value, (int, float)) and not isinstance(value, (bool, np.generic)):
        kind = tensor._data.dtype.kind
        if kind == "f" or (kind in "iu" and isinstance(value, int)):
            return TensorBase._wrap(np.asarray(value, tensor._data.dtype))
    return as_tensor(value)


# Extremes that ignore NaN


_fmax: Elementwise = elementwise(
    "fmax",
    np.fmax,
    [
        lambda g, x, y: _where((x >= y) | (y != y), g, 0.0),
        lambda g, x, y: _where((x >= y) | (y != y), 0.0, g),
    ],
    kernel="({0} if {0} >= {1} or {1} != {1} else {1})",
    kind="keep",
)
_fmin: Elementwise = elementwise(
    "fmin",
    np.fmin,
    [
        lambda g, x, y: _where((x <= y) | (y != y), g, 0.0),
        lambda g, x, y: _where((x <= y) | (y != y), 0.0, g),
    ],
    kernel="({0} if {0} <= {1} or {1} != {1} else {1})",
    kind="keep",
)


def fmax(input: Any, other: Any) -> Tensor:
    """Larger of two elements, and the other one where one is NaN; at ties `input` gets the gradient."""
    return apply(_fmax, _both(input, other, "fmax"))


def fmin(input: Any, other: Any) -> Tensor:
    """Smaller of two elements, and the other one where one is NaN; at ties `input` gets the gradient."""
    return apply(_fmin, _both(input, other, "fmin"))


# Bounds


def _clamp_forward(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


_clamp: Elementwise = elementwise(
    "clamp",
    _clamp_forward,
    [
        lambda g, x, low, high: _where((x >= low) & (x <= high), g, 0.0),
        lambda g, x, low, high: _where((x < low) & (low < high), g, 0.0),
        lambda g, x, low, high: _where((x > high) | (high < low), g, 0.0),
    ],
    kernel="minimum(maximum({0}, {1}), {2})",
    kind="keep",
)
_clamp_number: Elementwise = elementwise(
    "clamp", _clamp_forward, [_clamp.vjps[0], None, None], kernel=_clamp.kernel, kind="keep", backward="ClampBackward1"
)
_clamp_min: Elementwise = elementwise(
    "clamp_min",
    np.maximum,
    [lambda g, x, y: _where(x >= y, g, 0.0), lambda g, x, y: _where(x < y, g, 0.0)],
    kernel="maximum({0}, {1})",
    kind="keep",
)
_clamp_max: Elementwise = elementwise(
    "clamp_max",
    np.minimum,
    [lambda g, x, y: _where(x <= y, g, 0.0), lambda g, x, y: _where(x > y, g, 0.0)],
    kernel="minimum({0}, {1})",
    kind="keep",
)


_at_least: Elementwise = elementwise(
    "clamp",
    np.maximum,
    [_clamp_min.vjps[0], None],
    kernel="maximum({0}, {1})",
    kind="keep",
    backward="ClampBackward1",
)
_at_most: Elementwise = elementwise(
    "clamp",
    np.minimum,
    [_clamp_max.vjps[0], None],
    kernel="minimum({0}, {1})",
    kind="keep",
    backward="ClampBackward1",
)


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Each element moved into [`min`, `max`], numbers or tensors of which one may be missing.

    The derivative is 1 from bound to bound, the bounds included, and 0 beyond. Where ``min > max`` the result is
    `max`.

    >>> import thalweg as tw
    >>> tw.clamp(tw.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise _NoBound("clamp: at least one of min and max is required, got neither.")
    x = as_tensor(input)
    if max is None:
        return binary(_at_least if isinstance(min, (int, float)) else _clamp_min, x, min)
    if min is None:
        return binary(_at_most if isinstance(max, (int, float)) else _clamp_max, x, max)
    numbers = isinstance(min, (int, float)) and isinstance(max, (int, float))
    return apply(_clamp_number if numbers else _clamp, (x, min, max))


class _NoBound(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def clamp_min(input: Any, min: Any) -> Tensor:
    """Larger of each element and `min`; at ties the gradient goes to the element."""
    return binary(_clamp_min, need_tensor(input, "clamp_min"), min)


def clamp_max(input: Any, max: Any) -> Tensor:
    """Smaller of each element and `max`; at ties the gradient goes to the element."""
    return binary(_clamp_max, need_tensor(input, "clamp_max"), max)


# Angles, lengths and signs


def _atan2_part(other: Any, x: Any, y: Any) -> Any:
    q = x * x + y * y
    return _where(q == 0, 0.0, other / q)


_atan2: Elementwise = elementwise(
    "atan2",
    np.arctan2,
    [lambda g, x, y: g * _atan2_part(y, x, y), lambda g, x, y: g * -_atan2_part(x, x, y)],
    kernel="math.atan2({0}, {1})",
)
_hypot: Elementwise = elementwise(
    "hypot",
    np.hypot,
    [lambda g, x, out: g * (x / out), lambda g, y, out: g * (y / out)],
    kernel="math.hypot({0}, {1})",
    least=2,
)
_copysign: Elementwise = elementwise(
    "copysign",
    np.copysign,
    [lambda g, x, out: g * _where(x == 0, 0.0, out / x), zeros],
    kernel="math.copysign({0}, {1})",
)
_heaviside: Elementwise = elementwise(
    "heaviside",
    lambda x, y: np.heaviside(x, y) if x.dtype.kind == "f" else np.where(x == 0, y, x > 0).astype(x.dtype),
    arity=2,
    kernel="({1} if {0} == 0 else 1 if {0} > 0 else 0 if {0} < 0 else {0})",
    kind="keep",
)


def atan2(input: Any, other: Any) -> Tensor:
    """Angle of the point (`other`, `input`), in (-π, π]; its derivatives at the origin are 0."""
    return apply(_atan2, _both(input, other, "atan2"))


def hypot(input: Any, other: Any) -> Tensor:
    """Length ``sqrt(input² + other²)`` without overflow."""
    return apply(_hypot, _both(input, other, "hypot"))


def copysign(input: Any, other: Any) -> Tensor:
    """Magnitude of `input` with the sign of `other`; the derivative at 0 is 0."""
    return apply(_copysign, _pair(need_tensor(input, "copysign"), other, "copysign"))


def heaviside(input: Any, values: Any) -> Tensor:
    """0 below 0, 1 above, and `values` at 0. Not differentiable."""
    x, y = _both(input, values, "heaviside")
    if x._data.dtype != y._data.dtype:
        raise DTypeError(f"heaviside: tensors of one type are required, got {x.dtype} and {y.dtype}.")
    return apply(_heaviside, (x, y))


# Logarithms of sums, and products with logarithms


_logaddexp: Elementwise = elementwise(
    "logaddexp",
    np.logaddexp,
    [lambda g, x, y: g / (_exp(y - x) + 1), lambda g, x, y: g / (_exp(x - y) + 1)],
    kernel="({0} if {0} == {1} and math.isinf({0}) else maximum({0}, {1}) + math.log1p(math.exp(-abs({0} - {1}))))",
    least=2,
)
_logaddexp2: Elementwise = elementwise(
    "logaddexp2",
    np.logaddexp2,
    [lambda g, x, y: g / (_exp2(y - x) + 1), lambda g, x, y: g / (_exp2(x - y) + 1)],
    kernel="({0} if {0} == {1} and math.isinf({0}) else "
    "maximum({0}, {1}) + math.log1p(2.0 ** -abs({0} - {1})) * 1.4426950408889634)",
    least=2,
)


def _xlogy_forward(x: Any, y: Any) -> Any:
    return np.where((x == 0) & (y == y), 0, x * np.log(y))


_xlogy: Elementwise = elementwise(
    "xlogy",
    _xlogy_forward,
    [lambda g, x, y: g * _where((x == 0) & (y <= 0), 0.0, _log(y)), lambda g, x, y: g * (x / y)],
    kernel="(0 if {0} == 0 and {1} == {1} else {0} * math.log({1}))",
)


def logaddexp(input: Any, other: Any) -> Tensor:
    """``log(exp(input) + exp(other))`` without overflow."""
    return apply(_logaddexp, _both(input, other, "logaddexp"))


def logaddexp2(input: Any, other: Any) -> Tensor:
    """``log2(2**input + 2**other)`` without overflow."""
    return apply(_logaddexp2, _both(input, other, "logaddexp2"))


def xlogy(input: Any, other: Any) -> Tensor:
    """``input * log(other)``, and 0 where `input` is 0 unless `other` is NaN.

    >>> import thalweg as tw
    >>> tw.xlogy(tw.tensor([0.0, 2.0]), tw.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return apply(_xlogy, _pair(input, other, "xlogy"))


# Mixtures


_lerp: Elementwise = elementwise(
    "lerp",
    lambda x, y, w: choose(np.abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w)),
    [lambda g, w: g * (1 - w), lambda g, w: g * w, lambda g, x, y: g * (y - x)],
    kernel="({0} + {2} * ({1} - {0}) if abs({2}) < 0.5 else {1} - ({1} - {0}) * (1 - {2}))",
    kind="keep",
    least=2,
    backward="LerpBackward1",
)
_lerp_number: Elementwise = elementwise(
    "lerp", _lerp.forward, [*_lerp.vjps[:2], None], kernel=_lerp.kernel, kind="keep", least=2
)


def lerp(input: Any, end: Any, weight: Any) -> Tensor:
    """``input + weight * (end - input)``: the point at `weight` on the way from `input` to `end`."""
    x, y = as_tensor(input), as_tensor(end)
    third = weight if isinstance(weight, (int, float)) else as_tensor(weight)
    for z in (y, third):
        if isinstance(z, TensorBase) and z._data.dtype != x._data.dtype:
            raise DTypeError(f"lerp: tensors of one type are required, got {x.dtype} and {z.dtype}.")
    return apply(_lerp if isinstance(third, TensorBase) else _lerp_number, (x, y, third))


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    product = mul(tensor1, tensor2)
    if value != 1:
        whole = product._data.dtype.kind != "f" and as_tensor(input)._data.dtype.kind != "f"
        product = mul(product, int(value) if whole else value)
    return add(input, product)


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``."""
    x, y = as_tensor(tensor1), as_tensor(tensor2)
    if x._data.dtype.kind != "f" and y._data.dtype.kind != "f":
        raise DTypeError(f"addcdiv: floating-point numbers are required, got {x.dtype} and {y.dtype}; convert first.")
    quotient = x / y  # type: ignore[operator]
    return add(input, quotient if value == 1 else mul(quotient, value))


def ldexp(input: Any, other: Any) -> Tensor:
    """``input * 2**other``."""
    x, y = _both(input, other, "ldexp")
    return mul(x, pow(2.0, y))


def float_power(input: Any, exponent: Any) -> Tensor:
    """Power ``input ** exponent`` computed in float64."""
    if not isinstance(exponent, TensorBase):
        input = need_tensor(input, "float_power")
    return pow(_double(input), _double(exponent))


def _double(x: Any) -> Any:
    from .reduce import converted

    return float(x) if isinstance(x, (int, float)) else converted(as_tensor(x), _dtype.float64)


arctan2, clip = atan2, clamp
