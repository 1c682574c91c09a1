"""Memory of a planned program: pieces that values own, and how the axes of an array lie in one.

With ``THALWEG_DEBUG_MEMORY=1`` in the environment every buffer has a *fence* on either side, whose bytes are
compared after each run: a kernel that writes beside its buffer is named at once.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .program import Array, Operation, ProgramError

__all__ = [
    "Fences", "Root", "contiguous", "empty_in_order", "empty_like_order", "flat_form", "memory_order", "probe", "within",
]  # fmt: skip

_BAND, _FILL = 256, 0xA5  # bytes of a fence, and what they are


class Fences:
    """The buffers of one program; in the debug mode, their fences too."""

    __slots__ = ("bands", "on")

    def __init__(self) -> None:
        self.on = os.environ.get("THALWEG_DEBUG_MEMORY", "0") not in ("", "0")
        self.bands: list[tuple[str, Array]] = []  # whose buffer, and the bytes before or after it

    def empty(self, shape: Any, dtype: Any, name: str) -> Array:
        """Return a new array that lies in memory row by row, its elements not set."""
        if not self.on:
            return np.empty(shape, dtype)
        whole = np.full(np.empty(shape, np.bool_).size * np.dtype(dtype).itemsize + 2 * _BAND, _FILL, np.uint8)
        self.bands += [(f"before {name}", whole[:_BAND]), (f"after {name}", whole[-_BAND:])]
        return whole[_BAND:-_BAND].view(dtype).reshape(shape)

    def check(self) -> None:
        """Raise ProgramError if a fence was written to."""
        for name, band in self.bands:
            if not (band == _FILL).all():
                raise ProgramError(f"compile: a kernel wrote to memory {name}; a mistake of the compiler.")


def within(root: Root, offset: int, view: Array, what: str) -> None:
    """Raise ProgramError unless a view that begins `offset` bytes into a piece of memory lies in it, element by element."""
    ends = [s * (n - 1) for s, n in zip(view.strides, view.shape, strict=True)]
    low = offset + sum(min(e, 0) for e in ends)
    high = offset + sum(max(e, 0) for e in ends) + view.itemsize
    whole = view.dtype == root.array.dtype and not any(s % view.itemsize for s in (offset, *view.strides))
    if view.size and not (whole and 0 <= low < high <= root.array.nbytes):
        raise ProgramError(
            f"compile: {what} ({view.dtype}) reaches from byte {low} to {high} of {root.array.nbytes} bytes of "
            f"{root.array.dtype}; a mistake of the compiler."
        )


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
