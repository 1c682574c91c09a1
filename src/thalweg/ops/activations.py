"""Activation functions, element by element (`thalweg.nn.functional`).

Their derivatives at the kinks are PyTorch's: from the left for leaky_relu, elu and threshold, 0 at both ends of
hardtanh, relu6, hardsigmoid and the shrinking functions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import check_write, write
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError, ThalwegError
from . import _kernels
from ._coerce import as_tensor, one_dim
from ._elementwise import Elementwise, apply, binary, choose, elementwise, unary
from ._kernels import mapped
from .arithmetic import _where
from .pointwise import _exp, _expm1, _sigmoid, _tanh
from .pointwise import relu as relu
from .pointwise import sigmoid as sigmoid
from .pointwise import tanh as tanh
from .special import _ndtr

if TYPE_CHECKING:
    from .random import Generator
    from .tensor import Tensor

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid",
    "mish", "prelu", "relu6", "rrelu", "selu", "silu", "softplus", "softshrink", "softsign", "tanhshrink",
    "threshold",
]  # fmt: skip


def _leaky_forward(x: Any, slope: float) -> Any:
    if not 0 <= slope <= 1:
        return choose(x > 0, x, x * slope)
    z = np.multiply(x, slope, out=np.empty_like(x))
    return np.maximum(x, z, out=z)


_leaky_relu: Elementwise = elementwise(
    "leaky_relu",
    _leaky_forward,
    [lambda g, x, slope: _where(x > 0, g, g * slope), None],
    kernel="({0} if {0} > 0 else {0} * {1})",
    kind="keep",
    least=2,
)
_prelu: Elementwise = elementwise(
    "prelu_kernel",
    lambda x, w: choose(x > 0, x, x * w),
    [lambda g, x, w: _where(x > 0, g, g * w), lambda g, x: _where(x > 0, 0.0, g * x)],
    kernel=_leaky_relu.kernel,
    kind="keep",
    least=2,
)


def _elu_forward(x: Any, alpha: float, scale: float, rate: float) -> Any:
    found = mapped("elu", x, numbers=(scale, alpha * scale, rate))
    if found is not None:
        return found
    return choose(x > 0, x * scale, _expm1.forward(x * rate) * (alpha * scale))


def _elu_rule(g: Any, x: Any, alpha: float, scale: float, rate: float) -> Any:
    found = mapped("elu_back", g, x, numbers=(scale, alpha * scale, rate))
    if found is not None:
        return found
    below = _exp(_where(x <= 0, x, 0.0) * rate) * (alpha * scale * rate)
    return _where(x <= 0, g * below, g * scale)  # NaN counts as above 0, as in PyTorch


_ELU = "({0} * {2} if {0} > 0 else math.expm1({0} * {3}) * ({1} * {2}))"
_elu: Elementwise = elementwise("elu", _elu_forward, [_elu_rule, None, None, None], kernel=_ELU, kind="keep", least=2)
_celu: Elementwise = elementwise("celu", _elu_forward, _elu.vjps, kernel=_ELU, kind="keep", least=2)


def _gelu_forward(x: Any) -> Any:
    found = mapped("gelu", x)
    return x * _ndtr.forward(x) if found is None else found


def _gelu_rule(g: Any, x: Any) -> Any:
    found = mapped("gelu_back", g, x)
    if found is not None:
        return found
    return g * (_ndtr(x) + x * (_exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))))


_gelu: Elementwise = elementwise(
    "gelu",
    _gelu_forward,
    [_gelu_rule],
    kernel="{0} * 0.5 * math.erfc({0} * -0.7071067811865476)",
    kind="keep",
    least=2,
)
_ROOT = math.sqrt(8 / math.pi)  # (1 + tanh(u / 2)) / 2 is the logistic function of u, which is exact where it is small


def _gelu_tanh_forward(x: Any) -> Any:
    found = mapped("gelu_tanh", x)
    return x * _sigmoid.forward((x + x * x * x * 0.044715) * _ROOT) if found is None else found


def _gelu_tanh_rule(g: Any, x: Any) -> Any:
    found = mapped("gelu_tanh_back", g, x)
    if found is not None:
        return found
    s = _sigmoid((x + x * x * x * 0.044715) * _ROOT)
    return g * (s * (x * (1 - s) * ((x * x * (3 * 0.044715) + 1) * _ROOT) + 1))


_gelu_tanh: Elementwise = elementwise(
    "gelu",
    _gelu_tanh_forward,
    [_gelu_tanh_rule],
    kernel="{0} / (1 + math.exp(({0} + {0} * {0} * {0} * 0.044715) * -1.5957691216057308))",
    kind="keep",
    least=2,
)


def _silu_forward(x: Any) -> Any:
    found = mapped("silu", x)
    return x * _sigmoid.forward(x) if found is None else found


def _silu_rule(g: Any, x: Any) -> Any:
    found = mapped("silu_back", g, x)
    if found is not None:
        return found
    s = _sigmoid(x)
    return g * (s * (x * (1 - s) + 1))


_silu: Elementwise = elementwise(
    "silu",
    _silu_forward,
    [_silu_rule],
    kernel="{0} / (1 + math.exp(-{0}))",
    kind="keep",
    least=2,
)


def _softplus_forward(x: Any, beta: float, threshold: float) -> Any:
    found = mapped("softplus", x, numbers=(beta, threshold))
    if found is not None:
        return found
    z = x * beta
    return choose(z > threshold, x, np.log1p(np.exp(z)) / beta)


def _softplus_rule(g: Any, x: Any, beta: float, threshold: float) -> Any:
    found = mapped("softplus_back", g, x, numbers=(beta, threshold))
    return _where(x * beta > threshold, g, g * _sigmoid(x * beta)) if found is None else found


_softplus: Elementwise = elementwise(
    "softplus",
    _softplus_forward,
    [_softplus_rule, None, None],
    kernel="({0} if {0} * {1} > {2} else math.log1p(math.exp({0} * {1})) / {1})",
    kind="keep",
    least=2,
)


def _mish_forward(x: Any) -> Any:
    found = mapped("softplus", x, numbers=(1.0, math.inf))
    return x * (np.tanh(np.logaddexp(x, 0)) if found is None else _tanh.forward(found))


def _mish_rule(g: Any, x: Any) -> Any:
    t = _tanh(_softplus(x, 1.0, 20.0))
    return g * (t + x * (_sigmoid(x) * (1 - t * t)))


_mish: Elementwise = elementwise(
    "mish",
    _mish_forward,
    [_mish_rule],
    kernel="{0} * math.tanh(maximum({0}, 0) + math.log1p(math.exp(-abs({0}))))",
    kind="keep",
    least=2,
)


def _logsigmoid_forward(x: Any) -> Any:
    found = mapped("softplus", np.negative(x), numbers=(1.0, math.inf)) if x.size >= _kernels.ENOUGH else None
    if found is not None:
        return np.negative(found, out=found)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


_logsigmoid: Elementwise = elementwise(
    "log_sigmoid",
    _logsigmoid_forward,
    [lambda g, x: g * _sigmoid(-x)],
    kernel="minimum({0}, 0) - math.log1p(math.exp(-abs({0})))",
    kind="keep",
    least=2,
)
_hardtanh: Elementwise = elementwise(
    "hardtanh",
    lambda x, low, high: np.minimum(np.maximum(x, low), high),
    [lambda g, x, low, high: _where((x <= low) | (x >= high), 0.0, g), None, None],
    kernel="minimum(maximum({0}, {1}), {2})",
    kind="keep",
    least=1,
)
_hardsigmoid: Elementwise = elementwise(
    "hardsigmoid",
    lambda x: np.minimum(np.maximum(x + 3, 0), 6) / 6,
    [lambda g, x: _where((x > -3) & (x < 3), g * (1 / 6), 0.0)],
    kernel="minimum(maximum({0} + 3, 0), 6) / 6",
    kind="keep",
    least=2,
)
_hardswish: Elementwise = elementwise(
    "hardswish",
    lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    [lambda g, x: _where(x <= -3, 0.0, _where(x < 3, g * (x * (1 / 3) + 0.5), g))],
    kernel="{0} * minimum(maximum({0} + 3, 0), 6) / 6",
    kind="keep",
    least=2,
)
_hardshrink: Elementwise = elementwise(
    "hardshrink",
    lambda x, l: choose((x >= -l) & (x <= l), 0, x),  # noqa: E741  (the λ of its definition)
    [lambda g, x, l: _where((x >= -l) & (x <= l), 0.0, g), None],  # noqa: E741
    kernel="(0 if {0} >= -{1} and {0} <= {1} else {0})",
    kind="keep",
    least=2,
)
_softshrink: Elementwise = elementwise(
    "softshrink",
    lambda x, l: choose(x > l, x - l, choose(x < -l, x + l, x * 0)),  # noqa: E741
    [lambda g, x, l: _where((x >= -l) & (x <= l), 0.0, g), None],  # noqa: E741
    kernel="({0} - {1} if {0} > {1} else {0} + {1} if {0} < -{1} else {0} * 0)",
    kind="keep",
    least=2,
)
_threshold: Elementwise = elementwise(
    "threshold",
    lambda x, t, value: choose(x <= t, x.dtype.type(value), x),
    [lambda g, x, t, value: _where(x <= t, 0.0, g), None, None],
    kernel="({2} if {0} <= {1} else {0})",
    kind="keep",
    least=1,
)


def _finish(input: TensorBase, result: Any, inplace: bool, who: str) -> Tensor:
    """Return the result, written into the input if asked for."""
    if not inplace:
        return result
    check_write(input)
    return write(input, result, who)


def relu6(input: Any, inplace: bool = False) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Each x above 0, `negative_slope` times x below.

    >>> import thalweg as tw
    >>> tw.nn.functional.leaky_relu(tw.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    x = as_tensor(input)
    return _finish(x, binary(_leaky_relu, x, negative_slope), inplace, "leaky_relu_")


def prelu(input: Any, weight: Any) -> Tensor:
    """Each x above 0, `weight` times x below; one weight, or one for each channel (dim 1)."""
    x, w = as_tensor(input), as_tensor(weight)
    if x._data.dtype != w._data.dtype:
        raise DTypeError(f"prelu: input and weight of one type are required, got {x.dtype} and {w.dtype}.")
    if w.ndim > 1:
        raise ShapeError(f"prelu: a weight of at most one dim is required, got shape {w._data.shape}.")
    if w._data.size != 1:
        channels = x._data.shape[1] if x.ndim > 1 else 1
        if x.ndim == 0 or w._data.size != channels:
            raise ShapeError(
                f"prelu: one weight or {channels} (one for each channel) are required, got {w._data.size}."
            )
        w = w.reshape((-1,) + (1,) * (x.ndim - 2))  # type: ignore[attr-defined]
    elif w.ndim > x.ndim:
        w = w.reshape(())  # type: ignore[attr-defined]
    return apply(_prelu, (x, w))


def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Each x above 0, a random slope from [`lower`, `upper`) times x below; their mean when not training."""
    if lower > upper:
        raise _BadBounds(f"rrelu: lower <= upper is required, got {lower} and {upper}.")
    x = as_tensor(input)
    if not training:
        return leaky_relu(x, (lower + upper) / 2, inplace)
    from .random import rand_like

    slopes = rand_like(x, generator=generator) * (upper - lower) + lower
    return _finish(x, apply(_prelu, (x, slopes)), inplace, "rrelu_")


