"""The learning-rate range test: which rates make the loss fall, and where it turns."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from ...core.inplace import bump
from .._scalars import as_number, check
from ..optimizer import Optimizer
from .base import set_rate

__all__ = ["RangeTest", "lr_range_test"]


class RangeTest(NamedTuple):
    """What :func:`lr_range_test` found."""

    lrs: list[float]
    losses: list[float]
    suggestion: float | None  #: the rate where the smoothed loss falls fastest; None if it never falls
    diverged_at: float | None  #: the rate at which the test was stopped; None if it went to the end


def lr_range_test(
    optimizer: Optimizer,
    closure: Callable[[], Any],
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    stop_ratio: float = 4.0,
) -> RangeTest:
    """Raise the rate geometrically over `steps` steps and watch the loss. Smith 2017.

    `closure` clears the gradients, computes the loss, calls its backward and returns it. It stops when the smoothed
    loss is `stop_ratio` times its best or not finite. Parameters, state and rates are put back afterwards.
    """
    check(0 < start_lr < end_lr, "lr_range_test", "start_lr", f"a number > 0 below end_lr ({end_lr})", start_lr)
    check(steps >= 2, "lr_range_test", "steps", "an integer >= 2", steps)
    check(0 <= smoothing < 1, "lr_range_test", "smoothing", "a number in [0, 1)", smoothing)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    values = [p._data.copy() for p in params]
    state = deepcopy(optimizer.state_dict())
    lrs: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    mean = 0.0
    diverged_at = None
    try:
        for k in range(steps):
            lr = start_lr * (end_lr / start_lr) ** (k / (steps - 1))
            for group in optimizer.param_groups:
                set_rate(group, lr)
            loss = float(as_number(optimizer.step(closure)))
            mean = smoothing * mean + (1 - smoothing) * loss
            lrs.append(lr)
            losses.append(loss)
            smooth.append(mean / (1 - smoothing ** (k + 1)))
            if not np.isfinite(loss) or smooth[-1] > stop_ratio * max(min(smooth), 1e-300):
                diverged_at = lr
                break
    finally:
        for param, value in zip(params, values, strict=True):
            np.copyto(param._data, value)
            bump(param)
        optimizer.load_state_dict(state)
    finite = [v for v in smooth if np.isfinite(v)]
    suggestion = None
    if len(finite) >= 2:
        slope = np.gradient(np.array(finite))
        if slope.min() < 0:
            suggestion = lrs[int(slope.argmin())]
    return RangeTest(lrs, losses, suggestion, diverged_at)
