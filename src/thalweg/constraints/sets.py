"""Constraint sets: a projection, a membership test and a distance under one name.

Every set is final; combine them with :class:`Intersection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..ops.tensor import Tensor
from . import projections as p

__all__ = ["Affine", "Box", "ConvexSet", "HalfSpace", "Hyperplane", "Intersection", "L1Ball", "L2Ball", "PSD", "Simplex"]  # fmt: skip  # noqa: RUF022


class ConvexSet(Protocol):
    """What the methods need of a set."""

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the set."""


class _Set:
    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the set."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Tensor:
        return self.project(x)

    def distance(self, x: Any) -> float:
        """Return the Euclidean distance of `x` to the set."""
        t = p._floating(x)
        return float(np.linalg.norm(self.project(t.detach())._data - t._data))

    def contains(self, x: Any, tol: float = 1e-6) -> bool:
        """Return whether `x` lies in the set, up to a distance of `tol`."""
        return self.distance(x) <= tol


@dataclass(frozen=True)
class Box(_Set):
    """``lower <= x <= upper`` in every coordinate.

    >>> Box(0, 1).project([-1.0, 0.25])
    tensor([0.0000, 0.2500])
    """

    lower: Any = -np.inf
    upper: Any = np.inf

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the box."""
        return p.project_box(x, self.lower, self.upper)


@dataclass(frozen=True)
class L2Ball(_Set):
    """``‖x - center‖₂ <= radius``."""

    radius: Any = 1.0
    center: Any = 0.0

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the ball."""
        return p.project_l2_ball(x, self.radius, self.center)


@dataclass(frozen=True)
class L1Ball(_Set):
    """``‖x‖₁ <= radius``."""

    radius: Any = 1.0

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the ball."""
        return p.project_l1_ball(x, self.radius)


@dataclass(frozen=True)
class Simplex(_Set):
    """``x >= 0``, coordinates summing to `total`."""

    total: Any = 1.0

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the simplex."""
        return p.project_simplex(x, self.total)


@dataclass(frozen=True)
class Hyperplane(_Set):
    """``aᵀx = b``."""

    a: Any
    b: Any = 0.0

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the hyperplane."""
        return p.project_hyperplane(x, self.a, self.b)


@dataclass(frozen=True)
class HalfSpace(_Set):
    """``aᵀx <= b``."""

    a: Any
    b: Any = 0.0

    def project(self, x: Any) -> Tensor:
        """Return the nearest point of the half-space."""
        return p.project_halfspace(x, self.a, self.b)


@dataclass(frozen=True)
class Affine(_Set):
    """``A x = b``."""

    A: Any
    b: Any

    def project(self, x: Any) -> Tensor:
        """Return the nearest solution."""
        return p.project_affine(x, self.A, self.b)


@dataclass(frozen=True)
class PSD(_Set):
    """Symmetric positive semidefinite matrices."""

    def project(self, x: Any) -> Tensor:
        """Return the nearest such matrix."""
        return p.project_psd(x)


class Intersection(_Set):
    """The points that several sets have in common; the nearest is found by Dykstra's method."""

    def __init__(self, *sets: ConvexSet, tol: float = 1e-8, max_rounds: int = 10_000) -> None:
        self.sets = sets
        self.tol = tol
        self.max_rounds = max_rounds

    def project(self, x: Any) -> Tensor:
        """Return the nearest common point."""
        return p.dykstra(x, [s.project for s in self.sets], tol=self.tol, max_rounds=self.max_rounds)
