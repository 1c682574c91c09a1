"""One eager optimizer step against PyTorch's: over LeNet's ten parameters, and over millions of elements.

    python -m benchmarks.optimizer_step [small] [large]

Small: on one thread, against PyTorch's default step, at most 0.7 of its time. Large: on two threads, in four
parameters, once our loop is compiled, against PyTorch's default step (at most 1.0) and its fused one; the step without
the loop beside them. Alternating in one process; medians, and quartiles of the ratios.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import torch

import thalweg as tw
from thalweg.optim import _large

SHAPES = ((6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
METHODS = (
    ("SGD", {"lr": 0.01}), ("SGD", {"lr": 0.01, "momentum": 0.9}), ("Adagrad", {}), ("RMSprop", {}), ("Adadelta", {}),
    ("Adam", {}), ("AdamW", {}), ("NAdam", {}), ("RAdam", {}), ("Adamax", {}), ("Rprop", {}), ("ASGD", {}),
)  # fmt: skip


LARGE = (("SGD", {"lr": 0.01, "momentum": 0.9}), ("Adam", {}), ("AdamW", {}))


def prepared(lib, name, settings, shapes=SHAPES):
    rng = np.random.default_rng(0)
    params = []
    for shape in shapes:
        p = lib.tensor(rng.normal(size=shape).astype(np.float32), requires_grad=True)
        p.grad = lib.tensor(rng.normal(size=shape).astype(np.float32))
        params.append(p)
    return params, getattr(lib.optim, name)(params, **settings)


def small(rounds: int = 200) -> None:
    torch.set_num_threads(1)
    tw.set_num_threads(1)
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


def large(rounds: int = 30) -> None:
    torch.set_num_threads(2)
    tw.set_num_threads(2)
    _large.PAYS = 0
    print(
        f"{'method, elements':28} {'thalweg':>9} {'default':>9} {'fused':>9} {'plain':>9}  of default, of fused [quartiles]"
    )
    for name, settings in LARGE:
        for n in (1 << 20, 1 << 23):
            shapes = ((n // 2,), (n // 4,), (n // 8, 1), (n // 8,))
            sides = (
                (0, prepared(tw, name, settings, shapes)), (0, prepared(torch, name, settings, shapes)),
                (0, prepared(torch, name, settings | {"fused": True}, shapes)), (1 << 60, prepared(tw, name, settings, shapes)),
            )  # fmt: skip
            times: tuple[list[float], ...] = ([], [], [], [])
            for k in range(rounds + 3):
                for (least, (_, optimizer)), found in zip(sides, times, strict=True):
                    _large.LARGE = least
                    time.sleep(0.03)  # PyTorch's threads wait busily for a while after their work
                    start = time.perf_counter()
                    optimizer.step()
                    if k >= 3:  # state is made, the loop is compiled
                        found.append((time.perf_counter() - start) * 1e3)
            ours, default, fused, plain = (statistics.median(t) for t in times)
            ratios = [sorted(a / b for a, b in zip(times[0], other, strict=True)) for other in times[1:3]]
            shown = ", ".join(
                f"{statistics.median(r):.2f} [{r[len(r) // 4]:.2f}, {r[-1 - len(r) // 4]:.2f}]" for r in ratios
            )
            label = f"{name}{' with momentum' if 'momentum' in settings else ''}, {n >> 20}M"
            print(f"{label:28} {ours:6.2f} ms {default:6.2f} ms {fused:6.2f} ms {plain:6.2f} ms  {shown}", flush=True)
            for a, b in zip(sides[0][1][0], sides[3][1][0], strict=True):
                np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
            for a, b in zip(sides[0][1][0], sides[1][1][0], strict=True):
                np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-3, atol=2e-4)


def main() -> None:
    for name in sys.argv[1:] or ("small", "large"):
        {"small": small, "large": large}[name]()


if __name__ == "__main__":
    main()
