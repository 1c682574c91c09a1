"""The stages of a race: tuning in two rounds, fresh seeds for what was chosen, and a clock of its own.

Every stage takes its trials from the configuration and from what earlier stages found, asks the store which of them
are done, and runs the rest; so a race that was killed goes on to the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

from ..problems.base import Problem
from .config import RaceConfig
from .contender import Contender
from .prepare import Helper
from .splits import HeldOut
from .store import Store
from .sweeps import Alone, Note, Trial, alone, swept
from .trial import Budget, Record
from .tuning import FIRST_SEED, Candidate, Tuned, Tuner, held_out_loss, judged

__all__ = ["DEFAULT_MARK", "Progress", "Runner", "final_trials", "first_round", "one_thread", "tune"]

Progress = Callable[[Record, int, int], None]

DEFAULT_MARK = "@default"  # after the name of a contender: the same with the settings that it began with
TUNING_POINTS = 9  # steps at which a tuning run is evaluated


def one_thread() -> AbstractContextManager[Any]:
    """Keep matrix products on one thread: at these sizes more cost time, and the clock would depend on the machine."""
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


class Runner:
    """Runs trials, counts them, and keeps compiled steps between the stages."""

    def __init__(self, store: Store, problem: Problem, jobs: int, progress: Progress | None, note: Note | None) -> None:
        self.store, self.config, self.problem = store, store.config, problem
        self.jobs = jobs
        self.progress, self.note = progress, note
        self.made: dict[Any, Any] = {}  # compiled steps, for all stages
        self.done = 0
        each = self.config.seeds * (2 if self.config.trials_each else 1)
        self.total = len(self.config.contenders) * (self.config.trials_each * self.config.tuning_seeds + each)

    def tell(self, text: str) -> None:
        """Say what is done now."""
        if self.note is not None:
            self.note(text)

    def counted(self, count: int) -> None:
        """Count trials that are done already, or that there is no need to run."""
        self.done += count

    def run(self, missing: Sequence[Trial], race: Sequence[Trial], budget: Budget) -> Iterator[Record]:
        """Run what is missing of a stage: first the sweeps, which use every processor by themselves, then the others."""
        config = self.config
        if not missing:
            return
        with one_thread():
            sweeps = swept(
                self.problem, missing, budget, config.entropy, compiled=config.compiled, race=race, note=self.note,
                prepare=partial(Helper, self.store.path / "config.toml"), made=self.made,
                expected=expected_trials(config),
            )  # fmt: skip
            rest = yield from self._watched(sweeps)
            if self.jobs == 1:
                yield from self._watched(alone(self.problem, rest, budget, config.entropy))
        if self.jobs > 1 and rest:
            yield from self._watched(_parallel(config, rest, self.jobs, budget))

    def _watched(self, records: Any) -> Any:
        """Pass records on, counting them, and return what the generator returns."""
        while True:
            try:
                record = next(records)
            except StopIteration as end:
                return end.value
            yield record  # which is kept before it is told of
            self.done += 1
            if self.progress is not None:
                self.progress(record, self.done, max(self.total, self.done))


def _parallel(config: RaceConfig, rest: Sequence[Alone], jobs: int, budget: Budget) -> Iterator[Record]:
    from joblib import Parallel, delayed

    calls = (delayed(_elsewhere)(config, trial, budget) for trial in rest)
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)


def _elsewhere(config: RaceConfig, trial: Alone, budget: Budget) -> Record:
    with one_thread():
        return next(alone(config.load(), [trial], budget, config.entropy))


def expected_trials(config: RaceConfig) -> int:
    """Return how many trials each contender has in all stages: what decides whether compiling pays."""
    return config.trials_each * config.tuning_seeds + (2 * config.seeds if config.trials_each else 0)


# Tuning


def tuning_budget(config: RaceConfig) -> Budget:
    """Return the budget of a tuning run: as long as any other, evaluated more rarely."""
    return replace(config.budget, points=TUNING_POINTS)


def _shares(problem: Problem) -> tuple[int, int] | None:
    return problem.counts[1:] if isinstance(problem, HeldOut) else None


def _seeds(config: RaceConfig) -> range:
    return range(FIRST_SEED, FIRST_SEED + config.tuning_seeds)


def first_round(config: RaceConfig) -> list[Trial]:
    """Return the trials of the first round of tuning; the trials of the race where nothing is tuned."""
    if not config.trials_each:
        return config.trials()
    tuners = [Tuner(c, config.trials_each, config.entropy, config.rates) for c in config.contenders]
    return [(c, seed) for tuner in tuners for c in tuner.first() for seed in _seeds(config)]


def tune(runner: Runner) -> list[Tuned]:
    """Run both rounds for every contender; return what each found."""
    config = runner.config
    shares = _shares(runner.problem)
    tuners = [Tuner(c, config.trials_each, config.entropy, config.rates) for c in config.contenders]
    tried: dict[str, list[Candidate]] = {t.contender.label: [] for t in tuners}
    for number in (1, 2):
        asked = {t.contender.label: t.first() if number == 1 else t.second(tried[t.contender.label]) for t in tuners}
        runner.tell(f"tuning, round {number} of 2")
        records = _round(runner, number, asked)
        for tuner in tuners:
            label = tuner.contender.label
            tried[label] += judged(asked[label], records[label], config.tuning_seeds, shares)
    for tuner in tuners:  # what was not needed counts as done
        runner.counted((config.trials_each - len(tried[tuner.contender.label])) * config.tuning_seeds)
    return [Tuned(t.contender, tuple(tried[t.contender.label]), t.widened) for t in tuners]


def _round(runner: Runner, number: int, asked: dict[str, list[Contender]]) -> dict[str, list[Record]]:
    """Return the records of one round by contender; what the store has is not run again."""
    store, config = runner.store, runner.config
    found: dict[str, list[Record]] = {}
    for label in asked:
        kept = store.tuning(label, number, [c.label for c in asked[label]], _seeds(config))
        if kept is not None:
            found[label] = kept
            runner.counted(len(kept))
    open_ = {label: contenders for label, contenders in asked.items() if label not in found}
    records: dict[str, list[Record]] = {label: [] for label in open_}
    owner = {c.label: label for label, contenders in open_.items() for c in contenders}
    budget = tuning_budget(config)
    alive = {label: list(contenders) for label, contenders in asked.items()}
    stages = [[seed] for seed in _seeds(config)] if config.halving else [list(_seeds(config))]
    for k, seeds in enumerate(stages):
        race = [(c, s) for contenders in alive.values() for c in contenders for s in seeds]
        missing = [(c, s) for c, s in race if c.label in owner]
        for record in runner.run(missing, race, budget):
            records[owner[record.contender]].append(record)
            _keep(store, records, alive, record, owner, number, len(seeds), last=k == len(stages) - 1)
        if k < len(stages) - 1:
            shares = _shares(runner.problem)
            alive = {label: _half(c, found.get(label) or records[label], shares) for label, c in alive.items()}
    for label, mine in records.items():
        runner.counted(len(asked[label]) * config.tuning_seeds - len(mine))
        if not store.has_tuning(label, number):
            store.keep_tuning(label, number, mine)
    return found | records


def _keep(
    store: Store, records: dict[str, list[Record]], alive: dict[str, list[Contender]], record: Record,
    owner: dict[str, str], number: int, seeds: int, *, last: bool,
) -> None:  # fmt: skip
    """Write a contender's round down as soon as its last record is there."""
    label = owner[record.contender]
    wanted = {c.label for c in alive[label]}
    if last and sum(r.contender in wanted for r in records[label]) >= len(wanted) * seeds and seeds > 1:
        store.keep_tuning(label, number, records[label])


def _half(contenders: list[Contender], records: Sequence[Record], shares: tuple[int, int] | None) -> list[Contender]:
    """Return the better half of the contenders, by the mean of what they have so far, in their order."""
    losses: dict[str, list[float]] = {}
    for record in records:
        losses.setdefault(record.contender, []).append(held_out_loss(record, shares))
    ranked = sorted(contenders, key=lambda c: sum(losses[c.label]) / len(losses[c.label]))
    kept = {c.label for c in ranked[: math.ceil(len(ranked) / 2)]}
    return [c for c in contenders if c.label in kept]


# Fresh seeds


def final_trials(config: RaceConfig, tuned: Sequence[Tuned] | None) -> list[Trial]:
    """Return the trials of the result: each chosen contender, and its default where that is another, from every seed."""
    if tuned is None:
        return config.trials()
    both = []
    for each in tuned:
        both.append(each.chosen)
        if each.chosen.settings != each.default.settings:
            both.append(replace(each.default, label=each.default.label + DEFAULT_MARK))
    return [(contender, seed) for contender in both for seed in range(config.seeds)]
