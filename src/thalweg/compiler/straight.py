"""The function of a small program for one run: its state lives in local variables around the loop over steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.moves import CAST, IMPLICIT_CAST
from ..ops import arithmetic
from .names import Evaluator, Names, Writer, typed, written
from .program import Input, Program, Value
from .scalars import suffix

__all__ = ["Builder", "Layout", "Shape", "Unrolled"]


@dataclass(frozen=True)
class Shape:
    """How a loop is to be run: what is gathered by an order, what differs between lanes, which settings change."""

    gathered: bool  # rows of the arguments are picked by an order; else the first axis is the step
    lanes: bool = False
    own_order: bool = False  # each lane has an order of its own
    swept: frozenset[int] = frozenset()  # settings that differ between lanes
    varied: frozenset[int] = frozenset()  # tensors whose start differs between lanes
    stepped: frozenset[int] = frozenset()  # settings with a value per step


@dataclass
class Layout:
    """Where the generated function finds what: states by type, settings by place."""

    states: list[Input] = field(default_factory=list)
    places: dict[int, tuple[str, int]] = field(default_factory=dict)  # id(Input): type, first index
    sizes: dict[str, int] = field(default_factory=dict)  # type: number of scalars
    settings: list[Input] = field(default_factory=list)
    varying: set[int] = field(default_factory=set)  # id(Input) of states that differ between lanes
    powers: int = 0  # running powers to be carried along
    packed: dict[str, tuple[int, list[tuple[Input, int]]]] = field(default_factory=dict)  # type: width, first places
    loose: list[Input] = field(default_factory=list)  # arguments whose rows are gathered element by element

    def views(self, packed: dict[str, Any]) -> list[tuple[Input, Any]]:
        """Return each state with its elements among the packed ones."""
        found = []
        for given in self.states:
            kind, at = self.places[id(given)]
            found.append((given, packed[kind][at : at + given.value.size].reshape(given.value.shape)))
        return found


@dataclass
class Unrolled:
    """The source of one function and how to call it."""

    source: str
    layout: Layout
    shape: Shape
    statements: int


def _running_powers(program: Program, shape: Shape) -> dict[Value, tuple[Value, Input]]:
    """Find ``b ** t`` where t counts the steps and b is fixed: it can be carried along as a product."""
    made = {out: op for op in program.operations for out in op.outputs}
    given = {i.value: i for i in program.inputs}
    settings = program.of_kind("setting")
    fixed = {i.value for k, i in enumerate(settings) if k not in shape.stepped}
    counters: dict[Value, Input] = {}

    def uncast(value: Value) -> Value:
        op = made.get(value)
        while op is not None and op.primitive.forward in (CAST.forward, IMPLICIT_CAST.forward):
            value = op.inputs[0]
            op = made.get(value)
        return value

    for write in program.writes:
        if write.kind != "tensor" or write.value is None or write.value.shape != ():
            continue
        t = uncast(write.value)
        op = made.get(t)
        if op is None or op.primitive is not arithmetic._add or op.inputs[1:] != (1,):
            continue
        source = given.get(uncast(op.inputs[0]))
        if source is not None and source.kind == "tensor" and source.source is write.source:
            counters[t] = source
    found = {}
    for op in program.operations:
        if op.primitive is arithmetic._pow and all(isinstance(x, Value) for x in op.inputs):
            base, t = op.inputs
            if base in fixed and t in counters and op.outputs[0].dtype == np.float64:
                found[op.outputs[0]] = (base, counters[t])
    return found


class Builder:
    """Puts the parts of the function together."""

    def __init__(self, program: Program, shape: Shape) -> None:
        self.program = program
        self.shape = shape
        self.layout = Layout(settings=program.of_kind("setting"))
        self.slots = _slots(program)
        for given in self.slots:
            kind = suffix(given.value.dtype)
            first = self.layout.sizes.get(kind, 0)
            self.layout.places[id(given)] = (kind, first)
            self.layout.sizes[kind] = first + given.value.size
            self.layout.states.append(given)
        self.powers = _running_powers(program, shape)
        self.layout.powers = len(self.powers)

    def build(self) -> Unrolled:
        """Return the function and how to call it."""
        varying = {id(i) for k, i in enumerate(self.program.of_kind("tensor")) if k in self.shape.varied}
        while True:  # what differs between lanes spreads through the states
            writer, evaluator = self.body(varying)
            more = {
                id(given)
                for given, new in self.moved(evaluator)
                if any(name in writer.varying for name in new.flat) and id(given) not in varying
            }
            if not more:
                break
            varying |= more
        self.layout.varying = varying
        lines = self.text(writer, evaluator)
        return Unrolled("\n".join(lines) + "\n", self.layout, self.shape, writer.count)

    def body(self, varying: set[int]) -> tuple[Writer, Evaluator]:
        """Evaluate the program; the writer knows which names differ between lanes."""
        writer = Writer()
        evaluator = Evaluator(writer)
        lanes = self.shape.lanes
        for given in self.program.inputs:
            names = np.empty(given.value.shape, object)
            if given.kind == "constant":
                names = typed(given.source, given.value.dtype)
            elif given.kind == "setting":
                k = self.layout.settings.index(given)
                names[()] = f"h{k}"
                if lanes and k in self.shape.swept:
                    writer.varying.add(f"h{k}")
            elif given.kind == "argument":
                for n, at in enumerate(np.ndindex(names.shape)):
                    names[at] = f"x{given.source}_{n}"
                if lanes and self.shape.own_order:
                    writer.varying.update(names.flat)
            else:
                kind, first = self.layout.places[id(given)]
                for n, at in enumerate(np.ndindex(names.shape)):
                    names[at] = f"{kind}_{first + n}"
                if lanes and id(given) in varying:
                    writer.varying.update(names.flat)
            evaluator.names[given.value] = names
        for k, (out, (base, counter)) in enumerate(self.powers.items()):
            names = np.empty((), object)
            names[()] = f"w{k}"
            if evaluator.names[base][()] in writer.varying or evaluator.names[counter.value].item() in writer.varying:
                writer.varying.add(f"w{k}")
            evaluator.names[out] = names
        for op in self.program.operations:
            if op.outputs[0] not in self.powers:
                evaluator.run(op)
        return writer, evaluator

    def moved(self, evaluator: Evaluator) -> list[tuple[Input, Names]]:
        """Return each state that a step replaces, with the names of its new elements."""
        found = []
        by_source = {(i.kind, id(i.source)): i for i in self.slots}
        for write in self.program.writes:
            if write.value is not None:
                found.append((by_source[write.kind, id(write.source)], evaluator.names[write.value]))
        return found

    def text(self, writer: Writer, evaluator: Evaluator) -> list[str]:
        """Return the function."""
        kinds = list(self.layout.sizes)
        head = [*(f"S_{k}" for k in kinds), "H", "order", *self.data_names(), *self.result_names(), "first", "last"]
        lines = [f"def run({', '.join(head)}):"]
        for kind in kinds:
            lines += [f"    {kind}_{k} = S_{kind}[{k}]" for k in range(self.layout.sizes[kind])]
        lines += self.fixed_settings("    ")
        lines += self.start_powers("    ")
        lines.append("    for s in range(first, last):")
        lines += [f"        {x}" for x in self.loads()]
        lines += [f"        {x}" for x in [*self.step_settings(), *self.step_powers(), *written(writer.common)]]
        lines += [f"        {x}" for x in self.stores(evaluator, "s")]
        lines += [f"        {x}" for x in self.replace(evaluator)]
        if lines[-1].endswith(":"):
            lines.append("        pass")
        for given, _ in self.moved(evaluator):
            kind, at = self.layout.places[id(given)]
            lines += [f"    S_{kind}[{at + n}] = {kind}_{at + n}" for n in range(given.value.size)]
        return lines

    def replace(self, evaluator: Evaluator) -> list[str]:
        """Return the statements that give the states their new values, all at once."""
        pairs = []
        for given, new in self.moved(evaluator):
            kind, at = self.layout.places[id(given)]
            pairs += [(f"{kind}_{at + n}", name) for n, name in enumerate(new.flat)]
        olds = {old for old, _ in pairs}
        first = [f"n_{old} = {new}" for old, new in pairs if new in olds and new != old]
        return first + [f"{old} = n_{old}" if new in olds else f"{old} = {new}" for old, new in pairs if new != old]

    def data_names(self) -> list[str]:
        """Return the names of the arguments."""
        return [f"X{i.source}" for i in self.program.of_kind("argument")]

    def result_names(self) -> list[str]:
        """Return the names of the arrays of results."""
        return [f"R{k}" for k in range(len(self.program.results))]

    def rows(self) -> int:
        """Return the number of rows of a step."""
        return max((i.value.shape[0] for i in self.program.of_kind("argument") if i.value.shape), default=0)

    def row_size(self, given: Input) -> int:
        """Return how many elements one row of an argument has."""
        return given.value.size // max(given.value.shape[0], 1) if given.value.shape else 1

    def loads(self, order: str = "order[s, {}]") -> list[str]:
        """Return the statements that read the rows of a step."""
        lines = []
        arguments = self.program.of_kind("argument")
        if self.shape.gathered:
            lines += [f"o{b} = {order.format(b)} & 0x7FFFFFFFFFFFFFFF" for b in range(self.rows())]
        for given in arguments:
            size = self.row_size(given)
            for n in range(given.value.size):
                place = f"[o{n // size}, {n % size}]" if self.shape.gathered else f"[s, {n}]"
                lines.append(f"x{given.source}_{n} = X{given.source}{place}")
        return lines

    def fixed_settings(self, indent: str) -> list[str]:
        """Return the statements that read the settings that stay the same."""
        skip = self.shape.stepped | (self.shape.swept if self.shape.lanes else frozenset())
        return [f"{indent}h{k} = H[0, {k}]" for k in range(len(self.layout.settings)) if k not in skip]

    def step_settings(self) -> list[str]:
        """Return the statements that read the settings of a step."""
        skip = self.shape.swept if self.shape.lanes else frozenset()
        return [f"h{k} = H[s, {k}]" for k in sorted(self.shape.stepped) if k not in skip]

    def start_powers(self, indent: str, chosen: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Return the statements that begin running powers."""
        lines = []
        for k, (base, counter) in enumerate(self.powers.values()):
            if chosen(f"w{k}"):
                kind, at = self.layout.places[id(counter)]
                lines.append(f"{indent}w{k} = pow_f8(h{self.setting_of(base)}, f8({kind}_{at}))")
        return lines

    def step_powers(self, chosen: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Return the statements that carry running powers on."""
        bases = [base for base, _ in self.powers.values()]
        return [f"w{k} = w{k} * h{self.setting_of(b)}" for k, b in enumerate(bases) if chosen(f"w{k}")]

    def setting_of(self, value: Value) -> int:
        """Return the number of the setting that a value is."""
        return next(k for k, i in enumerate(self.layout.settings) if i.value is value)

    def stores(self, evaluator: Evaluator, step: str) -> list[str]:
        """Return the statements that keep the results of a step."""
        lines = []
        for k, value in enumerate(self.program.results):
            lines += [f"R{k}[{step}, {n}] = {name}" for n, name in enumerate(evaluator.names[value].flat)]
        return lines


def _slots(program: Program) -> list[Input]:
    """Return the tensors and gradients that a program reads or leaves behind, each once."""
    slots = [i for i in program.inputs if i.kind in ("tensor", "grad")]
    known = {(i.kind, id(i.source)) for i in slots}
    for k, write in enumerate(program.writes):
        if write.value is not None and (write.kind, id(write.source)) not in known:
            known.add((write.kind, id(write.source)))
            value = Value(f"left{k}", write.value.shape, write.value.dtype)
            slots.append(Input(write.kind, value, write.source, write.label))
    return slots
