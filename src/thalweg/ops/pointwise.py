"""Elementwise functions of one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._coerce import as_tensor
from ._elementwise import Elementwise, elementwise, unary
from .arithmetic import _log

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "abs", "absolute", "cos", "exp", "log", "neg", "negative", "positive", "reciprocal", "relu", "rsqrt", "sigmoid",
    "sign", "sin", "sqrt", "square", "tanh",
]  # fmt: skip

_neg: Elementwise = elementwise("neg", np.negative, [lambda g: -g], kernel="-{0}", kind="keep")
_exp: Elementwise = elementwise("exp", np.exp, [lambda g, out: g * out], kernel="math.exp({0})")
_sqrt: Elementwise = elementwise("sqrt", np.sqrt, [lambda g, out: g / (out * 2)], kernel="math.sqrt({0})")
_sin: Elementwise = elementwise("sin", np.sin, [lambda g, x: g * _cos(x)], kernel="math.sin({0})")
_cos: Elementwise = elementwise("cos", np.cos, [lambda g, x: -g * _sin(x)], kernel="math.cos({0})")
_tanh: Elementwise = elementwise("tanh", np.tanh, [lambda g, out: g * (1 - out * out)], kernel="math.tanh({0})")
_sign: Elementwise = elementwise("sign", np.sign, [lambda g: g * 0], kernel="sign({0})", kind="keep")
_abs: Elementwise = elementwise("abs", np.abs, [lambda g, x: g * _sign(x)], kernel="abs({0})", kind="keep")
_reciprocal: Elementwise = elementwise("reciprocal", np.reciprocal, [lambda g, out: -g * (out * out)], kernel="1 / {0}")
_square: Elementwise = elementwise(
    "square", np.square, [lambda g, x: g * (x * 2)], kernel="{0} * {0}", kind="keep", backward="PowBackward0"
)


def _sigmoid_forward(x: Any) -> Any:
    z = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, z) / (1 + z)


_sigmoid: Elementwise = elementwise(
    "sigmoid", _sigmoid_forward, [lambda g, out: g * ((1 - out) * out)], kernel="1 / (1 + math.exp(-{0}))"
)
_relu: Elementwise = elementwise(
    "relu", lambda x: np.maximum(x, 0), [lambda g, out: g * (out > 0)], kernel="maximum({0}, 0)", kind="keep"
)
_rsqrt: Elementwise = elementwise(
    "rsqrt", lambda x: 1 / np.sqrt(x), [lambda g, out: g * (out * out * out * -0.5)], kernel="1 / math.sqrt({0})"
)


def neg(input: Any) -> Tensor:
    """Negative of each element."""
    return unary(_neg, as_tensor(input))


def positive(input: Any) -> Tensor:
    """The tensor itself."""
    return as_tensor(input)  # type: ignore[return-value]


def exp(input: Any) -> Tensor:
    """Exponential of each element.

    >>> import thalweg as tw
    >>> tw.exp(tw.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return unary(_exp, as_tensor(input))


def log(input: Any) -> Tensor:
    """Natural logarithm of each element; -inf at 0, NaN below."""
    return unary(_log, as_tensor(input))


def sqrt(input: Any) -> Tensor:
    """Square root of each element; its derivative at 0 is infinite."""
    return unary(_sqrt, as_tensor(input))


def rsqrt(input: Any) -> Tensor:
    """One over the square root of each element."""
    return unary(_rsqrt, as_tensor(input))


def square(input: Any) -> Tensor:
    """Square of each element."""
    return unary(_square, as_tensor(input))


def reciprocal(input: Any) -> Tensor:
    """One over each element."""
    return unary(_reciprocal, as_tensor(input))


def sin(input: Any) -> Tensor:
    """Sine of each element, in radians."""
    return unary(_sin, as_tensor(input))


def cos(input: Any) -> Tensor:
    """Cosine of each element, in radians."""
    return unary(_cos, as_tensor(input))


def tanh(input: Any) -> Tensor:
    """Hyperbolic tangent of each element."""
    return unary(_tanh, as_tensor(input))


def sigmoid(input: Any) -> Tensor:
    """Logistic function ``1 / (1 + exp(-x))`` of each element, without overflow."""
    return unary(_sigmoid, as_tensor(input))


def relu(input: Any) -> Tensor:
    """Positive part of each element; its derivative at 0 is 0."""
    return unary(_relu, as_tensor(input))


def abs(input: Any) -> Tensor:
    """Absolute value of each element; its derivative at 0 is 0."""
    return unary(_abs, as_tensor(input))


def sign(input: Any) -> Tensor:
    """-1, 0 or 1, as each element is negative, zero or positive."""
    return unary(_sign, as_tensor(input))


absolute, negative = abs, neg
