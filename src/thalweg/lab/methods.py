"""The methods that can race: names, optimizers, what they are called with, and settings derived from a problem."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .. import optim
from ..problems.base import Problem
from .searches import LineSearchGD, LineSearchLBFGS, NewtonCG

__all__ = ["DEFAULT_CONTENDERS", "METHODS", "Method", "all_methods", "default_settings", "minibatch_size"]

HIDDEN = ("foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay")


@dataclass(frozen=True)
class Method:
    """A name for an optimizer with some of its settings chosen; `batch` is ``"full"``, ``"one"`` or ``"mini"``."""

    name: str
    optimizer: type[optim.Optimizer]
    summary: str
    fixed: dict[str, Any] = field(default_factory=dict)
    batch: str = "mini"
    tuned: tuple[str, ...] | None = None  # the settings that are tuned; None for all of the optimizer's space

    def defaults(self) -> dict[str, Any]:
        """Return the settings with their defaults, as the optimizer's own signature has them."""
        found: dict[str, Any] = {}
        for key, parameter in list(inspect.signature(self.optimizer).parameters.items())[1:]:
            if key not in HIDDEN and parameter.default is not inspect.Parameter.empty:
                found[key] = parameter.default
        return found | self.fixed


METHODS: tuple[Method, ...] = (
    Method("gd", optim.SGD, "gradient descent: all rows in each step", batch="full", tuned=("lr",)),
    Method("sgd", optim.SGD, "stochastic gradient descent: one row in each step", batch="one", tuned=("lr",)),
    Method("minibatch", optim.SGD, "minibatch stochastic gradient descent", tuned=("lr",)),
    Method("momentum", optim.SGD, "heavy-ball momentum (Polyak 1964)", {"momentum": 0.9}),
    Method("nesterov", optim.SGD, "Nesterov's momentum, PyTorch's form", {"momentum": 0.9, "nesterov": True}),
    Method("adagrad", optim.Adagrad, "scaled by the sum of squared gradients (Duchi et al. 2011)"),
    Method("rmsprop", optim.RMSprop, "scaled by a moving average of squared gradients", {"alpha": 0.9}),
    Method("adadelta", optim.Adadelta, "as RMSProp, without a learning rate (Zeiler 2012)"),
    Method("adam", optim.Adam, "both moments, bias-corrected (Kingma and Ba 2015)"),
    Method("yogi", optim.Yogi, "Adam whose second moment moves slowly (Zaheer et al. 2018)"),
)
OTHERS: tuple[Method, ...] = (
    Method("linesearch", LineSearchGD, "gradient descent with a line search (Armijo 1966)", batch="full"),
    Method("lbfgs", LineSearchLBFGS, "L-BFGS with a line search (Liu and Nocedal 1989)", batch="full"),
    Method("newton", NewtonCG, "Newton's method by conjugate gradients, with a line search", batch="full"),
    Method("muon", optim.MuonAdamW, "Muon for hidden matrices, AdamW elsewhere (Jordan et al. 2024)"),
)
DEFAULT_CONTENDERS = tuple(method.name for method in METHODS)
ON_FUNCTIONS = tuple(name for name in DEFAULT_CONTENDERS if name not in ("sgd", "minibatch"))


@cache
def all_methods() -> dict[str, Method]:
    """Return every method by name: those above, and each other optimizer of the library under its own name."""
    found = {method.name: method for method in (*METHODS, *OTHERS)}
    for name, value in vars(optim).items():
        if isinstance(value, type) and issubclass(value, optim.Optimizer) and value.Settings is not None:
            found.setdefault(name.lower(), Method(name.lower(), value, _summary(value)))
    return found


def _summary(optimizer: type[optim.Optimizer]) -> str:
    """Return the words of the docstring's first sentence, without formulas and marks."""
    first = (optimizer.__doc__ or "").split("\n")[0]
    words = re.split(r"[:;] ?``|[;.] |: ", re.sub(r":class:`(\w+)`", r"\1", first))[0].replace("`", "").strip(" .,:")
    return words if len(words) <= 58 else words[:57].rsplit(" ", 1)[0] + " …"


def minibatch_size(rows: int) -> int:
    """Return a usual batch size for so many rows."""
    return min(rows, 10 if rows <= 2000 else 64)


def _rounded(x: float) -> float:
    """Return `x` rounded down to two significant digits, so that a limit is never passed by rounding."""
    if not (x > 0 and math.isfinite(x)):
        return 0.01
    unit = 10.0 ** (math.floor(math.log10(x)) - 1)
    return float(f"{math.floor(x / unit + 1e-9) * unit:.2g}")


def default_settings(problem: Problem, method: Method, batch: int) -> dict[str, Any]:
    """Return settings that make sense for the problem; the method's other settings keep their defaults.

    With L the largest eigenvalue of the Hessian H: gradient descent takes 1/L, half the largest stable rate. With
    batches of b of n rows the steady error of a regression is near lr·tr(H)/2b of the smallest loss, so the rate is
    at most 0.05·b/tr(H): the noise then costs about 2.5%. (For classes the share is larger.) Momentum m multiplies
    a step by 1/(1-m) in the long run, and its rate is divided by that where there is noise, and by 3 where the
    curvature changes along the way. The adaptive methods move by about lr in each parameter and step, whatever the
    gradient: their rates are parts of the distance to go.
    """
    name = method.name
    L = problem.smoothness()
    scale = problem.scale()
    stochastic = 0 < batch < problem.rows
    steep = _rounded(1 / L) if L > 0 else 0.01
    if stochastic:
        trace = problem.curvature().trace or L
        steep = _rounded(min(1 / L, problem.noise_share * batch / trace)) if L > 0 else 0.01
    if method.optimizer is optim.SGD:
        m = float(method.fixed.get("momentum", 0.0))
        if stochastic:
            steep = _rounded(steep * (1 - m))
        elif m and not problem.curvature().exact:
            steep = _rounded(steep / 3)
        return {"lr": steep} | method.fixed
    chosen: dict[str, dict[str, Any]] = {
        "adagrad": {"lr": _rounded(0.1 * scale)},
        "rmsprop": {"lr": _rounded(0.01 * scale), "alpha": 0.9},
        "adadelta": {"lr": 1.0, "rho": 0.9, "eps": _rounded(1e-5 * scale**2)},
        "adam": {"lr": _rounded(0.01 * scale)},
        "adamw": {"lr": _rounded(0.01 * scale)},
        "amsgrad": {"lr": _rounded(0.01 * scale)},
        "yogi": {"lr": _rounded(0.01 * scale)},
        "adopt": {"lr": _rounded(0.01 * scale)},
        "ademamix": {"lr": _rounded(0.01 * scale)},
        "muon": {"lr": _rounded(0.01 * scale)},
        "mars": {"lr": _rounded(0.01 * scale)},
        "soap": {"lr": _rounded(0.01 * scale)},
        "shampoo": {"lr": _rounded(0.1 * scale)},
        "dog": {"lr": 1.0},
        "dadaptadam": {"lr": 1.0},
        "prodigy": {"lr": 1.0},
        "signum": {"lr": _rounded(0.003 * scale)},
    }
    return chosen.get(name, {}) | method.fixed
