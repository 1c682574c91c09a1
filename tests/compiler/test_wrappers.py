"""Optimizers around optimizers in compiled functions: each wrapper, on each way to run a program, against eager steps."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import python_kernels
from tests.compiler.test_whole import Refuses
from thalweg import nn, optim
from thalweg.compiler import version
from thalweg.core.modes import current
from thalweg.errors import CaptureError

ROWS = 24
RNG = np.random.default_rng(3)
PICTURES = RNG.standard_normal((ROWS, 1, 6, 6))
TARGETS = RNG.standard_normal((ROWS, 2))
PICTURES[5, 0, 1, 2], PICTURES[17, 0, 0, 3] = np.nan, np.inf
TARGETS[11, 1] = 1e200  # its loss is finite, and the squares of its gradients are not
ORDER = np.concatenate([RNG.permutation(ROWS).reshape(8, 3) for _ in range(2)])
GOOD, BAD = (
    ORDER[[5 not in row and 17 not in row and 11 not in row for row in ORDER]],
    ORDER[[5 in row for row in ORDER]],
)
ORDERS = {"good first": np.concatenate([GOOD[:2], ORDER]), "bad first": np.concatenate([BAD[:1], ORDER])}

WRAPPERS = {
    "SkipNonFinite": optim.SkipNonFinite,
    "ClipNorm": lambda o: optim.ClipNorm(o, 0.5, nonfinite="skip"),
    "Accumulate": lambda o: optim.Accumulate(optim.SkipNonFinite(o), 3),
    "SWA": lambda o: optim.SWA(optim.SkipNonFinite(o), 1, 2),
    "Lookahead": lambda o: optim.Lookahead(optim.SkipNonFinite(o), 0.5, 3),
    "nested": lambda o: optim.SkipNonFinite(
        optim.SWA(optim.Lookahead(optim.Accumulate(optim.ClipNorm(o, 0.7, nonfinite="skip"), 2), 0.4, 2), 2, 3)
    ),
    "inside": lambda o: optim.Accumulate(
        optim.SkipNonFinite(optim.Constrain(optim.Lookahead(optim.EMA(o, 0.9), 0.5, 2), lambda p: p.clip(-0.4, 0.4))), 2
    ),
}
INNER = {
    "Adam": lambda p: optim.Adam(p, lr=0.02),
    "dampened": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01),
}
MODELS = {
    "unrolled": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 2)),
    "whole": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 2)),
    "planned": lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)),
}


@pytest.fixture(autouse=True)
def double() -> Any:
    before = tw.get_default_dtype()
    tw.set_default_dtype(tw.float64)
    yield
    tw.set_default_dtype(before)


@pytest.fixture
def back_end(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let programs run in one way, in Python: written out, in one loop of kernels, or step by step."""
    python_kernels.use(monkeypatch)
    monkeypatch.setattr("thalweg.compiler.names.LIMIT", 10_000)
    if request.param != "unrolled":
        monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)
    return str(request.param)


