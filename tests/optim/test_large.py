"""A large step through its compiled loop gives what the plain step gives, bit by bit, and nothing else is different."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.optim import _large

from .table import BY_NAME, ROWS, start

RULES = [row for row in ROWS if row.cls.elementwise]
OTHERS = {  # an element's update depends on other elements
    "Adafactor", "DAdaptAdam", "DoG", "LAMB", "LARS", "LBFGS", "MARS", "Muon", "Prodigy", "SOAP", "Shampoo",
}  # fmt: skip


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Let every step be large, its loop be made at once, and nothing be known from other tests."""
    monkeypatch.setattr(_large, "LARGE", 0)
    monkeypatch.setattr(_large, "PAYS", 0)
    monkeypatch.setattr(_large, "_loops", {})
    monkeypatch.setattr(_large, "_updated", {})


@pytest.fixture
def as_python(monkeypatch):
    """Run the loops as plain Python, without waiting for machine code."""
    pytest.importorskip("numba")
    from thalweg.compiler import rule

    from ..compiler.python_kernels import load

    monkeypatch.setattr(rule, "load", load)


def params_of(arrays, dtype):
    return [tw.tensor(a.astype(dtype), requires_grad=True) for a in arrays]


def give_gradients(params, k, dtype=None):
    rng = np.random.default_rng(100 + k)
    for p in params:
        p.grad = tw.tensor(rng.normal(size=p.shape).astype(dtype or p._data.dtype))


def everything(optimizer, params):
    """Return the elements of parameters and state, in one order."""
    found = [p.detach().numpy().copy() for p in params]
    for p in params:
        found += [np.array(v._data) for _, v in sorted(optimizer.state[p].items()) if v is not None]
    return found


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def train(monkeypatch, row, settings, dtype, large, change=lambda optimizer, params, k: None, steps=5):
    """Make some steps under changing settings."""
    monkeypatch.setattr(_large, "LARGE", 0 if large else 1 << 60)
    if "generator" in settings:
        settings = settings | {"generator": tw.Generator().manual_seed(1)}
    params = params_of(start(row, np.random.default_rng(0)), dtype)
    optimizer = row.cls(params, **settings)
    for k in range(steps):
        group = optimizer.param_groups[0]
        group["lr"] = settings["lr"] * (1 - 0.1 * k)
        if group.get("weight_decay") and k == 3:
            group["weight_decay"] *= 0.5
        give_gradients(params, k)
        change(optimizer, params, k)
        optimizer.step()
    return everything(optimizer, params)


@pytest.mark.parametrize("row", RULES, ids=lambda r: r.name)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_every_elementwise_method_is_the_same_bit_by_bit(monkeypatch, as_python, row, dtype):
    for seed in range(3):
        settings = row.settings(np.random.default_rng(seed))
        plain = train(monkeypatch, row, settings, dtype, False)
        assert not _large._loops
        assert_same(train(monkeypatch, row, settings, dtype, True), plain)
        assert _large._loops
        assert None not in _large._loops.values()
        _large._loops.clear()


def test_which_methods_are_elementwise():
    assert {row.name for row in ROWS} - {row.name for row in RULES} == OTHERS


def test_a_rule_that_replaces_another_says_itself_whether_it_is_elementwise():
    class Halved(optim.SGD):
        @staticmethod
        def update(x, g, state, s, t):
            return x - s.lr * g / 2, state

    class Sure(Halved):
        elementwise = True

    assert not Halved.elementwise
    assert Sure.elementwise
    assert optim.AdamW.elementwise


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_in_machine_code_with_threads_and_numbers_that_are_not_finite(monkeypatch, name):
    pytest.importorskip("numba")
    settings = {"lr": 0.01, "weight_decay": 0.1} | ({"momentum": 0.9} if name == "SGD" else {})
    found = []
    tw.set_num_threads(2)
    for large in (False, True):
        monkeypatch.setattr(_large, "LARGE", 0 if large else 1 << 60)
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=(300, 301)), rng.normal(size=7), rng.normal(size=())]
        arrays[0][0, :5] = [np.nan, np.inf, -np.inf, 0.0, -0.0]
        params = params_of(arrays, np.float32)
        optimizer = getattr(optim, name)(params, **settings)
        for k in range(4):
            give_gradients(params, k)
            gradient = params[0].grad.numpy()
            gradient[1, :6] = [np.nan, np.inf, -np.inf, 0.0, 1e-42, 3e38]
            params[0].grad = tw.tensor(np.asfortranarray(gradient))
            optimizer.step()
        found.append(everything(optimizer, params))
    assert_same(*found)
    assert len([loop for loop in _large._loops.values() if loop is not None]) >= 1


