"""``compile``: a function that runs from its captured program, and its loop and sweep."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.inplace import bump
from ..core.modes import current
from ..core.tensor import TensorBase
from ..errors import ArgumentError, CaptureError, DTypeError, ShapeError
from ..ops._coerce import as_tensor
from .capture import Captured, capture, rebuild
from .interpret import interpret
from .passes import eliminate_dead, optimize
from .program import Array, Input, Program, Write
from .scalars import NoKernel
from .threads import late_interrupts

__all__ = ["Compiled", "Sweep", "compile"]


_VERSIONS = 8  # programs of one function that are kept


class Sweep(NamedTuple):
    """What a sweep returns: the outputs of each run and step, and each run's final state."""

    outputs: Any
    states: dict[Any, Any]


class Version:
    """One captured program of a function, ready to run."""

    def __init__(self, captured: Captured, key: Any, strict: bool) -> None:
        self.captured = captured
        self.key = key
        self.raw = captured.program
        self.program = optimize(captured.program)
        self.inputs = self.program.inputs
        self.settings = self.program.of_kind("setting")
        self.guards = captured.guards
        self.decided: tuple[Any, ...] | None = None
        self.bases = [(w, w.source) for w in self.program.writes]
        self.cleared = [w.source for w in self.program.writes if w.value is None]
        self.notes: list[str] = []
        self.small: Any = None
        self.big: Any = None
        try:
            from .small import SmallProgram

            self.small = SmallProgram(self.program)
        except NoKernel as reason:
            self.notes.append(f"not unrolled: {reason}")
        if self.small is None:
            from .plan import Plan

            self.big = Plan(self.program, strict)
            self.notes += self.big.notes

    # Guards

    def broken(self) -> str | None:
        """Return the first condition that no longer holds, or None."""
        for guard in self.guards:
            if not guard.holds():
                return guard.what
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
        row = np.empty((1, len(self.settings)))
        for k, given in enumerate(self.settings):
            row[0, k] = _number(given.source)
        return row

    def environment(self) -> dict[int, Array]:
        """Return the present elements of every tensor that the program reads."""
        env = {}
        for given in self.inputs:
            if given.kind == "tensor":
                env[id(given)] = given.source._data
            elif given.kind == "grad":
                env[id(given)] = given.source._grad._data
        return env

    def leave(self, found: list[tuple[Write, Array]]) -> None:
        """Write what a run left behind into the tensors."""
        for write, array in found:
            tensor = write.source
            if write.kind == "tensor":
                tensor._data[...] = array
                bump(tensor)
            else:
                tensor._grad = TensorBase._wrap(array.copy())
        for tensor in self.cleared:
            tensor._grad = None


def _elements(given: Input) -> Array:
    """Return the present elements of a state."""
    source = given.source
    return source._data if given.kind == "tensor" else source._grad._data


def _number(source: tuple[dict[str, Any], str, int | None]) -> float:
    group, key, index = source
    value = group[key] if index is None else group[key][index]
    return float(value._data) if isinstance(value, TensorBase) else float(value)


