"""What there is: problems, optimizers and data sets, listed and shown."""

from __future__ import annotations

import inspect
import re
from typing import Any

from rich.table import Table as Grid
from rich.text import Text

from .. import data
from ..lab.contender import shown, unknown
from ..lab.methods import Method, all_methods
from ..problems.catalogue import PROBLEMS, find
from ..problems.function import FunctionProblem
from ..problems.regressions import DataProblem
from .output import stdout

__all__ = ["DATASETS", "facts", "lists", "print_facts", "print_lists"]

DATASETS = (
    data.diabetes,
    data.airfoil,
    data.breast_cancer,
    data.digits,
    data.fashion_mnist,
    data.iris,
    data.wine,
    data.regression,
)
SHOWN = 12  # numbers of a point that are printed
KINDS = ("problems", "optimizers", "datasets")


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


def lists(what: str | None) -> dict[str, dict[str, str]]:
    """Return names with one line each, by kind."""
    if what is not None and what not in KINDS:
        raise unknown("list of", what, KINDS)
    everything = {
        "problems": {entry.name: entry.summary for entry in PROBLEMS},
        "optimizers": {name: method.summary for name, method in all_methods().items()},
        "datasets": {make.__name__: _first_line(make) for make in DATASETS},
    }
    return everything if what is None else {what: everything[what]}


def print_lists(found: dict[str, dict[str, str]]) -> None:
    """Print the lists."""
    console = stdout()
    for k, (kind, names) in enumerate(found.items()):
        if len(found) > 1:
            console.print(Text(("\n" if k else "") + kind, style="bold"))
        grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        grid.add_column(no_wrap=True)
        grid.add_column()
        for name, summary in names.items():
            grid.add_row(("  " if len(found) > 1 else "") + name, Text(summary))
        console.print(grid)


def facts(name: str) -> dict[str, Any]:
    """Return what is known about a name."""
    methods = all_methods()
    wanted = name.lower()
    entry = find(name)
    if entry is not None:
        return {"name": entry.name, "is": "a problem", **_problem_facts(entry.make())}
    if wanted in methods:
        return _method_facts(methods[wanted])
    made = {make.__name__: make for make in DATASETS}
    if wanted in made:
        return {"name": wanted, "is": "a data set", "what": inspect.getdoc(made[wanted]) or ""}
    raise unknown("problem, optimizer or data set", name, dict.fromkeys([e.name for e in PROBLEMS] + [*methods, *made]))


def _problem_facts(problem: Any) -> dict[str, Any]:
    curvature = problem.curvature()
    known: dict[str, Any] = {"formula": problem.formula, "parameters": problem.dimension}
    if isinstance(problem, FunctionProblem):
        known["domain"] = [list(pair) for pair in problem.domain]
        known["usual starts"] = [list(s) for s in problem.starts]
        known["minimisers"] = [list(m) for m in problem.minimisers]
        known["eigenvalues at the first minimiser"] = list(problem.eigenvalues)
        known["further critical points"] = [
            f"{c.kind} at ({', '.join(f'{x:.6g}' for x in c.x)})" for c in problem.critical
        ]
    if isinstance(problem, DataProblem):
        known["rows"] = problem.rows
        known["features"] = list(problem.table.features)
        known["target"] = problem.table.target
        if problem.table.classes:
            known["classes"] = list(problem.table.classes)
    known["smallest value"] = problem.optimum
    known["largest eigenvalue of the Hessian"] = curvature.largest
    known["smallest positive eigenvalue"] = curvature.smallest
    known["condition number"] = curvature.condition
    known["largest stable learning rate"] = curvature.limit
    known["these hold"] = curvature.where
    known["source"] = problem.source
    return {key: value for key, value in known.items() if value not in (None, [], "")}


def _method_facts(method: Method) -> dict[str, Any]:
    settings = {key: shown(value) for key, value in method.defaults().items()}
    batch = {"full": "all rows", "one": "one row", "mini": "a minibatch"}[method.batch]
    about = _prose((inspect.getdoc(method.optimizer) or "").split(">>>")[0].strip())
    return {
        "name": method.name,
        "is": f"thalweg.optim.{method.optimizer.__name__}",
        "what": method.summary,
        "a step takes": batch,
        "settings": settings,
        "about": about,
    }


def _prose(text: str) -> str:
    """Return a docstring as people read it: paragraphs in one line each, formulas without marks."""
    plain = re.sub(r":\w+:(?=`)|`", "", text)
    return "\n\n".join(part if "---" in part else " ".join(part.split()) for part in plain.split("\n\n"))


def print_facts(found: dict[str, Any]) -> None:
    """Print the facts, one a line."""
    console = stdout()
    console.print(Text(f"{found['name']}: {found['is']}", style="bold"))
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(max_width=34)
    grid.add_column()
    for key, value in found.items():
        if key not in ("name", "is", "about"):
            grid.add_row(Text(key), Text(_fact(value)))
    console.print(grid)
    if "about" in found:
        console.print()
        console.print(Text(found["about"]))


def _row(numbers: list[float]) -> str:
    figures = [f"{x:.6g}" for x in numbers[:SHOWN]]
    more = [f"… ({len(numbers)} numbers)"] if len(numbers) > SHOWN else []
    return "(" + ", ".join(figures + more) + ")"


def _fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list):
        if value and isinstance(value[0], list):
            if len(value) > 2 and all(item == value[0] for item in value):
                return f"{_row(value[0])} in each of {len(value)} variables"
            return "; ".join(_row(item) for item in value)
        return ", ".join(_fact(item) for item in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
