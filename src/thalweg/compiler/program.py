"""The program: what one run of a function did, as straight-line code over typed values.

    program   = inputs, operations, results, writes
    input     = an argument, the present elements of a tensor, a setting, or a constant
    operation = outputs := primitive(inputs; params)
    write     = a tensor takes the elements of a value when the program ends

Nothing is changed in place: a write in the function gives a new value here, and only the last value of each
tensor is written back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.primitive import Primitive
from ..errors import ThalwegError

__all__ = ["Draw", "Input", "Operation", "Program", "ProgramError", "Value", "Write", "check"]

Array = np.ndarray[Any, Any]


class ProgramError(ThalwegError, RuntimeError):
    """A program that does not hold together: a mistake of the compiler."""


class Value:
    """A name with a type. Values are compared by identity and set once."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        n = 1
        for k in self.shape:
            n *= k
        return n

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


class Draw:
    """The place in a list of parameters of the seed and the count of a random draw, known only when it runs."""

    __slots__ = ("generator",)

    def __init__(self, generator: Any) -> None:
        self.generator = generator

    def __repr__(self) -> str:
        return "draw"


@dataclass(slots=True, eq=False)
class Operation:
    """Outputs := primitive(inputs; params). Inputs are values and Python numbers."""

    primitive: Primitive
    inputs: tuple[Any, ...]
    params: tuple[Any, ...]
    outputs: tuple[Value, ...]
    line: str = ""

    @property
    def draws(self) -> bool:
        """Whether it gives other numbers each time."""
        return bool(self.params) and isinstance(self.params[-1], Draw)

    def __repr__(self) -> str:
        left = ", ".join(map(repr, self.outputs))
        inputs = ", ".join(x.name if isinstance(x, Value) else repr(x) for x in self.inputs)
        params = "; " + ", ".join(map(_short, self.params)) if self.params else ""
        return f"{left} = {self.primitive.name}({inputs}{params})"


@dataclass(slots=True, eq=False)
class Input:
    """A value that is there before the program starts; `source` says where it is read, `kind` what it is.

    kind: ``argument`` (source: its position), ``tensor`` (the tensor), ``grad`` (the tensor whose ``.grad``),
    ``setting`` ((group, key, index)), ``constant`` (the array).
    """

    kind: str
    value: Value
    source: Any
    label: str = ""


@dataclass(slots=True, eq=False)
class Write:
    """A tensor (or its ``.grad``; None clears that) takes a value when the program has run."""

    kind: str
    source: Any
    value: Value | None
    label: str = ""


@dataclass(slots=True, eq=False)
class Program:
    """Straight-line code over typed values."""

    inputs: list[Input] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    results: list[Value] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Input]:
        """Return the inputs of one kind, in order."""
        return [i for i in self.inputs if i.kind == kind]

    def wanted(self) -> set[Value]:
        """Return the values that must be there when the program has run."""
        return {*self.results, *(w.value for w in self.writes if w.value is not None)}

    def with_operations(self, operations: Iterable[Operation], renamed: dict[Value, Value] | None = None) -> Program:
        """Return a program with other operations, and values replaced in results and writes."""
        new = renamed or {}
        done = list(operations)
        results = [new.get(v, v) for v in self.results]
        writes = [Write(w.kind, w.source, w.value and new.get(w.value, w.value), w.label) for w in self.writes]
        used = {x for op in done for x in op.inputs if isinstance(x, Value)} | set(results)
        used |= {w.value for w in writes if w.value is not None}
        inputs = [i for i in self.inputs if i.kind == "argument" or i.value in used]
        return Program(inputs, done, results, writes)

    def __str__(self) -> str:
        names = {(i.kind, id(i.source)): i.value.name for i in self.inputs}
        lines = [f"input  {i.value!r}  # {_described(i)}" for i in self.inputs]
        lines += map(repr, self.operations)
        if self.results:
            lines.append(f"return {', '.join(v.name for v in self.results)}")
        for w in self.writes:
            tensor = names.get(("tensor", id(w.source)), "a tensor")
            target = tensor if w.kind == "tensor" else f"{tensor}.grad" if w.kind == "grad" else f"argument {w.source}"
            lines.append(f"write  {target} := {w.value.name if w.value is not None else 'None'}")
        return "\n".join(lines)


def _described(given: Input) -> str:
    if given.kind == "argument":
        return f"argument {given.source}"
    if given.kind == "setting":
        return f"setting {given.label}"
    if given.kind == "constant" and given.source.size == 1:
        return f"constant {given.source.item()!r}"
    return "gradient that was there before" if given.kind == "grad" else given.kind


def _short(param: Any) -> str:
    if isinstance(param, np.ndarray):
        return f"array{list(param.shape)}"
    if isinstance(param, slice):
        return ":".join(
            "" if v is None else str(v) for v in (param.start, param.stop, param.step)[: 3 if param.step else 2]
        )
    if isinstance(param, tuple):
        return "(" + ", ".join(map(_short, param)) + ("," if len(param) == 1 else "") + ")"
    if isinstance(param, Primitive):
        return param.name
    return "..." if param is Ellipsis else str(param)


def check(program: Program) -> Program:
    """Check that every value is set once, before its use, and has the type that it says; return the program."""
    known: dict[str, Value] = {}

    def set_(value: Value) -> None:
        if value.name in known:
            raise ProgramError(f"{value.name} is set twice.")
        known[value.name] = value

    def use(value: Value, who: str) -> None:
        if known.get(value.name) is not value:
            raise ProgramError(f"{who} uses {value.name}, which is not set.")

    for given in program.inputs:
        set_(given.value)
        if given.kind == "constant" and (given.source.shape, given.source.dtype) != (
            given.value.shape,
            given.value.dtype,
        ):
            raise ProgramError(f"the constant {given.value!r} is {given.source.dtype}{list(given.source.shape)}.")
    for op in program.operations:
        for x in op.inputs:
            if isinstance(x, Value):
                use(x, op.primitive.name)
            elif type(x) not in (int, float, bool):
                raise ProgramError(f"{op.primitive.name} takes a {type(x).__name__}; values and numbers are allowed.")
        if op.primitive.arity >= 0 and len(op.inputs) != op.primitive.arity:
            raise ProgramError(f"{op.primitive.name} takes {op.primitive.arity} inputs, got {len(op.inputs)}.")
        for out in op.outputs:
            set_(out)
    for value in program.results:
        use(value, "return")
    for write in program.writes:
        if write.value is not None:
            use(write.value, "write")
    return program
