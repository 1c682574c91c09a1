"""How fast a run converged: fitted rate and order, and Jensen's gap and gradient noise, which say why it did not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass
from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ..ops.tensor import Tensor

__all__ = ["Convergence", "GradientNoise", "convergence_order", "gradient_noise", "jensen_gap"]


@dataclass(frozen=True)
class Convergence:
    """Fitted ``e' ≈ constant · e^order``; `rate` is the mean factor per step of a linearly converging run."""

    order: float
    constant: float
    rate: float
    points: int


def convergence_order(errors: Any, *, floor: float = 1e-13) -> Convergence:
    """Fit the order of convergence from errors |x_t - x*| (or f_t - f*), leaving out what rounding hides.

    For quick methods the order comes from the last ratios; a run with order near 1 is described by its `rate`.

    >>> c = convergence_order([0.5**k for k in range(20)])
    >>> round(c.order, 6), round(c.rate, 6)
    (1.0, 0.5)
    """
    e = np.abs(np.asarray(errors, np.float64).reshape(-1))
    if e.size < 3:
        raise ArgumentError(f"convergence_order: at least 3 errors are required, got {e.size}.")
    scale = e[np.isfinite(e)].max(initial=0.0)
    good = np.isfinite(e) & (e > floor * max(scale, 1e-300))
    end = int(np.argmin(good)) if not good.all() else e.size
    e = e[:end]
    if e.size < 3:
        return Convergence(float("nan"), float("nan"), float("nan"), int(e.size))
    x, y = np.log(e[:-1]), np.log(e[1:])
    falling = x - y
    if np.ptp(falling) <= 1e-6 * max(1.0, np.abs(falling).max()):  # a constant ratio: linear
        return Convergence(1.0, float(np.exp(-falling.mean())), float(np.exp(-falling.mean())), int(e.size))
    late = slice(max(0, x.size - 4), None) if falling[-1] > 2 * falling[0] else slice(x.size // 2, None)
    if x[late].size < 2 or np.ptp(x[late]) == 0:
        late = slice(None)
    order, constant = np.polyfit(x[late], y[late], 1)
    tail = falling[x.size // 2 :]
    return Convergence(float(order), float(np.exp(constant)), float(np.exp(-tail.mean())), int(e.size))


def jensen_gap(fun: Callable[[Any], Any], samples: Any, weights: Any = None) -> float:
    """Return ``E f(X) - f(E X)``: never negative for convex f, never positive for concave.

    `samples`: [n, …], one point a row.

    >>> round(jensen_gap(lambda x: (x * x).sum(), [[-1.0], [1.0]]), 9)
    1.0
    """
    rows = np.asarray(samples._data if isinstance(samples, TensorBase) else samples, np.float64)
    if rows.ndim == 0 or rows.shape[0] == 0:
        raise ArgumentError("jensen_gap: at least one sample is required.")
    w = np.full(rows.shape[0], 1 / rows.shape[0]) if weights is None else np.asarray(weights, np.float64)
    if w.shape != (rows.shape[0],) or (w < 0).any() or not np.isclose(w.sum(), 1):
        raise ArgumentError("jensen_gap: weights must be >= 0, one per sample, and sum to 1.")
    values = np.array([float(fun(Tensor._wrap(row.copy())).item()) for row in rows])
    mean = np.tensordot(w, rows, 1)
    return float(w @ values - float(fun(Tensor._wrap(np.asarray(mean))).item()))


@dataclass(frozen=True)
class GradientNoise:
    """The mean gradient's norm, the trace of the per-batch covariance, and their ratio.

    `scale`: tr Σ₁ / ‖g‖², the batch size at which noise and signal are equal (McCandlish et al. 2018), with Σ₁ the
    covariance of a single sample's gradient, estimated as batch size times that of a batch.
    """

    norm: float
    variance: float
    scale: float
    batches: int


def gradient_noise(
    loss: Callable[[Any], Any], params: Sequence[Any], batches: Iterable[Any], batch_size: int
) -> GradientNoise:
    """Measure the gradient over `batches` of `batch_size` samples each; `loss(batch)` is the mean over a batch."""
    wanted = list(params)
    rows = []
    for batch in batches:
        with enable_grad():
            value = loss(batch)
            one = Tensor._wrap(np.ones(value._data.shape, value._data.dtype))
            grads = backward_pass([(value, one)], wanted, False, False)
        rows.append(
            np.concatenate(
                [
                    np.zeros(p._data.size) if g is None else g._data.reshape(-1).astype(np.float64)
                    for g, p in zip(grads, wanted, strict=True)
                ]
            )
        )
    if len(rows) < 2:
        raise ArgumentError(f"gradient_noise: at least 2 batches are required, got {len(rows)}.")
    all_rows = np.array(rows)
    mean = all_rows.mean(axis=0)
    variance = float(all_rows.var(axis=0, ddof=1).sum())
    squared = max(float(mean @ mean) - variance / len(rows), 0.0)  # without the noise of the mean itself
    scale = batch_size * variance / squared if squared > 0 else float("inf")
    return GradientNoise(float(np.linalg.norm(mean)), variance, scale, len(rows))
