"""Losses that are negative log-likelihoods, or divergences, of a distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..errors import ArgumentError, ShapeError
from ._coerce import as_tensor
from ._elementwise import Elementwise, apply, elementwise
from .activations import logsigmoid
from .arithmetic import _log, _maximum, where
from .combine import xlogy
from .losses import legacy, reduced
from .pointwise import exp, log
from .reduce import converted

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div", "poisson_nll_loss",
]  # fmt: skip


class _Value(ArgumentError, RuntimeError):
    """A value out of range: PyTorch raises RuntimeError."""


def _bce_forward(x: Any, y: Any) -> Any:
    return -(y * np.maximum(np.log(x), -100) + (1 - y) * np.maximum(np.log1p(-x), -100))


# A primitive: logarithms are bounded by -100 and the derivative's divisor from 0, so that 0 and 1 give finite numbers.
_bce: Elementwise = elementwise(
    "binary_cross_entropy",
    _bce_forward,
    [
        lambda g, x, y: g * ((x - y) / _maximum(x * (1 - x), 1e-12)),
        lambda g, x: g * (_log(1 - x) - _log(x)),
    ],
    kernel="-({1} * maximum(math.log({0}), -100) + (1 - {1}) * maximum(math.log1p(-{0}), -100))",
    kind="keep",
)


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(y log x + (1 - y) log(1 - x))`` for probabilities x in [0, 1]; logarithms are taken as at least -100."""
    reduction = legacy(reduction, size_average, reduce)
    x, y = as_tensor(input), as_tensor(target)
    if x._data.shape != y._data.shape:
        raise ShapeError(f"binary_cross_entropy: a target of shape {x._data.shape} is required, got {y._data.shape}.")
    if x._data.dtype != y._data.dtype:
        raise _Value(f"binary_cross_entropy: tensors of one dtype are required, got {x.dtype} and {y.dtype}.")
    if x._data.size and not (x._data.min() >= 0 and x._data.max() <= 1):
        raise _Value(
            "binary_cross_entropy: all elements of the input must lie in [0, 1]; for logits use the _with_logits form."
        )
    loss: Any = apply(_bce, (x, y))
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(x)``, without overflow; `pos_weight` multiplies the first term.

    >>> import thalweg as tw
    >>> tw.nn.functional.binary_cross_entropy_with_logits(tw.tensor([0.0]), tw.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = legacy(reduction, size_average, reduce)
    x, y = as_tensor(input), as_tensor(target)
    if x._data.shape != y._data.shape:
        raise ShapeError(
            f"binary_cross_entropy_with_logits: a target of shape {x._data.shape} is required, got {y._data.shape}."
        )
    z, t = _one_type(x, y)
    below = -logsigmoid(z)  # type: ignore[operator]
    loss = (1 - t) * z + (below if pos_weight is None else (t * (as_tensor(pos_weight) - 1) + 1) * below)  # type: ignore[operator]
    if weight is not None:
        loss = loss * weight
    return reduced(loss, reduction, "binary_cross_entropy_with_logits")


def _one_type(x: Any, y: Any) -> tuple[Any, Any]:
    common = _dtype.promote(x._data, y._data)
    return converted(x, common), converted(y, common)


def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Divergence ``y (log y - x)`` of the target y from the distribution with logarithms x.

    ``reduction='batchmean'`` divides the sum by the size of dim 0, which is the divergence's definition; ``'mean'`` divides
    by all elements. With `log_target` the target holds logarithms too.
    """
    import warnings

    reduction = legacy(reduction, size_average, reduce)
    x, y = _one_type(as_tensor(input), as_tensor(target))
    loss = exp(y) * (y - x) if log_target else xlogy(y, y) - y * x
    if reduction == "batchmean":
        return loss.sum() / x._data.shape[0] if x.ndim else loss.sum()
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction='mean' divides by all elements, which is not the divergence of the distributions; "
            "reduction='batchmean' is.",
            UserWarning,
            stacklevel=2,
        )
    return reduced(loss, reduction, "kl_div")


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``exp(x) - y x`` (or, without `log_input`, ``x - y log(x + eps)``) for counts y with Poisson rate exp(x) (or x).

    `full` adds Stirling's approximation of ``log y!`` where y > 1.
    """
    reduction = legacy(reduction, size_average, reduce)
    x, y = _one_type(as_tensor(input), as_tensor(target))
    loss = exp(x) - y * x if log_input else x - y * log(x + eps)
    if full:
        stirling = y * log(y) - y + log(y * (2 * math.pi)) * 0.5
        loss = loss + where(y > 1, stirling, 0.0)
    return reduced(loss, reduction, "poisson_nll_loss")


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """``(log v + (x - y)² / v) / 2`` for targets y from N(x, v); v is taken as at least `eps`, through which the gradient passes.

    `var` has the input's shape, or 1 in the last dim, or lacks the last dim, or is a number. `full` adds ``log(2π) / 2``.
    """
    x, y = _one_type(as_tensor(input), as_tensor(target))
    v: Any = as_tensor(var)
    if v.ndim == 0:
        v = v.expand(*x._data.shape) if x.ndim else v
    if v._data.dtype != x._data.dtype:
        v = converted(v, x.dtype)
    a, b = x._data.shape, v._data.shape
    if b != a:
        if a[:-1] == b:
            v = v.unsqueeze(-1)
        elif not (len(a) == len(b) and a[:-1] == b[:-1] and b[-1] == 1):
            raise _Shape(
                f"gaussian_nll_loss: a variance of shape {a}, {a[:-1]} or {(*a[:-1], 1)} is required, got {b}."
            )
    if v._data.size and v._data.min() < 0:
        raise _Shape(f"gaussian_nll_loss: variances >= 0 are required, got {v._data.min()}.")
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"gaussian_nll_loss: reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")
    plain = v.detach()
    v = v + (plain.clamp_min(eps) - plain)
    loss = (log(v) + (x - y) * (x - y) / v) * 0.5
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction, "gaussian_nll_loss")


class _Shape(ShapeError):
    """PyTorch raises ValueError here."""
