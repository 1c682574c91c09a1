"""Memory that arguments, captured tensors and results share; arguments of every kind; settings that state starts from."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

pytest.importorskip("numba")


def both(make: Any, calls: Any) -> None:
    """Run the same calls of a function made anew, as written and compiled, and compare all that they leave."""
    found = []
    for compiled in (False, True):
        fn, world = make()
        fast = tw.compile(fn) if compiled else fn
        found.append(calls(fast, world))
    assert found[0] == found[1]


def writes(a: Any, b: Any) -> Any:
    a.add_(1)
    return b * 1


def twice(fast: Any, _: Any) -> Any:
    p, q = tw.zeros(2), tw.zeros(2)
    first = fast(p, q).tolist()
    return [first, fast(p, p).tolist(), fast(p, p).tolist(), fast(p, q).tolist(), p.tolist()]


def overlapping(fast: Any, _: Any) -> Any:
    found = []
    for cut in ((slice(0, 3), slice(1, 4)), (slice(0, 2), slice(2, 4)), (slice(0, 2), slice(1, 3))):
        x = tw.zeros(4)
        fast(tw.zeros(2), tw.zeros(2))
        found.append((fast(x[cut[0]], x[cut[1]]).tolist(), x.tolist()))
    return found


@pytest.mark.parametrize("calls", [twice, overlapping])
@pytest.mark.filterwarnings("ignore:compile")
def test_arguments_that_share_memory(calls: Any) -> None:
    both(lambda: (writes, None), calls)


@pytest.mark.filterwarnings("ignore:compile")
def test_an_argument_that_is_a_captured_tensor() -> None:
    def make() -> Any:
        w = tw.zeros(3)

        def f(x: Any) -> Any:
            x.add_(1)
            return w * 1

        return f, w

    both(make, lambda f, w: [f(tw.zeros(3)).tolist(), f(w).tolist(), f(w[:2]).tolist(), w.tolist()])


RESULTS = {
    "an argument": lambda x, w: x,
    "a view of an argument": lambda x, w: x[:1],
    "a captured tensor": lambda x, w: w,
    "a view of a captured tensor": lambda x, w: w[1:],
    "both": lambda x, w: (x, w, x + w),
    "a view of a result": lambda x, w: (lambda y: (y, y[:1]))(x + w),
    "detached": lambda x, w: w.detach(),
}


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.filterwarnings("ignore:compile")
def test_results_that_share_memory(name: str) -> None:
    def make() -> Any:
        w = tw.zeros(2)
        return (lambda x: RESULTS[name](x, w)), w

    def calls(f: Any, w: Any) -> Any:
        told: list[Any] = []
        for _ in range(3):
            x = tw.ones(2)
            found = f(x)
            several = found if isinstance(found, tuple) else (found,)
            told.append([(y is x, y is w) for y in several])
            several[0].add_(5)  # seen by everything over the same memory
            told.append([x.tolist(), w.tolist(), [y.tolist() for y in several]])
        return told

    both(make, calls)


Pair = namedtuple("Pair", "x y")
STRUCTURES = {
    "a dictionary": lambda x, y: {"x": x, "y": y},
    "an ordered dictionary": lambda x, y: OrderedDict(x=x, y=y),
    "a list": lambda x, y: [x, y],
    "a named tuple": lambda x, y: Pair(x, y),
    "nested": lambda x, y: {"x": (x, [y])},
    "arrays": lambda x, y: {"x": x.numpy(), "y": y.numpy()},
}


def leaves(batch: Any) -> list[Any]:
    if isinstance(batch, dict):
        return [leaf for part in batch.values() for leaf in leaves(part)]
    if isinstance(batch, (list, tuple)):
        return [leaf for part in batch for leaf in leaves(part)]
    return [batch]


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_batch_of_any_structure(name: str) -> None:
    def f(batch: Any) -> Any:
        x, y = leaves(batch)
        return (x * 2 + y).sum()

    fast = tw.compile(f)
    for k in range(4):
        x, y = tw.full((3,), float(k)), tw.ones(3)
        assert fast(STRUCTURES[name](x, y)).item() == 6 * k + 3
    assert len(fast._versions) == 1


@pytest.mark.parametrize(
    "values", [(1, 1.0, True, 1), (0.0, -0.0, 0.0), (float("nan"), 2.0, float("nan")), ("a", "b", "a"), (None, 1, None)]
)
def test_plain_arguments_are_told_apart_by_type_and_bits(values: Any) -> None:
    def f(x: Any, k: Any) -> Any:
        return (
            x
            + (1 if isinstance(k, bool) else 2 if isinstance(k, int) else 3 if k is None else 4 if k == "a" else 5)
            + (1 / np.float64(k) if k == 0 and isinstance(k, float) else 0)
        )

    with np.errstate(divide="ignore"):
        both(lambda: (f, None), lambda fast, _: [fast(tw.ones(2), k).tolist() for k in values])


def test_a_list_that_is_changed_in_place_is_seen() -> None:
    def make() -> Any:
        return (lambda x, k: x * k[0] + len(k)), None

    def calls(f: Any, _: Any) -> Any:
        k = [2.0]
        found = [f(tw.ones(2), k).tolist()]
        k[0] = 3.0
        found.append(f(tw.ones(2), k).tolist())
        k.append(1.0)
        return [*found, f(tw.ones(2), k).tolist()]

    both(make, calls)


@pytest.mark.parametrize("inner", ["SGD", "Adam", "Lion", "NAdam", "RMSprop"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_parameter_that_is_frozen_stands_still_under_accumulate(inner: str, at: int) -> None:
    def make() -> Any:
        w = tw.tensor([1.0, 2.0], dtype=tw.float64, requires_grad=True)
        u = tw.tensor([1.0, 1.0], dtype=tw.float64, requires_grad=True)
        o = optim.Accumulate(getattr(optim, inner)([w, u], lr=0.1), 2)

        def step(x: Any) -> None:
            o.zero_grad()
            (w * x * u).sum().backward()
            o.step()

        return step, (w, u)

    def calls(step: Any, world: Any) -> Any:
        w, u = world
        told = []
        for k in range(8):
            if k in (at, at + 3):
                u.requires_grad_(k != at)
            step(tw.tensor([1.0 + k, 2.0], dtype=tw.float64))
            told.append([round(v, 9) for v in (*w.tolist(), *u.tolist())])
        return told

    both(make, calls)


def test_a_setting_that_state_starts_from_is_refused_before_the_first_step() -> None:
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.ASGD([x], lr=0.1)

    @tw.compile
    def step() -> None:
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()

    with pytest.raises(ValueError, match="lr also decides what the state"):
        step.loop(steps=3, lr=0.5)
    with pytest.raises(ValueError, match="lr also decides what the state"):
        step.sweep(steps=3, lr=[0.5, 0.1])
    step.loop(steps=1)
    step.loop(steps=2, lr=0.5)
