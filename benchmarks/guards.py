"""What it costs to find that nothing outside of a compiled step has changed: ``python -m benchmarks.guards``."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import nn, optim

_CALLS = 2_000


def _training(model: Any, x: Any, y: Any) -> tuple[Any, tuple[Any, ...]]:
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, (x, y)


def _steps() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    rng = np.random.default_rng(0)
    p = tw.tensor(2.0, requires_grad=True)
    rule = optim.SGD([p], lr=0.1)

    def scalar() -> Any:
        rule.zero_grad()
        (p * p).backward()
        rule.step()

    labels = rng.integers(0, 10, 8)
    perceptron = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10))
    lenet = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    pictures = rng.standard_normal((8, 1, 28, 28)).astype(np.float32)
    return {
        "scalar": (scalar, ()),
        "perceptron": _training(perceptron, rng.standard_normal((8, 20)).astype(np.float32), labels),
        "LeNet": _training(lenet, pictures, labels),
    }


def main() -> None:
    """Print, for each step, the time that its guards take and that of the part for Python's own objects."""
    for name, (step, args) in _steps().items():
        fast = tw.compile(step)
        for _ in range(3):
            fast(*args)
        version = fast._versions[-1]
        best = []
        for check in (version.broken, version.captured.places.changed):
            times = []
            for _ in range(5):
                start = time.perf_counter()
                for _ in range(_CALLS):
                    check()
                times.append((time.perf_counter() - start) / _CALLS * 1e6)
            best.append(min(times))
        places = len(version.captured.places.places)
        print(f"{name:>10}: {best[0]:5.2f} µs for all guards, {best[1]:5.2f} µs of it for {places} places in Python")


if __name__ == "__main__":
    main()
