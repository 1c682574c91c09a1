"""The commands: they read arguments, call the laboratory and print."""

from __future__ import annotations

import difflib
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..data.fetched import Unreachable
from ..errors import MissingExtra, ThalwegError
from ..lab.config import (
    DEFAULT_EPOCHS,
    DEFAULT_HELD_OUT,
    DEFAULT_SEEDS,
    DEFAULT_STEPS,
    DEFAULT_TRIALS,
    ProblemSpec,
    RaceConfig,
    default_budget,
    held_out,
    resolve_problem,
)
from ..lab.contender import Contender, at_rates, default_contenders, distinct, parse_contender, rates
from ..lab.environment import version
from ..lab.race import Interrupted, run_race
from ..lab.reading import possible
from ..lab.schema import MOST_EPOCHS, MOST_SEED, MOST_SEEDS, MOST_STEPS, MOST_TRIALS, Wrong
from ..lab.store import Store, new_folder
from ..lab.suite import SUITES, common, run_suite
from ..lab.trial import Budget
from ..problems.base import Problem
from .output import Progress, print_json, print_race, print_suite, race_data

__all__ = ["WrongCommand", "app"]

OPTIONS = {"optimizers": "o", "compiled": "compile", "as_json": "json"}  # whose names here are others
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class WrongCommand(Exception):
    """What was typed cannot be done; nothing has been run."""


@contextmanager
def reading() -> Iterator[None]:
    """Turn what goes wrong while arguments are read into a wrong command."""
    try:
        yield
    except (MissingExtra, Unreachable):
        raise
    except ThalwegError as error:
        raise WrongCommand(str(error)) from None


class Commands(click.Group):
    """A group that answers an unknown command with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command, or say which there are."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            near = difflib.get_close_matches(name, names, 1, 0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise WrongCommand(f"There is no command {name!r}.{hint} There are: {', '.join(names)}.")
        return super().resolve_command(ctx, args)


OVERVIEW = """Race optimizers on your problem, and see which way each took.

\b
  thalweg race                       ten methods on a bundled data set
  thalweg race my.csv --target y     on your own table
  thalweg race -o adam --lr 1e-4..1:50   at fifty learning rates
  thalweg trace "x1**2 + 9*x2**2" -o sgd:lr=0.1,momentum=0.5 --start=-5,-2
