"""The graph as such: depth, memory, threads, order, who may write what."""

import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import thalweg as tw


def test_a_chain_of_100_000_operations_is_built_walked_and_freed() -> None:
    x = tw.tensor(1.0, dtype=tw.float64, requires_grad=True)
    y = x
    for _ in range(50_000):
        y = y * 0.99999 + 0.0
    (first,) = tw.autograd.grad(y, x, create_graph=True)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == first.item() == pytest.approx(0.99999**50_000)
    z = first
    for _ in range(3):
        z = z * x
    (second,) = tw.autograd.grad(z, x)
    assert second.item() == pytest.approx(3 * first.item())
    del y, z, first, second


def test_a_long_nonlinear_chain_has_second_derivatives() -> None:
    x = tw.tensor(0.5, dtype=tw.float64, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y.sin()
    (first,) = tw.autograd.grad(y, x, create_graph=True)
    (second,) = tw.autograd.grad(first, x)
    assert np.isfinite(first.item())
    assert np.isfinite(second.item())


def test_a_graph_is_freed_without_the_cycle_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = tw.ones(3, requires_grad=True)
        y = x * x + 1
        z = y.reshape(3, 1)[1:]
        z.mul_(2)
        z.retain_grad()
        loss = (z * y.sum()).sum()
        parts = [weakref.ref(t) for t in (x, y, z, loss)] + [weakref.ref(loss.grad_fn), weakref.ref(y.grad_fn)]
        loss.backward(create_graph=False)
        del x, y, z, loss
        assert [ref() for ref in parts] == [None] * len(parts)
    finally:
        gc.enable()


def test_a_thousand_training_steps_leave_no_growth() -> None:
    w = tw.zeros(5, 1, requires_grad=True)
    x, y = tw.ones(8, 5), tw.ones(8, 1)

    def train(n: int) -> None:
        for _ in range(n):
            w.grad = None
            ((x @ w - y) ** 2).mean().backward()
            with tw.no_grad():
                w.sub_(w.grad * 0.01)

    train(50)
    gc.collect()
    tracemalloc.start()
    try:
        train(20)
        before = tracemalloc.get_traced_memory()[0]
        train(1000)
        gc.collect()
        # Python's own free lists count as traced; one node kept per step would be ten times as much.
        assert tracemalloc.get_traced_memory()[0] - before < 64_000
    finally:
        tracemalloc.stop()


def test_two_runs_agree_bit_for_bit() -> None:
    def run() -> bytes:
        tw.manual_seed(3)
        x = tw.randn(20, 20, requires_grad=True)
        y = x
        for _ in range(5):
            y = (y @ x).tanh() + y * x.sum() + x
        y.sum().backward()
        assert x.grad is not None
        return x.grad.numpy().tobytes()

    assert run() == run()


def test_threads_build_and_differentiate_at_the_same_time() -> None:
    shared = tw.ones(4, dtype=tw.float64, requires_grad=True)
    problems: list[BaseException] = []

    def work(k: int) -> None:
        try:
            with tw.set_grad_enabled(k % 2 == 0):
                assert (shared * 2).requires_grad == (k % 2 == 0)
            for _ in range(100):
                (shared * shared).sum().backward()
        except BaseException as error:  # noqa: BLE001  (told to the main thread)
            problems.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert shared.grad is not None
    assert shared.grad.tolist() == [800.0] * 4


def test_a_gradient_never_shares_memory_with_what_the_user_holds() -> None:
    x, y = tw.ones(3, requires_grad=True), tw.ones(3, requires_grad=True)
    seed = tw.tensor([1.0, 2.0, 3.0])
    (x + y).backward(seed)
    assert x.grad is not None
    assert y.grad is not None
    x.grad.zero_()
    assert seed.tolist() == y.grad.tolist() == [1.0, 2.0, 3.0]
    x.grad = None
    x.sum().backward()
    x.grad.mul_(2)  # a broadcast gradient is the leaf's own memory
    assert x.grad.tolist() == [2.0] * 3


def test_the_same_root_twice_adds_up() -> None:
    x = tw.tensor(2.0, requires_grad=True)
    y = x * x
    tw.autograd.backward([y, y])
    assert x.grad is not None
    assert x.grad.item() == 8.0


def test_next_functions_lead_to_the_leaves() -> None:
    x = tw.ones(2, requires_grad=True)
    y = x * tw.ones(3, 2) + 1
    add = y.grad_fn
    assert add is not None
    assert add.name() == "AddBackward0"
    mul = add.next_functions[0][0]
    assert mul is not None
    assert mul.name() == "MulBackward0"
    leaf = mul.next_functions[0][0]
    assert leaf is not None
    assert leaf.name() == "AccumulateGrad"
    assert leaf.variable is x
    assert isinstance(leaf, tw.autograd.graph.Node)


def test_views_made_together_refuse_writes_that_are_recorded() -> None:
    x = tw.ones(4, requires_grad=True) * 1
    first, second = x.split(2)
    with pytest.raises(RuntimeError, match="one of several views made by split"):
        first.mul_(2)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="its base has been written in place"):
        second * 2


def test_a_write_through_a_view_reaches_the_base() -> None:
    x = tw.tensor([1.0, 2.0, 3.0], requires_grad=True)
    base = x * 1
    base.reshape(3, 1)[1:].mul_(10)
    assert base.grad_fn is not None
    assert base.grad_fn.name() == "CopySlices"
    base.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 10.0, 10.0]


def test_a_zero_dimensional_base_keeps_what_was_not_written() -> None:
    x = tw.tensor(1.3, dtype=tw.float64, requires_grad=True)
    y = x * 1
    y[y > 0] = x * x
    (g,) = tw.autograd.grad(y, x)
    assert g.item() == pytest.approx(2.6)
