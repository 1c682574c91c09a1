"""Ctrl-C, wherever it comes: parameters, optimizer, scheduler and generator are as after some whole step, and all goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn, optim
from thalweg.compiler import cache, capture, compiled, interrupts, items, machine, plan, small, version, whole
from thalweg.compiler.interrupts import answered, held, pause

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def handler_is_put_back() -> Iterator[None]:
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not interrupts._present


# Blocks


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_for_a_pause_or_the_end() -> None:
    done = []

    def two_steps() -> None:
        with held():
            interrupt()
            done.append("the step")
            pause()
            done.append("the next step")

    with pytest.raises(KeyboardInterrupt):
        two_steps()

    def to_the_end() -> None:
        with held(), held():
            interrupt()
            interrupt()
            done.append("all of it")
        done.append("nothing after")

    with pytest.raises(KeyboardInterrupt):
        to_the_end()
    assert done == ["the step", "all of it"]


def test_the_users_own_function_is_interrupted_at_once_and_what_mends_is_not() -> None:
    done = []

    def run() -> None:
        with held():
            try:
                with answered():
                    interrupt()
                    done.append("not reached")
            except KeyboardInterrupt:
                interrupt()
                done.append("mended")
                raise

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["mended"]


def test_a_block_within_the_users_function_holds_back_too() -> None:
    done = []

    def run() -> None:
        with held(), answered():
            with held():
                interrupt()
                done.append("the inner block")
            done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["the inner block"]


def test_a_handler_of_ones_own_is_asked_and_what_it_decides_holds() -> None:
    asked = []
    before = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        with held():
            interrupt()
            assert asked == []
            pause()
            assert asked == [signal.SIGINT]
            with answered():
                interrupt()
                interrupt()
            assert len(asked) == 3
            interrupt()
        assert len(asked) == 4
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with held():
            interrupt()
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_that_was_set_within_stays() -> None:
    def other(number: int, frame: Any) -> None:
        return None

    before = signal.getsignal(signal.SIGINT)
    try:
        with held(), answered():
            signal.signal(signal.SIGINT, other)
        assert signal.getsignal(signal.SIGINT) is other
    finally:
        signal.signal(signal.SIGINT, before)


def test_elsewhere_than_in_the_main_thread_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def run() -> None:
        with held(), answered():
            pause()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    def refuses(number: int, handler: Any) -> None:
        raise ValueError("signal only works in main thread of the main interpreter")

    monkeypatch.setattr(interrupts, "_set_handler", refuses)
    run()
    assert found == [signal.default_int_handler] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_child_of_another_thread_answers_for_itself() -> None:
    program = """
import os, signal, threading, warnings
from thalweg.compiler.interrupts import held
warnings.simplefilter("ignore")
def fork():
    child = os.fork()
    if not child:
        with held():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        os._exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
with held():
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


# Stages

STEPS = 8
X = np.random.default_rng(0).standard_normal((STEPS, 5, 4)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, (STEPS, 5))
RULES: dict[str, Callable[[Any], Any]] = {
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "momentum": lambda p: optim.SGD(p, lr=0.01, momentum=0.9, dampening=0.1),
}
SIZES = {"unrolled": 2, "planned": 70}


class Training:
    """A model with dropout where it is large, its optimizer and scheduler, and one step."""

    def __init__(self, rule: str, size: str) -> None:
        tw.manual_seed(0)
        h = SIZES[size]
        self.model = nn.Sequential(
            nn.Linear(4, h), nn.Tanh(), nn.Dropout(0.5) if h > 2 else nn.Identity(), nn.Linear(h, 3)
        )
        self.optimizer = RULES[rule](self.model.parameters())
        self.scheduler = optim.lr_scheduler.StepLR(self.optimizer, 2, 0.5)

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss

    def state(self) -> tuple[Any, ...]:
        """Return all that must be as after a whole step."""
        numbers = [p.detach().numpy().reshape(-1) for p in self.model.parameters()]
        kept = self.optimizer.state_dict()["state"]
        rest = [self.scheduler.last_epoch, self.optimizer.param_groups[0]["lr"], tw.get_rng_state().numpy().tolist()]
        kept = [v for k in sorted(kept) for _, v in sorted(kept[k].items()) if v is not None]
        moments = [np.array(v.numpy() if isinstance(v, tw.Tensor) else v).reshape(-1) for v in kept]
        return np.concatenate(numbers), moments, rest


