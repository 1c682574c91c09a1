"""The form of a race's files: which keys they have, and which values each may take.

``config.toml``, the runs and the manifest are read through the tables below, so that a file that was edited, cut off
or damaged ends in one sentence which names the key, and in a configuration the line.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = [
    "CONFIG",
    "LABEL",
    "MANIFEST",
    "MOST_EPOCHS",
    "MOST_SEED",
    "MOST_SEEDS",
    "MOST_STEPS",
    "MOST_TRIALS",
    "RECORD",
    "Form",
    "Table",
    "Wrong",
    "check",
    "line_of",
    "number_as",
]

MOST_SEEDS = 10_000
MOST_SEED = 2**63 - 1
MOST_TRIALS = 10_000  # settings of one contender
MOST_CONTENDERS = 10_000
MOST_STEPS = 10**8  # of one run
MOST_EPOCHS = 1e6
MOST_TEXT = 100_000  # characters
LONGEST = 200  # lines of one value
SHOWN = 60  # characters of a wrong value

LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,79}")  # a name of a file, and of no folder
Place = tuple[str | int, ...]  # of a value: keys of tables and numbers in lists


class Wrong(Exception):
    """A value that is not of its form: where it is, and what is wrong with it."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"{_named(place)} {problem}" if place else problem)
        self.place = place


class Form(NamedTuple):
    """What a value must be, in words and as a test."""

    required: str
    holds: Callable[[Any], bool]

    def check(self, value: Any, place: Place) -> None:
        """Raise if the value is another."""
        if not self.holds(value):
            raise Wrong(place, f"must be {self.required}, got {_shown(value)}")


@dataclass(frozen=True)
class Table:
    """A table: the forms of its keys, those that must be there, and the form of all other keys, if there may be any."""

    forms: Mapping[str, Any]
    needed: frozenset[str] = frozenset()
    others: Any = None

    def check(self, value: Any, place: Place) -> None:
        """Raise if a key is missing or unknown, or has another form."""
        if not isinstance(value, dict):
            raise Wrong(place, f"must be a table, got {_shown(value)}")
        for key, item in value.items():
            form = self.forms.get(key, self.others)
            if form is None:
                raise Wrong((*place, key), f"is no key of {_named(place) or 'a race'}; {_listed(self.forms)}")
            form.check(item, (*place, key))
        missing = sorted(self.needed - set(value))
        if missing:
            raise Wrong(place, f"has no {missing[0]}, which is required" if place else f"{missing[0]} is missing")


@dataclass(frozen=True)
class Listed:
    """A list of so many values of one form."""

    form: Any
    least: int = 0
    most: int = 10**9

    def check(self, value: Any, place: Place) -> None:
        """Raise if it is no list, too short or long, or an item has another form."""
        if not isinstance(value, list):
            raise Wrong(place, f"must be a list, got {_shown(value)}")
        if not self.least <= len(value) <= self.most:
            raise Wrong(place, f"must have {self.least} to {self.most} items, got {len(value)}")
        for k, item in enumerate(value):
            self.form.check(item, (*place, k))


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def _integer(low: int, high: int) -> Form:
    return Form(
        f"an integer from {low} to {high}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
    )


def _positive(most: float) -> Form:
    return Form(f"a number > 0, at most {most:g}", lambda v: _is_number(v) and 0 < v <= most)


def _either(form: Form, also: Form) -> Form:
    return Form(f"{form.required} or {also.required}", lambda v: form.holds(v) or also.holds(v))


NUMBER = Form("a finite number", _is_number)
TRUTH = Form("true or false", lambda v: isinstance(v, bool))
TEXT = Form(
    f"a text of 1 to {MOST_TEXT} characters without control characters",
    lambda v: isinstance(v, str) and 0 < len(v) <= MOST_TEXT and "\0" not in v,
)
NOTHING = Form("null", lambda v: v is None)
SHARE = Form("a number from 0 to 0.9", lambda v: _is_number(v) and 0 <= v <= 0.9)
NAME = Form(
    "1 to 80 letters, digits, '.', '_', '+' and '-', not beginning with '.', '+' or '-'",
    lambda v: isinstance(v, str) and LABEL.fullmatch(v) is not None,
)
RATE = Form("a finite number > 0", lambda v: _is_number(v) and v > 0)
SETTING = Form(
    "a finite number, a text, true, false or a list of finite numbers",
    lambda v: isinstance(v, (bool, str)) or _is_number(v) or (isinstance(v, list) and all(map(_is_number, v))),
)

