"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.tensor import TensorBase
from ...errors import DTypeError, ShapeError
from ...ops.join import cat

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The elements of all parameters, one after the other; gradients flow through."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Put the elements of a vector into the parameters, in the order of :func:`parameters_to_vector`."""
    if not isinstance(vec, TensorBase):
        raise DTypeError(f"vector_to_parameters: a tensor is required, got {type(vec).__name__}.")
    wanted = list(parameters)
    total = sum(p.numel() for p in wanted)
    if vec._data.shape != (total,):
        raise ShapeError(f"vector_to_parameters: a vector of {total} elements is required, got {vec._data.shape}.")
    start = 0
    for p in wanted:
        n = p.numel()
        p.data = vec[start : start + n].reshape(*p.shape).data.clone()  # type: ignore[index]
        start += n
