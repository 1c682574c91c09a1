"""Truth values and bits, element by element, and what kind of number an element is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from ._coerce import as_tensor, need_tensor
from ._elementwise import Elementwise, apply, elementwise

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "equal", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "signbit",
]  # fmt: skip

_logical_not: Elementwise = elementwise("logical_not", np.logical_not, kernel="(not {0})", kind="compare")
_logical_and: Elementwise = elementwise("logical_and", np.logical_and, kernel="({0} != 0 and {1} != 0)", kind="compare")
_logical_or: Elementwise = elementwise("logical_or", np.logical_or, kernel="({0} != 0 or {1} != 0)", kind="compare")
_logical_xor: Elementwise = elementwise(
    "logical_xor", np.logical_xor, kernel="(({0} != 0) != ({1} != 0))", kind="compare"
)
_bitwise_not: Elementwise = elementwise("bitwise_not", np.bitwise_not, kernel="~{0}", kind="keep")
_bitwise_and: Elementwise = elementwise("bitwise_and", np.bitwise_and, kernel="({0} & {1})", kind="keep")
_bitwise_or: Elementwise = elementwise("bitwise_or", np.bitwise_or, kernel="({0} | {1})", kind="keep")
_bitwise_xor: Elementwise = elementwise("bitwise_xor", np.bitwise_xor, kernel="({0} ^ {1})", kind="keep")
_left_shift: Elementwise = elementwise("bitwise_left_shift", np.left_shift, kernel="({0} << {1})", kind="keep", least=1)
_right_shift: Elementwise = elementwise(
    "bitwise_right_shift", np.right_shift, kernel="({0} >> {1})", kind="keep", least=1
)


def logical_not(input: Any) -> Tensor:
    """Whether an element is 0."""
    return apply(_logical_not, (as_tensor(input),))


def logical_and(input: Any, other: Any) -> Tensor:
    """Whether both elements are non-zero."""
    return apply(_logical_and, _both(input, other, "logical_and"))


def logical_or(input: Any, other: Any) -> Tensor:
    """Whether an element of the two is non-zero."""
    return apply(_logical_or, _both(input, other, "logical_or"))


def logical_xor(input: Any, other: Any) -> Tensor:
    """Whether exactly one element of the two is non-zero."""
    return apply(_logical_xor, _both(input, other, "logical_xor"))


def bitwise_not(input: Any) -> Tensor:
    """Integers with every bit turned; truth values inverted."""
    return apply(_bitwise_not, (as_tensor(input),))


def bitwise_and(input: Any, other: Any) -> Tensor:
    """The bits that both have.

    >>> import thalweg as tw
    >>> tw.bitwise_and(tw.tensor([6, 3]), 2)
    tensor([2, 2])
    """
    return apply(_bitwise_and, _either(input, other, "bitwise_and"))


def bitwise_or(input: Any, other: Any) -> Tensor:
    """The bits that one of the two has."""
    return apply(_bitwise_or, _either(input, other, "bitwise_or"))


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """The bits that exactly one of the two has."""
    return apply(_bitwise_xor, _either(input, other, "bitwise_xor"))


def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """Integers times a power of two: the bits moved left by `other` places."""
    return apply(_left_shift, _either(input, other, "bitwise_left_shift"))


def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """Integers divided by a power of two and rounded down: the bits moved right by `other` places."""
    return apply(_right_shift, _either(input, other, "bitwise_right_shift"))


def _either(input: Any, other: Any, who: str) -> tuple[Any, Any]:
    """Return both; refuse two Python numbers."""
    return (input, other) if isinstance(other, TensorBase) else (need_tensor(input, who), other)


def _both(input: Any, other: Any, who: str) -> tuple[TensorBase, TensorBase]:
    """Return both as tensors; neither may be a Python number."""
    return need_tensor(input, who), need_tensor(other, who, "other")


# What kind of number


_isnan: Elementwise = elementwise("isnan", np.isnan, kernel="({0} != {0})", kind="compare")
_isinf: Elementwise = elementwise("isinf", np.isinf, kernel="math.isinf({0})", kind="compare")
_isfinite: Elementwise = elementwise("isfinite", np.isfinite, kernel="math.isfinite({0})", kind="compare")
_isposinf: Elementwise = elementwise(
    "isposinf", lambda x: x == np.inf, kernel="({0} == math.inf)", kind="compare", arity=1
)
_isneginf: Elementwise = elementwise(
    "isneginf", lambda x: x == -np.inf, kernel="({0} == -math.inf)", kind="compare", arity=1
)
_signbit: Elementwise = elementwise(
    "signbit",
    lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0,
    kernel="(math.copysign(1.0, {0}) < 0)",
    kind="compare",
    arity=1,
)


def isnan(input: Any) -> Tensor:
    """Whether an element is NaN."""
    return apply(_isnan, (as_tensor(input),))


def isinf(input: Any) -> Tensor:
    """Whether an element is an infinity."""
    return apply(_isinf, (as_tensor(input),))


def isfinite(input: Any) -> Tensor:
    """Whether an element is neither an infinity nor NaN."""
    return apply(_isfinite, (as_tensor(input),))


def isposinf(input: Any) -> Tensor:
    """Whether an element is +infinity."""
    return apply(_isposinf, (as_tensor(input),))


def isneginf(input: Any) -> Tensor:
    """Whether an element is -infinity."""
    return apply(_isneginf, (as_tensor(input),))


def isreal(input: Any) -> Tensor:
    """Whether an element is real: all are."""
    x = as_tensor(input)
    return TensorBase._wrap(np.ones(x._data.shape, bool))  # type: ignore[return-value]


def signbit(input: Any) -> Tensor:
    """Whether the sign of an element is set: of negative numbers and of -0."""
    return apply(_signbit, (as_tensor(input),))


# Equality, up to a tolerance


def _close(x: Any, y: Any, rtol: float, atol: float) -> Any:
    return (x == y) | ((np.abs(x - y) <= atol + np.abs(rtol * y)) & np.isfinite(y))


_isclose: Elementwise = elementwise(
    "isclose",
    _close,
    kernel="({0} == {1} or (abs({0} - {1}) <= {3} + abs({2} * {1}) and math.isfinite({1})))",
    kind="compare",
    arity=4,
)


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``; infinities are close to themselves alone."""
    x, y = _both(input, other, "isclose")
    if x._data.dtype != y._data.dtype:
        raise DTypeError(f"isclose: tensors of one type are required, got {x.dtype} and {y.dtype}.")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0 or math.isnan(value):
            raise _BadTolerance(f"isclose: {name} must be a number >= 0, got {value}.")
    close = apply(_isclose, (x, y, float(rtol), float(atol))) if x._data.dtype.kind != "b" else x == y
    if equal_nan and x._data.dtype.kind == "f":
        return logical_or(close, logical_and(isnan(x), isnan(y)))
    return close  # type: ignore[return-value]


class _BadTolerance(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as :func:`isclose` says.

    >>> import thalweg as tw
    >>> tw.allclose(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 2.0 + 1e-7]))
    True
    """
    close = isclose(input, other, rtol, atol, equal_nan)
    close._told("allclose")
    return bool(close._data.all())


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and equal elements."""
    x, y = as_tensor(input), as_tensor(other)
    x._told("equal")
    y._told("equal")
    return x._data.shape == y._data.shape and bool(np.array_equal(x._data, y._data))
