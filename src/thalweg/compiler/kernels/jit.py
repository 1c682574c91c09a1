"""How kernels are compiled: without what nobody calls, which is a good part of the time that compiling takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

__all__ = ["kernel", "part"]

_njit: Any = numba.njit  # its published types lack some of its options


def kernel(signature: str | None = None, **flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of functions that Python calls: kept on disk, and run without Python's lock."""
    given = () if signature is None else (signature,)
    return _njit(*given, error_model="numpy", nogil=True, cache=True, no_cfunc_wrapper=True, **flags)  # type: ignore[no-any-return]


def part(**flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of functions that only kernels call; those that make arrays need ``_nrt=True``."""
    flags = {"_nrt": False, **flags}
    return _njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)  # type: ignore[no-any-return]
