"""Trials side by side: those that differ only in numbers run as one compiled sweep, the others one by one.

Trials of one optimizer class with the same batch and the same settings that are no numbers have one program. Their
starts, orders of rows, learning rates and other numbers are its inputs, so that ``compile(step).sweep`` runs them
together and gives each the record that it would have alone, up to rounding. What decides whether a group is swept
is the race alone, neither a clock nor what the disk holds, so that a race gives the same numbers again; and it is
decided for all trials of a race, so that an interrupted one resumes to the same bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import ArgumentError, CaptureError, ThalwegError
from ..optim.partition import Partition
from ..optim.wrappers import EMA
from ..problems.base import Array, Instance, Problem, tensor_of
from .contender import Contender
from .options import core, factors
from .splits import HeldOut
from .trial import Budget, Record, Track, evaluation_steps, row_order, run_trial, streams, warm_up

__all__ = [
    "AS_ASKED",
    "TOO_SHORT",
    "Alone",
    "Helper",
    "How",
    "Note",
    "Trial",
    "alone",
    "compile_for",
    "run_trials",
    "swept",
]

# Seconds, roughly, on a machine of today. A linear model takes 6 operations for each row and parameter of a step, and
# compiling its unrolled program takes time for each; beyond LARGE the program has loops instead.
EAGER_STEP = 2e-4
EAGER_OPERATION = 0.5e-9
COMPILING = 1.5
COMPILING_EACH = 0.033
LARGE = 1000
LARGE_PAYS = 4.0  # seconds of steps one by one from which that pays
WIDE_PAYS = 10.0  # the same of a network: compiling takes 5 to 10 s
REUSED = 3  # times that a program is run, so to say: it stays on disk, and the next race finds it there
TRACED = 500  # parameters up to which a step returns them, so that a whole run is one call
BLOCK = 256  # trials in a sweep, and so many at most are lost to an interrupt
WIDE_BLOCK = 16  # the same where a trial takes seconds
LANES = 16  # contenders from which each seed has a sweep of its own, whose trials share the rows of a step
MEMORY = 1 << 23  # numbers that one call may take or return
CHECKED_STEPS = 3
SLOW = 1.5  # seconds: a program that is on disk is there sooner

AS_ASKED = "as asked"
TOO_SHORT = "too short for compiling to pay"

Trial = tuple[Contender, int]
Note = Callable[[str], None]


class Alone(NamedTuple):
    """A trial that has to run by itself, and why."""

    contender: Contender
    seed: int
    why: str


class Helper(Protocol):
    """Something that makes programs elsewhere and leaves them on disk."""

    def wait(self) -> None:
        """Wait until they are made."""

    def stop(self) -> None:
        """Give up."""


class _CannotSweep(Exception):
    """The program of a group could not be made, or is not the eager step."""


@dataclass(frozen=True)
class _Group:
    """Contenders of one program, and the names of the settings in which they differ."""

    key: Any = None
    contenders: list[Contender] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    scheduled: bool = False  # whether the learning rate is another in each step

    @property
    def batch(self) -> int:
        return self.contenders[0].batch

    @property
    def labels(self) -> list[str]:
        return [c.label for c in self.contenders]

    def trials(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return those of the trials that belong here."""
        labels = set(self.labels)
        return [trial for trial in trials if trial[0].label in labels]


class _Due(NamedTuple):
    """A group with the trials that are to be run, and who makes its program if that is not this process."""

    group: _Group
    missing: list[Trial]
    helper: Helper | None = None


def run_trials(
    problem: Problem,
    trials: Sequence[Trial],
    budget: Budget,
    entropy: int,
    *,
    compiled: bool | None = None,
    race: Sequence[Trial] | None = None,
    note: Note | None = None,
) -> Iterator[Record]:
    """Run trials, those that differ only in numbers as compiled sweeps: always, never, or (None) where that pays.

    This is the one place through which every trial goes. `race` are the trials among which these are the missing
    ones: they decide what is swept. Records come in the order in which they are finished.
    """
    rest = yield from swept(problem, trials, budget, entropy, compiled=compiled, race=race, note=note)
    yield from alone(problem, rest, budget, entropy)


