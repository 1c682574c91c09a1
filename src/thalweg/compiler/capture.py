"""Capture: run a function once, eagerly, and write down every primitive as a program.

A value is known by its array. Memory that is written in place is a `_Storage`, whose present value changes; a
view is the steps that cut it out of its storage, cut again when the storage has been written since. Tensors
that were there before are inputs; those that were written are state. What Python saw and decided on is guarded.
"""

from __future__ import annotations

import contextlib
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import current, enter
from ..core.moves import COPY_SLICES
from ..core.origin import user_line
from ..core.primitive import Primitive
from ..core.tensor import TensorBase
from ..errors import CaptureError
from ..ops.arithmetic import _where
from .guards import Places
from .program import Array, Draw, Input, Operation, Program, Value, Write
from .sharing import owner_of, share
from .world import World

__all__ = ["Captured", "Guard", "capture"]

_NUMBERS = (int, float, bool)


class Guard:
    """A condition on the world outside under which a captured program is still right."""

    __slots__ = ("holds", "tensor", "what")

    def __init__(self, what: str, holds: Callable[[], bool], tensor: Any = None) -> None:
        self.what = what
        self.holds = holds
        self.tensor = tensor  # where it speaks of one tensor's memory and kind


class Captured:
    """A program, the conditions under which it holds, and the form of what the function returned."""

    __slots__ = (
        "decisions", "form", "guards", "places", "program", "refused", "same", "schedules", "shares", "starting", "undo", "unfilled", "world",
    )  # fmt: skip

    def __init__(self, program: Program, guards: list[Guard], form: Any, undo: Callable[[], None]) -> None:
        self.program = program
        self.guards = guards
        self.form = form
        self.undo = undo  # puts back what the run itself changed
        self.schedules: list[tuple[Any, Callable[[], None]]] = []  # schedulers that step in each run
        self.unfilled: list[TensorBase] = []  # whose gradient is added to and was not there yet
        self.decisions: list[tuple[Value, bool]] = []  # on settings alone; checked when these change
        self.refused: str | None = None  # why the function must run as written
        self.starting: list[
            tuple[Any, dict[str, Any]]
        ] = []  # optimizers whose first state depends on settings, with groups
        self.same: dict[int, TensorBase | int] = {}  # results that are an outside tensor, or the k-th argument, itself
        self.places: Places | None = None  # what its Python read
        self.world: World | None = None


class _Storage:
    """One piece of memory: its present value, and how often it was replaced."""

    __slots__ = ("array", "before", "known", "source", "value", "version")

    def __init__(self, array: Array, value: Value, source: Input | None = None) -> None:
        self.array = array
        self.value = value
        self.source = source
        self.version = 0
        self.before: Array | None = None  # the elements before the first write


class _Entry:
    """Where the elements of one array object are: a piece of a storage, and its value as of some version."""

    __slots__ = ("array", "steps", "storage", "value", "version")

    def __init__(self, array: Array, storage: _Storage, steps: tuple[Any, ...], value: Value) -> None:
        self.array = array
        self.storage = storage
        self.steps = steps
        self.value = value
        self.version = storage.version


