"""Fusion: which operations share one loop.

Elementwise operations over one shape, and reductions of that shape, join a group; a group becomes one loop nest
that reads each operand once and writes only what is needed outside. An operation joins the latest group of its
shape unless a path through another group leads from that group to it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..core.moves import CAST, EXPAND, IMPLICIT_CAST, SUM_TO
from ..ops._elementwise import Elementwise
from .program import Operation, Program, Value
from .scalars import NoKernel, expression

__all__ = ["REDUCTIONS", "VIEWS", "Node", "group", "needed_by", "reduced_axes"]

VIEWS = {"view", "permute", "transpose", "t", "unsqueeze", "squeeze", "slice", "select", "alias", "diagonal", "movedim"}
REDUCTIONS = {"sum", "mean", "amax", "amin", "sum_to"}
_MOST = 14  # arrays in one loop


class Node:
    """Operations that run together: a fused group, a single operation, or a view."""

    __slots__ = ("after", "index", "kind", "operations", "shape", "values")

    def __init__(self, kind: str, index: int, shape: tuple[int, ...]) -> None:
        self.kind = kind  # "loop" | "product" | "view" | "other"
        self.index = index
        self.shape = shape
        self.operations: list[Operation] = []
        self.after: set[Node] = set()
        self.values: set[Value] = set()  # made or read

    def comes_after(self, other: Node) -> bool:
        """Return whether a path of dependencies leads from `other` to this."""
        seen = {self}
        stack = [self]
        while stack:
            node = stack.pop()
            if node is other:
                return True
            fresh = node.after - seen
            seen |= fresh
            stack.extend(fresh)
        return False


def is_view(op: Operation) -> bool:
    """Return whether an operation only looks at memory differently (if its layout permits)."""
    return len(op.outputs) == 1 and (op.primitive.name in VIEWS or op.primitive.forward is EXPAND.forward)


def reduced_axes(op: Operation) -> tuple[int, ...]:
    """Return the axes that a reduction sums over."""
    x = op.inputs[0]
    if op.primitive.forward is SUM_TO.forward:
        shape = op.params[0]
        extra = len(x.shape) - len(shape)
        return tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1)
    return tuple(op.params[0])


def is_reduction(op: Operation) -> bool:
    """Return whether a loop can do this reduction."""
    if op.primitive.name not in REDUCTIONS or len(op.inputs) != 1 or not isinstance(op.inputs[0], Value):
        return False
    x, out = op.inputs[0], op.outputs[0]
    return x.dtype.kind == "f" and x.dtype == out.dtype and x.size > 0


def is_loop(op: Operation) -> bool:
    """Return whether a loop can do this elementwise operation."""
    if op.primitive.forward in (CAST.forward, IMPLICIT_CAST.forward):
        return True
    if not isinstance(op.primitive, Elementwise):
        return False
    try:
        expression(op)
    except NoKernel:
        return False
    return True


def kind_of(op: Operation) -> str:
    """Return what runs an operation."""
    if op.draws or any(x.size == 0 for x in (*op.inputs, *op.outputs) if isinstance(x, Value)):
        return "other"  # loops over nothing have no element to read ahead
    if is_view(op):
        return "view"
    if is_reduction(op) or is_loop(op):
        return "loop"
    if op.primitive.name in ("mm", "bmm", "mv", "dot") and op.outputs[0].dtype.kind == "f" and op.outputs[0].size:
        return "product"
    return "other"


def group(program: Program, alone: Collection[Value] = (), refused: Collection[Value] = ()) -> list[Node]:
    """Return the nodes of a program, in the order in which they were begun.

    The values `alone` have loops of their own, and no loop makes the values `refused`.
    """
    nodes: list[Node] = []
    maker: dict[Value, Node] = {}
    inside: dict[Value, Node] = {}  # values that are elements of their group's own loop
    loops: dict[tuple[int, ...], list[Node]] = {}
    drawn: set[Node] = set()  # the latest draw

    def root(value: Value) -> Node | None:
        return maker.get(value)

    for op in program.operations:
        kind = "other" if op.outputs[0] in refused else kind_of(op)
        values = [x for x in op.inputs if isinstance(x, Value)]
        before = {n for n in (root(x) for x in values) if n is not None}
        node: Node | None = None
        reduces = kind == "loop" and is_reduction(op)
        shape: tuple[int, ...] = ()
        if kind == "loop":
            shape = op.inputs[0].shape if reduces else op.outputs[0].shape
            for candidate in [] if op.outputs[0] in alone else reversed(loops.get(shape, [])):
                if _joins(candidate, values, before, inside):
                    node = candidate
                    break
        if node is None:
            node = Node(kind, len(nodes), shape)
            nodes.append(node)
            if kind == "loop" and op.outputs[0] not in alone:
                loops.setdefault(shape, []).append(node)
        if op.draws:  # draws count, so each comes after the one before it
            node.after |= drawn
            drawn = {node}
        node.operations.append(op)
        node.after |= before - {node}
        node.values.update(values)
        node.values.update(op.outputs)
        for out in op.outputs:
            maker[out] = node
            if kind == "loop" and not reduces:
                inside[out] = node
    return nodes


def _joins(node: Node, values: list[Value], before: set[Node], inside: dict[Value, Node]) -> bool:
    if len(node.values | set(values)) > 40 or sum(1 for v in node.values if v not in inside) > _MOST:
        return False
    for value in values:
        # An operand made in the group must be an element of its loop, not a total or a view of one.
        if value in node.values and inside.get(value) is not node and _made_in(node, value):
            return False
    return all(n is node or not n.comes_after(node) for n in before)


def _made_in(node: Node, value: Value) -> bool:
    return any(value in op.outputs for op in node.operations)


def needed_by(some: set[Node]) -> set[Node]:
    """Return the nodes that come before one of these."""
    found: set[Node] = set()
    waiting = list(some)
    while waiting:
        fresh = waiting.pop().after - found
        found |= fresh
        waiting.extend(fresh)
    return found


def outside_use(nodes: list[Node], program: Program) -> set[Value]:
    """Return the values that a node other than their own needs, or that the program leaves."""
    needed: set[Value] = set(program.wanted())
    maker: dict[Value, Any] = {out: n for n in nodes for op in n.operations for out in op.outputs}
    for node in nodes:
        for op in node.operations:
            for x in op.inputs:
                if isinstance(x, Value) and maker.get(x) is not node:
                    needed.add(x)
    return needed
