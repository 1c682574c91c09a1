"""A race: every contender from every seed, on the same starts and the same orders of rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from ..problems.base import Problem
from .config import ProblemSpec, RaceConfig
from .contender import Contender
from .environment import environment
from .statistics import Summary, goal_for, indistinguishable, summarize
from .store import Store
from .trial import Budget, Record, run_trials

__all__ = ["Interrupted", "Result", "finish", "run_race"]

Progress = Callable[[Record, int, int], None]


class Interrupted(Exception):
    """Ctrl-C: what was done is kept."""

    def __init__(self, path: Path, done: int, total: int) -> None:
        super().__init__(f"stopped after {done} of {total} runs")
        self.path = path
        self.done = done
        self.total = total


@dataclass(frozen=True)
class Result:
    """What a race found."""

    config: RaceConfig
    problem: Problem
    records: list[Record]
    goal: float
    summaries: list[Summary]
    path: Path | None
    shared_machine: bool = False

    def of(self, label: str) -> list[Record]:
        """Return the records of one contender."""
        return [r for r in self.records if r.contender == label]

    @property
    def best(self) -> Summary | None:
        """The contender with the smallest median of final losses; None if every one diverged."""
        finite = [s for s in self.summaries if s.final != float("inf")]
        return min(finite, key=lambda s: s.final) if finite else None

    @property
    def no_worse(self) -> list[str]:
        """The contenders whose paired differences from the best leave open which is better."""
        best = self.best
        if best is None:
            return []
        mine = self.of(best.contender)
        others = [s.contender for s in self.summaries if s.contender != best.contender]
        return [label for label in others if indistinguishable(mine, self.of(label))]


def _one_thread() -> AbstractContextManager[Any]:
    """Keep matrix products on one thread: at these sizes more cost time, and the clock would depend on the machine."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


def _serial(config: RaceConfig, problem: Problem, missing: Sequence[tuple[Contender, int]]) -> Iterator[Record]:
    with _one_thread():
        for contender, trials in groupby(missing, key=lambda trial: trial[0]):
            yield from run_trials(problem, contender, [s for _, s in trials], config.budget, config.entropy)


def _elsewhere(spec: ProblemSpec, contender: Contender, seed: int, budget: Budget, entropy: int) -> Record:
    with _one_thread():
        return next(iter(run_trials(spec.load(), contender, [seed], budget, entropy)))


def _parallel(config: RaceConfig, missing: Sequence[tuple[Contender, int]], jobs: int) -> Iterator[Record]:
    from joblib import Parallel, delayed

    calls = (delayed(_elsewhere)(config.problem, c, s, config.budget, config.entropy) for c, s in missing)
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)


def run_race(
    store: Store, *, command: Sequence[str], jobs: int = 1, progress: Progress | None = None, pictures: bool = True
) -> Result:
    """Run what is missing in the folder, then write tables and pictures; Ctrl-C keeps what is done."""
    config = store.config
    problem = config.problem.load()
    records = store.records()
    done = {(r.contender, r.seed) for r in records}
    trials = config.trials()
    missing = [(c, s) for c, s in trials if (c.label, s) not in done]
    manifest = _manifest(store, problem, command, jobs)
    _state(store, manifest, "running", len(records), len(trials))
    source = _serial(config, problem, missing) if jobs == 1 else _parallel(config, missing, jobs)
    try:
        for record in source:
            store.keep(record)
            records.append(record)
            if progress is not None:
                progress(record, len(records), len(trials))
    except KeyboardInterrupt:
        kept = store.records()
        if kept:
            goal = config.goal if config.goal is not None else goal_for(problem.optimum, kept)
            store.write_tables(kept, goal, problem.rows)
        _state(store, manifest, "interrupted", len(kept), len(trials))
        raise Interrupted(store.path, len(kept), len(trials)) from None
    return finish(store, problem, manifest, jobs > 1, pictures)


def finish(store: Store, problem: Problem, manifest: dict[str, Any], shared: bool, pictures: bool) -> Result:
    """Compare, and write what is read: tables, pictures, the manifest."""
    config = store.config
    records = store.records()  # as read back, so that a resumed race gives the same
    goal = config.goal if config.goal is not None else goal_for(problem.optimum, records)
    labels = [c.label for c in config.contenders]
    summaries = [summarize(label, [r for r in records if r.contender == label], goal) for label in labels]
    result = Result(config, problem, records, goal, summaries, store.path, shared)
    store.write_tables(records, goal, problem.rows)
    if pictures:
        from .plots import race_pictures

        race_pictures(result, store.path)
    manifest["goal"] = goal
    _state(store, manifest, "finished", len(records), len(config.trials()))
    return result


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _state(store: Store, manifest: dict[str, Any], state: str, done: int, total: int) -> None:
    manifest["state"] = state
    manifest["runs"] = {"done": done, "total": total}
    manifest["changed"] = _now()
    store.write_manifest(manifest)


def _manifest(store: Store, problem: Problem, command: Sequence[str], jobs: int) -> dict[str, Any]:
    before = store.manifest()
    curvature = problem.curvature()
    spec = store.config.problem
    return {
        "program": "thalweg",
        "command": before.get("command", list(command)),
        "folder": os.path.abspath(store.path),
        "started": before.get("started", _now()),
        "seed": store.config.entropy,
        "seeds": store.config.seeds,
        "problem": {
            "name": problem.name,
            "what": problem.describe(),
            "source": problem.source,
            "sha256": spec.sha256,
            "smallest_loss": problem.optimum,
            "largest_eigenvalue": curvature.largest,
            "smallest_eigenvalue": curvature.smallest,
            "largest_stable_rate": curvature.limit if curvature.largest > 0 else None,
            "where": curvature.where,
        },
        "clock": {
            "counts": "gradients and updates; not evaluation and writing",
            "jobs": jobs,
            "shared_machine": jobs > 1,
            "blas_threads": 1,
        },
        **environment(),
    }
