"""The scalar functions that generated code calls, one for each type, such as ``exp_f4`` and ``maximum_f8``.

They compile into the loops that call them and have no branches, so that those loops vectorise. NaN and
infinity come out as NumPy has them. Fast-math is used without the assumptions that exclude either.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils as _cgutils
from numba.core import imputils as _imputils
from numba.extending import intrinsic

cgutils: Any = _cgutils  # without types
imputils: Any = _imputils

# No __all__: generated sources import every name.

#: what rounding permits, and nothing that NaN or infinity forbids
FAST = {"contract", "reassoc", "nsz", "afn"}

INF, NAN = math.inf, math.nan
f4, f8, i8, i4, u1 = np.float32, np.float64, np.int64, np.int32, np.uint8
b1 = np.bool_


@intrinsic
def _select(typingctx: Any, condition: Any, x: Any, y: Any) -> Any:
    """``x if condition else y`` without a branch."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c = context.cast(builder, args[0], signature.args[0], types.boolean)
        return builder.select(c, args[1], args[2])

    if x != y:
        return None
    return x(condition, x, y), codegen


select: Any = _select


@intrinsic
def _cut(typingctx: Any, array: Any, first: Any, count: Any) -> Any:
    """The part ``array[first:][:count]``, which must lie within: compiled in half the time of two slices."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        part = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        part.meminfo, part.parent, part.itemsize = whole.meminfo, whole.parent, whole.itemsize
        part.data, part.nitems = builder.gep(whole.data, [args[1]]), args[2]
        part.shape = cgutils.pack_array(builder, [args[2]])
        part.strides = cgutils.pack_array(builder, [whole.itemsize])
        return imputils.impl_ret_borrowed(context, builder, signature.return_type, part._getvalue())

    return types.Array(array.dtype, 1, "C")(array, types.int64, types.int64), codegen


cut: Any = _cut


def _extreme(sign: str) -> Any:
    @intrinsic
    def extreme(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b = args
            if isinstance(signature.args[0], types.Float):
                better = builder.select(builder.fcmp_unordered(sign, a, b), a, b)
                return builder.select(builder.fcmp_unordered("uno", b, b), b, better)
            compare = builder.icmp_signed if signature.args[0].signed else builder.icmp_unsigned
            return builder.select(compare(sign, a, b), a, b)

        if x != y:
            return None
        return x(x, y), codegen

    return extreme


maximum_f4 = maximum_f8 = maximum_i8 = maximum_i4 = maximum_u1 = _extreme(">")
minimum_f4 = minimum_f8 = minimum_i8 = minimum_i4 = minimum_u1 = _extreme("<")


def _bits(source: Any, target: Any) -> Any:
    @intrinsic
    def bits(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), codegen

    return bits


_as_f4 = _bits(types.int32, types.float32)
_as_f8 = _bits(types.int64, types.float64)
_bits_f4 = _bits(types.float32, types.int32)
_bits_f8 = _bits(types.float64, types.int64)


def _round(name: str) -> Any:
    @intrinsic
    def rounded(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = context.get_value_type(x)
            fn = builder.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind]))
            return builder.call(fn, args)

        return x(x), codegen

    return rounded


floor_f4 = floor_f8 = _round("floor")
ceil_f4 = ceil_f8 = _round("ceil")
trunc_f4 = trunc_f8 = _round("trunc")
round_f4 = round_f8 = _round("nearbyint")
sqrt_f4 = sqrt_f8 = _round("sqrt")
abs_f4 = abs_f8 = _round("fabs")

_strict = {"contract"}


@njit(fastmath=_strict, error_model="numpy")
def exp_f4(x):  # type: ignore[no-untyped-def]
    """Exponential: x = n ln 2 + r, a polynomial in r, and 2ⁿ in two halves so that subnormals come out."""
    y = minimum_f4(maximum_f4(x, f4(-104.0)), f4(89.0))
    n = floor_f4(y * f4(1.4426950408889634) + f4(0.5))
    r = (y - n * f4(0.693359375)) - n * f4(-2.12194440e-4)
    p = f4(1.9875691500e-4)
    p = p * r + f4(1.3981999507e-3)
    p = p * r + f4(8.3334519073e-3)
    p = p * r + f4(4.1665795894e-2)
    p = p * r + f4(1.6666665459e-1)
    p = p * r + f4(5.0000001201e-1)
    p = p * (r * r) + r + f4(1.0)
    k = i4(select(y != y, f4(0.0), n))
    half = k >> i4(1)
    rest = k - half
    return p * _as_f4(i4((half + i4(127)) << i4(23))) * _as_f4(i4((rest + i4(127)) << i4(23)))


@njit(fastmath=_strict, error_model="numpy")
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
    return p * _as_f8((half + 1023) << 52) * _as_f8((rest + 1023) << 52)


@njit(fastmath=_strict, error_model="numpy")
def tanh_f4(x):  # type: ignore[no-untyped-def]
    """Hyperbolic tangent: an odd polynomial near 0, (1 - e) / (1 + e) with e = exp(-2|x|) elsewhere."""
    a = abs_f4(x)
    e = exp_f4(f4(-2.0) * a)
    far = (f4(1.0) - e) / (f4(1.0) + e)
    z = x * x
    p = f4(-5.70498872745e-3)
    p = p * z + f4(2.06390887954e-2)
    p = p * z + f4(-5.37397155531e-2)
    p = p * z + f4(1.33314422036e-1)
    p = p * z + f4(-3.33332819422e-1)
    near = p * z * x + x
    return select(a < f4(0.625), near, select(x < f4(0.0), -far, far))


@njit(fastmath=_strict, error_model="numpy")
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


@njit(fastmath=_strict, error_model="numpy")
def log_f4(x):  # type: ignore[no-untyped-def]
    """Natural logarithm, computed in double precision and rounded."""
    return f4(log_f8(f8(x)))


@njit(fastmath=_strict, error_model="numpy")
def log_f8(x):  # type: ignore[no-untyped-def]
    """Natural logarithm: x = 2ᵏ m with m around 1, and atanh's series in (m - 1) / (m + 1)."""
    small = x < 2.2250738585072014e-308
    y = select(small, x * 18014398509481984.0, x)
    b = _bits_f8(y)
    k = (b - 0x3FE6A09E667F3BCD) >> 52
    m = _as_f8(b - (k << 52))
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


