"""What is printed: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..lab.contender import Contender
from ..lab.race import Result
from ..lab.splits import HeldOut
from ..lab.statistics import FEW, Summary
from ..lab.suite import SuiteResult
from ..lab.sweeps import AS_ASKED, TOO_SHORT
from ..lab.trial import Record
from ..lab.tuning import Tuned

__all__ = ["Progress", "number", "print_json", "print_race", "print_suite", "race_data", "stdout"]

WIDTH = 80
ROWS = 30  # of the table; of more contenders the best are shown
NAMES = 10  # of a list
SETTINGS_WIDTH = 24


class Output(Console):
    """A console that leaves a closed pipe to the caller, and no blanks at the ends of lines outside terminals."""

    def on_broken_pipe(self) -> None:
        """Say that the reader has gone."""
        raise BrokenPipeError

    def print(self, *things: Any, **more: Any) -> None:
        """Print as rich does."""
        if self.is_terminal:
            super().print(*things, **more)
            return
        with self.capture() as caught:
            super().print(*things, **more)
        for text in caught.get().splitlines():
            sys.stdout.write(text.rstrip() + "\n")


def stdout() -> Output:
    """Return the console for results: at most 80 columns wide, coloured only on a terminal and without NO_COLOR."""
    console = Output(highlight=False, soft_wrap=False)
    console.width = min(console.width, WIDTH)
    return console


def print_json(data: Any) -> None:
    """Print plain data; what is not finite becomes null."""
    print(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def number(x: float, digits: int = 5) -> str:
    """Return a number with so many significant digits; a dash for infinity."""
    if not math.isfinite(x):
        return "-"
    text = f"{x:#.{digits}g}" if 1e-3 <= abs(x) < 10**digits else f"{x:.{max(1, digits - 3)}e}"
    return "0" if x == 0 else text.rstrip(".")


class Progress:
    """A bar on a terminal, one line per finished run elsewhere; a context manager to call with each record."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.bar: Any = None
        self.task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self.quiet:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
            self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("starting", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, record: Record, done: int, total: int) -> None:
        """Tell of a finished run."""
        if self.bar is not None:
            self.bar.update(
                self.task, completed=done, total=total, description=f"{record.contender}, seed {record.seed}"
            )
        elif not self.quiet:
            print(f"[{done}/{total}] {told(record)}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Tell what is done before the next run is finished."""
        if self.bar is not None:
            self.bar.update(self.task, description=text)
        elif not self.quiet:
            print(text, file=sys.stderr, flush=True)


def told(record: Record) -> str:
    """Return one line about a run."""
    what = f"{record.contender}, seed {record.seed}"
    took = f"{record.steps[-1]} steps, {record.seconds[-1]:.3g} s"
    if record.status == "diverged":
        return f"{what}: diverged ({took})"
    return f"{what}: loss {number(record.final, 6)} ({took})"


def _interval(summary: Summary, digits: int) -> str:
    if summary.interval is None or not math.isfinite(summary.interval[0]):
        return "-"
    low, high = (number(x, digits) if math.isfinite(x) else "∞" for x in summary.interval)
    return f"{low}–{high}"


def _head(result: Result) -> list[str]:
    problem, config = result.problem, result.config
    curvature = problem.curvature()
    lines = [problem.describe() if problem.formula == problem.name else f"{problem.name}: {problem.describe()}"]
    where = "" if curvature.exact else f" {curvature.where}"
    if curvature.largest > 0:
        condition = curvature.condition
        more = f" (condition number {condition:.4g})" if condition is not None else ""
        lines.append(f"Largest stable learning rate of gradient descent{where}: {curvature.limit:.5g} = 2/λ,")
        lines.append(f"  where λ = {curvature.largest:.5g} is the Hessian's largest eigenvalue{more}")
    else:
        lines.append(f"No learning rate is stable{where}: the Hessian has no positive eigenvalue there.")
    count, unit = (
        (f"{config.budget.epochs:g}", "epoch") if config.budget.steps is None else (f"{config.budget.steps}", "step")
    )
    span = f"{count} {unit}" if count == "1" else f"{count} {unit}s"
    if isinstance(problem, HeldOut):
        train, validation, test = problem.counts
        lines.append(f"Each seed holds out rows: {train} to train on, {validation} to choose by, {test} to test")
    if config.trials_each:
        at = "each given rate" if config.rates is not None else f"{config.trials_each} settings"
        lines.append(
            f"Tuning: {at} of each contender from {_seeds(config.tuning_seeds)} ({result.tuning_runs} runs of {span})"
        )
    fresh = "fresh " if config.trials_each else ""
    if config.seeds > 1:
        lines.append(
            f"{config.seeds} {fresh}seeds, {span} each; every contender has the same starts and orders of rows"
        )
    else:
        lines.append(f"One run of {span} each")
    if problem.rows:
        lines.append(_rows_in_a_step(result))
    what = "validation loss" if isinstance(problem, HeldOut) else "loss"
    lines.append(f"Goal: {what} {number(result.goal, 6)}{_why(result)}")
    return lines


def _seeds(count: int) -> str:
    return "one seed of its own" if count == 1 else f"{count} seeds of their own"


def _rows_in_a_step(result: Result) -> str:
    batches = [c.batch for c in result.config.contenders]
    usual = max(set(batches), key=lambda size: (batches.count(size), size))
    others = [f"{c.label} {c.batch}" for c in result.config.contenders if c.batch != usual]
    if len(others) > NAMES:
        others = list(dict.fromkeys(f"{c.method} {c.batch}" for c in result.config.contenders if c.batch != usual))
    return f"Rows in a step: {usual}" + (f" ({', '.join(others)})" if others else "")


def _why(result: Result) -> str:
    if result.config.goal is not None:
        return " (as given)"
    best = result.problem.optimum
    if result.config.test and result.problem.rows:
        return ", 5% of the way from the smallest to the start (each seed has its own)"
    if best is None:
        return ", 1% of the way from the best found to the start"
    return f", 1% of the way from the smallest, {number(best, 6)}, to the start"


def print_race(result: Result) -> None:
    """Print what a race found."""
    console = stdout()
    for text in _head(result):
        console.print(Text(text))
    console.print()
    console.print(_table(result))
    for text in _tail(result):
        console.print(Text(text))


def _table(result: Result) -> Grid:
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    unit, factor = ("ms", 1e3) if any(s.seconds_per_step >= 0.01 for s in result.summaries) else ("µs", 1e6)
    tested = any(s.test is not None for s in result.summaries)
    metric = result.problem.metric if tested else None
    tuned = {t.default.label: t for t in result.tuned or ()}
    columns: list[tuple[str, Callable[[Summary, Contender], str]]] = [
        ("test loss" if tested else "loss", lambda s, c: number(s.mean, 4 if tuned else 5))
    ]
    if result.config.seeds >= FEW:
        columns.append(("median, 95%", lambda s, c: _interval(s, 3 if tuned else 4)))
    if metric is not None:
        columns.append((METRICS.get(metric, metric), lambda s, c: _share(s.metrics.get(f"test {metric}"))))
    if tuned:
        columns.append(("untuned", lambda s, c: number(result.defaults[s.contender].mean, 4)))
        columns.append(("lr ok", lambda s, c: _decades(tuned[s.contender].decades)))
    columns.append(("goal", lambda s, c: f"{s.steps_to_goal:.0f}" if math.isfinite(s.steps_to_goal) else "-"))
    columns.append((f"{unit}/step", lambda s, c: _time(factor * s.seconds_per_step)))
    if any(s.diverged for s in result.summaries):
        columns.append(("div.", lambda s, c: str(s.diverged) if s.diverged else "-"))
    grid.add_column("contender", no_wrap=True)
    grid.add_column("settings", min_width=12, max_width=14 if tuned else SETTINGS_WIDTH, overflow="fold")
    for name, _ in columns:
        grid.add_column(name, justify="right", no_wrap=True)
    place = {name: k for k, name in enumerate(result.comparison.order)}
    for s in sorted(result.summaries, key=lambda s: place[s.contender])[:ROWS]:
        contender = next(c for c in result.config.contenders if c.label == s.contender)
        cells = [cell(s, contender) for _, cell in columns]
        style = "bold" if s.contender in result.best else None
        grid.add_row(s.contender, contender.described(fixed=False, digits=4 if tuned else 6), *cells, style=style)
    return grid


METRICS = {"accuracy": "acc.", "R2": "R²"}


def _share(x: float | None) -> str:
    return "-" if x is None or not math.isfinite(x) else f"{x:.3f}"


def _decades(x: float) -> str:
    return f"{x:.1f}" if math.isfinite(x) else "-"


def _time(time: float) -> str:
    return f"{time:.0f}" if time >= 10 else f"{time:.2g}"


def _tail(result: Result) -> list[str]:
    lines = [""]
    count = len(result.summaries)
    if count > ROWS:
        lines.append(f"These are the best {ROWS} of {count} contenders; results.csv has all.")
    lines += conclusion(result)
    for seen in result.why.values():
        lines.append(" ".join(seen.sentences()))
    lines += _of_tuning(result)
    lines += _ran(result)
    if result.path is not None:
        lines.append(f"Everything is in {result.path}/")
    return lines


def conclusion(result: Result) -> list[str]:
    """Return what is claimed, in words: the same on the terminal, in JSON and in the manifest."""
    found = result.comparison
    lines = found.sentences()
    if found.enough and len(found.names) > 1 and result.best:
        first = result.best[0]
        apart = [(b, found.interval(b, first)) for b in found.order if found.differs(b, first)]
        told = [
            f"{b} {number(ends[0], 3)} to {number(ends[1], 3) if math.isfinite(ends[1]) else '∞'}"
            for b, ends in apart
            if ends is not None
        ]
        if told:
            unit = "decades, " if result.in_decades else ""
            lines.append(f"Above {first} by ({unit}95%, all pairs at once): {_names(told, '; ')}.")
    if result.in_decades and len(found.names) > 1:
        lines.append("Compared: log10 of the loss above the smallest possible.")
    return lines


def _of_tuning(result: Result) -> list[str]:
    if result.tuned is None:
        return []
    lines = []
    widened = [f"{t.default.label} ({t.widened})" for t in result.tuned if t.widened]
    if widened:
        lines.append(f"The best rate lay at the end of the space, which was widened: {_names(widened)}.")
    edge = [t.default.label for t in result.tuned if t.at_the_edge]
    if edge:
        lines.append(f"The best rate is still the smallest or largest tried: {_names(edge)}; try more with --trials.")
    lines.append(
        "Losses are means over seeds; untuned: at the settings before tuning. lr ok: decades of the rate within 10% of the best."
    )
    return lines


def print_suite(found: SuiteResult) -> None:
    """Print what a race over several problems found: each conclusion, then the profiles."""
    console = stdout()
    for name, result in found.results.items():
        console.print(Text(f"{name}: {result.comparison.sentences()[0]}"))
    console.print()
    grid = Grid(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    for column in ("contender", "score", "within 2x", "cheapest on"):
        grid.add_column(column, justify="left" if column == "contender" else "right")
    profiles = found.profiles
    for label in found.order:
        cheapest = profiles.rho(label, 1) * len(profiles.problems)
        within = f"{profiles.rho(label, 2):.0%}" if profiles.problems else "-"
        score = profiles.score[label]
        grid.add_row(
            label,
            f"{score:.3f}" if math.isfinite(score) else "-",
            within,
            f"{cheapest:.0f}" if profiles.problems else "-",
        )
    console.print(grid)
    lines = [
        "",
        "Cost: row gradients to the goal (medians over seeds), over the smallest of any contender.",
        f"Score: the profile's mean from 1 to 4 times, over {len(profiles.problems)} problems (Dolan and Moré 2002; AlgoPerf).",
        "With more than two contenders the order behind the first can change when one is taken away",
        "(Gould and Scott 2016): profiles.json has the scores of each pair. No error rate is claimed for scores.",
    ]
    if profiles.dropped:
        lines.append(f"Left out, since no contender reached the goal: {', '.join(profiles.dropped)}.")
    lines.append(f"Everything is in {found.path}/")
    for line in lines:
        console.print(Text(line))


def _names(labels: list[str], between: str = ", ") -> str:
    more = len(labels) - NAMES
    return between.join(labels[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _ran(result: Result) -> list[str]:
    """Tell how the trials ran, unless that is how they always would."""
    how = result.how
    counts = {reason: sum(r.alone == reason and not r.sweep for r in result.records) for reason in how.alone}
    why = [f"{_names(labels)}: {reason or 'unknown'}" for reason, labels in how.alone.items()]
    if not how.swept and set(how.alone) <= {AS_ASKED, TOO_SHORT}:
        return []
    lines = []
    single = sum(counts.values())
    if how.swept:
        text = f"{how.swept} trials ran in {how.sweeps} compiled sweep{'s' if how.sweeps > 1 else ''}"
        lines.append(text + (f", {single} one by one ({'; '.join(why)})." if single else "."))
    else:
        lines.append(f"All {single} trials ran one by one ({'; '.join(why)}).")
    return lines


def _numbers(s: Summary) -> dict[str, Any]:
    return {
        "runs": s.runs,
        "diverged": s.diverged,
        "final_loss": s.final,
        "validation_loss": s.validation,
        "test_loss": s.test,
        "metrics": s.metrics,
        "mean": s.mean,
        "interval": s.interval,
        "steps_to_goal": s.steps_to_goal,
        "gradients_to_goal": s.gradients_to_goal,
        "reached_goal": s.reached,
        "seconds_per_step": s.seconds_per_step,
    }


def _default(result: Result, label: str) -> dict[str, Any]:
    tuned = next(t for t in result.tuned or () if t.default.label == label)
    return {"settings": dict(tuned.default.settings), **_numbers(result.defaults[label])}


def _tuning(tuned: Tuned) -> dict[str, Any]:
    return {
        "settings_tried": len(tuned.candidates),
        "runs": sum(len(c.losses) for c in tuned.candidates),
        "widened": tuned.widened or None,
        "at_the_edge": tuned.at_the_edge,
        "decades_within_10_percent": tuned.decades,
        "expected_best": tuned.curve.expected.tolist(),
        "tried": [
            {"settings": dict(c.contender.settings), "loss": c.score, "pruned": c.pruned} for c in tuned.candidates
        ],
    }


def race_data(result: Result) -> dict[str, Any]:
    """Return what a race found as plain data."""
    curvature = result.problem.curvature()
    contenders = []
    tuned = {t.default.label: t for t in result.tuned or ()}
    for s, c in zip(result.summaries, result.config.contenders, strict=True):
        contenders.append(
            {
                "contender": s.contender,
                "method": c.method,
                "settings": dict(c.settings),
                "batch": c.batch or None,
                **_numbers(s),
                "default": None if s.contender not in tuned else _default(result, s.contender),
                "tuning": None if s.contender not in tuned else _tuning(tuned[s.contender]),
                "why": None if s.contender not in result.why else list(result.why[s.contender].sentences()),
                "swept": sum(r.sweep > 0 for r in result.of(s.contender)),
            }
        )
    found = result.comparison.to_json()
    return {
        "problem": result.problem.name,
        "what": result.problem.describe(),
        "rows": result.problem.rows or None,
        "parameters": result.problem.dimension,
        "smallest_loss": result.problem.optimum,
        "largest_eigenvalue": curvature.largest,
        "largest_stable_rate": curvature.limit,
        "condition_number": curvature.condition,
        "where": curvature.where,
        "goal": result.goal,
        "seeds": result.config.seeds,
        "held_out": dict(zip(("train", "validation", "test"), result.problem.counts, strict=True))
        if isinstance(result.problem, HeldOut)
        else None,
        "epochs": result.config.budget.epochs,
        "steps": result.config.budget.steps,
        "contenders": contenders,
        "ran": asdict(result.how),
        "best": result.best,
        "differs": found["differs"],
        "seeds_to_separate": found["seeds_to_separate"],
        "conclusion": conclusion(result),
        "folder": None if result.path is None else str(result.path),
    }
