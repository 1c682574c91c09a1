"""Whatever does not compile runs: a function that Numba or LLVM refuses is run in another way, and explain() says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler import items, machine, plan, scalars


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel of every sine be one that does not compile."""
    whole = scalars.expression

    def expression(op: Any) -> str:
        return "there_is_no_such_function({0})" if op.primitive.name == "sin" else whole(op)

    for name in ("names", "nest"):
        monkeypatch.setattr(f"thalweg.compiler.{name}.expression", expression)


@pytest.mark.parametrize("size", [3, 5000])
def test_a_kernel_that_does_not_compile_is_run_in_numpy(size: int, broken: None) -> None:
    function = tw.compile(lambda x: (x * 2 + tw.sin(x)).sum() + tw.exp(x).max())
    x = tw.linspace(0, 1, size)
    for _ in range(3):
        assert function(x).item() == pytest.approx((x * 2 + tw.sin(x)).sum().item() + tw.exp(x).max().item(), rel=1e-5)
    assert "in NumPy, for want of a kernel: sin" in function.explain()


@pytest.mark.parametrize("size", [2, 2000])
def test_so_are_loops_and_sweeps(size: int, broken: None) -> None:
    w = tw.zeros(size, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.1)

    @tw.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (tw.sin(w) - x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    losses = step.loop(tw.ones(5, size)).numpy()
    assert losses[0] > losses[-1]
    swept = step.sweep(tw.ones(5, size), lr=np.array([0.1, 0.2]))
    assert swept.outputs.shape == (2, 5)


def test_a_missing_symbol_is_found_before_it_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_linked", lambda *args: None)
    function = tw.compile(lambda x: (x * 3.25 + 1.125).sum())
    with pytest.raises(scalars.NoKernel, match="missing in this process"):
        machine.generated("def loop1(table, first, last):\n    return first - 12345\n", ("loop1",))
    x = tw.linspace(0, 1, 5001)
    for _ in range(2):
        assert function(x).item() == pytest.approx((x * 3.25 + 1.125).sum().item(), rel=1e-5)
    assert plan.generated is items.generated


@pytest.mark.parametrize("size", [3, 5000])
@pytest.mark.parametrize("kind", ["bool", "uint8", "int32", "int64"])
def test_integer_exponents(kind: str, size: int) -> None:
    function = tw.compile(lambda x, k: (x**k, tw.float_power(x, k)))
    x, k = tw.full((size,), 1.5), tw.ones(size, dtype=getattr(tw, kind))
    with tw.no_grad():
        for _ in range(2):
            assert [r[0].item() for r in function(x, k)] == [1.5, 1.5]


def test_remainders_floors_and_extremes_of_truth_values() -> None:
    x, flags = tw.tensor([7.5, -7.5, 0.5]), tw.tensor([True, False, True])
    whole = tw.tensor([5, -3, 2], dtype=tw.int32)

    def f(x: Any, flags: Any, whole: Any) -> Any:
        return (
            x % 2, tw.fmod(x, 2), tw.floor_divide(x, 1), tw.minimum(flags, ~flags), tw.maximum(flags, ~flags), whole.clone().clamp_(-1, 3),
            whole % 2, whole // 2, -whole * whole,
        )  # fmt: skip

    function = tw.compile(f)
    for _ in range(2):
        for got, want in zip(function(x, flags, whole), f(x, flags, whole), strict=True):
            assert got.dtype == want.dtype
            assert got.tolist() == want.tolist()
