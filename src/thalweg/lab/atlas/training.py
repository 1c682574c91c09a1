"""Runners: the airfoil regression as the chapter trains it, and LeNet on Fashion-MNIST."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import data, nn, optim
from ...ops.create import tensor
from ...ops.tensor import Tensor
from ...problems.networks import lenet_module
from .traces import rates

__all__ = ["SEEDS", "airfoil_losses", "airfoil_rows", "train_lenet"]

SEEDS = tuple(range(20))  # fixed beforehand
Array = np.ndarray[Any, Any]


def airfoil_rows() -> tuple[Array, Array]:
    """Return the features and target, standardised over all 1503 rows, of the first 1500, in float32."""
    table = data.airfoil().standardized()
    return table.X[:1500].astype(np.float32), table.y[:1500].astype(np.float32).reshape(-1, 1)


def airfoil_losses(
    rows: tuple[Array, Array], method: str, settings: dict[str, Any], start: str, batch: int, epochs: int,
    seeds: tuple[int, ...] = SEEDS, replacement: bool = False,
) -> list[float]:  # fmt: skip
    """Return the loss over all rows at the end, one per seed.

    `start`: ``small`` (weights N(0, 0.01²), no bias), ``linear`` (a linear layer's own), ``concise`` (a layer with
    small weights, trained without the factor ½).
    """
    x, y = rows
    n, d = x.shape
    return [_airfoil_run(x, y, n, d, method, settings, start, batch, epochs, seed, replacement) for seed in seeds]


def _airfoil_run(
    x: Array, y: Array, n: int, d: int, method: str, settings: dict[str, Any], start: str, batch: int, epochs: int,
    seed: int, replacement: bool,
) -> float:  # fmt: skip
    rng = np.random.default_rng([seed, 7])
    bound = d**-0.5
    if start == "linear":
        w0, b0 = rng.uniform(-bound, bound, (d, 1)), rng.uniform(-bound, bound, 1)
    else:
        w0 = rng.normal(0, 0.01, (d, 1))
        b0 = rng.uniform(-bound, bound, 1) if start == "concise" else np.zeros(1)
    w: Any = tensor(w0.astype(np.float32), requires_grad=True)
    b: Any = tensor(b0.astype(np.float32), requires_grad=True)
    scale = 1.0 if start == "concise" else 0.5
    optimizer = getattr(optim, method)([w, b], **settings)
    for _ in range(epochs):
        order = rng.integers(0, n, n) if replacement else rng.permutation(n)
        for at in range(0, n, batch):
            rows = order[at : at + batch]
            optimizer.zero_grad()
            r = tensor_of(x[rows]) @ w + b - tensor_of(y[rows])
            ((r * r).mean() * scale).backward()
            optimizer.step()
    r = x.astype(np.float64) @ w.detach().numpy() + b.detach().numpy() - y
    return float((r * r).mean() / 2)


def tensor_of(array: Array) -> Any:
    """Return a tensor over the memory of an array."""
    return Tensor._wrap(array)


def train_lenet(
    schedule: str, lr: float, epochs: int = 30, batch: int = 256, *, quick: bool = False, seed: int = 0,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train LeNet on Fashion-MNIST and return curves of training loss, training and test accuracy by epoch.

    The rate of epoch e + 1 is the schedule at e; the first epoch runs at `lr`. `quick` takes every tenth example.
    """
    from ...compiler import compile as compile_step
    from ...ops.random import manual_seed

    train, test = data.fashion_mnist("train"), data.fashion_mnist("test")
    step = 10 if quick else 1
    x, y = _images(train, step)
    xt, yt = _images(test, step)
    manual_seed(seed)
    model = lenet_module()
    loss_of = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    rate = rates()[schedule]

    def train_step(images: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        scores = model(images)
        loss = loss_of(scores, labels)
        loss.backward()
        optimizer.step()
        return loss, scores

    compiled = compile_step(train_step)
    rng = np.random.default_rng([seed, 3])
    curves: dict[str, list[float]] = {"rate": [], "loss": [], "train accuracy": [], "test accuracy": [], "seconds": []}
    for epoch in range(epochs):
        begun = time.perf_counter()
        total, right, seen = 0.0, 0, 0
        order = rng.permutation(len(x))
        for at in range(0, len(x) - len(x) % batch or len(x), batch):
            rows = order[at : at + batch]
            loss, scores = compiled(tensor_of(x[rows]), tensor_of(y[rows]))
            total += float(loss.item()) * len(rows)
            right += int((scores.detach().numpy().argmax(1) == y[rows]).sum())
            seen += len(rows)
        curves["rate"].append(float(optimizer.param_groups[0]["lr"]))
        curves["loss"].append(total / seen)
        curves["train accuracy"].append(right / seen)
        curves["test accuracy"].append(_accuracy(model, xt, yt, batch))
        curves["seconds"].append(time.perf_counter() - begun)
        if tell is not None:
            tell(
                f"epoch {epoch + 1}/{epochs}: loss {curves['loss'][-1]:.3f}, train acc "
                f"{curves['train accuracy'][-1]:.3f}, test acc {curves['test accuracy'][-1]:.3f}"
            )
        if schedule != "constant":
            optimizer.param_groups[0]["lr"] = rate(epoch)
    return curves


def _images(table: Any, step: int) -> tuple[Array, Array]:
    images, labels = table.X, table.y
    x = np.ascontiguousarray(images[::step], dtype=np.float32).reshape(-1, 1, 28, 28)
    if x.max() > 2:
        x /= 255
    return x, np.ascontiguousarray(labels[::step], dtype=np.int64)


def _accuracy(model: Any, x: Array, y: Array, batch: int) -> float:
    from ...autograd.modes import no_grad

    right = 0
    with no_grad():
        for at in range(0, len(x), 4 * batch):
            scores = model(tensor_of(x[at : at + 4 * batch]))
            right += int((scores.numpy().argmax(1) == y[at : at + 4 * batch]).sum())
    return right / len(x)
