"""How far to go along a direction: fixed, bisection, golden section, Armijo, strong Wolfe.

A search gets ``phi(a)`` (the value at step length a), ``slope(a)`` (its derivative), the value and slope at 0 and
a first guess, and returns a step length, or None where it found none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError

__all__ = ["Armijo", "Bisection", "Fixed", "GoldenSection", "LineSearch", "StrongWolfe", "bisection", "golden_section"]

Phi = Callable[[float], float]
GOLDEN = (5**0.5 - 1) / 2


class LineSearch(Protocol):
    """What descent needs of a search."""

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return a step length."""


@dataclass(frozen=True)
class Fixed:
    """The same step length every time."""

    lr: float = 1.0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ArgumentError(f"Fixed: lr must be a number > 0, got {self.lr}.")

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return `lr`."""
        return self.lr


def bisection(derivative: Phi, low: float, high: float, tol: float = 1e-12, max_iter: int = 200) -> tuple[float, int]:
    """Return a zero of an increasing `derivative` in a bracket, and the steps taken: each halves the bracket.

    >>> x, steps = bisection(lambda x: 2 * (x - 0.3), 0.0, 1.0)
    >>> round(x, 9), steps
    (0.3, 40)
    """
    if not low <= high:
        raise ArgumentError(f"bisection: low <= high is required, got {low} and {high}.")
    steps = 0
    while high - low > tol * max(1.0, abs(low), abs(high)) and steps < max_iter:
        steps += 1
        middle = (low + high) / 2
        if derivative(middle) > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2, steps


def golden_section(fun: Phi, low: float, high: float, tol: float = 1e-9, max_iter: int = 200) -> tuple[float, int]:
    """Return a minimiser of a unimodal `fun` in a bracket, and the steps taken: each keeps 0.618 of the bracket.

    Needs no derivative; values alone locate a minimum to about the square root of the machine's precision.
    """
    if not low <= high:
        raise ArgumentError(f"golden_section: low <= high is required, got {low} and {high}.")
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    fa, fb = fun(a), fun(b)
    steps = 0
    while high - low > tol * max(1.0, abs(low), abs(high)) and steps < max_iter:
        steps += 1
        if fa <= fb or not np.isfinite(fb):
            high, b, fb = b, a, fa
            a = high - GOLDEN * (high - low)
            fa = fun(a)
        else:
            low, a, fa = a, b, fb
            b = low + GOLDEN * (high - low)
            fb = fun(b)
    return (low + high) / 2, steps


def _grow(beyond: Callable[[float], bool], guess: float, limit: int = 60) -> float | None:
    """Double a step until it lies beyond the minimum."""
    a = guess if guess > 0 else 1.0
    for _ in range(limit):
        if beyond(a):
            return a
        a *= 2
    return None


@dataclass(frozen=True)
class Bisection:
    """The exact minimiser along the direction (for convex functions), by halving a bracket on the slope."""

    tol: float = 1e-12

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return where the slope vanishes."""
        high = _grow(lambda a: not slope(a) < 0, guess)
        return None if high is None else bisection(slope, 0.0, high, self.tol)[0]


@dataclass(frozen=True)
class GoldenSection:
    """The minimiser along the direction (for unimodal functions), by values alone."""

    tol: float = 1e-9

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return where the value is least."""
        high = _grow(lambda a: not phi(a) < phi(a / 2), guess)
        return None if high is None else golden_section(phi, 0.0, high, self.tol)[0]


@dataclass(frozen=True)
class Armijo:
    """Backtracking until the value falls by `c1` times what the slope promises (Armijo 1966)."""

    c1: float = 1e-4
    shrink: float = 0.5
    max_iter: int = 60

    def __post_init__(self) -> None:
        if not 0 < self.c1 < 1 or not 0 < self.shrink < 1:
            raise ArgumentError(f"Armijo: c1 and shrink must lie in (0, 1), got {self.c1} and {self.shrink}.")

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return the first step that is short enough."""
        a = guess
        for _ in range(self.max_iter):
            there = phi(a)
            if there <= value + self.c1 * a * slope0:
                return a
            a *= self.shrink
        # Near a minimum rounding hides the decrease; a step that leaves the value as it is will do.
        a = guess
        return a if phi(a) <= value + 1e-12 * abs(value) else None


@dataclass(frozen=True)
class StrongWolfe:
    """Sufficient decrease and a slope reduced to `c2` of its size (Nocedal & Wright 2006, algorithms 3.5 and 3.6)."""

    c1: float = 1e-4
    c2: float = 0.9
    max_iter: int = 40

    def __post_init__(self) -> None:
        if not 0 < self.c1 < self.c2 < 1:
            raise ArgumentError(f"StrongWolfe: 0 < c1 < c2 < 1 is required, got {self.c1} and {self.c2}.")

    def __call__(self, phi: Phi, slope: Phi, value: float, slope0: float, guess: float) -> float | None:
        """Return a step that satisfies both conditions."""
        before, at_before, slope_before = 0.0, value, slope0
        a = guess
        for k in range(self.max_iter):
            there = phi(a)
            if not np.isfinite(there):
                a = (before + a) / 2
                continue
            if there > value + self.c1 * a * slope0 or (k > 0 and there >= at_before):
                return self._zoom(phi, slope, value, slope0, (before, at_before, slope_before), (a, there))
            s = slope(a)
            if abs(s) <= -self.c2 * slope0:
                return a
            if s >= 0:
                return self._zoom(phi, slope, value, slope0, (a, there, s), (before, at_before))
            before, at_before, slope_before = a, there, s
            a *= 2
        return before or None

    def _zoom(
        self,
        phi: Phi,
        slope: Phi,
        value: float,
        slope0: float,
        low: tuple[float, float, float],
        high: tuple[float, float],
    ) -> float | None:
        a, at_a, slope_a = low
        b, at_b = high
        for _ in range(self.max_iter):
            width = b - a
            curve = at_b - at_a - slope_a * width  # of the parabola through both values and the slope at a
            step = -slope_a * width * width / (2 * curve) if curve > 0 else width / 2
            if not 0.1 * abs(width) <= abs(step) <= 0.9 * abs(width) or step * width < 0:
                step = width / 2
            c = a + step
            there = phi(c)
            if there > value + self.c1 * c * slope0 or there >= at_a:
                b, at_b = c, there
            else:
                s = slope(c)
                if abs(s) <= -self.c2 * slope0:
                    return c
                if s * width >= 0:
                    b, at_b = a, at_a
                a, at_a, slope_a = c, there, s
            if abs(b - a) <= 1e-14 * max(1.0, abs(a)):
                break
        return a if a > 0 else None


def named(search: Any) -> LineSearch:
    """Return the search that a name, a number (a fixed step) or a search stands for."""
    if isinstance(search, (int, float)) and not isinstance(search, bool):
        return Fixed(float(search))
    if isinstance(search, str):
        known: dict[str, LineSearch] = {
            "fixed": Fixed(),
            "bisection": Bisection(),
            "golden": GoldenSection(),
            "armijo": Armijo(),
            "wolfe": StrongWolfe(),
            "strong_wolfe": StrongWolfe(),
        }
        if search not in known:
            raise ArgumentError(f"minimize: line_search must be one of {', '.join(known)} or a number, got {search!r}.")
        return known[search]
    if callable(search):
        return search
    raise ArgumentError(f"minimize: line_search must be a name, a number or a search, got {search!r}.")
