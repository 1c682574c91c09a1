"""Forward mode: tensors carry tangents, one per open level, and primitives move them with their own rules.

A linear primitive is applied to the tangent itself; an elementwise one uses its reverse rules, its Jacobian being
its own transpose; any other transposes its reverse rule by differentiating it once more.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import engine, moves
from .modes import Modes, current, enter, modes_of
from .node import Node, Output, Saved
from .primitive import Primitive, share_memory
from .tensor import TensorBase

__all__ = ["apply_dual", "jvp", "top_level", "without_tangent"]


def top_level(inputs: tuple[Any, ...], modes: Modes) -> int:
    """Return the innermost forward-mode level that any input carries a tangent of, or 0."""
    found = 0
    for x in inputs:
        if isinstance(x, TensorBase) and (x._view is not None or x._tangents is not None):
            for level in (x._tangents if x._view is None else x._fresh_tangents()) or ():
                if level > found and level in modes.levels:
                    found = level
    return found


def without_tangent(x: Any, level: int) -> Any:
    """Return `x` as it is below forward-mode `level`."""
    if not isinstance(x, TensorBase) or x._tangents is None or level not in x._tangents:
        return x
    plain = x._alias()
    rest = {k: v for k, v in x._tangents.items() if k != level}
    plain._tangents = rest or None
    return plain


def apply_dual(primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], level: int) -> Any:
    """Apply `primitive` below one level of forward mode, then move the tangents at that level through its rules."""
    tangents = [x._tangents.get(level) if isinstance(x, TensorBase) and x._tangents else None for x in inputs]
    primals = tuple(without_tangent(x, level) for x in inputs)
    results = primitive.bind(primals, params)
    outs: tuple[TensorBase, ...] = (results,) if primitive.single else results
    if primitive.view and primals[0] is not inputs[0]:  # views of what was given, not of its value without tangents
        for k, out in enumerate(outs):
            share_memory(out, inputs[0], primitive, params if primitive.single else (*params, k), current())
    moved = jvp(primitive, primals, params, outs, tangents)
    for out, tangent in zip(outs, moved, strict=True):
        if tangent is not None and out._data.dtype.kind == "f":
            out._tangents = {**(out._tangents or {}), level: tangent}
    node = outs[0]._node
    if isinstance(node, Output):
        node = node.node  # type: ignore[assignment]
    if isinstance(node, Node) and node.primitive is primitive and node.values is not None:
        _save_tangents(node, inputs, outs)
    return results


def _save_tangents(node: Node, inputs: tuple[Any, ...], outs: tuple[TensorBase, ...]) -> None:
    """Let the node remember its saved values with their tangents, for forward over reverse."""
    assert node.values is not None
    values = list(node.values)

    def dual(value: Any, source: Any) -> Any:
        if value is None or not isinstance(source, TensorBase) or source._tangents is None:
            return value
        data, unpack = (value.data, value.unpack) if isinstance(value, Saved) else (value, None)
        return Saved(data, source._tangents, unpack)

    if node.primitive.arity < 0:
        if values[0] is not None:
            duals = tuple(dual(v, x) for v, x in zip(values[0], inputs, strict=True))
            if any(a is not b for a, b in zip(duals, values[0], strict=True)):
                values[0] = duals
        n = 1
    else:
        n = node.primitive.arity
        for k in range(n):
            values[k] = dual(values[k], inputs[k])
    for k, out in enumerate(outs if node.primitive.outputs else ()):
        values[n + k] = dual(values[n + k], out)
    if any(a is not b for a, b in zip(values, node.values, strict=True)):
        node.values = tuple(values)
        node.versions = (None, 0, *node.versions)  # the mark makes the walk look at the tangents


def jvp(
    primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], outs: tuple[Any, ...], tangents: list[Any]
) -> list[Any]:
    """Return the tangents of the outputs: the sum over the inputs of Jacobian times tangent."""
    total: list[Any] = [None] * len(outs)
    if not primitive.vjps:
        return total
    if primitive.arity < 0:
        zeros = [t if t is not None else x * 0 for x, t in zip(inputs, tangents, strict=True)]
        return [primitive.bind(tuple(zeros), params)]
    values: tuple[Any, ...] = (*inputs, *(outs if primitive.outputs else ()), *params)
    values += tuple(getattr(x, "shape", ()) for x in inputs)
    for i, t in enumerate(tangents):
        if t is None or primitive.vjps[i] is None:
            continue
        if primitive.diagonal:
            terms = [spread(primitive.vjp(i, t, values), outs[0])]
        elif primitive.linear:
            result = primitive.bind((*inputs[:i], t, *inputs[i + 1 :]), params)
            terms = [result] if primitive.single else list(result)
        else:
            terms = _transpose(primitive, i, t, values, outs)
        total = [a if b is None else b if a is None else a + b for a, b in zip(total, terms, strict=True)]
    return total


def spread(tangent: Any, out: Any) -> Any:
    """Return `tangent` in the shape of `out` (a rule may give less where an input was broadcast)."""
    return tangent if tangent.shape == out.shape else moves.EXPAND(tangent, tuple(out.shape))


def _transpose(primitive: Primitive, i: int, t: Any, values: tuple[Any, ...], outs: tuple[Any, ...]) -> list[Any]:
    """Jacobian times `t`, from the reverse rule alone: that rule is linear in g, and its own transpose is this."""
    token = enter(current().with_grad(True))
    try:
        probes = [
            TensorBase._wrap(np.zeros(o._data.shape, o._data.dtype)) if o._data.dtype.kind == "f" else None
            for o in outs
        ]
        for probe in probes:
            if probe is not None:
                probe.requires_grad = True
        pulled = primitive.vjp(i, probes[0] if primitive.single else tuple(probes), values)
        if pulled is None or pulled._node is None:
            return [None] * len(outs)
        wanted = [p for p in probes if p is not None]
        found = iter(engine.backward_pass([(pulled, t)], inputs=wanted, create_graph=True, keep=True))
        return [None if p is None else next(found) for p in probes]
    finally:
        enter(modes_of(token))
