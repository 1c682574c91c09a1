"""A trial: one contender on one problem from one seed gives one record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from ..problems.base import Array, Problem, tensor_of
from .contender import Contender
from .options import averaged
from .searches import Evaluations, is_search, search
from .splits import HeldOut, Parts

__all__ = [
    "WARM_UP_STEPS",
    "Batches",
    "Budget",
    "Record",
    "Track",
    "advance",
    "evaluation_steps",
    "row_order",
    "run_trial",
    "still_rising",
    "streams",
    "warm_up",
]

BLOWN_UP = 1e6  # times the loss at the start: far enough to stop
WARM_UP_STEPS = 3
DENSE_STEPS = 400  # up to so many steps each is evaluated
SPARSE_POINTS = 160


@dataclass(frozen=True)
class Budget:
    """How long a run is: `epochs` passes over the rows, or `steps`."""

    epochs: float | None = None
    steps: int | None = None
    points: int | None = None  # how many steps are evaluated, the first and the last among them; None for many

    def steps_for(self, rows: int, batch: int) -> int:
        """Return the number of steps of a contender with that batch."""
        if self.steps is not None:
            return self.steps
        per_epoch = -(-rows // batch) if batch else 1
        return max(1, math.ceil((self.epochs or 0) * per_epoch))


@dataclass
class Record:
    """What a run left: the loss over all rows at some steps, with the epochs and the seconds spent up to there.

    `seconds` counts gradients and updates, not evaluation; of a run in a sweep, the sweep's time divided by its
    trials. `status` is ``"done"`` or ``"diverged"``.
    """

    contender: str
    seed: int
    status: str
    steps: list[int] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    total_steps: int = 0
    gradients: int = 0  # evaluations of one row's gradient (of the function's, where there are no rows)
    sweep: int = 0  # how many trials ran side by side in one compiled sweep, this one included; 0 if it ran alone
    alone: str = ""  # why it ran alone
    validations: list[float] = field(default_factory=list)  # the loss on validation rows at the same steps
    validation: float | None = None  # loss at the end on the rows to choose by; None where none are held out
    test: float | None = None  # and on the rows to report
    metrics: dict[str, float] = field(default_factory=dict)  # such as "test accuracy"

    @property
    def final(self) -> float:
        """The last loss; infinite when the run diverged."""
        return math.inf if self.status == "diverged" else self.losses[-1]

    @property
    def choose_by(self) -> float:
        """The loss that settings are chosen by: on validation rows, where there are any."""
        return self._unless_diverged(self.final if self.validation is None else self.validation)

    @property
    def report(self) -> float:
        """The loss that is reported: on test rows, where there are any."""
        return self._unless_diverged(self.final if self.test is None else self.test)

    def _unless_diverged(self, value: float) -> float:
        return value if self.status == "done" and math.isfinite(value) else math.inf

    @property
    def seconds_per_step(self) -> float:
        """Mean time of a step."""
        return self.seconds[-1] / max(1, self.steps[-1])

    def to_json(self) -> dict[str, Any]:
        """Return plain data; losses without a finite value are None, and held-out losses that there are not are left out."""
        data = dict(vars(self))
        for key in ("losses", "validations"):
            data[key] = [x if math.isfinite(x) else None for x in data[key]]
        for key in ("validation", "test"):
            value = data.pop(key)
            if value is not None:
                data[key] = _plain(value)
        data["metrics"] = {key: _plain(value) for key, value in self.metrics.items()}
        return data

    @staticmethod
    def from_json(data: dict[str, Any]) -> Record:
        """Return the record that :meth:`to_json` wrote."""
        data = dict(data)
        for key in ("losses", "validations"):
            data[key] = [math.inf if x is None else x for x in data.get(key, ())]
        for key in ("validation", "test"):
            if key in data and data[key] is None:
                data[key] = math.inf
        data["metrics"] = {k: math.nan if v is None else v for k, v in data.get("metrics", {}).items()}
        return Record(**data)


def _plain(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def streams(entropy: int, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Return the generators of a seed's start and of its order of rows: the same for every contender."""
    init, order = (np.random.SeedSequence(entropy, spawn_key=(seed, k)) for k in range(2))
    return np.random.default_rng(init), np.random.default_rng(order)


