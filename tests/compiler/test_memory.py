"""What kernels are handed: types, sizes and places are checked where a list of calls is built; fences around buffers."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.steps import classifier_step
from thalweg import nn, optim
from thalweg.compiler import convolve, items
from thalweg.compiler.memory import Fences, Root, within
from thalweg.compiler.plan import Plan
from thalweg.compiler.program import ProgramError

pytest.importorskip("numba")


def planned(fn: Callable[..., Any], *arrays: Any) -> tuple[Any, Plan]:
    """Return a compiled function that was called once, and its plan."""
    fast = tw.compile(fn)
    with tw.no_grad():
        fast(*arrays)
    return fast, fast._versions[-1].big


# The corruption that was found: two loops of one text, of which one is on float32 and one on float64, shared machine code.


@pytest.mark.parametrize("layer", ["bilinear", "linear", "none"])
@pytest.mark.parametrize("clear", [False, True])
def test_orthogonal_steps_beside_a_layer_that_adds_to_its_gradients(layer: str, clear: bool) -> None:
    def world() -> tuple[Any, Any]:
        tw.manual_seed(0)
        weight = tw.tensor(np.random.default_rng(0).standard_normal((3, 3)), requires_grad=True)
        kinds: dict[str, Any] = {"bilinear": lambda: nn.Bilinear(3, 3, 3, dtype=tw.float64),
                                 "linear": lambda: nn.Linear(3, 3, dtype=tw.float64), "none": lambda: None}  # fmt: skip
        other, optimizer = kinds[layer](), optim.Muon([weight], lr=0.01)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            if clear and other is not None:
                other.zero_grad()
            z = x @ weight
            out = z if other is None else other(z, x) if layer == "bilinear" else other(z)
            loss = (out.tanh() - 0.5).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return weight, step

    (found, fast), (want, slow) = world(), world()
    step, rng = tw.compile(fast), np.random.default_rng(0)
    for n in (16, 16, 7, 16, 16):
        x = rng.standard_normal((n, 3))
        step(x)
        slow(tw.tensor(x))
        np.testing.assert_allclose(found.detach().numpy(), want.detach().numpy(), rtol=1e-9, atol=1e-12)


TYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8]


@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(TYPES, 2)])
def test_loops_of_equal_text_and_other_types(first: Any, second: Any) -> None:
    a, b = (np.arange(2100).reshape(30, 70).astype(t) % 50 for t in (first, second))
    fast, _ = planned(lambda a, b: (a + a, b + b), a, b)
    for found, x in zip(fast(a, b), (a, b), strict=True):
        assert found.dtype.np == x.dtype
        np.testing.assert_array_equal(found.numpy(), x + x)


# Checks


ROOT = Root(0, np.zeros((4, 6), np.float32), (0, 1))
VIEWS: dict[str, tuple[int, Any, bool]] = {
    "whole": (0, ROOT.array, True),
    "transposed": (0, ROOT.array.T, True),
    "reversed": (92, ROOT.array.reshape(-1)[::-1], True),
    "a column": (20, ROOT.array[:, 5], True),
    "nothing": (96, ROOT.array[:0], True),
    "from before": (-4, ROOT.array[0], False),
    "to behind": (4, ROOT.array, False),
    "a column too far": (24, ROOT.array[:, 5], False),
    "reversed, too early": (88, ROOT.array.reshape(-1)[::-1], False),
    "wider": (0, np.zeros((4, 6)), False),
    "another type": (0, np.zeros((4, 6), np.int32), False),
    "between elements": (2, ROOT.array[0], False),
}


@pytest.mark.parametrize("case", VIEWS)
def test_a_view_lies_within_its_memory(case: str) -> None:
    offset, view, fits = VIEWS[case]
    if fits:
        within(ROOT, offset, view, "it")
        return
    with pytest.raises(ProgramError, match=r"it \(\w+\) reaches from byte"):
        within(ROOT, offset, view, "it")


def broken(plan: Plan, item: Any, how: Callable[[Plan, Any], None]) -> None:
    """Build an item again after something about its plan was made wrong."""
    how(plan, item)
    if isinstance(item, items.Loop):
        items.Loop(plan, item.nest)
    else:
        type(item)(plan, item.op)


def other_type(plan: Plan, item: Any) -> None:
    for value in [*item.op.inputs, *item.op.outputs]:
        plan.prototypes[value] = np.zeros(value.shape, np.float16)


def shorter(plan: Plan, item: Any) -> None:
    for root in {plan.roots[v] for v in [*item.op.inputs, *item.op.outputs]}:
        root.array = root.array.reshape(-1)[:1]


def loop_type(plan: Plan, item: Any) -> None:
    item.nest.dtypes[0] = np.dtype(np.float16)


def loop_reach(plan: Plan, item: Any) -> None:
    item.nest.reach[0] = (0, item.nest.roots[0].size)


BROKEN = [
    (items.Product, other_type), (items.Product, shorter), (items.Loss, other_type), (items.Loss, shorter),
    (items.Loop, loop_type), (items.Loop, loop_reach),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "how"), BROKEN)
def test_what_does_not_fit_is_not_built(kind: Any, how: Any) -> None:
    weight = tw.ones(70, 10)
    x, y = np.ones((40, 70), np.float32), np.zeros(40, np.int64)
    _, plan = planned(lambda x, y: nn.functional.cross_entropy((x @ weight).tanh(), y), x, y)
    item = next(i for i in plan.items if isinstance(i, kind))
    with pytest.raises(ProgramError, match="compile:"):
        broken(plan, item, how)


def test_an_array_of_another_form_is_not_bound() -> None:
    weight = tw.ones(70, 10)
    fast, plan = planned(lambda x: (x @ weight).tanh(), np.ones((40, 70), np.float32))
    for wrong in (np.ones((40, 71), np.float32), np.ones((40, 70))):
        with pytest.raises(ProgramError, match=r"float32\[40, 70\] was to take"):
            plan.call([wrong], np.zeros(0))
    np.testing.assert_allclose(fast(np.ones((40, 70), np.float32)).numpy(), np.ones((40, 10)), rtol=1e-6)


def test_an_operation_that_gives_another_form_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, _ = planned(lambda x: x.sort(-1).values.tanh() * 2, np.ones((40, 70), np.float32))
    monkeypatch.setattr(items, "evaluate", lambda op, arrays: (arrays[0].astype(np.float64),) * len(op.outputs))
    with tw.no_grad(), pytest.raises(ProgramError, match=r"gave float64\[40, 70\]"):
        fast(np.ones((40, 70), np.float32))


GOOD = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize("wrong", [GOOD.T, GOOD[:, ::2], GOOD.astype(np.float64), GOOD.astype(np.int32)])
def test_kernels_of_convolutions_take_contiguous_arrays_of_their_types(wrong: Any) -> None:
    kinds = (np.dtype(np.float32), np.dtype(np.uint8))
    assert len(convolve._table((GOOD, 3, np.arange(4)), kinds)) == 5
    with pytest.raises(ProgramError, match="cannot take"):
        convolve._table((GOOD, wrong), kinds)


def test_kernels_of_poolings_write_into_arrays_of_the_right_size() -> None:
    x, windows, counts = np.ones((2, 16, 8), np.float32), np.zeros((4, 4), np.int64), np.full(4, 4)
    small = np.zeros((2, 4, 7), np.float32)
    with pytest.raises(ProgramError, match="writes 64 elements"):
        convolve.max_pool(x, windows, counts, 0.0, small, np.zeros(small.shape, np.uint8))
    with pytest.raises(ProgramError, match="does not fit"):
        convolve.put(np.zeros((2, 4, 8), np.float32), np.zeros((2, 4, 8), np.uint8), windows, counts, x[:1], True)


# Fences


def test_a_fence_notices_a_single_byte_on_either_side() -> None:
    fences = Fences()
    assert fences.on
    arrays = [
        fences.empty((3, 5), np.float64, "v1"),
        fences.empty(7, np.uint8, "v2"),
        fences.empty((), np.float32, "v3"),
    ]
    for array in arrays:
        array[...] = 1
    fences.check()
    for array, name in zip(arrays, ("v1", "v2", "v3"), strict=True):
        for side, at in (("before", -1), ("after", array.nbytes)):
            byte = ctypes.c_uint8.from_address(array.ctypes.data + at)
            kept, byte.value = byte.value, 0
            with pytest.raises(ProgramError, match=f"memory {side} {name}"):
                fences.check()
            byte.value = kept
    fences.check()


def test_a_kernel_that_writes_beside_its_buffer_is_named() -> None:
    weight = tw.ones(70, 10)
    x = np.ones((40, 70), np.float32)
    fast, plan = planned(lambda x: ((x @ weight).tanh() @ weight.t()).exp(), x)
    with tw.no_grad():
        fast(x)
        loop = next(i for i in plan.items if isinstance(i, items.Loop))
        loop.table[-1] += 64  # where it writes; a fence is wider
        with pytest.raises(ProgramError, match="memory after"):
            fast(x)
        loop.table[-1] -= 64


def test_without_the_debug_mode_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for off in ("", "0"):
        monkeypatch.setenv("THALWEG_DEBUG_MEMORY", off)
        _, plan = planned(lambda x: (x @ x.t()).tanh().sum(), np.ones((40, 70), np.float32))
        assert plan.fences.bands == []


def test_a_network_trains_within_fences() -> None:
    tw.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 12 * 12, 10))
    step = tw.compile(classifier_step(model, optim.AdamW(model.parameters())))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, 32)
    losses = [step(x, y).item() for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert step._versions[-1].big.fences.bands