class Training:
    """A step with everything that it changes."""

    def __init__(self, kind: str, wrapper: str, inner: str, lr: float | None = None, scheduled: bool = False) -> None:
        tw.manual_seed(1)
        self.model = MODELS[kind]()
        self.optimizer = WRAPPERS[wrapper](INNER[inner](list(self.model.parameters())))
        if lr is not None:
            self.optimizer.param_groups[0]["lr"] = lr
        self.scheduler = optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9) if scheduled else None

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = ((self.model(x) - y) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        return loss

    def eagerly(self, order: Any) -> list[float]:
        return [self.step(tw.tensor(PICTURES[k]), tw.tensor(TARGETS[k])).item() for k in order]

    def layers(self) -> list[Any]:
        found = [self.optimizer]
        while isinstance(found[-1], optim.Wrapper):
            found.append(found[-1].inner)
        return found

    def state(self) -> list[tuple[str, Any]]:
        found = [("p", p) for p in self.model.parameters()] + [("grad", p.grad) for p in self.model.parameters()]
        return [(k, t.detach().numpy()) for k, t in found] + leaves(self.optimizer.state_dict())


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return what a state dict holds; state that was made for a program and is as before any step says nothing."""
    if isinstance(value, dict):
        if value.get("momentum_buffer", 0) is None or ("step" in value and value["step"].item() == 0):
            return []
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{path}.{k}")]
    if isinstance(value, (list, tuple)):
        return [leaf for k, v in enumerate(value) for leaf in leaves(v, f"{path}.{k}")]
    return [(path, value.numpy() if isinstance(value, tw.Tensor) else value)]


def assert_same(found: Training, wanted: Training) -> None:
    for (path, a), (name, b) in zip(found.state(), wanted.state(), strict=True):
        assert path == name
        if isinstance(b, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13, err_msg=path)
        else:
            assert a == b or a == pytest.approx(b), path


CASES = pytest.mark.parametrize(
    ("wrapper", "inner"),
    [(w, "Adam") for w in WRAPPERS] + [("nested", "dampened")],
)


@pytest.mark.parametrize(
    ("back_end", "first"),
    [("unrolled", "good first"), *((kind, "bad first") for kind in MODELS)],
    indirect=["back_end"],
)
@CASES
def test_calls_and_loops_equal_eager_steps(wrapper: str, inner: str, back_end: str, first: str) -> None:
    order, scheduled = ORDERS[first], first == "bad first"
    one = Training(back_end, wrapper, inner, scheduled=scheduled)
    want = one.eagerly(order)
    other = Training(back_end, wrapper, inner, scheduled=scheduled)
    fast = tw.compile(other.step)
    got = [
        *fast.loop(PICTURES, TARGETS, order=order[:4]).tolist(),
        *(fast(PICTURES[k], TARGETS[k]).item() for k in order[4:8]),
        *fast.loop(PICTURES, TARGETS, order=order[8:]).tolist(),
    ]
    np.testing.assert_allclose(got, want, rtol=1e-11)
    assert_same(other, one)
    assert [layer.skipped.item() > 0 for layer in one.layers() if hasattr(layer, "skipped")] != [False]
    said = fast.explain()
    assert {"unrolled": "unrolled into", "whole": "in one function", "planned": "step by step"}[back_end] in said
    assert "captured" in said
    assert said.count("captured for") <= 1 + (inner == "dampened")


@pytest.mark.parametrize("back_end", MODELS, indirect=True)
@CASES
def test_a_sweep_whose_runs_skip_different_steps(wrapper: str, inner: str, back_end: str) -> None:
    orders = np.stack([ORDER, ORDER[::-1], np.resize(GOOD, ORDER.shape)])
    lrs = [0.02, 0.05, 0.01]
    base = Training(back_end, wrapper, inner)
    before = copy.deepcopy(base.optimizer.state_dict())
    parameters = [p.tolist() for p in base.model.parameters()]
    found = tw.compile(base.step).sweep(PICTURES, TARGETS, order=orders, lr=lrs)
    assert [p.tolist() for p in base.model.parameters()] == parameters
    for r, lr in enumerate(lrs):
        one = Training(back_end, wrapper, inner, lr)
        np.testing.assert_allclose(found.outputs.numpy()[r], one.eagerly(orders[r]), rtol=1e-11)
        for p, q in zip(base.model.parameters(), one.model.parameters(), strict=True):
            np.testing.assert_allclose(found.states[p].numpy()[r], q.detach().numpy(), rtol=1e-11, atol=1e-14)
        for a, b in zip(base.layers(), one.layers(), strict=True):
            for name in ("skipped", "calls", "steps", "taken"):
                if hasattr(b, name):
                    assert found.states[getattr(a, name)].numpy()[r] == getattr(b, name).item(), name
    fresh = Training(back_end, wrapper, inner)
    fresh.optimizer.load_state_dict(before)
    fresh.eagerly(ORDER[:5])
    base.eagerly(ORDER[:5])  # goes on as if nothing had happened
    assert_same(base, fresh)


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_state_dict_after_a_loop_goes_on_eagerly(wrapper: str, inner: str, back_end: str) -> None:
    for at in (1, 5):
        one = Training("unrolled", wrapper, inner)
        one.eagerly(ORDER[: at + 7])
        other, fast = Training("unrolled", wrapper, inner), Training("unrolled", wrapper, inner)
        tw.compile(fast.step).loop(PICTURES, TARGETS, order=ORDER[:at])
        other.optimizer.load_state_dict(copy.deepcopy(fast.optimizer.state_dict()))
        other.model.load_state_dict(fast.model.state_dict())
        other.eagerly(ORDER[at : at + 7])
        assert_same(other, one)


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
def test_a_loaded_state_is_met_by_the_next_compiled_call(back_end: str) -> None:
    one, other = Training("unrolled", "nested", "dampened"), Training("unrolled", "nested", "dampened")
    one.eagerly(ORDER[:3])
    saved = copy.deepcopy(one.optimizer.state_dict())
    fast = tw.compile(other.step)
    fast.loop(PICTURES, TARGETS, order=ORDER[3:7])
    other.optimizer.load_state_dict(saved)
    other.model.load_state_dict(one.model.state_dict())
    fast.loop(PICTURES, TARGETS, order=ORDER[7:])
    one.eagerly(ORDER[7:])
    assert_same(other, one)


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
def test_an_error_in_the_function_leaves_what_the_eager_function_leaves(back_end: str) -> None:
    for wrapper in WRAPPERS:
        one, other = (Training("unrolled", wrapper, "dampened") for _ in "ab")

        def wrong(x: Any, y: Any, who: Training) -> None:
            who.step(x, y)
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            tw.compile(lambda x, y, one=one: wrong(x, y, one))(PICTURES[ORDER[0]], TARGETS[ORDER[0]])
        with pytest.raises(KeyError, match="mine"):
            wrong(tw.tensor(PICTURES[ORDER[0]]), tw.tensor(TARGETS[ORDER[0]]), other)
        one.eagerly(ORDER[:6])
        other.eagerly(ORDER[:6])
        assert_same(one, other)


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
def test_a_changed_setting_of_a_wrapper_captures_again(back_end: str) -> None:
    one, other = (Training("unrolled", "Lookahead", "Adam") for _ in range(2))
    fast = tw.compile(other.step)
    for every in (3, 2):
        one.optimizer.every = other.optimizer.every = every
        one.eagerly(ORDER[:5])
        fast.loop(PICTURES, TARGETS, order=ORDER[:5])
    assert_same(other, one)
    assert "Lookahead.every changed from 3 to 2" in fast.explain()


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
def test_the_norm_that_was_clipped_is_known_afterwards(back_end: str) -> None:
    one, other = (Training("unrolled", "ClipNorm", "Adam") for _ in range(2))
    assert one.optimizer.last_norm is None
    one.eagerly(GOOD)
    tw.compile(other.step).loop(PICTURES, TARGETS, order=GOOD)
    assert other.optimizer.last_norm == pytest.approx(one.optimizer.last_norm, rel=1e-12)


@pytest.mark.parametrize("back_end", ["unrolled"], indirect=True)
def test_averages_are_put_in_place_by_compiled_functions(back_end: str) -> None:
    one, other = (Training("unrolled", "SWA", "Adam") for _ in range(2))
    one.eagerly(GOOD)
    other.eagerly(GOOD)

    def averaged(training: Training) -> Any:
        def look(x: Any) -> Any:
            with tw.no_grad(), training.optimizer.averaged():
                return training.model(x)

        return look

    x = tw.tensor(PICTURES[GOOD[0]])
    fast, before = tw.compile(averaged(other)), other.state()
    for _ in range(2):
        np.testing.assert_allclose(fast(x).numpy(), averaged(one)(x).numpy(), rtol=1e-12)
    for (_, a), (_, b) in zip(other.state(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_stays_refused() -> None:
    p = tw.zeros(3, requires_grad=True)

    def step(optimizer: Any, closure: Any = None) -> Any:
        def run() -> Any:
            optimizer.zero_grad()
            loss = ((p - 1) ** 2).sum()
            loss.backward()
            optimizer.step(*(() if closure is None else (closure,)))
            return loss

        return tw.compile(run, strict=True)

    noisy = optim.SGLD([p], lr=0.1, generator=tw.Generator().manual_seed(0))
    step(noisy)()
    with pytest.raises(CaptureError, match="random numbers are drawn in a step that may be left out"):
        step(optim.SkipNonFinite(noisy))()
    with pytest.raises(CaptureError, match=r"comparing values.*Compile the closure"):
        step(optim.LBFGS([p]), lambda: (p * p).sum())()


@pytest.mark.slow
def test_machine_code(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path))
    lrs = [0.02, 0.05]
    for kind in ("unrolled", "whole"):
        monkeypatch.setattr(version, "_FIRST_STEPS", 1)
        one, other = (Training(kind, "SkipNonFinite", "dampened") for _ in range(2))
        fast = tw.compile(other.step)
        np.testing.assert_allclose(fast.loop(PICTURES, TARGETS, order=ORDER).numpy(), one.eagerly(ORDER), rtol=1e-11)
        assert_same(other, one)
        base = Training(kind, "SkipNonFinite", "dampened")
        found = tw.compile(base.step).sweep(PICTURES, TARGETS, order=ORDER, lr=lrs)
        for r, lr in enumerate(lrs):
            want = Training(kind, "SkipNonFinite", "dampened", lr).eagerly(ORDER)
            np.testing.assert_allclose(found.outputs.numpy()[r], want, rtol=1e-11)


# The recorder's part


def under(condition: Any, work: Any) -> None:
    """Do `work` under a condition, as wrappers do."""
    recorder = current().recorder
    if recorder is not None:
        recorder.when(condition, work)
    elif condition:
        work()


def halves(state: Any, part: Any, x: Any) -> Any:
    """Write through a view, under nested conditions, and to a tensor made in the function and one made in the work."""
    own = x * 1
    other = own[:2]

    def outer() -> None:
        fresh = x + 1
        fresh.mul_(2)
        part.add_(fresh[:2])
        under(x.sum() > 0, lambda: state.mul_(x.log()))
        other.mul_(3)

    under(x.amax() > 1, outer)
    state[2] += 1
    return own + part.sum()


@pytest.mark.parametrize("back_end", ["unrolled", "whole"], indirect=True)
def test_views_and_conditions_in_conditions(back_end: str) -> None:
    rows = [
        [0.5, 0.5, 0.5, 0.0],
        [2.0, 3.0, 0.5, 1.0],
        [2.0, -9.0, 1.0, 1.0],
        [-1.0, 0.3, 0.3, 0.2],
        [1.5, 2.0, 0.5, 1.0],
    ]
    for first in range(5):
        turned = np.array(rows[first:] + rows[:first])
        wanted, found = tw.tensor([1.0, 2.0, 3.0, 4.0]), tw.tensor([1.0, 2.0, 3.0, 4.0])
        part, piece = wanted[1:3], found[1:3]
        fast = tw.compile(lambda x, found=found, piece=piece: halves(found, piece, x))
        with tw.no_grad():
            for row in turned:
                np.testing.assert_allclose(
                    fast(row).tolist(), halves(wanted, part, tw.tensor(row)).tolist(), rtol=1e-12
                )
                np.testing.assert_allclose(found.tolist(), wanted.tolist(), rtol=1e-12)
            want = [halves(wanted, part, tw.tensor(row)).tolist() for row in turned]
            np.testing.assert_allclose(fast.loop(turned).numpy(), want, rtol=1e-12)
        assert fast.explain().count("captured for") == 1
