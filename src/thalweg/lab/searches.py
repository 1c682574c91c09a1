"""Methods that search along lines, for races over all rows at once: L-BFGS, Newton-CG and gradient descent.

A step of theirs takes as many gradients as it needs, so that their cost is counted in evaluations: a race gives them
as many as the others have steps, and the loss "after step t" is that of the point which t evaluations had reached. An
evaluation is a loss with its gradient; a Hessian product counts as two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..autograd.gradients import grad
from ..errors import ArgumentError
from ..optim import LBFGS
from ..optim.optimizer import Optimizer, Params
from ..optim.space import Space
from ..problems.base import Array, Instance

__all__ = ["Evaluations", "LineSearchGD", "LineSearchLBFGS", "NewtonCG", "Search", "Spent", "is_search", "search"]

PRODUCT = 2  # evaluations that a Hessian product counts as: a second walk through the graph of the gradient
DECREASE = 1e-4  # of what the slope promises, that a step must bring (Armijo 1966)
HALVINGS = 40


class Spent(Exception):
    """There are no evaluations left."""


class Evaluations:
    """The loss over all rows with its gradient, counted; what was computed at the last point costs nothing again."""

    def __init__(self, instance: Instance, batch: Sequence[Any], limit: int) -> None:
        self.instance, self.batch, self.limit = instance, batch, limit
        self.count = 0
        self._at: Array | None = None
        self._loss: Any = None
        self._grads: list[Array] = []

    def _own(self) -> list[Array]:
        return [np.zeros(tuple(p.shape)) if p.grad is None else p.grad.numpy() for p in self.instance.parameters]

    def _take(self, cost: int) -> None:
        if self.count + cost > self.limit:
            raise Spent
        self.count += cost

    def __call__(self) -> Any:
        """Return the loss, with the gradient in the parameters: a closure for ``step``."""
        parameters = self.instance.parameters
        at = self.instance.values().copy()
        if self._at is None or not np.array_equal(at, self._at):
            self._take(1)
            for p in parameters:
                p.grad = None
            self._loss = self.instance.loss(*self.batch)
            self._loss.backward()
            self._at, self._grads = at, [g.copy() for g in self._own()]
        else:
            for mine, g in zip(self._own(), self._grads, strict=True):
                mine[...] = g
        return self._loss.detach()

    def products(self) -> Callable[[Array], Array]:
        """Return v ↦ Hv at the present point, for flat vectors."""
        parameters = list(self.instance.parameters)
        gradients = grad(self.instance.loss(*self.batch), parameters, create_graph=True)

        def product(v: Array) -> Array:
            self._take(PRODUCT)
            slope: Any = 0.0
            at = 0
            for p, g in zip(parameters, gradients, strict=True):
                part = v[at : at + p.numel()].reshape(tuple(p.shape)).astype(p.detach().numpy().dtype)
                slope = slope + (g * part).sum()
                at += p.numel()
            found = grad(slope, parameters, retain_graph=True, allow_unused=True)
            flat = [
                np.zeros(p.numel()) if h is None else h.detach().numpy().ravel()
                for p, h in zip(parameters, found, strict=True)
            ]
            return np.concatenate(flat).astype(np.float64)

        return product


class Search(Optimizer):
    """Base: ``step(evaluations)`` goes along a direction to a point where the loss has decreased enough."""

    scalars = ()
    space: ClassVar[Space] = {}

    def __init__(self, params: Params) -> None:
        super().__init__(params, {})
        self.length = 1.0

    def _flat(self, of: Callable[[Any], Array]) -> Array:
        return np.concatenate([of(p).ravel() for p in self.param_groups[0]["params"]]).astype(np.float64)

    def _put(self, flat: Array) -> None:
        at = 0
        for p in self.param_groups[0]["params"]:
            p.detach().copy_(flat[at : at + p.numel()].reshape(tuple(p.shape)))
            at += p.numel()

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        if not isinstance(closure, Evaluations):
            raise ArgumentError(f"{self._name()}: it runs in races only, where its evaluations are counted.")
        loss = closure()
        start, g = self._flat(lambda p: p.detach().numpy()), self._flat(lambda p: p.grad.numpy())
        direction = self._direction(closure, g)
        slope = float(direction @ g)
        if not slope < 0 or not np.isfinite(slope):
            return loss
        length = self._first_length()
        value = float(loss.numpy())
        try:
            for _ in range(HALVINGS):
                self._put(start + length * direction)
                with np.errstate(all="ignore"):
                    if float(closure().numpy()) <= value + DECREASE * length * slope:
                        self.length = length
                        return loss
                length /= 2
        except Spent:
            self._put(start)
            raise
        self._put(start)  # the loss does not decrease in this precision
        return loss

    def _direction(self, closure: Evaluations, g: Array) -> Array:
        raise NotImplementedError

    def _first_length(self) -> float:
        return 1.0


class LineSearchGD(Search):
    """Gradient descent whose step begins at twice the last length and is halved until the loss decreases. Armijo 1966."""

    def _direction(self, closure: Evaluations, g: Array) -> Array:
        return -g

    def _first_length(self) -> float:
        return 2 * self.length


class NewtonCG(Search):
    """Newton's method by conjugate gradients on Hessian products, with a line search. Nocedal & Wright 2006, 7.1."""

    def _direction(self, closure: Evaluations, g: Array) -> Array:
        norm = float(np.linalg.norm(g))
        if norm == 0:
            return -g
        tolerance = min(0.5, norm**0.5) * norm
        product = closure.products()
        z, r, d = np.zeros_like(g), g, -g
        for _ in range(2 * len(g)):
            Bd = product(d)
            curvature = float(d @ Bd)
            if not curvature > 0:
                return -g if not z.any() else z
            square = float(r @ r)
            alpha = square / curvature
            z = z + alpha * d
            r = r + alpha * Bd
            if np.linalg.norm(r) < tolerance:
                break
            d = float(r @ r) / square * d - r
        return z


class LineSearchLBFGS(LBFGS):
    """L-BFGS with a search for the strong Wolfe conditions, one iteration a step. Liu & Nocedal 1989."""

    space: ClassVar[Space] = {}

    def __init__(self, params: Params, history_size: int = 10) -> None:
        super().__init__(
            params, lr=1.0, max_iter=1, max_eval=25, tolerance_grad=0.0, tolerance_change=0.0,
            history_size=int(history_size), line_search_fn="strong_wolfe",
        )  # fmt: skip


def is_search(optimizer: Any) -> bool:
    """Return whether steps of the optimizer search along lines, or of its class."""
    kind = optimizer if isinstance(optimizer, type) else type(optimizer)
    return issubclass(kind, (Search, LineSearchLBFGS))


def search(optimizer: Optimizer, evaluations: Evaluations) -> list[tuple[int, Array]]:
    """Step until the evaluations are spent or the point stays; return how many were spent at each point, and the points."""
    instance = evaluations.instance
    visited = [(0, instance.values().copy())]
    while True:
        before = instance.values().copy()
        try:
            with np.errstate(all="ignore"):
                optimizer.step(evaluations)
        except Spent:
            break
        now = instance.values().copy()
        if np.array_equal(now, before):
            break
        visited.append((evaluations.count, now))
    return visited
