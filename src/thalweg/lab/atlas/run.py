"""Running entries: one by one, or all of them with a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ... import analysis, constraints, data
from ...errors import DataError, MissingExtra
from ...problems.expression import parse
from . import notebook as cells
from . import traces, training
from .data_exercises import DATA_EXERCISES
from .entry import Entry, Outcome, Row, compare, entries
from .exercises import EXERCISES

__all__ = ["check", "run"]

Tell = Callable[[str], None] | None


def run(entry: Entry, *, quick: bool = False, tell: Tell = None) -> Outcome:
    """Run one entry and judge it; data that are not there make it skipped, with the reason."""
    try:
        return _RUNNERS[entry.runner](entry, quick, tell)
    except (DataError, MissingExtra) as missing:
        return Outcome(entry, (), skipped=str(missing))


def check(chosen: Iterable[Entry] | None = None, *, tell: Tell = None) -> Iterator[tuple[Outcome, float]]:
    """Run entries (all but the trainings, by default) and yield each outcome with its seconds."""
    for entry in entries() if chosen is None else chosen:
        if chosen is None and entry.kind == "training":
            continue
        begun = time.perf_counter()
        outcome = run(entry, tell=tell)
        yield outcome, time.perf_counter() - begun


def _simple(function: Callable[..., dict[str, Any]]) -> Callable[..., Outcome]:
    def runner(entry: Entry, quick: bool, tell: Tell) -> Outcome:
        return Outcome(entry, compare(entry, function(**entry.settings)))

    return runner


def _exercise(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    cell = entry.settings["cell"]
    found = (EXERCISES.get(cell) or DATA_EXERCISES[cell])()
    plain = {k: bool(v) if isinstance(v, (bool, np.bool_)) else v for k, v in found.items()}
    return Outcome(entry, compare(entry, plain))


def _airfoil(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    assert entry.expected is not None
    low, high, floor = (entry.expected[k] for k in ("p1", "p99", "floor"))
    losses = np.array(training.airfoil_losses(training.airfoil_rows(), **entry.settings))
    outside = int(((losses < low) | (losses > high)).sum())
    rows = (
        Row("losses outside 1%..99%", "<= 2 of 20", str(outside), outside <= 2),
        Row("least loss", f">= {floor}", f"{losses.min():.6f}", bool(losses.min() >= floor - 5e-7)),
        Row("median", f"{low:.4f} .. {high:.4f}", f"{np.median(losses):.4f}", bool(low <= np.median(losses) <= high)),
    )
    return Outcome(entry, rows)


def _noisy(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    found = traces.noisy(**entry.settings)
    rows = []
    for name, want in (entry.expected or {}).items():
        got, error = found[name]
        rows.append(Row(name, f"{want:.6f}", f"{got:.6f} ± {error:.6f}", abs(got - want) <= 5 * error + 1e-6))
    return Outcome(entry, tuple(rows))


def _matmul(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    """Gflop/s of 256 x 256 products, counted truly: 2·256³ = 33.6 million operations."""
    n = entry.settings["n"]
    rng = np.random.default_rng(0)
    b, c = rng.normal(size=(2, n, n)).astype(np.float32)
    a = np.zeros((n, n), np.float32)

    def element() -> None:
        for i in range(n):
            for j in range(n):
                a[i, j] = b[i] @ c[:, j]

    def column() -> None:
        for j in range(n):
            a[:, j] = b @ c[:, j]

    def block() -> None:
        for j in range(0, n, 64):
            a[:, j : j + 64] = b @ c[:, j : j + 64]

    def full() -> None:
        np.matmul(b, c, out=a)

    rates = {}
    for name, work, times in (
        ("element", element, 3),
        ("column", column, 20),
        ("block", block, 200),
        ("full", full, 200),
    ):
        work()
        best = min(_seconds(work) for _ in range(times))
        rates[name] = 2 * n**3 / best / 1e9
    ordered = rates["element"] < rates["column"] < min(rates["block"], rates["full"])
    text = ", ".join(f"{k} {v:.3g}" for k, v in rates.items())
    expected = (entry.expected or {})["order"]
    return Outcome(entry, (Row("order", expected, expected if ordered else text, ordered),), (f"Gflop/s: {text}",))


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _chords(functions: list[str], low: float, high: float, minimum: bool = False) -> dict[str, Any]:
    verdicts = [analysis.convexity(parse(f), [low], [high]).verdict == "convex" for f in functions]
    found: dict[str, Any] = {"convex": ", ".join(map(str, verdicts))}
    if minimum:
        found["min"] = f"{traces.minimum(functions[0], low, high)[0]:.6g}"
    return found


def _clipping() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    good = True
    for _ in range(100):
        g = rng.normal(size=7) * 10 ** rng.uniform(-2, 2)
        clipped = g * min(1.0, 1.5 / float(np.linalg.norm(g)))
        good &= np.allclose(constraints.project_l2_ball(g, 1.5).numpy(), clipped, rtol=1e-12)
    return {"equal": good}


def _picture(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    name = entry.settings["name"]
    found: dict[str, Any] = {}
    if name in ("risk", "local_global"):
        found = traces.local_global()
        x, f = traces.minimum(traces.RISK, 0.8, 1.3)
        y, g = traces.minimum(traces.EMPIRICAL, 0.9, 1.1)
        found |= {"min f x": x, "min f": f, "min g x": y, "min g": g}
    elif name == "cubic":
        found = traces.cubic_saddle()
    elif name == "saddle":
        values = analysis.spectrum(parse("x1**2 - x2**2"), [0.3, 0.4])
        found = {"largest": float(values[-1]), "smallest": float(values[0])}
    elif name == "tanh":
        found = traces.tanh_slope()
    return Outcome(entry, compare(entry, found), ("a picture; 'thalweg atlas run' draws it",))


def _lenet(entry: Entry, quick: bool, tell: Tell) -> Outcome:
    settings = dict(entry.settings)
    data.fashion_mnist("test")  # fail before anything is built, if the data are missing
    curves = training.train_lenet(**settings, quick=quick, tell=tell)
    last = {k: v[-1] for k, v in curves.items()}
    note = (
        f"train loss {last['loss']:.3f}, train acc {last['train accuracy']:.3f}, test acc {last['test accuracy']:.3f}"
        + (" (on a tenth of the data)" if quick else "")
    )
    return Outcome(
        entry, (Row("finite", "True", str(bool(np.isfinite(last["loss"]))), bool(np.isfinite(last["loss"]))),), (note,)
    )


_RUNNERS: dict[str, Callable[[Entry, bool, Tell], Outcome]] = {
    "trace": _simple(traces.trace),
    "rational": _simple(traces.rational),
    "notebook": _simple(cells.notebook),
    "line_matrix": _simple(traces.line_matrix),
    "number": _simple(traces.number),
    "schedule": _simple(traces.schedule),
    "chords": _simple(_chords),
    "clipping": _simple(_clipping),
    "airfoil": _airfoil,
    "noisy": _noisy,
    "matmul": _matmul,
    "picture": _picture,
    "lenet": _lenet,
    "exercise": _exercise,
}
