"""Why a training goes as it goes: curvature against the method's limit, noise, and the steps, along the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.gradients import grad
from ..errors import ArgumentError
from .convergence import gradient_noise
from .spectrum import Array, hessian_product, lanczos

__all__ = ["Moment", "Watched", "watch"]

FIRST_PRODUCTS = 40  # Hessian products for the first eigenvalue
PRODUCTS = 8  # and for each after it, from the last eigenvector
PRECISION = 1e-3
BATCHES = 24  # whose gradients are compared
EDGE = 0.75  # of the limit, from which a run is at the edge of stability
FAR_BELOW = 0.3


@dataclass(frozen=True)
class Moment:
    """What was measured just before a step; NaN where it cannot be said."""

    step: int
    loss: float
    sharpness: float  # the Hessian's largest eigenvalue
    scaled: float  # the same of P⁻¹H, with the method's own scaling P
    limit: float  # the largest stable value of `scaled`
    noise_scale: float  # rows in a batch whose noise equals its signal
    length: float  # of the step, relative to the parameters'
    cosine: float  # between the step and the descent direction of all rows

    @property
    def share(self) -> float:
        """The scaled sharpness as a share of its limit."""
        return self.scaled / self.limit


@dataclass(frozen=True)
class Watched:
    """What :func:`watch` measured along a run of `steps` steps with batches of `batch` of `rows` rows."""

    method: str
    moments: tuple[Moment, ...]
    steps: int
    batch: int
    rows: int

    def late(self, name: str) -> float:
        """Return the median of a quantity over the second half of the run; NaN if it was never measured."""
        values = [getattr(m, name) for m in self.moments if m.step >= self.steps // 2]
        known = [v for v in values if not math.isnan(v)]
        return float(np.median(known)) if known else math.nan

    def sentences(self) -> tuple[str, str]:
        """Return what the numbers say: of the learning rate and the curvature, and of the batch and its noise."""
        return self._of_curvature(), self._of_noise()

    def _of_curvature(self) -> str:
        share, sharpness = self.late("share"), self.late("sharpness")
        if math.isnan(sharpness):
            return f"{self.method}: the curvature could not be measured, since the loss or its Hessian was not finite."
        if math.isnan(share):
            return (
                f"{self.method}: the Hessian's largest eigenvalue was {sharpness:.3g} in the second half of the run; "
                "no stability limit of this method is known."
            )
        measured = (
            f"the curvature along its steps was {share:.2g} of the largest stable one in the second half of the run"
        )
        if share <= 0:
            return (
                f"{self.method} saw no upward curvature: {measured}, so no learning rate is too large by that measure."
            )
        if share >= EDGE:
            return f"{self.method} ran at the edge of stability: {measured}. A larger learning rate would not be stable there."
        if share >= FAR_BELOW:
            return f"{self.method} ran below the edge of stability: {measured}."
        return (
            f"{self.method} ran far below the edge of stability: {measured}. Stability alone would allow "
            f"about {_times(1 / share)} the learning rate."
        )

    def _of_noise(self) -> str:
        if not self.rows or self.batch >= self.rows:
            return "Every step used the whole objective: curvature, not noise, limits it."
        scale = self.late("noise_scale")
        rows = f"batches of {self.batch} of {self.rows} rows"
        if math.isnan(scale):
            return f"The noise of its {rows} could not be measured."
        if scale > self.rows:
            return (
                f"It was limited by noise: with {rows} the gradient of a batch was mostly noise, and would be with any batch; "
                "a learning rate that falls towards the end averages it out."
            )
        if scale > 2 * self.batch:
            return (
                f"It was limited by noise: with {rows} noise equals signal only at about {scale:.0f} rows. Batches up to that "
                "size would allow a larger learning rate."
            )
        if scale < self.batch / 2:
            return (
                f"It was limited by curvature: with {rows} noise equals signal at about {max(1, round(scale))} rows already. "
                "Larger batches would change little."
            )
        return f"Noise and signal were about equal: {rows}, and a noise scale of {scale:.0f} rows."


def _times(factor: float) -> str:
    return (
        f"{factor:.1f} times" if factor < 10 else f"{factor:.0f} times" if factor < 1000 else "a thousand times or more"
    )


def _moments_at(steps: int, points: int) -> set[int]:
    return {0, *np.unique(np.linspace(min(1, steps - 1), steps - 1, points).round().astype(int)).tolist()}


class _Probe:
    """Measurements at the present parameters of an optimizer."""

    def __init__(self, optimizer: Any, loss: Callable[[], Any], seed: int) -> None:
        self.optimizer = optimizer
        self.loss = loss
        self.seed = seed
        self.vectors: dict[str, Array] = {}

    @property
    def pairs(self) -> list[tuple[Any, dict[str, Any]]]:
        return [(p, group) for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]

    @property
    def params(self) -> list[Any]:
        return [p for p, _ in self.pairs]

    def flat(self) -> Array:
        return np.concatenate([p.detach().numpy().reshape(-1).astype(np.float64) for p in self.params])

    def gradient(self) -> tuple[float, Array]:
        value = self.loss()
        found = grad(value, self.params, allow_unused=True)
        parts = [
            np.zeros(p.numel()) if g is None else g.numpy().reshape(-1).astype(np.float64)
            for g, p in zip(found, self.params, strict=True)
        ]
        return float(value.item()), np.concatenate(parts)

    def scaling(self) -> tuple[Array, float] | None:
        """Return the diagonal that divides the gradient in the method's rule, and its limit, the smallest over groups."""
        parts, limits = [], []
        for p, group in self.pairs:
            base = _rule_of(self.optimizer, p)
            if base is None:
                return None
            raw = base.state.get(p) or {}
            state = {k: v.numpy() if hasattr(v, "numpy") else v for k, v in raw.items()}
            t = float(state.get("step", 0.0))
            found = base.stable_curvature(state, base._settings(group), t)
            if found is None:
                return None
            diagonal = np.broadcast_to(np.asarray(found[0], np.float64), p.shape).reshape(-1)
            parts.append(diagonal * float(found[1]))  # groups with limits of their own enter the scaling
            limits.append(float(found[1]))
        smallest = min(limits)
        return np.concatenate(parts) / smallest, smallest

    def largest(self, key: str, product: Callable[[Array], Array], n: int) -> float:
        before = self.vectors.get(key)
        steps = FIRST_PRODUCTS if before is None else PRODUCTS
        found = lanczos(product, n, steps=min(steps, n), tol=PRECISION, seed=self.seed, end="largest", start=before)
        self.vectors[key] = found.vector
        return found.largest

    def curvature(self) -> tuple[float, float, float]:
        """Return the sharpness, the same of the scaled Hessian, and the limit of the latter."""
        product, n = hessian_product(self.loss, self.params)
        sharpness = self.largest("plain", product, n)
        scaling = self.scaling()
        if scaling is None:
            return sharpness, math.nan, math.nan
        root, limit = 1 / np.sqrt(np.maximum(scaling[0], 1e-300)), scaling[1]
        if np.ptp(root) == 0:
            return sharpness, sharpness * float(root[0]) ** 2, limit
        return sharpness, self.largest("scaled", lambda v: root * product(root * v), n), limit


