"""Large programs: fused loops, products in BLAS, convolutions in their kernels, the rest in NumPy, in memory planned ahead.

A *register* holds the array of one value. Buffers are made once and shared by values whose lives do not overlap;
an optimizer's result is computed straight into its tensor where nobody reads the old elements later.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np

from ..core.inplace import bump
from ..core.modes import restore, silence
from ..core.moves import EXPAND
from ..core.tensor import TensorBase
from ..errors import CaptureError
from .fuse import Node, group, is_reduction, needed_by, outside_use, reduced_axes
from .items import Call, Loop, Loss, Matmul, Other, Product, lists, trial
from .machine import generated
from .memory import Fences, Root, contiguous, empty_in_order, empty_like_order, memory_order, probe, within
from .nest import Nest, Operand, write_nest
from .passes import eliminate_dead, merge_equal
from .program import Array, Input, Operation, Program, ProgramError, Value
from .threads import blas_threads

__all__ = ["Plan"]

_OWN_KERNELS = {
    "convolution", "convolution_input", "convolution_weight", "max_pool2d", "max_pool3d", "pool_put", "pool_take", "avg_pool2d",
    "avg_pool3d", "avg_pool_back", "pool_places", "convolution_max_pool", "convolution_input_pool_put",
    "convolution_weight_pool_put",
}  # fmt: skip


class Plan:
    """A program made ready to run again and again on the same shapes."""

    def __init__(
        self,
        program: Program,
        strict: bool = False,
        alone: frozenset[Value] = frozenset(),
        refused: frozenset[Value] = frozenset(),
    ) -> None:
        self.alone = alone  # values of a fused group that does not compile
        self.refused = refused  # values of which a loop of their own does not compile either
        self.program = merge_equal(eliminate_dead(program))
        self.fences = Fences()
        self.flats: dict[int, Array] = {}
        self.kept: list[Array] = []
        self.notes: list[str] = []
        self.strict = strict
        self.registers: list[Any] = []
        self.roots: dict[Value, Root] = {}
        self.register_of: dict[Value, int] = {}
        self.prototypes: dict[Value, Array] = {}
        self.items: list[Call | Matmul | Other] = []
        self.steps: list[Callable[[list[Any]], None]] = []  # what runs: lists of calls, and what comes between
        self.nests: list[Nest] = []
        self.named: dict[Any, str] = {}  # by text and element types: equal loops share one function
        self.texts: list[str] = []  # of the loops, as functions of a table
        self.inner: list[str] = []  # the same as functions of arrays
        self.fallbacks: list[str] = []
        self.tensors: list[tuple[Root, Input]] = []
        self.arguments: list[tuple[Root, int]] = []
        self.grads: list[tuple[Root, Input]] = []
        self.settings = np.zeros(max(len(self.program.of_kind("setting")), 1))
        nodes = group(self.program, alone, refused)
        self.outside = outside_use(nodes, self.program)
        self.targets = self.in_place(nodes)
        ordered = _sorted(nodes)
        self.last_use = self.lives(ordered)
        self.free: dict[tuple[int, Any], list[Array]] = {}
        self.pinned = {v for v in self.program.wanted()}
        self.lendable = self.to_lend()
        self.lent: list[Lent] = []
        self.bind_inputs()
        self.ready = False
        for position, node in enumerate(ordered):
            self.place(node)
            self.release(position)
        self.source = "\n\n".join(self.texts)
        self.finish()

    # Registers

    def register(self, array: Any = None) -> int:
        """Return a new register, holding `array`."""
        self.registers.append(array)
        return len(self.registers) - 1

    def root(self, value: Value, array: Array, keep: bool = True) -> Root:
        """Give a value memory of its own."""
        order = memory_order(array)
        if order is None:
            raise CaptureError(f"compile: {value!r} does not lie in one piece of memory.")
        root = Root(self.register(array if keep else None), array, order)
        self.roots[value] = root
        self.register_of[value] = root.register
        self.prototypes[value] = array
        return root

    def bind_inputs(self) -> None:
        """Give every input a register."""
        k = 0
        for given in self.program.inputs:
            value = given.value
            if given.kind == "setting":
                whole = self.settings[k : k + 1]
                self.root(value, whole.reshape(()))
                k += 1
            elif given.kind == "constant":
                self.root(value, contiguous(given.source))
            elif given.kind == "argument":
                self.arguments.append((self.root(value, np.empty(value.shape, value.dtype), False), given.source))
            elif given.kind == "tensor":
                data = given.source._data
                whole = data if memory_order(data) is not None else contiguous(data)
                self.tensors.append((self.root(value, whole, False), given))
            else:
                self.grads.append((self.root(value, np.empty(value.shape, value.dtype), False), given))

    # Writing results where they belong

    def in_place(self, nodes: list[Node]) -> dict[Value, Input]:
        """Return which results can be computed straight into the tensor that takes them, ordering nodes accordingly."""
        readers: dict[Value, set[Node]] = {}
        through_view: dict[Value, set[Node]] = {}
        views: dict[Value, Value] = {}
        for node in nodes:
            for op in node.operations:
                for x in op.inputs:
                    if not isinstance(x, Value):
                        continue
                    base = x
                    while base in views:
                        base = views[base]
                    readers.setdefault(base, set()).add(node)
                    if base is not x:
                        through_view.setdefault(base, set()).add(node)
                    if node.kind == "view":
                        views[op.outputs[0]] = x
        given = {id(i.source): i for i in self.program.of_kind("tensor")}
        made = {out: (n, op) for n in nodes for op in n.operations for out in op.outputs}
        wanted = set(self.program.results)
        taken: set[Value] = set()
        found: dict[Value, Input] = {}
        # An operation that fails, at a class out of range for example, must find every tensor as it was before the step.
        may_fail = {n for n in nodes if n.kind == "other" and not n.operations[0].draws}
        before_failure = needed_by(may_fail)
        for write in self.program.writes:
            value = write.value
            source = given.get(id(write.source))
            if write.kind != "tensor" or value is None or value in taken or source is None or value not in made:
                continue
            node, op = made[value]
            fits = node.kind == "loop" and not is_reduction(op) and value.shape == source.value.shape
            fits = fits and value.dtype == source.value.dtype and source.value not in wanted
            fits = fits and write.source._data.flags.c_contiguous and write.source._data.flags.writeable
            fits = fits and node not in through_view.get(source.value, set())
            fits = fits and not any(w.value is source.value for w in self.program.writes)
            others = readers.get(source.value, set()) - {node}
            if not fits or node in before_failure or any(r.comes_after(node) for r in others):
                continue
            node.after |= others | may_fail
            found[value] = source
            taken.add(value)
        return found

    # Lives of buffers

    def lives(self, ordered: list[Node]) -> dict[int, list[Value]]:
        """Return, by position, the values that own memory and are not needed after it."""
        base: dict[Value, Value] = {}
        last: dict[Value, int] = {}
        for position, node in enumerate(ordered):
            for op in node.operations:
                for x in op.inputs:
                    if isinstance(x, Value):
                        last[base.get(x, x)] = position
                for out in op.outputs:
                    if node.kind == "view" and isinstance(op.inputs[0], Value):
                        base[out] = base.get(op.inputs[0], op.inputs[0])
                    last.setdefault(base.get(out, out), position)
        for value in self.program.wanted():
            last.pop(base.get(value, value), None)
        found: dict[int, list[Value]] = {}
        for value, position in last.items():
            found.setdefault(position, []).append(value)
        return found

    def to_lend(self) -> set[Value]:
        """Return the gradients whose own memory may be left in ``.grad``, where the next run finds it or takes other."""
        written = [w.value for w in self.program.writes if w.value is not None]
        grads = [w.value for w in self.program.writes if w.kind == "grad" and w.value is not None]
        if self.program.of_kind("grad"):
            return set()
        return {v for v in grads if written.count(v) == 1 and v not in self.program.results}

    def buffer(self, value: Value, order: tuple[int, ...]) -> Array:
        """Return memory for a value: freed memory of the same size if there is some."""
        if value in self.lendable and order == tuple(range(len(order))):
            own = self.fences.empty(value.shape, value.dtype, repr(value))
            self.flats[id(own)] = own.reshape(-1)
            return own
        waiting = self.free.get((value.size, value.dtype))
        flat = (
            waiting.pop() if waiting else self.fences.empty(max(value.size, 1), value.dtype, repr(value))[: value.size]
        )
        shaped = flat.reshape(tuple(value.shape[k] for k in order)).transpose(np.argsort(order).tolist())
        self.flats[id(shaped)] = flat
        self.kept.append(shaped)
        return shaped

    def release(self, position: int) -> None:
        """Hand back the memory of values that nobody needs after this place."""
        for value in self.last_use.get(position, ()):
            root = self.roots.get(value)
            if root is not None and id(root.array) in self.flats and value not in self.targets:
                self.free.setdefault((value.size, value.dtype), []).append(self.flats[id(root.array)])

    # Placing nodes

    def place(self, node: Node) -> None:
        """Decide how a node runs."""
        if node.kind == "loop":
            self.place_loop(node)
            return
        op = node.operations[0]
        if node.kind == "view" and self.place_view(op):
            return
        if node.kind == "product" and self.place_product(op):
            return
        self.place_other(op)

    def place_view(self, op: Operation) -> bool:
        """Make a value a view of its input's memory, if it is one."""
        x = op.inputs[0]
        out = op.outputs[0]
        if not isinstance(x, Value):
            return False
        source = self.prototypes[x]
        view = op.primitive.forward(source, *op.params)
        if view is not source and not np.may_share_memory(view, source):
            return False
        root = self.roots[x]
        register = self.register(None)
        self.roots[out] = root
        self.prototypes[out] = view
        self.register_of[out] = register
        root.views.append((register, self.register_of[x], op))
        if self.registers[root.register] is not None:
            self.registers[register] = op.primitive.forward(self.registers[self.register_of[x]], *op.params)
        return True

    def location(self, value: Value) -> tuple[Root, int]:
        """Return in which memory a value begins, and at which byte."""
        root = self.roots[value]
        base = root.array.__array_interface__["data"][0]
        return root, self.prototypes[value].__array_interface__["data"][0] - base

    def operand(self, value: Value, shape: tuple[int, ...], view: Array | None = None) -> Operand:
        """Return where a value lies, with a stride for each axis of `shape`."""
        array = self.prototypes[value] if view is None else view
        spread = np.broadcast_to(array, shape)
        root, offset = self.location(value)
        within(root, offset, array, repr(value))
        width = array.dtype.itemsize
        return Operand(root, offset // width, tuple(s // width for s in spread.strides))

    def place_loop(self, node: Node) -> None:
        """Write the kernel of a fused group."""
        shape = node.shape
        order = self.loop_order(node)
        places: dict[Value, Operand] = {}
        made = {out for op in node.operations for out in op.outputs}
        stored = set()
        for op in node.operations:
            for x in op.inputs:
                if isinstance(x, Value) and x not in made and x not in places:
                    places[x] = self.operand(x, shape)
        for op in node.operations:
            out = op.outputs[0]
            if is_reduction(op):
                kept = tuple(1 if k in reduced_axes(op) else n for k, n in enumerate(shape))
                self.root(out, self.buffer(out, tuple(range(len(out.shape)))))
                places[out] = self.operand(out, shape, self.prototypes[out].reshape(kept))
                stored.add(out)
            elif out in self.outside:
                target = self.targets.get(out)
                if target is not None:
                    root = self.roots[target.value]
                    self.roots[out] = root
                    self.prototypes[out] = root.array
                    self.register_of[out] = root.register
                else:
                    self.root(out, self.buffer(out, order))
                places[out] = self.operand(out, shape)
                stored.add(out)
        nest = write_nest(node.operations, shape, order, places, stored)
        key = nest.body, *nest.dtypes
        known = self.named.get(key)
        if known is None:
            known = self.named[key] = f"loop{len(self.named) + 1}"
            self.texts.append(nest.entry(known))
            self.inner.append(nest.text(known))
        nest.name = known
        nest.makes = made
        self.nests.append(nest)
        self.items.append(Loop(self, nest))

    def loop_order(self, node: Node) -> tuple[int, ...]:
        """Return the order of axes in which most of the memory of a loop lies."""
        votes: dict[tuple[int, ...], int] = {}
        straight = tuple(range(len(node.shape)))
        for op in node.operations:
            for x in op.inputs:
                if isinstance(x, Value) and x in self.prototypes and x.shape == node.shape:
                    order = memory_order(self.prototypes[x])
                    if order is not None:
                        votes[order] = votes.get(order, 0) + 1
            target = self.targets.get(op.outputs[0])
            if target is not None:
                votes[straight] = votes.get(straight, 0) + 2
        return max(votes, key=lambda o: (votes[o], o == straight)) if votes else straight

    def place_product(self, op: Operation) -> bool:
        """Let BLAS compute a product into a buffer; return whether it can."""
        x, y = op.inputs
        out = op.outputs[0]
        if not isinstance(x, Value) or not isinstance(y, Value) or out.shape == ():
            return False
        turned = len(out.shape) == 2 and self.turned(out)
        self.root(out, self.buffer(out, (1, 0) if turned else tuple(range(len(out.shape)))))
        self.items.append(Product(self, op) if Product.fits(self, op) else Matmul(self, op))
        return True

    def turned(self, value: Value) -> bool:
        """Return whether every user of a matrix looks at its transpose."""
        users = [op for op in self.program.operations if value in op.inputs]
        if not users or value in self.pinned:
            return False
        for op in users:
            name = op.primitive.name
            flips = (
                name == "t"
                or (name == "permute" and op.params[0] == (1, 0))
                or (name == "transpose" and set(op.params) == {0, 1})
            )
            if not flips:
                return False
        return True

    def place_other(self, op: Operation) -> None:
        """Run an operation with its own forward, and give its results places."""
        name = op.primitive.name
        if Loss.fits(op):
            result = op.outputs[0]
            self.root(result, self.buffer(result, tuple(range(len(result.shape)))))
            self.items.append(Loss(self, op))
            return
        if name not in _OWN_KERNELS and not op.draws and op.primitive.forward is not EXPAND.forward:
            if self.strict:
                raise CaptureError(f"compile: {name} has no kernel, and strict=True refuses NumPy (at {op.line}).")
            self.fallbacks.append(name)
        probes = [probe(self.prototypes[x]) if isinstance(x, Value) else x for x in op.inputs]
        with np.errstate(all="ignore"):
            outs = trial(op, probes)
        roots = []
        for value, out in zip(op.outputs, outs, strict=True):
            order = memory_order(out) or tuple(range(out.ndim))
            roots.append(self.root(value, empty_in_order(value.shape, order, value.dtype), False))
        self.items.append(Other(self, op, roots))

    # Ready to run

    def prepare(self) -> None:
        """Compile what runs, unless that was done."""
        while not self.ready:
            try:
                self.steps[:] = lists(self.items, self.source, tuple(self.named.values()))
            except Exception:
                alone, refused = self.failing()
                if not alone and not refused:
                    raise
                self.__init__(self.program, self.strict, self.alone | alone, self.refused | refused)  # type: ignore[misc]
            else:
                self.ready = True

    def failing(self) -> tuple[frozenset[Value], frozenset[Value]]:
        """Return the values of groups that do not compile, and those of single operations; all where each compiles."""
        found: set[str] = set()
        for name, text in zip(self.named.values(), self.texts, strict=True):
            try:
                generated(text, (name,))
            except Exception:  # noqa: BLE001  (what Numba and LLVM raise has no common class)
                found.add(name)
        wrong = [nest.makes for nest in self.nests if nest.name in found or not found]
        alone = frozenset(v for makes in wrong if len(makes) > 1 for v in makes)
        return alone, frozenset(v for makes in wrong if len(makes) == 1 for v in makes)

    def finish(self) -> None:
        """Note what is returned, copied and written."""
        program = self.program
        self.results = [self.register_of[v] for v in program.results]
        self.copies: list[tuple[int, Any]] = []
        self.left: list[tuple[int, Any]] = []
        self.written: list[Any] = []
        self.given_back: list[tuple[int, int]] = []  # arguments that are written, by position
        for write in program.writes:
            if write.kind == "tensor":
                self.written.append(write.source)
                target = None if write.value is None else self.targets.get(write.value)
                if write.value is not None and (target is None or target.source is not write.source):
                    self.copies.append((self.register_of[write.value], write.source))
            elif write.kind == "argument":
                if write.value is not None:
                    self.given_back.append((self.register_of[write.value], write.source))
            elif write.value is None:
                self.left.append((-1, write.source))
            elif write.value in self.lendable and self.lends(write.value):
                self.lent.append(Lent(self.roots[write.value], write.source))
            else:
                self.left.append((self.register_of[write.value], write.source))
        if self.fallbacks:
            counts = {name: self.fallbacks.count(name) for name in dict.fromkeys(self.fallbacks)}
            listed = ", ".join(f"{n} ({k}×)" if k > 1 else n for n, k in counts.items())
            self.notes.append(f"in NumPy, for want of a kernel: {listed}")
        loops = (
            len(self.nests)
            if len(self.nests) == len(self.named)
            else f"{len(self.nests)} ({len(self.named)} different)"
        )
        products = sum(isinstance(i, Product | Matmul) for i in self.items)
        own = sum(
            isinstance(i, Loss) or (isinstance(i, Other) and i.op.primitive.name in _OWN_KERNELS) for i in self.items
        )
        self.notes.insert(
            0,
            f"{loops} fused loops, {products} products in BLAS, {own} convolutions, poolings and losses in their kernels",
        )
        kinds = [isinstance(item, Call) for item in self.items]
        calls, runs = sum(kinds), sum(called for called, _ in groupby(kinds))
        if calls < len(kinds):
            between = len(kinds) - calls
            noun = "list" if runs == 1 else "lists"
            note = f"machine code makes {calls} calls in {runs} {noun}; run by Python beside them: {between}"
        else:
            note = f"machine code makes these {len(kinds)} calls in one list, without Python in between"
        self.notes.insert(1, note)

    def lends(self, value: Value) -> bool:
        """Return whether a gradient lies in a buffer of its own, row by row."""
        root = self.roots[value]
        array = self.registers[root.register]
        return self.register_of[value] == root.register and id(array) in self.flats and array.base is None

    def bind(self, root: Root, array: Array) -> None:
        """Put an array into the registers of a root: itself, its flat form, its views."""
        registers = self.registers
        if registers[root.register] is array:
            return
        if array.shape != root.array.shape or array.dtype != root.array.dtype:
            raise ProgramError(
                f"compile: memory of {root.array.dtype}{list(root.array.shape)} was to take "
                f"{array.dtype}{list(array.shape)}; a mistake of the compiler."
            )
        registers[root.register] = array
        if root.places:
            address = array.ctypes.data
            for table, k, offset in root.places:
                table[k] = address + offset
        for register, source, op in root.views:
            registers[register] = op.primitive.forward(registers[source], *op.params)

    def call(self, arrays: list[Array], settings: Array) -> list[Array]:
        """Run once on the arguments and the present state; write the state, return the results."""
        self.prepare()
        self.settings[: len(settings)] = settings
        for root, k in self.arguments:
            self.bind(root, contiguous(arrays[k]))
        for root, given in self.tensors:
            data = given.source._data
            if self.registers[root.register] is data:
                continue  # it lies where it lay, and so do its views
            if memory_order(data) != root.order:
                data = empty_like_order(data, root.order)
            self.bind(root, data)
        for root, given in self.grads:
            self.bind(root, contiguous(given.source._grad._data))
        for lent in self.lent:
            lent.take_back(self)
        registers = self.registers
        token = silence()
        blas = blas_threads(1)
        try:
            for step in self.steps:
                step(registers)
        finally:
            if blas > 1:
                blas_threads(blas)
            restore(token)
        if self.fences.on:
            self.fences.check()
        results = [np.array(registers[r]) for r in self.results]
        for register, tensor in self.left:
            tensor._grad = None if register < 0 else TensorBase._wrap(np.array(registers[register]))
        for lent in self.lent:
            lent.lend(self)
        back = [(np.array(registers[register]), arrays[k]) for register, k in self.given_back]
        for value, array in back:
            np.copyto(array, value)
        if len(self.copies) > 1:
            values = [np.array(registers[register]) for register, _ in self.copies]
        else:
            values = [registers[register] for register, _ in self.copies]
        for value, (_, tensor) in zip(values, self.copies, strict=True):
            np.copyto(tensor._data, value)
        for tensor in self.written:
            bump(tensor)
        return results


class Lent:
    """A gradient that lies in the plan's own memory and is left in ``.grad`` without a copy.

    When the next run begins, and anybody but that ``.grad`` still sees the memory, the run takes other memory.
    """

    __slots__ = ("root", "seen", "tensor")

    def __init__(self, root: Root, tensor: TensorBase) -> None:
        self.root = root
        self.tensor = tensor
        self.seen = 0  # references to the array before it was lent

    def lend(self, plan: Plan) -> None:
        """Leave it in ``.grad``."""
        array = plan.registers[self.root.register]
        self.seen = sys.getrefcount(array)
        self.tensor._grad = TensorBase._wrap(array)

    def take_back(self, plan: Plan) -> None:
        """See to it that the gradient's memory is the plan's alone."""
        array = plan.registers[self.root.register]
        grad, self.tensor._grad = self.tensor._grad, None  # from here on no other thread can find it there
        ours = grad is not None and grad._data is array and sys.getrefcount(grad) == 2  # `grad`, the argument
        if self.seen and sys.getrefcount(array) > self.seen + ours:
            plan.bind(self.root, np.empty(array.shape, array.dtype))


def _sorted(nodes: list[Node]) -> list[Node]:
    """Return the nodes so that each comes after those it depends on."""
    done: dict[Node, None] = {}
    for start in sorted(nodes, key=lambda n: n.index):
        stack = [(start, iter(sorted(start.after, key=lambda n: n.index)))]
        if start in done:
            continue
        while stack:
            node, rest = stack[-1]
            for other in rest:
                if other not in done:
                    stack.append((other, iter(sorted(other.after, key=lambda n: n.index))))
                    break
            else:
                stack.pop()
                done.setdefault(node)
    return list(done)
