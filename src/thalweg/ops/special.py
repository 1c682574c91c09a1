"""Special functions: of error, gamma and Bessel, and those of the normal distribution (`thalweg.special`).

The values are SciPy's, whose routines stem from Moshier's Cephes and from Johnson's Faddeeva package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ._coerce import as_tensor
from ._elementwise import Elementwise, apply, elementwise, unary
from ._kernels import mapped
from .arithmetic import _log, _where, add
from .combine import _pair
from .combine import xlogy as xlogy
from .pointwise import _abs, _exp, _log1p, _sign
from .pointwise import exp2 as exp2
from .pointwise import expm1 as expm1
from .pointwise import log1p as log1p
from .pointwise import logit as logit
from .pointwise import sigmoid as sigmoid
from .pointwise import sinc as sinc
from .rounding import round as round

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammaln", "i0", "i0e", "i1",
    "i1e", "lgamma", "log1p", "log_ndtr", "logit", "multigammaln", "mvlgamma", "ndtr", "ndtri", "polygamma", "psi",
    "round", "sinc", "xlog1py", "xlogy", "zeta",
]  # fmt: skip


def _scipy(name: str) -> Callable[..., Any]:
    """Return a function of SciPy, which is imported when it is first called."""

    def forward(x: Any) -> Any:
        from scipy import special

        return getattr(special, name)(x)

    return forward


def _mapped(name: str, kernel: str) -> Callable[..., Any]:
    """Return a function of SciPy, for which a kernel stands in on large arrays of float32."""
    function = _scipy(name)

    def forward(x: Any) -> Any:
        found = mapped(kernel, x)
        return function(x) if found is None else found

    return forward


def _erf_rule(g: Any, x: Any) -> Any:
    found = mapped("erf_back", g, x)
    return g * (_exp(-(x * x)) * (2 / math.sqrt(math.pi))) if found is None else found


_erf: Elementwise = elementwise("erf", _mapped("erf", "erf"), [_erf_rule], kernel="math.erf({0})")
_erfc: Elementwise = elementwise(
    "erfc", _mapped("erfc", "erfc"), [lambda g, x: _erf_rule(-g, x)], kernel="math.erfc({0})"
)
_erfcx: Elementwise = elementwise(
    "erfcx",
    _scipy("erfcx"),
    [lambda g, x, out: g * (x * out * 2 - 2 / math.sqrt(math.pi))],
    backward="SpecialErfcxBackward0",
)
_erfinv: Elementwise = elementwise(
    "erfinv", _scipy("erfinv"), [lambda g, out: g * (_exp(out * out) * (math.sqrt(math.pi) / 2))]
)


def _lgamma_forward(x: Any) -> Any:
    out = _scipy("gammaln")(x)
    return np.where(x == -np.inf, np.inf, out).astype(out.dtype)  # SciPy has -inf there, C and PyTorch inf


_lgamma: Elementwise = elementwise("lgamma", _lgamma_forward, [lambda g, x: g * _digamma(x)], kernel="math.lgamma({0})")
_digamma: Elementwise = elementwise("digamma", _scipy("psi"), [lambda g, x: g * _polygamma(x, 1)])


def _polygamma_forward(x: Any, n: int) -> Any:
    from scipy import special

    if n == 0:
        return special.psi(x)
    return np.where(x == -np.inf, np.nan, special.polygamma(n, x)).astype(x.dtype)  # poles without end have no limit


_polygamma: Elementwise = elementwise(
    "polygamma", _polygamma_forward, [lambda g, x, n: g * _polygamma(x, n + 1)], arity=1
)


# Modified Bessel functions of the first kind, and the same times exp(-|x|)


def _i1_rule(g: Any, x: Any, out: Any) -> Any:
    small = _abs(x) <= 1e-12
    return g * _where(small, 0.5, _i0(x) - out / _where(small, x + 1, x))


def _i1e_rule(g: Any, x: Any, out: Any) -> Any:
    small = _abs(x) <= 1e-12
    safe = _where(small, x + 1, x)
    return g * _where(small, 0.5, _i0e(x) - out * (_sign(safe) + 1 / safe))


_i0: Elementwise = elementwise("i0", _scipy("i0"), [lambda g, x: g * _i1(x)])
_i1: Elementwise = elementwise("i1", _scipy("i1"), [_i1_rule], backward="SpecialI1Backward0")
_i0e: Elementwise = elementwise(
    "i0e", _scipy("i0e"), [lambda g, x, out: g * (_i1e(x) - _sign(x) * out)], backward="SpecialI0EBackward0"
)
_i1e: Elementwise = elementwise("i1e", _scipy("i1e"), [_i1e_rule], backward="SpecialI1EBackward0")


# The normal distribution


def _ndtr_rule(g: Any, x: Any) -> Any:
    found = mapped("normal_share_back", g, x)
    return g * (_exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))) if found is None else found


_ndtr: Elementwise = elementwise(
    "ndtr",
    _mapped("ndtr", "normal_share"),
    [_ndtr_rule],
    kernel="0.5 * math.erfc({0} * -0.7071067811865476)",
    backward="SpecialNdtrBackward0",
)
_ndtri: Elementwise = elementwise(
    "ndtri",
    _scipy("ndtri"),
    [lambda g, out: g * (_exp(out * out * 0.5) * math.sqrt(2 * math.pi))],
    backward="SpecialNdtriBackward0",
)
_log_ndtr: Elementwise = elementwise(
    "log_ndtr",
    _scipy("log_ndtr"),
    [lambda g, x: g * (math.sqrt(2 / math.pi) / _erfcx(x * -math.sqrt(0.5)))],
    backward="SpecialLogNdtrBackward0",
)
_entr: Elementwise = elementwise(
    "entr",
    _scipy("entr"),
    [lambda g, x: g * (-1 - _log(x))],
    kernel="(-{0} * math.log({0}) if {0} > 0 else {0} if {0} == 0 or {0} != {0} else -math.inf)",
    backward="SpecialEntrBackward0",
)


def _xlog1py_forward(x: Any, y: Any) -> Any:
    return np.where((x == 0) & (y == y), 0, x * np.log1p(y))


_xlog1py: Elementwise = elementwise(
    "xlog1py",
    _xlog1py_forward,
    [lambda g, x, y: g * _where((x == 0) & (y <= -1), 0.0, _log1p(y)), lambda g, x, y: g * (x / (y + 1))],
    kernel="(0 if {0} == 0 and {1} == {1} else {0} * math.log1p({1}))",
    backward="SpecialXlog1PyBackward0",
)


def _zeta_forward(x: Any, y: Any) -> Any:
    from scipy import special

    return special.zeta(x, y)


_zeta: Elementwise = elementwise("zeta", _zeta_forward, arity=2)


def erf(input: Any) -> Tensor:
    """Error function ``2/√π ∫₀ˣ exp(-t²) dt`` of each element.

    >>> import thalweg as tw
    >>> tw.erf(tw.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return unary(_erf, as_tensor(input))


def erfc(input: Any) -> Tensor:
    """``1 - erf(x)``, exact where that is small."""
    return unary(_erfc, as_tensor(input))


def erfcx(input: Any) -> Tensor:
    """``exp(x²) erfc(x)`` without underflow."""
    return unary(_erfcx, as_tensor(input))


def erfinv(input: Any) -> Tensor:
    """Inverse of the error function; infinite at ±1, NaN beyond."""
    return unary(_erfinv, as_tensor(input))


def lgamma(input: Any) -> Tensor:
    """Logarithm of the absolute value of the gamma function."""
    return unary(_lgamma, as_tensor(input))


def digamma(input: Any) -> Tensor:
    """Derivative of :func:`lgamma`."""
    return unary(_digamma, as_tensor(input))


def polygamma(n: int, input: Any) -> Tensor:
    """`n`-th derivative of :func:`digamma`."""
    if n < 0:
        raise _BadOrder(f"polygamma: n must be an integer >= 0, got {n}.")
    return apply(_polygamma, (as_tensor(input),), (int(n),))


class _BadOrder(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def mvlgamma(input: Any, p: int) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension `p`."""
    if p < 1:
        raise _BadOrder(f"mvlgamma: p must be an integer >= 1, got {p}.")
    x = as_tensor(input)
    total: Any = lgamma(x)
    for k in range(1, p):
        total = total + lgamma(add(x, -k / 2))
    return total + p * (p - 1) / 4 * math.log(math.pi)


def i0(input: Any) -> Tensor:
    """Modified Bessel function of the first kind, of order 0."""
    return unary(_i0, as_tensor(input))


def i0e(input: Any) -> Tensor:
    """``exp(-|x|) i0(x)``."""
    return unary(_i0e, as_tensor(input))


def i1(input: Any) -> Tensor:
    """Modified Bessel function of the first kind, of order 1."""
    return unary(_i1, as_tensor(input))


def i1e(input: Any) -> Tensor:
    """``exp(-|x|) i1(x)``."""
    return unary(_i1e, as_tensor(input))


def ndtr(input: Any) -> Tensor:
    """Probability that a standard normal variable is at most x."""
    return unary(_ndtr, as_tensor(input))


def ndtri(input: Any) -> Tensor:
    """Quantile of the standard normal distribution, the inverse of :func:`ndtr`."""
    return unary(_ndtri, as_tensor(input))


def log_ndtr(input: Any) -> Tensor:
    """Logarithm of :func:`ndtr`, exact far to the left."""
    return unary(_log_ndtr, as_tensor(input))


def entr(input: Any) -> Tensor:
    """``-x log(x)``: 0 at 0, -inf below."""
    return unary(_entr, as_tensor(input))


def xlog1py(input: Any, other: Any) -> Tensor:
    """``input * log(1 + other)``, and 0 where `input` is 0 unless `other` is NaN."""
    return apply(_xlog1py, _pair(input, other, "xlog1py"))


def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz zeta function ``Σ 1 / (k + other)**input``. Not differentiable."""
    return apply(_zeta, _pair(input, other, "zeta"))


expit, gammaln, multigammaln, psi = sigmoid, lgamma, mvlgamma, digamma
