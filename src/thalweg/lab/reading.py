"""Reading the configuration of a race: values of the right form, that go together, for contenders that can run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from ..data.fetched import Unreachable
from ..errors import DataError, MissingExtra, ThalwegError
from . import schema
from .config import DEFAULT_TUNING_SEEDS, ProblemSpec, RaceConfig
from .contender import Contender
from .methods import all_methods
from .options import OPTIONS
from .trial import Budget

__all__ = ["possible", "read_config"]

MOST_DRAWN = 10**8  # rows of a run, whose order is held in memory


def read_config(path: Path) -> RaceConfig:
    """Return the configuration that a file says; what is wrong with it is one sentence, with the line."""
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
        known = {**method.defaults(), **OPTIONS}
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
        problem.get("noise"), problem.get("replacement", False), problem.get("model"),
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
