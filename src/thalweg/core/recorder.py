"""The interface through which a compiler watches a function run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from .primitive import Primitive
    from .tensor import TensorBase

__all__ = ["Recorder"]


class Recorder(Protocol):
    """Told of everything that matters while it is in force; it must not change what happens.

    Values are known by their arrays: two tensors over one array object are one value.
    """

    def operation(
        self, primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], outputs: tuple[TensorBase, ...]
    ) -> None:
        """`primitive` was applied to `inputs` (tensors, arrays, numbers) with `params` and gave `outputs`."""

    def constant(self, tensor: TensorBase) -> None:
        """`tensor` was just made from data that do not depend on anything recorded."""

    def write(self, target: TensorBase, value: TensorBase) -> None:
        """The elements of `target` are about to be replaced by those of `value` (same shape and type)."""

    def copied(self, source: Any, copy: Any) -> None:
        """The array `copy` was taken of the array `source`, which is about to be written."""

    def read(self, tensor: TensorBase, how: str) -> None:
        """Python asked for the value of `tensor` by `how` (``item``, ``bool``, ``numpy``, …)."""

    def refuse(self, why: str, advice: str = "") -> None:
        """What runs cannot be compiled: raise CaptureError with the reason, or let this run go on as an eager one."""

    def gradient(self, tensor: TensorBase | None) -> None:
        """A gradient is about to be added to the ``.grad`` of a leaf, which may be gone."""

    def cleared(self, tensor: TensorBase) -> None:
        """The ``.grad`` of `tensor` is about to be replaced by something that does not depend on it."""

    def draws(self, generator: Any) -> None:
        """The next operation draws from `generator`."""

    def module(self, module: Any) -> None:
        """`module` is about to run: its mode and its parts decide what follows."""

    def optimizer(self, optimizer: Any) -> None:
        """`optimizer` is about to step: its groups decide what follows."""

    def depends(self, on: Any, what: str, now: Callable[[], Any]) -> None:
        """What follows depends on ``now()`` of `on` staying as it is; `what` says what happened when it did not."""

    def when(self, condition: TensorBase, work: Callable[[], Any]) -> None:
        """Run `work`; what it writes counts where the 0-d `condition` holds, now and in later runs."""

    def scheduler(self, scheduler: Any, step: Callable[[], None]) -> None:
        """`scheduler` is about to step: `step` repeats that after other runs of the function."""

    def setting(self, group: dict[str, Any], key: str, at: int | None, kind: type) -> TensorBase:
        """Return a 0-d float64 tensor that stands for the number ``group[key]``, or ``group[key][at]``."""
