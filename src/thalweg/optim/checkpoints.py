"""Checkpoints of optimizers as safetensors files, which PyTorch's optimizers read and write too."""

from __future__ import annotations

from os import PathLike
from typing import Any

from ..errors import DataError
from ..serialization import KEY, flatten_state, library, unflatten_state

__all__ = ["load_state", "save_state"]


def save_state(state_dict: Any, path: str | PathLike[str]) -> None:
    """Write a state dict (of ours or of PyTorch's) to a safetensors file."""
    tensors, rest = flatten_state(state_dict)
    library("save_state").save_file(tensors, path, metadata={"format": "thalweg.state", KEY: rest})


def load_state(path: str | PathLike[str], make: Any = None) -> Any:
    """Read a state dict from a file of :func:`save_state`, with tensors of ours, or what `make` makes of arrays.

    For PyTorch: ``torch_optimizer.load_state_dict(load_state(path, make=torch.from_numpy))``.
    """
    with library("load_state").safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        if KEY not in metadata:
            raise DataError(f"load_state: {path} is no state dict written by save_state.")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    return unflatten_state(tensors, metadata[KEY], make)
