"""The compiled function as its user sees it: calls, loops, sweeps, guards, refusals, machine code and its cache."""

from __future__ import annotations

import copy
import gc
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import python_kernels
from tests.compiler.steps import classifier_step
from thalweg import nn, optim
from thalweg.compiler import program, store
from thalweg.compiler.threads import run_parts
from thalweg.errors import ArgumentError, CaptureError, DTypeError, ShapeError


@pytest.fixture
def as_python(monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    return tmp_path


X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(60).reshape(12, 5)


def regression(kind: Any = optim.Adam, **settings: Any) -> Any:
    """Return a step with its parameters and its optimizer."""
    w, b = tw.zeros(3, 1, requires_grad=True), tw.zeros(1, requires_grad=True)
    optimizer = kind([w, b], **{"lr": 0.1, **settings})

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((x @ w + b - y) ** 2).mean() / 2
        loss.backward()
        optimizer.step()
        return loss

    return step, (w, b), optimizer


def eagerly(order: Any = ORDER, **settings: Any) -> tuple[list[float], list[Any]]:
    step, parameters, _ = regression(**settings)
    losses = [step(tw.tensor(X[rows]), tw.tensor(Y[rows])).item() for rows in order]
    return losses, [p.detach().numpy() for p in parameters]


# Calls


def test_calls_equal_eager_and_leave_state_and_gradients(as_python: None) -> None:
    want, ends = eagerly()
    step, parameters, optimizer = regression()
    fast = tw.compile(step)
    got = [fast(X[rows], Y[rows]).item() for rows in ORDER]
    np.testing.assert_allclose(got, want, rtol=1e-5)
    for p, end in zip(parameters, ends, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), end, rtol=1e-5, atol=1e-7)
        assert p.grad is not None
    assert optimizer.state[parameters[0]]["step"].item() == len(ORDER)


def test_results_keep_their_form(as_python: None) -> None:
    @tw.compile
    def f(x: Any) -> Any:
        return {"twice": x * 2, "both": (x + 1, [x - 1, "text", None])}

    f(X)
    found = f(X)
    assert list(found) == ["twice", "both"]
    assert found["both"][1][1:] == ["text", None]
    np.testing.assert_array_equal(found["both"][0].numpy(), X + 1)


