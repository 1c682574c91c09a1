"""Which way to go: steepest descent, momentum, Newton and its relatives, conjugate gradients."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..errors import ArgumentError
from .objective import Array, Objective

__all__ = ["AbsoluteNewton", "Conjugate", "DiagonalNewton", "Direction", "Momentum", "Newton", "Steepest"]


class Direction(Protocol):
    """What descent needs: a step for unit length, given the objective, the point and the gradient there."""

    natural: float  # the step length that the method itself proposes, for searches that need a first guess

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the direction, or None where there is none (a singular Hessian)."""


class Steepest:
    """``-g``."""

    natural = 1.0

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the negative gradient."""
        return -g


class Momentum:
    """``v = βv + g``, direction ``-v`` (Polyak 1964); with `nesterov` the gradient looks ahead, in PyTorch's form."""

    natural = 1.0

    def __init__(self, momentum: float = 0.9, nesterov: bool = False) -> None:
        if not 0 <= momentum < 1:
            raise ArgumentError(f"momentum: a number in [0, 1) is required, got {momentum}.")
        self.momentum, self.nesterov = momentum, nesterov
        self._v: Array | None = None

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the negative velocity."""
        self._v = g.copy() if self._v is None else self.momentum * self._v + g
        return -(g + self.momentum * self._v) if self.nesterov else -self._v


class Newton:
    """``-H⁻¹g``."""

    natural = 1.0

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the Newton step; None where the Hessian is singular."""
        h = f.hessian(x)
        if not np.isfinite(h).all():
            return None
        try:
            return -np.linalg.solve(h, g)
        except np.linalg.LinAlgError:
            return None


class AbsoluteNewton:
    """``-|H|⁻¹g`` with ``|H|`` by absolute eigenvalues: saddle points repel instead of attracting."""

    natural = 1.0

    def __init__(self, floor: float = 1e-8) -> None:
        self.floor = floor

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the step; eigenvalues below `floor` times the largest count as that."""
        h = f.hessian(x)
        if not np.isfinite(h).all():
            return None
        values, vectors = np.linalg.eigh(h)
        size = np.abs(values)
        if not size.max() > 0:
            return None
        return -(vectors @ ((vectors.T @ g) / np.maximum(size, self.floor * size.max())))


class DiagonalNewton:
    """``-g / diag(H)``, or ``-g / |diag(H)|`` with `absolute`: preconditioning by the diagonal alone."""

    natural = 1.0

    def __init__(self, absolute: bool = True, floor: float = 1e-8) -> None:
        self.absolute, self.floor = absolute, floor

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the step; None where a diagonal entry is zero."""
        d = f.hessian_diagonal(x)
        if not np.isfinite(d).all() or not np.abs(d).max() > 0:
            return None
        if self.absolute:
            return -g / np.maximum(np.abs(d), self.floor * np.abs(d).max())
        return None if (d == 0).any() else -g / d


class Conjugate:
    """Nonlinear conjugate gradients: Polak-Ribière+ by default; also Fletcher-Reeves, Hestenes-Stiefel, Dai-Yuan."""

    natural = 1.0

    def __init__(self, formula: str = "PR+") -> None:
        if formula not in ("PR+", "FR", "HS", "DY"):
            raise ArgumentError(f"Conjugate: formula must be 'PR+', 'FR', 'HS' or 'DY', got {formula!r}.")
        self.formula = formula
        self._g: Array | None = None
        self._d: Array | None = None

    def __call__(self, f: Objective, x: Array, g: Array) -> Array | None:
        """Return the direction; restart with steepest descent where it would not descend."""
        d = -g
        if self._g is not None and self._d is not None:
            y = g - self._g
            over, under = {
                "PR+": (g @ y, self._g @ self._g),
                "FR": (g @ g, self._g @ self._g),
                "HS": (g @ y, self._d @ y),
                "DY": (g @ g, self._d @ y),
            }[self.formula]
            beta = over / under if under else 0.0
            if self.formula in ("PR+", "HS"):
                beta = max(beta, 0.0)
            candidate = -g + beta * self._d
            if np.isfinite(candidate).all() and candidate @ g < 0:
                d = candidate
        self._g, self._d = g.copy(), d
        return d
