"""Tuning: the same number of settings for every contender, chosen by held-out loss on seeds of their own.

First the default, then scrambled Sobol points, which are the same for all contenders: the first coordinate of every
contender's space is its learning rate. With two thirds of the budget spent, the rest goes where it helps: beyond the
end of the space if the best learning rate lies there, otherwise around the best point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..optim.space import Dimension, Log, OrZero
from ..problems.base import Array
from .contender import Contender
from .methods import all_methods
from .trial import Record
from .tuning_curves import TuningCurve, expected_best, sensitivity

__all__ = ["FIRST_SEED", "Candidate", "Tuned", "Tuner", "space_of"]

FIRST_SEED = 1_000_000  # tuning seeds count from here: the seeds of the result are others
COORDINATES = 8  # of a Sobol point; no space has more settings
FIRST_PART = 2 / 3  # of the budget, before the best point is looked at
BELOW, ABOVE = 0.03, 100.0  # times the derived learning rate: the ends of its range
WIDER = 1.5  # decades
NEAR = 0.35  # decades around the best learning rate
NEAR_SHARE = 0.15  # of the range of another setting, around its best value
EDGE = 0.06  # share of the range of the learning rate that counts as its end


@dataclass(frozen=True)
class Candidate:
    """One setting of a contender that was tried, and the losses that it is judged by, one per tuning seed."""

    contender: Contender
    losses: tuple[float, ...]
    pruned: bool = False  # by halving: it has run from some of the seeds only

    @property
    def score(self) -> float:
        """Mean loss over the tuning seeds; infinite if a run diverged or it was pruned."""
        return math.inf if self.pruned or not self.losses else float(np.mean(self.losses))


@dataclass(frozen=True)
class Tuned:
    """What tuning found for one contender."""

    default: Contender
    candidates: tuple[Candidate, ...]
    widened: str = ""  # "up" or "down" where the best rate lay at that end of its space

    @cached_property
    def best(self) -> Candidate:
        """The candidate with the smallest mean held-out loss; the earlier of two that are equal."""
        return min(self.candidates, key=lambda c: c.score)

    @property
    def chosen(self) -> Contender:
        """The contender with its best settings, under its own name; the default where every candidate diverged."""
        found = self.default if math.isinf(self.best.score) else self.best.contender
        return replace(found, label=self.default.label)

    @cached_property
    def curve(self) -> TuningCurve:
        """The expected best of k tuning runs."""
        return expected_best([c.score for c in self.candidates])

    @cached_property
    def decades(self) -> float:
        """The width, in decades of the learning rate, within 10% of the best held-out loss."""
        rated = [(dict(c.contender.settings).get("lr"), c.score) for c in self.candidates if not c.pruned]
        pairs = [(lr, score) for lr, score in rated if isinstance(lr, float) and lr > 0]
        if len({lr for lr, _ in pairs}) < 2:
            return math.nan
        return sensitivity([lr for lr, _ in pairs], [score for _, score in pairs])

    @property
    def at_the_edge(self) -> bool:
        """Whether the best learning rate is still the smallest or largest that was tried."""
        rates = [dict(c.contender.settings).get("lr") for c in self.candidates]
        known = [lr for lr in rates if isinstance(lr, float)]
        mine = dict(self.best.contender.settings).get("lr")
        return len(set(known)) > 2 and mine in (min(known), max(known))


def space_of(contender: Contender) -> dict[str, Dimension]:
    """Return the settings of a contender that are tuned, with their ranges: those that were not given.

    The range of the learning rate is around the one that is derived from the problem.
    """
    method = all_methods()[contender.method]
    settings = dict(contender.settings)
    found: dict[str, Dimension] = {}
    for name, dimension in method.optimizer.space.items():
        if name in contender.given or (method.tuned is not None and name not in method.tuned):
            continue
        if name == "lr" and isinstance(dimension, Log):
            lr = settings.get("lr", method.defaults().get("lr"))
            if not isinstance(lr, float) or lr <= 0:
                continue
            found[name] = Log(BELOW * lr, ABOVE * lr)
        elif isinstance(dimension, OrZero) and settings.get("nesterov"):  # which has no form without momentum
            found[name] = dimension.rest
        else:
            found[name] = dimension
    return found


def sobol(count: int, entropy: int) -> Array:
    """Return so many scrambled Sobol points [count, COORDINATES]: the first ones of one sequence."""
    from scipy.stats import qmc

    power = max(3, math.ceil(math.log2(max(count, 1))))
    sequence = qmc.Sobol(COORDINATES, scramble=True, seed=np.random.default_rng([entropy, 77]))
    return np.asarray(sequence.random_base2(power))[:count]


class Tuner:
    """The candidates of one contender, in two rounds."""

    def __init__(self, contender: Contender, trials: int, entropy: int, rates: Sequence[float] | None = None) -> None:
        self.contender = contender
        self.space = space_of(contender)
        every = list(all_methods()[contender.method].optimizer.space)
        self.places = {name: every.index(name) for name in self.space}  # the same coordinate for every contender's rate
        self.trials = trials if self.space else 1
        self.entropy = entropy
        self.rates = rates if "lr" in self.space else None
        self.widened = ""
        self.points: dict[str, tuple[float, ...]] = {}  # coordinates of each candidate that has some

    def _at(self, number: int, values: Mapping[str, Any], point: Sequence[float] = ()) -> Contender:
        settings = {**dict(self.contender.settings), **values}
        label = f"{self.contender.label}#{number}"
        self.points[label] = tuple(point)
        return replace(self.contender, label=label, settings=tuple(settings.items()))

    def _of_points(self, first: int, points: Array, space: Mapping[str, Dimension]) -> list[Contender]:
        return [
            self._at(first + k, {name: dim.at(point[self.places[name]]) for name, dim in space.items()}, point)
            for k, point in enumerate(points.tolist())
        ]

    def first(self) -> list[Contender]:
        """Return the default and the first points; all learning rates where they are given."""
        if self.rates is not None:
            return [self._at(k, {"lr": lr}) for k, lr in enumerate(self.rates)]
        if self.trials == 1:
            return [self._at(0, {})]
        count = max(1, math.ceil(FIRST_PART * self.trials) - 1)
        return [self._at(0, {}), *self._of_points(1, sobol(count, self.entropy), self.space)]

    def second(self, tried: Sequence[Candidate]) -> list[Contender]:
        """Return the rest of the budget: beyond the end of the space, or around the best point."""
        left = self.trials - len(tried)
        if self.rates is not None or left <= 0:
            return []
        points = sobol(self.trials, self.entropy)[len(tried) - 1 :][:left]
        best = min(tried, key=lambda c: c.score)
        if math.isinf(best.score):  # every rate was too large
            self.widened = "down"
            return self._of_points(len(tried), points, self._moved(down=True))
        rates = sorted(lr for c in tried if isinstance(lr := dict(c.contender.settings).get("lr"), float))
        lr = dict(best.contender.settings).get("lr")
        space = self.space.get("lr")
        if isinstance(space, Log) and isinstance(lr, float):
            margin = EDGE * math.log(space.high / space.low)
            if lr == rates[-1] and math.log(space.high / lr) < margin:
                self.widened = "up"
                return self._of_points(len(tried), points, self._moved(down=False))
            if lr == rates[0] and math.log(lr / space.low) < margin:
                self.widened = "down"
                return self._of_points(len(tried), points, self._moved(down=True))
        return self._around(best, len(tried), points)

    def _moved(self, *, down: bool) -> dict[str, Dimension]:
        """Return the space with the range of the learning rate moved beyond one of its ends."""
        space = dict(self.space)
        lr = space.get("lr")
        if isinstance(lr, Log):
            factor = 10.0**WIDER
            space["lr"] = Log(lr.low / factor, lr.low * 1.5) if down else Log(lr.high / 1.5, lr.high * factor)
        return space

    def _around(self, best: Candidate, first: int, points: Array) -> list[Contender]:
        settings = {**all_methods()[self.contender.method].defaults(), **dict(best.contender.settings)}
        at = self.points.get(best.contender.label) or ()
        found = []
        for k, point in enumerate(points.tolist()):
            values: dict[str, Any] = {}
            for name, dimension in self.space.items():
                u = point[self.places[name]]
                if name == "lr":
                    values[name] = float(f"{settings[name] * 10 ** (NEAR * (2 * u - 1)):.6g}")
                elif at:
                    values[name] = dimension.at(float(np.clip(at[self.places[name]] + NEAR_SHARE * (2 * u - 1), 0, 1)))
                else:  # the best is the default
                    values[name] = dimension.at(u) if k % 2 else settings.get(name, dimension.at(u))
            found.append(self._at(first + k, values))
        return found


def judged(
    contenders: Sequence[Contender], records: Sequence[Record], seeds: int, shares: tuple[int, int] | None
) -> list[Candidate]:
    """Return the candidates with the losses of their records, those with fewer than `seeds` records as pruned.

    A tuning seed reports nothing, so all rows that it holds out are there to choose by: `shares` counts those of its
    two parts.
    """
    by_label: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: r.seed):
        by_label.setdefault(record.contender, []).append(record)
    found = []
    for contender in contenders:
        mine = by_label.get(contender.label, [])
        found.append(Candidate(contender, tuple(held_out_loss(r, shares) for r in mine), len(mine) < seeds))
    return found


def held_out_loss(record: Record, shares: tuple[int, int] | None) -> float:
    """Return the mean loss over all rows that the record's seed holds out; the last loss where there are none."""
    if shares is None:
        return record.choose_by
    validation, test = shares
    return (validation * record.choose_by + test * record.report) / (validation + test)
