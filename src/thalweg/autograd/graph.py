"""The graph itself: its nodes, and what becomes of the tensors that it saves."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from ..core.engine import awaited
from ..core.modes import current, enter
from ..core.node import BaseNode as Node
from ..core.node import Handle as RemovableHandle
from ..core.node import Leaf, visible
from ..core.tensor import TensorBase
from ..errors import ArgumentError, GraphError

__all__ = [
    "GradientEdge", "Node", "RemovableHandle", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip

_forbidden: ContextVar[str] = ContextVar("thalweg.saved_hooks_forbidden", default="")


class saved_tensors_hooks:  # noqa: N801  (PyTorch's name)
    """Within it every tensor saved for backward is handed to `pack_hook`; `unpack_hook` gives it back when needed.

    `pack_hook` may return anything; `unpack_hook` must return a tensor of the same values.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> with tw.autograd.graph.saved_tensors_hooks(lambda t: t.item(), lambda v: tw.tensor(v)):
    ...     y = x * x
    >>> y.backward(); x.grad
    tensor(6.)
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self._pair = (pack_hook, unpack_hook)

    def __enter__(self) -> None:
        if _forbidden.get():
            raise GraphError(_forbidden.get())
        modes = current()
        self._outer = modes.saved_hooks
        enter(modes.replace(saved_hooks=(*modes.saved_hooks, self._pair)))

    def __exit__(self, *exc: object) -> None:
        enter(current().replace(saved_hooks=self._outer))


class save_on_cpu(saved_tensors_hooks):  # noqa: N801  (PyTorch's name)
    """Within it saved tensors are kept as copies (there is one device): later writes do not reach them.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True).clone()
    >>> with tw.autograd.graph.save_on_cpu():
    ...     y = x * x
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: t.clone(), lambda t: t)


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Within it what the graph saves may be written in place afterwards: backward uses the values as they were.

    Every saved tensor is copied at once, where PyTorch copies at the first write.

    >>> import thalweg as tw
    >>> w = tw.tensor(3.0, requires_grad=True)
    >>> with tw.autograd.graph.allow_mutation_on_saved_tensors():
    ...     x = w.clone(); y = x * x; x = x.zero_()
    ...     y.backward()
    >>> w.grad
    tensor(6.)
    """
    with save_on_cpu():
        yield


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within it entering :class:`saved_tensors_hooks` is an error with this message.

    >>> import thalweg as tw
    >>> with tw.autograd.graph.disable_saved_tensors_hooks("no hooks here"):
    ...     y = tw.ones(2) * 2
    """
    if current().saved_hooks:
        raise GraphError(error_message)
    token = _forbidden.set(error_message)
    try:
        yield
    finally:
        _forbidden.reset(token)


class GradientEdge(NamedTuple):
    """A place in the graph where a gradient arrives: a node and which of its outputs."""

    node: Node
    output_nr: int
    ownership_token: Any = None

    @property
    def _node(self) -> Node:
        return self.node if self.ownership_token is None else self.ownership_token  # type: ignore[no-any-return]

    @property
    def _view(self) -> None:
        return None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Return where the gradient of `tensor` arrives; ``grad`` takes it among its inputs.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> tw.autograd.graph.get_gradient_edge(x * x).node
    <MulBackward0>
    """
    if not isinstance(tensor, TensorBase) or not tensor.requires_grad:
        raise GraphError("get_gradient_edge: a tensor that requires grad is required.")
    place = tensor._fresh_node()
    assert place is not None
    node, index = (place, 0) if isinstance(place, Leaf) else visible(place)
    return GradientEdge(node or place, index, None if node is place else place)


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[[Any], Any], *, mode: str = "all") -> _Handles:
    """Call `fn` once in a walk: with all gradients of `tensors` (None where the walk does not come), or with any first.

    >>> import thalweg as tw
    >>> x, y = tw.tensor(2.0, requires_grad=True), tw.tensor(3.0, requires_grad=True)
    >>> handle = tw.autograd.graph.register_multi_grad_hook((x, y), print)
    >>> (x * y).backward()
    (tensor(3.), tensor(2.))
    """
    if mode not in ("all", "any"):
        raise ArgumentError(f"register_multi_grad_hook: mode must be 'all' or 'any', got {mode!r}.")
    nodes = [t._fresh_node() for t in tensors]
    under_way: weakref.WeakKeyDictionary[Any, tuple[list[Any], set[int]]] = weakref.WeakKeyDictionary()

    def arrived(k: int) -> Callable[[Any], None]:
        def hook(g: Any) -> None:
            walk, comes = awaited(nodes)
            found, waiting = under_way.setdefault(
                walk, ([None] * len(nodes), {j for j, yes in enumerate(comes) if yes})
            )
            if mode == "any":
                if not any(x is not None for x in found):
                    found[k] = g
                    fn(g)
                return
            found[k] = g
            waiting.discard(k)
            if not waiting:
                fn(tuple(found))

        return hook

    return _Handles([t.register_hook(arrived(k)) for k, t in enumerate(tensors)])


class _Handles:
    """Several hooks, removed together."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Remove the hooks; a second call does nothing."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
