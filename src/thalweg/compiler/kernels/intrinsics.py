"""Machine instructions without a branch, for scalar functions: selections, extremes, bits, roundings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.core import imputils as _imputils
from numba.extending import intrinsic

cgutils: Any = _cgutils  # without types
imputils: Any = _imputils

__all__ = [
    "INF", "NAN", "abs_f4", "abs_f8", "as_f4", "as_f8", "b1", "bits_f4", "bits_f8", "ceil_f4", "ceil_f8", "cut", "f4",
    "f8", "floor_f4", "floor_f8", "fma_f4", "i4", "i8", "maximum_f4", "maximum_f8", "maximum_i4", "maximum_i8",
    "maximum_u1", "minimum_f4", "minimum_f8", "minimum_i4", "minimum_i8", "minimum_u1", "round_f4", "round_f8",
    "select", "sqrt_f4", "sqrt_f8", "trunc_f4", "trunc_f8", "u1",
]  # fmt: skip

INF, NAN = math.inf, math.nan
f4, f8, i8, i4, u1 = np.float32, np.float64, np.int64, np.int32, np.uint8
b1 = np.bool_


@intrinsic
def _select(typingctx: Any, condition: Any, x: Any, y: Any) -> Any:
    """``x if condition else y`` without a branch."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        c = context.cast(builder, args[0], signature.args[0], types.boolean)
        return builder.select(c, args[1], args[2])

    if x != y:
        return None
    return x(condition, x, y), codegen


select: Any = _select


@intrinsic
def _cut(typingctx: Any, array: Any, first: Any, count: Any) -> Any:
    """The part ``array[first:][:count]``, which must lie within: compiled in half the time of two slices."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        part = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        part.meminfo, part.parent, part.itemsize = whole.meminfo, whole.parent, whole.itemsize
        part.data, part.nitems = builder.gep(whole.data, [args[1]]), args[2]
        part.shape = cgutils.pack_array(builder, [args[2]])
        part.strides = cgutils.pack_array(builder, [whole.itemsize])
        return imputils.impl_ret_borrowed(context, builder, signature.return_type, part._getvalue())

    return types.Array(array.dtype, 1, "C")(array, types.int64, types.int64), codegen


cut: Any = _cut


def _extreme(sign: str) -> Any:
    @intrinsic
    def extreme(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b = args
            if isinstance(signature.args[0], types.Float):
                better = builder.select(builder.fcmp_unordered(sign, a, b), a, b)
                return builder.select(builder.fcmp_unordered("uno", b, b), b, better)
            compare = builder.icmp_signed if signature.args[0].signed else builder.icmp_unsigned
            return builder.select(compare(sign, a, b), a, b)

        if x != y:
            return None
        return x(x, y), codegen

    return extreme


maximum_f4 = maximum_f8 = maximum_i8 = maximum_i4 = maximum_u1 = _extreme(">")
minimum_f4 = minimum_f8 = minimum_i8 = minimum_i4 = minimum_u1 = _extreme("<")


def _bits(source: Any, target: Any) -> Any:
    @intrinsic
    def bits(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), codegen

    return bits


as_f4 = _bits(types.int32, types.float32)
as_f8 = _bits(types.int64, types.float64)
bits_f4 = _bits(types.float32, types.int32)
bits_f8 = _bits(types.float64, types.int64)


def _round(name: str) -> Any:
    @intrinsic
    def rounded(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = context.get_value_type(x)
            fn = builder.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind]))
            return builder.call(fn, args)

        return x(x), codegen

    return rounded


floor_f4 = floor_f8 = _round("floor")
ceil_f4 = ceil_f8 = _round("ceil")
trunc_f4 = trunc_f8 = _round("trunc")
round_f4 = round_f8 = _round("nearbyint")
sqrt_f4 = sqrt_f8 = _round("sqrt")
abs_f4 = abs_f8 = _round("fabs")


@intrinsic
def _fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    if not x == y == z:
        return None
    return x(x, y, z), codegen


fma_f4: Any = _fma
