"""Normalisations: over the batch, over layers, groups and instances, by the root mean square, over neighbours.

All are compositions: centred, divided by a standard deviation, then scaled and shifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.modes import current, enter
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, one_dim
from .inplace import copy_
from .linalg_norms import vector_norm
from .padding import pad
from .pool import avg_pool2d, avg_pool3d

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm",
]  # fmt: skip


def _floating(input: Any, who: str) -> Any:
    x = as_tensor(input)
    if x._data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {x.dtype}.")
    return x


def _standardized(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """Return x centred and divided by √(variance + eps) over `axes`, with the mean and the (biased) variance."""
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    var = (centred * centred).mean(axes, keepdim=True)
    return centred * (var + eps).rsqrt(), mean, var


def _channelwise(v: Any, ndim: int) -> Any:
    """Return a value per channel in a shape that broadcasts over [N, C, *]."""
    return as_tensor(v).reshape((1, -1) + (1,) * (ndim - 2))  # type: ignore[attr-defined]


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _moved(running: Any, new: Any, momentum: float) -> None:
    """Move a running statistic towards a new value, outside the graph."""
    outer = current()
    enter(outer.with_grad(False))
    try:
        copy_(running, running * (1 - momentum) + new.detach().reshape(running.shape) * momentum)
    finally:
        enter(outer)


def _of_channels(v: Any, channels: int, name: str, who: str) -> None:
    if v is not None and as_tensor(v)._data.size != channels:
        raise ShapeError(f"{who}: {name} must have {channels} elements, got shape {as_tensor(v)._data.shape}.")


class _TooFew(ArgumentError, RuntimeError):
    """Nothing to estimate a variance from: PyTorch raises ValueError."""


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of [N, C, *] centred and scaled to variance 1, then times `weight` plus `bias` (Ioffe, Szegedy 2015).

    In training by the batch's own mean and biased variance, which also move the running ones (the variance unbiased);
    otherwise by the running ones.
    """
    x = _floating(input, "batch_norm")
    if x._data.shape == (0,):
        return x
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: at least 2 dims are required, got shape {x._data.shape}.")
    shape = x._data.shape
    if training and shape[0] * prod(shape[2:]) == 1:
        raise _TooFew(f"batch_norm: more than one value per channel is required in training, got shape {shape}.")
    if x._data.size == 0:  # the statistics stay as they are
        first: list[Any] = [None if v is None else as_tensor(v)[0] for v in (weight, bias)]  # type: ignore[index]
        return _scaled(x.clone(), *first)  # type: ignore[no-any-return]
    for name, v in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        _of_channels(v, shape[1], name, "batch_norm")
    axes = (0, *range(2, x.ndim))
    if training:
        n = x._data.size // shape[1]
        out, mean, var = _standardized(x, axes, eps)
        if running_mean is not None:
            _moved(running_mean, mean, momentum)
        if running_var is not None:
            _moved(running_var, var * (n / max(n - 1, 1)), momentum)
    else:
        if running_mean is None or running_var is None:
            raise _NoStatistics("batch_norm: running_mean and running_var are required outside training, got None.")
        scale = (_channelwise(running_var, x.ndim) + eps).rsqrt()
        out = (x - _channelwise(running_mean, x.ndim)) * scale
    w, b = (None if v is None else _channelwise(v, x.ndim) for v in (weight, bias))
    return _scaled(out, w, b)  # type: ignore[no-any-return]


