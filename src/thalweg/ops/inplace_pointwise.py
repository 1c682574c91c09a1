"""Elementwise functions of one value that write their result into their argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.inplace import check_write, write
from ..core.tensor import TensorBase
from . import activations, arithmetic, logic, pointwise, rounding, special
from .create import clone
from .inplace import change

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "abs_", "absolute_", "acos_", "acosh_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_", "arctanh_",
    "asin_", "asinh_", "atan_", "atanh_", "bitwise_not_", "ceil_", "celu_", "cos_", "cosh_", "deg2rad_", "digamma_",
    "elu_", "erf_", "erfc_", "erfinv_", "exp2_", "exp_", "expm1_", "fix_", "floor_", "frac_", "hardtanh_", "i0_",
    "leaky_relu_", "lgamma_", "log1p_", "log2_", "log10_", "log_", "logical_not_", "logit_", "mvlgamma_",
    "nan_to_num_", "neg_", "negative_", "polygamma_", "rad2deg_", "reciprocal_", "relu6_", "relu_", "round_",
    "rrelu_", "rsqrt_", "selu_", "sgn_", "sigmoid_", "sign_", "sin_", "sinc_", "sinh_", "sqrt_", "square_", "tan_",
    "tanh_", "threshold_", "trunc_",
]  # fmt: skip


def abs_(input: TensorBase) -> Tensor:
    """Replace every element by its absolute value."""
    return change(pointwise._abs, input)


def acos_(input: TensorBase) -> Tensor:
    """Replace every element by its arc cosine."""
    return change(pointwise._acos, input)


def acosh_(input: TensorBase) -> Tensor:
    """Replace every element by its inverse hyperbolic cosine."""
    return change(pointwise._acosh, input)


def asin_(input: TensorBase) -> Tensor:
    """Replace every element by its arc sine."""
    return change(pointwise._asin, input)


def asinh_(input: TensorBase) -> Tensor:
    """Replace every element by its inverse hyperbolic sine."""
    return change(pointwise._asinh, input)


def atan_(input: TensorBase) -> Tensor:
    """Replace every element by its arc tangent."""
    return change(pointwise._atan, input)


def atanh_(input: TensorBase) -> Tensor:
    """Replace every element by its inverse hyperbolic tangent."""
    return change(pointwise._atanh, input)


def cos_(input: TensorBase) -> Tensor:
    """Replace every element by its cosine."""
    return change(pointwise._cos, input)


def cosh_(input: TensorBase) -> Tensor:
    """Replace every element by its hyperbolic cosine."""
    return change(pointwise._cosh, input)


def deg2rad_(input: TensorBase) -> Tensor:
    """Turn degrees into radians."""
    return change(pointwise._deg2rad, input)


def exp_(input: TensorBase) -> Tensor:
    """Replace every element by its exponential."""
    return change(pointwise._exp, input)


def exp2_(input: TensorBase) -> Tensor:
    """Replace every element x by 2**x."""
    return change(pointwise._exp2, input)


def expm1_(input: TensorBase) -> Tensor:
    """Replace every element x by ``exp(x) - 1``."""
    return change(pointwise._expm1, input)


def log_(input: TensorBase) -> Tensor:
    """Replace every element by its logarithm."""
    return change(arithmetic._log, input)


def log10_(input: TensorBase) -> Tensor:
    """Replace every element by its logarithm to base 10."""
    return change(pointwise._log10, input)


def log1p_(input: TensorBase) -> Tensor:
    """Replace every element x by ``log(1 + x)``."""
    return change(pointwise._log1p, input)


def log2_(input: TensorBase) -> Tensor:
    """Replace every element by its logarithm to base 2."""
    return change(pointwise._log2, input)


def neg_(input: TensorBase) -> Tensor:
    """Change the sign of every element."""
    return change(pointwise._neg, input)


def rad2deg_(input: TensorBase) -> Tensor:
    """Turn radians into degrees."""
    return change(pointwise._rad2deg, input)


def reciprocal_(input: TensorBase) -> Tensor:
    """Replace every element by one over it."""
    return change(pointwise._reciprocal, input)


def relu_(input: TensorBase) -> Tensor:
    """Replace every negative element by 0."""
    return change(pointwise._relu, input)


def rsqrt_(input: TensorBase) -> Tensor:
    """Replace every element by one over its square root."""
    return change(pointwise._rsqrt, input)


def sgn_(input: TensorBase) -> Tensor:
    """Replace every element by its sign."""
    return change(pointwise._sgn, input)


def sigmoid_(input: TensorBase) -> Tensor:
    """Replace every element by its logistic function."""
    return change(pointwise._sigmoid, input)


def sign_(input: TensorBase) -> Tensor:
    """Replace every element by its sign."""
    return change(pointwise._sign, input)


def sin_(input: TensorBase) -> Tensor:
    """Replace every element by its sine."""
    return change(pointwise._sin, input)


def sinc_(input: TensorBase) -> Tensor:
    """Replace every element by its sinc."""
    return change(pointwise._sinc, input)


def sinh_(input: TensorBase) -> Tensor:
    """Replace every element by its hyperbolic sine."""
    return change(pointwise._sinh, input)


def sqrt_(input: TensorBase) -> Tensor:
    """Replace every element by its square root."""
    return change(pointwise._sqrt, input)


def square_(input: TensorBase) -> Tensor:
    """Replace every element by its square."""
    if input._data.dtype.kind == "b":
        check_write(input)
        return write(input, pointwise.square(input), "square_")
    return change(pointwise._square, input)


def tan_(input: TensorBase) -> Tensor:
    """Replace every element by its tangent."""
    return change(pointwise._tan, input)


def tanh_(input: TensorBase) -> Tensor:
    """Replace every element by its hyperbolic tangent."""
    return change(pointwise._tanh, input)


def digamma_(input: TensorBase) -> Tensor:
    """Replace every element by its digamma function."""
    return change(special._digamma, input)


def erf_(input: TensorBase) -> Tensor:
    """Replace every element by its error function."""
    return change(special._erf, input)


def erfc_(input: TensorBase) -> Tensor:
    """Replace every element by its complementary error function."""
    return change(special._erfc, input)


def erfinv_(input: TensorBase) -> Tensor:
    """Replace every element by its inverse error function."""
    return change(special._erfinv, input)


def i0_(input: TensorBase) -> Tensor:
    """Replace every element by its Bessel function of order 0."""
    return change(special._i0, input)


def lgamma_(input: TensorBase) -> Tensor:
    """Replace every element by the logarithm of its gamma function."""
    return change(special._lgamma, input)


def ceil_(input: TensorBase) -> Tensor:
    """Round every element up."""
    return change(rounding._ceil, input)


def floor_(input: TensorBase) -> Tensor:
    """Round every element down."""
    return change(rounding._floor, input)


def frac_(input: TensorBase) -> Tensor:
    """Keep what every element has behind the point."""
    return change(rounding._frac, input)


def trunc_(input: TensorBase) -> Tensor:
    """Round every element towards 0."""
    return change(rounding._trunc, input)


def round_(input: TensorBase, *, decimals: int = 0) -> Tensor:
    """Round every element to `decimals` places."""
    check_write(input)
    return write(input, rounding.round(input, decimals=decimals), "round_")


def logit_(input: TensorBase, eps: float | None = None) -> Tensor:
    """Replace every element by its logit."""
    check_write(input)
    return write(input, pointwise.logit(input, eps), "logit_")


def nan_to_num_(
    input: TensorBase, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Replace what is NaN or infinite."""
    check_write(input)
    return write(input, rounding.nan_to_num(input, nan, posinf, neginf), "nan_to_num_")


