"""The interface through which a compiler watches a function run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .primitive import Primitive
    from .tensor import TensorBase

__all__ = ["Recorder"]


class Recorder(Protocol):
    """Told of every primitive and every write while it is in force; it must not change what happens."""

    def operation(
        self, primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], outputs: tuple[TensorBase, ...]
    ) -> None:
        """`primitive` was applied to `inputs` (tensors, arrays, numbers) with `params` and gave `outputs`."""

    def write(self, target: TensorBase, value: TensorBase) -> None:
        """The elements of `target` were replaced by those of `value` (same shape, after casting)."""

    def read(self, tensor: TensorBase, how: str) -> None:
        """Python asked for the value of `tensor` by `how` (``item``, ``bool``, ``numpy``, …)."""
