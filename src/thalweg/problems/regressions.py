"""Models fitted to tables: linear and logistic regression, and any module."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..data.table import Table
from ..errors import ArgumentError, DataError
from ..ops.activations import softplus
from ..ops.losses import cross_entropy
from ..ops.random import Generator
from ..ops.tensor import Tensor
from .base import Array, Curvature, Instance, Problem, leaf, tensor_of
from .curvature import at_point, extremes

__all__ = ["DataProblem", "LinearRegression", "LogisticRegression", "ModelProblem"]

CURVATURE_ROWS = 256  # of a larger table so many, evenly spread, are taken for a network's curvature
LOGITS = 1 << 18  # so many at once when the loss is computed at several points
L2 = 1e-3  # of half the squared weights of a logistic regression
START_SPREAD = 0.01  # weights start from N(0, 0.01²), biases from 0


class DataProblem(Problem):
    """The mean loss of a model over the rows of a table, whose features are standardised."""

    def __init__(self, name: str, table: Table, *, standardize: bool = True, dtype: _dtype.dtype | None = None) -> None:
        if len(table) < 2:
            raise DataError(f"{name}: at least 2 rows are required, got {len(table)}.")
        self.name = name
        self.source = table.source
        self.raw = table
        self.table = table.standardized() if standardize else table
        self.dtype = dtype or _dtype.float32
        kind = self.dtype.np
        target = np.int64 if table.task == "classification" else kind
        self._arrays = (np.ascontiguousarray(self.table.X, kind), np.ascontiguousarray(self.table.y, target))
        self._prepare()

    def _prepare(self) -> None:
        """Compute what a subclass needs once."""

    def restricted(self, rows: Array) -> Problem:
        """Return the same model over some of the rows, scaled as all rows are."""
        other = copy(self)
        for name in [n for n in vars(self) if isinstance(getattr(type(self), n, None), cached_property)]:
            delattr(other, name)
        other.table = self.table.rows(rows)
        X, y = self._arrays
        other._arrays = (np.ascontiguousarray(X[rows]), np.ascontiguousarray(y[rows]))
        other._prepare()
        return other

    @property
    def metric(self) -> str | None:
        """``"accuracy"`` for classes, ``"R2"`` for numbers: the share of the variance that is explained."""
        return "accuracy" if self.table.task == "classification" else "R2"

    def held_out(self, points: Array) -> tuple[Array, Array]:
        """Return the loss without any penalty, and the accuracy or R², at points [k, d] over all rows."""
        with np.errstate(all="ignore"):
            values = self._data_losses(points)
            predicted = self.predictions(points)  # [k, n] or [k, n, classes]
            y = np.asarray(self.table.y)
            if self.metric == "accuracy":
                right = (predicted > 0) == (y > 0) if predicted.ndim == 2 else predicted.argmax(2) == y
                return values, right.mean(axis=1)
            return values, 1 - ((predicted - y) ** 2).mean(axis=1) / y.var()

    def _data_losses(self, points: Array) -> Array:
        return self.values(points)

    def predictions(self, points: Array) -> Array:
        """Return what the model says of all rows at points [k, d]: numbers or logits [k, n], or [k, n, classes]."""
        from ..autograd.modes import no_grad

        instance = self.instance(np.random.default_rng(0))
        predict = instance.predict
        if predict is None:
            raise ArgumentError(f"{self.name}: an instance with predict is required for metrics.")
        X, found = tensor_of(self.arrays[0]), []
        with no_grad():
            for point in points:
                instance.put(point)
                found.append(predict(X).numpy().copy())
        return np.asarray(found, np.float64)

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return len(self.table)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Features [n, d] and target [n]."""
        return self._arrays

    @cached_property
    def gram_eigenvalues(self) -> Array:
        """The eigenvalues of (X 1)ᵀ(X 1)/n, ascending: the curvature of a linear model with bias."""
        return np.linalg.eigvalsh(self._gram)

    @cached_property
    def _gram(self) -> Array:
        Z = self._with_ones
        return np.asarray(Z.T @ Z / len(Z))

    @cached_property
    def _with_ones(self) -> Array:
        X = np.asarray(self.table.X, np.float64)
        return np.concatenate([X, np.ones((len(X), 1))], 1)


