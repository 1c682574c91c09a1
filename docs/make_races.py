"""Run the races of docs/choosing-a-method.md and write their table into the page.

``python docs/make_races.py`` takes some minutes on two cores; the folders of the races are kept where it is told
(``python docs/make_races.py FOLDER``), and go on from there when it is started again.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from thalweg import lab
from thalweg.lab.config import DEFAULT_HELD_OUT, DEFAULT_SEEDS, DEFAULT_TRIALS, default_budget, held_out
from thalweg.lab.contender import default_contenders
from thalweg.lab.race import Result, run_race
from thalweg.lab.store import Store

PAGE = Path(__file__).parent / "choosing-a-method.md"
PROBLEMS = ("valley", "quadratic_1e3", "rosenbrock", "diabetes", "breast_cancer", "wine")
BEGIN, END = "<!-- races: begin -->", "<!-- races: end -->"


def raced(name: str, folder: Path) -> Result:
    """Race the default contenders under the default protocol: what ``thalweg race NAME`` does."""
    path = folder / name
    if (path / "config.toml").is_file():
        store = Store.open(path)
    else:
        spec = lab.resolve_problem(name)
        share = DEFAULT_HELD_OUT if spec.load().rows else 0.0
        problem = held_out(spec, share, share, 0)
        config = lab.RaceConfig(
            spec, tuple(default_contenders(problem)), default_budget(problem.rows), DEFAULT_SEEDS,
            trials_each=DEFAULT_TRIALS, validation=share, test=share,
        )  # fmt: skip
        store = Store.create(path, config)
    return run_race(store, command=["thalweg", "race", name], pictures=False, explain=False)


def table(results: list[Result]) -> str:
    """Return the table: the mean of the loss that is reported, bold where it is in the best set."""
    methods = list(dict.fromkeys(s.contender for r in results for s in r.summaries))
    lines = [
        "| contender | " + " | ".join(f"`{r.problem.name}`" for r in results) + " |",
        "|---" * (len(results) + 1) + "|",
    ]
    for method in methods:
        cells = []
        for r in results:
            mine = [s for s in r.summaries if s.contender == method]
            text = f"{mine[0].mean:.3g}" if mine else ""
            cells.append(f"**{text}**" if mine and method in r.best else text)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Race, and put the table into the page."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        folder.mkdir(exist_ok=True)
        results = []
        for name in PROBLEMS:
            results.append(raced(name, folder))
            print(f"{name}: {results[-1].comparison.sentences()[0]}", flush=True)
    text = PAGE.read_text(encoding="utf-8")
    new = f"{BEGIN}\n{table(results)}\n{END}"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: new, text, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    main()
