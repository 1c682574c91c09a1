"""The graph: one node per recorded operation, holding what its derivative needs and nothing else.

Nodes point from results to inputs. Tensors point at nodes and never the other way, so a graph is freed by
reference counting as soon as its last tensor is gone.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphError

if TYPE_CHECKING:
    from .primitive import Primitive
    from .tensor import TensorBase

__all__ = ["BaseNode", "Handle", "Hooks", "Leaf", "Node", "Output", "Saved", "visible"]

NOTHING, SEVERAL = -1, -2  # what a rule takes besides the gradient, where it is not one value
_recorded = itertools.count(-1, -1)  # later nodes sort first
_leaves = itertools.count(1)  # leaves sort after every node
next_order = _recorded.__next__


class Handle:
    """What registering a hook returns; :meth:`remove` takes the hook away again."""

    __slots__ = ("_key", "_table")
    _keys = itertools.count()

    def __init__(self, table: dict[int, Any], hook: Any) -> None:
        self._table = table
        self._key = next(Handle._keys)
        table[self._key] = hook

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._table.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class Hooks:
    """The hooks of one node, each table in order of registration."""

    __slots__ = ("after", "before", "post_accumulate", "retain", "tensor")

    def __init__(self) -> None:
        self.tensor: dict[int, Callable[[Any], Any]] = {}  # see (and may replace) the summed gradient
        self.before: dict[int, Callable[[tuple[Any, ...]], Any]] = {}
        self.after: dict[int, Callable[[tuple[Any, ...], tuple[Any, ...]], Any]] = {}
        self.retain: list[weakref.ref[TensorBase]] = []
        self.post_accumulate: dict[int, Callable[[Any], Any]] = {}


class Saved:
    """A saved value that is more than an array: it carries tangents, or went through a packing hook."""

    __slots__ = ("data", "tangents", "unpack")

    def __init__(self, data: Any, tangents: dict[int, TensorBase] | None, unpack: Callable[[Any], Any] | None) -> None:
        self.data = data
        self.tangents = tangents
        self.unpack = unpack


class BaseNode:
    """What every node of a graph offers to its user."""

    __slots__ = ("__weakref__", "hooks", "order")
    order: int
    hooks: Hooks | None
    edges: tuple[BaseNode | None, ...] = ()

    def name(self) -> str:
        """Return the name, such as ``MulBackward0``."""
        raise NotImplementedError

    @property
    def next_functions(self) -> tuple[tuple[BaseNode | None, int], ...]:
        """The nodes of the inputs, with the output of each that was used; None where no gradient is needed."""
        return ()

    def _hooks(self) -> Hooks:
        if self.hooks is None:
            self.hooks = Hooks()
        return self.hooks

    def register_hook(self, hook: Callable[[tuple[Any, ...], tuple[Any, ...]], Any]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node; a result replaces the first."""
        return Handle(self._hooks().after, hook)

    def register_prehook(self, hook: Callable[[tuple[Any, ...]], Any]) -> Handle:
        """Call ``hook(grad_outputs)`` before this node; a result replaces them."""
        return Handle(self._hooks().before, hook)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class Node(BaseNode):
    """A recorded operation.

    `values` holds the inputs, the outputs and the settings in the order of the primitive's declaration, with
    None where its derivative does not need them; `versions` pairs each saved array's counter with its value.
    """

    shapes: tuple[tuple[tuple[int, ...], Any], ...]
    origin: str
    __slots__ = ("edges", "origin", "primitive", "shapes", "values", "versions")
    edges: tuple[BaseNode | None, ...]

    def __init__(
        self,
        primitive: Primitive,
        edges: tuple[BaseNode | None, ...],
        values: tuple[Any, ...] | None,
        versions: tuple[Any, ...] = (),
    ) -> None:
        self.order: int = next_order()
        self.hooks: Hooks | None = None
        self.primitive = primitive
        self.edges = edges
        self.values = values
        self.versions = versions
        # Set only where there is something to say: `shapes` (the outputs' shape and dtype, for primitives with
        # several) and `origin` (the user's line, under detect_anomaly).

    def name(self) -> str:
        """Return the name, such as ``MulBackward0``."""
        return self.primitive.backward_name()

    @property
    def next_functions(self) -> tuple[tuple[BaseNode | None, int], ...]:
        """The nodes of the inputs, with the output of each that was used; None where no gradient is needed."""
        return tuple(visible(edge) for edge in self.edges)

    @property
    def saves_tensors(self) -> bool:
        """Whether walking this node twice needs ``retain_graph``."""
        return bool(self.versions)