class LinearRegression(DataProblem):
    """Half the mean squared error of Xw + b: a quadratic, whose smallest value least squares gives.

    >>> from thalweg import data
    >>> problem = LinearRegression("diabetes", data.diabetes())
    >>> round(problem.curvature().limit, 5), round(problem.optimum, 6)
    (0.49699, 0.241126)
    """

    formula = "linear regression, ½ mean squared error"

    def _prepare(self) -> None:
        if self.table.task != "regression":
            raise ArgumentError(f"{self.name}: numbers as targets are required, got {self.table.task}.")
        self._target = np.asarray(self.table.y, np.float64)
        solution = np.linalg.lstsq(self._with_ones, self._target, rcond=None)[0]
        residual = self._with_ones @ solution - self._target
        self.solution = solution
        self.optimum = float(residual @ residual) / (2 * len(residual))

    @property
    def dimension(self) -> int:
        """Weights and bias."""
        return self.table.X.shape[1] + 1

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return w ~ N(0, 0.01²) and b = 0, with the loss of a batch."""
        w = leaf(START_SPREAD * rng.standard_normal(self.table.X.shape[1]), self.dtype)
        b = leaf(0.0, self.dtype)

        def loss(X: Tensor, y: Tensor) -> Tensor:
            residual = X @ w + b - y
            return residual.dot(residual) / (2 * len(y))

        return Instance([w, b], loss, lambda X: X @ w + b)

    def value(self, instance: Instance) -> float:
        """Return the loss over all rows, in double precision: what is compared must not be rounded."""
        with np.errstate(all="ignore"):  # a run that has diverged has no finite loss
            residual = self._with_ones @ instance.values().astype(np.float64) - self._target
            return float(residual @ residual) / (2 * len(residual))

    def values(self, points: Array) -> Array:
        """Return the loss at points [k, d] over all rows, from their distances to the solution, in double precision."""
        apart = points.astype(np.float64) - self.solution
        return (self.optimum or 0.0) + ((apart @ self._gram) * apart).sum(1) / 2

    def predictions(self, points: Array) -> Array:
        """Return Xw + b at points [k, d], as [k, n]."""
        return np.asarray(points, np.float64) @ self._with_ones.T

    def curvature(self) -> Curvature:
        """Return the Hessian's extreme eigenvalues, which are the same everywhere."""
        return Curvature(*extremes(self.gram_eigenvalues), exact=True)


