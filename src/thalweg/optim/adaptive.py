"""A step length per coordinate from the squares of its gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ._scalars import check, descent_gradient, is_on, one_element, root
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, Space

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


def _divisor(square: Any, s: Any) -> Any:
    """Return what divides the gradient, an array: ``√s + eps`` or ``√(s + eps)``."""
    return np.sqrt(square + s.eps) if s.eps_inside_sqrt else np.sqrt(square) + s.eps


class AdagradSettings(NamedTuple):
    """The settings of :class:`Adagrad`."""

    lr: Any
    lr_decay: Any
    weight_decay: Any
    initial_accumulator_value: Any
    eps: Any
    maximize: bool
    eps_inside_sqrt: bool


class Adagrad(Optimizer):
    """Divide by the root of the sum of squares: ``s += g²; x -= lr / (1 + (t-1) lr_decay) * g / (√s + eps)``.

    Duchi, Hazan & Singer 2011. ``eps_inside_sqrt=True`` divides by ``√(s + eps)``.
    """

    Settings = AdagradSettings
    elementwise = True
    switches = ("weight_decay", "lr_decay")

    space: ClassVar[Space] = {"lr": Log(1e-4, 10.0)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        eps_inside_sqrt: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(lr_decay >= 0, who, "lr_decay", "a number >= 0", lr_decay)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        start = initial_accumulator_value
        check(start >= 0, who, "initial_accumulator_value", "a number >= 0", start)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": start, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused, "eps_inside_sqrt": eps_inside_sqrt,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:  # PyTorch's state dict has the sums before the first step
            for param in group["params"]:
                self._state_of(param, self._settings(group))

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start the sum of squares at `initial_accumulator_value`."""
        return {"sum": np.full_like(param, settings.initial_accumulator_value)}

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return ``√s + eps`` and ``2 (1 + (t-1) lr_decay) / lr``."""
        s = settings
        if s.lr <= 0 or t < 1:
            return None
        return _divisor(state["sum"], s), 2 * (1 + (t - 1) * s.lr_decay) / s.lr

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * g / (√s + eps)``."""
        g = descent_gradient(x, g, s)
        lr = s.lr / (1 + (t - 1) * s.lr_decay) if is_on(s.lr_decay) else s.lr
        sum_ = state["sum"] + g * g
        scale = root(sum_ + s.eps) if s.eps_inside_sqrt else root(sum_) + s.eps
        return x - lr * (g / scale), {"sum": sum_}


class RMSpropSettings(NamedTuple):
    """The settings of :class:`RMSprop`."""

    lr: Any
    alpha: Any
    eps: Any
    weight_decay: Any
    momentum: Any
    centered: bool
    maximize: bool
    eps_inside_sqrt: bool


class RMSprop(Optimizer):
    """Divide by the root of a running mean of squares: ``s = α s + (1-α) g²; x -= lr * g / (√s + eps)``.

    Tieleman & Hinton 2012 (lecture 6.5 of Hinton's course). `centered` takes the variance in place of the mean
    square (Graves 2013); `momentum` accumulates the scaled gradients. ``eps_inside_sqrt=True`` divides by ``√(s + eps)``.
    """

    Settings = RMSpropSettings
    elementwise = True

    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "alpha": OneMinus(1e-3, 0.3)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        *,
        eps_inside_sqrt: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(momentum >= 0, who, "momentum", "a number >= 0", momentum)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(alpha >= 0, who, "alpha", "a number >= 0", alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "eps_inside_sqrt": eps_inside_sqrt,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every average at 0."""
        state = {"square_avg": np.zeros_like(param)}
        if is_on(settings.momentum):
            state["momentum_buffer"] = np.zeros_like(param)
        if settings.centered:
            state["grad_avg"] = np.zeros_like(param)
        return state

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return ``√s + eps`` and ``2 (1 + momentum) / lr``."""
        s = settings
        if s.lr <= 0 or t < 1:
            return None
        square = state["square_avg"] - state["grad_avg"] ** 2 if s.centered else state["square_avg"]
        return _divisor(np.maximum(square, 0), s), 2 * (1 + s.momentum) / s.lr

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * g / (√s + eps)``."""
        g = descent_gradient(x, g, s)
        square = s.alpha * state["square_avg"] + (1 - s.alpha) * (g * g)
        new = {"square_avg": square}
        if s.centered:
            mean = s.alpha * state["grad_avg"] + (1 - s.alpha) * g
            new["grad_avg"] = mean
            square = square - mean * mean
        d = g / (root(square + s.eps) if s.eps_inside_sqrt else root(square) + s.eps)
        if is_on(s.momentum):
            d = s.momentum * state["momentum_buffer"] + d
            new["momentum_buffer"] = d
        return x - s.lr * d, new


class AdadeltaSettings(NamedTuple):
    """The settings of :class:`Adadelta`."""

    lr: Any
    rho: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class Adadelta(Optimizer):
    """Scale by the ratio of two running root mean squares, of the steps and of the gradients.

    ``s = ρ s + (1-ρ) g²; d = √(Δ+eps) / √(s+eps) · g; x -= lr · d; Δ = ρ Δ + (1-ρ) d²``. Zeiler 2012.
    """

    Settings = AdadeltaSettings
    elementwise = True

    space: ClassVar[Space] = {"lr": Log(1e-2, 100.0), "rho": OneMinus(0.01, 0.5)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(0 <= rho <= 1, who, "rho", "a number from 0 to 1", rho)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both averages at 0."""
        return {"square_avg": np.zeros_like(param), "acc_delta": np.zeros_like(param)}

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return ``√(s+eps) / √(Δ+eps)`` and ``2 / lr``."""
        s = settings
        if s.lr <= 0 or t < 1:
            return None
        return np.sqrt(state["square_avg"] + s.eps) / np.sqrt(state["acc_delta"] + s.eps), 2 / s.lr

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * d``."""
        g = descent_gradient(x, g, s)
        square = s.rho * state["square_avg"] + (1 - s.rho) * (g * g)
        d = root(state["acc_delta"] + s.eps) / root(square + s.eps) * g
        acc = s.rho * state["acc_delta"] + (1 - s.rho) * (d * d)
        return x - s.lr * d, {"square_avg": square, "acc_delta": acc}
