"""Making tensors from data, and filled ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import current
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor as coerced
from ._coerce import shape_of
from .device import checked
from .layout import numpy_order

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "arange", "as_tensor", "asarray", "clone", "detach", "empty", "empty_like", "eye", "from_dlpack", "from_numpy",
    "full", "full_like", "linspace", "logspace", "meshgrid", "ones", "ones_like", "scalar_tensor", "tensor",
    "tril_indices", "triu_indices", "vander", "zeros", "zeros_like",
]  # fmt: skip


def _finished(data: Any, requires_grad: bool, device: Any = None) -> Tensor:
    if device is not None:
        checked(device)
    t = TensorBase._wrap(data)
    modes = current()
    if modes.recorder is not None:
        modes.recorder.constant(t)
    if modes.inference:
        t._version_list = None
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
    return _finished(array, requires_grad, device)


def _holds_arrays(data: Any) -> bool:
    """Whether the first element is a NumPy value, which keeps its type."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, TensorBase))


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where it is one already or an array of the wanted type."""
    if device is not None:
        checked(device)
    if not isinstance(data, (TensorBase, np.ndarray, np.generic)):
        return tensor(data, dtype=dtype)
    x = coerced(data)
    if dtype is None or x.dtype is _dtype.as_dtype(dtype):
        return x  # type: ignore[return-value]
    from .reduce import converted

    return converted(x, dtype)  # type: ignore[return-value]


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """`obj` as a tensor; `copy` says whether to copy always (True) or, as :func:`as_tensor`, only where needed."""
    t = as_tensor(obj, dtype, device)
    if copy:
        t = clone(t)
    return t.requires_grad_() if requires_grad else t


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor over the memory of an array: writing to one writes to the other.

    >>> import numpy as np
    >>> import thalweg as tw
    >>> a = np.zeros(2)
    >>> t = tw.from_numpy(a); t[0] = 5; float(a[0])
    5.0
    """
    if not isinstance(ndarray, np.ndarray):
        raise DTypeError(f"from_numpy: a NumPy array is required, got {type(ndarray).__name__}.")
    return coerced(ndarray)  # type: ignore[return-value]


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor over the memory of any object that speaks DLPack."""
    return coerced(np.from_dlpack(ext_tensor))  # type: ignore[return-value]


def scalar_tensor(s: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A 0-d tensor of the default floating type, or of `dtype`."""
    return _finished(np.asarray(s, _float_type(dtype)), requires_grad, device)


# Filled


def _float_type(dtype: Any) -> Any:
    return (_dtype.default_float() if dtype is None else _dtype.as_dtype(dtype)).np


