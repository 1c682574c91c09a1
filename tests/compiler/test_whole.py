"""Programs of some size with their loop compiled: each run of each loop equals the steps one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import python_kernels
from tests.compiler.test_training import compare
from thalweg import nn, optim
from thalweg.compiler import version, whole
from thalweg.compiler.scalars import NoKernel

RNG = np.random.default_rng(5)
X = RNG.standard_normal((40, 4)).astype(np.float32)
CLASSES = RNG.integers(0, 3, 40)
ORDER = np.concatenate([RNG.permutation(40).reshape(5, 8) for _ in range(2)])


class Refuses:
    """Stands where a program would be written out element by element."""

    def __init__(self, program: Any) -> None:
        raise NoKernel("the test wants a plan")


@pytest.fixture
def as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every program run whole, in Python."""
    python_kernels.use(monkeypatch)
    monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)


def classifier(kind: str = "plain", seed: int = 0) -> tuple[Any, Any, Any]:
    """Return a step that trains a small network, its model and optimizer."""
    tw.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 9), nn.Tanh(), nn.Linear(9, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    noise = tw.Generator().manual_seed(7)
    shift = tw.tensor(np.linspace(-1, 1, 4).astype(np.float32))

    def step(x: Any, y: Any) -> Any:
        if kind != "accumulates":
            optimizer.zero_grad()
        if kind == "moves":
            x = tw.cat([x[:, 1:], x[:, :1].flip(0)], 1) + tw.stack([shift, shift.roll(1)])[1]
            x = x[:, [2, 0, 3, 1]]
        if kind == "draws":
            x = nn.functional.dropout(x, 0.3)
        out = model(x)
        if kind == "draws":
            out = out + 0.1 * tw.rand(8, 3, generator=noise) * tw.rand(3) + 0.1 * tw.randn(3, generator=noise)
        if kind == "moves":
            out = out.T.reshape(3, -1).T
        loss = nn.functional.cross_entropy(out, y, reduction="sum" if kind == "accumulates" else "mean")
        loss.backward()
        optimizer.step()
        return {"loss": loss, "largest": out.amax(1)}

    return step, model, optimizer


def one_by_one(kind: str, lr: Any = None, order: Any = ORDER) -> tuple[list[Any], Any]:
    """Return the losses of eager steps, and the model."""
    step, model, optimizer = classifier(kind)
    losses = []
    for k, rows in enumerate(order):
        if lr is not None:
            optimizer.param_groups[0]["lr"] = float(np.broadcast_to(lr, len(order))[k])
        losses.append(step(tw.tensor(X[rows]), tw.tensor(CLASSES[rows]))["loss"].item())
    return losses, model


@pytest.mark.parametrize("kind", ["plain", "accumulates", "moves", "draws"])
def test_a_loop_equals_its_steps(kind: str, as_python: None) -> None:
    want, model = one_by_one(kind)
    step, fast_model, _ = classifier(kind)
    fast = tw.compile(step)
    found = fast.loop(X, CLASSES, order=ORDER)
    assert "one function" in fast.explain()
    np.testing.assert_allclose(found["loss"].numpy(), want, rtol=1e-5)
    assert found["largest"].shape == (10, 8)
    for a, b in zip(fast_model.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_a_loop_draws_what_its_steps_draw_and_goes_on_from_there(as_python: None) -> None:
    want, _ = one_by_one("draws")
    after = tw.rand(2)
    fast = tw.compile(classifier("draws")[0])
    losses = [
        *fast.loop(X, CLASSES, order=ORDER[:4])["loss"].tolist(),
        *fast.loop(X, CLASSES, order=ORDER[4:])["loss"].tolist(),
    ]
    np.testing.assert_allclose(losses, want, rtol=1e-5)
    assert tw.rand(2).tolist() == after.tolist()
    step, _, _ = classifier("draws")
    found = tw.compile(step).sweep(X, CLASSES, order=ORDER, lr=[0.02, 0.02, 0.01])
    np.testing.assert_allclose(found.outputs["loss"].numpy()[:2], [want, want], rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 4, 7, 8, 9, 100])
def test_uniform_numbers_are_the_generators(size: int, dtype: Any) -> None:
    from thalweg.compiler.kernels.draws import uniform
    from thalweg.ops.random import _uniform

    for seed, call in ((0, 0), (5, 3), (2**63 + 11, 12345)):
        out = np.zeros(size, dtype)
        uniform(out, size, np.array([seed], np.uint64).view(np.int64)[0], call)
        assert np.array_equal(out, _uniform((size,), dtype, seed, call))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 200_000])
