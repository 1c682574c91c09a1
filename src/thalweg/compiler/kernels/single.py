"""Scalar functions of float32 in its own arithmetic: within two units in the last place, without a branch.

The coefficients are minimax fits for this file: least squares on 400 Chebyshev points of values of 40 digits, the
weights raised where the error is largest until it is the same at all its peaks. Where the rounding of an
argument would be magnified it comes in two parts, ``high + low``, from products whose rounding is known (fma).
"""

from __future__ import annotations

from .intrinsics import (
    INF,
    NAN,
    abs_f4,
    as_f4,
    bits_f4,
    f4,
    floor_f4,
    fma_f4,
    i4,
    maximum_f4,
    maximum_i4,
    minimum_f4,
    select,
)
from .jit import part

__all__ = [
    "erf_f4", "erf_slope_f4", "erfc_f4", "exp_f4", "expm1_f4", "gelu_f4", "gelu_slope_f4", "gelu_tanh_f4",
    "gelu_tanh_slope_f4", "log1p_f4", "normal_density_f4", "normal_share_f4", "sigmoid_f4", "softplus_f4", "tanh_f4",
]  # fmt: skip

_strict = {"contract"}


@part(fastmath=_strict, forceinline=True)
def _times_exp(factor, y, low):  # type: ignore[no-untyped-def]
    """``factor * exp(y + low)`` for -113 <= y <= 89: y = n ln 2 + r; a polynomial in r; 2ⁿ in two halves, for subnormals."""
    n = floor_f4(y * f4(1.4426950408889634) + f4(0.5))
    r = ((y - n * f4(0.693359375)) - n * f4(-2.121944400546906e-4)) + low
    p = f4(0.0013814608100801706)
    p = p * r + f4(0.008368710987269878)
    p = p * r + f4(0.04166838899254799)
    p = p * r + f4(0.1666652113199234)
    p = p * r + f4(0.4999999403953552)
    p = p * (r * r) + r
    k = i4(select(y != y, f4(0.0), n))
    half = k >> i4(1)
    rest = k - half
    return (factor * p + factor) * as_f4(i4((half + i4(127)) << i4(23))) * as_f4(i4((rest + i4(127)) << i4(23)))


@part(fastmath=_strict, forceinline=True)
def exp_f4(x):  # type: ignore[no-untyped-def]
    """Exponential."""
    return _times_exp(f4(1.0), minimum_f4(maximum_f4(x, f4(-112.0)), f4(89.0)), f4(0.0))


@part(fastmath=_strict, forceinline=True)
def expm1_f4(x):  # type: ignore[no-untyped-def]
    """``exp(x) - 1``: with 2ⁿ and r as for the exponential, ``2ⁿ (exp(r) - 1) + (2ⁿ - 1)``, all of it halved."""
    y = minimum_f4(maximum_f4(x, f4(-25.0)), f4(89.0))
    n = floor_f4(y * f4(1.4426950408889634) + f4(0.5))
    r = (y - n * f4(0.693359375)) - n * f4(-2.121944400546906e-4)
    p = f4(0.00019845875794999301)
    p = p * r + f4(0.0013940619537606835)
    p = p * r + f4(0.008333389647305012)
    p = p * r + f4(0.041666362434625626)
    p = p * r + f4(0.1666666567325592)
    p = p * r + f4(0.5)
    p = p * (r * r) + r
    half = as_f4(i4((i4(select(y != y, f4(0.0), n)) + i4(126)) << i4(23)))
    done = f4(2.0) * (p * half + (half - f4(0.5)))
    return select(x == f4(0.0), x, select(n == f4(0.0), p, done))


@part(fastmath=_strict, forceinline=True)
def log1p_f4(x):  # type: ignore[no-untyped-def]
    """``log(1 + x)``: 1 + x = 2ᵏ (1 + f) with 1 + f around 1; what the sum rounded off goes back into f."""
    u = f4(1.0) + x
    lost = select(x < f4(1.0), x - (u - f4(1.0)), f4(1.0) - (u - x))
    b = bits_f4(u)
    k = i4(b - i4(0x3F3504F3)) >> i4(23)
    scale = as_f4(i4(maximum_i4(i4(i4(127) - k), i4(0)) << i4(23)))
    f = (as_f4(i4(b - (k << i4(23)))) - f4(1.0)) + lost * scale
    p = f4(0.06746591627597809)
    p = p * f + f4(-0.1167563870549202)
    p = p * f + f4(0.11888177692890167)
    p = p * f + f4(-0.12405592203140259)
    p = p * f + f4(0.14219550788402557)
    p = p * f + f4(-0.1666799634695053)
    p = p * f + f4(0.2000211924314499)
    p = p * f + f4(-0.25000008940696716)
    p = p * f + f4(0.3333331346511841)
    z = f * f
    n = f4(k)
    done = ((p * f * z + n * f4(-2.121944400546906e-4)) - f4(0.5) * z) + f + n * f4(0.693359375)
    done = select(x == f4(0.0), x, done)
    done = select(u == f4(INF), u, done)
    done = select(x == f4(-1.0), f4(-INF), done)
    return select((x < f4(-1.0)) | (x != x), f4(NAN), done)