class LogisticRegression(DataProblem):
    """The cross-entropy of a linear model with two classes (one logit) or more (one per class), and a small penalty.

    The penalty ``l2/2 ‖w‖²`` on the weights (not on the biases) gives separable data an optimum.
    """

    def __init__(self, name: str, table: Table, *, l2: float = L2, **more: Any) -> None:
        if not 0 <= l2 < np.inf:
            raise ArgumentError(f"{name}: l2 must be a number >= 0, got {l2}.")
        self.l2 = l2
        super().__init__(name, table, **more)

    noise_share = 0.5  # gradients of rows that are classified rightly vanish: there is little noise in the end

    def _prepare(self) -> None:
        if self.table.task != "classification":
            raise ArgumentError(f"{self.name}: classes as targets are required, got {self.table.task}.")
        self.classes = int(self.table.y.max()) + 1
        if self.classes < 2:
            raise DataError(f"{self.name}: at least 2 classes are required, got {self.classes}.")
        self.outputs = 1 if self.classes == 2 else self.classes
        self.formula = f"logistic regression, {self.classes} classes" + (f", l2={self.l2:g}" if self.l2 else "")
        if self.classes == 2:
            X, y = self._arrays
            self._arrays = (X, y.astype(self.dtype.np))

    @property
    def dimension(self) -> int:
        """Weights and biases."""
        return (self.table.X.shape[1] + 1) * self.outputs

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return w ~ N(0, 0.01²) and b = 0, with the loss of a batch."""
        d = self.table.X.shape[1]
        shape = (d,) if self.outputs == 1 else (d, self.outputs)
        w = leaf(START_SPREAD * rng.standard_normal(shape), self.dtype)
        b = leaf(np.zeros(shape[1:]), self.dtype)
        l2 = self.l2

        def predict(X: Tensor) -> Tensor:
            return X @ w + b

        def loss(X: Tensor, y: Tensor) -> Tensor:
            z = predict(X)
            fit = cross_entropy(z, y) if z.ndim == 2 else (softplus(z) - y * z).mean()
            return fit + (0.5 * l2) * (w * w).sum() if l2 else fit

        return Instance([w, b], loss, predict)

    def value(self, instance: Instance) -> float:
        """Return the loss over all rows, in double precision."""
        return float(self.values(instance.values()[None])[0])

    def values(self, points: Array) -> Array:
        """Return the loss with its penalty at points [k, d] over all rows, in double precision."""
        weights = points[:, : self.table.X.shape[1] * self.outputs].astype(np.float64)
        with np.errstate(over="ignore"):
            return self._data_losses(points) + 0.5 * self.l2 * (weights * weights).sum(axis=1)

    def predictions(self, points: Array) -> Array:
        """Return the logits at points [k, d]: [k, n], or [k, n, classes]."""
        d = self.table.X.shape[1]
        flat = np.asarray(points, np.float64)
        W, b = flat[:, : d * self.outputs], flat[:, d * self.outputs :]
        if self.outputs == 1:
            return W @ self.table.X.T + b
        return np.stack([self.table.X @ w.reshape(d, self.outputs) + c for w, c in zip(W, b, strict=True)])

    def _data_losses(self, points: Array) -> Array:
        d, n = self.table.X.shape[1], self.rows
        several = max(1, LOGITS // (n * self.outputs))
        return np.concatenate([self._losses(points[k : k + several], d) for k in range(0, len(points), several)])

    def _losses(self, points: Array, d: int) -> Array:
        y = self.table.y
        with np.errstate(all="ignore"):
            Z = self.predictions(points)
            if self.outputs == 1:
                return np.asarray(np.mean(np.logaddexp(0.0, Z) - y * Z, axis=1))
            top = Z.max(2)
            chosen = Z[:, np.arange(len(y)), y]
            return np.asarray(np.mean(np.log(np.exp(Z - top[:, :, None]).sum(2)) + top - chosen, axis=1))

    def curvature(self) -> Curvature:
        """Return the Hessian's extreme eigenvalues at w = 0, where every class is as likely.

        With two classes the largest is nowhere larger; with more it stays below half of that of XᵀX/n
        (Böhning 1992).
        """
        factor = 0.25 if self.outputs == 1 else 1 / self.classes
        multiple = 1 if self.outputs == 1 else self.classes - 1
        penalty = np.append(np.full(self.table.X.shape[1], self.l2), 0.0)  # none on the bias
        values = np.linalg.eigvalsh(factor * self._gram + np.diag(penalty))
        largest, smallest, trace = extremes(values)
        if multiple > 1 and self.l2:  # moving all classes alike changes the penalty only
            smallest = min(self.l2, smallest or self.l2)
            trace = multiple * trace + float(penalty.sum())
        else:
            trace *= multiple
        return Curvature(largest, smallest, trace, where="at w = 0")

    def smoothness(self) -> float:
        """Return the bound that holds everywhere (Böhning 1992 for more than two classes)."""
        return float(self.gram_eigenvalues[-1]) * (0.25 if self.outputs == 1 else 0.5) + self.l2


class ModelProblem(DataProblem):
    """Any module with any loss: ``make(generator)`` returns a fresh ``nn.Module``, ``criterion(output, y)`` a scalar."""

    def __init__(
        self,
        name: str,
        table: Table,
        make: Callable[[Generator], Any],
        criterion: Callable[..., Tensor],
        *,
        formula: str,
        standardize: bool = True,
        dtype: _dtype.dtype | None = None,
    ) -> None:
        self.formula = formula
        self.make = make
        self.criterion = criterion
        super().__init__(name, table, standardize=standardize, dtype=dtype)

    @cached_property
    def dimension(self) -> int:  # type: ignore[override]
        """The number of parameters of the module."""
        return sum(p.numel() for p in self.instance(np.random.default_rng(0)).parameters)

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return the parameters of a fresh module, with the loss of a batch."""
        module = self.make(Generator().manual_seed(int(rng.integers(2**63))))
        criterion = self.criterion
        return Instance(list(module.parameters()), lambda X, y: criterion(module(X), y), module)

    def curvature(self) -> Curvature:
        """Return the Hessian's largest eigenvalue at a start, by Lanczos on Hessian products."""
        return self._curvature

    @cached_property
    def _curvature(self) -> Curvature:
        instance = self.instance(np.random.default_rng(0))
        n = min(self.rows, CURVATURE_ROWS)
        picked = np.linspace(0, self.rows - 1, n).round().astype(int)
        batch = [tensor_of(np.ascontiguousarray(a[picked])) for a in self.arrays]
        where = "at a start" if n == self.rows else f"at a start, over {n} rows"
        return at_point(lambda: instance.loss(*batch), instance.parameters, where)
