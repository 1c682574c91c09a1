"""Methods without a mean of squares: Rprop, averaged and Langevin gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ..errors import DTypeError
from ..ops.random import Generator, _normal_draw, default_generator, draw
from ._scalars import check, descent_gradient, largest, one_element, root, sign, smallest, where
from .optimizer import Optimizer, Params, State

__all__ = ["ASGD", "SGLD", "Rprop"]


class RpropSettings(NamedTuple):
    """The settings of :class:`Rprop`."""

    lr: Any
    etas: Any
    step_sizes: Any
    maximize: bool


class Rprop(Optimizer):
    """A step length per coordinate that grows while its gradient keeps its sign and shrinks when it turns.

    The sign of ``g · previous g`` multiplies the length by ``etas[1]`` (same sign) or ``etas[0]`` (opposite; that
    coordinate then rests for a step), within `step_sizes`; ``x -= length · sign(g)``. Riedmiller & Braun 1993. For
    gradients of all data: noise turns signs.
    """

    Settings = RpropSettings
    elementwise = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(0 < etas[0] < 1 < etas[1], who, "etas", "two numbers with 0 < etas[0] < 1 < etas[1]", etas)
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every length at lr."""
        return {"prev": np.zeros_like(param), "step_size": np.zeros_like(param) + settings.lr}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - length * sign(g)``."""
        g = -g if s.maximize else g
        slower, faster = s.etas
        turn = g * state["prev"]
        d = state["step_size"]
        d = where(turn > 0, d * faster, where(turn < 0, d * slower, d))
        d = smallest(largest(d, s.step_sizes[0]), s.step_sizes[1])
        g = where(turn < 0, 0 * g, g)
        return x - sign(g) * d, {"prev": g, "step_size": d}


class ASGDSettings(NamedTuple):
    """The settings of :class:`ASGD`."""

    lr: Any
    lambd: Any
    alpha: Any
    t0: Any
    weight_decay: Any
    maximize: bool


class ASGD(Optimizer):
    """Gradient descent with a decaying step and, from step `t0` on, the mean of the iterates in ``state["ax"]``.

    ``x = (1 - λ η) x - η g; ax += μ (x - ax); η = lr / (1 + λ lr t)^α; μ = 1 / max(1, t - t0)``. Polyak & Juditsky 1992.
    """

    Settings = ASGDSettings
    elementwise = True
    scalars = ("step", "eta", "mu")
    starts_from = ("lr",)

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start η at lr, and the mean with the first iterate."""
        return {"eta": settings.lr, "mu": 1.0, "ax": np.zeros_like(param)}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``(1 - λ η) x - η g``."""
        g = descent_gradient(x, g, s)
        eta, mu, ax = state["eta"], state["mu"], state["ax"]
        x = (1 - s.lambd * eta) * x - eta * g
        ax = ax + mu * (x - ax)
        eta = s.lr / (1 + s.lambd * s.lr * t) ** s.alpha
        return x, {"eta": eta, "mu": 1 / largest(1.0, t - s.t0), "ax": ax}


class SGLDSettings(NamedTuple):
    """The settings of :class:`SGLD`."""

    lr: Any
    temperature: Any
    weight_decay: Any
    maximize: bool


class SGLD(Optimizer):
    """Half a gradient step and noise of variance lr: ``x += -lr/2 · g + √(lr · temperature) · ξ``.

    With the gradient of ``-log p`` it samples from p as lr goes to 0. Welling & Teh 2011. The noise comes from a
    generator of the optimizer's own, seeded from `generator` (the default one if None), and is part of its state.
    """

    Settings = SGLDSettings
    elementwise = True
    scalars = ()
    draws = True

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1e-2,
        *,
        temperature: float = 1.0,
        weight_decay: float = 0,
        maximize: bool = False,
        differentiable: bool = False,
        generator: Generator | None = None,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(temperature >= 0, who, "temperature", "a number >= 0", temperature)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        if generator is not None and not isinstance(generator, Generator):
            raise DTypeError(f"{who}: generator must be a Generator or None, got {type(generator).__name__}.")
        defaults = {
            "lr": lr, "temperature": temperature, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)
        source = default_generator if generator is None else generator
        self.generator = Generator().manual_seed(int(source.numpy().integers(2**63)))

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr/2 * g + √(lr * temperature) * ξ``."""
        g = descent_gradient(x, g, s)
        return x - (s.lr / 2) * g + root(s.lr * s.temperature) * state["noise"], {}

    def _extra(self, param: Any, on_tensors: bool) -> State:
        shape, dtype = param._data.shape, param._data.dtype
        if on_tensors:
            return {"noise": draw(_normal_draw, (shape, dtype), self.generator)}
        return {"noise": _normal_draw.forward(shape, dtype, *self.generator.next_call())}

    def state_dict(self) -> dict[str, Any]:
        """Return state and groups, and the place of the generator."""
        return {**super().state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`, noise included."""
        super().load_state_dict(state_dict)
        if "generator" in state_dict:
            self.generator.set_state(state_dict["generator"])
