"""Going through a large array in blocks that fit the cache, on as many threads as there are processors."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import copy_context
from functools import cache
from typing import Any

__all__ = ["blocks_of", "each_block"]

CACHED = 32768  # elements of a block
WORTH_A_THREAD = 262144  # elements below which handing work over costs more than it saves


def blocks_of(x: Any, axes: tuple[int, ...]) -> list[slice]:
    """Return slices of the first dim of an array that is reduced over `axes`, each small enough for the cache.

    A formula of several steps goes through them one by one: its temporary arrays then never reach main memory,
    which takes longer than computing them. One slice for all where the first dim is itself reduced.
    """
    n = x.shape[0] if x.ndim else 1
    if 0 in axes or x.size <= 2 * CACHED:
        return [slice(None)]
    step = max(1, n * CACHED // x.size)
    return [slice(k, k + step) for k in range(0, n, step)]


def each_block(x: Any, axes: tuple[int, ...], work: Callable[[slice], None]) -> None:
    """Call ``work(block)`` for every block; blocks are independent, so the result does not depend on threads.

    Whichever thread is free takes the next block, so one that wakes late is not waited for.
    """
    blocks = blocks_of(x, axes)
    following = iter(blocks)

    def take() -> None:
        for block in following:
            work(block)

    threads = min(_threads(), len(blocks))
    if threads < 2 or x.size < WORTH_A_THREAD:
        take()
        return
    # A copy of the context takes along that floating-point warnings are off.
    others = [_pool().submit(copy_context().run, take) for _ in range(threads - 1)]
    try:
        take()
    finally:
        for other in others:
            if not other.cancel():
                other.result()


@cache
def _threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _pool() -> Any:
    return _pool_of(os.getpid())  # a forked process has none of its parent's threads


@cache
def _pool_of(process: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max(1, _threads() - 1), thread_name_prefix="thalweg-blocks")