def alone(problem: Problem, rest: Sequence[Alone], budget: Budget, entropy: int) -> Iterator[Record]:
    """Run trials one by one, for each contender after a short run that is not counted."""
    for contender, trials in groupby(rest, key=lambda trial: trial.contender):
        warm_up(problem, contender, entropy)
        for trial in trials:
            record = run_trial(problem, contender, trial.seed, budget, entropy)
            record.alone = trial.why
            yield record


def swept(
    problem: Problem,
    trials: Sequence[Trial],
    budget: Budget,
    entropy: int,
    *,
    compiled: bool | None = None,
    race: Sequence[Trial] | None = None,
    note: Note | None = None,
    prepare: Callable[[list[str]], Helper] | None = None,
    made: dict[Any, Any] | None = None,
    expected: int = 0,
) -> Generator[Record, None, list[Alone]]:
    """Run the trials that are worth a sweep; return the others, in order, with the reason for each.

    `prepare` starts a helper that makes the programs of contenders, one for each; it is asked when compiling takes long.
    `made` keeps the compiled steps for the next call with the same problem and budget, and `expected` is how many trials of
    each method all calls together have.
    """
    everything = trials if race is None else race
    groups, why = _plan(problem, everything, budget, compiled, expected)
    due = [_Due(group, found) for group in groups if (found := group.trials(trials))]
    helpers: list[Helper] = []
    try:
        while due:
            group, missing, helper = due.pop(0)
            name = group.contenders[0].method
            sweep = None if made is None else made.get(group.key)
            if note is not None and sweep is None:
                note(f"compiling {name}" + (f" for {len(missing)} trials" if len(missing) > 1 else ""))
            if helper is not None:
                helper.wait()
            began = perf_counter()
            try:
                if sweep is None:
                    sweep = _Sweep(problem, group, budget, entropy, everything)
                    sweep.check(missing[-1])
                sweep.arrange(group, everything, budget)
            except _CannotSweep as reason:
                why.update(dict.fromkeys(group.labels, str(reason)))
                continue
            if made is not None:
                made[group.key] = sweep
            if prepare is not None and not helpers and due and perf_counter() - began > SLOW:
                due, helpers = _shared_out(due, prepare)
            yield from sweep.records(missing)
    finally:
        for helper in helpers:
            helper.stop()
    return [Alone(c, seed, why[c.label]) for c, seed in trials if c.label in why]


def compile_for(
    problem: Problem, race: Sequence[Trial], budget: Budget, entropy: int, compiled: bool | None, labels: Sequence[str],
    expected: int = 0,
) -> None:  # fmt: skip
    """Make the programs of the groups that these contenders are in, and leave them on disk."""
    for group in _plan(problem, race, budget, compiled, expected)[0]:
        if set(labels) & set(group.labels):
            with contextlib.suppress(_CannotSweep):
                _Sweep(problem, group, budget, entropy, race).check(group.trials(race)[-1])


def _shared_out(due: list[_Due], prepare: Callable[[list[str]], Helper]) -> tuple[list[_Due], list[Helper]]:
    """Let helpers, one for each other processor, make a part of the programs; what they make comes last."""
    from ..compiler import get_num_threads

    parts = min(get_num_threads(), len(due) + 1)
    ordered, helpers = due[::parts], []
    for k in range(1, parts):
        share = due[k::parts]
        helper = prepare([each.group.labels[0] for each in share])
        helpers.append(helper)
        ordered += [each._replace(helper=helper) for each in share]
    return ordered, helpers


