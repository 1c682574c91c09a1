"""The backward walk.

Nodes are taken from a heap by the order in which they were recorded, latest first. Since every node was
recorded after its inputs, a node is met only when all its gradients have arrived; nothing needs counting
beforehand, nothing recurses, and two runs add in the same order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..errors import AnomalyError, GraphError, InPlaceError, ShapeError
from .modes import current, enter, restore, silence
from .node import NOTHING, BaseNode, Hooks, Leaf, Node, Output, Saved
from .tensor import TensorBase, describe

__all__ = ["backward", "backward_pass", "reaching", "seed_for"]

_ndarray = np.ndarray
_alone: list[int] = []  # the references to a gradient at its leaf when nobody else can see it: see measure()

_MANY = 1 << 19  # elements from which a sum pays for a second thread
large_sum: Callable[[Any, Any, bool], Any] | None = None
"""The sum of two large gradients, in the memory of the first where that may be; from a room that knows threads."""


def seed_for(root: TensorBase, gradient: Any, who: str = "backward") -> Any:
    """Check a root and its seed; return the seed as a tensor."""
    if not root.requires_grad:
        raise GraphError(
            f"{who}: the tensor to differentiate (shape {root._data.shape}) does not require grad; nothing it was "
            "computed from has requires_grad=True, or it was computed under no_grad()."
        )
    if gradient is None:
        if root._data.size != 1:
            raise GraphError(
                f"{who}: a tensor of shape {root._data.shape} is not a scalar; give a gradient of that shape, or reduce "
                "it to one element (sum or mean)."
            )
        return TensorBase._wrap(np.ones(root._data.shape, root._data.dtype))
    if not isinstance(gradient, TensorBase):
        raise TypeError(f"{who}: the gradient must be a tensor or None, got {type(gradient).__name__}.")
    if gradient._data.shape != root._data.shape:
        raise ShapeError(f"{who}: a gradient of shape {root._data.shape} is required, got {gradient._data.shape}.")
    return gradient


def backward(
    root: TensorBase,
    gradient: TensorBase | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[TensorBase] | TensorBase | None = None,
) -> None:
    """Walk back from one root, adding to the leaves' ``.grad``."""
    seed = seed_for(root, gradient)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        backward_pass([(root, seed)], None, create_graph, keep)
    else:
        backward_into([(root, seed)], inputs, create_graph, keep)


def backward_into(
    roots: list[tuple[TensorBase, Any]], inputs: Sequence[TensorBase] | TensorBase, create_graph: bool, keep: bool
) -> None:
    """Walk back, adding to the ``.grad`` of `inputs` only."""
    wanted = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    if not wanted:
        raise GraphError("backward: inputs must not be empty; leave it out to reach every leaf.")
    for tensor, found in zip(wanted, backward_pass(roots, wanted, create_graph, keep), strict=True):
        if found is not None:
            leaf = tensor._node if isinstance(tensor._node, Leaf) else Leaf(tensor)  # no leaf: the same, without hooks
            leaf.accumulate(found if create_graph else found._data, False)


def backward_pass(
    roots: Iterable[tuple[TensorBase, Any]],
    inputs: Sequence[TensorBase] | None,
    create_graph: bool,
    keep: bool,
    needed: set[BaseNode] | None = None,
) -> list[TensorBase | None]:
    """Walk back from `roots` (tensor, seed). With `inputs`, return their gradients and touch no ``.grad``.

    `needed` is what :func:`reaching` returned for these roots and inputs: repeated walks find it once.
    """
    modes = current()
    on_tensors = create_graph or modes.recorder is not None or bool(modes.levels)
    walk = _Walk(on_tensors, create_graph, keep, modes.anomaly and modes.check_nan)
    wanted: dict[BaseNode, Any] = {}
    if inputs is not None:
        for tensor in inputs:
            node = tensor._node if tensor._view is None else tensor._fresh_node()
            if node is None:
                raise GraphError("grad: one of the inputs does not require grad.")
            wanted[node] = None
    starts: list[BaseNode] = []
    for root, seed in roots:
        node = root._node if root._view is None else root._fresh_node()
        assert node is not None
        starts.append(node)
        if seed._data.dtype != root._data.dtype and isinstance(seed, TensorBase):
            seed = TensorBase._wrap(seed._data.astype(root._data.dtype)) if not on_tensors else seed
        walk.give(node, seed if on_tensors else seed._data)
    seed = None  # only the walk may hold it, so that a leaf can tell whether to copy
    if inputs is not None:
        walk.wanted = wanted
        walk.needed = _reaching(starts, wanted) if needed is None else needed
    outer = modes
    enter(modes.with_grad(create_graph))
    token = silence()
    try:
        walk.run()
    finally:
        restore(token)
        enter(outer)
    if inputs is None:
        return []
    return [_result(wanted[tensor._node]) for tensor in inputs]  # type: ignore[index]


