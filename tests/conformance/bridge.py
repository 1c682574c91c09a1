"""From PyTorch's test package to the library: its descriptions of operations, its arguments, its functions."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

import thalweg
from thalweg.core.tensor import TensorBase

from .catalogue import OTHER_NAME

LARGEST = 100_000  # elements of a sample's inputs
MOST_DIMS = 64  # what a NumPy array can have
ALLOWED_TYPES = {"float64", "float32", "int64", "int32", "uint8", "bool"}
SAMPLED_TYPES = {"float64", "float32", "int64", "bool"}


class Unsupported(Exception):
    """A sample that asks for what the library leaves out: complex and half types, sparse layouts, and the like."""


@cache
def torch_module() -> Any:
    """Import PyTorch, quietly and on one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torch.testing._internal import common_methods_invocations as found

    torch.set_num_threads(1)
    return torch, found


@cache
def infos(name: str) -> tuple[Any, ...]:
    """Return PyTorch's descriptions of an operation that hold samples for `name`."""
    _, found = torch_module()
    wanted = OTHER_NAME.get(name, name.removeprefix("Tensor."))
    if name.startswith("Tensor.") and wanted.endswith("_") and not wanted.endswith("__"):
        wanted = {"zero_": "zero_"}.get(wanted, wanted[:-1])
    return tuple(op for op in found.op_db if op.name == wanted and _plain(op))


def _plain(op: Any) -> bool:
    names = {str(d)[6:] for d in op.dtypes}
    return "jiterator" not in op.name and bool(names & SAMPLED_TYPES)


# From PyTorch's arguments to ours


def ours(value: Any, memo: dict[int, Any], grad: bool = False) -> Any:
    """Return an argument of PyTorch's as one of ours."""
    torch, _ = torch_module()
    if isinstance(value, torch.Tensor):
        if id(value) in memo:
            return memo[id(value)]
        if value.layout != torch.strided or str(value.dtype)[6:] not in ALLOWED_TYPES:
            raise Unsupported(str(value.dtype))
        if value.numel() > LARGEST or value.ndim > MOST_DIMS:
            raise Unsupported("size")
        data = value.detach().resolve_neg().numpy(force=True)
        t = TensorBase._wrap(np.array(data, order="K") if data.ndim else np.array(data))
        if grad and value.requires_grad:
            t.requires_grad_()
        memo[id(value)] = t
        return t
    if isinstance(value, torch.dtype):
        name = str(value)[6:]
        if name not in ALLOWED_TYPES:
            raise Unsupported(name)
        return thalweg.bool if name == "bool" else getattr(thalweg, name)
    if isinstance(value, (torch.layout, torch.memory_format, torch.Generator)) or value in (torch.chalf,):
        raise Unsupported(str(value))
    if isinstance(value, torch.device):
        if value.type != "cpu":
            raise Unsupported(str(value))
        return "cpu"
    if isinstance(value, complex):
        raise Unsupported("complex")
    if isinstance(value, (tuple, list)):
        parts = [ours(v, memo, grad) for v in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, slice):
        return slice(*(ours(v, memo, grad) for v in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return {k: ours(v, memo, grad) for k, v in value.items()}
    return value


def leaves(value: Any, torch: Any) -> Iterator[Any]:
    """Yield the tensors of an argument that ask for a gradient."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad:
            yield value
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from leaves(v, torch)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()), torch)


def rebound(function: Any) -> Any:
    """Return a function of PyTorch's test package that calls us where it calls ``torch``."""
    if not isinstance(function, types.FunctionType):
        return function
    cells_of = tuple(
        types.CellType(rebound(c.cell_contents)) if _ours_to_rebind(c.cell_contents) else c
        for c in function.__closure__ or ()
    )
    scope = {**function.__globals__, "torch": thalweg, "Tensor": thalweg.Tensor}
    if "wrapper_set_seed" in scope:
        scope["wrapper_set_seed"] = lambda op, *args, **kwargs: op(*args, **kwargs)
    copy = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells_of)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _ours_to_rebind(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and "torch.testing" in (value.__module__ or "")


def reach(root: Any, path: str) -> Any:
    """Return what a dotted name means, or None."""
    for part in path.split("."):
        root = getattr(root, part, None)
        if root is None:
            return None
    return root


def present(name: str) -> bool:
    """Whether the library has `name`."""
    return reach(thalweg, name) is not None


def pair(op: Any, name: str) -> tuple[Callable[..., Any] | None, Callable[..., Any]]:
    """Return what to call on our side and on PyTorch's for an operation under one of its names."""
    torch, _ = torch_module()
    function = op.op
    kind = type(function).__name__
    if name in ("Tensor.__getitem__",):
        return (lambda x, key: x[key]), (lambda x, key: x[key])
    if isinstance(function, types.FunctionType) and "torch.testing" in (function.__module__ or ""):
        return rebound(function), function
    if name in OTHER_NAME and not name.startswith("Tensor."):
        return reach(thalweg, name), reach(torch, name)
    if kind in ("method_descriptor", "wrapper_descriptor") or function.__module__ == "torch._tensor":
        return getattr(thalweg.Tensor, function.__name__, None), function
    found = reach(thalweg, op.name) or getattr(thalweg.Tensor, op.name, None)
    return found, function
