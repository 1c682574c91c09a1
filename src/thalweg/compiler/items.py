"""What a planned program consists of when it runs: fused loops, products in BLAS, operations run by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import nll
from .cache import Kernel
from .interpret import evaluate
from .memory import Root, empty_like_order, memory_order
from .nest import Nest
from .program import Array, Operation
from .threads import run_parts

if TYPE_CHECKING:
    from .plan import Plan

__all__ = ["Loop", "Other", "Product", "nothing", "special_kernel", "trial"]

_PAYS = 1 << 18  # additions of a loop, or as much, from which a second thread pays
_PRODUCT_PAYS = 1 << 22  # multiplications of a product from which a second thread pays


def nothing(registers: list[Any]) -> None:
    """Hold the place of a loop until it is compiled."""


def trial(op: Operation, probes: list[Any]) -> tuple[Array, ...]:
    """Run an operation on zeros to see how its results lie; a draw is not counted."""
    if op.draws:
        out = op.outputs[0]
        return (np.empty(out.shape, out.dtype),)
    try:
        return evaluate(op, probes)
    except (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError):  # it does not like zeros
        return tuple(np.empty(o.shape, o.dtype) for o in op.outputs)


def special_kernel(op: Operation) -> Any:
    """Return a kernel for an operation that is worth one, or None."""
    if op.primitive is nll._nll or op.primitive is nll._nll_back:
        x, target = op.inputs
        matrix = op.params[0] if op.primitive is nll._nll_back else x.shape
        reduction, ignore = op.params[-2:]
        if len(matrix) == 2 and target.dtype == np.int64 and reduction in ("mean", "sum") and len(target.shape) == 1:
            from .kernels import losses

            if op.primitive is nll._nll:
                return lambda x, t: losses.nll(x, t, reduction, ignore)
            return lambda g, t: losses.nll_back(g, t, matrix, reduction, ignore)
    return None


class Loop:
    """A fused loop."""

    __slots__ = ("extent", "kernel", "nest", "roots", "threads")

    def __init__(self, kernel: Kernel, nest: Nest) -> None:
        self.kernel = kernel
        self.nest = nest
        self.roots = nest.roots
        self.extent = nest.extent
        self.threads = nest.splits and nest.work >= _PAYS

    def __call__(self, registers: list[Any]) -> None:
        """Run on the arrays in their registers."""
        args = [registers[r] for r in self.roots]
        if self.threads:
            kernel = self.kernel.function
            run_parts(lambda first, last: kernel(*args, first, last), self.extent)
        else:
            self.kernel.function(*args, 0, self.extent)


class Product:
    """A product of matrices into a buffer."""

    __slots__ = ("a", "b", "op", "out", "threads", "turned", "work")

    def __init__(
        self, a: int, b: int, out: int, shape: tuple[int, ...], turned: bool, work: int, op: Operation
    ) -> None:
        self.a, self.b, self.out, self.turned, self.op, self.work = a, b, out, turned, op, work
        self.threads = len(shape) == 2 and work >= _PRODUCT_PAYS

    def __call__(self, registers: list[Any]) -> None:
        """Run on the arrays in their registers."""
        x, y, out = registers[self.a], registers[self.b], registers[self.out]
        if self.turned:
            x, y, out = y.T, x.T, out.T
        if self.threads and out.shape[0] > out.shape[1]:
            run_parts(lambda first, last: np.matmul(x[first:last], y, out=out[first:last]), out.shape[0])
        elif self.threads:  # BLAS rearranges the whole factor that is not divided: let it be the smaller one
            run_parts(lambda first, last: np.matmul(x, y[:, first:last], out=out[:, first:last]), out.shape[1])
        else:
            np.matmul(x, y, out=out)


class Other:
    """An operation run by its own forward."""

    __slots__ = ("inputs", "numbers", "op", "plan", "roots", "special")

    def __init__(
        self, plan: Plan, op: Operation, inputs: list[Any], numbers: list[Any], roots: list[Root], special: Any
    ) -> None:
        self.plan, self.op, self.inputs, self.numbers, self.roots = plan, op, inputs, numbers, roots
        self.special = special

    def __call__(self, registers: list[Any]) -> None:
        """Run on the arrays in their registers."""
        arrays = [n if r is None else registers[r] for r, n in zip(self.inputs, self.numbers, strict=True)]
        done = self.special(*arrays) if self.special is not None else None
        outs = evaluate(self.op, arrays) if done is None else (done,)
        for root, out in zip(self.roots, outs, strict=True):
            if memory_order(out) != root.order:
                out = empty_like_order(out, root.order)
            self.plan.bind(root, out)
