"""Functions of single numbers on large arrays of float32, and their derivatives times a gradient, in one walk.

Several numbers are computed side by side, where the C library takes them one by one and NumPy goes through memory once
for every step of a formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..threads import share_parts
from .intrinsics import f4, select
from .jit import kernel
from .single import (
    erf_f4,
    erf_slope_f4,
    erfc_f4,
    exp_f4,
    expm1_f4,
    gelu_f4,
    gelu_slope_f4,
    gelu_tanh_f4,
    gelu_tanh_slope_f4,
    log1p_f4,
    normal_density_f4,
    normal_share_f4,
    sigmoid_f4,
    softplus_f4,
    tanh_f4,
)

__all__ = [
    "elu", "elu_back", "erf", "erf_back", "erfc", "exp", "expm1", "gelu", "gelu_back", "gelu_tanh", "gelu_tanh_back",
    "log1p", "mapped", "normal_share", "normal_share_back", "sigmoid", "sigmoid_back", "silu", "silu_back", "softplus",
    "softplus_back", "tanh", "tanh_back",
]  # fmt: skip

_CONTRACT = {"contract"}
_WORK = 6  # elements that are moved in the time of one that is computed


@kernel()
def erf(x: Any, out: Any) -> None:
    """The error function."""
    for k in range(out.shape[0]):
        out[k] = erf_f4(x[k])


@kernel()
def erfc(x: Any, out: Any) -> None:
    """``1 - erf(x)``."""
    for k in range(out.shape[0]):
        out[k] = erfc_f4(x[k])


@kernel()
def exp(x: Any, out: Any) -> None:
    """Exponential."""
    for k in range(out.shape[0]):
        out[k] = exp_f4(x[k])


@kernel()
def expm1(x: Any, out: Any) -> None:
    """``exp(x) - 1``."""
    for k in range(out.shape[0]):
        out[k] = expm1_f4(x[k])


@kernel()
def log1p(x: Any, out: Any) -> None:
    """``log(1 + x)``."""
    for k in range(out.shape[0]):
        out[k] = log1p_f4(x[k])


@kernel()
def normal_share(x: Any, out: Any) -> None:
    """The share of a standard normal distribution below x."""
    for k in range(out.shape[0]):
        out[k] = normal_share_f4(x[k])


@kernel()
def gelu(x: Any, out: Any) -> None:
    """``x Φ(x)``."""
    for k in range(out.shape[0]):
        out[k] = gelu_f4(x[k])


@kernel()
def gelu_tanh(x: Any, out: Any) -> None:
    """``x Φ(x)`` by way of tanh."""
    for k in range(out.shape[0]):
        out[k] = gelu_tanh_f4(x[k])


@kernel()
def sigmoid(x: Any, out: Any) -> None:
    """``1 / (1 + exp(-x))``."""
    for k in range(out.shape[0]):
        out[k] = sigmoid_f4(x[k])


@kernel()
def tanh(x: Any, out: Any) -> None:
    """Hyperbolic tangent."""
    for k in range(out.shape[0]):
        out[k] = tanh_f4(x[k])


@kernel()
def silu(x: Any, out: Any) -> None:
    """``x / (1 + exp(-x))``."""
    for k in range(out.shape[0]):
        out[k] = x[k] * sigmoid_f4(x[k])


@kernel()
def softplus(x: Any, out: Any, beta: Any, threshold: Any) -> None:
    """``log(1 + exp(beta x)) / beta``; x where ``beta x`` is above a threshold."""
    for k in range(out.shape[0]):
        out[k] = select(x[k] * beta > threshold, x[k], softplus_f4(x[k] * beta) / beta)


@kernel()
def elu(x: Any, out: Any, scale: Any, below: Any, rate: Any) -> None:
    """``scale x`` above 0, ``below (exp(rate x) - 1)`` elsewhere."""
    for k in range(out.shape[0]):
        out[k] = select(x[k] > f4(0.0), x[k] * scale, expm1_f4(x[k] * rate) * below)


@kernel()
def elu_back(g: Any, x: Any, out: Any, scale: Any, below: Any, rate: Any) -> None:
    """The gradient g times the derivative of :func:`elu`."""
    for k in range(out.shape[0]):
        out[k] = g[k] * select(x[k] <= f4(0.0), exp_f4(x[k] * rate) * (below * rate), scale)


@kernel()
def erf_back(g: Any, x: Any, out: Any) -> None:
    """The gradient g times the derivative of the error function."""
    for k in range(out.shape[0]):
        out[k] = g[k] * erf_slope_f4(x[k])


@kernel()
def normal_share_back(g: Any, x: Any, out: Any) -> None:
    """The gradient g times the density of the normal distribution."""
    for k in range(out.shape[0]):
        out[k] = g[k] * normal_density_f4(x[k])


@kernel()
def gelu_back(g: Any, x: Any, out: Any) -> None:
    """The gradient g times the derivative of ``x Φ(x)``."""
    for k in range(out.shape[0]):
        out[k] = g[k] * gelu_slope_f4(x[k])


@kernel()
def gelu_tanh_back(g: Any, x: Any, out: Any) -> None:
    """The gradient g times the derivative of ``x Φ(x)`` by way of tanh."""
    for k in range(out.shape[0]):
        out[k] = g[k] * gelu_tanh_slope_f4(x[k])


@kernel(fastmath=_CONTRACT)
def sigmoid_back(g: Any, y: Any, out: Any) -> None:
    """The gradient g times the derivative of the logistic function, of which y was the result."""
    for k in range(out.shape[0]):
        out[k] = g[k] * ((f4(1.0) - y[k]) * y[k])


@kernel()
def tanh_back(g: Any, y: Any, out: Any) -> None:
    """The gradient g times the derivative of tanh, of which y was the result."""
    for k in range(out.shape[0]):
        out[k] = g[k] * (f4(1.0) - y[k] * y[k])


@kernel(fastmath=_CONTRACT)
def silu_back(g: Any, x: Any, out: Any) -> None:
    """The gradient g times the derivative of ``x / (1 + exp(-x))``."""
    for k in range(out.shape[0]):
        y = sigmoid_f4(x[k])
        out[k] = g[k] * (y * (x[k] * (f4(1.0) - y) + f4(1.0)))


@kernel()
def softplus_back(g: Any, x: Any, out: Any, beta: Any, threshold: Any) -> None:
    """The gradient g times the derivative of :func:`softplus`."""
    for k in range(out.shape[0]):
        out[k] = select(x[k] * beta > threshold, g[k], g[k] * sigmoid_f4(x[k] * beta))


def mapped(kernel: Callable[..., None], arrays: tuple[Any, ...], numbers: tuple[Any, ...]) -> Any:
    """Return the results of a kernel in the order of memory of the last array, as NumPy's functions do, or None.

    None where that array leaves gaps in memory.
    """
    model = arrays[-1]
    out = np.empty_like(model)
    if out.strides != model.strides:
        return None
    to = out.ravel(order="K")
    if not np.may_share_memory(to, out):
        return None
    if model.flags.c_contiguous:
        lines = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    elif all(a.strides == model.strides for a in arrays):
        lines = [a.ravel(order="K") for a in arrays]
    else:
        return None
    values = [f4(number) for number in numbers]

    def work(start: int, stop: int) -> None:
        kernel(*[a[start:stop] for a in lines], to[start:stop], *values)

    work(0, 0)  # compiles before threads start
    share_parts(work, model.size, _WORK * model.size)
    return out
