"""A program evaluated on arrays of names instead of numbers: shapes, views and broadcasts vanish, scalar statements are left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.moves import CAST, COPY_SLICES, EXPAND, IMPLICIT_CAST, SUM_TO
from ..ops._elementwise import Elementwise
from .program import Operation, Value
from .scalars import NoKernel, expression, literal, suffix

__all__ = ["LIMIT", "Evaluator", "Names", "Statement", "Writer", "typed", "written"]

LIMIT = 2000  # operands of statements: compiling takes 5 to 10 ms for each, and larger programs have another way
_MOVES = {
    "view", "permute", "transpose", "t", "unsqueeze", "squeeze", "slice", "select", "index", "cat", "stack", "alias", "clone", "flip",
    "roll", "diagonal", "unbind", "split", "movedim",
}  # fmt: skip

Names = np.ndarray[Any, Any]


@dataclass
class Statement:
    """One new value: its name, and the text it is computed by."""

    name: str
    text: str
    inputs: tuple[str, ...]
    kind: str  # the type of what it gives
    origin: str  # the operation that it is part of


class Writer:
    """Straight-line scalar code: one statement per new value, equal ones shared, in two parts."""

    def __init__(self) -> None:
        self.common: list[Statement] = []
        self.lane: list[Statement] = []
        self.seen: dict[str, str] = {}
        self.varying: set[str] = set()
        self.kinds: dict[str, str] = {}
        self.origin = ""
        self.count = 0
        self.operands = 0

    def emit(self, text: str, inputs: Iterable[str], dtype: np.dtype[Any]) -> str:
        """Return the name of a value, with a statement for it unless there is one."""
        known = self.seen.get(text)
        if known is not None:
            return known
        names = tuple(inputs)
        varies = any(name in self.varying for name in names)
        self.count += 1
        self.operands += max(1, len(names))
        if self.operands > LIMIT:
            raise NoKernel(f"more than {LIMIT} operands of scalar statements")
        name = f"t{self.count}"
        statement = Statement(name, text, names, suffix(dtype), self.origin)
        (self.lane if varies else self.common).append(statement)
        if varies:
            self.varying.add(name)
        self.kinds[name] = statement.kind
        self.seen[text] = name
        return name


def written(statements: list[Statement]) -> list[str]:
    """Return statements as lines, each group under the operation that it is part of."""
    lines = []
    origin = ""
    for each in statements:
        if each.origin != origin:
            origin = each.origin
            lines.append(f"# {origin}")
        lines.append(f"{each.name} = {each.text}")
    return lines


def typed(array: Any, dtype: np.dtype[Any]) -> Names:
    """Return the elements of a constant as source text."""
    out = np.empty(np.shape(array), object)
    for at in np.ndindex(out.shape):
        out[at] = literal(array[at], dtype)
    return out


def _in_type(text: str, dtype: np.dtype[Any]) -> str:
    """Return arithmetic in its own type: in Numba the sum of two uint8 is an int64."""
    if dtype.kind == "b":
        raise NoKernel("sums and products of truth values")
    return text if dtype.kind == "f" else f"{suffix(dtype)}({text})"


class Evaluator:
    """Evaluates a program on arrays of names."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.names: dict[Value, Names] = {}

    def of(self, x: Any, dtype: np.dtype[Any] | None = None) -> Names:
        """Return the names of a value, or a number as text."""
        if isinstance(x, Value):
            return self.names[x]
        return typed(np.asarray(x), np.dtype(np.float64) if dtype is None else dtype)

    def run(self, op: Operation) -> None:
        """Evaluate one operation."""
        self.writer.origin = repr(op)
        primitive, forward = op.primitive, op.primitive.forward
        if isinstance(primitive, Elementwise):
            outs: tuple[Names, ...] = (self.elementwise(op),)
        elif forward is CAST.forward or forward is IMPLICIT_CAST.forward:
            outs = (self.cast(op),)
        elif forward is SUM_TO.forward:
            outs = (self.sum_to(self.of(op.inputs[0]), op.params[0], op.outputs[0].dtype),)
        elif primitive.name in ("sum", "mean", "amax", "amin") and len(op.inputs) == 1:
            outs = (self.reduce(op),)
        elif primitive.name in ("mm", "mv", "dot", "bmm"):
            outs = (self.product(self.of(op.inputs[0]), self.of(op.inputs[1]), op.outputs[0].dtype),)
        elif primitive.name == "outer":
            x, y = self.of(op.inputs[0]), self.of(op.inputs[1])
            outs = (
                self.each(lambda a, b: _in_type(f"{a} * {b}", op.outputs[0].dtype), op.outputs[0].dtype, x[:, None], y),
            )
        elif primitive.name in ("slice_back", "index_back"):
            outs = (self.put_back(op),)
        elif forward is COPY_SLICES.forward or (
            (len(op.inputs) == 1 or primitive.name in ("cat", "stack"))
            and (forward is EXPAND.forward or primitive.name in _MOVES)
        ):
            arrays = [self.of(x) for x in op.inputs]
            done = forward(arrays, *op.params) if primitive.arity < 0 else forward(*arrays, *op.params)
            outs = (done,) if primitive.single else tuple(done)
        else:
            raise NoKernel(primitive.name)
        for value, names in zip(op.outputs, outs, strict=True):
            names = np.asarray(names, object)
            if names.shape != value.shape:
                raise NoKernel(f"{primitive.name}: shape {names.shape} for {value!r}")
            self.names[value] = names

    def each(self, text: Callable[..., str], dtype: np.dtype[Any], *arrays: Names) -> Names:
        """Emit a statement for each element of arrays that are broadcast."""
        spread = np.broadcast_arrays(*arrays)
        out = np.empty(spread[0].shape, object)
        for at in np.ndindex(out.shape):
            parts: Any = [a[at] for a in spread]
            out[at] = self.writer.emit(text(*parts), parts, dtype)
        return out

    def elementwise(self, op: Operation) -> Names:
        """Evaluate an elementwise operation."""
        template = expression(op)
        arrays = [self.names[x] if isinstance(x, Value) else np.asarray("", object) for x in op.inputs]
        return self.each(lambda *parts: template.format(*parts), op.outputs[0].dtype, *arrays)

    def cast(self, op: Operation) -> Names:
        """Evaluate a change of type."""
        target = op.outputs[0].dtype
        return self.each(lambda a: f"{suffix(target)}({a})", target, self.of(op.inputs[0]))

    def total(self, parts: list[str], dtype: np.dtype[Any], product: bool = False) -> str:
        """Return the name of a sum, or of a product."""
        if len(parts) == 1 and not product:
            return parts[0]
        flat = [p for part in parts for p in part.split(" * ")] if product else parts
        return self.writer.emit(_in_type(" + ".join(parts), dtype), flat, dtype)

    def sum_to(self, x: Names, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Names:
        """Sum what was broadcast."""
        extra = x.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1)
        return self.over(x, axes, lambda parts: self.total(parts, dtype)).reshape(shape)

    def over(self, x: Names, axes: tuple[int, ...], join: Callable[[list[str]], str]) -> Names:
        """Join the elements along `axes`."""
        rest = tuple(k for k in range(x.ndim) if k not in axes)
        flat = x.transpose(rest + axes).reshape([x.shape[k] for k in rest] + [-1])
        out = np.empty(flat.shape[:-1], object)
        for at in np.ndindex(out.shape):
            out[at] = join(list(flat[at]))
        return out

    def reduce(self, op: Operation) -> Names:
        """Evaluate a reduction."""
        x, dtype = self.of(op.inputs[0]), op.outputs[0].dtype
        axes = op.params[0]
        name = op.primitive.name
        if x.size == 0 or (name == "sum" and dtype != op.inputs[0].dtype):
            raise NoKernel(f"{name} over nothing, or with another type")
        if name in ("sum", "mean"):
            done = self.over(x, axes, lambda parts: self.total(parts, dtype))
            if name == "mean":
                n = 1
                for k in axes:
                    n *= x.shape[k]
                done = self.each(lambda a: f"{a} / {literal(n, dtype)}", dtype, done)
        else:
            if dtype.kind == "b":
                raise NoKernel(f"{name} of truth values")
            extreme = f"{'maximum' if name == 'amax' else 'minimum'}_{suffix(dtype)}"

            def join(parts: list[str]) -> str:
                best = parts[0]
                for part in parts[1:]:
                    best = self.writer.emit(f"{extreme}({best}, {part})", (best, part), dtype)
                return best

            done = self.over(x, axes, join)
        return done.reshape(op.outputs[0].shape)

    def product(self, x: Names, y: Names, dtype: np.dtype[Any]) -> Names:
        """Write products of matrices out."""
        a = x[None] if x.ndim == 1 else x
        b = y[:, None] if y.ndim == 1 else y
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        if a.shape[-1] == 0:
            raise NoKernel("a product over nothing")
        a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
        out = np.empty((*batch, a.shape[-2], b.shape[-1]), object)
        for at in np.ndindex(out.shape):
            row, column = a[(*at[:-2], at[-2])], b[at[:-2]][:, at[-1]]
            out[at] = self.total([f"{p} * {q}" for p, q in zip(row, column, strict=True)], dtype, product=True)
        if y.ndim == 1:
            out = out[..., 0]
        return out[..., 0] if x.ndim == 1 and y.ndim == 1 else out[..., 0, :] if x.ndim == 1 else out

    def put_back(self, op: Operation) -> Names:
        """Add the elements to zeros at the places of a known index."""
        g, (key, shape) = self.of(op.inputs[0]), op.params
        dtype = op.outputs[0].dtype
        at = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)[key]
        found: list[list[str]] = [[] for _ in range(int(np.prod(shape, dtype=np.int64)))]
        for place, name in zip(np.ravel(at), np.ravel(np.broadcast_to(g, np.shape(at))), strict=True):
            found[place].append(name)
        out = np.empty(len(found), object)
        for k, parts in enumerate(found):
            out[k] = self.total(parts, dtype) if parts else literal(0, dtype)
        return out.reshape(shape)