@dataclass(frozen=True)
class How:
    """How trials ran: how many in how many sweeps, and the contenders whose trials ran one by one, by reason."""

    swept: int
    sweeps: int
    alone: dict[str, list[str]]

    @staticmethod
    def of(records: Sequence[Record]) -> How:
        """Return how these ran."""
        shares = [1 / r.sweep for r in records if r.sweep]
        reasons: dict[str, list[str]] = {}
        for record in records:
            labels = reasons.setdefault(record.alone, []) if not record.sweep else []
            if record.contender not in labels:
                labels.append(record.contender)
        return How(len(shares), round(sum(shares)), reasons)


# Which trials go together


def _plan(
    problem: Problem, trials: Sequence[Trial], budget: Budget, compiled: bool | None, expected: int = 0
) -> tuple[list[_Group], dict[str, str]]:
    """Return the groups that are to be swept, and why each other contender is not."""
    contenders = list({c.label: c for c, _ in trials}.values())
    if compiled is False:
        return [], dict.fromkeys((c.label for c in contenders), AS_ASKED)
    if problem.random:
        return [], dict.fromkeys((c.label for c in contenders), "the loss draws random numbers")
    groups: dict[Any, _Group] = {}
    first: dict[Any, dict[str, Any]] = {}
    why: dict[str, str] = {}
    parameters = problem.instance(np.random.default_rng(0)).parameters
    for contender in contenders:
        optimizer = contender.optimizer(parameters)
        if contender.searches:
            why[contender.label] = "the method searches along lines"
            continue
        parts = _parts(optimizer)
        if any(part.draws for part in parts):
            why[contender.label] = "the method draws random numbers"
            continue
        if len(optimizer.param_groups) > 1:  # a part of which multiplies matrices, which is no faster side by side
            why[contender.label] = "the method has several groups of parameters"
            continue
        settings = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
        options = dict(contender.settings).get("ema", 0.0), factors(dict(contender.settings), 1) is not None
        key = (type(parts[0]), contender.batch, _structure(parts[0], settings), options)
        group = groups.setdefault(key, _Group(key, scheduled=options[1]))
        group.contenders.append(contender)
        before = first.setdefault(key, settings)
        group.names.update(k for k, v in settings.items() if v != before[k])
    kept = []
    for group in groups.values():
        if compiled or _pays(problem, group.batch, budget, max(expected, len(group.trials(trials)))):
            kept.append(group)
        else:
            why.update(dict.fromkeys(group.labels, TOO_SHORT))
    return kept, why


def _structure(optimizer: Any, settings: dict[str, Any]) -> Any:
    """Return what of the settings is no number, or a number that decides the structure of the step."""

    def form(key: str, value: Any) -> Any:
        if type(value) in (tuple, list):
            return tuple(form(key, v) for v in value)
        if key in optimizer.static or isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
            return repr(value)
        return value == 0 if key in optimizer.switches else "number"

    return tuple((key, form(key, value)) for key, value in sorted(settings.items()))


def _pays(problem: Problem, batch: int, budget: Budget, count: int) -> bool:
    """Return whether so many runs take longer step by step than compiling their program, counted in part."""
    each = max(batch, 1) * problem.dimension
    step = EAGER_STEP + 6 * EAGER_OPERATION * each
    sizes = [batch, problem.rows % batch] if 0 < batch < problem.rows and problem.rows % batch else [batch]
    eager = count * budget.steps_for(problem.rows, batch) * step
    if each > LARGE:
        return eager >= (LARGE_PAYS if problem.dimension <= TRACED else WIDE_PAYS)
    compiling = sum(COMPILING + COMPILING_EACH * max(size, 1) * problem.dimension for size in sizes)
    return eager >= compiling / REUSED


# Running a group