"""


@click.group(cls=Commands, context_settings=CONTEXT, help=OVERVIEW)
@click.version_option(version() or "unknown", "--version", prog_name="thalweg", message="%(prog)s %(version)s")
def app() -> None:
    """Hold the commands."""


def _numbers(text: str | None, name: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = (math.nan,)
    if not all(math.isfinite(x) for x in found):
        raise WrongCommand(f"{name}: numbers separated by commas are required, as in {name}=-5,-2, got {text!r}.")
    return found


def _contenders(texts: tuple[str, ...], problem: Problem, batch: int | None) -> tuple[Contender, ...]:
    if not texts:
        return tuple(default_contenders(problem, batch))
    return tuple(distinct([parse_contender(text, problem, batch) for text in texts]))


def _budget(problem: Problem, epochs: float | None, steps: int | None) -> Budget:
    if epochs is not None and steps is not None:
        raise WrongCommand("Either --epochs or --steps is allowed, got both.")
    if epochs is not None and not problem.rows:
        raise WrongCommand("--epochs counts passes over rows, and a function has none; use --steps.")
    if epochs is not None and not 0 < epochs < math.inf:
        raise WrongCommand(f"--epochs must be a number > 0, got {epochs:g}.")
    if epochs is not None and epochs > MOST_EPOCHS:
        raise WrongCommand(f"--epochs must be at most {MOST_EPOCHS:g}, got {epochs:g}.")
    if steps is None and epochs is None:
        return default_budget(problem.rows)
    return Budget(epochs, steps)


@app.command()
@click.argument("named", metavar="[PROBLEM]...", nargs=-1)
@click.option(
    "--suite", type=click.Choice(sorted(SUITES)), help="Race on several problems: tables, functions or networks."
)
@click.option(
    "--model", metavar="mlp:64,64", help="A perceptron with these hidden layers in place of a table's linear model."
)
@click.option(
    "-o", "--optimizer", "optimizers", multiple=True, metavar="NAME:KEY=VALUE,…", help="A contender; repeat for more."
)
@click.option(
    "--lr",
    metavar="RATES",
    help="Tune each contender over these learning rates: 0.001,0.01,0.1, or 1e-4..1:200 for 200 of equal ratio "
    "(with --as-is each rate is a contender of its own).",
)
@click.option("--target", metavar="COLUMN", help="What to predict, of a CSV file (default: the last column).")
@click.option("--start", metavar="X1,X2,…", help="Where every run on a function starts.")
@click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=DEFAULT_SEEDS,
    show_default=True,
    help="How many runs of each contender.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    default=0,
    show_default=True,
    help="What all starts and orders are derived from.",
)
@click.option("--epochs", type=float, help=f"Passes over the rows (default {DEFAULT_EPOCHS}, more on small tables).")
@click.option(
    "--steps",
    type=click.IntRange(1, MOST_STEPS),
    help=f"Steps instead of epochs (default {DEFAULT_STEPS} on a function).",
)
@click.option("--batch", type=click.IntRange(1), help="Rows in a step of the minibatch methods.")
@click.option("--goal", type=float, help="The loss to count steps to.")
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at once; times are then less exact."
)
@click.option("--out", metavar="FOLDER", help="Where results go (default: race-PROBLEM-TIME here).")
@click.option("--resume", metavar="FOLDER", help="Continue a race that was stopped.")
@click.option("--noise", type=float, metavar="SD", help="Standard deviation of noise added to every gradient.")
@click.option("--replacement", is_flag=True, help="Draw batches with replacement instead of by random orders.")
@click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Run trials that differ only in numbers side by side, compiled (default: where that pays).",
)
@click.option(
    "--trials",
    type=click.IntRange(1, MOST_TRIALS),
    default=DEFAULT_TRIALS,
    show_default=True,
    help="How many settings of each contender are tried before the result.",
)
@click.option("--halving", is_flag=True, help="Settings that fall behind run from fewer tuning seeds.")
@click.option("--as-is", is_flag=True, help="No tuning: race the settings that are given or derived.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.9),
    default=DEFAULT_HELD_OUT,
    show_default=True,
    help="Share of a table's rows that settings are chosen by.",
)
@click.option(
    "--test",
    type=click.FloatRange(0, 0.9),
    default=DEFAULT_HELD_OUT,
    show_default=True,
    help="Share of a table's rows that the result is measured on.",
)
@click.option(
    "--explain/--no-explain",
    default=None,
    help="Measure what limits the first two contenders (default: where it is cheap).",
)
@click.option("--pictures/--no-pictures", default=True, help="Whether to draw the curves.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def race(
    ctx: click.Context,
    named: tuple[str, ...],
    suite: str | None,
    model: str | None,
    optimizers: tuple[str, ...],
    lr: str | None,
    target: str | None,
    start: str | None,
    seeds: int,
    seed: int,
    epochs: float | None,
    steps: int | None,
    batch: int | None,
    goal: float | None,
    jobs: int,
    out: str | None,
    resume: str | None,
    noise: float | None,
    replacement: bool,
    compiled: bool | None,
    trials: int,
    halving: bool,
    as_is: bool,
    validation: float,
    test: float,
    explain: bool | None,
    pictures: bool,
    as_json: bool,
) -> int:
    """Race optimizers on PROBLEM and keep everything in a folder.

    Every contender is tuned alike, by validation rows; what was chosen runs from fresh seeds, and is measured on test rows.

    PROBLEM is a name (see `thalweg list problems`), a CSV file, an expression such as "(x1-1)**2 + x2**4", or the
    config.toml of an earlier race; diabetes by default. Several problems are raced one after the other and compared by
    performance profiles.
    """
    given = {
        name for name in ctx.params if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }  # fmt: skip
    names = (*named, *SUITES.get(suite or "", ()))
    problem = names[0] if names else "diabetes"
    with reading():
        if len(names) > 1:
            if resume is not None or any(name.endswith(".toml") for name in names):
                raise WrongCommand("Several problems are raced anew; name one to go on with.")
            folder = new_folder("race", suite or "several", out)
            configs = []
            rules = _rules(trials, halving, as_is, validation, test, given)
            for name in names:
                spec = resolve_problem(
                    name, target, _numbers(start, "--start"), noise=noise, replacement=replacement, model=model
                )
                own = dict(rules)
                configs.append(_config(spec, optimizers, lr, epochs, steps, batch, seeds, seed, goal, compiled, own))
            chosen = dict(zip([c.problem.slug for c in configs], common(configs), strict=True))
            if len(chosen) < len(configs):
                raise WrongCommand("Each problem may be named once.")
            return _several(chosen, folder, jobs, pictures, explain, as_json)
        if resume is not None:
            _only(given, {"resume", "jobs", "explain", "pictures", "as_json"}, "--resume")
            store = Store.open(Path(resume))
            store.config.load()
        else:
            if problem.endswith(".toml"):
                _only(given, {"named", "jobs", "out", "compiled", "explain", "pictures", "as_json"}, "a configuration")
                config = RaceConfig.from_toml(Path(problem))
                if compiled is not None:
                    config = replace(config, compiled=compiled)
                config.load()
            else:
                spec = resolve_problem(
                    problem, target, _numbers(start, "--start"), noise=noise, replacement=replacement, model=model
                )
                rules = _rules(trials, halving, as_is, validation, test, given)
                config = _config(spec, optimizers, lr, epochs, steps, batch, seeds, seed, goal, compiled, rules)
            store = Store.create(new_folder("race", config.problem.slug, out), config)
    try:
        with Progress() as progress:
            result = run_race(
                store,
                command=["thalweg", *sys.argv[1:]],
                jobs=jobs,
                progress=progress,
                pictures=pictures,
                note=progress.note,
                explain=explain,
            )
    except Interrupted as stop:
        print(
            f"thalweg: stopped after {stop.done} of {stop.total} runs, which are kept in {stop.path}/; "
            f"thalweg race --resume {stop.path} does the rest.",
            file=sys.stderr,
        )
        return 130
    if as_json:
        print_json(race_data(result))
    else:
        print_race(result)
    return 0


def _several(
    configs: dict[str, RaceConfig], folder: Path, jobs: int, pictures: bool, explain: bool | None, as_json: bool
) -> int:
    """Race on several problems; print each conclusion, and the profiles."""
    try:
        with Progress() as progress:
            found = run_suite(
                configs, folder, command=["thalweg", *sys.argv[1:]], jobs=jobs, progress=progress, pictures=pictures,
                note=progress.note, explain=bool(explain),
            )  # fmt: skip
    except Interrupted as stop:
        print(
            f"thalweg: stopped after {stop.done} of {stop.total} runs on {stop.path.name}; what was done is kept in {folder}/, "
            f"and thalweg race --resume {stop.path} goes on with that one.",
            file=sys.stderr,
        )
        return 130
    if as_json:
        print_json({"problems": {n: race_data(r) for n, r in found.results.items()}, "profiles": found.to_json()})
    else:
        print_suite(found)
    return 0


def _only(given: set[str], allowed: set[str], what: str) -> None:
    extra = sorted(given - allowed)
    if extra:
        raise WrongCommand(
            f"With {what} everything is as written there; leave out --{OPTIONS.get(extra[0], extra[0])}."
        )


def _config(
    spec: ProblemSpec,
    optimizers: tuple[str, ...],
    lr: str | None,
    epochs: float | None,
    steps: int | None,
    batch: int | None,
    seeds: int,
    seed: int,
    goal: float | None,
    compiled: bool | None,
    rules: dict[str, Any],
) -> RaceConfig:
    if not spec.load().rows:
        rules |= {"validation": 0.0, "test": 0.0}
    problem = held_out(spec, rules["validation"], rules["test"], seed)
    if goal is not None and not math.isfinite(goal):
        raise WrongCommand(f"--goal must be a finite number, got {goal:g}.")
    if batch is not None and not problem.rows:
        raise WrongCommand("--batch counts rows, and a function has none.")
    if batch is not None and batch > problem.rows:
        raise WrongCommand(f"--batch must be at most {problem.rows}, the number of rows to train on, got {batch}.")
    if spec.start is not None:
        seeds = rules["tuning_seeds"] = 1  # nothing is left to chance, so that every seed would give the same run
    contenders = _contenders(optimizers, problem, batch)
    if lr is not None:
        own = next((text for text in optimizers if "lr" in re.findall(r"[:,]\s*(\w+)\s*=", text)), None)
        if own is not None:
            raise WrongCommand(f"--lr gives the learning rates of every contender; leave lr out of -o {own}.")
        if rules["trials_each"]:
            rules["rates"] = tuple(rates(lr))
            rules["trials_each"] = len(rules["rates"])
        else:
            contenders = tuple(at_rates(contenders, rates(lr)))
    config = RaceConfig(spec, contenders, _budget(problem, epochs, steps), seeds, seed, goal, compiled, **rules)
    try:
        possible(config)
    except Wrong as wrong:
        raise WrongCommand(f"--{wrong}.") from None
    return config


def _rules(trials: int, halving: bool, as_is: bool, validation: float, test: float, given: set[str]) -> dict[str, Any]:
    """Return the protocol that was asked for."""
    if as_is and (found := given & {"trials", "halving"}):
        raise WrongCommand(f"--as-is leaves out the tuning; leave out --{min(found)} too.")
    if "trials" in given and "lr" in given:
        raise WrongCommand("--lr gives the settings that are tried; leave out --trials.")
    if (validation == 0) != (test == 0):
        raise WrongCommand("--validation and --test must both be 0 (no rows are held out) or both be above 0.")
    if validation + test >= 1:
        raise WrongCommand(f"--validation and --test must leave rows to train on, got {validation:g} and {test:g}.")
    return {"trials_each": 0 if as_is else trials, "halving": halving, "validation": validation, "test": test}


@app.command()
@click.argument("function")
@click.option(
    "-o", "--optimizer", "optimizers", multiple=True, metavar="NAME:KEY=VALUE,…", help="A contender; repeat for more."
)
@click.option("--start", metavar="X1,X2", help="Where to start (default: the usual start of a named function).")
@click.option("--steps", type=click.IntRange(0), default=20, show_default=True, help="How many steps.")
@click.option(
    "--out", metavar="FILE", help="The picture: a name ending in .png, .svg or .pdf (default: trace-….png and .svg)."
)
@click.option("--picture/--no-picture", default=True, help="Whether to draw the paths.")
@click.option("--json", "as_json", is_flag=True, help="Print all points as JSON.")
def trace(
    function: str,
    optimizers: tuple[str, ...],
    start: str | None,
    steps: int,
    out: str | None,
    picture: bool,
    as_json: bool,
) -> int:
    """Print where each contender ends on FUNCTION, and draw its path.

    FUNCTION is an expression in x, or in x1 and x2, or the name of a function. Computed in double precision.
    """
    from ..lab.trace import line
    from ..lab.trace import trace as follow
    from ..problems.function import FunctionProblem

    with reading():
        point = _numbers(start, "--start")
        spec = resolve_problem(function, None, point)
        problem = spec.load()
        if not isinstance(problem, FunctionProblem):
            raise WrongCommand(f"trace: a function is required, and {problem.name} is fitted to data; use race.")
        if point is None:
            if not problem.starts:
                example = ",".join(["1"] * problem.dimension)
                raise WrongCommand(f"trace: a start is required, as in --start={example}.")
            point = problem.starts[0]
        stem, formats = _picture(out, spec.slug) if picture and problem.dimension <= 2 else (None, ())
        contenders = distinct([parse_contender(text, problem) for text in optimizers or ("gd",)])
    paths = [follow(problem, contender, point, steps) for contender in contenders]
    if as_json:
        print_json(
            [
                {"contender": p.contender.label, "settings": dict(p.contender.settings), "points": p.points.tolist(),
                 "values": p.values.tolist()}
                for p in paths
            ]
        )  # fmt: skip
    else:
        for path in paths:
            print(
                f"{path.contender.label} {path.contender.described(fixed=False)}".strip(), file=sys.stderr, flush=True
            )
            print(line(problem, path), flush=True)
    if stem is not None:
        from ..lab.plots import save, trace_picture

        files = save(trace_picture(problem, paths), stem, formats)
        print(f"The picture is {' and '.join(str(f) for f in files)}", file=sys.stderr)
    elif picture and problem.dimension > 2:
        print(f"No picture: it needs one or two variables, and this has {problem.dimension}.", file=sys.stderr)
    return 0


def _picture(out: str | None, slug: str) -> tuple[Path, tuple[str, ...]]:
    if out is None:
        return Path(f"trace-{slug}-{datetime.now():%Y%m%d-%H%M%S}"), ("png", "svg")
    path = Path(out)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise WrongCommand(f"--out: a name ending in .png, .svg or .pdf is required, got {out!r}.")
    if not path.parent.is_dir():
        raise WrongCommand(f"--out: there is no folder {path.parent}.")
    return path.with_suffix(""), (kind,)


@app.command(name="list")
@click.argument("what", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(what: str | None, as_json: bool) -> int:
    """List problems, optimizers or datasets (all three by default)."""
    from .catalogue import lists, print_lists

    with reading():
        found = lists(what)
    if as_json:
        print_json(found)
    else:
        print_lists(found)
    return 0


@app.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(name: str, as_json: bool) -> int:
    """Show what is known about a problem, an optimizer or a data set."""
    from .catalogue import facts, print_facts

    with reading():
        found = facts(name)
    if as_json:
        print_json(found)
    else:
        print_facts(found)
    return 0


@app.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(as_json: bool) -> int:
    """Check the installation: packages, data, one gradient, the machine."""
    from .doctor import checks, print_checks

    found = checks()
    if as_json:
        print_json(found)
    else:
        print_checks(found)
    return 0 if all(check["state"] != "wrong" for check in found) else 1


from .atlas import atlas  # noqa: E402  (commands of their own files, added to those above)
from .diagnose import diagnose  # noqa: E402

app.add_command(atlas)
app.add_command(diagnose)
