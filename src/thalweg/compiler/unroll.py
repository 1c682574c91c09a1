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
from .fuse import is_view
from .program import Input, Operation, Program, Value
from .scalars import NoKernel, expression, literal, suffix

__all__ = ["LANES", "Layout", "Shape", "Unrolled", "unroll"]

LANES = 32
WIDTH = {4: 8, 8: 4}  # elements of a vector of rows, by the bytes of one
_TURN = "from thalweg.compiler.kernels.lanes import turn\n\n"
_AHEAD = 8  # steps whose rows are looked up together
_LIMIT = 2000  # operands of statements: compiling takes 5 to 10 ms for each, and larger programs have another way
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


@dataclass
class _Statement:
    name: str
    text: str
    inputs: tuple[str, ...]
    kind: str  # the type of what it gives
    origin: str  # the operation that it is part of


class _Writer:
    """Straight-line scalar code: one statement per new value, equal ones shared, in two parts."""

    def __init__(self) -> None:
        self.common: list[_Statement] = []
        self.lane: list[_Statement] = []
        self.seen: dict[str, str] = {}
        self.varying: set[str] = set()
        self.kinds: dict[str, str] = {}
        self.origin = ""
        self.count = 0
        self.operands = 0

    def emit(self, text: str, inputs: Iterable[str], dtype: np.dtype[Any]) -> str:
        known = self.seen.get(text)
        if known is not None:
            return known
        names = tuple(inputs)
        varies = any(name in self.varying for name in names)
        self.count += 1
        self.operands += max(1, len(names))
        if self.operands > _LIMIT:
            raise NoKernel(f"more than {_LIMIT} operands of scalar statements")
        name = f"t{self.count}"
        statement = _Statement(name, text, names, suffix(dtype), self.origin)
        (self.lane if varies else self.common).append(statement)
        if varies:
            self.varying.add(name)
        self.kinds[name] = statement.kind
        self.seen[text] = name
        return name


def _written(statements: list[_Statement]) -> list[str]:
    """Return statements as lines, each group under the operation that it is part of."""
    lines = []
    origin = ""
    for each in statements:
        if each.origin != origin:
            origin = each.origin
            lines.append(f"# {origin}")
        lines.append(f"{each.name} = {each.text}")
    return lines


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
        self.writer.origin = repr(op)
        primitive, forward = op.primitive, op.primitive.forward
        if isinstance(primitive, Elementwise):
            outs: tuple[Names, ...] = (self.elementwise(op),)
        elif forward is CAST.forward or forward is IMPLICIT_CAST.forward:
            outs = (self.cast(op),)
        elif forward is SUM_TO.forward:
            outs = (self.sum_to(self.of(op.inputs[0]), op.params[0], op.outputs[0].dtype),)
        elif primitive.name in ("sum", "mean", "amax", "amin") and len(op.inputs) == 1:
            outs = (self.reduce(op),)
        elif primitive.name in ("mm", "mv", "dot", "bmm"):
            outs = (self.product(self.of(op.inputs[0]), self.of(op.inputs[1]), op.outputs[0].dtype),)
        elif primitive.name == "outer":
            x, y = self.of(op.inputs[0]), self.of(op.inputs[1])
            outs = (self.each(lambda a, b: f"{a} * {b}", op.outputs[0].dtype, x[:, None], y),)
        elif primitive.name in ("slice_back", "index_back"):
            outs = (self.put_back(op),)
        elif forward is COPY_SLICES.forward or (
            (len(op.inputs) == 1 or primitive.name in ("cat", "stack"))
            and (forward is EXPAND.forward or primitive.name in _MOVES)
        ):
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

    def each(self, text: Callable[..., str], dtype: np.dtype[Any], *arrays: Names) -> Names:
        spread = np.broadcast_arrays(*arrays)
        out = np.empty(spread[0].shape, object)
        for at in np.ndindex(out.shape):
            parts: Any = [a[at] for a in spread]
            out[at] = self.writer.emit(text(*parts), parts, dtype)
        return out

    def elementwise(self, op: Operation) -> Names:
        template = expression(op)
        arrays = [self.names[x] if isinstance(x, Value) else np.asarray("", object) for x in op.inputs]
        return self.each(lambda *parts: template.format(*parts), op.outputs[0].dtype, *arrays)

    def cast(self, op: Operation) -> Names:
        target = op.outputs[0].dtype
        return self.each(lambda a: f"{suffix(target)}({a})", target, self.of(op.inputs[0]))

    def total(self, parts: list[str], dtype: np.dtype[Any], product: bool = False) -> str:
        if len(parts) == 1 and not product:
            return parts[0]
        flat = [p for part in parts for p in part.split(" * ")] if product else parts
        return self.writer.emit(" + ".join(parts), flat, dtype)

    def sum_to(self, x: Names, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Names:
        extra = x.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1)
        return self.over(x, axes, lambda parts: self.total(parts, dtype)).reshape(shape)

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
            done = self.over(x, axes, lambda parts: self.total(parts, dtype))
            if name == "mean":
                n = 1
                for k in axes:
                    n *= x.shape[k]
                done = self.each(lambda a: f"{a} / {literal(n, dtype)}", dtype, done)
        else:
            extreme = f"{'maximum' if name == 'amax' else 'minimum'}_{suffix(dtype)}"

            def join(parts: list[str]) -> str:
                best = parts[0]
                for part in parts[1:]:
                    best = self.writer.emit(f"{extreme}({best}, {part})", (best, part), dtype)
                return best

            done = self.over(x, axes, join)
        return done.reshape(op.outputs[0].shape)

    def product(self, x: Names, y: Names, dtype: np.dtype[Any]) -> Names:
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
            out[at] = self.total([f"{p} * {q}" for p, q in zip(row, column, strict=True)], dtype, product=True)
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
            out[k] = self.total(parts, dtype) if parts else literal(0, dtype)
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
    sizes = [v.size for op in program.operations if not is_view(op) for v in op.outputs]
    sizes += [i.value.size for i in program.inputs if i.kind != "setting"]
    if max(sizes, default=0) > _LIMIT:  # each element would have a name: that takes long to find out
        raise NoKernel(f"more than {_LIMIT} operands of scalar statements")
    if any(w.kind == "argument" for w in program.writes):
        raise NoKernel("a write to an argument")
    return _Builder(program, shape).build()