def test_normal_numbers_are_the_generators(size: int, dtype: Any) -> None:
    from thalweg.compiler.kernels.normals import normal_f4, normal_f8
    from thalweg.ops.random import _normal

    for seed, call in ((0, 0), (5, 3), (2**63 + 11, 12345)):
        out = np.zeros(size, dtype)
        draw = normal_f4 if dtype == np.float32 else normal_f8
        draw(out, size, np.array([seed], np.uint64).view(np.int64)[0], call)
        assert np.array_equal(out, _normal((size,), dtype, seed, call))


def test_a_sampler_in_a_loop_and_a_sweep(as_python: None) -> None:
    """Langevin dynamics draws in the optimizer's step."""

    def sampler() -> tuple[Any, Any]:
        p = tw.tensor([1.0, -2.0, 0.5], requires_grad=True)
        optimizer = optim.SGLD([p], lr=0.1, generator=tw.Generator().manual_seed(4))

        def step() -> Any:
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
            return p.detach() * 1

        return step, optimizer

    step, _ = sampler()
    want = np.array([step().tolist() for _ in range(30)])
    step, _ = sampler()
    fast = tw.compile(step)
    np.testing.assert_allclose(fast.loop(steps=30).numpy(), want, rtol=1e-5, atol=1e-6)
    assert "one function" in fast.explain()
    step, _ = sampler()
    found = tw.compile(step).sweep(steps=30, lr=[0.1, 0.01])
    np.testing.assert_allclose(found.outputs.numpy()[0], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unrolled", [False, True])
def test_a_step_that_adds_to_gradients_from_none(unrolled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    if not unrolled:
        monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)
    rows = np.random.default_rng(0).standard_normal((6, 2))

    def summing() -> tuple[Any, Any]:
        w = tw.zeros(2, requires_grad=True, dtype=tw.float64)

        def step(x: Any, lr: float = 0.1) -> Any:
            loss = ((x * w - 1) ** 2).sum()
            loss.backward()
            with tw.no_grad():
                w.sub_(lr * w.grad)
            return loss

        return w, step

    w, step = summing()
    want = [step(tw.tensor(row)).item() for row in rows]
    v, step = summing()
    np.testing.assert_allclose(tw.compile(step).loop(rows).numpy(), want, rtol=1e-12)
    np.testing.assert_allclose(v.grad.numpy(), w.grad.numpy(), rtol=1e-12)
    v, step = summing()
    found = tw.compile(step).sweep(rows, init={v: np.zeros((2, 2))})
    np.testing.assert_allclose(found.outputs.numpy(), [want, want], rtol=1e-12)
    assert v.grad is None


def test_a_loop_over_the_first_axis_with_a_schedule(as_python: None) -> None:
    lrs = 0.05 * 0.8 ** np.arange(10)
    want, _ = one_by_one("plain", lrs)
    found = tw.compile(classifier()[0]).loop(X[ORDER], CLASSES[ORDER], lr=lrs)
    np.testing.assert_allclose(found["loss"].numpy(), want, rtol=1e-5)


@pytest.mark.parametrize("own", [False, True], ids=["shared order", "own orders"])
@pytest.mark.parametrize("stepped", [False, True], ids=["a rate", "a schedule"])
def test_a_sweep_equals_its_runs(own: bool, stepped: bool, as_python: None) -> None:
    rng = np.random.default_rng(1)
    lrs = rng.uniform(0.01, 0.1, (3, 10) if stepped else 3)
    order = np.stack([rng.permutation(ORDER) for _ in range(3)]) if own else ORDER
    step, model, _ = classifier()
    before = [p.detach().numpy().copy() for p in model.parameters()]
    starts = {p: np.stack([p.detach().numpy() * (1 + 0 * k) for k in range(3)]) for p in model.parameters()}
    fast = tw.compile(step)
    found = fast.sweep(X, CLASSES, order=order, lr=lrs, init=starts)
    assert found.outputs["loss"].shape == (3, 10)
    for p, old in zip(model.parameters(), before, strict=True):
        assert np.array_equal(p.detach().numpy(), old)
        assert p.grad is None
    for r in range(3):
        want, other = one_by_one("plain", lrs[r], order[r] if own else order)
        np.testing.assert_allclose(found.outputs["loss"].numpy()[r], want, rtol=1e-5)
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            np.testing.assert_allclose(found.states[p].numpy()[r], q.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_an_interrupted_loop_leaves_whole_steps_and_an_interrupted_sweep_nothing(
    as_python: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = python_kernels.PythonKernel.__call__
    calls = [0]

    def interrupted(self: Any, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(python_kernels.PythonKernel, "__call__", interrupted)
    step, model, optimizer = classifier()
    fast = tw.compile(step)
    with pytest.raises(KeyboardInterrupt):
        fast.loop(X, CLASSES, order=ORDER)
    first = next(iter(model.parameters()))
    done = int(optimizer.state[first]["step"].item())
    assert 0 < done < len(ORDER)
    _, other = one_by_one("plain", order=ORDER[:done])
    before = first.detach().numpy().copy()
    np.testing.assert_allclose(before, next(iter(other.parameters())).detach().numpy(), rtol=1e-4, atol=1e-6)
    calls[0] = 0
    with pytest.raises(KeyboardInterrupt):
        fast.sweep(X, CLASSES, order=ORDER, lr=[0.1, 0.2])
    assert np.array_equal(first.detach().numpy(), before)
    assert int(optimizer.state[first]["step"].item()) == done


def test_starts_differ_between_runs(as_python: None) -> None:
    step, model, _ = classifier()
    first = next(iter(model.parameters()))
    starts = np.stack([first.detach().numpy(), first.detach().numpy() + 0.5])
    found = tw.compile(step).sweep(X, CLASSES, order=ORDER, init={first: starts})
    step, model, _ = classifier()
    with tw.no_grad():
        next(iter(model.parameters())).add_(0.5)
    want = [step(tw.tensor(X[r]), tw.tensor(CLASSES[r]))["loss"].item() for r in ORDER]
    np.testing.assert_allclose(found.outputs["loss"].numpy()[1], want, rtol=1e-5)


def test_a_class_out_of_range_is_refused_and_nothing_changes(as_python: None) -> None:
    step, model, _ = classifier()
    wrong = np.where(np.arange(40) == ORDER[0, 3], 7, CLASSES)
    fast = tw.compile(step)
    fast.loop(X, CLASSES, order=ORDER[:0:-1][:1])
    before = [p.tolist() for p in model.parameters()]
    with pytest.raises(IndexError, match="out of range"):
        fast.loop(X, wrong, order=ORDER[:1])
    assert [p.tolist() for p in model.parameters()] == before


# Rows by computed indices

WORDS = RNG.integers(0, 12, (40, 5))


def reader(kind: str) -> tuple[Any, list[Any]]:
    """Return a step that trains a table of vectors, of which each example names some, and what it trains."""
    tw.manual_seed(3)
    padding = 2 if kind == "padding" else None
    table, layer = nn.Embedding(12, 6, padding_idx=padding), nn.Linear(6, 3)
    optimizer = optim.Adam([*table.parameters(), *layer.parameters()], lr=0.05)

    def vectors(words: Any) -> Any:
        if kind == "index":
            return table.weight[words - 6]  # some are negative
        if kind == "index_select":
            return table.weight.index_select(0, words.flatten()).reshape(*words.shape, 6)
        if kind == "turned":
            return nn.functional.embedding(words.T, table.weight.T.reshape(12, 6)).transpose(0, 1)
        return table(words)

    def step(words: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(layer(vectors(words).tanh().mean(1)), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, optimizer.param_groups[0]["params"]


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("kind", ["plain", "padding", "turned", "index", "index_select"])
def test_rows_of_a_table(kind: str, dtype: Any, as_python: None) -> None:
    words = WORDS.astype(dtype)
    step, params = reader(kind)
    want = [step(tw.tensor(words[k]), tw.tensor(CLASSES[k])).item() for k in ORDER]
    step, found = reader(kind)
    fast = tw.compile(step)
    np.testing.assert_allclose(fast.loop(words, CLASSES, order=ORDER).numpy(), want, rtol=1e-5)
    assert "one function" in fast.explain()
    for a, b in zip(found, params, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-7)
    step, _ = reader(kind)
    swept = tw.compile(step).sweep(words, CLASSES, order=np.stack([ORDER, ORDER[::-1]]))
    np.testing.assert_allclose(swept.outputs.numpy()[0], want, rtol=1e-5)


@pytest.mark.parametrize("bad", [-1, 12])
def test_an_index_out_of_range_is_refused_by_a_call(bad: int, as_python: None) -> None:
    table = nn.Embedding(12, 6)
    fast = tw.compile(lambda words: table(words).sum())
    fast(WORDS)
    with pytest.raises(IndexError, match=rf"indices in \[0, 11\] are required, got {bad}"):
        fast(np.where(WORDS[0, 0] == WORDS, bad, WORDS))


@pytest.mark.parametrize("bad", [-1, 12])
def test_an_index_out_of_range_is_refused(bad: int, as_python: None) -> None:
    step, params = reader("plain")
    fast = tw.compile(step)
    fast.loop(WORDS, CLASSES, order=ORDER)
    before = [p.tolist() for p in params]
    wrong = WORDS.copy()
    wrong[ORDER[0, 2], 3] = bad
    with pytest.raises(IndexError, match="embedding or nll_loss: classes or indices in the loop are out of range"):
        fast.loop(wrong, CLASSES, order=ORDER)
    assert [p.tolist() for p in params] == before


@pytest.mark.parametrize("seed", range(40, 60))
def test_random_trainings(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    compare(seed, "whole", monkeypatch)


@pytest.mark.slow
def test_many_random_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    for seed in range(600, 900):
        with monkeypatch.context() as patch:
            compare(seed, "whole", patch)


def test_few_steps_do_not_wait_for_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)
    monkeypatch.setattr(whole.Whole, "at_hand", lambda self: False)
    monkeypatch.setattr(whole.Whole, "loop", lambda *given: pytest.fail("it was compiled"))
    tw.compile(classifier()[0]).loop(X, CLASSES, order=ORDER)
    assert len(ORDER) < version._FIRST_STEPS


def test_machine_code_of_a_loop_and_a_sweep(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path_factory.mktemp("kernels")))
    monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)
    monkeypatch.setattr(version, "_FIRST_STEPS", 1)
    want, _ = one_by_one("moves")
    fast = tw.compile(classifier("moves")[0])
    np.testing.assert_allclose(fast.loop(X, CLASSES, order=ORDER)["loss"].numpy(), want, rtol=1e-5)
    lrs = [0.02, 0.05, 0.001]
    step, _, _ = classifier("moves")
    found = tw.compile(step).sweep(X, CLASSES, order=ORDER, lr=lrs)  # the machine code comes from the disk
    for r, lr in enumerate(lrs):
        np.testing.assert_allclose(found.outputs["loss"].numpy()[r], one_by_one("moves", lr)[0], rtol=1e-5)


# The products


SIZES = (1, 2, 3, 4, 5, 8, 13, 16, 17, 33)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_all_small_sizes(dtype: Any) -> None:
    from thalweg.compiler.kernels.product import dots, multiply, pack

    rng = np.random.default_rng(0)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for n, k, m in itertools.product(SIZES, (1, 3, 8, 17), SIZES):
        x, y = rng.standard_normal((n, k)).astype(dtype), rng.standard_normal((k, m)).astype(dtype)
        turned = np.ascontiguousarray(y.T)
        out = np.full(n * m + 2, 7, dtype)
        multiply(out, 1, m, x.reshape(-1), 0, k, 1, y.reshape(-1), 0, m, n, k, m)
        np.testing.assert_allclose(out[1:-1].reshape(n, m), x @ y, **tolerance)
        assert out[0] == out[-1] == 7
        out = np.full(n * m + 2, 7, dtype)
        dots(out, 1, 1, n, x.reshape(-1), 0, k, turned.reshape(-1), 0, k, n, k, m)
        np.testing.assert_allclose(out[1:-1].reshape(m, n).T, x @ y, **tolerance)
        assert out[0] == out[-1] == 7
        packed = np.empty(k * m, dtype)
        pack(packed, turned.reshape(-1), 0, 1, k, k, m)
        assert np.array_equal(packed.reshape(k, m), y)


def test_products_carry_nan_and_infinity() -> None:
    from thalweg.compiler.kernels.product import dots, multiply

    x, y = np.array([[1.0, np.inf], [np.nan, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])
    with np.errstate(invalid="ignore"):
        want = x @ y
    out = np.empty(4)
    multiply(out, 0, 2, x.reshape(-1), 0, 2, 1, y.reshape(-1), 0, 2, 2, 2, 2)
    np.testing.assert_array_equal(out.reshape(2, 2), want)
    dots(out, 0, 2, 1, x.reshape(-1), 0, 2, np.ascontiguousarray(y.T).reshape(-1), 0, 2, 2, 2, 2)
    np.testing.assert_array_equal(out.reshape(2, 2), want)
