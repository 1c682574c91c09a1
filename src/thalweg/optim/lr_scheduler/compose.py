"""The schedule that listens to a metric, and schedules made of schedules, which take it too."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError
from .._scalars import as_number, check
from ..optimizer import Optimizer
from .base import LRScheduler, check_optimizer, cut_of, per_group, rates, recorded, set_rate

__all__ = ["ChainedScheduler", "ReduceLROnPlateau", "SequentialLR"]


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` when the metric has not improved for more than `patience` steps.

    What it cuts is also kept in ``group["plateau_cut"]``, by which other schedules multiply what they set: a cut
    survives their next step.
    """

    unsaved = ("optimizer", "default_min_lr")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        who = type(self).__name__
        check(factor < 1, who, "factor", "a number < 1", factor)
        check_optimizer(optimizer, who)
        check(mode in ("min", "max"), who, "mode", "'min' or 'max'", repr(mode))
        check(threshold_mode in ("rel", "abs"), who, "threshold_mode", "'rel' or 'abs'", repr(threshold_mode))
        self.optimizer = optimizer
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = per_group(min_lr, optimizer, who, "min_lr")
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", as_number(group["lr"]))
        self.last_epoch = 0
        self._last_lr = rates(optimizer)
        self._reset()

    def _reset(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether it rests after a cut."""
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        """Return whether metric `a` improves on `best` by more than the threshold."""
        by = self.threshold
        if self.mode == "min":
            return a < (best * (1 - by) if self.threshold_mode == "rel" else best - by)
        return a > (best * (1 + by) if self.threshold_mode == "rel" else best + by)

    @recorded
    def step(self, metrics: Any = None, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take the metric of a step and cut if it is time."""
        if metrics is None:
            raise DTypeError(f"{type(self).__name__}: step needs the metric, as in step(loss).")
        if isinstance(metrics, TensorBase):
            metrics._told("step")
        value = float(as_number(metrics))
        if epoch is not None:
            warnings.warn(
                f"{type(self).__name__}: the argument epoch of step() is deprecated.", UserWarning, stacklevel=2
            )
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value, self.best):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._cut()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = rates(self.optimizer)

    def _cut(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise _GroupsChanged(
                    f"{type(self).__name__}: min_lr has {len(self.min_lrs)} values, but there are now {len(groups)} "
                    "parameter groups; set min_lrs anew."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, low in zip(groups, self.min_lrs, strict=True):
            old = float(as_number(group["lr"]))
            new = max(old * self.factor, low)
            if old - new > self.eps:
                set_rate(group, new)
                group["plateau_cut"] = cut_of(group) * (new / old)

    def _initial_step(self) -> None:
        self._last_lr = rates(self.optimizer)

    def _restart(self) -> None:
        self._reset()

    def _undo(self) -> None:
        pass


class _GroupsChanged(ArgumentError, RuntimeError):
    """The number of groups changed: PyTorch raises RuntimeError."""


class _Composed(LRScheduler):
    """What schedulers of schedulers share."""

    unsaved = ("optimizer", "_schedulers")
    _schedulers: Sequence[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        who = type(self).__name__
        if len(schedulers) < 1:
            raise ArgumentError(f"{who}: at least one scheduler is required, got none.")
        for k, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise DTypeError(f"{who}: schedulers are required, got {type(scheduler).__name__} at place {k}.")
        first = schedulers[0].optimizer if optimizer is None else optimizer
        for k, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not first:
                raise ArgumentError(f"{who}: all schedulers must have one optimizer, the one at place {k} has another.")
        self._schedulers = schedulers
        self.optimizer = first

    def _reset_rates(self) -> None:
        for group in self.optimizer.param_groups:
            set_rate(group, as_number(group["initial_lr"]) * cut_of(group))

    def _undo(self) -> None:
        for scheduler in self._schedulers:
            scheduler._undo()

    @property
    def writes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What any of the parts writes into the groups."""
        return tuple(dict.fromkeys(key for scheduler in self._schedulers for key in scheduler.writes))

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with those of the parts."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`, the parts included."""
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict(state_dict)


def _step(scheduler: LRScheduler, metrics: Any) -> None:
    if isinstance(scheduler, (ReduceLROnPlateau, _Composed)):
        scheduler.step(metrics)  # type: ignore[arg-type]
    else:
        scheduler.step()


class SequentialLR(_Composed):
    """One schedule after another: the next begins, at its own step 0, at each milestone.

    Any scheduler may be a part. While a plateau has its turn, ``step(metric)`` needs the metric; it begins at the rate
    it finds.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: one milestone fewer than the {len(schedulers)} schedulers is required, got {len(milestones)}."
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self._begin()

    def _begin(self) -> None:
        self._reset_rates()
        for scheduler in self._schedulers:
            scheduler._undo()
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    @recorded
    def step(self, metrics: Any = None) -> None:
        """Go on to the next step; `metrics` is for a plateau."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[k]
        begins = k > 0 and self._milestones[k - 1] == self.last_epoch
        if begins:
            scheduler._restart()
        if not begins or isinstance(scheduler, ReduceLROnPlateau):
            _step(scheduler, metrics)
        self._last_lr = scheduler.get_last_lr()

    def _initial_step(self) -> None:
        self.last_epoch = 0
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _restart(self) -> None:
        self._reset_rates()
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
        self._initial_step()


class ChainedScheduler(_Composed):
    """Several schedules at once, in order: each changes the rates that the one before left.

    Any scheduler may be a part; with a plateau among them ``step(metric)`` needs the metric.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = rates(self.optimizer)

    @recorded
    def step(self, metrics: Any = None) -> None:
        """Step every part; `metrics` is for a plateau."""
        for scheduler in self._schedulers:
            _step(scheduler, metrics)
        self._last_lr = rates(self.optimizer)

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = rates(self.optimizer)

    def _restart(self) -> None:
        self._reset_rates()
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
        self._initial_step()
