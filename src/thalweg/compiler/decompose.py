"""Primitives that are several steps in one, taken apart so that the steps can be fused with their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import dense, extremes, pointwise, products, reduce, shape, softmax
from ..ops.arithmetic import _add, _div, _log, _sub
from .program import Operation, Program, Value

__all__ = ["decompose"]


class _Steps:
    """Collects the operations that replace one."""

    def __init__(self, op: Operation) -> None:
        self.op = op
        self.done: list[Operation] = []

    def add(self, primitive: Any, inputs: tuple[Any, ...], params: tuple[Any, ...], shape: tuple[int, ...]) -> Value:
        out = self.op.outputs[0]
        value = Value(f"{out.name}_{len(self.done) + 1}", shape, out.dtype)
        self.done.append(Operation(primitive, inputs, params, (value,), self.op.line))
        return value

    def last(self, primitive: Any, inputs: tuple[Any, ...], params: tuple[Any, ...] = ()) -> list[Operation]:
        self.done.append(Operation(primitive, inputs, params, self.op.outputs, self.op.line))
        return self.done


def _addmm(op: Operation) -> list[Operation]:
    if op.params != (1, 1):
        return [op]
    bias, x, y = op.inputs
    steps = _Steps(op)
    product = steps.add(products._mm, (x, y), (), op.outputs[0].shape)
    return steps.last(_add, (product, bias))


def _linear(op: Operation) -> list[Operation]:
    *bias, x, w = op.inputs
    steps = _Steps(op)
    turned = steps.add(shape._t, (w,), (), w.shape[::-1])
    if not bias:
        return steps.last(products._mm, (x, turned))
    return steps.last(_add, (steps.add(products._mm, (x, turned), (), op.outputs[0].shape), bias[0]))


def _log_softmax(op: Operation) -> list[Operation]:
    steps = _Steps(op)
    z, shape, axes = _shifted(op, steps)
    e = steps.add(pointwise._exp, (z,), (), op.outputs[0].shape)
    total = steps.add(reduce._sum_dim, (e,), (axes, True), shape)
    return steps.last(_sub, (z, steps.add(_log, (total,), (), shape)))


def _softmax(op: Operation) -> list[Operation]:
    steps = _Steps(op)
    z, shape, axes = _shifted(op, steps)
    e = steps.add(pointwise._exp, (z,), (), op.outputs[0].shape)
    return steps.last(_div, (e, steps.add(reduce._sum_dim, (e,), (axes, True), shape)))


def _shifted(op: Operation, steps: _Steps) -> tuple[Value, tuple[int, ...], tuple[int, ...]]:
    x, axis = op.inputs[0], op.params[0]
    shape = tuple(1 if k == axis else n for k, n in enumerate(x.shape))
    top = steps.add(extremes._amax, (x,), ((axis,), True), shape)
    return steps.add(_sub, (x, top), (), x.shape), shape, (axis,)


_RULES: tuple[tuple[Any, Callable[[Operation], list[Operation]]], ...] = (
    (products._addmm, _addmm),
    (dense._linear, _linear),
    (dense._linear_plain, _linear),
    (softmax._log_softmax, _log_softmax),
    (softmax._softmax, _softmax),
)


def decompose(program: Program) -> Program:
    """Take composite primitives apart."""
    rules = {id(primitive): rule for primitive, rule in _RULES}
    kept: list[Operation] = []
    for op in program.operations:
        rule = rules.get(id(op.primitive))
        fits: Any = rule is not None and op.outputs[0].dtype.kind == "f" and op.outputs[0].size and op.outputs[0].shape
        fits = fits and all(isinstance(x, Value) and x.dtype == op.outputs[0].dtype for x in op.inputs)
        kept += rule(op) if fits and rule is not None else [op]
    return program.with_operations(kept)
