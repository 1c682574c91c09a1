"""Losses that ask for a margin between right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor
from .activations import logsigmoid
from .arithmetic import where
from .gather import gather
from .losses import legacy, reduced
from .pointwise import relu, sqrt
from .similarity import _broadcast, pairwise_distance

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip


class _Refused(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError here."""


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """X where the target is 1, ``max(0, margin - x)`` where it is -1."""
    reduction = legacy(reduction, size_average, reduce)
    x: Any = as_tensor(input)
    y: Any = as_tensor(target)
    near: Any = where(y != 1, (margin - x).clamp_min(0), 0.0)
    far = where(y != -1, x, 0.0)
    return reduced(near + far, reduction, "hinge_embedding_loss")


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -y (x₁ - x₂) + margin)``: x₁ should be larger where y = 1, smaller where y = -1."""
    reduction = legacy(reduction, size_average, reduce)
    a, b, y = (as_tensor(t) for t in (input1, input2, target))
    if not a.ndim == b.ndim == y.ndim:
        raise _Refused(
            f"margin_ranking_loss: inputs and target of equally many dims are required, got shapes {a._data.shape}, "
            f"{b._data.shape} and {y._data.shape}."
        )
    loss = (-y * (a - b) + margin).clamp_min(0)  # type: ignore[operator]
    return reduced(loss, reduction, "margin_ranking_loss")


def soft_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """``log(1 + exp(-y x))`` for y = ±1."""
    reduction = legacy(reduction, size_average, reduce)
    x, y = as_tensor(input), as_tensor(target)
    return reduced(-logsigmoid(y * x), reduction, "soft_margin_loss")  # type: ignore[operator]


def _classes(input: Any, target: Any, who: str, per_class: bool, reduction: str) -> tuple[Any, Any, bool]:
    """Return the input [N, C], the target [N] or [N, C], and whether there was a batch dim."""
    if reduction not in ("none", "mean", "sum"):
        raise ArgumentError(f"{who}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}.")
    x, y = as_tensor(input), as_tensor(target)
    if y._data.dtype != np.int64:
        raise DTypeError(f"{who}: class indices of type int64 are required, got {y.dtype}.")
    batched = x.ndim == 2
    wanted = x._data.shape if per_class else x._data.shape[:1] if batched else ()
    if (
        x.ndim not in (0, 1, 2)
        or (batched and x._data.shape[1] == 0)
        or x._data.shape == (0,)
        or (y._data.shape != wanted and not (not batched and y._data.size == (x._data.size if per_class else 1)))
    ):
        raise ShapeError(
            f"{who}: an input [N, C] and a target {wanted} are required, got {x._data.shape} and {y._data.shape}."
        )
    if batched:
        return x, y, True
    return x.reshape(1, -1), y.reshape(1, -1) if per_class else y.reshape(1), False  # type: ignore[attr-defined]


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``Σ_{j≠y} max(0, margin - x[y] + x[j])^p / C``, times the weight of y if weights are given."""
    reduction = legacy(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}.")
    w: Any = None if weight is None else as_tensor(weight)
    if w is not None and w.ndim != 1:
        raise ArgumentError(f"multi_margin_loss: a weight of one dim is required, got shape {w._data.shape}.")
    x, y, batched = _classes(input, target, "multi_margin_loss", False, reduction)
    classes = x._data.shape[1]
    if y._data.size and (y._data.min() < 0 or y._data.max() >= classes):
        raise _Refused(f"multi_margin_loss: class indices in [0, {classes - 1}] are required, got {y._data}.")
    column = y.unsqueeze(1)
    terms = (margin - gather(x, 1, column) + x).clamp_min(0)  # type: ignore[operator]
    if p == 2:
        terms = terms * terms
    if w is not None:
        if w._data.shape != (classes,):
            raise _Refused(f"multi_margin_loss: a weight of shape ({classes},) is required, got {w._data.shape}.")
        terms = terms * w[y].unsqueeze(1)
    others = TensorBase._wrap(np.arange(classes)) != column
    loss = (terms * others).sum(1) / classes
    return reduced(loss if batched else loss.squeeze(0), reduction, "multi_margin_loss")