class _NoStatistics(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample of [N, C, *] centred and scaled to variance 1 (Ulyanov et al. 2016)."""
    x = _floating(input, "instance_norm")
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    shape = x._data.shape
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: at least 3 dims are required, got shape {shape}.")
    n = int(np.prod(shape[2:]))
    if n == 1:
        raise _TooFew(f"instance_norm: more than one value per channel is required in training, got shape {shape}.")
    out, mean, var = _standardized(x, tuple(range(2, x.ndim)), eps)
    if running_mean is not None:
        _moved(running_mean, mean.mean(0), momentum)
    if running_var is not None:
        _moved(running_var, var.mean(0) * (n / max(n - 1, 1)), momentum)
    w, b = (None if v is None else _channelwise(v, x.ndim) for v in (weight, bias))
    return _scaled(out, w, b)  # type: ignore[no-any-return]


def _last_dims(x: Any, normalized_shape: Sequence[int], who: str, **affine: Any) -> tuple[int, ...]:
    """Check that the last dims are `normalized_shape`; return them as axes."""
    wanted = tuple(normalized_shape)
    shape = x._data.shape
    if not wanted or shape[len(shape) - len(wanted) :] != wanted or len(wanted) > len(shape):
        raise ShapeError(f"{who}: an input whose last dims are {wanted} is required, got shape {shape}.")
    for name, v in affine.items():
        if v is not None and as_tensor(v)._data.shape != wanted:
            raise ShapeError(f"{who}: {name} must have shape {wanted}, got {as_tensor(v)._data.shape}.")
    return tuple(range(x.ndim - len(wanted), x.ndim))


def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """The last dims centred and scaled to variance 1, then times `weight` plus `bias` (Ba et al. 2016).

    >>> import thalweg as tw
    >>> tw.nn.functional.layer_norm(tw.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    x = _floating(input, "layer_norm")
    axes = _last_dims(x, normalized_shape, "layer_norm", weight=weight, bias=bias)
    return _scaled(_standardized(x, axes, eps)[0], weight, bias)  # type: ignore[no-any-return]


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
    """The last dims divided by their root mean square (Zhang, Sennrich 2019); `eps` defaults to the type's spacing at 1."""
    x = _floating(input, "rms_norm")
    axes = _last_dims(x, normalized_shape, "rms_norm", weight=weight)
    small = float(np.finfo(x._data.dtype).eps) if eps is None else eps
    return _scaled(x * ((x * x).mean(axes, keepdim=True) + small).rsqrt(), weight, None)  # type: ignore[no-any-return]


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Each of `num_groups` groups of channels of [N, C, *] centred and scaled to variance 1 (Wu, He 2018)."""
    x = _floating(input, "group_norm")
    shape = x._data.shape
    if x.ndim < 2:
        raise ShapeError(f"group_norm: at least 2 dims are required, got shape {shape}.")
    if num_groups < 1 or shape[1] % num_groups:
        raise _Groups(f"group_norm: num_groups must be > 0 and divide the {shape[1]} channels, got {num_groups}.")
    for name, v in (("weight", weight), ("bias", bias)):
        _of_channels(v, shape[1], name, "group_norm")
    each = prod((shape[1] // num_groups, *shape[2:]))
    if shape[0] * each == 1:
        raise _TooFew(f"group_norm: more than one value per group is required, got shape {shape}.")
    grouped = x.reshape(shape[0], num_groups, each)
    out = _standardized(grouped, (2,), eps)[0].reshape(*shape)
    w, b = (None if v is None else _channelwise(v, x.ndim) for v in (weight, bias))
    return _scaled(out, w, b)  # type: ignore[no-any-return]


class _Groups(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha * mean of x² over size neighbouring channels)^beta`` (Krizhevsky et al. 2012)."""
    x: Any = as_tensor(input)
    if x.ndim < 3:
        raise ShapeError(f"local_response_norm: at least 3 dims are required, got shape {x._data.shape}.")
    if x._data.size == 0:
        return x
    square = x * x
    shape = x._data.shape
    if x.ndim == 3:
        widths: tuple[int, ...] = (0, 0, size // 2, (size - 1) // 2)
        mean: Any = avg_pool2d(pad(square.unsqueeze(1), widths), (size, 1), stride=1).squeeze(1)  # type: ignore[attr-defined]
    else:
        widths = (0, 0, 0, 0, size // 2, (size - 1) // 2)
        deep = square.reshape(shape[0], 1, shape[1], shape[2], -1)
        mean = avg_pool3d(pad(deep, widths), (size, 1, 1), stride=1).squeeze(1).reshape(*shape)  # type: ignore[attr-defined]
    return x / (mean * alpha + k) ** beta  # type: ignore[no-any-return]


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """``x / max(‖x‖_p, eps)`` along `dim`."""
    x: Any = as_tensor(input)
    if isinstance(dim, int):
        one_dim(dim, x.ndim, "normalize")
    norm: Any = vector_norm(x, p, dim, True)
    return x / norm.clamp_min(eps)  # type: ignore[no-any-return]
