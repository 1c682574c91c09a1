"""What code can reach from a value by the names that it contains, written down as places."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import re
import threading
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    GenericAlias,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

from ..core.modes import current
from ..core.node import BaseNode
from ..core.tensor import TensorBase
from .codes import DYNAMIC, is_library, is_pure, line_of
from .guards import Place, container_kind

__all__ = ["Reach"]

_LARGEST = 1 << 20  # bytes of a NumPy array that is compared before every run
_MOST = 20_000  # elements of all containers
_ATOMS = (
    int, float, complex, bool, str, bytes, type(None), np.generic, np.dtype, slice, range, type(...), type(NotImplemented),
    re.Pattern, decimal.Decimal, fractions.Fraction, datetime.date, datetime.timedelta, datetime.tzinfo, enum.Enum,
    pathlib.PurePath, CodeType, GenericAlias, np.ufunc,
)  # fmt: skip
_FUNCTION = tuple((name, FunctionType.__dict__[name]) for name in ("__code__", "__defaults__", "__kwdefaults__"))
_NODE_HOOKS = BaseNode.__dict__["hooks"]
_VOLATILE = {"state", "param_groups", "_begun", "_stepped"}
_NONE: frozenset[str] = frozenset()
_CLASS: Any = object.__dict__["__class__"]


class Reach:
    """What a function can reach, as it was before the function ran."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, int, Any], Place] = {}
        self.passing: set[int] = set()  # ids of containers in the arguments: compared as arguments, not as places
        self.code_of: dict[int, CodeType] = {}  # by id of the place: whose code led there
        self.functions: dict[CodeType, list[FunctionType]] = {}
        self.known: set[CodeType] = set()  # code made by known code: its variables are local
        self.visited: set[tuple[int, int]] = set()
        self.outside: set[int] = set()
        self.kept: list[Any] = []  # so that no identity is used twice
        self.optimizers: list[Any] = []
        self.touchy: dict[int, Any] = {}  # state of optimizers, which the library itself fills
        self.blocked: str | None = None
        self.count = 0
        self.code: Any = None
        self.schedulers: set[int] = set()
        self.argument = False
        self.after = False

    def block(self, why: str, line: str) -> None:
        """Note that the function must run as written."""
        if self.blocked is None:
            self.blocked = f"{why}, at {line}"

    def given(self, fn: Any, args: tuple[Any, ...]) -> None:
        """Write down the function itself and what it is given, the keywords as a partial function."""
        keywords: tuple[Any, ...] = ()
        if isinstance(fn, functools.partial):
            fn, keywords = fn.func, tuple(fn.keywords.values())
        self.follow(fn, _NONE, getattr(fn, "__name__", "the function"))
        for part in (*args, *keywords):
            self.argument = container_kind(part) is not None or isinstance(part, tuple)
            self.follow(part, _NONE, "an argument")
        self.argument = False

    # Following

    def place(self, kind: str, owner: Any, key: Any, label: str) -> None:
        """Write one place down, once."""
        known = (kind, id(owner), key if isinstance(key, str) else id(key))
        if known not in self.places:
            made = Place(kind, owner, key, label)
            made.after = self.after
            self.places[known] = made
            if self.code is not None:
                self.code_of[id(made)] = self.code

    def refuse(self, value: Any, label: str) -> None:
        """Note a value that cannot be compared."""
        code = self.code
        name = re.split(r"[.\[]", label.replace("'", ""))[-1].rsplit(" ", 1)[-1]
        line = line_of(code, name, False) if code is not None else "an unknown line"
        self.block(f"it uses {label} ({type(value).__name__}), whose state cannot be compared", line)

    def follow(self, value: Any, names: frozenset[str], label: str) -> None:
        """Write down what code with these names can reach from a value."""
        if isinstance(value, _ATOMS) or value is current:
            return
        mark = (id(value), id(names))
        if mark in self.visited or self.blocked is not None:
            return
        self.visited.add(mark)
        self.outside.add(id(value))
        self.kept.append((value, names))
        if isinstance(value, TensorBase):
            self.tensor(value, label)
        elif isinstance(value, FunctionType):
            self.function(value, names, label)
        elif isinstance(value, ModuleType):
            self.module_names(value, names, label)
        elif isinstance(value, MethodType):
            self.follow(value.__self__, names, label)
            self.follow(value.__func__, names, label)
        elif isinstance(value, (tuple, frozenset)):
            for k, part in enumerate(value):
                self.follow(part, names, f"{label}[{k}]")
            if hasattr(value, "__dict__"):
                self.attributes(value, names, label)
        elif container_kind(value) is not None:
            self.container(value, names, label)
        elif isinstance(value, np.ndarray):
            self.array(value, label)
        elif isinstance(value, functools.partial):
            for part in (value.func, value.args, value.keywords):
                self.follow(part, names, label)
        elif isinstance(value, (staticmethod, classmethod)):
            self.follow(value.__func__, names, label)
        elif isinstance(value, property):
            for part in (value.fget, value.fset):
                self.follow(part, names, label)
        elif isinstance(value, type):
            self.class_names(value, names, label)
        else:
            self.instance(value, names, label)

    def tensor(self, value: TensorBase, label: str) -> None:
        """Write down the hooks of a leaf."""
        node: Any = value._node
        if node is not None and value.is_leaf:
            self.place("attribute", node, _NODE_HOOKS, f"the hooks of {label}")
            if node.hooks is not None:
                for name in ("before", "after", "tensor", "post_accumulate"):
                    self.follow(getattr(node.hooks, name, None), _NONE, f"the hooks of {label}")

    def function(self, value: FunctionType, names: frozenset[str], label: str) -> None:
        """Write down a function: its code, defaults and attributes."""
        if is_library(value.__code__.co_filename):
            inner = value.__dict__.get("__wrapped__")
            if inner is not None and not is_library(getattr(getattr(inner, "__code__", None), "co_filename", "")):
                self.closure(value, names)
            return
        for name, descriptor in _FUNCTION:
            self.place("attribute", value, descriptor, f"{name} of {label}")
        self.functions.setdefault(value.__code__, []).append(value)
        if value.__dict__:
            for key in list(value.__dict__):
                if key in names and key != "__wrapped__":
                    self.place("item", value.__dict__, key, f"{label}.{key}")
                    self.follow(value.__dict__[key], names, f"{label}.{key}")

    def closure(self, value: FunctionType, names: frozenset[str]) -> None:
        """Write down the variables of enclosing functions."""
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
            self.cell(cell, name, names)

    def cell(self, cell: CellType, name: str, names: frozenset[str]) -> None:
        """Write down one variable of an enclosing function."""
        self.place("cell", cell, name, f"variable {name!r}")
        self.kept.append(cell)
        with contextlib.suppress(ValueError):
            self.follow(cell.cell_contents, names, name)

    def module_names(self, value: ModuleType, names: frozenset[str], label: str) -> None:
        """Write down what code can reach in a module of Python."""
        own = vars(value)
        known = value.__name__.split(".")[0] in ("numpy", "thalweg", "math", "builtins")
        for name in names:
            if name in own:
                if not known:
                    self.place("item", own, name, f"{label}.{name}")
                if not known or isinstance(own[name], (ModuleType, MethodType, BuiltinFunctionType)):
                    self.follow(own[name], names, f"{label}.{name}")

    def container(self, value: Any, names: frozenset[str], label: str) -> None:
        """Write down a list, a set or a dictionary with its contents."""
        if id(value) in self.touchy:
            return
        self.count += len(value)
        if self.count > _MOST:
            self.block(f"it uses {label}, which with others holds more than {_MOST} elements", self.where(label))
            return
        if self.argument:
            self.passing.add(id(value))
        self.place(container_kind(value) or "", value, None, label)
        if isinstance(value, dict):
            for key, part in list(value.items()):
                self.follow(part, names, f"{label}[{key!r}]" if isinstance(key, (str, int)) else f"an item of {label}")
                self.follow(key, names, f"a key of {label}")
        else:
            for k, part in enumerate(list(value)):
                self.follow(part, names, f"{label}[{k}]")
        if hasattr(value, "__dict__"):
            self.attributes(value, names, label)

    def where(self, label: str) -> str:
        """Return the line that leads to a value."""
        return line_of(self.code, re.split(r"[.\[]", label)[-1], False) if self.code is not None else "an unknown line"

    def array(self, value: Any, label: str) -> None:
        """Write down a NumPy array."""
        if value.dtype.hasobject or value.nbytes > _LARGEST:
            size = "Python objects" if value.dtype.hasobject else f"{value.nbytes} bytes"
            self.block(f"it uses {label}, a NumPy array of {size}; pass it as an argument", self.where(label))
            return
        self.place("array", value, None, label)

    def class_names(self, value: type, names: frozenset[str], label: str) -> None:
        """Write down what code can reach in a class."""
        for cls in value.__mro__:
            if not self.own_class(cls):
                continue
            for name in names:
                if name in cls.__dict__:
                    found = cls.__dict__[name]
                    self.place("class", cls, name, f"{label}.{name}")
                    self.follow(found, names, f"{label}.{name}")

    @staticmethod
    def own_class(cls: type) -> bool:
        """Return whether a class is the user's."""
        heap = bool(cls.__flags__ & (1 << 9))  # made by a class statement, not by C code
        return heap and cls.__module__.split(".")[0] not in ("thalweg", "numpy")

    def instance(self, value: Any, names: frozenset[str], label: str) -> None:
        """Write down an object by what it is."""
        from ..nn.modules.module import Module
        from ..optim.lr_scheduler.base import LRScheduler
        from ..optim.optimizer import Optimizer
        from .compiled import Compiled

        cls = type(value)
        if isinstance(value, Module):
            self.nn_module(value, names, label)
        elif isinstance(value, Optimizer):
            self.optimizer(value, names, label)
        elif isinstance(value, LRScheduler):
            self.schedulers.add(id(value))
            self.attributes(value, names - {"optimizer"} if self.own_class(cls) else _NONE, label)
        elif isinstance(value, Compiled):
            self.follow(value._fn, names, label)
        elif cls.__module__.split(".")[0] == "thalweg":
            if hasattr(cls, "__next__"):
                self.refuse(value, label)
            elif cls.__name__ != "Generator":
                self.attributes(value, names, label, everything=True)
        elif callable(value) and not hasattr(value, "__dict__") and is_pure(value):
            owner = getattr(value, "__self__", None)
            if owner is not None and not isinstance(owner, (ModuleType, type)):
                self.follow(owner, names, label)
        elif hasattr(value, "__dict__") or any("__slots__" in c.__dict__ for c in cls.__mro__[:-1]):
            if (
                (hasattr(cls, "__next__") and not isinstance(cls.__next__, FunctionType))
                or cls.__module__ in ("random", "threading", "_io")
                or issubclass(cls, threading.local)
            ):
                self.refuse(value, label)
            elif callable(value) and cls.__module__ in ("numpy", "functools"):
                if cls.__module__ == "functools":
                    self.refuse(value, label)
            else:
                self.attributes(value, names, label, everything=bool(names & DYNAMIC))
        elif cls is not object and not (cls.__module__ != "builtins" and self.plain(cls)):
            self.refuse(value, label)

    @staticmethod
    def plain(cls: type) -> bool:
        """Return whether all classes of an object are made by class statements."""
        return all(c is object or bool(c.__flags__ & (1 << 9)) for c in cls.__mro__)

    def attributes(self, value: Any, names: frozenset[str], label: str, everything: bool = False) -> None:
        """Write down attributes: those named, or all."""
        own = getattr(value, "__dict__", None)
        if not isinstance(own, dict):
            own = None
        if everything:
            if own is not None:
                self.place("dict", own, None, f"the attributes of {label}")
                for key, part in list(own.items()):
                    self.follow(part, names, f"{label}.{key}")
            for cls in type(value).__mro__:
                for key, found in list(cls.__dict__.items()):
                    if isinstance(found, MemberDescriptorType):
                        self.slot(value, found, names, f"{label}.{key}")
                    elif self.own_class(cls) and not key.startswith("__"):
                        self.of_class(value, key, names, f"{label}.{key}")
            return
        for name in names:
            if own is not None and name in own:
                self.place("item", own, name, f"{label}.{name}")
                self.follow(own[name], names, f"{label}.{name}")
            else:
                found = self.of_class(value, name, names, f"{label}.{name}")
                if own is not None and (found or self.stores(name)):
                    self.place("item", own, name, f"{label}.{name}")

    def stores(self, name: str) -> bool:
        """Return whether the code that is followed may store under a name."""
        return self.code is None or name in self.code.co_names

    def slot(self, value: Any, descriptor: Any, names: frozenset[str], label: str) -> None:
        """Write down an attribute that is a slot."""
        self.place("attribute", value, descriptor, label)
        with contextlib.suppress(AttributeError):
            self.follow(descriptor.__get__(value, type(value)), names, label)

    def of_class(self, value: Any, name: str, names: frozenset[str], label: str) -> bool:
        """Write down an attribute of a class; return whether there is one."""
        for cls in type(value).__mro__:
            if name not in cls.__dict__:
                continue
            found = cls.__dict__[name]
            if isinstance(found, MemberDescriptorType):
                self.slot(value, found, names, label)
            elif self.own_class(cls):
                self.place("class", cls, name, label)
                self.follow(found, names, label)
            return True
        return False

    # Modules and optimizers

    def nn_module(self, module: Any, names: frozenset[str], label: str) -> None:
        """Write down everything in a module: attributes, parts, hooks."""
        self.outside.add(id(module))
        own = module.__dict__
        name = type(module).__name__
        if ("dict", id(own), id(None)) not in self.places:
            self.place("attribute", module, _CLASS, f"the class of {name}")
            self.place("dict", own, None, f"the attributes of {name}")
            for key, part in list(own.items()):
                if key == "_hook_tables":
                    if part is not None:
                        for table in type(part).__slots__:
                            self.follow(getattr(part, table), _NONE, f"the {table} hooks of {name}")
                elif key != "_non_persistent":
                    self.follow(part, _NONE, f"{name}.{key}")
        if names:
            if self.own_class(type(module)):
                for key in names:
                    if key not in own:
                        self.of_class(module, key, names, f"{name}.{key}")
            for key, part in list(own.items()):
                if key in names:
                    self.follow(part, names, f"{label}.{key}")
                elif key in ("_parameters", "_buffers", "_modules"):
                    for inner, child in list(part.items()):
                        if inner in names or names & {"children", "modules", "_modules"} or part is own["_modules"]:
                            self.follow(child, names, f"{label}.{inner}")

    def optimizer(self, optimizer: Any, names: frozenset[str], label: str) -> None:
        """Meet an optimizer: its state is written down after the run, which may make it."""
        self.outside.add(id(optimizer))
        if not any(o is optimizer for o in self.optimizers):
            self.optimizers.append(optimizer)
            state = optimizer.__dict__.get("state")
            if state is not None:
                self.touchy[id(state)] = state
                before = dict(state)
                self.touchy.update((id(part), part) for part in before.values())
            for key in ("_before_step", "_after_step"):
                self.follow(optimizer.__dict__.get(key), _NONE, f"{type(optimizer).__name__}.{key}")
            inner = optimizer.__dict__.get("inner")
            if inner is not None:
                self.follow(inner, _NONE, f"{label}.inner")
        if "param_groups" in names and "param_groups" in optimizer.__dict__:
            self.follow(optimizer.param_groups, names, f"{label}.param_groups")
        for key in names & optimizer.__dict__.keys() - _VOLATILE:
            self.place("item", optimizer.__dict__, key, f"{label}.{key}")
        if self.own_class(type(optimizer)):
            for key in names - optimizer.__dict__.keys():
                self.of_class(optimizer, key, names, f"{label}.{key}")