def _result(gradient: Any) -> TensorBase | None:
    """Return a gradient as the caller gets it: memory that can be written."""
    if type(gradient) is np.ndarray and not gradient.flags.writeable:
        gradient = gradient.copy()
    return _as_tensor(gradient)


def _as_tensor(gradient: Any) -> TensorBase | None:
    if gradient is None or isinstance(gradient, TensorBase):
        return gradient
    return TensorBase._wrap(np.asarray(gradient))


def reaching(roots: Iterable[TensorBase], inputs: Iterable[TensorBase]) -> set[BaseNode]:
    """Return the nodes that a walk from `roots` to `inputs` needs."""
    starts = [t._node if t._view is None else t._fresh_node() for t in roots]
    targets = [t._node if t._view is None else t._fresh_node() for t in inputs]
    return _reaching([n for n in starts if n is not None], {n: None for n in targets if n is not None})


def _reaching(starts: list[BaseNode], targets: dict[BaseNode, Any]) -> set[BaseNode]:
    """Return the nodes from which some target can be reached, targets included."""
    order: list[BaseNode] = []
    seen: set[BaseNode] = set()
    stack = list(starts)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        order.append(node)
        stack.extend(e for e in edges_of(node) if e is not None and e not in seen)
    reaching = set(targets)
    for node in sorted(order, key=lambda n: -n.order):  # inputs first
        if any(e in reaching for e in edges_of(node)):
            reaching.add(node)
    return reaching


def edges_of(node: BaseNode) -> tuple[BaseNode | None, ...]:
    """Return the nodes that a node hands gradients to."""
    return (node.node,) if isinstance(node, Output) else node.edges


