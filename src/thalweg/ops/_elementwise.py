"""How elementwise operations are defined and applied: promotion, broadcasting, recording, in few steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import Modes, current, restore, silence
from ..core.moves import IMPLICIT_CAST, SPREAD
from ..core.node import BaseNode, Node, next_order
from ..core.primitive import Primitive, Rule, _record, special_record
from ..core.primitive import apply as cast_of
from ..core.tangents import apply_dual, top_level
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError

__all__ = ["Elementwise", "NotDefined", "apply", "binary", "choose", "elementwise", "unary", "zeros"]

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_new = object.__new__
_NUMBER = [0]  # the counter of Python numbers: saving one counts as saving a tensor, as in PyTorch
_ndarray = np.ndarray
_NUMBERS = (float, int, bool)


class Elementwise(Primitive):
    """A primitive that works element by element, with PyTorch's promotion and broadcasting.

    `kind` says what happens to integers: ``"float"`` converts them to the default floating type (as division
    and exp do), ``"keep"`` leaves them, ``"compare"`` promotes the inputs and gives truth values, ``"choose"``
    leaves the first input (a condition) out of the promotion. `least` is the lowest category of types it takes:
    0 truth values, 1 integers, 2 floating-point numbers.
    """

    __slots__ = ("fast", "kind", "least", "saves")

    def __init__(
        self, name: str, forward: Callable[..., Any], vjps: Sequence[Rule | None], kind: str, least: int, **more: Any
    ) -> None:
        super().__init__(name, forward, vjps, diagonal=True, **more)
        self.kind = kind
        self.least = least
        # For two inputs the plan is flat: does the node keep x, y, out when x / y / both need a gradient?
        self.fast: dict[Any, tuple[bool, bool, bool]] = {}
        if self.arity <= 2:
            for mask in ((True,), (False, True), (True, False), (True, True)):
                if len(mask) == self.arity and self.vjps:
                    keep_in, keep_out, _ = self.plan(mask)
                    self.fast[mask] = (0 in keep_in, 1 in keep_in, bool(keep_out))
        self.saves = self.fast.get((True, False), (False, False, False))  # when the first of two needs a gradient

    def bind(self, inputs: tuple[Any, ...], params: tuple[Any, ...] = ()) -> Any:
        """Apply to tensors, with promotion and broadcasting."""
        return apply(self, inputs, params)


def elementwise(
    name: str,
    forward: Callable[..., Any],
    vjps: Sequence[Rule | None] = (),
    *,
    kernel: str | None = None,
    kind: str = "float",
    least: int = 0,
    arity: int | None = None,
    backward: str | None = None,
    names: tuple[str, ...] | None = None,
) -> Elementwise:
    """Define an elementwise operation: what it computes, its derivative in each input, its scalar expression.

    >>> import numpy as np
    >>> cube = elementwise("cube", lambda x: x * x * x, [lambda g, x: g * (3 * x * x)], kernel="{0} * {0} * {0}")
    >>> float(cube(np.float64(2.0)))
    8.0
    """
    if isinstance(forward, np.ufunc) and names is None:
        names = ("x", "y")[: forward.nin] if forward.nin <= 2 else tuple("xyz")
    return Elementwise(
        name,
        forward,
        vjps,
        kind,
        least,
        kernel=kernel,
        names=names,
        backward=backward,
        arity=arity if arity is not None else (forward.nin if isinstance(forward, np.ufunc) else None),
    )


def unary(primitive: Elementwise, x: TensorBase) -> Any:
    """Apply to one tensor (the frequent case written out)."""
    modes = current()
    a = x._data
    dt = a.dtype
    if modes.special or (dt is not F32 and dt is not F64):
        return apply(primitive, (x,))
    try:
        out = primitive.forward(a)
    except (RuntimeWarning, FloatingPointError):
        return apply(primitive, (x,))
    if type(out) is not _ndarray:
        out = np.asarray(out)
    counter = [0]
    node: BaseNode | None = None
    if modes.grad and primitive.vjps:
        edge = x._node if x._view is None else x._fresh_node()
        if edge is not None and out.dtype.kind == "f":
            keep_x, _, keep_out = primitive.fast[(True,)]
            versions: tuple[Any, ...] = ()
            if keep_x:
                seen = x._version_list
                if seen is None:
                    return apply(primitive, (x,))
                versions = (seen, seen[0])
            if keep_out:
                versions += (counter, 0)
            node = _new(Node)
            node.order = next_order()
            node.hooks = None
            node.primitive = primitive
            node.edges = (edge,)
            node.values = (a if keep_x else None, out if keep_out else None)
            node.versions = versions
    t = _new(TensorBase._class)
    t._data = out
    t._node = node
    t._version_list = counter
    t._view = None
    t._grad = None
    t._tangents = None
    return t


def binary(primitive: Elementwise, x: Any, y: Any) -> Any:
    """Apply to two values of which one is a tensor (the frequent cases written out)."""
    modes = current()
    if modes.special:
        return apply(primitive, (x, y))
    try:
        a = x._data
        dt = a.dtype
        if dt is not F32 and dt is not F64:
            return apply(primitive, (x, y))
        if type(y) is float or type(y) is int:
            b = y
        else:
            b = y._data
            if b.dtype is not dt or b.shape != a.shape:
                return apply(primitive, (x, y))
    except AttributeError:
        return apply(primitive, (x, y))
    try:
        out = primitive.forward(a, b)
    except (RuntimeWarning, FloatingPointError):
        return apply(primitive, (x, y))
    if type(out) is not _ndarray:
        out = np.asarray(out)
    counter = [0]
    node: BaseNode | None = None
    if modes.grad and primitive.vjps:
        p = x._node if x._view is None else x._fresh_node()
        if b is y:
            q = None
        else:
            q = y._node if y._view is None else y._fresh_node()
        if p is not None or q is not None:  # what has rules gives floating-point results of floating-point inputs
            keep_x, keep_y, keep_out = primitive.saves if q is None else primitive.fast[p is not None, True]
            versions: tuple[Any, ...] = ()
            if keep_x or keep_y or keep_out:
                seen = x._version_list
                if keep_x:
                    if seen is None:
                        return apply(primitive, (x, y))
                    versions = (seen, seen[0])
                if keep_y:
                    seen = y._version_list if b is not y else _NUMBER
                    if seen is None:
                        return apply(primitive, (x, y))
                    versions += (seen, seen[0])
                if keep_out:
                    versions += (counter, 0)
            node = _new(Node)
            node.order = next_order()
            node.hooks = None
            node.primitive = primitive
            node.edges = (p, q)
            node.values = (a if keep_x else None, b if keep_y else None, out if keep_out else None)
            node.versions = versions
    t = _new(TensorBase._class)
    t._data = out
    t._node = node
    t._version_list = counter
    t._view = None
    t._grad = None
    t._tangents = None
    return t


def apply(primitive: Elementwise, inputs: tuple[Any, ...], params: tuple[Any, ...] = ()) -> Any:
    """Apply to any tensors, arrays and Python numbers."""
    modes = current()
    if modes.levels:
        inputs = tuple(_constant(x) for x in inputs)
        level = top_level(inputs, modes)
        if level:
            return apply_dual(primitive, inputs, params, level)
    elif not modes.special and not params:
        arrays = _alike(primitive, inputs)
        if arrays is not None:
            try:
                out = primitive.forward(*arrays)
            except (RuntimeWarning, FloatingPointError, ValueError, TypeError):
                pass  # below it is done again, with what it takes
            else:
                return _recorded(primitive, inputs, arrays, out, modes)
    inputs = tuple(_constant(x) for x in inputs)
    arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
    first = 1 if primitive.kind == "choose" else 0
    common = _dtype.promote(*arrays[first:])
    if primitive.least == 2 and not any(type(a) not in _NUMBERS and a.dtype.kind == "f" for a in arrays):
        raise _not_defined(primitive, _dtype.of_array(arrays[0]))
    if common.rank < 2:
        if common.rank < primitive.least:
            raise _not_defined(primitive, common)
        if primitive.kind == "float":
            common = _dtype.default_float()
    target = common.np
    if modes.recorder is not None:  # then conversions are operations of their own
        inputs = tuple(
            cast_of(IMPLICIT_CAST, (x,), (target, x._data.dtype))
            if k >= first and isinstance(x, TensorBase) and x._data.dtype != target
            else x
            for k, x in enumerate(inputs)
        )
        arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
    cast = [
        a if k < first or type(a) in _NUMBERS or a.dtype == target else a.astype(target) for k, a in enumerate(arrays)
    ]
    if first or common.rank < 2 or all(type(a) in _NUMBERS for a in cast):
        cast = [_number(a, target, primitive.kind) if type(a) in _NUMBERS else a for a in cast]
    token = silence()
    try:
        out = primitive.forward(*cast, *params)
    except ValueError as error:
        shapes = ", ".join(str(getattr(a, "shape", ())) for a in arrays)
        if "broadcast" not in str(error):
            raise
        raise ShapeError(f"{primitive.name}: shapes that broadcast together are required, got {shapes}.") from None
    except TypeError as error:
        if "not supported" in str(error) or "ufunc" in str(error):
            raise _not_defined(primitive, common) from None
        raise
    finally:
        restore(token)
    if type(out) is not _ndarray:
        out = np.asarray(out)
    result = TensorBase._wrap(out)
    if modes.grad and primitive.vjps and out.dtype.kind == "f":
        edges = [_edge(x, a, out, target) for x, a in zip(inputs, arrays, strict=True)]
        if any(e is not None for e in edges):
            # A converted input is a copy, but a write to the original still counts as one to what was saved.
            sources = tuple(x if isinstance(x, TensorBase) else _Copied(c) for x, c in zip(inputs, cast, strict=True))
            result._node = _record(primitive, tuple(edges), sources, cast, params, (result,))
    if modes.special:
        special_record(primitive, inputs, params, (result,), modes)
    return result


def _alike(primitive: Elementwise, inputs: tuple[Any, ...]) -> list[Any] | None:
    """Return the arrays of tensors of one floating-point type, and numbers: those need no conversion."""
    kind = None
    arrays = []
    for x in inputs:
        if type(x) in _NUMBERS:
            arrays.append(x)
            continue
        if not isinstance(x, TensorBase):
            return None
        a = x._data
        if a.dtype is not kind:
            if not arrays and primitive.kind == "choose":
                if a.dtype.kind != "b":
                    return None
            elif kind is None and (a.dtype is F32 or a.dtype is F64):
                kind = a.dtype
            else:
                return None
        arrays.append(a)
    return arrays if kind is not None else None


def _recorded(primitive: Elementwise, inputs: tuple[Any, ...], arrays: list[Any], out: Any, modes: Modes) -> Any:
    """Return the result as a tensor, recorded where a gradient is needed."""
    if type(out) is not _ndarray:
        out = np.asarray(out)
    result = TensorBase._wrap(out)
    if modes.grad and primitive.vjps and out.dtype.kind == "f":
        edges: list[BaseNode | None] = []
        some = False
        for x, a in zip(inputs, arrays, strict=True):
            node = None
            if x is not a:
                node = x._node if x._view is None else x._fresh_node()
                if node is not None:
                    some = True
                    if a.shape != out.shape:
                        node = Node(SPREAD, (node,), (None, None, out.shape, a.shape))
            edges.append(node)
        if some:
            keep_in, keep_out, _ = primitive.plan(tuple([edge is not None for edge in edges]))
            values: list[Any] = [None] * (len(arrays) + 1)
            versions: tuple[Any, ...] = ()
            for k in keep_in:
                values[k] = arrays[k]
                counter = _NUMBER if inputs[k] is arrays[k] else inputs[k]._version_list
                if counter is None:  # an inference tensor: the general way says what is wrong
                    _record(primitive, tuple(edges), inputs, arrays, (), (result,))
                versions += (counter, counter[0])  # type: ignore[index]
            if keep_out:
                values[-1] = out
                versions += (result._version_list, 0)
            result._node = Node(primitive, tuple(edges), tuple(values), versions)
    return result


class NotDefined(DTypeError, NotImplementedError):
    """An operation that does not exist for an element type: PyTorch raises NotImplementedError."""


def _not_defined(primitive: Elementwise, common: _dtype.dtype) -> NotDefined:
    what = ("truth values", "integers", "floating-point numbers")[common.rank]
    return NotDefined(f"{primitive.name}: not defined for {what}, got {common}; convert with to().")


def _number(value: Any, target: np.dtype[Any], kind: str) -> Any:
    """Return a Python number as an array of type `target`; integers beyond its range wrap, or compare exactly."""
    if type(value) is int and target.kind in "iu" and not np.can_cast(np.min_scalar_type(value), target):
        wide = np.asarray(value)
        return wide if kind == "compare" else wide.astype(target)
    return np.asarray(value, target)


_WORDS: dict[Any, Any] = {F32: np.dtype(np.int32), F64: np.dtype(np.int64)}


def choose(condition: Any, x: Any, y: Any) -> Any:
    """Return ``np.where(condition, x, y)``; for many floating-point numbers by bits.

    NumPy branches at every element, which costs ten times a product where the condition is irregular.
    """
    if type(condition) is _ndarray and condition.size >= 2048 and condition.dtype.kind == "b":
        common: Any = np.result_type(x, y)
        word = _WORDS.get(common)
        if word is not None:
            bits = np.negative(condition.view(np.int8), dtype=word)  # all ones where x is chosen
            a, b = np.asarray(x, common).view(word), np.asarray(y, common).view(word)
            if _is_zero(y):
                return np.bitwise_and(a, bits, out=bits if a.shape == bits.shape else None).view(common)
            if _is_zero(x):
                np.invert(bits, out=bits)
                return np.bitwise_and(b, bits, out=bits if b.shape == bits.shape else None).view(common)
            mixed = np.bitwise_and(np.bitwise_xor(a, b), bits)
            return np.bitwise_xor(mixed, b, out=mixed).view(common)
    return np.where(condition, x, y)


def _is_zero(x: Any) -> bool:
    return type(x) in _NUMBERS and x == 0 and math.copysign(1.0, x) > 0


def zeros(g: Any) -> Any:
    """Return zeros like a gradient: what a function constant almost everywhere hands on."""
    if not isinstance(g, TensorBase):
        return np.zeros(g.shape, g.dtype)
    made = TensorBase._wrap(np.zeros(g._data.shape, g._data.dtype))
    recorder = current().recorder
    if recorder is not None:
        recorder.constant(made)
    return made


class _Copied(TensorBase):
    """A number: nobody else can write to it."""

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        self._data = data
        self._version_list = [0]
        self._node = None
        self._view = None
        self._grad = None
        self._tangents = None


def _constant(x: Any) -> Any:
    if isinstance(x, TensorBase) or type(x) in _NUMBERS:
        return x
    if isinstance(x, (float, int)) and not isinstance(x, np.generic):
        return float(x) if isinstance(x, float) else int(x)
    if isinstance(x, (np.ndarray, np.generic)):
        return TensorBase._wrap(_dtype.accepted(np.asarray(x)))
    raise DTypeError(f"a tensor, an array or a number is required, got {type(x).__name__}.")


def _edge(x: Any, array: Any, out: Any, target: np.dtype[Any]) -> BaseNode | None:
    """Return where the gradient of an input goes: through the undoing of its cast and its broadcast."""
    if not isinstance(x, TensorBase):
        return None
    node = x._node if x._view is None else x._fresh_node()
    if node is None:
        return None
    if array.dtype != target:
        node = Node(IMPLICIT_CAST, (node,), (None, None, target, array.dtype, None))
    if array.shape != out.shape:
        node = Node(SPREAD, (node,), (None, None, out.shape, array.shape))
    return node
