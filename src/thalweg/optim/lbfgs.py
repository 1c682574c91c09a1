"""L-BFGS as PyTorch has it: several iterations per step, each calling the closure again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd.modes import enable_grad
from ..core.inplace import bump
from ..core.modes import current
from ..core.tensor import TensorBase
from ..errors import ArgumentError, GraphError
from ._scalars import as_number, check, one_element
from .optimizer import Optimizer, Params

__all__ = ["LBFGS"]


class _Point(NamedTuple):
    """A point on the search line: distance, value, gradient, slope along the line."""

    t: float
    f: float
    g: Any
    slope: float


class LBFGS(Optimizer):
    """Quasi-Newton descent from the last `history_size` pairs of steps and changes of gradient.

    ``step(closure)`` makes up to `max_iter` iterations and `max_eval` evaluations, with fixed length lr or, with
    ``line_search_fn="strong_wolfe"``, to a point that satisfies the strong Wolfe conditions (c₁ 1e-4, c₂ 0.9). One
    group of parameters. Liu & Nocedal 1989; the line search: Nocedal & Wright 2006, algorithms 3.5 and 3.6.
    """

    scalars = ()

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        defaults = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _group_added(self, group: dict[str, Any]) -> None:
        if len(self.param_groups) > 1:
            raise ArgumentError(f"{self._name()}: one group of parameters is required, got {len(self.param_groups)}.")

    def _flat_gradient(self) -> Any:
        parts = [
            np.zeros(p._data.size, p._data.dtype) if p._grad is None else p._grad._data.ravel()
            for p in self.param_groups[0]["params"]
        ]
        return np.concatenate(parts)

    def _move(self, by: Any) -> None:
        at = 0
        for param in self.param_groups[0]["params"]:
            data = param._data
            np.copyto(data, data + by[at : at + data.size].reshape(data.shape))
            bump(param)
            at += data.size

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is None:
            raise _NoClosure(f"{self._name()}: step needs a closure, which it calls again.")
        if current().recorder is not None:
            current().recorder.refuse(  # type: ignore[union-attr]
                f"{self._name()} searches by comparing values, so its step cannot be compiled",
                "Compile the closure and call step(closure) outside.",
            )
        group = self.param_groups[0]
        first = group["params"][0]
        state = self.state[first]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        evaluations = 0

        def evaluate() -> tuple[Any, float, Any]:
            nonlocal evaluations
            evaluations += 1
            state["func_evals"] += 1
            with enable_grad():
                loss = closure()
            return loss, float(as_number(loss)), self._flat_gradient()

        original, f, g = evaluate()
        if np.abs(g).max(initial=0.0) <= group["tolerance_grad"]:
            return original
        memory = _Memory(state, group["history_size"])
        lr = as_number(group["lr"])
        for k in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = memory.direction(g, state["n_iter"] == 1)
            f_before = f
            size = float(np.abs(g).sum())
            t = min(1.0, 1.0 / size) * lr if state["n_iter"] == 1 and size > 0 else lr
            memory.keep(g, f, d, t)
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                break
            last = k == group["max_iter"]
            if group["line_search_fn"] is not None:
                if group["line_search_fn"] != "strong_wolfe":
                    raise GraphError(
                        f"{self._name()}: line_search_fn must be 'strong_wolfe' or None, got {group['line_search_fn']!r}."
                    )
                start = [p._data.copy() for p in group["params"]]

                def probe(t: float, d: Any = d, start: list[Any] = start) -> _Point:
                    self._move(t * d)
                    _, f, g = evaluate()
                    for param, data in zip(group["params"], start, strict=True):
                        np.copyto(param._data, data)
                        bump(param)
                    return _Point(t, f, g, float(g @ d))

                budget = group["max_eval"] - evaluations
                found = _strong_wolfe(probe, _Point(0.0, f, g, slope), t, float(np.abs(d).max()), budget)
                f, g, t = found.f, found.g, found.t
                state["t"] = t
                self._move(t * d)
            else:
                self._move(t * d)
                if not last:
                    _, f, g = evaluate()
            small = np.abs(g).max(initial=0.0) <= group["tolerance_grad"]
            still = np.abs(d * t).max() <= group["tolerance_change"] or abs(f - f_before) < group["tolerance_change"]
            if last or evaluations >= group["max_eval"] or small or still:
                break
        return original


class _NoClosure(ArgumentError, TypeError):
    """A step without its closure: PyTorch raises TypeError."""


class _Memory:
    """The pairs that stand for the inverse Hessian, kept in the optimizer's state under PyTorch's keys."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        self.state = state
        self.size = size

    def direction(self, g: Any, first: bool) -> Any:
        """Return the next direction, by the two loops of Nocedal 1980."""
        state = self.state
        if first:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        y = g - state["prev_flat_grad"]._data
        s = state["d"]._data * as_number(state["t"])
        ys = float(y @ s)
        ys_, ss, rho = state["old_dirs"], state["old_stps"], state["ro"]
        if ys > 1e-10:
            if len(ys_) == self.size:
                del ys_[0], ss[0], rho[0]
            ys_.append(TensorBase._wrap(y))
            ss.append(TensorBase._wrap(s))
            rho.append(TensorBase._wrap(np.array(1.0 / ys, g.dtype)))
            state["H_diag"] = TensorBase._wrap(np.array(ys / float(y @ y), g.dtype))
        alphas = [0.0] * len(ys_)
        q = -g
        for i in reversed(range(len(ys_))):
            alphas[i] = (ss[i]._data @ q) * as_number(rho[i])
            q = q - alphas[i] * ys_[i]._data
        r = q * as_number(state["H_diag"])
        for i in range(len(ys_)):
            beta = (ys_[i]._data @ r) * as_number(rho[i])
            r = r + (alphas[i] - beta) * ss[i]._data
        return r

    def keep(self, g: Any, f: float, d: Any, t: float) -> None:
        """Remember where this iteration started, for the next pair."""
        wrap = TensorBase._wrap
        self.state.update(d=wrap(np.array(d)), t=t, prev_flat_grad=wrap(np.array(g)), prev_loss=f)


