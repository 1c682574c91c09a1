"""Loop nests: the source of a fused group, over memory as it lies.

Every operand is a flat array, an offset, and a stride for each loop, all known numbers. Loops that run through
all operands without a jump are joined into one; what does not move in the innermost loop is read before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.moves import CAST, IMPLICIT_CAST
from .fuse import is_reduction, reduced_axes
from .program import Operation, Value
from .scalars import expression, literal, suffix

__all__ = ["Nest", "Operand", "write_nest"]

_EXACT_SUM = 1 << 14  # elements from which a sum in single precision is carried in double


@dataclass
class Operand:
    """Where a value lies: in which memory, from which element, with which strides (in elements, one per axis)."""

    root: Any
    offset: int
    strides: tuple[int, ...]


_SERIES = {
    "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "tanh", "sigmoid", "softplus", "erf", "erfc", "gelu", "pow", "sin", "cos", "tan",
    "logaddexp", "lgamma", "digamma", "asin", "acos", "atan", "sinh", "cosh",
}  # fmt: skip
_SLOW = 8  # additions that take as long as one of these


@dataclass
class Nest:
    """The source of one kernel, which reads flat arrays in the order of `roots`, over a range of the first loop."""

    notes: list[str]  # what it computes
    body: str  # the same for loops that differ only in length or in names
    roots: list[Any]
    dtypes: list[np.dtype[Any]]
    extent: int  # of the first loop
    splits: bool  # whether parts of the first loop may run side by side
    size: int  # elements of the whole loop
    work: int  # additions, about, that the loop takes as long as
    reach: list[tuple[int, int]]  # the first and the last element of each root that it reads or writes
    name: str = ""
    makes: set[Value] = field(default_factory=set)  # values of its group

    def text(self, name: str) -> str:
        """Return the source of a function of flat arrays."""
        arguments = ", ".join([*(f"m{k}" for k in range(len(self.roots))), "first", "last"])
        return "\n".join([f"def {name}({arguments}):", *(f"    # {x}" for x in self.notes), self.body]) + "\n"

    def entry(self, name: str) -> str:
        """Return the source of a function of a table of their addresses."""
        arrays = [f"    m{k} = flat(table, {k}, {suffix(dtype)})" for k, dtype in enumerate(self.dtypes)]
        notes = [f"    # {x}" for x in self.notes]
        return "\n".join([f"def {name}(table, first, last):", *notes, *arrays, self.body, "    return 0"]) + "\n"


@dataclass
class _Total:
    """A reduction in progress."""

    op: Operation
    operand: Operand  # of the result, with strides over the loops
    name: str
    depth: int  # loops in which the result moves
    shared: bool  # whether an outer loop returns to the same element
    count: int
    dtype: np.dtype[Any]
    start: str
    finish: list[str] = field(default_factory=list)


def _collapsed(sizes: list[int], all_strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop loops of one step and join those that run on into each other."""
    keep = [k for k, n in enumerate(sizes) if n != 1]
    sizes = [sizes[k] for k in keep]
    all_strides = [[s[k] for k in keep] for s in all_strides]
    k = len(sizes) - 2
    while k >= 0:
        if all(s[k] == s[k + 1] * sizes[k + 1] for s in all_strides):
            sizes[k : k + 2] = [sizes[k] * sizes[k + 1]]
            for s in all_strides:
                s[k : k + 2] = [s[k + 1]]
        k -= 1
    return sizes, all_strides


def write_nest(
    operations: list[Operation],
    shape: tuple[int, ...],
    order: tuple[int, ...],
    places: dict[Value, Operand],
    stored: set[Value],
) -> Nest:
    """Return the kernel of a group over `shape`, its axes taken in `order` (outermost first).

    `places` holds every operand that is read from or written to memory, with strides over the axes of `shape`.
    """
    made = {out for op in operations for out in op.outputs}
    reads: list[Value] = []
    for op in operations:
        reads += [x for x in op.inputs if isinstance(x, Value) and x not in made and x not in reads]
    writes = [out for op in operations for out in op.outputs if out in stored and not is_reduction(op)]
    totals = [op.outputs[0] for op in operations if is_reduction(op)]
    operands = [*reads, *writes, *totals]
    sizes, strides = _collapsed([shape[k] for k in order], [[places[v].strides[k] for k in order] for v in operands])
    by_value = dict(zip(operands, strides, strict=True))
    roots: list[Any] = []
    for value in operands:
        if places[value].root not in roots:
            roots.append(places[value].root)
    writer = _NestWriter(operations, sizes, by_value, places, roots, reads, writes)
    return writer.write()


