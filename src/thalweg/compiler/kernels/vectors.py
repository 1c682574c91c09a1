"""Vector instructions for kernels whose totals must stay in registers, written for LLVM: Numba's own loops keep them in memory."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils

from .sizes import BITS, BYTES

__all__ = ["Vectors", "arguments", "cgutils", "whole"]

cgutils: Any = _cgutils
_FLAGS = ("contract", "nsz")  # a product may be fused with the sum that it goes into
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def whole(value: int) -> Any:
    """Return an integer constant."""
    return ir.Constant(_I64, value)


class Vectors:
    """Writes instructions on vectors of one type of number."""

    def __init__(self, builder: Any, real: Any, width: int) -> None:
        self.builder = builder
        self.size = BITS // width  # numbers in a vector
        self.align = width // 8
        self.type = ir.VectorType(real, self.size)
        self.none = ir.Constant(self.type, ir.Undefined)

    def shifts(self) -> range:
        """Return where the vectors of one tile begin."""
        return range(0, BYTES // self.align, self.size)

    def number(self, pointer: Any, index: Any, shift: int = 0) -> Any:
        """Load one number."""
        return self.builder.load(self.builder.gep(pointer, [self.moved(index, shift)]))

    def moved(self, index: Any, shift: int) -> Any:
        """Return the index plus a fixed number."""
        return self.builder.add(index, whole(shift)) if shift else index

    def spread(self, number: Any) -> Any:
        """Return a vector of one number, many times."""
        none = ir.Constant(ir.VectorType(number.type, self.size), ir.Undefined)
        one = self.builder.insert_element(none, number, _I32(0))
        return self.builder.shuffle_vector(one, none, ir.Constant(ir.VectorType(_I32, self.size), [0] * self.size))

    def place(self, pointer: Any, index: Any, shift: int) -> Any:
        """Return the address of a vector."""
        at = self.builder.gep(pointer, [self.moved(index, shift)])
        return self.builder.bitcast(at, self.type.as_pointer())

    def load(self, pointer: Any, index: Any, shift: int = 0, count: Any = None) -> Any:
        """Load a vector; or those of its elements whose number is below `count`, and zeros."""
        at = self.place(pointer, index, shift)
        if count is None:
            return self.builder.load(at, align=self.align)
        numbers = ir.Constant(ir.VectorType(_I64, self.size), [shift + k for k in range(self.size)])
        mask = self.builder.icmp_signed("<", numbers, self.spread(count))
        kind = ir.FunctionType(self.type, [at.type, _I32, mask.type, self.type])
        name = f"llvm.masked.load.v{self.size}f{8 * self.align}.p0"
        load = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(load, [at, _I32(self.align), mask, ir.Constant(self.type, [0.0] * self.size)])

    def store(self, value: Any, pointer: Any, index: Any, shift: int = 0) -> None:
        """Store a vector."""
        self.builder.store(value, self.place(pointer, index, shift), align=self.align)

    def total(self) -> Any:
        """Return a place for a vector of zeros, which LLVM keeps in a register."""
        place = cgutils.alloca_once(self.builder, self.type)
        self.builder.store(ir.Constant(self.type, [0.0] * self.size), place)
        return place

    def add_product(self, total: Any, x: Any, y: Any) -> None:
        """Add the product of two vectors to a total."""
        product = self.builder.fmul(x, y, flags=_FLAGS)
        self.builder.store(self.builder.fadd(self.builder.load(total), product, flags=_FLAGS), total)

    def joined(self, values: list[Any]) -> Any:
        """Return the sum of vectors."""
        total = values[0]
        for value in values[1:]:
            total = self.builder.fadd(total, value)
        return total

    def transposed(self, rows: list[Any]) -> list[Any]:
        """Return the columns of a square of vectors: its blocks beside the diagonal change places, large ones first."""
        rows = list(rows)
        d = self.size // 2
        while d:
            for i in (k for k in range(self.size) if not k & d):
                pick = [[j if not j & d else self.size + j - d for j in range(self.size)]]
                pick.append([j + d if not j & d else self.size + j for j in range(self.size)])
                masks = [ir.Constant(ir.VectorType(_I32, self.size), some) for some in pick]
                rows[i], rows[i + d] = (self.builder.shuffle_vector(rows[i], rows[i + d], mask) for mask in masks)
            d //= 2
        return rows

    def sum(self, value: Any) -> Any:
        """Return the sum of a vector's numbers, halves first."""
        half = self.size // 2
        while half:
            upper = ir.Constant(ir.VectorType(_I32, self.size), [(half + k) % self.size for k in range(self.size)])
            value = self.builder.fadd(value, self.builder.shuffle_vector(value, self.none, upper))
            half //= 2
        return self.builder.extract_element(value, _I32(0))


def arguments(context: Any, builder: Any, signature: Any, args: Any) -> tuple[Vectors, list[Any]]:
    """Return a writer, and the arguments with pointers for arrays."""
    real = signature.args[0].dtype
    given = [
        context.make_array(t)(context, builder, a).data if isinstance(t, types.Array) else a
        for t, a in zip(signature.args, args, strict=True)
    ]
    return Vectors(builder, context.get_value_type(real), real.bitwidth), given
