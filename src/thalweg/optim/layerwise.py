"""One trust ratio per parameter: LARS and LAMB."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ._scalars import check, is_on, norm, one_element, root, where
from .adam import Betas
from .moments import check_common
from .optimizer import Optimizer, Params, State

__all__ = ["LAMB", "LARS"]


def _ratio(x_norm: Any, d_norm: Any) -> Any:
    """Return ``‖x‖ / ‖d‖``, and 1 where either is 0."""
    usable = (x_norm > 0) & (d_norm > 0)
    return where(usable, x_norm / where(usable, d_norm, 1.0), 1.0)


class LARSSettings(NamedTuple):
    """The settings of :class:`LARS`."""

    lr: Any
    momentum: Any
    weight_decay: Any
    trust_coefficient: Any
    eps: Any
    maximize: bool


class LARS(Optimizer):
    """Momentum whose step is proportional to the norm of each parameter.

    ``λ = trust · ‖x‖ / (‖g‖ + weight_decay · ‖x‖ + eps); v = momentum · v + lr · λ · (g + weight_decay · x); x -= v``,
    with λ = 1 where ``‖x‖`` or ``‖g‖`` is 0. You, Gitman & Ginsburg 2017.
    """

    Settings = LARSSettings

    scalars = ()
    switches = ()

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-1,
        momentum: float = 0.9,
        weight_decay: float = 0,
        *,
        trust_coefficient: float = 1e-3,
        eps: float = 0,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(momentum >= 0, who, "momentum", "a number >= 0", momentum)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(trust_coefficient > 0, who, "trust_coefficient", "a number > 0", trust_coefficient)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust_coefficient": trust_coefficient,
            "eps": eps, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start with no velocity."""
        return {"momentum_buffer": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - v``."""
        g = -g if s.maximize else g
        x_norm, g_norm = norm(x), norm(g)
        usable = (x_norm > 0) & (g_norm > 0)
        denom = where(usable, g_norm + s.weight_decay * x_norm + s.eps, 1.0)
        trust = where(usable, s.trust_coefficient * x_norm / denom, 1.0)
        v = s.momentum * state["momentum_buffer"] + (s.lr * trust) * (g + s.weight_decay * x)
        return x - v, {"momentum_buffer": v}


class LAMBSettings(NamedTuple):
    """The settings of :class:`LAMB`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class LAMB(Optimizer):
    """Adam's direction, rescaled to the norm of each parameter.

    ``d = m̂ / (√v̂ + eps) + weight_decay · x; x -= lr · ‖x‖/‖d‖ · d``, the ratio 1 where either norm is 0. You et al. 2020.
    """

    Settings = LAMBSettings

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0."""
        return {"exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * ‖x‖/‖d‖ * d``."""
        g = -g if s.maximize else g
        beta1, beta2 = s.betas
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (g * g)
        d = (1 / (1 - beta1**t)) * (m / (root(v) / root(1 - beta2**t) + s.eps))
        if is_on(s.weight_decay):
            d = d + s.weight_decay * x
        return x - (s.lr * _ratio(norm(x), norm(d))) * d, {"exp_avg": m, "exp_avg_sq": v}
