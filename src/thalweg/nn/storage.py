"""Tensors in files: safetensors, which hold names, types, shapes and numbers, and no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import DataError, DTypeError, MissingExtra
from ..serialization import as_tensors

__all__ = ["load", "save"]


def _library() -> Any:
    try:
        from safetensors import numpy as found
    except ImportError:
        raise MissingExtra(
            "nn.save and nn.load need safetensors; install it with: pip install 'thalweg[lab]'"
        ) from None
    return found


def save(state: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name (a ``state_dict()``) into a safetensors file, which PyTorch and others can read.

    >>> import tempfile, pathlib, thalweg as tw
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "layer.safetensors"
    >>> layer = tw.nn.Linear(2, 1)
    >>> tw.nn.save(layer.state_dict(), path)
    >>> tw.nn.Linear(2, 1).load_state_dict(tw.nn.load(path))
    <All keys matched successfully>
    """
    if not isinstance(state, Mapping):
        raise DTypeError(f"nn.save: a mapping from names to tensors is required, got {type(state).__name__}.")
    arrays = {}
    for name, value in state.items():
        if not isinstance(value, (TensorBase, np.ndarray)):
            raise DTypeError(f"nn.save: {name!r} must be a tensor, got {type(value).__name__}.")
        data = value._data if isinstance(value, TensorBase) else value
        arrays[name] = np.array(data, order="C")
    _library().save_file(arrays, path, None if metadata is None else dict(metadata))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the tensors in a safetensors file by name. Nothing in the file is executed."""
    library = _library()
    try:
        arrays = library.load_file(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise DataError(f"nn.load: {os.fspath(path)} is no readable safetensors file: {error}.") from error
    return as_tensors(arrays, "nn.load")
