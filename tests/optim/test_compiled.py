"""A compiled step gives what the eager step gives, for every method, and follows a changed learning rate."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

from .table import BY_NAME, ROWS, params_of, start

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("float64_default")]
RULES = [row for row in ROWS if not row.closure]


def train(row, settings, compiled, wrap=lambda o: o):
    shapes = row.shapes[:2]
    params = params_of([a for a in start(row, np.random.default_rng(0))][: len(shapes)])
    optimizer = wrap(row.cls(params, **settings))

    def step(shift):
        optimizer.zero_grad()
        loss = sum((p.sin() * (p - shift)).sum() + 0.3 * (p * p).sum() for p in params)
        loss.backward()
        optimizer.step()
        return loss

    run = tw.compile(step) if compiled else step
    losses = []
    for k in range(5):
        optimizer.param_groups[0]["lr"] = settings["lr"] * (1 - 0.1 * k)
        losses.append(run(tw.tensor(0.1 * k)).item())
    return losses, [p.detach().numpy() for p in params], optimizer


@pytest.mark.parametrize("row", RULES, ids=lambda r: r.name)
def test_every_method(row):
    rng = np.random.default_rng(4)
    settings = row.settings(rng)
    if row.name == "SGD":
        settings |= {"momentum": 0.9, "dampening": 0.2, "nesterov": False}
    if row.name == "SGLD":
        settings["generator"] = tw.Generator().manual_seed(1)
    losses, params, _ = train(row, settings, False)
    if row.name == "SGLD":
        settings["generator"] = tw.Generator().manual_seed(1)
    compiled_losses, compiled_params, _ = train(row, settings, True)
    atol = 0.02 * settings["lr"] if row.name == "Muon" else 1e-12
    np.testing.assert_allclose(compiled_losses, losses, rtol=1e-9, atol=10 * atol)
    for a, b in zip(compiled_params, params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=atol)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda o: optim.ClipValue(o, 0.5),
        lambda o: optim.ClipNorm(o, 0.5),
        lambda o: optim.ClipAdaptive(o, 0.5),
        lambda o: optim.EMA(o, 0.9),
        lambda o: optim.Constrain(o, lambda p: p.clip(-0.5, 0.5)),
        optim.SkipNonFinite,
        lambda o: optim.Accumulate(o, 2),
        lambda o: optim.SWA(o, 1, 2),
        lambda o: optim.Lookahead(o, 0.5, 2),
        optim.Cautious,
    ],
    ids=[
        "ClipValue",
        "ClipNorm",
        "ClipAdaptive",
        "EMA",
        "Constrain",
        "SkipNonFinite",
        "Accumulate",
        "SWA",
        "Lookahead",
        "Cautious",
    ],
)
def test_wrappers(wrap):
    row = BY_NAME["Adam"]
    losses, params, one = train(row, {"lr": 0.05}, False, wrap)
    compiled_losses, compiled_params, other = train(row, {"lr": 0.05}, True, wrap)
    np.testing.assert_allclose(compiled_losses, losses, rtol=1e-9)
    for a, b in zip(compiled_params, params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    if isinstance(one, (optim.EMA, optim.SWA)):
        for a, b in zip(one.averages, other.averages, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9)
