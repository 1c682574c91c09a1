"""Data made to order, where the truth is known."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..ops.random import Generator, default_generator
from .table import Table

__all__ = ["regression"]


def regression(
    rows: int = 500,
    features: int = 10,
    *,
    condition: float = 100.0,
    noise: float = 0.1,
    generator: Generator | None = None,
) -> Table:
    """A linear regression y = Xw + noise whose curvature XᵀX/n has the eigenvalues 1/condition … 1.

    They lie equally far apart on a logarithmic scale, in directions turned at random. The columns of X have mean 0,
    so a bias adds one more eigenvalue, exactly 1. w is standard normal and `noise` the standard deviation of the
    disturbance.

    >>> import thalweg as tw
    >>> table = regression(200, 4, condition=50.0, generator=tw.Generator().manual_seed(0))
    >>> float(round(np.linalg.cond(table.X.T @ table.X), 6))
    50.0
    """
    if features < 1 or rows <= features:
        raise ArgumentError(f"data.regression: more rows than features >= 1 are required, got {rows} and {features}.")
    if not condition >= 1:
        raise ArgumentError(f"data.regression: condition must be a number >= 1, got {condition}.")
    if not noise >= 0:
        raise ArgumentError(f"data.regression: noise must be a number >= 0, got {noise}.")
    rng = (default_generator if generator is None else generator).numpy()
    raw = rng.standard_normal((rows, features))
    left, _ = np.linalg.qr(raw - raw.mean(0))
    turn, _ = np.linalg.qr(rng.standard_normal((features, features)))
    eigenvalues = np.geomspace(1.0, 1.0 / condition, features)
    X = (np.sqrt(rows) * left * np.sqrt(eigenvalues)) @ turn.T
    w = rng.standard_normal(features)
    y = X @ w + noise * rng.standard_normal(rows)
    names = tuple(f"x{k + 1}" for k in range(features))
    return Table("regression", X, y, "regression", names, "y", (), f"generated, condition number {condition:g}")
