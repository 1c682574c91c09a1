"""Element types: PyTorch's names over NumPy's types, and PyTorch's rules of promotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DTypeError

__all__ = [
    "as_dtype",
    "bool_",
    "can_cast",
    "default_float",
    "dtype",
    "float32",
    "float64",
    "int32",
    "int64",
    "of_array",
    "promote",
    "set_default_float",
    "uint8",
]


class dtype:  # noqa: N801  (PyTorch's name)
    """An element type, such as ``thalweg.float32``. There is one object of each; compare with ``==`` or ``is``."""

    __slots__ = ("name", "np", "rank")

    def __init__(self, name: str, numpy_type: str, rank: int) -> None:
        self.name = name
        self.np: np.dtype[Any] = np.dtype(numpy_type)
        self.rank = rank  # 0 bool, 1 integer, 2 floating: PyTorch's categories

    @property
    def is_floating_point(self) -> bool:
        """Whether it holds fractions."""
        return self.rank == 2

    @property
    def is_complex(self) -> bool:
        """Always False: complex numbers are outside this library."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether it holds negative numbers."""
        return self.name not in ("bool", "uint8")

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.np.itemsize

    def __repr__(self) -> str:
        return f"thalweg.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name


float32 = dtype("float32", "float32", 2)
float64 = dtype("float64", "float64", 2)
int64 = dtype("int64", "int64", 1)
int32 = dtype("int32", "int32", 1)
uint8 = dtype("uint8", "uint8", 1)
bool_ = dtype("bool", "bool", 0)

ALL = (float32, float64, int64, int32, uint8, bool_)
_BY_NUMPY = {d.np: d for d in ALL}
_default = [float32]


def of_array(array: Any) -> dtype:
    """Return the element type of an array."""
    return _BY_NUMPY[array.dtype]


def as_dtype(value: Any) -> dtype:
    """Return `value` (ours, NumPy's, Python's or a name) as an element type."""
    if isinstance(value, dtype):
        return value
    if value is float:
        return _default[0]
    try:
        found = _BY_NUMPY.get(np.dtype(value))
    except TypeError:
        found = None
    if found is None:
        names = ", ".join(d.name for d in ALL)
        raise DTypeError(f"dtype must be one of {names}, got {value!r}.")
    return found


def default_float() -> dtype:
    """Return the element type that Python floats take."""
    return _default[0]


def set_default_float(value: Any) -> None:
    """Set the element type that Python floats take: float32 or float64."""
    found = as_dtype(value)
    if found.rank != 2:
        raise DTypeError(f"set_default_dtype: a floating-point type is required, got {found}.")
    _default[0] = found


def accepted(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a NumPy array with one of our element types, converting the kinds that PyTorch lacks or we do not hold."""
    kind = array.dtype.kind
    if array.dtype in _BY_NUMPY:
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    if kind == "f" and array.dtype.itemsize == 2:
        return array.astype(np.float32)
    if kind == "f":
        return array.astype(np.float64)
    if kind in "iu":
        return array.astype(np.int64)
    raise DTypeError(f"an array of numbers or truth values is required, got dtype {array.dtype}.")


def _pair(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.rank != b.rank:
        return a if a.rank > b.rank else b
    return _BY_NUMPY[np.promote_types(a.np, b.np)]


def promote(*values: Any) -> dtype:
    """Return the type of an operation on arrays and Python numbers, by PyTorch's three categories.

    Arrays with dimensions decide; 0-d arrays only raise the category (bool, integer, floating), and Python
    numbers only the category beyond those.
    """
    levels: list[dtype | None] = [None, None, None]
    for value in values:
        kind = type(value)
        if kind is bool:
            at, d = 2, bool_
        elif kind is int:
            at, d = 2, int64
        elif kind is float:
            at, d = 2, _default[0]
        else:
            at, d = (0 if value.ndim else 1), _BY_NUMPY[value.dtype]
        known = levels[at]
        levels[at] = d if known is None else _pair(known, d)
    result: dtype | None = None
    for level in levels:
        if level is not None and (result is None or level.rank > result.rank):
            result = level
    if result is None:
        raise DTypeError("promote: at least one value is required.")
    return result


def can_cast(source: dtype, target: dtype) -> bool:
    """Return whether a result of type `source` may be written into a tensor of type `target`."""
    return source.rank <= target.rank
