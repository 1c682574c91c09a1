"""Checkpoints of optimizers as safetensors files, which PyTorch's optimizers read and write too.

A state dict is a tree of dicts, lists, tensors and plain values. In the file every tensor lies under its path,
``state.0.exp_avg``; everything else is JSON in the file's metadata.
"""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import DataError, MissingExtra

__all__ = ["flatten_state", "load_state", "save_state", "unflatten_state"]


def flatten_state(state_dict: Any) -> tuple[dict[str, Any], str]:
    """Return the tensors of a state dict by path, as arrays, and the rest as JSON. PyTorch's tensors are taken too."""
    tensors: dict[str, Any] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {"dict": [[k, walk(v, f"{path}.{k}" if path else str(k))] for k, v in value.items()]}
        if isinstance(value, (list, tuple)):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [walk(v, f"{path}.{k}") for k, v in enumerate(value)]}
        if isinstance(value, TensorBase):
            tensors[path] = np.ascontiguousarray(value._data).reshape(value._data.shape)
            return {"tensor": path}
        if isinstance(value, np.ndarray) or hasattr(value, "__dlpack__"):
            array = np.asarray(value.detach() if hasattr(value, "detach") else value)
            tensors[path] = np.ascontiguousarray(array).reshape(array.shape)
            return {"tensor": path}
        if value is None or isinstance(value, (bool, int, float, str)):
            return {"value": value}
        raise DataError(f"save_state: {path} is of type {type(value).__name__}, which cannot be stored.")

    return tensors, json.dumps(walk(state_dict, ""))


def unflatten_state(tensors: dict[str, Any], rest: str, make: Any = None) -> Any:
    """Put a state dict together again; `make` turns arrays into tensors (of ours, if None)."""
    wrap = make or (lambda array: TensorBase._wrap(_dtype.accepted(np.array(array))))

    def build(node: dict[str, Any]) -> Any:
        ((kind, value),) = node.items()
        if kind == "dict":
            return {k: build(v) for k, v in value}
        if kind in ("list", "tuple"):
            items = [build(v) for v in value]
            return tuple(items) if kind == "tuple" else items
        return wrap(tensors[value]) if kind == "tensor" else value

    return build(json.loads(rest))


def _library() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise MissingExtra("save_state: safetensors is needed; install it with: pip install 'thalweg[lab]'.") from None
    return safetensors


def save_state(state_dict: Any, path: str | PathLike[str]) -> None:
    """Write a state dict (of ours or of PyTorch's) to a safetensors file."""
    tensors, rest = flatten_state(state_dict)
    _library().numpy.save_file(tensors, path, metadata={"format": "thalweg.state", "state": rest})


def load_state(path: str | PathLike[str], make: Any = None) -> Any:
    """Read a state dict from a file of :func:`save_state`, with tensors of ours, or what `make` makes of arrays.

    For PyTorch: ``torch_optimizer.load_state_dict(load_state(path, make=torch.from_numpy))``.
    """
    with _library().safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        if "state" not in metadata:
            raise DataError(f"load_state: {path} is no state dict written by save_state.")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    return unflatten_state(tensors, metadata["state"], make)
