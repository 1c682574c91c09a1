"""Convexity on a box: certified, refuted by a chord, or not decided; never "convex" for a function that is not.

The Hessian is recorded once as a program and bounded over the box by interval arithmetic, the box cut in halves
where the bounds are too wide. A positive semidefinite bound everywhere certifies. Refutation needs one chord with
the function above it by more than rounding can explain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass
from ..errors import ArgumentError
from ..minimize.objective import Objective, start
from ..ops.tensor import Tensor
from .interval import Interval, Tape, Undecided, evaluate

__all__ = ["Convexity", "convexity"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Convexity:
    """The verdict (``convex``, ``not convex``, ``not decided``), its reason, and the chord that refutes, if any."""

    verdict: str
    reason: str
    chord: tuple[Array, Array] | None = None
    excess: float = 0.0
    boxes: int = 0

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def convexity(
    fun: Callable[[Any], Any], low: Any, high: Any, *, boxes: int = 2000, chords: int = 2000, seed: int = 0
) -> Convexity:
    """Decide whether `fun` is convex on the box from `low` to `high`, if this method can.

    `boxes` bounds how finely the box is cut, `chords` how many are tried.

    >>> import thalweg as tw
    >>> print(convexity(lambda x: tw.exp(0.5 * x).sum(), [-2.0], [2.0]))
    convex: the Hessian is positive semidefinite on all of 1 box
    >>> convexity(lambda x: tw.cos(np.pi * x).sum(), [-2.0], [2.0]).verdict
    'not convex'
    """
    lo, hi = np.broadcast_arrays(start(low, "convexity").reshape(-1), start(high, "convexity").reshape(-1))
    if not (lo <= hi).all() or not np.isfinite([lo, hi]).all():
        raise ArgumentError("convexity: a bounded box with low <= high in every coordinate is required.")
    lo, hi = lo.copy(), hi.copy()
    refuted = _refute(fun, lo, hi, chords, seed)
    if refuted is not None:
        return refuted
    try:
        return _certify(fun, lo, hi, boxes)
    except Undecided as why:
        return Convexity("not decided", f"no chord refutes it, and the Hessian has no bounds because of {why}")


# Refutation


def _refute(fun: Any, lo: Array, hi: Array, chords: int, seed: int) -> Convexity | None:
    rng = np.random.default_rng(seed)
    f = Objective(fun, lo.shape, who="convexity")
    width = hi - lo

    def test(a: Array, b: Array) -> Convexity | None:
        values = [f.value(p) for p in (a, b, (a + b) / 2)]
        if not np.isfinite(values).all():
            return None
        excess = values[2] - (values[0] + values[1]) / 2
        if excess > 1e-9 * max(np.abs(values)) + 1e-300 and excess > 1e-13:
            where = f"the middle of the chord from {_short(a)} to {_short(b)} lies {excess:.3g} below the function"
            return Convexity("not convex", where, (a, b), float(excess))
        return None

    for k in range(chords):
        a = lo + rng.random(lo.size) * width
        if k % 4 == 0:
            b = lo + rng.random(lo.size) * width
        else:  # short chords, at many scales, find small dents
            b = np.clip(a + rng.normal(size=lo.size) * width * 10 ** -rng.uniform(0, 2.5), lo, hi)
        found = test(a, b)
        if found is not None:
            return found
    for k in range(min(50, chords)):  # along the most negative curvature
        x = lo + rng.random(lo.size) * width if k else (lo + hi) / 2
        h = f.hessian(x)
        if not np.isfinite(h).all():
            continue
        values, vectors = np.linalg.eigh(h)
        if values[0] < 0:
            for scale in (0.1, 0.01, 0.001):
                d = vectors[:, 0] * width * scale
                found = test(np.clip(x - d, lo, hi), np.clip(x + d, lo, hi))
                if found is not None:
                    return found
    return None


def _short(x: Array) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in x) + ")"


# Certification


def _record(fun: Any, at: Array) -> tuple[Tape, Array, list[list[Array]]]:
    """Record the Hessian at a point: the tape, the input's array, and the arrays of the rows."""
    tape = Tape()
    n = at.size
    rows: list[list[Array]] = []
    with tape, enable_grad():
        x: Any = Tensor._wrap(at.copy())
        x.requires_grad_()
        out = fun(x)
        if not out.requires_grad:
            return tape, x._data, []
        one = Tensor._wrap(np.ones(out._data.shape, out._data.dtype))
        (g,) = backward_pass([(out, one)], [x], True, True)
        if g is None or not g.requires_grad:
            return tape, x._data, []
        for k in range(n):
            unit = np.zeros(n)
            unit[k] = 1.0
            (row,) = backward_pass([(g, Tensor._wrap(unit))], [x], False, True)
            rows.append([] if row is None else [row._data])
    return tape, x._data, rows


