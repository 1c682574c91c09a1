"""Losses: how far predictions are from targets, reduced to one number, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor
from .arithmetic import gt, le, lt, ne, where
from .nll import nll_loss
from .pointwise import abs as _abs
from .pointwise import square
from .reduce import converted
from .softmax import log_softmax

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["cross_entropy", "huber_loss", "l1_loss", "legacy", "mse_loss", "nll_loss", "reduced", "smooth_l1_loss"]


def reduced(loss: Any, reduction: str, who: str) -> Any:
    """Return the loss summed, averaged, or as it is."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ArgumentError(f"{who}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")


def legacy(reduction: str, size_average: Any, reduce: Any) -> str:
    """Return the reduction that PyTorch's two older settings mean, where they are given."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


def _pair(input: Any, target: Any, who: str) -> tuple[Any, Any]:
    """Return input and target as tensors of one dtype; warn where their shapes only agree after broadcasting."""
    x, y = as_tensor(input), as_tensor(target)
    if x._data.shape != y._data.shape:
        import warnings

        import numpy as np

        try:
            np.broadcast_shapes(x._data.shape, y._data.shape)
        except ValueError:
            raise ShapeError(
                f"{who}: shapes that broadcast together are required, got {x._data.shape} and {y._data.shape}."
            ) from None
        warnings.warn(
            f"{who}: the target has shape {y._data.shape} and the input {x._data.shape}; they will be broadcast, which "
            "is rarely meant.",
            UserWarning,
            stacklevel=3,
        )
    if x._data.dtype != y._data.dtype:
        common = _dtype.promote(x._data, y._data)
        x, y = converted(x, common), converted(y, common)
    return x, y


def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Mean (or sum) of the squared differences.

    >>> import thalweg as tw
    >>> tw.nn.functional.mse_loss(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = legacy(reduction, size_average, reduce)
    x, y = _pair(input, target, "mse_loss")
    return _weighted(square(x - y), weight, reduction, "mse_loss")


def l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Tensor:
    """Mean (or sum) of the absolute differences."""
    reduction = legacy(reduction, size_average, reduce)
    x, y = _pair(input, target, "l1_loss")
    return _weighted(_abs(x - y), weight, reduction, "l1_loss")


def _within(d: Any, bound: float) -> Any:
    """Return differences, and 0 for those above the bound: 0 times the gradient of an infinite square would be NaN."""
    return where(gt(d, bound), 0.0, d)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    r"""Mean (or sum) of ``d² / (2 beta)`` where the difference \|d\| < beta, else ``|d| - beta / 2``."""
    reduction = legacy(reduction, size_average, reduce)
    if beta < 0:
        raise _Setting(f"smooth_l1_loss: beta must be a number >= 0, got {beta}.")
    x, y = _pair(input, target, "smooth_l1_loss")
    d = _abs(x - y)
    if beta == 0:
        return reduced(d, reduction, "smooth_l1_loss")
    loss: Any = where(lt(d, beta), square(_within(d, beta)) * (0.5 / beta), d - 0.5 * beta)
    return reduced(loss, reduction, "smooth_l1_loss")


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Tensor:
    r"""Mean (or sum) of ``d² / 2`` where the difference \|d\| <= delta, else ``delta (|d| - delta / 2)`` (Huber 1964)."""
    if delta <= 0:
        raise _Setting(f"huber_loss: delta must be a number > 0, got {delta}.")
    x, y = _pair(input, target, "huber_loss")
    d = _abs(x - y)
    loss: Any = where(le(d, delta), square(_within(d, delta)) * 0.5, (d - 0.5 * delta) * delta)
    return _weighted(loss, weight, reduction, "huber_loss")


class _Setting(ArgumentError, RuntimeError):
    """A setting out of range: PyTorch raises RuntimeError."""


def _weighted(loss: Any, weight: Any, reduction: str, who: str) -> Any:
    """Reduce a loss, its elements weighted where weights are given (the mean then divides by their sum)."""
    if weight is None:
        return reduced(loss, reduction, who)
    w = as_tensor(weight)
    if w._data.shape != loss._data.shape:
        raise ArgumentError(f"{who}: a weight of shape {loss._data.shape} is required, got {w._data.shape}.")
    loss = loss * w
    return loss.sum() / w.sum() if reduction == "mean" else reduced(loss, reduction, who)  # type: ignore[attr-defined]


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Negative log-likelihood of the softmax: `target` holds class indices [N, *], or probabilities [N, C, *].

    `weight` gives a weight per class; classes equal to `ignore_index` do not count; `label_smoothing` mixes the
    target with the uniform distribution.

    >>> import thalweg as tw
    >>> tw.nn.functional.cross_entropy(tw.zeros(1, 4), tw.tensor([2]))
    tensor(1.3863)
    """
    reduction = legacy(reduction, size_average, reduce)
    x, y = as_tensor(input), as_tensor(target)
    if not 0 <= label_smoothing <= 1:
        raise _Setting(f"cross_entropy: label_smoothing must lie in [0, 1], got {label_smoothing}.")
    if x.ndim == 0:
        raise ShapeError("cross_entropy: at least one dim (the classes) is required, got a 0-d input.")
    axis = 0 if x.ndim == 1 else 1
    logp = log_softmax(x, axis)
    if y._data.shape == x._data.shape and (y._data.dtype.kind == "f" or x.ndim == y.ndim):
        return _soft_targets(logp, y, axis, weight, reduction, label_smoothing)
    loss = nll_loss(logp, y, weight, ignore_index=ignore_index, reduction=reduction)
    if label_smoothing == 0:
        return loss
    return loss * (1 - label_smoothing) + _uniform_part(logp, y, axis, weight, ignore_index, reduction) * (
        label_smoothing / x._data.shape[axis]
    )


def _per_class(weight: Any, ndim: int, axis: int) -> Any:
    w = as_tensor(weight)
    return w.reshape((1,) * axis + (-1,) + (1,) * (ndim - axis - 1))  # type: ignore[attr-defined]


def _soft_targets(logp: Any, y: TensorBase, axis: int, weight: Any, reduction: str, smoothing: float) -> Any:
    if y._data.dtype.kind != "f":
        raise DTypeError(f"cross_entropy: probabilities must be floating-point, got {y.dtype}.")
    n = logp._data.shape[axis]
    target: Any = y
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / n
    terms = logp * target
    if weight is not None:
        terms = terms * _per_class(weight, logp.ndim, axis)
    loss = -terms.sum(axis)
    if reduction == "mean":
        return loss.sum() / max(logp._data.size // max(n, 1), 1) if logp._data.size else loss.sum() / 0.0
    return reduced(loss, reduction, "cross_entropy")


def _uniform_part(logp: Any, y: TensorBase, axis: int, weight: Any, ignore_index: int, reduction: str) -> Any:
    """The loss against the uniform distribution, without the ignored elements."""
    counted: Any = converted(ne(y, ignore_index), logp.dtype)
    terms = logp if weight is None else logp * _per_class(weight, logp.ndim, axis)
    loss = -terms.sum(axis) * counted
    if reduction != "mean":
        return reduced(loss, reduction, "cross_entropy")
    if weight is None:
        return loss.sum() / counted.sum()
    from .nll import picked_weight

    return loss.sum() / picked_weight(as_tensor(weight), y, ignore_index).sum()
