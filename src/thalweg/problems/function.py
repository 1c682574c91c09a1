"""Functions of a few variables: what is typed, and what has a name and known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..errors import ArgumentError
from .base import Array, Curvature, Instance, Problem, leaf
from .curvature import DENSE_LIMIT, UNRESOLVED, at_point, dense_hessian, extremes
from .expression import Expression, parse

__all__ = ["CriticalValue", "FunctionProblem", "expression", "quadratic"]

SPREAD = 0.05  # of the domain's width: how far the starts of different seeds lie from the usual one
TRIES = 200


@dataclass(frozen=True)
class CriticalValue:
    """A known critical point: where, of which kind (minimum, maximum, saddle), and what is known there."""

    x: tuple[float, ...]
    kind: str
    value: float | None = None
    eigenvalues: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class FunctionProblem(Problem):
    """A function f: R^d → R of x with shape [d] (or [d, m]: m points at once), and what is known of it.

    `starts` are the usual ones; each seed starts within 5% of the domain's width from the first, or anywhere in
    the domain when there is none. With `fixed_start` every seed starts exactly there.
    """

    name: str
    formula: str
    function: Callable[[Any], Any]
    domain: tuple[tuple[float, float], ...]
    starts: tuple[tuple[float, ...], ...] = ()
    minimisers: tuple[tuple[float, ...], ...] = ()
    optimum: float | None = None
    eigenvalues: tuple[float, ...] = ()  # of the Hessian at the first minimiser, ascending
    source: str = ""
    critical: tuple[CriticalValue, ...] = ()  # further critical points whose kind is known
    fixed_start: tuple[float, ...] | None = None
    dtype: _dtype.dtype = _dtype.float64

    @property
    def dimension(self) -> int:
        """The number of variables."""
        return len(self.domain)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables."""
        f = self.function
        if isinstance(f, Expression):
            return f.variables
        return tuple(f"x{k + 1}" for k in range(self.dimension))

    @property
    def deterministic(self) -> bool:
        """Whether every seed gives the same run."""
        return self.fixed_start is not None

    def at(self, x: Any) -> Instance:
        """Return the instance that starts at `x`."""
        start = np.asarray(x, np.float64)
        if start.shape != (self.dimension,):
            raise ArgumentError(
                f"{self.name}: a start of {self.dimension} numbers is required, got {start.size}: {start.tolist()}."
            )
        point = leaf(start, self.dtype)
        function = self.function
        return Instance([point], lambda: function(point))

    def evaluate(self, points: Array) -> Array:
        """Return f at points [d, m]; NaN where it is not defined."""
        with np.errstate(all="ignore"):
            value = self.function(points)
        return np.broadcast_to(np.asarray(value, np.float64), points.shape[1:])

    def values(self, points: Array) -> Array:
        """Return f at points [k, d]; NaN where it is not defined."""
        return self.evaluate(np.ascontiguousarray(points.T))

    def start(self, rng: np.random.Generator) -> Array:
        """Draw a start at which f is finite."""
        if self.fixed_start is not None:
            return np.asarray(self.fixed_start, np.float64)
        low, high = np.array(self.domain, np.float64).T
        for _ in range(TRIES):
            u = rng.random(self.dimension)
            if self.starts:
                x = np.clip(self.starts[0] + SPREAD * (2 * u - 1) * (high - low), low, high)
            else:
                x = low + u * (high - low)
            if np.isfinite(self.evaluate(x[:, None])[0]):
                return x
        raise ArgumentError(f"{self.name}: no start with a finite value was found in {self.domain}; give one.")

    def instance(self, rng: np.random.Generator) -> Instance:
        """Return parameters at a start drawn from `rng`."""
        return self.at(self.start(rng))

    def curvature(self) -> Curvature:
        """Return the Hessian's extreme eigenvalues: exactly if it is constant, else at the minimiser or the start."""
        return self._curvature

    @cached_property
    def _curvature(self) -> Curvature:
        rng = np.random.default_rng(0)
        if self.dimension <= DENSE_LIMIT:
            hessians = [self._hessian(self.start(rng)) for _ in range(2)]
            hessians.append(self._hessian(np.array([0.5 * (a + b) + 0.1 * (b - a) for a, b in self.domain])))
            scale = np.abs(hessians[0]).max(initial=0.0)
            if scale > 0 and all(np.abs(H - hessians[0]).max() <= 1e-10 * scale for H in hessians[1:]):
                return Curvature(*extremes(np.linalg.eigvalsh(hessians[0])), exact=True)
        places = [(np.asarray(m), "at the minimiser") for m in self.minimisers[:1]]
        places.append((self.start(np.random.default_rng(0)), "at a start"))
        if self.dimension > DENSE_LIMIT:
            instance = self.at(places[0][0])
            return at_point(lambda: instance.loss(), instance.parameters, places[0][1])
        for x, where in places:
            H = self._hessian(x)
            if np.isfinite(H).all() and (H.any() or where == "at a start"):  # else a cusp, or flatter than a parabola
                return self._known(Curvature(*extremes(np.linalg.eigvalsh(H)), where=where))
        return Curvature(float("nan"), where=where)

    def _known(self, found: Curvature) -> Curvature:
        """Put what is known of the smallest eigenvalue where double precision cannot see it."""
        known = self.eigenvalues
        if found.where == "at the minimiser" and known and 0 < known[0] < UNRESOLVED * 10 * known[-1]:
            return Curvature(known[-1], known[0], sum(known), where=found.where)
        return found

    def smoothness(self) -> float:
        """Return the largest eigenvalue among those at minimisers and starts."""
        return self._smoothness

    @cached_property
    def _smoothness(self) -> float:
        curvature = self.curvature()
        if curvature.exact or self.dimension > DENSE_LIMIT:
            return curvature.largest
        rng = np.random.default_rng(0)
        points = [*self.minimisers, *self.starts, *(self.start(rng) for _ in range(4))]
        sizes = [
            float(np.abs(np.linalg.eigvalsh(H)).max())
            for H in map(self._hessian, map(np.asarray, points))
            if np.isfinite(H).all()
        ]
        return max(sizes, default=curvature.largest)

    def scale(self) -> float:
        """Return the distance from the start to the nearest minimiser, or half of the domain's width."""
        if not self.minimisers:
            return max(high - low for low, high in self.domain) / 2
        start = self.start(np.random.default_rng(0))
        return float(min(np.abs(np.asarray(m) - start).max() for m in self.minimisers)) or 1.0

    def _hessian(self, x: Array) -> Array:
        instance = self.at(x)
        return dense_hessian(lambda: instance.loss(), instance.parameters)


