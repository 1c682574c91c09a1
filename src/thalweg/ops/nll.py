"""The negative log-likelihood of given classes.

A primitive, because the classes must be an input that a compiler sees, and picking one element per row needs no
intermediate array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["nll_loss"]


class _ClassOutside(ArgumentError, IndexError):
    """A class index out of range: PyTorch raises IndexError."""


def _chosen(target: Any, classes: int, ignore: int) -> tuple[Any, Any]:
    """Return the classes with ignored ones replaced by 0, and where they count (None: everywhere)."""
    ignored = target == ignore
    if ignored.any():
        target = np.where(ignored, 0, target)
        counts = ~ignored
    else:
        counts = None
    if target.size and (target.min() < 0 or target.max() >= classes):
        bad = target[(target < 0) | (target >= classes)].flat[0]
        raise _ClassOutside(f"nll_loss: class indices in [0, {classes - 1}] are required, got {bad}.")
    return target, counts


def _at(target: Any) -> tuple[Any, ...]:
    """Return the index that picks class ``target[n, …]`` from [N, C, …]."""
    if target.ndim == 1:
        return (np.arange(target.shape[0]), target)
    rows, *rest = np.indices(target.shape, sparse=True)
    return (rows, target, *rest)


def _weights(x: Any, target: Any, weight: Any, counts: Any) -> Any:
    """Return the weight of each element, or None where all are 1."""
    w = None if weight is None else weight[target]
    if counts is not None:
        w = counts.astype(x.dtype) if w is None else np.where(counts, w, x.dtype.type(0))
    return w


def _forward(x: Any, target: Any, weight: Any, reduction: str, ignore: int) -> Any:
    target, counts = _chosen(target, x.shape[1], ignore)
    loss = -x[_at(target)]
    w = _weights(x, target, weight, counts)
    if w is not None:
        loss *= w
        if counts is not None:
            loss = np.where(counts, loss, x.dtype.type(0))
    if reduction == "none":
        return loss
    total = loss.sum()
    if reduction == "sum":
        return total
    return total / (w.sum() if w is not None else x.dtype.type(target.size))


def _back_forward(g: Any, target: Any, weight: Any, shape: tuple[int, ...], reduction: str, ignore: int) -> Any:
    target, counts = _chosen(target, shape[1], ignore)
    out = np.zeros(shape, g.dtype)
    w = _weights(g, target, weight, counts)
    if reduction == "mean":
        g = g / (w.sum() if w is not None else g.dtype.type(target.size))
    out[_at(target)] = -g if w is None else -g * w
    return out


_nll: Primitive = Primitive(
    "nll_loss",
    lambda x, target, reduction, ignore: _forward(x, target, None, reduction, ignore),
    [
        lambda g, target, reduction, ignore, x_shape: _nll_back(g, target, x_shape, reduction, ignore),
        None,
    ],
    linear=True,
    arity=2,
)
_nll_back: Primitive = Primitive(
    "nll_loss_back",
    lambda g, target, shape, reduction, ignore: _back_forward(g, target, None, shape, reduction, ignore),
    [lambda g, target, reduction, ignore: _nll(g, target, reduction, ignore), None],
    linear=True,
    arity=2,
    backward="NllLossBackwardBackward0",
)
_nll_weighted: Primitive = Primitive(
    "nll_loss",
    _forward,
    [
        lambda g, target, weight, reduction, ignore, x_shape: _nll_weighted_back(
            g, target, weight, x_shape, reduction, ignore
        ),
        None,
        None,
    ],
    linear=True,
    arity=3,
)
_nll_weighted_back: Primitive = Primitive(
    "nll_loss_back",
    _back_forward,
    [lambda g, target, weight, reduction, ignore: _nll_weighted(g, target, weight, reduction, ignore), None, None],
    linear=True,
    arity=3,
    backward="NllLossBackwardBackward0",
)


def picked_weight(weight: TensorBase, target: TensorBase, ignore_index: int) -> Any:
    """Return the weight of each target's class, 0 where it is ignored."""
    classes, counts = _chosen(target._data, weight._data.shape[0], ignore_index)
    picked = weight[classes]  # type: ignore[index]
    return picked if counts is None else picked * TensorBase._wrap(counts)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the right class: input [N, C, *] (or [C]), target [N, *] (or none) of indices.

    The mean divides by the sum of the weights of the classes that occur. A class equal to `ignore_index` does not count.
    """
    from .losses import legacy

    reduction = legacy(reduction, size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"nll_loss: reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")
    x, y = as_tensor(input), as_tensor(target)
    a, b = x._data.shape, y._data.shape
    if x.ndim == 0 or (x.ndim == 1 and b not in ((), (1,))) or (x.ndim > 1 and (a[:1] + a[2:]) != b):
        raise _TargetShape(f"nll_loss: an input [N, C, *] and a target [N, *] are required, got {a} and {b}.")
    if y._data.dtype.kind not in "iu":
        raise DTypeError(f"nll_loss: class indices must be integers, got {y.dtype}.")
    single = x.ndim == 1
    if single:
        x, y = x.reshape(1, -1), y.reshape(1)  # type: ignore[attr-defined]
    settings = (reduction, int(ignore_index))
    if weight is None:
        out = apply(_nll, (x, y), settings)
    else:
        w = as_tensor(weight)
        if w._data.shape != (x._data.shape[1],):
            raise ShapeError(f"nll_loss: a weight of shape ({x._data.shape[1]},) is required, got {w._data.shape}.")
        out = apply(_nll_weighted, (x, y, w), settings)
    return out.reshape(b) if single and reduction == "none" else out  # type: ignore[attr-defined]


class _TargetShape(ShapeError):
    """Shapes that do not fit: PyTorch raises ValueError or RuntimeError."""
