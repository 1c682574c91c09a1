"""Rows of the elementwise operations."""

from __future__ import annotations

import numpy as np
from scipy import special as sp

import thalweg as tw
from thalweg.ops.special import zeta

from .table import Row, Sample, grid, pairs, sample

SP = tw.special


def flags(name, function, reference, samples=None):
    """A row of truth values."""
    return Row(name, function, samples or grid(), reference, differentiable=False, inputs=1)


def integers(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.integers(-9, 9, (2, 3)), rng.integers(1, 5, (2, 3)))]


def whole(name, function, reference):
    """A row of an operation on integers."""
    return Row(name, function, integers, reference, differentiable=False, inputs=2, keeps_float32=False)


def odd_numbers(rng: np.random.Generator) -> list[Sample]:
    return [sample(np.array([[1.0, -0.0, np.inf], [-np.inf, np.nan, -2.5]]))]


def three(low: float = -2.0, high: float = 2.0, last: tuple[float, float] = (-2.0, 2.0)):
    return lambda rng: [
        sample(rng.uniform(low, high, (2, 3)), rng.uniform(low, high, (2, 3)), rng.uniform(*last, (2, 3)))
    ]


def bounds(rng: np.random.Generator) -> list[Sample]:
    x = np.array([[-2.0, -0.3, 0.4], [1.7, 0.1, -0.9]])
    return [sample(x, np.full((2, 3), -0.6), np.array([[1.0, 1.1, 1.2], [0.9, 0.8, 1.3]]))]


def choices(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.random((2, 3)) < 0.5, rng.uniform(-1, 1, (2, 3)), rng.uniform(-1, 1, (2, 3)))]


