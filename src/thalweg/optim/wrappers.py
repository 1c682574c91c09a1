"""Optimizers around optimizers: what happens to gradients before a step and to parameters after it.

A wrapper has the groups and the state of what it wraps, so that schedulers, checkpoints and further wrappers take it
as they take any optimizer: ``EMA(ClipNorm(SGD(params, lr=0.1), 1.0))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.inplace import bump, write
from ..core.modes import current, enter, restore, silence
from ..core.tensor import TensorBase
from ..errors import AnomalyError, ArgumentError, CaptureError, DTypeError
from ._scalars import check, largest, root, smallest, total, where
from .optimizer import Optimizer

__all__ = [
    "EMA", "SWA", "Accumulate", "ClipAdaptive", "ClipNorm", "ClipValue", "Constrain", "Lookahead", "SkipNonFinite", "Wrapper",
]  # fmt: skip


class Wrapper(Optimizer):
    """Base of the wrappers: delegates everything to `inner`, and steps it.

    ``kept`` names the attributes that belong in a checkpoint, which is ``{"inner": …, name: …}``.
    """

    kept: tuple[str, ...] = ()

    def __init__(self, inner: Optimizer) -> None:
        if not isinstance(inner, Optimizer):
            raise DTypeError(f"{self._name()}: an optimizer is required, got {type(inner).__name__}.")
        self.inner = inner
        self._make_hooks()

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups of what it wraps."""
        return self.inner.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        """The state of what it wraps."""
        return self.inner.state

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """The defaults of what it wraps."""
        return self.inner.defaults

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group to what it wraps."""
        self.inner.add_param_group(param_group)

    def _params(self) -> list[Any]:
        return [p for group in self.param_groups for p in group["params"]]

    def _not_captured(self) -> None:
        if current().recorder is not None:
            raise CaptureError(f"{self._name()}: what it does depends on values in Python, so it cannot be compiled.")

    @staticmethod
    def _loss(closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def state_dict(self) -> dict[str, Any]:
        """Return the state dict of what it wraps under ``inner``, and its own state beside it."""
        return {"inner": self.inner.state_dict(), **{name: deepcopy(getattr(self, name)) for name in self.kept}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`; everything is copied."""
        if "inner" not in state_dict:
            raise ArgumentError(
                f"{self._name()}: a state dict of this wrapper is required, got one of an optimizer; load that into .inner."
            )
        self.inner.load_state_dict(state_dict["inner"])
        for name in self.kept:
            setattr(self, name, deepcopy(state_dict[name]))

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.__dict__.items() if k[0] != "_" and isinstance(v, (bool, int, float, str))}
        own = ", ".join(f"{k}={v!r}" for k, v in shown.items())
        return f"{self._name()}({own}) of {self.inner!r}"


class _GradientWrapper(Wrapper):
    """Steps with other gradients, and leaves the parameters' own as they were."""

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        """Return the gradients to step with: pure, on arrays or on tensors."""
        raise NotImplementedError

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        params = [p for p in self._params() if p._grad is not None]
        own = [p._grad for p in params]
        for param, grad in zip(params, self._apply(own, params), strict=True):
            param._grad = grad
        try:
            self.inner.step()
        finally:
            for param, grad in zip(params, own, strict=True):
                param._grad = grad
        return loss

    def _apply(self, grads: list[Any], params: list[Any]) -> list[Any]:
        modes = current()
        if self.defaults.get("differentiable"):
            return self._changed(grads, params)
        if modes.recorder is not None:
            enter(modes.with_grad(False))
            try:
                return self._changed(grads, params)
            finally:
                enter(modes)
        token = silence()
        try:
            found = self._changed([g._data for g in grads], [p._data for p in params])
        finally:
            restore(token)
        return [TensorBase._wrap(np.asarray(g)) for g in found]


class ClipValue(_GradientWrapper):
    """Every entry of every gradient into ``[-limit, limit]``."""

    def __init__(self, inner: Optimizer, limit: float) -> None:
        check(limit > 0, self._name(), "limit", "a number > 0", limit)
        super().__init__(inner)
        self.limit = limit

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        return [smallest(largest(g, -self.limit), self.limit) for g in grads]


