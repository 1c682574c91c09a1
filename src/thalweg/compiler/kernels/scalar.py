"""The scalar functions that generated code calls, one for each type, such as ``exp_f4`` and ``maximum_f8``.

They compile into the loops that call them and have no branches, so that those loops vectorise. NaN and
infinity come out as NumPy has them. Fast-math is used without the assumptions that exclude either.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .intrinsics import (
    INF,
    NAN,
    abs_f4,
    abs_f8,
    as_f8,
    bits_f8,
    f4,
    f8,
    floor_f8,
    i8,
    maximum_f8,
    minimum_f8,
    select,
)
from .jit import part

# No __all__: generated sources import every name, and those of intrinsics.py and single.py.

#: what rounding permits, and nothing that NaN or infinity forbids
FAST = {"contract", "reassoc", "nsz", "afn"}

_strict = {"contract"}


@part(fastmath=_strict)
def exp_f8(x):  # type: ignore[no-untyped-def]
    """Exponential: x = n ln 2 + r, the Taylor polynomial of degree 13 in r, and 2ⁿ in two halves."""
    y = minimum_f8(maximum_f8(x, -746.0), 710.0)
    n = floor_f8(y * 1.4426950408889634 + 0.5)
    r = (y - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    p = 1.6059043836821613e-10
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    p = p * r + 4.1666666666666664e-02
    p = p * r + 1.6666666666666666e-01
    p = p * r + 0.5
    p = p * (r * r) + r + 1.0
    k = i8(select(y != y, 0.0, n))
    half = k >> 1
    rest = k - half
    return p * as_f8((half + 1023) << 52) * as_f8((rest + 1023) << 52)


@part(fastmath=_strict)
def tanh_f8(x):  # type: ignore[no-untyped-def]
    """Hyperbolic tangent: a rational function near 0 (Cody and Waite), (1 - e) / (1 + e) elsewhere."""
    a = abs_f8(x)
    e = exp_f8(-2.0 * a)
    far = (1.0 - e) / (1.0 + e)
    z = x * x
    p = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
    near = x + x * z * (p / q)
    return select(a < 0.625, near, select(x < 0.0, -far, far))


@part(fastmath=_strict)
def log_f4(x):  # type: ignore[no-untyped-def]
    """Natural logarithm, computed in double precision and rounded."""
    return f4(log_f8(f8(x)))


@part(fastmath=_strict)
def log_f8(x):  # type: ignore[no-untyped-def]
    """Natural logarithm: x = 2ᵏ m with m around 1, and atanh's series in (m - 1) / (m + 1)."""
    small = x < 2.2250738585072014e-308
    y = select(small, x * 18014398509481984.0, x)
    b = bits_f8(y)
    k = (b - 0x3FE6A09E667F3BCD) >> 52
    m = as_f8(b - (k << 52))
    shift = f8(k) - select(small, 54.0, 0.0)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    t1 = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    t2 = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    h = 0.5 * f * f
    done = shift * 6.93147180369123816490e-01 - ((h - (s * (h + t1 + t2) + shift * 1.90821492927058770002e-10)) - f)
    done = select(x == INF, x, done)
    done = select(x == 0.0, -INF, done)
    return select((x < 0.0) | (x != x), NAN, done)


@part()
def sign_f4(x):  # type: ignore[no-untyped-def]
    """-1, 0, 1 or NaN."""
    return select(x != x, x, f4(f4(x > f4(0.0)) - f4(x < f4(0.0))))


@part()
def sign_f8(x):  # type: ignore[no-untyped-def]
    """-1, 0, 1 or NaN."""
    return select(x != x, x, f8(x > 0.0) - f8(x < 0.0))


@part()
def sign_i8(x):  # type: ignore[no-untyped-def]
    """-1, 0 or 1."""
    return i8(x > 0) - i8(x < 0)


@part()
def abs_i8(x):  # type: ignore[no-untyped-def]
    """Absolute value."""
    return abs(x)


@part()
def isnan_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is NaN."""
    return x != x


@part()
def isinf_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is infinite."""
    return abs_f4(x) == f4(INF)


@part()
def isfinite_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is neither NaN nor infinite."""
    return abs_f4(x) < f4(INF)


isnan_f8, isinf_f8, isfinite_f8 = isnan_f4, isinf_f4, isfinite_f4


# Functions of the C library: exact, one element at a time.


def _double(function: Any) -> Any:
    @part()
    def double(x):  # type: ignore[no-untyped-def]
        return function(x)

    return double


def _single(function: Any) -> tuple[Any, Any]:
    @part()
    def single(x):  # type: ignore[no-untyped-def]
        return f4(function(f8(x)))

    return single, _double(function)


sin_f4, sin_f8 = _single(math.sin)
cos_f4, cos_f8 = _single(math.cos)
tan_f4, tan_f8 = _single(math.tan)
log1p_f8 = _double(math.log1p)
expm1_f8 = _double(math.expm1)
sinh_f4, sinh_f8 = _single(math.sinh)
cosh_f4, cosh_f8 = _single(math.cosh)
asin_f4, asin_f8 = _single(math.asin)
acos_f4, acos_f8 = _single(math.acos)
atan_f4, atan_f8 = _single(math.atan)
asinh_f4, asinh_f8 = _single(math.asinh)
acosh_f4, acosh_f8 = _single(math.acosh)
atanh_f4, atanh_f8 = _single(math.atanh)
erf_f8 = _double(math.erf)
erfc_f8 = _double(math.erfc)
lgamma_f4, lgamma_f8 = _single(math.lgamma)


@part()
def log2_f8(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 2."""
    return np.log2(x)


@part()
def log2_f4(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 2."""
    return f4(np.log2(f8(x)))


@part()
def log10_f8(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 10."""
    return np.log10(x)


@part()
def log10_f4(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 10."""
    return f4(np.log10(f8(x)))


# Strict: with approximation permitted, LLVM makes pow of a converted integer a call of __powidf2, which no process has.
@part(fastmath=_strict)
def pow_f8(x, y):  # type: ignore[no-untyped-def]
    """Power, by the C library."""
    return np.power(x, y)


@part(fastmath=_strict)
def pow_f4(x, y):  # type: ignore[no-untyped-def]
    """Power, computed in double precision and rounded."""
    return f4(np.power(f8(x), f8(y)))


@part()
def atan2_f8(x, y):  # type: ignore[no-untyped-def]
    """Angle of the point (y, x)."""
    return math.atan2(x, y)


@part()
def atan2_f4(x, y):  # type: ignore[no-untyped-def]
    """Angle of the point (y, x)."""
    return f4(math.atan2(f8(x), f8(y)))


@part()
def copysign_f8(x, y):  # type: ignore[no-untyped-def]
    """The size of x with the sign of y."""
    return math.copysign(x, y)


@part()
def copysign_f4(x, y):  # type: ignore[no-untyped-def]
    """The size of x with the sign of y."""
    return f4(math.copysign(f8(x), f8(y)))


@part()
def fmod_f8(x, y):  # type: ignore[no-untyped-def]
    """Remainder with the sign of x."""
    return np.fmod(x, y)


@part()
def fmod_f4(x, y):  # type: ignore[no-untyped-def]
    """Remainder with the sign of x."""
    return f4(np.fmod(f8(x), f8(y)))


@part()
def hypot_f8(x, y):  # type: ignore[no-untyped-def]
    """Length of (x, y)."""
    return math.hypot(x, y)


@part()
def hypot_f4(x, y):  # type: ignore[no-untyped-def]
    """Length of (x, y)."""
    return f4(math.hypot(f8(x), f8(y)))
