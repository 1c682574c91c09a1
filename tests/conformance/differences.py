"""Differences from PyTorch that are meant, as data: each row allows the checks it matches to fail, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One allowed difference.

    `name` is a catalogue name, or "*"; `kind` one of values, gradient, second, forward, inplace, method, error,
    or "*"; `where(case)` narrows it down: a case has `name`, `kind`, `dtype`, `index`, `args` and `kwargs` (PyTorch's,
    the input first) and `error` (what PyTorch said, for error inputs).
    """

    name: str
    kind: str
    reason: str
    where: Callable[[Any], bool] = lambda case: True


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "Tensor.addbmm_",
        "inplace",
        "PyTorch resizes the written tensor; here a write in place never changes a shape",
        lambda case: case.args[0].ndim < 2,
    ),
    Difference(
        "addbmm",
        "inplace",
        "PyTorch resizes the written tensor; here a write in place never changes a shape",
        lambda case: case.args[0].ndim < 2,
    ),
)


def allowed(case: Any) -> Difference | None:
    """Return the row that allows `case` to differ, if there is one."""
    for row in DIFFERENCES:
        if row.name in (case.name, "*") and row.kind in (case.kind, "*") and row.where(case):
            return row
    return None
