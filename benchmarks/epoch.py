"""One training epoch of linear regression on 1500×5, batch 10, Adam, eager, against PyTorch: at most 0.5 of its time.

Alternating in one process on one thread, medians over epochs; batches are slices of arrays shuffled beforehand, the
same for both. Run: python benchmarks/epoch.py
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import thalweg as tw


def trainer(lib):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 5)).astype(np.float32)
    y = (X @ rng.normal(size=(5, 1)) + 0.1 * rng.normal(size=(1500, 1))).astype(np.float32)
    X, y = lib.tensor(X), lib.tensor(y)
    w = lib.zeros(5, 1, requires_grad=True)
    b = lib.zeros(1, requires_grad=True)
    optimizer = lib.optim.Adam([w, b], lr=0.01)
    parts = {"forward": 0.0, "backward": 0.0, "step": 0.0}

    def epoch():
        clock = time.perf_counter
        for k in range(0, 1500, 10):
            start = clock()
            loss = ((X[k : k + 10] @ w + b - y[k : k + 10]) ** 2).mean() / 2
            forward = clock()
            optimizer.zero_grad()
            loss.backward()
            backward = clock()
            optimizer.step()
            parts["step"] += clock() - backward
            parts["backward"] += backward - forward
            parts["forward"] += forward - start
        return w, b

    return epoch, parts


def main(epochs: int = 30) -> None:
    torch.set_num_threads(1)
    sides = [trainer(lib) for lib in (tw, torch)]
    times = ([], [])
    for _ in range(epochs):
        ends = []
        for k, (epoch, _) in enumerate(sides):
            start = time.perf_counter()
            ends.append([p.detach().numpy() for p in epoch()])
            times[k].append(time.perf_counter() - start)
        for a, b in zip(*ends, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    ours, theirs = (statistics.median(t) * 1e3 for t in times)
    print(f"epoch: thalweg {ours:.1f} ms, PyTorch {theirs:.1f} ms, ratio {ours / theirs:.2f}")
    for part in sides[0][1]:
        a, b = (1e6 * parts[part] / (150 * epochs) for _, parts in sides)
        print(f"  {part:8} thalweg {a:6.1f} µs, PyTorch {b:6.1f} µs a step")


if __name__ == "__main__":
    main()