def _cubic_minimum(a: _Point, b: _Point, low: float, high: float) -> float:
    """Return the minimum, within bounds, of the cubic through two values and slopes; the middle if it has none."""
    d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t) if a.t != b.t else math.nan
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    width = b.slope - a.slope + 2 * d2
    at = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / width) if width else math.inf
    return min(max(at, low), high)


def _strong_wolfe(
    probe: Callable[[float], _Point], start: _Point, t: float, longest: float, budget: int, tolerance: float = 1e-9
) -> _Point:
    """Return a point with sufficient decrease and a flat enough slope, or the best found within the budget."""
    c1, c2 = 1e-4, 0.9

    def too_high(p: _Point) -> bool:
        return p.f > start.f + c1 * p.t * start.slope

    def flat(p: _Point) -> bool:
        return abs(p.slope) <= -c2 * start.slope

    previous, point = start, probe(t)
    tries = 0
    bracket: list[_Point] | None = None
    while tries < budget:  # go further until a minimum lies between two points
        if too_high(point) or (tries > 1 and point.f >= previous.f):
            bracket = [previous, point]
            break
        if flat(point):
            return point
        if point.slope >= 0:
            bracket = [previous, point]
            break
        t = _cubic_minimum(previous, point, point.t + 0.01 * (point.t - previous.t), point.t * 10)
        previous, point = point, probe(t)
        tries += 1
    if bracket is None:
        bracket = [start, point]
    low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
    stuck = False
    while tries < budget:  # narrow the bracket
        a, b = bracket
        if abs(b.t - a.t) * longest < tolerance:
            break
        left, right = min(a.t, b.t), max(a.t, b.t)
        t = _cubic_minimum(a, b, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:  # twice near an end: keep away from it
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        point = probe(t)
        tries += 1
        if too_high(point) or point.f >= bracket[low].f:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].f <= bracket[1].f else (1, 0)
        else:
            done = flat(point)
            if not done and point.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
            if done:
                break
    return bracket[low]
