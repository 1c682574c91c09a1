"""Schedules with cycles, some of which move the momentum against the rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ArgumentError
from .. import schedules
from .._scalars import as_number, check
from ..optimizer import Optimizer
from .base import FixedSchedule, check_optimizer, load_functions, per_group, recorded, saved_functions, set_rate

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


def _is_whole(x: Any, least: int) -> bool:
    return isinstance(x, int) and x >= least


def _is_share(x: Any) -> bool:
    return isinstance(x, float) and 0 <= x <= 1


class CosineAnnealingWarmRestarts(FixedSchedule):
    """Half cosines from the first rate to `eta_min`, each `T_mult` times as long as the last. Loshchilov & Hutter 2017."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        who = type(self).__name__
        check(_is_whole(T_0, 1), who, "T_0", "an integer > 0", T_0)
        check(_is_whole(T_mult, 1), who, "T_mult", "an integer >= 1", T_mult)
        check(isinstance(eta_min, (int, float)), who, "eta_min", "a number", eta_min)
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _value(self, t: int, k: int, base: float) -> float:
        return schedules.cosine_restarts(t, base, self.T_0, self.T_mult, self.eta_min)

    @recorded
    def step(self, epoch: float | None = None) -> None:
        """Go on to the next step, or to `epoch`, which may be a fraction and may go back."""
        if epoch is None:
            super().step()
            return
        check(epoch >= 0, type(self).__name__, "epoch", "a number >= 0", epoch)
        self.last_epoch = int(epoch)
        for k, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            set_rate(group, self._value(epoch, k, base) * group.get("plateau_cut", 1.0))  # type: ignore[arg-type]
        self._last_lr = [as_number(group["lr"]) for group in self.optimizer.param_groups]


