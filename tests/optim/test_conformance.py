"""Step for step against PyTorch: its own configurations and random ones, checkpoints, refused settings."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.core import dtype as _dtype

from .table import BY_NAME, SHARED, gradient, params_of, start

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

STEPS = {"RAdam": 12, "LBFGS": 3}  # RAdam's second regime begins with its sixth step; 4 for the others


@pytest.fixture(autouse=True)
def _float64():
    """Scalars of the state (``mu_product``, …) take the default type, on both sides."""
    before, ours = torch.get_default_dtype(), _dtype.default_float()
    torch.set_default_dtype(torch.float64)
    _dtype.set_default_float(tw.float64)
    yield
    torch.set_default_dtype(before)
    _dtype.set_default_float(ours)


def convex(values):
    """Return value and gradients of a fixed convex function."""
    weights = [1 + np.arange(a.size).reshape(a.shape) for a in values]
    value = sum((0.5 * w * a * a + 0.1 * a**4).sum() for w, a in zip(weights, values, strict=True))
    return value, [w * a + 0.4 * a**3 for w, a in zip(weights, values, strict=True)]


def compare(row, kwargs, seed, groups=False):
    """Make steps on both sides; return the largest relative difference met in parameters and state."""
    rng = np.random.default_rng(seed)
    arrays = start(row, rng)
    ours = params_of(arrays)
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    for_ours = {k: tw.tensor(v.item()) if isinstance(v, torch.Tensor) else v for k, v in kwargs.items()}
    mine, other = (
        row.cls(_grouped(ours, groups), **for_ours),
        getattr(torch.optim, row.name)(_grouped(theirs, groups), **kwargs),
    )
    for k in range(STEPS.get(row.name, 4)):
        skipped = None if row.closure else int(rng.integers(len(ours))) if k == 3 else None

        def closure(params, make, numpy, k=k, skipped=skipped):
            values = [numpy(p) for p in params]
            if row.closure:  # a quasi-Newton path doubles rounding errors wherever the function is not convex
                value, gradients = convex(values)
            else:
                value, gradients = 0.0, gradient(values, k)
            for i, (p, g) in enumerate(zip(params, gradients, strict=True)):
                p.grad = None if i == skipped else make(g)
            return make(np.array(value))

        def ours_closure():
            return closure(ours, tw.tensor, lambda p: p.detach().numpy())

        def their_closure():
            return closure(theirs, torch.tensor, lambda p: p.detach().numpy())

        if row.closure:
            mine.step(ours_closure)
            other.step(their_closure)
        else:
            ours_closure()
            their_closure()
            mine.step()
            other.step()
        for p, q in zip(ours, theirs, strict=True):
            yield p.detach().numpy(), q.detach().numpy()
    if row.closure:
        return
    left, right = mine.state_dict()["state"], other.state_dict()["state"]
    assert {k: set(v) for k, v in left.items()} == {k: set(v) for k, v in right.items()}
    for key, state in right.items():
        for name, value in state.items():
            yield left[key][name].numpy(), value.numpy()


def _grouped(params, groups):
    return [{"params": params[:1], "lr": 0.03}, {"params": params[1:]}] if groups else params


def check(row, kwargs, seed, groups=False):
    for a, b in compare(row, kwargs, seed, groups):
        if row.name == "Muon":  # both round to bfloat16; a sum in another order may round to the neighbour
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=0.02 * kwargs.get("lr", 1e-3))
        elif not (np.abs(a - b) <= 1e-12 + 1e-9 * np.abs(b)).all():
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=f"{row.name} {kwargs}")


@pytest.mark.parametrize("name", [row.name for row in SHARED])
def test_pytorch_configurations(name):
    from torch.testing._internal.common_optimizers import optim_db

    info = next(i for i in optim_db if i.optim_cls.__name__ == name) if name != "Adafactor" else None
    if info is None:
        info = next((i for i in optim_db if i.optim_cls.__name__ == "Adafactor"), None)
    configurations = [] if info is None else [i.kwargs for i in info.optim_inputs_func(device="cpu")]
    assert configurations
    for k, kwargs in enumerate(configurations):
        check(BY_NAME[name], kwargs, seed=k)
        if not BY_NAME[name].closure:
            check(BY_NAME[name], kwargs, seed=k, groups=True)


@pytest.mark.parametrize("name", [row.name for row in SHARED])
def test_random_settings(name):
    row = BY_NAME[name]
    rng = np.random.default_rng(20)
    for k in range(200):
        check(row, row.settings(rng), seed=k)


def test_muon_is_exact_nearly_always():
    """bfloat16 rounds alike in all but rare ties."""
    row, rng = BY_NAME["Muon"], np.random.default_rng(20)
    equal = total = 0
    for k in range(60):
        for a, b in compare(row, row.settings(rng), seed=k):
            equal += int(np.isclose(a, b, rtol=1e-9, atol=1e-12).sum())
            total += a.size
    assert equal > 0.97 * total


@pytest.mark.parametrize("name", [row.name for row in SHARED])
def test_refused_where_pytorch_refuses(name):
    row = BY_NAME[name]
    p, q = tw.tensor(np.ones((2, 2)), requires_grad=True), torch.ones(2, 2, requires_grad=True)
    for kwargs in row.invalid:
        theirs = {k: _to_torch(v) for k, v in kwargs.items()}
        with pytest.raises(ValueError):
            getattr(torch.optim, name)([q], **theirs)
        with pytest.raises(ValueError, match=f"^{name}: .*\\.$"):
            row.cls([p], **kwargs)
    for kwargs in ({"lr": 0.0}, {"lr": 1e6}, {"lr": float("inf")}):  # and nowhere else
        getattr(torch.optim, name)([q], **kwargs)
        row.cls([p], **kwargs)


def _to_torch(value):
    if isinstance(value, tuple):
        return tuple(_to_torch(v) for v in value)
    return torch.tensor(value.numpy()) if isinstance(value, tw.Tensor) else value


def test_refused_parameters():
    """The interface's own errors, in the types PyTorch raises."""
    for lib, cls in ((torch, torch.optim.SGD), (tw, optim.SGD)):
        p, q = lib.zeros(2, requires_grad=True), lib.zeros(2, requires_grad=True)
        with pytest.raises(TypeError):
            cls(p, lr=0.1)
        with pytest.raises(TypeError):
            cls([1.0], lr=0.1)
        with pytest.raises(TypeError):
            cls([{"params": {p, q}}], lr=0.1)
        for params in ([], [p * 2], [{"params": [p]}, {"params": [p]}], [("a", p), q]):
            with pytest.raises(ValueError):
                cls(params, lr=0.1)
        with pytest.raises(ValueError):
            cls([("a", p)], lr=0.1).add_param_group({"params": [q]})
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            cls([p, p], lr=0.1)
        assert [w.category for w in seen] == [UserWarning]
        optimizer = cls([p], lr=0.1)
        with pytest.raises(ValueError):
            optimizer.load_state_dict(cls([p, q], lr=0.1).state_dict())
        with pytest.raises(ValueError):
            optimizer.load_state_dict(cls([{"params": [p]}, {"params": [q]}], lr=0.1).state_dict())
        with pytest.raises(TypeError):
            optimizer.add_param_group([q])


@pytest.mark.parametrize("name", [row.name for row in SHARED])
def test_state_dict_layout(name):
    """Groups have PyTorch's keys, in front of our own."""
    row = BY_NAME[name]
    arrays = start(row, np.random.default_rng(0))
    mine = row.cls(params_of(arrays)).state_dict()
    other = getattr(torch.optim, name)([torch.tensor(a, requires_grad=True) for a in arrays]).state_dict()
    assert set(mine) == set(other) == {"state", "param_groups"}
    assert set(mine["state"]) == set(other["state"])
    extra = set(mine["param_groups"][0]) - set(other["param_groups"][0])
    assert not set(other["param_groups"][0]) - set(mine["param_groups"][0])
    assert extra <= {"eps_inside_sqrt", "velocity", "differentiable", "precision"}
    for key, value in other["param_groups"][0].items():
        assert mine["param_groups"][0][key] == value, key