class Compiled:
    """A function that runs from its program. See :func:`compile`."""

    def __init__(self, fn: Callable[..., Any], strict: bool) -> None:
        functools.update_wrapper(self, fn)
        self._fn = fn
        self._strict = strict
        self._versions: list[Version] = []
        self._log: list[str] = []

    # Finding the program

    def _key(self, tensors: Sequence[TensorBase], fixed: Any) -> Any:
        return tuple((t._data.shape, t._data.dtype, t._node is not None) for t in tensors), fixed

    def _find(self, key: Any) -> tuple[Version | None, str]:
        reason = "the first call"
        for version in self._versions:
            if version.key == key:
                broken = version.broken()
                if broken is None:
                    return version, ""
                reason = broken
            elif reason == "the first call":
                reason = f"arguments {_described(key)} are new"
        return None, reason

    def _capture(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[TensorBase], key: Any, why: str
    ) -> Any:
        captured, result = capture(functools.partial(self._fn, **kwargs), args, tensors)
        try:
            version = Version(captured, key, self._strict)
        except BaseException:
            captured.undo()
            raise
        kept = [v for v in self._versions if v.key != key or v.broken() is None]
        self._versions = [*kept[-_VERSIONS + 1 :], version]
        self._log.append(f"captured for {_described(key)}: {why}")
        return version, result

    # One call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function once."""
        if current().recorder is not None:
            return self._fn(*args, **kwargs)
        tensors, args, kwargs, fixed = _split(args, kwargs)
        key = self._key(tensors, fixed)
        version, why = self._find(key)
        if version is None:
            version, result = self._capture(args, kwargs, tensors, key, why)
            return result
        results = self._once(version, [t._data for t in tensors])
        return rebuild(version.captured.form, results)

    def _once(self, version: Version, arrays: list[Array]) -> list[Any]:
        settings = version.read_settings()
        if version.small is not None:
            data = [a.reshape(1, -1) for a in arrays]
            outs = version.small.run(_elements, data, None, 1, settings, version.leave)
            return [TensorBase._wrap(out[0]) for out in outs]
        outs = version.big.call(arrays, settings[0])
        return [TensorBase._wrap(out) for out in outs]

    # The loop

    def loop(self, *arrays: Any, order: Any = None, steps: int | None = None, **hyper: Any) -> Any:
        """Run the function once per step, the loop itself compiled; return each step's outputs, stacked.

        With `order`, an integer array [steps, batch], step s gets the rows ``order[s]`` of each array; without,
        the first axis of each array is the step, and with no arrays at all `steps` says how many. Any other name
        is a setting of the optimizers: one number, or one per step.
        """
        data, order, count = _data(arrays, order, steps, "loop")
        if count == 0:
            raise ArgumentError("loop: at least one step is required, got none.")
        version = self._version_for(data, order, "loop")
        settings, stepped = _settings_of(version, hyper, count, "loop")
        if version.small is not None:
            matrices = _matrices(data, order is not None)
            try:
                outs = version.small.run(_elements, matrices, order, count, settings, version.leave, stepped)
            except NoKernel:
                outs = None
            if outs is not None:
                return rebuild(version.captured.form, [TensorBase._wrap(o) for o in outs])
        outs = self._steps(version, data, order, count, settings)
        return rebuild(version.captured.form, [TensorBase._wrap(o) for o in outs])

    def _steps(
        self, version: Version, data: list[Array], order: Array | None, count: int, settings: Array
    ) -> list[Array]:
        """Run a loop step by step."""
        program = version.program
        stacked = [np.empty((count, *v.shape), v.dtype) for v in program.results]
        with late_interrupts() as pause:
            for s in range(count):
                rows = [a[order[s]] if order is not None else a[s] for a in data]
                row = settings[s] if len(settings) > 1 else settings[0]
                if version.big is not None:
                    outs = version.big.call(rows, row)
                else:
                    flat = [np.ascontiguousarray(r).reshape(1, -1) for r in rows]
                    steps = version.small.run(_elements, flat, None, 1, row[None], version.leave)
                    outs = [o[0] for o in steps]
                for kept, out in zip(stacked, outs, strict=True):
                    kept[s] = out
                pause()
        return stacked

    def _version_for(self, data: list[Array], order: Array | None, who: str) -> Version:
        """Return the program for one step on such rows, capturing it without a lasting effect where needed."""
        batch = () if order is None else order.shape[-1:]
        key = tuple((batch + a.shape[1:], a.dtype, False) for a in data), ()
        version, why = self._find(key)
        if version is None:
            first = None if order is None else order.reshape(-1, order.shape[-1])[0]
            rows = [as_tensor(np.array(a[first] if first is not None else a[0])) for a in data]
            version, _ = self._capture(tuple(rows), {}, rows, key, why)
            version.captured.undo()
            if version.broken() is not None:  # the run itself changed what it depends on
                version, why = self._find(key)
                if version is None:
                    version, _ = self._capture(tuple(rows), {}, rows, key, why)
                    version.captured.undo()
        return version

    # The sweep

    def sweep(
        self,
        *arrays: Any,
        order: Any = None,
        steps: int | None = None,
        init: Mapping[Any, Any] | None = None,
        **hyper: Any,
    ) -> Sweep:
        """Run k independent trainings from the present state; return their outputs [k, steps, …] and final states.

        k is the first axis of each setting that is an array ([k] or [k, steps]), of `order` ([k, steps, batch]; with
        two axes all runs share it), and of the arrays of `init`, which maps tensors to their starts [k, …]. The
        states map tensors to arrays [k, …]; the tensors themselves stay as they were.
        """
        data, order, count = _data(arrays, order, steps, "sweep")
        version = self._version_for(data, order, "sweep")
        starts = _starts(init, version)
        runs = _runs(hyper, order, starts)
        settings, swept, stepped = _swept_settings(version, hyper, runs, count)
        varied = {}
        for given in version.inputs:
            if given.kind == "tensor" and id(given.source) in starts:
                varied[id(given)] = starts[id(given.source)][1].astype(given.value.dtype)
        found = None
        if version.small is not None:
            matrices = _matrices(data, order is not None)
            try:
                found = version.small.sweep(
                    version.environment(), varied, matrices, order, runs, count, settings, swept, stepped
                )
            except NoKernel as reason:
                version.notes.append(f"sweep one by one: {reason}")
        if found is None:
            found = self._sweep_one_by_one(version, varied, data, order, runs, count, settings, swept)
        outs, left = found
        states = {}
        for write, tensor in version.bases:
            if write.kind == "tensor":
                states[tensor] = TensorBase._wrap(left["tensor", id(tensor)])
        for tensor, start in starts.values():
            states.setdefault(tensor, TensorBase._wrap(start.astype(tensor._data.dtype)))
        results = [TensorBase._wrap(o) for o in outs]
        return Sweep(rebuild(version.captured.form, results), states)

    def _sweep_one_by_one(
        self, version: Version, varied: dict[int, Array], data: list[Array], order: Array | None, runs: int, count: int,
        settings: Array, swept: dict[int, Array],
    ) -> Any:  # fmt: skip
        """Run the trainings one after the other, each from the same start, and put everything back."""
        keep = _Kept(version)
        outs: list[list[Array]] = []
        left: dict[tuple[str, int], list[Array]] = {}
        try:
            for r in range(runs):
                keep.restore()
                for given in version.inputs:
                    if id(given) in varied:
                        np.copyto(given.source._data, varied[id(given)][r].reshape(given.value.shape))
                own = np.repeat(settings, count, axis=0) if len(settings) == 1 else settings.copy()
                for k, values in swept.items():
                    own[:, k] = values[r]
                outs.append(
                    self._steps(version, data, order if order is None or order.ndim == 2 else order[r], count, own)
                )
                for write, tensor in version.bases:
                    if write.kind == "tensor":
                        left.setdefault(("tensor", id(tensor)), []).append(tensor._data.copy())
        finally:
            keep.restore()
        return [np.stack(parts) for parts in zip(*outs, strict=True)], {k: np.stack(v) for k, v in left.items()}

    # What was made

    def _latest(self) -> Version:
        if not self._versions:
            raise CaptureError("compile: nothing was captured yet; call the function first.")
        return self._versions[-1]

    @property
    def program(self) -> Program:
        """The program of the latest capture, after the passes."""
        return self._latest().program

    @property
    def source(self) -> str:
        """The generated Python of the latest capture."""
        version = self._latest()
        if version.small is not None:
            return "\n\n".join(version.small.sources.values())
        return version.big.source

    def explain(self) -> str:
        """Return what was captured and why again, and what runs where."""
        lines = list(self._log) or ["nothing was captured yet"]
        for version in self._versions:
            program = version.program
            lines.append(
                f"{_described(version.key)}: {len(version.raw.operations)} operations captured, "
                f"{len(program.operations)} after the passes, {len(program.writes)} writes"
            )
            if version.small is not None:
                lines.append(f"  unrolled into one function of {version.small.statements} scalar statements")
            lines += [f"  {note}" for note in version.notes]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._fn, '__name__', 'function')}>"


