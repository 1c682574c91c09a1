"""Work that machine code hands to machine code: a list of calls, walked by several threads without Python.

What is called takes the address of a *table* of whole numbers, and which part of its range to do. The table says where
its arrays lie, and all else that it needs.

A *list* is memory of its own: the number of calls and which is the first, then for every call ITEM numbers on three
cache lines, so that nobody waits for another's. The *board* has the number of the present job, its list or 0 where it
is Python's, and the number of the last list that is over. Parts of a call are taken by whoever is free; a call begins when the one before it is done. What has been taken and what
has been done is counted together with the number of the job, so a thread that comes late, with an old number, finds
nothing to do. The caller itself does what is not divided, and never waits for a thread that has not begun.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..team import HEAD, ITEM
from .vectors import cgutils

__all__ = ["flat", "give_back", "lend", "reached", "rest", "sized", "tell", "walk", "word"]

TAKEN, DONE = 8, 16  # of a call: parts taken so far, parts done
JOB = 1 << 20  # the number of a job is counted in this, parts in ones
LOOKS = 1 << 12  # looks for the end of another thread's part before the processor is offered to others

_I64 = ir.IntType(64)
_I = types.int64


def _pointer(builder: Any, address: Any, k: Any) -> Any:
    """Return a pointer to the number k of those at an address."""
    return builder.gep(builder.inttoptr(address, _I64.as_pointer()), [k])


def _write_word(typing: Any, address: Any, k: Any) -> Any:
    """Return one of the numbers at an address."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(builder, *args))

    return _I(_I, _I), write


def _write_put(typing: Any, address: Any, k: Any, value: Any) -> Any:
    """Write one of the numbers at an address."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(builder, *args[:2]))
        return context.get_dummy_value()

    return types.void(_I, _I, _I), write


def _write_see(typing: Any, address: Any, k: Any) -> Any:
    """Return a number as it is now, with all that was written before it."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, *args), "acquire", 8)

    return _I(_I, _I), write


def _write_tell(typing: Any, address: Any, k: Any, value: Any) -> Any:
    """Write a number after all that was written before."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _pointer(builder, *args[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(_I, _I, _I), write


def _write_count(typing: Any, address: Any, k: Any) -> Any:
    """Add one to a number that several threads add to."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("add", _pointer(builder, *args), ir.Constant(_I64, 1), "acq_rel")
        return context.get_dummy_value()

    return types.void(_I, _I), write


def _write_take(typing: Any, address: Any, k: Any, seen: Any) -> Any:
    """Add one to a number if it is what was seen; return whether it was."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        more = builder.add(args[2], ir.Constant(_I64, 1))
        found = builder.cmpxchg(_pointer(builder, *args[:2]), args[2], more, "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(_I, _I, _I), write


def _write_call(typing: Any, function: Any, table: Any, first: Any, last: Any) -> Any:
    """Call the function at an address; it returns 0, or another number if it cannot do its work."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_I64] * 3)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return _I(_I, _I, _I, _I), write


def _write_yield(typing: Any, function: Any) -> Any:
    """Call the function at an address that offers the processor to other threads, if there is one."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        with builder.if_then(builder.icmp_signed("!=", args[0], ir.Constant(_I64, 0))):
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(_I), write


def _array(context: Any, builder: Any, kind: Any, address: Any, count: Any) -> Any:
    """Return an array of one axis that nobody counts the references of."""
    array = cgutils.create_struct_proxy(kind)(context, builder)
    data = context.get_data_type(kind.dtype)
    array.data = builder.inttoptr(address, data.as_pointer())
    array.itemsize = ir.Constant(_I64, context.get_abi_sizeof(data))
    array.nitems = count
    array.shape = cgutils.pack_array(builder, [count])
    array.strides = cgutils.pack_array(builder, [array.itemsize])
    return array._getvalue()


def _write_flat(typing: Any, table: Any, k: Any, dtype: Any) -> Any:
    """Return the memory whose address is number k of a table as one row of elements without an end."""
    real = dtype.dtype

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.load(_pointer(builder, *args[:2]))
        return _array(context, builder, signature.return_type, address, ir.Constant(_I64, 1 << 40))

    return types.Array(real, 1, "C")(_I, _I, dtype), write


def _write_sized(typing: Any, table: Any, k: Any, dtype: Any) -> Any:
    """Return an array of one axis, whose address is number k of a table and whose length the number after it."""
    real = dtype.dtype

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.load(_pointer(builder, *args[:2]))
        count = builder.load(_pointer(builder, args[0], builder.add(args[1], ir.Constant(_I64, 1))))
        return _array(context, builder, signature.return_type, address, count)

    return types.Array(real, 1, "C")(_I, _I, dtype), write


def _write_lend(typing: Any, count: Any, dtype: Any) -> Any:
    """Return memory for some elements, which must be given back."""
    real = dtype.dtype

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size = builder.mul(args[0], ir.Constant(_I64, context.get_abi_sizeof(context.get_data_type(real))))
        kind = ir.FunctionType(ir.IntType(8).as_pointer(), [_I64])
        found = builder.call(cgutils.get_or_insert_function(builder.module, kind, "malloc"), [size])
        return _array(context, builder, signature.return_type, builder.ptrtoint(found, _I64), args[0])

    return types.Array(real, 1, "C")(_I, dtype), write


def _write_give_back(typing: Any, array: Any) -> Any:
    """Give back what was lent."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0]).data
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        free = cgutils.get_or_insert_function(builder.module, kind, "free")
        builder.call(free, [builder.bitcast(data, ir.IntType(8).as_pointer())])
        return context.get_dummy_value()

    return types.void(array), write