def _rule_of(optimizer: Any, param: Any) -> Any:
    """Return the optimizer whose rule steps `param`: through wrappers, and None where there is none."""
    inner = getattr(optimizer, "inner", None)  # of a wrapper
    if inner is not None:
        return _rule_of(inner, param)
    parts = getattr(optimizer, "optimizers", None)
    if parts is not None:
        owners = [o for o in parts if any(p is param for g in o.param_groups for p in g["params"])]
        return _rule_of(owners[0], param) if owners else None
    return optimizer if hasattr(optimizer, "stable_curvature") and optimizer.Settings is not None else None


def watch(
    step: Callable[[], Any],
    optimizer: Any,
    loss: Callable[[], Any],
    steps: int,
    *,
    batches: Sequence[Callable[[], Any]] | Callable[[], Sequence[Callable[[], Any]]] = (),
    batch: int = 0,
    rows: int = 0,
    points: int = 12,
    name: str | None = None,
    seed: int = 0,
) -> Watched:
    """Run a training and measure along it what limits it; return the measurements, with two sentences.

    `step()` takes one training step with `optimizer`, `loss()` is the objective over all rows (or many), `batches` are
    losses of single batches (or a function that draws them) of `batch` of `rows` rows. At about `points` steps are
    measured: the Hessian's largest eigenvalue, by Lanczos from the last one's vector; the same as the method scales
    it, against the largest value at which its steps are stable (``2/lr`` for gradient descent; Cohen et al. 2021, 2022);
    the gradient noise scale (McCandlish et al. 2018); how long the step is, and whether it points downhill.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, 1.0], dtype=tw.float64, requires_grad=True)
    >>> optimizer = tw.optim.SGD([x], lr=0.45)
    >>> def loss():
    ...     return 0.1 * x[0] ** 2 + 2 * x[1] ** 2
    >>> def step():
    ...     optimizer.zero_grad()
    ...     loss().backward()
    ...     optimizer.step()
    >>> seen = watch(step, optimizer, loss, 20)
    >>> round(seen.late("sharpness"), 6), round(seen.late("share"), 6)
    (4.0, 0.9)
    """
    if steps < 1:
        raise ArgumentError(f"watch: at least one step is required, got {steps}.")
    probe = _Probe(optimizer, loss, seed)
    if not probe.params:
        raise ArgumentError("watch: an optimizer over parameters that require grad is required, got none.")
    at = _moments_at(steps, points)
    moments = []
    for k in range(steps):
        if k not in at:
            step()
            continue
        with np.errstate(all="ignore"):
            value, gradient = probe.gradient()
            if not (math.isfinite(value) and np.isfinite(gradient).all()):
                break
            before = probe.flat()
            sharpness, scaled, limit = probe.curvature() if np.isfinite(before).all() else (math.nan,) * 3
            scale = _noise(probe, batches, batch)
            step()
            of_step = _of_step(probe.flat() - before, before, gradient)
        moments.append(Moment(k, value, sharpness, scaled, limit, scale, *of_step))
    return Watched(name or type(optimizer).__name__, tuple(moments), steps, batch, rows)


def _noise(probe: _Probe, batches: Any, batch: int) -> float:
    drawn = list(batches() if callable(batches) else batches)[:BATCHES]
    if len(drawn) < 2 or batch < 1:
        return math.nan
    return gradient_noise(lambda each: each(), probe.params, drawn, batch).scale


def _of_step(moved: Array, before: Array, gradient: Array) -> tuple[float, float]:
    """Return the step's length relative to the parameters', and its cosine with the negative gradient."""
    length, size, slope = (float(np.linalg.norm(v)) for v in (moved, before, gradient))
    relative = length / size if size > 0 else math.nan
    cosine = float(-moved @ gradient) / (length * slope) if length * slope > 0 else math.nan
    return relative, cosine