class Capture:
    """The recorder. It keeps every array it has seen alive, so that none can be mistaken for another."""

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.refused: str | None = None  # why the function must run as written, where that is no error
        self.world = World()
        self.program = Program()
        self.entries: dict[int, _Entry] = {}
        self.storages: list[_Storage] = []
        self.kept: list[dict[_Storage, tuple[Value, Array]]] = []  # per condition in force: what was written, as before
        self.outside: dict[int, TensorBase] = {}  # by id of the array: tensors that were not made here
        self.fixed: set[Value] = set()  # depends on constants only
        self.on_settings: set[Value] = set()  # depends on settings and constants only
        self.guards: list[Guard] = []
        self.unfilled: list[TensorBase] = []
        self.decisions: list[tuple[Value, bool]] = []
        self.schedules: list[tuple[Any, Callable[[], None], Any]] = []  # scheduler, its step, its state before
        self.scheduled: set[int] = set()  # groups whose schedule has gone on
        self.groups: list[tuple[dict[str, Any], str, int | None, float]] = []  # settings and what they were
        self.grads: dict[int, tuple[TensorBase, Any, bool]] = {}  # tensor, .grad before, whether cleared first
        self.settings: dict[tuple[int, str, int | None], TensorBase] = {}
        self.draws_before: list[tuple[Any, int]] = []
        self.generator: Any = None
        self.seen: set[int] = set()
        self.starting: list[tuple[Any, dict[str, Any]]] = []  # optimizers whose first state depends on settings
        self.count = 0

    # Values

    def fresh(self, array: Array, prefix: str = "v") -> Value:
        self.count += 1
        return Value(f"{prefix}{self.count}", array.shape, array.dtype)

    def enter_array(self, array: Array, value: Value, source: Input | None = None) -> _Entry:
        storage = _Storage(array, value, source)
        self.storages.append(storage)
        entry = self.entries[id(array)] = _Entry(array, storage, (), value)
        return entry

    def add_input(self, kind: str, array: Array, source: Any, label: str = "", prefix: str = "v") -> Input:
        given = Input(kind, self.fresh(array, prefix), source, label)
        self.program.inputs.append(given)
        return given

    def argument(self, tensor: TensorBase, position: int) -> None:
        given = self.add_input("argument", tensor._data, position, f"argument {position}", "x")
        self.enter_array(tensor._data, given.value, given)

    def known_constant(self, array: Array) -> Value:
        """Return the value of an array that nobody can change."""
        entry = self.entries.get(id(array))
        if entry is None:
            copy = array.copy()
            given = self.add_input("constant", copy, copy, prefix="c")
            self.fixed.add(given.value)
            entry = self.enter_array(array, given.value)
        return self.present(entry)

    def external(self, tensor: TensorBase) -> _Entry:
        """Meet a tensor that was not made here."""
        view = tensor._view
        if view is not None:
            base = self.entries.get(id(view.base._data)) or self.external(view.base)
            entry = _Entry(tensor._data, base.storage, base.steps + view.steps, base.value)
            entry.version = -1
            self.entries[id(tensor._data)] = entry
            return entry
        self.outside[id(tensor._data)] = tensor
        given = self.add_input("tensor", tensor._data, tensor, prefix="p")
        return self.enter_array(tensor._data, given.value, given)

    def value_of(self, x: Any) -> Any:
        """Return the value, or the number, that an input of a primitive stands for."""
        if isinstance(x, TensorBase):
            entry = self.entries.get(id(x._data))
            return self.present(entry if entry is not None else self.external(x))
        if x is None or type(x) in _NUMBERS:
            return x
        if isinstance(x, np.ndarray):
            return self.known_constant(x)
        if isinstance(x, np.generic):
            return self.known_constant(np.asarray(x))
        return float(x) if isinstance(x, float) else int(x)

    def present(self, entry: _Entry) -> Value:
        """Return the present value of an array: cut out of its storage anew if that was written."""
        storage = entry.storage
        if entry.version != storage.version:
            value, array = storage.value, storage.array
            for primitive, params in entry.steps:
                value, array = self.cut(primitive, params, value, array)
            entry.value, entry.version = value, storage.version
        return entry.value

    def cut(self, primitive: Primitive, params: tuple[Any, ...], value: Value, array: Array) -> tuple[Value, Array]:
        if primitive.single:
            pieces = (primitive.forward(array, *params),)
            which = 0
        else:
            pieces, which, params = tuple(primitive.forward(array, *params[:-1])), params[-1], params[:-1]
        outs = tuple(self.fresh(p) for p in pieces)
        self.emit(Operation(primitive, (value,), params, outs))
        return outs[which], pieces[which]

    def emit(self, op: Operation) -> None:
        self.program.operations.append(op)
        values = [x for x in op.inputs if isinstance(x, Value)]
        if not op.draws:
            if all(v in self.fixed for v in values):
                self.fixed.update(op.outputs)
            if all(v in self.fixed or v in self.on_settings for v in values):
                self.on_settings.update(op.outputs)

    # What the core tells

    def operation(
        self, primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], outputs: tuple[TensorBase, ...]
    ) -> None:
        """Write an operation down."""
        arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
        values = tuple(self.value_of(x) for x in inputs)
        if len(outputs) == 1 and any(outputs[0]._data is a for a in arrays):
            return  # the same elements under another name
        if self.generator is not None:
            params = (*params[:-2], Draw(self.generator))
            self.generator = None
        outs = tuple(self.fresh(t._data) for t in outputs)
        self.emit(Operation(primitive, values, params, outs, user_line()))
        for k, (tensor, out) in enumerate(zip(outputs, outs, strict=True)):
            array = tensor._data
            if primitive.view and isinstance(arrays[0], np.ndarray) and np.may_share_memory(array, arrays[0]):
                source = self.entries[id(arrays[0])]
                step = (primitive, params if primitive.single else (*params, k))
                entry = _Entry(array, source.storage, (*source.steps, step), out)
                self.entries[id(array)] = entry
            else:
                self.enter_array(array, out)

    def constant(self, tensor: TensorBase) -> None:
        """Meet a tensor made of plain data."""
        self.known_constant(tensor._data)

    def copied(self, source: Array, copy: Array) -> None:
        """Meet a copy of known elements."""
        entry = self.entries.get(id(source))
        if entry is not None:
            self.enter_array(copy, self.present(entry))

    def write(self, target: TensorBase, value: TensorBase) -> None:
        """Follow a write in place."""
        new = self.value_of(value)
        entry = self.entries.get(id(target._data)) or self.external(target)
        storage = entry.storage
        if storage.before is None:
            storage.before = storage.array.copy()
        for kept in self.kept:
            if storage not in kept:
                kept[storage] = storage.value, storage.array.copy()
        if entry.steps:
            whole = self.fresh(storage.array)
            self.emit(Operation(COPY_SLICES, (storage.value, new), (entry.steps,), (whole,)))
            storage.value = whole
        else:
            storage.value = new
        storage.version += 1
        entry.value, entry.version = new, storage.version

    def when(self, condition: TensorBase, work: Callable[[], Any]) -> None:
        """Run `work`; memory that it wrote and that was there before has its new elements only where `condition` holds.

        Both cases are computed in every run, and the program selects. In this run too: where the condition does not
        hold, the elements are put back.
        """
        chosen, holds, known = self.value_of(condition), bool(condition._data), len(self.storages)
        kept: dict[_Storage, tuple[Value, Array]] = {}
        self.kept.append(kept)
        try:
            work()
        finally:
            self.kept.pop()
        own = {storage for storage in self.storages[known:] if storage.source is None}  # made by `work` itself
        for storage, (value, elements) in kept.items():
            if storage in own:
                continue
            selected = self.fresh(storage.array)
            self.emit(Operation(_where, (chosen, storage.value, value), (), (selected,), user_line()))
            storage.value = selected
            storage.version += 1
            if not holds:
                np.copyto(storage.array, elements)

    def read(self, tensor: TensorBase, how: str) -> None:
        """Refuse to let Python see a captured value; guard what depends on settings alone."""
        value = self.value_of(tensor)
        if value in self.fixed:
            return
        if value in self.on_settings and how == "bool":
            self.decisions.append((value, bool(tensor._data)))
            return
        self.refuse(
            f"{how} was asked of a value that is only known when the compiled program runs, at {user_line()}",
            "Choose with where() instead of if, return the value and look at it outside, or leave this function eager.",
        )

    def refuse(self, why: str, advice: str = "") -> None:
        """Raise CaptureError if strict; else note that later calls run as written, and let this one go on."""
        if self.strict:
            raise CaptureError(f"compile: {why}." + (f" {advice}" if advice else ""))
        if self.refused is None:
            self.refused = why

    def gradient(self, tensor: TensorBase | None) -> None:
        """Note which leaves receive gradients, and what was in ``.grad`` before."""
        if tensor is None:
            return
        present = tensor._grad
        if id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, present, False)
            if present is not None and id(present._data) not in self.entries:
                given = self.add_input("grad", present._data, tensor, "grad of", "g")
                self.enter_array(present._data, given.value, given)

    def cleared(self, tensor: TensorBase) -> None:
        """Note that ``.grad`` was replaced."""
        if id(tensor) not in self.grads:
            self.grads[id(tensor)] = (tensor, tensor._grad, True)

    def draws(self, generator: Any) -> None:
        """Note which generator the next operation draws from."""
        if self.kept:
            self.refuse(
                f"random numbers are drawn in a step that may be left out, at {user_line()}, and how many were drawn "
                "before must not depend on values",
                "Leave this function eager, or draw outside of that step.",
            )
        if not any(g is generator for g, _ in self.draws_before):
            self.draws_before.append((generator, generator.call))
        self.generator = generator

    def module(self, module: Any) -> None:
        """Guard the mode and the parts of a module."""
        if id(module) in self.seen:
            return
        self.seen.add(id(module))
        self.world.nn_module(module, frozenset(), type(module).__name__)

    def optimizer(self, optimizer: Any) -> None:
        """Guard the groups of an optimizer and every setting that is no number."""
        if id(optimizer) in self.seen:
            return
        self.seen.add(id(optimizer))
        name = type(optimizer).__name__
        self.world.optimizer(optimizer, frozenset(), name)
        if getattr(optimizer, "starts_from", ()):
            self.starting += [(optimizer, group) for group in optimizer.param_groups]
        self.guards.append(Guard(f"the groups or fixed settings of {name} changed", _groups(optimizer)))

    def depends(self, on: Any, what: str, now: Callable[[], Any]) -> None:
        """Guard what the core reads from an object and decides on."""
        if id(on) in self.seen:
            return
        self.seen.add(id(on))
        before = now()
        self.guards.append(Guard(what, lambda: bool(now() == before)))

    def scheduler(self, scheduler: Any, step: Callable[[], None]) -> None:
        """Remember the step of a scheduler, to be repeated after each run."""
        self.schedules.append((scheduler, step, scheduler.state_dict()))
        self.scheduled |= {id(group) for group in scheduler.optimizer.param_groups}

    def check_settings(self) -> None:
        """Refuse numbers of groups that the function changed by itself: later runs would not."""
        for group, key, index, before in self.groups:
            now = group[key] if index is None else group[key][index]
            if id(group) not in self.scheduled and float(now._data if isinstance(now, TensorBase) else now) != before:
                self.refuse(
                    f"the function changed {key} of an optimizer's group from {before} to {now}, which a compiled run does "
                    "not repeat",
                    "Use a scheduler, change it outside, or pass one value per step to loop().",
                )

    def setting(self, group: dict[str, Any], key: str, at: int | None, kind: type) -> TensorBase:
        """Return the tensor that stands for a number in a group."""
        index = at
        if id(group) in self.scheduled:
            self.refuse(
                f"{key} is needed after a scheduler has stepped in the same run, at {user_line()}",
                "Step the scheduler last, or outside of the compiled function.",
            )
        known = self.settings.get((id(group), key, index))
        if known is None:
            number = group[key] if index is None else group[key][index]
            if isinstance(number, TensorBase):
                number = number._data.item()
            known = TensorBase._wrap(np.array(float(number), np.float64))
            self.settings[id(group), key, index] = known
            self.groups.append((group, key, index, float(number)))
            label = key if index is None else f"{key}[{index}]"
            given = self.add_input("setting", known._data, (group, key, index), label, "s")
            self.enter_array(known._data, given.value, given)
            self.on_settings.add(given.value)
        return known

    # The end

    def shared(self, leaves: list[Any], tensors: list[TensorBase]) -> tuple[dict[int, TensorBase | int], str | None]:
        """Return which results are tensors from outside, and what is said if another shares memory with such a tensor.

        Views of what was made here are results of their own; two results over one memory are not.
        """
        arguments = {id(t): k for k, t in enumerate(tensors)}
        outside = {id(t): t for t in self.outside.values()}
        owners = {id(owner_of(t._data)) for t in (*tensors, *self.outside.values())}
        same: dict[int, TensorBase | int] = {}
        for k, leaf in enumerate(leaves):
            if id(leaf) in arguments:
                same[k] = arguments[id(leaf)]
            elif id(leaf) in outside or id(leaf._data) not in self.entries:  # not made here
                if sys.getrefcount(leaf) > (6 if id(leaf) in outside else 4):  # others than this call hold it
                    same[k] = leaf
            elif id(owner_of(leaf._data)) in owners:
                return {}, "it returns a view of an argument, a parameter or another tensor from outside"
        fresh = [leaf for k, leaf in enumerate(leaves) if k not in same]
        if share(fresh):
            return {}, "it returns two tensors over the same memory"
        return same, None

    def finish(self, leaves: list[Any]) -> None:
        """Turn the state of the recorder into results, writes and guards."""
        self.program.results = [self.value_of(t) for t in leaves]
        shown = {id(t) for t in leaves}
        self.settle_outside(shown)
        by_id = {id(i): i for i in self.program.inputs}
        for storage in self.storages:
            given = storage.source
            if given is None or storage.version == 0 or id(given) not in by_id:
                continue
            if given.kind in ("tensor", "argument"):
                self.program.writes.append(Write(given.kind, given.source, storage.value, given.label))
        for tensor, before, was_cleared in self.grads.values():
            self.finish_grad(tensor, before, was_cleared)
        self.program.inputs = [i for i in self.program.inputs if i.kind != "tensor" or i.source is not None]

    def finish_grad(self, tensor: TensorBase, before: Any, was_cleared: bool) -> None:
        after = tensor._grad
        label = "grad"
        if after is None:
            self.program.writes.append(Write("grad", tensor, None, label))
        elif after is not before or self.entries[id(after._data)].storage.version:
            self.program.writes.append(Write("grad", tensor, self.value_of(after), label))
        if not was_cleared:
            empty = before is None
            what = "a gradient was there before" if empty else "no gradient was there before"
            self.guards.append(Guard(what, lambda: (tensor._grad is None) is empty))
            if empty and after is not None:
                self.unfilled.append(tensor)

    def settle_outside(self, shown: set[int]) -> None:
        """Take tensors that nobody else holds as constants, and guard the type of the others."""
        for given in self.program.inputs:
            if given.kind != "tensor":
                continue
            tensor = given.source
            # Held by `given`, by `outside`, by our local and by the call: then it was made in the function.
            if sys.getrefcount(tensor) <= 4 and id(tensor) not in shown:
                storage = self.entries[id(tensor._data)].storage
                given.kind = "constant"
                given.source = tensor._data.copy() if storage.before is None else storage.before
                storage.source = None
                continue
            self.guards.append(_tensor_guard(tensor))


