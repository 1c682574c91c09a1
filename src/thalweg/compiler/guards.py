"""Places outside of a function whose contents it may have read, and one generated comparison for all of them.

A place is a name in a namespace, a cell, an attribute, or the contents of a container. The fast test compares
identities only; where one differs, the slow test compares types and bits, and says what changed.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from itertools import chain
from operator import is_
from types import FunctionType
from typing import Any

import numpy as np

from ..core.node import BaseNode

__all__ = ["MISSING", "Place", "Places", "container_kind", "equal"]


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()
_ATOMS = (int, str, bytes, bool, type(None))


def equal(a: Any, b: Any) -> bool:
    """Return whether two objects are the same, or immutable of one type with the same bits."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in _ATOMS:
        return bool(a == b)
    if kind is float:
        return struct.pack("d", a) == struct.pack("d", b)
    if kind is complex:
        return equal(a.real, b.real) and equal(a.imag, b.imag)
    if kind is tuple:
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, np.generic):
        return bool(a.dtype == b.dtype and a.tobytes() == b.tobytes())
    return False


class Place:
    """One place: how it is read now, what was in it, and how that is put back."""

    __slots__ = ("after", "key", "kind", "label", "owner", "then")

    def __init__(self, kind: str, owner: Any, key: Any, label: str) -> None:
        self.kind = kind
        self.owner = owner
        self.key = key
        self.label = label
        self.after = False  # taken after the run, whose library part may change it
        self.then = self.now()

    def now(self) -> Any:
        """Return what is there; for a container a copy of its contents."""
        kind, owner = self.kind, self.owner
        if kind == "item":
            return owner.get(self.key, MISSING)
        if kind == "class":
            return owner.__dict__.get(self.key, MISSING)
        if kind == "cell":
            try:
                return owner.cell_contents
            except ValueError:
                return MISSING
        if kind == "attribute":
            try:
                return self.key.__get__(owner, type(owner))
            except AttributeError:
                return MISSING
        if kind == "dict":
            return (*owner.keys(), *owner.values())
        if kind == "values":
            return tuple(owner)
        return owner.shape, owner.dtype.str, owner.tobytes()

    def changed(self) -> bool:
        """Return whether something else is there."""
        return not equal(self.now(), self.then)

    def put_back(self) -> None:
        """Put back what was there."""
        kind, owner, then = self.kind, self.owner, self.then
        if kind == "item":
            if then is MISSING:
                owner.pop(self.key, None)
            else:
                owner[self.key] = then
        elif kind == "class":
            delattr(owner, self.key) if then is MISSING else setattr(owner, self.key, then)
        elif kind == "cell":
            if then is not MISSING:
                owner.cell_contents = then
        elif kind == "attribute":
            if then is MISSING:
                self.key.__delete__(owner)
            else:
                self.key.__set__(owner, then)
        elif kind == "dict":
            half = len(then) // 2
            owner.clear()
            owner.update(zip(then[:half], then[half:], strict=True))
        elif kind == "values":
            owner.clear()
            owner.update(then) if isinstance(owner, set) else owner.extend(then)
        elif owner.flags.writeable and owner.shape == then[0]:
            owner[...] = np.frombuffer(then[2], owner.dtype).reshape(then[0])

    def says(self) -> str:
        """Return what happened to it."""
        now = self.now()
        if self.kind in ("item", "class", "cell", "attribute"):
            return f"{self.label} changed from {_shown(self.then)} to {_shown(now)}"
        if self.kind == "array":
            return f"the elements of {self.label} changed"
        before, after = len(self.then), len(now)
        if self.kind == "dict":
            before, after = before // 2, after // 2
        if before != after:
            return f"{self.label} changed its length from {before} to {after}"
        for k, (a, b) in enumerate(zip(self.then, now, strict=True)):
            if not equal(a, b):
                key = repr(self.then[k - before]) if self.kind == "dict" and k >= before else str(k)
                return f"{self.label}[{key}] changed from {_shown(a)} to {_shown(b)}"
        return f"{self.label} changed"


def _shown(value: Any) -> str:
    if isinstance(value, (int, float, str, bool, type(None), _Missing)):
        text = repr(value)
        return text if len(text) < 60 else text[:57] + "..."
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else f"another {type(value).__name__}"


class Places:
    """All places that one captured program depends on."""

    def __init__(self, places: list[Place]) -> None:
        self.places = places
        self.same = self._built()

    def changed(self) -> str | None:
        """Return which place changed, or None."""
        try:
            if self.same():
                return None
        except (ValueError, KeyError, AttributeError, RuntimeError):
            pass  # an empty cell, a name or an attribute that is gone
        for place in self.places:
            if place.changed():
                return place.says()
        for place in self.places:  # equal, though not the same objects: compare with these from now on
            place.then = place.now()
        self.same = self._built()
        return None

    def _built(self) -> Callable[[], bool]:
        """Return one function that compares every place by identity."""
        scope: dict[str, Any] = {"map": map, "all": all, "is_": is_, "chain": chain, "each": chain.from_iterable}
        tests: list[str] = []
        sources: list[Any] = []
        kept: list[Any] = []

        def named(value: Any) -> str:
            name = f"c{len(scope)}"
            scope[name] = value
            return name

        for place in self.places:
            owner, then = place.owner, place.then
            if place.kind in ("dict", "values") and not then:
                tests.append(f"not {named(owner)}")
            elif place.kind == "dict":
                if not place.label.startswith("the "):  # names of attributes and parameters follow their order
                    sources.append(owner.keys())
                    kept += then[: len(then) // 2]
                sources.append(owner.values())
                kept += then[len(then) // 2 :]
            elif place.kind == "values":
                sources.append(owner)
                kept += then
            elif place.kind == "item":
                key = named(place.key)
                if then is MISSING:
                    tests.append(f"{key} not in {named(owner)}")
                else:
                    tests.append(f"{named(owner)}[{key}] is {named(then)}")
            elif place.kind == "class" and then is not MISSING:
                tests.append(f"{named(owner.__dict__)}[{named(place.key)}] is {named(then)}")
            elif place.kind == "cell" and then is not MISSING:
                tests.append(f"{named(owner)}.cell_contents is {named(then)}")
            elif place.kind == "attribute" and then is not MISSING:
                plain = isinstance(owner, (FunctionType, BaseNode))  # whose attributes run no code
                read = (
                    f"{named(owner)}.{place.key.__name__}" if plain else f"{named(place.key.__get__)}({named(owner)})"
                )
                tests.append(f"{read} is {named(then)}")
            elif place.kind == "array":
                array = named(owner)
                tests.append(f"{array}.tobytes() == {named(then[2])} and {array}.shape == {named(then[0])}")
            else:
                tests.append(f"not {named(place.changed)}()")
        if sources:
            end = (object(),)  # a container that grew, or lost its last element, meets it too early or too late
            scope.update(sources=sources, end=end, kept=[*kept, *end])
            tests.append("all(map(is_, chain(each(sources), end), kept))")
        exec(f"def same():\n return {' and '.join(tests) or 'True'}", scope)
        same: Callable[[], bool] = scope["same"]
        return same


def container_kind(value: Any) -> str | None:
    """Return how the contents of a mutable container are compared, or None for everything else."""
    if isinstance(value, dict):
        return "dict"
    return "values" if isinstance(value, (list, set, deque)) else None
