"""Parametrisations of weights: by length and direction."""

from __future__ import annotations

from typing import Any

from ..modules.module import Module
from .parametrize import register_parametrization

__all__ = ["weight_norm"]


def _length(v: Any, dim: int | None) -> Any:
    """Return the norm over all dims but `dim` (over all, for None), with the dims kept."""
    others = tuple(k for k in range(v.ndim) if dim is None or k != dim % v.ndim)
    return v.norm(dim=others, keepdim=True) if dim is not None else v.norm()


class _WeightNorm(Module):
    """``g · v/‖v‖``."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Any, v: Any) -> Any:
        return v * (g / _length(v, self.dim))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Return the length and the direction of a weight."""
        return _length(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as its length and its direction: ``w = g · v/‖v‖`` (Salimans, Kingma 2016); return the module.

    There is one length for each index of `dim`, or one for all with None.

    >>> import thalweg as tw
    >>> layer = weight_norm(tw.nn.Linear(3, 2))
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}
    {'bias': (2,), 'parametrizations.weight.original0': (2, 1), 'parametrizations.weight.original1': (2, 3)}
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
