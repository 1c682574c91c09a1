"""Checks of the installation; each has a state: ok, missing (and how to get it) or wrong."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import tempfile
from pathlib import Path

from rich.table import Table as Grid
from rich.text import Text

from ..data.fetched import DEBIAN_FOLDER, cache_folder
from ..lab.environment import PACKAGES, cores, version
from ..ops.create import tensor
from .output import stdout

__all__ = ["checks", "print_checks"]

Check = dict[str, str]
CORE = ("numpy", "scipy", "numba")
LEAST_PYTHON = (3, 11)


def _check(what: str, state: str, found: str) -> Check:
    return {"check": what, "state": state, "found": found}


def _required() -> dict[str, tuple[int, ...]]:
    """Return the least version of each package, from this package's own metadata."""
    least: dict[str, tuple[int, ...]] = {}
    for line in importlib.metadata.requires("thalweg") or []:
        match = re.match(r"([A-Za-z0-9_-]+).*?>=([0-9.]+)", line)
        if match:
            least.setdefault(match[1].lower(), _numbers(match[2]))
    return least


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _packages() -> list[Check]:
    least = _required()
    found = []
    for package in PACKAGES:
        present = version(package)
        if present is None:
            state = "wrong" if package in CORE else "missing"
            command = "pip install thalweg" if package in CORE else "pip install 'thalweg[lab]'"
            found.append(_check(package, state, command))
        elif package in least and _numbers(present) < least[package]:
            needed = ".".join(map(str, least[package]))
            found.append(_check(package, "wrong", f"{present}, and {needed} or later is required"))
        else:
            found.append(_check(package, "ok", present))
    return found


def _data() -> list[Check]:
    chosen = os.environ.get("THALWEG_DATA")
    places = [*([Path(chosen)] if chosen else []), cache_folder()]
    found = []
    sets = (
        ("airfoil", "airfoil_self_noise.dat", places),
        ("fashion_mnist", "train-images-idx3-ubyte", [*places, DEBIAN_FOLDER]),
    )
    for name, file, folders in sets:
        here = next((f for f in folders for n in (file, f"{file}.gz") if (f / n).is_file()), None)
        found.append(_check(f"data: {name}", "ok" if here else "missing", str(here or "downloaded when first needed")))
    return found


def _gradient() -> Check:
    """Differentiate x³ at 2 twice: 12 and 12."""
    from ..autograd.gradients import grad

    x = tensor(2.0, requires_grad=True)
    first = grad(x * x * x, [x], create_graph=True)[0]
    second = grad(first, [x])[0]
    values = (first.item(), second.item())
    return _check(
        "first and second derivative of x**3 at 2",
        "ok" if values == (12.0, 12.0) else "wrong",
        f"{values[0]:g}, {values[1]:g}",
    )


def _writable() -> Check:
    try:
        with tempfile.TemporaryFile(dir="."):
            return _check("this folder can be written", "ok", str(Path.cwd()))
    except OSError as error:
        return _check("this folder can be written", "missing", f"{error.strerror}; give --out a folder that can")


def checks() -> list[Check]:
    """Run every check."""
    python = platform.python_version()
    right = sys.version_info >= LEAST_PYTHON
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return [
        _check("thalweg", "ok" if version() else "wrong", version() or "not installed"),
        _check("python", "ok" if right else "wrong", python),
        *_packages(),
        _gradient(),
        *_data(),
        _writable(),
        _check("cores", "ok", f"{cores()} (OMP_NUM_THREADS {threads}; races use one thread)"),
    ]


def print_checks(found: list[Check]) -> None:
    """Print the checks and, last, whether anything is wrong."""
    console = stdout()
    grid = Grid(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    colours = {"ok": "green", "missing": "yellow", "wrong": "bold red"}
    for check in found:
        grid.add_row(Text(check["state"], style=colours[check["state"]]), Text(check["check"]), Text(check["found"]))
    console.print(grid)
    wrong = sum(check["state"] == "wrong" for check in found)
    console.print(Text("\nEverything that is needed is there." if not wrong else f"\n{wrong} wrong."))
