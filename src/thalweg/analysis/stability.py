"""The largest learning rate that converges: what theory says of the curvature, and what the run itself says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..minimize.objective import Objective, start
from .spectrum import lanczos

__all__ = [
    "StabilityReport",
    "best_settings",
    "largest_stable_lr",
    "spectral_radius",
    "stability_by_run",
    "stability_report",
]

METHODS = ("gd", "heavy_ball", "nesterov")


def _check(method: str, momentum: float) -> None:
    if method not in METHODS:
        raise ArgumentError(f"stability: method must be one of {', '.join(METHODS)}, got {method!r}.")
    if not 0 <= momentum < 1:
        raise ArgumentError(f"stability: momentum must lie in [0, 1), got {momentum}.")


def largest_stable_lr(largest_eigenvalue: float, method: str = "gd", momentum: float = 0.0) -> float:
    """Return the limit of the learning rate on a quadratic whose largest eigenvalue is L.

    Gradient descent 2/L; heavy ball (2 + 2β)/L; Nesterov in PyTorch's form (2 + 2β)/((1 + 2β)L) (Polyak 1964).

    >>> largest_stable_lr(4.0), largest_stable_lr(4.0, "heavy_ball", 0.5), largest_stable_lr(4.0, "nesterov", 0.5)
    (0.5, 0.75, 0.375)
    """
    _check(method, momentum)
    if not largest_eigenvalue > 0:
        return float("inf")
    limit = {
        "gd": 2.0,
        "heavy_ball": 2 + 2 * momentum,
        "nesterov": (2 + 2 * momentum) / (1 + 2 * momentum),
    }[method]
    return limit / largest_eigenvalue


def spectral_radius(lr: float, momentum: float, eigenvalue: float, method: str = "heavy_ball") -> float:
    """Return the factor by which a step shrinks the error along an eigenvector, in the limit.

    >>> [round(spectral_radius(0.4, 0.5, e), 3) for e in (0.2, 4.0)]
    [0.774, 0.707]
    """
    _check(method, momentum)
    if method == "gd":
        return abs(1 - lr * eigenvalue)
    if method == "heavy_ball":
        b, c = 1 + momentum - lr * eigenvalue, momentum
    else:
        b, c = (1 + momentum) * (1 - lr * eigenvalue), momentum * (1 - lr * eigenvalue)
    disc = complex(b * b - 4 * c) ** 0.5  # of z² - bz + c
    return float(max(abs((b + disc) / 2), abs((b - disc) / 2)))


def best_settings(smallest: float, largest: float, method: str = "gd") -> dict[str, float]:
    """Return the learning rate, momentum and contraction rate that are best on eigenvalues in [μ, L].

    >>> {k: round(v, 6) for k, v in best_settings(0.2, 4.0, "heavy_ball").items()}
    {'lr': 0.667907, 'momentum': 0.402605, 'rate': 0.634512}
    """
    _check(method, 0.0)
    if not 0 < smallest <= largest:
        raise ArgumentError(f"best_settings: 0 < smallest <= largest is required, got {smallest} and {largest}.")
    root = (largest / smallest) ** 0.5
    if method == "gd":
        k = largest / smallest
        return {"lr": 2 / (smallest + largest), "momentum": 0.0, "rate": (k - 1) / (k + 1)}
    q = (root - 1) / (root + 1)
    if method == "heavy_ball":
        return {"lr": (2 / (largest**0.5 + smallest**0.5)) ** 2, "momentum": q * q, "rate": q}
    return {"lr": 1 / largest, "momentum": q, "rate": 1 - 1 / root}


def stability_by_run(
    gradient: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    x: Any,
    guess: float,
    *,
    method: str = "gd",
    momentum: float = 0.0,
    steps: int = 2000,
    rtol: float = 1e-3,
    floor: float = 1e-12,
) -> float:
    """Return the largest learning rate from which the run itself does not blow up, by bisection.

    A run from `x` counts as unstable once the gradient exceeds a million times its first size, or is larger at
    the end than in the middle of the run and than `floor` times its first size (rounding keeps it above 0).
    `gradient` maps a flat float64 array to another.
    """
    _check(method, momentum)
    x = np.array(x, np.float64).reshape(-1)

    def stable(lr: float) -> bool:
        p, v = x.copy(), np.zeros_like(x)
        g = gradient(p)
        first = middle = float(np.linalg.norm(g))
        size = first
        for k in range(steps):
            v = momentum * v + g
            p = p - lr * (g + momentum * v if method == "nesterov" else v)
            g = gradient(p)
            size = float(np.linalg.norm(g))
            if not size <= 1e6 * max(first, 1e-300):
                return False
            if size <= floor * first and momentum * float(np.linalg.norm(v)) <= floor * first:
                return True  # it has arrived: what is left is rounding
            if k == steps // 2:
                middle = size
        return size <= min(2 * first, max(middle * (1 + 1e-9), floor * first))

    low, high = 0.0, guess
    for _ in range(60):
        if not stable(high):
            break
        low, high = high, 2 * high
    else:
        return float("inf")
    while low == 0.0:
        high /= 2
        if stable(high):
            low, high = high, 2 * high
        elif high < 1e-30:
            return 0.0
    while high - low > rtol * high:
        middle_lr = (low + high) / 2
        if stable(middle_lr):
            low = middle_lr
        else:
            high = middle_lr
    return (low + high) / 2


@dataclass(frozen=True)
class StabilityReport:
    """The limit of the learning rate by theory and by the run, for one method."""

    method: str
    momentum: float
    theory: float
    run: float

    def __str__(self) -> str:
        beta = f", momentum {self.momentum:g}" if self.method != "gd" else ""
        return f"{self.method}{beta}: largest stable lr {self.theory:.6g} by theory, {self.run:.6g} by the run"


def stability_report(
    fun: Callable[[Any], Any], x: Any, *, momentum: float = 0.9, near: float = 1e-3, steps: int = 2000, seed: int = 0
) -> list[StabilityReport]:
    """Return the limits for gradient descent, heavy ball and Nesterov around a minimum `x`, side by side.

    The runs start at `x` moved by `near` in a random direction, where the function is close to its quadratic.
    """
    point = start(x, "stability_report")
    f = Objective(fun, point.shape, who="stability_report")
    flat = point.reshape(-1)
    ends = lanczos(lambda v: f.product(flat, v), flat.size)
    moved = flat + near * np.random.default_rng(seed).normal(size=flat.size)
    reports = []
    for method in METHODS:
        beta = 0.0 if method == "gd" else momentum
        theory = largest_stable_lr(ends.largest, method, beta)
        guess = theory if np.isfinite(theory) else 1.0
        base = f.grad(flat).copy()

        def shifted(p: np.ndarray[Any, Any], base: Any = base) -> np.ndarray[Any, Any]:
            return f.grad(p) - base

        run = stability_by_run(shifted, moved, guess, method=method, momentum=beta, steps=steps)
        reports.append(StabilityReport(method, beta, theory, run))
    return reports
