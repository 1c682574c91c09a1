"""Runners: paths of a method on a function of one or two variables, and the numbers behind the figures."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from ... import analysis, optim
from ...errors import ArgumentError
from ...minimize import golden_section, minimize
from ...ops.create import tensor
from ...problems.expression import parse

__all__ = ["contraction", "line_matrix", "noisy", "number", "path", "rational", "schedule", "trace"]

Array = np.ndarray[Any, Any]


def path(expression: str, method: str, settings: dict[str, Any], start: list[float], steps: int) -> Array:
    """Return the points of a run in float64, the start included: [steps + 1, variables]."""
    f = parse(expression)
    if method == "newton":
        options = {"maxiter": steps, "gtol": 0.0, "return_all": True}
        found = minimize(f, np.array(start), method="newton", line_search=settings["lr"], options=options)
        rows = list(found.allvecs)
        return np.array(rows + [rows[-1]] * (steps + 1 - len(rows)))
    x: Any = tensor(np.array(start), requires_grad=True)
    optimizer = getattr(optim, method)([x], **settings)
    rows = [x.detach().numpy().copy()]
    for _ in range(steps):
        optimizer.zero_grad()
        f(x).backward()
        optimizer.step()
        rows.append(x.detach().numpy().copy())
    return np.array(rows)


def trace(expression: str, method: str, settings: dict[str, Any], start: list[float], steps: int) -> dict[str, float]:
    """Return where a run ended, and the value there."""
    end = path(expression, method, settings, start, steps)[-1]
    found = {"x": float(end[0])} if len(end) == 1 else {f"x{k + 1}": float(v) for k, v in enumerate(end)}
    found["f"] = float(np.asarray(parse(expression)(end)))
    return found


def rational(steps: int) -> dict[str, str]:
    """Iterate ``w ← w - ½(w - 2)`` exactly."""
    w = Fraction(0)
    for _ in range(steps):
        w -= Fraction(1, 2) * (w - 2)
    return {"w": str(w)}


def line_matrix(steps: int, lr: float = 0.01) -> dict[str, str]:
    """Fit the line through (1, 2) and (3, 4) by matrices in float32, and print as tensors print."""
    X, y = tensor([[1.0, 1.0], [3.0, 1.0]]), tensor([[2.0], [4.0]])
    w: Any = tensor([[0.0], [0.0]])
    gradient = X.T @ (X @ w - y) / 2
    for _ in range(steps):
        w = w - lr * (X.T @ (X @ w - y) / 2)
    error: Any = y - X @ w

    def shown(t: Any) -> str:
        return str(t).removeprefix("tensor(").removesuffix(")").replace("\n", "").replace(" ", "")

    return {"gradient": shown(gradient), "w": shown(w), "sse": f"{float((error.T @ error).item()):.4e}"}


def falling(schedule: str, t: float) -> float:
    """Return the factor of the learning rate of the noisy runs at step `t`."""
    if schedule == "constant":
        return 1.0
    return math.exp(-0.1 * t) if schedule == "exponential" else float((1 + 0.1 * t) ** -0.5)


def noisy(schedule: str, steps: int, lr: float, runs: int = 4000, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Run SGD on x1² + 2x2² with unit noise on the gradient; return (figure, its standard error) of the ends."""
    rng = np.random.default_rng(seed)
    x = np.tile([-5.0, -2.0], (runs, 1))
    curvature = np.array([2.0, 4.0])
    for k in range(steps):
        gradient = curvature * x + rng.normal(size=x.shape)
        x = x - lr * falling(schedule, k + 2) * gradient
    found = {}
    for j, name in enumerate(("x1", "x2")):
        sd = float(x[:, j].std(ddof=1))
        found[f"{name} mean"] = (float(x[:, j].mean()), sd / runs**0.5)
        found[f"{name} sd"] = (sd, sd / (2 * runs) ** 0.5)
    return found


def contraction(lr: float, curvature: float, steps: int) -> float:
    """Return |x| after gradient descent on λx²/2 from 1."""
    return abs(float(path(f"{curvature / 2!r}*x**2", "SGD", {"lr": lr}, [1.0], steps)[-1, 0]))


def schedule(name: str) -> dict[str, Any]:
    """Return the rates of one of the chapter's schedules, by epoch."""
    if name == "by_hand":
        x: Any = tensor([1.0], requires_grad=True)
        optimizer = optim.SGD([x], lr=0.3)
        optimizer.param_groups[0]["lr"] = 0.1
        return {"text": f"learning rate is now {optimizer.param_groups[0]['lr']:.2f}"}
    rate = rates()[name]
    return {str(t): rate(t) for t in range(51)}