def expression(
    text: str,
    *,
    start: tuple[float, ...] | None = None,
    domain: tuple[tuple[float, float], ...] | None = None,
) -> FunctionProblem:
    """The problem of a typed function, on [-5, 5] in each variable unless `domain` says otherwise.

    >>> expression("0.1*x1**2 + 2*x2**2").curvature().limit
    0.5
    """
    f = parse(text)
    box = domain or ((-5.0, 5.0),) * f.dimension
    if len(box) != f.dimension:
        raise ArgumentError(f"expression: a domain of {f.dimension} intervals is required, got {len(box)}.")
    if start is not None and len(start) != f.dimension:
        names = ", ".join(f.variables) if f.dimension < 6 else f"{f.dimension} variables"
        raise ArgumentError(f"expression: a start of {f.dimension} numbers ({names}) is required, got {len(start)}.")
    return FunctionProblem(f.text, f.text, f, box, fixed_start=start, source="typed")


def quadratic(eigenvalues: Any, *, seed: int | None = 0, name: str = "quadratic") -> FunctionProblem:
    """f(x) = ½ xᵀAx where A has the given eigenvalues, in directions turned at random (not at all for seed None).

    >>> round(quadratic([1.0, 10.0]).curvature().condition, 9)
    10.0
    """
    values = np.sort(np.asarray(eigenvalues, np.float64).ravel())
    if not len(values) or not np.isfinite(values).all():
        raise ArgumentError(f"quadratic: finite eigenvalues are required, got {values.tolist()}.")
    d = len(values)
    turn = np.eye(d) if seed is None else np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    A = (turn * values) @ turn.T
    A = (A + A.T) / 2

    def function(x: Any) -> Any:
        return (x * (A @ x)).sum(0) * 0.5

    positive = values[0] > 0
    return FunctionProblem(
        name,
        f"x'Ax/2, eigenvalues {values[0]:g} to {values[-1]:g}",
        function,
        ((-5.0, 5.0),) * d,
        minimisers=((0.0,) * d,) if positive else (),
        optimum=0.0 if positive else None,
        eigenvalues=tuple(float(v) for v in values),
    )
