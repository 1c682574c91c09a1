"""A contender: a method with its settings, and how it is typed: ``adam:lr=0.01,betas=0.9/0.99,batch=32``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import optim
from ..errors import ArgumentError, ThalwegError
from ..ops.tensor import Tensor
from ..optim.wrappers import EMA
from ..problems.base import Problem
from .methods import DEFAULT_CONTENDERS, ON_FUNCTIONS, Method, all_methods, default_settings, minibatch_size
from .options import OPTIONS, Scheduled, checked_options, core, factors
from .searches import is_search

__all__ = [
    "Contender", "UnknownName", "at_rates", "default_contenders", "distinct", "parse_contender", "rates", "shown", "unknown",
]  # fmt: skip

MANY = 10_000  # learning rates


class UnknownName(ArgumentError):
    """A name that is not there; the message has the nearest one and the list."""


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownName:
    """Return the error for a name that is not known."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], 1, 0.4)
    hint = f" Did you mean {next(n for n in names if n.lower() == near[0])!r}?" if near else ""
    return UnknownName(f"There is no {what} {name!r}.{hint} There are: {', '.join(names)}.")


@dataclass(frozen=True)
class Contender:
    """A method with settings; `batch` is the number of rows in a step (0 on functions)."""

    label: str
    method: str
    settings: tuple[tuple[str, Any], ...]
    batch: int = 0
    given: tuple[str, ...] = ()  # settings that are fixed: tuning leaves them alone

    def optimizer(self, parameters: list[Tensor], steps: int | None = None) -> optim.Optimizer:
        """Return a fresh optimizer over `parameters`, with its average; its schedule too, if the run has so many steps."""
        make: Any = all_methods()[self.method].optimizer
        settings = dict(self.settings)
        made = make(parameters, **{key: value for key, value in self.settings if key not in OPTIONS})
        if settings.get("ema"):
            made = EMA(made, settings["ema"])
        shape = None if steps is None else factors(settings, steps)
        return made if shape is None else Scheduled(made, shape)

    @property
    def searches(self) -> bool:
        """Whether its steps search along lines."""
        return is_search(all_methods()[self.method].optimizer)

    def checked(self, problem: Problem) -> Contender:
        """Return the contender itself; its optimizer, made for the problem's parameters, raises what is wrong with it."""
        checked_options(dict(self.settings), self.method)
        optimizer = self.optimizer(problem.instance(np.random.default_rng(0)).parameters)
        if (
            factors(dict(self.settings), 1) is not None
            and not self.searches
            and any("lr" not in group for group in optimizer.param_groups)
        ):
            raise ArgumentError(f"{self.method}: schedule and warmup need a learning rate, and it has none.")
        if is_search(core(optimizer)):
            if self.batch != problem.rows or problem.random:
                raise ArgumentError(
                    f"{self.method}: it compares losses along a line, which needs all rows and no noise."
                )
            if taken := [key for key, _ in self.settings if key in OPTIONS]:
                raise ArgumentError(f"{self.method}: it finds the length of each step by itself; leave {taken[0]} out.")
        return self

    def described(self, rows: int = 0, *, fixed: bool = True, digits: int = 6) -> str:
        """Return the settings as typed, the batch too where it is part of the rows; without `fixed` no flags of the name."""
        hidden = {} if fixed else all_methods()[self.method].fixed
        parts = [f"{key}={shown(v, digits)}" for key, v in self.settings if not (hidden.get(key) is True and v is True)]
        if 0 < self.batch < rows:
            parts.append(f"batch={self.batch}")
        return " ".join(parts)


def shown(value: Any, digits: int = 6) -> str:
    """Return a setting as it is typed."""
    if isinstance(value, (tuple, list)):
        return "/".join(shown(v, digits) for v in value)
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _typed(key: str, text: str, default: Any, who: str) -> Any:
    """Return the value of a setting from its text, of the type of its default."""
    if isinstance(default, bool):
        if text.lower() in ("true", "false", "1", "0", "yes", "no"):
            return text.lower() in ("true", "1", "yes")
        raise ArgumentError(f"{who}: {key} must be true or false, got {text!r}.")
    if isinstance(default, str):
        return text
    several = isinstance(default, (tuple, list))
    form = f"{len(default)} numbers as in {shown(default)}" if several else "a number"
    try:
        values = tuple(float(part) for part in text.split("/"))
    except ValueError:
        values = ()
    if len(values) != (len(default) if several else 1) or not np.isfinite(values).all():
        raise ArgumentError(f"{who}: {key} must be {form}, got {text!r}.")
    return values if several else values[0]