UNARY = (
    Row("neg", tw.neg, grid(), np.negative, inputs=1),
    Row("abs", tw.abs, grid(avoid=(0.0,)), np.abs, inputs=1),
    Row("sign", tw.sign, grid(avoid=(0.0,)), np.sign, inputs=1),
    Row("sgn", tw.sgn, grid(avoid=(0.0,)), np.sign, inputs=1),
    Row("exp", tw.exp, grid(), np.exp, inputs=1),
    Row("exp2", tw.exp2, grid(), np.exp2, inputs=1),
    Row("expm1", tw.expm1, grid(), np.expm1, inputs=1),
    Row("log", tw.log, grid(0.3, 3), np.log, inputs=1),
    Row("log2", tw.log2, grid(0.3, 3), np.log2, inputs=1),
    Row("log10", tw.log10, grid(0.3, 3), np.log10, inputs=1),
    Row("log1p", tw.log1p, grid(-0.7, 3), np.log1p, inputs=1),
    Row("sqrt", tw.sqrt, grid(0.3, 3), np.sqrt, inputs=1),
    Row("rsqrt", tw.rsqrt, grid(0.3, 3), lambda x: x**-0.5, inputs=1),
    Row("square", tw.square, grid(), np.square, inputs=1),
    Row(
        "reciprocal",
        tw.reciprocal,
        grid(
            avoid=(0.0,),
        ),
        np.reciprocal,
        inputs=1,
    ),
    Row("sin", tw.sin, grid(), np.sin, inputs=1),
    Row("cos", tw.cos, grid(), np.cos, inputs=1),
    Row("tan", tw.tan, grid(-1, 1), np.tan, inputs=1),
    Row("asin", tw.asin, grid(-0.9, 0.9), np.arcsin, inputs=1),
    Row("acos", tw.acos, grid(-0.9, 0.9), np.arccos, inputs=1),
    Row("atan", tw.atan, grid(), np.arctan, inputs=1),
    Row("sinh", tw.sinh, grid(), np.sinh, inputs=1),
    Row("cosh", tw.cosh, grid(), np.cosh, inputs=1),
    Row("tanh", tw.tanh, grid(), np.tanh, inputs=1),
    Row("asinh", tw.asinh, grid(), np.arcsinh, inputs=1),
    Row("acosh", tw.acosh, grid(1.2, 3), np.arccosh, inputs=1),
    Row("atanh", tw.atanh, grid(-0.9, 0.9), np.arctanh, inputs=1),
    Row("deg2rad", tw.deg2rad, grid(-90, 90), np.deg2rad, inputs=1),
    Row("rad2deg", tw.rad2deg, grid(), np.rad2deg, inputs=1),
    Row("sigmoid", tw.sigmoid, grid(-4, 4), sp.expit, inputs=1),
    Row("logit", tw.logit, grid(0.1, 0.9), sp.logit, inputs=1),
    Row(
        "logit[eps]",
        lambda x: tw.logit(x, 0.2),
        grid(0.02, 0.98, (0.2, 0.8)),
        lambda x: sp.logit(x.clip(0.2, 0.8)),
        inputs=1,
    ),
    Row("sinc", tw.sinc, grid(avoid=(0.0,)), np.sinc, inputs=1),
    Row("relu", tw.relu, grid(avoid=(0.0,)), lambda x: np.maximum(x, 0), inputs=1),
    Row("floor", tw.floor, grid(avoid=(-1, 0, 1)), np.floor, inputs=1),
    Row("ceil", tw.ceil, grid(avoid=(-1, 0, 1)), np.ceil, inputs=1),
    Row("trunc", tw.trunc, grid(avoid=(-1, 0, 1)), np.trunc, inputs=1),
    Row("round", tw.round, grid(avoid=(-1.5, -0.5, 0.5, 1.5)), np.rint, inputs=1),
    Row("round[decimals]", lambda x: tw.round(x, decimals=1), grid(), lambda x: np.round(x, 1), inputs=1),
    Row("frac", tw.frac, grid(avoid=(-1, 0, 1)), lambda x: x - np.trunc(x), inputs=1),
    Row("nan_to_num", tw.nan_to_num, grid(), np.nan_to_num, inputs=1),
    flags("isnan", tw.isnan, np.isnan, odd_numbers),
    flags("isinf", tw.isinf, np.isinf, odd_numbers),
    flags("isfinite", tw.isfinite, np.isfinite, odd_numbers),
    flags("isposinf", tw.isposinf, np.isposinf, odd_numbers),
    flags("isneginf", tw.isneginf, np.isneginf, odd_numbers),
    flags("signbit", tw.signbit, np.signbit, odd_numbers),
    flags("isreal", tw.isreal, np.isreal, odd_numbers),
    flags("logical_not", tw.logical_not, np.logical_not, odd_numbers),
)

SPECIAL = (
    Row("erf", tw.erf, grid(), sp.erf, inputs=1),
    Row("erfc", tw.erfc, grid(), sp.erfc, inputs=1),
    Row("special.erfcx", SP.erfcx, grid(-1.5, 3), sp.erfcx, inputs=1),
    Row("erfinv", tw.erfinv, grid(-0.9, 0.9), sp.erfinv, inputs=1),
    Row("lgamma", tw.lgamma, grid(0.3, 4), sp.gammaln, inputs=1),
    Row("digamma", tw.digamma, grid(0.5, 4), sp.psi, inputs=1),
    Row("polygamma[0]", lambda x: tw.polygamma(0, x), grid(0.5, 4), sp.psi, inputs=1),
    Row("polygamma[2]", lambda x: tw.polygamma(2, x), grid(0.8, 4), lambda x: sp.polygamma(2, x), inputs=1),
    Row(
        "mvlgamma",
        lambda x: tw.mvlgamma(x, 3),
        grid(1.5, 4),
        lambda x: np.vectorize(lambda v: sp.multigammaln(v, 3))(x) if x.size else x,
    ),
    Row("i0", tw.i0, grid(), sp.i0, inputs=1),
    Row("special.i0e", SP.i0e, grid(avoid=(0.0,)), sp.i0e, inputs=1),
    Row("special.i1", SP.i1, grid(avoid=(0.0,)), sp.i1, inputs=1),
    Row("special.i1e", SP.i1e, grid(avoid=(0.0,)), sp.i1e, inputs=1),
    Row("special.ndtr", SP.ndtr, grid(), sp.ndtr, inputs=1),
    Row("special.ndtri", SP.ndtri, grid(0.1, 0.9), sp.ndtri, inputs=1),
    Row("special.log_ndtr", SP.log_ndtr, grid(-4, 2), sp.log_ndtr, inputs=1),
    Row("special.entr", SP.entr, grid(0.2, 2), sp.entr, inputs=1),
    Row("special.xlog1py", SP.xlog1py, pairs(second=(-0.7, 2)), sp.xlog1py, inputs=2),
    Row("special.zeta", zeta, pairs((1.5, 4), (0.5, 3)), sp.zeta, differentiable=False, inputs=2),
)

