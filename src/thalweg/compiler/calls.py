"""What a call, a loop and a sweep were given: checked, and in the form in which programs take it."""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops._coerce import as_tensor
from .program import Array
from .version import Version

__all__ = [
    "described",
    "matrices",
    "refuse_starts",
    "rows_of",
    "runs_of",
    "settings_of",
    "split",
    "starts_of",
    "swept_settings",
]


_TAKEN = {np.dtype(t) for t in (np.float32, np.float64, np.int64)}  # arrays of these are taken without a look
_LARGEST = np.maximum.reduce
_PLAIN = frozenset({int, bool, str, bytes, type(None), complex})


def described(key: Any) -> str:
    """Return the types of the arguments of a call as a reader wants them."""
    shapes = ", ".join(f"{dtype}{list(shape)}" for shape, dtype, _ in key[0])
    return f"({shapes})"


class _Same:
    """An argument that is neither a tensor nor a plain value: a program holds for this very object."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is _Same and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def split(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[TensorBase], tuple[Any, ...], dict[str, Any], Any]:
    """Return the arguments with arrays as tensors, those tensors, and the rest, which is fixed for a program.

    Lists, tuples and dictionaries are looked into; they stay the same objects unless an array in them became a tensor.
    """
    tensors: list[TensorBase] = []
    fixed: list[Any] = []

    def each(x: Any) -> Any:
        if isinstance(x, (np.ndarray, np.generic)):
            x = as_tensor(x)
        if isinstance(x, TensorBase):
            if any(t is x for t in tensors):
                x = x._alias()
            fixed.append(None)
            tensors.append(x)
            return x
        kind = type(x)
        if kind in _PLAIN:
            fixed.append((kind, x))
        elif kind is float:
            fixed.append((kind, struct.pack("d", x)))  # by its bits: -0.0 is not 0.0, and NaN is itself
        elif kind in (list, tuple) or (isinstance(x, tuple) and hasattr(x, "_fields")):
            fixed.append((kind, len(x)))
            parts = [each(part) for part in x]
            if any(p is not q for p, q in zip(parts, x, strict=True)):
                return kind(*parts) if hasattr(x, "_fields") else kind(parts)
        elif isinstance(x, dict):
            fixed.append((kind, tuple(map(_key_of, x))))
            values = {key: each(value) for key, value in x.items()}
            if any(values[key] is not value for key, value in x.items()):
                changed = copy.copy(x)
                changed.update(values)
                return changed
        else:
            fixed.append((kind, _Same(x)))
        return x

    new_args = tuple([each(x) for x in args])
    new_kwargs = {name: each(kwargs[name]) for name in sorted(kwargs)}
    return tensors, new_args, new_kwargs, (*fixed, *new_kwargs) if fixed.count(None) != len(fixed) or new_kwargs else ()


def _key_of(key: Any) -> Any:
    return type(key), key if type(key) in _PLAIN or isinstance(key, (float, tuple)) else _Same(key)


def rows_of(arrays: tuple[Any, ...], order: Any, steps: int | None, who: str) -> tuple[list[Array], Array | None, int]:
    """Check the data and the order; return arrays, the order in int64, and the number of steps."""
    data = [a if type(a) is np.ndarray and a.dtype in _TAKEN else as_tensor(a, who)._data for a in arrays]
    if order is None:
        counts = {len(a) if a.ndim else 0 for a in data} | (set() if steps is None else {steps})
        if len(counts) != 1:
            raise ShapeError(
                f"{who}: without order, the first axis of every array is the step; give arrays of one length, or steps= "
                f"when there are none, got lengths {sorted(counts)}."
            )
        return data, None, counts.pop()
    rows = np.asarray(order._data if isinstance(order, TensorBase) else order)
    if rows.dtype.kind not in "iu":
        raise DTypeError(f"{who}: order must hold integers, got {rows.dtype}.")
    if rows.ndim not in ((2,) if who == "loop" else (2, 3)):
        axes = "[steps, batch]" if who == "loop" else "[steps, batch] or [k, steps, batch]"
        raise ShapeError(f"{who}: order must be {axes}, got shape {rows.shape}.")
    if not data:
        raise ArgumentError(f"{who}: order picks rows of arrays, and no array was given.")
    shortest = min(len(a) if a.ndim else 0 for a in data)
    rows = np.ascontiguousarray(rows, np.int64)
    if rows.size and _LARGEST(rows.reshape(-1).view(np.uint64)) >= shortest:  # negative ones are large there
        raise ShapeError(f"{who}: order must lie in [0, {shortest - 1}], got {rows.min()} to {rows.max()}.")
    return data, rows, rows.shape[-2]


def matrices(data: list[Array]) -> list[Array]:
    """Return arrays as contiguous matrices with one row per example, or per step."""
    return [np.ascontiguousarray(a).reshape(len(a), -1) for a in data]


def _places(version: Version, name: str, who: str) -> list[int]:
    found = [k for k, given in enumerate(version.settings) if given.source[1] == name]
    if not found:
        known = ", ".join(sorted({i.source[1] for i in version.settings})) or "none"
        values = [given.source[0].get(name) for given in version.settings]
        off = any(type(v) in (int, float) and v == 0 for v in values)
        why = (
            f" {name} was 0 in the capture, which leaves its part of the rule out: make the optimizer with another."
            if off
            else ""
        )
        raise ArgumentError(f"{who}: {name} is no setting that the function uses; there are: {known}.{why}")
    return found


def refuse_starts(version: Version, hyper: Mapping[str, Any], who: str) -> None:
    """Refuse a setting from which state starts that no step has changed yet: it was made with the group's own value."""
    for optimizer, group in version.captured.starting:
        for name in optimizer.starts_from:
            states = [optimizer.state.get(p) or {} for p in group["params"]]
            if name in hyper and any("step" in s and s["step"]._data == 0 for s in states):
                raise ArgumentError(
                    f"{who}: {name} also decides what the state of {type(optimizer).__name__} starts from, and its first step "
                    f"is still to come; make the optimizer with that {name}, or set it in its group."
                )