def test_nan_and_infinity_come_out_as_in_eager(as_python: None) -> None:
    x = np.array([0.0, -1.0, np.nan, np.inf, -np.inf, 1e38], np.float32)

    def f(x: Any) -> Any:
        return tw.log(x), 1 / x, tw.exp(x), tw.relu(x), tw.maximum(x, 0 * x), x * 1e10, tw.sqrt(x)

    fast = tw.compile(f)
    fast(x)
    for a, b in zip(f(tw.tensor(x)), fast(x), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_diverging_run_diverges_the_same(as_python: None) -> None:
    want, _ = eagerly(kind=optim.SGD, lr=50.0)
    step, _, _ = regression(optim.SGD, lr=50.0)
    got = tw.compile(step).loop(X, Y, order=ORDER).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_writes_through_views_and_aliases(as_python: None) -> None:
    state = tw.zeros(2, 3)

    def f(x: Any) -> Any:
        row = state[0]
        row.add_(x)
        state[1, 1:] = x[1:] * 2
        state.mul_(3)
        return row.sum() + state[1].sum()

    fast = tw.compile(f)
    x = np.arange(3, dtype=np.float32)
    twin = tw.zeros(2, 3)
    values = []
    for _ in range(3):
        twin[0].add_(tw.tensor(x))
        twin[1, 1:] = tw.tensor(x)[1:] * 2
        twin.mul_(3)
        values.append((twin[0].sum() + twin[1].sum()).item())
    assert [fast(x).item() for _ in range(3)] == values
    np.testing.assert_array_equal(state.numpy(), twin.numpy())


def test_a_write_to_an_argument_reaches_it(as_python: None) -> None:
    def f(x: Any, y: Any) -> Any:
        with tw.no_grad():
            total = (x @ y).sum()
            x.mul_(2.0)
            y.copy_(x.T)
            return total

    fast = tw.compile(f)
    for _ in range(3):
        pair = [tw.arange(12.0).reshape(3, 4), tw.ones(4, 3)]
        twin = [t.clone() for t in pair]
        versions = [t._version for t in twin]
        assert fast(*twin).item() == f(*pair).item()
        for a, b, before in zip(pair, twin, versions, strict=True):
            assert a.tolist() == b.tolist()
            assert b.grad is None
            assert b._version > before


def test_higher_derivatives_are_captured(as_python: None) -> None:
    def f(x: Any) -> Any:
        (g,) = tw.autograd.grad((x**3).sum(), x, create_graph=True)
        (h,) = tw.autograd.grad(g.sum(), x)
        return h

    x = tw.tensor([1.0, 2.0], requires_grad=True)
    fast = tw.compile(f)
    fast(x)
    assert fast(x).tolist() == [6.0, 12.0]


def test_draws_are_those_of_the_eager_run(as_python: None) -> None:
    def f(x: Any) -> Any:
        return nn.functional.dropout(x, 0.5) + tw.randn(3)

    fast = tw.compile(f)
    x = tw.ones(3)
    tw.manual_seed(3)
    want = [f(x).tolist() for _ in range(4)]
    tw.manual_seed(3)
    assert [fast(x).tolist() for _ in range(4)] == want


def test_gradients_accumulate_when_nobody_clears_them(as_python: None) -> None:
    p = tw.tensor([2.0], requires_grad=True)

    @tw.compile
    def f(x: Any) -> Any:
        (p * x).sum().backward()

    for _ in range(4):
        f(np.ones(1, np.float32))
    assert p.grad.tolist() == [4.0]
    assert "gradient" in f.explain()


# What makes it capture again


def test_another_shape_or_type_captures_again(as_python: None) -> None:
    fast = tw.compile(lambda x: x * 2)
    fast(np.ones(2, np.float32)), fast(np.ones(3, np.float32)), fast(np.ones(3)), fast(np.ones(2, np.float32))
    assert fast.explain().count("captured for") == 3


def test_train_and_eval_are_two_programs(as_python: None) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    fast = tw.compile(lambda x: model(x))
    x = tw.ones(1, 3)
    fast(x)
    model.eval()
    fast(x)
    np.testing.assert_allclose(fast(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-6)
    assert "eval" in fast.explain() or "train" in fast.explain()


def test_a_schedule_never_captures_again(as_python: None) -> None:
    step, _, optimizer = regression()
    fast = tw.compile(step)
    for k, rows in enumerate(ORDER):
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        fast(X[rows], Y[rows])
    assert fast.explain().count("captured for") == 1


def test_static_arguments_are_part_of_the_program(as_python: None) -> None:
    fast = tw.compile(lambda x, k, how="a": x * k if how == "a" else x + k)
    x = np.ones(1, np.float32)
    assert [fast(x, 2).item(), fast(x, 3).item(), fast(x, 3, how="b").item(), fast(x, 2).item()] == [2, 3, 4, 2]


# Refusals


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.sum().item(),
        lambda x: x * float(x[0]),
        lambda x: tw.nonzero(x),
    ],
    ids=["branch", "item", "float", "shape"],
)
def test_reading_a_captured_value_names_the_line(body: Any) -> None:
    with pytest.raises(CaptureError, match=r"test_compiled\.py:\d+"):
        tw.compile(body, strict=True)(np.ones(2, np.float32))


def test_a_refused_capture_leaves_no_trace() -> None:
    p = tw.ones(2)

    def f(x: Any) -> Any:
        p.add_(1)
        return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError):
        tw.compile(f, strict=True)(np.ones(2, np.float32))
    assert p.tolist() == [1.0, 1.0]
    assert (tw.ones(2) + 1).tolist() == [2.0, 2.0]


def test_strict_refuses_numpy() -> None:
    f = tw.compile(lambda x: tw.linalg.inv(x), strict=True)
    with pytest.raises(CaptureError, match="strict"):
        f(np.eye(2))


