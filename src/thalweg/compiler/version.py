"""One captured program of a function: whether it still holds, what it reads, what it leaves behind."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from operator import setitem
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from .capture import Captured
from .interpret import interpret
from .passes import eliminate_dead, optimize
from .program import Array, Program, Write
from .scalars import NoKernel
from .sharing import owner_of, share

__all__ = ["Kept", "Version"]

# Steps from which compiling their loop pays: Python needs some 150 µs for a step, the compiler some seconds for the
# loop, of which it needs a part for the single step as well.
_STEPS = 20_000
_FIRST_STEPS = 5_000
_WHOLE = repeat(...)


class Version:
    """One captured program of a function, ready to run."""

    def __init__(self, captured: Captured, key: Any, strict: bool) -> None:
        self.captured = captured
        self.key = key
        self.raw = captured.program
        self.program = optimize(captured.program)
        self.inputs = self.program.inputs
        self.settings = self.program.of_kind("setting")
        self.guards = [g for g in captured.guards if g.tensor is None]
        self.tensor_guards = [g for g in captured.guards if g.tensor is not None]
        self.seen: list[tuple[Any, Any, Any]] = []  # tensors found right, with their memory and node
        self.decided: tuple[Any, ...] | None = None
        self.bases = [(w, w.source) for w in self.program.writes]
        written = [w.source for w in self.program.writes if w.kind == "tensor"]
        self.writes_arguments = any(w.kind == "argument" for w in self.program.writes)
        touched = (
            [i.source for i in captured.program.inputs if i.kind == "tensor"] if self.writes_arguments else written
        )
        #: the owners of memory that no argument may be a part of
        self.apart = frozenset(id(owner_of(t._data)) for t in touched)
        self.cleared = [w.source for w in self.program.writes if w.value is None]
        self.done = 0  # steps of the latest loop
        self.notes: list[str] = []
        self.small: Any = None
        self.big: Any = None
        self.wholes: dict[bool, Any] = {}
        self.asked = 0  # steps of loops so far
        self.open = False  # whether a gradient is still to be taken through what it returns
        try:
            from .small import SmallProgram

            self.small = SmallProgram(self.program)
        except NoKernel as reason:
            self.notes.append(f"not unrolled: {reason}")
        self.strict = strict
        # whether what a run leaves behind is written in one piece, so that Ctrl-C need not be held back
        self.at_once = self.small is not None and not captured.schedules
        if self.small is None:
            self.plan()

    def plan(self, reason: NoKernel | None = None) -> None:
        """Run by a plan from now on: the program is too large to be unrolled, or its function does not compile."""
        from .plan import Plan

        self.small = None
        self.at_once = False
        if reason is not None:
            self.notes.append(f"not unrolled: {reason}")
        self.big = Plan(self.program, self.strict)

    def whole(self, gathered: bool, steps: int) -> Any:
        """Return the program with its loop compiled too; None if it is not of the size for that, or the steps too few."""
        if self.big is None:
            return None
        if gathered not in self.wholes:
            from .whole import Whole

            try:
                self.wholes[gathered] = Whole(self.big, gathered)
                self.notes.append(
                    f"loops of many steps in one function, {self.wholes[gathered].work} operations on elements a step"
                )
            except NoKernel as reason:
                self.wholes[gathered] = None
                self.notes.append(f"loops step by step in Python: {reason}")
        whole = self.wholes[gathered]
        self.asked += steps
        enough = _STEPS if self.big.ready else _FIRST_STEPS
        return whole if whole is not None and (self.asked >= enough or whole.at_hand()) else None

    def give_up_whole(self, gathered: bool, reason: NoKernel) -> None:
        """Run loops step by step from now on: the function of the whole loop does not compile."""
        self.wholes[gathered] = None
        self.notes.append(f"loops step by step in Python: {reason}")

    # Guards

    def shares(self, tensors: list[TensorBase]) -> bool:
        """Return whether a write of the program would meet memory that arguments share, with another or with a tensor."""
        apart = self.apart
        for t in tensors:
            if id(owner_of(t._data)) in apart:
                return True
        return self.writes_arguments and len(tensors) > 1 and share(tensors)

    def broken(self) -> str | None:
        """Return the first condition that no longer holds, or None."""
        places = self.captured.places
        if places is not None:
            changed = places.changed()
            if changed is not None:
                return changed
        for guard in self.guards:
            if not guard.holds():
                return guard.what
        for tensor, data, node in self.seen:
            if tensor._data is not data or tensor._node is not node:
                break
        else:
            if self.seen:
                return self._undecided()
        for guard in self.tensor_guards:
            if not guard.holds():
                self.seen = []
                return guard.what
        self.seen = [(g.tensor, g.tensor._data, g.tensor._node) for g in self.tensor_guards]
        return self._undecided()

    def _undecided(self) -> str | None:
        if self.captured.decisions and not self.decides(self.read_settings()[0]):
            return "a decision of Python on a setting came out differently"
        return None

    def decides(self, settings: Array) -> bool:
        """Return whether Python would decide on these settings as it did when captured."""
        if self.decided == tuple(settings):
            return True
        decisions = self.captured.decisions
        part = eliminate_dead(Program(self.raw.inputs, self.raw.operations, [value for value, _ in decisions], []))
        part.inputs = [i for i in part.inputs if i.kind in ("setting", "constant")]
        places = {id(i.value): k for k, i in enumerate(self.settings)}
        given = [
            i.source
            if i.kind == "constant"
            else np.asarray(settings[places[id(i.value)]] if id(i.value) in places else _number(i.source))
            for i in part.inputs
        ]
        found, _ = interpret(part, given)
        if all(bool(f) is wanted for f, (_, wanted) in zip(found, decisions, strict=True)):
            self.decided = tuple(settings)
            return True
        return False

    # What is there before a call

    def read_settings(self) -> Array:
        """Return the present numbers of the groups, as a row."""
        return np.array([[_number(given.source) for given in self.settings]])

    def schedule(self, steps: int) -> Array:
        """Let the schedulers go on by `steps`; return the numbers of the groups before each."""
        rows = np.empty((steps, len(self.settings)))
        for s in range(steps):
            rows[s] = self.read_settings()[0]
            self.go_on()
        return rows

    def go_on(self) -> None:
        """Repeat what the schedulers did in the function."""
        for _, step in self.captured.schedules:
            step()

    def schedules(self) -> list[tuple[Any, Any]]:
        """Return the state of every scheduler that steps in the function."""
        return [(scheduler, scheduler.state_dict()) for scheduler, _ in self.captured.schedules]

    def rewind(self, states: list[tuple[Any, Any]], steps: int) -> None:
        """Put the schedulers where they were `steps` after the states given."""
        for scheduler, state in reversed(states):
            scheduler.load_state_dict(state)
        for _ in range(steps):
            self.go_on()

    def environment(self) -> dict[int, Array]:
        """Return the present elements of every tensor that the program reads."""
        env = {}
        for given in self.inputs:
            if given.kind == "tensor":
                env[id(given)] = given.source._data
            elif given.kind == "grad":
                env[id(given)] = given.source._grad._data
        return env

    def leave(self, found: list[tuple[Write, Array]], done: int = 1) -> None:
        """Write what a run of `done` steps left behind into the tensors."""
        self.done = done
        data, elements = [], []
        for write, array in found:
            tensor = write.source
            if write.kind == "tensor":
                data.append(tensor._data)
                elements.append(array)
                counter = tensor._version_list
                if counter is not None:
                    counter[0] += 1
            else:
                tensor._grad = TensorBase._wrap(array.copy())
        # No instruction of Python comes between two tensors, so Ctrl-C finds all or none of them written.
        deque(map(setitem, data, _WHOLE, elements), 0)
        for tensor in self.cleared:
            tensor._grad = None


def _number(source: tuple[dict[str, Any], str, int | None]) -> float:
    group, key, index = source
    value = group[key] if index is None else group[key][index]
    if type(value) is float:
        return value
    return float(value._data) if isinstance(value, TensorBase) else float(value)


class Kept:
    """Copies of everything that a program writes."""

    def __init__(self, version: Version) -> None:
        self.arrays = [(t, t._data.copy()) for w, t in version.bases if w.kind == "tensor"]
        self.starts = [(i.source, i.source._data.copy()) for i in version.inputs if i.kind == "tensor"]
        self.grads = [(t, t._grad) for w, t in version.bases if w.kind == "grad"]
        self.draws = [
            (op.params[-1].generator, op.params[-1].generator.call) for op in version.program.operations if op.draws
        ]

    def restore(self) -> None:
        """Put everything back."""
        for tensor, array in (*self.arrays, *self.starts):
            np.copyto(tensor._data, array)
        for tensor, grad in self.grads:
            tensor._grad = grad
        for generator, call in reversed(self.draws):
            generator.call = call
