"""Exchange of tensors with other libraries, without copying, by the DLPack protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import DTypeError

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["from_dlpack", "to_dlpack"]


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of any object that speaks DLPack: an array, another library's tensor, a capsule.

    >>> import numpy as np
    >>> import thalweg as tw
    >>> tw.from_dlpack(np.arange(3))
    tensor([0, 1, 2])
    """
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    elif not hasattr(ext_tensor, "__dlpack__"):
        raise DTypeError(f"from_dlpack: an object with __dlpack__ is required, got {type(ext_tensor).__name__}.")
    array = np.from_dlpack(ext_tensor, copy=copy)
    if array.dtype not in {d.np for d in _dtype.ALL}:
        names = ", ".join(d.name for d in _dtype.ALL)
        raise DTypeError(f"from_dlpack: one of {names} is required, got {array.dtype}.")
    return TensorBase._wrap(array)  # type: ignore[return-value]


class _Capsule:
    """A bare capsule as an object with the protocol's methods."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)  # the protocol's code for the CPU


def to_dlpack(tensor: Any) -> Any:
    """A capsule over the memory of a tensor, to be consumed once."""
    return tensor.__dlpack__()
