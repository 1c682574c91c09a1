"""Trading time for memory: what a function saves for backward is computed again instead of kept.

The function runs once as usual, but every tensor that its graph saves is replaced by a number. When backward
first asks for one of them the function runs again, up to the last tensor saved, and the values are taken from
that run. Derivatives of any order work, since only values are replaced and never the graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd._tree import tree_map
from ..autograd.graph import saved_tensors_hooks
from ..core.modes import DEFAULT, current, enter
from ..core.tensor import TensorBase
from ..errors import ArgumentError, GraphError
from ..ops.random import get_rng_state, set_rng_state

__all__ = ["CheckpointError", "checkpoint", "checkpoint_sequential"]


class CheckpointError(GraphError):
    """The second run of a checkpointed function saved other tensors than the first."""


class _Enough(Exception):
    """Everything that backward needs has been computed again."""


class _Region:
    """One checkpointed call: how to run it again, and what that gave."""

    def __init__(self, again: Callable[[], Any], check: bool) -> None:
        self.again = again
        self.check = check
        self.forms: list[tuple[tuple[int, ...], Any]] = []  # of the tensors saved, in order
        self.found: dict[int, TensorBase] = {}
        self.waiting: set[int] = set()

    def pack(self, x: TensorBase) -> int:
        self.forms.append((x._data.shape, x._data.dtype))
        self.waiting.add(len(self.forms) - 1)
        return len(self.forms) - 1

    def unpack(self, k: int) -> TensorBase:
        if k not in self.found:
            self.run_again()
        self.waiting.discard(k)
        if self.waiting:
            return self.found[k]
        value = self.found.pop(k)
        self.found.clear()  # all were asked for: another walk computes again
        self.waiting = set(range(len(self.forms)))
        return value

    def run_again(self) -> None:
        collected: list[TensorBase] = []

        def collect(x: TensorBase) -> None:
            collected.append(x.detach())
            if len(collected) == len(self.forms):
                raise _Enough

        outer = current()
        enter(DEFAULT)
        try:
            with contextlib.suppress(_Enough), saved_tensors_hooks(collect, _never):
                self.again()
        finally:
            enter(outer)
        if len(collected) != len(self.forms):
            raise CheckpointError(
                f"checkpoint: the second run must save as many tensors as the first, {len(self.forms)}, and saved "
                f"{len(collected)}; the function must do the same both times."
            )
        for k, (x, form) in enumerate(zip(collected, self.forms, strict=True)):
            if self.check and (x._data.shape, x._data.dtype) != form:
                raise CheckpointError(
                    f"checkpoint: saved tensor {k} had shape {form[0]} ({form[1]}) in the first run and "
                    f"{x._data.shape} ({x._data.dtype}) in the second; the function must do the same both times."
                )
        self.found = dict(enumerate(collected))


def _never(_: Any) -> Any:
    raise CheckpointError(
        "checkpoint: the second run of a function cannot itself be differentiated inside the function."
    )


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    context_fn: Callable[[], tuple[Any, Any]] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, keeping no intermediate result for backward but computing it again.

    `preserve_rng_state` lets the second run draw the same random numbers; `context_fn` returns two context
    managers, for the first run and the second. There is one implementation, so `use_reentrant`, `debug` and
    `early_stop` are accepted and change nothing.

    >>> import thalweg as tw
    >>> from thalweg.utils.checkpoint import checkpoint
    >>> x = tw.tensor(2.0, requires_grad=True)
    >>> y = checkpoint(lambda t: (t * t).exp(), x, use_reentrant=False)
    >>> y.backward(); round(x.grad.item(), 3)
    218.393
    """
    if determinism_check not in ("default", "none"):
        raise ArgumentError(f"checkpoint: determinism_check must be 'default' or 'none', got {determinism_check!r}.")
    first, second = context_fn() if context_fn is not None else (contextlib.nullcontext(), contextlib.nullcontext())
    state = get_rng_state() if preserve_rng_state else None

    def again() -> None:
        fresh_args, fresh_kwargs = tree_map(_fresh, args), tree_map(_fresh, kwargs)
        present = get_rng_state() if state is not None else None
        try:
            if state is not None:
                set_rng_state(state)
            with second:
                function(*fresh_args, **fresh_kwargs)
        finally:
            if present is not None:
                set_rng_state(present)

    region = _Region(again, determinism_check == "default")
    with saved_tensors_hooks(region.pack, region.unpack), first:
        return function(*args, **kwargs)


def _fresh(x: Any) -> Any:
    """Return a tensor outside the graph that is recorded as `x` was."""
    return x.detach().requires_grad_(x.requires_grad) if isinstance(x, TensorBase) else x


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Apply `functions` (a sequence, or a container of modules) one after the other, in checkpointed segments.

    The last segment is kept, since backward starts with it.
    """
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ArgumentError(f"checkpoint_sequential: unknown argument {next(iter(kwargs))!r}.")
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ArgumentError(f"checkpoint_sequential: segments must lie in [1, {len(steps)}], got {segments}.")
    size = len(steps) // segments
    for k in range(segments - 1):
        part = _in_turn(steps[k * size : (k + 1) * size])
        input = checkpoint(part, input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return _in_turn(steps[(segments - 1) * size :])(input)


def _in_turn(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run
