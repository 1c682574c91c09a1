"""Which tensors have memory in common: a program is made for arguments and results that have not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from .program import Array

__all__ = ["owner_of", "share"]

WORK: Any = 10_000  # NumPy's measure of how long it looks for a common element; then there may be one


def owner_of(array: Array) -> Any:
    """Return the array that has the memory of a view, or the object that NumPy took it from."""
    base = array.base
    while type(base) is np.ndarray and base.base is not None:
        base = base.base
    return array if base is None else base


def share(tensors: list[TensorBase]) -> bool:
    """Return whether any two tensors have an element in common."""
    for k, x in enumerate(tensors):
        for y in tensors[:k]:
            if np.may_share_memory(x._data, y._data):
                try:
                    found: bool = np.shares_memory(x._data, y._data, max_work=WORK)
                except np.exceptions.TooHardError:
                    return True
                if found:
                    return True
    return False
