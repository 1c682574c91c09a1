"""Taking the state out of a module and putting one in, with a full account of what does not fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.inplace import bump
from ...core.tensor import TensorBase
from ...errors import DTypeError, ShapeError
from ..parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

__all__ = ["StateError", "collect_state", "load_state"]


class StateError(ShapeError):
    """A state that does not fit the module."""


def _entries(module: Module, prefix: str) -> list[tuple[str, Module, str, str]]:
    """Return (dotted name, owner, table, own name) of everything that is stored, in PyTorch's order."""
    found = []
    for path, inner in module.named_modules(
        prefix=prefix[:-1] if prefix.endswith(".") else prefix, remove_duplicate=False
    ):
        start = f"{path}." if path else ""
        for name, p in inner._parameters.items():
            if p is not None:
                found.append((start + name, inner, "_parameters", name))
        for name, b in inner._buffers.items():
            if b is not None and name not in inner._non_persistent:
                found.append((start + name, inner, "_buffers", name))
    return found


def collect_state(
    module: Module, destination: dict[str, Any] | None, prefix: str, keep_vars: bool
) -> OrderedDict[str, Any]:
    """Return the tensors to store by dotted name."""
    state: Any = OrderedDict() if destination is None else destination
    for key, owner, table, name in _entries(module, prefix):
        value = getattr(owner, table)[name]
        state[key] = value if keep_vars else value.detach()
    return state  # type: ignore[no-any-return]


def load_state(module: Module, state: Mapping[str, Any], strict: bool, assign: bool) -> tuple[list[str], list[str]]:
    """Copy (or assign) a state; return the missing and the unexpected names."""
    if not isinstance(state, Mapping):
        raise DTypeError(f"load_state_dict: a mapping from names to tensors is required, got {type(state).__name__}.")
    entries = _entries(module, "")
    own = {key for key, *_ in entries}
    missing = [key for key, *_ in entries if key not in state]
    unexpected = [key for key in state if key not in own]
    problems = []
    if strict and missing:
        problems.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected: {', '.join(unexpected)}")
    for key, owner, table, name in entries:
        if key in state:
            wrong = _misfit(key, getattr(owner, table)[name], state[key])
            if wrong:
                problems.append(wrong)
    if problems:
        lines = "".join(f"\n  {line}" for line in problems)
        raise StateError(
            f"load_state_dict: the state does not fit {type(module).__name__}; nothing was changed:{lines}"
        )
    for key, owner, table, name in entries:
        if key in state:
            _put(getattr(owner, table), name, state[key], assign)
    return missing, unexpected


def _misfit(key: str, present: Any, given: Any) -> str:
    if not isinstance(given, (TensorBase, np.ndarray)):
        return f"{key}: a tensor is required, got {type(given).__name__}"
    shape = tuple(given.shape)
    if shape != present._data.shape and not (shape == (1,) and present._data.shape == ()):
        return f"{key}: shape {present._data.shape} is required, got {shape}"
    return ""


def _put(table: dict[str, Any], name: str, given: Any, assign: bool) -> None:
    present = table[name]
    data = given._data if isinstance(given, TensorBase) else np.asarray(given)
    if not assign:
        np.copyto(present._data, data.reshape(present._data.shape), casting="unsafe")
        bump(present)
    elif isinstance(present, Parameter):
        keep = given if isinstance(given, Parameter) else Parameter(given, requires_grad=present.requires_grad)
        table[name] = keep
    else:
        table[name] = given if isinstance(given, TensorBase) else TensorBase._wrap(data)