class _Kept:
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


def _described(key: Any) -> str:
    shapes = ", ".join(f"{dtype}{list(shape)}" for shape, dtype, _ in key[0])
    return f"({shapes})"


def _split(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[TensorBase], tuple[Any, ...], dict[str, Any], Any]:
    """Return the arguments with arrays as tensors, those tensors, and the rest, which is fixed for a program."""
    tensors: list[TensorBase] = []
    fixed: list[Any] = []

    def each(x: Any) -> Any:
        if isinstance(x, (np.ndarray, np.generic)):
            x = as_tensor(x)
        if isinstance(x, TensorBase):
            if any(t is x for t in tensors):
                x = x._alias()
            fixed.append(None)
            tensors.append(x)
            return x
        fixed.append((type(x), x))
        return x

    new_args = tuple(each(x) for x in args)
    new_kwargs = {name: each(kwargs[name]) for name in sorted(kwargs)}
    return tensors, new_args, new_kwargs, (*fixed, *new_kwargs) if fixed.count(None) != len(fixed) or new_kwargs else ()


def _data(arrays: tuple[Any, ...], order: Any, steps: int | None, who: str) -> tuple[list[Array], Array | None, int]:
    """Check the data and the order; return arrays, the order in int64, and the number of steps."""
    data = [as_tensor(a, who)._data for a in arrays]
    if order is None:
        counts = {len(a) if a.ndim else 0 for a in data} | (set() if steps is None else {steps})
        if len(counts) != 1:
            raise ShapeError(
                f"{who}: without order, the first axis of every array is the step; give arrays of one length, or steps= "
                f"when there are none, got lengths {sorted(counts)}."
            )
        return data, None, counts.pop()
    rows = np.asarray(order._data if isinstance(order, TensorBase) else order)
    if rows.dtype.kind not in "iu":
        raise DTypeError(f"{who}: order must hold integers, got {rows.dtype}.")
    if rows.ndim not in ((2,) if who == "loop" else (2, 3)):
        axes = "[steps, batch]" if who == "loop" else "[steps, batch] or [k, steps, batch]"
        raise ShapeError(f"{who}: order must be {axes}, got shape {rows.shape}.")
    if not data:
        raise ArgumentError(f"{who}: order picks rows of arrays, and no array was given.")
    shortest = min(len(a) if a.ndim else 0 for a in data)
    rows = np.ascontiguousarray(rows, np.int64)
    if rows.size and rows.view(np.uint64).max() >= shortest:  # negative ones are large there
        raise ShapeError(f"{who}: order must lie in [0, {shortest - 1}], got {rows.min()} to {rows.max()}.")
    return data, rows, rows.shape[-2]


