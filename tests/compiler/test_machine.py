"""Machine code by address: kept on disk and loaded without Numba; lists of calls walked by several threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler.steps import classifier_step
from thalweg import nn, optim
from thalweg.compiler import items, machine
from thalweg.compiler.machine import Function
from thalweg.compiler.team import Calls, Team
from thalweg.errors import ThalwegError

pytest.importorskip("numba")

# On disk

NETWORK = """
import sys
import numpy as np, thalweg as tw
from thalweg import nn, optim
tw.manual_seed(0)
tw.set_num_threads(2)
model = nn.Sequential(nn.Linear(64, 48), nn.Tanh(), nn.Linear(48, 10))
optimizer = optim.Adam(model.parameters(), lr=0.01)
@tw.compile
def step(x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
rng = np.random.default_rng(0)
x, y = rng.standard_normal((64, 64)).astype(np.float32), rng.integers(0, 10, 64)
print([step(x, y).item() for _ in range(3)])
print("numba" in sys.modules)
"""


def trained(folder: Path) -> tuple[str, bool]:
    """Return the losses of three compiled steps in a fresh process, and whether it imported Numba."""
    env = {**os.environ, "THALWEG_CACHE": str(folder)}
    done = subprocess.run([sys.executable, "-c", NETWORK], env=env, capture_output=True, text=True, check=True)
    losses, numba = done.stdout.splitlines()
    return losses, numba == "True"


def test_code_on_disk_is_loaded_without_numba_and_damage_is_mended(tmp_path: Path) -> None:
    losses, numba = trained(tmp_path)
    assert numba
    assert trained(tmp_path) == (losses, False)
    files = sorted((tmp_path / "compiled").glob("*.o"))
    whole = {path: path.read_bytes() for path in files}
    damage: list[Callable[[bytes], bytes]] = [
        lambda b: b"rubbish",
        lambda b: b"",
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1] + bytes([b[-1] ^ 1]),
        lambda b: bytes([b[0] ^ 1]) + b[1:],
    ]
    for k, path in enumerate(files):
        path.write_bytes(damage[k % len(damage)](whole[path]))
    assert trained(tmp_path) == (losses, True)
    assert trained(tmp_path) == (losses, False)
    assert sorted((tmp_path / "compiled").glob("*")) == [
        *files,
        tmp_path / "compiled" / "secret",
    ]  # whole files, no others


def test_processes_may_compile_at_once(tmp_path: Path) -> None:
    env = {**os.environ, "THALWEG_CACHE": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", NETWORK], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    first, second = (p.communicate()[0] for p in running)
    assert first == second
    assert [p.returncode for p in running] == [0, 0]


def test_without_a_folder_code_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file"))
    text = "def f(table, first, last):\n    return first * 3 + last\n"
    assert Function(machine.generated(text, ("f",))["f"])(0, 5, 2) == 17


def test_an_exception_in_machine_code_is_minus_one() -> None:
    text = "def f(table, first, last):\n    if first > last:\n        raise ValueError('no')\n    return 4\n"
    run = Function(machine.generated(text, ("f",))["f"])
    assert (run(0, 1, 2), run(0, 2, 1)) == (4, -1)


def test_code_that_needs_what_is_missing_is_not_loaded() -> None:
    assert machine._linked(b"", {}, ["thalweg_no_such_function"]) is None


# Lists of calls


@pytest.fixture
def team() -> Iterator[Team]:
    made = Team(2)
    yield made
    made.leave()


Work = Callable[[int, int, int], int]


class Listed:
    """A list of Python functions, called as machine code would be."""

    def __init__(self, calls: list[tuple[Work, int, int]]) -> None:
        self.functions = [Function(f) for f, _, _ in calls]
        self.calls = Calls(len(calls))
        for row, function, (_, extent, parts) in zip(self.calls.items, self.functions, calls, strict=True):
            step = -(-extent // parts)
            row[:5] = ctypes.cast(function, ctypes.c_void_p).value, 0, extent, -(-extent // step), step


def test_calls_are_made_in_order_and_every_part_once(team: Team) -> None:
    done = np.zeros((6, 100), np.int64)
    late: list[int] = []

    def adds(k: int) -> Work:
        def work(table: int, first: int, last: int) -> int:
            if k and not (done[k - 1, : extents[k - 1]] == done[k - 1, 0]).all():
                late.append(k)
            if k and done[k - 1, 0] != turn[0]:
                late.append(k)
            done[k, first:last] += 1
            return 0

        return work

    extents, turn = [100, 1, 64, 7, 100, 3], [0]
    listed = Listed([(adds(k), n, parts) for k, (n, parts) in enumerate(zip(extents, [6, 1, 3, 7, 1, 2], strict=True))])
    for _ in range(200):
        turn[0] += 1
        assert team.make(listed.calls, 0) == 6
    for row, extent in zip(done, extents, strict=True):
        assert (row[:extent] == 200).all()
        assert not row[extent:].any()
    assert not late
    turn[0] += 1
    assert listed.calls.alone(0) == 6
    assert (done[2, :64] == 201).all()


def test_a_list_ends_at_a_call_that_fails_and_goes_on_after_it(team: Team) -> None:
    seen: list[int] = []

    def note(k: int, value: int = 0) -> Work:
        def work(table: int, first: int, last: int) -> int:
            seen.append(k)
            return value

        return work

    listed = Listed([(note(0), 4, 2), (note(1, 7), 1, 1), (note(2), 1, 1)])
    for make in (lambda at: team.make(listed.calls, at), listed.calls.alone):
        seen.clear()
        assert make(0) == 1
        assert 2 not in seen
        assert make(2) == 3
        assert seen[-1] == 2
    ran: list[int] = []
    team.run(lambda first, last: ran.extend(range(first, last)), 9, 9)  # nobody waits for the end of the list
    assert sorted(ran) == list(range(9))


def test_a_helper_that_comes_late_leaves_a_list_that_is_over() -> None:
    ran: list[int] = []
    listed = Listed([(lambda table, first, last: ran.append(first) or 0, 4, 2)] * 2)  # type: ignore[func-returns-value]
    board = np.zeros(8, np.int64)
    listed.calls.table[0] = board.ctypes.data
    board[0] = board[2] = 5  # the present job, and the last list that is over
    assert machine.kernel("native", "walk")(listed.calls.table_at, -1, 5) == 0
    assert not ran


def test_lists_and_functions_alternate_and_many_lists_are_let_go(team: Team) -> None:
    total = np.zeros(1, np.int64)
    lock = threading.Lock()

    def work(table: int, first: int, last: int) -> int:
        with lock:
            total[0] += last - first
        return 0

    for k in range(60):
        listed = Listed([(work, 10, 5), (work, 3, 3)])
        assert team.make(listed.calls, 0) == 2
        if k % 3 == 0:
            team.run(lambda first, last: work(0, first, last), 7, 4)  # type: ignore[arg-type, func-returns-value]
    assert total[0] == 60 * 13 + 20 * 7
    for _ in range(100_000):  # a helper that the system has not run yet has not seen them
        if len(team.held) < 60:
            break
        team.make(Listed([(work, 10, 5)]).calls, 0)
    assert len(team.held) < 60


def test_two_threads_may_make_lists_at_once(team: Team) -> None:
    counts = np.zeros((2, 8), np.int64)

    def ask(k: int) -> None:
        def work(table: int, first: int, last: int) -> int:
            counts[k, first:last] += 1
            return 0

        listed = Listed([(work, 8, 4)] * 3)
        for _ in range(100):
            team.make(listed.calls, 0)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (counts == 300).all()


# What plans call


def step_of(fn: Callable[..., Any], *arrays: Any) -> tuple[Any, Any]:
    """Return what a function gives compiled (its second call) and as written."""
    fast = tw.compile(fn)
    with tw.no_grad():
        fast(*arrays)
        return fast(*arrays).numpy(), fn(*map(tw.tensor, arrays)).numpy()


VIEWS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda a: a,
    "transposed": lambda a: a.T.contiguous().T,
    "every second column": lambda a: tw.cat([a, a], 1).reshape(a.shape[0], 2, a.shape[1]).transpose(1, 2)[:, :, 0],
    "a part": lambda a: tw.cat([a, a], 1)[:, 1 : 1 + a.shape[1]],
}
SIZES = [(1, 1, 1), (1, 70, 3), (70, 1, 3), (5, 7, 1), (64, 80, 100), (200, 30, 90), (30, 200, 90)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_products_of_any_layout(view: str, size: tuple[int, int, int], dtype: Any, threads: int) -> None:
    m, n, k = size
    rng = np.random.default_rng(m + n + k)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    big = np.ones((300, 300), dtype)  # so that the program is not unrolled
    before = tw.get_num_threads()
    tw.set_num_threads(threads)
    try:
        for left in (True, False):
            found, want = step_of(
                lambda a, b, big, left=left: (VIEWS[view](a) @ b if left else a @ VIEWS[view](b)) + big.sum() * 0,  # type: ignore[misc]
                a,
                b,
                big,
            )
            np.testing.assert_allclose(found, want, rtol=1e-4 if dtype is np.float32 else 1e-12, atol=1e-5)
    finally:
        tw.set_num_threads(before)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_likelihoods_with_ignored_classes_and_of_a_transpose(dtype: Any, reduction: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 40)).astype(dtype), rng.integers(0, 40, 300)
    y[::7] = -100
    weight = tw.tensor(np.ones((40, 40), dtype) / 40, requires_grad=True)
    optimizer = optim.SGD([weight], lr=0.1)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy((weight @ x.T).T, y, reduction=reduction)
        loss.backward()
        return loss

    want = step(tw.tensor(x), tw.tensor(y)).item(), weight.grad.numpy().copy()
    fast = tw.compile(step)
    for _ in range(3):
        found = fast(x, y).item(), weight.grad.numpy()
    np.testing.assert_allclose(found[0], want[0], rtol=1e-5)
    np.testing.assert_allclose(found[1], want[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_class_out_of_range_is_refused_and_changes_nothing(threads: int) -> None:
    tw.manual_seed(0)
    model = nn.Sequential(nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, 10))
    step = tw.compile(classifier_step(model, optim.Adam(model.parameters())))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 300)).astype(np.float32), rng.integers(0, 10, 64)
    before = tw.get_num_threads()
    tw.set_num_threads(threads)
    try:
        losses = [step(x, y).item() for _ in range(3)]
        kept = [p.detach().numpy().copy() for p in model.parameters()]
        wrong = y.copy()
        wrong[5] = 10
        with pytest.raises((ThalwegError, IndexError), match="10"):
            step(x, wrong)
        for p, old in zip(model.parameters(), kept, strict=True):
            np.testing.assert_array_equal(p.detach().numpy(), old)
        assert step(x, y).item() < losses[-1]
    finally:
        tw.set_num_threads(before)


@pytest.mark.parametrize(
    "rule", ["SGD", "Adam", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "ASGD", "Rprop", "Lion", "LAMB"]
)
def test_a_step_that_fails_leaves_counters_and_moments_as_they_were(rule: str) -> None:
    tw.manual_seed(0)
    model, scale = nn.Sequential(nn.Linear(60, 50), nn.Tanh(), nn.Linear(50, 10)), tw.tensor(1.5, requires_grad=True)
    optimizer, other, count = getattr(optim, rule)(model.parameters(), lr=0.01), optim.Adam([scale]), tw.zeros(())

    @tw.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        other.zero_grad()
        loss = nn.functional.cross_entropy(model(x * scale.detach()), y)
        loss.backward()
        optimizer.step()
        scale.square().backward()
        other.step()
        count.add_(1)
        return loss

    def state() -> list[Any]:
        kept = [k for some in (optimizer, other) for k in some.state_dict()["state"].values()]
        values = [*model.parameters(), scale, count, *(v for k in kept for v in k.values())]
        return [np.array(v.detach().numpy()) for v in values if isinstance(v, tw.Tensor)]

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 60)).astype(np.float32), rng.integers(0, 10, 32)
    wrong = np.where(np.arange(32) == 5, 10, y)
    for _ in range(3):
        step(x, y)
    before = state()
    with pytest.raises((ThalwegError, IndexError), match="10"):
        step(x, wrong)
    for found, old in zip(state(), before, strict=True):
        np.testing.assert_array_equal(found, old)


def test_a_plan_is_one_list_where_every_operation_has_a_kernel() -> None:
    model = nn.Sequential(nn.Linear(100, 90), nn.ReLU(), nn.Linear(90, 10))

    @tw.compile
    def step(x: Any, y: Any) -> Any:
        model.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    rng = np.random.default_rng(0)
    step(rng.standard_normal((64, 100)).astype(np.float32), rng.integers(0, 10, 64))
    (version,) = step._versions
    assert [type(s) for s in version.big.steps] == [items.List]
