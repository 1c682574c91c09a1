"""A race: every contender from every seed, on the same starts and the same orders of rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..problems.base import Problem
from .config import ProblemSpec, RaceConfig
from .environment import environment
from .prepare import Helper
from .statistics import Summary, goal_for, indistinguishable, summarize
from .store import Store
from .sweeps import Alone, How, Note, Trial, alone, swept
from .trial import Budget, Record

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

    @cached_property
    def how(self) -> How:
        """How the trials ran: in sweeps, or one by one and why."""
        return How.of(self.records)

    def of(self, label: str) -> list[Record]:
        """Return the records of one contender."""
        return [r for r in self.records if r.contender == label]

    @property
    def best(self) -> Summary | None:
        """The contender with the smallest median of final losses; None if every one diverged."""
        finite = [s for s in self.summaries if s.final != float("inf")]
        return min(finite, key=lambda s: s.final) if finite else None

    @cached_property
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


def _parallel(config: RaceConfig, rest: Sequence[Alone], jobs: int) -> Iterator[Record]:
    from joblib import Parallel, delayed

    calls = (delayed(_elsewhere)(config.problem, trial, config.budget, config.entropy) for trial in rest)
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)


def _elsewhere(spec: ProblemSpec, trial: Alone, budget: Budget, entropy: int) -> Record:
    with _one_thread():
        return next(alone(spec.load(), [trial], budget, entropy))


def _records(
    store: Store, problem: Problem, missing: Sequence[Trial], jobs: int, note: Note | None
) -> Iterator[Record]:
    """Run what is missing: first the sweeps, which use every processor by themselves, then the others."""
    config = store.config
    with _one_thread():
        rest = yield from swept(
            problem, missing, config.budget, config.entropy, compiled=config.compiled, race=config.trials(), note=note,
            prepare=partial(Helper, store.path / "config.toml"),
        )  # fmt: skip
        if jobs == 1:
            yield from alone(problem, rest, config.budget, config.entropy)
    if jobs > 1 and rest:
        yield from _parallel(config, rest, jobs)


def run_race(
    store: Store,
    *,
    command: Sequence[str],
    jobs: int = 1,
    progress: Progress | None = None,
    pictures: bool = True,
    note: Note | None = None,
) -> Result:
    """Run what is missing in the folder, then write tables and pictures; Ctrl-C keeps what is done.

    `progress` is called with each record, `note` with what is done in between.
    """
    config = store.config
    problem = config.problem.load()
    records = store.records()
    done = {(r.contender, r.seed) for r in records}
    trials = config.trials()
    missing = [(c, s) for c, s in trials if (c.label, s) not in done]
    manifest = _manifest(store, problem, command, jobs)
    _state(store, manifest, "running", len(records), len(trials))
    try:
        for record in _records(store, problem, missing, jobs, note):
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
    manifest["ran"] = asdict(result.how)
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
            "counts": "gradients and updates; not evaluation and writing; of a trial in a sweep, its share of the sweep's",
            "jobs": jobs,
            "shared_machine": jobs > 1,
            "blas_threads": 1,
        },
        **environment(),
    }
