"""Arithmetic and comparison of two values, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from ._coerce import as_tensor
from ._elementwise import Elementwise, apply, binary, elementwise

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "add", "div", "divide", "eq", "ge", "gt", "le", "lt", "maximum", "minimum", "mul", "multiply", "ne", "pow",
    "rsub", "sub", "subtract", "true_divide", "where",
]  # fmt: skip

_add: Elementwise = elementwise("add", np.add, [lambda g: g, lambda g: g], kernel="{0} + {1}", kind="keep")
_sub: Elementwise = elementwise("sub", np.subtract, [lambda g: g, lambda g: -g], kernel="{0} - {1}", kind="keep")
_mul: Elementwise = elementwise(
    "mul", np.multiply, [lambda g, y: g * y, lambda g, x: g * x], kernel="{0} * {1}", kind="keep"
)
_div: Elementwise = elementwise(
    "div",
    np.true_divide,
    [lambda g, y: g / y, lambda g, x, y: -g * ((x / y) / y)],
    kernel="{0} / {1}",
)
_rsub: Elementwise = elementwise(
    "rsub", lambda x, y: y - x, [lambda g: -g, lambda g: g], kernel="{1} - {0}", kind="keep", backward="RsubBackward1"
)


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Sum ``input + alpha * other``, element by element with broadcasting.

    >>> import thalweg as tw
    >>> tw.add(tw.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    return binary(_add, _either(input, other), other if alpha == 1 else _scaled(input, other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Difference ``input - alpha * other``."""
    if _is_bool(input) and _is_bool(other):
        raise DTypeError("sub: not defined for two tensors of truth values; use logical_xor or bitwise_xor.")
    return binary(_sub, _either(input, other), other if alpha == 1 else _scaled(input, other, alpha))


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Difference ``other - alpha * input``."""
    return binary(_rsub, input if alpha == 1 else mul(input, alpha), other)


def mul(input: Any, other: Any) -> Tensor:
    """Product, element by element."""
    return binary(_mul, _either(input, other), other)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Quotient; integers give floating-point results.

    `rounding_mode`: None, ``"floor"`` or ``"trunc"`` (which keep integers).
    """
    if rounding_mode is None:
        return binary(_div, _either(input, other), other)
    if rounding_mode == "floor":
        return binary(_floor_div, _either(input, other), other)
    if rounding_mode == "trunc":
        return binary(_trunc_div, _either(input, other), other)
    raise ArgumentError(f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}.")


def _checked_floor(x: Any, y: Any) -> Any:
    if np.result_type(x, y).kind != "f" and np.any(np.equal(y, 0)):
        raise ZeroDivisionError("ZeroDivisionError: integer division by zero.")
    return np.floor(np.true_divide(x, y)).astype(np.result_type(x, y)) if np.result_type(x, y).kind == "f" else x // y


def _checked_trunc(x: Any, y: Any) -> Any:
    if np.result_type(x, y).kind == "f":
        return np.trunc(np.true_divide(x, y))
    q = x // y
    return q + ((q < 0) & (q * y != x))


_floor_div: Elementwise = elementwise(
    "div", _checked_floor, [lambda g: g * 0, lambda g: g * 0], kind="keep", backward="DivBackward1"
)
_trunc_div: Elementwise = elementwise(
    "div", _checked_trunc, [lambda g: g * 0, lambda g: g * 0], kind="keep", backward="DivBackward1"
)


def _either(input: Any, other: Any) -> Any:
    if isinstance(input, TensorBase) or isinstance(other, TensorBase):
        return input
    return as_tensor(input)


def _scaled(input: Any, other: Any, alpha: float) -> Any:
    if isinstance(alpha, float) and not (_is_floating(input) or _is_floating(other)):
        raise DTypeError("alpha: an integer is required for integer tensors, got a float.")
    return binary(_mul, as_tensor(other), alpha) if not isinstance(other, (int, float)) else other * alpha


def _is_floating(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, TensorBase) and x._data.dtype.kind == "f")


def _is_bool(x: Any) -> bool:
    return isinstance(x, TensorBase) and x._data.dtype.kind == "b"


# Powers. The exponent of pow(tensor, number) is a setting, so that x**2 stays exact and cheap.


