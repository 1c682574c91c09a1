"""The folder of a race. Each file appears whole or not at all.

config.toml        the race as resolved; ``thalweg race config.toml`` runs it again
manifest.json      versions, machine, command, problem, state
runs/              one file per finished run, from which an interrupted race resumes
results.csv        one line per run
curves.csv.gz      the loss of every run, by step, epoch and time
loss-*.png, .svg   pictures
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError
from .config import RaceConfig
from .statistics import steps_to
from .trial import Record

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
        write(path, json.dumps(record.to_json(), allow_nan=False) + "\n")

    def records(self) -> list[Record]:
        """Return the runs that are finished, in the order of the configuration."""
        found = []
        for contender, seed in self.config.trials():
            path = self.path / "runs" / f"{contender.label}-{seed}.json"
            if path.is_file():
                try:
                    found.append(Record.from_json(json.loads(path.read_text())))
                except (ValueError, TypeError):
                    raise DataError(f"{path} is damaged; delete it, and --resume runs it again.") from None
        return found

    def manifest(self) -> dict[str, Any]:
        """Return the manifest, empty if there is none."""
        path = self.path / "manifest.json"
        return json.loads(path.read_text()) if path.is_file() else {}

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write the manifest."""
        write(self.path / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")

    def write_tables(self, records: Sequence[Record], goal: float, rows: int) -> None:
        """Write results.csv and curves.csv.gz."""
        write(self.path / "results.csv", results_csv(self.config, records, goal, rows))
        # without name and time of writing, so that equal curves give equal bytes
        write(self.path / "curves.csv.gz", gzip.compress(curves_csv(records).encode(), mtime=0))


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def results_csv(config: RaceConfig, records: Sequence[Record], goal: float, rows: int) -> str:
    """Return one line per run."""
    contenders = {c.label: c for c in config.contenders}
    head = (
        "contender", "method", "settings", "batch", "seed", "status", "start_loss", "final_loss", "best_loss", "steps",
        "gradients", "epochs", "seconds", "microseconds_per_step", "steps_to_goal",
        "ran",
    )  # fmt: skip
    lines = []
    for r in records:
        c = contenders[r.contender]
        lines.append(
            (
                r.contender, c.method, c.described(), c.batch or "", r.seed, r.status, repr(r.losses[0]), repr(r.losses[-1]),
                repr(min(r.losses)), r.steps[-1], r.gradients, f"{r.epochs[-1]:g}" if rows else "", f"{r.seconds[-1]:.6f}",
                f"{1e6 * r.seconds_per_step:.2f}", f"{steps_to(r, goal):g}",
                f"in a sweep of {r.sweep}" if r.sweep else "alone",
            )
        )  # fmt: skip
    return _table(head, lines)


def curves_csv(records: Sequence[Record]) -> str:
    """Return one line per evaluated step of every run."""
    lines = [
        (r.contender, r.seed, step, f"{epoch:.6g}", f"{seconds:.6f}", repr(loss))
        for r in records
        for step, epoch, seconds, loss in zip(r.steps, r.epochs, r.seconds, r.losses, strict=True)
    ]
    return _table(("contender", "seed", "step", "epoch", "seconds", "loss"), lines)
