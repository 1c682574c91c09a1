"""The module: parameters, buffers and other modules under names, and a forward that uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...core.modes import current
from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError, GraphError
from ...ops.create import zeros_like
from ...ops.reduce import converted
from ..parameter import Buffer, Parameter, _Transient
from . import _hooks
from ._hooks import EVERYWHERE as _EVERYWHERE
from ._hooks import Hooked
from ._hooks import register_module_backward_hook as register_module_backward_hook
from ._hooks import register_module_buffer_registration_hook as register_module_buffer_registration_hook
from ._hooks import register_module_forward_hook as register_module_forward_hook
from ._hooks import register_module_forward_pre_hook as register_module_forward_pre_hook
from ._hooks import register_module_full_backward_hook as register_module_full_backward_hook
from ._hooks import register_module_full_backward_pre_hook as register_module_full_backward_pre_hook
from ._hooks import register_module_module_registration_hook as register_module_module_registration_hook
from ._hooks import register_module_parameter_registration_hook as register_module_parameter_registration_hook
from ._state import Stateful

__all__ = ["Module"]


class _AlsoAttributeError(GraphError, AttributeError):
    """A name that is not there: PyTorch raises AttributeError."""


class _AlsoKeyError(ArgumentError, KeyError):
    """A name that cannot be used: PyTorch raises KeyError."""

    __str__ = Exception.__str__


class Module(Stateful, Hooked):
    """A function with parameters, built of other modules. Subclasses define ``forward`` and call ``super().__init__()``.

    Parameters, buffers and modules assigned to attributes are found by ``parameters()``, ``buffers()``,
    ``modules()``, moved by ``to()``, and stored by ``state_dict()``.

    >>> import thalweg as tw
    >>> from thalweg import nn
    >>> class Affine(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = nn.Parameter(tw.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + 1
    >>> Affine()(tw.tensor(3.0))
    tensor(7., grad_fn=<AddBackward0>)
    """

    training: bool
    call_super_init: bool = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            given = [*(repr(a) for a in args), *kwargs]
            raise DTypeError(f"{type(self).__name__}: Module.__init__ takes no arguments, got {', '.join(given)}.")
        set_ = object.__setattr__
        set_(self, "training", True)
        set_(self, "_parameters", {})
        set_(self, "_buffers", {})
        set_(self, "_modules", {})
        set_(self, "_non_persistent_buffers_set", set())
        set_(self, "_hook_tables", None)
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``forward(*args, **kwargs)``, with the hooks around it."""
        recorder = current().recorder
        if recorder is not None:
            recorder.module(self)
        if self._hook_tables is None and not _EVERYWHERE.used:
            return self.forward(*args, **kwargs)
        return _hooks.call(self, args, kwargs)

    # Attributes

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            found = own.get(table)
            if found is not None and name in found:
                return found[name]
        computed = own.get("_modules", {}).get("parametrizations")
        if computed is not None and name in computed:
            return computed[name].value()
        if name == "forward":
            raise NotImplementedError(f"{type(self).__name__}: a module must define forward().")
        raise _AlsoAttributeError(f"{type(self).__name__}: there is no attribute {name!r}.")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        computed = own["_modules"].get("parametrizations") if "_modules" in own else None
        if computed is not None and name in computed:
            computed[name].right_inverse(value)
        elif isinstance(value, Parameter):
            self._tables()
            if name not in own["_parameters"]:  # else it keeps its place
                self._forget(name)
            self.register_parameter(name, value)
        elif own.get("_parameters") is not None and name in own["_parameters"]:
            if value is not None:
                raise DTypeError(
                    f"{type(self).__name__}.{name}: a Parameter or None is required, got {type(value).__name__}."
                )
            own["_parameters"][name] = None
        elif isinstance(value, Module):
            self._tables()
            if name not in own["_modules"]:
                self._forget(name)
            own["_modules"][name] = _hooks.registered("module", self, name, value)
        elif isinstance(value, Buffer):
            self._tables()
            if name not in own["_buffers"]:
                self._forget(name)
            self.register_buffer(name, value, persistent=not isinstance(value, _Transient))
        elif own.get("_modules") is not None and name in own["_modules"]:
            if value is not None:
                raise DTypeError(
                    f"{type(self).__name__}.{name}: a Module or None is required, got {type(value).__name__}."
                )
            own["_modules"][name] = _hooks.registered("module", self, name, None)
        elif own.get("_buffers") is not None and name in own["_buffers"]:
            if value is not None and not isinstance(value, TensorBase):
                raise DTypeError(
                    f"{type(self).__name__}.{name}: a tensor or None is required, got {type(value).__name__}."
                )
            own["_buffers"][name] = _hooks.registered("buffer", self, name, value)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]
        return sorted({n for n in names if n.isidentifier()})

    def _tables(self) -> None:
        if "_parameters" not in self.__dict__:
            raise _AlsoAttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning parameters, buffers or modules."
            )

    def _forget(self, name: str) -> None:
        for table in (self.__dict__, self._parameters, self._buffers, self._modules):
            table.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def _check_name(self, name: Any, table: dict[str, Any], what: str) -> None:
        self._tables()
        if not isinstance(name, str):
            raise DTypeError(f"{what}: the name must be a string, got {type(name).__name__}.")
        if "." in name or not name:
            raise _AlsoKeyError(f"{what}: the name must be non-empty and without a dot, got {name!r}.")
        if hasattr(self, name) and name not in table:
            raise _AlsoKeyError(f"{what}: the attribute {name!r} exists already.")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (or None, a place kept free) under `name`."""
        self._check_name(name, self._parameters, "register_parameter")
        if not isinstance(param, Parameter) and param is not None:
            raise DTypeError(
                f"register_parameter: {name!r} must be a Parameter or None, got {type(param).__name__}; "
                "wrap a tensor in nn.Parameter."
            )
        if param is not None and param.grad_fn is not None:
            raise _NotALeaf(f"register_parameter: {name!r} must be a leaf, got a result ({param.grad_fn!r}).")
        self._parameters[name] = None if param is None else _hooks.registered("parameter", self, name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Add a tensor that is kept and moved with the module but not learned."""
        self._check_name(name, self._buffers, "register_buffer")
        if tensor is not None and not isinstance(tensor, TensorBase):
            raise DTypeError(f"register_buffer: {name!r} must be a tensor or None, got {type(tensor).__name__}.")
        self._buffers[name] = _hooks.registered("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module under `name`."""
        if not isinstance(module, Module) and module is not None:
            raise DTypeError(f"add_module: {name!r} must be a Module or None, got {type(module).__name__}.")
        self._check_name(name, self._modules, "add_module")
        self._modules[name] = _hooks.registered("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module under `name`."""
        self.add_module(name, module)

    # Walking

    def children(self) -> Iterator[Module]:
        """Iterate over the modules directly inside, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Iterate over (name, module) directly inside, each module once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self) -> Iterator[Module]:
        """Iterate over this module and all inside, each once."""
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Iterate over (dotted name, module): this module (named `prefix`) and all inside."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(seen, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def _named(self, table: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        inside = self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else [(prefix, self)]
        for path, module in inside:
            for name, value in getattr(module, table).items():
                if value is None or id(value) in seen:
                    continue
                if once:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Iterate over the parameters, each once; without `recurse` only this module's own."""
        for _, p in self.named_parameters(recurse=recurse):
            yield p

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over (dotted name, parameter)."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """Iterate over the buffers, each once."""
        for _, b in self.named_buffers(recurse=recurse):
            yield b

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Iterate over (dotted name, buffer)."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def get_submodule(self, target: str) -> Module:
        """Return the module at a dotted name; this module for the empty one."""
        module: Any = self
        for name in target.split(".") if target else []:
            found = getattr(module, name, None)
            if not isinstance(found, Module):
                raise _AlsoAttributeError(f"get_submodule: {type(module).__name__} has no module {name!r}.")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at a dotted name."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._parameters.get(name)
        if found is None:
            raise _AlsoAttributeError(f"get_parameter: there is no parameter {target!r}.")
        return found

    def get_buffer(self, target: str) -> Any:
        """Return the buffer at a dotted name."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._buffers.get(name)
        if found is None:
            raise _AlsoAttributeError(f"get_buffer: there is no buffer {target!r}.")
        return found

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at a dotted name; with `strict` something must be there already."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ArgumentError("set_submodule: a non-empty name is required.")
        parent = self.get_submodule(path)
        if strict and name not in parent._modules:
            raise _AlsoAttributeError(f"set_submodule: there is no module {target!r}; strict=False would add it.")
        setattr(parent, name, module)

    # Changing all at once

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call ``fn(module)`` on every module inside, then on this one; return it."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn: Callable[[Any], Any]) -> Module:
        """Replace every parameter's and buffer's elements (and gradient) by ``fn`` of them."""
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None:
                    p._data = fn(p.data)._data
                    if p._grad is not None:
                        p._grad = fn(p._grad).detach()
            for name, b in module._buffers.items():
                if b is not None:
                    module._buffers[name] = fn(b)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """Convert the floating-point parameters and buffers to an element type; the only device is the CPU."""
        if kwargs.get("copy"):
            raise GraphError("to: a module is changed in place and takes no copy=True; use copy.deepcopy(module).")
        target = TensorBase._wrap(np.empty((), np.float32)).to(*args, **kwargs).dtype  # type: ignore[attr-defined]
        asked = any(not isinstance(a, (str, bool)) and hasattr(a, "is_floating_point") for a in args)
        if not asked and kwargs.get("dtype") is None:
            return self
        if not target.is_floating_point:
            raise DTypeError(f"to: a floating-point dtype is required for a module, got {target}.")
        return self._apply(lambda t: converted(t, target) if t.is_floating_point() else t)

    def float(self) -> Module:
        """Convert the floating-point parameters and buffers to float32."""
        return self._apply_type("float32")

    def double(self) -> Module:
        """Convert the floating-point parameters and buffers to float64."""
        return self._apply_type("float64")

    def _apply_type(self, name: str) -> Module:
        return self._apply(lambda t: converted(t, name) if t.is_floating_point() else t)

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers to an element type."""
        return self._apply(lambda t: converted(t, dst_type))

    def cpu(self) -> Module:
        """Return the module: it is there already."""
        return self

    def train(self, mode: bool = True) -> Module:
        """Put this module and all inside into training (or, with False, evaluation) mode."""
        if not isinstance(mode, bool):
            raise ArgumentError(f"train: a bool is required, got {type(mode).__name__}.")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Put this module and all inside into evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Say of every parameter whether it requires grad."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the parameters, or fill them with zeros."""
        recorder = current().recorder
        for p in self.parameters():
            if recorder is not None and set_to_none:
                recorder.cleared(p)
            if p._grad is not None:
                if set_to_none:
                    p._grad = None
                else:
                    p._grad = zeros_like(p._grad)

    # Text

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of the printed form."""
        return ""

    def _get_name(self) -> str:
        return f"Parametrized{type(self).__name__}" if "parametrizations" in self._modules else type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if not child_lines and len(extra_lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(extra_lines + child_lines) + "\n)"


class _NotALeaf(GraphError, ValueError):
    """PyTorch raises ValueError here."""


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
