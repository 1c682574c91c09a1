"""The folder of a race. Each file appears whole or not at all.

config.toml        the race as resolved; ``thalweg race config.toml`` runs it again
manifest.json      versions, machine, command, problem, state
runs/              one file per finished run of the result, from which an interrupted race resumes
tuning/            one file per contender and round of tuning, with its runs
results.csv        one line per run of the result
curves.csv.gz      the loss of every one of them, by step, epoch and time
tuning.csv         one line per setting that was tried
tuning-curves.csv  the expected best of k tuning runs, by contender
*.png, *.svg       pictures
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError
from . import schema
from .config import RaceConfig
from .contender import Contender
from .statistics import steps_to
from .trial import Record
from .tuning import Tuned

__all__ = ["Store", "new_folder", "write"]


def write(path: Path, content: bytes | str) -> None:
    """Write a file so that it is never seen half-written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def new_folder(kind: str, name: str, given: str | None) -> Path:
    """Return where results go: what was asked for, which must be empty, or KIND-NAME-TIME in the working directory."""
    if given is not None:
        path = Path(given)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ArgumentError(f"--out: a new or empty folder is required, {given} has content.")
        return path
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    path = Path(f"{kind}-{name}-{stamp}")
    n = 2
    while path.exists():
        path = Path(f"{kind}-{name}-{stamp}-{n}")
        n += 1
    return path


