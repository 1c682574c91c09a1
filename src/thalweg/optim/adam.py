"""Adam and its nearest relatives: AdamW, AMSGrad, Yogi."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ._scalars import as_number, check, descent_gradient, is_on, largest, minus, one_element, plus, root, sign
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, Pair, Space

__all__ = ["AMSGrad", "Adam", "AdamW", "Yogi", "check_betas"]

Betas = tuple[float | TensorBase, float | TensorBase]


def check_betas(betas: Any, who: str) -> None:
    """Refuse betas outside [0, 1)."""
    for k in (0, 1):
        check(0 <= one_element(betas[k], who, f"betas[{k}]") < 1, who, f"betas[{k}]", "a number in [0, 1)", betas[k])


class AdamSettings(NamedTuple):
    """The settings of :class:`Adam`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    amsgrad: bool
    maximize: bool
    decoupled_weight_decay: bool


class Adam(Optimizer):
    """Divide a running mean of gradients by the root of one of squares, both corrected for their start at 0.

    ``m = β₁ m + (1-β₁) g; v = β₂ v + (1-β₂) g²; m̂ = m / (1-β₁ᵗ); v̂ = v / (1-β₂ᵗ); x -= lr · m̂ / (√v̂ + eps)``.
    Kingma & Ba 2015. `amsgrad` takes the largest ``v`` so far (Reddi, Kale & Kumar 2018);
    `decoupled_weight_decay` is :class:`AdamW`.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0], requires_grad=True)
    >>> optimizer = tw.optim.Adam([x], lr=0.1)
    >>> (100 * x).sum().backward(); optimizer.step(); x  # the first step is lr, whatever the gradient
    tensor([0.9000], requires_grad=True)
    """

    Settings = AdamSettings
    elementwise = True

    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "betas": Pair((0.9, 0.999), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check_betas(betas, who)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        tensors = [isinstance(b, TensorBase) for b in betas]
        if foreach and not capturable and (isinstance(lr, TensorBase) or any(tensors)):
            raise ArgumentError(
                f"{who}: foreach=True takes lr and betas as numbers (or capturable=True), got a tensor."
            )
        if any(tensors) != all(tensors) or not (all(tensors) or all(isinstance(b, float) for b in betas)):
            kinds = " and ".join(type(b).__name__ for b in betas)
            raise ArgumentError(f"{who}: betas must be two floats or two tensors, got {kinds}.")
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0."""
        state = {"exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}
        if settings.amsgrad:
            state["max_exp_avg_sq"] = np.zeros_like(param)
        return state

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return ``√v̂ + eps`` and ``2 (1 + β₁) / ((1 - β₁) lr)`` (Cohen et al. 2022)."""
        s = settings
        v = state.get("max_exp_avg_sq", state.get("exp_avg_sq"))
        if v is None or t < 1 or s.lr <= 0:
            return None
        beta1, beta2 = s.betas
        return np.sqrt(v) / math.sqrt(1 - beta2**t) + s.eps, 2 * (1 + beta1) / ((1 - beta1) * s.lr)

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * m̂ / (√v̂ + eps)``."""
        x, g = decayed(x, g, s)
        beta1, beta2 = s.betas
        m = plus(beta1 * state["exp_avg"], (1 - beta1) * g)
        v = plus(beta2 * state["exp_avg_sq"], (1 - beta2) * (g * g))
        new = {"exp_avg": m, "exp_avg_sq": v}
        if s.amsgrad:  # the maximum is over the raw v, which is corrected afterwards
            v = largest(state["max_exp_avg_sq"], v)
            new["max_exp_avg_sq"] = v
        return corrected_step(x, m, v, s, t), new


def decayed(x: Any, g: Any, s: Any) -> tuple[Any, Any]:
    """Return parameter and gradient with the decay in one of them: decoupled (``x *= 1 - lr·λ``) or coupled."""
    if s.decoupled_weight_decay:
        if is_on(s.weight_decay):
            x = x * (1 - s.lr * s.weight_decay)
        return x, (-g if s.maximize else g)
    return x, descent_gradient(x, g, s)


def corrected_step(x: Any, m: Any, v: Any, s: Any, t: Any) -> Any:
    """Return ``x - lr * m̂ / (√v̂ + eps)`` with ``m̂ = m / (1-β₁ᵗ)`` and ``v̂ = v / (1-β₂ᵗ)``."""
    beta1, beta2 = s.betas
    return minus(x, (s.lr / (1 - beta1**t)) * (m / (root(v) / root(1 - beta2**t) + s.eps)))


class AdamW(Adam):
    """:class:`Adam` after ``x *= 1 - lr * weight_decay``, which leaves the averages free of the decay.

    Loshchilov & Hutter 2019.
    """

    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "weight_decay": Log(1e-5, 0.3)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def _loaded(self) -> None:
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class AMSGrad(Adam):
    """:class:`Adam` with the largest ``v`` so far in place of ``v``: step lengths never grow again.

    Reddi, Kale & Kumar 2018. The same as ``Adam(amsgrad=True)``.
    """

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, True, maximize=maximize, differentiable=differentiable,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip


class YogiSettings(NamedTuple):
    """The settings of :class:`Yogi`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    initial_accumulator_value: Any
    maximize: bool
    decoupled_weight_decay: bool


class Yogi(Optimizer):
    """:class:`Adam` whose mean square moves by at most its own gradient: ``v += (1-β₂) · sign(g² - v) · g²``.

    Zaheer, Reddi, Sachan, Kale & Kumar 2018. The paper starts both averages at a small number (1e-6), which
    `initial_accumulator_value` gives; 0 is the default.
    """

    Settings = YogiSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-3,
        weight_decay: float = 0,
        *,
        initial_accumulator_value: float = 0,
        maximize: bool = False,
        differentiable: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check_betas(betas, who)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        start = initial_accumulator_value
        check(as_number(start) >= 0, who, "initial_accumulator_value", "a number >= 0", start)
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable, "initial_accumulator_value": start,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at `initial_accumulator_value`."""
        start = settings.initial_accumulator_value
        return {"exp_avg": np.full_like(param, start), "exp_avg_sq": np.full_like(param, start)}

    stable_curvature = staticmethod(Adam.stable_curvature)

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * m̂ / (√v̂ + eps)``."""
        x, g = decayed(x, g, s)
        beta1, beta2 = s.betas
        v, square = state["exp_avg_sq"], g * g
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = v + (1 - beta2) * (sign(square - v) * square)
        return corrected_step(x, m, v, s, t), {"exp_avg": m, "exp_avg_sq": v}
