"""Small programs, element by element: every array becomes scalars, the whole loop one function.

The program is evaluated on arrays of names instead of numbers, so that shapes, views and broadcasts vanish
here and what is left is straight-line scalar code. For one run, the state lives in local variables around the
loop over steps. For a sweep, an inner loop over *lanes*, independent runs side by side, becomes vector
instructions; what does not differ between runs is computed once per step, before that loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.moves import CAST, COPY_SLICES, EXPAND, IMPLICIT_CAST, SUM_TO
from ..ops import arithmetic
from ..ops._elementwise import Elementwise
from .program import Input, Operation, Program, Value
from .scalars import NoKernel, expression, literal, suffix

__all__ = ["LANES", "Layout", "Shape", "Unrolled", "unroll"]

LANES = 32
_LIMIT = 4000  # statements that a compiler still takes in a moment
_MOVES = {
    "view", "permute", "transpose", "t", "unsqueeze", "squeeze", "slice", "select", "index", "cat", "stack", "alias", "clone", "flip",
    "roll", "diagonal", "unbind", "split", "movedim",
}  # fmt: skip

Names = np.ndarray[Any, Any]


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


@dataclass
class Unrolled:
    """The source of one function and how to call it."""

    source: str
    layout: Layout
    shape: Shape
    statements: int


class _Writer:
    """Straight-line scalar code: one statement per new value, equal ones shared, in two parts."""

    def __init__(self) -> None:
        self.common: list[str] = []
        self.lane: list[str] = []
        self.seen: dict[str, str] = {}
        self.varying: set[str] = set()
        self.count = 0

    def emit(self, text: str, inputs: Iterable[str]) -> str:
        known = self.seen.get(text)
        if known is not None:
            return known
        varies = any(name in self.varying for name in inputs)
        self.count += 1
        if self.count > _LIMIT:
            raise NoKernel(f"more than {_LIMIT} scalar statements")
        name = f"t{self.count}"
        (self.lane if varies else self.common).append(f"{name} = {text}")
        if varies:
            self.varying.add(name)
        self.seen[text] = name
        return name

    def note(self, text: str) -> None:
        for part in (self.common, self.lane):
            if part and part[-1].startswith("#"):
                part.pop()
            part.append(f"# {text}")


def _typed(array: Any, dtype: np.dtype[Any]) -> Names:
    """Return the elements of a constant as source text."""
    out = np.empty(np.shape(array), object)
    for at in np.ndindex(out.shape):
        out[at] = literal(array[at], dtype)
    return out


class _Evaluator:
    """Evaluates a program on arrays of names."""

    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        self.names: dict[Value, Names] = {}

    def of(self, x: Any, dtype: np.dtype[Any] | None = None) -> Names:
        if isinstance(x, Value):
            return self.names[x]
        return _typed(np.asarray(x), np.dtype(np.float64) if dtype is None else dtype)

    def run(self, op: Operation) -> None:
        self.writer.note(repr(op))
        primitive, forward = op.primitive, op.primitive.forward
        if isinstance(primitive, Elementwise):
            outs: tuple[Names, ...] = (self.elementwise(op),)
        elif forward is CAST.forward or forward is IMPLICIT_CAST.forward:
            outs = (self.cast(op),)
        elif forward is SUM_TO.forward:
            outs = (self.sum_to(self.of(op.inputs[0]), op.params[0]),)
        elif primitive.name in ("sum", "mean", "amax", "amin") and len(op.inputs) == 1:
            outs = (self.reduce(op),)
        elif primitive.name in ("mm", "mv", "dot", "bmm"):
            outs = (self.product(self.of(op.inputs[0]), self.of(op.inputs[1])),)
        elif primitive.name == "outer":
            x, y = self.of(op.inputs[0]), self.of(op.inputs[1])
            outs = (self.each(lambda a, b: f"{a} * {b}", x[:, None], y),)
        elif primitive.name in ("slice_back", "index_back"):
            outs = (self.put_back(op),)
        elif forward is EXPAND.forward or forward is COPY_SLICES.forward or primitive.name in _MOVES:
            arrays = [self.of(x) for x in op.inputs]
            done = forward(arrays, *op.params) if primitive.arity < 0 else forward(*arrays, *op.params)
            outs = (done,) if primitive.single else tuple(done)
        else:
            raise NoKernel(primitive.name)
        for value, names in zip(op.outputs, outs, strict=True):
            names = np.asarray(names, object)
            if names.shape != value.shape:
                raise NoKernel(f"{primitive.name}: shape {names.shape} for {value!r}")
            self.names[value] = names

    def each(self, text: Callable[..., str], *arrays: Names) -> Names:
        spread = np.broadcast_arrays(*arrays)
        out = np.empty(spread[0].shape, object)
        for at in np.ndindex(out.shape):
            parts = [a[at] for a in spread]
            out[at] = self.writer.emit(text(*parts), parts)
        return out

    def elementwise(self, op: Operation) -> Names:
        template = expression(op)
        arrays = [self.names[x] if isinstance(x, Value) else np.asarray("", object) for x in op.inputs]
        return self.each(lambda *parts: template.format(*parts), *arrays)

    def cast(self, op: Operation) -> Names:
        target = op.outputs[0].dtype
        return self.each(lambda a: f"{suffix(target)}({a})", self.of(op.inputs[0]))

    def total(self, parts: list[str], product: bool = False) -> str:
        if len(parts) == 1 and not product:
            return parts[0]
        flat = [p for part in parts for p in part.split(" * ")] if product else parts
        return self.writer.emit(" + ".join(parts), flat)

    def sum_to(self, x: Names, shape: tuple[int, ...]) -> Names:
        extra = x.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1)
        return self.over(x, axes, self.total).reshape(shape)

    def over(self, x: Names, axes: tuple[int, ...], join: Callable[[list[str]], str]) -> Names:
        """Join the elements along `axes`."""
        rest = tuple(k for k in range(x.ndim) if k not in axes)
        flat = x.transpose(rest + axes).reshape([x.shape[k] for k in rest] + [-1])
        out = np.empty(flat.shape[:-1], object)
        for at in np.ndindex(out.shape):
            out[at] = join(list(flat[at]))
        return out

    def reduce(self, op: Operation) -> Names:
        x, dtype = self.of(op.inputs[0]), op.outputs[0].dtype
        axes = op.params[0]
        name = op.primitive.name
        if x.size == 0 or (name == "sum" and dtype != op.inputs[0].dtype):
            raise NoKernel(f"{name} over nothing, or with another type")
        if name in ("sum", "mean"):
            done = self.over(x, axes, self.total)
            if name == "mean":
                n = 1
                for k in axes:
                    n *= x.shape[k]
                done = self.each(lambda a: f"{a} / {literal(n, dtype)}", done)
        else:
            extreme = f"{'maximum' if name == 'amax' else 'minimum'}_{suffix(dtype)}"

            def join(parts: list[str]) -> str:
                best = parts[0]
                for part in parts[1:]:
                    best = self.writer.emit(f"{extreme}({best}, {part})", (best, part))
                return best

            done = self.over(x, axes, join)
        return done.reshape(op.outputs[0].shape)

    def product(self, x: Names, y: Names) -> Names:
        """Write products of matrices out."""
        a = x[None] if x.ndim == 1 else x
        b = y[:, None] if y.ndim == 1 else y
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        if a.shape[-1] == 0:
            raise NoKernel("a product over nothing")
        a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
        out = np.empty((*batch, a.shape[-2], b.shape[-1]), object)
        for at in np.ndindex(out.shape):
            row, column = a[(*at[:-2], at[-2])], b[at[:-2]][:, at[-1]]
            out[at] = self.total([f"{p} * {q}" for p, q in zip(row, column, strict=True)], product=True)
        if y.ndim == 1:
            out = out[..., 0]
        return out[..., 0] if x.ndim == 1 and y.ndim == 1 else out[..., 0, :] if x.ndim == 1 else out

    def put_back(self, op: Operation) -> Names:
        """Add the elements to zeros at the places of a known index."""
        g, (key, shape) = self.of(op.inputs[0]), op.params
        dtype = op.outputs[0].dtype
        at = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)[key]
        found: list[list[str]] = [[] for _ in range(int(np.prod(shape, dtype=np.int64)))]
        for place, name in zip(np.ravel(at), np.ravel(np.broadcast_to(g, np.shape(at))), strict=True):
            found[place].append(name)
        out = np.empty(len(found), object)
        for k, parts in enumerate(found):
            out[k] = self.total(parts) if parts else literal(0, dtype)
        return out.reshape(shape)


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


def unroll(program: Program, shape: Shape) -> Unrolled:
    """Return the source of a function that runs the program for many steps, or raise :class:`NoKernel`."""
    if any(op.draws for op in program.operations):
        raise NoKernel("a random draw")
    if any(w.kind == "argument" for w in program.writes):
        raise NoKernel("a write to an argument")
    return _Builder(program, shape).build()


class _Builder:
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
        lines = self.lanes(writer, evaluator) if self.shape.lanes else self.single(writer, evaluator)
        return Unrolled("\n".join(lines) + "\n", self.layout, self.shape, writer.count)

    def body(self, varying: set[int]) -> tuple[_Writer, _Evaluator]:
        writer = _Writer()
        evaluator = _Evaluator(writer)
        lanes = self.shape.lanes
        for given in self.program.inputs:
            names = np.empty(given.value.shape, object)
            if given.kind == "constant":
                names = _typed(given.source, given.value.dtype)
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

    def moved(self, evaluator: _Evaluator) -> list[tuple[Input, Names]]:
        """Return each state that a step replaces, with the names of its new elements."""
        found = []
        by_source = {(i.kind, id(i.source)): i for i in self.slots}
        for write in self.program.writes:
            if write.value is not None:
                found.append((by_source[write.kind, id(write.source)], evaluator.names[write.value]))
        return found

    # One run

    def single(self, writer: _Writer, evaluator: _Evaluator) -> list[str]:
        kinds = list(self.layout.sizes)
        head = [*(f"S_{k}" for k in kinds), "H", "order", *self.data_names(), *self.result_names(), "first", "last"]
        lines = [f"def run({', '.join(head)}):"]
        for kind in kinds:
            lines += [f"    {kind}_{k} = S_{kind}[{k}]" for k in range(self.layout.sizes[kind])]
        lines += self.fixed_settings("    ")
        lines += self.start_powers("    ")
        lines.append("    for s in range(first, last):")
        lines += [f"        {x}" for x in self.loads()]
        lines += [f"        {x}" for x in [*self.step_settings(), *self.step_powers(), *writer.common]]
        lines += [f"        {x}" for x in self.stores(evaluator, "s")]
        lines += [f"        {x}" for x in self.replace(evaluator)]
        for given, _ in self.moved(evaluator):
            kind, at = self.layout.places[id(given)]
            lines += [f"    S_{kind}[{at + n}] = {kind}_{at + n}" for n in range(given.value.size)]
        return lines

    def replace(self, evaluator: _Evaluator) -> list[str]:
        """Return the statements that give the states their new values, all at once."""
        pairs = []
        for given, new in self.moved(evaluator):
            kind, at = self.layout.places[id(given)]
            pairs += [(f"{kind}_{at + n}", name) for n, name in enumerate(new.flat)]
        olds = {old for old, _ in pairs}
        first = [f"n_{old} = {new}" for old, new in pairs if new in olds and new != old]
        return first + [f"{old} = n_{old}" if new in olds else f"{old} = {new}" for old, new in pairs if new != old]

    def data_names(self) -> list[str]:
        return [f"X{i.source}" for i in self.program.of_kind("argument")]

    def result_names(self) -> list[str]:
        return [f"R{k}" for k in range(len(self.program.results))]

    def row_size(self, given: Input) -> int:
        return given.value.size // max(given.value.shape[0], 1) if given.value.shape else 1

    def loads(self, order: str = "order[s, {}]") -> list[str]:
        lines = []
        arguments = self.program.of_kind("argument")
        if self.shape.gathered:
            rows = max((i.value.shape[0] for i in arguments if i.value.shape), default=0)
            lines += [f"o{b} = {order.format(b)}" for b in range(rows)]
        for given in arguments:
            size = self.row_size(given)
            for n in range(given.value.size):
                place = f"[o{n // size}, {n % size}]" if self.shape.gathered else f"[s, {n}]"
                lines.append(f"x{given.source}_{n} = X{given.source}{place}")
        return lines

    def fixed_settings(self, indent: str) -> list[str]:
        skip = self.shape.stepped | (self.shape.swept if self.shape.lanes else frozenset())
        return [f"{indent}h{k} = H[0, {k}]" for k in range(len(self.layout.settings)) if k not in skip]

    def step_settings(self) -> list[str]:
        skip = self.shape.swept if self.shape.lanes else frozenset()
        return [f"h{k} = H[s, {k}]" for k in sorted(self.shape.stepped) if k not in skip]

    def start_powers(self, indent: str, chosen: Callable[[str], bool] = lambda name: True) -> list[str]:
        lines = []
        for k, (base, counter) in enumerate(self.powers.values()):
            if chosen(f"w{k}"):
                kind, at = self.layout.places[id(counter)]
                lines.append(f"{indent}w{k} = pow_f8(h{self.setting_of(base)}, f8({kind}_{at}))")
        return lines

    def step_powers(self, chosen: Callable[[str], bool] = lambda name: True) -> list[str]:
        bases = [base for base, _ in self.powers.values()]
        return [f"w{k} = w{k} * h{self.setting_of(b)}" for k, b in enumerate(bases) if chosen(f"w{k}")]

    def setting_of(self, value: Value) -> int:
        return next(k for k, i in enumerate(self.layout.settings) if i.value is value)

    def stores(self, evaluator: _Evaluator, step: str) -> list[str]:
        lines = []
        for k, value in enumerate(self.program.results):
            lines += [f"R{k}[{step}, {n}] = {name}" for n, name in enumerate(evaluator.names[value].flat)]
        return lines

    # Many runs

    def lanes(self, writer: _Writer, evaluator: _Evaluator) -> list[str]:
        """Return a function for the runs of some chunks of lanes.

        Its arguments: the common states at the start and (``E_kind``) at the end, ``V_kind`` [chunk, place, lane] for those that differ, the settings,
        ``W`` [chunk, step or 0, place, lane] for those that differ, the order ([run, step, row] if each run has
        its own), data, ``B`` scratch for gathered rows, results [step, place, run], the chunks and the steps.
        """
        varies = lambda name: name in writer.varying
        kinds = list(self.layout.sizes)
        head = [*(f"S_{k}" for k in kinds), *(f"E_{k}" for k in kinds), *(f"V_{k}" for k in kinds), "H", "W", "order", *self.data_names()]
        head += [*(f"B{i.source}" for i in self.program.of_kind("argument")), "P", *self.result_names()]
        head += ["first", "last", "steps", "runs"]
        lines = [f"def run({', '.join(head)}):", "    for c in range(first, last):"]
        for given in self.layout.states:
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"        {kind}_{at + n} = S_{kind}[{at + n}]" for n in range(given.value.size)]
        lines += self.fixed_settings("        ")
        lines += self.start_powers("        ", lambda name: not varies(name))
        lane_powers = [k for k in range(len(self.powers)) if varies(f"w{k}")]
        if lane_powers:
            lines += self.start_lane_powers(lane_powers)
        lines.append("        for s in range(steps):")
        inner = "            "
        if self.shape.own_order:
            lines += [f"{inner}{x}" for x in self.gather()]
        else:
            lines += [f"{inner}{x}" for x in self.loads()]
        common = [*self.step_settings(), *self.step_powers(lambda name: not varies(name)), *writer.common]
        lines += [f"{inner}{x}" for x in common]
        lines.append(f"{inner}for l in range({LANES}):")
        lines += [f"{inner}    {x}" for x in self.lane_body(writer, evaluator, lane_powers)]
        fixed = [
            x for x in self.replace(evaluator) if x.split(" = ")[0].removeprefix("n_") in self.common_places()
        ]
        lines += [f"{inner}{x}" for x in fixed]
        for given, _ in self.moved(evaluator):
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"        E_{kind}[{at + n}] = {kind}_{at + n}" for n in range(given.value.size)]
        return lines

    def common_places(self) -> set[str]:
        found = set()
        for given in self.layout.states:
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                found |= {f"{kind}_{at + n}" for n in range(given.value.size)}
        return found

    def start_lane_powers(self, places: list[int]) -> list[str]:
        lines = [f"        for l in range({LANES}):"]
        pairs = list(self.powers.values())
        for n, k in enumerate(places):
            base, counter = pairs[k]
            b = self.setting_of(base)
            kind, at = self.layout.places[id(counter)]
            start = f"V_{kind}[c, {at}, l]" if id(counter) in self.layout.varying else f"S_{kind}[{at}]"
            factor = f"W[c, 0, {sorted(self.shape.swept).index(b)}, l]" if b in self.shape.swept else f"H[0, {b}]"
            lines.append(f"            P[c, {n}, l] = pow_f8({factor}, f8({start}))")
        return lines

    def gather(self) -> list[str]:
        """Return the lines that copy each lane's rows side by side."""
        lines = [f"for l in range({LANES}):", f"    r = min(c * {LANES} + l, runs - 1)"]
        arguments = self.program.of_kind("argument")
        rows = max((i.value.shape[0] for i in arguments if i.value.shape), default=0)
        lines.append(f"    for b in range({rows}):")
        lines.append("        o = order[r, s, b]")
        for given in arguments:
            size = self.row_size(given)
            lines += [f"        B{given.source}[c, b * {size} + {n}, l] = X{given.source}[o, {n}]" for n in range(size)]
        return lines

    def lane_body(self, writer: _Writer, evaluator: _Evaluator, powers: list[int]) -> list[str]:
        lines = []
        for given in self.layout.states:
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"{kind}_{at + n} = V_{kind}[c, {at + n}, l]" for n in range(given.value.size)]
        for n, k in enumerate(sorted(self.shape.swept)):
            step = "s" if k in self.shape.stepped else "0"
            lines.append(f"h{k} = W[c, {step}, {n}, l]")
        if self.shape.own_order:
            for given in self.program.of_kind("argument"):
                name = given.source
                lines += [f"x{name}_{n} = B{name}[c, {n}, l]" for n in range(given.value.size)]
        bases = [base for base, _ in self.powers.values()]
        for n, k in enumerate(powers):
            lines += [f"w{k} = P[c, {n}, l] * h{self.setting_of(bases[k])}", f"P[c, {n}, l] = w{k}"]
        lines += writer.lane
        for k, value in enumerate(self.program.results):
            names = evaluator.names[value].flat
            lines += [f"R{k}[s, {n}, c * {LANES} + l] = {name}" for n, name in enumerate(names)]
        for given, new in self.moved(evaluator):
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"V_{kind}[c, {at + n}, l] = {name}" for n, name in enumerate(new.flat)]
        return lines or ["pass"]


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
