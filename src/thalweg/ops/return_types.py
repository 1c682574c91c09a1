"""Results with named parts, printed as PyTorch prints its own."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = [
    "aminmax", "cummax", "cummin", "kthvalue", "max", "median", "min", "mode", "nanmedian", "sort", "topk",
]  # fmt: skip


def show(result: Any) -> str:
    """Return the printed form: the name, then one ``field=value`` a line."""
    parts = ",\n".join(f"{name}={part!r}" for name, part in zip(result._fields, result, strict=True))
    return f"thalweg.return_types.{type(result).__name__}(\n{parts})"


class _ValuesIndices(NamedTuple):
    values: Any
    indices: Any


class max(_ValuesIndices):  # noqa: N801  (PyTorch's names, here and below)
    """Largest elements along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class min(_ValuesIndices):  # noqa: N801
    """Smallest elements along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class median(_ValuesIndices):  # noqa: N801
    """Medians along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class nanmedian(_ValuesIndices):  # noqa: N801
    """Medians along a dim without NaN, and where they are."""

    __slots__ = ()
    __repr__ = show


class mode(_ValuesIndices):  # noqa: N801
    """Most frequent elements along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class kthvalue(_ValuesIndices):  # noqa: N801
    """The k-th smallest elements along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class sort(_ValuesIndices):  # noqa: N801
    """Elements in order along a dim, and where they were."""

    __slots__ = ()
    __repr__ = show


class topk(_ValuesIndices):  # noqa: N801
    """The k largest elements along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class cummax(_ValuesIndices):  # noqa: N801
    """Running maxima along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class cummin(_ValuesIndices):  # noqa: N801
    """Running minima along a dim, and where they are."""

    __slots__ = ()
    __repr__ = show


class _MinMax(NamedTuple):
    min: Any
    max: Any


class aminmax(_MinMax):  # noqa: N801
    """Smallest and largest elements."""

    __slots__ = ()
    __repr__ = show