def multilabel_margin_loss(
    input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """``Σ_{i, j} max(0, 1 - x[y[j]] + x[i]) / C`` over right classes y[j] (listed up to the first -1) and wrong ones i."""
    reduction = legacy(reduction, size_average, reduce)
    x, y, batched = _classes(input, target, "multilabel_margin_loss", True, reduction)
    n, classes = x._data.shape
    y._told("multilabel_margin_loss")
    listed = np.cumprod(y._data >= 0, axis=1).astype(bool)
    if y._data.size and y._data.max(initial=-1) >= classes:
        raise _Refused(f"multilabel_margin_loss: class indices < {classes} are required, got {y._data.max()}.")
    places = np.where(listed, y._data, 0)
    right = np.zeros((n, classes), bool)
    np.logical_or.at(right, (np.arange(n)[:, None], places), listed)
    counted = TensorBase._wrap(listed[:, :, None] & ~right[:, None, :])
    chosen: Any = gather(x, 1, TensorBase._wrap(places))
    terms = (1 - chosen.unsqueeze(2) + x.unsqueeze(1)).clamp_min(0)
    loss = (terms * counted).sum((1, 2)) / classes
    return reduced(loss if batched else loss.squeeze(0), reduction, "multilabel_margin_loss")


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """Mean over classes of ``-(y log σ(x) + (1 - y) log σ(-x))``."""
    reduction = legacy(reduction, size_average, reduce)
    x, y = as_tensor(input), as_tensor(target)
    loss: Any = -(y * logsigmoid(x) + (1 - y) * logsigmoid(-x))  # type: ignore[operator]
    if weight is not None:
        loss = loss * weight
    return reduced(loss.mean(-1), reduction, "multilabel_soft_margin_loss")


def _triplet(near: Any, far: Any, across: Any, margin: float, swap: bool, reduction: str, who: str) -> Any:
    if swap:
        far = far.minimum(across())
    return reduced((near - far + margin).clamp_min(0), reduction, who)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, ‖a - p‖ - ‖a - n‖ + margin)``; with `swap`, ‖p - n‖ counts where it is the smaller distance."""
    who = "triplet_margin_loss"
    reduction = legacy(reduction, size_average, reduce)
    a, b, c = (as_tensor(t) for t in (anchor, positive, negative))
    if not a.ndim == b.ndim == c.ndim:
        raise _Refused(
            f"{who}: inputs of equally many dims are required, got shapes {a._data.shape}, {b._data.shape} and "
            f"{c._data.shape}."
        )
    if margin <= 0:
        raise _Refused(f"{who}: margin must be a number > 0, got {margin}.")
    near, far = pairwise_distance(a, b, p, eps), pairwise_distance(a, c, p, eps)
    return _triplet(near, far, lambda: pairwise_distance(b, c, p, eps), margin, swap, reduction, who)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with a distance of the user's own."""
    who = "triplet_margin_with_distance_loss"
    if margin <= 0:
        raise ArgumentError(f"{who}: margin must be a number > 0, got {margin}.")
    distance = pairwise_distance if distance_function is None else distance_function
    a, b, c = (as_tensor(t) for t in (anchor, positive, negative))
    if not a.ndim == b.ndim == c.ndim:
        raise _Refused(
            f"{who}: inputs of equally many dims are required, got shapes {a._data.shape}, {b._data.shape} and "
            f"{c._data.shape}."
        )
    return _triplet(distance(a, b), distance(a, c), lambda: distance(b, c), margin, swap, reduction, who)


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos(x₁, x₂)`` where the target is 1, ``max(0, cos(x₁, x₂) - margin)`` where it is -1."""
    reduction = legacy(reduction, size_average, reduce)
    a, b = as_tensor(input1), as_tensor(input2)
    y: Any = as_tensor(target)
    if y.ndim > 1 or a.ndim != y.ndim + 1 or b.ndim != y.ndim + 1:
        raise _Refused(
            "cosine_embedding_loss: inputs [N, d] with a target [N], or [d] with a 0-d target, are required, got shapes "
            f"{a._data.shape}, {b._data.shape} and {y._data.shape}."
        )
    x, z = _broadcast(a, b, "cosine_embedding_loss")
    tiny = 1e-12  # keeps the square roots from 0, as PyTorch does
    cos: Any = (x * z).sum(-1) / sqrt(((x * x).sum(-1) + tiny) * ((z * z).sum(-1) + tiny))
    near: Any = where(y == 1, 1 - cos, 0.0)
    far = where(y == -1, relu(cos - margin), 0.0)
    return reduced(near + far, reduction, "cosine_embedding_loss")
