"""Element types as PyTorch's functions know them: their limits, their promotion, the default; and questions to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import Size, TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import need_tensor

__all__ = [
    "broadcast_shapes", "can_cast", "finfo", "get_default_dtype", "get_float32_matmul_precision", "iinfo",
    "is_complex", "is_floating_point", "is_inference", "is_nonzero", "is_same_size", "is_signed", "numel",
    "promote_types", "result_type", "set_default_dtype", "set_float32_matmul_precision", "typename",
    "use_deterministic_algorithms",
]  # fmt: skip


class finfo:  # noqa: N801  (PyTorch's name)
    """The limits of a floating-point type.

    >>> import thalweg as tw
    >>> tw.finfo(tw.float32).eps
    1.1920928955078125e-07
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: Any = None) -> None:
        found = _dtype.default_float() if type is None else _dtype.as_dtype(type)
        if found.rank != 2:
            raise DTypeError(f"finfo: a floating-point type is required, got {found}; use iinfo.")
        known = np.finfo(found.np)
        self.dtype = found.name
        self.bits = int(known.bits)
        self.eps = float(known.eps)
        self.max = float(known.max)
        self.min = float(known.min)
        self.tiny = self.smallest_normal = float(known.smallest_normal)
        self.resolution = float(known.resolution)

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:  # noqa: N801  (PyTorch's name)
    """The limits of an integer type."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: Any) -> None:
        found = _dtype.as_dtype(type)
        if found.rank != 1:
            raise DTypeError(f"iinfo: an integer type is required, got {found}; use finfo.")
        known = np.iinfo(found.np)
        self.dtype = found.name
        self.bits = int(known.bits)
        self.max = int(known.max)
        self.min = int(known.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def get_default_dtype() -> _dtype.dtype:
    """The type that Python floats take."""
    return _dtype.default_float()


def set_default_dtype(d: Any) -> None:
    """Let Python floats take another type: float32 or float64."""
    _dtype.set_default_float(d)


def _value(x: Any) -> Any:
    return x._data if isinstance(x, TensorBase) else _dtype.accepted(x) if isinstance(x, np.ndarray) else x


def result_type(tensor1: Any, tensor2: Any) -> _dtype.dtype:
    """The type of an operation on two tensors or numbers.

    >>> import thalweg as tw
    >>> tw.result_type(tw.tensor([1, 2]), 1.0)
    thalweg.float32
    """
    return _dtype.promote(_value(tensor1), _value(tensor2))


def promote_types(type1: Any, type2: Any) -> _dtype.dtype:
    """The smallest type that both can be converted to."""
    first, second = _dtype.as_dtype(type1), _dtype.as_dtype(type2)
    return _dtype.promote(np.empty(1, first.np), np.empty(1, second.np))


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of one type may be written into a tensor of the other."""
    return _dtype.can_cast(_dtype.as_dtype(from_), _dtype.as_dtype(to))


def is_floating_point(input: Any) -> bool:
    """Whether the elements are floating-point numbers."""
    return need_tensor(input, "is_floating_point")._data.dtype.kind == "f"


def is_complex(input: Any) -> bool:
    """Whether the elements are complex numbers: never."""
    need_tensor(input, "is_complex")
    return False


def is_signed(input: Any) -> bool:
    """Whether the elements may be negative."""
    return need_tensor(input, "is_signed").dtype.is_signed


def is_nonzero(input: Any) -> bool:
    """Whether the only element is not 0."""
    x = need_tensor(input, "is_nonzero")
    if x._data.size != 1:
        raise ShapeError(f"is_nonzero: one element is required, got {x._data.size} (shape {x._data.shape}).")
    x._told("is_nonzero")
    return bool(x._data.item())


def is_same_size(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape."""
    return need_tensor(input, "is_same_size")._data.shape == need_tensor(other, "is_same_size", "other")._data.shape


def is_inference(input: Any) -> bool:
    """Whether the tensor was made under ``inference_mode``."""
    return need_tensor(input, "is_inference").is_inference()


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which tensors of these shapes broadcast together.

    >>> import thalweg as tw
    >>> tw.broadcast_shapes((2, 1), (3,))
    thalweg.Size([2, 3])
    """
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        said = ", ".join(str(shape) for shape in shapes)
        raise ShapeError(f"broadcast_shapes: shapes that broadcast together are required, got {said}.") from None


def typename(obj: Any) -> str:
    """The name of a type, for tensors with their element type."""
    return obj.type() if isinstance(obj, TensorBase) else f"{type(obj).__module__}.{type(obj).__qualname__}"  # type: ignore[attr-defined]


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Change nothing: two runs always add in the same order."""


def set_float32_matmul_precision(precision: str) -> None:
    """Change nothing: products of float32 are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise ArgumentError(
            f"set_float32_matmul_precision: 'highest', 'high' or 'medium' is required, got {precision!r}."
        )


def get_float32_matmul_precision() -> str:
    """``'highest'``: products of float32 are always computed in float32."""
    return "highest"


def numel(input: Any) -> int:
    """The number of elements."""
    return need_tensor(input, "numel")._data.size