def polygamma_(input: TensorBase, n: int) -> Tensor:
    """Replace every element by its polygamma function of order `n`."""
    check_write(input)
    return write(input, special.polygamma(n, input), "polygamma_")


def mvlgamma_(input: TensorBase, p: int) -> Tensor:
    """Replace every element by the logarithm of its multivariate gamma function."""
    check_write(input)
    return write(input, special.mvlgamma(clone(input), p), "mvlgamma_")


def logical_not_(input: TensorBase) -> Tensor:
    """Write whether every element is 0."""
    return converted_write(input, logic.logical_not(input), "logical_not_")


def bitwise_not_(input: TensorBase) -> Tensor:
    """Turn every bit."""
    return change(logic._bitwise_not, input)


def converted_write(input: TensorBase, value: Any, who: str) -> Tensor:
    """Write truth values into a tensor of any type."""
    from .reduce import converted

    check_write(input)
    return write(input, converted(value, input.dtype), who)


# Activations


def celu_(input: TensorBase, alpha: float = 1.0) -> Tensor:
    """Replace every element by its celu."""
    return activations.celu(input, alpha, inplace=True)


def elu_(input: TensorBase, alpha: float = 1.0) -> Tensor:
    """Replace every element by its elu."""
    return activations.elu(input, alpha, inplace=True)


def hardtanh_(input: TensorBase, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Keep every element within [`min_val`, `max_val`]."""
    return activations.hardtanh(input, min_val, max_val, inplace=True)


def leaky_relu_(input: TensorBase, negative_slope: float = 0.01) -> Tensor:
    """Multiply every negative element by `negative_slope`."""
    return activations.leaky_relu(input, negative_slope, inplace=True)


def relu6_(input: TensorBase) -> Tensor:
    """Keep every element within [0, 6]."""
    return activations.relu6(input, inplace=True)


def rrelu_(input: TensorBase, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """Multiply every negative element by a random slope."""
    return activations.rrelu(input, lower, upper, training, inplace=True)


def selu_(input: TensorBase) -> Tensor:
    """Replace every element by its selu."""
    return activations.selu(input, inplace=True)


def threshold_(input: TensorBase, threshold: float, value: float) -> Tensor:
    """Replace every element that is not above `threshold` by `value`."""
    return activations.threshold(input, threshold, value, inplace=True)


absolute_, fix_, negative_ = abs_, trunc_, neg_
arccos_, arcsin_, arctan_ = acos_, asin_, atan_
arccosh_, arcsinh_, arctanh_ = acosh_, asinh_, atanh_
