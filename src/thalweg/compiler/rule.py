"""An elementwise rule as one loop over memory, for arrays of any length: what large eager optimizer steps run.

The rule is captured once, on a few elements. What it does with numbers alone (bias corrections, say) becomes a function
of Python numbers; the rest is one loop, which reads and writes every array once. Unlike other loops it has no freedom
in rounding: it gives the same elements as NumPy, operation by operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.moves import CAST, EXPAND, IMPLICIT_CAST
from ..core.tensor import TensorBase
from ..errors import CaptureError
from .cache import load
from .capture import capture
from .nest import Operand, write_nest
from .passes import optimize
from .program import Array, Operation, Program, Value
from .scalars import NoKernel
from .threads import run_parts

__all__ = ["NoKernel", "Rule", "run_jobs"]

_FEW = 24  # elements on which a rule is captured; no other length may occur in it
_PAYS = 1 << 16  # elements from which a second thread pays

Job = tuple[Any, list[Array], int]  # a kernel, its arrays, how many elements
Traced = Callable[[dict[Any, TensorBase]], tuple[dict[Any, Any], dict[Any, Any]]]


class Rule:
    """A rule that maps arrays of one length, and numbers, to new elements of some of them, and to numbers.

    `rule` takes the arrays by name as tensors, asks the recorder for its numbers (``recorder.setting``), and returns new
    elements and new numbers by name. Raises CaptureError where it looks at a value, NoKernel where an element
    depends on others.
    """

    def __init__(self, rule: Traced, dtypes: dict[Any, np.dtype[Any]]) -> None:
        names = list(dtypes)
        left: list[Any] = []
        kinds: list[int] = []

        def run(*given: TensorBase) -> list[Any]:
            arrays, numbers = rule(dict(zip(names, given, strict=True)))
            left.extend([*arrays, *numbers])
            kinds.append(len(arrays))
            return [*arrays.values(), *numbers.values()]

        # Elements between 0 and 1 keep the one run that is watched away from divisions by 0.
        tensors = [TensorBase._wrap(np.linspace(0.25, 0.75, _FEW).astype(dtype)) for dtype in dtypes.values()]
        captured, _ = capture(run, tuple(tensors), tensors)
        if captured.decisions or any(w.kind == "argument" for w in captured.program.writes):
            raise CaptureError("a rule must neither decide on a number nor write to its arguments.")
        if len(captured.program.results) != len(left):
            raise CaptureError("a rule must return tensors.")
        program = optimize(captured.program)
        given = [i for i in program.inputs if i.kind == "argument"]
        self.names = {i.value: names[i.source] for i in given}
        self.settings = [i.source for i in program.of_kind("setting")]
        self._start = {i.value: i.source for i in program.of_kind("constant")}
        if any(i.kind not in ("argument", "setting", "constant") for i in program.inputs):
            raise CaptureError("a rule must depend on its arguments alone.")
        self._numbers = [i.value for i in program.of_kind("setting")]
        scalars, elements = self._parted(program)
        count = kinds[0]
        self.results = dict(zip(left[count:], program.results[count:], strict=True))
        self._check_results()
        self._loop(elements, dict(zip(left[:count], program.results[:count], strict=True)), dtypes)
        self._function(scalars)

    def _parted(self, program: Program) -> tuple[list[Operation], list[Operation]]:
        """Return the operations on numbers, and those on elements."""
        scalars, elements = [], []
        known = {*self._numbers, *(v for v in self._start if v.shape == ())}
        for op in program.operations:
            values = [x for x in op.inputs if isinstance(x, Value)]
            if all(v in known for v in values) and [o.shape for o in op.outputs] == [()]:
                scalars.append(op)
                known.update(op.outputs)
            elif op.outputs[0].shape == (_FEW,) and op.primitive.forward is not EXPAND.forward and not op.draws:
                elements.append(op)
            else:
                raise NoKernel(f"{op!r} is not elementwise")
        self._known = known
        return scalars, elements

    def _check_results(self) -> None:
        if any(v not in self._known for v in self.results.values()):
            raise NoKernel("a number depends on elements")

    def _loop(self, elements: list[Operation], writes: dict[Any, Value], dtypes: dict[Any, np.dtype[Any]]) -> None:
        """Write and compile the loop."""
        places: dict[Value, Operand] = {}
        made = {out for op in elements for out in op.outputs}
        at = {name: k for k, name in enumerate(dtypes)}
        self._cells: list[Value] = []
        for op in elements:
            for x in op.inputs:
                if not isinstance(x, Value) or x in made or x in places:
                    continue
                if x in self.names:
                    places[x] = Operand(at[self.names[x]], 0, (1,))
                elif x in self._known:
                    places[x] = Operand(len(at) + len(self._cells), 0, (0,))
                    self._cells.append(x)
                else:
                    raise NoKernel(f"{x!r} is a constant of a certain length")
        self.written: list[Any] = []
        for name, value in writes.items():
            if self.names.get(value) == name:
                continue  # it stays as it is
            if value not in made or value in places or value.dtype != dtypes[name]:
                raise NoKernel(f"{name} takes elements that the loop does not make for it alone")
            places[value] = Operand(at[name], 0, (1,))
            self.written.append(name)
        nest = write_nest(elements, (_FEW,), (0,), places, {writes[name] for name in self.written})
        by_root = dict(enumerate([*((False, name) for name in dtypes), *((True, k) for k in range(len(self._cells)))]))
        self._order = [by_root[root] for root in nest.roots]
        self.source = nest.text("run")
        # Without the notes, which name shapes, the code is the same for every rule that computes the same.
        nest.notes = []
        self._kernel = load(nest.text("run"), fast=False)["run"]
        self._kernel.prepare(nest.dtypes)

    def _function(self, scalars: list[Operation]) -> None:
        """Write the function of numbers: from settings to what the loop takes and to new numbers."""
        wanted = [*self._cells, *self.results.values()]
        constants = {v: self._start[v].item() for v in self._start if v.shape == ()}
        arguments = ", ".join(v.name for v in self._numbers)
        lines = [f"    {op.outputs[0].name} = {_on_numbers(op)}" for op in scalars]
        text = "\n".join([f"def numbers({arguments}):", *lines, f"    return [{', '.join(v.name for v in wanted)}]"])
        space = {"math": math, "maximum": _maximum, "minimum": _minimum} | {v.name: c for v, c in constants.items()}
        exec(compile(text, "<numbers of a rule>", "exec"), space)
        self.source = f"{text}\n\n\n{self.source}"
        self._of_numbers: Any = space["numbers"]

    def numbers(self, settings: list[float]) -> tuple[list[Array], dict[Any, float]] | None:
        """Return what the loop takes besides arrays, and the new numbers; None where Python's arithmetic has no result."""
        try:
            found = self._of_numbers(*settings)
        except (ArithmeticError, ValueError):
            return None
        count = len(self._cells)
        cells = [np.array([x], v.dtype) for x, v in zip(found[:count], self._cells, strict=True)]
        return cells, dict(zip(self.results, found[count:], strict=True))

    def job(self, arrays: dict[Any, Array], cells: list[Array]) -> Job:
        """Return the call that gives the written arrays their new elements; all are contiguous and of one length."""
        args = [cells[x] if of_cells else arrays[x].reshape(-1) for of_cells, x in self._order]
        return self._kernel.function, args, next(iter(arrays.values())).size