class ClipNorm(_GradientWrapper):
    """All gradients together onto the ball of a radius: ``g · min(1, radius/‖g‖)``, exactly.

    A norm that is not finite is an error, or with ``nonfinite="skip"`` skips the step and counts it in `skipped`. (In a
    compiled step neither can be checked.) `last_norm` is the norm before clipping.
    """

    kept = ("skipped",)

    def __init__(self, inner: Optimizer, radius: float, *, nonfinite: str = "error") -> None:
        check(radius > 0, self._name(), "radius", "a number > 0", radius)
        check(nonfinite in ("error", "skip"), self._name(), "nonfinite", "'error' or 'skip'", repr(nonfinite))
        super().__init__(inner)
        self.radius = radius
        self.nonfinite = nonfinite
        self.skipped = 0
        self.last_norm: float | None = None

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        if current().recorder is not None:
            return super()._run(closure)
        loss = self._loss(closure)
        grads = [p._grad._data for p in self._params() if p._grad is not None]
        self.last_norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in grads)))
        if not np.isfinite(self.last_norm):
            if self.nonfinite == "error":
                raise AnomalyError(
                    f"{self._name()}: the norm of the gradients is {self.last_norm}; find out why, or give nonfinite='skip'."
                )
            self.skipped += 1
            return loss
        super()._run()
        return loss

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        if not grads:
            return grads
        squares = total(grads[0] * grads[0])
        for g in grads[1:]:
            squares = squares + total(g * g)
        length = root(squares)
        inside = length <= self.radius
        scale = where(inside, 1.0, self.radius / where(inside, 1.0, length))
        return [g * scale for g in grads]


class ClipAdaptive(_GradientWrapper):
    """Each unit's gradient to at most `clipping` times the norm of the unit's weights. Brock et al. 2021.

    A unit is what a parameter of two or more dimensions holds at one index of its first; smaller parameters are one unit.
    Norms of weights count as at least `eps`.
    """

    def __init__(self, inner: Optimizer, clipping: float = 0.01, eps: float = 1e-3) -> None:
        check(clipping > 0, self._name(), "clipping", "a number > 0", clipping)
        check(eps > 0, self._name(), "eps", "a number > 0", eps)
        super().__init__(inner)
        self.clipping = clipping
        self.eps = eps

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        return [self._one(g, x) for g, x in zip(grads, params, strict=True)]

    def _one(self, g: Any, x: Any) -> Any:
        axes = tuple(range(1, g.ndim)) if g.ndim > 1 else tuple(range(g.ndim))
        g_norm, x_norm = root(total(g * g, axes)), largest(root(total(x * x, axes)), self.eps)
        limit = self.clipping * x_norm
        over = g_norm > limit
        return g * where(over, limit / where(over, g_norm, 1.0), 1.0)


class SkipNonFinite(Wrapper):
    """No step while any gradient holds a NaN or an infinity; `skipped` counts."""

    kept = ("skipped",)

    def __init__(self, inner: Optimizer) -> None:
        super().__init__(inner)
        self.skipped = 0

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        self._not_captured()
        loss = self._loss(closure)
        if all(np.isfinite(p._grad._data).all() for p in self._params() if p._grad is not None):
            self.inner.step()
        else:
            self.skipped += 1
        return loss


class Accumulate(Wrapper):
    """One step for every `every` calls, with the mean of their gradients: a large batch in several small ones.

    Call ``zero_grad()``, ``backward()`` and ``step()`` for each small batch as usual.
    """

    kept = ("calls", "sums")

    def __init__(self, inner: Optimizer, every: int) -> None:
        check(every >= 1, self._name(), "every", "an integer >= 1", every)
        super().__init__(inner)
        self.every = every
        self.calls = 0
        self.sums: dict[int, Any] = {}

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        self._not_captured()
        loss = self._loss(closure)
        params = self._params()
        for k, param in enumerate(params):
            if param._grad is not None:
                before = self.sums.get(k)
                total_ = param._grad._data.copy() if before is None else before._data + param._grad._data
                self.sums[k] = TensorBase._wrap(np.asarray(total_))
        self.calls += 1
        if self.calls < self.every:
            return loss
        own = [p._grad for p in params]
        for k, param in enumerate(params):
            found = self.sums.get(k)
            param._grad = None if found is None else TensorBase._wrap(np.asarray(found._data / self.every))
        try:
            self.inner.step()
        finally:
            for param, grad in zip(params, own, strict=True):
                param._grad = grad
        self.calls, self.sums = 0, {}
        return loss


