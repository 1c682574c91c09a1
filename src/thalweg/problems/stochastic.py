"""Stochastic versions of problems: gradients with noise, and batches drawn with replacement."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ops.tensor import Tensor
from .base import Array, Curvature, Instance, Problem, tensor_of
from .function import FunctionProblem

__all__ = ["NoisyProblem", "with_replacement"]


class NoisyProblem(Problem):
    """A problem whose gradient is ∇f(x) + ξ, with ξ ~ N(0, sd²) drawn anew for each evaluation.

    The loss keeps its value: f(x) + ξᵀ(x - x̄), where x̄ = x is held constant. What is reported is f itself.

    >>> from thalweg.problems import valley
    >>> noisy = NoisyProblem(valley(), 0.1)
    >>> a, b = (noisy.instance(np.random.default_rng(0)) for _ in range(2))
    >>> a.loss().item() == b.loss().item() == valley().instance(np.random.default_rng(0)).loss().item()
    True
    """

    random = True

    def __init__(self, problem: Problem, sd: float) -> None:
        if not (sd > 0 and math.isfinite(sd)):
            raise ArgumentError(f"{problem.name}: the noise must be a number > 0, got {sd}.")
        self.problem = problem
        self.sd = sd
        self.name = f"{problem.name} with noise {sd:g}"
        self.formula = f"{problem.formula}, gradients with noise N(0, {sd:g}²)"
        self.source = problem.source
        self.dtype = problem.dtype
        self.optimum = problem.optimum
        self.noise_share = problem.noise_share
        self.replacement = problem.replacement

    @property
    def dimension(self) -> int:
        """How many numbers are to be found."""
        return self.problem.dimension

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return self.problem.rows

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What batches are taken from."""
        return self.problem.arrays

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return the same start as the problem's, with a noise of its own from `rng`."""
        inner = self.problem.instance(rng)
        noise = np.random.default_rng(int(rng.integers(2**63)))
        parameters, sd = inner.parameters, self.sd

        def loss(*batch: Any) -> Tensor:
            value = inner.loss(*batch)
            for p in parameters:
                xi = tensor_of((sd * noise.standard_normal(tuple(p.shape))).astype(p.dtype.np))
                value = value + (xi * (p - p.detach())).sum()
            return value

        return Instance(parameters, loss)

    def value(self, instance: Instance) -> float:
        """Return the objective without noise."""
        if isinstance(self.problem, FunctionProblem):
            return float(self.problem.evaluate(instance.values()[:, None])[0])
        return self.problem.value(instance)

    @property
    def metric(self) -> str | None:
        """The problem's."""
        return self.problem.metric

    def restricted(self, rows: Array) -> Problem:
        """Return the problem over some of the rows, with the same noise."""
        return NoisyProblem(self.problem.restricted(rows), self.sd)

    def held_out(self, points: Array) -> tuple[Array, Array]:
        """Return the problem's."""
        return self.problem.held_out(points)

    def values(self, points: Array) -> Array:
        """Return the objective without noise at points [k, d]."""
        return self.problem.values(points)

    def curvature(self) -> Curvature:
        """Return the problem's: the noise has none."""
        return self.problem.curvature()

    def smoothness(self) -> float:
        """Return the problem's."""
        return self.problem.smoothness()

    def scale(self) -> float:
        """Return the problem's."""
        return self.problem.scale()


def with_replacement(problem: Problem) -> Problem:
    """Return the problem with batches drawn independently with replacement, instead of by random orders.

    >>> from thalweg.problems import LinearRegression
    >>> from thalweg import data
    >>> with_replacement(LinearRegression("diabetes", data.diabetes())).replacement
    True
    """
    if not problem.rows:
        raise ArgumentError(f"{problem.name}: rows to draw from are required, and a function has none.")
    other = copy(problem)
    other.replacement = True
    return other