def _matrices(data: list[Array], gathered: bool) -> list[Array]:
    """Return arrays as contiguous matrices with one row per example, or per step."""
    return [np.ascontiguousarray(a).reshape(len(a), -1) for a in data]


def _places(version: Version, name: str, who: str) -> list[int]:
    found = [k for k, given in enumerate(version.settings) if given.source[1] == name]
    if not found:
        known = ", ".join(sorted({i.source[1] for i in version.settings})) or "none"
        raise ArgumentError(f"{who}: {name} is no setting that the function uses; there are: {known}.")
    return found


def _settings_of(version: Version, hyper: dict[str, Any], steps: int, who: str) -> tuple[Array, frozenset[int]]:
    """Return the settings of each step, and which have one value per step."""
    row = version.read_settings()
    stepped = set()
    series: dict[int, Array] = {}
    for name, given in hyper.items():
        for k in _places(version, name, who):
            value = np.asarray(given._data if isinstance(given, TensorBase) else given, np.float64)
            index = version.settings[k].source[2]
            if index is not None:
                value = value[..., index]
            if value.ndim == 0:
                row[0, k] = value
            elif value.shape == (steps,):
                series[k] = value
                stepped.add(k)
            else:
                raise ShapeError(
                    f"{who}: {name} must be one number or one per step ({steps}), got shape {value.shape}."
                )
    if stepped:
        row = np.repeat(row, steps, axis=0)
        for k, value in series.items():
            row[:, k] = value
    return row, frozenset(stepped)


