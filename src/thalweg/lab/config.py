"""The configuration of a race: as resolved, written down, and read again to run the same."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import data
from ..data.fetched import Unreachable
from ..errors import ArgumentError, DataError, MissingExtra, ThalwegError
from ..problems.base import Problem
from ..problems.catalogue import PROBLEMS, find
from ..problems.function import expression
from ..problems.regressions import LinearRegression, LogisticRegression
from ..problems.stochastic import NoisyProblem, with_replacement
from . import schema
from .contender import Contender, unknown
from .methods import all_methods, minibatch_size
from .splits import HeldOut
from .trial import Budget

__all__ = [
    "DEFAULT_EPOCHS",
    "DEFAULT_HELD_OUT",
    "DEFAULT_SEEDS",
    "DEFAULT_STEPS",
    "DEFAULT_TRIALS",
    "DEFAULT_TUNING_SEEDS",
    "ProblemSpec",
    "RaceConfig",
    "default_budget",
    "held_out",
    "possible",
    "resolve_problem",
]

DEFAULT_SEEDS = 20  # of the result
DEFAULT_TRIALS = 24  # settings of each contender that are tried
DEFAULT_TUNING_SEEDS = 5  # from which each of them runs
DEFAULT_HELD_OUT = 0.2  # share of the rows to choose by, and of those to report
DEFAULT_EPOCHS = 10  # more on a small table, so that a minibatch method takes DEFAULT_STEPS
DEFAULT_STEPS = 300
MOST_DRAWN = 10**8  # rows of a run, whose order is held in memory


def default_budget(rows: int) -> Budget:
    """Return how long a run is where nobody says."""
    if not rows:
        return Budget(steps=DEFAULT_STEPS)
    per_epoch = -(-rows // minibatch_size(rows))
    return Budget(epochs=max(DEFAULT_EPOCHS, -(-DEFAULT_STEPS // per_epoch)))


@dataclass(frozen=True)
class ProblemSpec:
    """Which problem: ``named``, ``csv`` or ``expression``, and what makes it."""

    kind: str
    text: str
    target: str | None = None
    start: tuple[float, ...] | None = None
    sha256: str | None = None
    noise: float | None = None  # standard deviation of noise added to the gradients
    replacement: bool = False  # whether batches are drawn with replacement

    def load(self) -> Problem:
        """Return the problem; the same object for the same specification."""
        return _load(self)

    @property
    def slug(self) -> str:
        """Return a name for folders."""
        if self.kind == "expression":
            return "expression"
        stem = Path(self.text).stem if self.kind == "csv" else self.text
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or "problem"


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@lru_cache(maxsize=8)
def _load(spec: ProblemSpec) -> Problem:
    problem = _plain(spec)
    if spec.replacement:
        problem = with_replacement(problem)
    return problem if spec.noise is None else NoisyProblem(problem, spec.noise)


def _plain(spec: ProblemSpec) -> Problem:
    if spec.kind == "named":
        entry = find(spec.text)
        if entry is None:
            raise unknown("problem", spec.text, [e.name for e in PROBLEMS])
        problem = entry.make()
        if spec.start is not None:
            problem = _started(problem, spec.start)
        return problem
    if spec.kind == "csv":
        table = data.csv(spec.text, spec.target)
        if spec.sha256 is not None and _sha256(spec.text) != spec.sha256:
            raise DataError(f"{spec.text} has changed since this race began; start a new one.")
        kind = LogisticRegression if table.task == "classification" else LinearRegression
        return kind(table.name, table)
    return expression(spec.text, start=spec.start)


def _started(problem: Problem, start: tuple[float, ...]) -> Problem:
    from ..problems.function import FunctionProblem

    if not isinstance(problem, FunctionProblem):
        raise ArgumentError(f"--start is for functions, and {problem.name} is fitted to data.")
    problem.at(start)
    return replace(problem, fixed_start=start)


def resolve_problem(
    text: str, target: str | None = None, start: tuple[float, ...] | None = None, *,
    noise: float | None = None, replacement: bool = False,
) -> ProblemSpec:  # fmt: skip
    """Return what `text` means: a name, a file with a table, or an expression in x1, x2, …; nothing is left half-read.

    >>> resolve_problem("x1**2 + x2**2").kind
    'expression'
    """
    spec = _resolved(text.strip(), target, start)
    if target is not None and spec.kind != "csv":
        raise ArgumentError(f"--target names the column of a CSV file, and {text!r} is none.")
    if start is not None and spec.kind == "csv":
        raise ArgumentError("--start is for functions, not for data.")
    if noise is not None or replacement:
        spec = replace(spec, noise=noise, replacement=replacement)
    spec.load()
    return spec


def _resolved(text: str, target: str | None, start: tuple[float, ...] | None) -> ProblemSpec:
    entry = find(text)
    if entry is not None:
        return ProblemSpec("named", entry.name, start=start)
    looks_like_file = re.search(r"\.(csv|tsv|txt|dat)$", text, re.IGNORECASE) is not None
    if looks_like_file or _is_file(text):
        data.csv(text, target)  # so that a missing file or column is named as such
        path = str(Path(text).resolve())
        return ProblemSpec("csv", path, target, sha256=_sha256(path))
    if re.fullmatch(r"[A-Za-z_][\w-]*", text) and not re.fullmatch(r"x\d*", text):
        raise unknown("problem", text, [e.name for e in PROBLEMS])
    return ProblemSpec("expression", text, start=start)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # longer than a name can be, as an expression may be
        return False


@lru_cache(maxsize=8)
def held_out(spec: ProblemSpec, validation: float, test: float, entropy: int) -> Problem:
    """Return a table's problem with rows held out; a function, or shares of 0, as it is."""
    problem = spec.load()
    if not problem.rows or not test:
        return problem
    return HeldOut(problem, validation, test, entropy, minibatch_size(problem.rows))