class _Walk:
    """One walk: which gradients are waiting at which node."""

    __slots__ = ("anomaly", "create_graph", "heap", "keep", "needed", "on_tensors", "waiting", "wanted")

    def __init__(self, on_tensors: bool, create_graph: bool, keep: bool, anomaly: bool) -> None:
        self.on_tensors = on_tensors
        self.create_graph = create_graph
        self.keep = keep
        self.anomaly = anomaly
        self.heap: list[int] = []
        self.waiting: dict[int, list[Any]] = {}  # order: [node, gradient, whether the gradient is ours alone]
        self.wanted: dict[BaseNode, Any] | None = None
        self.needed: set[BaseNode] | None = None

    def give(self, node: BaseNode, gradient: Any) -> None:
        order = node.order
        entry = self.waiting.get(order)
        if entry is None:
            self.waiting[order] = [node, gradient, False]
            heappush(self.heap, order)
        else:
            present = entry[1]
            if type(present) is not np.ndarray:
                entry[1] = present + gradient
            elif present.size >= _MANY and large_sum is not None:
                entry[1] = large_sum(present, gradient, entry[2])
            elif entry[2]:
                np.add(present, gradient, out=present)
            else:
                entry[1] = present + gradient
            entry[2] = True

    def give_output(self, output: Output, gradient: Any) -> None:
        """Let the gradient of one output wait at its node for the others."""
        node = output.node
        entry = self.waiting.get(node.order)
        if entry is None:
            parts: list[Any] = [None] * len(node.shapes)  # type: ignore[attr-defined]
            self.waiting[node.order] = entry = [node, parts, False]
            heappush(self.heap, node.order)
        parts = entry[1]
        parts[output.index] = gradient if parts[output.index] is None else parts[output.index] + gradient

    def run(self) -> None:
        heap, waiting, keep = self.heap, self.waiting, self.keep
        plain = not (self.on_tensors or self.anomaly)
        needed, wanted = self.needed, self.wanted
        ahead: BaseNode | None = None  # a node that need not wait, as when its operation is one of a chain
        g_ahead: Any = None
        while True:
            if ahead is not None and not (heap and heap[0] < ahead.order):
                node, g = ahead, g_ahead
                ahead = g_ahead = None
            else:
                if ahead is not None:
                    waiting[ahead.order] = [ahead, g_ahead, False]
                    heappush(heap, ahead.order)
                    ahead = g_ahead = None
                if not heap:
                    return
                node, g, _ = waiting.pop(heappop(heap))
            if type(node) is not Node or node.hooks is not None or not plain or (wanted is not None and node in wanted):
                self.visit(node, g)
                continue
            primitive = node.primitive
            values = node.values
            if values is None:
                raise _freed(node)
            versions = node.versions
            if versions:
                if versions[0] is None:
                    self.visit(node, g)
                    continue
                for k in range(0, len(versions), 2):
                    if versions[k][0] != versions[k + 1]:
                        raise _written(node, versions, k)
                if not keep:
                    node.values = None
            if not primitive.single or primitive.arity < 0:
                self.spread(node, g, values)
                continue
            i = -1
            for edge in node.edges:
                i += 1
                if edge is None or (needed is not None and edge not in needed):
                    continue
                rule, at = primitive.calls[i]
                if rule is None:
                    continue
                if at >= 0:
                    part = rule(g, values[at])
                elif at == NOTHING:
                    part = rule(g)
                else:
                    part = rule(g, *primitive.getters[i](values))
                if type(part) is not _ndarray:
                    part = np.asarray(part)  # NumPy's scalars lack what rules may count on
                order = edge.order
                if order in waiting:
                    self.give(edge, part)
                elif ahead is None:
                    ahead, g_ahead = edge, part
                elif ahead is edge:
                    waiting[order] = [edge, g_ahead, False]
                    heappush(heap, order)
                    ahead = g_ahead = None
                    self.give(edge, part)
                else:
                    waiting[order] = [edge, part, False]
                    heappush(heap, order)
                part = None

    def visit(self, node: BaseNode, g: Any) -> None:
        """The general case: hooks, wanted inputs, leaves, outputs, anomalies, tensors."""
        hooks = node.hooks
        replaced = False
        if isinstance(g, list):
            g = self.filled(node, g)
        elif hooks is not None:
            found = self.run_tensor_hooks(hooks, g, isinstance(node, Leaf))
            replaced = found is not g
            g = found
            del found
        if self.wanted is not None and node in self.wanted:
            self.wanted[node] = g
        if isinstance(node, Leaf):
            if hooks is None or self.wanted is not None or not (hooks.before or hooks.after):
                self.finish_leaf(node, g, replaced)
                return
            for before in tuple(hooks.before.values()):
                others = before((_as_tensor(g),))
                if others is not None:
                    g, replaced = self.native(_replaced(others, 1)[0]), True
            shown = _as_tensor(g)
            self.finish_leaf(node, g, True)
            for after in tuple(hooks.after.values()):
                after((), (shown,))
            return
        if isinstance(node, Output):
            if self.needed is None or node.node in self.needed:
                self.give_output(node, g)
            return
        if self.needed is not None and not any(e in self.needed for e in edges_of(node)):
            return
        gs = g if isinstance(g, tuple) else (g,)
        if hooks is not None:
            for before in tuple(hooks.before.values()):
                others = before(tuple(_as_tensor(x) for x in gs))
                if others is not None:
                    gs = tuple(self.native(x) for x in _replaced(others, len(gs)))
        parts = self.parts(node, gs)
        if hooks is not None:
            for after in tuple(hooks.after.values()):
                others = after(tuple(_as_tensor(p) for p in parts), tuple(_as_tensor(x) for x in gs))
                if others is not None:
                    parts = [self.native(p) for p in _replaced(others, len(parts))]
        if self.anomaly:
            self.check(node, parts)
        for edge, part in zip(edges_of(node), parts, strict=True):
            if edge is not None and part is not None and (self.needed is None or edge in self.needed):
                self.give(edge, part)

    def parts(self, node: BaseNode, gs: tuple[Any, ...]) -> list[Any]:
        """Return the gradients that `node` hands on, one for each edge."""
        if not isinstance(node, Node):
            return list(node.run(gs, self))  # type: ignore[attr-defined]
        values = node.values
        if values is None:
            raise _freed(node)
        versions = node.versions
        for k in range(0, len(versions), 2):
            if versions[k] is not None and versions[k][0] != versions[k + 1]:
                raise _written(node, versions, k)
        if not self.keep and versions:
            node.values = None
        values = self.unpacked(node, values)
        g = gs[0] if node.primitive.single else gs
        return [
            None
            if edge is None or (self.needed is not None and edge not in self.needed)
            else node.primitive.vjp(i, g, values)
            for i, edge in enumerate(node.edges)
        ]

    def spread(self, node: Node, g: Any, values: tuple[Any, ...]) -> None:
        if isinstance(g, list):
            g = self.filled(node, g)
        for i, edge in enumerate(node.edges):
            if edge is not None and (self.needed is None or edge in self.needed):
                part = node.primitive.vjp(i, g, values)
                if part is not None:
                    self.give(edge, part)

    def filled(self, node: BaseNode, parts: list[Any]) -> tuple[Any, ...]:
        """Put zeros where an output received no gradient."""
        if not isinstance(node, Node):
            return tuple(parts)
        done = []
        for part, (shape, dtype) in zip(parts, node.shapes, strict=True):
            if part is None and dtype.kind == "f":
                zero = np.zeros(shape, dtype)
                part = TensorBase._wrap(zero) if self.on_tensors else zero
            done.append(part)
        return tuple(done)

    def unpacked(self, node: Node, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the saved values as this walk needs them: arrays, or tensors with their place in the graph."""
        primitive = node.primitive
        n = 1 if primitive.arity < 0 else primitive.arity
        done = list(values)
        slots = n + len(primitive.outputs)
        # A write after this walk must be noticed by the next: what is revived keeps the counter it was saved with.
        counters = list(node.versions[::2])
        if primitive.arity < 0 or len(counters) != sum(v is not None for v in values[:slots]):
            counters = []
        for k in range(slots):
            value = values[k]
            if k < n:
                source: BaseNode | None = None if primitive.arity < 0 else node.edges[k]
            else:
                source = node
            if isinstance(value, tuple) and primitive.arity < 0:
                done[k] = tuple(self.revive(v, e, 0, primitive) for v, e in zip(value, node.edges, strict=True))
            else:
                counter = counters.pop(0) if counters and value is not None else None
                done[k] = self.revive(value, source, k - n, primitive, counter)
        return tuple(done)

    def revive(
        self, value: Any, source: BaseNode | None, index: int, primitive: Any, counter: list[int] | None = None
    ) -> Any:
        tangents = None
        if isinstance(value, Saved):
            tangents = value.tangents
            value = value.unpack(value.data) if value.unpack is not None else value.data
            if isinstance(value, TensorBase):
                value = value._data
        if not self.on_tensors or not isinstance(value, np.ndarray):
            return value
        tensor = TensorBase._wrap(value)
        if counter is not None:
            tensor._version_list = counter
        if isinstance(source, Node) and not primitive.single and source.primitive is primitive and index >= 0:
            tensor._node = Output(source, index) if value.dtype.kind == "f" else None
        elif value.dtype.kind == "f":
            if type(source) is Node and source.primitive is moves.SPREAD and source.values[2] != value.shape:  # type: ignore[index]
                source = source.edges[0]  # what was saved is the value before its implicit broadcast
            tensor._node = source
        tensor._tangents = tangents
        return tensor

    def run_tensor_hooks(self, hooks: Hooks, g: Any, leaf: bool) -> Any:
        for hook in tuple(hooks.tensor.values()):
            shown = _as_tensor(g)
            replaced = hook(shown)
            if replaced is not None:
                _check_replacement(hook, shown, replaced)
                g = self.native(replaced)
        if not leaf:
            for ref in hooks.retain:
                tensor = ref()
                if tensor is not None:
                    found = _as_tensor(g if self.on_tensors else np.array(g))
                    tensor._grad = found if tensor._grad is None else tensor._grad + found  # type: ignore[operator]
        return g

    def native(self, value: Any) -> Any:
        if isinstance(value, TensorBase) and not self.on_tensors:
            return value._data
        return value

    def finish_leaf(self, leaf: Leaf, g: Any, replaced: bool) -> None:
        if self.wanted is None and g is not None:
            if self.on_tensors:
                recorder = current().recorder
                if recorder is not None:
                    recorder.gradient(leaf.variable)
                    if not self.create_graph:  # its own memory, as in an ordinary walk
                        own = TensorBase._wrap(g._data.copy())
                        recorder.copied(g._data, own._data)
                        g = own
                leaf.accumulate(g if self.create_graph or recorder is not None else g.detach(), False)
            else:
                count = sys.getrefcount(g)
                if not _alone:
                    _alone.append(count)
                leaf.accumulate(g, count <= _alone[0] and not replaced)  # what a hook returns has one holder less

    def check(self, node: BaseNode, parts: Sequence[Any]) -> None:
        for part in parts:
            if part is None:
                continue
            data = part._data if isinstance(part, TensorBase) else np.asarray(part)
            if data.dtype.kind == "f" and not np.isfinite(data).all():
                what = "a NaN" if np.isnan(data).any() else "an infinity"
                raise AnomalyError(f"{describe(node)}: its backward gave {what}.")


def _check_replacement(hook: Any, given: Any, replaced: Any) -> None:
    who = getattr(hook, "__name__", type(hook).__name__)
    if not isinstance(replaced, TensorBase):
        raise TypeError(f"hook {who}: a tensor or None must be returned, got {type(replaced).__name__}.")
    if given is not None and (replaced._data.shape, replaced._data.dtype) != (given._data.shape, given._data.dtype):
        raise GraphError(
            f"hook {who}: a gradient of shape {given._data.shape} and {given.dtype} must be returned, got "
            f"{replaced._data.shape} and {replaced.dtype}."
        )


def _replaced(value: Any, n: int) -> tuple[Any, ...]:
    """Return what a hook of a node gave in place of `n` gradients."""
    if not isinstance(value, tuple):
        raise TypeError(f"hook of a node: a tuple or None must be returned, got {type(value).__name__}.")
    if len(value) != n:
        raise GraphError(f"hook of a node: {n} gradients must be returned, got {len(value)}.")
    return value


def _freed(node: BaseNode) -> GraphError:
    return GraphError(
        f"{describe(node)}: a second backward through this node, whose saved tensors the first one freed; "
        "give retain_graph=True to the first."
    )


def _written(node: Node, versions: tuple[Any, ...], k: int) -> InPlaceError:
    counter, saved_at = versions[k], versions[k + 1]
    who = f" The write: {counter[1]}." if len(counter) > 1 else " detect_anomaly() would name the line that wrote it."
    return InPlaceError(
        f"{describe(node)}: a tensor that it saved was written in place since (version {counter[0]}, saved at "
        f"{saved_at}).{who}"
    )


from . import moves  # noqa: E402  (the graph's own primitives are written with tensors)


def measure() -> None:
    """Walk once with a gradient that is certainly nobody else's; how Python counts differs between its versions."""
    leaf = TensorBase._wrap(np.zeros(1, np.float32))
    leaf.requires_grad = True
    backward(moves.CAST(leaf, np.dtype(np.float64), leaf._data.dtype))
