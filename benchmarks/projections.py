"""Projections of a million elements against plain NumPy statements: ``python -m benchmarks.projections``."""

from functools import partial

import numpy as np

import thalweg as tw
from thalweg import constraints as c

from ._ratio import line, ratio


def ball(x, r):
    return x * min(1.0, r / np.linalg.norm(x))


def simplex(x, total):
    u = np.sort(x)[::-1]
    excess = np.cumsum(u) - total
    k = np.count_nonzero(u * np.arange(1, len(x) + 1) > excess)
    return np.maximum(x - excess[k - 1] / k, 0)


def l1_ball(x, r):
    size = np.abs(x)
    return x.copy() if size.sum() <= r else np.sign(x) * simplex(size, r)


def main():
    for kind in (np.float32, np.float64):
        x = np.random.default_rng(0).normal(size=1_000_000).astype(kind)
        t = tw.tensor(x)
        for name, ours, plain, r in (
            ("ball", c.project_l2_ball, ball, 10.0),
            ("simplex", c.project_simplex, simplex, 1.0),
            ("L1 ball", c.project_l1_ball, l1_ball, 100.0),
            ("L1 ball, inside", c.project_l1_ball, l1_ball, 1e7),
        ):
            np.testing.assert_allclose(ours(t, r).numpy(), plain(x, r), atol=1e-5)
            print(line(f"{name}, {np.dtype(kind).name}", ratio(partial(ours, t, r), partial(plain, x, r)), 1.5))


if __name__ == "__main__":
    main()
