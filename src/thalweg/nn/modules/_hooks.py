"""The hooks of modules, and those of all modules: around forward, around the gradient, and at registration."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...core.node import BaseNode, Handle, Output
from ...core.primitive import Primitive, apply
from ...core.tensor import TensorBase
from ...errors import GraphError

if TYPE_CHECKING:
    from .module import Module

__all__ = ["EVERYWHERE", "Hooked", "Tables", "call", "registered"]


class Tables:
    """Hooks, each table in the order in which they are called; `used` says whether one was ever registered."""

    __slots__ = ("after", "backward", "backward_before", "backward_node", "before", "registration", "used")

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}
        self.backward_before: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}
        self.backward_node: dict[int, Any] = {}  # of the older kind, at the node of the result
        self.registration: dict[str, dict[int, Any]] = {"parameter": {}, "buffer": {}, "module": {}}
        self.used = False

    def add(
        self,
        table: dict[int, Any],
        hook: Callable[..., Any],
        first: bool = False,
        with_kwargs: bool = False,
        always: bool = False,
    ) -> Handle:
        """Add a hook to one of the tables, in front of the others if `first`."""
        self.used = True
        if (table is self.backward_node and self.backward) or (table is self.backward and self.backward_node):
            raise GraphError(
                "register_backward_hook: a module has hooks of this kind or full backward hooks, not both; "
                "use register_full_backward_hook."
            )
        handle = Handle(table, (hook, with_kwargs, always))
        if first:
            key = next(reversed(table))
            rest = {k: table.pop(k) for k in list(table) if k != key}
            table.update(rest)
        return handle


EVERYWHERE = Tables()  # the hooks of all modules


def registered(kind: str, module: Any, name: str, value: Any) -> Any:
    """Return what is registered under a name: the value, or what the registration hooks put in its place."""
    for hook, *_ in tuple(EVERYWHERE.registration[kind].values()):
        replaced = hook(module, name, value)
        if replaced is not None:
            value = replaced
    return value


_NONE = Tables()


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run forward with the hooks around it: those of all modules first, then the module's own."""
    own = module._hook_tables or _NONE
    every = EVERYWHERE
    for hook, with_kwargs, _ in (*every.before.values(), *own.before.values()):
        if with_kwargs:
            replaced = hook(module, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise GraphError(
                        f"forward pre-hook must return None or a pair (args, kwargs), got {type(replaced).__name__}."
                    )
                args, kwargs = replaced
        else:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
    full = (*every.backward.values(), *own.backward.values())
    leaving = (*every.backward_before.values(), *own.backward_before.values())
    watch = _Watch(module, full, leaving) if full or leaving else None
    if watch is not None:
        args = watch.inputs(args)
    called: set[int] = set()
    result = None
    try:
        result = module.forward(*args, **kwargs)
        for key, hook in (*every.after.items(), *own.after.items()):
            called.add(key)
            result = _after(module, hook, args, kwargs, result)
        if watch is not None:
            result = watch.outputs(result)
        for hook, *_ in (*every.backward_node.values(), *own.backward_node.values()):
            _hook_node(module, hook, args, result)
    except Exception:
        for key, hook in (*every.after.items(), *own.after.items()):
            if hook[2] and key not in called:
                try:
                    result = _after(module, hook, args, kwargs, result)
                except Exception as error:  # noqa: BLE001 - any of them must not hide the first
                    warnings.warn(
                        f"forward hook: a hook with always_call=True raised {error!r}, which is dropped since forward "
                        "had raised before.",
                        stacklevel=2,
                    )
        raise
    return result


def _after(module: Module, hook: Any, args: Any, kwargs: Any, result: Any) -> Any:
    function, with_kwargs, _ = hook
    replaced = function(module, args, kwargs, result) if with_kwargs else function(module, args, result)
    return result if replaced is None else replaced


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


def _through(values: Any) -> tuple[Any, BaseNode | None, list[int]]:
    """Pass the tensors of a tuple through one gate; return the tuple, the gate's node if any, and where they were."""
    at = [k for k, v in enumerate(values) if isinstance(v, TensorBase)]
    if not any(values[k].requires_grad for k in at):
        return values, None, at
    tensors = tuple(values[k] for k in at)
    passed = apply(_gate(len(at)), tensors)
    several = (passed,) if len(at) == 1 else passed
    node = next((t._node for t in several if t._node is not None), None)
    done = list(values)
    for k, t in zip(at, several, strict=True):
        done[k] = t
    made = tuple(done) if type(values) is tuple else type(values)(*done)  # a named tuple stays one
    return made, node.node if isinstance(node, Output) else node, at


def _spread(gradients: tuple[Any, ...], at: list[int], n: int) -> tuple[Any, ...]:
    """Return the gradients at their places among `n`, None at the others."""
    found: list[Any] = [None] * n
    for k, g in zip(at, gradients, strict=True):
        found[k] = g
    return tuple(found)


def _replaced(given: Any, present: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    """Return what a hook put in the place of the gradients, as many as there were."""
    if given is None:
        return present
    found = given if isinstance(given, tuple) else (given,)
    if len(found) != len(present):
        raise GraphError(
            f"backward hook returned an invalid number of {what}, got {len(found)}, but {len(present)} are required."
        )
    return found


class _Watch:
    """The backward hooks of one call: the gradient of the outputs is met at one gate, of the inputs at another.

    In a double backward the gradient may reach the inputs' gate without the outputs': the hooks are not called then.
    """

    def __init__(self, module: Module, hooks: tuple[Any, ...], leaving: tuple[Any, ...]) -> None:
        self.module = module
        self.hooks = hooks
        self.leaving = leaving
        self.grad_outputs: tuple[Any, ...] | None = None
        self.input_node: BaseNode | None = None
        self.n_inputs = 0

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        done, self.input_node, at = _through(args)
        if self.input_node is not None and self.hooks:

            def arrived(grad_inputs: tuple[Any, ...], _: tuple[Any, ...]) -> Any:
                if self.grad_outputs is None:
                    return None
                found = self.finish(_spread(grad_inputs, at, self.n_inputs))
                return tuple(found[k] for k in at)

            self.input_node.register_hook(arrived)
        return done  # type: ignore[no-any-return]

    def outputs(self, result: Any) -> Any:
        if not isinstance(result, (TensorBase, tuple)):
            warnings.warn(
                f"{type(self.module).__name__}: for backward hooks to be called, module output should be a tensor or a "
                f"tuple of tensors, got {type(result).__name__}.",
                stacklevel=4,
            )
            return result
        values = result if isinstance(result, tuple) else (result,)
        done, node, at = _through(values)
        if node is None:
            return result

        def leaving(given: tuple[Any, ...]) -> Any:
            grad_outputs = _spread(given, at, len(values))
            for hook, *_ in self.leaving:
                grad_outputs = _replaced(hook(self.module, grad_outputs), grad_outputs, "grad_output")
            self.grad_outputs = grad_outputs
            if self.input_node is None:
                self.finish((None,) * self.n_inputs)
            return tuple(grad_outputs[k] for k in at)

        node.register_prehook(leaving)
        return done if isinstance(result, tuple) else done[0]

    def finish(self, grad_inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Show both gradients to the hooks; return the gradient of the inputs, as they replaced it."""
        for hook, *_ in self.hooks:
            replaced = hook(self.module, grad_inputs, self.grad_outputs)
            if replaced is None:
                continue
            if self.input_node is None:
                if not (isinstance(replaced, tuple) and all(g is None for g in replaced)):
                    raise GraphError(
                        "backward hook: None is required where no input of the module requires grad, got a gradient."
                    )
                continue
            grad_inputs = _replaced(replaced, grad_inputs, "grad_input")
        self.grad_outputs = None
        return grad_inputs


def _hook_node(module: Module, hook: Callable[..., Any], args: tuple[Any, ...], result: Any) -> None:
    """Register a hook of the older kind at the node of the first tensor of a result."""
    first = result
    while not isinstance(first, TensorBase):
        first = next(v for v in first.values() if isinstance(v, TensorBase)) if isinstance(first, dict) else first[0]
    node = first.grad_fn  # type: ignore[attr-defined]
    if node is None:
        return
    node.register_hook(lambda grad_input, grad_output: hook(module, grad_input, grad_output))
    lacking = _lacking(args, result, node)
    if lacking:
        warnings.warn(
            f"register_backward_hook: the hook {lacking}; use register_full_backward_hook.", FutureWarning, stacklevel=4
        )


def _lacking(args: tuple[Any, ...], result: Any, node: Any) -> str:
    """Return which gradients a hook at one node cannot see."""
    outputs = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(t, TensorBase) for t in outputs):
        return (
            "is on a Module that does not return a single Tensor or a tuple of Tensors and misses some of grad_output"
        )
    if not all(isinstance(t, TensorBase) for t in args):
        return (
            "is on a Module that does not take as input a single Tensor or a tuple of Tensors and misses some of "
            "grad_input"
        )
    nodes = {id(t.grad_fn) for t in outputs if t.grad_fn is not None}
    if len(nodes) > 1:
        return "meets outputs generated by different autograd Nodes and misses some grad_output"
    before = {id(n) for n, _ in node.next_functions}
    if {id(t.grad_fn) for t in args} != before:
        return "meets a forward that contains multiple autograd Nodes and misses some grad_input"
    return ""


class Hooked:
    """The part of a module that has hooks."""

    _hook_tables: Tables | None

    def _hook_table(self) -> Tables:
        tables = self._hook_tables
        if tables is None:
            tables = Tables()
            object.__setattr__(self, "_hook_tables", tables)
        return tables

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Call ``hook(module, args)`` before forward; a result replaces the arguments."""
        tables = self._hook_table()
        return tables.add(tables.before, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> Handle:
        """Call ``hook(module, args, output)`` after forward; a result replaces the output."""
        tables = self._hook_table()
        return tables.add(tables.after, hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_output)`` before the gradient passes through; a result replaces it."""
        tables = self._hook_table()
        return tables.add(tables.backward_before, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` when both are known; a result replaces the first."""
        tables = self._hook_table()
        return tables.add(tables.backward, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, grad_input, grad_output)`` at the last node of forward alone (PyTorch's older kind)."""
        tables = self._hook_table()
        return tables.add(tables.backward_node, hook)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, args)`` before the forward of every module; a result replaces the arguments."""
    return EVERYWHERE.add(EVERYWHERE.before, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> Handle:
    """Call ``hook(module, args, output)`` after the forward of every module; a result replaces the output."""
    return EVERYWHERE.add(EVERYWHERE.after, hook, False, with_kwargs, always_call)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, grad_output)`` before the gradient passes through any module; a result replaces it."""
    return EVERYWHERE.add(EVERYWHERE.backward_before, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, grad_input, grad_output)`` when both are known of any module; a result replaces the first."""
    return EVERYWHERE.add(EVERYWHERE.backward, hook)


def register_module_backward_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, grad_input, grad_output)`` at the last node of any module's forward (the older kind)."""
    return EVERYWHERE.add(EVERYWHERE.backward_node, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, name, parameter)`` when any module registers a parameter; a result replaces it."""
    return Handle(EVERYWHERE.registration["parameter"], (hook,))


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, name, buffer)`` when any module registers a buffer; a result replaces it."""
    return Handle(EVERYWHERE.registration["buffer"], (hook,))


def register_module_module_registration_hook(hook: Callable[..., Any]) -> Handle:
    """Call ``hook(module, name, submodule)`` when any module registers another; a result replaces it."""
    return Handle(EVERYWHERE.registration["module"], (hook,))