class Store:
    """The folder of one race."""

    def __init__(self, path: Path, config: RaceConfig) -> None:
        self.path = path
        self.config = config

    @staticmethod
    def create(path: Path, config: RaceConfig) -> Store:
        """Make the folder with its configuration."""
        try:
            (path / "runs").mkdir(parents=True, exist_ok=True)
            write(path / "config.toml", config.to_toml())
        except OSError as error:
            raise DataError(f"{path} cannot be written ({error.strerror}).") from None
        return Store(path, config)

    @staticmethod
    def open(path: Path) -> Store:
        """Open the folder of a race that was begun."""
        if not (path / "config.toml").is_file():
            raise DataError(f"{path} is no folder of a race: it has no config.toml.")
        return Store(path, RaceConfig.from_toml(path / "config.toml"))

    def keep(self, record: Record) -> None:
        """Keep a finished run."""
        path = self.path / "runs" / f"{record.contender}-{record.seed}.json"
        path.parent.mkdir(exist_ok=True)
        write(path, json.dumps(record.to_json(), allow_nan=False) + "\n")

    def records(self, trials: Sequence[tuple[Contender, int]] | None = None) -> list[Record]:
        """Return the runs that are finished, in the order of the trials (by default those of the configuration)."""
        found = []
        for contender, seed in self.config.trials() if trials is None else trials:
            path = self.path / "runs" / f"{contender.label}-{seed}.json"
            if path.is_file():
                found += _read(path, lambda data: [_record(data, {contender.label}, {seed})])  # noqa: B023
        return found

    def _tuning_path(self, label: str, number: int) -> Path:
        return self.path / "tuning" / f"{label}-{number}.json"

    def has_tuning(self, label: str, number: int) -> bool:
        """Return whether a contender's round of tuning is finished."""
        return self._tuning_path(label, number).is_file()

    def keep_tuning(self, label: str, number: int, records: Sequence[Record]) -> None:
        """Keep a contender's finished round of tuning."""
        path = self._tuning_path(label, number)
        path.parent.mkdir(exist_ok=True)
        ordered = sorted(records, key=lambda r: (r.contender, r.seed))
        write(path, json.dumps([r.to_json() for r in ordered], allow_nan=False) + "\n")

    def tuning(self, label: str, number: int, asked: Sequence[str], seeds: Sequence[int]) -> list[Record] | None:
        """Return the runs of a contender's round of tuning, or None if it is not finished.

        They must be those that were asked for: every candidate, from every seed unless halving stops it.
        """
        path = self._tuning_path(label, number)
        if not path.is_file():
            return None

        def form(data: Any) -> list[Record]:
            found = [_record(each, set(asked), set(seeds)) for each in data]
            ran = {(r.contender, r.seed) for r in found}
            wanted = {
                (candidate, seed) for candidate in asked for seed in (seeds[:1] if self.config.halving else seeds)
            }
            if len(ran) < len(found) or wanted - ran:
                raise schema.Wrong((), "runs are missing, or are there twice")
            return found

        return _read(path, form)

    def manifest(self) -> dict[str, Any]:
        """Return the manifest; empty if there is none or it is damaged, since it is written anew from the other files."""
        path = self.path / "manifest.json"
        try:
            found = _loaded(path)
            schema.check(found, schema.MANIFEST)
        except (OSError, ValueError, RecursionError, schema.Wrong):
            return {}
        return dict(found)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write the manifest."""
        write(self.path / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def write_tables(
        self, config: RaceConfig, records: Sequence[Record], goals: Mapping[int, float], rows: int
    ) -> None:
        """Write results.csv and curves.csv.gz."""
        write(self.path / "results.csv", results_csv(config, self.config, records, goals, rows))
        # without name and time of writing, so that equal curves give equal bytes
        write(self.path / "curves.csv.gz", gzip.compress(curves_csv(records).encode(), mtime=0))

    def write_tuning(self, tuned: Sequence[Tuned]) -> None:
        """Write tuning.csv and tuning-curves.csv."""
        lines, curves = [], []
        for each in tuned:
            for number, c in enumerate(each.candidates):
                losses = "/".join(repr(x) for x in c.losses)
                chosen = "chosen" if c is each.best else "pruned" if c.pruned else ""
                lines.append((each.default.label, number, c.contender.described(), losses, repr(c.score), chosen))
            curve = each.curve
            rows = zip(curve.runs, curve.expected, curve.median, curve.low, curve.high, strict=True)
            curves += [(each.default.label, int(k), *(repr(float(v)) for v in values)) for k, *values in rows]
        head = ("contender", "number", "settings", "losses_to_choose_by", "mean", "")
        write(self.path / "tuning.csv", _table(head, lines))
        head = ("contender", "runs", "expected", "median", "low_10", "high_90")
        write(self.path / "tuning-curves.csv", _table(head, curves))


def _loaded(path: Path) -> Any:
    def refused(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refused)


def _read(path: Path, form: Callable[[Any], list[Record]]) -> list[Record]:
    """Return the records in a file; what is wrong with it is one sentence."""
    try:
        return form(_loaded(path))
    except (OSError, ValueError, TypeError, RecursionError, schema.Wrong) as error:
        why = str(error) if isinstance(error, schema.Wrong) else "no JSON of a run"
        raise DataError(f"{path} is damaged ({why}); delete it, and --resume runs it again.") from None


def _record(data: Any, labels: Container[str], seeds: Container[int]) -> Record:
    """Return the record that a file holds, which must be of one of these contenders and seeds."""
    schema.check(data, schema.RECORD)
    record = Record.from_json(data)
    steps = record.steps
    if record.contender not in labels or record.seed not in seeds:
        raise schema.Wrong((), f"a run of {record.contender}, seed {record.seed}, does not belong here")
    columns = (record.epochs, record.seconds, record.losses, record.validations or steps)
    if any(len(column) != len(steps) for column in columns):
        raise schema.Wrong((), "steps, epochs, seconds and losses must be as many")
    if steps[0] != 0 or any(a >= b for a, b in itertools.pairwise(steps)):
        raise schema.Wrong(("steps",), "must ascend from 0")
    if record.status == "done" and not all(map(math.isfinite, record.losses)):
        raise schema.Wrong(("losses",), "must be finite in a run that has not diverged")
    return record


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def results_csv(
    config: RaceConfig, begun: RaceConfig, records: Sequence[Record], goals: Mapping[int, float], rows: int
) -> str:
    """Return one line per run: of the chosen settings, and of the default where that is another."""
    contenders = {c.label: c for c in config.contenders} | {c.label + "@default": c for c in begun.contenders}
    metrics = list(dict.fromkeys(name for r in records for name in r.metrics))
    head = (
        "contender", "method", "settings", "role", "batch", "seed", "status", "start_loss", "final_loss", "best_loss",
        "validation_loss", "test_loss", *(m.replace(" ", "_") for m in metrics), "steps", "gradients", "epochs",
        "seconds", "microseconds_per_step", "steps_to_goal", "ran",
    )  # fmt: skip
    lines = []
    for r in records:
        c = contenders[r.contender]
        name, mark, _ = r.contender.partition("@")
        lines.append(
            (
                name, c.method, c.described(), "default" if mark else "result", c.batch or "", r.seed, r.status,
                repr(r.losses[0]), repr(r.losses[-1]), repr(min(r.losses)), _shown(r.validation), _shown(r.test),
                *(_shown(r.metrics.get(m)) for m in metrics), r.steps[-1], r.gradients,
                f"{r.epochs[-1]:g}" if rows else "", f"{r.seconds[-1]:.6f}", f"{1e6 * r.seconds_per_step:.2f}",
                f"{steps_to(r, goals[r.seed]):g}", f"in a sweep of {r.sweep}" if r.sweep else "alone",
            )
        )  # fmt: skip
    return _table(head, lines)


def _shown(value: float | None) -> str:
    return "" if value is None else repr(value)


def curves_csv(records: Sequence[Record]) -> str:
    """Return one line per evaluated step of every run."""
    lines = [
        (r.contender, r.seed, step, f"{epoch:.6g}", f"{seconds:.6f}", repr(loss))
        for r in records
        for step, epoch, seconds, loss in zip(r.steps, r.epochs, r.seconds, r.losses, strict=True)
    ]
    return _table(("contender", "seed", "step", "epoch", "seconds", "loss"), lines)