class _Builder:
    """Puts the parts of the function together."""

    def __init__(self, program: Program, shape: Shape) -> None:
        self.program = program
        self.shape = shape
        self.crossing: dict[str, int] = {}
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

        if shape.own_order:
            self.pack_rows()

    def pack_rows(self) -> None:
        """Put the rows of the arguments of one type side by side, filled up to whole vectors."""
        for given in self.program.of_kind("argument"):
            kind = suffix(given.value.dtype)
            if kind not in ("f4", "f8"):
                self.layout.loose.append(given)
                continue
            width, parts = self.layout.packed.get(kind, (0, []))
            self.layout.packed[kind] = (width + self.row_size(given), [*parts, (given, width)])
        for kind, (width, parts) in self.layout.packed.items():
            n = WIDTH[int(kind[1])]
            self.layout.packed[kind] = (-(-width // n) * n, parts)

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
        lines += [f"        {x}" for x in [*self.step_settings(), *self.step_powers(), *_written(writer.common)]]
        lines += [f"        {x}" for x in self.stores(evaluator, "s")]
        lines += [f"        {x}" for x in self.replace(evaluator)]
        if lines[-1].endswith(":"):
            lines.append("        pass")
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
            lines += [f"o{b} = {order.format(b)} & 0x7FFFFFFFFFFFFFFF" for b in range(self.rows())]
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
        its own), data, ``B`` [chunk, place, lane] scratch for gathered rows, ``P`` for running powers, results
        [chunk, step, place, lane], the chunks and the steps. Arrays with lanes are flat, so that every place is a
        known distance from every other, which is what lets the loops over lanes become vector instructions.
        """
        kinds = list(self.layout.sizes)
        head = [
            *(f"S_{k}" for k in kinds),
            *(f"E_{k}" for k in kinds),
            *(f"V_{k}" for k in kinds),
            "H",
            "W",
            "order",
            *self.data_names(),
        ]
        head += [f"{letter}_{kind}" for kind in self.layout.packed for letter in "ZB"]
        head += [*(f"B{i.source}" for i in self.layout.loose), "P", *self.result_names()]
        head += ["first", "last", "steps", "runs"]
        lines = [f"def run({', '.join(head)}):"]
        body = self.lane_steps(writer, evaluator)
        for kind, count in self.crossing.items():
            lines.append(f"    q_{kind} = np.empty({count * LANES}, {kind})")
        if self.shape.own_order:
            lines.append(f"    q_o = np.empty({_AHEAD * self.rows() * LANES}, i8)")
        lines = [*lines, "    for c in range(first, last):", *body]
        return [_TURN, *lines] if self.layout.packed else lines

    def lane_steps(self, writer: _Writer, evaluator: _Evaluator) -> list[str]:
        """Return the body of the loop over chunks."""
        varies: Callable[[str], bool] = lambda name: name in writer.varying
        lines = [f"        {x}" for x in self.pieces()]
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
        common = [*self.step_settings(), *self.step_powers(lambda name: not varies(name)), *_written(writer.common)]
        lines += [f"{inner}{x}" for x in common]
        lines += [f"{inner}{x}" for x in self.lane_loops(writer, evaluator, lane_powers)]
        fixed = [x for x in self.replace(evaluator) if x.split(" = ")[0].removeprefix("n_") in self.common_places()]
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

    def pieces(self) -> list[str]:
        """Return the lines that cut out what belongs to one chunk."""
        lines = []
        width = len(self.shape.swept) * LANES
        for kind, count in self.layout.sizes.items():
            n = count * LANES
            lines.append(f"v_{kind} = V_{kind}[c * {n} : c * {n} + {n}]")
        if width and not self.shape.stepped & self.shape.swept:
            lines.append(f"w = W[c * {width} : c * {width} + {width}]")
        if self.powers:
            n = len(self.powers) * LANES
            lines.append(f"p = P[c * {n} : c * {n} + {n}]")
        for given in self.layout.loose:
            n = given.value.size * LANES
            lines.append(f"b{given.source} = B{given.source}[c * {n} : c * {n} + {n}]")
        for kind, (width, _) in self.layout.packed.items():
            n = width * self.rows() * LANES
            lines.append(f"b_{kind} = B_{kind}[c * {n} : c * {n} + {n}]")
        return lines

    def start_lane_powers(self, places: list[int]) -> list[str]:
        lines = []
        if self.shape.stepped & self.shape.swept:
            lines.append(f"        w = W[c * steps * {len(self.shape.swept) * LANES} :]")
        lines.append(f"        for l in range({LANES}):")
        pairs = list(self.powers.values())
        for n, k in enumerate(places):
            base, counter = pairs[k]
            b = self.setting_of(base)
            kind, at = self.layout.places[id(counter)]
            start = f"v_{kind}[{at * LANES} + l]" if id(counter) in self.layout.varying else f"S_{kind}[{at}]"
            factor = f"w[{sorted(self.shape.swept).index(b) * LANES} + l]" if b in self.shape.swept else f"H[0, {b}]"
            lines.append(f"            p[{n * LANES} + l] = pow_f8({factor}, f8({start}))")
        return lines

    def gather(self) -> list[str]:
        """Return the lines that copy each lane's rows side by side."""
        rows = self.rows()
        lines = [
            f"if s & {_AHEAD - 1} == 0:",  # the orders of a few steps at once: each lane's lie far from the next one's
            f"    ahead = min({_AHEAD}, steps - s)",
            f"    for l in range({LANES}):",
            f"        r = min(c * {LANES} + l, runs - 1)",
            "        for k in range(ahead):",
            f"            for b in range({rows}):",
            f"                q_o[(k * {rows} + b) * {LANES} + l] = order[r, s + k, b] & 0x7FFFFFFFFFFFFFFF",
            f"for b in range({rows}):",
            f"    at = ((s & {_AHEAD - 1}) * {rows} + b) * {LANES}",
        ]
        for kind, (width, _) in self.layout.packed.items():
            lines.append(f"    turn(Z_{kind}, {width}, q_o, at, b_{kind}, b * {width * LANES}, {LANES})")
        if self.layout.loose:
            lines += [f"    q = cut(q_o, at, {LANES})", f"    for l in range({LANES}):", "        o = q[l]"]
        for given in self.layout.loose:
            size = self.row_size(given)
            name = given.source
            lines += [f"        b{name}[(b * {size} + {n}) * {LANES} + l] = X{name}[o, {n}]" for n in range(size)]
        return lines

    def rows(self) -> int:
        """Return the number of rows of a step."""
        return max((i.value.shape[0] for i in self.program.of_kind("argument") if i.value.shape), default=0)

    def lane_loops(self, writer: _Writer, evaluator: _Evaluator, powers: list[int]) -> list[str]:
        """Return the loops over lanes of one step.

        What is in double precision before it meets single (settings and what follows from them) has a loop of its
        own, since the widest type of a loop decides how many lanes go into a register.
        """
        source = self.lane_inputs(writer, powers)
        ends: list[tuple[str, str]] = []  # place, name
        for k, value in enumerate(self.program.results):
            ends += [(f"r{k}[{n * LANES} + l]", name) for n, name in enumerate(evaluator.names[value].flat)]
        for given, new in self.moved(evaluator):
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                ends += [(f"v_{kind}[{(at + n) * LANES} + l]", name) for n, name in enumerate(new.flat)]
        early = self.early(writer, source)
        lines = []
        width = len(self.shape.swept) * LANES
        if self.shape.stepped & self.shape.swept:
            lines.append(f"w = W[(c * steps + s) * {width} : (c * steps + s) * {width} + {width}]")
        for k, value in enumerate(self.program.results):
            n = value.size * LANES
            lines.append(f"r{k} = R{k}[(c * steps + s) * {n} : (c * steps + s) * {n} + {n}]")
        first = [x for x in writer.lane if x.name in early]
        rest = [x for x in writer.lane if x.name not in early]
        late_use = {name for x in rest for name in x.inputs} | {name for _, name in ends}
        if first or powers:
            lines.append(f"for l in range({LANES}):")
            used = {name for x in first for name in x.inputs} | {f"w{k}" for k in powers}
            bases = [base for base, _ in self.powers.values()]
            used |= {f"h{self.setting_of(bases[k])}" for k in powers}
            lines += [
                f"    {name} = {text}" for name, text in source.items() if name in used and not name.startswith("w")
            ]
            for n, k in enumerate(powers):
                lines += [
                    f"    w{k} = p[{n * LANES} + l] * h{self.setting_of(bases[k])}",
                    f"    p[{n * LANES} + l] = w{k}",
                ]
            lines += [f"    {x}" for x in _written(first)]
            count: dict[str, int] = {}
            for x in first:
                if x.name in late_use:
                    at = count.setdefault(x.kind, 0)
                    count[x.kind] += 1
                    lines.append(f"    q_{x.kind}[{at * LANES} + l] = {x.name}")
                    source[x.name] = f"q_{x.kind}[{at * LANES} + l]"
            self.crossing = count
        for k in powers:
            source[f"w{k}"] = f"p[{powers.index(k) * LANES} + l]"
        lines.append(f"for l in range({LANES}):")
        lines += [f"    {name} = {text}" for name, text in source.items() if name in late_use]
        lines += [f"    {x}" for x in _written(rest)]
        lines += [f"    {place} = {name}" for place, name in ends]
        return lines if rest or ends else [*lines, "    pass"]

    def lane_inputs(self, writer: _Writer, powers: list[int]) -> dict[str, str]:
        """Return where a lane finds what differs: name and place."""
        found = {}
        for given in self.layout.states:
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                for n in range(given.value.size):
                    found[f"{kind}_{at + n}"] = f"v_{kind}[{(at + n) * LANES} + l]"
        for n, k in enumerate(sorted(self.shape.swept)):
            found[f"h{k}"] = f"w[{n * LANES} + l]"
        for given in self.layout.loose:
            for n in range(given.value.size):
                found[f"x{given.source}_{n}"] = f"b{given.source}[{n * LANES} + l]"
        for kind, (width, parts) in self.layout.packed.items():
            for given, first in parts:
                size = self.row_size(given)
                for n in range(given.value.size):
                    place = (n // size * width + first + n % size) * LANES
                    found[f"x{given.source}_{n}"] = f"b_{kind}[{place} + l]"
        for k in powers:
            found[f"w{k}"] = ""
        return found

    def early(self, writer: _Writer, source: dict[str, str]) -> set[str]:
        """Return the statements that depend on double-precision settings alone, in programs of single precision."""
        if "f4" not in {x.kind for x in writer.lane}:
            return set()
        early: set[str] = set()
        for x in writer.lane:
            wide = all(
                name in early or name not in writer.varying or (name in source and name[0] in "hw") for name in x.inputs
            )
            if wide:
                early.add(x.name)
        return early


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
