"""Compiled functions called from many threads; helpers that die or cannot start; forks, the end, and one processor."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.steps import classifier_step
from thalweg import nn, optim
from thalweg.compiler import plan, team, threads
from thalweg.compiler.capture import capture
from thalweg.compiler.team import Team, team_of
from thalweg.errors import CaptureError, ThalwegError
from thalweg.optim import _large

pytest.importorskip("numba")

rng = np.random.default_rng(0)
WEIGHT = tw.tensor(rng.standard_normal((120, 120)) / 10)
XS = [tw.tensor(rng.standard_normal((n, 120))) for n in (150, 150, 150, 3, 40)]
PICTURES = rng.standard_normal((6, 64, 80)).astype(np.float32)
CLASSES = rng.integers(0, 10, (6, 64))


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = tw.get_num_threads()
    tw.set_num_threads(4)
    yield
    tw.set_num_threads(before)


def at_once(count: int, work: Callable[[int], None]) -> None:
    """Let `count` threads begin together; raise what any of them raised."""
    begin, errors = threading.Barrier(count), []

    def run(k: int) -> None:
        begin.wait(30)
        try:
            work(k)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    running = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert not any(thread.is_alive() for thread in running), "a thread hangs"
    if errors:
        raise errors[0]


def pure(x: Any) -> Any:
    return ((x @ WEIGHT).tanh() @ WEIGHT.t()).softmax(1)


def training(lr: float) -> Any:
    tw.manual_seed(0)
    model = nn.Sequential(nn.Linear(80, 90), nn.Tanh(), nn.Linear(90, 10))
    return classifier_step(model, optim.SGD(model.parameters(), lr=lr))


@pytest.mark.parametrize("used", [1, 2, 4])
def test_one_function_of_many_threads_and_shapes(used: int) -> None:
    tw.set_num_threads(used)
    want = [pure(x).numpy() for x in XS]
    fast = tw.compile(pure)

    def work(k: int) -> None:
        for n in range(40):
            i = (n * (k + 1)) % len(XS)
            np.testing.assert_allclose(fast(XS[i]).numpy(), want[i], rtol=1e-9)

    at_once(6, work)
    assert len(fast._versions) == 3  # each shape was captured once


def test_each_step_is_made_once_whoever_makes_it() -> None:
    sizes = {"unrolled": 3, "planned": 3000}
    for size in sizes.values():
        w = tw.zeros(size, requires_grad=True)
        optimizer = optim.SGD([w], lr=1.0)

        @tw.compile
        def step(x: Any, w: Any = w, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            (w * x).sum().backward()
            optimizer.step()

        def work(k: int, step: Any = step, size: int = size) -> None:
            x = np.full(size, -1.0, np.float32)
            for _ in range(20):
                step(x)
            step.loop(np.repeat(x[None], 30, 0))

        at_once(4, work)
        assert (w.detach().numpy() == 4 * 50).all()


def test_calls_loops_sweeps_errors_eager_kernels_and_captures_at_once() -> None:
    still, eager = training(0.0), training(0.1)
    losses = [still(tw.tensor(x), tw.tensor(y)).item() for x, y in zip(PICTURES, CLASSES, strict=True)]
    trained = [eager(tw.tensor(x), tw.tensor(y)).item() for x, y in zip(PICTURES, CLASSES, strict=True)]
    large = tw.tensor(rng.standard_normal((1500, 200)).astype(np.float32))
    soft = large.softmax(1).numpy()
    wrong = CLASSES[0].copy()
    wrong[3] = 11
    shared, making = tw.compile(still), threading.Lock()

    def a_class_out_of_range() -> None:
        with pytest.raises((IndexError, ThalwegError)):
            shared(PICTURES[0], wrong)

    def a_model_of_its_own() -> None:
        with making:  # the seed belongs to all threads
            own = training(0.1)
        fast = tw.compile(own)
        found = [fast(x, y).item() for x, y in zip(PICTURES, CLASSES, strict=True)]
        np.testing.assert_allclose(found, trained, rtol=1e-4)

    jobs: list[Callable[[], Any]] = [
        lambda: np.testing.assert_allclose(shared(PICTURES[1], CLASSES[1]).item(), losses[1], rtol=1e-5),
        lambda: np.testing.assert_allclose(shared.loop(PICTURES, CLASSES).numpy(), losses, rtol=1e-5),
        lambda: np.testing.assert_allclose(
            shared.sweep(PICTURES, CLASSES, lr=[0.0, 0.0]).outputs.numpy(), [losses] * 2, rtol=1e-5
        ),
        lambda: np.testing.assert_allclose(large.softmax(1).numpy(), soft, rtol=1e-5),
        a_class_out_of_range,
        a_model_of_its_own,
    ]
    at_once(6, lambda k: [jobs[(n * (k + 1) + k) % len(jobs)]() for n in range(12)] and None)
    assert not shared._turn.lock.locked()


def test_a_capture_sees_its_own_thread_only() -> None:
    inside, done = threading.Event(), threading.Event()

    def slow(x: Any) -> Any:
        y = x * 2
        inside.set()
        assert done.wait(30)
        return y + 1

    quick = tw.compile(lambda x: (x * 5).exp())
    found: list[Any] = []

    def other() -> None:
        assert inside.wait(30)
        found.extend([tw.ones(3).sin().cos(), quick(np.zeros(2)), quick(np.zeros(2))])
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    x = tw.ones(2)
    captured, result = capture(slow, (x,), [x])
    assert result.tolist() == [3.0, 3.0]
    thread.join()
    assert [op.primitive.name for op in captured.program.operations] == ["mul", "add"]
    assert found[2].tolist() == [1.0, 1.0]


def test_a_function_that_comes_back_to_itself_runs_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = tw.compile(pure)
    fast(XS[0])
    inner: list[Any] = []
    plain = plan.Plan.call

    def call(self: Any, arrays: Any, settings: Any) -> Any:
        found = plain(self, arrays, settings)
        if not inner:
            inner.append(None)
            inner[0] = fast(XS[1]).numpy()
            with pytest.raises(CaptureError, match="running already"):
                fast.loop(XS[0].numpy()[None])
        return found

    monkeypatch.setattr(plan.Plan, "call", call)
    np.testing.assert_allclose(fast(XS[0]).numpy(), pure(XS[0]).numpy(), rtol=1e-9)
    np.testing.assert_allclose(inner[0], pure(XS[1]).numpy(), rtol=1e-9)


def test_a_method_is_one_function_for_all_threads() -> None:
    class Counter:
        def __init__(self) -> None:
            self.total = tw.zeros(1)

        @tw.compile
        def add(self, x: Any) -> Any:
            self.total.add_(x)
            return self.total * 1

    for _ in range(20):
        counter = Counter()
        at_once(4, lambda k, counter=counter: [counter.add(np.ones(1, np.float32)) for _ in range(3)] and None)  # type: ignore[misc]
        assert counter.total.item() == 12


def test_large_eager_steps_and_kernels_of_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_large, "PAYS", 1)
    monkeypatch.setattr(_large, "_loops", {})
    start, picked = rng.standard_normal(_large.LARGE).astype(np.float32), rng.integers(0, 500, 70_000)
    table = rng.standard_normal((500, 40))

    def trained(k: int) -> list[Any]:
        w = tw.tensor(start * (k + 1), requires_grad=True)
        optimizer = optim.Adam([w], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        x = tw.tensor(table * (k + 1))
        return [w.detach(), x[picked], x.expand(40, 500, 40).exp().softmax(2), x.expand(9, 500, 40).cumsum(1), w.exp()]

    want = [[np.array(v.detach().numpy()) for v in trained(k)] for k in range(4)]

    def work(k: int) -> None:
        for _ in range(2):
            for found, value in zip(trained(k), want[k], strict=True):
                np.testing.assert_array_equal(found.detach().numpy(), value)

    at_once(4, work)
    assert any(loop is not None for loop in _large._loops.values())


# Helpers


def end_of(thread: threading.Thread) -> None:
    """Let a thread end where it is."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads end without a word."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)