class _Sweep:
    """The compiled step of a group, and what is needed to run its trials."""

    def __init__(self, problem: Problem, group: _Group, budget: Budget, entropy: int, race: Sequence[Trial]) -> None:
        self.problem, self.entropy = problem, entropy
        self.rows, self.batch = problem.rows, group.batch
        self.held_out = problem if isinstance(problem, HeldOut) else None
        self.whole = not 0 < self.batch < self.rows and self.held_out is None
        self.per_epoch = -(-self.rows // self.batch) if self.batch else 1
        self.total = budget.steps_for(self.rows, self.batch)
        self.names: list[str] = []
        self.unused: set[str] = set()  # settings that the step does not use
        self.traced = problem.dimension <= TRACED
        self.size = BLOCK if self.traced else WIDE_BLOCK
        self.arrange(group, race, budget)
        self.instance, optimizer = self.begun(group.contenders[0], 2**31)
        self.tensors = _tensors(self.instance, optimizer)
        self.shown = optimizer.averages if isinstance(optimizer, EMA) else self.instance.parameters
        self.step = self._compiled(optimizer)

    def arrange(self, group: _Group, race: Sequence[Trial], budget: Budget) -> None:
        """Decide how the trials of a race go together.

        By the race, not by what of it is missing: another form of the program, or other calls, may round otherwise.
        """
        self.points = budget.points
        rate = {"lr"} if group.scheduled else set()
        self.names = sorted((group.names | rate | set(self.names)) - self.unused)
        seeds = len({seed for _, seed in race})
        self.shared = len(group.contenders) >= LANES or seeds == 1
        together = min(self.size, len(group.contenders) * (1 if self.shared else seeds))
        numbers = max(self.problem.dimension if self.traced else 1, 1 if self.whole or self.shared else self.batch)
        self.longest = max(1, MEMORY // (max(together, 32) * numbers))

    def begun(self, contender: Contender, seed: int) -> tuple[Instance, Any]:
        """Return a run at its start."""
        instance = self.problem.instance(streams(self.entropy, seed)[0])
        return instance, contender.optimizer(instance.parameters)

    def _compiled(self, optimizer: Any) -> Any:
        try:
            from ..compiler import compile
        except ImportError:
            raise _CannotSweep("the compiler needs Numba, which is not installed") from None
        instance, traced, shown = self.instance, self.traced, self.shown
        fixed = tuple(tensor_of(a) for a in self.problem.arrays) if self.whole else ()

        def step(*batch: Any) -> Any:
            optimizer.zero_grad()
            instance.loss(*(batch or fixed)).backward()
            optimizer.step()
            return [p.detach().clone() for p in shown] if traced else None

        return compile(step)

    def check(self, trial: Trial) -> None:
        """Make the programs, and take a few steps of one trial with them and without: they must agree."""
        try:
            self._first(trial)
            steps = min(CHECKED_STEPS, self.total)
            found = next(self._block([trial], steps)).losses
        except ImportError as error:
            raise _CannotSweep(f"{error.name or 'a package'} is not installed") from None
        except CaptureError as error:
            raise _CannotSweep(f"not captured: {error}") from None
        except ThalwegError as error:
            raise _CannotSweep(f"not compiled: {error}") from None
        if any(op.draws for op in self.step.program.operations):
            raise _CannotSweep("the loss draws random numbers")
        expected = run_trial(self.problem, *trial, Budget(steps=steps), self.entropy, whole=self.total).losses
        n = min(len(found), len(expected))
        with np.errstate(all="ignore"):
            moved = np.abs(np.diff(expected)).max(initial=0.0)
            close = np.isclose(found[:n], expected[:n], rtol=1e-5, atol=0.01 * moved, equal_nan=True)
        if np.isfinite(expected).all() and not close.all():
            raise _CannotSweep("the compiled step gave other numbers")

    def _first(self, trial: Trial) -> None:
        """Compile for each size of batch, outside of the clock."""
        sizes = {size: first for first, _, size in reversed(list(self.segments(self.total, 1)))}
        for size, first in sizes.items():
            try:
                _Block(self, [trial]).call(first, first + 1, size)
            except ArgumentError:  # a setting that the step does not use: then it differs in nothing
                used = {given.source[1] for given in self.step.program.of_kind("setting")}
                if used >= set(self.names):
                    raise
                self.unused |= set(self.names) - used
                self.names = [name for name in self.names if name in used]
                _Block(self, [trial]).call(first, first + 1, size)

    def segments(self, total: int, longest: int) -> Iterator[tuple[int, int, int]]:
        """Return first and last step and batch of each call: of one batch's size, and at most `longest` steps."""
        at = 0
        rest = 0 if self.whole or self.problem.replacement else self.rows % self.batch
        stops = iter(evaluation_steps(total, self.per_epoch, self.points)[1:])
        stop = total if self.traced else next(stops)
        while at < total:
            size, last = self.batch, min(total, stop, at + longest)
            if rest:
                end = at - at % self.per_epoch + self.per_epoch - 1  # the epoch's last step, which is shorter
                size, last = (rest, at + 1) if at == end else (size, min(last, end))
            yield at, last, size
            at = last
            if at == stop < total:
                stop = next(stops)

    def records(self, trials: Sequence[Trial]) -> Iterator[Record]:
        """Run the trials in blocks; give their records as each block is finished."""
        size = self.size
        parts: list[list[Trial]] = [list(trials)]
        if self.shared:
            ordered = sorted(trials, key=lambda trial: trial[1])
            parts = [list(same) for _, same in groupby(ordered, key=lambda trial: trial[1])]
        for part in parts:
            for k in range(0, len(part), size):
                yield from self._block(part[k : k + size], self.total)

    def _block(self, trials: Sequence[Trial], total: int) -> Iterator[Record]:
        held = self.held_out
        with np.errstate(all="ignore"):
            block = _Block(self, trials)
            tracks = block.run(total)
            for (_, seed), track, point in zip(trials, tracks, block.points(), strict=True):
                record = track.finished(None if held is None else held.at(seed), point)
                record.sweep = len(trials)
                yield record


class _Block:
    """Trials that run in the same calls."""

    def __init__(self, sweep: _Sweep, trials: Sequence[Trial]) -> None:
        self.sweep = sweep
        self.trials = trials
        runs = [sweep.begun(contender, seed) for contender, seed in trials]
        own = [[t.detach().numpy().copy() for t in _tensors(*run)] for run in runs]
        self.state: dict[Any, Any] = {t: np.stack([o[k] for o in own]) for k, t in enumerate(sweep.tensors)}
        settings = [optimizer.param_groups[0] for _, optimizer in runs]
        self.hyper = {name: np.array([s[name] for s in settings], np.float64) for name in sweep.names}
        shapes = [factors(dict(contender.settings), sweep.total) for contender, _ in trials]
        self.factors = np.stack([s for s in shapes if s is not None]) if shapes[0] is not None else None
        seeds = [trials[0][1]] if sweep.shared else [seed for _, seed in trials]
        self.orders = {} if sweep.whole else {seed: self._order(seed) for seed in sorted(set(seeds))}
        self.seeds = seeds
        held = sweep.held_out
        self.held = [] if held is None else [held.at(seed).validation for _, seed in trials]
        self.problems = [sweep.problem if held is None else held.at(seed).train for _, seed in trials]

    def _order(self, seed: int) -> Array:
        sweep = self.sweep
        rng = streams(sweep.entropy, seed)[1]
        order = row_order(rng, sweep.rows, sweep.batch, sweep.total, sweep.problem.replacement)
        return order if sweep.held_out is None else sweep.held_out.at(seed).rows[order]

    def _rows(self, first: int, last: int, size: int) -> Array:
        """Return the rows [steps, size] of the steps, for each trial unless all share them."""
        sweep = self.sweep
        if sweep.problem.replacement or sweep.batch >= sweep.rows:
            at = first * size
        else:
            epoch, step = divmod(first, sweep.per_epoch)
            at = epoch * sweep.rows + step * sweep.batch
        cut = {seed: o[at : at + (last - first) * size].reshape(-1, size) for seed, o in self.orders.items()}
        return cut[self.seeds[0]] if sweep.shared else np.stack([cut[seed] for seed in self.seeds])

    def call(self, first: int, last: int, size: int) -> tuple[Any, float]:
        """Take the steps from `first` to `last`; return what the compiled steps returned, and the seconds."""
        sweep = self.sweep
        given: dict[str, Any] = {"steps": last - first} if sweep.whole else {"order": self._rows(first, last, size)}
        arrays = () if sweep.whole else sweep.problem.arrays
        hyper = dict(self.hyper)
        if self.factors is not None and "lr" in hyper:
            hyper["lr"] = hyper["lr"][:, None] * self.factors[:, first:last]
        began = perf_counter()
        found = sweep.step.sweep(*arrays, init=self.state, **given, **hyper)
        spent = perf_counter() - began
        self.state = {tensor: value.numpy() for tensor, value in found.states.items()}
        return found.outputs, spent

    def run(self, total: int) -> list[Track]:
        """Take all steps; return the records so far as they go."""
        sweep, k = self.sweep, len(self.trials)
        tracks = [Track(p, c, s, sweep.total) for p, (c, s) in zip(self.problems, self.trials, strict=True)]
        wanted = np.array(evaluation_steps(total, sweep.per_epoch, sweep.points))
        self._note(tracks, wanted[:1], self.points()[:, None], np.zeros(1))
        spent = 0.0
        for first, last, size in sweep.segments(total, sweep.longest):
            outputs, seconds = self.call(first, last, size)
            steps = wanted[(wanted > first) & (wanted <= last)]
            if len(steps):
                if sweep.traced:
                    points = np.concatenate(
                        [o.numpy()[:, steps - first - 1].reshape(k, len(steps), -1) for o in outputs], 2
                    )
                else:
                    points = self.points()[:, None]
                self._note(tracks, steps, points, (spent + seconds * (steps - first) / (last - first)) / k)
            spent += seconds
            if all(track.over for track in tracks):
                break
        return tracks

    def points(self) -> Array:
        """Return the parameters of each trial, as one row."""
        return np.concatenate([self.state[p].reshape(len(self.trials), -1) for p in self.sweep.shown], 1)

    def _note(self, tracks: list[Track], steps: Array, points: Array, seconds: Array) -> None:
        """Put down the losses at points [trial, step, parameter] of the trials that go on."""
        going = [k for k, track in enumerate(tracks) if not track.over]
        if self.sweep.held_out is None:
            flat = points[going].reshape(-1, points.shape[2])
            values = list(self.sweep.problem.values(flat).reshape(len(going), -1))
        else:
            values = [self.problems[k].values(points[k]) for k in going]
        for k, losses in zip(going, values, strict=True):
            held = self.held[k].held_out(points[k])[0].tolist() if self.held else [None] * len(steps)
            for step, loss, spent, validation in zip(steps, losses, seconds, held, strict=True):
                tracks[k].note(int(step), float(loss), float(spent), validation)
                if tracks[k].over:
                    break


def _tensors(instance: Instance, optimizer: Any) -> list[Any]:
    """Return the parameters, and the optimizer's state before the first step, made if it is missing."""
    found: list[Any] = [*instance.parameters, *(optimizer.averages if isinstance(optimizer, EMA) else ())]
    for part in _parts(optimizer):
        for group in part.param_groups:
            settings = part._settings(group)
            for parameter in group["params"]:
                state = part._state_of(parameter, settings)
                found += part._made_room(parameter, state)
                found += [state[key] for key in sorted(state)]
    return found


def _parts(optimizer: Any) -> tuple[Any, ...]:
    """Return the optimizers that step the parameters: one, or those of a partition."""
    inner = core(optimizer)
    return inner.optimizers if isinstance(inner, Partition) else (inner,)