BINARY = (
    Row("add", tw.add, pairs(), np.add, inputs=2),
    Row("add[alpha]", lambda x, y: tw.add(x, y, alpha=3), pairs(), lambda x, y: x + 3 * y, inputs=2),
    Row("sub", tw.sub, pairs(), np.subtract, inputs=2),
    Row("rsub", tw.rsub, pairs(), lambda x, y: y - x, inputs=2),
    Row("mul", tw.mul, pairs(), np.multiply, inputs=2),
    Row("div", tw.div, pairs(avoid=(0.0,)), np.true_divide, inputs=2),
    Row("div[floor]", lambda x, y: tw.div(x, y, rounding_mode="floor"), pairs(avoid=(0.0,)), np.floor_divide, inputs=2),
    Row(
        "div[trunc]",
        lambda x, y: tw.div(x, y, rounding_mode="trunc"),
        pairs(avoid=(0.0,)),
        lambda x, y: np.trunc(x / y),
        inputs=2,
    ),
    Row("remainder", tw.remainder, pairs((3.1, 3.9), (1.05, 1.25)), np.remainder, inputs=2),
    Row("fmod", tw.fmod, pairs((-3.9, -3.1), (1.05, 1.25)), np.fmod, inputs=2),
    whole("floor_divide", tw.floor_divide, np.floor_divide),
    whole("remainder[int]", tw.remainder, np.remainder),
    whole("fmod[int]", tw.fmod, np.fmod),
    whole("div[int]", lambda x, y: tw.div(x, y, rounding_mode="trunc"), lambda x, y: np.trunc(x / y).astype(int)),
    whole("bitwise_and", tw.bitwise_and, np.bitwise_and),
    whole("bitwise_or", tw.bitwise_or, np.bitwise_or),
    whole("bitwise_xor", tw.bitwise_xor, np.bitwise_xor),
    whole("bitwise_left_shift", tw.bitwise_left_shift, np.left_shift),
    whole("bitwise_right_shift", tw.bitwise_right_shift, np.right_shift),
    whole("bitwise_not", lambda x, y: tw.bitwise_not(x + y), lambda x, y: ~(x + y)),
    Row("pow", tw.pow, pairs((0.4, 2)), np.power, inputs=2),
    Row("pow[number]", lambda x: x**2.5, grid(0.4, 2), lambda x: x**2.5, inputs=1),
    Row("pow[cube]", lambda x: x**3, grid(), lambda x: x**3, inputs=1),
    Row("pow[base]", lambda y: 2.5**y, grid(), lambda y: 2.5**y, inputs=1),
    Row("float_power", tw.float_power, pairs((0.4, 2)), np.float_power, inputs=2, keeps_float32=False),
    Row("maximum", tw.maximum, pairs(apart=0.2), np.maximum, inputs=2),
    Row("minimum", tw.minimum, pairs(apart=0.2), np.minimum, inputs=2),
    Row("fmax", tw.fmax, pairs(apart=0.2), np.fmax, inputs=2),
    Row("fmin", tw.fmin, pairs(apart=0.2), np.fmin, inputs=2),
    Row("clamp", tw.clamp, bounds, np.clip, inputs=3),
    Row("clamp[numbers]", lambda x: tw.clamp(x, -1, 1), grid(avoid=(-1, 1)), lambda x: x.clip(-1, 1), inputs=1),
    Row("clamp[min]", lambda x: tw.clamp(x, min=-1), grid(avoid=(-1,)), lambda x: x.clip(-1), inputs=1),
    Row("clamp[max]", lambda x: tw.clamp(x, max=1), grid(avoid=(1,)), lambda x: x.clip(max=1), inputs=1),
    Row("clamp_min", tw.clamp_min, pairs(apart=0.2), np.maximum, inputs=2),
    Row("clamp_max", tw.clamp_max, pairs(apart=0.2), np.minimum, inputs=2),
    Row("atan2", tw.atan2, pairs(avoid=(0.0,)), np.arctan2, inputs=2),
    Row("hypot", tw.hypot, pairs(avoid=(0.0,)), np.hypot, inputs=2),
    Row("copysign", tw.copysign, pairs((0.2, 2), avoid=(0.0,)), np.copysign, inputs=2),
    Row("heaviside", tw.heaviside, pairs(), np.heaviside, differentiable=False, inputs=2),
    Row("logaddexp", tw.logaddexp, pairs(), np.logaddexp, inputs=2),
    Row("logaddexp2", tw.logaddexp2, pairs(), np.logaddexp2, inputs=2),
    Row("xlogy", tw.xlogy, pairs(second=(0.3, 2)), sp.xlogy, inputs=2),
    Row("ldexp", tw.ldexp, pairs(), lambda x, y: x * 2**y, inputs=2),
    Row("lerp", tw.lerp, three(last=(0.1, 0.4)), lambda x, y, w: x + w * (y - x), inputs=3),
    Row("lerp[number]", lambda x, y: tw.lerp(x, y, 0.75), pairs(), lambda x, y: x + 0.75 * (y - x), inputs=2),
    Row("addcmul", lambda x, y, z: tw.addcmul(x, y, z, value=2), three(), lambda x, y, z: x + 2 * y * z, inputs=3),
    Row(
        "addcdiv",
        lambda x, y, z: tw.addcdiv(x, y, z, value=2),
        three(last=(0.4, 2)),
        lambda x, y, z: x + 2 * y / z,
        inputs=3,
    ),
    Row("where", tw.where, choices, np.where, inputs=3),
    Row("eq", tw.eq, pairs(), np.equal, differentiable=False, inputs=2),
    Row("ne", tw.ne, pairs(), np.not_equal, differentiable=False, inputs=2),
    Row("lt", tw.lt, pairs(), np.less, differentiable=False, inputs=2),
    Row("le", tw.le, pairs(), np.less_equal, differentiable=False, inputs=2),
    Row("gt", tw.gt, pairs(), np.greater, differentiable=False, inputs=2),
    Row("ge", tw.ge, pairs(), np.greater_equal, differentiable=False, inputs=2),
    Row(
        "isclose",
        lambda x, y: tw.isclose(x, y, 0.1, 0.2),
        pairs(),
        lambda x, y: np.isclose(x, y, 0.1, 0.2),
        differentiable=False,
        inputs=2,
    ),
    Row("logical_and", tw.logical_and, pairs(), np.logical_and, differentiable=False, inputs=2),
    Row("logical_or", tw.logical_or, pairs(), np.logical_or, differentiable=False, inputs=2),
    Row("logical_xor", tw.logical_xor, pairs(), np.logical_xor, differentiable=False, inputs=2),
)

ROWS = (*UNARY, *SPECIAL, *BINARY)
