"""Proximal operators: ``argmin_u  t·R(u) + ½‖u - x‖²`` for the usual regularisers R, differentiable and batched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..ops.arithmetic import where
from ..ops.pointwise import abs as absolute
from ..ops.pointwise import relu, sign, sqrt
from ..ops.tensor import Tensor
from .projections import _floating, _radius

__all__ = ["prox_group", "prox_l1", "prox_l2", "prox_nuclear", "prox_squared_l2"]


def prox_l1(x: Any, t: float = 1.0) -> Tensor:
    """Soft threshold, the proximal operator of ``t‖·‖₁``: every coordinate moves by `t` towards 0.

    >>> prox_l1([3.0, -0.5, -2.0], 1.0)
    tensor([ 2., -0., -1.])
    """
    _radius(t, "prox_l1", "t")
    v = _floating(x)
    return sign(v) * relu(absolute(v) - t)


def prox_l2(x: Any, t: float = 1.0) -> Tensor:
    """Block soft threshold, the proximal operator of ``t‖·‖₂`` along the last dim: the whole vector moves by `t` towards 0."""
    _radius(t, "prox_l2", "t")
    v = _floating(x)
    squares = (v * v).sum(-1, keepdim=True)
    norm = sqrt(where(squares > 0, squares, 1.0))
    return where((squares > 0) & (norm > t), v * (1 - t / norm), v * 0)


def prox_squared_l2(x: Any, t: float = 1.0) -> Tensor:
    """Shrinkage ``x / (1 + t)``, the proximal operator of ``t/2 ‖·‖₂²``."""
    _radius(t, "prox_squared_l2", "t")
    return _floating(x) / (1 + t)


def prox_group(x: Any, groups: Sequence[Sequence[int]], t: float = 1.0) -> Tensor:
    """Proximal operator of ``t Σ ‖x_g‖₂`` over disjoint groups of coordinates of the last dim."""
    _radius(t, "prox_group", "t")
    v = _floating(x)
    n = v.shape[-1]
    seen = [k for g in groups for k in g]
    if len(set(seen)) != len(seen) or any(not 0 <= k < n for k in seen):
        raise ArgumentError(f"prox_group: disjoint groups of coordinates 0 … {n - 1} are required, got {list(groups)}.")
    member = np.zeros((len(groups), n), v._data.dtype)
    for row, group in enumerate(groups):
        member[row, list(group)] = 1
    free = 1 - member.sum(axis=0)
    squares = (v * v) @ Tensor._wrap(member.T.copy())  # type: ignore[operator]
    norm = sqrt(where(squares > 0, squares, 1.0))
    factor = where((squares > 0) & (norm > t), 1 - t / norm, 0.0)
    return v * (factor @ Tensor._wrap(member) + Tensor._wrap(free))  # type: ignore[operator]


def prox_nuclear(x: Any, t: float = 1.0) -> Tensor:
    """Singular values moved by `t` towards 0: the proximal operator of ``t`` times the nuclear norm of a matrix."""
    from ..ops.linalg_spectral import svd  # only this operator needs it

    _radius(t, "prox_nuclear", "t")
    u, s, vh = svd(_floating(x), full_matrices=False)
    return (u * relu(s - t).unsqueeze(-2)) @ vh
