"""The user's own table, from a text file."""

from __future__ import annotations

import csv as _csv
import difflib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .table import Table

__all__ = ["csv"]


def _text(path: Path) -> str:
    if not path.exists():
        near = difflib.get_close_matches(path.name, os.listdir(path.parent) if path.parent.is_dir() else [], 1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else "."
        raise DataError(f"data.csv: there is no file {path}{hint}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"data.csv: {path} is not text in UTF-8; save it as CSV in UTF-8.") from None
    except OSError as error:
        raise DataError(f"data.csv: {path} cannot be read ({error.strerror}).") from None


def _delimiter(first_line: str) -> str:
    """Return the separator that occurs most often in the first line; a comma when none does."""
    return max(",;\t", key=lambda mark: (first_line.count(mark), mark == ","))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _columns(rows: list[tuple[int, list[str]]], path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the names of the columns and the rows of values, each with its line number."""
    head = rows[0][1]
    named = any(_number(cell) is None for cell in head)
    names = [cell.strip() for cell in head] if named else [f"x{k + 1}" for k in range(len(head))]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"data.csv: the names of columns must differ, and {repeated!r} occurs twice in {path}.")
    body = rows[1:] if named else rows
    if not body:
        raise DataError(f"data.csv: {path} has names of columns and no rows.")
    for line, row in body:
        if len(row) != len(names):
            raise DataError(f"data.csv: line {line} of {path} has {len(row)} cells where {len(names)} are required.")
    return names, body


def _which(target: str | int | None, names: list[str], path: Path) -> int:
    """Return the number of the target's column: the last by default."""
    if target is None:
        return len(names) - 1
    if isinstance(target, int):
        if not -len(names) <= target < len(names):
            raise DataError(f"data.csv: {path} has {len(names)} columns, so target cannot be {target}.")
        return target % len(names)
    if target in names:
        return names.index(target)
    near = difflib.get_close_matches(target, names, 1, 0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError(f"data.csv: {path} has no column {target!r}; {hint}it has {', '.join(names)}.")


def _values(body: list[tuple[int, list[str]]], names: list[str], skip: int | None, path: Path) -> Any:
    """Return the cells as numbers, except those of the column `skip`."""
    kept = [k for k in range(len(names)) if k != skip]
    values = np.empty((len(body), len(kept)))
    for r, (line, row) in enumerate(body):
        for c, k in enumerate(kept):
            number = _number(row[k])
            if number is None or not np.isfinite(number):
                what = "an empty cell" if not row[k].strip() else repr(row[k])
                raise DataError(
                    f"data.csv: numbers are required, got {what} in line {line}, column {names[k]!r} of {path}; "
                    "fill it, or leave the row or the column out."
                )
            values[r, c] = number
    return values


def csv(path: str | os.PathLike[str], target: str | int | None = None, *, task: str | None = None) -> Table:
    """Read a table of numbers from a CSV file; the column `target` (the last by default) is what is predicted.

    Separators may be commas, semicolons or tabs; a first line with text names the columns. A target of words
    makes a classification, as does ``task="classification"``; otherwise it is a regression.
    """
    file = Path(path)
    content = _text(file)
    lines = content.splitlines()
    if not content.strip():
        raise DataError(f"data.csv: {file} is empty.")
    first = next(line for line in lines if line.strip())
    reader = _csv.reader(io.StringIO(content), delimiter=_delimiter(first), skipinitialspace=True)
    rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    names, body = _columns(rows, file)
    which = _which(target, names, file)
    if len(names) < 2:
        raise DataError(f"data.csv: at least one feature beside the target is required, {file} has one column.")
    column = [row[which].strip() for _, row in body]
    if any(cell == "" for cell in column):
        line = body[column.index("")][0]
        raise DataError(f"data.csv: the target {names[which]!r} is empty in line {line} of {file}.")
    words = all(_number(cell) is None for cell in column)
    chosen = task or ("classification" if words else "regression")
    if chosen == "classification":
        classes, y = np.unique(column, return_inverse=True)
        X = _values(body, names, which, file)
        if len(classes) < 2:
            raise DataError(f"data.csv: the target {names[which]!r} of {file} has one class only, {str(classes[0])!r}.")
    else:
        everything = _values(body, names, None, file)
        X, y, classes = np.delete(everything, which, 1), everything[:, which], np.array([])
    features = tuple(name for k, name in enumerate(names) if k != which)
    return Table(file.stem, X, y, chosen, features, names[which], tuple(map(str, classes)), str(file))
