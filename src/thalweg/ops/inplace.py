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
from . import arithmetic, combine, logic
from ._coerce import as_tensor
from ._elementwise import Elementwise, zeros

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "add_", "addcdiv_", "addcmul_", "arctan2_", "atan2_", "bitwise_and_", "bitwise_left_shift_", "bitwise_or_",
    "bitwise_right_shift_", "bitwise_xor_", "clamp_", "clamp_max_", "clamp_min_", "clip_", "copy_", "copysign_",
    "div_", "divide_", "eq_", "fill_", "float_power_", "floor_divide_", "fmod_", "ge_", "greater_", "greater_equal_",
    "gt_", "heaviside_", "hypot_", "ldexp_", "le_", "lerp_", "less_", "less_equal_", "logical_and_", "logical_or_",
    "logical_xor_", "lt_", "mul_", "multiply_", "ne_", "not_equal_", "pow_", "remainder_", "sub_", "subtract_",
    "true_divide_", "xlogy_", "zero_",
]  # fmt: skip

_copy: Primitive = Primitive(
    "copy", lambda x, value: value, [zeros, lambda g: g], backward="CopyBackwards", diagonal=True
)


def change(primitive: Elementwise, input: TensorBase, *others: Any) -> Tensor:
    """Apply an elementwise primitive in place; straight into the memory when nothing has to be recorded."""
    check_write(input, others)
    modes = current()
    data = input._data
    if (
        not modes.special
        and data.dtype.kind == "f"
        and data.flags.writeable
        and isinstance(primitive.forward, np.ufunc)
    ):
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
        return True
    return isinstance(a, np.ndarray) and a.dtype == data.dtype and (a.shape == data.shape or _fits(a.shape, data.shape))


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    """Whether `shape` broadcasts to `into`."""
    return len(shape) <= len(into) and all(m in (1, n) for m, n in zip(shape[::-1], into[::-1], strict=False))


