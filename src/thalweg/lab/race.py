"""A race: tune every contender alike, run what was chosen from fresh seeds, and conclude."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ..analysis.watch import Watched
from ..problems.base import Problem
from .clock import seconds_per_step
from .compare import Comparison, compare
from .config import RaceConfig
from .environment import environment
from .explain import explain_trial
from .stages import DEFAULT_MARK, Progress, Runner, final_trials, one_thread, tune
from .statistics import Summary, goals_for, median, summarize
from .store import Store
from .sweeps import How, Note
from .trial import Record
from .tuning import Tuned

__all__ = ["Interrupted", "Result", "finish", "run_race"]

EXPLAINED = 2  # contenders whose runs are measured, from the first of the order
NOTHING = 1e-16  # of the distance at the start
CHEAP = 3e9  # operations, about, up to which that is done unless asked otherwise


class Interrupted(Exception):
    """Ctrl-C: what was done is kept."""

    def __init__(self, path: Path, done: int, total: int) -> None:
        super().__init__(f"stopped after {done} of {total} runs")
        self.path = path
        self.done = done
        self.total = total


@dataclass(frozen=True)
class Result:
    """What a race found; `config` has the settings that were chosen, `records` the runs of these from fresh seeds."""

    config: RaceConfig
    problem: Problem
    records: list[Record]
    goals: dict[int, float]  # the loss to reach, by seed: on validation rows, where there are any
    summaries: list[Summary]
    path: Path | None
    shared_machine: bool = False
    tuned: list[Tuned] | None = None
    defaults: dict[str, Summary] = field(default_factory=dict)  # of each contender at the settings that it began with
    why: dict[str, Watched] = field(default_factory=dict)
    tuning_runs: int = 0

    @property
    def goal(self) -> float:
        """The loss to reach; the median over seeds where each has its own rows."""
        return median(list(self.goals.values())) if self.goals else math.nan

    @cached_property
    def how(self) -> How:
        """How the trials ran: in sweeps, or one by one and why."""
        return How.of(self.records)

    def of(self, label: str) -> list[Record]:
        """Return the records of one contender, by seed."""
        return sorted((r for r in self.records if r.contender == label), key=lambda r: r.seed)

    @cached_property
    def comparison(self) -> Comparison:
        """Which contenders differ in the loss that is reported; see `in_decades`."""
        return compare({s.contender: [self._compared(r) for r in self.of(s.contender)] for s in self.summaries})

    @property
    def in_decades(self) -> bool:
        """Whether log10 of the distance to the smallest loss is compared: on functions, where losses span decades."""
        return self.problem.optimum is not None and not self.problem.rows

    def _compared(self, record: Record) -> float:
        if not self.in_decades or not math.isfinite(record.report):
            return record.report
        apart = record.report - (self.problem.optimum or 0.0)
        smallest = NOTHING * max(record.losses[0] - (self.problem.optimum or 0.0), 1e-300)  # below it is rounding
        return math.log10(max(apart, smallest))

    @property
    def best(self) -> list[str]:
        """The contenders that cannot be separated from the smallest, in order; none if every one diverged."""
        return list(self.comparison.best) if any(math.isfinite(r.report) for r in self.records) else []


def run_race(
    store: Store,
    *,
    command: Sequence[str],
    jobs: int = 1,
    progress: Progress | None = None,
    pictures: bool = True,
    note: Note | None = None,
    explain: bool | None = None,
) -> Result:
    """Run what is missing in the folder, then write tables and pictures; Ctrl-C keeps what is done.

    `progress` is called with each record, `note` with what is done in between. `explain` measures along the runs of
    the first two contenders what limited them; None where that is cheap.
    """
    config = store.config
    problem = config.load()
    manifest = _manifest(store, problem, command, jobs)
    runner = Runner(store, problem, jobs, progress, note)
    _state(store, manifest, "running", runner)
    tuned: list[Tuned] | None = None
    try:
        tuned = tune(runner) if config.trials_each else None
        trials = final_trials(config, tuned)
        records = store.records(trials)
        runner.counted(len(records))
        runner.total = runner.done + len(trials) - len(records)
        done = {(r.contender, r.seed) for r in records}
        missing = [(c, s) for c, s in trials if (c.label, s) not in done]
        for record in runner.run(missing, trials, config.budget):
            store.keep(record)
        contenders = [c for c, seed in trials if seed == 0 and not c.label.endswith(DEFAULT_MARK)]
        if {c.label for c in contenders} - set(manifest["clock"].get("seconds_per_step", ())):
            runner.tell("measuring the time of a step")
            with one_thread():
                manifest["clock"]["seconds_per_step"] = seconds_per_step(problem, contenders, config.entropy)
        return finish(store, problem, manifest, jobs > 1, pictures, tuned, runner, explain)
    except KeyboardInterrupt:
        kept = store.records(final_trials(config, tuned)) if tuned or not config.trials_each else []
        if kept:
            store.write_tables(store.config, kept, _goals(config, problem, kept), problem.rows)
        _state(store, manifest, "interrupted", runner)
        raise Interrupted(store.path, runner.done, max(runner.total, runner.done)) from None


def _goals(config: RaceConfig, problem: Problem, records: Sequence[Record]) -> dict[int, float]:
    if config.goal is not None:
        return {r.seed: config.goal for r in records}
    return goals_for(problem.optimum, records)


def finish(
    store: Store, problem: Problem, manifest: dict[str, Any], shared: bool, pictures: bool, tuned: list[Tuned] | None,
    runner: Runner, explain: bool | None,
) -> Result:  # fmt: skip
    """Compare, and write what is read: tables, pictures, the manifest."""
    config = store.config
    every = store.records(final_trials(config, tuned))  # as read back, so that a resumed race gives the same
    clock = manifest["clock"]["seconds_per_step"]
    for record in every:  # one clock for all, whether they ran in a sweep or alone
        each = clock[record.contender.removesuffix(DEFAULT_MARK)]
        record.seconds = [step * each for step in record.steps]
    goals = _goals(config, problem, every)
    chosen = config if tuned is None else replace(config, contenders=tuple(t.chosen for t in tuned))
    labels = [c.label for c in config.contenders]

    def summary(label: str, name: str) -> Summary:
        mine = [r for r in every if r.contender == label]
        return replace(summarize(label, mine, goals, clock[name]), contender=name)

    records = [r for r in every if not r.contender.endswith(DEFAULT_MARK)]
    others = {r.contender for r in every} - {r.contender for r in records}
    summaries = [summary(label, label) for label in labels]
    defaults = {
        label: summary(label + DEFAULT_MARK if label + DEFAULT_MARK in others else label, label) for label in labels
    }
    tuning_runs = 0 if tuned is None else sum(len(c.losses) for t in tuned for c in t.candidates)
    result = Result(
        chosen, problem, records, goals, summaries, store.path, shared, tuned, defaults, tuning_runs=tuning_runs
    )
    why = _explained(result, explain, runner)
    result = replace(result, why=why)
    store.write_tables(chosen, every, goals, problem.rows)
    if tuned is not None:
        store.write_tuning(tuned)
    if pictures:
        from .plots import race_pictures

        race_pictures(result, store.path)
    manifest["goal"] = result.goal
    manifest["ran"] = asdict(result.how)
    manifest["conclusion"] = result.comparison.to_json()
    manifest["why"] = {label: list(seen.sentences()) for label, seen in why.items()}
    _state(store, manifest, "finished", runner)
    return result


def _explained(result: Result, explain: bool | None, runner: Runner) -> dict[str, Watched]:
    """Measure along the runs of the first two contenders what limited them."""
    config, problem = result.config, result.problem
    finite = [s.contender for s in result.summaries if math.isfinite(s.report)]
    first = [label for label in result.comparison.order if label in finite][:EXPLAINED]
    contenders = [c for label in first for c in config.contenders if c.label == label and not c.searches]
    work = sum(config.budget.steps_for(problem.rows, c.batch) * max(1, c.batch) for c in contenders) * problem.dimension
    if explain is False or (explain is None and (work * 6 > CHEAP or problem.random)):
        return {}
    runner.tell("measuring what limits the first two")
    with one_thread():
        return {c.label: explain_trial(problem, c, 0, config.budget, config.entropy) for c in contenders}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _state(store: Store, manifest: dict[str, Any], state: str, runner: Runner) -> None:
    manifest["state"] = state
    manifest["runs"] = {"done": runner.done, "total": max(runner.total, runner.done)}
    manifest["changed"] = _now()
    store.write_manifest(manifest)


def _manifest(store: Store, problem: Problem, command: Sequence[str], jobs: int) -> dict[str, Any]:
    before = store.manifest()
    curvature = problem.curvature()
    config, spec = store.config, store.config.problem
    clock = {
        "counts": "gradients and updates of eager steps, one contender at a time, in a run of their own; not evaluation",
        "jobs": jobs,
        "shared_machine": jobs > 1,
        "blas_threads": 1,
    }
    measured = before.get("clock", {}).get("seconds_per_step")
    if measured is not None:
        clock["seconds_per_step"] = measured
    return {
        "program": "thalweg",
        "command": before.get("command", list(command)),
        "folder": os.path.abspath(store.path),
        "started": before.get("started", _now()),
        "seed": config.entropy,
        "seeds": config.seeds,
        "tuning": {"trials": config.trials_each, "seeds": config.tuning_seeds, "halving": config.halving}
        if config.trials_each
        else None,
        "held_out": {"validation": config.validation, "test": config.test} if config.test and problem.rows else None,
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
        "clock": clock,
        **environment(),
    }
