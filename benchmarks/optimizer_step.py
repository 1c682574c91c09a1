"""One eager optimizer step over LeNet's ten parameters, against PyTorch's default step: at most 0.7 of its time.

Alternating in one process on one thread, medians. Run: python benchmarks/optimizer_step.py
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

import thalweg as tw

SHAPES = ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
METHODS = (
    ("SGD", {"lr": 0.01}), ("SGD", {"lr": 0.01, "momentum": 0.9}), ("Adagrad", {}), ("RMSprop", {}), ("Adadelta", {}),
    ("Adam", {}), ("AdamW", {}), ("NAdam", {}), ("RAdam", {}), ("Adamax", {}), ("Rprop", {}), ("ASGD", {}),
)  # fmt: skip


def prepared(lib, name, settings):
    rng = np.random.default_rng(0)
    params = []
    for shape in SHAPES:
        p = lib.tensor(rng.normal(size=shape).astype(np.float32), requires_grad=True)
        p.grad = lib.tensor(rng.normal(size=shape).astype(np.float32))
        params.append(p)
    return params, getattr(lib.optim, name)(params, **settings)


def main(rounds: int = 200) -> None:
    torch.set_num_threads(1)
    print(f"{'method':28} {'thalweg µs':>11} {'PyTorch µs':>11} {'ratio':>6}")
    for name, settings in METHODS:
        pairs = [prepared(lib, name, settings) for lib in (tw, torch)]
        times = ([], [])
        for _ in range(rounds):
            for k, (_, optimizer) in enumerate(pairs):
                start = time.perf_counter()
                optimizer.step()
                times[k].append(time.perf_counter() - start)
        ours, theirs = (statistics.median(t) * 1e6 for t in times)
        label = name + (" with momentum" if "momentum" in settings else "")
        print(f"{label:28} {ours:11.1f} {theirs:11.1f} {ours / theirs:6.2f}")
        for a, b in zip(pairs[0][0], pairs[1][0], strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-3, atol=2e-4)


if __name__ == "__main__":
    main()