@dataclass(frozen=True)
class RaceConfig:
    """Everything that decides the results of a race."""

    problem: ProblemSpec
    contenders: tuple[Contender, ...]
    budget: Budget
    seeds: int = DEFAULT_SEEDS
    entropy: int = 0
    goal: float | None = None
    compiled: bool | None = None  # whether trials run as compiled sweeps; None where that pays
    trials_each: int = 0  # settings of each contender that are tried first; 0 to race them as they are
    tuning_seeds: int = DEFAULT_TUNING_SEEDS
    halving: bool = False  # whether settings that fall behind run from fewer tuning seeds
    rates: tuple[float, ...] | None = None  # the learning rates that are tried, instead of points of the search space
    validation: float = 0.0  # share of a table's rows that settings are chosen by
    test: float = 0.0  # and of those that are reported

    def load(self) -> Problem:
        """Return the problem, with rows held out where the configuration says so."""
        return held_out(self.problem, self.validation, self.test, self.entropy)

    def trials(self) -> list[tuple[Contender, int]]:
        """Return every trial in order."""
        return [(contender, seed) for contender in self.contenders for seed in range(self.seeds)]

    def to_toml(self) -> str:
        """Return the configuration as text that ``thalweg race FILE.toml`` runs again."""
        lines = ["# thalweg race FILE.toml runs this again", ""]
        lines += _pairs({"seeds": self.seeds, "seed": self.entropy, "goal": self.goal})
        lines += _pairs({"epochs": self.budget.epochs, "steps": self.budget.steps, "compiled": self.compiled})
        if self.trials_each:
            lines += _pairs({"trials": self.trials_each, "tuning_seeds": self.tuning_seeds, "halving": self.halving})
            lines += _pairs({"rates": list(self.rates) if self.rates is not None else None})
        if self.test:
            lines += _pairs({"validation": self.validation, "test": self.test})
        spec = self.problem
        lines += ["", "[problem]"]
        lines += _pairs({"kind": spec.kind, "text": spec.text, "target": spec.target, "sha256": spec.sha256})
        lines += _pairs({"start": list(spec.start) if spec.start is not None else None, "noise": spec.noise})
        lines += _pairs({"replacement": True if spec.replacement else None})
        for contender in self.contenders:
            lines += ["", "[[contender]]"]
            lines += _pairs({"label": contender.label, "method": contender.method, "batch": contender.batch})
            lines += _pairs({"given": list(contender.given) or None})
            lines += ["[contender.settings]", *_pairs(dict(contender.settings))]
        return "\n".join(lines) + "\n"

    @staticmethod
    def from_toml(path: Path) -> RaceConfig:
        """Read what :meth:`to_toml` wrote; what is wrong with it is one sentence, with the line."""
        try:
            text = path.read_text(encoding="utf-8")
            content = tomllib.loads(text)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
        except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or thousands of digits or brackets
            raise DataError(f"{path} is no TOML: {error}.") from None
        try:
            schema.check(content, schema.CONFIG)
            _consistent(content)
            config = _built(content)
            possible(config)
        except schema.Wrong as wrong:
            line = schema.line_of(text, wrong.place)
            where = f"{path}, line {line}" if line is not None else str(path)
            raise DataError(f"{where}: {wrong}" + ("" if "\n" in str(wrong) else ".")) from None
        return config


