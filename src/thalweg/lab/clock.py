"""One clock: how long a step of each contender takes, all measured in the same way, in a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from ..problems.base import Problem
from .contender import Contender
from .splits import HeldOut
from .trial import WARM_UP_STEPS, Batches, advance, streams

__all__ = ["seconds_per_step"]

ROUNDS = 5
STEPS = 20  # in a round
SECONDS = 0.2  # after which a contender has no further round
CLOCK_SEED = 2**31


def seconds_per_step(problem: Problem, contenders: Sequence[Contender], entropy: int) -> dict[str, float]:
    """Return the time of an eager step of each contender: gradient and update, the fastest of a few rounds.

    The contenders take turns, so that a busy moment of the machine meets all of them.
    """
    part = problem.at(CLOCK_SEED).train if isinstance(problem, HeldOut) else problem
    runs = []
    for contender in contenders:
        init, order = streams(entropy, CLOCK_SEED)
        instance = part.instance(init)
        optimizer = contender.optimizer(instance.parameters)
        batches = Batches(part.arrays, contender.batch, order, part.replacement)
        advance(instance, optimizer, batches, WARM_UP_STEPS)
        runs.append((contender.label, instance, optimizer, batches))
    best: dict[str, float] = {}
    spent = dict.fromkeys((c.label for c in contenders), 0.0)
    for _ in range(ROUNDS):
        for label, instance, optimizer, batches in runs:
            if spent[label] > SECONDS:
                continue
            began = perf_counter()
            taken = advance(instance, optimizer, batches, STEPS)
            seconds = perf_counter() - began
            spent[label] += seconds
            each = seconds / max(1, taken)
            best[label] = min(best.get(label, each), each)
    return best
