"""Methods that find their own learning rate from distances over all parameters: DoG, D-Adaptation, Prodigy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..autograd.modes import enable_grad
from ..core import dtype as _dtype
from ..core.modes import current
from ..core.tensor import TensorBase
from ..ops.reduce import converted
from ._cases import applied, put
from ._scalars import (
    absolute,
    as_number,
    check,
    descent_gradient,
    is_on,
    largest,
    one_element,
    root,
    smallest,
    square,
    total,
    where,
)
from .adam import check_betas
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, Pair, Space

__all__ = ["DAdaptAdam", "DoG", "Prodigy"]


class _Measured(Optimizer):
    """A method whose update reads numbers that are measured over all parameters before any of them steps.

    Every parameter keeps the same numbers, named in `numbers`, so that its state is complete. They are measured with the
    settings of the first group.
    """

    numbers: ClassVar[tuple[str, ...]]
    kept_arrays: ClassVar[tuple[str, ...]]  # the state that is measured, by parameter

    @staticmethod
    def measure(arrays: list[State], numbers: State, settings: Any) -> State:
        """Return the new numbers from each parameter's ``x``, ``g`` and `kept_arrays`. Pure."""
        raise NotImplementedError

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        params = [p for group in self.param_groups for p in group["params"] if p._grad is not None]
        if params:
            self._measured(params)
        super()._run()
        return loss

    def _measured(self, params: list[Any]) -> None:
        group, recorder = self.param_groups[0], current().recorder
        in_graph = group.get("differentiable") and recorder is None
        if recorder is not None:
            recorder.optimizer(self)
            settings = self._recorded_settings(group, recorder)
        else:
            settings = self._settings(group, (lambda value: value) if in_graph else as_number)
        fresh = [p for p in params if not self.state.get(p)]
        states = [self._state_of(p, self._settings(group)) for p in params]
        if in_graph:  # copies of a parameter with a graph stay in it
            for p in fresh:
                self.state[p].update({key: p * 1 for key in self.copies})
        known = next((s for p, s in zip(params, states, strict=True) if not any(p is f for f in fresh)), states[0])
        before = [known[key] for key in self.numbers]

        def rule(xs: list[Any], gs: list[Any], numbers: list[Any], *kept: list[Any]) -> list[Any]:
            named = [
                dict(zip(("x", "g", *self.kept_arrays), each, strict=True)) for each in zip(xs, gs, *kept, strict=True)
            ]
            exact = [_exactly(n) for n in numbers]
            found = self.measure(named, dict(zip(self.numbers, exact, strict=True)), settings)
            return [found[key] for key in self.numbers]

        kept = [[state[key] for state in states] for key in self.kept_arrays]
        grads = [p._grad for p in params]
        if in_graph:
            found = rule(params, grads, before, *kept)
        else:
            found = applied(rule, params, grads, before, *kept)
        for state in states:
            for key, value in zip(self.numbers, found, strict=True):
                if in_graph:
                    state[key] = value if isinstance(value, TensorBase) else self._as_state(key, value)
                else:
                    put([state[key]], [value])


def _exactly(number: Any) -> Any:
    """Return a number in double precision; a copy, since the numbers are written one by one after all were read."""
    on_tensors = isinstance(number, TensorBase)
    return converted(number * 1, _dtype.float64) if on_tensors else number.item()


def _sum(values: list[Any]) -> Any:
    return sum(values[1:], values[0])


