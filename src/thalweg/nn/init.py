"""Starting values: each function fills a tensor in place, outside the graph, and returns it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.inplace import bump
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops.random import Generator, default_generator

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def _fill(tensor: Any, values: Any) -> Any:
    """Write values into the tensor's memory, unseen by the graph but counted as a write."""
    if not isinstance(tensor, TensorBase):
        raise DTypeError(f"init: a tensor is required, got {type(tensor).__name__}.")
    np.copyto(tensor._data, values, casting="unsafe")
    bump(tensor)
    return tensor


def _source(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).numpy()


def _uniform(tensor: Any, a: float, b: float, generator: Generator | None) -> Any:
    draws = _source(generator).random(
        tensor._data.shape, np.float32 if tensor._data.dtype == np.float32 else np.float64
    )
    draws *= b - a
    draws += a
    return _fill(tensor, draws)


def _normal(tensor: Any, mean: float, std: float, generator: Generator | None) -> Any:
    kind = np.float32 if tensor._data.dtype == np.float32 else np.float64
    draws = _source(generator).standard_normal(tensor._data.shape, kind)
    draws *= std
    draws += mean
    return _fill(tensor, draws)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity's layer scales its start, so that the variance stays (He et al. 2015).

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    linear = (
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "sigmoid",
    )
    if nonlinearity in linear:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise ArgumentError(f"calculate_gain: the negative slope must be a number, got {param!r}.")
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3.0 / 4
    names = ", ".join((*linear, "tanh", "relu", "leaky_relu", "selu"))
    raise ArgumentError(f"calculate_gain: nonlinearity must be one of {names}, got {nonlinearity!r}.")


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Any:
    """Fill with numbers uniform on [a, b)."""
    if a > b:
        raise _BadBounds(f"uniform_: a <= b is required, got {a} and {b}.")
    return _uniform(tensor, a, b, generator)


class _BadBounds(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Any:
    """Fill with numbers from N(mean, std²)."""
    if std < 0:
        raise _BadBounds(f"normal_: std >= 0 is required, got {std}.")
    return _normal(tensor, mean, std, generator)


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Any:
    """Fill with numbers from N(mean, std²) given that they lie in [a, b], by the inverse distribution function."""
    from scipy.special import ndtr, ndtri

    low, high = ndtr((a - mean) / std), ndtr((b - mean) / std)
    draws = ndtri(low + (high - low) * _source(generator).random(tensor._data.shape)) * std + mean
    return _fill(tensor, np.clip(draws, a, b))


def constant_(tensor: Any, val: float) -> Any:
    """Fill with one value."""
    return _fill(tensor, val)


def ones_(tensor: Any) -> Any:
    """Fill with ones."""
    return _fill(tensor, 1)


def zeros_(tensor: Any) -> Any:
    """Fill with zeros."""
    return _fill(tensor, 0)


def eye_(tensor: Any) -> Any:
    """Fill a matrix with the identity."""
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: a matrix is required, got shape {tensor._data.shape}.")
    return _fill(tensor, np.eye(*tensor._data.shape))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Fill a convolution's weight so that it passes its input channels through."""
    shape = tensor._data.shape
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: a weight of 3, 4 or 5 dims is required, got shape {shape}.")
    if shape[0] % groups:
        raise ArgumentError(f"dirac_: the {shape[0]} output channels must be divisible by groups, got {groups}.")
    values = np.zeros(shape)
    per_group = shape[0] // groups
    centre = tuple(k // 2 for k in shape[2:])
    for start in range(0, shape[0], per_group):
        for c in range(min(per_group, shape[1])):
            values[(start + c, c, *centre)] = 1
    return _fill(tensor, values)


def _fans(tensor: Any, who: str = "init") -> tuple[int, int]:
    """Return how many inputs reach an output, and how many outputs an input reaches."""
    shape = tensor._data.shape
    if len(shape) < 2:
        raise ShapeError(f"{who}: at least 2 dims are required to count fan in and fan out, got shape {shape}.")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Fill uniformly on ±gain √(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    a = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_fans(tensor, "xavier_uniform_")))
    return _uniform(tensor, -a, a, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Fill from N(0, gain² 2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return _normal(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor, "xavier_normal_"))), generator)


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str, who: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{who}: mode must be 'fan_in' or 'fan_out', got {mode!r}.")
    fan = _fans(tensor, who)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Fill uniformly on ±gain √(3 / fan) (He et al. 2015); `a` is the leaky ReLU's negative slope."""
    if tensor._data.size == 0:
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return _uniform(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Fill from N(0, gain² / fan) (He et al. 2015)."""
    if tensor._data.size == 0:
        return tensor
    return _normal(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Generator | None = None) -> Any:
    """Fill with a random matrix with orthonormal rows or columns, uniformly distributed (Saxe et al. 2013)."""
    shape = tensor._data.shape
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: at least 2 dims are required, got shape {shape}.")
    if tensor._data.size == 0:
        return tensor
    rows, cols = shape[0], math.prod(shape[1:])
    flat = _source(generator).standard_normal((max(rows, cols), min(rows, cols)))
    q, r = np.linalg.qr(flat)
    q *= np.sign(np.diag(r))  # makes the distribution uniform
    return _fill(tensor, gain * (q.T if rows < cols else q).reshape(shape))


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Any:
    """Fill a matrix from N(0, std²), a fraction `sparsity` of each column zero (Martens 2010)."""
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: a matrix is required, got shape {tensor._data.shape}.")
    rows, cols = tensor._data.shape
    source = _source(generator)
    values = source.standard_normal((rows, cols)) * std
    for column in range(cols):
        values[source.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values)
