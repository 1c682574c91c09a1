"""Draw the pictures of docs/choosing-a-method.md: every method from the same start on the same function.

``python docs/make_pictures.py`` writes docs/images/methods/; equal versions give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from thalweg import manual_seed
from thalweg.lab.contender import Contender, parse_contender
from thalweg.lab.plots import save, trace_picture
from thalweg.lab.trace import Path as Trace
from thalweg.lab.trace import trace
from thalweg.minimize import minimize
from thalweg.problems import valley

FOLDER = Path(__file__).parent / "images" / "methods"
START = (-5.0, -2.0)
WIDTH, HEIGHT = 3.15, 2.3  # inches: 80 mm
DPI = 100
WINDOW = ((-5.6, 2.1), (-2.4, 2.1))

# name of the file, contender, steps
STEPPED = (
    ("gd", "gd:lr=0.4", 20),
    ("momentum", "momentum:lr=0.4,momentum=0.5", 20),
    ("nesterov", "nesterov:lr=0.3,momentum=0.5", 20),
    ("adagrad", "adagrad:lr=2", 20),
    ("rmsprop", "rmsprop:lr=0.4,alpha=0.9", 20),
    ("adadelta", "adadelta:lr=1,rho=0.9,eps=0.01", 40),
    ("adam", "adam:lr=0.4", 40),
    ("adamw", "adamw:lr=0.4,weight_decay=0.05", 40),
    ("amsgrad", "amsgrad:lr=0.4", 40),
    ("nadam", "nadam:lr=0.4", 40),
    ("radam", "radam:lr=0.4", 40),
    ("adamax", "adamax:lr=0.4", 40),
    ("yogi", "yogi:lr=0.4", 40),
    ("adabelief", "adabelief:lr=0.4", 40),
    ("lion", "lion:lr=0.2", 40),
    ("lars", "lars:lr=1,trust_coefficient=0.1", 40),
    ("lamb", "lamb:lr=0.1", 40),
    ("adafactor", "adafactor:lr=0.1", 40),
    ("rprop", "rprop:lr=0.4", 20),
    ("asgd", "asgd:lr=0.4", 20),
    ("sgld", "sgld:lr=0.4,temperature=0.02", 60),
    ("schedulefreesgd", "schedulefreesgd:lr=0.4", 40),
    ("schedulefreeadamw", "schedulefreeadamw:lr=0.4", 40),
)
SOLVED = (
    ("newton", "newton", {}),
    ("diagonal-newton", "diagonal-newton", {}),
    ("gd-armijo", "gd", {"maxiter": 12}),
    ("cg", "cg", {}),
    ("bfgs", "bfgs", {}),
    ("lbfgs", "l-bfgs-b", {}),
)


def _draw(name: str, path: Trace) -> None:
    figure = trace_picture(valley(), [path], WINDOW)
    figure.set_size_inches(WIDTH, HEIGHT)
    figure.axes[0].set_title("", loc="left")
    FOLDER.mkdir(parents=True, exist_ok=True)
    save(figure, FOLDER / name, ("png",), dpi=DPI)


def _solved(name: str, method: str, options: dict[str, Any]) -> Trace:
    points = [np.array(START)]
    minimize(valley().function, START, method=method, callback=lambda x: points.append(np.array(x)), options=options)
    visited = np.stack(points)
    label = f"{name}, {len(points) - 1} step{'s' if len(points) > 2 else ''}"
    return Trace(Contender(label, "gd", ()), visited, valley().evaluate(visited.T))


def main() -> None:
    """Draw them all."""
    problem = valley()
    for name, text, steps in STEPPED:
        manual_seed(0)
        _draw(name, trace(problem, parse_contender(text, problem), START, steps))
    for name, method, options in SOLVED:
        _draw(name, _solved(name, method, options))


if __name__ == "__main__":
    main()