def _numbers(version: Version, k: int, given: Any) -> Array:
    """Return what was given for a setting; of a tuple such as ``betas`` the part that setting `k` is."""
    value = np.asarray(given._data if isinstance(given, TensorBase) else given, np.float64)
    index = version.settings[k].source[2]
    return value if index is None else value[..., index]


def settings_of(version: Version, hyper: dict[str, Any], steps: int, who: str) -> tuple[Array, frozenset[int]]:
    """Return the settings of each step, and which have one value per step."""
    refuse_starts(version, hyper, who)
    row = version.read_settings()
    stepped = set()
    series: dict[int, Array] = {}
    if version.captured.schedules:
        series = changing(version.schedule(steps))
        stepped |= set(series)
    for name, given in hyper.items():
        for k in _places(version, name, who):
            value = _numbers(version, k, given)
            if value.ndim == 0:
                row[0, k] = value
                stepped.discard(k)
                series.pop(k, None)
            elif value.shape == (steps,):
                series[k] = value
                stepped.add(k)
            else:
                raise ShapeError(
                    f"{who}: {name} must be one number or one per step ({steps}), got shape {value.shape}."
                )
    if stepped:
        row = np.repeat(row, steps, axis=0)
        for k, value in series.items():
            row[:, k] = value
    return row, frozenset(stepped)


def changing(table: Array) -> dict[int, Array]:
    """Return the columns of a table that are not the same in every row."""
    return {k: table[:, k] for k in range(table.shape[1]) if (table[:, k] != table[0, k]).any()}


def starts_of(init: Mapping[Any, Any] | None, version: Version) -> dict[int, tuple[Any, Array]]:
    """Check `init`; return the tensors that the program reads, by identity, with their starts."""
    if init is None:
        return {}
    used = {id(i.source) for i in version.inputs if i.kind == "tensor"}
    found = {}
    for tensor, value in init.items():
        if not isinstance(tensor, TensorBase):
            raise DTypeError(f"sweep: the keys of init must be tensors, got {type(tensor).__name__}.")
        array = np.asarray(value._data if isinstance(value, TensorBase) else value)
        if array.shape[1:] != tensor._data.shape or array.ndim != tensor._data.ndim + 1:
            raise ShapeError(f"sweep: init of shape [k, *{tensor._data.shape}] is required, got {array.shape}.")
        if id(tensor) in used:
            found[id(tensor)] = (tensor, array)
    return found


def runs_of(hyper: dict[str, Any], order: Array | None, starts: dict[int, tuple[Any, Array]]) -> int:
    """Return k, on which everything that has it must agree."""
    counts: dict[str, int] = {}
    for name, given in hyper.items():
        value = given._data if isinstance(given, TensorBase) else np.asarray(given)
        if value.ndim and not (isinstance(given, tuple) and value.ndim == 1):
            counts[name] = len(value)
    if order is not None and order.ndim == 3:
        counts["order"] = len(order)
    for _, array in starts.values():
        counts["init"] = len(array)
    if not counts:
        raise ArgumentError(
            "sweep: nothing differs between runs; give a setting, order or init with a first axis of k."
        )
    if len(set(counts.values())) > 1:
        raise ShapeError(
            f"sweep: one number of runs is required, got {', '.join(f'{n}: {k}' for n, k in counts.items())}."
        )
    k = next(iter(counts.values()))
    if k == 0:
        raise ArgumentError("sweep: at least one run is required, got 0.")
    return k


def swept_settings(
    version: Version, hyper: dict[str, Any], runs: int, steps: int
) -> tuple[Array, dict[int, Array], frozenset[int]]:
    """Return the common settings, those that differ [k, step or 1], and which have one value per step."""
    row = version.read_settings()
    swept: dict[int, Array] = {}
    scheduled: dict[int, Array] = {}
    if version.captured.schedules:
        states = version.schedules()
        try:
            scheduled = changing(version.schedule(steps))
        finally:
            version.rewind(states, 0)
        swept = {k: np.broadcast_to(column, (runs, steps)) for k, column in scheduled.items()}
    for name, given in hyper.items():
        for k in _places(version, name, "sweep"):
            if k in scheduled:
                raise ArgumentError(
                    f"sweep: {name} is set by a scheduler in the function; take that out and pass {name} as [k, steps]."
                )
            value = _numbers(version, k, given)
            if value.ndim == 0:
                row[0, k] = value
            elif value.shape in ((runs,), (runs, steps)):
                swept[k] = value.reshape(runs, -1)
            else:
                raise ShapeError(f"sweep: {name} must have shape [{runs}] or [{runs}, {steps}], got {value.shape}.")
    stepped = frozenset(k for k, v in swept.items() if v.shape[1] > 1)
    if stepped and steps > 1:
        swept = {k: np.broadcast_to(v, (runs, steps)) for k, v in swept.items()}
        stepped = frozenset(swept)
    return row, swept, stepped