def same(a: Any, b: Any) -> bool:
    """Return whether two states are equal; a state that was not made yet is that of no step."""
    moments = all(np.allclose(x, y, rtol=1e-4, atol=1e-6) for x, y in zip(a[1], b[1], strict=False))
    return a[2] == b[2] and moments and np.allclose(a[0], b[0], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def eager() -> dict[tuple[str, str], list[Any]]:
    """Return the states after 0, 1, … eager steps."""
    found = {}
    for rule in RULES:
        for size in SIZES:
            training = Training(rule, size)
            states = [training.state()]
            for x, y in zip(X, Y, strict=True):
                training.step(tw.tensor(x), tw.tensor(y))
                states.append(training.state())
            found[rule, size] = states
    return found


Step = Callable[..., Any]
WAYS: dict[str, Callable[[Any, Training], Any]] = {
    "calls": lambda f, t: [f(x, y) for x, y in zip(X[:4], Y[:4], strict=True)],
    "loop": lambda f, t: f.loop(X, Y),
    "sweep": lambda f, t: f.sweep(X, Y, init={next(iter(t.model.parameters())): np.zeros((2, *t.model[0].weight.shape), np.float32)}),
}  # fmt: skip
STAGES: list[tuple[Any, str, int]] = [
    *((capture.Capture, "operation", n) for n in (1, 3, 20)), (capture.Capture, "write", 1), (capture.Capture, "write", 3),
    (capture.Capture, "finish", 1), (version.Version, "__init__", 1), (version.Version, "schedule", 1),
    (version.Version, "leave", 2), (plan.Plan, "call", 1), (plan.Plan, "call", 3), (plan.Plan, "prepare", 1),
    (plan.Plan, "place", 3), (machine, "_make", 1), (small.SmallProgram, "prepare", 1), (small.SmallProgram, "prepare", 2),
    (cache.Kernel, "_first", 1), (compiled.Compiled, "_looped", 1), (compiled.Compiled, "_filled", 1),
    (items.List, "__call__", 1),
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rule", RULES)
def test_an_interrupt_at_any_stage_leaves_a_whole_step(
    rule: str, size: str, way: str, eager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = 0
    for where, name, at in STAGES:
        training = Training(rule, size)
        fast = tw.compile(training.step)
        plain, count = getattr(where, name), [0]

        def stops(*args: Any, plain: Any = plain, count: list[int] = count, at: int = at, **more: Any) -> Any:
            count[0] += 1
            if count[0] == at:
                raise KeyboardInterrupt
            return plain(*args, **more)

        with monkeypatch.context() as patched:
            patched.setattr(where, name, stops)
            try:
                WAYS[way](fast, training)
            except KeyboardInterrupt:
                raised += 1
        states = eager[rule, size]
        done = [k for k, state in enumerate(states) if same(training.state(), state)]
        assert done, (name, at)
        assert way != "sweep" or done == [0], (name, at)
        for k in range(done[-1], STEPS):
            fast(X[k], Y[k])
        assert same(training.state(), states[STEPS]), (name, at)
    assert raised >= 9


def test_a_first_loop_that_adds_to_gradients_leaves_none_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(4, 3)

    def step(x: Any) -> Any:
        loss = layer(x).square().mean()
        loss.backward()
        return loss

    fast = tw.compile(step)

    def stops(*args: Any) -> Any:
        raise KeyboardInterrupt

    for where, name in ((compiled.Compiled, "_looped"), (version.Version, "read_settings")):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, stops)
            with pytest.raises(KeyboardInterrupt):
                fast.loop(X)
        assert [p.grad for p in layer.parameters()] == [None, None]
    fast.loop(X)
    assert layer.weight.grad is not None


def test_a_slice_of_a_loop_that_fails_leaves_the_slices_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    table = tw.ones(5, 40, requires_grad=True)
    optimizer = optim.SGD([table], lr=0.1)

    def step(rows: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.embedding(rows, table).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    rows = np.arange(64 * 20).reshape(64, 20) % 5
    fast, slow = tw.compile(step), tw.compile(step)
    fast(rows[0])
    start = table.detach().numpy().copy()
    slices: list[tuple[int, int]] = []
    monkeypatch.setattr(version, "_FIRST_STEPS", 1)
    monkeypatch.setattr(version, "_STEPS", 1)

    def by_sixteen(work: Any, count: int, least: int = 1) -> None:
        for first in range(0, count, 16):
            slices.append((first, first + 16))
            work(first, first + 16)

    monkeypatch.setattr(whole, "in_slices", by_sixteen)
    wrong = rows.copy()
    wrong[40, 3] = 9
    with pytest.raises(IndexError, match="out of range"):
        fast.loop(wrong)
    assert slices == [(0, 16), (16, 32), (32, 48)]
    found = table.detach().numpy().copy()
    table.data = tw.tensor(start)
    for k in range(32):
        slow(rows[k])
    np.testing.assert_allclose(found, table.detach().numpy(), rtol=1e-5)


# Signals

SIGNALS = """
import os, signal, sys, threading, time
import numpy as np, thalweg as tw
from tests.compiler.test_interrupts import RULES, SIZES, STEPS, Training, WAYS, X, Y, same
wanted, rng = int(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
states = {}
for rule in RULES:
    for size in SIZES:
        training = Training(rule, size)
        states[rule, size] = [training.state()]
        for x, y in zip(X, Y):
            training.step(tw.tensor(x), tw.tensor(y))
            states[rule, size].append(training.state())
hit = bad = 0
while hit < wanted:
    rule, size, way = (list(d)[rng.integers(len(d))] for d in (RULES, SIZES, WAYS))
    training = Training(rule, size)
    fast = tw.compile(training.step)
    delay, begin, over = rng.random() * rng.choice([0.06, 0.006]), threading.Event(), threading.Event()
    def shoot():
        begin.wait()
        time.sleep(delay)
        if not over.is_set():
            os.kill(os.getpid(), signal.SIGINT)
    thread = threading.Thread(target=shoot)
    thread.start()
    raised = False
    try:
        try:
            begin.set()
            WAYS[way](fast, training)
        finally:
            over.set()
    except KeyboardInterrupt:
        raised = True
    try:
        thread.join()
        time.sleep(0)
    except KeyboardInterrupt:
        thread.join()
    if raised:
        hit += 1
        done = [k for k, state in enumerate(states[rule, size]) if same(training.state(), state)]
        for k in range(done[-1] if done else STEPS, STEPS):
            fast(X[k], Y[k])
        bad += not done or not same(training.state(), states[rule, size][STEPS])
print(hit, bad)
"""


@pytest.mark.slow
def test_signals_at_random_times() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNALS, "200", "0"], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    assert done.stdout.split() == ["200", "0"], done.stdout + done.stderr
