"""Saved at any step and loaded in any order into fresh objects, a run continues bit for bit."""

from __future__ import annotations

import copy
import pickle
from itertools import permutations

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.optim import lr_scheduler as lrs

from .table import BY_NAME, ROWS, params_of, run, start


def values(params):
    return [p.detach().numpy().copy() for p in params]


def assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def leaves(value):
    """Return every tensor in a state dict."""
    if isinstance(value, dict):
        return [t for v in value.values() for t in leaves(v)]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in leaves(v)]
    return [value] if isinstance(value, tw.Tensor) else []


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
@pytest.mark.parametrize("way", ["state_dict", "file", "pickle"])
def test_optimizer(row, way, tmp_path):
    rng = np.random.default_rng(11)
    for at in (0, 1, 3):
        settings = row.settings(rng)
        params = params_of(start(row, rng))
        optimizer = row.cls(params, **settings)
        run(optimizer, params, at)
        state = optimizer.state_dict()
        saved = copy.deepcopy(state)
        if way == "file":
            pytest.importorskip("safetensors")
            optim.save_state(state, tmp_path / "state.safetensors")
            saved = optim.load_state(tmp_path / "state.safetensors")
        elif way == "pickle":
            saved = pickle.loads(pickle.dumps(state))
        fresh = params_of([p.detach().numpy() for p in params])
        other = row.cls(fresh)
        other.load_state_dict(saved)
        shared = [
            (a, b) for a in leaves(saved) for b in leaves(other.state_dict()) if np.shares_memory(a._data, b._data)
        ]
        assert not [a for a, _ in shared if a._data.size]
        run(optimizer, params, 4, first=at)
        run(other, fresh, 4, first=at)
        assert_equal(values(params), values(fresh))


WRAPPERS = {
    "ClipValue": lambda o: optim.ClipValue(o, 0.5),
    "ClipNorm": lambda o: optim.ClipNorm(o, 0.5),
    "ClipAdaptive": lambda o: optim.ClipAdaptive(o, 0.5),
    "SkipNonFinite": optim.SkipNonFinite,
    "Accumulate": lambda o: optim.Accumulate(o, 3),
    "EMA": lambda o: optim.EMA(o, 0.9),
    "SWA": lambda o: optim.SWA(o, 1, 2),
    "Lookahead": lambda o: optim.Lookahead(o, 0.5, 3),
    "Cautious": optim.Cautious,
    "SAM": lambda o: optim.SAM(o, 0.1),
    "Constrain": lambda o: optim.Constrain(o, lambda p: p.clip(-0.5, 0.5)),
}


