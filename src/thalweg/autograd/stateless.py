"""Modules as functions of their state: called with other tensors in the place of their parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from ..ops.join import stack

__all__ = ["functional_call", "stack_module_state"]

States = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class _Keys(ArgumentError, RuntimeError):
    """Names that do not fit the module: PyTorch raises RuntimeError."""


class _NoSuchModule(ArgumentError, AttributeError):
    """A path to a module that is not there: PyTorch raises AttributeError."""


class _Models(ArgumentError, RuntimeError):
    """Modules that cannot be stacked: PyTorch raises RuntimeError."""


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: States,
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """The result of `module` with the tensors given by dotted name in the place of its parameters and buffers.

    What is not named stays as it is. A tensor that the module holds under several names is replaced under all of them,
    unless `tie_weights` is False. With `strict`, every parameter and buffer must be named, and nothing else. The module
    itself does not change, so that the call is a function of the tensors, to be differentiated by ``func.grad``.

    >>> import thalweg as tw
    >>> layer = tw.nn.Linear(2, 1)
    >>> state = {"weight": tw.tensor([[1.0, 2.0]]), "bias": tw.zeros(1)}
    >>> tw.func.functional_call(layer, state, tw.tensor([3.0, 4.0]))
    tensor([11.])
    >>> loss = lambda state: tw.func.functional_call(layer, state, tw.tensor([3.0, 4.0])).sum()
    >>> tw.func.grad(loss)(state)["weight"]
    tensor([[3., 4.]])
    """
    given = _joined(parameter_and_buffer_dicts)
    places = _places(module, given, tie_weights, strict)
    inputs = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(places):
        return module(*inputs, **(kwargs or {}))


def _joined(states: Any) -> dict[str, Any]:
    """Return one dict of all states."""
    if isinstance(states, Mapping):
        return dict(states)
    if not isinstance(states, Sequence) or not all(isinstance(s, Mapping) for s in states):
        raise ArgumentError(
            f"functional_call: a dict of tensors by name, or a tuple of such dicts, is required, got {states!r:.80}."
        )
    joined: dict[str, Any] = {}
    for state in states:
        twice = sorted(joined.keys() & state.keys())
        if twice:
            raise ArgumentError(f"functional_call: every name may be given once, and {twice[0]!r} is in two dicts.")
        joined.update(state)
    return joined


def _places(module: Any, given: dict[str, Any], tied: bool, strict: bool) -> list[tuple[dict[str, Any], str, Any]]:
    """Return (table, name, tensor) for everything to replace."""
    here: dict[str, tuple[dict[str, Any], str]] = {}
    paths = set()
    for path, inner in module.named_modules(remove_duplicate=False):
        paths.add(path)
        for table in (inner._parameters, inner._buffers):
            here.update({(f"{path}.{name}" if path else name): (table, name) for name in table})
    same: dict[int, list[str]] = {}
    for name, (table, own) in here.items():
        if table[own] is not None:
            same.setdefault(id(table[own]), []).append(name)
    places = []
    named = set()
    for name, value in given.items():
        if not isinstance(value, TensorBase):
            raise DTypeError(f"functional_call: {name!r} must be a tensor, got {type(value).__name__}.")
        if name not in here:
            path = name.rpartition(".")[0]
            if path not in paths:
                raise _NoSuchModule(f"functional_call: {type(module).__name__} has no module {path!r} (for {name!r}).")
            named.add(name)
            continue
        table, own = here[name]
        names = same.get(id(table[own]), [name]) if tied else [name]
        others = [n for n in names if n != name and n in given and given[n] is not value]
        if others:
            raise ArgumentError(
                f"functional_call: {name!r} and {others[0]!r} are one tensor in {type(module).__name__}; give one of "
                "them, or tie_weights=False."
            )
        named.update(names)
        places += [(*here[n], value) for n in names]
    missing = sorted(n for n, (table, own) in here.items() if table[own] is not None and n not in named)
    extra = sorted(given.keys() - here.keys())
    if strict and (missing or extra):
        raise _Keys(f"functional_call: the names do not fit {type(module).__name__}: missing {missing}, extra {extra}.")
    return places


@contextmanager
def _replaced(places: list[tuple[dict[str, Any], str, Any]]) -> Iterator[None]:
    before = [(table, name, table[name]) for table, name, _ in places]
    try:
        for table, name, value in places:
            table[name] = value
        yield
    finally:
        for table, name, value in before:
            table[name] = value


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of modules of one class, stacked along a new first dim: an ensemble for `vmap`.

    >>> import thalweg as tw
    >>> layers = [tw.nn.Linear(2, 3) for _ in range(4)]
    >>> params, buffers = tw.func.stack_module_state(layers)
    >>> params["weight"].shape
    thalweg.Size([4, 3, 2])
    >>> of_each = tw.func.vmap(lambda p, x: tw.func.functional_call(layers[0], p, x), in_dims=(0, None))
    >>> of_each(params, tw.zeros(5, 2)).shape
    thalweg.Size([4, 5, 3])
    """
    models = list(models)
    if not models:
        raise _Models("stack_module_state: at least one module is required, got none.")
    first = models[0]
    if any(type(m) is not type(first) for m in models):
        raise _Models(
            f"stack_module_state: modules of one class are required, got {[type(m).__name__ for m in models]}."
        )
    if any(m.training != first.training for m in models):
        raise _Models("stack_module_state: modules must all be in training mode, or all not.")
    params = {}
    for name, p in first.named_parameters():
        stacked = stack([dict(m.named_parameters())[name] for m in models]).detach()
        params[name] = stacked.requires_grad_(p.requires_grad)
    buffers = {name: stack([dict(m.named_buffers())[name] for m in models]) for name, _ in first.named_buffers()}
    return params, buffers
