"""``compile``: a function that runs from its captured program, and its loop and sweep."""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core.inplace import bump
from ..core.modes import current
from ..core.node import Node, Output
from ..core.tensor import TensorBase
from ..errors import ArgumentError, CaptureError, DTypeError
from ..ops._coerce import as_tensor
from .cache import no_collection
from .calls import described, matrices, refuse_starts, rows_of, runs_of, settings_of, split, starts_of, swept_settings
from .capture import capture, flatten, rebuild
from .codes import is_library
from .interrupts import answered, held, pause
from .program import Array, Program
from .scalars import NoKernel
from .sharing import share
from .turns import Turn
from .version import Kept, Version

__all__ = ["Compiled", "Sweep", "compile"]


_VERSIONS = 8  # programs of one function that are kept
_get_ident = threading.get_ident


class Sweep(NamedTuple):
    """What a sweep returns: the outputs of each run and step, and each run's final state."""

    outputs: Any
    states: dict[Any, Any]


def _has_graph(result: Any) -> bool:
    """Tell whether a gradient can be taken through a result: its graph is there, and nothing has freed it."""
    leaves: list[Any] = []
    flatten(result, leaves)
    waiting = [x._node for x in leaves if x._node is not None]
    if not waiting:
        return False
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Output):
            edges: tuple[Any, ...] = (node.node,)
        elif isinstance(node, Node) and node.values is None:
            return False
        else:
            edges = node.edges
        fresh = {edge for edge in edges if edge is not None} - seen
        seen |= fresh
        waiting += fresh
    return True


def _unfill(tensors: list[TensorBase]) -> None:
    """Take away the gradients of zeros that a loop or a sweep began with."""
    for tensor in tensors:
        tensor._grad = None


def _levels() -> int:
    """Return how many frames up a warning finds the user's code."""
    frame, levels = sys._getframe(1), 1
    while frame.f_back is not None and is_library(frame.f_code.co_filename):
        frame, levels = frame.f_back, levels + 1
    return levels


