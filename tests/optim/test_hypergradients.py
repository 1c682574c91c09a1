"""``differentiable=True``: the derivative of the loss after some steps with respect to the settings and the start."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

from .table import ROWS

STEPS = 4
SMOOTH = [row for row in ROWS if not row.closure]
EXTRA = {
    "Muon": {"precision": "full", "ns_steps": 2},
    "SGLD": {"temperature": 0.3},
    "Adafactor": {"lr": 0.01},
    "ASGD": {"lambd": 0.01, "t0": 1},
}


pytestmark = pytest.mark.usefixtures("float64_default")


def descend(row, start, settings):
    """Return the loss after some unrolled steps; tensors among the settings stay in its graph."""
    x = (start if start.requires_grad else start.requires_grad_()).clone()
    extra = {"generator": tw.Generator().manual_seed(3)} if row.name == "SGLD" else {}
    optimizer = row.cls([x], **settings, **extra, differentiable=True)
    weight = tw.tensor([[1.0, 3.0], [0.5, 2.0]])
    for _ in range(STEPS):
        loss = (weight * (x - 0.3) ** 2).sum() + 0.1 * (x**4).sum()
        (grad,) = tw.autograd.grad(loss, x, create_graph=True)
        x.grad = grad
        optimizer.step()
    return (weight * (x - 0.3) ** 2).sum() + 0.1 * (x**4).sum()


def base(row):
    settings = {"lr": 0.03, **EXTRA.get(row.name, {})}
    for key in row.hyper:
        if key == "momentum":
            settings["momentum"] = 0.7
        elif key == "betas":
            settings["betas"] = (0.8, 0.9)
        elif key in ("alpha", "rho"):
            settings[key] = 0.8
    return settings


def cases():
    for row in SMOOTH:
        for key in (*row.hyper, "start"):
            yield pytest.param(row, key, id=f"{row.name}-{key}")


@pytest.mark.parametrize(("row", "key"), list(cases()))
def test_hypergradient(row, key):
    x0 = np.array([[0.9, -0.7], [1.3, 0.4]])
    settings = base(row)

    def loss(value):
        changed = dict(settings)
        start = tw.tensor(x0)
        if key == "start":
            start = value
        elif key == "betas":
            changed["betas"] = (value, tw.tensor(0.9))
        else:
            changed[key] = value
        return descend(row, start, changed)

    at = x0 if key == "start" else np.array(0.8 if key == "betas" else settings[key])
    leaf = tw.tensor(at, requires_grad=True)
    loss(leaf).backward()
    found = leaf.grad.numpy()
    h = 1e-6
    expected = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        high, low = at.copy(), at.copy()
        high[index] += h
        low[index] -= h
        expected[index] = (loss(tw.tensor(high)).item() - loss(tw.tensor(low)).item()) / (2 * h)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-7)
    if row.name not in ("Adafactor", "Rprop") or key == "start":  # theirs may not depend on lr here
        assert np.abs(expected).max() > 0


def test_a_leaf_is_refused():
    x = tw.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1, differentiable=True)
    x.grad = tw.tensor([1.0])
    with pytest.raises(RuntimeError, match="leaf"):
        optimizer.step()


def test_learning_the_learning_rate():
    """Descent on lr itself finds the rate 1/λ that ends a quadratic in one step."""
    lr = tw.tensor(0.1, requires_grad=True)
    outer = optim.SGD([lr], lr=0.01)
    for _ in range(60):
        x = tw.tensor([1.0], dtype=tw.float64).requires_grad_().clone()
        inner = optim.SGD([x], lr=lr, differentiable=True)
        (x.grad,) = tw.autograd.grad((2 * x * x).sum(), x, create_graph=True)
        inner.step()
        outer.zero_grad()
        (2 * x * x).sum().backward()
        outer.step()
    assert lr.item() == pytest.approx(0.25, abs=1e-6)


def test_a_write_that_would_spoil_the_second_derivative_is_refused():
    x = tw.tensor([1.0, 2.0], requires_grad=True).clone()
    (grad,) = tw.autograd.grad((x**4).sum(), x, create_graph=True)
    x.mul_(2.0)
    with pytest.raises(RuntimeError):
        grad.sum().backward()
