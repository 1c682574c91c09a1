"""The picture of an entry."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...problems.expression import parse
from ...problems.function import FunctionProblem
from .. import pictures as draw
from ..contender import Contender
from ..pictures import Picture
from ..plots import trace_picture
from ..trace import Path
from . import training
from .entry import Entry
from .traces import EMPIRICAL, RISK, falling, local_global, minimum, path, rates

__all__ = ["picture"]


def picture(entry: Entry) -> Picture | None:
    """Return the picture of an entry, or None where a figure says it all."""
    if entry.runner == "trace":
        return _trace(**entry.settings)
    if entry.runner == "schedule" and entry.settings["name"] in rates():
        name = entry.settings["name"]
        return draw.schedules({name.replace("_", " "): rates()[name]}, 50 if name == "factor" else 30)
    if entry.runner == "noisy":
        return _noisy(**entry.settings)
    if entry.runner == "airfoil":
        return _airfoil(entry)
    if entry.runner == "picture":
        return _PICTURES[entry.settings["name"]]()
    if entry.id == "momentum-25":
        t = np.arange(21)
        series = {f"λ = {v:g}": (t, (1 - 0.1 * v) ** t) for v in (0.1, 1.0, 10.0, 19.0)}
        return draw.lines(series, x="step", y="x", title="(1 - ηλ)ᵗ at η = 0.1")
    if entry.id == "momentum-14":
        return draw.stability_region([0.2, 4.0], [(0.4, 0.5), (0.6, 0.5), (0.6, 0.25)])
    return None


_METHODS = {"SGD": "gd", "Adagrad": "adagrad", "RMSprop": "rmsprop", "newton": "newton"}


def _trace(expression: str, method: str, settings: dict[str, Any], start: list[float], steps: int) -> Picture:
    points = path(expression, method, settings, start, steps)
    f = parse(expression)
    with np.errstate(all="ignore"):
        values = np.asarray(f(points.T), np.float64)
    key = "momentum" if settings.get("momentum") else _METHODS[method]
    shown = tuple((k, v) for k, v in settings.items() if k in ("lr", "momentum", "alpha"))
    contender = Contender(key, "gd" if key == "newton" else key, shown)
    reach = float(np.abs(points[np.isfinite(points)]).max(initial=1.0))
    problem = FunctionProblem(expression, expression, f, ((-reach, reach),) * len(start))
    trace = Path(contender, points, values)
    columns = {f"x{k + 1}": points[:, k] for k in range(points.shape[1])} | {"f": values}
    return Picture(trace_picture(problem, [trace]), columns)


def _noisy(schedule: str, steps: int, lr: float) -> Picture:
    rng = np.random.default_rng(0)
    x = np.array([-5.0, -2.0])
    points = [x]
    for k in range(steps):
        x = x - lr * falling(schedule, k + 2) * (np.array([2.0, 4.0]) * x + rng.normal(size=2))
        points.append(x)
    visited = np.array(points)
    f = parse("x1**2 + 2*x2**2")
    problem = FunctionProblem("x1**2 + 2*x2**2", f"x1**2 + 2*x2**2 with noise, {schedule} rate", f, ((-6.0, 2.0),) * 2)
    trace = Path(Contender("sgd", "sgd", (("lr", lr),)), visited, np.asarray(f(visited.T)))
    return Picture(trace_picture(problem, [trace]), {"x1": visited[:, 0], "x2": visited[:, 1], "f": trace.values})


def _airfoil(entry: Entry) -> Picture:
    losses = np.sort(training.airfoil_losses(training.airfoil_rows(), **entry.settings))
    share = (np.arange(len(losses)) + 0.5) / len(losses)
    want = entry.expected or {}
    band = {"1%, 50% and 99% of the source": ([want["p1"], want["median"], want["p99"]], [0.01, 0.5, 0.99])}
    return draw.lines(
        {"20 seeds here": (losses, share), **band}, x="loss after training", y="share of runs at most", points=True,
        title=f"least-squares floor {want['floor']}",
    )  # fmt: skip


def _risk() -> Picture:
    x = np.arange(0.5, 1.5, 0.01)
    marks = {"least risk": minimum(RISK, 0.8, 1.3), "least empirical risk": minimum(EMPIRICAL, 0.9, 1.1)}
    return draw.lines(
        {"risk": (x, _at(RISK, x)), "empirical risk": (x, _at(EMPIRICAL, x))}, x="x", y="risk", marks=marks
    )


def _local_global() -> Picture:
    x = np.arange(-1.0, 2.0, 0.01)
    m = local_global()
    marks = {"local minimum": (m["local x"], m["local f"]), "global minimum": (m["global x"], m["global f"])}
    return draw.lines({RISK: (x, _at(RISK, x))}, x="x", y="f(x)", title=RISK, marks=marks)


def _cubic() -> Picture:
    x = np.arange(-2.0, 2.0, 0.01)
    return draw.lines({"x**3": (x, x**3)}, x="x", y="f(x)", title="x**3", marks={"saddle": (0.0, 0.0)})


def _saddle() -> Picture:
    run = path("x1**2 - x2**2", "SGD", {"lr": 0.1}, [0.9, 0.02], 18)
    return draw.surface(lambda p: p[0] ** 2 - p[1] ** 2, (-1, 1), (-1, 1), run, title="x1**2 - x2**2")


def _tanh() -> Picture:
    x = np.arange(-2.0, 5.0, 0.01)
    series = {"tanh": (x, np.tanh(x)), "its derivative": (x, 1 - np.tanh(x) ** 2)}
    return draw.lines(series, x="x", y="f(x)", marks={"derivative 0.0013 at 4": (4.0, float(np.tanh(4.0)))})


def _batch_times() -> Picture:
    import time

    rows = training.airfoil_rows()
    runs = {"batch 1500, lr 1": (1.0, 1500, 10), "batch 1, lr 0.005": (0.005, 1, 2), "batch 100, lr 0.4": (0.4, 100, 2),
            "batch 10, lr 0.05": (0.05, 10, 2)}  # fmt: skip
    series = {}
    for name, (lr, batch, epochs) in runs.items():
        seconds, losses = [], []
        for n in range(1, epochs + 1):
            begun = time.perf_counter()
            losses.append(training.airfoil_losses(rows, "SGD", {"lr": lr}, "small", batch, n, (0,))[0])
            seconds.append(time.perf_counter() - begun)
        series[name] = (seconds, losses)
    return draw.lines(series, x="seconds", y="loss", log_x=True, points=True)


def _at(text: str, x: Any) -> Any:
    return np.asarray(parse(text)(np.asarray(x)[None, :]))


_PICTURES = {
    "momentum_weights": lambda: draw.weights([0.95, 0.9, 0.6, 0.0], title="weights of past gradients"),
    "rms_weights": lambda: draw.weights([0.95, 0.9, 0.8, 0.7], normalised=True, title="weights of past squares"),
    "risk": _risk,
    "local_global": _local_global,
    "cubic": _cubic,
    "saddle": _saddle,
    "tanh": _tanh,
    "batch_times": _batch_times,
}
