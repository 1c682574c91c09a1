"""Checkpoints of optimizers as safetensors files, which PyTorch's optimizers read and write too."""

from __future__ import annotations

from os import PathLike
from typing import Any

from ..errors import DataError
from ..serialization import KEY, flatten_state, library, metadata, unflatten_state

__all__ = ["load_state", "save_state"]


def save_state(state_dict: Any, path: str | PathLike[str]) -> None:
    """Write a state dict (of ours or of PyTorch's) to a safetensors file."""
    tensors, rest = flatten_state(state_dict)
    library("save_state").save_file(tensors, path, metadata={"format": "thalweg.state", KEY: rest})


def load_state(path: str | PathLike[str], make: Any = None) -> Any:
    """Read a state dict from a file of :func:`save_state`, with tensors of ours, or what `make` makes of arrays.

    For PyTorch: ``torch_optimizer.load_state_dict(load_state(path, make=torch.from_numpy))``.
    """
    found = library("load_state")
    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = found.load(data)
    except Exception as error:
        raise DataError(f"load_state: {path} is no readable safetensors file: {error}.") from error
    described = metadata(data, "load_state")
    if KEY not in described:
        raise DataError(f"load_state: {path} is no state dict written by save_state.")
    return unflatten_state(tensors, described[KEY], make)