def test_helpers_that_are_gone_are_not_waited_for(quiet: None) -> None:
    made = Team(2)
    for helper in made.helpers:
        end_of(helper)
        for door in made.doors:
            door.release()
        helper.join(30)
        assert not helper.is_alive()
    for _ in range(3):
        seen: list[int] = []
        made.run(lambda first, last, seen=seen: seen.extend(range(first, last)), 9, 9)  # type: ignore[misc]
        assert sorted(seen) == list(range(9))
    made.leave()


def test_a_helper_that_ends_in_its_part_is_an_error(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Team(1)
    plain, ended = Team.take, threading.Event()

    def take(self: Team, job: Any, k: int) -> None:
        if k:
            next(job.following)
            ended.set()
            raise SystemExit
        assert ended.wait(30)
        plain(self, job, k)

    monkeypatch.setattr(Team, "take", take)
    with pytest.raises(RuntimeError, match="incomplete"):
        made.run(lambda first, last: None, 4, 4)
    assert made.left
    assert not made.free.locked()


def test_where_no_thread_can_be_started_the_caller_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(team.threading.Thread, "start", refuses)
        made = Team(3)
    assert made.helpers == []
    seen: list[int] = []
    made.run(lambda first, last: seen.extend(range(first, last)), 9, 9)
    assert sorted(seen) == list(range(9))
    monkeypatch.setattr(team, "_present", [made])
    monkeypatch.setattr(threads, "_count", [4])
    np.testing.assert_allclose(tw.compile(pure)(XS[0]).numpy(), pure(XS[0]).numpy(), rtol=1e-9)


def test_little_work_does_not_change_the_team() -> None:
    first = team_of(4)
    threads.run_parts(lambda first, last: None, 2)
    threads.run_parts(lambda first, last: None, 3)
    assert team_of(4) is first
    assert team_of(1) is None


def test_many_models_with_one_thread() -> None:
    tw.set_num_threads(1)
    for _ in range(14):
        model = nn.Sequential(nn.Linear(100, 64), nn.Tanh(), nn.Linear(64, 10))
        step = tw.compile(classifier_step(model, optim.SGD(model.parameters(), lr=0.01)))
        x = np.ones((64, 100), np.float32)
        assert step(x, CLASSES[0]).item() > step(x, CLASSES[0]).item() > 0


# Processes

SHARED = """
import os, signal, sys, threading, time, warnings
import numpy as np, thalweg as tw
warnings.simplefilter("ignore")  # about forks of processes with threads
tw.set_num_threads(3)
weight = tw.tensor(np.random.default_rng(0).standard_normal((120, 120)))
@tw.compile
def f(x):
    return ((x @ weight).tanh() @ weight.t()).softmax(1)
x = tw.tensor(np.random.default_rng(1).standard_normal((200, 120)))
f(x)
want = f(x).numpy()
def busy(count):
    while count:
        count -= 1
        assert np.allclose(f(x).numpy(), want)
running = [threading.Thread(target=busy, args=(int(sys.argv[1]),), daemon=True) for _ in range(2)]
for thread in running:
    thread.start()
"""
FORKS = """
codes = []
for k in range(4):
    child = os.fork()
    if not child:
        signal.alarm(60)
        g = tw.compile(lambda x: (x @ weight).exp().sum(0) * (k + 1))
        busy(3)
        g(x)
        os._exit(0 if np.allclose(g(x).numpy(), (x @ weight).exp().sum(0).numpy() * (k + 1)) else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
for thread in running:
    thread.join()
busy(3)
print(codes)
"""


def process(program: str, count: int, **more: str) -> tuple[int, str, str]:
    env = {**os.environ, **more}
    done = subprocess.run(
        [sys.executable, "-c", program, str(count)], env=env, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_children_have_a_team_of_their_own_while_threads_call() -> None:
    assert process(SHARED + FORKS, 200) == (0, "[0, 0, 0, 0]\n", "")


def test_the_interpreter_ends_while_threads_call() -> None:
    assert process(SHARED, -1) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be placed here")
def test_on_one_processor() -> None:
    alone = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    end = "for thread in running: thread.join()\nprint(tw.get_num_threads())\n"
    assert process(alone + SHARED + end, 30) == (0, "3\n", "")
    assert process(SHARED.replace("tw.set_num_threads(3)", "") + end, 30, OMP_NUM_THREADS="1") == (0, "1\n", "")
