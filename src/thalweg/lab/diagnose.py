"""What a problem's curvature and noise say about methods and learning rates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import analysis
from ..autograd.gradients import grad
from ..core.dtype import float64
from ..errors import ArgumentError
from ..problems.base import Array, Instance, Problem, tensor_of
from ..problems.function import FunctionProblem
from .advice import Tried, round_down, try_candidates

__all__ = ["Diagnosis", "Rate", "diagnose"]

DENSE = 400  # parameters up to which every eigenvalue is computed
BATCH = 10  # rows of the batches whose gradients are compared
BATCHES = 200
MOMENTUM = 0.9
FLAT = 1e-20  # curvature that is only rounding
NOTHING = (
    "No advice: every candidate (gradient descent, heavy ball, Adam at several rates) diverged. Give another start."
)


@dataclass(frozen=True)
class Rate:
    """The largest stable learning rate of one method, by theory and by a run around the point."""

    method: str
    momentum: float
    theory: float
    run: float


@dataclass(frozen=True)
class Diagnosis:
    """What was found; `advice` is what curvature and noise suggest, and what was tried, in a sentence each."""

    problem: str
    size: str
    where: str
    eigenvalues: Array
    complete: bool
    condition: float
    kind: str
    rates: tuple[Rate, ...]
    noise: analysis.GradientNoise | None
    after_scaling: float | None
    advice: tuple[str, ...]
    tried: Tried | None

    @property
    def largest(self) -> float:
        """The largest eigenvalue of the Hessian."""
        return float(self.eigenvalues[-1])

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue of the Hessian."""
        return float(self.eigenvalues[0])


class _Flat:
    """An instance's loss over all rows, as a function of one flat float64 vector."""

    def __init__(self, problem: Problem, instance: Instance) -> None:
        self.instance = instance
        self.rows = [tensor_of(a) for a in problem.arrays]
        self.parameters = instance.parameters
        self.sizes = [p.numel() for p in self.parameters]

    def put(self, x: Array) -> None:
        at = 0
        for p, n in zip(self.parameters, self.sizes, strict=True):
            p._data[...] = x[at : at + n].reshape(p._data.shape)
            at += n

    def loss(self) -> Any:
        return self.instance.loss(*self.rows)

    def gradient(self, x: Array) -> Array:
        self.put(x)
        found = grad(self.loss(), list(self.parameters), allow_unused=True)
        parts = [
            np.zeros(n) if g is None else g.numpy().ravel().astype(np.float64)
            for g, n in zip(found, self.sizes, strict=True)
        ]
        return np.concatenate(parts)


def diagnose(problem: Problem, *, seed: int = 0, tell: Callable[[str], None] | None = None) -> Diagnosis:
    """Measure curvature, stable rates and gradient noise of a problem, and say what follows.

    Functions are measured at their first minimiser (found from the usual start where none is known), data problems
    where their seed starts.
    """
    say = tell or (lambda text: None)
    rng = np.random.default_rng(seed)
    instance = problem.instance(rng)
    where = "at the start"
    if isinstance(problem, FunctionProblem):
        point, where = _point(problem, instance)
        usual, instance = instance, problem.at(point)
    say("curvature")
    flat, eigenvalues, matrix = _spectrum(problem, instance, seed)
    if isinstance(problem, FunctionProblem) and not np.isfinite(eigenvalues).all():  # a cusp at the minimiser
        where = f"at the start, ({_numbers(usual.values())}), since the Hessian is not finite {where}"
        instance = usual
        flat, eigenvalues, matrix = _spectrum(problem, instance, seed)
    if not np.isfinite(eigenvalues).all():
        raise ArgumentError(f"diagnose: the Hessian of {problem.name} is not finite {where}; give another start.")
    n, x = len(flat.gradient(instance.values())), instance.values().astype(np.float64)
    say("stable rates")
    exact = problem.dtype is float64
    rates = _rates(flat, x, eigenvalues, rng, exact)
    flat.put(x)
    noise = None
    if problem.rows >= 2 * BATCH:
        say("gradient noise")
        noise = _noise(problem, instance, rng)
    tolerance = 1e-9 if exact else 1e-6
    condition = analysis.condition_number(eigenvalues, rtol=max(tolerance, 1e-12))
    scaled = None
    if matrix is not None and np.isfinite(condition) and (np.diag(matrix) > 0).all():
        scaled = analysis.diagonal_preconditioning(matrix)["after"]
    kind = _kind(eigenvalues)
    size = f"{problem.rows} rows, {n} parameters" if problem.rows else f"{n} variable{'s' * (n != 1)}"
    advice: tuple[str, ...] = _advice(eigenvalues, condition, kind, rates, noise, scaled)
    tried = try_candidates(problem, float(eigenvalues[-1]) / condition, float(eigenvalues[-1]), seed=seed, tell=tell)
    advice += (tried.sentence(problem.rows) if tried is not None else NOTHING,)
    return Diagnosis(
        problem.name, size, where, eigenvalues, n <= DENSE, condition, kind, rates, noise, scaled, advice, tried
    )  # fmt: skip


def _spectrum(problem: Problem, instance: Instance, seed: int) -> tuple[_Flat, Array, Array | None]:
    """Return the loss as a function of a flat vector, the Hessian's eigenvalues (NaN if not finite) and, if small, itself."""
    flat = _Flat(problem, instance)
    with np.errstate(all="ignore"):
        product, n = analysis.hessian_product(flat.loss, instance.parameters)
        if n > DENSE:
            return flat, analysis.lanczos(product, n, steps=min(n, 60), seed=seed).values, None
        matrix = np.stack([product(row) for row in np.eye(n)])
    matrix = (matrix + matrix.T) / 2
    finite = np.isfinite(matrix).all()
    return flat, np.linalg.eigvalsh(matrix) if finite else np.full(n, np.nan), matrix


