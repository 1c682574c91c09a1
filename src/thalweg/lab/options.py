"""What a contender can add to its method: a schedule of the learning rate, a warm-up, and an average of the weights.

They are typed like settings: ``adam:schedule=cosine,warmup=0.05,ema=0.99``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..optim.optimizer import Optimizer
from ..optim.wrappers import EMA, Wrapper
from ..problems.base import Array

__all__ = ["OPTIONS", "SCHEDULES", "Scheduled", "averaged", "checked_options", "core", "factors"]

OPTIONS: dict[str, Any] = {"schedule": "constant", "warmup": 0.0, "ema": 0.0}  # with what each is where it is not given
DECAY = 0.2  # share of the steps in which wsd goes to 0

# The factor of the learning rate at the share u of the run that is over, after the warm-up.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda u: 1.0,
    "cosine": lambda u: (1 + math.cos(math.pi * u)) / 2,  # Loshchilov & Hutter 2017
    "linear": lambda u: 1 - u,
    "wsd": lambda u: min(
        1.0, (1 - u) / DECAY
    ),  # warm-up, stable, decay: Hu et al. 2024; a line over 20%: Hägele et al. 2024
}


def checked_options(settings: Mapping[str, Any], who: str) -> None:
    """Raise if an option has a value that it cannot have.

    >>> checked_options({"schedule": "cosin"}, "adam")
    Traceback (most recent call last):
        ...
    thalweg.errors.ArgumentError: adam: schedule must be constant, cosine, linear or wsd, got 'cosin'.
    """
    schedule, warmup, ema = (settings.get(key, default) for key, default in OPTIONS.items())
    if schedule not in SCHEDULES:
        *names, last = SCHEDULES
        raise ArgumentError(f"{who}: schedule must be {', '.join(names)} or {last}, got {schedule!r}.")
    if not 0 <= warmup < 1:
        raise ArgumentError(f"{who}: warmup must be a share of the steps in [0, 1), got {warmup!r}.")
    if not 0 <= ema < 1:
        raise ArgumentError(f"{who}: ema must be a decay in [0, 1), got {ema!r}.")


def factors(settings: Mapping[str, Any], steps: int) -> Array | None:
    """Return what the learning rate of each step is multiplied by; None for a rate that stays.

    A warm-up of n steps multiplies step t, counted from 1, by t/n. No factor is 0: the last step is one, too.

    >>> factors({"schedule": "linear", "warmup": 0.2}, 10).round(3).tolist()
    [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    """
    shape, share = settings.get("schedule", "constant"), settings.get("warmup", 0.0)
    if shape == "constant" and not share:
        return None
    first = math.ceil(share * steps)
    rest = max(1, steps - first)
    curve = SCHEDULES[shape]
    return np.array([(t + 1) / first if t < first else curve((t - first) / rest) for t in range(steps)])


class Scheduled(Wrapper):
    """An optimizer whose learning rates, of all groups, are multiplied by a factor in each step."""

    def __init__(self, inner: Optimizer, factors: Array) -> None:
        super().__init__(inner)
        self.factors = factors
        self.rates = [group["lr"] for group in inner.param_groups]
        self.at = 0

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        factor = float(self.factors[min(self.at, len(self.factors) - 1)])
        self.at += 1
        for group, rate in zip(self.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        return self.inner.step() if closure is None else self.inner.step(closure)


def core(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer inside of wrappers."""
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.inner
    return optimizer


def averaged(optimizer: Optimizer) -> AbstractContextManager[None]:
    """Return a context in which the parameters hold their average, where the optimizer keeps one."""
    while isinstance(optimizer, Wrapper) and not isinstance(optimizer, EMA):
        optimizer = optimizer.inner
    return optimizer.averaged() if isinstance(optimizer, EMA) else nullcontext()