class _AfterStep(Wrapper):
    """Steps, then changes something by what the parameters have become."""

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        modes = current()
        result = self.inner.step() if closure is None else self.inner.step(closure)
        enter(modes.with_grad(False))
        try:
            self._after()
        finally:
            enter(modes)
        return result

    def _after(self) -> None:
        raise NotImplementedError


class Constrain(_AfterStep):
    """Every parameter through `projection` after each step: projected descent.

    `projection` takes a tensor and returns one of the same shape, such as those of ``thalweg.constraints``.
    """

    def __init__(self, inner: Optimizer, projection: Callable[[Any], Any]) -> None:
        if not callable(projection):
            raise DTypeError(f"{self._name()}: projection must be a function, got {type(projection).__name__}.")
        super().__init__(inner)
        self.projection = projection

    def _after(self) -> None:
        for param in self._params():
            write(param, self.projection(param.detach()), "projection")


class _Averaged(_AfterStep):
    """Keeps averages of the parameters."""

    averages: list[Any]

    def __init__(self, inner: Optimizer) -> None:
        super().__init__(inner)
        self.averages = [TensorBase._wrap(p._data.copy()) for p in self._params()]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, and its averages."""
        super().add_param_group(param_group)
        self.averages += [TensorBase._wrap(p._data.copy()) for p in self._params()[len(self.averages) :]]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the parameters hold their averages; afterwards their own values again."""
        params = self._params()
        own = [p._data.copy() for p in params]
        self.copy_averages()
        try:
            yield
        finally:
            for param, value in zip(params, own, strict=True):
                np.copyto(param._data, value)
                bump(param)

    def copy_averages(self) -> None:
        """Put the averages into the parameters for good."""
        for param, average in zip(self._params(), self.averages, strict=True):
            np.copyto(param._data, average._data)
            bump(param)


class EMA(_Averaged):
    """An exponential average beside the parameters: ``a = decay · a + (1-decay) · x``."""

    kept = ("averages",)

    def __init__(self, inner: Optimizer, decay: float = 0.999) -> None:
        check(0 <= decay < 1, self._name(), "decay", "a number in [0, 1)", decay)
        super().__init__(inner)
        self.decay = decay

    def _after(self) -> None:
        for param, average in zip(self._params(), self.averages, strict=True):
            write(average, self.decay * average + (1 - self.decay) * param.detach(), "EMA")


class SWA(_Averaged):
    """The plain mean of the parameters after every `every`-th step from step `start` on. Izmailov et al. 2018."""

    kept = ("averages", "steps", "taken")

    def __init__(self, inner: Optimizer, start: int = 0, every: int = 1) -> None:
        check(start >= 0, self._name(), "start", "an integer >= 0", start)
        check(every >= 1, self._name(), "every", "an integer >= 1", every)
        super().__init__(inner)
        self.start = start
        self.every = every
        self.steps = 0
        self.taken = 0

    def _after(self) -> None:
        self._not_captured()
        self.steps += 1
        if self.steps <= self.start or (self.steps - self.start) % self.every:
            return
        self.taken += 1
        for param, average in zip(self._params(), self.averages, strict=True):
            average._data += (param._data - average._data) / self.taken


class Lookahead(_AfterStep):
    """Slow weights that follow the fast ones: every `every` steps ``slow += α (x - slow); x = slow``. Zhang et al. 2019."""

    kept = ("slow", "steps")

    def __init__(self, inner: Optimizer, alpha: float = 0.5, every: int = 5) -> None:
        check(0 < alpha <= 1, self._name(), "alpha", "a number in (0, 1]", alpha)
        check(every >= 1, self._name(), "every", "an integer >= 1", every)
        super().__init__(inner)
        self.alpha = alpha
        self.every = every
        self.steps = 0
        self.slow: list[Any] = [TensorBase._wrap(p._data.copy()) for p in self._params()]

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, and its slow weights."""
        super().add_param_group(param_group)
        self.slow += [TensorBase._wrap(p._data.copy()) for p in self._params()[len(self.slow) :]]

    def _after(self) -> None:
        self._not_captured()
        self.steps += 1
        if self.steps % self.every:
            return
        for k, param in enumerate(self._params()):
            slow = self.slow[k]._data
            slow += self.alpha * (param._data - slow)
            np.copyto(param._data, slow)
            bump(param)
