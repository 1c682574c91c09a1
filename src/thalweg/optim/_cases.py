"""What wrappers do under a condition, and their counters: one text for eager and for captured steps.

In an eager step rules see arrays, a counter gives a Python integer, and a condition is decided by Python. In a
captured step all three are tensors: both cases are computed, and the recorder lets the condition select.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np

from ..core.inplace import bump, write
from ..core.modes import current, enter, restore, silence
from ..core.tensor import TensorBase
from ..ops.inplace import copy_
from ..ops.logic import _logical_not
from ._scalars import as_number

__all__ = ["Counter", "applied", "as_tensors", "count", "put", "when"]


class Counter:
    """An attribute that is a 0-d integer tensor, so that compiled steps count too; assigned numbers go into its memory."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, wrapper: None, owner: type) -> Counter: ...
    @overload
    def __get__(self, wrapper: object, owner: type) -> TensorBase: ...
    def __get__(self, wrapper: object | None, owner: type) -> Any:
        return self if wrapper is None else wrapper.__dict__[self.name]

    def __set__(self, wrapper: object, value: Any) -> None:
        known = wrapper.__dict__.get(self.name)
        if known is None:
            wrapper.__dict__[self.name] = TensorBase._wrap(np.array(int(as_number(value)), np.int64))
        else:
            put([known], int(as_number(value)))


def count(counter: Any) -> Any:
    """Add 1; return the new number, or a tensor of it in a captured step."""
    if current().recorder is None:
        n = counter._data.item() + 1
        counter._data.fill(n)
        return n
    raised = counter + 1
    write(counter, raised, "count")
    return raised


def applied(rule: Callable[..., Any], *tensors: list[Any]) -> Any:
    """Return what a `rule` makes of lists of tensors: of their arrays in an eager step, else of themselves.

    It is pure, but for the elements of those tensors that the result is then put into: ``plus(a, …)`` may replace them.
    """
    modes = current()
    if modes.recorder is not None:
        enter(modes.with_grad(False))
        try:
            return rule(*tensors)
        finally:
            enter(modes)
    token = silence()
    try:
        return rule(*([t._data for t in each] for each in tensors))
    finally:
        restore(token)


def as_tensors(values: list[Any]) -> list[Any]:
    """Return what :func:`applied` found as tensors."""
    return [v if isinstance(v, TensorBase) else TensorBase._wrap(np.asarray(v)) for v in values]


def put(targets: list[Any], values: Any) -> None:
    """Replace the elements of tensors by one number or by what :func:`applied` found for each, outside of any graph."""
    modes = current()
    each = values if isinstance(values, list) else [values] * len(targets)
    if modes.recorder is None:
        for target, value in zip(targets, each, strict=True):
            data = value._data if isinstance(value, TensorBase) else value
            if data is not target._data:
                np.copyto(target._data, data)
            bump(target)
        return
    enter(modes.with_grad(False))
    try:
        for target, value in zip(targets, each, strict=True):
            copy_(target, value)
    finally:
        enter(modes)


def when(condition: Any, work: Callable[[], Any], otherwise: Callable[[], Any] | None = None) -> None:
    """Do `work` if the condition holds, else `otherwise`; in a captured step let the condition select what both write."""
    recorder = current().recorder
    if recorder is None or not isinstance(condition, TensorBase):
        if condition:
            work()
        elif otherwise is not None:
            otherwise()
        return
    recorder.when(condition, work)
    if otherwise is not None:
        recorder.when(_logical_not(condition), otherwise)
