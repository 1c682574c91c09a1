"""Making tensors from data, and filled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor, shape_of

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "arange", "as_tensor", "clone", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace", "ones",
    "ones_like", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def _finished(data: Any, requires_grad: bool) -> Tensor:
    t = TensorBase._wrap(data)
    if requires_grad:
        t.requires_grad_()
    return t  # type: ignore[return-value]


def _nested(data: Any) -> Any:
    """Return nested sequences with tensors in them replaced by their values."""
    if isinstance(data, TensorBase):
        data._told("tensor")
        return data._data
    if isinstance(data, (list, tuple)):
        return [_nested(x) for x in data]
    return data


def tensor(
    data: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, pin_memory: bool = False
) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested sequences, arrays.

    Python floats take the default floating type (float32), integers int64; NumPy values keep their type.

    >>> import thalweg as tw
    >>> tw.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if isinstance(data, (np.ndarray, np.generic, TensorBase)):
        source = data._data if isinstance(data, TensorBase) else np.asarray(data)
        if isinstance(data, TensorBase):
            data._told("tensor")
        array = np.array(_dtype.accepted(source), order="C")
    else:
        try:
            array = np.array(_nested(data))
        except ValueError:
            raise ShapeError("tensor: nested sequences of equal lengths are required.") from None
        if array.dtype == object or array.dtype.kind in "USMmc":
            kind = {"U": "text", "S": "text", "c": "complex numbers"}.get(array.dtype.kind, "objects")
            raise DTypeError(f"tensor: numbers or truth values are required, got {kind} ({type(data).__name__}).")
        if (array.dtype.kind == "f" and array.dtype == np.float64 and not _holds_arrays(data)) or (
            array.size == 0 and array.dtype == np.float64
        ):
            array = array.astype(_dtype.default_float().np)
        elif array.dtype.kind == "u" and array.dtype != np.uint8:
            raise DTypeError("tensor: an integer is too large for int64.")
        array = _dtype.accepted(array)
    if dtype is not None:
        target = _dtype.as_dtype(dtype).np
        if isinstance(data, float) and target.kind == "f":
            array = np.asarray(data, target)
        elif not isinstance(data, (np.ndarray, np.generic, TensorBase)) and target == np.float64:
            array = np.array(_nested(data), np.float64)
        else:
            array = array.astype(target)
    return _finished(array, requires_grad)


def _holds_arrays(data: Any) -> bool:
    """Whether the first element is a NumPy value, which keeps its type."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, TensorBase))


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor over the memory of an array."""
    if not isinstance(ndarray, np.ndarray):
        raise DTypeError(f"from_numpy: a NumPy array is required, got {type(ndarray).__name__}.")
    return as_tensor(ndarray)  # type: ignore[return-value]


def _float_type(dtype: Any) -> Any:
    return (_dtype.default_float() if dtype is None else _dtype.as_dtype(dtype)).np


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of a shape."""
    return _finished(np.zeros(_sizes(size, "zeros"), _float_type(dtype)), requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of a shape."""
    return _finished(np.ones(_sizes(size, "ones"), _float_type(dtype)), requires_grad)


def empty(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of a shape whose elements are whatever the memory held."""
    return _finished(np.empty(_sizes(size, "empty"), _float_type(dtype)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """One value in a shape; the type follows the value."""
    value = as_tensor(fill_value)
    target = value._data.dtype if dtype is None else _dtype.as_dtype(dtype).np
    return _finished(np.full(_sizes((size,), "full"), value._data, target), requires_grad)


def _sizes(size: tuple[Any, ...], who: str) -> tuple[int, ...]:
    sizes = shape_of(size, who)
    if any(k < 0 for k in sizes):
        raise ShapeError(f"{who}: sizes >= 0 are required, got {sizes}.")
    return sizes


def _like(input: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    x = as_tensor(input)
    return x._data.shape, x._data.dtype if dtype is None else _dtype.as_dtype(dtype).np


def zeros_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """Zeros with the shape and type of `input`."""
    return _finished(np.zeros(*_like(input, dtype)), requires_grad)


def ones_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """Ones with the shape and type of `input`."""
    return _finished(np.ones(*_like(input, dtype)), requires_grad)


def empty_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """A tensor with the shape and type of `input`, whose elements are whatever the memory held."""
    return _finished(np.empty(*_like(input, dtype)), requires_grad)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """One value with the shape and type of `input`."""
    shape, target = _like(input, dtype)
    return _finished(np.full(shape, as_tensor(fill_value)._data, target), requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Numbers from `start` up to, not including, `end`, `step` apart; integers give int64."""
    if end is None:
        start, end = 0, start
    given = [x.item() if isinstance(x, TensorBase) else x for x in (start, end, step)]
    start, end, step = given
    if step == 0:
        raise _BadRange("arange: step must not be 0.")
    if (end - start) * step < 0:
        raise _BadRange(f"arange: the bounds {start} and {end} do not agree with the sign of step {step}.")
    whole = all(isinstance(x, (int, np.integer)) for x in given)
    target = (_dtype.int64 if whole else _dtype.default_float()).np if dtype is None else _dtype.as_dtype(dtype).np
    if whole:
        return _finished(np.arange(start, end, step).astype(target), requires_grad)
    n = int(np.ceil((end - start) / step))
    return _finished((start + np.arange(n, dtype=np.float64) * step).astype(target), requires_grad)


class _BadRange(ShapeError):
    """Bounds that do not fit: PyTorch raises RuntimeError."""


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included, equally far apart."""
    a, b = (x.item() if isinstance(x, TensorBase) else x for x in (start, end))
    if steps < 0:
        raise _BadRange(f"linspace: steps must be >= 0, got {steps}.")
    return _finished(np.linspace(a, b, steps).astype(_float_type(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """The identity matrix [n, m] (m = n by default)."""
    if n < 0 or (m is not None and m < 0):
        raise ShapeError(f"eye: sizes >= 0 are required, got {n} and {m}.")
    return _finished(np.eye(n, m, dtype=_float_type(dtype)), requires_grad)


_clone: Primitive = Primitive("clone", lambda x: x.copy(), [lambda g: g], linear=True)


def clone(input: Any, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own, through which gradients flow."""
    return apply(_clone, (as_tensor(input),))
