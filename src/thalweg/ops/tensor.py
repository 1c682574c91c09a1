"""The tensor that users hold: the core's, with the operations as methods and operators.

A method is the function of the same name; the family classes list them, so that each has one definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import DTypeError, GraphError
from . import arithmetic, create, index, inplace, join, logic, pointwise, products
from ._elementwise import binary, unary
from .methods import Methods

__all__ = ["Tensor", "is_tensor"]


class Tensor(Methods, TensorBase):
    """An n-dimensional array that remembers how it was computed.

    Made by :func:`thalweg.tensor` and the other creation functions, or from NumPy values. Its operations are
    PyTorch's; NumPy arrays and numbers may stand on either side of an operator.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * x).sum()
    >>> y.backward(); x.grad
    tensor([2., 4.])
    """

    __slots__ = ()

    def __new__(cls, *data: Any) -> Tensor:
        """Return a tensor of the default floating type: from data, or uninitialised of the given sizes."""
        if len(data) == 1 and not isinstance(data[0], int):
            made = create.tensor(data[0], dtype=_dtype.default_float())
        else:
            made = create.empty(*data) if data else create.empty(0)
        return made

    # Arithmetic operators: the frequent path goes straight to the primitive.

    def __add__(self, other: Any) -> Tensor:
        return binary(arithmetic._add, self, other)

    def __radd__(self, other: Any) -> Tensor:
        return binary(arithmetic._add, self, other)

    def __sub__(self, other: Any) -> Tensor:
        return arithmetic.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return arithmetic.rsub(self, other)

    def __mul__(self, other: Any) -> Tensor:
        return binary(arithmetic._mul, self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return binary(arithmetic._mul, self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return binary(arithmetic._div, self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return pointwise.reciprocal(self) * other

    def __floordiv__(self, other: Any) -> Tensor:
        return arithmetic.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return arithmetic.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return arithmetic.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return arithmetic.remainder(other, self)

    def __pow__(self, exponent: Any) -> Tensor:
        return arithmetic.pow(self, exponent)

    def __rpow__(self, base: Any) -> Tensor:
        return arithmetic.pow(base, self)

    def __neg__(self) -> Tensor:
        return unary(pointwise._neg, self)

    def __pos__(self) -> Tensor:
        return pointwise.positive(self)

    def __abs__(self) -> Tensor:
        return pointwise.abs(self)

    def __invert__(self) -> Tensor:
        return logic.bitwise_not(self)

    def __and__(self, other: Any) -> Tensor:
        return logic.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return logic.bitwise_and(other, self)

    def __or__(self, other: Any) -> Tensor:
        return logic.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Tensor:
        return logic.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Tensor:
        return logic.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return logic.bitwise_xor(other, self)

    def __lshift__(self, other: Any) -> Tensor:
        return logic.bitwise_left_shift(self, other)

    def __rlshift__(self, other: Any) -> Tensor:
        return logic.bitwise_left_shift(other, self)

    def __rshift__(self, other: Any) -> Tensor:
        return logic.bitwise_right_shift(self, other)

    def __rrshift__(self, other: Any) -> Tensor:
        return logic.bitwise_right_shift(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return products.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return products.matmul(other, self)

    def __iadd__(self, other: Any) -> Tensor:
        return inplace.add_(self, other)

    def __isub__(self, other: Any) -> Tensor:
        return inplace.sub_(self, other)

    def __imul__(self, other: Any) -> Tensor:
        return inplace.mul_(self, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return inplace.div_(self, other)

    def __ifloordiv__(self, other: Any) -> Tensor:
        return inplace.floor_divide_(self, other)

    def __imod__(self, other: Any) -> Tensor:
        return inplace.remainder_(self, other)

    def __iand__(self, other: Any) -> Tensor:
        return inplace.bitwise_and_(self, other)

    def __ior__(self, other: Any) -> Tensor:
        return inplace.bitwise_or_(self, other)

    def __ixor__(self, other: Any) -> Tensor:
        return inplace.bitwise_xor_(self, other)

    def __ilshift__(self, other: Any) -> Tensor:
        return inplace.bitwise_left_shift_(self, other)

    def __irshift__(self, other: Any) -> Tensor:
        return inplace.bitwise_right_shift_(self, other)

    def __ipow__(self, other: Any) -> Tensor:
        return inplace.pow_(self, other)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return arithmetic.eq(self, other) if _comparable(other) else NotImplemented

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return arithmetic.ne(self, other) if _comparable(other) else NotImplemented

    def __lt__(self, other: Any) -> Tensor:
        return arithmetic.lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return arithmetic.le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return arithmetic.gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return arithmetic.ge(self, other)

    __hash__ = object.__hash__

    def __getitem__(self, key: Any) -> Tensor:
        return index.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        index.setitem(self, key, value)

    # What Python asks of a value

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise DTypeError("len: a 0-d tensor has no length.")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise DTypeError("iter: a 0-d tensor cannot be iterated over.")
        return iter(join.unbind(self))

    def __reversed__(self) -> Tensor:
        return self.flip(0) if self._data.ndim else self

    def __contains__(self, value: Any) -> bool:
        return bool((self == value)._data.any())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise GraphError(
                f"bool: one element is required, got {self._data.size} (shape {self._data.shape}); use any() or all()."
            )
        self._told("bool")
        return bool(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind == "f" or self._data.size != 1:
            raise DTypeError(f"index: one integer is required, got {self.dtype} of shape {self._data.shape}.")
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._data.ndim == 0 and spec else format(repr(self), spec)

    def __repr__(self) -> str:
        from .printing import tensor_text

        return tensor_text(self)

    # NumPy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        data = self.numpy()
        if dtype is None or data.dtype == dtype:
            return data.copy() if copy else data
        return data.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .numpy_functions import ufunc_call

        return ufunc_call(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        from .numpy_functions import function_call

        return function_call(func, args, kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.requires_grad:
            raise _NotExportable("__dlpack__: this tensor requires grad; use detach() first.")
        return self._data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()

    # Pickling and copying keep values, type and requires_grad; a pickled result comes back as a leaf.

    def __reduce__(self) -> Any:
        return _rebuilt, (type(self), self._data, self.requires_grad)

    def __copy__(self) -> Tensor:
        twin: Any = _rebuilt(type(self), self._data, self.requires_grad)
        twin._version_list = self._version_list
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise GraphError(
                f"deepcopy: only leaves can be copied deeply, and this is a result ({self.grad_fn!r}); use clone()."
            )
        if id(self) in memo:
            return memo[id(self)]
        twin: Any = _rebuilt(type(self), _copied(self._data, memo), self.requires_grad)
        memo[id(self)] = twin
        if self._grad is not None:
            twin._grad = self._grad.__deepcopy__(memo)  # type: ignore[attr-defined]
        return twin


class _NotExportable(GraphError, BufferError):
    """The protocol's own error."""


