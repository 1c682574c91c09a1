"""A leaf takes over the memory of its gradient only where nobody else can see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import node
from thalweg.core.node import Leaf

N = 6


class KeepsGradient(tw.autograd.Function):
    """Returns the incoming gradient itself and holds on to it."""

    held: Any = None

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        KeepsGradient.held = g
        return g


class ReturnsSaved(tw.autograd.Function):
    """Returns what it saved."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return x


class ReturnsView(tw.autograd.Function):
    """Returns a view of an array that it holds on to."""

    held: Any = None

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1.0

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        ReturnsView.held = tw.ones(2, N // 2)
        return ReturnsView.held.view(N)


def leaf() -> Any:
    return tw.tensor(np.arange(1.0, N + 1, dtype=np.float32), requires_grad=True)


def same_gradient_to_two(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    (x + y).backward(seed)
    return [y.grad, y]


def twice_the_same_input(x: Any, seed: Any) -> list[Any]:
    (x + x).backward(seed)
    return []


def fresh_gradient_to_two(x: Any, seed: Any) -> list[Any]:
    y, z = leaf(), leaf()
    ((x + y) * z).backward(seed)
    return [y.grad, y, z.grad, z]


def the_seed_itself(x: Any, seed: Any) -> list[Any]:
    (x + 0.0).backward(seed)
    return []


def a_view_of_the_seed(x: Any, seed: Any) -> list[Any]:
    x.view(2, N // 2).backward(seed.view(2, N // 2))
    return []


def the_seed_without_its_tensor(x: Any, seed: Any) -> list[Any]:
    array = np.ones(N, np.float32)
    (x + 0.0).backward(tw.from_numpy(array))
    return [array]


def a_saved_factor(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    z = x * y
    z.backward(seed, retain_graph=True)
    return [y, y.grad]


def a_saved_result(x: Any, seed: Any) -> list[Any]:
    z = tw.exp(x)
    z.backward(tw.ones(N), retain_graph=True)
    return [z]


def a_hook_that_keeps(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    x.register_hook(lambda g: kept.append(g))
    (x * 2.0).backward(seed)
    return kept


def a_hook_that_keeps_a_view(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    x.register_hook(lambda g: kept.append(g.view(2, N // 2)))
    (x * 2.0).backward(seed)
    return kept


def a_hook_that_keeps_the_array(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    x.register_hook(lambda g: kept.append(g.numpy()[1:]))
    (x * 2.0).backward(seed)
    return kept


def a_hook_that_keeps_the_buffer(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    x.register_hook(lambda g: kept.append(memoryview(g.numpy())))
    (x * 2.0).backward(seed)
    return [np.asarray(kept[0])]


def a_hook_that_replaces(x: Any, seed: Any) -> list[Any]:
    other = tw.ones(N)
    x.register_hook(lambda g: other)
    (x * 2.0).backward(seed)
    return [other]


def a_hook_of_a_node(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    z = x * 2.0
    z.grad_fn.register_hook(lambda inputs, outputs: kept.extend([*inputs, *outputs]))
    z.backward(seed)
    return [k for k in kept if k is not None]


def a_hook_before_a_node(x: Any, seed: Any) -> list[Any]:
    kept: list[Any] = []
    z = x + 0.0
    z.grad_fn.register_prehook(lambda outputs: kept.extend(outputs))
    (z * 2.0).backward(seed)
    return kept


def a_gradient_retained_on_the_way(x: Any, seed: Any) -> list[Any]:
    z = x + 0.0
    z.retain_grad()
    (z * 2.0).backward(seed)
    return [z.grad]


def a_gradient_asked_for(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    z = (x + y) * 2.0
    (g,) = tw.autograd.grad(z, y, seed, retain_graph=True)
    z.backward(seed)
    return [g, y.grad]


def inputs_given(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    ((x + y) * 2.0).backward(seed, inputs=[x, y])
    return [y.grad]


def with_a_graph(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    ((x + y) * y).backward(seed, create_graph=True)
    return [y, y.grad.detach()]


def an_operation_that_keeps_its_gradient(x: Any, seed: Any) -> list[Any]:
    KeepsGradient.apply(x).mul(2.0).backward(seed)
    return [KeepsGradient.held]


def an_operation_that_returns_what_it_saved(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    ReturnsSaved.apply(x + y).backward(seed)
    return [y, y.grad]


def an_operation_that_returns_a_view(x: Any, seed: Any) -> list[Any]:
    ReturnsView.apply(x).backward(seed)
    return [ReturnsView.held]


def parts_of_one_gradient(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    (tw.cat([x, y]) * 2.0).backward(tw.cat([seed, seed]))
    return [y.grad]


def views_of_one_gradient(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    ((x.view(2, N // 2) + y.view(2, N // 2)) * 2.0).backward(seed.view(2, N // 2))
    return [y.grad]


def through_a_choice(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    tw.where(x > 2, x, y).backward(seed)
    return [y.grad]


def a_program_of_its_own(x: Any, seed: Any) -> list[Any]:
    y = leaf()
    with tw.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        z = tw.exp(x) * y
    z.backward(seed)
    return [z, y.grad]


CASES = [
    same_gradient_to_two, twice_the_same_input, fresh_gradient_to_two, the_seed_itself, a_view_of_the_seed,
    the_seed_without_its_tensor, a_saved_factor, a_saved_result, a_hook_that_keeps, a_hook_that_keeps_a_view,
    a_hook_that_keeps_the_array, a_hook_that_keeps_the_buffer, a_hook_that_replaces, a_hook_of_a_node,
    a_hook_before_a_node, a_gradient_retained_on_the_way, a_gradient_asked_for, inputs_given, with_a_graph,
    an_operation_that_keeps_its_gradient, an_operation_that_returns_what_it_saved, an_operation_that_returns_a_view,
    parts_of_one_gradient, views_of_one_gradient, through_a_choice, a_program_of_its_own,
]  # fmt: skip


def array(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else value.detach().numpy()


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_writing_to_a_gradient_changes_nothing_else(case: Any) -> None:
    x, seed = leaf(), tw.ones(N)
    others = [x, seed, *case(x, seed)]
    before = [array(o).copy() for o in others]
    mine = array(x.grad)
    assert mine.flags.writeable
    mine[...] = -77.0
    for other, was in zip(others, before, strict=True):
        assert not np.may_share_memory(array(other), mine)
        np.testing.assert_array_equal(array(other), was)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Where the arrays lay that leaves were given, and whether nobody else held them."""
    found: list[tuple[int, bool]] = []
    real = Leaf.accumulate

    def watched(self: Leaf, gradient: Any, own: bool) -> None:
        found.append((gradient.ctypes.data, own))
        real(self, gradient, own)

    monkeypatch.setattr(Leaf, "accumulate", watched)
    return found


TAKEN: dict[str, Any] = {
    "a product": lambda x: x * 2.0,
    "a sum of two": lambda x: x * 2.0 + x * 3.0,
    "a function": lambda x: tw.exp(x),
    "a choice": lambda x: x.masked_fill(x > 2, 0.0),
    "a choice between many": lambda x: x.repeat(700)[: 700 * N].masked_fill(tw.ones(700 * N) > 0.5, 0.0),
    "another shape": lambda x: (x.reshape(2, N // 2) * 2.0).exp(),
    "picked": lambda x: x.gather(0, tw.tensor([1, 1, 0])),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_gradient_that_nobody_else_holds_is_not_copied(given: list[tuple[int, bool]], name: str) -> None:
    x = leaf()
    TAKEN[name](x).sum().backward()
    assert given[-1][1]
    assert x.grad is not None
    assert x.grad.numpy().ctypes.data == given[-1][0]


def test_the_layout_of_a_gradient_is_the_leafs_or_c() -> None:
    for x in (tw.ones(3, 4), tw.ones(4, 3).t()):
        x.requires_grad_()
        y = tw.ones(4, 3).t() + 1.0
        (x.exp() * y.contiguous().t().t() * y).sum().backward()
        assert x.grad is not None
        assert x.grad.stride() in (x.stride(), (4, 1))


def fixed() -> Any:
    found = np.arange(8.0)
    found.flags.writeable = False
    return found


WHOLE = np.arange(8.0)
MEMORY: dict[str, Any] = {
    "its own": (lambda: np.arange(8.0), True),
    "all of another's": (lambda: np.arange(8.0).reshape(8, 1)[:, 0], True),
    "all, as another type": (lambda: np.arange(8.0).view(np.int64), True),
    "the leaf's layout": (lambda: np.arange(16.0).reshape(8, 2).astype(np.float64, order="F")[:, 0], False),
    "a part, which would keep the rest alive": (lambda: np.arange(9.0)[1:], False),
    "all of what somebody holds": (lambda: WHOLE[:], False),
    "turned round": (lambda: np.arange(8.0)[::-1], False),
    "one number, many times": (lambda: np.broadcast_to(np.ones(1), 8), False),
    "not an array's": (lambda: np.frombuffer(bytearray(64)), False),
    "read only": (fixed, False),
}


@pytest.mark.parametrize("name", MEMORY)
def test_only_whole_memory_is_taken(name: str) -> None:
    make, expected = MEMORY[name]
    view = make()
    assert node._unshared(view, WHOLE.strides) is expected
    second = view[2:4]  # keeps the memory, too
    if not view.flags.owndata:
        assert not node._unshared(view, WHOLE.strides)
    assert second.shape == (2,)
