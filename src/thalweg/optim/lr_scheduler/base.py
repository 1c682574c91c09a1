"""What every scheduler shares, and the three ways in which a schedule meets the learning rate that is there.

A scheduler writes ``group["lr"]``. What it needs to know is the number of steps made (`last_epoch`), what the rate
was to begin with (``group["initial_lr"]``) and what a plateau has cut (``group["plateau_cut"]``); its state dict
holds these, taken at the moment of saving, and loading puts them back. So optimizer and schedulers can be made and
loaded in any order.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np

from ...core.inplace import bump
from ...core.modes import current, enter
from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError
from .._scalars import as_number
from ..optimizer import Optimizer

__all__ = ["FixedSchedule", "LRScheduler", "RelativeSchedule", "cut_of", "per_group", "rates", "recorded", "set_rate"]

_Step = TypeVar("_Step", bound=Callable[..., None])


def recorded(step: _Step) -> _Step:
    """Tell a recorder, if there is one, that this step of a scheduler belongs to the function that runs.

    What a schedule does to its numbers is Python's work: it is repeated after each run, not recorded. A schedule that
    asks for a metric reads it under the recorder, which refuses that.
    """

    @functools.wraps(step)
    def run(self: Any, *args: Any, **kwargs: Any) -> None:
        modes = current()
        if modes.recorder is None or any(isinstance(a, TensorBase) for a in (*args, *kwargs.values())):
            step(self, *args, **kwargs)
            return
        modes.recorder.scheduler(self, functools.partial(run, self, *args, **kwargs))
        enter(modes.replace(recorder=None))
        try:
            step(self, *args, **kwargs)
        finally:
            enter(modes)

    return run  # type: ignore[return-value]


def set_rate(group: dict[str, Any], lr: Any, key: str = "lr") -> None:
    """Set a number of a group; a tensor is written, so that whoever holds it sees it."""
    present = group.get(key)
    if isinstance(present, TensorBase):
        np.copyto(present._data, as_number(lr))
        bump(present)
    else:
        group[key] = lr


def rates(optimizer: Optimizer, key: str = "lr") -> list[float]:
    """Return the numbers of all groups."""
    return [as_number(group[key]) for group in optimizer.param_groups]


def cut_of(group: dict[str, Any]) -> float:
    """Return the factor by which plateaus have cut the rate of a group."""
    return group.get("plateau_cut", 1.0)


def per_group(value: Any, optimizer: Optimizer, who: str, name: str) -> list[Any]:
    """Return one value for each group: a list of the right length as it is, anything else for all."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ArgumentError(
            f"{who}: {name} must have one value for each of the {n} parameter groups, got {len(value)}."
        )
    return list(value)


def check_optimizer(optimizer: Any, who: str) -> None:
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise DTypeError(f"{who}: an optimizer is required, got {type(optimizer).__name__}.")


class _NoInitialRate(ArgumentError, KeyError):
    """A group without its first learning rate: PyTorch raises KeyError."""

    def __str__(self) -> str:
        return str(self.args[0])


