"""The configuration of a race: as resolved, written down, and read again to run the same."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import data
from ..errors import ArgumentError, DataError
from ..problems.base import Problem
from ..problems.catalogue import PROBLEMS, find
from ..problems.function import expression
from ..problems.networks import multilayer
from ..problems.regressions import LinearRegression, LogisticRegression
from ..problems.stochastic import NoisyProblem, with_replacement
from .contender import Contender, unknown
from .methods import minibatch_size
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
    "resolve_problem",
]

DEFAULT_SEEDS = 20  # of the result
DEFAULT_TRIALS = 24  # settings of each contender that are tried
DEFAULT_TUNING_SEEDS = 10  # from which each of them runs
DEFAULT_HELD_OUT = 0.2  # share of the rows to choose by, and of those to report
DEFAULT_EPOCHS = 10  # more on a small table, so that a minibatch method takes DEFAULT_STEPS
DEFAULT_STEPS = 300
MOST_WEIGHTS = 10**7


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
    model: str | None = None  # "mlp:64,64": a perceptron in place of the table's linear model

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
        if spec.model is not None:
            return _modelled(problem, spec.model)
        if spec.start is not None:
            problem = _started(problem, spec.start)
        return problem
    if spec.kind == "csv":
        table = data.csv(spec.text, spec.target)
        if spec.sha256 is not None and _sha256(spec.text) != spec.sha256:
            raise DataError(f"{spec.text} has changed since this race began; start a new one.")
        if spec.model is not None:
            return multilayer(table.name, table, widths(spec.model))
        kind = LogisticRegression if table.task == "classification" else LinearRegression
        return kind(table.name, table)
    return expression(spec.text, start=spec.start)


def widths(model: str) -> tuple[int, ...]:
    """Return the widths of hidden layers in ``mlp:64,64``.

    >>> widths("mlp:64,64")
    (64, 64)
    """
    kind, _, rest = model.partition(":")
    try:
        found = tuple(int(part) for part in rest.split(","))
    except ValueError:
        found = ()
    if kind != "mlp" or not found or not all(1 <= w <= 100_000 for w in found):
        raise ArgumentError(f"--model: mlp:WIDTH,WIDTH,… with widths of hidden layers is required, got {model!r}.")
    weights = sum(a * b for a, b in itertools.pairwise(found))
    if weights > MOST_WEIGHTS:
        raise ArgumentError(
            f"--model: at most {MOST_WEIGHTS} weights between hidden layers are allowed, got {weights}."
        )
    return found


def _modelled(problem: Problem, model: str) -> Problem:
    if not isinstance(problem, (LinearRegression, LogisticRegression)):
        raise ArgumentError(f"--model is for tables, and {problem.name} has a model of its own.")
    return multilayer(problem.name, problem.raw, widths(model))


def _started(problem: Problem, start: tuple[float, ...]) -> Problem:
    from ..problems.function import FunctionProblem

    if not isinstance(problem, FunctionProblem):
        raise ArgumentError(f"--start is for functions, and {problem.name} is fitted to data.")
    problem.at(start)
    return replace(problem, fixed_start=start)


def resolve_problem(
    text: str, target: str | None = None, start: tuple[float, ...] | None = None, *,
    noise: float | None = None, replacement: bool = False, model: str | None = None,
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
    if model is not None:
        if spec.kind == "expression":
            raise ArgumentError(f"--model is for tables, and {text!r} is a function.")
        spec = replace(spec, model=model)
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
        lines += _pairs({"replacement": True if spec.replacement else None, "model": spec.model})
        for contender in self.contenders:
            lines += ["", "[[contender]]"]
            lines += _pairs({"label": contender.label, "method": contender.method, "batch": contender.batch})
            lines += _pairs({"given": list(contender.given) or None})
            lines += ["[contender.settings]", *_pairs(dict(contender.settings))]
        return "\n".join(lines) + "\n"

    @staticmethod
    def from_toml(path: Path) -> RaceConfig:
        """Read what :meth:`to_toml` wrote; what is wrong with it is one sentence, with the line."""
        from .reading import read_config  # which makes configurations

        return read_config(path)


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