word: Any = intrinsic(_write_word)
_put: Any = intrinsic(_write_put)
_see: Any = intrinsic(_write_see)
_tell: Any = intrinsic(_write_tell)
_count: Any = intrinsic(_write_count)
_take: Any = intrinsic(_write_take)
_call: Any = intrinsic(_write_call)
_yield: Any = intrinsic(_write_yield)
flat: Any = intrinsic(_write_flat)
sized: Any = intrinsic(_write_sized)
lend: Any = intrinsic(_write_lend)
give_back: Any = intrinsic(_write_give_back)


def walk(table: int, start: int, job: int) -> int:
    """Make the calls of a list, as its caller from `start` on, as a helper where `start` is negative.

    Return at which one it ended, their number if at none. The table: the board, the list, and the function that offers
    the processor to others. Job 0 is done alone; otherwise its caller first writes it on the board, and in the end that
    it is over, for helpers that still wait for one of its calls.
    """
    board, calls, offer = word(table, 0), word(table, 1), word(table, 2)
    count, leads = word(calls, 0), start >= 0
    if leads:
        _put(calls, 1, start)
        if job > 0:
            for k in range(start, count):
                item = calls + 8 * (HEAD + ITEM * k)
                _tell(item, DONE, job * JOB)
                _tell(item, TAKEN, job * JOB)
            _put(board, 1, calls)
            _tell(board, 0, job)
    for k in range(word(calls, 1), count):
        item = calls + 8 * (HEAD + ITEM * k)
        function, given, extent, parts, step = word(item, 0), word(item, 1), word(item, 2), word(item, 3), word(item, 4)
        if leads and (job == 0 or parts == 1):
            if _call(function, given, 0, extent):
                count = k
                break
            _tell(item, DONE, job * JOB + 1)
            continue
        while parts > 1:
            seen = _see(item, TAKEN)
            taken = seen - job * JOB
            if taken < 0 or taken >= parts:
                break
            if _take(item, TAKEN, seen):
                stop = step * taken + step
                _call(function, given, step * taken, stop if stop < extent else extent)
                _count(item, DONE)
        looks = 0
        while _see(item, DONE) != job * JOB + parts:
            if not leads and _see(board, 2) >= job:
                return k
            looks += 1
            if looks == LOOKS:
                looks = 0
                _yield(offer)
    if leads and job > 0:
        _tell(board, 2, job)
    return count


def rest(table: int, seen: int, done: int) -> int:
    """Tell what was done, then look at the board for another job than the one `seen`; do those that are lists of calls.

    Return the number of a job that is Python's, or minus the number of the last one seen if none came for a while.
    The table: that of :func:`walk`, in which this writes the list; that function; where to tell what is done and which
    job was seen; how often to look, and how often more before it returns to Python. By then the caller got to its own
    part and let go of the interpreter's lock: whoever has to wait for that lock sleeps.
    """
    board, walks, mine, looks, delay = word(table, 0), word(table, 3), word(table, 4), word(table, 5), word(table, 6)
    _tell(mine, 0, done)
    _tell(mine, 1, seen)
    look = 0
    while look < looks:
        look += 1
        job = _see(board, 0)
        if job == seen:
            continue
        calls = word(board, 1)
        if calls == 0:
            for _ in range(delay):
                _see(board, 0)
            return job
        _put(table, 1, calls)
        _call(walks, table, -1, job)
        seen, look = job, 0
        _tell(mine, 1, seen)
    return -seen


def tell(board: int, job: int, nothing: int) -> int:
    """Write the number of a job that is Python's on the board."""
    _put(board, 1, 0)
    _tell(board, 0, job)
    return nothing


def reached(numbers: int, count: int, total: int) -> int:
    """Look at `count` numbers, a cache line apart, until they add up to `total`, or for a while; return whether they did."""
    for _ in range(1 << 20):
        found = 0
        for k in range(count):
            found += _see(numbers, 8 * k)
        if found >= total:
            return 1
    return 0