def _batch(text: str, rows: int, who: str) -> int:
    if text == "full":
        return rows
    try:
        size = int(text)
    except ValueError:
        size = 0
    if not 1 <= size <= rows:
        raise ArgumentError(f"{who}: batch must be 'full' or an integer from 1 to {rows}, got {text!r}.")
    return size


def _usual_batch(method: Method, rows: int, batch: int | None) -> int:
    if method.batch == "full":
        return rows
    return min(rows, 1) if method.batch == "one" else min(rows, batch or minibatch_size(rows))


def parse_contender(text: str, problem: Problem, batch: int | None = None) -> Contender:
    """Read ``NAME`` or ``NAME:key=value,…``; settings that are not given are derived from the problem.

    A setting that is given is checked by making the optimizer, so that nothing starts with a wrong one.
    """
    name, _, rest = text.partition(":")
    methods = all_methods()
    method = methods.get(name.strip().lower())
    if method is None:
        raise unknown("optimizer", name.strip(), methods)
    known = {**method.defaults(), **OPTIONS}
    given: dict[str, Any] = {}
    size = None
    for part in (p for p in rest.split(",") if p.strip()):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        who = f"-o {method.name}"
        if not equals or not value:
            raise ArgumentError(f"{who}: settings are written key=value,key=value, got {part.strip()!r}.")
        if key in given or (key == "batch" and size is not None):
            raise ArgumentError(f"{who}: {key} may be given once.")
        if key == "batch" and problem.rows:
            size = _batch(value, problem.rows, who)
        elif key in known:
            given[key] = _typed(key, value, known[key], who)
        else:
            raise unknown(f"setting of {method.name} called", key, [*known, *(["batch"] if problem.rows else [])])
    if size is None:
        size = _usual_batch(method, problem.rows, batch)
    settings = {**default_settings(problem, method, size), **given}
    contender = Contender(method.name, method.name, tuple(settings.items()), size, tuple(given))
    try:
        return contender.checked(problem)
    except (ThalwegError, ValueError, TypeError) as error:
        raise ArgumentError(f"-o {text}: {error}") from None


def default_contenders(problem: Problem, batch: int | None = None) -> list[Contender]:
    """Return the ten contenders; on a function, where there are no rows to draw, the eight that differ."""
    names = DEFAULT_CONTENDERS if problem.rows else ON_FUNCTIONS
    return [parse_contender(name, problem, batch) for name in names]


def distinct(contenders: list[Contender]) -> list[Contender]:
    """Return the contenders with labels that differ: those of a repeated method are numbered."""
    out: list[Contender] = []
    for contender in contenders:
        same = [c for c in contenders if c.method == contender.method]
        label = contender.method if len(same) == 1 else f"{contender.method}-{same.index(contender) + 1}"
        if any(c.settings == contender.settings and c.batch == contender.batch for c in same if c is not contender):
            raise ArgumentError(
                f"-o {contender.method}: the same contender is given twice ({contender.described() or 'defaults'})."
            )
        out.append(replace(contender, label=label))
    return out


def rates(text: str) -> list[float]:
    """Read learning rates: ``0.001,0.01,0.1``, or ``1e-4..1:200`` for 200 from the first to the last, of equal ratio.

    >>> rates("0.01..1:3")
    [0.01, 0.1, 1.0]
    """
    wrong = ArgumentError(
        f"--lr: numbers > 0 as in 0.001,0.01,0.1, or FROM..TO:COUNT as in 1e-4..1:200, are required, got {text!r}."
    )
    ends, _, count = text.partition(":")
    low, dots, high = ends.partition("..")
    try:
        if not dots:
            found = [float(part) for part in text.split(",")]
        else:
            n = int(count)
            if not (2 <= n <= MANY and 0 < float(low) < np.inf and 0 < float(high) < np.inf):
                raise wrong
            found = [float(f"{x:.6g}") for x in np.geomspace(float(low), float(high), n)]
    except ValueError:
        raise wrong from None
    if not all(x > 0 and np.isfinite(x) for x in found):
        raise wrong
    if len(set(found)) < len(found):
        raise ArgumentError(f"--lr: each learning rate may be given once, got {text!r}.")
    return found


def at_rates(contenders: Iterable[Contender], found: list[float]) -> list[Contender]:
    """Return each contender once at each learning rate, in place of its own."""
    out = []
    for contender in contenders:
        for k, lr in enumerate(found):
            settings = {**dict(contender.settings), "lr": lr}
            label = contender.label if len(found) == 1 else f"{contender.label}-lr{k + 1}"
            out.append(replace(contender, label=label, settings=tuple(settings.items())))
    return out
