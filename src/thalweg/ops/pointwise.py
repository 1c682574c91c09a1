"""Elementwise functions of one value: powers, exponentials, circular and hyperbolic functions, their inverses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError
from ._coerce import as_tensor
from ._elementwise import Elementwise, binary, elementwise, unary, zeros
from ._kernels import mapped
from .arithmetic import _log, _where, mul

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin",
    "asinh", "atan", "atanh", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "log", "log1p", "log2", "log10",
    "logit", "neg", "negative", "positive", "rad2deg", "reciprocal", "relu", "rsqrt", "sgn", "sigmoid", "sign", "sin",
    "sinc", "sinh", "sqrt", "square", "tan", "tanh",
]  # fmt: skip


def _exp_forward(x: Any) -> Any:
    found = mapped("exp", x)
    return np.exp(x) if found is None else found


def _expm1_forward(x: Any) -> Any:
    found = mapped("expm1", x)
    return np.expm1(x) if found is None else found


def _log1p_forward(x: Any) -> Any:
    found = mapped("log1p", x)
    return np.log1p(x) if found is None else found


def _tanh_forward(x: Any) -> Any:
    found = mapped("tanh", x)
    return np.tanh(x) if found is None else found


def _tanh_rule(g: Any, out: Any) -> Any:
    found = mapped("tanh_back", g, out)
    return g * (1 - out * out) if found is None else found


_neg: Elementwise = elementwise("neg", np.negative, [lambda g: -g], kernel="-{0}", kind="keep", least=1)
_exp: Elementwise = elementwise("exp", _exp_forward, [lambda g, out: g * out], kernel="math.exp({0})")
_exp2: Elementwise = elementwise("exp2", np.exp2, [lambda g, out: g * (out * math.log(2))], kernel="2.0 ** {0}")
_expm1: Elementwise = elementwise("expm1", _expm1_forward, [lambda g, out: g * (out + 1)], kernel="math.expm1({0})")
_log2: Elementwise = elementwise("log2", np.log2, [lambda g, x: g / (x * math.log(2))], kernel="math.log2({0})")
_log10: Elementwise = elementwise("log10", np.log10, [lambda g, x: g / (x * math.log(10))], kernel="math.log10({0})")
_log1p: Elementwise = elementwise("log1p", _log1p_forward, [lambda g, x: g / (x + 1)], kernel="math.log1p({0})")
_sqrt: Elementwise = elementwise("sqrt", np.sqrt, [lambda g, out: g / (out * 2)], kernel="math.sqrt({0})")
_sin: Elementwise = elementwise("sin", np.sin, [lambda g, x: g * _cos(x)], kernel="math.sin({0})")
_cos: Elementwise = elementwise("cos", np.cos, [lambda g, x: -g * _sin(x)], kernel="math.cos({0})")
_tan: Elementwise = elementwise("tan", np.tan, [lambda g, out: g * (out * out + 1)], kernel="math.tan({0})")
_asin: Elementwise = elementwise("asin", np.arcsin, [lambda g, x: g * _rsqrt(1 - x * x)], kernel="math.asin({0})")
_acos: Elementwise = elementwise("acos", np.arccos, [lambda g, x: -g * _rsqrt(1 - x * x)], kernel="math.acos({0})")
_atan: Elementwise = elementwise("atan", np.arctan, [lambda g, x: g / (x * x + 1)], kernel="math.atan({0})")
_sinh: Elementwise = elementwise("sinh", np.sinh, [lambda g, x: g * _cosh(x)], kernel="math.sinh({0})")
_cosh: Elementwise = elementwise("cosh", np.cosh, [lambda g, x: g * _sinh(x)], kernel="math.cosh({0})")
_tanh: Elementwise = elementwise("tanh", _tanh_forward, [_tanh_rule], kernel="math.tanh({0})")
_asinh: Elementwise = elementwise("asinh", np.arcsinh, [lambda g, x: g * _rsqrt(x * x + 1)], kernel="math.asinh({0})")
_acosh: Elementwise = elementwise("acosh", np.arccosh, [lambda g, x: g * _rsqrt(x * x - 1)], kernel="math.acosh({0})")
_atanh: Elementwise = elementwise("atanh", np.arctanh, [lambda g, x: g / (1 - x * x)], kernel="math.atanh({0})")
_deg2rad: Elementwise = elementwise(
    "deg2rad",
    np.deg2rad,
    [lambda g: g * (math.pi / 180)],
    kernel="{0} * 0.017453292519943295",
    backward="Deg2RadBackward0",
)
_rad2deg: Elementwise = elementwise(
    "rad2deg",
    np.rad2deg,
    [lambda g: g * (180 / math.pi)],
    kernel="{0} * 57.29577951308232",
    backward="Rad2DegBackward0",
)
_sign: Elementwise = elementwise(
    "sign",
    lambda x: np.subtract(x > 0, x < 0, dtype=x.dtype) if x.dtype.kind != "b" else x.copy(),  # 0 at NaN, as PyTorch
    [zeros],
    kernel="(1 if {0} > 0 else -1 if {0} < 0 else 0)",
    kind="keep",
)
_sgn: Elementwise = elementwise(
    "sgn", _sign.forward, [zeros], kernel="(1 if {0} > 0 else -1 if {0} < 0 else 0)", kind="keep"
)
_abs: Elementwise = elementwise("abs", np.abs, [lambda g, x: g * _sign(x)], kernel="abs({0})", kind="keep", least=1)
_reciprocal: Elementwise = elementwise("reciprocal", np.reciprocal, [lambda g, out: -g * (out * out)], kernel="1 / {0}")
_square: Elementwise = elementwise(
    "square",
    np.square,
    [lambda g, x: g * (x * 2)],
    kernel="{0} * {0}",
    kind="keep",
    least=1,
    backward="PowBackward0",
)


def _sigmoid_forward(x: Any) -> Any:
    found = mapped("sigmoid", x)
    if found is not None:
        return found
    z = np.negative(x, out=np.empty_like(x))
    np.exp(z, out=z)  # an overflow gives the right result, 0
    np.add(z, 1, out=z)
    return np.reciprocal(z, out=z)


def _sigmoid_rule(g: Any, out: Any) -> Any:
    found = mapped("sigmoid_back", g, out)
    return g * ((1 - out) * out) if found is None else found


_sigmoid: Elementwise = elementwise("sigmoid", _sigmoid_forward, [_sigmoid_rule], kernel="1 / (1 + math.exp(-{0}))")
_relu: Elementwise = elementwise(
    "relu", lambda x: np.maximum(x, 0), [lambda g, out: g * (out > 0)], kernel="maximum({0}, 0)", kind="keep", least=1
)
_rsqrt: Elementwise = elementwise(
    "rsqrt", lambda x: 1 / np.sqrt(x), [lambda g, out: g * (out * out * out * -0.5)], kernel="1 / math.sqrt({0})"
)


def _sinc_rule(g: Any, x: Any, out: Any) -> Any:
    safe = _where(x == 0, x + 1, x)
    return _where(x == 0, 0.0, g * ((_cos(x * math.pi) - out) / safe))


_sinc: Elementwise = elementwise(
    "sinc",
    np.sinc,
    [_sinc_rule],
    kernel="(1.0 if {0} == 0 else math.sin({0} * 3.141592653589793) / ({0} * 3.141592653589793))",
    arity=1,
    names=("x",),
)
_logit: Elementwise = elementwise(
    "logit",
    lambda x: np.log(x / (1 - x)),
    [lambda g, x: _where((x >= 0) & (x <= 1), g / (x * (1 - x)), math.nan)],
    kernel="math.log({0} / (1 - {0}))",
)


def _logit_within(x: Any, eps: Any) -> Any:
    z = np.minimum(np.maximum(x, eps), 1 - eps)
    return np.log(z / (1 - z))


_logit_eps: Elementwise = elementwise(
    "logit",
    _logit_within,
    [lambda g, x, eps: _where((x >= eps) & (x <= 1 - eps), g / (x * (1 - x)), 0.0), None],
    kernel="math.log(minimum(maximum({0}, {1}), 1 - {1}) / (1 - minimum(maximum({0}, {1}), 1 - {1})))",
)


def neg(input: Any) -> Tensor:
    """Negative of each element."""
    x = as_tensor(input)
    if x._data.dtype.kind == "b":
        raise DTypeError("neg: not defined for truth values; use ~ or logical_not to invert them.")
    return unary(_neg, x)


def positive(input: Any) -> Tensor:
    """The tensor itself."""
    x = as_tensor(input)
    if x._data.dtype.kind == "b":
        raise DTypeError("positive: not defined for truth values; convert with to().")
    return x  # type: ignore[return-value]


def exp(input: Any) -> Tensor:
    """Exponential of each element.

    >>> import thalweg as tw
    >>> tw.exp(tw.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return unary(_exp, as_tensor(input))


def exp2(input: Any) -> Tensor:
    """Two to the power of each element."""
    return unary(_exp2, as_tensor(input))


def expm1(input: Any) -> Tensor:
    """``exp(x) - 1`` of each element, exact near 0."""
    return unary(_expm1, as_tensor(input))


def log(input: Any) -> Tensor:
    """Natural logarithm of each element; -inf at 0, NaN below."""
    return unary(_log, as_tensor(input))


def log2(input: Any) -> Tensor:
    """Logarithm to base 2 of each element."""
    return unary(_log2, as_tensor(input))


def log10(input: Any) -> Tensor:
    """Logarithm to base 10 of each element."""
    return unary(_log10, as_tensor(input))


def log1p(input: Any) -> Tensor:
    """``log(1 + x)`` of each element, exact near 0."""
    return unary(_log1p, as_tensor(input))


def sqrt(input: Any) -> Tensor:
    """Square root of each element; its derivative at 0 is infinite."""
    return unary(_sqrt, as_tensor(input))


def rsqrt(input: Any) -> Tensor:
    """One over the square root of each element."""
    return unary(_rsqrt, as_tensor(input))


def square(input: Any) -> Tensor:
    """Square of each element."""
    x = as_tensor(input)
    return unary(_square, x) if x._data.dtype.kind != "b" else mul(x, 1)


def reciprocal(input: Any) -> Tensor:
    """One over each element."""
    return unary(_reciprocal, as_tensor(input))


def sin(input: Any) -> Tensor:
    """Sine of each element, in radians."""
    return unary(_sin, as_tensor(input))


def cos(input: Any) -> Tensor:
    """Cosine of each element, in radians."""
    return unary(_cos, as_tensor(input))


def tan(input: Any) -> Tensor:
    """Tangent of each element, in radians."""
    return unary(_tan, as_tensor(input))


def asin(input: Any) -> Tensor:
    """Angle in [-π/2, π/2] whose sine is each element."""
    return unary(_asin, as_tensor(input))


def acos(input: Any) -> Tensor:
    """Angle in [0, π] whose cosine is each element."""
    return unary(_acos, as_tensor(input))


def atan(input: Any) -> Tensor:
    """Angle in (-π/2, π/2) whose tangent is each element."""
    return unary(_atan, as_tensor(input))


def sinh(input: Any) -> Tensor:
    """Hyperbolic sine of each element."""
    return unary(_sinh, as_tensor(input))


def cosh(input: Any) -> Tensor:
    """Hyperbolic cosine of each element."""
    return unary(_cosh, as_tensor(input))


def tanh(input: Any) -> Tensor:
    """Hyperbolic tangent of each element."""
    return unary(_tanh, as_tensor(input))


def asinh(input: Any) -> Tensor:
    """Inverse hyperbolic sine of each element."""
    return unary(_asinh, as_tensor(input))


def acosh(input: Any) -> Tensor:
    """Inverse hyperbolic cosine of each element; NaN below 1."""
    return unary(_acosh, as_tensor(input))


def atanh(input: Any) -> Tensor:
    """Inverse hyperbolic tangent of each element; NaN outside [-1, 1]."""
    return unary(_atanh, as_tensor(input))


def deg2rad(input: Any) -> Tensor:
    """Degrees as radians."""
    return unary(_deg2rad, as_tensor(input))


def rad2deg(input: Any) -> Tensor:
    """Radians as degrees."""
    return unary(_rad2deg, as_tensor(input))


def sinc(input: Any) -> Tensor:
    """``sin(πx) / (πx)`` of each element, and 1 at 0."""
    return unary(_sinc, as_tensor(input))


def sigmoid(input: Any) -> Tensor:
    """Logistic function ``1 / (1 + exp(-x))`` of each element, without overflow."""
    return unary(_sigmoid, as_tensor(input))


def logit(input: Any, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, the inverse of the logistic function; `eps` keeps x within [eps, 1 - eps].

    >>> import thalweg as tw
    >>> tw.logit(tw.tensor([0.5, 1.0]), eps=0.1)
    tensor([0.0000, 2.1972])
    """
    x = as_tensor(input)
    return unary(_logit, x) if eps is None else binary(_logit_eps, x, float(eps))


def relu(input: Any) -> Tensor:
    """Positive part of each element; its derivative at 0 is 0."""
    return unary(_relu, as_tensor(input))


def abs(input: Any) -> Tensor:
    """Absolute value of each element; its derivative at 0 is 0."""
    return unary(_abs, as_tensor(input))


def sign(input: Any) -> Tensor:
    """-1, 0 or 1, as each element is negative, zero or positive."""
    return unary(_sign, as_tensor(input))


def sgn(input: Any) -> Tensor:
    """-1, 0 or 1, as each element is negative, zero or positive."""
    return unary(_sgn, as_tensor(input))


absolute, negative = abs, neg
arccos, arcsin, arctan = acos, asin, atan
arccosh, arcsinh, arctanh = acosh, asinh, atanh
