"""Memory of a planned program: pieces that values own, and how the axes of an array lie in one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .program import Array, Operation

__all__ = ["Root", "contiguous", "empty_in_order", "empty_like_order", "flat_form", "memory_order", "probe"]


class Root:
    """One piece of memory: its register, the registers of views of it, and the tables that hold its address."""

    __slots__ = ("array", "order", "places", "register", "size", "views")

    def __init__(self, register: int, array: Array, order: tuple[int, ...]) -> None:
        self.register = register
        self.array = array  # a prototype: the shape, the type and the strides are right
        self.order = order  # axes from the outermost in memory to the innermost
        self.views: list[tuple[int, int, Operation]] = []
        self.size = array.size
        self.places: list[tuple[Array, int, int]] = []  # in which table, at which place, from which byte


def memory_order(array: Array) -> tuple[int, ...] | None:
    """Return the axes as they lie in memory, outermost first, or None if there are gaps."""
    order = tuple(sorted(range(array.ndim), key=lambda k: (-abs(array.strides[k]), array.shape[k] == 1, k)))
    return order if array.transpose(order).flags.c_contiguous else None


def contiguous(array: Array) -> Array:
    """Return an array that lies in memory row by row: the same one if it does."""
    return array if array.flags.c_contiguous else array.copy()


def empty_in_order(shape: tuple[int, ...], order: tuple[int, ...], dtype: Any, zeros: bool = False) -> Array:
    """Return an array whose axes lie in memory in `order`."""
    make = np.zeros if zeros else np.empty
    return make(tuple(shape[k] for k in order), dtype).transpose(np.argsort(order).tolist())


def empty_like_order(data: Array, order: tuple[int, ...]) -> Array:
    """Return a copy of `data` whose axes lie in memory in `order`."""
    out = empty_in_order(data.shape, order, data.dtype)
    out[...] = data
    return out


def probe(prototype: Array) -> Array:
    """Return zeros that lie in memory as the prototype does."""
    order = memory_order(prototype)
    return empty_in_order(prototype.shape, order or tuple(range(prototype.ndim)), prototype.dtype, zeros=True)


def flat_form(array: Array, order: tuple[int, ...]) -> Array:
    """Return an array as it lies in memory, its axes in `order`, as one row of elements."""
    return array.transpose(order).reshape(-1)
