"""Methods on running means of the gradient and of its size: NAdam, RAdam, Adamax, AdaBelief, Lion."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ._scalars import absolute, check, descent_gradient, is_on, largest, one_element, root, sign, where
from .adam import Betas, check_betas, corrected_step, decayed
from .optimizer import Optimizer, Params, State

__all__ = ["AdaBelief", "Adamax", "Lion", "NAdam", "RAdam"]


def check_common(who: str, lr: Any, betas: Any, eps: float, weight_decay: float) -> None:
    """Refuse what no method of Adam's family takes."""
    check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
    check(eps >= 0, who, "eps", "a number >= 0", eps)
    check_betas(betas, who)
    check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)


class NAdamSettings(NamedTuple):
    """The settings of :class:`NAdam`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    momentum_decay: Any
    decoupled_weight_decay: bool
    maximize: bool


class NAdam(Optimizer):
    """Adam with Nesterov's look-ahead: the next step's share of the mean is taken now.

    ``μ_t = β₁ (1 - ½ 0.96^(t ψ)); m̂ = μ_{t+1} m / (1 - Π_{i≤t+1} μ_i) + (1-μ_t) g / (1 - Π_{i≤t} μ_i)``. Dozat 2016.
    """

    Settings = NAdamSettings
    elementwise = True
    scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, eps, weight_decay)
        check(momentum_decay >= 0, self._name(), "momentum_decay", "a number >= 0", momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0 and the product of the μ at 1."""
        return {"mu_product": 1.0, "exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * m̂ / (√v̂ + eps)``."""
        x, g = decayed(x, g, s)
        beta1, beta2 = s.betas
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * s.momentum_decay))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * s.momentum_decay))
        product = state["mu_product"] * mu
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (g * g)
        denom = root(v / (1 - beta2**t)) + s.eps
        ahead = (s.lr * mu_next / (1 - product * mu_next)) * m
        now = (s.lr * (1 - mu) / (1 - product)) * g
        return x - (now + ahead) / denom, {"mu_product": product, "exp_avg": m, "exp_avg_sq": v}


class RAdamSettings(NamedTuple):
    """The settings of :class:`RAdam`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool


class RAdam(Optimizer):
    """Adam whose adaptive part is scaled by how well its variance is known, and left out while it is not.

    ``ρ∞ = 2/(1-β₂) - 1; ρ_t = ρ∞ - 2t β₂ᵗ/(1-β₂ᵗ)``; while ``ρ_t <= 5``: ``x -= lr · m̂``; then
    ``x -= lr · r_t · m̂ / √v̂`` with ``r_t² = (ρ_t-4)(ρ_t-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρ_t)``. Liu et al. 2020.
    """

    Settings = RAdamSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0."""
        return {"exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * r * m̂ / √v̂``, or ``x - lr * m̂`` in the first steps."""
        x, g = decayed(x, g, s)
        beta1, beta2 = s.betas
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (g * g)
        correction = 1 - beta2**t
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / correction
        known = rho > 5
        # Where it is not known, harmless numbers keep the branch that is not taken finite.
        a, b = where(known, rho, 6.0), largest(rho_inf, 5.0)
        rect = root((a - 4) * (a - 2) * b / ((b - 4) * (b - 2) * a))
        d = where(known, rect * root(correction) / (root(v) + s.eps), 1.0)
        return x - (s.lr / (1 - beta1**t)) * (m * d), {"exp_avg": m, "exp_avg_sq": v}


class AdamaxSettings(NamedTuple):
    """The settings of :class:`Adamax`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class Adamax(Optimizer):
    """Adam with the running maximum: ``u = max(β₂ u, |g| + eps); x -= lr / (1-β₁ᵗ) · m / u``. Kingma & Ba 2015."""

    Settings = AdamaxSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start mean and maximum at 0."""
        return {"exp_avg": np.zeros_like(param), "exp_inf": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr / (1-β₁ᵗ) * m / u``."""
        g = descent_gradient(x, g, s)
        beta1, beta2 = s.betas
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        u = largest(beta2 * state["exp_inf"], absolute(g) + s.eps)
        return x - (s.lr / (1 - beta1**t)) * (m / u), {"exp_avg": m, "exp_inf": u}


class AdaBeliefSettings(NamedTuple):
    """The settings of :class:`AdaBelief`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    decoupled_weight_decay: bool
    maximize: bool


class AdaBelief(Optimizer):
    """Adam that divides by how far gradients stray from their mean.

    ``s = β₂ s + (1-β₂)(g - m)² + eps`` in the place of ``v``. Zhuang et al. 2020.
    """

    Settings = AdaBeliefSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, eps, weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0."""
        return {"exp_avg": np.zeros_like(param), "exp_avg_var": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * m̂ / (√ŝ + eps)``."""
        x, g = decayed(x, g, s)
        beta1, beta2 = s.betas
        m = beta1 * state["exp_avg"] + (1 - beta1) * g
        stray = g - m
        v = beta2 * state["exp_avg_var"] + (1 - beta2) * (stray * stray) + s.eps
        return corrected_step(x, m, v, s, t), {"exp_avg": m, "exp_avg_var": v}


class LionSettings(NamedTuple):
    """The settings of :class:`Lion`."""

    lr: Any
    betas: Any
    weight_decay: Any
    maximize: bool


class Lion(Optimizer):
    """Step by the sign of an interpolated mean: ``x -= lr (sign(β₁ m + (1-β₁) g) + λ x); m = β₂ m + (1-β₂) g``.

    Chen et al. 2023. The decay is decoupled.
    """

    Settings = LionSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-4,
        betas: Betas = (0.9, 0.99),
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(self._name(), lr, betas, 0, weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start the mean at 0."""
        return {"exp_avg": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * sign(c)``."""
        g = -g if s.maximize else g
        beta1, beta2 = s.betas
        m = state["exp_avg"]
        d = sign(beta1 * m + (1 - beta1) * g)
        if is_on(s.weight_decay):
            d = d + s.weight_decay * x
        return x - s.lr * d, {"exp_avg": beta2 * m + (1 - beta2) * g}
