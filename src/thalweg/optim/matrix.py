"""Methods that see a parameter as a matrix: Adafactor and Muon."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..core.moves import CAST
from ..core.tensor import TensorBase
from ..ops._elementwise import Elementwise, elementwise
from ._scalars import check, is_on, largest, mean_square, norm, one_element, root, smallest, total
from .optimizer import Optimizer, Params, State

__all__ = ["Adafactor", "Muon"]


def _dtype_of(x: Any) -> np.dtype[Any]:
    return x._data.dtype if isinstance(x, TensorBase) else x.dtype


class AdafactorSettings(NamedTuple):
    """The settings of :class:`Adafactor`."""

    lr: Any
    beta2_decay: Any
    eps: Any
    d: Any
    weight_decay: Any
    maximize: bool


class Adafactor(Optimizer):
    """Adam's mean of squares kept as one number per row and one per column: ``v ≈ row · col / mean(row)``.

    Weights of the running means are ``t^beta2_decay``; steps are relative to the parameter's root mean square (at
    least ``eps[1]``), at most lr, and clipped to a root mean square of `d`. Vectors keep all of ``v``. Shazeer & Stern 2018.
    """

    Settings = AdafactorSettings

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(beta2_decay <= 0, who, "beta2_decay", "a number <= 0", beta2_decay)
        check(eps[0] is None or eps[0] >= 0, who, "eps[0]", "a number >= 0, or None", eps[0])
        check(eps[1] >= 0, who, "eps[1]", "a number >= 0", eps[1])
        check(d >= 1, who, "d", "a number >= 1", d)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every mean at 0."""
        if param.ndim < 2:
            return {"variance": np.zeros_like(param)}
        return {"row_var": np.zeros_like(param[..., :1]), "col_var": np.zeros_like(param[..., :1, :])}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - α · u / max(1, RMS(u)/d)`` with ``u = g / √v``."""
        g = -g if s.maximize else g
        eps1 = float(np.finfo(_dtype_of(x)).eps) if s.eps[0] is None else s.eps[0]
        weight = t**s.beta2_decay
        alpha = largest(s.eps[1], mean_square(x)) * smallest(s.lr, 1 / root(t))
        if is_on(s.weight_decay):
            x = x * (1 - s.lr * s.weight_decay)
        square = g * g
        new: State
        if g.ndim < 2:
            v = (1 - weight) * state["variance"] + weight * square
            new = {"variance": v}
        else:
            rows, columns = g.shape[-2:]
            row = (1 - weight) * state["row_var"] + weight * (total(square, (g.ndim - 1,)) / columns)
            col = (1 - weight) * state["col_var"] + weight * (total(square, (g.ndim - 2,)) / rows)
            v = row * col / largest(total(row, (g.ndim - 2,)) / rows, eps1)
            new = {"row_var": row, "col_var": col}
        u = g / root(largest(v, eps1 * eps1))
        return x - (alpha / largest(1.0, mean_square(u) / s.d)) * u, new


def _to_bfloat16(x: Any) -> Any:
    """Round to the 8 significant bits of bfloat16, half to even."""
    bits = np.asarray(x, np.float32, order="C").view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x, rounded.view(np.float32)).astype(np.float32)


_bfloat16: Elementwise = elementwise("bfloat16", _to_bfloat16, [lambda g: g], kind="keep")


class MuonSettings(NamedTuple):
    """The settings of :class:`Muon`."""

    lr: Any
    weight_decay: Any
    momentum: Any
    nesterov: bool
    ns_coefficients: Any
    eps: Any
    ns_steps: int
    adjust_lr_fn: str | None
    precision: str


class Muon(Optimizer):
    """Momentum whose matrix is made nearly orthogonal before the step; for parameters of two dimensions.

    Newton-Schulz: from ``X = M/‖M‖``, `ns_steps` times ``X = aX + (bA + cA²)X`` with ``A = XXᵀ``, which drives the
    singular values to about 1. Jordan et al. 2024. PyTorch iterates in bfloat16, and so does the default here
    (rounded after every operation); ``precision="full"`` iterates in the parameter's own type.
    """

    Settings = MuonSettings
    scalars = ()
    switches = ()
    static = ("ns_steps",)

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        precision: str = "bfloat16",
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(momentum >= 0, who, "momentum", "a number >= 0", momentum)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        allowed = (None, "original", "match_rms_adamw")
        check(adjust_lr_fn in allowed, who, "adjust_lr_fn", "'original', 'match_rms_adamw' or None", repr(adjust_lr_fn))
        check(len(ns_coefficients) == 3, who, "ns_coefficients", "three numbers", ns_coefficients)
        check(ns_steps < 100, who, "ns_steps", "an integer below 100", ns_steps)
        check(precision in ("bfloat16", "full"), who, "precision", "'bfloat16' or 'full'", repr(precision))
        check(not maximize, who, "maximize", "False (Muon has no such form)", maximize)
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
            "differentiable": differentiable, "precision": precision,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _group_added(self, group: dict[str, Any]) -> None:
        for param in group["params"]:
            shape = param._data.shape
            check(len(shape) == 2, self._name(), "every parameter", "a matrix", f"shape {shape}")

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start with no momentum."""
        return {"momentum_buffer": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``(1 - lr · weight_decay) x - lr · orthogonal(m)``."""
        m = s.momentum * state["momentum_buffer"] + (1 - s.momentum) * g
        d = (1 - s.momentum) * g + s.momentum * m if s.nesterov else m
        rows, columns = x.shape
        if s.adjust_lr_fn == "match_rms_adamw":
            lr = s.lr * (0.2 * math.sqrt(max(rows, columns)))
        else:
            lr = s.lr * math.sqrt(max(1, rows / columns))
        d = _orthogonal(d, s)
        return (1 - s.lr * s.weight_decay) * x - lr * d, {"momentum_buffer": m}


def _orthogonal(m: Any, s: Any) -> Any:
    """Return the matrix with its singular values driven to about 1."""
    a, b, c = s.ns_coefficients
    dtype = _dtype_of(m)
    low = s.precision == "bfloat16"

    def rounded(x: Any) -> Any:
        return _bfloat16(x) if low else x

    if low and dtype != np.float32:
        m = CAST(m, np.dtype(np.float32), dtype)
    x = rounded(m)
    tall = m.shape[0] > m.shape[1]
    if tall:
        x = x.T
    x = rounded(x / largest(rounded(norm(x)), s.eps))
    for _ in range(s.ns_steps):
        gram = rounded(x @ x.T)
        x = rounded(a * x + rounded(b * gram + c * (gram @ gram)) @ x)
    if tall:
        x = x.T
    return CAST(x, dtype, np.dtype(np.float32)) if low and dtype != np.float32 else x