def zeros(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of a shape, given as integers or as one sequence."""
    return _finished(np.zeros(_sizes(shape, size, "zeros"), _float_type(dtype)), requires_grad, device)


def ones(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of a shape, given as integers or as one sequence."""
    return _finished(np.ones(_sizes(shape, size, "ones"), _float_type(dtype)), requires_grad, device)


def empty(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of a shape whose elements are whatever the memory held."""
    return _finished(np.empty(_sizes(shape, size, "empty"), _float_type(dtype)), requires_grad, device)


def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """One value in a shape; the type follows the value.

    >>> import thalweg as tw
    >>> tw.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise DTypeError(f"full: size must be a tuple of integers, got {size!r}.")
    value = coerced(fill_value)
    if isinstance(fill_value, TensorBase):
        fill_value._told("full")
    target = value._data.dtype if dtype is None else _dtype.as_dtype(dtype).np
    element = fill_value if type(fill_value) is float else value._data  # the tensor of a float is rounded to float32
    return _finished(np.full(_sizes((), size, "full"), element, target), requires_grad, device)


def _sizes(shape: tuple[Any, ...], size: Any, who: str) -> tuple[int, ...]:
    if not shape and size is None:
        raise DTypeError(f"{who}: a shape is required: integers, or one sequence of them.")
    sizes = shape_of(shape if size is None else (size,), who)
    if any(k < 0 for k in sizes):
        raise ShapeError(f"{who}: sizes >= 0 are required, got {sizes}.")
    return sizes


def _like(input: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    x = coerced(input)
    return x._data.shape, x._data.dtype if dtype is None else _dtype.as_dtype(dtype).np


def zeros_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """Zeros with the shape and type of `input`."""
    return _finished(np.zeros(*_like(input, dtype)), requires_grad, device)


def ones_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """Ones with the shape and type of `input`."""
    return _finished(np.ones(*_like(input, dtype)), requires_grad, device)


def empty_like(
    input: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None, memory_format: Any = None
) -> Tensor:
    """A tensor with the shape and type of `input`, whose elements are whatever the memory held."""
    return _finished(np.empty(*_like(input, dtype)), requires_grad, device)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
    memory_format: Any = None,
) -> Tensor:
    """One value with the shape and type of `input`."""
    shape, target = _like(input, dtype)
    element = fill_value if type(fill_value) is float else coerced(fill_value)._data
    return _finished(np.full(shape, element, target), requires_grad, device)


# Sequences


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, (TensorBase, np.generic, np.ndarray)) else x


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Numbers from `start` up to, not including, `end`, `step` apart; integers give int64."""
    if end is None:
        start, end = 0, start
    start, end, step = given = [_number(x) for x in (start, end, step)]
    if step == 0:
        raise _BadRange("arange: step must not be 0.")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise _BadRange(f"arange: finite bounds are required, got {start} and {end}.")
    if (end - start) * step < 0:
        raise _BadRange(f"arange: the bounds {start} and {end} do not agree with the sign of step {step}.")
    whole = all(isinstance(x, int) for x in given)
    target = (_dtype.int64 if whole else _dtype.default_float()).np if dtype is None else _dtype.as_dtype(dtype).np
    if target.kind in "iu":
        start, end, step = int(start), int(end), int(step)
        if step == 0:
            raise _BadRange(f"arange: a step of at least 1 is required for {dtype}, got {given[2]}.")
    if whole or target.kind in "iu":
        return _finished(np.arange(start, end, step).astype(target), requires_grad, device)
    n = math.ceil((end - start) / step)
    return _finished((start + np.arange(n, dtype=np.float64) * step).astype(target), requires_grad, device)


class _BadRange(ShapeError):
    """Bounds that do not fit: PyTorch raises RuntimeError."""


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included, equally far apart."""
    target = _float_type(dtype)
    return _finished(_spaced(start, end, steps, target, "linspace").astype(target), requires_grad, device)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """`steps` numbers from ``base**start`` to ``base**end``, both included, each the same multiple of the one before."""
    target = _float_type(dtype)
    exponents = _spaced(start, end, steps, target, "logspace")
    return _finished((float(base) ** exponents).astype(target), requires_grad, device)


def _spaced(start: Any, end: Any, steps: int, target: Any, who: str) -> Any:
    a, b = _number(start), _number(end)
    if target.kind in "iu":
        a, b = int(a), int(b)
    if steps < 0:
        raise _BadRange(f"{who}: steps must be >= 0, got {steps}.")
    return np.linspace(a, b, steps, dtype=np.float64)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """The identity matrix [n, m] (m = n by default)."""
    if n < 0 or (m is not None and m < 0):
        raise ShapeError(f"eye: sizes >= 0 are required, got {n} and {m}.")
    return _finished(np.eye(n, m, dtype=_float_type(dtype)), requires_grad, device)


def _triangle(row: int, col: int, below: Any, who: str, dtype: Any, device: Any) -> Tensor:
    if row < 0 or col < 0:
        raise ShapeError(f"{who}: sizes >= 0 are required, got {row} and {col}.")
    target = np.dtype(np.int64) if dtype is None else _dtype.as_dtype(dtype).np
    found = np.nonzero(below(np.arange(col)[None, :] - np.arange(row)[:, None]))
    return _finished(np.stack(found).astype(target), False, device)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices [2, k] of the elements of a [row, col] matrix on and below the diagonal `offset`."""
    return _triangle(row, col, lambda d: d <= offset, "tril_indices", dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """The indices [2, k] of the elements of a [row, col] matrix on and above the diagonal `offset`."""
    return _triangle(row, col, lambda d: d >= offset, "triu_indices", dtype, device)


# Made of tensors


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of the grid over vectors, one tensor for each: views, not copies.

    `indexing`: ``"ij"`` (the first vector runs along dim 0; the default) or ``"xy"`` (along dim 1).
    """
    given: Sequence[Any] = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing not in (None, "ij", "xy"):
        raise _BadRange(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}.")
    xs: list[Any] = [coerced(x) for x in given]
    if not xs:
        raise _BadRange("meshgrid: at least one tensor is required, got none.")
    for x in xs:
        if x.ndim > 1:
            raise _BadRange(f"meshgrid: tensors of at most one dim are required, got shape {x._data.shape}.")
        if x._data.dtype != xs[0]._data.dtype:
            raise _BadRange(f"meshgrid: tensors of one type are required, got {xs[0].dtype} and {x.dtype}.")
    swapped = indexing == "xy" and len(xs) > 1
    if swapped:
        xs[0], xs[1] = xs[1], xs[0]
    shape = tuple(x._data.size for x in xs)
    grids = [
        x.reshape((1,) * k + (-1,) + (1,) * (len(xs) - 1 - k)).expand(shape) if x._data.size else x.reshape(shape)
        for k, x in enumerate(xs)
    ]
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix whose columns are the powers ``x**(N-1) … x**0`` of a vector, or their reverse.

    >>> import thalweg as tw
    >>> tw.vander(tw.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    from .join import stack

    column: Any = coerced(x)
    if column.ndim != 1:
        raise _BadRange(f"vander: a vector is required, got shape {column._data.shape}.")
    n = column._data.size if N is None else N
    if n < 0:
        raise _BadRange(f"vander: N must be an integer >= 0, got {n}.")
    if column._data.dtype.kind == "b":
        column = column.long()
    if n == 0:
        return zeros(column._data.size, 0, dtype=column.dtype)
    powers = [ones_like(column)]
    while len(powers) < n:
        powers.append(powers[-1] * column)
    return stack(powers if increasing else powers[::-1], dim=-1)


_clone: Primitive = Primitive("clone", lambda x: x.copy(order="K"), [lambda g: g], linear=True)
_clone_in_rows: Primitive = Primitive("clone", lambda x: x.copy(order="C"), [lambda g: g], linear=True)


def detach(input: Any) -> Tensor:
    """A tensor over the same memory, outside the graph."""
    return coerced(input).detach()  # type: ignore[return-value]


def clone(input: Any, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own, through which gradients flow; in the order of `input` unless told otherwise."""
    rows = numpy_order(memory_format, "clone") == "C"
    return apply(_clone_in_rows if rows else _clone, (coerced(input),))
