"""Generated sources run as plain Python: the emitters are tested without waiting for machine code."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from thalweg.compiler.machine import Function


def _namespace() -> dict[str, Any]:
    space: dict[str, Any] = {
        "np": np, "INF": math.inf, "NAN": math.nan, "f4": np.float32, "f8": np.float64, "i8": np.int64, "i4": np.int32,
        "u1": np.uint8, "b1": np.bool_, "select": lambda c, x, y: x if c else y,
        "cut": lambda array, first, count: array[first:][:count],
    }  # fmt: skip
    unary = {
        "exp": np.exp, "log": np.log, "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "tan": np.tan, "log1p": np.log1p,
        "expm1": np.expm1, "sinh": np.sinh, "cosh": np.cosh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
        "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "floor": np.floor, "ceil": np.ceil,
        "trunc": np.trunc, "round": np.rint, "sign": np.sign, "sqrt": np.sqrt, "abs": np.abs, "log2": np.log2,
        "log10": np.log10, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
        "erf": lambda x: type(x)(math.erf(x)), "erfc": lambda x: type(x)(math.erfc(x)),
        "lgamma": lambda x: type(x)(math.inf if x <= 0 and x == np.floor(x) else math.lgamma(x)),
    }  # fmt: skip
    binary = {
        "maximum": np.maximum, "minimum": np.minimum, "pow": np.power, "atan2": np.arctan2, "copysign": np.copysign,
        "fmod": np.fmod, "hypot": np.hypot,
    }  # fmt: skip
    for kind in ("f4", "f8", "i8", "i4", "u1"):
        space |= {f"{name}_{kind}": f for name, f in (unary | binary).items()}
    return space


class PythonKernel:
    """Stands where a compiled function would."""

    def __init__(self, function: Any, name: str, source: str) -> None:
        self.function = self._quiet(function)
        self.name = name
        self.source = source
        self.ready = True

    @staticmethod
    def _quiet(function: Any) -> Any:
        def call(*args: Any) -> Any:
            with np.errstate(all="ignore"):
                return function(*args)

        return call

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def prepare(self, dtypes: Any) -> None:
        """Nothing to compile."""

    def at_hand(self) -> bool:
        """Always."""
        return True


def load(
    text: str, names: tuple[str, ...] = ("run",), fast: bool = True, inner: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the functions of a source without compiling them."""
    space = _namespace()
    exec(compile(text, "<generated>", "exec"), space)
    return {name: PythonKernel(space[name], name, text) for name in names}


_called: list[Any] = []  # what machine code may call as long as the tests run


def _flat(table: int, k: int, dtype: Any) -> Any:
    """Return the memory whose address is number k of a table."""
    address = ctypes.c_int64.from_address(table + 8 * k).value
    return np.frombuffer((ctypes.c_byte * (1 << 30)).from_address(address), dtype) if address else np.empty(0, dtype)


def generated(text: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return the addresses of the functions of a source that machine code calls, which are Python's."""
    space = _namespace() | {"flat": _flat}
    exec(compile(text, "<generated>", "exec"), space)
    found = {name: Function(PythonKernel._quiet(space[name])) for name in names}
    _called.append(found)
    return {name: ctypes.cast(function, ctypes.c_void_p).value or 0 for name, function in found.items()}


def use(monkeypatch: Any) -> None:
    """Let the compiler run its sources as Python."""
    from thalweg.compiler import items, plan, small, whole

    monkeypatch.setattr(small, "load", load)
    monkeypatch.setattr(items, "generated", generated)
    monkeypatch.setattr(plan, "generated", generated)
    monkeypatch.setattr(whole, "load", load)
