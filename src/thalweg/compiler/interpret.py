"""The interpreter: a program run operation by operation with the primitives' own NumPy code.

It is slow, runs everything, and is the oracle of every pass and of every kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import restore, silence
from ..ops._elementwise import Elementwise, _number
from .program import Array, Operation, Program, Value

__all__ = ["arguments_of", "evaluate", "interpret"]


def arguments_of(op: Operation, arrays: list[Any]) -> list[Any]:
    """Return the inputs of an operation as its forward takes them: Python numbers where NumPy types them rightly."""
    primitive = op.primitive
    if not isinstance(primitive, Elementwise):
        return arrays
    first = 1 if primitive.kind == "choose" else 0
    typed = [a for a in arrays[first:] if isinstance(a, np.ndarray)]
    if not typed or first or typed[0].dtype.kind != "f":
        common = _dtype.promote(*arrays[first:])
        if common.rank < 2 and primitive.kind == "float":
            common = _dtype.default_float()
        return [_number(a, common.np, primitive.kind) if type(a) in (int, float, bool) else a for a in arrays]
    return arrays


def evaluate(op: Operation, arrays: list[Any]) -> tuple[Array, ...]:
    """Return the outputs of one operation."""
    params: tuple[Any, ...] = op.params
    if op.draws:
        params = (*params[:-1], *params[-1].generator.next_call())
    args = arguments_of(op, arrays)
    out = op.primitive.forward(args, *params) if op.primitive.arity < 0 else op.primitive.forward(*args, *params)
    outs = (out,) if op.primitive.single else tuple(out)
    return tuple(o if type(o) is np.ndarray else np.asarray(o) for o in outs)


def interpret(program: Program, given: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
    """Run a program on the arrays of its inputs; return its results and what is to be written."""
    values: dict[Value, Array] = {i.value: a for i, a in zip(program.inputs, given, strict=True)}
    token = silence()
    try:
        for op in program.operations:
            arrays = [values[x] if isinstance(x, Value) else x for x in op.inputs]
            values.update(zip(op.outputs, evaluate(op, arrays), strict=True))
    finally:
        restore(token)
    return [values[v] for v in program.results], [None if w.value is None else values[w.value] for w in program.writes]
