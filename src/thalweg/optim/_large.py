"""Large eager steps: the update of an elementwise rule as one pass over memory, in machine code.

An update written with operations makes one pass over memory for each of them, on one processor. Its compiled loop
makes one pass in all, on every processor, and gives the same elements bit by bit: only the time tells. To import Numba
takes a second and to compile a rule half of one, so a rule is compiled when it has updated so many elements without
its loop that the loop would have saved as much.
"""

from __future__ import annotations

import functools
import itertools
import sys
from typing import Any

import numpy as np

from ..core.modes import current
from ..core.tensor import TensorBase
from ..errors import CaptureError
from ._scalars import as_number

__all__ = ["LARGE", "PAYS", "Large"]

Array = np.ndarray[Any, Any]

LARGE = 1 << 18  # elements of a group from which its steps count as large
PAYS = 1 << 27  # elements that a rule updates in large steps before its loop is compiled; a quarter if Numba is there

_X, _G = 0, 1  # names of parameter and gradient beside those of the state
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_loops: dict[Any, Any] = {}  # by everything that decides on a loop; None where there can be none
_updated: dict[Any, int] = {}  # elements updated so far


@functools.cache
def _compiler() -> Any:
    """Return the room that makes loops, or None where Numba is missing.

    The import goes upwards and is therefore made here, at the call: everything works without, only slower.
    """
    try:
        from ..compiler import rule
        from ..compiler.kernels import scalar  # noqa: F401  (needs Numba, which the rest asks for only when it compiles)
    except ImportError:
        return None
    return rule


class _Names:
    """Stands where a recorder would when only the structure of settings is asked for: a number gives its name."""

    @staticmethod
    def setting(group: Any, key: str, at: int | None, kind: type) -> tuple[str, int | None]:
        return key, at


class Large:
    """One large step of a group: its parameters are updated by loops where there are some."""

    def __init__(self, optimizer: Any, group: dict[str, Any]) -> None:
        self.optimizer = optimizer
        self.group = group
        self.structure = (type(optimizer), optimizer._recorded_settings(group, _Names))
        self.last: Any = (
            None,
            None,
            None,
        )  # loop, numbers, what follows from them: the next parameter's are often equal
        self.jobs: list[Any] = []
        self.places: list[tuple[int, int]] = []  # the memory of these jobs

    def update(self, x: Array, g: Array, state: dict[str, Any], t: float) -> dict[str, Any] | None:
        """Let :meth:`run` write the new elements of x and of the arrays in `state`; return the new numbers of the state.

        Returns None where there is no loop; what was waiting is then done.
        """
        found = self.planned(x, g, state, t)
        if found is None:
            self.run()
        return found

    def planned(self, x: Array, g: Array, state: dict[str, Any], t: float) -> dict[str, Any] | None:
        """Add a job."""
        arrays: dict[Any, Array] = {_X: x, _G: g}
        numbers = {"step": t}
        for key, value in state.items():
            if isinstance(value, np.ndarray):
                arrays[key] = value
            elif value is None:
                return None
            else:
                numbers[key] = value
        for array in arrays.values():
            if array.shape != x.shape or array.dtype not in _FLOATS or not (array.flags.c_contiguous or array is g):
                return None
        loop = self.loop(arrays, numbers)
        if loop is None:
            return None
        arrays[_G] = np.ascontiguousarray(g)
        places = [_place(array) for array in arrays.values()]
        if _meet(places) or not all(arrays[key].flags.writeable for key in loop.rule.written):
            return None
        now = [
            numbers[key] if group is None else float(as_number(self.group[key] if at is None else self.group[key][at]))
            for group, key, at in loop.sources
        ]
        if self.last[0] is not loop or self.last[1] != now:
            self.last = loop, now, loop.rule.numbers(now)
        if self.last[2] is None:
            return None
        cells, new = self.last[2]
        self.jobs.append(loop.rule.job(arrays, cells))
        self.places += places
        return dict(new)

    def run(self) -> None:
        """Do what waits: side by side, unless parameters share memory."""
        jobs, places = self.jobs, self.places
        self.jobs, self.places = [], []
        if jobs:
            for some in [[job] for job in jobs] if _meet(places) else [jobs]:
                _compiler().run_jobs(some)

    def loop(self, arrays: dict[Any, Array], numbers: dict[str, float]) -> Any:
        """Return the loop for such arrays, compiled when it is time, or None."""
        key = self.structure, tuple([(name, a.dtype) for name, a in arrays.items()]), tuple(numbers)
        if key in _loops:
            return _loops[key]
        _updated[key] = done = _updated.get(key, 0) + arrays[_X].size
        if done < (PAYS >> 2 if "numba" in sys.modules else PAYS) or _compiler() is None:
            return None
        try:
            _loops[key] = _Loop(self.optimizer, self.group, arrays, numbers)
        except (CaptureError, _compiler().NoKernel):
            _loops[key] = None
        return _loops[key]


def _place(array: Array) -> tuple[int, int]:
    """Return where the memory of a contiguous array begins and ends."""
    start: int = array.__array_interface__["data"][0]
    return start, start + array.nbytes


def _meet(places: list[tuple[int, int]]) -> bool:
    """Return whether two of these pieces of memory overlap."""
    ordered = sorted(places)
    return any(a[1] > b[0] for a, b in itertools.pairwise(ordered))


class _Loop:
    """A rule, and which settings and numbers it takes."""

    def __init__(
        self, optimizer: Any, group: dict[str, Any], arrays: dict[Any, Array], numbers: dict[str, float]
    ) -> None:
        settings = {key: value for key, value in group.items() if key != "params"}

        def traced(tensors: dict[Any, TensorBase]) -> tuple[dict[Any, Any], dict[Any, Any]]:
            recorder: Any = current().recorder
            taken = {key: recorder.setting(numbers, key, None, float) for key in numbers}
            t = taken.pop("step")
            state = {key: tensors[key] for key in tensors if key not in (_X, _G)} | taken
            s = optimizer._recorded_settings(settings, recorder)
            x, changed = optimizer.update(tensors[_X], tensors[_G], state, s, t)
            made = {_X: x} | {key: value for key, value in changed.items() if key not in taken}
            return made, {key: value for key, value in changed.items() if key in taken}

        self.rule = _compiler().Rule(traced, {key: array.dtype for key, array in arrays.items()})
        self.sources = [(None if of is numbers else "group", key, at) for of, key, at in self.rule.settings]
        self.rule.settings = []  # they hold the settings of this group