def _power_rule(g: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return g * 0
    if exponent == 2:
        return g * (x * 2)
    return g * (exponent * x ** (exponent - 1))


_pow_number: Elementwise = elementwise(
    "pow", lambda x, exponent: x**exponent, [_power_rule, None], kernel="{0} ** {1}", kind="keep", arity=2
)


def _pow_base_rule(g: Any, x: Any, y: Any) -> Any:
    return _where(y == 0, g * 0, g * (y * _pow(x, y - 1)))


def _pow_exponent_rule(g: Any, x: Any, y: Any, out: Any) -> Any:
    quiet = (x == 0) & (y >= 0)
    return _where(quiet, g * 0, g * (out * _log(_where(quiet, 1.0, x))))


_pow: Elementwise = elementwise(
    "pow", np.power, [_pow_base_rule, _pow_exponent_rule], kernel="{0} ** {1}", kind="keep", backward="PowBackward1"
)
_log: Elementwise = elementwise("log", np.log, [lambda g, x: g / x], kernel="math.log({0})")


def pow(input: Any, exponent: Any) -> Tensor:
    """Power ``input ** exponent``, element by element.

    The derivative with respect to the base is 0 where the exponent is 0, and with respect to a non-negative
    exponent 0 where the base is 0.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> (x**2).backward(); x.grad
    tensor(6.)
    """
    if isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        x = as_tensor(input)
        if x._data.dtype.kind != "f" and isinstance(exponent, int) and exponent < 0:
            raise _NegativePower("pow: integers cannot be raised to negative integer powers; convert to float first.")
        if x._data.dtype.kind == "f":
            return unary_power(x, exponent)
        return apply(_pow, (x, exponent))
    return apply(_pow, (input, exponent))


class _NegativePower(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def unary_power(x: Any, exponent: float) -> Any:
    """Raise a floating-point tensor to a number."""
    return binary(_pow_number, x, exponent)


# Comparison and choice


def _compare(name: str, ufunc: np.ufunc, sign: str) -> Any:
    return elementwise(name, ufunc, kernel="{0} " + sign + " {1}", kind="compare")


_eq, _ne = _compare("eq", np.equal, "=="), _compare("ne", np.not_equal, "!=")
_lt, _le = _compare("lt", np.less, "<"), _compare("le", np.less_equal, "<=")
_gt, _ge = _compare("gt", np.greater, ">"), _compare("ge", np.greater_equal, ">=")


def eq(input: Any, other: Any) -> Tensor:
    """Whether elements are equal."""
    return binary(_eq, _either(input, other), other)


def ne(input: Any, other: Any) -> Tensor:
    """Whether elements differ."""
    return binary(_ne, _either(input, other), other)


def lt(input: Any, other: Any) -> Tensor:
    """Whether ``input < other``."""
    return binary(_lt, _either(input, other), other)


def le(input: Any, other: Any) -> Tensor:
    """Whether ``input <= other``."""
    return binary(_le, _either(input, other), other)


def gt(input: Any, other: Any) -> Tensor:
    """Whether ``input > other``."""
    return binary(_gt, _either(input, other), other)


def ge(input: Any, other: Any) -> Tensor:
    """Whether ``input >= other``."""
    return binary(_ge, _either(input, other), other)


_where: Elementwise = elementwise(
    "where",
    lambda condition, x, y: np.where(condition, x, y),
    [None, lambda g, condition: _where(condition, g, 0.0), lambda g, condition: _where(condition, 0.0, g)],
    kernel="({1} if {0} else {2})",
    kind="choose",
)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """Choose `input` where `condition` holds, else `other`; the branch not taken gets gradient 0.

    With `condition` alone: the indices of its non-zero elements, one tensor per dimension.
    """
    if input is None and other is None:
        found = np.nonzero(as_tensor(condition)._data)
        return tuple(TensorBase._wrap(k) for k in found)
    chosen = as_tensor(condition)
    if chosen._data.dtype.kind != "b":
        if chosen._data.dtype != np.uint8:
            raise DTypeError(f"where: condition must hold truth values, got {chosen.dtype}.")
        chosen = ne(chosen, 0)
    return apply(_where, (chosen, input, other))


def _half_ties(win: Any, g: Any, x: Any, y: Any) -> Any:
    return _where(x == y, g * 0.5, _where(win, g, 0.0))


_maximum: Elementwise = elementwise(
    "maximum",
    np.maximum,
    [lambda g, x, y: _half_ties(x > y, g, x, y), lambda g, x, y: _half_ties(x < y, g, x, y)],
    kernel="maximum({0}, {1})",
    kind="keep",
)
_minimum: Elementwise = elementwise(
    "minimum",
    np.minimum,
    [lambda g, x, y: _half_ties(x < y, g, x, y), lambda g, x, y: _half_ties(x > y, g, x, y)],
    kernel="minimum({0}, {1})",
    kind="keep",
)


def maximum(input: Any, other: Any) -> Tensor:
    """Larger of two elements; NaN if either is. At ties each gets half the gradient."""
    return apply(_maximum, (input, other))


def minimum(input: Any, other: Any) -> Tensor:
    """Smaller of two elements; NaN if either is. At ties each gets half the gradient."""
    return apply(_minimum, (input, other))


true_divide, divide, multiply, subtract = div, div, mul, sub