def test_parameters_without_gradients_and_new_groups(monkeypatch, as_python):
    row = BY_NAME["Adam"]
    found = []
    for large in (False, True):
        extra = params_of([np.arange(6.0)], np.float32)

        def change(optimizer, params, k, extra=extra):
            if k == 2:
                params[1].grad = None
                optimizer.add_param_group({"params": extra, "lr": 0.5, "maximize": True})
            if k == 3:
                optimizer.param_groups[0]["amsgrad"] = False
                optimizer.param_groups[1]["weight_decay"] = 0.1
            if k >= 2:
                give_gradients(extra, k)

        found.append([*train(monkeypatch, row, {"lr": 0.1}, np.float32, large, change), extra[0].detach().numpy()])
    assert_same(*found)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "ASGD", "ScheduleFreeAdamW", "SGLD"])
@pytest.mark.parametrize("way", ["load", "deepcopy", "pickle"])
def test_copies_continue_alike_and_share_nothing(monkeypatch, as_python, name, way):
    row = BY_NAME[name]
    settings = row.settings(np.random.default_rng(1))
    params = params_of(start(row, np.random.default_rng(0)), np.float32)
    optimizer = row.cls(params, **settings)
    for k in range(3):
        give_gradients(params, k)
        optimizer.step()
    if way == "load":
        other_params = [tw.tensor(p.detach().numpy().copy(), requires_grad=True) for p in params]
        other = row.cls(other_params, **settings)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    elif way == "deepcopy":
        other, other_params = copy.deepcopy((optimizer, params))
    else:
        other, other_params = pickle.loads(pickle.dumps((optimizer, params)))
    before = everything(optimizer, params)
    monkeypatch.setattr(_large, "LARGE", 1 << 60)
    for k in range(3, 5):
        give_gradients(other_params, k)
        other.step()
    assert_same(everything(optimizer, params), before)
    monkeypatch.setattr(_large, "LARGE", 0)
    for k in range(3, 5):
        give_gradients(params, k)
        optimizer.step()
    assert_same(everything(optimizer, params), everything(other, other_params))


def test_versions_hooks_flags_and_tensor_settings(monkeypatch, as_python):
    p = tw.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.Adam([p], lr=tw.tensor(0.1), fused=True)
    seen = []
    optimizer.register_step_pre_hook(lambda *a: seen.append("before"))
    optimizer.register_step_post_hook(lambda *a: seen.append("after"))
    p.grad = tw.tensor([1.0, -1.0])
    version, data = p._version, p._data
    loss = optimizer.step(lambda: tw.tensor(3.0))
    assert loss.item() == 3.0
    assert seen == ["before", "after"]
    assert p._version == version + 1
    assert p._data is data
    np.testing.assert_allclose(p.tolist(), [0.9, 2.1], rtol=1e-6)
    optimizer.param_groups[0]["lr"].fill_(0.2)
    optimizer.step()
    np.testing.assert_allclose(p.tolist(), [0.7, 2.3], rtol=1e-6)
    assert optimizer.state[p]["step"].item() == 2
    assert [loop for loop in _large._loops.values() if loop is not None]


def test_graphs_that_saved_a_parameter_notice_the_write(as_python):
    p = tw.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1)
    loss = (p * p).sum()
    p.grad = tw.tensor([1.0, 1.0])
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"changed|modified|written"):
        loss.backward()


def test_a_loop_is_made_when_it_has_paid(monkeypatch, as_python):
    monkeypatch.setattr(_large, "LARGE", 8)
    monkeypatch.setattr(_large, "PAYS", 4 * 30)  # a quarter, since Numba is there
    small, large = params_of([np.ones(7), np.ones(10)], np.float32)
    for params, expected in (([small], [0, 0, 0, 0]), ([large], [0, 0, 1, 1]), ([large], [1, 1, 1, 1])):
        optimizer = optim.SGD(params, lr=0.1)
        for count in expected:
            give_gradients(params, 0)
            optimizer.step()
            assert len(_large._loops) == count


def test_without_numba_steps_stay_plain(monkeypatch):
    monkeypatch.setattr(_large, "_compiler", lambda: None)
    (p,) = params_of([np.ones(4)], np.float32)
    give_gradients([p], 0)
    optim.Adam([p]).step()
    assert not _large._loops


class Looks(optim.SGD):
    """A rule that looks at a number."""

    elementwise = True

    @staticmethod
    def update(x, g, state, s, t):
        return (x - s.lr * g if s.lr > 0.05 else x), state


