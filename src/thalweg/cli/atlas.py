"""``thalweg atlas``: the chapter's experiments, listed, run and checked."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table as Grid
from rich.text import Text

from ..errors import ThalwegError
from ..lab.atlas import Outcome, entries, find
from ..lab.atlas import check as check_all
from ..lab.atlas import run as run_entry
from .output import print_json, stdout

__all__ = ["Mistake", "atlas"]


class Mistake(click.UsageError):
    """A mistake in the command: one sentence, exit code 2."""

    def show(self, file: Any = None) -> None:
        """Print the sentence."""
        print(f"thalweg: {self.message}", file=sys.stderr)


@click.group()
def atlas() -> None:
    """Run the optimization chapter's experiments and exercises."""


def _chosen(topic: str | None) -> list[Any]:
    topics = sorted({e.topic for e in entries()})
    if topic is not None and topic not in topics:
        raise Mistake(f"atlas: there is no topic {topic!r}; there are {', '.join(topics)}.")
    return [e for e in entries() if topic in (None, e.topic)]


@atlas.command(name="list")
@click.argument("topic", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(topic: str | None, as_json: bool) -> int:
    """List the entries, all or those of a TOPIC."""
    chosen = _chosen(topic)
    if as_json:
        print_json([{"id": e.id, "topic": e.topic, "kind": e.kind, "title": e.title} for e in chosen])
        return 0
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "kind", "what"):
        grid.add_column(name, overflow="fold")
    for e in chosen:
        grid.add_row(e.id, e.kind, Text(e.title))
    stdout().print(grid)
    return 0


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": outcome.entry.id,
        "good": outcome.good,
        "skipped": outcome.skipped,
        "figures": [
            {"name": r.name, "expected": r.expected, "obtained": r.obtained, "good": r.good} for r in outcome.rows
        ],
        "notes": list(outcome.notes),
    }


@atlas.command()
@click.argument("name", metavar="ID")
@click.option("--quick", is_flag=True, help="Train on a tenth of the data.")
@click.option("--out", metavar="FILE", help="The picture: a name ending in .png, .svg or .pdf.")
@click.option("--picture/--no-picture", "with_picture", default=True, help="Whether to draw.")
@click.option("--csv", "csv_file", metavar="FILE", help="Where to write the numbers that the picture shows.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def run(name: str, quick: bool, out: str | None, with_picture: bool, csv_file: str | None, as_json: bool) -> int:
    """Run one entry: its figures beside the expected ones, and its picture."""
    try:
        entry = find(name)
    except ThalwegError as error:
        raise Mistake(str(error)) from None
    stem, formats = _target(out, entry.id)
    if csv_file is not None and not Path(csv_file).parent.is_dir():
        raise Mistake(f"--csv: there is no folder {Path(csv_file).parent}.")
    outcome = run_entry(entry, quick=quick, tell=lambda text: print(text, file=sys.stderr, flush=True))
    if as_json:
        print_json(_data(outcome))
    else:
        _print(outcome)
    if outcome.skipped is None and (with_picture or csv_file is not None):
        from ..lab.atlas.drawing import picture

        drawn = picture(entry)
        if drawn is None:
            print(f"No picture: {entry.id} has none.", file=sys.stderr)
        else:
            if with_picture:
                print(f"The picture is {' and '.join(str(f) for f in drawn.save(stem, formats))}", file=sys.stderr)
            if csv_file is not None:
                print(f"The numbers are in {drawn.csv(Path(csv_file))}", file=sys.stderr)
    return 0 if outcome.good else 1


def _target(out: str | None, name: str) -> tuple[Path, tuple[str, ...]]:
    if out is None:
        return Path(f"atlas-{name}-{datetime.now():%Y%m%d-%H%M%S}"), ("png", "svg")
    path = Path(out)
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise Mistake(f"--out: a name ending in .png, .svg or .pdf is required, got {out!r}.")
    if not path.parent.is_dir():
        raise Mistake(f"--out: there is no folder {path.parent}.")
    return path.with_suffix(""), (kind,)


def _print(outcome: Outcome) -> None:
    console = stdout()
    entry = outcome.entry
    console.print(Text(f"{entry.id}: {entry.title}", style="bold"))
    if outcome.skipped is not None:
        console.print(Text(f"skipped: {outcome.skipped}"))
        return
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for column in ("figure", "expected", "obtained", ""):
        grid.add_column(column, overflow="fold")
    for row in outcome.rows:
        grid.add_row(
            Text(row.name),
            Text(row.expected),
            Text(row.obtained),
            "" if row.good else Text("differs", style="bold red"),
        )
    if outcome.rows:
        console.print(grid)
    for note in outcome.notes:
        console.print(Text(note))


@atlas.command()
@click.argument("topic", required=False)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def check(topic: str | None, markdown: bool, as_json: bool) -> int:
    """Run all entries but the long trainings; exit 1 if one differs."""
    chosen = [e for e in _chosen(topic) if e.kind != "training"]
    found = []
    for outcome, seconds in check_all(chosen):
        found.append(outcome)
        state = "skipped" if outcome.skipped else "agrees" if outcome.good else "DIFFERS"
        print(f"{outcome.entry.id}: {state} ({seconds:.1f} s)", file=sys.stderr, flush=True)
    if as_json:
        print_json([_data(o) for o in found])
    elif markdown:
        _print_markdown(found)
    else:
        for outcome in found:
            if not outcome.good:
                _print(outcome)
        skipped = [o for o in found if o.skipped]
        agree = sum(o.good for o in found)
        print(f"{agree} of {len(found)} entries agree, {len(skipped)} were skipped.")
        for reason in sorted({str(o.skipped) for o in skipped}):
            print(f"skipped: {reason}")
    return 1 if any(not o.good and o.skipped is None for o in found) else 0


def _print_markdown(found: list[Outcome]) -> None:
    print("| entry | what | figure | expected | obtained | |")
    print("|---|---|---|---|---|---|")
    for o in found:
        title = o.entry.title.replace("|", "\\|")
        if o.skipped is not None:
            print(f"| {o.entry.id} | {title} | | | skipped | |")
        for k, row in enumerate(o.rows):
            cells = (o.entry.id if not k else "", title if not k else "", row.name, row.expected, row.obtained)
            good = "agrees" if row.good else "**differs**"
            print("| " + " | ".join(str(c).replace("|", "\\|").replace("\n", " ") for c in (*cells, good)) + " |")
        if not o.rows and o.skipped is None:
            print(f"| {o.entry.id} | {title} | a picture | | | |")
