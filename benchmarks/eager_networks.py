"""Networks in eager mode against PyTorch: forward and backward, alternating in one process, median of the ratios.

Run it with ``OMP_NUM_THREADS=2 python benchmarks/eager_networks.py [rounds]`` where PyTorch is installed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import thalweg

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def lenet(lib: Any) -> Any:
    """LeNet with ReLU and max pooling."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def perceptron(lib: Any) -> Any:
    """One hidden layer."""
    nn = lib.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def step(lib: Any, make: Callable[[Any], Any], images: Any, classes: Any) -> Callable[[], None]:
    """Return one forward and backward of the cross entropy."""
    model = make(lib)
    x, y = lib.tensor(images), lib.tensor(classes)
    loss_of = lib.nn.CrossEntropyLoss()

    def run() -> None:
        model.zero_grad()
        loss_of(model(x), y).backward()

    return run


def seconds(run: Callable[[], None]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(rounds: int = 60) -> None:
    """Print the medians and the ratio."""
    torch.set_num_threads(THREADS)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((256, 1, 28, 28), dtype=np.float32)
    classes = rng.integers(0, 10, 256)
    for make in (lenet, perceptron):
        ours, theirs = step(thalweg, make, images, classes), step(torch, make, images, classes)
        for _ in range(5):
            ours()
            theirs()
        pairs = np.array([(seconds(ours), seconds(theirs)) for _ in range(rounds)]) * 1e3
        a, b = np.median(pairs, axis=0)
        ratio = np.median(pairs[:, 0] / pairs[:, 1])
        print(f"{make.__name__:12} thalweg {a:7.2f} ms   PyTorch {b:7.2f} ms   ratio {ratio:.2f}   ({THREADS} threads)")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
