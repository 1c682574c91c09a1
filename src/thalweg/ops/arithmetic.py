"""Arithmetic and comparison of two values, element by element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ThalwegError
from ._coerce import as_tensor, need_tensor
from ._elementwise import Elementwise, NotDefined, apply, binary, choose, elementwise, zeros

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "add", "div", "divide", "eq", "floor_divide", "fmod", "ge", "greater", "greater_equal", "gt", "le", "less",
    "less_equal", "lt", "maximum", "minimum", "mul", "multiply", "ne", "not_equal", "pow", "remainder", "rsub", "sub",
    "subtract", "true_divide", "where",
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
    if _is_bool(input) or _is_bool(other):
        raise _no_bools("sub")
    return binary(_sub, _either(input, other), other if alpha == 1 else _scaled(input, other, alpha))


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Difference ``other - alpha * input``."""
    if _is_bool(input) or _is_bool(other):
        raise _no_bools("rsub")
    input = need_tensor(input, "rsub")
    return binary(_rsub, input if alpha == 1 else _scaled(other, input, alpha), other)


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
    raise _BadRounding(f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}.")


class _BadRounding(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


# Division with rounding, and what remains


class _DividedByZero(ThalwegError, ZeroDivisionError, RuntimeError):
    """An integer was divided by 0: PyTorch raises RuntimeError, Python ZeroDivisionError."""


def _is_integer(x: Any) -> bool:
    return x.dtype.kind != "f" if isinstance(x, (np.ndarray, np.generic)) else not isinstance(x, float)


def _whole(x: Any, y: Any, who: str) -> bool:
    """Return whether both hold integers; then no divisor may be 0."""
    if not (_is_integer(x) and _is_integer(y)):
        return False
    if np.equal(y, 0).any():
        raise _DividedByZero(f"{who}: integers cannot be divided by 0; convert to float for an infinity.")
    return True


def _floored(x: Any, y: Any) -> Any:
    _whole(x, y, "floor_divide")
    return np.floor_divide(x, y)


def _truncated(x: Any, y: Any) -> Any:
    if not _whole(x, y, "div"):
        return np.trunc(np.true_divide(x, y))
    q = np.floor_divide(x, y)
    return q + ((q < 0) & (q * y != x))


def _floor_rest(x: Any, y: Any) -> Any:
    _whole(x, y, "remainder")
    return np.remainder(x, y)


def _trunc_rest(x: Any, y: Any) -> Any:
    _whole(x, y, "fmod")
    return np.fmod(x, y)


_TURNS = "math.fmod({0}, {1}) != 0 and (math.fmod({0}, {1}) < 0) != ({1} < 0)"  # the rest has the divisor's sign
_REST = f"(math.fmod({{0}}, {{1}}) + ({{1}} if {_TURNS} else 0))"
_floor_div: Elementwise = elementwise(
    "div",
    _floored,
    [zeros, zeros],
    kernel=f"({{0}} / {{1}} if {{1}} == 0 else round(({{0}} - math.fmod({{0}}, {{1}})) / {{1}} - (1 if {_TURNS} else 0)))",
    kind="keep",
    least=1,
    backward="DivBackward2",
)
_trunc_div: Elementwise = elementwise(
    "div", _truncated, [zeros, zeros], kernel="np.trunc({0} / {1})", kind="keep", least=1, backward="DivBackward2"
)
_remainder: Elementwise = elementwise(
    "remainder",
    _floor_rest,
    [lambda g: g, lambda g, x, y: -g * _floor_div(x, y)],
    kernel=_REST,
    kind="keep",
    least=1,
)
_fmod: Elementwise = elementwise(
    "fmod",
    _trunc_rest,
    [lambda g: g, lambda g, x, y: -g * _trunc_div(x, y)],
    kernel="math.fmod({0}, {1})",
    kind="keep",
    least=1,
)


def floor_divide(input: Any, other: Any) -> Tensor:
    """Quotient rounded down, for integers and for floating-point numbers.

    >>> import thalweg as tw
    >>> tw.floor_divide(tw.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return binary(_floor_div, _either(input, other), other)


def remainder(input: Any, other: Any) -> Tensor:
    """What remains of a division rounded down: it has the sign of `other`, as Python's ``%``."""
    return binary(_remainder, _one_tensor(input, other, "remainder"), other)


def fmod(input: Any, other: Any) -> Tensor:
    """What remains of a division rounded towards 0: it has the sign of `input`, as C's ``fmod``."""
    return binary(_fmod, need_tensor(input, "fmod"), other)


def _either(input: Any, other: Any) -> Any:
    if isinstance(input, TensorBase) or isinstance(other, TensorBase):
        return input
    return as_tensor(input)


def _one_tensor(input: Any, other: Any, who: str) -> Any:
    """Return `input`; refuse two Python numbers."""
    return input if isinstance(other, TensorBase) else need_tensor(input, who)


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    if isinstance(alpha, float) and not (_is_floating(input) or _is_floating(other)):
        raise DTypeError("alpha: an integer is required for integer tensors, got a float.")
    if isinstance(alpha, bool) and not (_is_bool(input) and _is_bool(other)):
        raise DTypeError("alpha: a number is required, got a truth value.")
    if isinstance(other, (int, float)):
        return other * alpha
    if _is_bool(input) and _is_bool(other):
        return binary(_mul, other, bool(alpha))
    product = binary(_mul, as_tensor(other), alpha)
    if product._node is not None:
        product._node.versions = ()  # alpha is a setting and no saved number: the node may be walked twice
    return product


def _is_floating(x: Any) -> bool:
    if isinstance(x, TensorBase):
        return x._data.dtype.kind == "f"
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def _is_bool(x: Any) -> bool:
    return isinstance(x, TensorBase) and x._data.dtype.kind == "b"


def _no_bools(who: str) -> DTypeError:
    return DTypeError(f"{who}: not defined for truth values; use logical_xor, or ~ to invert a mask.")


# Powers. The exponent of pow(tensor, number) is a setting, so that x**2 stays exact and cheap.


def _power_rule(g: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return zeros(g)
    if exponent == 1:
        return g * 1
    if exponent == 2:
        return g * (x * 2)
    return g * (exponent * x ** (exponent - 1))


def _power(x: Any, exponent: float) -> Any:
    if exponent == 3:  # a library's pow costs ten products
        return x * x * x
    return x**exponent


_pow_number: Elementwise = elementwise("pow", _power, [_power_rule, None], kernel="{0} ** {1}", kind="keep", arity=2)


def _pow_forward(x: Any, y: Any) -> Any:
    if _is_integer(x) and _is_integer(y) and np.less(y, 0).any():
        sign = np.where(np.equal(x, -1), 1 - 2 * (np.abs(y) % 2), np.equal(x, 1))  # 1 / x, rounded towards 0
        return np.where(np.less(y, 0), sign, np.power(x, np.maximum(y, 0)))
    return np.power(x, y)


def _pow_base_rule(g: Any, x: Any, y: Any) -> Any:
    return _where(y == 0, zeros(g), g * (y * _pow(x, y - 1)))


def _pow_exponent_rule(g: Any, x: Any, y: Any, out: Any) -> Any:
    quiet = (x == 0) & (y >= 0)
    return _where(quiet, zeros(g), g * (out * _log(_where(quiet, x + 1, x))))


def _base_number_rule(g: Any, x: float, y: Any, out: Any) -> Any:
    if x == 0:
        return _where(y >= 0, zeros(g), g * (out * -math.inf))
    return g * (out * (math.log(x) if x > 0 else math.nan))


_pow: Elementwise = elementwise(
    "pow",
    _pow_forward,
    [_pow_base_rule, _pow_exponent_rule],
    kernel="{0} ** {1}",
    kind="keep",
    backward="PowBackward1",
)
_number_pow: Elementwise = elementwise(
    "pow",
    _pow_forward,
    [None, _base_number_rule],
    kernel="{0} ** {1}",
    kind="keep",
    backward="PowBackward2",
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
        x = need_tensor(input, "pow")
        if x._data.dtype.kind == "f":
            return unary_power(x, exponent)
        if isinstance(exponent, int) and exponent < 0:
            raise _NegativePower("pow: integers cannot be raised to negative integer powers; convert to float first.")
        return apply(_pow, (x, exponent))
    if isinstance(input, (int, float)) and isinstance(exponent, TensorBase):
        return apply(_number_pow, (input, exponent))
    input = _one_tensor(input, exponent, "pow")
    if _is_bool(input) and _is_bool(exponent):
        raise NotDefined("pow: not defined for two tensors of truth values; convert with to().")
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
    return binary(_eq, need_tensor(input, "eq"), other)


def ne(input: Any, other: Any) -> Tensor:
    """Whether elements differ."""
    return binary(_ne, need_tensor(input, "ne"), other)


def lt(input: Any, other: Any) -> Tensor:
    """Whether ``input < other``."""
    return binary(_lt, need_tensor(input, "lt"), other)


def le(input: Any, other: Any) -> Tensor:
    """Whether ``input <= other``."""
    return binary(_le, need_tensor(input, "le"), other)


def gt(input: Any, other: Any) -> Tensor:
    """Whether ``input > other``."""
    return binary(_gt, need_tensor(input, "gt"), other)


def ge(input: Any, other: Any) -> Tensor:
    """Whether ``input >= other``."""
    return binary(_ge, need_tensor(input, "ge"), other)


_where: Elementwise = elementwise(
    "where",
    choose,
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


def _half_ties(lost: Any, g: Any, x: Any, y: Any) -> Any:
    return _where(x == y, g * 0.5, _where(lost, 0.0, g))


_maximum: Elementwise = elementwise(
    "maximum",
    np.maximum,
    [lambda g, x, y: _half_ties(x < y, g, x, y), lambda g, x, y: _half_ties(x > y, g, x, y)],
    kernel="maximum({0}, {1})",
    kind="keep",
)
_minimum: Elementwise = elementwise(
    "minimum",
    np.minimum,
    [lambda g, x, y: _half_ties(x > y, g, x, y), lambda g, x, y: _half_ties(x < y, g, x, y)],
    kernel="minimum({0}, {1})",
    kind="keep",
)


def maximum(input: Any, other: Any) -> Tensor:
    """Larger of two elements; NaN if either is. At ties each gets half the gradient."""
    return apply(_maximum, (need_tensor(input, "maximum"), need_tensor(other, "maximum", "other")))


def minimum(input: Any, other: Any) -> Tensor:
    """Smaller of two elements; NaN if either is. At ties each gets half the gradient."""
    return apply(_minimum, (need_tensor(input, "minimum"), need_tensor(other, "minimum", "other")))


def true_divide(input: Any, other: Any) -> Tensor:
    """Quotient; integers give floating-point results."""
    return binary(_div, _either(input, other), other)


divide, multiply, subtract = div, mul, sub
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
