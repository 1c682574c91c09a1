"""Elementwise functions as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import arithmetic, pointwise

if TYPE_CHECKING:
    from ..tensor import Tensor


class Elementwise:
    """Elementwise functions and comparisons."""

    __slots__ = ()

    add = arithmetic.add
    sub = subtract = arithmetic.sub
    mul = multiply = arithmetic.mul
    div = divide = true_divide = arithmetic.div
    pow = arithmetic.pow
    eq = arithmetic.eq
    ne = arithmetic.ne
    lt = arithmetic.lt
    le = arithmetic.le
    gt = arithmetic.gt
    ge = arithmetic.ge
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    abs = absolute = pointwise.abs
    neg = negative = pointwise.neg
    positive = pointwise.positive
    exp = pointwise.exp
    log = pointwise.log
    sqrt = pointwise.sqrt
    rsqrt = pointwise.rsqrt
    square = pointwise.square
    reciprocal = pointwise.reciprocal
    sin = pointwise.sin
    cos = pointwise.cos
    tanh = pointwise.tanh
    sigmoid = pointwise.sigmoid
    relu = pointwise.relu
    sign = pointwise.sign

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        """The tensor where `condition` holds, else `other`."""
        return arithmetic.where(condition, self, other)
