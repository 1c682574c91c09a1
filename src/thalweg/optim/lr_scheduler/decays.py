"""Schedules without cycles: shells over the functions of :mod:`thalweg.optim.schedules`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .. import schedules
from .._scalars import check
from ..optimizer import Optimizer
from .base import (
    FixedSchedule,
    LRScheduler,
    RelativeSchedule,
    cut_of,
    functions_of,
    load_functions,
    rates,
    saved_functions,
)

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineLR", "ExponentialLR", "FactorLR", "InversePolynomialLR", "LambdaLR",
    "LinearLR", "MultiStepLR", "MultiplicativeLR", "PolynomialLR", "SquareRootLR", "StepLR", "WarmupLR",
]  # fmt: skip

Function = Callable[[int], float]


class _Functions(LRScheduler):
    """What the two schedulers over user functions share: the functions stay out of the state."""

    unsaved = ("optimizer", "lr_lambdas")
    lr_lambdas: list[Function]

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of functions, that of callable objects only."""
        return {**super().state_dict(), "lr_lambdas": saved_functions(self.lr_lambdas)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        super().load_state_dict(state_dict)
        load_functions(self.lr_lambdas, state_dict["lr_lambdas"])


class LambdaLR(_Functions, FixedSchedule):
    """The first rate times ``lr_lambda(t)``; one function, or one per group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | list[Function], last_epoch: int = -1) -> None:
        self.lr_lambdas = functions_of(lr_lambda, optimizer, "LambdaLR")
        super().__init__(optimizer, last_epoch)

    def _value(self, t: int, k: int, base: float) -> float:
        return base * self.lr_lambdas[k](t)


class MultiplicativeLR(_Functions):
    """The rate before times ``lr_lambda(t)``; one function, or one per group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Function | list[Function], last_epoch: int = -1) -> None:
        self.lr_lambdas = functions_of(lr_lambda, optimizer, "MultiplicativeLR")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`."""
        self._only_inside()
        found = rates(self.optimizer)
        if self._is_initial:
            return found
        return [lr * f(self.last_epoch) for lr, f in zip(found, self.lr_lambdas, strict=True)]


class StepLR(RelativeSchedule):
    """Times gamma every `step_size` steps."""

    finds_its_rate = False

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.step(t, 1.0, self.step_size, self.gamma)


class MultiStepLR(RelativeSchedule):
    """Times gamma at each milestone."""

    finds_its_rate = False

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.multi_step(t, 1.0, sorted(self.milestones.elements()), self.gamma)


class ConstantLR(RelativeSchedule):
    """Times `factor` for the first `total_iters` steps."""

    finds_its_rate = False

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        check(not (factor > 1 or factor < 0), "ConstantLR", "factor", "a number from 0 to 1", factor)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.constant_until(t, 1.0, self.factor, self.total_iters)


class LinearLR(RelativeSchedule):
    """From `start_factor` to `end_factor` of the rate, on a line of `total_iters` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        good = not (start_factor > 1 or start_factor <= 0)
        check(good, "LinearLR", "start_factor", "a number in (0, 1]", start_factor)
        check(not (end_factor > 1 or end_factor < 0), "LinearLR", "end_factor", "a number from 0 to 1", end_factor)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.linear(t, 1.0, self.start_factor, self.end_factor, self.total_iters)


class ExponentialLR(RelativeSchedule):
    """Times gamma every step: ``lr · gamma^t``, which is ``lr · e^(-λ t)`` with ``gamma = e^-λ``."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return self.gamma**t


class PolynomialLR(RelativeSchedule):
    """``lr (1 - t/total_iters)^power``, then 0."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.polynomial(t, 1.0, self.total_iters, self.power)


class CosineAnnealingLR(LRScheduler):
    """Half cosines between the first rate and `eta_min`, down in `T_max` steps and up again."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`, in proportion to those found."""
        self._only_inside()
        if self._is_initial:
            return rates(self.optimizer)
        t, T = self.last_epoch, self.T_max
        groups = self.optimizer.param_groups
        if (t - 1 - T) % (
            2 * T
        ) == 0:  # from the bottom there is nothing in proportion; go up by the first step's height
            rise = (1 - math.cos(math.pi / T)) / 2
            return [
                lr + (base - self.eta_min) * rise * cut_of(group)
                for lr, base, group in zip(rates(self.optimizer), self.base_lrs, groups, strict=True)
            ]
        ratio = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        floors = [self.eta_min * cut_of(group) for group in groups]
        return [ratio * (lr - low) + low for lr, low in zip(rates(self.optimizer), floors, strict=True)]

    def _get_closed_form_lr(self) -> list[float]:
        groups = self.optimizer.param_groups
        return [
            schedules.cosine_annealing(self.last_epoch, base, self.T_max, self.eta_min) * cut_of(group)
            for base, group in zip(self.base_lrs, groups, strict=True)
        ]


class CosineLR(FixedSchedule):
    """Half a cosine from the first rate to `final_lr` in `steps` steps, constant from there on."""

    def __init__(self, optimizer: Optimizer, steps: int, final_lr: float = 0.0, last_epoch: int = -1) -> None:
        check(steps > 0, "CosineLR", "steps", "a number > 0", steps)
        self.steps = steps
        self.final_lr = final_lr
        super().__init__(optimizer, last_epoch)

    def _value(self, t: int, k: int, base: float) -> float:
        return schedules.cosine(t, base, self.steps, self.final_lr)


class SquareRootLR(RelativeSchedule):
    """``lr (t+1)^-½``."""

    def _factor(self, t: int) -> float:
        return schedules.square_root(t, 1.0)


class FactorLR(FixedSchedule):
    """``max(stop_factor_lr, lr · factor^(t+1))``; step 0 has decayed once already."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0, stop_factor_lr: float = 1e-7, last_epoch: int = -1
    ) -> None:
        check(factor > 0, "FactorLR", "factor", "a number > 0", factor)
        self.factor = factor
        self.stop_factor_lr = stop_factor_lr
        super().__init__(optimizer, last_epoch)

    def _value(self, t: int, k: int, base: float) -> float:
        return schedules.factor(t, base, self.factor, self.stop_factor_lr)


class InversePolynomialLR(RelativeSchedule):
    """``lr (β t + 1)^-α``."""

    def __init__(self, optimizer: Optimizer, beta: float = 1.0, alpha: float = 0.5, last_epoch: int = -1) -> None:
        check(beta >= 0, "InversePolynomialLR", "beta", "a number >= 0", beta)
        self.beta = beta
        self.alpha = alpha
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.inverse_polynomial(t, 1.0, self.beta, self.alpha)


class WarmupLR(RelativeSchedule):
    """From `begin_factor` (0 allowed) to 1 times the rate, on a line of `warmup_steps` steps.

    Before another schedule: ``SequentialLR(optimizer, [WarmupLR(optimizer, 5), after], milestones=[5])``.
    """

    def __init__(
        self, optimizer: Optimizer, warmup_steps: int, begin_factor: float = 0.0, last_epoch: int = -1
    ) -> None:
        check(warmup_steps >= 0, "WarmupLR", "warmup_steps", "an integer >= 0", warmup_steps)
        check(begin_factor >= 0, "WarmupLR", "begin_factor", "a number >= 0", begin_factor)
        self.warmup_steps = warmup_steps
        self.begin_factor = begin_factor
        super().__init__(optimizer, last_epoch)

    def _factor(self, t: int) -> float:
        return schedules.warmup(t, 1.0, self.warmup_steps, begin=self.begin_factor)
