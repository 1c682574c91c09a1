"""Elementwise functions as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import activations, arithmetic, combine, distributions, logic, pointwise, rounding, special

if TYPE_CHECKING:
    from ..tensor import Tensor


class Elementwise:
    """Elementwise functions and comparisons."""

    __slots__ = ()

    add = arithmetic.add
    sub = subtract = arithmetic.sub
    mul = multiply = arithmetic.mul
    div = divide = arithmetic.div
    true_divide = arithmetic.true_divide
    floor_divide = arithmetic.floor_divide
    remainder = arithmetic.remainder
    fmod = arithmetic.fmod
    pow = arithmetic.pow
    eq = arithmetic.eq
    ne = not_equal = arithmetic.ne
    lt = less = arithmetic.lt
    le = less_equal = arithmetic.le
    gt = greater = arithmetic.gt
    ge = greater_equal = arithmetic.ge
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    addcdiv = combine.addcdiv
    addcmul = combine.addcmul
    atan2 = arctan2 = combine.atan2
    clamp = clip = combine.clamp
    clamp_min = combine.clamp_min
    clamp_max = combine.clamp_max
    copysign = combine.copysign
    float_power = combine.float_power
    fmax = combine.fmax
    fmin = combine.fmin
    heaviside = combine.heaviside
    hypot = combine.hypot
    ldexp = combine.ldexp
    lerp = combine.lerp
    logaddexp = combine.logaddexp
    logaddexp2 = combine.logaddexp2
    xlogy = combine.xlogy
    allclose = logic.allclose
    bitwise_and = logic.bitwise_and
    bitwise_or = logic.bitwise_or
    bitwise_xor = logic.bitwise_xor
    bitwise_not = logic.bitwise_not
    bitwise_left_shift = logic.bitwise_left_shift
    bitwise_right_shift = logic.bitwise_right_shift
    equal = logic.equal
    isclose = logic.isclose
    isfinite = logic.isfinite
    isinf = logic.isinf
    isnan = logic.isnan
    isneginf = logic.isneginf
    isposinf = logic.isposinf
    isreal = logic.isreal
    logical_and = logic.logical_and
    logical_or = logic.logical_or
    logical_xor = logic.logical_xor
    logical_not = logic.logical_not
    signbit = logic.signbit
    abs = absolute = pointwise.abs
    acos = arccos = pointwise.acos
    acosh = arccosh = pointwise.acosh
    asin = arcsin = pointwise.asin
    asinh = arcsinh = pointwise.asinh
    atan = arctan = pointwise.atan
    atanh = arctanh = pointwise.atanh
    cos = pointwise.cos
    cosh = pointwise.cosh
    deg2rad = pointwise.deg2rad
    exp = pointwise.exp
    exp2 = pointwise.exp2
    expm1 = pointwise.expm1
    log = pointwise.log
    log10 = pointwise.log10
    log1p = pointwise.log1p
    log2 = pointwise.log2
    logit = pointwise.logit
    neg = negative = pointwise.neg
    positive = pointwise.positive
    rad2deg = pointwise.rad2deg
    reciprocal = pointwise.reciprocal
    relu = pointwise.relu
    rsqrt = pointwise.rsqrt
    sgn = pointwise.sgn
    sigmoid = pointwise.sigmoid
    sign = pointwise.sign
    sin = pointwise.sin
    sinc = pointwise.sinc
    sinh = pointwise.sinh
    sqrt = pointwise.sqrt
    square = pointwise.square
    tan = pointwise.tan
    tanh = pointwise.tanh
    ceil = rounding.ceil
    floor = rounding.floor
    frac = rounding.frac
    nan_to_num = rounding.nan_to_num
    round = rounding.round
    trunc = fix = rounding.trunc
    digamma = special.digamma
    erf = special.erf
    erfc = special.erfc
    erfinv = special.erfinv
    i0 = special.i0
    lgamma = special.lgamma
    mvlgamma = special.mvlgamma
    bernoulli = distributions.bernoulli
    multinomial = distributions.multinomial
    hardshrink = activations.hardshrink
    prelu = activations.prelu

    def polygamma(self: Any, n: int) -> Tensor:
        """The polygamma function of order `n`."""
        return special.polygamma(n, self)

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        """The tensor where `condition` holds, else `other`."""
        return arithmetic.where(condition, self, other)
