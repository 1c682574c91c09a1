"""Elementwise operations over every element type and special value: the tables that compiled code is compared with eager on."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.errors import ThalwegError
from thalweg.nn import functional as F

DTYPES = ("bool", "uint8", "int32", "int64", "float32", "float64")

UNARY = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "logical_not",
    "logit",
    "neg",
    "positive",
    "rad2deg",
    "reciprocal",
    "relu",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "bitwise_not",
    "nan_to_num",
]
ACTIVATIONS = [
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
]
BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "floor_divide",
    "remainder",
    "fmod",
    "pow",
    "float_power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "atan2",
    "hypot",
    "copysign",
    "logaddexp",
    "logaddexp2",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "xlogy",
    "heaviside",
    "isclose",
    "nextafter",
    "ldexp",
    "gcd",
    "lcm",
]
NUMBERS: tuple[Any, ...] = (0, 1, -1, 2, 3, 0.5, -0.5, 0.3, -0.3, True, 300, float("inf"), float("nan"), 1e300)

_FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-40, -7.25, 88.0, -104.0, 1e30, 2.0]


def special(dtype: str, turn: int = 0) -> np.ndarray[Any, Any]:
    """Return the special values of an element type, beginning with another one at each turn."""
    if dtype == "bool":
        found = np.array([True, False, False, True] * 4)
    elif dtype.startswith("float"):
        found = np.array(_FLOATS, dtype)
    else:
        ends = np.iinfo(dtype)
        found = np.array([ends.min, ends.max, 0, 1, 2, 3, 7, 5, ends.max - 1, 31, 8, 100, 0, 1, 64, 12], dtype)
        if ends.min:
            found[8:12] *= -1
    return np.roll(found, turn)


def _public(name: str) -> Callable[..., Any] | None:
    return getattr(tw, name, None) or getattr(F, name, None)


def calls() -> Iterator[tuple[str, Callable[..., Any], tuple[str, ...]]]:
    """Yield each operation with the element types of its inputs: one, two (equal and mixed), and one beside a number."""
    for name in (*UNARY, *ACTIVATIONS):
        function = _public(name)
        if function is not None:
            for dtype in DTYPES:
                yield f"{name}({dtype})", function, (dtype,)
    for name in BINARY:
        function = _public(name)
        if function is not None:
            for pair in itertools.product(DTYPES, DTYPES):
                yield f"{name}({', '.join(pair)})", function, pair
            for dtype, number in itertools.product(DTYPES, NUMBERS):
                yield f"{name}({dtype}, {number!r})", _beside(function, number), (dtype,)
    for dtype, low, high in itertools.product(DTYPES, (-1, 0, 0.5, None), (1, 2.5, None)):
        yield f"clamp({dtype}, {low}, {high})", _clamped(low, high), (dtype,)
        yield f"clamp_({dtype}, {low}, {high})", _clamped_in_place(low, high), (dtype,)
    for source, target in itertools.product(DTYPES, DTYPES):
        yield f"to({source}, {target})", _converted(target), (source,)
        yield f"where({source}, {target})", _chosen, (source, target)
    for name in ("amax", "amin", "sum", "prod", "mean", "cumsum", "any", "all", "argmax", "argsort"):
        for dtype in DTYPES:
            yield f"{name}({dtype})", _public(name) or (lambda x: x), (dtype,)


def _beside(function: Callable[..., Any], number: Any) -> Callable[..., Any]:
    return lambda x: function(x, number)


def _clamped(low: Any, high: Any) -> Callable[..., Any]:
    return lambda x: tw.clamp(x, low, high)


def _clamped_in_place(low: Any, high: Any) -> Callable[..., Any]:
    return lambda x: x.clone().clamp_(low, high)


def _converted(target: str) -> Callable[..., Any]:
    return lambda x: x.to(getattr(tw, target))


def _chosen(x: Any, y: Any) -> Any:
    return tw.where(x != 0, x, y)


def outcome(function: Callable[..., Any], arrays: list[np.ndarray[Any, Any]]) -> Any:
    """Return the result's array, or the type of the exception that a call ends in."""
    try:
        with warnings.catch_warnings(), tw.no_grad():
            warnings.simplefilter("ignore")
            out = function(*(tw.from_numpy(a.copy()) for a in arrays))
            return [o._data for o in out] if isinstance(out, tuple) else [out._data]
    except (ThalwegError, ArithmeticError) as error:
        return type(error)


def difference(got: Any, want: Any) -> str:
    """Return how two outcomes differ, or nothing: integers and truth values bit for bit, others to rounding."""
    if isinstance(want, type) or isinstance(got, type):
        return "" if got is want else f"got {got}, eager gives {want}"
    for a, b in zip(got, want, strict=True):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            return f"got {a.dtype}{a.shape}, eager gives {b.dtype}{b.shape}"
        if a.dtype.kind != "f":
            wrong = a != b
        else:
            rtol, atol = (2e-5, 1e-37) if a.dtype == np.float32 else (1e-11, 1e-300)
            with np.errstate(all="ignore"):
                wrong = ~np.isclose(a, b, rtol, atol, equal_nan=True)
        if np.any(wrong):
            at = int(np.flatnonzero(wrong)[0])
            return f"element {at}: got {np.ravel(a)[at]!r}, eager gives {np.ravel(b)[at]!r}"
    return ""
