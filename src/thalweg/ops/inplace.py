"""Operations that write their result into their first argument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import bump, check_write, write
from ..core.modes import current, restore, silence
from ..core.moves import SPREAD
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from . import arithmetic, pointwise
from ._coerce import as_tensor
from ._elementwise import Elementwise

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "abs_", "add_", "copy_", "div_", "exp_", "fill_", "log_", "mul_", "neg_", "pow_", "relu_", "sigmoid_", "sqrt_", "square_",
    "sub_", "tanh_", "zero_",
]  # fmt: skip

_copy: Primitive = Primitive(
    "copy", lambda x, value: value, [lambda g: g * 0, lambda g: g], backward="CopyBackwards", linear=True
)


def change(primitive: Elementwise, input: TensorBase, *others: Any) -> Tensor:
    """Apply an elementwise primitive in place; straight into the memory when nothing has to be recorded."""
    check_write(input, others)
    modes = current()
    data = input._data
    if not modes.special and data.dtype.kind == "f" and isinstance(primitive.forward, np.ufunc):
        recording = modes.grad and (
            input.requires_grad or any(isinstance(x, TensorBase) and x.requires_grad for x in others)
        )
        arrays = [x._data if isinstance(x, TensorBase) else x for x in others]
        if not recording and all(_same_kind(a, data) for a in arrays):
            token = silence()
            try:
                primitive.forward(data, *arrays, out=data)
            finally:
                restore(token)
            bump(input)
            return input  # type: ignore[return-value]
    return write(input, primitive.bind((input, *others)), primitive.name + "_")


def _same_kind(a: Any, data: Any) -> bool:
    if type(a) in (int, float):
        return data.flags.writeable
    return (
        isinstance(a, np.ndarray)
        and a.dtype == data.dtype
        and data.flags.writeable
        and (a.shape == data.shape or (a.ndim <= data.ndim and np.broadcast_shapes(a.shape, data.shape) == data.shape))
    )


def copy_(input: TensorBase, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src` (broadcast, converted) into `input`."""
    source = as_tensor(src)
    check_write(input, (source,))
    data = input._data
    if source._data.dtype != data.dtype:
        from .reduce import converted

        source = converted(source, input.dtype)
    if source._data.shape != data.shape:
        shape = source._data.shape
        while len(shape) > data.ndim and shape[0] == 1:
            shape = shape[1:]
        if len(shape) > data.ndim or any(m not in (1, n) for m, n in zip(shape[::-1], data.shape[::-1], strict=False)):
            raise ShapeError(f"copy_: shape {source._data.shape} cannot be broadcast to {data.shape}.")
        if shape != source._data.shape:
            source = source.reshape(shape)  # type: ignore[attr-defined]
        source = apply(SPREAD, (source,), (data.shape,))
    return write(input, apply(_copy, (input, source)), "copy_")


def fill_(input: TensorBase, value: Any) -> Tensor:
    """Write `value` everywhere."""
    return copy_(input, value)


def zero_(input: TensorBase) -> Tensor:
    """Write 0 everywhere."""
    return copy_(input, 0)


def add_(input: TensorBase, other: Any, *, alpha: float = 1) -> Tensor:
    """``input += alpha * other``."""
    return change(arithmetic._add, input, other if alpha == 1 else arithmetic._scaled(input, other, alpha))


def sub_(input: TensorBase, other: Any, *, alpha: float = 1) -> Tensor:
    """``input -= alpha * other``."""
    return change(arithmetic._sub, input, other if alpha == 1 else arithmetic._scaled(input, other, alpha))


def mul_(input: TensorBase, other: Any) -> Tensor:
    """``input *= other``."""
    return change(arithmetic._mul, input, other)


def div_(input: TensorBase, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``input /= other``."""
    if rounding_mode is None:
        return change(arithmetic._div, input, other)
    check_write(input, (other,))
    return write(input, arithmetic.div(input, other, rounding_mode=rounding_mode), "div_")


def pow_(input: TensorBase, exponent: Any) -> Tensor:
    """``input **= exponent``."""
    check_write(input, (exponent,))
    return write(input, arithmetic.pow(input, exponent), "pow_")


def neg_(input: TensorBase) -> Tensor:
    """Change the sign of every element."""
    return change(pointwise._neg, input)


def exp_(input: TensorBase) -> Tensor:
    """Replace every element by its exponential."""
    return change(pointwise._exp, input)


def log_(input: TensorBase) -> Tensor:
    """Replace every element by its logarithm."""
    return change(arithmetic._log, input)


def sqrt_(input: TensorBase) -> Tensor:
    """Replace every element by its square root."""
    return change(pointwise._sqrt, input)


def square_(input: TensorBase) -> Tensor:
    """Replace every element by its square."""
    return change(pointwise._square, input)


def abs_(input: TensorBase) -> Tensor:
    """Replace every element by its absolute value."""
    return change(pointwise._abs, input)


def tanh_(input: TensorBase) -> Tensor:
    """Replace every element by its hyperbolic tangent."""
    return change(pointwise._tanh, input)


def sigmoid_(input: TensorBase) -> Tensor:
    """Replace every element by its logistic function."""
    return change(pointwise._sigmoid, input)


def relu_(input: TensorBase) -> Tensor:
    """Replace every negative element by 0."""
    return change(pointwise._relu, input)