def rates() -> dict[str, Any]:
    """Return the chapter's schedules as functions of the epoch."""
    from ...optim import schedules as s

    def cosine(t: float) -> float:
        return s.cosine(t, 0.3, 20, 0.01)

    def after_warmup(t: float) -> float:
        return s.cosine(t, 0.3, 15, 0.01)

    return {
        "constant": lambda t: 0.3,
        "square_root": lambda t: s.square_root(t, 0.1),
        "factor": lambda t: s.factor(t, 2.0, 0.9, 0.01),
        "multi_step": lambda t: s.multi_step(t, 0.5, [15, 30], 0.5),
        "cosine": cosine,
        "warmup_cosine": lambda t: 0.3 * t / 5 if t < 5 else after_warmup(t - 5),
    }


def number(quantity: str, **settings: Any) -> dict[str, float]:
    """Compute one of the figures that the text quotes."""
    found = _NUMBERS.get(quantity)
    if found is None:
        raise ArgumentError(f"atlas: no quantity is called {quantity!r}.")
    return found(**settings)


def _condition() -> dict[str, float]:
    f = parse("0.1*x1**2 + 2*x2**2")
    return {"cond": analysis.condition_number(analysis.spectrum(f, [-5.0, -2.0]))}


def _stable_region() -> dict[str, float]:
    """The limit of ηλ by running heavy ball on λ = 1 at rates around it."""

    def gradient(x: Array) -> Array:
        return x

    found = {"gd": analysis.stability_by_run(gradient, [1.0], 1.0)}
    for beta in (0.5, 0.9):
        limit = analysis.stability_by_run(gradient, [1.0], 1.0, method="heavy_ball", momentum=beta, rtol=1e-4)
        found[f"momentum {beta:g}"] = limit
    return found


def minimum(text: str, low: float, high: float) -> tuple[float, float]:
    """Return the minimiser and minimum of a unimodal expression on an interval, polished by Newton's method."""
    f = parse(text)
    x, _ = golden_section(lambda v: float(np.asarray(f(np.array([v])))), low, high)
    found = minimize(f, [x], method="newton", options={"maxiter": 20, "gtol": 1e-13})
    return float(found.x[0]), float(found.fun)


RISK, EMPIRICAL = "x*cos(pi*x)", "x*cos(pi*x) + 0.2*cos(5*pi*x)"


def _empirical_minimum() -> dict[str, float]:
    x, g = minimum(EMPIRICAL, 0.9, 1.1)
    return {"x": x, "g": g}


def _risk_minimum() -> dict[str, float]:
    x, f = minimum(RISK, 0.8, 1.3)
    return {"x": x, "f": f}


def local_global() -> dict[str, float]:
    """Return the two minima of x cos(πx) on [-1, 2]."""
    x, f = minimum(RISK, -0.6, 0.0)
    y, g = minimum(RISK, 0.8, 1.3)
    return {"local x": x, "local f": f, "global x": y, "global f": g}


def tanh_slope() -> dict[str, float]:
    """Return the derivative of tanh at 4."""
    x: Any = tensor(np.array(4.0), requires_grad=True)
    x.tanh().backward()
    return {"f'(4)": float(x.grad.item())}


def cubic_saddle() -> dict[str, float]:
    """Return the critical point of x³."""
    found = minimize(parse("(3*x**2)**2"), [1.0], method="newton", options={"maxiter": 200, "gtol": 0.0})
    return {"x": round(float(found.x[0]), 9), "saddle": round(float(found.x[0]), 9)}


def _at_least_once(n: int = 10_000) -> dict[str, float]:
    return {"p": 1 - (1 - 1 / n) ** n}


def _exactly_once(n: int = 10_000) -> dict[str, float]:
    return {"p": (1 - 1 / n) ** (n - 1)}


_NUMBERS: dict[str, Any] = {
    "condition": _condition,
    "exp_limit": lambda: {"exp(-1)": (1 - 1 / 10**7) ** 10**7},
    "ewma_power": lambda: {"0.95**20": 0.95**20},
    "ewma_window": lambda: {"n(0.95)": 1 / (1 - 0.95), "n(0.9)": 1 / (1 - 0.9)},
    "stable_region": _stable_region,
    "geometric": lambda: {"n(0.9)": sum(0.9**k for k in range(1000))},
    "contraction": lambda: {k: contraction(0.1, float(k), 20) for k in ("0.1", "1", "10", "19")},
    "tanh_slope": tanh_slope,
    "empirical_minimum": _empirical_minimum,
    "risk_minimum": _risk_minimum,
    "local_global": local_global,
    "cubic_saddle": cubic_saddle,
    "at_least_once": _at_least_once,
    "exactly_once": _exactly_once,
    "bandwidth": lambda: {"bytes/s": 2e9 * 16 * 32},
}
