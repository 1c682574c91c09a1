"""Small networks on pictures, and the stochastic quadratic whose spectrum is like theirs."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .. import data, nn
from ..core import dtype as _dtype
from ..errors import ArgumentError
from ..ops.losses import cross_entropy
from ..ops.random import Generator, fork_rng, manual_seed
from ..ops.tensor import Tensor
from .base import Array, Curvature, Instance, Problem, leaf
from .curvature import extremes
from .regressions import ModelProblem

__all__ = ["QuadraticDeep", "lenet", "lenet_module", "multilayer", "perceptron"]

LENET_ROWS = 6000


def lenet_module() -> nn.Sequential:
    """Return LeNet for pictures [n, 1, 28, 28]: 6 and 16 channels, ReLU, max pooling, 120-84-10."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _perceptron_module() -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def _seeded(make: Any) -> Any:
    """Return ``generator ↦ make()`` whose random starts come from the generator, not from the library's own."""

    def made(generator: Generator) -> Any:
        with fork_rng():
            manual_seed(generator.initial_seed())
            return make()

    return made


def perceptron() -> ModelProblem:
    """64-32-10 with ReLU on the digits, whose pixels are divided by 16.

    >>> perceptron().dimension
    2410
    """
    table = data.digits()
    table = replace(table, X=table.X / 16)
    return ModelProblem(
        "perceptron",
        table,
        _seeded(_perceptron_module),
        cross_entropy,
        formula="perceptron 64-32-10, cross-entropy",
        standardize=False,
    )


def lenet(rows: int = LENET_ROWS) -> ModelProblem:
    """LeNet on the first `rows` pictures of Fashion-MNIST, from 0 to 1 (LeCun et al. 1998; Xiao et al. 2017)."""
    table = data.fashion_mnist()
    if not 2 <= rows <= len(table):
        raise ArgumentError(f"lenet: rows must be an integer from 2 to {len(table)}, got {rows}.")
    table = table.rows(slice(0, rows))
    table = replace(table, X=(table.X.astype(np.float32) / 255).reshape(-1, 1, 28, 28))
    return ModelProblem(
        "lenet", table, _seeded(lenet_module), cross_entropy, formula="LeNet, cross-entropy", standardize=False
    )


def multilayer(name: str, table: data.Table, widths: tuple[int, ...]) -> ModelProblem:
    """Return a perceptron with ReLU between layers of these widths, on any table: classes or numbers.

    Features (and a numeric target) are standardised; the loss is the cross-entropy, or ½ mean squared error.

    >>> multilayer("wine", data.wine(), (16, 8)).dimension
    387
    """
    if not widths or any(w < 1 for w in widths):
        raise ArgumentError(f"mlp: widths of hidden layers >= 1 are required, as in mlp:64,64, got {list(widths)}.")
    classes = int(table.y.max()) + 1 if table.task == "classification" else 0
    features = table.standardized().X.shape[1]
    sizes = (features, *widths, classes or 1)

    def make() -> nn.Sequential:
        layers: list[Any] = []
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        return nn.Sequential(*layers[:-1], *([] if classes else [nn.Flatten(0)]))

    def half_squares(output: Tensor, y: Tensor) -> Tensor:
        residual = output - y
        return residual.dot(residual) / (2 * len(y))

    shape = "-".join(map(str, sizes))
    formula = f"perceptron {shape}, " + ("cross-entropy" if classes else "½ mean squared error")
    return ModelProblem(name, table, _seeded(make), cross_entropy if classes else half_squares, formula=formula)


class QuadraticDeep(Problem):
    """½ mean over θ of (x-θ)ᵀA(x-θ): 90 eigenvalues from U(0, 1), 10 from U(30, 60), as networks have them.

    Rows are the shifts θ ~ N(0, 0.6²); every run starts at x = 1. Eigenvalues are those that the source's seed 42
    gives; rotation and shifts are drawn anew, so that values differ from the source's.

    >>> problem = QuadraticDeep()
    >>> problem.dimension, problem.rows, round(problem.curvature().largest, 3)
    (100, 1000, 53.129)
    """

    name = "quadratic_deep"
    formula = "mean over rows t of (x-t)'A(x-t)/2, 90 eigenvalues in (0, 1) and 10 in (30, 60)"
    source = "DeepOBS (Schneider, Balles & Hennig 2019), seed 42"

    def __init__(self, rows: int = 1000, noise: float = 0.6, seed: int = 42) -> None:
        legacy = np.random.RandomState(seed)  # the source's generator
        self.eigenvalues = np.sort(np.concatenate([legacy.uniform(0, 1, 90), legacy.uniform(30, 60, 10)]))
        rng = np.random.default_rng(seed)
        turn, upper = np.linalg.qr(rng.standard_normal((100, 100)))
        turn = turn * np.sign(np.diag(upper))
        A = (turn * self.eigenvalues) @ turn.T
        self.matrix = (A + A.T) / 2
        self.shifts = noise * rng.standard_normal((rows, 100))
        self.squares = np.einsum("ni,ni->n", self.shifts @ self.matrix, self.shifts)
        self.minimiser = self.shifts.mean(0)
        apart = self.shifts - self.minimiser
        self.optimum = float(np.einsum("ni,ij,nj->", apart, self.matrix, apart, optimize=True) / (2 * rows))
        self.dtype = _dtype.float64

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return 100

    @property
    def rows(self) -> int:
        """The number of shifts."""
        return len(self.shifts)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The shifts θ [n, 100] and θᵀAθ [n], which their mean loss needs."""
        return (self.shifts, self.squares)

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return x = 1, with the loss of a batch of shifts."""
        x = leaf(np.ones(100), self.dtype)
        A = self.matrix

        def loss(shifts: Tensor, squares: Tensor) -> Tensor:
            centre = shifts.mean(0)
            z = x - centre
            apart = squares.mean() - centre @ A @ centre
            return (z @ A @ z + apart) / 2

        return Instance([x], loss)

    def value(self, instance: Instance) -> float:
        """Return the objective, from its distance to the minimiser."""
        return float(self.values(instance.values()[None])[0])

    def values(self, points: Array) -> Array:
        """Return the objective at points [k, 100]."""
        z = points - self.minimiser
        return ((z @ self.matrix) * z).sum(1) / 2 + (self.optimum or 0.0)

    def restricted(self, rows: Array) -> Problem:
        """Return the same quadratic over some of the shifts."""
        other = copy(self)
        other.shifts, other.squares = self.shifts[rows], self.squares[rows]
        other.minimiser = other.shifts.mean(0)
        apart = other.shifts - other.minimiser
        other.optimum = float(np.einsum("ni,ij,nj->", apart, self.matrix, apart, optimize=True) / (2 * len(rows)))
        return other

    @cached_property
    def _curvature(self) -> Curvature:
        return Curvature(*extremes(self.eigenvalues), exact=True)

    def curvature(self) -> Curvature:
        """Return the extreme eigenvalues, the same everywhere."""
        return self._curvature