def visible(edge: BaseNode | None) -> tuple[BaseNode | None, int]:
    """Return the node of an edge as the user sees it, past casts and broadcasts, and which output of it is meant."""
    while isinstance(edge, Node) and edge.primitive.implicit:
        edge = edge.edges[0]
    if isinstance(edge, Output):
        return edge.node, edge.index
    return edge, 0


class Output(BaseNode):
    """One output of a node that has several; its gradient waits at the node for the others."""

    __slots__ = ("index", "node")

    def __init__(self, node: BaseNode, index: int) -> None:
        self.order: int = next_order()
        self.hooks: Hooks | None = None
        self.node = node
        self.index = index

    def name(self) -> str:
        """Return the name of the node."""
        return self.node.name()

    @property
    def next_functions(self) -> tuple[tuple[BaseNode | None, int], ...]:
        """The node's own."""
        return self.node.next_functions


_accumulating = threading.Lock()


class Leaf(BaseNode):
    """Where a gradient ends: adds it to the ``.grad`` of a tensor that the user made."""

    __slots__ = ("_kept", "_tensor")

    def __init__(self, tensor: TensorBase) -> None:
        self.order: int = next(_leaves)
        self.hooks: Hooks | None = None
        self._tensor = weakref.ref(tensor)
        self._kept: TensorBase | None = None  # while it has hooks that must be shown the tensor

    def name(self) -> str:
        """Return ``AccumulateGrad``, PyTorch's name."""
        return "AccumulateGrad"

    @property
    def variable(self) -> TensorBase | None:
        """The tensor, if it is still alive."""
        return self._tensor()

    def keep(self, tensor: TensorBase) -> None:
        """Keep the tensor alive as long as this leaf (a hook needs it)."""
        self._kept = tensor

    def accumulate(self, gradient: Any, own: bool) -> None:
        """Add a gradient (an array, or a tensor under ``create_graph``); take it over if `own`."""
        tensor = self._tensor()
        if tensor is None or tensor._node is None:  # gone, or no longer asking for a gradient
            return
        with _accumulating:
            _accumulate(tensor, gradient, own)
        hooks = self.hooks
        if hooks is not None and hooks.post_accumulate:
            for hook in tuple(hooks.post_accumulate.values()):
                if hook(tensor) is not None:
                    raise GraphError(
                        "backward: a post-accumulate hook must return None; write to the tensor's .grad instead."
                    )


def _references(view: Any) -> int:
    """Return how many references Python counts to the memory that an array is a view of."""
    base = view.base
    return sys.getrefcount(base)


_ONLY = _references(np.zeros(2)[:])  # how Python counts differs between its versions


def _unshared(gradient: Any, strides: tuple[int, ...]) -> bool:
    """Tell whether an array that nobody else holds, laid out as a leaf should be, is all of its memory's use.

    NumPy lets every view refer to the array that owns the memory, so references to that count the views.
    """
    flags = gradient.flags
    if not (flags.c_contiguous or gradient.strides == strides) or not flags.writeable:
        return False
    if flags.owndata:
        return True
    base = gradient.base
    if type(base) is not np.ndarray or not base.flags.owndata or base.nbytes != gradient.nbytes:
        return False
    del base
    return _references(gradient) <= _ONLY


def _accumulate(tensor: TensorBase, gradient: Any, own: bool) -> None:
    present = tensor._grad
    if type(gradient) is not np.ndarray and not isinstance(gradient, np.generic):
        tensor._grad = gradient if present is None else present + gradient  # type: ignore[operator]
    elif present is None:
        if not own or type(gradient) is not np.ndarray or not _unshared(gradient, tensor._data.strides):
            gradient = np.array(gradient, order="C")
        tensor._grad = tensor._make(gradient)
    elif present._node is None and present._data.flags.writeable:
        data = present._data
        np.add(data, gradient, out=data)
        if present._version_list is not None:
            present._version_list[0] += 1
    else:
        tensor._grad = tensor._make(np.asarray(present._data + gradient))
