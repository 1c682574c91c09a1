"""What a problem is: something to descend, where to start, and what is known about it.

    Problem
    ├── FunctionProblem      f: R^d → R with starts, domain and minimisers
    ├── NoisyProblem         another problem whose gradients have noise
    ├── QuadraticDeep        a quadratic with the spectrum of a network, shifted at random
    └── DataProblem          the mean loss of a model over the rows of a table
        ├── LinearRegression     half the mean squared error of Xw + b
        ├── LogisticRegression   cross-entropy of a linear model, two classes or more
        └── ModelProblem         any nn.Module with any loss

A problem holds no state of a run. ``instance(rng)`` draws a start and returns the parameters with the loss of
them; everything random about a start comes from `rng`, so equal generators give equal starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ..ops.tensor import Tensor

__all__ = ["Array", "Curvature", "Instance", "Problem"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Curvature:
    """The Hessian's largest eigenvalue and, where known, its smallest positive one and its trace.

    `exact` says that the Hessian is the same everywhere (a quadratic); otherwise `where` says at which point.
    """

    largest: float
    smallest: float | None = None
    trace: float | None = None
    exact: bool = False
    where: str = "everywhere"

    @property
    def limit(self) -> float:
        """The largest learning rate with which gradient descent is stable: 2 over the largest eigenvalue."""
        return 2.0 / self.largest if self.largest > 0 else float("inf")

    @property
    def condition(self) -> float | None:
        """The condition number: largest over smallest positive eigenvalue."""
        return None if not self.smallest else self.largest / self.smallest


@dataclass
class Instance:
    """One start of a problem: the parameters, and the loss of them on a batch (or, for a function, on nothing)."""

    parameters: list[Tensor]
    loss: Callable[..., Tensor]
    predict: Callable[[Tensor], Tensor] | None = None  # of features: numbers, or one logit per class

    def values(self) -> Array:
        """Return all parameters in one flat array, a copy."""
        return np.concatenate([p.detach().numpy().ravel() for p in self.parameters])

    def put(self, point: Array) -> None:
        """Set all parameters from one flat array."""
        at = 0
        for p in self.parameters:
            n = p.numel()
            p._data[...] = point[at : at + n].reshape(p._data.shape)
            at += n


class Problem(ABC):
    """Something to descend; see the classes above."""

    name: str
    formula: str
    source: str = ""
    dtype: _dtype.dtype = _dtype.float64
    optimum: float | None = None  # the smallest value there is, where known
    replacement: bool = False  # whether batches are drawn with replacement, not by random orders of all rows
    random: bool = False  # whether the loss draws random numbers of its own, so that no program of it repeats a run
    noise_share: float = 0.05  # b/tr(H) times this is a learning rate for batches of b rows; see lab.methods

    @property
    @abstractmethod
    def dimension(self) -> int:
        """How many numbers are to be found."""

    @property
    def rows(self) -> int:
        """How many examples there are to draw batches from; 0 for a function."""
        return 0

    @property
    def arrays(self) -> tuple[Array, ...]:
        """What batches are taken from, row by row; empty for a function."""
        return ()

    @abstractmethod
    def instance(self, rng: np.random.Generator) -> Instance:
        """Return parameters at a start drawn from `rng`, with their loss."""

    @abstractmethod
    def curvature(self) -> Curvature:
        """Return the extreme eigenvalues of the Hessian, where it matters for the choice of a learning rate."""

    def smoothness(self) -> float:
        """Return a bound on the Hessian's largest eigenvalue where a run goes, from which settings are derived."""
        return self.curvature().largest

    def scale(self) -> float:
        """Return how far a parameter has to go, roughly: the unit of the adaptive methods' step lengths."""
        return 1.0

    def value(self, instance: Instance) -> float:
        """Return the objective at the instance's parameters: over all rows, outside the graph."""
        from ..autograd.modes import no_grad

        with no_grad():
            return float(instance.loss(*(tensor_of(a) for a in self.arrays)).item())

    def values(self, points: Array) -> Array:
        """Return the objective at points [k, d], each the parameters as :meth:`Instance.values` gives them."""
        instance = self.instance(np.random.default_rng(0))
        found = np.empty(len(points))
        for k, point in enumerate(points):
            instance.put(point)
            found[k] = self.value(instance)
        return found

    @property
    def metric(self) -> str | None:
        """What :meth:`metrics` gives besides the loss, such as ``"accuracy"``; None on functions."""
        return None

    def restricted(self, rows: Array) -> Problem:
        """Return the same problem over some of the rows only, whose features and targets stay scaled as they are."""
        raise ArgumentError(f"{self.name}: rows to choose from are required, and there are none.")

    def held_out(self, points: Array) -> tuple[Array, Array]:
        """Return the loss without any penalty, and the metric, at points [k, d] over all rows."""
        values = self.values(points)
        return values, np.full(len(points), np.nan)

    def describe(self) -> str:
        """Return one line: what it is and how large."""
        size = f"{self.rows} rows, " if self.rows else ""
        return f"{self.formula} ({size}{self.dimension} parameter{'s' * (self.dimension != 1)})"


def tensor_of(array: Array) -> Tensor:
    """Return a tensor over the memory of `array`."""
    return TensorBase._wrap(array)  # type: ignore[return-value]


def leaf(array: Any, dtype: _dtype.dtype) -> Tensor:
    """Return a tensor that requires grad, with a copy of `array`."""
    return tensor_of(np.array(array, dtype.np)).requires_grad_()
