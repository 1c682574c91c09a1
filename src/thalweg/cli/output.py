"""What is printed: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import math
import sys
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..lab.race import Result
from ..lab.statistics import FEW, Summary
from ..lab.trial import Record

__all__ = ["Progress", "number", "print_json", "print_race", "race_data", "stdout"]

WIDTH = 80
SETTINGS_WIDTH = 24


def stdout() -> Console:
    """Return the console for results: at most 80 columns wide, coloured only on a terminal and without NO_COLOR."""
    console = Console(highlight=False, soft_wrap=False)
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


def told(record: Record) -> str:
    """Return one line about a run."""
    what = f"{record.contender}, seed {record.seed}"
    took = f"{record.steps[-1]} steps, {record.seconds[-1]:.3f} s"
    if record.status == "diverged":
        return f"{what}: diverged ({took})"
    return f"{what}: loss {number(record.final, 6)} ({took})"


def _interval(summary: Summary) -> str:
    if summary.interval is None:
        return ""
    low, high = summary.interval
    return f"{number(low)} to {number(high) if math.isfinite(high) else '∞'}" if math.isfinite(low) else "-"


def _time(seconds: float) -> str:
    micro = 1e6 * seconds
    return f"{micro:.1f} µs" if micro < 100 else f"{micro:.0f} µs" if micro < 1e4 else f"{micro / 1e3:.0f} ms"


def _head(result: Result) -> list[str]:
    problem = result.problem
    curvature = problem.curvature()
    seeds = result.config.seeds
    lines = [problem.describe() if problem.formula == problem.name else f"{problem.name}: {problem.describe()}"]
    if curvature.largest > 0:
        about = "" if curvature.exact else f" {curvature.where}"
        condition = curvature.condition
        more = f", condition number {condition:.4g}" if condition is not None else ""
        lines.append(f"Largest stable learning rate of gradient descent{about}: {curvature.limit:.5g}")
        lines.append(f"  = 2/λ, with the Hessian's largest eigenvalue λ = {curvature.largest:.5g}{more}")
    elif math.isfinite(curvature.largest):
        lines.append(f"The Hessian has no positive eigenvalue {curvature.where}: no learning rate is stable there.")
    length = result.config.budget
    span = f"{length.epochs:g} epochs" if length.steps is None else f"{length.steps} steps"
    lines.append(f"{seeds} seed{'s' if seeds > 1 else ''} with {span} each; starts and orders are the same for all")
    lines.append(f"Goal: a loss of {number(result.goal, 6)}" + _why(result))
    return lines


def _why(result: Result) -> str:
    if result.config.goal is not None:
        return " (as given)"
    best = result.problem.optimum
    if best is None:
        return " (within 1% of the way from the best found up to the start)"
    return f" (within 1% of the way from the smallest, {number(best, 6)}, up to the start)"


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
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="underline")
    grid.add_column("contender", no_wrap=True)
    grid.add_column("settings", max_width=SETTINGS_WIDTH)
    grid.add_column("final loss", justify="right", no_wrap=True)
    if result.config.seeds >= FEW:
        grid.add_column("95% interval", no_wrap=True)
    grid.add_column("to goal", justify="right", no_wrap=True)
    grid.add_column("per step", justify="right", no_wrap=True)
    grid.add_column("div.", justify="right", no_wrap=True)
    best = result.best
    for summary, contender in zip(result.summaries, result.config.contenders, strict=True):
        cells = [contender.label, contender.described(result.problem.rows, fixed=False), number(summary.final)]
        if result.config.seeds >= FEW:
            cells.append(_interval(summary))
        steps = summary.steps_to_goal
        cells += [f"{steps:.0f}" if math.isfinite(steps) else "-", _time(summary.seconds_per_step)]
        cells.append(str(summary.diverged))
        grid.add_row(*cells, style="bold" if summary is best else None)
    return grid


def _tail(result: Result) -> list[str]:
    lines = [""]
    best = result.best
    if best is None:
        lines.append("Every contender diverged.")
    else:
        lines.append(f"Best: {best.contender}, with a median final loss of {number(best.final, 6)}.")
        if result.no_worse:
            lines.append(f"No evidence of a difference from it over these seeds: {', '.join(result.no_worse)}.")
    if result.shared_machine:
        lines.append("Times are from a shared machine: several runs at once.")
    if result.path is not None:
        lines.append(f"Everything is in {result.path}/")
    return lines


def race_data(result: Result) -> dict[str, Any]:
    """Return what a race found as plain data."""
    curvature = result.problem.curvature()
    contenders = []
    for s, c in zip(result.summaries, result.config.contenders, strict=True):
        contenders.append(
            {
                "contender": s.contender,
                "method": c.method,
                "settings": dict(c.settings),
                "batch": c.batch or None,
                "runs": s.runs,
                "diverged": s.diverged,
                "final_loss": s.final,
                "interval": s.interval,
                "steps_to_goal": s.steps_to_goal,
                "reached_goal": s.reached,
                "seconds_per_step": s.seconds_per_step,
            }
        )
    best = result.best
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
        "epochs": result.config.budget.epochs,
        "steps": result.config.budget.steps,
        "contenders": contenders,
        "best": None if best is None else best.contender,
        "no_evidence_of_a_difference": result.no_worse,
        "folder": None if result.path is None else str(result.path),
    }