class Compiled:
    """A function that runs from its program. See :func:`compile`."""

    def __init__(self, fn: Callable[..., Any], strict: bool) -> None:
        functools.update_wrapper(self, fn, updated=())
        self._fn = fn
        self._strict = strict
        self._versions: list[Version] = []
        self._log: list[str] = []
        self._name = ""
        self._bound = ""  # the name of the method, where this is one of an object
        self._turn = Turn()
        self._written: str | None = None  # why the function runs as written

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Compiled:
        """Return the compiled method of an object: each has its own programs, which live as long as it does."""
        if instance is None or not self._name:
            return self
        bound = Compiled(self._fn.__get__(instance, owner), self._strict)
        bound._bound = self._name
        with contextlib.suppress(AttributeError):  # an object without a __dict__ compiles at each access
            return instance.__dict__.setdefault(self._name, bound)  # another thread may have been here first
        return bound

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """Return a compiled copy of what was compiled; it captures programs of its own."""
        return Compiled(copy.deepcopy(self._fn, memo), self._strict)

    def __copy__(self) -> Compiled:
        """Return another compiled form of the same function, which captures programs of its own."""
        return Compiled(self._fn, self._strict)

    def __reduce__(self) -> Any:
        """Pickle by name, as functions are: a worker finds the decorated function in its module and captures for itself."""
        owner = getattr(self._fn, "__self__", None)
        if owner is not None and self._bound:
            return getattr, (owner, self._bound)
        module, name = getattr(self._fn, "__module__", None), getattr(self._fn, "__qualname__", "")
        found: Any = sys.modules.get(module or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        raise pickle.PicklingError(
            f"compile: a compiled function is pickled by its name, and {module}.{name} is not this one; decorate a function of "
            "a module, or send the function as written and compile it there."
        )

    def __getattr__(self, name: str) -> Any:
        """Return what the function has: a module's parameters(), state_dict(), layers."""
        if name.startswith("__") or "_fn" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: there is no attribute {name!r}.")
        return getattr(self._fn, name)

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
                reason = f"arguments {described(key)} are new"
        return None, reason

    def _capture(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[TensorBase],
        key: Any,
        why: str,
        who: str = "",
    ) -> Any:
        with no_collection():  # kernels are loaded on the way
            user = functools.partial(self._fn, **kwargs)
            captured, result = capture(functools.partial(self._own, **kwargs), args, tensors, self._strict, watch=user)
            if captured.refused is not None:
                if who == "sweep":  # which cannot run as written: nothing has happened
                    captured.undo()
                    if captured.world is not None:
                        captured.world.put_back()
                    raise CaptureError(f"sweep: the function would run as written, since {captured.refused}.")
                self._as_written(captured.refused)
                return None, result
        try:
            version = Version(captured, key, self._strict)
        except CaptureError as reason:
            if self._strict:
                captured.undo()
                raise
            self._as_written(str(reason).removeprefix("compile: ").rstrip("."))
            return None, result
        except BaseException:
            captured.undo()
            raise
        kept = [v for v in self._versions if v.key != key or v.broken() is None]
        self._versions = [*kept[-_VERSIONS + 1 :], version]
        self._log.append(f"captured for {described(key)}: {why}")
        return version, result

    def _own(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function as written, within a capture: it may take long, so Ctrl-C is answered at once."""
        with answered():
            return self._fn(*args, **kwargs)

    def _as_written(self, why: str) -> None:
        """Let the function run as written from now on, and say so once."""
        self._written = why
        self._versions = []
        name = getattr(self._fn, "__name__", type(self._fn).__name__)
        self._log.append(f"runs as written: {why}")
        warnings.warn(f"compile: {name} runs as written, since {why}.", stacklevel=_levels())

    # One call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function once."""
        turn, me = self._turn, _get_ident()
        if self._written is not None or current().recorder is not None or turn.owner == me:
            return self._fn(*args, **kwargs)  # also where it is captured, or called by what it calls itself
        with turn.lock:
            turn.owner = me
            try:
                tensors, new_args, new_kwargs, fixed = split(args, kwargs)
                key = self._key(tensors, fixed)
                version, why = self._find(key)
                if version is None and not share(tensors):
                    with held():
                        return self._first(new_args, new_kwargs, tensors, key, why)
                if version is not None and not version.open and not version.shares(tensors):
                    if version.at_once:
                        return self._run(version, tensors)
                    with held():
                        return self._run(version, tensors)
            finally:
                turn.owner = 0
        return self._fn(*args, **kwargs)

    def _first(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[TensorBase], key: Any, why: str
    ) -> Any:
        """Capture, and return what the run that was captured gave."""
        version, result = self._capture(args, kwargs, tensors, key, why)
        if version is None:
            return result
        version.open = not any(w.kind == "grad" for w in version.program.writes) and _has_graph(result)
        if version.open:
            self._log.append(
                "  its result can be differentiated outside, so calls run as written; to be compiled, a call needs "
                "no_grad(), or the function backward() and step()"
            )
        elif version.big is not None:
            version.big.prepare()
        return result

    def _run(self, version: Version, tensors: list[TensorBase]) -> Any:
        """Run a program on these arguments."""
        results = self._once(version, [t._data for t in tensors])
        version.go_on()
        for write in version.program.writes:
            if write.kind == "argument":
                bump(tensors[write.source])
        for k, source in version.captured.same.items():
            results[k] = tensors[source] if isinstance(source, int) else source
        return rebuild(version.captured.form, results)

    def _once(self, version: Version, arrays: list[Array]) -> list[Any]:
        settings = version.read_settings()
        return [TensorBase._wrap(out) for out in self._step(version, arrays, settings[0])]

    def _step(self, version: Version, arrays: list[Array], settings: Array) -> list[Array]:
        """Run one step on its arguments and settings; return its results."""
        if version.small is not None:
            flat = [np.ascontiguousarray(a).reshape(1, -1) for a in arrays]
            try:
                return [out[0] for out in version.small.run(flat, None, 1, settings[None], version.leave)]
            except NoKernel as reason:  # it does not compile
                version.plan(reason)
        done: list[Array] = version.big.call(arrays, settings)
        return done

    # The loop

    def loop(self, *arrays: Any, order: Any = None, steps: int | None = None, **hyper: Any) -> Any:
        """Run the function once per step, the loop itself compiled; return each step's outputs, stacked.

        With `order`, an integer array [steps, batch], step s gets the rows ``order[s]`` of each array; without,
        the first axis of each array is the step, and with no arrays at all `steps` says how many. Any other name
        is a setting of the optimizers: one number, or one per step.
        """
        data, order, count = rows_of(arrays, order, steps, "loop")
        if count == 0:
            raise ArgumentError("loop: at least one step is required, got none.")
        if self._written is not None:
            return self._written_loop(data, order, count, hyper, [])
        turn, me = self._turn, _get_ident()
        turn.refuse(me, "loop")
        with turn.lock:
            turn.owner = me
            try:
                version, filled = self._filled(data, order, "loop")
                if version is not None:
                    if version.at_once and not filled:
                        return self._loop(version, filled, data, order, count, hyper)
                    with held():
                        return self._loop(version, filled, data, order, count, hyper)
            finally:
                turn.owner = 0
        return self._written_loop(data, order, count, hyper, filled)

    def _loop(
        self, version: Version, filled: list[TensorBase], data: list[Array], order: Array | None, count: int,
        hyper: dict[str, Any],
    ) -> Any:  # fmt: skip
        """Run a loop of a known program; if that ends early, leave all as after some whole step."""
        schedules, version.done = version.schedules(), 0
        try:
            settings, stepped = settings_of(version, hyper, count, "loop")
            outs = self._looped(version, data, order, count, settings, stepped)
        except BaseException:
            if schedules:
                version.rewind(schedules, version.done)
            if not version.done:
                _unfill(filled)
            raise
        return rebuild(version.captured.form, [TensorBase._wrap(o) for o in outs])

    def _written_loop(
        self, data: list[Array], order: Array | None, count: int, hyper: dict[str, Any], done: list[Any]
    ) -> Any:
        """Run a loop step by step as written, after the steps whose results are `done`."""
        if hyper:
            raise CaptureError(
                f"loop: {', '.join(sorted(hyper))} cannot be given to a function that runs as written, since "
                f"{self._written}; set them in the optimizer's groups."
            )
        form: Any = None
        stacked: list[list[Array]] = []
        for s in range(count):
            if s < len(done):
                result = done[s]
            else:
                result = self._fn(*(as_tensor(np.array(a[order[s]] if order is not None else a[s])) for a in data))
            leaves: list[Any] = []
            form = flatten(result, leaves)
            stacked.append([np.array(leaf._data) for leaf in leaves])
        if len({len(step) for step in stacked}) != 1:
            raise CaptureError("loop: every step must return the same number of tensors.")
        return rebuild(form, [TensorBase._wrap(np.stack(parts)) for parts in zip(*stacked, strict=True)])

    def _looped(
        self, version: Version, data: list[Array], order: Array | None, count: int, settings: Array,
        stepped: frozenset[int],
    ) -> list[Array]:  # fmt: skip
        """Run a loop in the fastest way there is for it."""
        if version.small is not None:
            with contextlib.suppress(NoKernel):
                found: list[Array] = version.small.run(matrices(data), order, count, settings, version.leave, stepped)
                return found
        whole = version.whole(order is not None, count)
        if whole is not None:
            try:
                found = whole.loop(matrices(data), order, count, settings, version.leave)
                return found
            except NoKernel as reason:
                version.give_up_whole(order is not None, reason)
        return self._steps(version, data, order, count, settings)

    def _steps(
        self, version: Version, data: list[Array], order: Array | None, count: int, settings: Array
    ) -> list[Array]:
        """Run a loop step by step."""
        program = version.program
        stacked = [np.empty((count, *v.shape), v.dtype) for v in program.results]
        for s in range(count):
            pause()
            rows = [a[order[s]] if order is not None else a[s] for a in data]
            row = settings[s] if len(settings) > 1 else settings[0]
            outs = self._step(version, rows, row)
            for kept, out in zip(stacked, outs, strict=True):
                kept[s] = out
            version.done = s + 1
        return stacked

    def _filled(self, data: list[Array], order: Array | None, who: str) -> tuple[Version | None, list[Any]]:
        """Return the program for every step, and the tensors that were given a gradient of zeros for it.

        A step that adds to gradients without clearing them finds none the first time; from zeros it is the same step.
        Where the function runs as written, return None and the results of the steps that this took.
        """
        version, first = self._version_for(data, order, who)
        if version is None:
            return None, [first]
        tensors = version.captured.unfilled
        if not tensors:
            return version, []
        try:
            for tensor in tensors:
                tensor._grad = TensorBase._wrap(np.zeros_like(tensor._data))
            version, first = self._version_for(data, order, who)
        except BaseException:
            _unfill(tensors)
            raise
        return version, tensors if version is not None else [first]

    def _version_for(self, data: list[Array], order: Array | None, who: str) -> tuple[Version | None, Any]:
        """Return the program for one step on such rows, capturing it without a lasting effect where needed.

        Where the function runs as written, return None and the result of the step that this took.
        """
        batch = () if order is None else order.shape[-1:]
        key = tuple((batch + a.shape[1:], a.dtype, False) for a in data), ()
        version, why = self._find(key)
        if version is not None:
            return version, None
        first = None if order is None else order.reshape(-1, order.shape[-1])[0]
        rows = [as_tensor(np.array(a[first] if first is not None else a[0])) for a in data]
        with held():
            version, result = self._capture(tuple(rows), {}, rows, key, why, who)
            if version is None:
                return None, result
            version.captured.undo()
            if version.broken() is not None:  # the run itself changed what it depends on
                version, why = self._find(key)
                if version is None:
                    version, result = self._capture(tuple(rows), {}, rows, key, why, who)
                    if version is None:
                        return None, result
                    version.captured.undo()
        return version, None

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
        data, order, count = rows_of(arrays, order, steps, "sweep")
        turn, me = self._turn, _get_ident()
        turn.refuse(me, "sweep")
        with turn.lock:
            turn.owner = me
            try:
                version, filled = (None, []) if self._written is not None else self._filled(data, order, "sweep")
                if version is None:
                    raise CaptureError(
                        f"sweep: the function runs as written, since {self._written}; run the trainings in turn."
                    )
                with held():
                    try:
                        return self._swept(version, data, order, count, init, hyper)
                    finally:
                        _unfill(filled)
            finally:
                turn.owner = 0

    def _swept(
        self, version: Version, data: list[Array], order: Array | None, count: int, init: Mapping[Any, Any] | None,
        hyper: dict[str, Any],
    ) -> Sweep:  # fmt: skip
        """Run a sweep of a known program."""
        starts = starts_of(init, version)
        runs = runs_of(hyper, order, starts)
        if init is None:  # else each run may have a state of its own
            refuse_starts(version, hyper, "sweep")
        settings, swept, stepped = swept_settings(version, hyper, runs, count)
        varied = {}
        for given in version.inputs:
            if given.kind == "tensor" and id(given.source) in starts:
                varied[id(given)] = starts[id(given.source)][1].astype(given.value.dtype)
        found = None
        if version.small is not None:
            try:
                found = version.small.sweep(
                    version.environment(), varied, matrices(data), order, runs, count, settings, swept, stepped
                )
            except NoKernel as reason:
                version.notes.append(f"sweep one by one: {reason}")
        whole = version.whole(order is not None, count * runs) if found is None else None
        if whole is not None:
            table = np.repeat(settings[None], runs, axis=0)
            if stepped:
                table = np.repeat(table, count, axis=1)
            for k, values in swept.items():
                table[:, :, k] = values
            try:
                found = whole.sweep(varied, matrices(data), order, runs, count, table)
            except NoKernel as reason:
                version.give_up_whole(order is not None, reason)
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
        keep = Kept(version)
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
        wholes = [w.source for w in version.wholes.values() if w is not None]
        return "\n\n".join(wholes) or version.big.source

    def explain(self) -> str:
        """Return what was captured and why again, and what runs where."""
        lines = list(self._log) or ["nothing was captured yet"]
        for version in self._versions:
            program = version.program
            lines.append(
                f"{described(version.key)}: {len(version.raw.operations)} operations captured, "
                f"{len(program.operations)} after the passes, {len(program.writes)} writes"
            )
            if version.small is not None:
                lines.append(f"  unrolled into one function of {version.small.statements} scalar statements")
            lines += [f"  {note}" for note in (*version.notes, *(version.big.notes if version.big is not None else ()))]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<compiled {getattr(self._fn, '__name__', 'function')}>"


def compile(
    fn: Callable[..., Any] | None = None,
    *,
    strict: bool = False,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
) -> Any:
    """Return `fn` as a compiled function: its program is captured at the first call and runs as machine code from then on.

    The result is called like `fn`, and also has ``loop`` (the whole loop over batches in one call), ``sweep`` (many
    trainings side by side), ``program``, ``source`` and ``explain()``. A function that looks at a captured value, stores
    to Python objects that outlive the call, or depends on what cannot be compared, runs as written, with one warning that
    names the line. With `strict` (or PyTorch's `fullgraph`) that is a CaptureError, and so is an operation without a
    kernel. `dynamic`, `backend` and `mode` are PyTorch's, and change nothing here.

    Gradients belong in the function: a compiled step calls ``backward()`` and ``optimizer.step()`` itself. A function
    whose result is still to be differentiated, such as a module's forward, runs as written, and compiled under
    ``no_grad()``. What a compiled module has (``parameters()``, ``eval()``) is the module's own.

    >>> import thalweg as tw
    >>> @tw.compile
    ... def area(x):
    ...     return (x * x).sum()
    >>> [area(tw.tensor([1.0, 2.0])).item() for _ in range(2)]
    [5.0, 5.0]
    """
    strict = strict or fullgraph
    if fn is None:
        return functools.partial(compile, strict=strict)
    if isinstance(fn, Compiled):
        return fn
    if not callable(fn):
        raise DTypeError(f"compile: a function is required, got {type(fn).__name__}.")
    return Compiled(fn, strict)
