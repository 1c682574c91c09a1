"""Optimizers around optimizers: what happens to gradients before a step and to parameters after it.

A wrapper has the groups and the state of what it wraps, so that schedulers, checkpoints and further wrappers take it
as they take any optimizer: ``EMA(ClipNorm(SGD(params, lr=0.1), 1.0))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import reduce
from operator import and_
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.inplace import write
from ..core.modes import current, enter
from ..core.tensor import TensorBase
from ..errors import AnomalyError, ArgumentError, DTypeError
from ._cases import Counter, applied, as_tensors, count, put, when
from ._scalars import check, is_finite, is_multiple, largest, plus, root, smallest, square, total, where
from .optimizer import Optimizer

__all__ = [
    "EMA", "SWA", "Accumulate", "ClipAdaptive", "ClipNorm", "ClipValue", "Constrain", "Lookahead", "SkipNonFinite", "Wrapper",
]  # fmt: skip


_PLAIN = (bool, int, float, str)


class Wrapper(Optimizer):
    """Base of the wrappers: delegates everything to `inner`, and steps it.

    ``kept`` names the attributes that belong in a checkpoint, which is ``{"inner": …, name: …}``. What a step decides on
    is a setting, which a compiler guards, or a :class:`Counter`, which is state.
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

    def _told(self) -> None:
        """Tell a recorder what the step depends on besides state."""
        recorder = current().recorder
        if recorder is not None:
            recorder.depends(self, f"a setting of {self._name()} changed", self._settled)

    def _settled(self) -> Any:
        """Return what a compiled step takes as constant."""
        settings = [v for k, v in self.__dict__.items() if k[0] != "_" and (isinstance(v, _PLAIN) or callable(v))]
        return (id(self.inner), *settings)

    @staticmethod
    def _loss(closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def _step_with(self, params: list[Any], grads: list[Any]) -> None:
        """Step what it wraps with other gradients, and leave the parameters' own as they were."""
        own = [p._grad for p in params]
        for param, grad in zip(params, grads, strict=True):
            param._grad = grad
        try:
            self.inner.step()
        finally:
            for param, grad in zip(params, own, strict=True):
                param._grad = grad

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

    def _counters(self) -> list[str]:
        return [name for name in self.kept if isinstance(getattr(type(self), name, None), Counter)]

    def __repr__(self) -> str:
        values = {k: v._data.item() if k in self._counters() else v for k, v in self.__dict__.items() if k[0] != "_"}
        shown = {k: v for k, v in values.items() if isinstance(v, _PLAIN)}
        own = ", ".join(f"{k}={v!r}" for k, v in shown.items())
        return f"{self._name()}({own}) of {self.inner!r}"


class _GradientWrapper(Wrapper):
    """Steps with other gradients, and leaves the parameters' own as they were."""

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        """Return the gradients to step with: pure, on arrays or on tensors."""
        raise NotImplementedError

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        self._told()
        self._stepped_with_changed()
        return loss

    def _stepped_with_changed(self) -> None:
        params = [p for p in self._params() if p._grad is not None]
        grads = [p._grad for p in params]
        if self.defaults.get("differentiable"):
            self._step_with(params, self._changed(grads, params))
        else:
            self._step_with(params, as_tensors(applied(self._changed, grads, params)))


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

    A norm that is not finite is an error (which a compiled step cannot notice), or with ``nonfinite="skip"`` skips the
    step and counts it in `skipped`. `last_norm` is the norm before clipping.
    """

    kept = ("skipped",)
    skipped = Counter()

    def __init__(self, inner: Optimizer, radius: float, *, nonfinite: str = "error") -> None:
        check(radius > 0, self._name(), "radius", "a number > 0", radius)
        check(nonfinite in ("error", "skip"), self._name(), "nonfinite", "'error' or 'skip'", repr(nonfinite))
        super().__init__(inner)
        self.radius = radius
        self.nonfinite = nonfinite
        self.skipped = 0
        self._last = TensorBase._wrap(np.full((), -1, self._params()[0]._data.dtype))

    @property
    def last_norm(self) -> float | None:
        """The norm of the latest gradients before clipping; None before the first step."""
        found: float = self._last._data.item()
        return None if found == -1 else found

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        self._told()
        grads = [p._grad for p in self._params() if p._grad is not None]
        length = applied(self._length, grads)
        put([self._last], length)
        finite = applied(lambda: is_finite(length))
        if self.nonfinite == "skip":
            when(finite, self._stepped_with_changed, lambda: count(self.skipped))
        elif finite is False:
            raise AnomalyError(
                f"{self._name()}: the norm of the gradients is {length}; find out why, or give nonfinite='skip'."
            )
        else:
            self._stepped_with_changed()
        return loss

    @staticmethod
    def _length(grads: list[Any]) -> Any:
        return root(sum([square(g) for g in grads[1:]], square(grads[0]))) if grads else 0.0

    def _changed(self, grads: list[Any], params: list[Any]) -> list[Any]:
        length = self._length(grads)
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
    skipped = Counter()

    def __init__(self, inner: Optimizer) -> None:
        super().__init__(inner)
        self.skipped = 0

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        self._told()
        good = applied(self._all_finite, [p._grad for p in self._params() if p._grad is not None])
        when(good, self.inner.step, lambda: count(self.skipped))
        return loss

    @staticmethod
    def _all_finite(grads: list[Any]) -> Any:
        found = [is_finite(g) for g in grads] or [True]
        return reduce(and_, found)


class Accumulate(Wrapper):
    """One step for every `every` calls, with the mean of their gradients: a large batch in several small ones.

    Call ``zero_grad()``, ``backward()`` and ``step()`` for each small batch as usual.
    """

    kept = ("calls", "sums")
    calls = Counter()

    def __init__(self, inner: Optimizer, every: int) -> None:
        check(every >= 1, self._name(), "every", "an integer >= 1", every)
        super().__init__(inner)
        self.every = every
        self.calls = 0
        self.sums: dict[int, Any] = {}

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        sums, grads = self._sums()
        self._told()
        put(sums, applied(lambda sums, grads: [plus(s, g) for s, g in zip(sums, grads, strict=True)], sums, grads))
        when(count(self.calls) >= self.every, self._step_with_means)
        return loss

    def _sums(self) -> tuple[list[Any], list[Any]]:
        """Return the sums, made where they are missing, and the gradients to be added."""
        grads = {k: p._grad for k, p in enumerate(self._params()) if p._grad is not None}
        for k in self._stale() if self.calls._data == 0 else ():  # frozen since the last step: it has no mean any more
            del self.sums[k]
        for k, grad in grads.items():
            if k not in self.sums:
                self.sums[k] = TensorBase._wrap(np.zeros(grad._data.shape, grad._data.dtype))
        return [self.sums[k] for k in grads], [*grads.values()]

    def _settled(self) -> Any:
        stale = self._stale()
        between = bool(stale) and self.calls._data == 0
        return (*super()._settled(), *((k, id(kept)) for k, kept in self.sums.items()), stale, between)

    def _stale(self) -> tuple[int, ...]:
        """Return which sums belong to parameters that were frozen."""
        params = self._params()
        return tuple(k for k in self.sums if not params[k].requires_grad)

    def _step_with_means(self) -> None:
        params = self._params()
        means = as_tensors(applied(lambda sums: [s / self.every for s in sums], [*self.sums.values()]))
        found = dict(zip(self.sums, means, strict=True))
        self._step_with(params, [found.get(k) for k in range(len(params))])
        self.calls = 0
        if current().recorder is None:
            self.sums = {}  # who has no gradient in the next calls gets none
            return
        put([*self.sums.values()], 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the state dict of what it wraps under ``inner``, and the calls since the last step with their sums."""
        found = super().state_dict()
        return found if found["calls"]._data.item() else {**found, "sums": {}}


class _AfterStep(Wrapper):
    """Steps, then changes something by what the parameters have become."""

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        self._told()
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
        own = [p.detach().clone() for p in params]
        self.copy_averages()
        try:
            yield
        finally:
            put(params, own)

    def copy_averages(self) -> None:
        """Put the averages into the parameters for good."""
        put(self._params(), self.averages)


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
    steps = Counter()
    taken = Counter()

    def __init__(self, inner: Optimizer, start: int = 0, every: int = 1) -> None:
        check(start >= 0, self._name(), "start", "an integer >= 0", start)
        check(every >= 1, self._name(), "every", "an integer >= 1", every)
        super().__init__(inner)
        self.start = start
        self.every = every
        self.steps = 0
        self.taken = 0

    def _after(self) -> None:
        n = count(self.steps)
        when((n > self.start) & is_multiple(n - self.start, self.every), self._take)

    def _take(self) -> None:
        taken = count(self.taken)
        found = applied(
            lambda values, means: [plus(a, (x - a) / taken) for x, a in zip(values, means, strict=True)],
            self._params(), self.averages,
        )  # fmt: skip
        put(self.averages, found)


class Lookahead(_AfterStep):
    """Slow weights that follow the fast ones: every `every` steps ``slow += α (x - slow); x = slow``. Zhang et al. 2019."""

    kept = ("slow", "steps")
    steps = Counter()

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
        when(is_multiple(count(self.steps), self.every), self._pull)

    def _pull(self) -> None:
        params = self._params()
        found = applied(
            lambda values, slow: [plus(s, self.alpha * (x - s)) for x, s in zip(values, slow, strict=True)],
            params,
            self.slow,
        )
        put(self.slow, found)
        put(params, found)
