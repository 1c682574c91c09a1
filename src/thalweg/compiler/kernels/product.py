"""Products of small matrices inside compiled loops, where a call of BLAS would cost more than the product.

Two forms, both with their sums in registers: *tiles*, several rows times neighbouring columns, for a right factor
whose rows lie together; and *dots*, for factors whose common axis lies together in both. The last tile of a row or
column overlaps the one before it instead of being smaller. LLVM's vectors are written down here, since nothing else
keeps a block of sums in registers through the loop.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

from .jit import kernel

cgutils: Any = _cgutils  # without types

__all__ = ["dots", "multiply", "pack"]

FAST = {"reassoc", "contract", "nsz"}
BYTES = 32  # of a vector


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> Any:
    """Return the address of one element of a flat array."""
    data = cgutils.create_struct_proxy(kind)(context, builder, value=array).data
    return builder.gep(data, [at])


def _spread(builder: Any, number: Any, vector: Any) -> Any:
    """Return a vector of one number."""
    if not isinstance(vector, ir.VectorType):
        return number
    zero = ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)


def _load(builder: Any, pointer: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def _plus(builder: Any, total: Any, x: Any, y: Any) -> Any:
    """Return ``total + x y``, fused where the machine can."""
    return builder.fadd(total, builder.fmul(x, y, flags=("contract",)), flags=("contract",))


def _zero(kind: Any) -> Any:
    return ir.Constant(kind, None if isinstance(kind, ir.VectorType) else 0.0)


def _counted(builder: Any, count: Any, starts: list[Any], step: Any) -> list[Any]:
    """Write ``for q in range(count): values = step(q, values)`` from `starts`; return the last values."""
    before = builder.block
    body, after = builder.append_basic_block("loop"), builder.append_basic_block("done")
    zero = ir.Constant(count.type, 0)
    builder.cbranch(builder.icmp_signed(">", count, zero), body, after)
    builder.position_at_end(body)
    q = builder.phi(count.type)
    q.add_incoming(zero, before)
    carried = []
    for start in starts:
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        carried.append(phi)
    values = step(q, carried)
    following = builder.add(q, ir.Constant(count.type, 1))
    end = builder.block
    q.add_incoming(following, end)
    for phi, value in zip(carried, values, strict=True):
        phi.add_incoming(value, end)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)
    found = []
    for start, value in zip(starts, values, strict=True):
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        phi.add_incoming(value, end)
        found.append(phi)
    return found


def _tile(rows: int, vectors: int, part: int) -> Any:
    """Return a function for a tile of `rows` times `vectors` vectors; `part` divides the length of a full vector."""

    @intrinsic
    def tile(typing: Any, out: Any, o: Any, oi: Any, x: Any, a: Any, xi: Any, xk: Any, y: Any, b: Any, yk: Any, k: Any) -> Any:  # fmt: skip
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            out, o, oi, x, a, xi, xk, y, b, yk, k = given
            kinds = signature.args
            number = context.get_value_type(kinds[0].dtype)
            lanes = BYTES // (4 if kinds[0].dtype == types.float32 else 8) // part
            vector = ir.VectorType(number, lanes) if lanes > 1 else number
            xp = _pointer(context, builder, kinds[3], x, a)
            yp = _pointer(context, builder, kinds[7], y, b)
            op = _pointer(context, builder, kinds[0], out, o)

            def step(q: Any, sums: list[Any]) -> list[Any]:
                row = builder.gep(yp, [builder.mul(q, yk)])
                column = builder.mul(q, xk)
                right = [
                    _load(builder, builder.gep(row, [ir.Constant(q.type, v * lanes)]), vector) for v in range(vectors)
                ]
                done = []
                for r in range(rows):
                    at = builder.add(column, builder.mul(ir.Constant(q.type, r), xi))
                    left = _spread(builder, builder.load(builder.gep(xp, [at])), vector)
                    done += [_plus(builder, sums[r * vectors + v], left, right[v]) for v in range(vectors)]
                return done

            sums = _counted(builder, k, [_zero(vector)] * (rows * vectors), step)
            for r in range(rows):
                row = builder.gep(op, [builder.mul(ir.Constant(o.type, r), oi)])
                for v in range(vectors):
                    place = builder.gep(row, [ir.Constant(o.type, v * lanes)])
                    builder.store(sums[r * vectors + v], builder.bitcast(place, vector.as_pointer()), align=4)
            return context.get_dummy_value()

        i = types.int64
        return types.void(out, i, i, x, i, i, i, y, i, i, i), write

    return tile


def _dots(rows: int, columns: int) -> Any:
    """Return a function for `rows` times `columns` sums over an axis that lies together in both factors."""

    @intrinsic
    def sums_of(typing: Any, out: Any, o: Any, oi: Any, oj: Any, x: Any, a: Any, xi: Any, y: Any, b: Any, yj: Any, k: Any) -> Any:  # fmt: skip
        def write(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            out, o, oi, oj, x, a, xi, y, b, yj, k = given
            kinds = signature.args
            number = context.get_value_type(kinds[0].dtype)
            lanes = BYTES // (4 if kinds[0].dtype == types.float32 else 8)
            vector = ir.VectorType(number, lanes)
            xp = _pointer(context, builder, kinds[4], x, a)
            yp = _pointer(context, builder, kinds[7], y, b)
            op = _pointer(context, builder, kinds[0], out, o)
            whole = ir.Constant(k.type, lanes)
            count = builder.sdiv(k, whole)
            left = [builder.gep(xp, [builder.mul(ir.Constant(k.type, r), xi)]) for r in range(rows)]
            right = [builder.gep(yp, [builder.mul(ir.Constant(k.type, c), yj)]) for c in range(columns)]

            def added(pairs: list[Any], kind: Any, q: Any) -> list[Any]:
                ls = [_load(builder, builder.gep(p, [q]), kind) for p in left]
                rs = [_load(builder, builder.gep(p, [q]), kind) for p in right]
                return [_plus(builder, s, ls[n // columns], rs[n % columns]) for n, s in enumerate(pairs)]

            sums = _counted(
                builder,
                count,
                [_zero(vector)] * (rows * columns),
                lambda q, now: added(now, vector, builder.mul(q, whole)),
            )
            totals = []
            for total in sums:  # halves are added until one number is left
                width = lanes
                while width > 1:
                    width //= 2
                    order = [*range(width, 2 * width), *([0] * (lanes - width))]
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), order)
                    total = builder.fadd(total, builder.shuffle_vector(total, total, mask))
                totals.append(builder.extract_element(total, ir.Constant(ir.IntType(32), 0)))
            done = builder.mul(count, whole)
            totals = _counted(
                builder, builder.sub(k, done), totals, lambda q, now: added(now, number, builder.add(done, q))
            )
            for n, total in enumerate(totals):
                at = builder.add(
                    builder.mul(ir.Constant(o.type, n // columns), oi),
                    builder.mul(ir.Constant(o.type, n % columns), oj),
                )
                builder.store(total, builder.gep(op, [at]))
            return context.get_dummy_value()

        i = types.int64
        return types.void(out, i, i, i, x, i, i, y, i, i, i), write

    return sums_of


_t42, _t41, _t12, _t11 = _tile(4, 2, 1), _tile(4, 1, 1), _tile(1, 2, 1), _tile(1, 1, 1)
_half4, _half1, _quarter4, _quarter1 = _tile(4, 1, 2), _tile(1, 1, 2), _tile(4, 1, 4), _tile(1, 1, 4)
_eighth4, _eighth1 = _tile(4, 1, 8), _tile(1, 1, 8)
_d24, _d14, _d21, _d11 = _dots(2, 4), _dots(1, 4), _dots(2, 1), _dots(1, 1)


@kernel()
def multiply(
    out: Any, o: int, oi: int, x: Any, a: int, xi: int, xk: int, y: Any, b: int, yk: int, n: int, k: int, m: int
) -> None:
    """Write ``out[o + i oi + j] = Σ_q x[a + i xi + q xk] y[b + q yk + j]`` for i < n, q < k, j < m."""
    lanes = BYTES // out.itemsize
    width = 2 * lanes
    while width > m:
        width //= 2
    rows = 4 if n >= 4 else 1
    j = 0
    while j < m:
        j = min(j, m - width)
        i = 0
        while i < n:
            i = min(i, n - rows)
            u, v, w = o + i * oi + j, a + i * xi, b + j
            if rows == 4:
                if width == 2 * lanes:
                    _t42(out, u, oi, x, v, xi, xk, y, w, yk, k)
                elif width == lanes:
                    _t41(out, u, oi, x, v, xi, xk, y, w, yk, k)
                elif width * 2 == lanes:
                    _half4(out, u, oi, x, v, xi, xk, y, w, yk, k)
                elif width * 4 == lanes:
                    _quarter4(out, u, oi, x, v, xi, xk, y, w, yk, k)
                else:
                    _eighth4(out, u, oi, x, v, xi, xk, y, w, yk, k)
            elif width == 2 * lanes:
                _t12(out, u, oi, x, v, xi, xk, y, w, yk, k)
            elif width == lanes:
                _t11(out, u, oi, x, v, xi, xk, y, w, yk, k)
            elif width * 2 == lanes:
                _half1(out, u, oi, x, v, xi, xk, y, w, yk, k)
            elif width * 4 == lanes:
                _quarter1(out, u, oi, x, v, xi, xk, y, w, yk, k)
            else:
                _eighth1(out, u, oi, x, v, xi, xk, y, w, yk, k)
            i += rows
        j += width


@kernel()
def dots(
    out: Any, o: int, oi: int, oj: int, x: Any, a: int, xi: int, y: Any, b: int, yj: int, n: int, k: int, m: int
) -> None:
    """Write ``out[o + i oi + j oj] = Σ_q x[a + i xi + q] y[b + j yj + q]`` for i < n, q < k, j < m."""
    rows = 2 if n >= 2 else 1
    columns = 4 if m >= 4 else 1
    i = 0
    while i < n:
        i = min(i, n - rows)
        j = 0
        while j < m:
            j = min(j, m - columns)
            u, v, w = o + i * oi + j * oj, a + i * xi, b + j * yj
            if rows == 2:
                if columns == 4:
                    _d24(out, u, oi, oj, x, v, xi, y, w, yj, k)
                else:
                    _d21(out, u, oi, oj, x, v, xi, y, w, yj, k)
            elif columns == 4:
                _d14(out, u, oi, oj, x, v, xi, y, w, yj, k)
            else:
                _d11(out, u, oi, oj, x, v, xi, y, w, yj, k)
            j += columns
        i += rows


@kernel()
def pack(out: Any, y: Any, b: int, yk: int, yj: int, k: int, m: int) -> None:
    """Write ``out[q m + j] = y[b + q yk + j yj]``."""
    for q in range(k):
        row = out[q * m :][:m]
        for j in range(m):
            row[j] = y[b + q * yk + j * yj]
