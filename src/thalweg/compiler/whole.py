"""Programs of some size, whole: the kernels of a step called from one compiled loop over steps, and over runs.

A program too large to be written out element by element is a list of fused loops, products and moves. Called one by
one from Python, each costs a few microseconds, which on small arrays is more than its work. Here the loop that calls
them is compiled as well. Every run has states of its own, every thread one set of buffers, so runs go side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ops import embedding, gather, index, nll, random
from .cache import Kernel, load
from .items import Loop, Loss, Matmul, Other, Product
from .memory import Root, flat_form
from .nest import Operand
from .plan import Plan
from .program import Array, Input, Operation, Value, Write
from .scalars import NoKernel, literal, suffix
from .threads import EACH, in_slices, run_parts

__all__ = ["Whole"]

_MOST = 1 << 22  # multiplications and elements of a step; beyond, Python's part no longer counts and BLAS is better
_MOVED = 1 << 16  # elements that are moved one by one
_MOVES = {"view", "permute", "transpose", "t", "cat", "stack", "flip", "roll", "index", "slice", "select", "clone", "alias", "split", "unbind", "diagonal", "movedim", "expand"}  # fmt: skip
_PUTS = {index._slice_back: index._slice, index._index_back: index._index}  # what puts back, and what took
# What takes rows of a table by a computed index, or adds rows to zeros there; for the last two the dim is a parameter.
_TAKES = (embedding._embedding, index._index, gather._index_select)
_ADDS = (embedding._embedding_back, index._index_back, gather._index_sum)
_NO_ORDER = np.zeros((1, 1, 1), np.int64)
_KERNELS = "from thalweg.compiler.kernels.product import dots, multiply, pack\n"
# What draws, with the names of what it calls: from which file, and the function for numbers of 4 and of 8 bytes.
_DRAWS = {
    random._uniform_draw: ("draws", {4: "uniform", 8: "uniform"}),
    random._normal_draw: ("normals", {4: "normal_f4", 8: "normal_f8"}),
}

Left = list[tuple[Write, Array]]


class _State:
    """A tensor, or a gradient, of which every run has its own copy."""

    def __init__(self, kind: str, source: Any, root: Root, given: Input | None) -> None:
        self.kind = kind
        self.source = source
        self.root = root
        self.given = given
        self.moves = False  # whether a run changes it

    def shaped(self, flat: Array) -> Array:
        """Return copies [run, element] as arrays [run, *shape]."""
        root = self.root
        sizes = [root.array.shape[k] for k in root.order]
        turn = [0, *(1 + k for k in np.argsort(root.order).tolist())]
        return flat.reshape([len(flat), *sizes]).transpose(turn)

    def flat(self, arrays: Array) -> Array:
        """Return arrays [run, *shape] as they lie in memory here."""
        return np.ascontiguousarray(arrays.transpose([0, *(1 + k for k in self.root.order)])).reshape(len(arrays), -1)

    def now(self) -> Array:
        """Return its present elements, in its usual shape."""
        data: Array = self.source._data if self.kind == "tensor" else self.source._grad._data
        return data


class Whole:
    """The function that runs a planned program for many steps and many runs."""

    def __init__(self, plan: Plan, gathered: bool) -> None:
        writer = _Writer(plan, gathered)
        self.source = writer.text()
        self.work = writer.work
        self.states = writer.states
        self.constants = writer.constants
        self.generators = writer.generators
        self.who = " or ".join(sorted(writer.checked))  # whose indices may be out of range
        self.results = [(v.shape, v.dtype, v.size) for v in plan.program.results]
        self.kernel: Kernel = load(self.source, inner=tuple(plan.named.values()))["run"]

    def at_hand(self) -> bool:
        """Return whether the machine code is there, or on disk."""
        return self.kernel.at_hand()

    def loop(
        self,
        data: Sequence[Array],
        order: Array | None,
        steps: int,
        settings: Array,
        leave: Callable[[Left, int], None],
    ) -> list[Array]:
        """Run the steps of one training; hand what the last complete slice of steps left behind to `leave`."""
        packed = [s.flat(s.now()[None]).copy() for s in self.states]  # a slice that fails leaves nothing
        outs = [np.empty((1, steps, size), dtype) for _, dtype, size in self.results]
        bad = np.zeros(1, np.int64)
        args = self.arguments(packed, [0] * len(packed), settings[None], data, order, outs, bad)
        done = 0

        def go_on(first: int, last: int) -> None:
            nonlocal done
            before = [array.copy() for array in packed] if self.who else []
            self.kernel(*args, 0, 1, first, last)
            if bad.any():
                for array, old in zip(packed, before, strict=True):
                    array[...] = old
            self.refuse(bad)
            done = last

        try:
            in_slices(go_on, steps)
        finally:
            for generator, count in self.generators:
                generator.call += count * done
            if done:
                leave(self.left(packed), done)
        return [out[0].reshape((steps, *form)) for out, (form, _, _) in zip(outs, self.results, strict=True)]

    def sweep(
        self, varied: dict[int, Array], data: Sequence[Array], order: Array | None, runs: int, steps: int, settings: Array
    ) -> tuple[list[Array], dict[tuple[str, int], Array]]:  # fmt: skip
        """Run trainings side by side; `varied` are starts [run, …], `settings` [run or 1, step or 1, setting]."""
        packed, own = [], []
        for state in self.states:
            start = None if state.given is None else varied.get(id(state.given))
            if start is None:
                flat = state.flat(state.now()[None])
                packed.append(np.repeat(flat, runs, axis=0) if state.moves else flat)
            else:
                packed.append(state.flat(start.reshape((runs, *state.root.array.shape))))
            own.append(int(len(packed[-1]) == runs))
        outs = [np.empty((runs, steps, size), dtype) for _, dtype, size in self.results]
        bad = np.zeros(runs, np.int64)
        args = self.arguments(packed, own, settings, data, order, outs, bad)
        self.kernel(*args, 0, 0, 0, steps)  # compiles before threads start
        in_slices(
            lambda done, until: run_parts(
                lambda first, last: self.kernel(*args, first, last, done, until), runs, each=EACH
            ),
            steps,
        )
        self.refuse(bad)
        shaped = [out.reshape((runs, steps, *form)) for out, (form, _, _) in zip(outs, self.results, strict=True)]
        return shaped, {(w.kind, id(w.source)): np.array(array) for w, array in self.left(packed, whole=True)}

    def arguments(
        self, packed: list[Array], own: list[int], settings: Array, data: Sequence[Array], order: Array | None,
        outs: list[Array], bad: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Return the arguments of the function but for the ranges of runs and steps."""
        rows = _NO_ORDER if order is None else order if order.ndim == 3 else order[None]
        strides = np.array(
            [*own, int(len(settings) > 1), int(settings.shape[1] > 1), int(len(rows) > 1)], np.int64
        )  # 0: shared
        places = [n & 0xFFFFFFFFFFFFFFFF for g, _ in self.generators for n in (g.seed_value, g.call)]
        draws = np.array(places or [0], np.uint64).view(np.int64)
        return (*packed, *self.constants, np.ascontiguousarray(settings), draws, rows, *data, *outs, strides, bad)

    def refuse(self, bad: Array) -> None:
        """Raise the error that a step would have raised."""
        if bad.any():
            raise IndexError(f"{self.who}: classes or indices in the loop are out of range; none may be.")

    def left(self, packed: list[Array], whole: bool = False) -> Left:
        """Return what the runs left behind; of the first run alone, or of all."""
        found: Left = []
        for state, flat in zip(self.states, packed, strict=True):
            if state.moves:
                arrays = state.shaped(flat)
                write = Write(state.kind, state.source, None)
                found.append((write, arrays if whole else arrays[0]))
        return found


