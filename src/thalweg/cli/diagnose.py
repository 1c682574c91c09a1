"""``thalweg diagnose``: curvature, stable rates and noise of a problem, and what follows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table as Grid
from rich.text import Text

from ..lab.advice import Tried
from ..lab.diagnose import Diagnosis
from .output import number, print_json, stdout

__all__ = ["data_of", "diagnose", "print_diagnosis"]


@click.command()
@click.argument("problem", default="diabetes")
@click.option("--target", metavar="COLUMN", help="What to predict, of a CSV file (default: the last column).")
@click.option("--start", metavar="X1,X2,…", help="Where to measure a function that has no known minimiser.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the start and the batches.")
@click.option("--picture", metavar="FILE", help="Draw the spectrum: a name ending in .png, .svg or .pdf.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def diagnose(problem: str, target: str | None, start: str | None, seed: int, picture: str | None, as_json: bool) -> int:
    """Measure PROBLEM (a name, a CSV file or an expression) and say which methods and rates suit it."""
    from ..lab.config import resolve_problem
    from ..lab.diagnose import diagnose as measure
    from .app import WrongCommand, _numbers, reading

    with reading():
        loaded = resolve_problem(problem, target, _numbers(start, "--start")).load()
        stem: Path | None = None
        if picture is not None:
            path = Path(picture)
            if path.suffix not in (".png", ".svg", ".pdf"):
                raise WrongCommand(f"--picture: a name ending in .png, .svg or .pdf is required, got {picture!r}.")
            if not path.parent.is_dir():
                raise WrongCommand(f"--picture: there is no folder {path.parent}.")
            stem = path.with_suffix("")
    found = measure(loaded, seed=seed, tell=lambda text: print(f"measuring: {text}", file=sys.stderr, flush=True))
    if as_json:
        print_json(data_of(found))
    else:
        print_diagnosis(found)
    if stem is not None and picture is not None:
        from ..lab.pictures import spectrum

        spectrum(found.eigenvalues, title=f"{found.problem}: eigenvalues of the Hessian").save(
            stem, (Path(picture).suffix[1:],)
        )
        print(f"The picture is {picture}", file=sys.stderr)
    return 0


def data_of(found: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain data."""
    return {
        "problem": found.problem,
        "size": found.size,
        "where": found.where,
        "eigenvalues": [float(v) for v in found.eigenvalues],
        "all eigenvalues": found.complete,
        "condition number": found.condition,
        "curvature": found.kind,
        "condition number after diagonal scaling": found.after_scaling,
        "rates": [{"method": r.method, "momentum": r.momentum, "theory": r.theory, "run": r.run} for r in found.rates],
        "gradient noise": None
        if found.noise is None
        else {"norm": found.noise.norm, "variance": found.noise.variance, "noise scale": found.noise.scale},
        "advice": list(found.advice),
        "tried": None if found.tried is None else _tried(found.tried, found.problem),
    }


def _tried(found: Tried, problem: str) -> dict[str, Any]:
    return {
        "contender": found.typed,
        "command": found.command(problem),
        "settings": dict(found.contender.settings),
        "batch": found.contender.batch,
        "steps": found.budget.steps,
        "epochs": found.budget.epochs,
        "seeds": found.seeds,
        "diverged": found.diverged,
        "goal": found.goal,
        "reached": found.reached,
        "steps to goal": found.steps_to_goal,
        "median start loss": found.start,
        "median final loss": found.end,
        "candidates": found.candidates,
    }


NAMES = {"gd": "gradient descent", "heavy_ball": "heavy ball, momentum 0.9", "nesterov": "Nesterov, momentum 0.9"}


def print_diagnosis(found: Diagnosis) -> None:
    """Print a diagnosis for people."""
    console = stdout()
    console.print(Text(f"{found.problem}: {found.size}, measured {found.where}", style="bold"))
    grid = Grid(box=None, pad_edge=False, show_header=False)
    grid.add_row("curvature", found.kind)
    ends = f"{number(found.smallest)} to {number(found.largest)}"
    grid.add_row("eigenvalues", ends + ("" if found.complete else " (ends, by Lanczos)"))
    grid.add_row("condition number", number(found.condition) if found.condition < float("inf") else "infinite")
    if found.after_scaling is not None:
        grid.add_row("after diagonal scaling", number(found.after_scaling))
    if found.noise is not None:
        grid.add_row("gradient norm", number(found.noise.norm))
        scale = found.noise.scale
        text = f"{number(scale)} rows make noise equal signal" if scale < float("inf") else "all noise"
        grid.add_row("noise scale", text)
    console.print(grid)
    rates = Grid(box=None, pad_edge=False, header_style="bold")
    for column in ("largest stable learning rate", "theory", "run"):
        rates.add_column(column, justify="left" if column.startswith("l") else "right")
    for r in found.rates:
        rates.add_row(NAMES[r.method], number(r.theory), number(r.run))
    console.print(rates)
    for sentence in found.advice:
        console.print(Text(sentence))
    if found.tried is not None:
        console.print(Text(f"To run it: {found.tried.command(found.problem)}"), soft_wrap=True)