class LRScheduler:
    """Base of the schedulers: counts steps and writes what :meth:`get_lr` returns into the groups.

    Making one sets the rates of step 0. ``step()`` follows ``optimizer.step()``. A subclass gives :meth:`get_lr`,
    the rates of step `last_epoch`, and may give ``_get_closed_form_lr``, the same as a function of `last_epoch` alone.
    """

    #: what it writes into the groups
    writes: tuple[str, ...] = ("lr", "initial_lr", "plateau_cut")
    #: attributes that are no part of the state
    unsaved: tuple[str, ...] = ("optimizer",)
    _inside = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer, type(self).__name__)
        self.optimizer = optimizer
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", as_number(group["lr"]))
            elif "initial_lr" not in group:
                raise _NoInitialRate(
                    f"{type(self).__name__}: group {k} has no initial_lr, which last_epoch={last_epoch} needs; load the "
                    "optimizer first, or leave last_epoch out."
                )
        self.base_lrs = rates(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`; for ``step`` to call. See :meth:`get_last_lr`."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Return the rates that the last step set."""
        return self._last_lr

    def _only_inside(self) -> None:
        if not self._inside:
            warnings.warn("get_lr: for the rates last set, call get_last_lr().", UserWarning, stacklevel=3)

    @recorded
    def step(self, epoch: int | None = None) -> None:
        """Go on to the next step (or, deprecated, to `epoch`) and set its rates."""
        optimizer = self.optimizer
        late = self._step_count == 1 and not optimizer._stepped and type(optimizer).step is Optimizer.step
        if late:
            warnings.warn(
                f"{type(self).__name__}: step() was called before optimizer.step(), so the first rate is skipped; "
                "call optimizer.step() first.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(
                f"{type(self).__name__}: the argument of step() is deprecated; call step() without it.",
                UserWarning,
                stacklevel=2,
            )
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._inside = True
        try:
            self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
            closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
            values = self.get_lr() if closed is None else closed()
        finally:
            self._inside = False
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            set_rate(group, lr)
        self._last_lr = rates(self.optimizer)

    def _restart(self) -> None:
        """Begin anew, where the rates stand at the beginning: what a sequence does at a milestone."""
        self._update_lr(0)

    def _undo(self) -> None:
        """Take back the step that making it made."""
        self.last_epoch -= 1

    def state_dict(self) -> dict[str, Any]:
        """Return the state, and the numbers in the groups as they are now."""
        state = {
            key: deepcopy(value)
            for key, value in self.__dict__.items()
            if key not in (*self.unsaved, "_inside", "_is_initial")
        }
        state["groups"] = [
            {key: _plain(group[key]) for key in self.writes if key in group} for group in self.optimizer.param_groups
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`: here, and in the optimizer's groups."""
        state = {key: deepcopy(value) for key, value in state_dict.items() if key not in self.unsaved}
        saved = state.pop("groups", None)
        groups = self.optimizer.param_groups
        if saved is None and "_last_lr" in state:  # PyTorch's
            saved = [{"lr": as_number(lr)} for lr in state["_last_lr"]]
        if saved is not None and len(saved) != len(groups):
            raise ArgumentError(
                f"{type(self).__name__}: a state with {len(groups)} parameter groups is required, got {len(saved)}."
            )
        self.__dict__.update(state)
        for group, kept in zip(groups, saved or (), strict=False):
            if "plateau_cut" not in kept:
                group.pop("plateau_cut", None)
            for key, value in kept.items():
                set_rate(group, value, key)


def _plain(value: Any) -> Any:
    return tuple(as_number(v) for v in value) if isinstance(value, tuple) else as_number(value)


class RelativeSchedule(LRScheduler):
    """A schedule that multiplies the rate it finds, so that several can work on one optimizer.

    A subclass gives `_factor`, a pure function of the step; the rate is multiplied by ``_factor(t) / _factor(t-1)``.
    """

    #: whether a scheduler made with `last_epoch` >= 0 finds the rate of that step already set
    finds_its_rate = True

    def _factor(self, t: int) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`."""
        self._only_inside()
        t, found = self.last_epoch, rates(self.optimizer)
        if self._is_initial and t > 0 and self.finds_its_rate:
            return found
        now, before = self._factor(t), 1.0 if t <= 0 else self._factor(t - 1)
        if now == before:
            return found
        if before == 0:  # nothing is left to multiply
            return self._get_closed_form_lr()
        return [lr * (now / before) for lr in found]

    def _get_closed_form_lr(self) -> list[float]:
        f = self._factor(self.last_epoch)
        return [base * f * cut_of(g) for base, g in zip(self.base_lrs, self.optimizer.param_groups, strict=True)]


class FixedSchedule(LRScheduler):
    """A schedule that sets the rate whatever it finds, but for what a plateau has cut.

    A subclass gives ``_value(t, k, base)``, the rate of group `k` at step `t`, a pure function.
    """

    def _value(self, t: int, k: int, base: float) -> float:
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`."""
        self._only_inside()
        values = (self._value(self.last_epoch, k, base) for k, base in enumerate(self.base_lrs))
        return [v * cut_of(g) for v, g in zip(values, self.optimizer.param_groups, strict=True)]


def functions_of(lr_lambda: Any, optimizer: Optimizer, who: str) -> list[Callable[[int], float]]:
    """Return one function per group."""
    check_optimizer(optimizer, who)
    functions = per_group(lr_lambda, optimizer, who, "lr_lambda")
    for function in functions:
        if not callable(function):
            raise DTypeError(f"{who}: lr_lambda must be a function of the step, got {type(function).__name__}.")
    return functions


def saved_functions(functions: Sequence[Any]) -> list[Any]:
    """Return the state of those functions that are objects; plain functions have none."""
    return [None if not hasattr(f, "__dict__") or _is_plain(f) else deepcopy(f.__dict__) for f in functions]


def load_functions(functions: Sequence[Any], saved: Sequence[Any]) -> None:
    """Put back what :func:`saved_functions` took."""
    for function, state in zip(functions, saved, strict=True):
        if state is not None:
            function.__dict__.update(deepcopy(state))


def _is_plain(function: Any) -> bool:
    return type(function).__name__ in ("function", "builtin_function_or_method", "method")