CONTENDER = Table(
    {
        "label": NAME,
        "method": TEXT,
        "batch": _integer(0, 10**9),
        "given": Listed(TEXT, 0, 100),
        "settings": Table({}, others=SETTING),
    },
    frozenset({"label", "method", "batch", "settings"}),
)
CONFIG = Table(
    {
        "seeds": _integer(1, MOST_SEEDS),
        "seed": _integer(0, MOST_SEED),
        "goal": NUMBER,
        "epochs": _positive(MOST_EPOCHS),
        "steps": _integer(1, MOST_STEPS),
        "compiled": TRUTH,
        "trials": _integer(1, MOST_TRIALS),
        "tuning_seeds": _integer(1, MOST_SEEDS),
        "halving": TRUTH,
        "rates": Listed(RATE, 1, MOST_TRIALS),
        "validation": SHARE,
        "test": SHARE,
        "problem": Table(
            {
                "kind": Form("'named', 'csv' or 'expression'", lambda v: v in ("named", "csv", "expression")),
                "text": TEXT,
                "target": TEXT,
                "sha256": Form("64 hexadecimal digits", lambda v: isinstance(v, str) and _hexadecimal(v)),
                "start": Listed(NUMBER, 1, MOST_TEXT),
                "noise": Form("a number >= 0", lambda v: _is_number(v) and v >= 0),
                "replacement": TRUTH,
                "model": TEXT,
            },
            frozenset({"kind", "text"}),
        ),
        "contender": Listed(CONTENDER, 1, MOST_CONTENDERS),
    },
    frozenset({"seeds", "seed", "problem", "contender"}),
)

_COUNT = _integer(0, 2**62)
_MAYBE = _either(NUMBER, NOTHING)  # JSON has no infinity: what is not finite is null
RECORD = Table(
    {
        "contender": TEXT,
        "seed": _COUNT,
        "status": Form("'done' or 'diverged'", lambda v: v in ("done", "diverged")),
        "steps": Listed(_COUNT, 1),
        "epochs": Listed(NUMBER, 1),
        "seconds": Listed(NUMBER, 1),
        "losses": Listed(_MAYBE, 1),
        "total_steps": _COUNT,
        "gradients": _COUNT,
        "sweep": _COUNT,
        "alone": Form("a text", lambda v: isinstance(v, str)),
        "validations": Listed(_MAYBE),
        "validation": _MAYBE,
        "test": _MAYBE,
        "metrics": Table({}, others=_MAYBE),
    },
    frozenset({"contender", "seed", "status", "steps", "epochs", "seconds", "losses"}),
)
_ANY = Form("a value", lambda v: True)
MANIFEST = Table(  # what is read again; the rest is written anew
    {
        "command": Listed(Form("a text", lambda v: isinstance(v, str))),
        "started": TEXT,
        "clock": Table({"seconds_per_step": Table({}, others=RATE)}, others=_ANY),
    },
    others=_ANY,
)


def _hexadecimal(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def check(value: Any, form: Any) -> None:
    """Raise :class:`Wrong` if a value that was read from a file is not of its form.

    >>> check({"kind": "named"}, CONFIG.forms["problem"])
    Traceback (most recent call last):
        ...
    thalweg.lab.schema.Wrong: text is missing
    """
    form.check(value, ())


def number_as(default: Any) -> Form:
    """Return the form of a setting whose default is this, as in ``Adam(lr=0.001, betas=(0.9, 0.999))``."""
    if isinstance(default, bool):
        return TRUTH
    if isinstance(default, str):
        return Form("a text", lambda v: isinstance(v, str))
    if isinstance(default, (tuple, list)):
        n = len(default)
        return Form(
            f"a list of {n} numbers", lambda v: isinstance(v, list) and len(v) == n and all(_is_number(x) for x in v)
        )
    return NUMBER


def line_of(text: str, place: Place) -> int | None:
    r"""Return the number of the line of a TOML file on which a value begins; None for the file as a whole.

    It is the first line with which the part of the file up to there, which must be valid, has the value.

    >>> line_of('seeds = 1\n[problem]\nkind = "named"\n', ("problem", "kind"))
    3
    """
    lines = [line + "\n" for line in text.split("\n")]
    while place and not _has(lines, len(lines), place):
        place = place[:-1]
    if not place:
        return None
    low, high = 0, len(lines)  # without the value, with it
    while high - low > 1:
        middle = (low + high) // 2
        if _has(lines, middle, place):
            high = middle
        else:
            low = middle
    return high


def _has(lines: Sequence[str], count: int, place: Place) -> bool:
    """Return whether the first lines have a value; where they end inside of one, so many more that they do not."""
    for n in range(count, min(len(lines), count + LONGEST) + 1):
        try:
            value: Any = tomllib.loads("".join(lines[:n]))
        except (ValueError, RecursionError):
            continue
        try:
            for key in place:
                value = value[key]
        except (KeyError, IndexError, TypeError):
            return False
        return True
    return False


def _named(place: Place) -> str:
    """Return a place in words: ``contender 2: settings.lr``."""
    words = ""
    for key in place:
        if isinstance(key, int):
            words += f" {key + 1}"
        else:
            words += ("." if words and not words[-1].isdigit() else ": " if words else "") + _shown(key).strip("'")
    return words


def _listed(keys: Iterable[str]) -> str:
    names = sorted(keys)
    return f"there are {', '.join(names)}" if names else "there is none"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of brackets
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
