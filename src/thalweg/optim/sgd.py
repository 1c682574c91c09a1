"""Gradient descent and its momenta."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ._scalars import check, descent_gradient, is_on, minus, one_element, plus
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, OrZero, Space

__all__ = ["SGD"]


class SGDSettings(NamedTuple):
    """The settings of :class:`SGD`."""

    lr: Any
    momentum: Any
    dampening: Any
    weight_decay: Any
    nesterov: bool
    maximize: bool
    velocity: str


class SGD(Optimizer):
    """Gradient descent ``x -= lr * g``, with momentum ``v = momentum * v + (1 - dampening) * g; x -= lr * v``.

    The first step takes ``v = g``. Nesterov's form (Sutskever et al. 2013, as PyTorch has it) moves by
    ``g + momentum * v``. With ``velocity="lr_inside"`` the learning rate enters the velocity,
    ``v = momentum * v + lr * g; x -= v`` (Polyak 1964): the same path while lr is constant, another under a
    schedule. Gradients may come from all data, one example or a batch: the method is the same.

    >>> import thalweg as tw
    >>> x = tw.tensor([-5.0, -2.0], dtype=tw.float64, requires_grad=True)
    >>> optimizer = tw.optim.SGD([x], lr=0.4, momentum=0.5)
    >>> for _ in range(20):
    ...     optimizer.zero_grad()
    ...     (0.1 * x[0] ** 2 + 2 * x[1] ** 2).backward()
    ...     optimizer.step()
    >>> [round(v, 6) for v in x.tolist()]
    [-0.062843, 0.001202]
    """

    Settings = SGDSettings
    elementwise = True
    scalars = ()

    space: ClassVar[Space] = {"lr": Log(1e-5, 10.0), "momentum": OrZero(OneMinus(0.01, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | TensorBase = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
        velocity: str = "lr_outside",
    ) -> None:
        who = self._name()
        check(not one_element(lr, who, "lr") < 0, who, "lr", "a number >= 0", lr)
        check(not momentum < 0, who, "momentum", "a number >= 0", momentum)
        check(
            not one_element(weight_decay, who, "weight_decay") < 0, who, "weight_decay", "a number >= 0", weight_decay
        )
        check(velocity in ("lr_outside", "lr_inside"), who, "velocity", "'lr_outside' or 'lr_inside'", repr(velocity))
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                f"{who}: nesterov needs momentum > 0 and dampening 0, got momentum {momentum} and dampening {dampening}."
            )
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
            "velocity": velocity,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start with no velocity: the first step makes it."""
        if not is_on(settings.momentum):
            return {}
        if not is_on(settings.dampening):  # from 0 the general rule gives v = g
            return {"momentum_buffer": np.zeros_like(param)}
        return {"momentum_buffer": None}

    @staticmethod
    def stable_curvature(state: State, settings: Any, t: float) -> tuple[Any, float] | None:
        """Return 1 and ``2 (1 + μ) / ((1 - dampening) lr)``; over ``1 + 2μ`` with Nesterov's form."""
        s = settings
        limit = 2 * (1 + s.momentum) / (s.lr * (1 - s.dampening)) if s.lr > 0 else math.inf
        return 1.0, limit / (1 + 2 * s.momentum) if s.nesterov else limit

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr * v``."""
        g = descent_gradient(x, g, s)
        if not is_on(s.momentum):
            return minus(x, s.lr * g), state
        v = state.get("momentum_buffer")
        if s.velocity == "lr_inside":
            g = s.lr * g
        if v is None:
            v = g
        else:
            v = plus(s.momentum * v, (1 - s.dampening) * g if is_on(s.dampening) else g)
        d = g + s.momentum * v if s.nesterov else v
        return (x - d if s.velocity == "lr_inside" else minus(x, s.lr * d)), {"momentum_buffer": v}