def test_wrong_arguments(as_python: None) -> None:
    step, _, _ = regression()
    fast = tw.compile(step)
    with pytest.raises(ShapeError, match="order"):
        fast.loop(X, Y, order=ORDER[0])
    with pytest.raises(ShapeError, match="order must lie"):
        fast.loop(X, Y, order=ORDER + 1000)
    with pytest.raises(DTypeError, match="integers"):
        fast.loop(X, Y, order=ORDER * 1.0)
    with pytest.raises(ArgumentError, match="speed"):
        fast.loop(X, Y, order=ORDER, speed=1)
    with pytest.raises(ShapeError, match="lr"):
        fast.loop(X, Y, order=ORDER, lr=np.ones(5))
    with pytest.raises(ArgumentError, match="nothing differs"):
        fast.sweep(X, Y, order=ORDER)
    with pytest.raises(DTypeError, match="function"):
        tw.compile(3)


# Loops and sweeps


def test_loop_equals_calls(as_python: None) -> None:
    want, ends = eagerly()
    step, parameters, _ = regression()
    got = tw.compile(step).loop(X, Y, order=ORDER)
    assert got.shape == (12,)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5)
    for p, end in zip(parameters, ends, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), end, rtol=1e-5, atol=1e-7)


def test_loop_takes_a_schedule(as_python: None) -> None:
    lrs = 0.1 * 0.9 ** np.arange(12)
    step, _, optimizer = regression()
    want = []
    for lr, rows in zip(lrs, ORDER, strict=True):
        optimizer.param_groups[0]["lr"] = float(lr)
        want.append(step(tw.tensor(X[rows]), tw.tensor(Y[rows])).item())
    step, _, optimizer = regression()
    got = tw.compile(step).loop(X, Y, order=ORDER, lr=lrs)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-5)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("own", [False, True], ids=["shared order", "own orders"])
