"""What a code object says about itself: the names it may follow, whose code it is, and the line of a name."""

from __future__ import annotations

import dis
import functools
import linecache
import sysconfig
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

__all__ = ["DYNAMIC", "globals_of", "is_library", "is_pure", "line_of", "names_of", "user_side"]

#: names with which code reaches attributes that it does not name
DYNAMIC = frozenset({"getattr", "setattr", "delattr", "vars", "__dict__", "__getattribute__", "__getattr__", "dir"})
_LIBRARY = (
    str(Path(__file__).resolve().parent.parent),
    str(Path(np.__file__).resolve().parent),
    "<frozen importlib",
    "<__array_function__",
)
_CAPTURE = str(Path(__file__).resolve().parent / "capture.py")
_STANDARD = sysconfig.get_paths()["stdlib"]
_PURE_FILES = tuple(
    str(Path(_STANDARD) / name)
    for name in ("contextlib.py", "functools.py", "collections/", "typing.py", "dataclasses.py", "enum.py", "abc.py",
                 "_collections_abc.py", "numbers.py", "operator.py", "copy.py", "types.py", "copyreg.py", "weakref.py")
)  # fmt: skip
_PURE_MODULES = frozenset(
    {"builtins", "math", "cmath", "operator", "_operator", "itertools", "functools", "_functools", "collections",
     "_collections", "_collections_abc", "copy", "abc", "_abc", "_struct", "struct", "_sre", "re", "typing", "_typing",
     "dataclasses", "enum", "_bisect", "bisect", "_heapq", "heapq", "numbers", "types", "string", "_string", "contextlib"}
)  # fmt: skip
_IMPURE_BUILTINS = frozenset({"print", "input", "open", "breakpoint"})


@functools.lru_cache(1024)
def names_of(code: CodeType) -> frozenset[str]:
    """Return every name that code, or code inside of it, may look up; with constant strings that could be names."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= names_of(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            names.add(constant)
        elif isinstance(constant, tuple):
            names.update(c for c in constant if isinstance(c, str) and c.isidentifier())
    return frozenset(names)


@functools.lru_cache(1024)
def globals_of(code: CodeType) -> tuple[str, ...]:
    """Return the names of globals that code, or code inside of it, reads or writes."""
    found = {
        i.argval
        for i in dis.get_instructions(code)
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found.update(globals_of(constant))
    return tuple(sorted(found))


@functools.lru_cache(4096)
def is_library(file: str) -> bool:
    """Return whether a file belongs to this library or to NumPy, whose code is known."""
    return file.startswith(_LIBRARY) or file.startswith(_PURE_FILES)


def user_side(frame: Any) -> bool:
    """Return whether a call belongs to the user: in their own code, or in the standard library on their behalf."""
    name = frame.f_code.co_filename
    if is_library(name) or _imports(frame):
        return False
    while name.startswith((_STANDARD, "<frozen ")) and "site-packages" not in name:
        frame = frame.f_back
        if frame is None:
            return True
        name = frame.f_code.co_filename
        if name.startswith(_LIBRARY):
            return False
    return True


def _imports(frame: Any) -> bool:
    """Return whether a frame runs because the captured code imports something, hooks of imports included."""
    while frame is not None and frame.f_code.co_filename != _CAPTURE:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def is_pure(function: Any) -> bool:
    """Return whether a function written in C depends on its arguments alone."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__name__", "")
    if module is None:
        owner = getattr(function, "__objclass__", None) or type(getattr(function, "__self__", None))
        if isinstance(getattr(function, "__self__", None), type):
            owner = function.__self__
        module = owner.__module__
    if module == "builtins":
        return name not in _IMPURE_BUILTINS
    if module.split(".")[0] == "numpy":
        return not module.startswith("numpy.random")
    if module.split(".")[0] == "thalweg":
        return True
    return module in _PURE_MODULES or (module == "sys" and name == "getrefcount")


def line_of(code: CodeType, name: str, stores: bool) -> str:
    """Return ``file:line: source`` of the first instruction of code that names `name`; for a store, one that may write."""
    wanted: int | None = None
    line = code.co_firstlineno
    for instruction in dis.get_instructions(code):
        start: Any = getattr(instruction, "line_number", instruction.starts_line)
        line = line if start is None else start
        if instruction.argval == name and (wanted is None or (stores and instruction.opname.startswith("STORE"))):
            wanted = line
    return located(code.co_filename, code.co_firstlineno if wanted is None else wanted)


def located(file: str, line: int) -> str:
    """Return ``file:line: source``."""
    source = linecache.getline(file, line).strip()
    return f"{file}:{line}" + (f": {source}" if source else "")
