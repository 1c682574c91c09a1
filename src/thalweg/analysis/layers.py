"""What reaches each layer: the sizes of gradients through a network, and where they vanish or explode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass
from ..errors import ArgumentError
from ..ops.tensor import Tensor

__all__ = ["LayerReport", "vanishing_gradients"]


@dataclass(frozen=True)
class LayerReport:
    """One parameter: root mean square of its gradient and of itself, the share of exact zeros, and a verdict."""

    name: str
    gradient_rms: float
    value_rms: float
    zeros: float
    verdict: str


def vanishing_gradients(
    model: Any, loss: Callable[[], Any], *, small: float = 1e-6, ratio: float = 1e3
) -> list[LayerReport]:
    """Report the gradient of each parameter of a module (or ``(name, tensor)`` pairs), first layer first.

    Verdicts: ``vanishing`` where the root mean square is below `small`, or `ratio` times below the largest layer's;
    ``exploding`` where it is not finite, or above 1 and `ratio` times above the median; ``dead`` where every element is 0; else ``ok``.
    """
    pairs = list(model.named_parameters()) if hasattr(model, "named_parameters") else list(model)
    pairs = [(n, p) for n, p in pairs if p.requires_grad]
    if not pairs:
        raise ArgumentError("vanishing_gradients: parameters that require grad are required, got none.")
    with enable_grad():
        value = loss()
        one = Tensor._wrap(np.ones(value._data.shape, value._data.dtype))
        grads = backward_pass([(value, one)], [p for _, p in pairs], False, False)
    found = []
    for (name, p), g in zip(pairs, grads, strict=True):
        data = np.zeros(p._data.shape) if g is None else g._data.astype(np.float64)
        found.append((name, _rms(data), _rms(p._data), float((data == 0).mean()) if data.size else 1.0))
    sizes = np.array([rms for _, rms, _, _ in found])
    finite = sizes[np.isfinite(sizes) & (sizes > 0)]
    top, middle = (finite.max(), np.median(finite)) if finite.size else (0.0, 0.0)
    reports = []
    for name, rms, value_rms, zeros in found:
        if not np.isfinite(rms):
            verdict = "exploding"
        elif zeros == 1.0:
            verdict = "dead"
        elif rms < small or rms * ratio < top:
            verdict = "vanishing"
        else:
            verdict = "exploding" if rms > max(ratio * middle, 1.0) else "ok"
        reports.append(LayerReport(name, rms, value_rms, zeros, verdict))
    return reports


def _rms(data: Any) -> float:
    return float(np.sqrt(np.mean(np.square(data.astype(np.float64))))) if data.size else 0.0
