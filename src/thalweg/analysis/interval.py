"""Interval arithmetic over recorded programs: bounds that hold for every point of a box, rounding included.

Sums and products are widened only where rounding lost something (found by error-free transformations), so exact
arithmetic stays exact. Elementary functions are widened by four units in the last place, more than NumPy errs.
Only smooth primitives have rules; any other ends the evaluation with :class:`Undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.modes import current, enter, restore, silence
from ..core.primitive import Primitive
from ..core.tensor import TensorBase

__all__ = ["Interval", "Tape", "Undecided", "evaluate"]

Array = np.ndarray[Any, Any]


class Undecided(Exception):
    """The program cannot be bounded; the message says by which operation."""


class Interval:
    """Elementwise bounds: ``lo <= value <= hi``."""

    __slots__ = ("hi", "lo")

    def __init__(self, lo: Any, hi: Any) -> None:
        self.lo, self.hi = np.asarray(lo, np.float64), np.asarray(hi, np.float64)

    @staticmethod
    def exactly(value: Any) -> Interval:
        """Return a single value as an interval."""
        array = np.asarray(value, np.float64)
        return Interval(array, array)


def _down(x: Array, error: Array) -> Array:
    return np.where(error >= 0, x, np.nextafter(x, -np.inf))


def _up(x: Array, error: Array) -> Array:
    return np.where(error <= 0, x, np.nextafter(x, np.inf))


def _sum_error(a: Array, b: Array, s: Array) -> Array:
    """What rounding took from a + b (Knuth): true sum minus s."""
    t = s - a
    return np.asarray((a - (s - t)) + (b - t))


def _split(a: Array) -> tuple[Array, Array]:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _product_error(a: Array, b: Array, p: Array) -> Array:
    """What rounding took from a · b (Dekker): true product minus p."""
    ah, al = _split(a)
    bh, bl = _split(b)
    return np.asarray(al * bl - (((p - ah * bh) - al * bh) - ah * bl))


def add(x: Interval, y: Interval) -> Interval:
    """Sum."""
    lo, hi = x.lo + y.lo, x.hi + y.hi
    return Interval(_down(lo, _sum_error(x.lo, y.lo, lo)), _up(hi, _sum_error(x.hi, y.hi, hi)))


def neg(x: Interval) -> Interval:
    """Negative."""
    return Interval(-x.hi, -x.lo)


def mul(x: Interval, y: Interval) -> Interval:
    """Product; 0 times infinity counts as 0, as for limits of bounded sets."""
    pairs = [(a, b) for a in (x.lo, x.hi) for b in (y.lo, y.hi)]
    lows, highs = [], []
    for a, b in pairs:
        p = np.where((a == 0) | (b == 0), 0.0, a * b)
        e = np.where(p == 0, np.where((a == 0) | (b == 0), 0.0, np.nan), _product_error(a, b, p))
        lows.append(np.where(np.isnan(e), np.nextafter(p, -np.inf), _down(p, e)))
        highs.append(np.where(np.isnan(e), np.nextafter(p, np.inf), _up(p, e)))
    return Interval(np.minimum.reduce(np.broadcast_arrays(*lows)), np.maximum.reduce(np.broadcast_arrays(*highs)))


def reciprocal(x: Interval) -> Interval:
    """One over; undecided where the interval holds 0."""
    if ((x.lo <= 0) & (x.hi >= 0)).any():
        raise Undecided("a division by an interval that holds 0")
    return _widened(1 / x.hi, 1 / x.lo)


def _widened(lo: Any, hi: Any, ulps: int = 4) -> Interval:
    exact = lo == hi
    low, high = np.asarray(lo, np.float64), np.asarray(hi, np.float64)
    for _ in range(ulps):
        low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
    return Interval(low, high) if not np.all(exact & np.isin(lo, (0.0, 1.0))) else Interval(lo, hi)


def _increasing(function: Callable[[Array], Array], low: float = -np.inf, high: float = np.inf) -> Any:
    def rule(x: Interval) -> Interval:
        r = _widened(function(x.lo), function(x.hi))
        return Interval(np.maximum(r.lo, low), np.minimum(r.hi, high))

    return rule


def _positive_only(function: Callable[[Array], Array], what: str) -> Any:
    def rule(x: Interval) -> Interval:
        if (x.lo <= 0).any():
            raise Undecided(f"{what} of an interval that reaches 0")
        return _widened(function(x.lo), function(x.hi))

    return rule


def power(x: Interval, n: float) -> Interval:
    """Power with a constant exponent."""
    if n == 0:
        return Interval.exactly(np.ones_like(x.lo))
    if n == 1:
        return x
    if float(n).is_integer() and n > 0:
        if n % 2 == 0:
            low = np.where((x.lo <= 0) & (x.hi >= 0), 0.0, np.minimum(np.abs(x.lo), np.abs(x.hi)))
            size = Interval(low, np.maximum(np.abs(x.lo), np.abs(x.hi)))
        else:
            size = x
        if n > 64:
            return _widened(size.lo**n, size.hi**n, 8)
        if not (size.lo >= 0).all():  # an odd power increases: bound the ends apart
            return Interval(_odd(x.lo, n, -1), _odd(x.hi, n, 1))
        result = size
        for _ in range(int(n) - 1):
            result = mul(result, size)
        return result
    if float(n).is_integer():
        return reciprocal(power(x, -n))
    if (x.lo <= 0).any():
        raise Undecided(f"the power {n:g} of an interval that reaches 0")
    ends = (x.lo**n, x.hi**n)
    return _widened(np.minimum(*ends), np.maximum(*ends))


def _odd(x: Array, n: float, side: int) -> Array:
    p = x**n
    for _ in range(4):
        p = np.nextafter(p, side * np.inf)
    return np.where(x == 0, 0.0, p)


def cosine(x: Interval) -> Interval:
    """Cosine: 1 or -1 where an extremum may lie inside, else the ends."""
    wide = x.hi - x.lo >= 2 * np.pi
    k = np.floor(x.lo / np.pi)
    slack = 1e-9 * (1 + np.abs(x.lo))
    inside_max = wide | (2 * np.pi * np.ceil((x.lo - slack) / (2 * np.pi)) <= x.hi + slack)
    inside_min = wide | (2 * np.pi * np.ceil((x.lo - np.pi - slack) / (2 * np.pi)) + np.pi <= x.hi + slack)
    ends = np.cos(x.lo), np.cos(x.hi)
    r = _widened(np.minimum(*ends), np.maximum(*ends))
    thin = (x.lo == x.hi) & np.isfinite(k)
    return Interval(
        np.where(inside_min & ~thin, -1.0, np.maximum(r.lo, -1)), np.where(inside_max & ~thin, 1.0, np.minimum(r.hi, 1))
    )


def sine(x: Interval) -> Interval:
    """Sine, as a shifted cosine."""
    shifted = _widened(x.lo - np.pi / 2, x.hi - np.pi / 2)
    r = cosine(shifted)
    thin = x.lo == x.hi
    s = _widened(np.sin(x.lo), np.sin(x.hi))
    return Interval(np.where(thin, s.lo, r.lo), np.where(thin, s.hi, r.hi))


def hyperbolic_cosine(x: Interval) -> Interval:
    """Hyperbolic cosine: least where the interval is nearest to 0."""
    low = np.where((x.lo <= 0) & (x.hi >= 0), 0.0, np.minimum(np.abs(x.lo), np.abs(x.hi)))
    r = _widened(np.cosh(low), np.cosh(np.maximum(np.abs(x.lo), np.abs(x.hi))))
    return Interval(np.maximum(r.lo, 1.0), r.hi)


def total(x: Interval, axes: tuple[int, ...], keepdim: bool) -> Interval:
    """Sum over axes, one term after the other."""
    rest = tuple(k for k in range(x.lo.ndim) if k not in axes)
    order = (*axes, *rest)
    shape = tuple(x.lo.shape[k] for k in rest)
    lo, hi = (a.transpose(order).reshape(-1, *shape) for a in (x.lo, x.hi))
    result = Interval.exactly(np.zeros(shape))
    for a, b in zip(lo, hi, strict=True):
        result = add(result, Interval(a, b))
    if keepdim:
        kept = tuple(1 if k in axes else n for k, n in enumerate(x.lo.shape))
        return Interval(result.lo.reshape(kept), result.hi.reshape(kept))
    return result


def _sigmoid(x: Array) -> Array:
    z = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, z) / (1 + z)


_UNARY: dict[str, Callable[[Interval], Interval]] = {
    "neg": neg,
    "exp": _increasing(np.exp, 0.0),
    "expm1": _increasing(np.expm1, -1.0),
    "log": _positive_only(np.log, "the logarithm"),
    "log1p": lambda x: _positive_only(np.log, "the logarithm")(add(x, Interval.exactly(1.0))),
    "sqrt": _positive_only(np.sqrt, "the square root"),
    "rsqrt": lambda x: reciprocal(_positive_only(np.sqrt, "the square root")(x)),
    "tanh": _increasing(np.tanh, -1.0, 1.0),
    "sigmoid": _increasing(_sigmoid, 0.0, 1.0),
    "atan": _increasing(np.arctan),
    "sinh": _increasing(np.sinh),
    "asinh": _increasing(np.arcsinh),
    "cosh": hyperbolic_cosine,
    "sin": sine,
    "cos": cosine,
    "square": lambda x: power(x, 2),
    "reciprocal": reciprocal,
    "softplus": _increasing(lambda x: np.logaddexp(0, x), 0.0),
}
# Each result element is one input element, or a sum of some: apply to both ends.
_SELECTING = frozenset(
    {
        "view", "permute", "transpose", "t", "unsqueeze", "squeeze", "slice", "select", "expand", "index", "slice_back",
        "clone", "_to_copy", "detach", "unfold", "diagonal", "flip", "roll", "movedim", "select_back", "as_strided", "copy",
        "narrow", "tril", "triu", "contiguous", "expand_as", "repeat", "unbind",
    }
)  # fmt: skip


class Tape:
    """A recorder that writes down operations and nothing else. Values are known by their arrays."""

    def __init__(self) -> None:
        self.operations: list[tuple[Primitive, tuple[Any, ...], tuple[Any, ...], tuple[Array, ...]]] = []
        self.same: list[tuple[Array, Array]] = []
        self.trouble: str | None = None

    def operation(self, primitive: Primitive, inputs: Any, params: Any, outputs: Any) -> None:
        """Keep one operation."""
        arrays = tuple(x._data if isinstance(x, TensorBase) else x for x in inputs)
        self.operations.append((primitive, arrays, params, tuple(o._data for o in outputs)))

    def copied(self, source: Any, copy: Any) -> None:
        """Keep that two arrays hold one value."""
        self.operations.append((_SAME, (source,), (), (copy,)))

    def write(self, target: Any, value: Any) -> None:
        """A write in place: refused."""
        self.trouble = "a write in place"

    def read(self, tensor: Any, how: str) -> None:
        """A value that Python looked at: what follows may depend on it."""
        self.trouble = f"a decision of Python on a value ({how})"

    def draws(self, generator: Any) -> None:
        """A random number: refused."""
        self.trouble = "a random number"

    def constant(self, tensor: Any) -> None:
        """Made from data: a constant."""

    def gradient(self, tensor: Any) -> None:
        """Not used: gradients are asked for, not accumulated."""

    def cleared(self, tensor: Any) -> None:
        """Not used."""

    def module(self, module: Any) -> None:
        """A module runs: its operations follow."""

    def optimizer(self, optimizer: Any) -> None:
        """Not used."""

    def setting(self, group: Any, key: Any, at: Any, kind: Any) -> Any:
        """Not used."""
        raise Undecided("an optimizer")

    def __enter__(self) -> Tape:
        self._outer = current()
        enter(self._outer.replace(recorder=self))
        return self

    def __exit__(self, *exc: object) -> None:
        enter(self._outer)


_SAME = Primitive("clone", lambda x: x, (None,))


def evaluate(tape: Tape, inputs: dict[int, Interval]) -> dict[int, Interval]:
    """Return the bounds of every value of a tape, by the identity of its array; `inputs` gives those of the inputs."""
    if tape.trouble is not None:
        raise Undecided(tape.trouble)
    known = dict(inputs)
    token = silence()
    try:
        for primitive, arrays, params, outs in tape.operations:
            if any(id(a) in known for a in arrays if isinstance(a, np.ndarray)):
                if len(outs) != 1:
                    raise Undecided(f"the operation {primitive.name}")
                args = [known.get(id(a)) or Interval.exactly(a) for a in arrays]
                known[id(outs[0])] = _bounds(primitive, args, arrays, params, known)
    finally:
        restore(token)
    return known


def _bounds(primitive: Primitive, args: list[Interval], arrays: Any, params: Any, known: Any) -> Interval:
    name = primitive.name
    if name in _UNARY and len(args) == 1:
        return _UNARY[name](args[0])
    if name in _SELECTING and len(args) == 1:
        return Interval(primitive.forward(args[0].lo, *params), primitive.forward(args[0].hi, *params))
    if name in ("cat", "stack"):
        return Interval(
            primitive.forward([a.lo for a in args], *params), primitive.forward([a.hi for a in args], *params)
        )
    if name in ("add", "sub", "rsub"):
        x, y = args
        return add(x, y) if name == "add" else add(x, neg(y)) if name == "sub" else add(y, neg(x))
    if name == "mul":
        return power(args[0], 2) if arrays[0] is arrays[1] else mul(*args)
    if name == "div" and not params:
        return mul(args[0], reciprocal(args[1]))
    if name == "pow" and not isinstance(arrays[1], np.ndarray):
        return power(args[0], float(arrays[1]))
    if name in ("sum", "mean"):
        axes, keepdim = params[0], params[1]
        result = total(args[0], axes, keepdim)
        if name == "mean":
            n = np.prod([args[0].lo.shape[k] for k in axes])
            result = mul(result, reciprocal(Interval.exactly(float(n))))
        return result
    if name == "sum_to":
        return _summed_to(args[0], params[0])
    if name in ("mm", "mv", "dot", "bmm", "outer"):
        return _product(name, *args)
    raise Undecided(f"the operation {name}, for which there are no bounds")


def _summed_to(x: Interval, shape: tuple[int, ...]) -> Interval:
    extra = x.lo.ndim - len(shape)
    axes = (*range(extra), *(k + extra for k, n in enumerate(shape) if n == 1 and x.lo.shape[k + extra] != 1))
    r = total(x, axes, True) if axes else x
    return Interval(r.lo.reshape(shape), r.hi.reshape(shape))


def _product(name: str, x: Interval, y: Interval) -> Interval:
    if name == "outer":
        return mul(Interval(x.lo[:, None], x.hi[:, None]), y)
    if name == "dot":
        return total(mul(x, y), (0,), False)
    if name == "mv":
        return total(mul(x, y), (1,), False)
    left = Interval(x.lo[..., :, :, None], x.hi[..., :, :, None])
    right = Interval(y.lo[..., None, :, :], y.hi[..., None, :, :])
    terms = mul(left, right)
    return total(terms, (terms.lo.ndim - 2,), False)
