"""Numbers by which threads tell each other how far they are, without the interpreter and without its lock."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from .jit import kernel
from .vectors import cgutils

__all__ = ["reached", "rest", "tell"]


def _write_read(typing: Any, numbers: Any, at: Any) -> Any:
    """Return a number as it is now, with all that was written before it."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        return builder.load_atomic(builder.gep(array.data, [args[1]]), "acquire", 8)

    return types.int64(numbers, types.int64), write


def _write_put(typing: Any, numbers: Any, at: Any, value: Any) -> Any:
    """Write a number after all that was written before."""

    def write(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=args[0])
        builder.store_atomic(args[2], builder.gep(array.data, [args[1]]), "release", 8)
        return args[2]

    return types.int64(numbers, types.int64, types.int64), write


_read: Any = intrinsic(_write_read)
_put: Any = intrinsic(_write_put)


@kernel("int64(int64[::1], int64, int64)")
def tell(numbers: Any, at: int, value: int) -> Any:
    """Write ``numbers[at] = value``."""
    return _put(numbers, at, value)


@kernel("boolean(int64[::1], int64, int64, int64[::1], int64, int64, int64)")
def rest(mine: Any, at: int, done: int, calls: Any, seen: int, looks: int, delay: int) -> Any:
    """Tell ``mine[at] = done``, then look at the first of `calls` until it is not `seen`, or so many times.

    Return whether it changed; after `delay` more looks, in which the caller gets to its own part and lets go of the
    interpreter's lock: whoever has to wait for that lock sleeps.
    """
    _put(mine, at, done)
    for _ in range(looks):
        if _read(calls, 0) != seen:
            for _ in range(delay):
                _read(calls, 0)
            return True
    return False


@kernel("boolean(int64[::1], int64, int64, int64)")
def reached(numbers: Any, count: int, total: int, looks: int) -> Any:
    """Look at the first `count` numbers until they add up to `total`, or so many times; return whether they did.

    Each number has a cache line of its own, so that nobody waits for another's.
    """
    for _ in range(looks):
        found = 0
        for k in range(count):
            found += _read(numbers, 8 * k)
        if found >= total:
            return True
    return False
