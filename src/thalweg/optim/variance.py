"""MARS: Adam on gradients whose noise is reduced by the gradient before."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ._scalars import check, is_on, one_element, root, square, where
from .adam import check_betas
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, Pair, Space

__all__ = ["MARS"]


class MARSSettings(NamedTuple):
    """The settings of :class:`MARS`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    gamma: Any
    maximize: bool


class MARS(Optimizer):
    """AdamW on ``c = g + γ β₁/(1-β₁) (g - g₋)``, with ``g₋`` the gradient of the step before and ``‖c‖`` at most 1.

    Yuan et al. 2024: MARS-AdamW in its approximate form, which evaluates no gradient twice, for parameters of every
    shape; as in their program ``g₋`` starts at 0 and the bound holds for each parameter.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = tw.optim.MARS([x], lr=0.5)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([ 0.5000, -2.5000], requires_grad=True)
    """

    Settings = MARSSettings
    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "betas": Pair((0.95, 0.99), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 3e-3,
        betas: tuple[float, float] = (0.95, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        gamma: float = 0.025,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check_betas(betas, who)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(gamma >= 0, who, "gamma", "a number >= 0", gamma)
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "gamma": gamma,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both moments and the gradient before at 0."""
        return {name: np.zeros_like(param) for name in ("exp_avg", "exp_avg_sq", "last_grad")}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr (m̂ / (√v̂ + eps) + λ x)``."""
        g = -g if s.maximize else g * 1
        beta1, beta2 = s.betas
        c = g + (s.gamma * beta1 / (1 - beta1)) * (g - state["last_grad"])
        length = square(c)
        over = length > 1
        c = c * where(over, 1 / root(where(over, length, 1.0)), 1.0)
        m = beta1 * state["exp_avg"] + (1 - beta1) * c
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (c * c)
        d = (m / (1 - beta1**t)) / (root(v) / root(1 - beta2**t) + s.eps)
        if is_on(s.weight_decay):
            d = d + s.weight_decay * x
        return x - s.lr * d, {"exp_avg": m, "exp_avg_sq": v, "last_grad": g}