class DoGSettings(NamedTuple):
    """The settings of :class:`DoG`."""

    lr: Any
    reps_rel: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class DoG(_Measured):
    """Gradient descent whose rate is distance over gradients: ``x -= lr r̄/√(G + eps) g``.

    ``r̄`` is the largest distance from the start so far, at least ``reps_rel (1 + ‖x₀‖)``, and ``G`` the sum of all squared
    gradients, both over all parameters. Ivgi, Hinder & Carmon 2023, who evaluate an average of the iterates.

    >>> import thalweg as tw
    >>> x = tw.tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = tw.optim.DoG([x], reps_rel=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([2.6400, 3.5200], requires_grad=True)
    """

    Settings = DoGSettings
    scalars = ("step", "rbar", "G")
    copies = ("x0",)
    numbers = ("rbar", "G")
    kept_arrays = ("x0",)
    space: ClassVar[Space] = {"lr": Log(0.3, 3.0)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1.0,
        reps_rel: float = 1e-6,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(reps_rel > 0, who, "reps_rel", "a number > 0", reps_rel)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "reps_rel": reps_rel, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Remember the start."""
        return {"x0": param, "rbar": 0.0, "G": 0.0}

    @staticmethod
    def measure(arrays: list[State], numbers: State, s: Any) -> State:
        """Return ``r̄ = max(r̄, ‖x - x₀‖)`` and ``G + ‖g‖²``."""
        least = s.reps_rel * (1 + root(_sum([square(a["x0"]) for a in arrays])))
        far = largest(_sum([square(a["x"] - a["x0"]) for a in arrays]), least * least)  # a root has no slope at 0
        squares = _sum([square(descent_gradient(a["x"], a["g"], s)) for a in arrays])
        return {"rbar": largest(numbers["rbar"], root(far)), "G": numbers["G"] + squares}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr r̄/√(G + eps) g``."""
        eta = s.lr * state["rbar"] / root(state["G"] + s.eps)
        return x - eta * descent_gradient(x, g, s), state


class DAdaptAdamSettings(NamedTuple):
    """The settings of :class:`DAdaptAdam`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    decouple: bool
    d0: Any
    growth_rate: Any
    maximize: bool


class DAdaptAdam(_Measured):
    """Adam whose rate is ``lr d``, with ``d`` a lower bound of the distance to the minimum, from the sums of gradients.

    With ``γ = lr d`` and ``b = √β₂``: ``r = b r + (1-b) γ ⟨g, s/(√v + eps)⟩``, ``s = b s + (1-b) γ g`` and
    ``d = max(d, r/((1-b)‖s‖₁))``. Defazio & Mishchenko 2023, in the form of their program.
    """

    Settings = DAdaptAdamSettings
    scalars = ("step", "d", "d_last", "numerator")
    numbers = ("d", "d_last", "numerator")
    kept_arrays = ("s", "exp_avg_sq")
    space: ClassVar[Space] = {"lr": Log(0.3, 3.0), "betas": Pair((0.9, 0.999), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decouple: bool = False,
        d0: float = 1e-6,
        growth_rate: float = float("inf"),
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check_betas(betas, who)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(d0 > 0, who, "d0", "a number > 0", d0)
        check(growth_rate >= 1, who, "growth_rate", "a number >= 1", growth_rate)
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "decouple": decouple, "d0": d0,
            "growth_rate": growth_rate, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every sum at 0 and the estimate at d0."""
        zeros = {key: np.zeros_like(param) for key in ("exp_avg", "exp_avg_sq", "s")}
        return {**zeros, "d": settings.d0, "d_last": settings.d0, "numerator": 0.0}

    @staticmethod
    def measure(arrays: list[State], numbers: State, s: Any) -> State:
        """Return the next estimate beside the one that this step takes."""
        d, b = numbers["d"], root(s.betas[1])
        rate = s.lr * d
        gs = [_gradient(a["x"], a["g"], s) for a in arrays]
        inner = [
            total(g * (a["s"] / (_settled_root(a["exp_avg_sq"]) + s.eps))) for a, g in zip(arrays, gs, strict=True)
        ]
        r = b * numbers["numerator"] + (1 - b) * rate * _sum(inner)
        sizes = [total(absolute(b * a["s"] + (1 - b) * rate * g)) for a, g in zip(arrays, gs, strict=True)]
        size = (1 - b) * _sum(sizes)
        some = size > 0
        hat = where(some, r / where(some, size, 1.0), d)
        return {"d": largest(d, smallest(hat, d * s.growth_rate)), "d_last": d, "numerator": r}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - m / (√v + eps)``, with the rate inside of ``m``."""
        rate, (beta1, beta2) = s.lr * state["d_last"], s.betas
        b, g = root(beta2), _gradient(x, g, s)
        m = beta1 * state["exp_avg"] + rate * (1 - beta1) * g
        v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (g * g)
        new = {**state, "exp_avg": m, "exp_avg_sq": v, "s": b * state["s"] + (1 - b) * rate * g}
        if s.decouple and is_on(s.weight_decay):
            x = x * (1 - rate * s.weight_decay)
        return x - m / (root(v) + s.eps), new


def _settled_root(v: Any) -> Any:
    """Return √v with a slope of 0 where v is 0, which is before the first step."""
    some = v > 0
    return where(some, root(where(some, v, 1.0)), 0.0)


class ProdigySettings(NamedTuple):
    """The settings of :class:`Prodigy`."""

    lr: Any
    betas: Any
    beta3: Any
    eps: Any
    weight_decay: Any
    decouple: bool
    safeguard_warmup: bool
    d0: Any
    d_coef: Any
    growth_rate: Any
    maximize: bool


class Prodigy(_Measured):
    """Adam whose rate is ``lr d``, with ``d`` a growing lower bound of the distance from the start to the minimum.

    ``r = β₃ r + lr d²/d₀ ⟨g, x₀ - x⟩`` over all parameters, ``s = β₃ s + lr d²/d₀ g``, and ``d = max(d, d_coef r/‖s‖₁)``.
    Mishchenko & Defazio 2023, in the form of their program; β₃ is ``√β₂`` unless given. The decay is decoupled unless
    ``decouple=False``; ``safeguard_warmup=True`` leaves lr out of ``s``.
    """

    Settings = ProdigySettings
    scalars = ("step", "d", "d_last", "d_max", "numerator")
    copies = ("x0",)
    numbers = ("d", "d_last", "d_max", "numerator")
    kept_arrays = ("x0", "s")
    space: ClassVar[Space] = {"lr": Log(0.3, 3.0), "betas": Pair((0.9, 0.999), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1.0,
        betas: tuple[float, float] = (0.9, 0.999),
        beta3: float | None = None,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decouple: bool = True,
        safeguard_warmup: bool = False,
        d0: float = 1e-6,
        d_coef: float = 1.0,
        growth_rate: float = float("inf"),
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check_betas(betas, who)
        check(beta3 is None or 0 <= beta3 < 1, who, "beta3", "a number in [0, 1), or None", beta3)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(d0 > 0, who, "d0", "a number > 0", d0)
        check(d_coef > 0, who, "d_coef", "a number > 0", d_coef)
        check(growth_rate >= 1, who, "growth_rate", "a number >= 1", growth_rate)
        defaults = {
            "lr": lr, "betas": tuple(betas), "beta3": beta3, "eps": eps, "weight_decay": weight_decay,
            "decouple": decouple, "safeguard_warmup": safeguard_warmup, "d0": d0, "d_coef": d_coef,
            "growth_rate": growth_rate, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every sum at 0 and the estimate at d0."""
        d0 = settings.d0
        zeros = {key: np.zeros_like(param) for key in ("exp_avg", "exp_avg_sq", "s")}
        return {"x0": param, **zeros, "d": d0, "d_last": d0, "d_max": d0, "numerator": 0.0}

    @staticmethod
    def measure(arrays: list[State], numbers: State, s: Any) -> State:
        """Return the next estimate beside the one that this step takes."""
        d = numbers["d"]
        beta3 = _beta3(s)
        gs = [_gradient(a["x"], a["g"], s) for a in arrays]
        r = _sum([total(g * (a["x0"] - a["x"])) for a, g in zip(arrays, gs, strict=True)])
        r = beta3 * numbers["numerator"] + s.lr * d * (d / s.d0) * r
        size = _sum([total(absolute(_gathered(a["s"], g, d, s))) for a, g in zip(arrays, gs, strict=True)])
        some = size > 0
        hat = where(some, s.d_coef * r / where(some, size, 1.0), d)
        top = largest(numbers["d_max"], hat)
        first = d <= s.d0 * (1 + 1e-6)  # it may have been rounded
        grown = smallest(top, where(first, largest(d, hat), d) * s.growth_rate)
        return {"d": grown, "d_last": d, "d_max": top, "numerator": r}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr d m / (√v + d⁺ eps)``, with d⁺ the next estimate."""
        d, (beta1, beta2) = state["d_last"], s.betas
        g = _gradient(x, g, s)
        m = beta1 * state["exp_avg"] + d * (1 - beta1) * g
        v = beta2 * state["exp_avg_sq"] + d * d * (1 - beta2) * (g * g)
        new = {**state, "exp_avg": m, "exp_avg_sq": v, "s": _gathered(state["s"], g, d, s)}
        if s.decouple and is_on(s.weight_decay):
            x = x * (1 - s.lr * d * s.weight_decay)
        return x - (s.lr * d) * (m / (root(v) + state["d"] * s.eps)), new


def _beta3(s: Any) -> Any:
    return root(s.betas[1]) if s.beta3 is None else s.beta3


def _gathered(total: Any, g: Any, d: Any, s: Any) -> Any:
    return _beta3(s) * total + (d / s.d0) * (d if s.safeguard_warmup else s.lr * d) * g


def _gradient(x: Any, g: Any, s: Any) -> Any:
    return (-g if s.maximize else g) if s.decouple else descent_gradient(x, g, s)
