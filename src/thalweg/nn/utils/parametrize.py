"""Parametrisations: a parameter computed, at each use, from others by modules that are learned with the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ...autograd.modes import no_grad
from ...core.tensor import TensorBase
from ...errors import ArgumentError, ShapeError
from ..modules.container import ModuleDict, ModuleList
from ..modules.module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_computed: ContextVar[dict[int, Any] | None] = ContextVar("computed", default=None)


class _NoInverse(ArgumentError, RuntimeError):
    """A parametrisation without right_inverse: PyTorch raises RuntimeError."""


class ParametrizationList(ModuleList):
    """What computes one tensor of a module: ``original`` (or ``original0``, ``original1``, …) through each module in turn."""

    def __init__(self, modules: list[Module], original: Any, unsafe: bool = False) -> None:
        super().__init__(modules)
        self.unsafe = unsafe
        found = self._inverted(original.detach(), required=False)
        self.several = not isinstance(found, TensorBase)
        parts: Any = found if self.several else (found,)
        for k, part in enumerate(parts):
            name = f"original{k}" if self.several else "original"
            if not isinstance(original, Parameter):
                self.register_buffer(name, part)
            elif not self.several and part._data.shape == original._data.shape:
                with no_grad():
                    original.copy_(part)  # type: ignore[attr-defined]
                self.register_parameter(name, original)  # optimizers that hold it go on
            else:
                self.register_parameter(name, Parameter(part, requires_grad=original.requires_grad))
        self.count = len(parts)

    def _inverted(self, value: Any, required: bool = True) -> Any:
        """Return what the originals must be for the result to be `value`."""
        with no_grad():
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is not None:
                    value = inverse(value)
                elif required:
                    raise _NoInverse(f"parametrize: {type(module).__name__} has no right_inverse to assign through.")
        return value

    @property
    def originals(self) -> list[Any]:
        """The tensors that the result is computed from."""
        if not self.several:
            return [self.original]
        return [getattr(self, f"original{k}") for k in range(self.count)]

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the result is `value`."""
        found = self._inverted(value.detach())
        with no_grad():
            for old, new in zip(self.originals, found if self.several else (found,), strict=True):
                old.copy_(new)

    def forward(self) -> Any:
        """Compute the tensor."""
        modules = iter(self)
        value = next(modules)(*self.originals)
        for module in modules:
            value = module(value)
        return value

    def value(self) -> Any:
        """Return the tensor, computed once within :func:`cached`."""
        known = _computed.get()
        if known is None:
            return self()
        if id(self) not in known:
            known[id(self)] = self()
        return known[id(self)]


@contextmanager
def cached() -> Iterator[None]:
    """Within it, each parametrised tensor is computed once."""
    if _computed.get() is not None:
        yield
        return
    token = _computed.set({})
    try:
        yield
    finally:
        _computed.reset(token)


def _of(module: Module) -> Any:
    return module.__dict__["_modules"].get("parametrizations")


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether any tensor of `module`, or the one of that name, is parametrised."""
    found = _of(module)
    if not isinstance(found, ModuleDict) or not len(found):
        return False
    return tensor_name is None or tensor_name in found


def type_before_parametrizations(module: Module) -> type:
    """The class of `module`; parametrising does not change it."""
    return type(module)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer of `module` by `parametrization` from now on; return the module.

    The tensor itself becomes ``module.parametrizations[tensor_name].original``. If the parametrisation has a
    ``right_inverse``, the value stays what it was, and can be assigned. Several on one tensor are applied in turn.
    Without `unsafe`, shape and element type may not change.

    >>> import thalweg as tw
    >>> class Positive(tw.nn.Module):
    ...     def forward(self, x):
    ...         return x.exp()
    ...     def right_inverse(self, y):
    ...         return y.log()
    >>> layer = tw.nn.Linear(1, 1)
    >>> layer.weight.data.fill_(2.0)
    tensor([[2.]])
    >>> register_parametrization(layer, "weight", Positive()).weight
    tensor([[2.]], grad_fn=<ExpBackward0>)
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original']
    """
    if is_parametrized(module, tensor_name):
        chain = _of(module)[tensor_name]
        if not unsafe:
            with no_grad():
                _check(chain.value(), parametrization(chain.value()), tensor_name)
        chain.append(parametrization)
        chain.unsafe |= unsafe
        return module
    table = next((t for t in (module._parameters, module._buffers) if t.get(tensor_name) is not None), None)
    if table is None:
        raise ArgumentError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}."
        )
    original = table[tensor_name]
    before = original.detach().clone()
    chain = ParametrizationList([parametrization], original, unsafe)
    if not unsafe:
        try:
            with no_grad():
                _check(before, chain(), tensor_name)
        except ShapeError:
            with no_grad():
                original.copy_(before)
            raise
    del table[tensor_name]
    if _of(module) is None:
        module.parametrizations = ModuleDict()
    _of(module)[tensor_name] = chain
    return module


def _check(before: Any, after: Any, name: str) -> None:
    if not isinstance(after, TensorBase) or after._data.shape != before._data.shape or after.dtype != before.dtype:
        got = f"{after.dtype} of shape {tuple(after._data.shape)}" if isinstance(after, TensorBase) else repr(after)
        raise ShapeError(
            f"register_parametrization: {name!r} must stay {before.dtype} of shape {tuple(before._data.shape)}, "
            f"got {got}; unsafe=True allows it."
        )


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make the tensor a plain one again, with its computed value or (`leave_parametrized` False) the original's."""
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"remove_parametrizations: {type(module).__name__}.{tensor_name} has no parametrization.")
    chain = _of(module)[tensor_name]
    if not leave_parametrized and chain.several:
        raise ArgumentError(
            f"remove_parametrizations: {tensor_name!r} is computed from {chain.count} tensors, so there is no original "
            "to go back to; use leave_parametrized=True."
        )
    kept = chain.originals[0]
    if leave_parametrized:
        with no_grad():
            value = chain()
            if value._data.shape == kept._data.shape and not chain.several:
                kept.copy_(value)
            elif isinstance(kept, Parameter):
                kept = Parameter(value.detach().clone(), requires_grad=kept.requires_grad)
            else:
                kept = value.detach().clone()
    del _of(module)[tensor_name]
    if not len(_of(module)):
        del module.parametrizations
    table = module._parameters if isinstance(kept, Parameter) else module._buffers
    table[tensor_name] = kept
    return module
