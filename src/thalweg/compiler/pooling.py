"""What comes before a pooling moves behind it, where there are fewer elements; nothing else changes, NaN and infinity included.

The largest element of max(x, 0) is the larger of 0 and the largest element of x, and a gradient that is masked and
then put back to its place is the gradient put back and then masked. A convolution and the pooling of its result then
become one operation, and so do putting a gradient back and the convolution that reads it: in between lie the largest
arrays of a network, which need not exist.
"""

from __future__ import annotations

import numpy as np

from ..core.moves import CAST, IMPLICIT_CAST
from ..core.primitive import Primitive
from ..ops import _pool_arrays as arrays
from .program import Operation, Program, Value

__all__ = ["pools_in_convolutions", "relu_in_pools", "sums_before_pools"]

_POOLS = ("max_pool2d", "max_pool3d")
_ENOUGH = 1 << 17  # elements that are worth not writing

_CONV_POOL = Primitive(
    "convolution_max_pool",
    lambda x, w, out_sizes, settings, plan, floor: arrays.conv_largest(x, w, None, out_sizes, settings, plan, floor),
    arity=2,
    outputs=("out", "which"),
)
_CONV_BIAS_POOL = Primitive("convolution_max_pool", arrays.conv_largest, arity=3, outputs=("out", "which"))
_INPUT_PUT = Primitive("convolution_input_pool_put", arrays.input_put, arity=3)
_WEIGHT_PUT = Primitive("convolution_weight_pool_put", arrays.weight_put, arity=3)
_PUT_THEN = {"convolution_input": _INPUT_PUT, "convolution_weight": _WEIGHT_PUT}


def _users(program: Program) -> dict[Value, list[Operation]]:
    found: dict[Value, list[Operation]] = {v: [] for op in program.operations for v in op.outputs}
    for op in program.operations:
        for x in op.inputs:
            if isinstance(x, Value) and op not in found.setdefault(x, []):
                found[x].append(op)
    return found


def relu_in_pools(program: Program) -> Program:
    """Let poolings compute the maximum with 0 of what they read, and mask gradients before they are put back."""
    users, wanted = _users(program), program.wanted()
    makers = {v: op for op in program.operations for v in op.outputs}
    new: dict[Operation, list[Operation]] = {}
    for op in program.operations:
        if op.primitive.name != "relu" or op.outputs[0] in wanted:
            continue
        pools = [u for u in users[op.outputs[0]] if u.primitive.name in _POOLS and len(u.params) == 1]
        masks = [u for u in users[op.outputs[0]] if u not in pools]
        if len(pools) != 1:
            continue
        pool = pools[0]
        chains = _masked(masks, op.outputs[0], pool.outputs[1], users, makers, wanted)
        if chains is None:
            continue
        new[op] = []
        new[pool] = [Operation(pool.primitive, op.inputs, (*pool.params, 0.0), pool.outputs, pool.line)]
        for mask, cast, put, product in chains:
            new[mask] = new[cast] = new[put] = []
            new[product] = _mask_first(pool.outputs[0], mask, cast, put, product)
    if not new:
        return program
    return program.with_operations(o for op in program.operations for o in new.get(op, [op]))


def _masked(
    masks: list[Operation], x: Value, which: Value, users: dict[Value, list[Operation]],
    makers: dict[Value, Operation], wanted: set[Value],
) -> list[tuple[Operation, Operation, Operation, Operation]] | None:  # fmt: skip
    """Return the operations of each gradient: ``x > 0``, as numbers, put back, times; None if there are others."""
    found = []
    for mask in masks:
        if mask.primitive.name != "gt" or mask.inputs != (x, 0) or mask.outputs[0] in wanted:
            return None
        for cast in users[mask.outputs[0]]:
            if cast.primitive.forward not in (CAST.forward, IMPLICIT_CAST.forward) or cast.outputs[0] in wanted:
                return None
            for product in users[cast.outputs[0]]:
                others = [v for v in product.inputs if v is not cast.outputs[0]]
                put = makers.get(others[0]) if len(others) == 1 and isinstance(others[0], Value) else None
                if product.primitive.name != "mul" or put is None or put.primitive.name != "pool_put":
                    return None
                lone = users[put.outputs[0]] == [product] and put.outputs[0] not in wanted
                if not lone or put.inputs[1] is not which or put.outputs[0].dtype != product.outputs[0].dtype:
                    return None
                found.append((mask, cast, put, product))
    return found


def _mask_first(pooled: Value, mask: Operation, cast: Operation, put: Operation, product: Operation) -> list[Operation]:
    name = product.outputs[0].name
    above = Value(f"{name}_1", pooled.shape, mask.outputs[0].dtype)
    number = Value(f"{name}_2", pooled.shape, cast.outputs[0].dtype)
    masked = Value(f"{name}_3", pooled.shape, product.outputs[0].dtype)
    return [
        Operation(mask.primitive, (pooled, 0), mask.params, (above,), mask.line),
        Operation(cast.primitive, (above,), cast.params, (number,), cast.line),
        Operation(product.primitive, (put.inputs[0], number), product.params, (masked,), product.line),
        Operation(put.primitive, (masked, *put.inputs[1:]), put.params, product.outputs, put.line),
    ]


def sums_before_pools(program: Program) -> Program:
    """Sum gradients before they are put back to their places among zeros."""
    makers = {v: op for op in program.operations for v in op.outputs}
    kept = []
    for op in program.operations:
        x = op.inputs[0] if op.primitive.name == "sum" else None
        put = makers.get(x) if isinstance(x, Value) else None
        if put is None or put.primitive.name != "pool_put":
            kept.append(op)
            continue
        if set(range(2, len(put.outputs[0].shape))) <= set(op.params[0]):
            op = Operation(op.primitive, put.inputs[:1], op.params, op.outputs, op.line)
        kept.append(op)
    return program.with_operations(kept)


def pools_in_convolutions(program: Program) -> Program:
    """Join convolutions with the max poolings of their results, and gradients put back with what reads them."""
    users, wanted = _users(program), program.wanted()
    new: dict[Operation, list[Operation]] = {}
    for op in program.operations:
        lone = users[op.outputs[0]] if op.outputs[0] not in wanted and _large(op.outputs[0]) else []
        if op.primitive.name == "convolution" and [u.primitive.name in _POOLS for u in lone] == [True]:
            pool = lone[0]
            joined = _CONV_POOL if len(op.inputs) == 2 else _CONV_BIAS_POOL
            floor = pool.params[1] if len(pool.params) > 1 else -np.inf
            params = (*op.params, pool.params[0], floor)
            new[op], new[pool] = [], [Operation(joined, op.inputs, params, pool.outputs, op.line)]
        elif op.primitive.name == "pool_put" and lone and all(_reads(u, op.outputs[0]) for u in lone):
            new[op] = []
            for user in lone:
                inputs, params = (*op.inputs, user.inputs[1]), (*op.params, *user.params)
                new[user] = [Operation(_PUT_THEN[user.primitive.name], inputs, params, user.outputs, user.line)]
    if not new:
        return program
    return program.with_operations(o for op in program.operations for o in new.get(op, [op]))


def _large(value: Value) -> bool:
    return value.size >= _ENOUGH and value.shape[:1] >= (16,) and value.dtype in (np.float32, np.float64)


def _reads(op: Operation, g: Value) -> bool:
    return op.primitive.name in _PUT_THEN and op.inputs[0] is g and op.inputs[1] is not g