def _tensor_guard(tensor: TensorBase) -> Guard:
    strides, shape, kind, needs = tensor._data.strides, tensor._data.shape, tensor._data.dtype, tensor._node is not None

    def holds() -> bool:
        data = tensor._data
        if (tensor._node is not None) is not needs or data.shape != shape:
            return False
        return data.strides == strides and data.dtype == kind

    return Guard(f"a tensor of shape {shape} changed its shape, dtype or requires_grad", holds, tensor)


def _groups(optimizer: Any) -> Callable[[], bool]:
    """Return whether what the structure of a step depends on is as it is now.

    Numbers are inputs, except that exactly 0 switches some parts off.
    """
    groups = list(optimizer.param_groups)
    seen = []
    for group in groups:
        params = list(group["params"])
        fixed, switches = {}, {}
        for key, value in group.items():
            if key == "params":
                continue
            if key in optimizer.static or isinstance(value, (bool, str)) or value is None:
                fixed[key] = value
            elif key in optimizer.switches:
                switches[key] = _is_zero(value)
        seen.append((group, params, fixed, switches))

    held: list[Any] = []  # the objects seen last: while they are the same ones, nothing has to be compared

    def same() -> bool:
        present_objects = [x for group in optimizer.param_groups for x in (*group.values(), *group["params"])]
        if len(held) == len(present_objects) and all(map(operator.is_, held, present_objects)):
            return True
        if len(optimizer.param_groups) != len(seen) or not compared():
            return False
        held[:] = present_objects
        return True

    def compared() -> bool:
        for present, (group, params, fixed, switches) in zip(optimizer.param_groups, seen, strict=True):
            if present is not group or len(group["params"]) != len(params):
                return False
            for a, b in zip(group["params"], params, strict=True):
                if a is not b:
                    return False
            for key, value in fixed.items():
                if group.get(key) is not value and group.get(key) != value:
                    return False
            for key, zero in switches.items():
                if _is_zero(group.get(key)) is not zero:
                    return False
        return True

    return same