@pytest.mark.parametrize("k", [3, 37])
def test_each_run_of_a_sweep_is_its_loop(own: bool, k: int, as_python: None) -> None:
    rng = np.random.default_rng(2)
    lrs = np.geomspace(0.01, 0.3, k)
    order = np.stack([rng.permutation(60).reshape(12, 5) for _ in range(k)]) if own else ORDER
    step, parameters, _ = regression()
    fast = tw.compile(step)
    found = fast.sweep(X, Y, order=order, lr=lrs)
    assert found.outputs.shape == (k, 12)
    assert all(p.tolist() == tw.zeros_like(p).tolist() and p.grad is None for p in parameters)
    for r in (0, k - 1):
        step, parameters, _ = regression()
        alone = tw.compile(step).loop(X, Y, order=order[r] if own else order, lr=float(lrs[r]))
        np.testing.assert_allclose(found.outputs.numpy()[r], alone.numpy(), rtol=1e-5)
        for p, (_, state) in zip(parameters, found.states.items(), strict=False):
            np.testing.assert_allclose(state.numpy()[r], p.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("features", [1, 7, 9])
def test_own_orders_of_rows_of_any_width_and_of_integers(features: int, dtype: Any, as_python: None) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((30, features)).astype(dtype), rng.standard_normal(30)
    sign = rng.integers(-1, 2, 30)
    order = np.stack([rng.permutation(30).reshape(6, 5) for _ in range(3)])

    def start() -> Any:
        w = tw.zeros(features, dtype=tw.float32 if dtype == np.float32 else tw.float64, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.01)

        def step(x: Any, y: Any, sign: Any) -> Any:
            optimizer.zero_grad()
            loss = ((x @ w - y) ** 2 * sign).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    found = tw.compile(start()).sweep(x, y, sign, order=order)
    for r in range(3):
        step = start()
        want = [step(tw.tensor(x[k]), tw.tensor(y[k]), tw.tensor(sign[k])).item() for k in order[r]]
        np.testing.assert_allclose(found.outputs.numpy()[r], want, rtol=1e-5 if dtype == np.float32 else 1e-11)


def test_sweep_over_starts_and_schedules(as_python: None) -> None:
    step, (w, _), _ = regression()
    starts = np.random.default_rng(3).standard_normal((4, 3, 1)).astype(np.float32)
    lrs = 0.1 * np.random.default_rng(4).random((4, 12))
    found = tw.compile(step).sweep(X, Y, order=ORDER, init={w: starts}, lr=lrs)
    for r in range(4):
        step, (w, _), _ = regression()
        with tw.no_grad():
            w.copy_(tw.tensor(starts[r]))
        alone = tw.compile(step).loop(X, Y, order=ORDER, lr=lrs[r])
        np.testing.assert_allclose(found.outputs.numpy()[r], alone.numpy(), rtol=1e-5)


def test_sweep_of_a_program_that_cannot_be_unrolled(as_python: None) -> None:
    w = tw.zeros(3, 1, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((nn.functional.dropout(x, 0.5) @ w - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    fast = tw.compile(step)
    tw.manual_seed(0)
    found = fast.sweep(X, Y, order=ORDER, lr=[0.01, 0.1])
    assert w.tolist() == [[0.0], [0.0], [0.0]]
    tw.manual_seed(0)
    alone = fast.loop(X, Y, order=ORDER, lr=0.1)
    np.testing.assert_allclose(found.outputs.numpy()[1], alone.numpy(), rtol=1e-6)


def test_loop_without_data_counts_steps(as_python: None) -> None:
    p = tw.tensor([4.0, -3.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)

    @tw.compile
    def step() -> Any:
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        return p

    path = step.loop(steps=5)
    np.testing.assert_allclose(path.numpy()[:, 0], 4 * 0.8 ** np.arange(1, 6), rtol=1e-6)


# What it shows


def test_everything_can_be_read(as_python: None) -> None:
    step, _, _ = regression()
    fast = tw.compile(step)
    with pytest.raises(CaptureError, match="nothing was captured"):
        _ = fast.source
    assert "nothing" in fast.explain()
    fast(X[:5], Y[:5])
    assert "mm(x1, " in str(fast.program)
    assert "def run(" in fast.source
    assert "the first call" in fast.explain()


def test_a_fallback_is_said(as_python: None) -> None:
    fast = tw.compile(lambda x: tw.linalg.inv(x))
    fast(np.eye(2))
    assert "NumPy, for want of a kernel: linalg_inv" in fast.explain()


def test_the_checker_refuses_a_wrong_program() -> None:
    from thalweg.ops.arithmetic import _add

    a = program.Value("a", (), np.dtype(np.float32))
    b = program.Value("b", (), np.dtype(np.float32))
    op = program.Operation(_add, (a, 1.0), (), (b,))
    with pytest.raises(program.ProgramError, match="not set"):
        program.check(program.Program([], [op], [b], []))
    given = program.Input("argument", a, 0)
    with pytest.raises(program.ProgramError, match="set twice"):
        program.check(program.Program([given, given], [op], [b], []))
    assert program.check(program.Program([given], [op], [b], [])).results == [b]


# Machine code


def test_machine_code_equals_eager(folder: Path) -> None:
    want, _ = eagerly()
    step, _, _ = regression()
    fast = tw.compile(step)
    np.testing.assert_allclose(fast.loop(X, Y, order=ORDER).numpy(), want, rtol=1e-5)
    step, _, _ = regression()
    found = tw.compile(step).sweep(X, Y, order=ORDER, lr=np.full(3, 0.1))
    np.testing.assert_allclose(found.outputs.numpy()[2], want, rtol=1e-5)
    assert list((folder / "compiled").glob("*.n"))


def test_machine_code_of_a_plan_equals_eager(folder: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 64)).astype(np.float32), rng.integers(0, 10, 32)

    def network() -> Any:
        tw.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10))
        return classifier_step(model, optim.Adam(model.parameters(), lr=0.01))

    step = network()
    want = [step(tw.tensor(x), tw.tensor(y)).item() for _ in range(4)]
    fast = tw.compile(network())
    np.testing.assert_allclose([fast(x, y).item() for _ in range(4)], want, rtol=1e-5)
    assert "fused loops" in fast.explain()


def doubled(value: float) -> Any:
    """Return a compiled function whose source depends on `value`, and call it twice."""
    f = tw.compile(lambda x: x * value + 1)
    f(np.ones(2))
    return f(np.ones(2)).tolist()


def test_a_damaged_cache_is_survived(folder: Path) -> None:
    assert doubled(7.0) == [8.0, 8.0]
    for path in folder.rglob("*.*"):
        path.write_bytes(b"rubbish")
    gc.collect()  # forget the function that was compiled
    assert doubled(7.0) == [8.0, 8.0]


def test_no_folder_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file"))
    assert doubled(11.0) == [12.0, 12.0]


def test_several_processes_may_compile_at_once(folder: Path) -> None:
    code = "import numpy as np, thalweg as tw\nf = tw.compile(lambda x: x * 13 + 1)\nf(np.ones(2)); print(f(np.ones(2)).tolist())"
    env = {**os.environ, "THALWEG_CACHE": str(folder)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [p.communicate()[0].strip() for p in running] == ["[14.0, 14.0]"] * 2
    store.clear_cache()
    assert not (folder / "compiled").exists()


def test_importing_the_library_does_not_import_numba() -> None:
    code = "import sys, thalweg; thalweg.compile(lambda x: x); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# Threads, memory, interrupts


def test_parts_cover_everything_once() -> None:
    seen: list[tuple[int, int]] = []
    lock = threading.Lock()

    def work(first: int, last: int) -> None:
        with lock:
            seen.append((first, last))

    run_parts(work, 10, 3)
    assert sorted(k for first, last in seen for k in range(first, last)) == list(range(10))


def test_an_error_in_a_part_is_raised() -> None:
    def work(first: int, last: int) -> None:
        if first:
            raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        run_parts(work, 4, 2)


def test_set_num_threads_checks() -> None:
    before = tw.get_num_threads()
    tw.set_num_threads(1)
    assert tw.get_num_threads() == 1
    tw.set_num_threads(before)
    with pytest.raises(ArgumentError, match="set_num_threads"):
        tw.set_num_threads(0)


def test_ten_thousand_calls_leave_no_growth(as_python: None) -> None:
    import tracemalloc

    p = tw.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=1e-6)

    @tw.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (p * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones(1, np.float32)
    for _ in range(100):
        step(x)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(10_000):
        step(x)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000


def test_an_interrupted_loop_leaves_consistent_state(as_python: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.compiler import small

    monkeypatch.setattr(small, "_SLICE", 4)
    calls = [0]
    original = python_kernels.PythonKernel.__call__

    def interrupted(self: Any, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return original(self, *args)

    step, (w, _), optimizer = regression()
    fast = tw.compile(step)
    monkeypatch.setattr(python_kernels.PythonKernel, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fast.loop(X, Y, order=ORDER)
    _, ends = eagerly(ORDER[:8])
    np.testing.assert_allclose(w.detach().numpy(), ends[0], rtol=1e-5, atol=1e-7)
    assert optimizer.state[w]["step"].item() == 8


# Schedulers in the function


def scheduled(kind: str) -> tuple[Any, Any, Any]:
    """Return a step that also steps a scheduler, the optimizer and the scheduler."""
    w = tw.ones(2, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1, momentum=0.5, weight_decay=1e-9)
    kit = optim.lr_scheduler
    scheduler = {
        "step": lambda: kit.StepLR(optimizer, 2, 0.5),
        "cosine": lambda: kit.CosineAnnealingLR(optimizer, 7),
        "chained": lambda: kit.SequentialLR(
            optimizer, [kit.LinearLR(optimizer, 0.1, 1.0, 3), kit.ExponentialLR(optimizer, 0.8)], [3]
        ),
        "cycle": lambda: kit.OneCycleLR(optimizer, 0.3, 20),
    }[kind]()

    def step() -> Any:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss

    return step, optimizer, scheduler


@pytest.mark.parametrize("kind", ["step", "cosine", "chained", "cycle"])
def test_a_scheduler_in_the_function_goes_on(kind: str, as_python: None) -> None:
    step, optimizer, scheduler = scheduled(kind)
    want = [step().item() for _ in range(8)]
    ends = scheduler.last_epoch, optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
    step, optimizer, scheduler = scheduled(kind)
    fast = tw.compile(step)
    np.testing.assert_allclose([fast().item() for _ in range(8)], want, rtol=1e-6)
    assert (scheduler.last_epoch, *(optimizer.param_groups[0][k] for k in ("lr", "momentum"))) == ends
    step, optimizer, scheduler = scheduled(kind)
    fast = tw.compile(step)
    np.testing.assert_allclose(fast.loop(steps=5).tolist(), want[:5], rtol=1e-6)
    assert scheduler.last_epoch == 5
    before = scheduler.state_dict()
    swept = fast.sweep(steps=3, weight_decay=[1e-9, 0.1])
    assert scheduler.state_dict() == before
    np.testing.assert_allclose(swept.outputs.numpy()[0], want[5:], rtol=1e-6)
    np.testing.assert_allclose(fast.loop(steps=3).tolist(), want[5:], rtol=1e-6)
    assert (scheduler.last_epoch, *(optimizer.param_groups[0][k] for k in ("lr", "momentum"))) == ends


def test_a_number_that_is_given_stands_above_the_scheduler(as_python: None) -> None:
    step, optimizer, scheduler = scheduled("step")
    fast = tw.compile(step)
    fixed = fast.loop(steps=4, lr=0.1).tolist()
    assert scheduler.last_epoch == 4
    step, optimizer, _ = scheduled("step")
    want = []
    for _ in range(4):
        optimizer.param_groups[0]["lr"] = 0.1
        want.append(step().item())
    np.testing.assert_allclose(fixed, want, rtol=1e-6)


def test_what_a_scheduler_cannot_do_in_a_compiled_function(as_python: None) -> None:
    step, optimizer, scheduler = scheduled("step")
    fast = tw.compile(step)
    with pytest.raises(ArgumentError, match="set by a scheduler"):
        fast.sweep(steps=4, lr=[0.1, 0.2])
    assert scheduler.last_epoch == 0
    with pytest.raises(ArgumentError, match="no setting"):
        fast.loop(steps=4, speed=2)
    assert scheduler.last_epoch == 0
    with pytest.raises(CaptureError, match="Step the scheduler last"):
        tw.compile(lambda: (step(), step()), strict=True)()
    assert (scheduler.last_epoch, optimizer.param_groups[0]["lr"]) == (0, 0.1)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer)

    def looks() -> None:
        plateau.step(step())

    with pytest.raises(CaptureError, match="test_compiled"):
        tw.compile(looks, strict=True)()

    optimizer.param_groups[0]["lr"] = 0.1
    with pytest.raises(CaptureError, match="changed lr"):
        tw.compile(lambda: (optimizer.step(), optimizer.param_groups[0].update(lr=0.3)), strict=True)()


def test_a_compiled_module_is_differentiated_as_the_module_is():
    net = tw.nn.Sequential(tw.nn.Linear(3, 4), tw.nn.Tanh(), tw.nn.Linear(4, 1))
    model = tw.compile(net)
    optimizer = tw.optim.SGD(model.parameters(), lr=0.1)
    x = tw.randn(5, 3)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).sum().backward()
        (wanted,) = tw.autograd.grad(net(x).sum(), net[0].weight)
        assert tw.equal(net[0].weight.grad, wanted)
        optimizer.step()
    assert "calls run as written" in model.explain()


def test_a_compiled_module_runs_compiled_where_no_gradient_is_recorded():
    net = tw.nn.Linear(3, 2)
    model, x = tw.compile(net), tw.randn(4, 3)
    with tw.no_grad():
        for _ in range(2):
            np.testing.assert_allclose(model(x).numpy(), net(x).numpy(), rtol=1e-6)
    assert "calls run as written" not in model.explain()


def test_a_compiled_module_has_what_the_module_has():
    net = tw.nn.Linear(3, 2)
    model = tw.compile(net)
    assert list(model.state_dict()) == ["weight", "bias"]
    assert model.weight is net.weight
    model.eval()
    assert not model.training
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = model.nothing_of_the_kind


def test_a_step_that_returns_its_loss_stays_compiled():
    w = tw.ones(2, requires_grad=True)
    optimizer = tw.optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (w * x).sum() ** 2
        loss.backward(retain_graph=True)
        optimizer.step()
        return loss

    def by_grad(x):
        loss = (w * x).sum() ** 2
        (g,) = tw.autograd.grad(loss, w)
        return loss, g

    for function in (step, by_grad):
        compiled = tw.compile(function)
        for _ in range(2):
            compiled(tw.ones(2))
        assert "calls run as written" not in compiled.explain()


class Scaled(nn.Module):
    def __init__(self, w: float) -> None:
        super().__init__()
        self.w = nn.Parameter(tw.tensor(w))
        self.optimizer = optim.SGD([self.w], lr=0.5)

    @tw.compile
    def step(self, x):
        self.optimizer.zero_grad()
        loss = ((self.w - x) ** 2).sum()
        loss.backward()
        self.optimizer.step()
        return loss


def test_a_method_is_compiled_for_each_object():
    one, two = Scaled(1.0), Scaled(2.0)
    for _ in range(2):
        one.step(tw.zeros(1))
    two.step(tw.zeros(1))
    assert one.w.item() == two.w.item() == 0.0
    assert one.step is one.step
    assert one.step is not two.step
    losses = Scaled(3.0).step.loop(np.zeros((4, 1), np.float32))
    assert losses.tolist() == [9.0, 0.0, 0.0, 0.0]
    assert isinstance(Scaled.step, type(one.step))
    twin = copy.deepcopy(one)
    twin.step(tw.ones(1))
    assert (one.w.item(), twin.w.item()) == (0.0, 1.0)


@pytest.mark.parametrize("kind", [1, 2, math.inf])
@pytest.mark.parametrize("wide", [3, 40])  # unrolled, and planned with its loop in one function
def test_gradients_are_clipped_by_their_norm_without_numpy(wide: int, kind: float, as_python: None) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    order = rng.integers(0, 30, (12, 6))
    found = []
    for compiled in (False, True):
        tw.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, wide), nn.Tanh(), nn.Linear(wide, 3)).double()
        optimizer = optim.SGD(model.parameters(), lr=0.5)

        def step(x, y, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1, norm_type=kind)
            optimizer.step()
            return loss, norm

        if compiled:
            fast = tw.compile(step, strict=True)
            assert fast(x[order[0]], y[order[0]])[1] > 0.1
            rest = fast.loop(x, y, order=order[1:])
            found.append([t.numpy() for t in rest])
        else:
            out = [step(tw.tensor(x[o]), tw.tensor(y[o])) for o in order]
            found.append([np.array([float(pair[k]) for pair in out[1:]]) for k in (0, 1)])
    for eager, fast in zip(*found, strict=True):
        np.testing.assert_allclose(fast, eager, rtol=1e-11)


@pytest.mark.parametrize("hold", ["tensor", "array", "view", "nothing"])
def test_a_gradient_that_somebody_holds_stays_as_it_is(hold: str, as_python: None) -> None:
    rng = np.random.default_rng(0)
    w = tw.tensor(rng.standard_normal((90, 60)), requires_grad=True)

    @tw.compile
    def step(x: Any) -> Any:
        w.grad = None
        loss = (x @ w).tanh().sum()
        loss.backward()
        return loss

    def gradient(x: Any) -> Any:
        return x.T @ (1 - np.tanh(x @ w.detach().numpy()) ** 2)

    xs = rng.standard_normal((5, 20, 90))
    held = []
    for x in xs:
        step(x)
        np.testing.assert_allclose(w.grad.numpy(), gradient(x), rtol=1e-10)
        w.grad.mul_(1.0)
        held.append({"tensor": w.grad, "array": w.grad.numpy(), "view": w.grad[2:], "nothing": None}[hold])
    if hold != "nothing":
        for one, x in zip(held, xs, strict=True):
            kept = one if hold == "array" else one.numpy()
            np.testing.assert_allclose(kept, gradient(x)[2:] if hold == "view" else gradient(x), rtol=1e-10)
    before = w.grad._data.__array_interface__["data"]
    del held[:]
    step(xs[0])
    step(xs[1])
    if hold == "nothing":  # the same memory again
        assert w.grad._data.__array_interface__["data"] == before


def test_a_setting_that_was_off_is_named(as_python: None) -> None:
    w = tw.zeros(3, 1, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    @tw.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((x @ w - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    with pytest.raises(ArgumentError, match=r"weight_decay was 0 in the capture.*make the optimizer with another"):
        step.sweep(X, Y, order=ORDER, weight_decay=[0.1, 0.2])
    with pytest.raises(ArgumentError, match=r"warmup is no setting that the function uses; there are: lr\.$"):
        step.loop(X, Y, order=ORDER, warmup=3.0)
