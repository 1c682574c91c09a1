"""The tensor: an array, the node that made it, and what makes gradients safe under writes in place.

`TensorBase` knows no operation. The public ``Tensor`` adds them as methods and registers itself here, so that
results of primitives are of that class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, GraphError, InPlaceError, ShapeError
from . import dtype as _dtype
from .modes import DEFAULT, current, enter
from .node import BaseNode, Handle, Leaf, Output

if TYPE_CHECKING:
    from typing import Self

    from .primitive import Primitive

__all__ = ["Size", "TensorBase", "View", "describe", "replay"]

_new = object.__new__


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple that prints as ``thalweg.Size([2, 3])``."""

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements."""
        n = 1
        for k in self:
            n *= k
        return n

    def __repr__(self) -> str:
        return f"thalweg.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size((*self, *other))


class View:
    """How a tensor was cut out of another's memory: the base, the steps from it, and when its node and tangents were made.

    `seen` and `felt` are the version of the memory that the node and the tangents belong to.
    """

    __slots__ = ("base", "felt", "kind", "parent", "seen", "step")

    def __init__(
        self,
        base: TensorBase,
        parent: View | None,
        step: tuple[Primitive, tuple[Any, ...]],
        kind: str,
        counter: list[int] | None,
    ) -> None:
        self.base = base
        self.parent = parent  # the view that this one was cut out of, if not the base itself
        self.step = step
        # "" | "no_grad" | "output" (one of several) | "function" (a custom one's): all but the first refuse writes
        self.kind = kind
        self.seen = self.felt = counter[0] if counter is not None else 0

    @property
    def steps(self) -> tuple[tuple[Primitive, tuple[Any, ...]], ...]:
        """The steps from the base to this view."""
        found = []
        view: View | None = self
        while view is not None:
            found.append(view.step)
            view = view.parent
        return tuple(found[::-1])


def replay(steps: tuple[tuple[Primitive, tuple[Any, ...]], ...], base: Any) -> Any:
    """Cut out of `base` what the steps of a view cut out of its own."""
    for primitive, params in steps:
        if primitive.single:
            base = primitive(base, *params)
        else:
            base = primitive(base, *params[:-1])[params[-1]]
    return base


class TensorBase:
    """An array with a history. See ``thalweg.Tensor``."""

    __slots__ = ("__weakref__", "_data", "_grad", "_node", "_tangents", "_version_list", "_view")
    __array_priority__ = 1000
    _class: type[TensorBase]

    _data: np.ndarray[Any, Any]
    _node: BaseNode | None
    _version_list: list[int] | None
    _view: View | None
    _grad: TensorBase | None
    _tangents: dict[int, TensorBase] | None

    @staticmethod
    def _wrap(data: np.ndarray[Any, Any]) -> TensorBase:
        """Return a fresh tensor over `data`, without history. Every result of an operation starts here."""
        t = _new(TensorBase._class)
        t._data = data
        t._node = None
        t._version_list = [0]
        t._view = None
        t._grad = None
        t._tangents = None
        return t

    _make = _wrap

    def _alias(self) -> Self:
        """Return another object for the same value: same memory, counter and history; no gradient of its own."""
        t = self._shell()
        t._node = self._node if self._view is None else self._fresh_node()
        t._tangents = self._tangents if self._view is None else self._fresh_tangents()
        return t

    def _shell(self) -> Self:
        """Return another object over the same memory and counter, without history."""
        t = self._wrap(self._data)
        t._version_list = self._version_list
        return t  # type: ignore[return-value]

    # What it is

    @property
    def shape(self) -> Size:
        """The shape."""
        return Size(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def dtype(self) -> _dtype.dtype:
        """The element type."""
        return _dtype.of_array(self._data)

    def numel(self) -> int:
        """Return the number of elements."""
        return self._data.size

    # Its place in the graph

    def _fresh_node(self) -> BaseNode | None:
        """Return the node of a view, made anew if its base has been written since."""
        view = self._view
        counter = self._version_list
        if view is None or counter is None or view.seen == counter[0]:
            return self._node
        base = view.base
        if base._node is None or view.kind == "function":
            pass
        elif not view.kind:
            token = current()
            enter(DEFAULT)
            try:
                old, self._node = self._node, replay(view.steps, base._alias())._node
            finally:
                enter(token)
            self._keep_retaining(old)
        else:
            raise InPlaceError(
                f"{view.steps[-1][0].name}: this view was made "
                + ("under no_grad()" if view.kind == "no_grad" else "together with others")
                + ", and its base has been written in place since, so its place in the graph is unknown; make it again, or "
                "write out of place."
            )
        view.seen = counter[0]
        return self._node

    def _keep_retaining(self, old: BaseNode | None) -> None:
        """Let the gradient kept be that of the present value, whose node is not `old` any more."""
        hooks = None if old is None else old.hooks
        node = self._node
        if hooks is not None and node is not None and node is not old:
            kept = [ref for ref in hooks.retain if ref() is self]
            if kept:
                hooks.retain = [ref for ref in hooks.retain if ref() is not self]
                node._hooks().retain.extend(kept)

    def _fresh_tangents(self) -> dict[int, TensorBase] | None:
        """Return the tangents of a view, cut out of the base's anew if the memory has been written since."""
        view = self._view
        counter = self._version_list
        if view is not None and counter is not None and view.felt != counter[0]:
            view.felt = counter[0]
            moved = view.base._tangents or {}
            self._tangents = {level: replay(view.steps, tangent) for level, tangent in moved.items()} or None
        return self._tangents

    @property
    def grad_fn(self) -> BaseNode | None:
        """The node that made this tensor; None for leaves."""
        node = self._node if self._view is None else self._fresh_node()
        if node is None or isinstance(node, Leaf):
            return None
        return node.node if isinstance(node, Output) else node

    @property
    def is_leaf(self) -> bool:
        """Whether gradients end here: made by the user, or not requiring any."""
        node = self._node if self._view is None else self._fresh_node()
        return node is None or isinstance(node, Leaf)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for it."""
        view = self._view
        if self._node is not None or view is None:
            return self._node is not None
        if view.kind:  # stale, it is of no use in a graph, and says so there
            return self._version_list is not None and view.seen != self._version_list[0] and view.base.requires_grad
        return self._fresh_node() is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Say whether gradients are to be computed for this leaf; return it."""
        if not self.is_leaf:
            if not requires_grad:
                raise GraphError(
                    "requires_grad: only a leaf can stop requiring grad, and this tensor is a result "
                    f"({self.grad_fn!r}); use detach()."
                )
        elif not requires_grad:
            self._node = None
        elif self._node is None:
            if self._data.dtype.kind != "f":
                raise GraphError(f"requires_grad: a floating-point tensor is required, got {self.dtype}.")
            if self._version_list is None and not current().inference:
                raise GraphError("requires_grad: not possible on an inference tensor outside inference_mode().")
            self._node = Leaf(self)
        return self

    @property
    def grad(self) -> Self | None:
        """The accumulated gradient, or None."""
        node = self._node
        if self._grad is None and node is not None and not isinstance(node, Leaf) and not self.retains_grad:
            warnings.warn(
                f"grad: this tensor is no leaf ({node!r}), so backward() does not fill its .grad; "
                "call retain_grad() on it before, or read .grad of a leaf.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad  # type: ignore[return-value]

    @grad.setter
    def grad(self, value: Self | None) -> None:
        if value is not None:
            if not isinstance(value, TensorBase):
                raise DTypeError(f"grad: a tensor or None is required, got {type(value).__name__}.")
            if value is self:
                raise GraphError("grad: a tensor cannot be its own gradient.")
            if value._data.dtype != self._data.dtype:
                raise GraphError(f"grad: dtype {self.dtype} is required, as the tensor's own, got {value.dtype}.")
            if value._data.shape != self._data.shape:
                raise ShapeError(f"grad: shape {self._data.shape} is required, got {value._data.shape}.")
        recorder = current().recorder
        if recorder is not None:
            recorder.cleared(self)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def retains_grad(self) -> bool:
        """Whether this result keeps its gradient."""
        if self._view is not None and not self._view.kind:  # other views have no place in the graph after a write
            self._fresh_node()
        return self._was_retaining()

    def _was_retaining(self) -> bool:
        """Return whether it kept its gradient at its last node, which a write may have made out of date."""
        node = self._node
        if node is None or isinstance(node, Leaf) or node.hooks is None:
            return False
        return any(ref() is self for ref in node.hooks.retain)

    def retain_grad(self) -> None:
        """Let backward() fill the ``.grad`` of this result too. Does nothing on a leaf, or twice."""
        if not self.requires_grad:
            raise GraphError("retain_grad: a tensor that requires grad is required.")
        if self.is_leaf or self.retains_grad:
            return
        import weakref

        assert self._node is not None
        self._node._hooks().retain.append(weakref.ref(self))

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call ``hook(grad)`` when the gradient of this tensor is complete; a result replaces it."""
        if not self.requires_grad:
            raise GraphError("register_hook: a tensor that requires grad is required.")
        node = self._node
        assert node is not None
        return Handle(node._hooks().tensor, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> Handle:
        """Call ``hook(tensor)`` after a gradient was added to this leaf."""
        node = self._node
        if not isinstance(node, Leaf):
            raise GraphError("register_post_accumulate_grad_hook: a leaf that requires grad is required.")
        node.keep(self)
        return Handle(node._hooks().post_accumulate, hook)

    # Values

    def detach(self) -> Self:
        """Return a tensor over the same memory, outside the graph and without tangents."""
        t = self._shell()
        if current().recorder is not None:
            current().recorder.operation(moves.DETACH, (self,), (), (t,))  # type: ignore[union-attr]
        return t

    def detach_(self) -> Self:
        """Take this tensor out of the graph."""
        if self._view is not None:
            raise GraphError("detach_: a view cannot be detached in place; use detach().")
        self._node = None
        return self

    @property
    def data(self) -> Self:
        """The same memory outside the graph, with a version counter of its own: writes go unnoticed."""
        t = self.detach()
        t._version_list = [0]
        return t

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, TensorBase):
            raise DTypeError(f"data: a tensor is required, got {type(value).__name__}.")
        if self.requires_grad and value._data.dtype.kind != "f":
            raise DTypeError(
                f"data: this tensor requires grad, so floating-point data are required, got {value.dtype}."
            )
        self._data = value._data

    @property
    def _version(self) -> int:
        if self._version_list is None:
            raise GraphError("_version: inference tensors keep no version counter.")
        return self._version_list[0]

    @property
    def _base(self) -> TensorBase | None:
        return None if self._view is None else self._view.base

    def _is_view(self) -> bool:
        return self._view is not None

    def is_inference(self) -> bool:
        """Whether it was made under ``inference_mode``."""
        return self._version_list is None

    def _told(self, how: str) -> None:
        recorder = current().recorder
        if recorder is not None:
            recorder.read(self, how)

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """Return the elements as an array over the same memory."""
        if self.requires_grad and current().grad and not force:
            raise GraphError("numpy: this tensor requires grad; use detach().numpy().")
        self._told("numpy")
        return self._data

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self._data.size != 1:
            raise ShapeError(f"item: one element is required, got {self._data.size} (shape {self._data.shape}).")
        self._told("item")
        return self._data.item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        self._told("tolist")
        return self._data.tolist()

    def backward(
        self,
        gradient: TensorBase | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[TensorBase] | TensorBase | None = None,
    ) -> None:
        """Add the gradient of this tensor to the ``.grad`` of every leaf it was computed from.

        `gradient` is the seed, of this tensor's shape; it may be left out when there is one element.
        `retain_graph` keeps what the graph saved for another walk (default: `create_graph`); `create_graph`
        records this walk, for higher derivatives; `inputs` restricts which tensors receive a gradient.
        """
        engine.backward(self, gradient, retain_graph, create_graph, inputs)


TensorBase._class = TensorBase


def describe(node: BaseNode) -> str:
    """Return a node's name and, if known, the line that made it."""
    origin = getattr(node, "origin", None)
    return node.name() + (f" (made at {origin})" if origin else "")


from . import engine, moves  # noqa: E402  (the walk and the graph's own primitives are written with tensors)