def _starts(init: Mapping[Any, Any] | None, version: Version) -> dict[int, tuple[Any, Array]]:
    if init is None:
        return {}
    used = {id(i.source) for i in version.inputs if i.kind == "tensor"}
    found = {}
    for tensor, value in init.items():
        if not isinstance(tensor, TensorBase):
            raise DTypeError(f"sweep: the keys of init must be tensors, got {type(tensor).__name__}.")
        array = np.asarray(value._data if isinstance(value, TensorBase) else value)
        if array.shape[1:] != tensor._data.shape or array.ndim != tensor._data.ndim + 1:
            raise ShapeError(f"sweep: init of shape [k, *{tensor._data.shape}] is required, got {array.shape}.")
        if id(tensor) in used:
            found[id(tensor)] = (tensor, array)
    return found


def _runs(hyper: dict[str, Any], order: Array | None, starts: dict[int, tuple[Any, Array]]) -> int:
    """Return k, on which everything that has it must agree."""
    counts: dict[str, int] = {}
    for name, given in hyper.items():
        value = given._data if isinstance(given, TensorBase) else np.asarray(given)
        if value.ndim and not (isinstance(given, tuple) and value.ndim == 1):
            counts[name] = len(value)
    if order is not None and order.ndim == 3:
        counts["order"] = len(order)
    for _, array in starts.values():
        counts["init"] = len(array)
    if not counts:
        raise ArgumentError(
            "sweep: nothing differs between runs; give a setting, order or init with a first axis of k."
        )
    if len(set(counts.values())) > 1:
        raise ShapeError(
            f"sweep: one number of runs is required, got {', '.join(f'{n}: {k}' for n, k in counts.items())}."
        )
    k = next(iter(counts.values()))
    if k == 0:
        raise ArgumentError("sweep: at least one run is required, got 0.")
    return k


def _swept_settings(
    version: Version, hyper: dict[str, Any], runs: int, steps: int
) -> tuple[Array, dict[int, Array], frozenset[int]]:
    """Return the common settings, those that differ [k, step or 1], and which have one value per step."""
    row = version.read_settings()
    swept: dict[int, Array] = {}
    for name, given in hyper.items():
        for k in _places(version, name, "sweep"):
            value = np.asarray(given._data if isinstance(given, TensorBase) else given, np.float64)
            index = version.settings[k].source[2]
            if index is not None:
                value = value[..., index]
            if value.ndim == 0:
                row[0, k] = value
            elif value.shape in ((runs,), (runs, steps)):
                swept[k] = value.reshape(runs, -1)
            else:
                raise ShapeError(f"sweep: {name} must have shape [{runs}] or [{runs}, {steps}], got {value.shape}.")
    stepped = frozenset(k for k, v in swept.items() if v.shape[1] > 1)
    if stepped and steps > 1:
        swept = {k: np.broadcast_to(v, (runs, steps)) for k, v in swept.items()}
        stepped = frozenset(swept)
    return row, swept, stepped


def compile(fn: Callable[..., Any] | None = None, *, strict: bool = False) -> Any:
    """Return `fn` as a compiled function: its program is captured at the first call and runs as machine code from then on.

    The result is called like `fn`, and also has ``loop`` (the whole loop over batches in one call), ``sweep`` (many
    trainings side by side), ``program``, ``source`` and ``explain()``. With `strict`, an operation without a
    kernel is an error instead of running in NumPy. Raises CaptureError where Python looks at a captured value.

    >>> import thalweg as tw
    >>> @tw.compile
    ... def area(x):
    ...     return (x * x).sum()
    >>> [area(tw.tensor([1.0, 2.0])).item() for _ in range(2)]
    [5.0, 5.0]
    """
    if fn is None:
        return functools.partial(compile, strict=strict)
    if isinstance(fn, Compiled):
        return fn
    if not callable(fn):
        raise DTypeError(f"compile: a function is required, got {type(fn).__name__}.")
    return Compiled(fn, strict)
