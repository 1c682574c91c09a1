"""Several problems in one race: each is a race of its own, and performance profiles put them side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from .config import RaceConfig
from .profiles import Profiles, performance_profiles
from .race import Result, run_race
from .stages import Progress
from .store import Store, write
from .sweeps import Note

__all__ = ["SUITES", "SuiteResult", "common", "run_suite"]

SUITES = {
    "tables": ("diabetes", "regression", "breast_cancer", "wine", "iris", "digits"),
    "functions": (
        "valley",
        "booth",
        "rosenbrock",
        "beale",
        "himmelblau",
        "zakharov",
        "ill_conditioned",
        "powell_singular",
    ),
    "networks": ("perceptron",),
}


@dataclass(frozen=True)
class SuiteResult:
    """What a race over several problems found."""

    results: Mapping[str, Result]
    path: Path

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles of gradients to the goal (medians over seeds); infinite where half of the runs missed it."""
        return performance_profiles(
            {name: {s.contender: s.gradients_to_goal for s in r.summaries} for name, r in self.results.items()}
        )

    @property
    def order(self) -> list[str]:
        """The contenders by their scores, the highest first."""
        return sorted(self.profiles.score, key=lambda name: (-self.profiles.score[name], name))

    def to_json(self) -> dict[str, Any]:
        """Return scores, pairs and what was dropped, as plain data."""
        p = self.profiles
        return {
            "scores": {name: p.score[name] for name in self.order},
            "pairwise": [{"contenders": list(pair), "scores": list(scores)} for pair, scores in p.pairwise.items()],
            "problems": list(p.problems),
            "dropped": list(p.dropped),
            "counts": "row gradients to the goal, the median over seeds, over the smallest of any contender; mean of the "
            "profile from 1 to 4 times",
        }


def common(configs: Sequence[RaceConfig]) -> list[RaceConfig]:
    """Return the configurations with the contenders that every problem has, under the same names."""
    shared = set.intersection(*({c.label for c in config.contenders} for config in configs))
    if not shared:
        raise ArgumentError("race: the problems have no contender in common.")
    return [replace(c, contenders=tuple(k for k in c.contenders if k.label in shared)) for c in configs]


def run_suite(
    configs: Mapping[str, RaceConfig],
    folder: Path,
    *,
    command: Sequence[str],
    jobs: int = 1,
    progress: Progress | None = None,
    pictures: bool = True,
    note: Note | None = None,
    explain: bool | None = False,
    told: Callable[[Result], None] | None = None,
) -> SuiteResult:
    """Race on each problem in a folder of its own within `folder`; a race that is there already goes on."""
    results = {}
    for name, config in configs.items():
        path = folder / name
        store = Store.open(path) if (path / "config.toml").is_file() else Store.create(path, config)
        if note is not None:
            note(f"racing on {name}")
        results[name] = run_race(
            store, command=command, jobs=jobs, progress=progress, pictures=pictures, note=note, explain=explain
        )
        if told is not None:
            told(results[name])
    found = SuiteResult(results, folder)
    write(folder / "profiles.json", json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n")
    if pictures:
        from .plots import profile_picture, save

        save(profile_picture(found), folder / "profiles")
    return found
