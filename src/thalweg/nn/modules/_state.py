"""The state of a module, out and in: tensors by dotted name, extra state, versions, and the hooks around both ways."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...core.inplace import bump
from ...core.node import Handle
from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError, GraphError, ShapeError
from ..parameter import Parameter

__all__ = ["IncompatibleKeys", "StateError", "Stateful"]

EXTRA = "_extra_state"
ASSIGN = "assign_to_params_buffers"  # the key of a module's metadata that tells it to take tensors over


class StateError(ShapeError):
    """A state that does not fit the module."""


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Tables:
    """The hooks around the state of one module; each is stored with whether it asked for the module, or may replace."""

    __slots__ = ("load_post", "load_pre", "save_post", "save_pre")

    def __init__(self) -> None:
        self.save_pre: dict[int, Any] = {}
        self.save_post: dict[int, Any] = {}
        self.load_pre: dict[int, Any] = {}
        self.load_post: dict[int, Any] = {}


class _Problems(list[str]):
    """The messages of one loading, and how to undo what it has written so far."""

    def __init__(self) -> None:
        super().__init__()
        self.undo: list[Callable[[], None]] = []

    def restore(self) -> None:
        for step in reversed(self.undo):
            step()


class Stateful:
    """The part of a module that stores and loads its state."""

    _version: int = 1  # of the form of a class's state, for its own _load_from_state_dict
    _state_tables: Tables | None = None
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    def _state_hooks(self) -> Tables:
        if self._state_tables is None:
            object.__setattr__(self, "_state_tables", Tables())
        return self._state_tables  # type: ignore[return-value]

    def get_extra_state(self) -> Any:
        """Return what a subclass stores besides its tensors; it comes back through :meth:`set_extra_state`."""
        raise GraphError(f"{type(self).__name__}: get_extra_state() must be defined with set_extra_state().")

    def set_extra_state(self, state: Any) -> None:
        """Take over what :meth:`get_extra_state` returned."""
        raise GraphError(f"{type(self).__name__}: set_extra_state() must be defined with get_extra_state().")

    # Out

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """Return the parameters and persistent buffers by dotted name, detached unless `keep_vars`.

        A module with ``get_extra_state`` adds its result as ``_extra_state``; the result's ``_metadata`` holds the
        version of each module's form.
        """
        given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
        destination = given.get("destination", destination)
        prefix, keep_vars = given.get("prefix", prefix), given.get("keep_vars", keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        hooks = self._state_tables
        for hook, _ in tuple(hooks.save_pre.values()) if hooks is not None else ():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        hooks = self._state_tables
        for hook, may_replace in tuple(hooks.save_post.values()) if hooks is not None else ():
            replaced = hook(self, destination, prefix, metadata)
            if replaced is None:
                continue
            if not may_replace:
                raise GraphError(f"state_dict post-hook: None is required, got {type(replaced).__name__}.")
            destination = replaced
        return destination  # type: ignore[no-any-return]

    def _stored(self) -> dict[str, tuple[dict[str, Any], Any]]:
        """Return the table and the tensor of each own name that is stored."""
        found = {name: (self._parameters, p) for name, p in self._parameters.items() if p is not None}
        for name, b in self._buffers.items():
            if b is not None and name not in self._non_persistent_buffers_set:
                found[name] = (self._buffers, b)
        return found

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Add this module's own tensors and extra state; subclasses may add to it or replace it."""
        for name, (_, value) in self._stored().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    # In

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values into the parameters and buffers of the same names; return the names without a partner.

        With `strict`, a name that is missing or unexpected is an error; a wrong shape always is. The error lists
        everything that does not fit, and the tensors are then what they were before. `assign` takes over the tensors
        instead of copying.
        """
        if not isinstance(state_dict, Mapping):
            raise DTypeError(
                f"load_state_dict: a mapping from names to tensors is required, got {type(state_dict).__name__}."
            )
        metadata = getattr(state_dict, "_metadata", None)
        given: Any = OrderedDict(state_dict)
        if metadata is not None:
            given._metadata = metadata
        missing: list[str] = []
        unexpected: list[str] = []
        problems = _Problems()
        found = IncompatibleKeys(missing, unexpected)
        try:
            _load(self, given, "", metadata, assign, found, problems)
        except BaseException:
            problems.restore()
            raise
        if strict and unexpected:
            problems.insert(0, f"Unexpected key(s): {', '.join(unexpected)}")
        if strict and missing:
            problems.insert(0, f"Missing key(s): {', '.join(missing)}")
        if problems:
            problems.restore()
            lines = "".join(f"\n  {line}" for line in problems)
            raise StateError(
                f"load_state_dict: the state does not fit {type(self).__name__}; its tensors are unchanged:{lines}"
            )
        return found

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Take this module's own entries out of a state; what does not fit is added to the three lists."""
        hooks = self._state_tables
        for hook, with_module in tuple(hooks.load_pre.values()) if hooks is not None else ():
            first = (self,) if with_module else ()
            hook(*first, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = self._stored()
        assign = bool(local_metadata.get(ASSIGN, False))
        undo = getattr(error_msgs, "undo", None)
        for name, (table, present) in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            wrong = _misfit(key, present, state_dict[key])
            if wrong:
                error_msgs.append(wrong)
            else:
                _put(table, name, state_dict[key], assign, undo)
        if type(self).set_extra_state is not Stateful.set_extra_state:
            if prefix + EXTRA in state_dict:
                self.set_extra_state(state_dict[prefix + EXTRA])
            elif strict:
                missing_keys.append(prefix + EXTRA)
        elif strict and prefix + EXTRA in state_dict:
            unexpected_keys.append(prefix + EXTRA)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != prefix + EXTRA:
                    name, dot, _ = key[len(prefix) :].partition(".")
                    if name not in (self._modules if dot else own):
                        unexpected_keys.append(key)

    # Hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, prefix, keep_vars)`` before the module's tensors are collected."""
        return Handle(self._state_hooks().save_pre, (hook, False))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when the module and all inside are collected.

        The hook may change the state in place and must return None.
        """
        return Handle(self._state_hooks().save_post, (hook, False))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> Handle:
        """As :meth:`register_state_dict_post_hook`; a result replaces the state."""
        table = self._state_hooks().save_post
        if any(known is hook and not may_replace for known, may_replace in table.values()):
            raise GraphError("_register_state_dict_hook: the function is registered as a post-hook already.")
        return Handle(table, (hook, True))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.

        It is called before the module's own entries are read, and may change the state and the lists in place.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> Handle:
        """As :meth:`register_load_state_dict_pre_hook`, without the module as first argument unless `with_module`."""
        return Handle(self._state_hooks().load_pre, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call ``hook(module, incompatible_keys)`` when the module and all inside are loaded.

        The hook may change the lists of missing and unexpected names in place and must return None.
        """
        return Handle(self._state_hooks().load_post, (hook, False))


def _load(
    module: Any, state: Any, prefix: str, metadata: Any, assign: bool, found: IncompatibleKeys, problems: _Problems
) -> None:
    local = {} if metadata is None else metadata.get(prefix[:-1], {})
    if assign:
        local = {**local, ASSIGN: True}
    module._load_from_state_dict(state, prefix, local, True, found.missing_keys, found.unexpected_keys, problems)
    for name, inner in module._modules.items():
        if inner is not None:
            start = f"{prefix}{name}."
            part = {key: value for key, value in state.items() if key.startswith(start)}
            _load(inner, part, start, metadata, assign, found, problems)
    hooks = module._state_tables
    for hook, _ in tuple(hooks.load_post.values()) if hooks is not None else ():
        if hook(module, found) is not None:
            raise ArgumentError("load_state_dict post-hook: None is required; change the lists in place.")


def _misfit(key: str, present: Any, given: Any) -> str:
    if not isinstance(given, TensorBase):
        hint = "; tw.from_numpy makes one of an array" if isinstance(given, np.ndarray) else ""
        return f"{key}: a tensor is required, got {type(given).__name__}{hint}"
    shape = tuple(given.shape)
    if shape != present._data.shape and not (shape == (1,) and present._data.shape == ()):
        return f"size mismatch for {key}: shape {present._data.shape} is required, got {shape}"
    return ""


def _put(table: dict[str, Any], name: str, given: Any, assign: bool, undo: list[Callable[[], None]] | None) -> None:
    present = table[name]
    data = given._data
    if data.shape != present._data.shape:  # one element for a scalar, as old files have it
        given = given[0]
        data = given._data
    if not assign:
        if undo is not None:
            before = present._data.copy()
            undo.append(lambda: np.copyto(present._data, before))
        np.copyto(present._data, data, casting="unsafe")
        bump(present)
        return
    if undo is not None:
        undo.append(lambda: table.__setitem__(name, present))
    if isinstance(present, Parameter) and not isinstance(given, Parameter):
        given = Parameter(given, requires_grad=present.requires_grad)
    elif isinstance(present, Parameter):
        given.requires_grad_(present.requires_grad)
    table[name] = given