def _consistent(content: dict[str, Any]) -> None:
    """Raise if values that are right by themselves do not go together."""
    if ("epochs" in content) == ("steps" in content):
        both = "steps" in content
        raise schema.Wrong(
            ("steps",) if both else (), "must not stand beside epochs" if both else "epochs or steps is missing"
        )
    shares = content.get("validation", 0.0), content.get("test", 0.0)
    if (shares[0] == 0) != (shares[1] == 0) or sum(shares) >= 1:
        problem = (
            f"and validation must both be 0, or both above 0 and below 1 together, got {shares[1]:g} and {shares[0]:g}"
        )
        raise schema.Wrong(("test",), problem)
    rates = content.get("rates", [])
    if len(set(rates)) < len(rates):
        raise schema.Wrong(("rates",), "must be different from each other")
    labels: dict[str, str] = {}
    for k, contender in enumerate(content["contender"]):
        place, label = ("contender", k), contender["label"]
        before = labels.setdefault(label.lower(), label)  # some file systems take a.json and A.json for one
        if before is not label:
            raise schema.Wrong((*place, "label"), f"must differ from every other label, got {label!r} after {before!r}")
        method = all_methods().get(contender["method"])
        if method is None:
            raise schema.Wrong(
                (*place, "method"), f"must be a method, got {contender['method']!r}; see thalweg list optimizers"
            )
        known = method.defaults()
        for key, value in contender["settings"].items():
            if key not in known:
                raise schema.Wrong(
                    (*place, "settings", key), f"is no setting of {method.name}; there are {', '.join(known)}"
                )
            schema.number_as(known[key]).check(value, (*place, "settings", key))
        for key in contender.get("given", ()):
            if key not in known:
                raise schema.Wrong((*place, "given"), f"must name settings of {method.name}, got {key!r}")


def _built(content: dict[str, Any]) -> RaceConfig:
    """Return the configuration that a checked file says."""
    problem = content["problem"]
    spec = ProblemSpec(
        problem["kind"], problem["text"], problem.get("target"), _tuple(problem.get("start")), problem.get("sha256"),
        problem.get("noise"), problem.get("replacement", False),
    )  # fmt: skip
    contenders = tuple(
        Contender(
            c["label"], c["method"], tuple(_settings(c["settings"]).items()), c["batch"], tuple(c.get("given", ()))
        )
        for c in content["contender"]
    )
    return RaceConfig(
        spec,
        contenders,
        Budget(content.get("epochs"), content.get("steps")),
        content["seeds"],
        content["seed"],
        content.get("goal"),
        content.get("compiled"),
        content.get("trials", 0),
        content.get("tuning_seeds", DEFAULT_TUNING_SEEDS),
        content.get("halving", False),
        _tuple(content.get("rates")),
        content.get("validation", 0.0),
        content.get("test", 0.0),
    )


def possible(config: RaceConfig) -> None:
    """Raise if a contender cannot run on the problem, or would need rows beyond what memory holds."""
    try:
        problem = config.load()
    except (Unreachable, MissingExtra):
        raise
    except ThalwegError as error:
        raise schema.Wrong(("problem", "text"), f"cannot be used: {str(error).rstrip('.')}") from None
    for k, contender in enumerate(config.contenders):
        place: tuple[str | int, ...] = ("contender", k, "batch")
        if not min(1, problem.rows) <= contender.batch <= problem.rows:
            rows = f"from 1 to {problem.rows}, the rows to train on" if problem.rows else "0 on a function"
            raise schema.Wrong(place, f"must be {rows}, got {contender.batch}")
        drawn = config.budget.steps_for(problem.rows, contender.batch) * contender.batch
        if drawn > MOST_DRAWN:
            raise schema.Wrong(
                ("steps",) if config.budget.steps else ("epochs",),
                f"must be fewer: a run of {contender.label} would draw {drawn} rows, and {MOST_DRAWN} are the most",
            )
        try:
            contender.checked(problem)
        except (ThalwegError, ValueError, TypeError) as error:
            named = [key for key, _ in contender.settings if re.search(rf"\b{re.escape(key)}\b", str(error))]
            raise schema.Wrong(
                (*place[:2], "settings", *named[:1]), f"cannot be used: {str(error).rstrip('.')}"
            ) from None


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _settings(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _pairs(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return repr(value)
