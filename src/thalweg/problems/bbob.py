"""Some of the noiseless functions of the BBOB suite (Hansen et al. 2009) as gradient problems.

An instance is drawn by its number: the place of the optimum in [-4, 4]^d, its value, and rotations. Instances
follow the suite's constructions with this library's random numbers, so they are not the suite's own instances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from .base import Array
from .function import FunctionProblem

__all__ = ["bbob"]

SOURCE = "Hansen, Finck, Ros & Auger 2009"
TITLES = {
    1: "sphere", 2: "ellipsoid", 8: "rosenbrock", 9: "rotated rosenbrock", 10: "rotated ellipsoid", 12: "bent cigar",
    13: "sharp ridge", 14: "different powers", 15: "rastrigin", 21: "gallagher",
}  # fmt: skip


def _oscillated(x: Any) -> Any:
    """The suite's smooth irregularity; the identity at 0."""
    size = np.abs(x)
    safe = size + (size == 0) * 1.0
    log = np.log(safe)
    up = (np.sign(x) + 1) / 2  # of the precision of x
    c1, c2 = 10 * up + 5.5 * (1 - up), 7.9 * up + 3.1 * (1 - up)
    return np.sign(x) * np.exp(log + 0.049 * (np.sin(c1 * log) + np.sin(c2 * log))) * ((size > 0) * 1.0)


def _rotation(rng: np.random.Generator, d: int) -> Array:
    q, r = np.linalg.qr(rng.normal(size=(d, d)))
    return q * np.sign(np.diag(r))


def bbob(number: int, dimension: int = 2, instance: int = 1) -> FunctionProblem:
    """Return function `number` (1, 2, 8, 9, 10, 12, 13, 14, 15 or 21) of the suite.

    >>> p = bbob(10, 5); round(float(p.evaluate(np.array(p.minimisers[0])[:, None])[0] - p.optimum), 9)
    0.0
    """
    if number not in TITLES:
        raise ArgumentError(f"bbob: number must be one of {', '.join(map(str, TITLES))}, got {number}.")
    if dimension < 2:
        raise ArgumentError(f"bbob: dimension must be >= 2, got {dimension}.")
    rng = np.random.default_rng([number, dimension, instance])
    d = dimension
    best = rng.uniform(-4, 4, d)
    offset = float(np.round(np.clip(100 * rng.standard_cauchy(), -1000, 1000), 2))
    turn, turn2 = _rotation(rng, d), _rotation(rng, d)
    ramp = np.arange(d) / (d - 1)
    sharp = {10: 1e3, 15: 10.0, 13: 10.0}.get(number, 1.0)
    stretch = turn @ np.diag(sharp ** (0.5 * ramp)) @ turn2

    def shifted(x: Any) -> Any:
        return (x.T - best).T

    value, best = _value(number, d, best, shifted, ramp, turn, stretch, rng)
    return FunctionProblem(
        f"bbob_f{number}" if dimension == 2 else f"bbob_f{number}_d{dimension}",
        f"BBOB f{number}, {TITLES[number]}, d = {d}, instance {instance}",
        lambda x: value(x) + offset,
        ((-5.0, 5.0),) * d,
        minimisers=(tuple(float(v) for v in best),),
        optimum=offset,
        source=SOURCE,
    )


def _value(
    number: int, d: int, best: Array, shifted: Any, ramp: Array, turn: Array, stretch: Array, rng: np.random.Generator
) -> tuple[Any, Array]:
    """Return the function without its offset, and where its minimum is."""
    scale = 10 ** (6 * ramp)

    def weighted(z: Any) -> Any:
        return ((z * z).T * scale).sum(-1)

    if number == 1:
        return (lambda x: (shifted(x) ** 2).sum(0)), best
    if number == 2:
        return (lambda x: weighted(_oscillated(shifted(x)))), best
    if number == 10:
        return (lambda x: weighted(_oscillated(turn @ shifted(x)))), best
    if number in (8, 9):
        c = max(1.0, d**0.5 / 8)
        r = turn if number == 9 else np.eye(d)
        if number == 9:
            best = turn.T @ np.full(d, 0.5 / c)

        def valley(x: Any) -> Any:
            z = c * (r @ x) + 0.5 if number == 9 else c * shifted(x) + 1
            return (100 * (z[:-1] ** 2 - z[1:]) ** 2 + (z[:-1] - 1) ** 2).sum(0)

        return valley, best
    if number == 12:

        def cigar(x: Any) -> Any:
            z = turn @ shifted(x)
            return z[0] ** 2 + 1e6 * (z[1:] ** 2).sum(0)

        return cigar, best
    if number == 13:

        def ridge(x: Any) -> Any:
            z = stretch @ shifted(x)
            return z[0] ** 2 + 100 * np.sqrt((z[1:] ** 2).sum(0))

        return ridge, best
    if number == 14:

        def powers(x: Any) -> Any:
            z = np.abs(turn @ shifted(x))
            return np.sqrt(sum(z[k] ** float(2 + 4 * ramp[k]) for k in range(d)))

        return powers, best
    if number == 15:

        def rippled(x: Any) -> Any:
            z = stretch @ shifted(x)
            return 10.0 * (d - np.cos(2 * np.pi * z).sum(0)) + (z * z).sum(0)

        return rippled, best
    return _gallagher(d, turn, rng)


def _gallagher(d: int, turn: Array, rng: np.random.Generator) -> tuple[Any, Array]:
    """The deepest of 101 Gaussian pits of different shapes."""
    pits = 101
    places = rng.uniform(-4.9, 4.9, (pits, d))
    places[0] = rng.uniform(-3.9, 3.9, d)
    weights = np.r_[10.0, 1.1 + 8 * (np.arange(1, pits) - 1) / (pits - 2)]
    sharp = np.r_[1000.0, 1000 ** (2 * rng.permutation(pits - 1) / (pits - 2))]
    shapes = np.array([s ** (0.5 * rng.permutation(np.linspace(0, 1, d))) / s**0.25 for s in sharp])

    turned_places = places @ turn.T  # [pits, d]

    def pitted(x: Any) -> Any:  # [d] or [d, m]
        z = (turn @ x).T[..., None, :] - turned_places  # [m, pits, d]
        depths = weights * np.exp((z * z * shapes).sum(-1) * (-0.5 / d))
        return (10 - np.max(depths, axis=-1)) ** 2

    return pitted, places[0]