class Mixes(optim.SGD):
    """A rule whose elements depend on each other, although it says otherwise."""

    elementwise = True

    @staticmethod
    def update(x, g, state, s, t):
        return x - s.lr * g / (g * g).sum(), state


class Reverses(optim.SGD):
    """A rule that moves elements."""

    elementwise = True

    @staticmethod
    def update(x, g, state, s, t):
        return x - s.lr * (g.flip(0) if isinstance(g, tw.Tensor) else g[::-1]), state


@pytest.mark.parametrize("cls", [Looks, Mixes, Reverses])
def test_a_rule_without_a_loop_stays_plain(as_python, cls):
    (p,) = params_of([np.ones(3)], np.float32)
    p.grad = tw.tensor([1.0, 2.0, 3.0])
    optimizer = cls([p], lr=0.1)
    plain = cls.update(np.ones(3, np.float32), p.grad.numpy(), {}, optimizer._settings(optimizer.param_groups[0]), 1)[0]
    optimizer.step()
    np.testing.assert_array_equal(p.detach().numpy(), plain)
    assert list(_large._loops.values()) == [None]


def test_kinds_of_memory_that_no_loop_takes(as_python):
    whole = tw.tensor(np.arange(8, dtype=np.float32), requires_grad=True)
    half = tw.tensor(np.arange(8, dtype=np.float16), requires_grad=True)
    strided = tw.zeros(4, 2).t().requires_grad_()
    for p in (whole, half, strided):
        p.grad = tw.ones_like(p)
    optimizer = optim.SGD([whole, half, strided], lr=0.5)
    optimizer.step()
    np.testing.assert_array_equal(whole.detach().numpy(), np.arange(8) - 0.5)
    np.testing.assert_array_equal(half.detach().numpy(), np.arange(8) - 0.5)
    np.testing.assert_array_equal(strided.detach().numpy(), np.full((2, 4), -0.5))
    assert len(_large._loops) == 1


def test_state_that_shares_memory_is_left_to_the_plain_step(as_python):
    (p,) = params_of([np.ones(4)], np.float32)
    optimizer = optim.Adam([p], lr=0.1)
    give_gradients([p], 0)
    optimizer.step()
    state = optimizer.state[p]
    state["exp_avg"]._data = state["exp_avg_sq"]._data
    mean, square = state["exp_avg"].numpy().copy(), state["exp_avg_sq"].numpy().copy()
    optimizer.step()
    g = p.grad.numpy()
    np.testing.assert_allclose(state["exp_avg"].numpy(), 0.9 * mean + 0.1 * g, rtol=1e-6)
    np.testing.assert_allclose(state["exp_avg_sq"].numpy(), 0.999 * square + 0.001 * g * g, rtol=1e-6)


def test_nothing_of_an_optimizer_is_kept_alive(as_python):
    import gc
    import weakref

    (p,) = params_of([np.ones(4)], np.float32)
    give_gradients([p], 0)
    optimizer = optim.Adam([p])
    optimizer.step()
    seen = weakref.ref(optimizer)
    del optimizer
    gc.collect()
    assert seen() is None
    assert _large._loops


def test_small_steps_do_not_import_numba():
    code = (
        "import sys, thalweg as tw; p = tw.ones(300_000, requires_grad=True); p.grad = tw.ones(300_000);"
        "o = tw.optim.Adam([p]); [o.step() for _ in range(3)]; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.filterwarnings("ignore:.*twice")
def test_parameters_that_share_memory_are_updated_one_after_the_other(monkeypatch, as_python):
    found = []
    for large in (False, True):
        monkeypatch.setattr(_large, "LARGE", 0 if large else 1 << 60)
        memory = np.arange(6, dtype=np.float32)
        params = [tw.from_numpy(memory[k : k + 4]).requires_grad_() for k in (0, 2)]
        optimizer = optim.Adam([*params, params[0]], lr=0.5, weight_decay=0.1)
        for k in range(3):
            give_gradients(params, k)
            optimizer.step()
        found.append([memory.copy(), *everything(optimizer, params)])
    assert_same(*found)


class Divides(optim.Adam):
    """A rule whose arithmetic of numbers has no result at the second step."""

    elementwise = True

    @staticmethod
    def update(x, g, state, s, t):
        return x - s.lr / (t - 2) * g, state


def test_numbers_without_a_result_fail_as_in_a_plain_step(as_python):
    (p,) = params_of([np.ones(3)], np.float32)
    give_gradients([p], 0)
    optimizer = Divides([p], lr=0.1)
    optimizer.step()
    assert None not in _large._loops.values()
    with pytest.raises(ZeroDivisionError):
        optimizer.step()