class _BadBounds(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Each x above 0, ``alpha * (exp(x) - 1)`` below (Clevert et al. 2015)."""
    x = as_tensor(input)
    return _finish(x, apply(_elu, (x, float(alpha), 1.0, 1.0)), inplace, "elu_")


def selu(input: Any, inplace: bool = False) -> Tensor:
    """Scaled elu that keeps mean 0 and variance 1 through layers (Klambauer et al. 2017)."""
    x = as_tensor(input)
    return _finish(x, apply(_elu, (x, 1.6732632423543772, 1.0507009873554805, 1.0)), inplace, "selu_")


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)`` (Barron 2017)."""
    if alpha == 0:
        raise _ZeroAlpha("celu: alpha must be a number other than 0.")
    x = as_tensor(input)
    return _finish(x, apply(_celu, (x, float(alpha), 1.0, 1.0 / alpha)), inplace, "celu_")


class _ZeroAlpha(ThalwegError, ZeroDivisionError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """``x Φ(x)`` with Φ the normal distribution function, or its approximation ``"tanh"`` (Hendrycks, Gimpel 2016)."""
    if approximate not in ("none", "tanh"):
        raise _BadBounds(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}.")
    return unary(_gelu if approximate == "none" else _gelu_tanh, as_tensor(input))


def silu(input: Any, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    x = as_tensor(input)
    return _finish(x, unary(_silu, x), inplace, "silu_")


def mish(input: Any, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))`` (Misra 2019)."""
    x = as_tensor(input)
    return _finish(x, unary(_mish, x), inplace, "mish_")


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta x)) / beta``, and x where ``beta x > threshold``."""
    return apply(_softplus, (as_tensor(input), float(beta), float(threshold)))


def softsign(input: Any) -> Tensor:
    """``x / (1 + |x|)``."""
    x: Any = as_tensor(input)
    return x / (abs(x) + 1)


def logsigmoid(input: Any) -> Tensor:
    """Logarithm of the logistic function, without overflow."""
    return unary(_logsigmoid, as_tensor(input))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Each x kept within [`min_val`, `max_val`]; the derivative at both ends is 0."""
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val <= max_val is required, got {min_val} and {max_val}.")
    x = as_tensor(input)
    low, high = (min_val, max_val) if x._data.dtype.kind == "f" else (int(min_val), int(max_val))
    return _finish(x, apply(_hardtanh, (x, low, high)), inplace, "hardtanh_")


def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``."""
    x = as_tensor(input)
    return _finish(x, unary(_hardsigmoid, x), inplace, "hardsigmoid_")


def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6`` (Howard et al. 2019)."""
    x = as_tensor(input)
    return _finish(x, unary(_hardswish, x), inplace, "hardswish_")


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """0 within [-`lambd`, `lambd`], x outside."""
    return binary(_hardshrink, as_tensor(input), float(lambd))


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """Each x moved by `lambd` towards 0, and 0 within [-`lambd`, `lambd`]."""
    if lambd < 0:
        raise _BadBounds(f"softshrink: lambd must be a number >= 0, got {lambd}.")
    return binary(_softshrink, as_tensor(input), float(lambd))


def tanhshrink(input: Any) -> Tensor:
    """``x - tanh(x)``."""
    x: Any = as_tensor(input)
    return x - unary(_tanh, x)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Each x above `threshold`, else `value`."""
    x = as_tensor(input)
    return _finish(x, apply(_threshold, (x, threshold, value)), inplace, "threshold_")


def glu(input: Any, dim: int = -1) -> Tensor:
    """First half along `dim` times the logistic function of the second half (Dauphin et al. 2016)."""
    from .index import getitem

    x = as_tensor(input)
    if x.ndim == 0:
        raise ShapeError("glu: a dim of even size is required, got a 0-d tensor.")
    k = one_dim(dim, x.ndim, "glu")
    n = x._data.shape[k]
    if n % 2:
        raise ShapeError(f"glu: a dim of even size is required, got size {n} in dim {k}.")
    before = (slice(None),) * k
    first, second = getitem(x, (*before, slice(0, n // 2))), getitem(x, (*before, slice(n // 2, n)))
    return first * unary(_sigmoid, second)
