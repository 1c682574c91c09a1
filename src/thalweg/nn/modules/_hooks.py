"""The hooks of modules: before and after forward, before and after the gradient passes through."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.node import BaseNode, Handle, Output
from ...core.primitive import Primitive, apply
from ...core.tensor import TensorBase
from ...errors import GraphError

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Tables", "call", "register"]


class Tables:
    """The hooks of one module, each table in the order in which they are called."""

    __slots__ = ("after", "backward", "backward_before", "before")

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}
        self.backward_before: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}


def register(
    table: dict[int, Any], hook: Callable[..., Any], first: bool, with_kwargs: bool, always: bool = False
) -> Handle:
    """Add a hook to a table, in front of the others if `first`."""
    handle = Handle(table, (hook, with_kwargs, always))
    if first:
        key = next(reversed(table))
        rest = {k: table.pop(k) for k in list(table) if k != key}
        table.update(rest)
    return handle


def call(module: Module, tables: Tables, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run forward with the hooks around it."""
    for hook, with_kwargs, _ in tuple(tables.before.values()):
        if with_kwargs:
            replaced = hook(module, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise GraphError(
                        f"forward pre-hook: None or a pair (args, kwargs) is required, got {type(replaced).__name__}."
                    )
                args, kwargs = replaced
        else:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
    watch = _Watch(module, tables) if tables.backward or tables.backward_before else None
    if watch is not None:
        args = watch.inputs(args)
    called: set[int] = set()
    try:
        result = module.forward(*args, **kwargs)
        for key, (hook, with_kwargs, _) in tuple(tables.after.items()):
            called.add(key)
            replaced = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if replaced is not None:
                result = replaced
    except Exception:
        for key, (hook, with_kwargs, always) in tuple(tables.after.items()):
            if always and key not in called:
                if with_kwargs:
                    hook(module, args, kwargs, None)
                else:
                    hook(module, args, None)
        raise
    return watch.outputs(result) if watch is not None else result


_NAME = "BackwardHookFunctionBackward"


@functools.cache
def _gate(n: int) -> Primitive:
    """Return the identity of `n` tensors as one node, where the gradients of all of them meet."""
    if n == 1:
        return Primitive(
            "backward_hook_function", lambda x: x.view(), [lambda g: g], linear=True, view=True, backward=_NAME
        )
    return Primitive(
        "backward_hook_function",
        lambda *xs: tuple(x.view() for x in xs),
        [_pick(k) for k in range(n)],
        outputs=tuple(f"out{k}" for k in range(n)),
        names=tuple(f"x{k}" for k in range(n)),
        backward=_NAME,
    )


def _pick(k: int) -> Callable[[Any], Any]:
    return lambda g: g[k]


def _through(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], BaseNode | None]:
    """Pass the tensors among `values` through one gate; return the values and the gate's node, if any."""
    at = [k for k, v in enumerate(values) if isinstance(v, TensorBase)]
    if not any(values[k].requires_grad for k in at):
        return values, None
    tensors = tuple(values[k] for k in at)
    passed = apply(_gate(len(at)), tensors)
    several = (passed,) if len(at) == 1 else passed
    node = next((t._node for t in several if t._node is not None), None)
    done = list(values)
    for k, t in zip(at, several, strict=True):
        done[k] = t
    return tuple(done), node.node if isinstance(node, Output) else node


class _Watch:
    """The backward hooks of one call: the gradient of the outputs is met at one gate, of the inputs at another."""

    def __init__(self, module: Module, tables: Tables) -> None:
        self.module = module
        self.tables = tables
        self.grad_outputs: tuple[Any, ...] = ()
        self.input_node: BaseNode | None = None
        self.n_inputs = 0

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        done, self.input_node = _through(args)
        if self.input_node is not None and self.tables.backward:
            tensors = [k for k, v in enumerate(args) if isinstance(v, TensorBase)]

            def arrived(grad_inputs: tuple[Any, ...], _: tuple[Any, ...]) -> Any:
                spread: list[Any] = [None] * self.n_inputs
                for k, g in zip(tensors, grad_inputs, strict=True):
                    spread[k] = g
                replaced = self.finish(tuple(spread))
                return None if replaced is None else tuple(replaced[k] for k in tensors)

            self.input_node.register_hook(arrived)
        return done

    def outputs(self, result: Any) -> Any:
        values = result if isinstance(result, tuple) else (result,)
        done, node = _through(values)
        if node is None:
            return result

        def leaving(grad_outputs: tuple[Any, ...]) -> Any:
            for hook, *_ in tuple(self.tables.backward_before.values()):
                replaced = hook(self.module, grad_outputs)
                if replaced is not None:
                    grad_outputs = replaced if isinstance(replaced, tuple) else (replaced,)
            self.grad_outputs = grad_outputs
            if self.input_node is None:
                self.finish((None,) * self.n_inputs)
            return grad_outputs

        node.register_prehook(leaving)
        return done if isinstance(result, tuple) else done[0]

    def finish(self, grad_inputs: tuple[Any, ...]) -> Any:
        """Show both gradients to the hooks; return the replaced gradient of the inputs, or None."""
        changed = False
        for hook, *_ in tuple(self.tables.backward.values()):
            replaced = hook(self.module, grad_inputs, self.grad_outputs)
            if replaced is not None:
                if self.input_node is None:
                    raise GraphError(
                        "backward hook: None is required where no input of the module requires grad, got a gradient."
                    )
                grad_inputs = replaced if isinstance(replaced, tuple) else (replaced,)
                changed = True
        return grad_inputs if changed else None
