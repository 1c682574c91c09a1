"""Parameters and buffers: tensors that a module owns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import DTypeError
from ..ops.create import tensor
from ..ops.tensor import Tensor

__all__ = ["Buffer", "Parameter"]


def _own(cls: type[Any], data: Any) -> Any:
    """Return a leaf of class `cls` over the memory of `data`."""
    if data is None:
        data = TensorBase._wrap(np.empty((0,), np.float32))
    if not isinstance(data, TensorBase):
        data = tensor(data)
    t = object.__new__(cls)
    t._data = data._data
    t._node = None
    t._version_list = [0]
    t._view = None
    t._grad = None
    t._tangents = None
    return t


class Parameter(Tensor):
    """A tensor that a module learns: assigned to an attribute of a module, it is listed by ``parameters()``.

    It lies over the memory of `data` and is a leaf that requires grad (unless told otherwise).

    >>> import thalweg as tw
    >>> from thalweg import nn
    >>> nn.Parameter(tw.tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        """Return a leaf over the memory of `data` (a tensor, an array or numbers)."""
        made: Parameter = _own(cls, data)
        if requires_grad:
            made.requires_grad_()
        return made

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that a module keeps but does not learn: assigned to an attribute, it becomes a buffer."""

    __slots__ = ()

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        """Return a tensor over the memory of `data`; `persistent` ones are part of the state_dict."""
        if not isinstance(persistent, bool):
            raise DTypeError(f"Buffer: persistent must be a bool, got {type(persistent).__name__}.")
        return _own(_Transient if not persistent else cls, data)  # type: ignore[no-any-return]


class _Transient(Buffer):
    """A buffer that stays out of the state_dict."""

    __slots__ = ()