def _certify(fun: Any, lo: Array, hi: Array, limit: int) -> Convexity:
    n = lo.size
    tape, x, rows = _record(fun, (lo + hi) / 2)
    if tape.trouble is not None:
        raise Undecided(tape.trouble)
    _only_smooth(tape, x)
    waiting, done = [(lo, hi)], 0
    why = "the bounds are too wide"
    while waiting:
        if done >= limit:
            reason = f"no chord refutes it, and {limit} boxes do not certify it ({why})"
            return Convexity("not decided", reason, boxes=done)
        a, b = waiting.pop()
        done += 1
        try:
            known = evaluate(tape, {id(x): Interval(a, b)})
            zero = Interval.exactly(np.zeros(n))
            bounds = [known.get(id(r[0]), Interval.exactly(r[0])) if r else zero for r in rows]
            matrix = Interval(np.array([r.lo for r in bounds]), np.array([r.hi for r in bounds])) if rows else None
            if matrix is None or _semidefinite(matrix):
                continue
        except Undecided as reason:
            why = str(reason)
        k = int(np.argmax(b - a))
        middle = (a[k] + b[k]) / 2
        if not a[k] < middle < b[k] or (b - a)[k] < 1e-6 * max((hi - lo)[k], 1e-300):
            reason_text = (
                f"no chord refutes it, but the Hessian's bounds near {_short((a + b) / 2)} never become positive"
            )
            return Convexity("not decided", reason_text, boxes=done)
        left, right = b.copy(), a.copy()
        left[k] = right[k] = middle
        waiting += [(right, b), (a, left)]
    boxes = "1 box" if done == 1 else f"{done} boxes"
    return Convexity("convex", f"the Hessian is positive semidefinite on all of {boxes}", boxes=done)


def _only_smooth(tape: Tape, x: Array) -> None:
    """A function with kinks may bend downwards at one while its Hessian is positive everywhere else."""
    moving = {id(x)}
    for primitive, arrays, _, outs in tape.operations:
        if any(id(a) in moving for a in arrays if isinstance(a, np.ndarray)):
            if any(o.dtype.kind != "f" for o in outs) or primitive.name in (
                "sign",
                "where",
                "abs",
                "relu",
                "maximum",
                "minimum",
            ):
                raise Undecided(f"a kink or a jump in {primitive.name}")
            moving.update(id(o) for o in outs)


def _semidefinite(h: Interval) -> bool:
    """Whether every symmetric matrix within the bounds is positive semidefinite."""
    if not (np.isfinite(h.lo).all() and np.isfinite(h.hi).all()):
        return False
    low, high = np.maximum(h.lo, h.lo.T), np.minimum(h.hi, h.hi.T)  # the Hessian is symmetric: both bounds hold
    size = np.maximum(np.abs(low), np.abs(high))
    off = size.sum(axis=1) - np.diag(size)
    slack = 1e-14 * off * (off > 0) * (np.count_nonzero(size, axis=1) > 2)
    if (np.diag(low) >= off + slack).all():  # Gershgorin
        return True
    if (low == high).all():
        return _exactly_semidefinite(low)
    middle, radius = (low + high) / 2, (high - low) / 2
    scale = float(np.abs(middle).sum())
    least = float(np.linalg.eigvalsh((middle + middle.T) / 2)[0])
    spread = float(np.abs(radius).sum(axis=1).max())
    return least - spread - 1e-12 * max(scale, 1e-300) >= 0


def _exactly_semidefinite(m: Array) -> bool:
    """Gaussian elimination over the rationals, with the largest diagonal as pivot: no rounding at all."""
    rows = [[Fraction(float(v)) for v in row] for row in m]
    left = list(range(len(rows)))
    while left:
        p = max(left, key=lambda k: rows[k][k])
        if rows[p][p] < 0:
            return False
        left.remove(p)
        if rows[p][p] == 0:
            return all(rows[i][j] == 0 for i in (*left, p) for j in (*left, p))
        for i in left:
            factor = rows[i][p] / rows[p][p]
            for j in left:
                rows[i][j] -= factor * rows[p][j]
    return True