def run_jobs(jobs: list[Job]) -> None:
    """Run jobs side by side, the elements of all of them divided evenly among the threads."""

    def part(first: int, last: int) -> None:
        for kernel, args, size in jobs:
            if first < size and last > 0:
                kernel(*args, max(first, 0), min(last, size))
            first, last = first - size, last - size

    count = sum(size for _, _, size in jobs)
    run_parts(part, count, None if count >= _PAYS else 1)


def _on_numbers(op: Operation) -> str:
    """Return an operation on numbers as an expression of Python."""
    inputs = [x.name if isinstance(x, Value) else f"({x!r})" for x in op.inputs]
    if op.primitive.forward in (CAST.forward, IMPLICIT_CAST.forward):
        if op.outputs[0].dtype.kind != "f":
            raise NoKernel(f"{op!r} makes no floating number")
        return inputs[0]  # rounded where the loop takes it
    kernel = getattr(op.primitive, "kernel", None)
    if kernel is None or op.params or any(x in ("(inf)", "(-inf)", "(nan)") for x in inputs):
        raise NoKernel(f"{op!r} has no expression")
    text: str = kernel.format(*inputs)
    return text


def _maximum(x: float, y: float) -> float:
    return y if y > x or y != y else x


def _minimum(x: float, y: float) -> float:
    return y if y < x or y != y else x
