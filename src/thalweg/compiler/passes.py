"""Passes: each takes a program and returns a better one that computes the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.moves import CAST, EXPAND, IMPLICIT_CAST, SUM_TO
from ..core.primitive import Primitive
from ..ops._elementwise import Elementwise
from ..ops.arithmetic import _div, _mul, _pow, _pow_number
from .decompose import decompose
from .interpret import evaluate
from .pooling import pools_in_convolutions, relu_in_pools, sums_before_pools
from .program import Array, Draw, Input, Operation, Program, Value, check

__all__ = ["eliminate_dead", "fold_constants", "merge_equal", "optimize", "simplify"]

_FOLD_LIMIT = 1 << 20  # elements of a constant worth keeping instead of computing


def optimize(program: Program, checked: bool = False) -> Program:
    """Run all passes."""
    passes: tuple[Callable[[Program], Program], ...] = (
        eliminate_dead, decompose, simplify, fold_constants, simplify, merge_equal, eliminate_dead,
        relu_in_pools, sums_before_pools, pools_in_convolutions,
    )  # fmt: skip
    for each in passes:
        program = each(program)
        if checked:
            check(program)
    return program


def eliminate_dead(program: Program) -> Program:
    """Leave out operations whose results nobody uses; draws stay, because they count."""
    needed = program.wanted()
    kept = []
    for op in reversed(program.operations):
        if op.draws or any(out in needed for out in op.outputs):
            kept.append(op)
            needed.update(x for x in op.inputs if isinstance(x, Value))
    return program.with_operations(reversed(kept))


def fold_constants(program: Program) -> Program:
    """Compute what depends on constants alone."""
    known: dict[Value, Array] = {i.value: i.source for i in program.of_kind("constant")}
    kept, made = [], []
    for op in program.operations:
        fixed = all(not isinstance(x, Value) or x in known for x in op.inputs)
        if op.draws or not fixed or sum(out.size for out in op.outputs) > _FOLD_LIMIT:
            kept.append(op)
            continue
        with np.errstate(all="ignore"):
            results = evaluate(op, [known[x] if isinstance(x, Value) else x for x in op.inputs])
        for out, array in zip(op.outputs, results, strict=True):
            known[out] = np.array(array)
            made.append(Input("constant", out, known[out]))
    folded = Program([*program.inputs, *made], program.operations, program.results, program.writes)
    return folded.with_operations(kept)


def merge_equal(program: Program) -> Program:
    """Compute equal things once."""
    new: dict[Value, Value] = {}
    seen: dict[Any, tuple[Value, ...]] = {}
    kept = []
    for op in program.operations:
        inputs = tuple(new.get(x, x) if isinstance(x, Value) else x for x in op.inputs)
        if op.draws:
            kept.append(op)
            continue
        where = (id(op.primitive.forward), tuple(_key(x) for x in inputs), tuple(_key(p) for p in op.params))
        same = seen.get(where)
        if same is not None and tuple(o.dtype for o in same) == tuple(o.dtype for o in op.outputs):
            new.update(zip(op.outputs, same, strict=True))
        else:
            seen[where] = op.outputs
            kept.append(Operation(op.primitive, inputs, op.params, op.outputs, op.line))
    return program.with_operations(kept, new)


def _key(x: Any) -> Any:
    if isinstance(x, (Value, Draw, Primitive)):
        return id(x)
    if isinstance(x, np.ndarray):
        return ("array", x.shape, x.dtype.str, x.tobytes())
    if isinstance(x, slice):
        return ("slice", x.start, x.stop, x.step)
    if isinstance(x, (tuple, list)):
        return tuple(_key(p) for p in x)
    if isinstance(x, float):
        return ("float", x.hex())
    try:
        hash(x)
    except TypeError:
        return ("object", id(x))
    return (type(x), x)


def simplify(program: Program) -> Program:
    """Drop operations that return their input: copies, casts to the same type, ``* 1``, ``/ 1``, expansion to the same shape."""
    new: dict[Value, Value] = {}
    ones = {
        i.value
        for i in program.of_kind("constant")
        if i.source.size and i.source.dtype.kind == "f" and (i.source == 1).all()
    }
    kept = []
    for op in program.operations:
        inputs = tuple(new.get(x, x) if isinstance(x, Value) else x for x in op.inputs)
        same = None if len(op.outputs) != 1 else _unchanged(op, inputs, ones)
        if same is not None and same.shape == op.outputs[0].shape and same.dtype == op.outputs[0].dtype:
            new[op.outputs[0]] = same
        else:
            kept.append(Operation(op.primitive, inputs, op.params, op.outputs, op.line))
    return program.with_operations(kept, new)


def _unchanged(op: Operation, inputs: tuple[Any, ...], ones: set[Value]) -> Value | None:
    """Return the input that an operation hands on as it is."""
    name, forward = op.primitive.name, op.primitive.forward
    if not inputs:
        return None
    x = inputs[0]
    if name in ("clone", "alias", "view", "squeeze", "unsqueeze", "detach") or forward in (
        EXPAND.forward, SUM_TO.forward, CAST.forward, IMPLICIT_CAST.forward,
    ):  # fmt: skip
        return x if isinstance(x, Value) else None
    if isinstance(op.primitive, Elementwise) and len(inputs) == 2:
        y = inputs[1]
        primitive = op.primitive  # by identity: floor division is named "div" too
        if (primitive is _mul or primitive is _div) and isinstance(x, Value) and (_is_one(y) or y in ones):
            return x
        if primitive is _mul and isinstance(y, Value) and (_is_one(x) or x in ones):
            return y
        if (primitive is _pow or primitive is _pow_number) and isinstance(x, Value) and _is_one(y):
            return x
    return None


def _is_one(x: Any) -> bool:
    return type(x) in (int, float) and x == 1