@njit(error_model="numpy")
def sign_f4(x):  # type: ignore[no-untyped-def]
    """-1, 0, 1 or NaN."""
    return select(x != x, x, f4(f4(x > f4(0.0)) - f4(x < f4(0.0))))


@njit(error_model="numpy")
def sign_f8(x):  # type: ignore[no-untyped-def]
    """-1, 0, 1 or NaN."""
    return select(x != x, x, f8(x > 0.0) - f8(x < 0.0))


@njit(error_model="numpy")
def sign_i8(x):  # type: ignore[no-untyped-def]
    """-1, 0 or 1."""
    return i8(x > 0) - i8(x < 0)


@njit(error_model="numpy")
def abs_i8(x):  # type: ignore[no-untyped-def]
    """Absolute value."""
    return abs(x)


@njit(error_model="numpy")
def isnan_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is NaN."""
    return x != x


@njit(error_model="numpy")
def isinf_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is infinite."""
    return abs_f4(x) == f4(INF)


@njit(error_model="numpy")
def isfinite_f4(x):  # type: ignore[no-untyped-def]
    """Whether it is neither NaN nor infinite."""
    return abs_f4(x) < f4(INF)


isnan_f8, isinf_f8, isfinite_f8 = isnan_f4, isinf_f4, isfinite_f4


# Functions of the C library: exact, one element at a time.


def _single(function: Any) -> tuple[Any, Any]:
    @njit(error_model="numpy")
    def single(x):  # type: ignore[no-untyped-def]
        return f4(function(f8(x)))

    @njit(error_model="numpy")
    def double(x):  # type: ignore[no-untyped-def]
        return function(x)

    return single, double


sin_f4, sin_f8 = _single(math.sin)
cos_f4, cos_f8 = _single(math.cos)
tan_f4, tan_f8 = _single(math.tan)
log1p_f4, log1p_f8 = _single(math.log1p)
expm1_f4, expm1_f8 = _single(math.expm1)
sinh_f4, sinh_f8 = _single(math.sinh)
cosh_f4, cosh_f8 = _single(math.cosh)
asin_f4, asin_f8 = _single(math.asin)
acos_f4, acos_f8 = _single(math.acos)
atan_f4, atan_f8 = _single(math.atan)
asinh_f4, asinh_f8 = _single(math.asinh)
acosh_f4, acosh_f8 = _single(math.acosh)
atanh_f4, atanh_f8 = _single(math.atanh)
erf_f4, erf_f8 = _single(math.erf)
erfc_f4, erfc_f8 = _single(math.erfc)
lgamma_f4, lgamma_f8 = _single(math.lgamma)


@njit(error_model="numpy")
def log2_f8(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 2."""
    return np.log2(x)


@njit(error_model="numpy")
def log2_f4(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 2."""
    return f4(np.log2(f8(x)))


@njit(error_model="numpy")
def log10_f8(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 10."""
    return np.log10(x)


@njit(error_model="numpy")
def log10_f4(x):  # type: ignore[no-untyped-def]
    """Logarithm to base 10."""
    return f4(np.log10(f8(x)))


@njit(error_model="numpy")
def pow_f8(x, y):  # type: ignore[no-untyped-def]
    """Power, by the C library."""
    return np.power(x, y)


@njit(error_model="numpy")
def pow_f4(x, y):  # type: ignore[no-untyped-def]
    """Power, computed in double precision and rounded."""
    return f4(np.power(f8(x), f8(y)))


@njit(error_model="numpy")
def atan2_f8(x, y):  # type: ignore[no-untyped-def]
    """Angle of the point (y, x)."""
    return math.atan2(x, y)


@njit(error_model="numpy")
def atan2_f4(x, y):  # type: ignore[no-untyped-def]
    """Angle of the point (y, x)."""
    return f4(math.atan2(f8(x), f8(y)))


@njit(error_model="numpy")
def copysign_f8(x, y):  # type: ignore[no-untyped-def]
    """The size of x with the sign of y."""
    return math.copysign(x, y)


@njit(error_model="numpy")
def copysign_f4(x, y):  # type: ignore[no-untyped-def]
    """The size of x with the sign of y."""
    return f4(math.copysign(f8(x), f8(y)))


@njit(error_model="numpy")
def fmod_f8(x, y):  # type: ignore[no-untyped-def]
    """Remainder with the sign of x."""
    return math.fmod(x, y)


@njit(error_model="numpy")
def fmod_f4(x, y):  # type: ignore[no-untyped-def]
    """Remainder with the sign of x."""
    return f4(math.fmod(f8(x), f8(y)))


@njit(error_model="numpy")
def hypot_f8(x, y):  # type: ignore[no-untyped-def]
    """Length of (x, y)."""
    return math.hypot(x, y)


@njit(error_model="numpy")
def hypot_f4(x, y):  # type: ignore[no-untyped-def]
    """Length of (x, y)."""
    return f4(math.hypot(f8(x), f8(y)))