def _spread(shape: tuple[int, ...], strides: Sequence[int]) -> Array:
    """Return how far each element of an array lies from its first."""
    at = np.zeros(shape, np.int64)
    for axis, (n, s) in enumerate(zip(shape, strides, strict=True)):
        at += (np.arange(n) * s).reshape((-1, *(1,) * (len(shape) - axis - 1)))
    return at.reshape(-1)


class _Writer:
    """Writes the function: what each root of the plan is called, and one item after the other."""

    def __init__(self, plan: Plan, gathered: bool) -> None:
        self.plan = plan
        self.program = plan.program
        self.gathered = gathered
        self.work = 0
        self.names: dict[int, str] = {}  # id(Root)
        self.states: list[_State] = []
        self.constants: list[Array] = []
        self.scratch: dict[int, str] = {}  # id of a flat buffer
        self.head: list[str] = []
        self.extra = 0
        self.checked: set[str] = set()
        self.imports = {_KERNELS}
        self.drawn = [op for op in self.program.operations if op.draws]
        self.generators: list[tuple[Any, int]] = []  # with the number of draws of a step
        for op in self.drawn:
            generator = op.params[-1].generator
            if all(g is not generator for g, _ in self.generators):
                count = sum(o.params[-1].generator is generator for o in self.drawn)
                self.generators.append((generator, count))
        self.name_inputs()
        self.ends = self.last_things()
        self.items = self.body()

    # Names

    def name_inputs(self) -> None:
        plan = self.plan
        k = 0
        for given in self.program.inputs:
            root = plan.roots[given.value]
            if given.kind == "setting":
                self.names[id(root)] = f"h{k}"
                self.head.append(f"h{k} = np.empty(1, f8)")
                k += 1
            elif given.kind == "constant":
                self.names[id(root)] = self.constant(flat_form(root.array, root.order))
            elif given.kind == "argument":
                self.names[id(root)] = f"x{given.source}"
                self.buffer(f"x{given.source}", root.size, given.value)
            else:
                self.states.append(_State(given.kind, given.source, root, given))
                self.names[id(root)] = f"s{len(self.states) - 1}"

    def buffer(self, name: str, size: int, value: Value) -> None:
        if size == 0:
            raise NoKernel("an array without elements")
        self.head.append(f"{name} = np.empty({size}, {suffix(value.dtype)})")

    def constant(self, array: Array) -> str:
        self.constants.append(np.ascontiguousarray(array))
        return f"C{len(self.constants) - 1}"

    def name(self, root: Root) -> str:
        known = self.names.get(id(root))
        if known is None:
            flat = self.plan.flats.get(id(root.array))
            key = id(root if flat is None else flat)
            if key not in self.scratch:
                self.scratch[key] = f"t{len(self.scratch)}"
                if root.size == 0:
                    raise NoKernel("an array without elements")
                self.head.append(f"{self.scratch[key]} = np.empty({root.size}, {suffix(root.array.dtype)})")
            known = self.names[id(root)] = self.scratch[key]
        return known

    def operand(self, value: Value) -> tuple[str, Operand]:
        place = self.plan.operand(value, value.shape)
        return self.name(place.root), place

    # Items

    def body(self) -> list[str]:
        lines: list[str] = []
        for item in self.plan.items:
            if isinstance(item, Loop):
                nest = item.nest
                self.work += nest.size
                roots = [self.name(r) for r in nest.roots]
                lines.append(f"{nest.name}({', '.join(roots)}, 0, {nest.extent})")
            elif isinstance(item, Product | Matmul):
                self.work += item.work
                lines += self.product(item.op)
            elif isinstance(item, Loss | Other):
                lines += self.other(item.op)
        if self.work > _MOST:
            raise NoKernel(f"a step of {self.work} operations on elements, where Python's part no longer counts")
        return lines

    def product(self, op: Operation) -> list[str]:
        x, y = op.inputs
        out = op.outputs[0]
        (xn, xo), (yn, yo), (on, oo) = self.operand(x), self.operand(y), self.operand(out)
        xs, ys, os = list(xo.strides), list(yo.strides), list(oo.strides)
        k = x.shape[-1]
        n = 1 if len(x.shape) == 1 else x.shape[-2]
        m = 1 if len(y.shape) == 1 else y.shape[-1]
        xi, xk = (0, xs[-1]) if len(x.shape) == 1 else xs[-2:]
        yk, yj = (ys[-1], 1) if len(y.shape) == 1 else ys[-2:]
        oi, oj = (os[-1], 1) if len(y.shape) == 1 and os else (1, 1) if not os else os[-2:]
        batch = out.shape[:-2] if len(x.shape) > 2 else ()
        indent, a, b, o = "", str(xo.offset), str(yo.offset), str(oo.offset)
        lines = []
        for axis, count in enumerate(batch):
            lines.append(f"{indent}for b{axis} in range({count}):")
            indent += "    "
            a, b, o = (f"{t} + b{axis} * {s[axis]}" for t, s in ((a, xs), (b, ys), (o, os)))
        text = self.multiplied(on, o, oi, oj, xn, a, xi, xk, yn, b, yk, yj, n, k, m, out)
        return lines + [indent + t for t in text]

    def multiplied(
        self, on: str, o: str, oi: int, oj: int, xn: str, a: str, xi: int, xk: int, yn: str, b: str, yk: int, yj: int,
        n: int, k: int, m: int, out: Value,
    ) -> list[str]:  # fmt: skip
        """Return the product as tiles or dots, whichever its memory is ready for; else after packing one factor."""
        if k == 0:
            raise NoKernel("a product over nothing")
        right, left = oj == 1 or m == 1, oi == 1 or n == 1  # axes of the result that may run through a tile
        tile = f"multiply({on}, {o}, {oi}, {xn}, {a}, {xi}, {xk}, {{}}, {{}}, {{}}, {n}, {k}, {m})"
        turned = f"multiply({on}, {o}, {oj}, {yn}, {b}, {yj}, {yk}, {{}}, {{}}, {{}}, {m}, {k}, {n})"
        by_right = right and (yj == 1 or m == 1)
        by_left = left and (xi == 1 or n == 1)
        by_dots = (xk == 1 or k == 1) and (yk == 1 or k == 1)
        dots = f"dots({on}, {o}, {oi}, {oj}, {xn}, {a}, {xi}, {yn}, {b}, {yj}, {n}, {k}, {m})"
        if by_right and m >= 8:
            return [tile.format(yn, b, yk)]
        if by_left and n >= 8:
            return [turned.format(xn, a, xk)]
        if by_dots and (k >= 32 or (k >= 8 and n < 16)):
            return [dots]
        if right and m >= 4 and not by_right:
            packed = self.packed(k * m, out)
            return [f"pack({packed}, {yn}, {b}, {yk}, {yj}, {k}, {m})", tile.format(packed, 0, m)]
        if left and n >= 4 and not by_left:
            packed = self.packed(k * n, out)
            return [f"pack({packed}, {xn}, {a}, {xk}, {xi}, {k}, {n})", turned.format(packed, 0, n)]
        if by_right or by_left:
            return [tile.format(yn, b, yk) if by_right else turned.format(xn, a, xk)]
        if by_dots:
            return [dots]
        if not right:
            raise NoKernel("a product into a result with gaps")
        packed = self.packed(k * m, out)
        return [f"pack({packed}, {yn}, {b}, {yk}, {yj}, {k}, {m})", tile.format(packed, 0, m)]

    def packed(self, size: int, value: Value) -> str:
        self.extra += 1
        self.buffer(f"p{self.extra}", size, value)
        return f"p{self.extra}"

    def other(self, op: Operation) -> list[str]:
        name = op.primitive.name
        if op.draws:
            return self.draw(op)
        if op.primitive in (*_TAKES, *_ADDS) and not self.is_known(op.inputs[1]):
            return self.rows(op)
        sizes = sum(v.size for v in (*op.inputs, *op.outputs) if isinstance(v, Value))
        if name in _MOVES and sizes <= _MOVED:
            return self.moved(op)
        if op.primitive in _PUTS and sizes <= _MOVED:
            return self.put(op)
        if op.primitive in (nll._nll, nll._nll_back):
            return self.loss(op)
        raise NoKernel(name)

    def places(self, value: Value) -> Array:
        """Return where each element lies in its flat array."""
        place = self.plan.operand(value, value.shape)
        return place.offset + _spread(value.shape, place.strides)

    def draw(self, op: Operation) -> list[str]:
        """Draw uniform or normal numbers: the call of the generator is counted by steps."""
        if op.primitive not in _DRAWS:
            raise NoKernel(f"{op.primitive.name} draws other than uniform and normal numbers")
        out = op.outputs[0]
        file, functions = _DRAWS[op.primitive]
        function = functions[out.dtype.itemsize]
        self.imports.add(f"from thalweg.compiler.kernels.{file} import {function}\n")
        generator, at = op.params[-1].generator, self.drawn.index(op)
        k = next(n for n, (g, _) in enumerate(self.generators) if g is generator)
        before = sum(o.params[-1].generator is generator for o in self.drawn[:at])
        name, place = self.operand(out)
        if (
            place.offset
            or out.size != self.plan.roots[out].size
            or self.plan.roots[out].order != tuple(range(len(out.shape)))
        ):
            raise NoKernel("a draw into memory of another order")
        self.work += 8 * out.size
        return [f"{function}({name}, {out.size}, D[{2 * k}], D[{2 * k + 1}] + s * {self.generators[k][1]} + {before})"]

    def each(self, places: Array, q: str = "q") -> str:
        """Return the place of element q of a list of known places."""
        step = int(places[1] - places[0]) if len(places) > 1 else 1
        even = np.array_equal(places, places[0] + step * np.arange(len(places)))
        if not even:
            return f"{self.constant(places)}[{q}]"
        moved = q if step == 1 else f"{q} * {step}"
        return f"{places[0]} + {moved}" if places[0] else moved

    def copy(self, target: str, to: Array, source: str, at: Array, sign: str = "=") -> list[str]:
        """Return the loop that moves elements between known places; the arrays have ``{}`` where the place belongs."""
        if not len(to):
            return []
        left, right = target.format(self.each(to)), source.format(self.each(at))
        return [f"for q in range({len(to)}):", f"    {left} {sign} {right}"]

    def known(self, value: Any) -> Array:
        """Return the elements of a constant."""
        for given in self.program.inputs:
            if given.value is value and given.kind == "constant":
                array: Array = given.source
                return array
        raise NoKernel("an index that is computed")

    def moved(self, op: Operation) -> list[str]:
        """Move elements as the operation moves the numbers of their places."""
        forward, many = op.primitive.forward, op.primitive.arity < 0
        inputs: list[Any] = list(op.inputs) if many else [op.inputs[0]]
        if any(not isinstance(x, Value) for x in inputs):
            raise NoKernel(op.primitive.name)
        numbered, first = [], 0
        for x in inputs:
            numbered.append(np.arange(first, first + x.size, dtype=np.int64).reshape(x.shape))
            first += x.size
        fixed = [] if many else [self.known(x) for x in op.inputs[1:]]
        done = forward(numbered, *op.params) if many else forward(*numbered, *fixed, *op.params)
        lines = []
        for out, came in zip(op.outputs, (done,) if op.primitive.single else done, strict=True):
            target, to, found, first = self.source_of(out), self.places(out), np.asarray(came).reshape(-1), 0
            for x in inputs:
                here = (found >= first) & (found < first + x.size)
                lines += self.copy(target, to[here], self.source_of(x), self.places(x)[found[here] - first])
                first += x.size
        return lines

    def put(self, op: Operation) -> list[str]:
        """Add elements to zeros at known places."""
        x, out = op.inputs[0], op.outputs[0]
        *how, shape = op.params
        numbered = np.arange(out.size, dtype=np.int64).reshape(shape)
        fixed = [self.known(y) for y in op.inputs[1:]]
        chosen = _PUTS[op.primitive].forward(numbered, *fixed, *how)
        target, to = self.source_of(out), self.places(out)
        given = np.broadcast_to(self.places(x).reshape(x.shape), chosen.shape).reshape(-1)
        zeros = self.copy(target, to, literal(0, out.dtype), to)
        return [*zeros, *self.copy(target, to[chosen.reshape(-1)], self.source_of(x), given, "+=")]

    def is_known(self, value: Any) -> bool:
        return any(i.value is value and i.kind == "constant" for i in self.program.inputs)

    def rows(self, op: Operation) -> list[str]:
        """Take the rows of a table that an index names, or add rows to zeros there."""
        x, at = op.inputs
        out, adds, signed, apart = op.outputs[0], op.primitive in _ADDS, True, -1
        if op.primitive in (embedding._embedding, embedding._embedding_back):
            signed, padding, by_count = False, *op.params[-2:]
            if adds and by_count:
                raise NoKernel("rows divided by their count")
            apart = padding if adds else -1
        elif op.params[0] not in (0, (0,)):
            raise NoKernel(f"{op.primitive.name} along another dim than the first")
        table, parts = (out, x) if adds else (x, out)
        if not table.size or parts.shape != (*at.shape, *table.shape[1:]):
            raise NoKernel(f"{op.primitive.name} of this form")
        (tn, to), (pn, po) = self.operand(table), self.operand(parts)
        n, d, split = table.shape[0], table.size // table.shape[0], len(at.shape)
        self.work += parts.size + adds * out.size
        self.checked.add(op.primitive.name.split("_")[0])
        starts = po.offset + _spread(parts.shape[:split], po.strides[:split])
        row = f"{to.offset} + c * {to.strides[0]} + {self.each(_spread(table.shape[1:], to.strides[1:]), 'j')}"
        part = f"p + {self.each(_spread(parts.shape[split:], po.strides[split:]), 'j')}"
        lines = [
            f"for q in range({len(starts)}):",
            f"    c = i8({self.source_of(at).format(self.each(self.places(at)))})",
            *([f"    c += {n} * (c < 0)"] if signed else []),
            f"    if c < 0 or c >= {n}:",
            "        bad[r] += 1",
            "        c = 0",
            f"    p = {self.each(starts)}",
            *([f"    if c == {apart}:", "        continue"] if apart >= 0 else []),
            f"    for j in range({d}):",
            f"        {tn}[{row}] += {pn}[{part}]" if adds else f"        {pn}[{part}] = {tn}[{row}]",
        ]
        if adds:
            zeros = self.places(out)
            return [*self.copy(self.source_of(out), zeros, literal(0, out.dtype), zeros), *lines]
        return lines

    def loss(self, op: Operation) -> list[str]:
        """Write the likelihood of chosen classes, or its gradient."""
        x, target = op.inputs
        reduction, ignore = op.params[-2:]
        forward = op.primitive is nll._nll
        self.checked.add("nll_loss")
        shape = x.shape if forward else op.params[0]
        if len(shape) != 2 or len(target.shape) != 1 or target.dtype != np.int64 or reduction not in ("mean", "sum"):
            raise NoKernel(op.primitive.name)
        out = op.outputs[0]
        kind = suffix(out.dtype)
        (xn, xo), (tn, to), (on, oo) = self.operand(x), self.operand(target), self.operand(out)
        chosen = f"c = {tn}[{to.offset} + q * {to.strides[0]}]"
        wrong = f"c < 0 or c >= {shape[1]}"
        if forward:
            mean = " / count" if reduction == "mean" else ""
            return [
                "total, count = 0.0, 0",
                f"for q in range({shape[0]}):",
                f"    {chosen}",
                f"    if c != {ignore}:",
                "        count += 1",
                f"        if {wrong}:",
                "            bad[r] += 1",
                "        else:",
                f"            total -= {xn}[{xo.offset} + q * {xo.strides[0]} + c * {xo.strides[1]}]",
                f"{on}[{oo.offset}] = {kind}(total{mean})",
            ]
        place = f"{on}[{oo.offset} + q * {oo.strides[0]} + {{}} * {oo.strides[1]}]"
        return [
            "count = 0",
            f"for q in range({shape[0]}):",
            f"    if {tn}[{to.offset} + q * {to.strides[0]}] != {ignore}:",
            "        count += 1",
            f"each_{kind} = -{xn}[{xo.offset}]" + (f" / {kind}(count)" if reduction == "mean" else ""),
            f"for q in range({shape[0]}):",
            f"    for n in range({shape[1]}):",
            f"        {place.format('n')} = {literal(0, out.dtype)}",
            f"    {chosen}",
            f"    if c != {ignore} and not ({wrong}):",
            f"        {place.format('c')} = each_{kind}",
        ]

    # The end of a step

    def last_things(self) -> tuple[list[str], list[str]]:
        """Return the statements that end every step, and those that end the last one."""
        by_source = {(s.kind, id(s.source)): k for k, s in enumerate(self.states)}
        copies: list[tuple[Value, int]] = []
        final: list[tuple[Value, int]] = []
        for write in self.program.writes:
            if write.kind == "argument":
                raise NoKernel("a write to an argument")
            if write.value is None:
                continue
            key = (write.kind, id(write.source))
            target = self.plan.targets.get(write.value)
            if key in by_source:
                self.states[by_source[key]].moves = True
                if target is None or target.source is not write.source:
                    copies.append((write.value, by_source[key]))
                continue
            array = np.empty(write.value.shape, write.value.dtype)
            state = _State(write.kind, write.source, Root(-1, array, tuple(range(array.ndim))), None)
            state.moves = True
            state.now = lambda array=array: array  # type: ignore[method-assign, misc]
            self.states.append(state)
            final.append((write.value, len(self.states) - 1))
        lines: list[str] = []
        for k, value in enumerate(self.program.results):
            lines += self.copy(f"R{k}[r, s, {{}}]", np.arange(value.size), self.source_of(value), self.places(value))
        last: list[str] = []
        for value, k in final:
            last += self.copy(f"s{k}[{{}}]", np.arange(value.size), self.source_of(value), self.places(value))
        after: list[str] = []
        for value, k in copies:
            state = self.states[k]
            name, at = self.source_of(value), self.places(value)
            order = np.arange(value.size).reshape([state.root.array.shape[a] for a in state.root.order])
            to = order.transpose(np.argsort(state.root.order).tolist()).reshape(-1)
            if name.startswith("s"):  # another state, which may change first
                kept = f"{self.packed(value.size, value)}[{{}}]"
                lines += self.copy(kept, np.arange(value.size), name, at)
                name, at = kept, np.arange(value.size)
            after += self.copy(f"s{k}[{{}}]", to, name, at)
        return [*lines, *(["if s == last - 1:", *(f"    {x}" for x in last)] if last else [])], after

    def source_of(self, value: Value) -> str:
        return f"{self.operand(value)[0]}[{{}}]"

    # The function

    def text(self) -> str:
        """Return the source of the loops and of the function."""
        arguments = self.program.of_kind("argument")
        names = [
            *(f"S{k}" for k in range(len(self.states))), *(f"C{k}" for k in range(len(self.constants))), "H", "D", "order",
            *(f"X{i.source}" for i in arguments), *(f"R{k}" for k in range(len(self.program.results))), "own", "bad",
            "first_run", "last_run", "first", "last",
        ]  # fmt: skip
        count = len(self.states)
        lines = [f"def run({', '.join(names)}):", *(f"    {x}" for x in self.head)]
        lines.append("    for r in range(first_run, last_run):")
        lines += [f"        s{k} = S{k}[r * own[{k}]]" for k in range(count)]
        lines.append("        for s in range(first, last):")
        step = [
            f"h{k}[0] = H[r * own[{count}], s * own[{count + 1}], {k}]"
            for k in range(len(self.program.of_kind("setting")))
        ]
        if self.gathered:
            rows = {i.value.shape[0] if i.value.shape else -1 for i in arguments}
            if len(rows) != 1 or -1 in rows:
                raise NoKernel("arguments with different numbers of rows")
            step.append(f"for b in range({rows.pop()}):")
            step.append(f"    o = order[r * own[{count + 2}], s, b] & 0x7FFFFFFFFFFFFFFF")
            for given in arguments:
                size = given.value.size // given.value.shape[0]
                if size == 1:
                    step.append(f"    x{given.source}[b] = X{given.source}[o, 0]")
                    continue
                step.append(f"    for q in range({size}):")
                step.append(f"        x{given.source}[b * {size} + q] = X{given.source}[o, q]")
        else:
            for given in arguments:
                step.append(f"for q in range({given.value.size}):")
                step.append(f"    x{given.source}[q] = X{given.source}[s, q]")
        during, after = self.ends
        lines += [f"            {x}" for x in [*step, *self.items, *during, *after]]
        return "\n\n".join(["".join(sorted(self.imports)), *self.plan.inner, "\n".join(lines) + "\n"])
