"""Wrappers that step elsewhere than the method alone would: Cautious, SAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError
from ._cases import applied, as_tensors, put
from ._scalars import check, largest, root, size, square, where
from .optimizer import Optimizer
from .wrappers import Wrapper

__all__ = ["SAM", "Cautious"]


class _OutsideGraph(Wrapper):
    """A wrapper that writes parameters itself, which no graph of the descent can contain."""

    def __init__(self, inner: Optimizer) -> None:
        super().__init__(inner)
        if inner.defaults.get("differentiable"):
            raise ArgumentError(f"{self._name()}: the wrapped optimizer must have differentiable=False, got True.")

    def _stepping(self) -> list[Any]:
        return [p for p in self._params() if p._grad is not None]


def _copies(params: list[Any]) -> list[Any]:
    return as_tensors(applied(lambda xs: [x * 1 for x in xs], params))


class Cautious(_OutsideGraph):
    """Leave out those elements of a step that go up the gradient: ``x -= u φ / max(mean(φ), 1e-3)``, ``φ = [u g > 0]``.

    Liang et al. 2024, with the floor of their program. ``u`` is all of what the method would have subtracted, a
    decoupled decay too; the mean is over one parameter.

    >>> import thalweg as tw
    >>> x = tw.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = tw.optim.Cautious(tw.optim.SGD([x], lr=0.25, momentum=0.9))
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([ 0.5000, -1.5000], requires_grad=True)
    """

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = self._loss(closure)
        self._told()
        params = self._stepping()
        uphill = {id(p) for group in self.param_groups if group.get("maximize") for p in group["params"]}
        signs = [-1.0 if id(p) in uphill else 1.0 for p in params]
        before = _copies(params)
        self.inner.step()

        def masked(before: list[Any], after: list[Any], grads: list[Any]) -> list[Any]:
            each = zip(before, after, grads, signs, strict=True)
            return [_masked(x, x - new, sign * g) for x, new, g, sign in each]

        put(params, applied(masked, before, params, [p._grad for p in params]))
        return loss


def _masked(x: Any, u: Any, g: Any) -> Any:
    agree = u * g > 0
    n = max(size(x), 1)
    scale = n / largest(square(where(agree, 1.0, 0.0)), 1e-3 * n)
    return x - where(agree, u * scale, 0.0)


class SAM(_OutsideGraph):
    """Step with the gradient found at ``x + ρ g/‖g‖``, the norm over all parameters; ``step(closure)`` calls it twice.

    Foret et al. 2021. The closure clears the gradients, computes the loss and its gradients, and returns the loss.

    >>> import thalweg as tw
    >>> x = tw.tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = tw.optim.SAM(tw.optim.SGD([x], lr=0.25), rho=1.0)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (x * x).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), x
    (25.0, tensor([1.2000, 1.6000], requires_grad=True))
    """

    def __init__(self, inner: Optimizer, rho: float = 0.05) -> None:
        check(rho > 0, self._name(), "rho", "a number > 0", rho)
        super().__init__(inner)
        self.rho = rho

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        if closure is None:
            raise ArgumentError(f"{self._name()}: a closure is required, got none; call step(closure).")
        loss = self._loss(closure)
        self._told()
        params = self._stepping()
        before = _copies(params)
        put(params, applied(self._climbed, params, [p._grad for p in params]))
        try:
            self._loss(closure)
        finally:
            put(params, before)
        self.inner.step()
        return loss

    def _climbed(self, params: list[Any], grads: list[Any]) -> list[Any]:
        if not grads:
            return []
        scale = self.rho / (root(sum([square(g) for g in grads[1:]], square(grads[0]))) + 1e-12)
        return [x + scale * g for x, g in zip(params, grads, strict=True)]
