"""How kernels are compiled: without what nobody calls, which is a good part of the time that compiling takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numba

from ..cache import circumstances, keep

__all__ = ["kernel", "part"]

_njit: Any = numba.njit  # its published types lack some of its options


def kernel(signature: str | None = None, **flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of functions that Python calls: kept on disk, and run without Python's lock."""

    def decorated(function: Callable[..., Any]) -> Any:
        made = _njit(error_model="numpy", nogil=True, no_cfunc_wrapper=True, **flags)(function)
        text = f"{function.__module__} {function.__qualname__} {signature} {sorted(flags.items())!r}"
        keep(made, hashlib.sha256(text.encode() + circumstances()).hexdigest()[:32])
        if signature is not None:
            made.compile(signature)
            made.disable_compile()
        return made

    return decorated


def part(**flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator of functions that only kernels call; those that make arrays need ``_nrt=True``."""
    flags = {"_nrt": False, **flags}
    return _njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **flags)  # type: ignore[no-any-return]
