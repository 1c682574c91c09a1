"""The world outside a captured function: what its code can reach is written down before the code runs.

Every Python function that is entered during a capture, and is not the library's own, shows by its code which globals,
closure variables and attributes it can read. Their contents then are compared before each later run
(`guards.Places`), and once after the capture: what differs there was stored by the function itself.
"""

from __future__ import annotations

import contextlib
import gc
import re
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from ..core.modes import current
from .codes import globals_of, is_pure, line_of, located, names_of, user_side
from .guards import Place, container_kind
from .reach import Reach

__all__ = ["World"]

_SEEDS = {"manual_seed", "seed", "initial_seed", "get_rng_state", "set_rng_state", "set_default_dtype", "get_state",
          "set_state", "fork_rng", "save", "load"}  # fmt: skip
_NONE: frozenset[str] = frozenset()


class World(Reach):
    """What a function can reach, as it was before the function ran; told of every call while the function runs."""

    # Entering code

    def enter(self, frame: Any) -> None:
        """Write down what a function that begins can reach."""
        code = frame.f_code
        self.code = code
        names = names_of(code)
        namespace = frame.f_globals
        builtins = frame.f_builtins
        for name in globals_of(code):
            if name in namespace:
                self.place("item", namespace, name, f"global {name!r}")
                self.follow(namespace[name], names, name)
            elif name in builtins:
                self.place("item", namespace, name, f"global {name!r}")
            elif name in sys.modules:
                self.follow(sys.modules[name], names, name)
            else:
                self.place("item", namespace, name, f"global {name!r}")
        if code not in self.functions and code not in self.known and (code.co_freevars or code.co_argcount):
            self.functions[code] = [f for f in gc.get_referrers(code) if isinstance(f, FunctionType)]
        self.learn(code)
        for function in self.functions.get(code, ()):
            self.closure(function, names)
            for part in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
                self.follow(part, names, "a default")
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            value = frame.f_locals.get(name)
            if id(value) in self.outside:
                self.follow(value, names, name)

    def learn(self, code: CodeType) -> None:
        """Note code that is made inside of known code."""
        for constant in code.co_consts:
            if isinstance(constant, CodeType) and constant not in self.known:
                self.known.add(constant)
                self.learn(constant)

    def event(self, frame: Any, kind: str, function: Any) -> None:
        """Follow one event of Python's profiler."""
        if self.blocked is not None:
            return
        if kind == "call":
            if user_side(frame):
                self.enter(frame)
            elif frame.f_back is not None and user_side(frame.f_back):
                self.library_call(frame)
        elif kind == "c_call" and user_side(frame):
            line = located(frame.f_code.co_filename, frame.f_lineno)
            if function is not current and not is_pure(function):
                self.block(f"it calls {getattr(function, '__qualname__', function)}, which depends on more than its arguments "
                           "or acts on the outside", line)  # fmt: skip
            elif id(getattr(function, "__self__", None)) in self.touchy and function.__name__ not in (
                "get",
                "items",
                "keys",
                "values",
            ):
                self.block(f"it changes the state of an optimizer by {function.__name__}()", line)

    def library_call(self, frame: Any) -> None:
        """Meet a call of the library by the user's code: some of it reads or changes what no program holds."""
        name, back = frame.f_code.co_name, frame.f_back
        first = frame.f_code.co_varnames[:1]
        owner = frame.f_locals.get(first[0]) if first else None
        scheduled = id(owner) in self.schedulers and name not in ("step", "run")
        if (
            name in _SEEDS
            or scheduled
            or (name.startswith("register_") and "hook" in name and id(owner) in self.outside)
        ):
            self.block(f"it calls {name}()", located(back.f_code.co_filename, back.f_lineno))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every call of this thread."""
        outer = sys.getprofile()
        sys.setprofile(self.event)
        try:
            yield
        finally:
            if outer is None or callable(outer):
                sys.setprofile(outer)
            else:
                sys.setprofile(None)
                outer.enable()  # type: ignore[unreachable]

    # The end

    def stored(self) -> str | None:
        """Return which place the run itself changed, and where, or None."""
        for place in self.places.values():
            if not place.after and place.changed():
                code = self.code_of.get(id(place))
                name = place.key if isinstance(place.key, str) else re.split(r"[.\[]", place.label)[-1].strip("'")
                line = line_of(code, name, True) if code is not None else "an unknown line"
                return f"it stores to what outlives the call ({place.says()}), at {line}"
        return None

    def put_back(self) -> None:
        """Undo what the run stored."""
        for place in self.places.values():
            if not place.after and place.changed():
                with contextlib.suppress(TypeError, AttributeError):
                    place.put_back()

    def settle(self) -> list[Place]:
        """Write down the optimizers as the run left them; return the places to compare before later runs."""
        self.code = None
        self.after = True
        for optimizer in self.optimizers:
            own, name = optimizer.__dict__, type(optimizer).__name__
            for key in own:
                if key not in ("_begun", "_stepped", "param_groups") and "_save" not in key and "_load" not in key:
                    self.place("item", own, key, f"{name}.{key}")
                    if key != "state" and container_kind(own[key]) is not None and "hook" not in key:
                        self.follow(own[key], _NONE, f"{name}.{key}")
            state = own.get("state")
            if state is not None:
                self.place("dict", state, None, f"the state of {name}")
                for part in state.values():
                    if isinstance(part, dict):
                        self.place("dict", part, None, f"the state of {name}")
        return [p for p in self.places.values() if id(p.owner) not in self.passing]