def _copied(data: np.ndarray[Any, Any], memo: dict[int, Any]) -> np.ndarray[Any, Any]:
    """Copy an array within a deep copy: arrays over one memory share memory again."""
    owner = data
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is data or not owner.flags.forc:
        return _remembered(data, memo)
    memory = _remembered(owner, memo)
    offset = data.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return np.ndarray(
        data.shape, data.dtype, memory.data if memory.flags.c_contiguous else memory.T.data, offset, data.strides
    )


def _remembered(array: np.ndarray[Any, Any], memo: dict[int, Any]) -> np.ndarray[Any, Any]:
    copies: dict[int, Any] = memo.setdefault(id(_remembered), {})
    if id(array) not in copies:
        copies[id(array)] = (array.copy(order="K"), array)  # held too, so that its id stays its own
    return copies[id(array)][0]


def _rebuilt(cls: type[Any], data: np.ndarray[Any, Any], requires_grad: bool) -> Any:
    t: Any = object.__new__(cls)
    t._data, t._node, t._version_list, t._view, t._grad, t._tangents = data, None, [0], None, None, None
    if requires_grad:
        t.requires_grad_()
    return t


def _comparable(other: Any) -> bool:
    return isinstance(other, (TensorBase, int, float, np.ndarray, np.generic))


def is_tensor(obj: Any) -> bool:
    """Return whether `obj` is a tensor."""
    return isinstance(obj, TensorBase)


TensorBase._class = Tensor
