"""The printed figures: ends of traces on a quadratic, and losses on the airfoil data within their bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

ROOT = Path(__file__).parents[2]
FIGURES = json.loads((ROOT / "tests" / "data" / "optim_figures.json").read_text())
AIRFOIL = ROOT.parent / "shared" / "data" / "airfoil_self_noise.dat"
SEEDS = range(2000, 2020)


@pytest.mark.parametrize("row", FIGURES["traces"], ids=lambda row: row["id"])
def test_traces(row):
    x = tw.tensor([-5.0, -2.0], dtype=tw.float64, requires_grad=True)
    optimizer = getattr(optim, row["method"])([x], **row["settings"])
    for _ in range(row["steps"]):
        optimizer.zero_grad()
        (0.1 * x[0] ** 2 + 2 * x[1] ** 2).backward()
        optimizer.step()
    x1, x2 = x.tolist()
    if row["printed"]:
        assert f"epoch {row['steps']}, x1 {x1:f}, x2 {x2:f}" == row["printed"]
    assert [round(x1, 6), round(x2, 6)] == [row["x1"], row["x2"]]


def airfoil():
    """Return features and target of the first 1500 rows, standardised by all 1503."""
    table = np.loadtxt(AIRFOIL)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    return table[:1500, :5], table[:1500, 5]


def starts(kind):
    """Return weights and bias of every seed, and its generator for the order of the rows."""
    weights, biases, generators = [], [], []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        bound = 1 / np.sqrt(5)
        weights.append(rng.uniform(-bound, bound, 5) if kind == "B" else rng.normal(0, 0.01, 5))
        biases.append(0.0 if kind == "A" else rng.uniform(-bound, bound))
        generators.append(rng)
    return np.array(weights), np.array(biases), generators


@pytest.mark.skipif(not AIRFOIL.exists(), reason="the airfoil data are not there")
@pytest.mark.parametrize("row", FIGURES["bands"], ids=lambda row: row["id"])
def test_airfoil_bands(row):
    """Every seed is a row of the parameters: the methods work coordinate by coordinate."""
    X, y = airfoil()
    w, b, generators = starts(row["start"])
    w, b = (tw.tensor(v, dtype=tw.float32, requires_grad=True) for v in (w, b))
    X32, y32 = X.astype(np.float32), y.astype(np.float32)
    optimizer = getattr(optim, row["method"])([w, b], **_settings(row))
    batch = row["batch"]
    half = 1.0 if row["start"] == "concise" else 0.5  # there the loss lacks its factor one half
    for _ in range(row["epochs"]):
        order = np.array([g.permutation(1500) for g in generators])
        for k in range(0, 1500, batch):
            rows = order[:, k : k + batch]
            error = (tw.tensor(X32[rows]) @ w.unsqueeze(-1)).squeeze(-1) + b.unsqueeze(-1) - tw.tensor(y32[rows])
            loss = (error**2).sum() * (half / rows.shape[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    error = X @ w.detach().numpy().astype(float).T + b.detach().numpy() - y[:, None]
    losses = (error**2).mean(axis=0) / 2
    assert losses.min() >= FIGURES["floor"] - 5e-7  # the floor is rounded to six decimals
    outside = int(((losses < row["p1"]) | (losses > row["p99"])).sum())
    assert outside <= 2, sorted(losses)


def _settings(row):
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row["settings"].items()}