class _MomentumSchedule(FixedSchedule):
    """What the two schedules that may also move the momentum share."""

    writes: tuple[str, ...] = (*FixedSchedule.writes, "max_lr", "min_lr", "max_momentum", "base_momentum")
    cycle_momentum: bool
    use_beta1: bool

    def _start_momentum(self, base_momentum: Any, max_momentum: Any, fresh: bool) -> None:
        who, optimizer = type(self).__name__, self.optimizer
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ArgumentError(
                f"{who}: cycle_momentum needs an optimizer with momentum or betas, got {type(optimizer).__name__}; "
                "give cycle_momentum=False."
            )
        self.use_beta1 = "betas" in optimizer.defaults
        self.writes = (*self.writes, "betas" if self.use_beta1 else "momentum")
        low = per_group(base_momentum, optimizer, who, "base_momentum")
        high = per_group(max_momentum, optimizer, who, "max_momentum")
        self.base_momentums, self.max_momentums = low, high
        if fresh:
            for group, a, b in zip(optimizer.param_groups, low, high, strict=True):
                self._set_momentum(group, b)
                group["max_momentum"], group["base_momentum"] = b, a

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum

    def _momentum(self, t: int, k: int) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`; set the momentum."""
        values = super().get_lr()
        if self.cycle_momentum:
            for k, group in enumerate(self.optimizer.param_groups):
                self._set_momentum(group, self._momentum(self.last_epoch, k))
        return values


class CyclicLR(_MomentumSchedule):
    """A triangle between `base_lr` and `max_lr`, again and again. Smith 2017.

    `mode`: heights stay (``"triangular"``), halve with every cycle (``"triangular2"``) or shrink by gamma with every
    step (``"exp_range"``); or are scaled by ``scale_fn`` of the cycle or, ``scale_mode="iterations"``, of the step.
    """

    unsaved = ("optimizer", "_scale_fn_custom", "writes")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        who = type(self).__name__
        check_optimizer(optimizer, who)
        self.optimizer = optimizer
        base_lrs = [as_number(lr) for lr in per_group(base_lr, optimizer, who, "base_lr")]
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                set_rate(group, lr)
        self.max_lrs = [as_number(lr) for lr in per_group(max_lr, optimizer, who, "max_lr")]
        modes = ("triangular", "triangular2", "exp_range")
        check(mode in modes or scale_fn is not None, who, "mode", f"one of {', '.join(modes)} (or give scale_fn)", mode)
        self.step_size_up = float(step_size_up)
        self.step_size_down = self.step_size_up if step_size_down is None else float(step_size_down)
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """Return the scale of the height at cycle, or step, `x`."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 1 / (2.0 ** (x - 1))
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def _between(self, t: int, low: float, high: float) -> float:
        by_cycle = self.scale_mode == "cycle"
        return schedules.cyclic(t, low, high, self.step_size_up, self.step_size_down, self.scale_fn, by_cycle)

    def _value(self, t: int, k: int, base: float) -> float:
        return self._between(t, base, self.max_lrs[k])

    def _momentum(self, t: int, k: int) -> float:
        return self._between(t, self.max_momentums[k], self.base_momentums[k])

    def state_dict(self) -> dict[str, Any]:
        """Return the state; of `scale_fn`, that of a callable object only."""
        custom = self._scale_fn_custom
        saved = None if custom is None else saved_functions([custom])[0]
        return {**super().state_dict(), "_scale_fn_custom": saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`."""
        super().load_state_dict(state_dict)
        if self._scale_fn_custom is not None:
            load_functions([self._scale_fn_custom], [state_dict.get("_scale_fn_custom")])


class OneCycleLR(_MomentumSchedule):
    """Up from ``max_lr/div_factor`` to `max_lr`, and down to ``max_lr/(div_factor·final_div_factor)``, once.

    The momentum goes the other way. `three_phase` comes down to where it started before it goes to the end. Smith &
    Topin 2019.
    """

    unsaved = ("optimizer", "writes")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        who = type(self).__name__
        check_optimizer(optimizer, who)
        self.optimizer = optimizer
        self.total_steps = _total(who, total_steps, epochs, steps_per_epoch)
        check(_is_share(pct_start), who, "pct_start", "a float from 0 to 1", pct_start)
        check(anneal_strategy in ("cos", "linear"), who, "anneal_strategy", "'cos' or 'linear'", repr(anneal_strategy))
        self.anneal_strategy = anneal_strategy
        self.three_phase = three_phase
        up = pct_start * self.total_steps
        last = self.total_steps - 1
        self.ends = [up - 1, 2 * up - 2, last] if three_phase else [up - 1, last]
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, per_group(max_lr, optimizer, who, "max_lr"), strict=True):
                group["initial_lr"] = as_number(lr) / div_factor
                group["max_lr"] = as_number(lr)
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def _through(self, t: int, *values: float) -> float:
        if t > self.total_steps:
            raise ArgumentError(f"OneCycleLR: at most {self.total_steps} steps were announced, this is step {t}.")
        return schedules.one_cycle(t, self.ends, values, self.anneal_strategy == "cos")

    def _value(self, t: int, k: int, base: float) -> float:
        group = self.optimizer.param_groups[k]
        start, top, end = as_number(group["initial_lr"]), group["max_lr"], group["min_lr"]
        return self._through(t, start, top, start, end) if self.three_phase else self._through(t, start, top, end)

    def _momentum(self, t: int, k: int) -> float:
        group = self.optimizer.param_groups[k]
        high, low = group["max_momentum"], group["base_momentum"]
        return self._through(t, high, low, high, high) if self.three_phase else self._through(t, high, low, high)


def _total(who: str, total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        check(_is_whole(total_steps, 1), who, "total_steps", "an integer > 0", total_steps)
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ArgumentError(f"{who}: total_steps, or epochs and steps_per_epoch, must be given, got neither.")
    check(_is_whole(epochs, 1), who, "epochs", "an integer > 0", epochs)
    check(_is_whole(steps_per_epoch, 1), who, "steps_per_epoch", "an integer > 0", steps_per_epoch)
    return epochs * steps_per_epoch