def evaluation_steps(total: int, per_epoch: int, points: int | None = None) -> list[int]:
    """Return the steps after which the loss over all rows is computed: all if few, else ever wider apart.

    With `points`, so many at equal distances.
    """
    if points is not None:
        return np.unique(np.linspace(0, total, min(points, total + 1)).round().astype(int)).tolist()
    if total <= DENSE_STEPS:
        return list(range(total + 1))
    spread = np.unique(np.round(np.geomspace(1, total, SPARSE_POINTS)).astype(int)).tolist()
    ends = list(range(0, total + 1, per_epoch * max(1, total // per_epoch // 60)))
    return sorted({0, total, *spread, *ends})


class Track:
    """The record of a run while it is made."""

    def __init__(self, problem: Problem, contender: Contender, seed: int, total: int) -> None:
        self.rows, self.batch = problem.rows, contender.batch
        self.per_epoch = -(-self.rows // self.batch) if self.batch else 1
        self.record = Record(contender.label, seed, "done", total_steps=total)
        self.over = False

    def note(self, step: int, value: float, spent: float, validation: float | None = None) -> None:
        """Put down the loss after a step; when it has blown up the run is over."""
        record = self.record
        record.steps.append(step)
        record.epochs.append(step / self.per_epoch)
        record.seconds.append(spent)
        record.losses.append(value)
        if validation is not None:
            record.validations.append(validation)
        if not math.isfinite(value) or abs(value) > BLOWN_UP * max(1.0, abs(record.losses[0])):
            record.status = "diverged"
            self.over = True

    def finished(self, parts: Parts | None = None, point: Array | None = None) -> Record:
        """Return the record, whose last step is the run's last; with `parts`, the losses at `point` on held-out rows too."""
        record = self.record
        if still_rising(record.losses):
            record.status = "diverged"
        full, rest = divmod(record.steps[-1], self.per_epoch)
        record.gradients = full * self.rows + min(rest * self.batch, self.rows) if self.rows else record.steps[-1]
        if parts is not None and point is not None:
            for name, part in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
                loss, metric = part.held_out(point[None])
                if name != "train":
                    setattr(record, name, float(loss[0]))
                record.metrics[f"{name} {part.metric}"] = float(metric[0])
        return record


def still_rising(losses: Sequence[float]) -> bool:
    """Return whether a run ended far above its start and on its way up.

    Far is twice as high as the start, or, where the loss was negative or had fallen, higher by more than it ever fell and
    by more than its size at the start. A run that ends a little above its start has stood still, in noise.
    """
    start, end = losses[0], losses[-1]
    above = end - start
    return above > max(abs(start), start - min(losses)) and end >= losses[len(losses) * 3 // 4]


def row_order(rng: np.random.Generator, rows: int, batch: int, steps: int, replacement: bool) -> Array:
    """Return the rows of all steps one after the other, as :class:`Batches` takes them."""
    if batch >= rows:
        return np.tile(np.arange(rows), steps)
    if replacement:
        return np.concatenate([rng.integers(0, rows, batch) for _ in range(steps)])
    epochs = -(-steps // -(-rows // batch))
    return np.concatenate([rng.permutation(rows) for _ in range(epochs)])


class Batches:
    """The rows of each step: fresh random orders, one after the other, cut into batches; or independent draws."""

    def __init__(
        self, arrays: Sequence[Array], batch: int, rng: np.random.Generator, replacement: bool = False
    ) -> None:
        self.arrays = arrays
        self.rows = len(arrays[0]) if arrays else 0
        self.batch = batch
        self.rng = rng
        self.replacement = replacement
        self.whole = tuple(tensor_of(a) for a in arrays) if batch >= self.rows else None
        self.at = self.rows
        self.shuffled: list[Array] = []

    def next(self) -> tuple[Any, ...]:
        """Return the next batch, a tensor for each array."""
        if self.whole is not None:
            return self.whole
        if self.replacement:
            rows = self.rng.integers(0, self.rows, self.batch)
            return tuple([tensor_of(a[rows]) for a in self.arrays])
        if self.at >= self.rows:
            order = self.rng.permutation(self.rows)
            self.shuffled = [a[order] for a in self.arrays]
            self.at = 0
        k = self.at
        self.at += self.batch
        return tuple([tensor_of(a[k : k + self.batch]) for a in self.shuffled])


def advance(instance: Any, optimizer: Any, batches: Batches, steps: int) -> int:
    """Take training steps; return how many: of a search its evaluations, which may end before."""
    if is_search(optimizer):
        evaluations = Evaluations(instance, batches.next(), steps)
        search(optimizer, evaluations)
        return evaluations.count
    loss = instance.loss
    for _ in range(steps):
        optimizer.zero_grad()
        loss(*batches.next()).backward()
        optimizer.step()
    return steps


def run_trial(
    problem: Problem, contender: Contender, seed: int, budget: Budget, entropy: int, *, whole: int | None = None
) -> Record:
    """Run one contender from one seed, step by step; its schedule takes `whole` steps, by default those of the run."""
    init, order = streams(entropy, seed)
    parts = problem.at(seed) if isinstance(problem, HeldOut) else None
    problem = problem if parts is None else parts.train
    instance = problem.instance(init)
    batches = Batches(problem.arrays, contender.batch, order, problem.replacement)
    total = budget.steps_for(problem.rows, contender.batch)
    optimizer = contender.optimizer(instance.parameters, whole or total)
    track = Track(problem, contender, seed, total)
    if is_search(optimizer):
        return _searched(problem, instance, optimizer, batches, track, evaluation_steps(total, 1, budget.points), parts)
    done, spent = 0, 0.0
    for step in evaluation_steps(total, track.per_epoch, budget.points):
        if step > done:
            began = perf_counter()
            advance(instance, optimizer, batches, step - done)
            spent += perf_counter() - began
            done = step
        with averaged(optimizer):
            point = instance.values()
            held = None if parts is None else float(parts.validation.held_out(point[None])[0][0])
            track.note(step, problem.value(instance), spent, held)
        if track.over:
            break
    return track.finished(parts, point)


def _searched(
    problem: Problem, instance: Any, optimizer: Any, batches: Batches, track: Track, steps: list[int], parts: Parts | None
) -> Record:  # fmt: skip
    """Run a search; the loss after step t is that of the point which t evaluations had reached."""
    began = perf_counter()
    visited = search(optimizer, Evaluations(instance, batches.next(), steps[-1]))
    each = (perf_counter() - began) / max(1, steps[-1])
    k = 0
    for step in steps:
        while k + 1 < len(visited) and visited[k + 1][0] <= step:
            k += 1
        point = visited[k][1][None]
        held = None if parts is None else float(parts.validation.held_out(point)[0][0])
        track.note(step, float(problem.values(point)[0]), step * each, held)
        if track.over:
            break
    return track.finished(parts, visited[k][1])


def warm_up(problem: Problem, contender: Contender, entropy: int) -> None:
    """Take a few steps from a start that no trial uses."""
    init, order = streams(entropy, 2**31)
    problem = problem.at(2**31).train if isinstance(problem, HeldOut) else problem
    instance = problem.instance(init)
    batches = Batches(problem.arrays, contender.batch, order, problem.replacement)
    advance(instance, contender.optimizer(instance.parameters), batches, WARM_UP_STEPS)
    problem.value(instance)
