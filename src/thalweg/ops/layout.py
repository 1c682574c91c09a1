"""Orders of elements in memory: the row-major one, and the one that a tensor has."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError

__all__ = ["contiguous_format", "memory_format", "numpy_order", "preserve_format", "rows_only"]


class memory_format:  # noqa: N801  (PyTorch's name)
    """An order of the elements in memory; ``contiguous_format`` and ``preserve_format`` are all there are."""

    __slots__ = ("name", "order")

    def __init__(self, name: str, order: Any) -> None:
        self.name, self.order = name, order

    def __repr__(self) -> str:
        return f"thalweg.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format", "C")
preserve_format = memory_format("preserve_format", "K")


class _NoSuchFormat(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError for formats that an operation does not take."""


def numpy_order(given: Any, who: str) -> Any:
    """Return NumPy's letter for a memory format, that of ``preserve_format`` if none is given."""
    if given is None:
        return preserve_format.order
    if not isinstance(given, memory_format):
        raise _NoSuchFormat(
            f"{who}: memory_format must be thalweg.contiguous_format or thalweg.preserve_format, got {given!r}."
        )
    return given.order


def rows_only(given: Any, who: str) -> None:
    """Raise unless a memory format is the row-major one, or None."""
    if given is not None and numpy_order(given, who) != contiguous_format.order:
        raise _NoSuchFormat(f"{who}: memory_format must be thalweg.contiguous_format, got {given!r}.")
