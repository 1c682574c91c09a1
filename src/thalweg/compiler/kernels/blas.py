"""Products of matrices by a BLAS library, called by its address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .native import word

__all__ = ["product"]

_ROWS, _AS_IT_IS, _TURNED = 101, 111, 112  # how CBLAS names the order of a matrix, and its transpose
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_I = types.int64


def _gemm(real: Any) -> Any:
    """Return the function that calls CBLAS for one type of number: ``c = a @ b`` for rows of c."""

    def gemm(
        typing: Any, function: Any, a_turned: Any, b_turned: Any, m: Any, n: Any, k: Any,
        a: Any, a_step: Any, b: Any, b_step: Any, c: Any, c_step: Any,
    ) -> Any:  # fmt: skip
        def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            function, a_turned, b_turned, m, n, k, a, a_step, b, b_step, c, c_step = args
            kind = ir.FunctionType(
                ir.VoidType(),
                [_I32, _I32, _I32, _I64, _I64, _I64, real, _I64, _I64, _I64, _I64, real, _I64, _I64],
            )
            turns = [
                builder.select(builder.trunc(t, ir.IntType(1)), _I32(_TURNED), _I32(_AS_IT_IS))
                for t in (a_turned, b_turned)
            ]
            one, nothing = ir.Constant(real, 1.0), ir.Constant(real, 0.0)
            given = [_I32(_ROWS), *turns, m, n, k, one, a, a_step, b, b_step, nothing, c, c_step]
            builder.call(builder.inttoptr(function, kind.as_pointer()), given)
            return context.get_dummy_value()

        return types.void(*(_I for _ in range(12))), write

    return intrinsic(gemm)


_single: Any = _gemm(ir.FloatType())
_double: Any = _gemm(ir.DoubleType())


def product(table: int, first: int, last: int) -> int:
    """Compute ``c = a @ b``, or part of its rows or columns.

    The table: c, a and b, the distances between their rows, whether a and b lie transposed; the sizes m, n and k; the
    bytes of a number; whether columns are divided; and the CBLAS function, whose integers have 64 bits.
    """
    c, a, b, c_step, a_step, b_step = (
        word(table, 0),
        word(table, 1),
        word(table, 2),
        word(table, 3),
        word(table, 4),
        word(table, 5),
    )
    a_turned, b_turned, m, n, k = word(table, 6), word(table, 7), word(table, 8), word(table, 9), word(table, 10)
    width, columns, function = word(table, 11), word(table, 12), word(table, 13)
    if columns:
        n = last - first
        b += first * width * (b_step if b_turned else 1)
        c += first * width
    else:
        m = last - first
        a += first * width * (1 if a_turned else a_step)
        c += first * width * c_step
    if width == 4:
        _single(function, a_turned, b_turned, m, n, k, a, a_step, b, b_step, c, c_step)
    else:
        _double(function, a_turned, b_turned, m, n, k, a, a_step, b, b_step, c, c_step)
    return 0
