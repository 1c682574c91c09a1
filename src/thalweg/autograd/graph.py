"""The graph itself: its nodes, and what becomes of the tensors that it saves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.modes import current, enter
from ..core.node import BaseNode as Node
from ..core.node import Handle as RemovableHandle

__all__ = ["Node", "RemovableHandle", "saved_tensors_hooks"]


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
        modes = current()
        self._outer = modes.saved_hooks
        enter(modes.replace(saved_hooks=(*modes.saved_hooks, self._pair)))

    def __exit__(self, *exc: object) -> None:
        enter(current().replace(saved_hooks=self._outer))
