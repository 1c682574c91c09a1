"""Parametrisations: a parameter computed, at each use, from others by modules that are learned with the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...autograd.modes import no_grad
from ...core.inplace import bump
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
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_computed: ContextVar[dict[int, Any] | None] = ContextVar("computed", default=None)


class _NoInverse(ArgumentError, RuntimeError):
    """A parametrisation without right_inverse: PyTorch raises RuntimeError."""


def _become(target: Any, value: Any) -> None:
    """Give a tensor other elements, of any shape; whoever holds it goes on with them."""
    target._data = np.array(value._data)
    bump(target)


class ParametrizationList(ModuleList):
    """What computes one tensor of a module: ``original`` (or ``original0``, ``original1``, …) through each module in turn."""

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False) -> None:
        if not modules:
            raise ArgumentError("ParametrizationList: one or more modules are required, got none.")
        super().__init__(modules)
        self.unsafe = unsafe
        before = original.detach().clone()
        parts = _parts(self._inverted(original.detach(), required=False), before.dtype)
        self.several = parts is None or not isinstance(parts, TensorBase)
        self.count = len(parts) if self.several else 1
        if not self.several:
            _become(original, parts)  # optimizers that hold it go on
            self._register("original", original)
        else:
            for k, part in enumerate(parts):
                parameter = isinstance(original, Parameter)
                self._register(
                    f"original{k}", Parameter(part, requires_grad=original.requires_grad) if parameter else part
                )
        if not unsafe:
            try:
                with no_grad():
                    _check(before, self(), "the tensor")
            except ShapeError:
                if not self.several:
                    _become(original, before)
                raise

    def _register(self, name: str, value: Any) -> None:
        (self.register_parameter if isinstance(value, Parameter) else self.register_buffer)(name, value)

    def _inverted(self, value: Any, required: bool = True) -> Any:
        """Return what the originals must be for the result to be `value`."""
        with no_grad():
            for module in reversed(list(self)):
                inverse = getattr(module, "right_inverse", None)
                if inverse is None:
                    if required:
                        raise _NoInverse(
                            f"parametrize: {type(module).__name__} has no right_inverse to assign through."
                        )
                    continue
                try:
                    value = inverse(value)
                except NotImplementedError:
                    if required:
                        raise
        return value

    @property
    def is_tensor(self) -> bool:
        """Whether the result is computed from one tensor."""
        return not self.several

    @property
    def ntensors(self) -> int:
        """From how many tensors the result is computed."""
        return self.count

    @property
    def originals(self) -> list[Any]:
        """The tensors that the result is computed from."""
        if not self.several:
            return [self.original]
        return [getattr(self, f"original{k}") for k in range(self.count)]

    def right_inverse(self, value: Any) -> None:
        """Set the originals so that the result is `value`."""
        found = self._inverted(value.detach())
        parts = _parts(found, None)
        if isinstance(parts, TensorBase) == self.several:
            wanted = f"{self.count} tensors" if self.several else "one tensor"
            raise ArgumentError(f"parametrize: right_inverse must return {wanted}, got {type(found).__name__}.")
        given = [parts] if isinstance(parts, TensorBase) else parts
        if len(given) != self.count:
            raise ArgumentError(f"parametrize: right_inverse must return {self.count} tensors, got {len(given)}.")
        for old, new in zip(self.originals, given, strict=True):
            if old.dtype != new.dtype:
                raise ArgumentError(f"parametrize: right_inverse must return {old.dtype}, got {new.dtype}.")
        for old, new in zip(self.originals, given, strict=True):
            _become(old, new)

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


def _parts(found: Any, dtype: Any) -> Any:
    """Return what a right_inverse gave, which must be a tensor (of type `dtype`) or a sequence of tensors."""
    if isinstance(found, TensorBase):
        if dtype is not None and found.dtype != dtype:
            raise ArgumentError(f"parametrize: a right_inverse with one tensor must keep {dtype}, got {found.dtype}.")
        return found
    if not isinstance(found, (list, tuple)) or not all(isinstance(part, TensorBase) for part in found):
        raise ArgumentError(
            f"parametrize: right_inverse must return a tensor or a sequence of tensors, got {type(found).__name__}."
        )
    return list(found)


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
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = _of(module)[tensor_name]
        if not unsafe:
            with no_grad():
                before = chain.value()
                after = parametrization(before)
                _check(before, after, tensor_name)
                if hasattr(parametrization, "right_inverse"):
                    with suppress(NotImplementedError):
                        _check(after, parametrization.right_inverse(after), f"right_inverse of {tensor_name}")
        chain.append(parametrization)
        chain.unsafe |= unsafe
        return module
    table = next((t for t in (module._parameters, module._buffers) if t.get(tensor_name) is not None), None)
    if table is None:
        raise ArgumentError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}."
        )
    chain = ParametrizationList([parametrization], table[tensor_name], unsafe)
    chain.training = module.training
    del table[tensor_name]
    if _of(module) is None:
        module.parametrizations = ModuleDict()
        module.parametrizations.training = module.training
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
            value = chain().detach()
        if value.dtype == kept.dtype and not chain.several:
            _become(kept, value)
        else:
            learned = any(isinstance(part, Parameter) for part in chain.originals)
            wanted = any(part.requires_grad for part in chain.originals)
            kept = Parameter(value.clone(), requires_grad=wanted) if learned else value.clone()
    del _of(module)[tensor_name]
    if not len(_of(module)):
        del module.parametrizations
    table = module._parameters if isinstance(kept, Parameter) else module._buffers
    table[tensor_name] = kept
    return module


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrise tensors of a module as those of another are, with the same originals; return the module.

    All parametrised tensors are taken, or the one of that name; a tensor that `to_module` lacks is added.
    """
    if not is_parametrized(from_module):
        return to_module
    for name in list(_of(from_module)) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        chain = _of(from_module)[name]
        for module in chain:
            register_parametrization(to_module, name, module, unsafe=chain.unsafe)
        other = _of(to_module)[name]
        for key in [f"original{k}" for k in range(chain.count)] if chain.several else ["original"]:
            setattr(other, key, getattr(chain, key))
    return to_module
