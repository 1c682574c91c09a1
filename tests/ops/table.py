"""The table of operations: what a row says, and what the properties do with it.

To add an operation, put a `Row` into the tuple ``ROWS`` of the ``rows_*.py`` of its family; every file of that
name beside this one is found by itself. `test_properties.py` then holds each row to all properties.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.core.modes import current, enter

Samples = Callable[[np.random.Generator], "Sequence[Sample]"]


@dataclass(frozen=True)
class Sample:
    """One call: its arguments, in which every NumPy array (also inside lists and tuples) becomes a tensor.

    Floating-point arrays must be float64; they are the differentiable inputs. To keep one out of the
    differentiation (a mask of weights, a target), wrap it in :class:`Constant`.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Constant:
    """An array that is given as a tensor and not differentiated."""

    array: Any


def sample(*args: Any, **kwargs: Any) -> Sample:
    """Return the call ``function(*args, **kwargs)``."""
    return Sample(args, kwargs)


@dataclass(frozen=True)
class Row:
    """One operation, how to call it, and what it must agree with.

    name
        What the operation is called below ``thalweg`` (``exp``, ``special.i1``, ``linalg.inv``,
        ``nn.functional.gelu``, ``Tensor.unfold``); several rows may share one, told apart by ``[...]`` after it.
    function
        What is called. Wrap it in a lambda to pick or fix a gauge (``lambda a: tw.linalg.eigh(a)[0]``); it returns
        a tensor or a tuple (also nested, also named) of tensors.
    samples
        ``samples(rng)`` returns the calls to try. Keep them small (about ten elements each: every element costs
        two evaluations per property) and away from kinks and singularities; kinks have a table of their own.
    reference
        The same call on NumPy arrays, by NumPy or SciPy, or None.
    differentiable, second
        Whether first and second derivatives exist and are checked. (A row that is not differentiable is also
        checked not to require grad.)
    forward
        Whether forward mode is checked.
    inputs
        For elementwise operations, how many tensors come first in `args`: broadcasting, 0-d and empty inputs are
        then tried too. 0 for all others, which give such samples themselves where they make sense.
    rtol, rtol32
        Relative tolerance of value against reference, and of float32 against float64.
    grad_rtol
        Relative tolerance of derivatives against differences.
    keeps_float32
        Whether float32 inputs give float32 results, and the same to rounding.
    strided
        Whether non-contiguous inputs must give the same (False where the operation asks for contiguous memory).
    """

    name: str
    function: Callable[..., Any]
    samples: Samples
    reference: Callable[..., Any] | None = None
    differentiable: bool = True
    second: bool = True
    forward: bool = True
    inputs: int = 0
    rtol: float = 1e-10
    rtol32: float = 2e-5
    grad_rtol: float = 1e-6
    keeps_float32: bool = True
    strided: bool = True

    def calls(self) -> list[Sample]:
        """Return the samples, the same each time; of elementwise operations one more, which broadcasts."""
        found = list(self.samples(np.random.default_rng(sum(map(ord, self.name)))))
        if self.inputs > 1:
            first, *others = found[0].args[: self.inputs]
            found.append(Sample((first, *(a[:1] for a in others), *found[0].args[self.inputs :]), found[0].kwargs))
        return found


def all_rows() -> list[Row]:
    """Return the rows of every ``rows_*.py``."""
    found: list[Row] = []
    for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if module.startswith("rows_"):
            found += importlib.import_module(f"{__package__}.{module}").ROWS
    return found


# Calling


def leaves(value: Any) -> Iterator[Any]:
    """Yield the arrays (or tensors) in nested lists and tuples, in order."""
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif isinstance(value, (np.ndarray, np.generic, tw.Tensor)):
        yield value


def mapped(value: Any, f: Callable[[Any], Any]) -> Any:
    """Return `value` with `f` applied to the arrays and constants inside."""
    if isinstance(value, (np.ndarray, Constant)):
        return f(value)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(mapped(v, f) for v in value)
    if isinstance(value, list):
        return [mapped(v, f) for v in value]
    if isinstance(value, dict):
        return {k: mapped(v, f) for k, v in value.items()}
    return value


def plain(call: Sample) -> Sample:
    """Return the call with constants unwrapped, for the reference."""
    take = lambda a: a.array if isinstance(a, Constant) else a
    return Sample(mapped(call.args, take), mapped(call.kwargs, take))


def run(
    row: Row,
    call: Sample,
    *,
    grad: bool = False,
    change: Callable[[Any], Any] = lambda a: a,
    values: Sequence[Any] | None = None,
) -> tuple[list[Any], list[Any]]:
    """Call the row's function on tensors; return the differentiable inputs and the tensors of the result.

    `values` replaces the differentiable arrays, in order (by arrays or tensors); `change` is applied to every array.
    """
    wanted: list[Any] = []
    given = iter(values) if values is not None else None

    def made(a: Any) -> Any:
        if isinstance(a, Constant):
            return tw.from_numpy(np.array(change(a.array)) if change(a.array).ndim == 0 else change(a.array))
        if a.dtype.kind != "f":
            return tw.from_numpy(a)
        value = next(given) if given is not None else change(a)
        t = value if isinstance(value, tw.Tensor) else tw.from_numpy(np.asarray(value))
        if grad and not t.requires_grad:
            t = t.detach().requires_grad_()
        wanted.append(t)
        return t

    args, kwargs = mapped(call.args, made), mapped(call.kwargs, made)
    return wanted, list(leaves(row.function(*args, **kwargs)))


