"""Primitives that are several steps in one, taken apart so that the steps can be fused with their neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..ops import dense, extremes, linalg_norms, pointwise, products, reduce, shape, softmax
from ..ops.arithmetic import _add, _div, _log, _maximum, _mul, _sub
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


_NORMS = (1, 2, math.inf)


def _simple_norm(op: Operation) -> bool:
    return op.params[0] in _NORMS and bool(op.inputs[0].shape) and op.inputs[0].size > 0


def _norm(op: Operation, makers: dict[Value, Operation]) -> list[Operation]:
    """Take a norm apart; that of several numbers side by side, such as the norms of parameters, too."""
    x, (ord, axes, keepdim) = op.inputs[0], op.params
    steps = _Steps(op)
    reduction = extremes._amax if ord == math.inf else reduce._sum_dim

    def sized(v: Value) -> Value:
        return steps.add(_mul, (v, v), (), v.shape) if ord == 2 else steps.add(pointwise._abs, (v,), (), v.shape)

    maker = makers.get(x)
    if maker is not None and maker.primitive.name == "stack" and len(x.shape) == 1 and not keepdim:
        total, *others = map(sized, maker.inputs)
        for other in others:
            total = steps.add(_maximum if ord == math.inf else _add, (total, other), (), ())
    else:
        total = steps.add(reduction, (sized(x),), (axes, keepdim), op.outputs[0].shape)
    if ord == 2:
        return steps.last(pointwise._sqrt, (total,))
    *steps.done, end = steps.done
    return [*steps.done, Operation(end.primitive, end.inputs, end.params, op.outputs, op.line)]


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
    makers = {v: op for op in program.operations for v in op.outputs}
    kept: list[Operation] = []
    for op in program.operations:
        out = op.outputs[0]
        fits = out.dtype.kind == "f" and all(isinstance(x, Value) and x.dtype == out.dtype for x in op.inputs)
        rule = rules.get(id(op.primitive))
        if fits and op.primitive is linalg_norms._vector_norm and _simple_norm(op):
            kept += _norm(op, makers)
        elif fits and rule is not None and out.size and out.shape:
            kept += rule(op)
        else:
            kept.append(op)
    return program.with_operations(kept)