@part(fastmath=_strict, forceinline=True)
def tanh_f4(x):  # type: ignore[no-untyped-def]
    """Hyperbolic tangent: an odd polynomial near 0, (1 - e) / (1 + e) with e = exp(-2|x|) elsewhere."""
    a = abs_f4(x)
    e = exp_f4(f4(-2.0) * a)
    far = (f4(1.0) - e) / (f4(1.0) + e)
    z = x * x
    p = f4(-0.005704978480935097)
    p = p * z + f4(0.020639078691601753)
    p = p * z + f4(-0.05373971164226532)
    p = p * z + f4(0.13331441581249237)
    p = p * z + f4(-0.3333328068256378)
    near = x * (p * z + f4(1.0))
    return select(a < f4(0.625), near, select(x < f4(0.0), -far, far))


@part(fastmath=_strict, forceinline=True)
def erf_f4(x):  # type: ignore[no-untyped-def]
    """Error function: an odd polynomial near 0, ``1 - exp(-p)`` with a polynomial p elsewhere."""
    z = x * x
    near = f4(7.853854185668752e-05)
    near = near * z + f4(-0.000801019137725234)
    near = near * z + f4(0.00518832728266716)
    near = near * z + f4(-0.026853810995817184)
    near = near * z + f4(0.1128358468413353)
    near = near * z + f4(-0.3761262595653534)
    near = near * z + f4(0.12837916612625122)
    a = minimum_f4(abs_f4(x), f4(4.0))
    p = f4(-0.0001855748996604234)
    p = p * a + f4(0.0029396158643066883)
    p = p * a + f4(-0.021805351600050926)
    p = p * a + f4(0.10303743928670883)
    p = p * a + f4(0.6382256150245667)
    p = p * a + f4(1.1270400285720825)
    p = p * a + f4(0.0003537448646966368)
    far = f4(1.0) - exp_f4(-p)
    return select(a < f4(1.0), x + x * near, select(x < f4(0.0), -far, far))


@part(fastmath=_strict, forceinline=True)
def _tail(y, root, n0, n1, n2, n3, q1, q2, q3, q4, q5):  # type: ignore[no-untyped-def]
    """``(1 + n/q) / d``, with d = 1 + root y and polynomials n and q.

    n/q, nought at both ends, is at most 0.2; with what d and the one division round off it is added last.
    """
    n = ((f4(n3) * y + f4(n2)) * y + f4(n1)) * y + f4(n0)
    q = ((((f4(q5) * y + f4(q4)) * y + f4(q3)) * y + f4(q2)) * y + f4(q1)) * y + f4(1.0)
    d = fma_f4(f4(root), y, f4(1.0))
    lost = fma_f4(f4(root), y, f4(1.0) - d)
    r = f4(1.0) / (d * q)
    t = r * q
    return t + t * ((n * y) * (d * r) + (fma_f4(-t, d, f4(1.0)) - t * lost))


@part(fastmath=_strict, forceinline=True)
def _scaled_erfc(y):  # type: ignore[no-untyped-def]
    """``exp(y²) erfc(y)`` for 0 <= y <= 10.2."""
    return _tail(
        y, 1.7724539041519165, 0.6440753936767578, 0.5850410461425781, 0.24167007207870483, 0.04531284049153328,
        2.4609830379486084, 2.6119911670684814, 1.5223572254180908, 0.49933987855911255, 0.0803205594420433,
    )  # fmt: skip


@part(fastmath=_strict, forceinline=True)
def _scaled_share(a):  # type: ignore[no-untyped-def]
    """``exp(a²/2) Φ(-a)`` for 0 <= a <= 15: half the same at a/√2, which would have to be rounded."""
    return f4(0.5) * _tail(
        a, 1.2533141374588013, 0.4554300606250763, 0.29324379563331604, 0.0858091339468956, 0.011411665007472038,
        1.7417668104171753, 1.3085390329360962, 0.5399636030197144, 0.12542611360549927, 0.014303368516266346,
    )  # fmt: skip


@part(fastmath=_strict, forceinline=True)
def erfc_f4(x):  # type: ignore[no-untyped-def]
    """``1 - erf(x)``."""
    a = minimum_f4(abs_f4(x), f4(10.2))
    square = a * a
    r = _times_exp(_scaled_erfc(a), -square, -fma_f4(a, a, -square))
    return select(x < f4(0.0), f4(2.0) - r, r)