def copy_(input: TensorBase, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of `src` (broadcast, converted) into `input`."""
    data = input._data
    exact = type(src) is float and data.dtype == np.float64  # as a tensor it would be rounded to float32
    source = TensorBase._wrap(np.asarray(src)) if exact else as_tensor(src)
    check_write(input, (source,))
    if source._data.dtype != data.dtype:
        from .reduce import converted

        source = converted(source, input.dtype)
    if source._data.shape != data.shape:
        if not _fits(source._data.shape, data.shape):
            raise ShapeError(f"copy_: shape {source._data.shape} cannot be broadcast to {data.shape}.")
        source = apply(SPREAD, (source,), (data.shape,))
    return write(input, apply(_copy, (input, source)), "copy_")


def fill_(input: TensorBase, value: Any) -> Tensor:
    """Write `value` everywhere."""
    return copy_(input, value)


def fill(input: Any, value: Any) -> Tensor:
    """A tensor of the shape and type of `input` with `value` everywhere."""
    from .create import clone

    return fill_(clone(input), value)


def zero_(input: TensorBase) -> Tensor:
    """Write 0 everywhere."""
    return copy_(input, 0)


def add_(input: TensorBase, other: Any, *, alpha: float = 1) -> Tensor:
    """``input += alpha * other``."""
    return change(arithmetic._add, input, other if alpha == 1 else arithmetic._scaled(input, other, alpha))


def sub_(input: TensorBase, other: Any, *, alpha: float = 1) -> Tensor:
    """``input -= alpha * other``."""
    if arithmetic._is_bool(input) or arithmetic._is_bool(other):
        raise arithmetic._no_bools("sub_")
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


def true_divide_(input: TensorBase, other: Any) -> Tensor:
    """``input /= other``."""
    return change(arithmetic._div, input, other)


def pow_(input: TensorBase, exponent: Any) -> Tensor:
    """``input **= exponent``."""
    check_write(input, (exponent,))
    return write(input, arithmetic.pow(input, exponent), "pow_")


def floor_divide_(input: TensorBase, other: Any) -> Tensor:
    """``input //= other``."""
    return _result(input, arithmetic.floor_divide, (other,), "floor_divide_")


def remainder_(input: TensorBase, other: Any) -> Tensor:
    """``input %= other``."""
    return _result(input, arithmetic.remainder, (other,), "remainder_")


def fmod_(input: TensorBase, other: Any) -> Tensor:
    """Replace every element by what remains of its division by `other`, rounded towards 0."""
    return _result(input, arithmetic.fmod, (other,), "fmod_")


def float_power_(input: TensorBase, exponent: Any) -> Tensor:
    """Raise every element (of a float64 tensor) to `exponent`."""
    return _result(input, combine.float_power, (exponent,), "float_power_")


def addcmul_(input: TensorBase, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input += value * tensor1 * tensor2``."""
    return _result(input, combine.addcmul, (tensor1, tensor2), "addcmul_", value=value)


def addcdiv_(input: TensorBase, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    """``input += value * tensor1 / tensor2``."""
    return _result(input, combine.addcdiv, (tensor1, tensor2), "addcdiv_", value=value)


def lerp_(input: TensorBase, end: Any, weight: Any) -> Tensor:
    """Move every element towards `end` by the part `weight` of the way."""
    return _result(input, combine.lerp, (end, weight), "lerp_")


def clamp_(input: TensorBase, min: Any = None, max: Any = None) -> Tensor:
    """Move every element into [`min`, `max`]."""
    return _result(input, combine.clamp, (min, max), "clamp_")


def clamp_min_(input: TensorBase, min: Any) -> Tensor:
    """Raise every element below `min` to it."""
    return _result(input, combine.clamp_min, (min,), "clamp_min_")


def clamp_max_(input: TensorBase, max: Any) -> Tensor:
    """Lower every element above `max` to it."""
    return _result(input, combine.clamp_max, (max,), "clamp_max_")


def atan2_(input: TensorBase, other: Any) -> Tensor:
    """Replace every element by the angle of the point (`other`, element)."""
    return _result(input, combine.atan2, (other,), "atan2_")


def hypot_(input: TensorBase, other: Any) -> Tensor:
    """Replace every element by the length of (element, `other`)."""
    return _result(input, combine.hypot, (other,), "hypot_")


def copysign_(input: TensorBase, other: Any) -> Tensor:
    """Give every element the sign of `other`."""
    return _result(input, combine.copysign, (other,), "copysign_")


def heaviside_(input: TensorBase, values: Any) -> Tensor:
    """Replace every element by 0 below 0, 1 above, and `values` at 0."""
    return _result(input, combine.heaviside, (values,), "heaviside_")


def xlogy_(input: TensorBase, other: Any) -> Tensor:
    """Multiply every element by the logarithm of `other`."""
    return _result(input, combine.xlogy, (other,), "xlogy_")


def ldexp_(input: TensorBase, other: Any) -> Tensor:
    """Multiply every element by ``2**other``."""
    return _result(input, combine.ldexp, (other,), "ldexp_")


# Comparisons, truth values and bits: the results take the type of the tensor they are written into.


def eq_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements are equal."""
    return _result(input, arithmetic.eq, (other,), "eq_")


def ne_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements differ."""
    return _result(input, arithmetic.ne, (other,), "ne_")


def lt_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements are less."""
    return _result(input, arithmetic.lt, (other,), "lt_")


def le_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements are less or equal."""
    return _result(input, arithmetic.le, (other,), "le_")


def gt_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements are greater."""
    return _result(input, arithmetic.gt, (other,), "gt_")


def ge_(input: TensorBase, other: Any) -> Tensor:
    """Write whether the elements are greater or equal."""
    return _result(input, arithmetic.ge, (other,), "ge_")


def logical_and_(input: TensorBase, other: Any) -> Tensor:
    """Write whether both are non-zero."""
    return _result(input, logic.logical_and, (other,), "logical_and_")


def logical_or_(input: TensorBase, other: Any) -> Tensor:
    """Write whether one of the two is non-zero."""
    return _result(input, logic.logical_or, (other,), "logical_or_")


def logical_xor_(input: TensorBase, other: Any) -> Tensor:
    """Write whether exactly one of the two is non-zero."""
    return _result(input, logic.logical_xor, (other,), "logical_xor_")


def bitwise_and_(input: TensorBase, other: Any) -> Tensor:
    """``input &= other``."""
    return _result(input, logic.bitwise_and, (other,), "bitwise_and_")


def bitwise_or_(input: TensorBase, other: Any) -> Tensor:
    """``input |= other``."""
    return _result(input, logic.bitwise_or, (other,), "bitwise_or_")


def bitwise_xor_(input: TensorBase, other: Any) -> Tensor:
    """``input ^= other``."""
    return _result(input, logic.bitwise_xor, (other,), "bitwise_xor_")


def bitwise_left_shift_(input: TensorBase, other: Any) -> Tensor:
    """``input <<= other``."""
    return _result(input, logic.bitwise_left_shift, (other,), "bitwise_left_shift_")


def bitwise_right_shift_(input: TensorBase, other: Any) -> Tensor:
    """``input >>= other``."""
    return _result(input, logic.bitwise_right_shift, (other,), "bitwise_right_shift_")


def _result(input: TensorBase, function: Any, others: tuple[Any, ...], who: str, **settings: Any) -> Tensor:
    """Write ``function(input, *others)``; truth values take the type of `input`."""
    check_write(input, others)
    value = function(input, *others, **settings)
    if value._data.dtype.kind == "b" and input._data.dtype.kind != "b":
        from .reduce import converted

        value = converted(value, input.dtype)
    return write(input, value, who)


arctan2_, clip_, divide_, multiply_, subtract_ = atan2_, clamp_, div_, mul_, sub_
greater_, greater_equal_, less_, less_equal_, not_equal_ = gt_, ge_, lt_, le_, ne_
