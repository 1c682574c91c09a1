"""Descent that needs no schedule, because it averages its iterates as it goes (Defazio et al. 2024)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.inplace import bump
from ..core.tensor import TensorBase
from ..errors import GraphError
from ._scalars import as_number, check, is_on, largest, one_element, root, smallest
from .adam import check_betas
from .optimizer import Optimizer, Params, State

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeSGD"]


class _ScheduleFree(Optimizer):
    """The parameters hold y, where gradients are taken; the state holds z, which descends, and x, its mean."""

    scalars = ("step", "weight_sum")
    copies = ("z", "x")
    training = True

    def _run(self, closure: Any = None) -> Any:
        if not self.training:
            raise GraphError(f"{self._name()}: the parameters hold the mean; call train() before a step.")
        return super()._run(closure)

    def eval(self) -> None:
        """Put the mean x into the parameters: the result of the descent, to be evaluated or kept."""
        if self.training:
            self._put(lambda state, beta: state["x"]._data)
        self.training = False

    def train(self) -> None:
        """Put y back into the parameters, to go on."""
        if not self.training:
            self._put(lambda state, beta: (1 - beta) * state["z"]._data + beta * state["x"]._data)
        self.training = True

    def _put(self, value: Any) -> None:
        for group in self.param_groups:
            beta = as_number(group["betas"][0] if "betas" in group else group["momentum"])
            for param in group["params"]:
                if self.state.get(param):
                    np.copyto(param._data, value(self.state[param], beta))
                    bump(param)

    def state_dict(self) -> dict[str, Any]:
        """Return state and groups, and whether the parameters hold y."""
        return {**super().state_dict(), "training": self.training}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`; the parameters must be loaded as they were when it was taken."""
        super().load_state_dict(state_dict)
        self.training = bool(state_dict.get("training", True))


def _mean(state: State, z: Any, lr: Any, beta: Any) -> tuple[Any, State]:
    """Move the mean towards z by the share of lr² in its sum, and return the next y with the new state."""
    weight_sum = state["weight_sum"] + lr * lr
    c = lr * lr / largest(weight_sum, 1e-300)  # no share while lr is 0
    x = (1 - c) * state["x"] + c * z
    return (1 - beta) * z + beta * x, {"z": z, "x": x, "weight_sum": weight_sum}


def _warmed(lr: Any, warmup_steps: Any, t: Any) -> Any:
    return lr * smallest(1.0, t / warmup_steps) if is_on(warmup_steps) else lr


class ScheduleFreeSGDSettings(NamedTuple):
    """The settings of :class:`ScheduleFreeSGD`."""

    lr: Any
    momentum: Any
    weight_decay: Any
    warmup_steps: Any
    maximize: bool


class ScheduleFreeSGD(_ScheduleFree):
    """Gradient descent on z, with gradients taken between z and its mean x: ``y = (1-β) z + β x``.

    ``z -= lr · g(y); x = (1-c) x + c z`` with ``c = lr_t² / Σ lr_i²``; a linear warm-up over `warmup_steps`. Call
    :meth:`eval` before evaluating and :meth:`train` before going on. Defazio et al. 2024.
    """

    Settings = ScheduleFreeSGDSettings
    elementwise = True
    switches = ("weight_decay", "warmup_steps")

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0,
        *,
        warmup_steps: int = 0,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") > 0, who, "lr", "a number > 0", lr)
        check(0 <= momentum < 1, who, "momentum", "a number in [0, 1)", momentum)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(warmup_steps >= 0, who, "warmup_steps", "an integer >= 0", warmup_steps)
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "warmup_steps": warmup_steps,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start z and x where the parameter is."""
        return {"z": param.copy(), "x": param.copy(), "weight_sum": 0.0}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return the next y."""
        y = x
        g = -g if s.maximize else g
        if is_on(s.weight_decay):
            g = g + s.weight_decay * y
        lr = _warmed(s.lr, s.warmup_steps, t)
        return _mean(state, state["z"] - lr * g, lr, s.momentum)


class ScheduleFreeAdamWSettings(NamedTuple):
    """The settings of :class:`ScheduleFreeAdamW`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    warmup_steps: Any
    maximize: bool


class ScheduleFreeAdamW(_ScheduleFree):
    """:class:`ScheduleFreeSGD` whose z descends by ``g / (√v̂ + eps) + weight_decay · y``. Defazio et al. 2024."""

    Settings = ScheduleFreeAdamWSettings
    elementwise = True
    switches = ("weight_decay", "warmup_steps")

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        *,
        warmup_steps: int = 0,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") > 0, who, "lr", "a number > 0", lr)
        check_betas(betas, who)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(warmup_steps >= 0, who, "warmup_steps", "an integer >= 0", warmup_steps)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start z and x where the parameter is."""
        return {"exp_avg_sq": np.zeros_like(param), **ScheduleFreeSGD.init(param, settings)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return the next y."""
        y = x
        g = -g if s.maximize else g
        beta1, beta2 = s.betas
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (g * g)
        d = g / (root(v / (1 - beta2**t)) + s.eps)
        if is_on(s.weight_decay):
            d = d + s.weight_decay * y
        lr = _warmed(s.lr, s.warmup_steps, t)
        y, new = _mean(state, state["z"] - lr * d, lr, beta1)
        return y, {"exp_avg_sq": v, **new}
