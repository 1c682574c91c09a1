"""What a planned program consists of when it runs: calls of machine code, in lists that Python does not enter, and the rest.

A *call* is a fused loop, a product in BLAS, or another kernel that takes a table. Neighbouring calls become one list,
which the machine walks with all threads; an operation without such a kernel comes between two lists, run by itself.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import nll
from .interpret import evaluate
from .machine import address, generated
from .memory import Root, empty_like_order, memory_order, within
from .nest import Nest
from .program import Array, Operation, ProgramError, Value
from .scalars import suffix
from .team import Calls
from .threads import cblas, get_num_threads, run_parts, team_of

if TYPE_CHECKING:
    from .plan import Plan

__all__ = ["Call", "List", "Loop", "Loss", "Matmul", "Other", "Product", "lists", "trial"]

_PAYS = 1 << 13  # additions of a loop, or as much, from which a second thread pays
_PRODUCT_PAYS = 1 << 18  # multiplications of a product from which a second thread pays
_ALONE = 1 << 22  # those of a product outside of a list
_EACH = 2  # parts of a loop for each thread


def trial(op: Operation, probes: list[Any]) -> tuple[Array, ...]:
    """Run an operation on zeros to see how its results lie; a draw is not counted."""
    if op.draws:
        out = op.outputs[0]
        return (np.empty(out.shape, out.dtype),)
    try:
        return evaluate(op, probes)
    except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError):  # it does not like zeros
        return tuple(np.empty(o.shape, o.dtype) for o in op.outputs)


def _checked(plan: Plan, value: Value, dtype: Any, shape: tuple[int, ...]) -> tuple[Root, int]:
    """Return where a value begins, for a kernel that takes it as an array of this type and shape."""
    root, offset = plan.location(value)
    view = plan.prototypes[value]
    if view.dtype != dtype or root.array.dtype != dtype or view.shape != shape:
        raise ProgramError(
            f"compile: {value!r} is {view.dtype}{list(view.shape)}; its kernel takes {dtype}{list(shape)}."
        )
    within(root, offset, view, repr(value))
    return root, offset


class Call:
    """A call of machine code: its table, how far its range goes, and how many parts that is worth."""

    def __init__(self, plan: Plan, operands: list[tuple[Root, int]], numbers: tuple[int, ...] = ()) -> None:
        """Let the table begin with the addresses of operands: pieces of memory, and from which byte."""
        self.plan = plan
        self.table = np.zeros(len(operands) + len(numbers), np.int64)
        self.table[len(operands) :] = numbers
        for k, (root, offset) in enumerate(operands):
            root.places.append((self.table, k, offset))
            array = plan.registers[root.register]
            if array is not None:
                self.table[k] = array.ctypes.data + offset
        self.extent = 1

    def address(self, loops: dict[str, int]) -> int:
        """Return where the function lies, given where the loops of the plan do."""
        raise NotImplementedError

    def parts(self, threads: int) -> int:
        """Return in how many parts so many threads do it."""
        return 1

    def otherwise(self, registers: list[Any]) -> None:
        """Do what the function could not do, or raise what is wrong."""
        raise NotImplementedError


class Loop(Call):
    """A fused loop."""

    def __init__(self, plan: Plan, nest: Nest) -> None:
        for root, dtype, (low, high) in zip(nest.roots, nest.dtypes, nest.reach, strict=True):
            if root.array.dtype != dtype or not 0 <= low <= high < root.size:
                raise ProgramError(
                    f"compile: a loop takes elements {low} to {high} of {dtype} in memory of {root.size} "
                    f"{root.array.dtype}; a mistake of the compiler ({'; '.join(nest.notes)})."
                )
        super().__init__(plan, [(root, 0) for root in nest.roots])
        self.nest = nest
        self.extent = nest.extent

    def address(self, loops: dict[str, int]) -> int:
        """Return where the function of its source lies."""
        return loops[self.nest.name]

    def parts(self, threads: int) -> int:
        """Return a few for each thread if there is much to do."""
        return min(_EACH * threads, self.extent) if self.nest.splits and self.nest.work >= _PAYS else 1


class Product(Call):
    """A product of two matrices by BLAS, which gets its longer side in parts."""

    def __init__(self, plan: Plan, op: Operation) -> None:
        x, y = op.inputs
        out = op.outputs[0]
        (m, k), n = x.shape, y.shape[1]
        shapes = {out: (m, n), x: (m, k), y: (k, n)}
        views = [plan.prototypes[v] for v in (out, x, y)]
        given = [_checked(plan, v, out.dtype, shapes[v]) for v in (out, x, y)]
        if views[0].strides[0] < views[0].strides[1]:  # the transpose is what lies row by row
            views = [views[0].T, views[2].T, views[1].T]
            given = [given[0], given[2], given[1]]
        (c_step, _), (a_step, a_turned), (b_step, b_turned) = (_leading(v) for v in views)
        (m, n), k = views[0].shape, views[1].shape[1]
        # BLAS rearranges the whole factor that is not divided: let it be the smaller one
        columns = n > m
        steps = (c_step, a_step, b_step, a_turned, b_turned)
        width = out.dtype.itemsize
        super().__init__(plan, given, (*steps, m, n, k, width, columns, cblas()[width == 8]))
        self.op, self.work = op, m * n * k
        self.extent = n if columns else m

    @staticmethod
    def fits(plan: Plan, op: Operation) -> bool:
        """Return whether BLAS can do it: matrices of which one axis runs without gaps."""
        values = [*op.inputs, op.outputs[0]]
        if cblas() == (0, 0) or any(len(v.shape) != 2 or v.size == 0 for v in values):
            return False
        if any(v.dtype != values[0].dtype for v in values) or values[0].dtype not in (np.float32, np.float64):
            return False
        return all(_leading(plan.prototypes[v])[0] for v in values)

    def address(self, loops: dict[str, int]) -> int:
        """Return where the function lies that calls BLAS."""
        return address("blas", "product")

    def parts(self, threads: int) -> int:
        """Return one for each thread: BLAS prepares for every part."""
        return min(threads, self.extent) if self.work >= _PRODUCT_PAYS else 1


def _leading(array: Array) -> tuple[int, int]:
    """Return the distance between rows (0 if BLAS cannot read it), and whether it lies transposed."""
    (m, n), width = array.shape, array.itemsize
    row, column = (s // width for s in array.strides)
    if (column == 1 or n == 1) and (row >= n or m == 1):
        return max(row, n), 0
    if (row == 1 or m == 1) and (column >= m or n == 1):
        return max(column, m), 1
    return 0, 0


class Loss(Call):
    """The negative log-likelihood of chosen classes, or its gradient."""

    def __init__(self, plan: Plan, op: Operation) -> None:
        x, target = op.inputs
        out = op.outputs[0]
        self.forward = op.primitive is nll._nll
        rows, classes = x.shape if self.forward else op.params[0]
        reduction, ignore = op.params[-2:]
        row, column = (s // out.dtype.itemsize for s in plan.prototypes[x].strides) if self.forward else (0, 0)
        step = plan.prototypes[target].strides[0] // 8
        numbers = (rows, classes, row, column, step, ignore, reduction == "mean")
        small, large = ((), (rows, classes)) if self.forward else ((rows, classes), ())
        if not plan.prototypes[out].flags.c_contiguous:
            raise ProgramError(f"compile: {out!r} must lie row by row for its kernel.")
        given = [
            _checked(plan, out, out.dtype, small),
            _checked(plan, x, out.dtype, large),
            _checked(plan, target, np.dtype(np.int64), (rows,)),
        ]
        super().__init__(plan, given, numbers)
        self.op = op

    @staticmethod
    def fits(op: Operation) -> bool:
        """Return whether there is a kernel for it."""
        if op.primitive is not nll._nll and op.primitive is not nll._nll_back:
            return False
        x, target = op.inputs
        matrix = op.params[0] if op.primitive is nll._nll_back else x.shape
        kinds = target.dtype == np.int64 and x.dtype == op.outputs[0].dtype in (np.float32, np.float64)
        return len(matrix) == 2 and len(target.shape) == 1 and kinds and op.params[-2] in ("mean", "sum")

    def address(self, loops: dict[str, int]) -> int:
        """Return where one of the two functions lies."""
        return address("losses", ("nll_" if self.forward else "nll_back_") + suffix(self.op.outputs[0].dtype))

    def otherwise(self, registers: list[Any]) -> None:
        """Let the operation say which class is out of range."""
        arrays = [registers[self.plan.register_of[v]] for v in self.op.inputs]
        out = evaluate(self.op, arrays)[0]
        registers[self.plan.register_of[self.op.outputs[0]]][...] = out


class List:
    """Calls that follow each other."""

    def __init__(self, calls: list[Call], loops: dict[str, int]) -> None:
        self.calls = calls
        self.list = Calls(len(calls))
        self.items = self.list.items
        for item, call in zip(self.items, calls, strict=True):
            item[:3] = call.address(loops), call.table.ctypes.data, call.extent
        self.threads = 0
        self.divided = False

    def arrange(self, threads: int) -> None:
        """Divide the calls for so many threads."""
        for item, call in zip(self.items, self.calls, strict=True):
            parts = call.parts(threads) if threads > 1 else 1
            item[4] = -(-call.extent // max(parts, 1))
            item[3] = max(-(-call.extent // max(int(item[4]), 1)), 1)
        self.threads = threads
        self.divided = bool((self.items[:, 3] > 1).any())

    def __call__(self, registers: list[Any]) -> None:
        """Make all calls."""
        threads = get_num_threads()
        if threads != self.threads:
            self.arrange(threads)
        team = team_of(threads) if self.divided else None
        at = 0
        while True:
            at = self.list.alone(at) if team is None else team.make(self.list, at)
            if at == len(self.calls):
                return
            self.calls[at].otherwise(registers)
            at += 1


def lists(items: list[Call | Other | Matmul], source: str, names: tuple[str, ...]) -> list[List | Other | Matmul]:
    """Compile the loops of a plan, or load them; return its items with neighbouring calls joined."""
    loops = generated(source, names) if names else {}
    found: list[List | Other | Matmul] = []
    for called, neighbours in groupby(items, lambda item: isinstance(item, Call)):
        some: list[Any] = list(neighbours)
        found += [List(some, loops)] if called else some
    return found


class Other:
    """An operation run by its own forward."""

    __slots__ = ("inputs", "numbers", "op", "plan", "roots")

    def __init__(self, plan: Plan, op: Operation, roots: list[Root]) -> None:
        self.plan, self.op, self.roots = plan, op, roots
        self.inputs = [plan.register_of[x] if isinstance(x, Value) else None for x in op.inputs]
        self.numbers = [None if isinstance(x, Value) else x for x in op.inputs]

    def __call__(self, registers: list[Any]) -> None:
        """Run on the arrays in their registers."""
        arrays = [n if r is None else registers[r] for r, n in zip(self.inputs, self.numbers, strict=True)]
        outs = evaluate(self.op, arrays)
        for root, out in zip(self.roots, outs, strict=True):
            if out.shape != root.array.shape or out.dtype != root.array.dtype:
                raise ProgramError(
                    f"compile: {self.op!r} gave {out.dtype}{list(out.shape)}, not what it gave when it was captured."
                )
            if memory_order(out) != root.order:
                out = empty_like_order(out, root.order)
            self.plan.bind(root, out)


class Matmul:
    """A product by NumPy, of more axes than BLAS knows, or without one that can be called."""

    __slots__ = ("a", "b", "op", "out", "threads", "work")

    def __init__(self, plan: Plan, op: Operation) -> None:
        self.op = op
        self.a, self.b = (plan.register_of[v] for v in op.inputs)
        out = op.outputs[0]
        self.out = plan.register_of[out]
        self.work = out.size * op.inputs[0].shape[-1]
        self.threads = len(out.shape) == 2 and self.work >= _ALONE

    def __call__(self, registers: list[Any]) -> None:
        """Run on the arrays in their registers."""
        x, y, out = registers[self.a], registers[self.b], registers[self.out]
        if self.threads:
            run_parts(lambda first, last: np.matmul(x[first:last], y, out=out[first:last]), out.shape[0])
        else:
            np.matmul(x, y, out=out)
