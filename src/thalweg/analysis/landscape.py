"""Slices and planes of a loss around its parameters, with filter-normalised directions (Li et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..errors import ArgumentError

__all__ = ["LossPlane", "LossSlice", "filter_normalized", "loss_plane", "loss_slice"]

Array = np.ndarray[Any, Any]


def filter_normalized(params: Sequence[Any], seed: int = 0) -> list[Array]:
    """Return a random direction scaled, filter by filter, to the size of the parameters; biases get 0."""
    rng = np.random.default_rng(seed)
    direction = []
    for p in params:
        data = p._data
        if data.ndim <= 1:
            direction.append(np.zeros(data.shape))
            continue
        d = rng.normal(size=data.shape)
        flat_d, flat_p = d.reshape(data.shape[0], -1), data.reshape(data.shape[0], -1).astype(np.float64)
        size = np.linalg.norm(flat_d, axis=1, keepdims=True)
        flat_d *= np.linalg.norm(flat_p, axis=1, keepdims=True) / np.where(size > 0, size, 1)
        direction.append(d)
    return direction


@dataclass(frozen=True)
class LossSlice:
    """The loss along a line: offsets and values."""

    offsets: Array
    values: Array


@dataclass(frozen=True)
class LossPlane:
    """The loss on a plane: offsets along both directions, and values [second, first]."""

    first: Array
    second: Array
    values: Array


class _Moved:
    """The parameters moved by a sum of directions, and put back to the last bit, whatever happens."""

    def __init__(self, params: Sequence[Any]) -> None:
        self.params = list(params)
        self.before = [p._data.copy() for p in self.params]

    def to(self, directions: Sequence[Sequence[Array]], offsets: Sequence[float]) -> None:
        for k, (p, data) in enumerate(zip(self.params, self.before, strict=True)):
            total = data.astype(np.float64)
            for direction, offset in zip(directions, offsets, strict=True):
                total = total + offset * direction[k]
            p._data[...] = total

    def back(self) -> None:
        for p, data in zip(self.params, self.before, strict=True):
            p._data[...] = data


def loss_slice(
    loss: Callable[[], Any], params: Sequence[Any], direction: Sequence[Array] | None = None, *,
    span: float = 1.0, points: int = 41, seed: int = 0,
) -> LossSlice:  # fmt: skip
    """Return the loss at ``parameters + a·direction`` for a in [-span, span]; the parameters come back as they were."""
    if points < 2 or not span > 0:
        raise ArgumentError(f"loss_slice: points >= 2 and span > 0 are required, got {points} and {span}.")
    d = filter_normalized(params, seed) if direction is None else list(direction)
    offsets = np.linspace(-span, span, points)
    moved = _Moved(params)
    try:
        with no_grad():
            values = np.array([_value(moved, [d], [a], loss) for a in offsets])
    finally:
        moved.back()
    return LossSlice(offsets, values)


def loss_plane(
    loss: Callable[[], Any], params: Sequence[Any], directions: tuple[Sequence[Array], Sequence[Array]] | None = None, *,
    span: float = 1.0, points: int = 21, seed: int = 0,
) -> LossPlane:  # fmt: skip
    """Return the loss on a plane through the parameters, spanned by two directions; the parameters come back."""
    if points < 2 or not span > 0:
        raise ArgumentError(f"loss_plane: points >= 2 and span > 0 are required, got {points} and {span}.")
    pair = directions or (filter_normalized(params, seed), filter_normalized(params, seed + 1))
    offsets = np.linspace(-span, span, points)
    moved = _Moved(params)
    try:
        with no_grad():
            values = np.array([[_value(moved, pair, [a, b], loss) for a in offsets] for b in offsets])
    finally:
        moved.back()
    return LossPlane(offsets, offsets, values)


def _value(
    moved: _Moved, directions: Sequence[Sequence[Array]], offsets: Sequence[float], loss: Callable[[], Any]
) -> float:
    moved.to(directions, offsets)
    return float(loss().item())