@part(fastmath=_strict, forceinline=True)
def erf_slope_f4(x):  # type: ignore[no-untyped-def]
    """``2/√π exp(-x²)``, the derivative of the error function."""
    a = minimum_f4(abs_f4(x), f4(10.5))
    square = a * a
    return _times_exp(f4(1.1283791670955126), -square, -fma_f4(a, a, -square))


@part(fastmath=_strict, forceinline=True)
def _times_density(factor, a):  # type: ignore[no-untyped-def]
    """``factor * exp(-a²/2)``."""
    square = a * a
    return _times_exp(factor, f4(-0.5) * square, f4(-0.5) * fma_f4(a, a, -square))


@part(fastmath=_strict, forceinline=True)
def normal_density_f4(x):  # type: ignore[no-untyped-def]
    """The density of a standard normal distribution, the derivative of :func:`normal_share_f4`."""
    return _times_density(f4(0.3989422804014327), minimum_f4(abs_f4(x), f4(15.0)))


@part(fastmath=_strict, forceinline=True)
def normal_share_f4(x):  # type: ignore[no-untyped-def]
    """The share Φ(x) of a standard normal distribution below x."""
    a = minimum_f4(abs_f4(x), f4(15.0))
    r = _times_density(_scaled_share(a), a)
    return select(x > f4(0.0), f4(1.0) - r, r)


@part(fastmath=_strict, forceinline=True)
def gelu_f4(x):  # type: ignore[no-untyped-def]
    """``x Φ(x)``."""
    a = minimum_f4(abs_f4(x), f4(15.0))
    r = _times_density(a * _scaled_share(a), a)
    return select(x >= f4(0.0), x - r, select(x == f4(-INF), f4(NAN), -r))


@part(fastmath=_strict, forceinline=True)
def gelu_slope_f4(x):  # type: ignore[no-untyped-def]
    """The derivative of ``x Φ(x)``."""
    a = minimum_f4(abs_f4(x), f4(15.0))
    r = _times_density(_scaled_share(a) - f4(0.3989422804014327) * a, a)
    return select(abs_f4(x) == f4(INF), f4(NAN), select(x > f4(0.0), f4(1.0) - r, r))


@part(fastmath=_strict, forceinline=True)
def sigmoid_f4(x):  # type: ignore[no-untyped-def]
    """``1 / (1 + exp(-x))``, of negative x as ``exp(x) / (1 + exp(x))``."""
    e = exp_f4(-abs_f4(x))
    return select(x < f4(0.0), e, f4(1.0)) / (f4(1.0) + e)


@part(fastmath=_strict, forceinline=True)
def softplus_f4(x):  # type: ignore[no-untyped-def]
    """``log(1 + exp(x))``."""
    return maximum_f4(x, f4(0.0)) + log1p_f4(exp_f4(-abs_f4(x)))


@part(forceinline=True)
def _cubic(x):  # type: ignore[no-untyped-def]
    """``√(8/π) (x + 0.044715 x³)`` in two parts; nothing here may be contracted."""
    a = f4(1.5957691216057308) * x
    a_low = fma_f4(f4(1.5957691216057308), x, -a) + f4(-4.534068032135963e-08) * x
    square = x * x
    cube = square * x
    cube_low = fma_f4(square, x, -cube) + fma_f4(x, x, -square) * x
    b = f4(0.0713548162726) * cube
    b_low = fma_f4(f4(0.0713548162726), cube, -b) + (f4(0.0713548162726) * cube_low + f4(2.3988323966e-09) * cube)
    high = a + b
    rest = high - a
    return high, ((a - (high - rest)) + (b - rest)) + (a_low + b_low)


@part(fastmath=_strict, forceinline=True)
def gelu_tanh_f4(x):  # type: ignore[no-untyped-def]
    """``x (1 + tanh(u / 2)) / 2`` with u = √(8/π) (x + 0.044715 x³), which is ``x / (1 + exp(-u))``."""
    a = minimum_f4(abs_f4(x), f4(11.0))
    high, low = _cubic(a)
    r = _times_exp(a, -high, -low) / (f4(1.0) + _times_exp(f4(1.0), -high, -low))
    return select(x >= f4(0.0), x - r, select(x == f4(-INF), f4(NAN), -r))


@part(fastmath=_strict, forceinline=True)
def gelu_tanh_slope_f4(x):  # type: ignore[no-untyped-def]
    """The derivative of ``x / (1 + exp(-u))``, u as above."""
    a = minimum_f4(abs_f4(x), f4(11.0))
    high, low = _cubic(a)
    share = f4(1.0) / (f4(1.0) + _times_exp(f4(1.0), -high, -low))
    slope = a * (f4(1.5957691216057308) + f4(0.2140644488178) * (a * a))
    r = _times_exp(share * (f4(1.0) - slope * share), -high, -low)
    return select(abs_f4(x) == f4(INF), f4(NAN), select(x > f4(0.0), f4(1.0) - r, r))
