"""Entries of the atlas: what each says, how it is run, and how its outcome is judged.

The entries are data (``entries.json``); a runner is a function of an entry's settings that returns the obtained
figures under the names of the expected ones. How they are compared depends on the kind:

- ``exact``, ``rational``, ``text``, ``plot``: equal at the printed number of decimals (or as strings);
- ``repr``: equal as printed; ``property``, ``exercise``: the stated truths, or figures at their decimals;
- ``band``: 20 seeds, at most 2 losses outside the 1% to 99% band, none below the least-squares floor;
- ``distribution``: means and deviations within 5 standard errors;
- ``timing``: the order of the rates; ``training``: run by request only, nothing to miss.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from ...errors import ArgumentError

__all__ = ["Entry", "Outcome", "Row", "entries", "find"]


@dataclass(frozen=True)
class Entry:
    """One experiment or exercise."""

    id: str
    topic: str
    title: str
    kind: str
    runner: str
    settings: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] | None = None
    digits: int | None = None


@dataclass(frozen=True)
class Row:
    """One figure: its name, what was expected and obtained (as text), and whether they agree."""

    name: str
    expected: str
    obtained: str
    good: bool


@dataclass(frozen=True)
class Outcome:
    """What running an entry gave. `skipped` says why nothing could be run."""

    entry: Entry
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    skipped: str | None = None

    @property
    def good(self) -> bool:
        """Whether every figure agrees."""
        return self.skipped is None and all(row.good for row in self.rows)


@cache
def entries() -> tuple[Entry, ...]:
    """Return all entries, in the order of the chapter's sources."""
    text = resources.files(__package__).joinpath("entries.json").read_text(encoding="utf-8")
    return tuple(Entry(**fields) for fields in json.loads(text))


def find(name: str) -> Entry:
    """Return an entry by its id; the nearest names are in the error."""
    for entry in entries():
        if entry.id == name:
            return entry
    near = get_close_matches(name, [e.id for e in entries()], 3)
    hint = f" Near names: {', '.join(near)}." if near else ""
    raise ArgumentError(f"atlas: no entry is called {name!r}; 'thalweg atlas list' shows all.{hint}")


def compare(entry: Entry, obtained: dict[str, Any]) -> tuple[Row, ...]:
    """Judge the figures of an entry, one row each."""
    rows = []
    for name, want in (entry.expected or {}).items():
        got = obtained.get(name)
        if want is None:
            rows.append(Row(name, "-", _text(got), got is not None))
        elif isinstance(want, (int, float)) and not isinstance(want, bool) and isinstance(got, (int, float)):
            digits = _decimals(want) if entry.digits is None else entry.digits
            unit = 10.0**-digits
            slack = 0.5 * unit * (1 + 1e-6) + 0.5 * 10.0 ** -_decimals(want) + 5e-8 * abs(want)
            good = abs(float(got) - float(want)) <= slack
            rows.append(Row(name, _number(want, digits), _number(got, digits), bool(good)))
        else:
            rows.append(Row(name, str(want), _text(got), _text(got) == str(want)))
    return tuple(rows)


def _decimals(value: float) -> int:
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _number(value: float, digits: int) -> str:
    if digits < 0 or abs(value) >= 1e7 or (value and abs(value) < 10.0**-digits * 10):
        return f"{value:.6g}"
    return f"{value:.{digits}f}"


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