def _point(problem: FunctionProblem, instance: Instance) -> tuple[tuple[float, ...], str]:
    if problem.minimisers:
        return tuple(float(v) for v in problem.minimisers[0]), "at the minimiser"
    from ..minimize import minimize

    start = instance.values()
    found = minimize(problem.function, start, method="bfgs")
    if np.isfinite(found.x).all() and np.isfinite(found.fun) and np.abs(found.jac).max() < 1e-3:
        return tuple(float(v) for v in found.x), f"at a minimum found from the start, ({_numbers(found.x)})"
    return tuple(float(v) for v in start), f"at the start, ({_numbers(start)}), since no minimum was found"


def _numbers(x: Array) -> str:
    return ", ".join(f"{v:.4g}" for v in x[:4]) + (", …" if len(x) > 4 else "")


def _rates(flat: _Flat, x: Array, eigenvalues: Array, rng: np.random.Generator, exact: bool) -> tuple[Rate, ...]:
    """Run from so near that the function is its quadratic; where it bends downwards every run leaves, so none is made."""
    largest = float(eigenvalues[-1])
    base = flat.gradient(x)
    near = 1e-6 if exact else 1e-2
    moved = x + near * rng.normal(size=x.size) * max(1e-3 if exact else 1.0, float(np.abs(x).max(initial=0.0)))
    steps, precision = (1000, 2e-3) if x.size <= 200 else (60, 1e-2)
    rates = []
    for method in ("gd", "heavy_ball", "nesterov"):
        momentum = 0.0 if method == "gd" else MOMENTUM
        theory = analysis.largest_stable_lr(largest, method, momentum)
        if not np.isfinite(theory) or eigenvalues[0] < -1e-6 * largest:
            rates.append(Rate(method, momentum, theory, float("nan")))
            continue
        run = analysis.stability_by_run(
            lambda p: flat.gradient(p) - base,
            moved,
            theory,
            method=method,
            momentum=momentum,
            steps=steps,
            rtol=precision,
            floor=1e-9 if exact else 1e-4,
        )
        rates.append(Rate(method, momentum, theory, run))
    return tuple(rates)


def _noise(problem: Problem, instance: Instance, rng: np.random.Generator) -> analysis.GradientNoise:
    rows = [rng.choice(problem.rows, BATCH, replace=False) for _ in range(BATCHES)]
    batches = [[tensor_of(np.ascontiguousarray(a[k])) for a in problem.arrays] for k in rows]
    return analysis.gradient_noise(lambda b: instance.loss(*b), instance.parameters, batches, BATCH)


def _kind(eigenvalues: Array) -> str:
    size = float(np.abs(eigenvalues).max())
    if size < FLAT:
        return "flat"
    if eigenvalues[0] < -1e-6 * size:
        return "bent downwards in some directions" if eigenvalues[-1] > 0 else "bent downwards"
    return "bent upwards" if eigenvalues[0] > 1e-9 * size else "bent upwards, flat in some directions"


def _advice(
    eigenvalues: Array, condition: float, kind: str, rates: tuple[Rate, ...], noise: Any, scaled: float | None
) -> tuple[str, str]:
    """Return what the curvature says of methods, and what the noise says of batches and the limit of the rate."""
    limit = round_down(rates[0].theory, 3)
    if kind == "flat":
        first = "Start somewhere else, because the function is flat here and no method sees a direction."
    elif kind.startswith("bent downwards"):
        first = (
            f"The Hessian has negative eigenvalues here ({eigenvalues[0]:.3g}): plain Newton steps would climb along them, "
            "Newton's method with absolute eigenvalues and the methods below descend."
        )
    elif condition <= 10:
        first = (
            f"Plain gradient descent will do near this point, because the condition number is only {condition:.3g}: about "
            f"{max(1, round(condition / 2 * np.log(10)))} steps a decimal digit."
        )
    elif scaled is not None and scaled < condition / 10:
        first = (
            "A method that scales each coordinate (AdaGrad, RMSProp, Adam) helps near this point, because scaling by the "
            f"diagonal takes the condition number from {condition:.3g} to {scaled:.3g}."
        )
    else:
        root = condition**0.5
        first = (
            f"Momentum helps near this point, because the condition number is {condition:.3g}: gradient descent needs about "
            f"{condition / 2 * np.log(10):.0f} steps a decimal digit, momentum about {root / 2 * np.log(10):.0f}."
        )
    bound = (
        f"near this point the learning rate of gradient descent must stay below {limit:.3g} = 2/{eigenvalues[-1]:.3g}, "
        "beyond which it leaves"
        if np.isfinite(limit)
        else "any learning rate is stable here, because no direction bends upwards"
    )
    if noise is None:
        return first, f"{bound[0].upper()}{bound[1:]}."
    if not np.isfinite(noise.scale) or noise.scale > 1000:
        return first, (
            f"Near this point the gradient of a batch is mostly noise at any batch size: let the learning rate fall towards the "
            f"end; {bound}."
        )
    return first, (
        f"The noise of a batch equals its signal here at about {max(1, round(noise.scale))} rows: larger batches gain less "
        f"than they cost; {bound}."
    )