class _NestWriter:
    def __init__(
        self, operations: list[Operation], sizes: list[int], strides: dict[Value, list[int]],
        places: dict[Value, Operand], roots: list[Any], reads: list[Value], writes: list[Value],
    ) -> None:  # fmt: skip
        self.operations = operations
        self.sizes = sizes
        self.strides = strides
        self.places = places
        self.roots = roots
        self.reads = reads
        self.writes = writes
        self.depth = len(sizes)
        self.names: dict[Value, str] = {}
        self.totals = [self.total(op) for op in operations if is_reduction(op)]

    def total(self, op: Operation) -> _Total:
        out = op.outputs[0]
        strides = self.strides[out]
        depth = max((k + 1 for k, s in enumerate(strides) if s), default=0)
        shared = any(s == 0 and n > 1 for s, n in zip(strides[:depth], self.sizes[:depth], strict=True))
        count = 1
        for axis in reduced_axes(op):
            count *= op.inputs[0].shape[axis]
        name = op.primitive.name
        dtype = out.dtype
        if name in ("amax", "amin"):
            start = literal(-np.inf if name == "amax" else np.inf, dtype)
        else:
            if count > _EXACT_SUM:
                dtype = np.dtype(np.float64) if depth < self.depth else dtype
            start = literal(0, dtype)
        return _Total(op, self.places[out], f"a{self.operations.index(op)}", depth, shared, count, dtype, start)

    def index(self, value: Value, upto: int) -> str:
        """Return the place of a value in its flat array, given the first `upto` loops."""
        parts = [str(self.places[value].offset)] if self.places[value].offset or upto == 0 else []
        for k in range(upto):
            s = self.strides[value][k]
            if s:
                parts.append(f"i{k}" if s == 1 else f"i{k} * {s}")
        return " + ".join(parts) or "0"

    def array(self, value: Value) -> str:
        return f"m{self.roots.index(self.places[value].root)}"

    def write(self) -> Nest:
        body = self.body()
        lines = [f"    {x}" for x in [*self.before(), *body, *self.after()]]
        dtypes: dict[Any, Any] = {}
        for value in self.strides:
            dtypes.setdefault(self.places[value].root, value.dtype)
        size = 1
        for n in self.sizes:
            size *= n
        splits = self.depth > 0 and all(self.strides[t.op.outputs[0]][0] for t in self.totals)
        extent = self.sizes[0] if self.depth else 1
        notes = [repr(op) for op in self.operations]
        work = size * (1 + _SLOW * sum(op.primitive.name in _SERIES for op in self.operations))
        kinds = [dtypes[r] for r in self.roots]
        return Nest(notes, "\n".join(lines), self.roots, kinds, extent, splits, size, work, self.reach())

    def reach(self) -> list[tuple[int, int]]:
        """Return the first and the last element of each root that the loops come to."""
        found: dict[Any, tuple[int, int]] = {}
        for value, strides in self.strides.items():
            place = self.places[value]
            ends = [s * (n - 1) for s, n in zip(strides, self.sizes, strict=True)]
            low, high = place.offset + sum(min(e, 0) for e in ends), place.offset + sum(max(e, 0) for e in ends)
            before = found.get(place.root, (low, high))
            found[place.root] = min(low, before[0]), max(high, before[1])
        return [found[r] for r in self.roots]

    # Around the loops

    def flat_loops(self, total: _Total, statement: str) -> list[str]:
        """Return loops over the elements of a result that outer loops share."""
        lines, indent = [], ""
        strides = self.strides[total.op.outputs[0]]
        for k in range(total.depth):
            if strides[k]:
                bounds = "first, last" if k == 0 else str(self.sizes[k])
                lines.append(f"{indent}for i{k} in range({bounds}):")
                indent += "    "
        return [*lines, indent + statement]

    def before(self) -> list[str]:
        lines = []
        for t in self.totals:
            out = t.op.outputs[0]
            if t.shared:
                place = f"{self.array(out)}[{self.index(out, t.depth)}]"
                start = literal(0, out.dtype) if t.op.primitive.name not in ("amax", "amin") else t.start
                lines += self.flat_loops(t, f"{place} = {start}")
        return lines

    def after(self) -> list[str]:
        lines = []
        for t in self.totals:
            out = t.op.outputs[0]
            if t.shared and t.op.primitive.name == "mean":
                place = f"{self.array(out)}[{self.index(out, t.depth)}]"
                lines += self.flat_loops(t, f"{place} /= {literal(t.count, out.dtype)}")
        return lines

    # The loops

    def body(self) -> list[str]:
        last = self.depth - 1
        if self.depth == 0:
            return self.innermost("")
        lines = self.starts(0)
        indent = ""
        for k in range(last):
            bounds = "first, last" if k == 0 else str(self.sizes[k])
            lines.append(f"{indent}for i{k} in range({bounds}):")
            indent += "    "
            lines += [indent + x for x in self.starts(k + 1)]
        lines += [indent + x for x in self.innermost("j")]
        for k in range(last, -1, -1):
            lines += ["    " * k + x for x in self.ends(k)]
        return lines

    def starts(self, depth: int) -> list[str]:
        """Return the statements that start the totals of one depth."""
        return [f"{t.name} = {t.start}" for t in self.totals if t.depth == depth and depth < self.depth]

    def ends(self, depth: int) -> list[str]:
        """Return the statements that put the totals of one depth into memory."""
        lines = []
        for t in self.totals:
            if t.depth != depth:
                continue
            out = t.op.outputs[0]
            place = f"{self.array(out)}[{self.index(out, depth)}]"
            value = t.name if t.dtype == out.dtype else f"{suffix(out.dtype)}({t.name})"
            lines.append(self.joined(t, place, value))
        return lines

    def joined(self, t: _Total, place: str, value: str) -> str:
        out = t.op.outputs[0]
        kind = t.op.primitive.name
        if kind in ("amax", "amin"):
            extreme = f"{'maximum' if kind == 'amax' else 'minimum'}_{suffix(out.dtype)}"
            return f"{place} = {extreme}({place}, {value})" if t.shared else f"{place} = {value}"
        if t.shared:
            return f"{place} += {value}"
        return f"{place} = {value} / {literal(t.count, out.dtype)}" if kind == "mean" else f"{place} = {value}"

    def innermost(self, j: str) -> list[str]:
        """Return the innermost loop: slices and fixed values before it, the group's statements in it."""
        k = self.depth - 1
        head: list[str] = []
        loads: list[str] = []
        stores: list[str] = []
        cut: dict[Value, str] = {}
        if k < 0:
            bounds = ""
        elif k == 0:
            head.append("n = last - first")
            bounds = "n"
        else:
            bounds = str(self.sizes[k])
        for n, value in enumerate(self.reads):
            s = self.strides[value][k] if k >= 0 else 0
            local = self.names[value] = f"x{n}"
            if k < 0 or s == 0:
                head.append(f"{local} = {self.array(value)}[{self.index(value, max(k, 0))}]")
            else:
                head.append(self.slice(f"r{n}", value, s, k))
                loads.append(f"{local} = r{n}[{self.step(s)}]")
        for n, value in enumerate(self.writes):
            s = self.strides[value][k] if k >= 0 else 0
            # One name for memory that is read and written: two slices would look as if they might overlap otherwise.
            same = next((m for m, x in enumerate(self.reads) if k >= 0 and s and self.same_place(x, value)), None)
            if same is not None:
                cut[value] = f"r{same}[{self.step(s)}]"
            elif k < 0:
                cut[value] = f"{self.array(value)}[{self.index(value, 0)}]"
            else:
                head.append(self.slice(f"w{n}", value, s, k))
                cut[value] = f"w{n}[{self.step(s)}]"
        statements: list[str] = []
        totals = {t.op.outputs[0]: t for t in self.totals}
        for op in self.operations:
            out = op.outputs[0]
            if out in totals:
                statements += self.add_up(totals[out], head, k)
                continue
            local = self.names[out] = f"v{len(statements)}"
            statements.append(f"{local} = {self.scalar(op)}")
            if out in cut:
                stores.append(f"{cut[out]} = {local}")
        inner = [*loads, *statements, *stores]
        if k < 0:
            return [*head, *inner]
        return [*head, f"for {j} in range({bounds}):", *(f"    {x}" for x in inner)]

    def same_place(self, x: Value, y: Value) -> bool:
        a, b = self.places[x], self.places[y]
        return (a.root, a.offset, self.strides[x]) == (b.root, b.offset, self.strides[y])

    def slice(self, local: str, value: Value, stride: int, k: int) -> str:
        base = self.index(value, k)
        if k == 0:
            moved = "first" if stride == 1 else f"first * {stride}"
            base = moved if base == "0" else f"{base} + {moved}"
            count = "n" if stride == 1 else f"n * {stride}"
        else:
            count = str(self.sizes[k] * stride)
        return f"{local} = cut({self.array(value)}, {base}, {count})"

    def step(self, stride: int) -> str:
        return "j" if stride == 1 else f"j * {stride}"

    def add_up(self, t: _Total, head: list[str], k: int) -> list[str]:
        """Return the statement that adds an element to a total."""
        out = t.op.outputs[0]
        x = self.names[t.op.inputs[0]]
        if k < 0:
            place = f"{self.array(out)}[{self.index(out, 0)}]"
            return [f"{place} = {x}"]
        if t.depth == self.depth:  # the result moves in the innermost loop
            s = self.strides[out][k]
            head.append(self.slice(f"t_{t.name}", out, s, k))
            return [self.joined(t, f"t_{t.name}[{self.step(s)}]", x)]
        if t.op.primitive.name in ("amax", "amin"):
            extreme = f"{'maximum' if t.op.primitive.name == 'amax' else 'minimum'}_{suffix(out.dtype)}"
            return [f"{t.name} = {extreme}({t.name}, {x})"]
        return [f"{t.name} += {x}" if t.dtype == out.dtype else f"{t.name} += {suffix(t.dtype)}({x})"]

    def scalar(self, op: Operation) -> str:
        if op.primitive.forward in (CAST.forward, IMPLICIT_CAST.forward):
            x = op.inputs[0]
            return f"{suffix(op.outputs[0].dtype)}({self.names[x]})"
        parts = [self.names[x] if isinstance(x, Value) else "" for x in op.inputs]
        return expression(op).format(*parts)
