"""Threads for kernels that let go of the interpreter lock: how many, and running parts side by side."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .interrupts import pause
from .team import team_of

__all__ = [
    "blas_threads", "cblas", "get_num_threads", "helpers_for", "in_slices", "run_parts",
    "set_num_threads", "share_parts", "team_of",
]  # fmt: skip


_ENOUGH = 1 << 19  # elements moved, which takes about a tenth of a millisecond
_SLICE = 0.05  # seconds between two looks at Ctrl-C, about


def _available() -> int:
    limit = os.environ.get("THALWEG_NUM_THREADS", os.environ.get("OMP_NUM_THREADS"))
    if limit is not None and limit.isdigit() and int(limit) > 0:
        return int(limit)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover  (not Linux)
        count = os.cpu_count()
        return 1 if count is None else count


SHARED = 1 << 21  # elements from which short work is divided
EACH = 4  # parts for each thread where they are shared
_count = [0]


def get_num_threads() -> int:
    """Return how many threads compiled code may use."""
    if not _count[0]:
        _count[0] = _available()
    return _count[0]


def set_num_threads(count: int) -> None:
    """Let compiled code use `count` threads (products of large matrices are NumPy's, which has its own setting)."""
    given: Any = count
    if not isinstance(given, int) or given < 1:
        raise ArgumentError(f"set_num_threads: an integer >= 1 is required, got {given!r}.")
    _count[0] = count


@functools.cache
def _blas() -> tuple[Any, Any, tuple[int, int]] | None:
    """Return the functions of NumPy's own OpenBLAS that get and set its number of threads, and where its products lie."""
    folder = Path(np.__file__).resolve().parent.parent / "numpy.libs"
    for path in sorted(folder.glob("*openblas*")):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:  # pragma: no cover  (a library for another machine)
            continue
        for first, last in (("scipy_", "64_"), ("", "64_"), ("", "")):
            with contextlib.suppress(AttributeError):
                get, put = (getattr(library, f"{first}openblas_{x}_num_threads{last}") for x in ("get", "set"))
                return get, put, (_products(library, first) if last else (0, 0))
    return None


def _products(library: Any, first: str) -> tuple[int, int]:
    """Return where products in single and double precision lie, with integers of 64 bits; zeros if they are missing."""
    try:
        found = [getattr(library, f"{first}cblas_{kind}gemm64_") for kind in "sd"]
    except AttributeError:
        return (0, 0)
    single, double = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in found)
    return single, double


def cblas() -> tuple[int, int]:
    """Return the addresses of the products of NumPy's BLAS in single and double precision, or zeros."""
    found = _blas()
    return (0, 0) if found is None else found[2]


def blas_threads(count: int) -> int:
    """Let NumPy's BLAS use `count` threads, if it can be told; return how many it used, or 0 if it cannot.

    Its threads wait busily for more work, in the way of everybody else's; compiled code divides products itself.
    """
    found = _blas()
    if found is None:
        return 0
    before = int(found[0]())
    if before != count:
        found[1](count)
    return before


def run_parts(work: Callable[[int, int], Any], count: int, threads: int | None = None, each: int = 1) -> None:
    """Call ``work(first, last)`` on parts of ``range(count)``, `each` for every thread, and wait for all.

    Whichever thread is free takes the next part.
    """
    n = get_num_threads() if threads is None else threads
    team = team_of(n) if min(n, count) > 1 else None
    if team is None:
        work(0, count)
    else:
        team.run(work, count, min(each * n, count))


def helpers_for(size: int) -> int | None:
    """Return the threads for work on so many elements: one where handing over would take longer than it saves."""
    return None if size >= _ENOUGH else 1


def share_parts(work: Callable[[int, int], Any], count: int, size: int) -> None:
    """Run short work in several parts for each thread; below SHARED elements in all no other thread is asked."""
    run_parts(work, count, None if size >= SHARED else 1, EACH)


def in_slices(work: Callable[[int, int], Any], count: int, least: int = 1) -> None:
    """Call ``work(first, last)`` on parts of ``range(count)``, one after the other, so that Ctrl-C can come between.

    The first part has `least` elements; parts grow until one takes about a twentieth of a second.
    """
    done = 0
    while done < count:
        last = min(done + least, count)
        began = perf_counter()
        work(done, last)
        if perf_counter() - began < _SLICE / 2:
            least *= 2
        done = last
        pause()
