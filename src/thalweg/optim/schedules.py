"""Schedules as pure functions: the learning rate of step `t`, counted from 0, that starts at `lr`.

They keep no state, so they may be asked for any step in any order, resumed anywhere, and compiled. The classes
of :mod:`~thalweg.optim.lr_scheduler` are shells over them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

__all__ = [
    "constant_until", "cosine", "cosine_annealing", "cosine_restarts", "cyclic", "exponential", "factor", "inverse_polynomial",
    "linear", "multi_step", "one_cycle", "polynomial", "square_root", "step", "warmup",
]  # fmt: skip


def square_root(t: float, lr: float) -> float:
    """``lr (t+1)^-½``.

    >>> [round(square_root(t, 0.1), 6) for t in (0, 1, 3, 29)]
    [0.1, 0.070711, 0.05, 0.018257]
    """
    return lr * (t + 1) ** -0.5


def factor(t: float, lr: float, factor: float, stop: float = 0.0) -> float:
    """``max(stop, lr · factor^(t+1))``: decays from the first step on, down to a floor.

    >>> [round(factor_, 6) for factor_ in (factor(0, 2.0, 0.9, 0.01), factor(49, 2.0, 0.9, 0.01), factor(60, 2.0, 0.9, 0.01))]
    [1.8, 0.010308, 0.01]
    """
    return max(stop, lr * factor ** (t + 1))


def step(t: float, lr: float, step_size: int, gamma: float = 0.1) -> float:
    """``lr · gamma^⌊t / step_size⌋``."""
    return lr * gamma ** (t // step_size)


def multi_step(t: float, lr: float, milestones: Sequence[int], gamma: float = 0.1) -> float:
    """``lr`` times gamma for every milestone (in ascending order) reached: ``milestone <= t``."""
    return lr * gamma ** bisect_right(milestones, t)


def constant_until(t: float, lr: float, factor: float, steps: int) -> float:
    """``lr · factor`` for `steps` steps, then ``lr``."""
    return lr if t >= steps else lr * factor


def linear(t: float, lr: float, start_factor: float, end_factor: float, steps: int) -> float:
    """From ``lr · start_factor`` to ``lr · end_factor`` on a line of `steps` steps, then constant."""
    share = min(t, steps) / steps if steps else 1.0
    return lr * (start_factor + (end_factor - start_factor) * share)


def exponential(t: float, lr: float, rate: float) -> float:
    """``lr · e^(-rate · t)``."""
    return lr * math.exp(-rate * t)


def polynomial(t: float, lr: float, steps: int, power: float = 1.0) -> float:
    """``lr (1 - t/steps)^power``, then 0."""
    return lr * (1 - min(t, steps) / steps) ** power


def inverse_polynomial(t: float, lr: float, beta: float = 1.0, alpha: float = 0.5) -> float:
    """``lr (β t + 1)^-α``."""
    return lr * (beta * t + 1) ** -alpha


def cosine(t: float, lr: float, steps: int, end: float = 0.0) -> float:
    """``end + (lr - end)/2 · (1 + cos(π t / steps))``, and `end` from there on.

    >>> [round(cosine(t, 0.3, 20, 0.01), 6) for t in (0, 1, 10, 19, 25)]
    [0.3, 0.298215, 0.155, 0.011785, 0.01]
    """
    return cosine_annealing(min(t, steps), lr, steps, end)


def cosine_annealing(t: float, lr: float, half_period: float, end: float = 0.0) -> float:
    """``end + (lr - end)/2 · (1 + cos(π t / half_period))``, up and down for ever. Loshchilov & Hutter 2017."""
    return end + (lr - end) * (1 + math.cos(math.pi * t / half_period)) / 2


def cosine_restarts(t: float, lr: float, first: int, growth: int = 1, end: float = 0.0) -> float:
    """A half cosine from `lr` to `end` over `first` steps, begun anew, each `growth` times as long as the last."""
    if growth == 1:
        return cosine_annealing(t % first, lr, first, end)
    length, begin = first, 0
    while t - begin >= length:
        begin += length
        length *= growth
    return cosine_annealing(t - begin, lr, length, end)


def cyclic(
    t: float, low: float, high: float, up: float, down: float, scale: Callable[[float], float], by_cycle: bool = True
) -> float:
    """A line from `low` to `high` over `up` steps and back over `down`, again and again. Smith 2017.

    The height is scaled by ``scale(cycle)``, counted from 1, or ``scale(t)``.
    """
    total = up + down
    cycle = math.floor(1 + t / total)
    x = 1.0 + t / total - cycle
    ratio = up / total
    height = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
    return low + (high - low) * height * scale(cycle if by_cycle else t)


def one_cycle(t: float, ends: Sequence[float], values: Sequence[float], cosine: bool = True) -> float:
    """Through ``values[0], values[1], …``, reached at the steps 0, ``ends[0]``, ``ends[1]``, …; Smith & Topin 2019."""
    k = next((k for k, end in enumerate(ends) if t <= end), len(ends) - 1)
    begin = ends[k - 1] if k else 0.0
    share = (t - begin) / (ends[k] - begin) if ends[k] != begin else 1.0
    a, b = values[k], values[k + 1]
    return b + (a - b) / 2 * (1 + math.cos(math.pi * share)) if cosine else (b - a) * share + a


def warmup(t: float, lr: float, steps: int, after: Callable[[float], float] | None = None, begin: float = 0.0) -> float:
    """From `begin` to `lr` on a line of `steps` steps, then ``after(t - steps)`` (or `lr` for ever).

    >>> [round(warmup(t, 0.3, 5, lambda u: cosine(u, 0.3, 15, 0.01)), 6) for t in (0, 1, 5, 6, 20)]
    [0.0, 0.06, 0.3, 0.296831, 0.01]
    """
    if t < steps:
        return begin + (lr - begin) * t / steps
    return lr if after is None else after(t - steps)
