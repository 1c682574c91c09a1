"""Methods of recent years whose rule treats each element by itself: Signum, ADOPT, AdEMAMix."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ._scalars import check, descent_gradient, is_on, largest, one_element, plus, root, sign, smallest, where
from .adam import check_betas
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, OrZero, Pair, Space

__all__ = ["ADOPT", "AdEMAMix", "Signum"]


class SignumSettings(NamedTuple):
    """The settings of :class:`Signum`."""

    lr: Any
    momentum: Any
    weight_decay: Any
    maximize: bool


class Signum(Optimizer):
    """Step by the sign of a running mean of gradients: ``m = μ m + (1-μ) g; x -= lr (sign(m) + λ x)``.

    Bernstein et al. 2018. With ``momentum=0`` it is signSGD. The decay is decoupled.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = tw.optim.Signum([x], lr=0.5)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([ 0.5000, -2.5000], requires_grad=True)
    """

    Settings = SignumSettings
    elementwise = True
    scalars = ()
    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "momentum": OrZero(OneMinus(0.01, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(0 <= momentum < 1, who, "momentum", "a number in [0, 1)", momentum)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start the mean at 0."""
        return {"momentum_buffer": np.zeros_like(param)} if is_on(settings.momentum) else {}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * (sign(m) + λ x)``."""
        m = -g if s.maximize else g
        new = state
        if is_on(s.momentum):
            m = plus(s.momentum * state["momentum_buffer"], (1 - s.momentum) * m)
            new = {"momentum_buffer": m}
        d = sign(m)
        if is_on(s.weight_decay):
            d = d + s.weight_decay * x
        return x - s.lr * d, new


class ADOPTSettings(NamedTuple):
    """The settings of :class:`ADOPT`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    clip_exponent: Any
    decouple: bool
    maximize: bool


class ADOPT(Optimizer):
    """Adam that divides by the second moment *before* this gradient entered it, and averages afterwards.

    ``m = β₁ m + (1-β₁) clip(g / max(√v, eps), ±(t-1)^¼); x -= lr m; v = β₂ v + (1-β₂) g²``. The first step only sets
    ``v = g²``. Taniguchi et al. 2024: converges for any β₂, which Adam does not. ``decouple=True`` takes the decay as AdamW does.
    """

    Settings = ADOPTSettings
    elementwise = True
    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "betas": Pair((0.9, 0.9999), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        clip_exponent: float = 0.25,
        decouple: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check_betas(betas, who)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(clip_exponent > 0, who, "clip_exponent", "a number > 0", clip_exponent)
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "clip_exponent": clip_exponent,
            "decouple": decouple, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both moments at 0."""
        return {"exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * m``; the bound of the first step is 0, so that it moves nothing."""
        beta1, beta2 = s.betas
        if s.decouple:
            g = -g if s.maximize else g
            if is_on(s.weight_decay):
                x = x * (1 - where(t > 1, s.lr * s.weight_decay, 0.0))
        else:
            g = descent_gradient(x, g, s)
        v, bound = state["exp_avg_sq"], (t - 1) ** s.clip_exponent
        d = largest(smallest(g / largest(root(v), s.eps), bound), -bound)
        m = beta1 * state["exp_avg"] + (1 - beta1) * d
        v = where(t > 1, beta2, 0.0) * v + where(t > 1, 1 - beta2, 1.0) * (g * g)
        return x - s.lr * m, {"exp_avg": m, "exp_avg_sq": v}


class AdEMAMixSettings(NamedTuple):
    """The settings of :class:`AdEMAMix`."""

    lr: Any
    betas: Any
    alpha: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class AdEMAMix(Optimizer):
    """AdamW with a second, much slower mean of gradients beside the first: ``x -= lr ((m̂ + α n) / (√v̂ + eps) + λ x)``.

    ``n = β₃ n + (1-β₃) g`` without correction. Pagliardini, Ablin & Grangier 2024. Their schedules, which raise α and β₃
    over the run, are left to the caller: both may be changed in the groups.
    """

    Settings = AdEMAMixSettings
    elementwise = True
    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "alpha": Log(0.5, 20.0)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(len(betas) == 3, who, "betas", "three numbers", betas)
        for k in range(3):
            check(
                0 <= one_element(betas[k], who, f"betas[{k}]") < 1, who, f"betas[{k}]", "a number in [0, 1)", betas[k]
            )
        check(alpha >= 0, who, "alpha", "a number >= 0", alpha)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "betas": tuple(betas), "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start all three means at 0."""
        return {name: np.zeros_like(param) for name in ("exp_avg", "exp_avg_slow", "exp_avg_sq")}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * ((m̂ + α n) / (√v̂ + eps) + λ x)``."""
        g = -g if s.maximize else g
        beta1, beta2, beta3 = s.betas
        m = plus(beta1 * state["exp_avg"], (1 - beta1) * g)
        n = plus(beta3 * state["exp_avg_slow"], (1 - beta3) * g)
        v = plus(beta2 * state["exp_avg_sq"], (1 - beta2) * (g * g))
        d = (m / (1 - beta1**t) + s.alpha * n) / (root(v) / root(1 - beta2**t) + s.eps)
        if is_on(s.weight_decay):
            d = d + s.weight_decay * x
        return x - s.lr * d, {"exp_avg": m, "exp_avg_slow": n, "exp_avg_sq": v}