def _is_zero(value: Any) -> bool:
    return isinstance(value, (int, float)) and value == 0


def flatten(value: Any, leaves: list[Any]) -> Any:
    """Return the form of a result, and its tensors in `leaves`."""
    if isinstance(value, TensorBase):
        leaves.append(value)
        return len(leaves) - 1
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ("named", type(value), [flatten(v, leaves) for v in value])
    if isinstance(value, (tuple, list)):
        return ("sequence", type(value), [flatten(v, leaves) for v in value])
    if isinstance(value, dict):
        return ("dict", list(value), [flatten(v, leaves) for v in value.values()])
    return ("other", None, value)


def rebuild(form: Any, leaves: list[Any]) -> Any:
    """Return a result of a known form."""
    if isinstance(form, int):
        return leaves[form]
    kind, of, parts = form
    if kind == "other":
        return parts
    done = [rebuild(p, leaves) for p in parts]
    if kind == "dict":
        return dict(zip(of, done, strict=True))
    return of(*done) if kind == "named" else of(done)


def capture(
    fn: Callable[..., Any], args: tuple[Any, ...], tensors: list[TensorBase], strict: bool = True,
    watch: Callable[..., Any] | None = None,
) -> tuple[Captured, Any]:  # fmt: skip
    """Run ``fn(*args)`` with a recorder in force; `tensors` are those among the arguments. Return its result too.

    What cannot be compiled is an error with `strict`; else the run goes on as an eager one, and `refused` says why.
    With `watch`, the user's function that `fn` runs, what Python reads and stores outside of it is followed too.
    """
    recorder = Capture(strict)
    world = recorder.world
    for k, tensor in enumerate(tensors):
        recorder.argument(tensor, k)
    outer = current()
    default, grad = _dtype.default_float(), outer.grad
    leaves: list[Any] = []
    if watch:
        world.given(watch, args)
    try:
        enter(outer.replace(recorder=recorder))
        try:
            with world.watching() if watch else contextlib.nullcontext():
                result = fn(*args)
            recorder.check_settings()
        finally:
            enter(outer)
        refused = recorder.refused or world.blocked or (world.stored() if watch else None)
        if refused is None:
            form = flatten(result, leaves)
            same, refused = recorder.shared(leaves, tensors) if watch else ({}, None)
        if refused is None:
            recorder.finish(leaves)
    except Exception as error:
        if isinstance(error, CaptureError):  # any other exception is the function's own, which leaves what it wrote
            _undo(recorder)
            world.put_back()
        raise
    except BaseException:
        _undo(recorder)
        world.put_back()
        raise
    undo = _undoing(recorder)
    if refused is not None:
        if strict:
            undo()
            raise CaptureError(f"compile: the function cannot be compiled, since {refused}.")
        captured = Captured(recorder.program, [], None, undo)
        captured.refused, captured.world = refused, world
        return captured, result
    recorder.guards.append(Guard("the default dtype changed", lambda: _dtype.default_float() is default))
    recorder.guards.append(Guard("gradients were switched on or off", lambda: current().grad is grad))
    captured = Captured(recorder.program, recorder.guards, form, undo)
    captured.places = Places(world.settle())
    captured.unfilled = recorder.unfilled
    captured.same = same
    captured.starting = recorder.starting
    captured.schedules = [(scheduler, step) for scheduler, step, _ in recorder.schedules]
    captured.decisions = recorder.decisions
    return captured, result


def _undo(recorder: Capture) -> None:
    _undoing(recorder)()


def _undoing(recorder: Capture) -> Callable[[], None]:
    """Return a function that puts back what the run changed: memory, gradients, counts of draws."""
    memory = [(s.array, s.before) for s in recorder.storages if s.before is not None and s.source is not None]
    grads = [(tensor, before) for tensor, before, _ in recorder.grads.values()]
    draws = recorder.draws_before
    schedules = [(scheduler, before) for scheduler, _, before in reversed(recorder.schedules)]

    def undo() -> None:
        for scheduler, before in schedules:
            scheduler.load_state_dict(before)
        for array, before in memory:
            np.copyto(array, before)
        for tensor, before in grads:
            tensor._grad = before
        for generator, call in draws:
            generator.call = call

    return undo
