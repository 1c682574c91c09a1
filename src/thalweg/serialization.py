"""Checkpoints: dicts, lists, tensors and plain values in a safetensors file, which holds no code.

In the file every tensor lies under its path, ``model.0.weight``; everything else is JSON in the file's metadata.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from .core import dtype as _dtype
from .core.tensor import TensorBase
from .errors import ArgumentError, DataError, MissingExtra

__all__ = ["load", "save"]

Place: TypeAlias = str | os.PathLike[str] | BinaryIO

KEY = "state"  # of the metadata
PICKLES = (b"PK\x03\x04", b"\x80")  # how files of torch.save begin


def library(who: str) -> Any:
    """Return safetensors' functions for bytes and arrays."""
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingExtra(f"{who}: safetensors is needed; install it with: pip install 'thalweg[lab]'.") from None
    return safetensors.numpy


def flatten_state(state: Any, who: str = "save_state") -> tuple[dict[str, Any], str]:
    """Return the tensors of a tree by path, as arrays, and the rest as JSON. PyTorch's tensors are taken too."""
    tensors: dict[str, Any] = {}

    def keep(array: Any, path: str) -> dict[str, str]:
        name = path
        while name in tensors:  # {"a.b": x, "a": {"b": y}}
            name += "'"
        tensors[name] = np.ascontiguousarray(array).reshape(array.shape)
        return {"tensor": name}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            kind = "ordered" if isinstance(value, OrderedDict) else "dict"
            for k in value:
                if not (k is None or isinstance(k, (bool, int, float, str))):
                    raise DataError(
                        f"{who}: keys must be text or numbers, got {k!r} in {path or 'the outermost dict'}."
                    )
            return {kind: [[k, walk(v, f"{path}.{k}" if path else str(k))] for k, v in value.items()]}
        if isinstance(value, (list, tuple)):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [walk(v, f"{path}.{k}" if path else str(k)) for k, v in enumerate(value)]}
        if isinstance(value, TensorBase):
            return keep(value._data, path)
        if isinstance(value, np.ndarray) or hasattr(value, "__dlpack__"):
            return keep(np.asarray(value.detach() if hasattr(value, "detach") else value), path)
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return {"value": value}
        hint = "; store its state_dict()" if hasattr(value, "state_dict") else ""
        raise DataError(
            f"{who}: {path or 'the object'} is of type {type(value).__name__}, which cannot be stored{hint}."
        )

    return tensors, json.dumps(walk(state, ""))


def unflatten_state(tensors: Mapping[str, Any], rest: str, make: Any = None, who: str = "load_state") -> Any:
    """Put a tree together again; `make` turns arrays into tensors (of ours, if None).

    Whatever is damaged in it is a DataError: the file says what it holds, and may say anything.
    """
    wrap = make or _tensor

    def build(node: dict[str, Any]) -> Any:
        ((kind, value),) = node.items()
        if kind in ("dict", "ordered"):
            items = [(k, build(v)) for k, v in value]
            return OrderedDict(items) if kind == "ordered" else dict(items)
        if kind in ("list", "tuple"):
            parts = [build(v) for v in value]
            return tuple(parts) if kind == "tuple" else parts
        if kind == "tensor":
            return wrap(tensors[value])
        if kind != "value" or isinstance(value, (dict, list)):
            raise ValueError(f"{kind!r} is no kind of entry")
        return value

    try:
        return build(json.loads(rest))
    except Exception as error:
        raise DataError(f"{who}: the file's description of its state is damaged: {error!r}.") from error


def _tensor(array: Any) -> Any:
    return TensorBase._wrap(_dtype.accepted(np.array(array)))


def save(obj: Any, f: Place) -> None:
    """Write tensors, numbers, text, and dicts, lists and tuples of them, to a file or an open one.

    The file is safetensors': it holds no code, and other programs read its tensors by their paths. Tensors come back
    without history. A file appears whole or not at all.

    Raises
    ------
    DataError
        Where something else is met: a module or an optimizer is stored as its ``state_dict()``.

    >>> import io, thalweg as tw
    >>> layer, file = tw.nn.Linear(2, 1), io.BytesIO()
    >>> tw.save({"model": layer.state_dict(), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> state = tw.load(file)
    >>> state["epoch"], layer.load_state_dict(state["model"])
    (3, <All keys matched successfully>)
    """
    tensors, rest = flatten_state(obj, "save")
    data = library("save").save(tensors, metadata={"format": "thalweg.state", KEY: rest})
    if not isinstance(f, (str, os.PathLike)):
        f.write(data)
        return
    path = os.fspath(f)
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        os.replace(part, path)
    except BaseException:
        if os.path.exists(part):
            os.remove(part)
        raise


def load(f: Place, map_location: Any = None, *, weights_only: bool = True, mmap: bool | None = None) -> Any:
    """Return what :func:`save` wrote; of any other safetensors file, its tensors by name.

    Nothing in the file is executed, so `weights_only` and `mmap` change nothing; `map_location` may only name the CPU.

    Raises
    ------
    DataError
        Where the file is none of safetensors: PyTorch's own checkpoints hold programs and are not read.
    """
    if map_location is not None and not str(getattr(map_location, "type", map_location)).startswith("cpu"):
        raise ArgumentError(f"load: map_location must be 'cpu', the only device, got {map_location!r}.")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            data = file.read()
        name = os.fspath(f)
    else:
        data, name = f.read(), "the file"
    try:
        tensors = library("load").load(data)
    except MissingExtra:
        raise
    except Exception as error:
        if data.startswith(PICKLES):
            raise DataError(
                f"load: {name} was written by torch.save and may hold programs; "
                "write it from PyTorch with safetensors.torch.save_file."
            ) from None
        raise DataError(f"load: {name} is no readable safetensors file: {error}.") from error
    rest = metadata(data, "load").get(KEY)
    return as_tensors(tensors, "load") if rest is None else unflatten_state(tensors, rest, None, "load")


def as_tensors(arrays: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Return the arrays of a file as tensors; types that the library lacks are a DataError."""
    try:
        return {name: _tensor(array) for name, array in arrays.items()}
    except Exception as error:
        raise DataError(f"{who}: the file holds what cannot be a tensor: {error}") from error


def metadata(data: bytes, who: str) -> dict[str, str]:
    """Return the metadata of a safetensors file: its header is JSON behind its own length in eight bytes."""
    try:
        length = int.from_bytes(data[:8], "little")
        found: dict[str, str] = dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})
    except Exception as error:
        raise DataError(f"{who}: the file's header is damaged: {error!r}.") from error
    return found
