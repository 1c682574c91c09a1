"""Every scheduler against PyTorch's over random settings, and random compositions of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

NAMES = (
    "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR", "PolynomialLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR",
)  # fmt: skip


def settings(name, rng):
    """Return random settings, as keyword arguments for both libraries."""
    u = lambda a, b: float(rng.uniform(a, b))
    n = lambda a, b: int(rng.integers(a, b))
    if name == "LambdaLR":
        a = u(0.5, 0.99)
        return {"lr_lambda": lambda t: a**t + 0.1}
    if name == "MultiplicativeLR":
        a = u(0.8, 1.1)
        return {"lr_lambda": lambda t: a + 0.01 * (t % 3)}
    if name == "StepLR":
        return {"step_size": n(1, 8), "gamma": u(0.1, 1.2)}
    if name == "MultiStepLR":
        return {"milestones": [n(1, 20) for _ in range(n(1, 5))], "gamma": u(0.1, 1.2)}
    if name == "ConstantLR":
        return {"factor": u(0.05, 1), "total_iters": n(1, 12)}
    if name == "LinearLR":
        return {"start_factor": u(0.05, 1), "end_factor": u(0.05, 1), "total_iters": n(1, 12)}
    if name == "ExponentialLR":
        return {"gamma": u(0.5, 1.1)}
    if name == "PolynomialLR":
        return {"total_iters": n(1, 30), "power": u(0.5, 3)}
    if name == "CosineAnnealingLR":
        return {"T_max": n(1, 15), "eta_min": u(0, 0.05)}
    if name == "CosineAnnealingWarmRestarts":
        return {"T_0": n(1, 8), "T_mult": n(1, 4), "eta_min": u(0, 0.05)}
    if name == "CyclicLR":
        mode = ("triangular", "triangular2", "exp_range", "own")[n(0, 4)]
        own = {"scale_fn": lambda x: 1 / (1 + x), "scale_mode": ("cycle", "iterations")[n(0, 2)]}
        return {
            "base_lr": u(0.01, 0.1), "max_lr": u(0.2, 1), "step_size_up": n(1, 7),
            "step_size_down": (None, n(1, 7))[n(0, 2)], "gamma": u(0.8, 1), "cycle_momentum": bool(n(0, 2)),
            **(own if mode == "own" else {"mode": mode}),
        }  # fmt: skip
    assert name == "OneCycleLR"
    size = {"total_steps": n(31, 60)} if n(0, 2) else {"epochs": 4, "steps_per_epoch": n(8, 12)}
    return {
        "max_lr": u(0.1, 1), **size, "pct_start": u(0.1, 0.45), "anneal_strategy": ("cos", "linear")[n(0, 2)],
        "cycle_momentum": bool(n(0, 2)), "div_factor": u(2, 30), "final_div_factor": u(10, 1e4),
        "three_phase": bool(n(0, 2)),
    }  # fmt: skip


def optimizers(rng):
    """Return a pair of optimizers with two groups."""
    lrs = rng.uniform(0.1, 1, 2).tolist()
    adam = bool(rng.integers(2))
    pair = []
    for lib in (tw, torch):
        groups = [{"params": [lib.zeros(1, requires_grad=True)], "lr": lr} for lr in lrs]
        pair.append(lib.optim.Adam(groups) if adam else lib.optim.SGD(groups, lr=0.1, momentum=0.9))
    return pair


def state(optimizer):
    return [
        value
        for group in optimizer.param_groups
        for value in (float(group["lr"]), float(group.get("momentum", 0)), *map(float, group.get("betas", ())))
    ]


def follow(ours, theirs, mine, other, steps=30):
    for _ in range(steps):
        np.testing.assert_allclose(state(ours), state(theirs), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-9, atol=1e-15)
        ours.step()
        theirs.step()
        mine.step()
        other.step()
    np.testing.assert_allclose(state(ours), state(theirs), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_random_settings(name):
    rng = np.random.default_rng(3)
    for _ in range(40):
        ours, theirs = optimizers(rng)
        kwargs = settings(name, rng)
        follow(
            ours, theirs,
            getattr(optim.lr_scheduler, name)(ours, **kwargs), getattr(torch.optim.lr_scheduler, name)(theirs, **kwargs),
        )  # fmt: skip


def parts(rng, ours, theirs, names):
    chosen = [names[int(rng.integers(len(names)))] for _ in range(int(rng.integers(1, 4)))]
    mine, other = [], []
    for name in chosen:
        kwargs = settings(name, rng)
        mine.append(getattr(optim.lr_scheduler, name)(ours, **kwargs))
        other.append(getattr(torch.optim.lr_scheduler, name)(theirs, **kwargs))
    return mine, other


@pytest.mark.parametrize("seed", range(8))
def test_random_sequences(seed):
    rng = np.random.default_rng(seed)
    for _ in range(15):
        ours, theirs = optimizers(rng)
        mine, other = parts(rng, ours, theirs, NAMES)
        milestones = sorted(rng.choice(np.arange(1, 25), len(mine) - 1, replace=False).tolist())
        follow(
            ours, theirs,
            optim.lr_scheduler.SequentialLR(ours, mine, milestones),
            torch.optim.lr_scheduler.SequentialLR(theirs, other, milestones),
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_random_chains(seed):
    rng = np.random.default_rng(seed)
    for _ in range(15):
        ours, theirs = optimizers(rng)
        mine, other = parts(rng, ours, theirs, NAMES)
        follow(
            ours, theirs,
            optim.lr_scheduler.ChainedScheduler(mine), torch.optim.lr_scheduler.ChainedScheduler(other),
        )  # fmt: skip


def test_plateau():
    rng = np.random.default_rng(5)
    for _ in range(60):
        ours, theirs = optimizers(rng)
        kwargs = {
            "mode": ("min", "max")[int(rng.integers(2))], "factor": float(rng.uniform(0.1, 0.9)),
            "patience": int(rng.integers(4)), "threshold": float(rng.uniform(0, 0.3)),
            "threshold_mode": ("rel", "abs")[int(rng.integers(2))], "cooldown": int(rng.integers(3)),
            "min_lr": float(rng.uniform(0, 0.01)), "eps": 1e-8,
        }  # fmt: skip
        mine = optim.lr_scheduler.ReduceLROnPlateau(ours, **kwargs)
        other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **kwargs)
        for value in rng.normal(size=40).cumsum().tolist():
            mine.step(value)
            other.step(value)
            np.testing.assert_allclose(state(ours), state(theirs), rtol=1e-9)
            assert (mine.num_bad_epochs, mine.in_cooldown) == (other.num_bad_epochs, other.in_cooldown)


def test_tensor_rates_are_written_in_place():
    p, q = tw.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    a, b = tw.tensor(0.5), torch.tensor(0.5)
    ours, theirs = optim.SGD([p], lr=a), torch.optim.SGD([q], lr=b)
    mine, other = optim.lr_scheduler.ExponentialLR(ours, 0.5), torch.optim.lr_scheduler.ExponentialLR(theirs, 0.5)
    for _ in range(3):
        ours.step(), theirs.step(), mine.step(), other.step()
    assert ours.param_groups[0]["lr"] is a
    assert a.item() == b.item() == 0.0625


REFUSED = (
    ("ConstantLR", {"factor": 1.5}), ("ConstantLR", {"factor": -0.1}), ("LinearLR", {"start_factor": 0}),
    ("LinearLR", {"start_factor": 1.1}), ("LinearLR", {"end_factor": -1}), ("LinearLR", {"end_factor": 1.1}),
    ("LambdaLR", {"lr_lambda": [abs]}), ("MultiplicativeLR", {"lr_lambda": [abs]}),
    ("ReduceLROnPlateau", {"factor": 1.0}), ("ReduceLROnPlateau", {"mode": "best"}),
    ("ReduceLROnPlateau", {"threshold_mode": "some"}), ("ReduceLROnPlateau", {"min_lr": [0.1]}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1, "mode": "round"}), ("CyclicLR", {"base_lr": [0.1], "max_lr": 1}),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}), ("CosineAnnealingWarmRestarts", {"T_0": 2.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 2, "T_mult": 0}), ("OneCycleLR", {"max_lr": 1}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 0}), ("OneCycleLR", {"max_lr": 1, "epochs": 0, "steps_per_epoch": 2}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "pct_start": 2.0}),
    ("OneCycleLR", {"max_lr": 1, "total_steps": 5, "anneal_strategy": "log"}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "kwargs"), REFUSED)
def test_refused_where_pytorch_refuses(name, kwargs):
    ours, theirs = optimizers(np.random.default_rng(0))
    with pytest.raises(ValueError):
        getattr(torch.optim.lr_scheduler, name)(theirs, **kwargs)
    with pytest.raises(ValueError, match=rf"^{name}: .*\.$"):
        getattr(optim.lr_scheduler, name)(ours, **kwargs)


def test_refused_otherwise():
    for lib, (optimizer, other) in ((tw, (optimizers(np.random.default_rng(0))[0], optimizers(np.random.default_rng(1))[0])),
                                    (torch, (optimizers(np.random.default_rng(0))[1], optimizers(np.random.default_rng(1))[1]))):  # fmt: skip
        s = lib.optim.lr_scheduler
        with pytest.raises(TypeError):
            s.StepLR(None, 1)
        with pytest.raises(TypeError):
            s.MultiplicativeLR(optimizer, 3.0)
        with pytest.raises(KeyError):
            s.StepLR(optimizer, 1, last_epoch=3)
        part, foreign = s.ConstantLR(optimizer), s.ConstantLR(other)
        for make in (
            lambda s=s, o=optimizer: s.SequentialLR(o, [], []),
            lambda s=s, o=optimizer, p=part: s.SequentialLR(o, [p], [3]),
            lambda s=s, o=optimizer, p=part, f=foreign: s.SequentialLR(o, [p, f], [3]),
            lambda s=s: s.ChainedScheduler([]),
            lambda s=s, p=part, f=foreign: s.ChainedScheduler([p, f]),
        ):
            with pytest.raises(ValueError):
                make()
        with pytest.raises(TypeError):
            s.ChainedScheduler([part, 3])


def test_warnings_are_pytorchs():
    for lib in (tw, torch):
        o = lib.optim.SGD([lib.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = lib.optim.lr_scheduler.ExponentialLR(o, 0.5)
        with pytest.warns(UserWarning, match=r"optimizer\.step"):
            scheduler.step()
        o.step()
        with pytest.warns(UserWarning, match="get_last_lr"):
            scheduler.get_lr()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            scheduler.step(5)
        assert [w.category for w in seen] == [UserWarning]
        assert o.param_groups[0]["lr"] == pytest.approx(0.1 * 0.5**5)
