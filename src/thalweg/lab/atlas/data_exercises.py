"""Runners: the exercises that train on data: the airfoil regression, and a small network on digits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ... import data, nn, optim
from ...ops.random import manual_seed
from .training import airfoil_losses, airfoil_rows, tensor_of

__all__ = ["DATA_EXERCISES"]

FLOOR = 0.241688


def replacement() -> dict[str, Any]:
    """Excess loss after three epochs, mean over 40 seeds, with and without replacement."""
    rows = airfoil_rows()
    found = []
    for lr, batch in ((0.05, 10), (0.02, 10)):
        excess = [
            float(np.mean(airfoil_losses(rows, "SGD", {"lr": lr}, "small", batch, 3, tuple(range(40)), again))) - FLOOR
            for again in (False, True)
        ]
        found.append(excess[1] / excess[0])
    return {"without is better": min(found) > 1, "ratio above 1.2": float(np.mean(found)) > 1.2}


def replacement_batches() -> dict[str, Any]:
    """The same with batches of 50."""
    rows = airfoil_rows()
    means = [
        float(np.mean(airfoil_losses(rows, "SGD", {"lr": 0.2}, "small", 50, 3, tuple(range(30)), again)))
        for again in (False, True)
    ]
    return {"without is better": means[0] < means[1]}


def batch_grid() -> dict[str, Any]:
    """Losses over a grid of batch sizes and rates."""
    rows = airfoil_rows()
    losses = [airfoil_losses(rows, "SGD", {"lr": lr}, "small", b, 1, (0,))[0] for b in (10, 100) for lr in (0.01, 0.1)]
    return {"finite": bool(np.isfinite(losses).all())}


def duplicated() -> dict[str, Any]:
    """The gradient over the data and over the data twice."""
    x, y = airfoil_rows()
    w = np.random.default_rng(0).normal(size=(x.shape[1], 1))

    def gradient(a: Any, b: Any) -> Any:
        return a.T @ (a @ w - b) / len(a)

    once, twice = gradient(x, y), gradient(np.r_[x, x], np.r_[y, y])
    return {"same gradient": np.allclose(once, twice, rtol=1e-5)}


def momentum_batches() -> dict[str, Any]:
    """Momentum on minibatches ends near the floor and never below."""
    losses = airfoil_losses(airfoil_rows(), "SGD", {"lr": 0.005, "momentum": 0.9}, "small", 10, 2, (0, 1, 2))
    return {"above the floor": min(losses) >= FLOOR and max(losses) < 0.3}


def _digits(method: str, settings: dict[str, Any], change: Callable[[int, Any], None] | None = None) -> dict[str, Any]:
    table = data.digits()
    x, y = (table.X.reshape(len(table), -1) / 16).astype(np.float32), table.y.astype(np.int64)
    manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    loss_of = nn.CrossEntropyLoss()
    optimizer = getattr(optim, method)(model.parameters(), **settings)
    rng, seen = np.random.default_rng(0), []
    for epoch in range(4):
        if change is not None:
            change(epoch, optimizer)
        order, total = rng.permutation(len(x)), 0.0
        for at in range(0, len(x), 64):
            rows = order[at : at + 64]
            optimizer.zero_grad()
            loss = loss_of(model(tensor_of(x[rows])), tensor_of(y[rows]))
            loss.backward()
            optimizer.step()
            total += float(loss.item()) * len(rows)
        seen.append(total / len(x))
    return {"loss falls": all(b < a for a, b in pairwise(seen))}


def network_adagrad() -> dict[str, Any]:
    """AdaGrad on a perceptron for digits."""
    return _digits("Adagrad", {"lr": 0.05})


def network_rmsprop() -> dict[str, Any]:
    """RMSProp on a perceptron for digits, its decay raised by epoch."""

    def change(epoch: int, optimizer: Any) -> None:
        optimizer.param_groups[0]["alpha"] = (0.9, 0.95, 0.99, 0.99)[epoch]

    return _digits("RMSprop", {"lr": 0.003}, change)


DATA_EXERCISES: dict[str, Callable[[], dict[str, Any]]] = {
    "replacement": replacement, "replacement_batches": replacement_batches, "batch_grid": batch_grid,
    "duplicated": duplicated, "momentum_batches": momentum_batches, "network_adagrad": network_adagrad,
    "network_rmsprop": network_rmsprop,
}  # fmt: skip
