"""The engine's overhead on small tensors, against PyTorch: ``python -m benchmarks.engine``."""

import subprocess
import sys

import numpy as np
import torch

import thalweg as tw
from thalweg.minimize import minimize

from ._ratio import line, ratio


def chain(lib, x, w, n=300):
    """600 operations: n multiplications and n additions, and the walk back."""
    y = x
    for _ in range(n):
        y = y * w + w
    y.backward(w)


def epoch(lib, features, target, batch=10):
    """One epoch of linear regression with Adam."""
    lib.manual_seed(0)
    model = lib.nn.Linear(features.shape[1], 1)
    optimizer = lib.optim.Adam(model.parameters(), lr=0.01)
    for k in range(0, len(features), batch):
        optimizer.zero_grad()
        loss = ((model(features[k : k + batch]) - target[k : k + batch]) ** 2).mean() / 2
        loss.backward()
        optimizer.step()


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def newton_torch(x0, steps=10):
    x = torch.tensor(x0)
    for _ in range(steps):
        leaf = x.clone().requires_grad_()
        (g,) = torch.autograd.grad(rosenbrock(leaf), leaf)
        x = x - torch.linalg.solve(torch.autograd.functional.hessian(rosenbrock, x), g)
    return x


def import_seconds(code):
    probe = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    return min(
        float(subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout) for _ in range(7)
    )


def main():
    torch.set_num_threads(1)
    ours = tw.ones(10, requires_grad=True), tw.ones(10)
    theirs = torch.ones(10, requires_grad=True), torch.ones(10)
    found = ratio(lambda: chain(tw, *ours), lambda: chain(torch, *theirs), number=5)
    print(line("600 multiply-adds on 10 elements, both ways", found, 0.6))

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1500, 5)).astype(np.float32), rng.normal(size=(1500, 1)).astype(np.float32)
    a, b, c, d = tw.tensor(x), tw.tensor(y), torch.tensor(x), torch.tensor(y)
    found = ratio(lambda: epoch(tw, a, b), lambda: epoch(torch, c, d))
    print(line("linear regression 1500x5, batch 10, Adam, epoch", found, 0.5))

    x0 = np.full(100, -1.2)
    x0[1::2] = 1.0
    found = ratio(
        lambda: minimize(rosenbrock, x0, method="newton", options={"maxiter": 10, "gtol": 0.0}),
        lambda: newton_torch(x0),
    )
    print(line("Newton on 100-dimensional Rosenbrock, 10 steps", found, 0.5))

    base, full = import_seconds("import numpy"), import_seconds("import numpy, thalweg")
    print(f"import thalweg adds {full - base:.3f} s to import numpy ({base:.3f} s); asked <= 0.1 s")


if __name__ == "__main__":
    main()
