"""Random training programs: models, losses and optimizers drawn at random, compiled against eager."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import python_kernels
from thalweg import nn, optim
from thalweg.compiler import compiled as module
from thalweg.compiler.scalars import NoKernel

OPTIMIZERS = (
    lambda p, r: optim.SGD(p, lr=0.05), lambda p, r: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=bool(r.integers(2))),
    lambda p, r: optim.SGD(p, lr=0.05, weight_decay=0.1), lambda p, r: optim.Adam(p, lr=0.05, amsgrad=bool(r.integers(2))),
    lambda p, r: optim.AdamW(p, lr=0.05), lambda p, r: optim.RMSprop(p, lr=0.01, centered=bool(r.integers(2))),
    lambda p, r: optim.Adagrad(p, lr=0.1), lambda p, r: optim.Adadelta(p), lambda p, r: optim.NAdam(p, lr=0.02),
    lambda p, r: optim.Adamax(p, lr=0.02),
)  # fmt: skip
ACTIVATIONS = (
    tw.tanh,
    tw.sigmoid,
    tw.relu,
    lambda z: z * tw.sigmoid(z),
    nn.functional.softplus,
    lambda z: tw.sin(z) + z,
)
LOSSES = (
    lambda out, y: ((out - y) ** 2).mean(), lambda out, y: (out - y).abs().sum() / len(y), lambda out, y: tw.log(1 + (out - y) ** 2).sum(),
    nn.functional.huber_loss,
)  # fmt: skip


def training(seed: int) -> tuple[Any, list[Any], Any, Any]:
    """Return a step, its parameters, and data, the same for each call with one seed."""
    r = np.random.default_rng(seed)
    dtype = tw.float64 if r.integers(2) else tw.float32
    n, hidden, m, batch = (int(k) for k in r.integers(1, 5, 4))
    depth = int(r.integers(0, 3))
    sizes = [n, *[hidden] * depth, m]
    parameters: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        parameters.append(tw.tensor(r.standard_normal((a, b)) * 0.7, dtype=dtype, requires_grad=True))
        parameters.append(tw.tensor(r.standard_normal(b) * 0.1, dtype=dtype, requires_grad=True))
    act = ACTIVATIONS[r.integers(len(ACTIVATIONS))]
    loss_of = LOSSES[r.integers(len(LOSSES))]
    optimizer = OPTIMIZERS[r.integers(len(OPTIMIZERS))](parameters, r)
    clip = bool(r.integers(3) == 0)
    x = r.standard_normal((4, batch, n)).astype(dtype.np)
    y = r.standard_normal((4, batch, m)).astype(dtype.np)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        out = x
        for k in range(0, len(parameters), 2):
            out = out @ parameters[k] + parameters[k + 1]
            if k + 2 < len(parameters):
                out = act(out)
        loss = loss_of(out, y)
        loss.backward()
        if clip:
            with tw.no_grad():
                total = sum((p.grad * p.grad).sum() for p in parameters)
                scale = tw.minimum(1 / (tw.sqrt(total) + 1e-6), tw.ones_like(total))
                for p in parameters:
                    p.grad.mul_(scale)
        optimizer.step()
        return loss

    return step, parameters, x, y


def compare(seed: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, parameters, x, y = training(seed)
    want = [step(tw.tensor(a), tw.tensor(b)).item() for a, b in zip(x, y, strict=True)]
    ends = [p.detach().numpy().copy() for p in parameters]
    gradients = [p.grad.numpy().copy() for p in parameters]
    if how in ("plan", "whole"):

        class Refuses:
            def __init__(self, program: Any) -> None:
                raise NoKernel("the test wants a plan")

        monkeypatch.setattr("thalweg.compiler.small.SmallProgram", Refuses)
    step, parameters, x, y = training(seed)
    fast = tw.compile(step)
    if how in ("loop", "whole"):
        got = fast.loop(x, y).numpy().tolist()
    else:
        got = [fast(tw.tensor(a), tw.tensor(b)).item() for a, b in zip(x, y, strict=True)]
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if x.dtype == np.float64 else {"rtol": 1e-5, "atol": 2e-6}
    np.testing.assert_allclose(got, want, **tolerance)
    for p, end, gradient in zip(parameters, ends, gradients, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), end, **tolerance)
        np.testing.assert_allclose(p.grad.numpy(), gradient, **tolerance)


@pytest.mark.parametrize("how", ["calls", "plan", "loop"])
@pytest.mark.parametrize("seed", range(25))
def test_random_training(seed: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    compare(seed, how, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["calls", "plan", "loop"])
def test_five_hundred_random_trainings(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    for seed in range(25, 525):
        with monkeypatch.context() as patch:
            compare(seed, how, patch)


def test_the_module_is_the_one_patched() -> None:
    assert module.compile is tw.compile