@pytest.mark.parametrize("name", sorted(WRAPPERS))
def test_wrapper(name, tmp_path):
    row = BY_NAME["Adam"]
    for at in range(5):
        params = params_of(start(row, np.random.default_rng(at)))
        optimizer = WRAPPERS[name](optim.Adam(params, lr=0.05))
        run(optimizer, params, at)
        state = optimizer.state_dict()
        pytest.importorskip("safetensors")
        optim.save_state(state, tmp_path / "state.safetensors")
        fresh = params_of(values(params))
        other = WRAPPERS[name](optim.Adam(fresh))
        other.load_state_dict(optim.load_state(tmp_path / "state.safetensors"))
        run(optimizer, params, 5, first=at)
        run(other, fresh, 5, first=at)
        assert_equal(values(params), values(fresh))
        for a, b in zip(leaves(optimizer.state_dict()), leaves(other.state_dict()), strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


COUNTERS = {"ClipNorm": ["skipped"], "SkipNonFinite": ["skipped"], "Accumulate": ["calls"], "SWA": ["steps", "taken"], "Lookahead": ["steps"]}  # fmt: skip


@pytest.mark.parametrize("name", sorted(COUNTERS))
def test_counters_saved_as_numbers_are_loaded(name):
    """Counters are 0-d integer tensors; they were Python integers once, and may be set as such."""
    params = params_of(start(BY_NAME["Adam"], np.random.default_rng(2)))
    optimizer = WRAPPERS[name](optim.Adam(params, lr=0.05))
    run(optimizer, params, 4)
    saved = copy.deepcopy(optimizer.state_dict())
    saved |= {key: saved[key].item() for key in COUNTERS[name]}
    fresh = params_of(values(params))
    other = WRAPPERS[name](optim.Adam(fresh))
    counters = [getattr(other, key) for key in COUNTERS[name]]
    other.load_state_dict(saved)
    for key, counter in zip(COUNTERS[name], counters, strict=True):
        assert getattr(other, key) is counter  # a compiled function may hold it
        assert counter.dtype == tw.int64
        assert counter.item() == saved[key] == getattr(optimizer, key).item()
        assert f"{key}={saved[key]}" in repr(other)
    run(optimizer, params, 5, first=4)
    run(other, fresh, 5, first=4)
    assert_equal(values(params), values(fresh))
    setattr(other, COUNTERS[name][0], 0)
    assert counters[0].item() == 0


def test_a_first_step_that_was_captured_and_not_made_is_still_the_first():
    ends = []
    for swept in (False, True):
        (p,) = params_of([np.array([1.0, 2.0])])
        optimizer = optim.SGD([p], lr=0.1, momentum=0.9, dampening=0.5)

        def step(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            (p**3).sum().backward()
            optimizer.step()

        if swept:
            tw.compile(step).sweep(steps=3, lr=[0.1, 0.2])
            assert optimizer.state_dict()["state"][0]["momentum_buffer"] is None
        run(optimizer, [p], 3)
        ends.append(values([p])[0])
    assert_equal([ends[0]], [ends[1]])


class Damped:
    """A callable with state, which a checkpoint keeps."""

    def __init__(self):
        self.rate = 0.9

    def __call__(self, t):
        return self.rate**t


SCHEDULERS = {
    "LambdaLR": lambda o: lrs.LambdaLR(o, Damped()),
    "MultiplicativeLR": lambda o: lrs.MultiplicativeLR(o, lambda t: 0.9),
    "StepLR": lambda o: lrs.StepLR(o, 2),
    "MultiStepLR": lambda o: lrs.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda o: lrs.ConstantLR(o, 0.3, 4),
    "LinearLR": lambda o: lrs.LinearLR(o, 0.3, total_iters=5),
    "ExponentialLR": lambda o: lrs.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lrs.PolynomialLR(o, 12),
    "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, 4, 0.01),
    "CosineAnnealingWarmRestarts": lambda o: lrs.CosineAnnealingWarmRestarts(o, 2, 2),
    "CyclicLR": lambda o: lrs.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, 0.1, 20),
    "CosineLR": lambda o: lrs.CosineLR(o, 6, 0.01),
    "SquareRootLR": lrs.SquareRootLR,
    "FactorLR": lambda o: lrs.FactorLR(o, 0.9, 0.03),
    "InversePolynomialLR": lambda o: lrs.InversePolynomialLR(o, 0.5, 0.7),
    "WarmupLR": lambda o: lrs.WarmupLR(o, 4),
    "SWALR": lambda o: optim.swa_utils.SWALR(o, 0.02, 4),
    "ReduceLROnPlateau": lambda o: lrs.ReduceLROnPlateau(o, patience=1),
    "warm-up, then cosine": lambda o: lrs.SequentialLR(o, [lrs.WarmupLR(o, 3), lrs.CosineLR(o, 5)], [3]),
    "schedule, then plateau": lambda o: lrs.SequentialLR(
        o, [lrs.ExponentialLR(o, 0.8), lrs.ReduceLROnPlateau(o, patience=0), lrs.CosineLR(o, 5)], [2, 5]
    ),
    "schedule and plateau": lambda o: lrs.ChainedScheduler(
        [lrs.CosineAnnealingLR(o, 4, 0.01), lrs.ReduceLROnPlateau(o, patience=1), lrs.ExponentialLR(o, 0.9)]
    ),
}


def test_every_scheduler_has_a_row():
    plain = {n for n, v in vars(lrs).items() if isinstance(v, type) and issubclass(v, lrs.LRScheduler)}
    assert plain - {"LRScheduler", "SequentialLR", "ChainedScheduler"} <= set(SCHEDULERS)


def make():
    (p,) = params_of([np.array([1.0, 2.0])])
    return p, optim.SGD([{"params": [p]}], lr=0.5, momentum=0.5)


def go(p, optimizer, schedulers, steps, first):
    seen = []
    for k in range(first, first + steps):
        run(optimizer, [p], 1, first=k)
        for scheduler in schedulers:
            metric = isinstance(scheduler, (lrs.ReduceLROnPlateau, lrs.SequentialLR, lrs.ChainedScheduler))
            scheduler.step(1.0 + k) if metric else scheduler.step()
        seen.append([float(optimizer.param_groups[0]["lr"]), optimizer.param_groups[0]["momentum"]])
    return seen


def resumed(order, at, builders):
    """Make and load optimizer and schedulers in some order, and go on."""
    p, optimizer = make()
    schedulers = [build(optimizer) for build in builders]
    go(p, optimizer, schedulers, at, 0)
    saved = [copy.deepcopy(optimizer.state_dict()), *(copy.deepcopy(s.state_dict()) for s in schedulers)]
    here = p.detach().numpy().copy()
    expected = go(p, optimizer, schedulers, 8, at)
    (q,) = params_of([here])
    fresh = optim.SGD([{"params": [q]}], lr=0.123, momentum=0.9)
    made = {}
    for what, k in order:
        if k == 0:
            if what == "load":
                fresh.load_state_dict(saved[0])
        elif what == "make":
            made[k] = builders[k - 1](fresh)
        else:
            made[k].load_state_dict(saved[k])
    got = go(q, fresh, [made[k] for k in sorted(made)], 8, at)
    assert got == expected
    np.testing.assert_array_equal(q.detach().numpy(), p.detach().numpy())


ONE = (
    (("load", 0), ("make", 1), ("load", 1)),
    (("make", 1), ("load", 0), ("load", 1)),
    (("make", 1), ("load", 1), ("load", 0)),
)


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_scheduler(name):
    for at in range(0, 8):
        for order in ONE:
            resumed(order, at, [SCHEDULERS[name]])


def test_two_schedulers_in_every_order():
    events = (("load", 0), ("make", 1), ("load", 1), ("make", 2), ("load", 2))
    builders = [SCHEDULERS["LambdaLR"], SCHEDULERS["ReduceLROnPlateau"]]
    for order in permutations(events):
        if order.index(("make", 1)) < order.index(("load", 1)) and order.index(("make", 2)) < order.index(("load", 2)):
            resumed(order, 5, builders)


def test_a_plateaus_cut_survives_every_scheduler():
    for name in sorted(set(SCHEDULERS) - {"ReduceLROnPlateau", "schedule, then plateau", "schedule and plateau"}):
        ends = []
        for cut in (False, True):
            p, optimizer = make()
            scheduler = SCHEDULERS[name](optimizer)
            plateau = lrs.ReduceLROnPlateau(optimizer, factor=0.25, patience=0)
            for k in range(9):
                run(optimizer, [p], 1)
                scheduler.step()
                if cut and k in (1, 2):
                    plateau.step(1.0)  # the second time it has not improved
            ends.append(optimizer.param_groups[0]["lr"])
        assert ends[1] == pytest.approx(0.25 * ends[0], rel=1e-9), name


def test_a_foreign_state_is_refused():
    p, optimizer = make()
    with pytest.raises(ValueError, match=r"load that into \.inner"):
        optim.EMA(optimizer).load_state_dict(optimizer.state_dict())
    other = optim.SGD([{"params": [p]}, {"params": params_of([np.ones(1)])}], lr=0.1)
    with pytest.raises(ValueError, match="2 parameter groups"):
        lrs.ExponentialLR(other, 0.5).load_state_dict(lrs.ExponentialLR(optimizer, 0.5).state_dict())


def test_state_dict_hooks():
    p, optimizer = make()
    run(optimizer, [p], 1)
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state.pop("note")))
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append("first"), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["saving", "first", 1, "loaded"]
