"""What Python changes between calls reaches compiled functions, and what they store outlives their calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.stateful import differs
from thalweg import nn, optim
from thalweg.errors import CaptureError

WEIGHT = 2.0


class Holder:
    """A plain object."""

    def __init__(self) -> None:
        self.weight = 2.0
        self.memory = tw.zeros(2)


def module_rows() -> list[tuple[str, Callable[[], Any], Callable[[Any], None]]]:
    """Return modules, each with a change of what it is or has."""

    def attribute(name: str, value: Any) -> Callable[[Any], None]:
        return lambda m: setattr(m, name, value)

    def around(name: str, value: Any) -> Callable[[Any], None]:
        return lambda m: m.__dict__.__setitem__(name, value)

    return [
        ("dropout p", lambda: nn.Dropout(0.0), attribute("p", 1.0)),
        ("dropout p around setattr", lambda: nn.Dropout(0.0), around("p", 1.0)),
        ("slope", lambda: nn.LeakyReLU(0.1), attribute("negative_slope", 0.5)),
        ("eps", lambda: nn.LayerNorm(2), attribute("eps", 1.0)),
        ("alpha", lambda: nn.ELU(), attribute("alpha", 3.0)),
        ("forward", lambda: nn.Tanh(), attribute("forward", lambda x: x * 3)),
        ("child", lambda: nn.Sequential(nn.Tanh(), nn.Identity()), lambda m: m.__setitem__(0, nn.ReLU())),
        ("parameter", lambda: nn.PReLU(init=0.1), lambda m: setattr(m, "weight", nn.Parameter(tw.ones(1)))),
        ("hook", lambda: nn.Sequential(nn.Tanh()), lambda m: m[0].register_forward_hook(lambda m, a, o: o * 2)),
        ("hook before", lambda: nn.Tanh(), lambda m: m.register_forward_pre_hook(lambda m, a: (a[0] * 2,))),
        ("mode", lambda: nn.Sequential(nn.BatchNorm1d(2)), lambda m: m.eval()),
    ]


@pytest.mark.parametrize(("make", "change"), [r[1:] for r in module_rows()], ids=[r[0] for r in module_rows()])
def test_a_changed_module(make: Callable[[], Any], change: Callable[[Any], None]) -> None:
    x = tw.tensor([[0.5, -2.0], [1.0, 1.0], [-0.25, 3.0]])
    found = []
    for compiled in (False, True):
        module = make()

        def step(x: Any, module: Any = module) -> Any:
            with tw.no_grad():
                return module(x)

        call = tw.compile(step) if compiled else step
        outs = [call(x).tolist() for _ in range(2)]
        change(module)
        found.append(outs + [call(x).tolist() for _ in range(2)])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


OPTIMIZERS: list[tuple[str, Callable[[Any, Any], None]]] = [
    ("state cleared", lambda o, w: o.state.clear()),
    ("state of one deleted", lambda o, w: o.state.pop(w)),
    ("hook after", lambda o, w: o.register_step_post_hook(lambda *a: w.data.fill_(0.0))),
    (
        "hook before",
        lambda o, w: o.register_step_pre_hook(
            lambda *a: w.grad.mul_(2.0) if w.grad is None else setattr(w, "grad", w.grad * 2)
        ),
    ),
    ("momentum off", lambda o, w: o.param_groups[0].update(momentum=0.0)),
    ("flag", lambda o, w: o.param_groups[0].update(nesterov=True)),
    ("rate", lambda o, w: o.param_groups[0].update(lr=0.3)),
    ("frozen", lambda o, w: w.requires_grad_(False)),
    ("hook of a tensor", lambda o, w: w.register_hook(lambda g: g * 3)),
    ("loaded", lambda o, w: o.load_state_dict(o.state_dict())),
]


@pytest.mark.parametrize("change", [r[1] for r in OPTIMIZERS], ids=[r[0] for r in OPTIMIZERS])
def test_a_changed_optimizer(change: Callable[[Any, Any], None]) -> None:
    found = []
    for compiled in (False, True):
        w, v = tw.tensor([1.0, 2.0], requires_grad=True), tw.tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w, v], lr=0.1, momentum=0.9)

        def step(x: Any, optimizer: Any = optimizer, w: Any = w, v: Any = v) -> Any:
            optimizer.zero_grad()
            (w * x * v).sum().backward()
            optimizer.step()
            return w.detach().clone()

        call = tw.compile(step) if compiled else step
        outs = []
        for k in range(5):
            if k == 2:
                change(optimizer, w)
            outs.append(call(tw.tensor([1.0, -2.0])).tolist())
        found.append(outs)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


def test_explain_names_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = tw.compile(lambda x: x * WEIGHT)
    assert [fast(tw.ones(1)).item() for _ in range(2)] == [2.0, 2.0]
    monkeypatch.setitem(globals(), "WEIGHT", 3.0)
    assert fast(tw.ones(1)).item() == 3.0
    assert "global 'WEIGHT' changed from 2.0 to 3.0" in fast.explain()
    assert fast.explain().count("captured for") == 2


@pytest.mark.parametrize(
    ("before", "after"), [(1, 1.0), (1, True), (0.0, -0.0)], ids=["int float", "int bool", "sign of 0"]
)
def test_types_and_bits_matter(before: Any, after: Any) -> None:
    kept = [before]
    fast = tw.compile(lambda x: x / kept[0])
    x = tw.tensor([2, 3])
    for value in (before, after):
        kept[0] = value
        assert str(fast(x)) == str(x / value)
    assert fast.explain().count("captured for") == 2


def test_what_nobody_reads_captures_nothing_again() -> None:
    holder = Holder()
    holder.epoch = 0  # type: ignore[attr-defined]
    fast = tw.compile(lambda x: x * holder.weight)
    for epoch in range(3):
        holder.epoch = epoch  # type: ignore[attr-defined]
        fast(tw.ones(1))
    assert fast.explain().count("captured for") == 1


HISTORY: list[Any] = []


def stores(kind: str) -> tuple[Callable[[Any], Any], Callable[[], Any]]:
    """Return a step that stores, and what shows its stores."""
    holder, count, ticks = Holder(), [0], iter(range(9))

    def attribute(x: Any) -> Any:
        holder.memory = holder.memory * 0.5 + x
        return holder.memory

    def counter(x: Any) -> Any:
        count[0] += 1
        return x * count[0]

    def history(x: Any) -> Any:
        HISTORY.append(x.sum())
        return x

    def iterator(x: Any) -> Any:
        return x * next(ticks)

    def branch(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    def clock(x: Any) -> Any:
        return x * (0 if time.time() > 0 else 1)

    HISTORY.clear()
    steps = {f.__name__: f for f in (attribute, counter, history, iterator, branch, clock)}
    return steps[kind], lambda: (holder.memory.tolist(), count, [h.item() for h in HISTORY])


KINDS = ["attribute", "counter", "history", "iterator", "branch", "clock"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_stores_or_looks_outside_is_the_eager_one(kind: str) -> None:
    rows = np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 1.0]], np.float32)
    step, shown = stores(kind)
    want = [step(tw.tensor(r)).tolist() for r in rows]
    end = shown()
    step, shown = stores(kind)
    fast = tw.compile(step)
    with pytest.warns(UserWarning, match=rf"{kind} runs as written.*test_state\.py:\d+") as seen:
        assert [fast(tw.tensor(r)).tolist() for r in rows] == want
    assert len(seen) == 1
    assert shown() == end
    assert "runs as written" in fast.explain()
    step, shown = stores(kind)
    with pytest.warns(UserWarning, match="runs as written"):
        assert tw.compile(step).loop(rows).tolist() == want
    assert shown() == end


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keyword", ["strict", "fullgraph"])
def test_strict_refuses_what_runs_as_written(kind: str, keyword: str) -> None:
    step, _ = stores(kind)
    with pytest.raises(CaptureError, match=r"test_state\.py:\d+"):
        tw.compile(step, **{keyword: True})(tw.ones(2))


def test_keywords_of_pytorch_are_taken() -> None:
    @tw.compile(mode="max-autotune", dynamic=True, backend="inductor", fullgraph=False)
    def twice(x: Any) -> Any:
        return x * 2

    assert [twice(tw.ones(1)).item() for _ in range(2)] == [2.0, 2.0]


def test_random_programs_with_state_are_the_eager_ones() -> None:
    bad = [found for seed in range(100) if (found := differs(seed)) is not None]
    assert not bad, "\n".join(bad)


@pytest.mark.slow
def test_many_random_programs_with_state() -> None:
    bad = [found for seed in range(100, 3100) if (found := differs(seed)) is not None]
    assert not bad, "\n".join(bad)
