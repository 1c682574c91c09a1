"""Types, devices and metadata as methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core import dtype as _dtype
from ...core.tensor import TensorBase
from ...errors import ArgumentError, ShapeError
from .. import create, limits, reduce, shape
from .._coerce import one_dim
from ..layout import contiguous_format, rows_only

if TYPE_CHECKING:
    from ..tensor import Tensor


class Conversions:
    """Types, devices and metadata."""

    __slots__ = ()

    def to(
        self: Any, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False
    ) -> Tensor:
        """The tensor with another element type; devices other than the CPU are refused."""
        for arg in args:
            if isinstance(arg, TensorBase):
                dtype = arg.dtype
            elif isinstance(arg, _dtype.dtype) or (isinstance(arg, type) and arg in (float, int, bool)):
                dtype = arg
            elif isinstance(arg, bool):
                continue
            else:
                device = arg
        if device is not None and not str(getattr(device, "type", device)).startswith("cpu"):
            raise ArgumentError(f"to: the only device is 'cpu', got {device!r}.")
        result = reduce.converted(self, dtype)
        return create.clone(result) if copy and result is self else result  # type: ignore[return-value]

    def type(self: Any, dtype: Any = None) -> Any:
        """The name of the type, or the tensor converted to `dtype`."""
        if dtype is None:
            return f"thalweg.{self.dtype.name}"
        return reduce.converted(self, dtype)

    def type_as(self: Any, other: TensorBase) -> Tensor:
        """The tensor with the element type of `other`."""
        return reduce.converted(self, other.dtype)  # type: ignore[return-value]

    def float(self: Any) -> Tensor:
        """As float32."""
        return reduce.converted(self, _dtype.float32)  # type: ignore[return-value]

    def double(self: Any) -> Tensor:
        """As float64."""
        return reduce.converted(self, _dtype.float64)  # type: ignore[return-value]

    def long(self: Any) -> Tensor:
        """As int64."""
        return reduce.converted(self, _dtype.int64)  # type: ignore[return-value]

    def int(self: Any) -> Tensor:
        """As int32."""
        return reduce.converted(self, _dtype.int32)  # type: ignore[return-value]

    def bool(self: Any) -> Tensor:
        """As truth values."""
        return reduce.converted(self, _dtype.bool_)  # type: ignore[return-value]

    def byte(self: Any) -> Tensor:
        """As uint8."""
        return reduce.converted(self, _dtype.uint8)  # type: ignore[return-value]

    def cpu(self: Any) -> Tensor:
        """The tensor itself."""
        return self

    @property
    def device(self: Any) -> Any:
        """Always the CPU."""
        from ..device import CPU

        return CPU

    def size(self: Any, dim: Any = None) -> Any:
        """The shape, or the size of one dim."""
        return self.shape if dim is None else self._data.shape[one_dim(dim, self.ndim, "size")]

    def dim(self: Any) -> Any:
        """The number of dims."""
        return self._data.ndim

    ndimension = dim

    def nelement(self: Any) -> Any:
        """The number of elements."""
        return self._data.size

    def element_size(self: Any) -> Any:
        """Bytes per element."""
        return self._data.itemsize

    @property
    def itemsize(self: Any) -> Any:
        """Bytes per element."""
        return self._data.itemsize

    @property
    def nbytes(self: Any) -> Any:
        """Bytes in all."""
        return self._data.nbytes

    def stride(self: Any, dim: Any = None) -> Any:
        """Elements to step over per dim."""
        found = tuple(k // self._data.itemsize for k in self._data.strides)
        return found if dim is None else found[one_dim(dim, self.ndim, "stride")]

    def is_contiguous(self: Any, memory_format: Any = None) -> Any:
        """Whether the elements lie one after the other in row-major order."""
        rows_only(memory_format, "is_contiguous")
        return self._data.flags.c_contiguous

    def contiguous(self: Any, memory_format: Any = None) -> Tensor:
        """The tensor itself if its elements lie in row-major order, else a copy in that order."""
        rows_only(memory_format, "contiguous")
        return self if self._data.flags.c_contiguous else create.clone(self, memory_format=contiguous_format)

    def data_ptr(self: Any) -> Any:
        """The address of the first element."""
        return self._data.__array_interface__["data"][0]

    @property
    def is_cpu(self: Any) -> Any:
        """Whether it lies in the memory of the processor: always."""
        return True

    @property
    def is_cuda(self: Any) -> Any:
        """Whether it lies on a graphics processor: never."""
        return False

    @property
    def is_sparse(self: Any) -> Any:
        """Whether zeros are left out: never."""
        return False

    def get_device(self: Any) -> Any:
        """The number of the graphics processor, -1 for the CPU."""
        return -1

    def storage_offset(self: Any) -> Any:
        """Elements between the beginning of the memory and the first element."""
        owner = self._data
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        start = self._data.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        return start // self._data.itemsize

    is_floating_point = limits.is_floating_point
    is_complex = limits.is_complex
    is_signed = limits.is_signed
    is_nonzero = limits.is_nonzero
    is_same_size = limits.is_same_size

    @property
    def T(self: Any) -> Tensor:
        """All dims in reverse order."""
        return shape.permute(self, *range(self.ndim)[::-1]) if self.ndim else self

    @property
    def mT(self: Any) -> Tensor:
        """The last two dims exchanged."""
        if self.ndim < 2:
            raise ShapeError(f"mT: at least 2 dims are required, got shape {self._data.shape}.")
        return shape.transpose(self, -2, -1)

    mH = mT  # noqa: N815  (PyTorch's name)

    @property
    def H(self: Any) -> Tensor:
        """The transpose of a matrix."""
        if self.ndim not in (0, 2):
            raise ShapeError(f"H: a matrix is required, got shape {self._data.shape}.")
        return shape.transpose(self, 0, 1) if self.ndim else self

    def new_tensor(
        self: Any, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """A new tensor from `data`, of this one's type."""
        return create.tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_zeros(
        self: Any, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """Zeros of a shape, of this tensor's type."""
        return create.zeros(*shape, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_ones(
        self: Any, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """Ones of a shape, of this tensor's type."""
        return create.ones(*shape, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_empty(
        self: Any, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """An uninitialised tensor of a shape, of this tensor's type."""
        return create.empty(*shape, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_full(
        self: Any, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """One value in a shape, of this tensor's type."""
        return create.full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)
