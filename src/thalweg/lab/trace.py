"""The path of a method over a function of one or two variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError
from ..problems.base import Array
from ..problems.function import FunctionProblem
from .contender import Contender
from .options import averaged
from .searches import Evaluations, is_search

__all__ = ["Path", "line", "trace"]


@dataclass(frozen=True)
class Path:
    """The points [steps + 1, d] that a contender visited, with the values there."""

    contender: Contender
    points: Array
    values: Array


SEARCHED = 10**6  # evaluations that a step along a line may take


def trace(problem: FunctionProblem, contender: Contender, start: tuple[float, ...], steps: int) -> Path:
    """Return the path of `steps` steps from `start`, in double precision."""
    if steps < 0:
        raise ArgumentError(f"trace: steps must be >= 0, got {steps}.")
    instance = problem.at(start)
    point = instance.parameters[0]
    optimizer = contender.optimizer([point], steps)
    points = [instance.values()]
    evaluations = Evaluations(instance, (), SEARCHED * steps)
    for _ in range(steps):
        if is_search(optimizer):
            optimizer.step(evaluations)
        else:
            optimizer.zero_grad()
            instance.loss().backward()
            optimizer.step()
        with averaged(optimizer):
            points.append(instance.values())
    visited = np.stack(points)
    return Path(contender, visited, problem.evaluate(visited.T))


def line(problem: FunctionProblem, path: Path) -> str:
    """Return where the path ends: ``epoch 20, x1 -0.062843, x2 0.001202``.

    >>> from thalweg.problems import valley
    >>> gd = Contender("gd", "gd", (("lr", 0.4),))
    >>> line(valley(), trace(valley(), gd, (-5.0, -2.0), 20))
    'epoch 20, x1 -0.943467, x2 -0.000073'
    """
    ends = [f"{name} {value:f}" for name, value in zip(problem.variables, path.points[-1], strict=True)]
    return ", ".join([f"epoch {len(path.points) - 1}", *ends])