def floating(call: Sample) -> list[np.ndarray]:
    """Return the differentiable arrays of a call."""
    found: list[np.ndarray] = []
    mapped(
        (call.args, call.kwargs),
        lambda a: found.append(a) if not isinstance(a, Constant) and a.dtype.kind == "f" else None,
    )
    return found


# Differences


def differences(f: Callable[[list[np.ndarray]], float], xs: list[np.ndarray], h: float = 1e-5) -> list[np.ndarray]:
    """Return the gradient of `f` by fourth-order central differences."""
    gradients = []
    for k, x in enumerate(xs):
        g = np.zeros(x.shape)
        for at in np.ndindex(x.shape):
            step = h * max(1.0, abs(float(x[at])))

            def moved(by: float, at: Any = at, k: int = k, x: np.ndarray = x) -> float:
                y = x.copy()
                y[at] += by
                return f([*xs[:k], y, *xs[k + 1 :]])

            # step 30h keeps the fourth-order formula's rounding and truncation errors both near 1e-11
            s = 30 * step
            g[at] = (8 * (moved(s) - moved(-s)) - (moved(2 * s) - moved(-2 * s))) / (12 * s)
        gradients.append(g)
    return gradients


def weights(outs: Sequence[Any], seed: int = 5) -> list[np.ndarray]:
    """Return fixed weights for the floating results, to make a scalar of them."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.5, o.shape) for o in outs]


def weighted(outs: Sequence[Any], ws: Sequence[np.ndarray]) -> Any:
    """Return the sum of the results times their weights."""
    total: Any = None
    for o, w in zip(outs, ws, strict=True):
        term = (o * w).sum()
        total = term if total is None else total + term
    return total


def gradients(row: Row, call: Sample, values: Sequence[Any] | None = None, create_graph: bool = False) -> Any:
    """Return the inputs and the gradients of the weighted sum of the results (zeros where unused)."""
    xs, _, found = total_and_gradients(row, call, values, create_graph)
    return xs, found


def total_and_gradients(
    row: Row, call: Sample, values: Sequence[Any] | None = None, create_graph: bool = False
) -> tuple[list[Any], Any, list[Any]]:
    """Return the inputs, the weighted sum of the results, and its gradients (zeros where unused)."""
    xs, outs = run(row, call, grad=True, values=values)
    smooth = [o for o in outs if o.requires_grad]
    if not smooth:
        return xs, tw.zeros(()), [tw.zeros_like(x) for x in xs]
    total = weighted(smooth, weights(smooth))
    return xs, total, backward(total, xs, create_graph)


def backward(total: Any, xs: Sequence[Any], create_graph: bool = False) -> list[Any]:
    """Return the gradients of `total`, zeros where it does not depend on an input."""
    from thalweg.core.engine import backward_pass

    if not total.requires_grad:
        return [tw.zeros_like(x) for x in xs]
    found = backward_pass([(total, tw.ones_like(total))], list(xs), create_graph, create_graph)
    return [tw.zeros_like(x) if g is None else g for g, x in zip(found, xs, strict=True)]


def tangents(f: Callable[[list[Any]], list[Any]], xs: Sequence[Any], vs: Sequence[np.ndarray]) -> list[Any]:
    """Return (results, tangents) of `f` in forward mode, at `xs` along `vs`."""
    modes = current()
    level = max(modes.levels, default=0) + 1
    enter(modes.replace(levels=(*modes.levels, level)))
    try:
        duals = []
        for x, v in zip(xs, vs, strict=True):
            dual = x._alias()
            dual._tangents = {**(dual._tangents or {}), level: tw.from_numpy(np.asarray(v))}
            duals.append(dual)
        outs = f(duals)
        moved = [(o._tangents or {}).get(level) for o in outs]
    finally:
        enter(modes)
    return [tw.zeros_like(o) if t is None else t for o, t in zip(outs, moved, strict=True)]


class Watcher:
    """A recorder that remembers which primitives it saw."""

    def __init__(self) -> None:
        self.seen: set[Any] = set()

    def operation(self, primitive: Any, inputs: Any, params: Any, outputs: Any) -> None:
        self.seen.add(primitive)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


def watched(f: Callable[[], Any], watcher: Watcher | None = None) -> set[Any]:
    """Return the primitives that `f` applies; tell `watcher` of them."""
    modes, watcher = current(), watcher or Watcher()
    enter(modes.replace(recorder=watcher))
    try:
        f()
    finally:
        enter(modes)
    return watcher.seen


# Samples of elementwise operations


def grid(low: float = -2.0, high: float = 2.0, avoid: Sequence[float] = (), margin: float = 0.05) -> Samples:
    """Return a sampler of one array of 6 numbers within [low, high], `margin` away from the points to avoid."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        return [sample(_away(rng.uniform(low, high, (2, 3)), avoid, margin))]

    return samples


def pairs(
    first: tuple[float, float] = (-2.0, 2.0),
    second: tuple[float, float] = (-2.0, 2.0),
    avoid: Sequence[float] = (),
    apart: float = 0.0,
) -> Samples:
    """Return a sampler of two arrays, the second off `avoid` and, elementwise, at least `apart` from the first."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        x, y = rng.uniform(*first, (2, 3)), _away(rng.uniform(*second, (2, 3)), avoid, 0.1)
        if apart:
            y = np.where(np.abs(x - y) < apart, x + np.sign(y - x + 1e-12) * apart, y)
        return [sample(x, y)]

    return samples


def _away(x: np.ndarray, points: Sequence[float], margin: float) -> np.ndarray:
    for p in points:
        x = np.where(np.abs(x - p) < margin, p + margin * np.where(x < p, -1.5, 1.5), x)
    return x
