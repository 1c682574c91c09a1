"""A function with its exact derivatives, and how often each was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass, reaching
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ..ops.tensor import Tensor

__all__ = ["Objective", "start"]

Array = np.ndarray[Any, Any]


def start(x0: Any, who: str = "minimize") -> Array:
    """Return the starting point as a float64 array of its own."""
    data = x0.detach()._data if isinstance(x0, TensorBase) else np.asarray(x0)
    if data.dtype.kind not in "fiub" or data.size == 0:
        raise DTypeError(f"{who}: x0 must hold at least one number, got {data.dtype} of shape {data.shape}.")
    return np.array(data, np.float64)


class Objective:
    """``fun`` of one tensor, seen as a function of a flat float64 vector.

    Derivatives come from the engine unless `jac`, `hess` or `hessp` (functions of tensors or arrays) are given.
    What was computed at the last point is kept, so asking twice costs once. Counters: nfev, njev, nhev, nhpev.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        shape: tuple[int, ...],
        args: tuple[Any, ...] = (),
        jac: Callable[..., Any] | None = None,
        hess: Callable[..., Any] | None = None,
        hessp: Callable[..., Any] | None = None,
        who: str = "minimize",
    ) -> None:
        self.fun, self.shape, self.args, self.who = fun, shape, args, who
        self.jac, self.hess, self.hessp = jac, hess, hessp
        self.nfev = self.njev = self.nhev = self.nhpev = 0
        self._at: Array | None = None
        self._value: float | None = None
        self._grad: Array | None = None
        self._graph: tuple[Any, Any, Any] | None = None  # the point and its recorded gradient, for Hessian products

    def _move(self, x: Array) -> None:
        if self._at is None or not np.array_equal(self._at, x):
            self._at = x.copy()
            self._value = self._grad = self._graph = None

    def _tensor(self, x: Array) -> Any:
        return Tensor._wrap(x.reshape(self.shape).copy())

    def _scalar(self, t: Any) -> Any:
        out = self.fun(t, *self.args)
        if not isinstance(out, TensorBase):
            if isinstance(out, (int, float, np.generic)):
                return Tensor._wrap(np.asarray(float(out)))
            raise DTypeError(f"{self.who}: fun must return a tensor with one element, got {type(out).__name__}.")
        if out._data.size != 1:
            raise ShapeError(f"{self.who}: fun must return one element, got shape {tuple(out.shape)}.")
        return out

    def value(self, x: Array) -> float:
        """Return the value."""
        self._move(x)
        if self._value is None:
            self.nfev += 1
            self._value = float(self._scalar(self._tensor(x))._data.item())
        return self._value

    def grad(self, x: Array) -> Array:
        """Return the gradient (and keep the value, which comes with it)."""
        self._move(x)
        if self._grad is None:
            self.njev += 1
            if self.jac is not None:
                self._grad = _array(self.jac(self._tensor(x), *self.args)).reshape(-1)
            else:
                self._grad = self._walk(x, False)
        return self._grad

    def _walk(self, x: Array, create_graph: bool) -> Array:
        with enable_grad():
            t = self._tensor(x).requires_grad_()
            out = self._scalar(t)
            if self._value is None:
                self.nfev += 1
                self._value = float(out._data.item())
            if not out.requires_grad:
                return np.zeros(x.size)
            one = Tensor._wrap(np.ones(out._data.shape, out._data.dtype))
            (g,) = backward_pass([(out, one)], [t], create_graph, create_graph)
        if create_graph:
            self._graph = (t, g, reaching([g], [t]) if g is not None and g.requires_grad else None)
        return np.zeros(x.size) if g is None else np.array(g._data, np.float64).reshape(-1)

    def _gradient_graph(self, x: Array) -> tuple[Any, Any, Any] | None:
        self._move(x)
        if self._graph is None:
            g = self._walk(x, True)
            if self._grad is None:
                self.njev += 1
                self._grad = g
        return self._graph

    def product(self, x: Array, v: Array) -> Array:
        """Return Hessian times `v`."""
        self.nhpev += 1
        if self.hessp is not None:
            return _array(self.hessp(self._tensor(x), self._tensor(v), *self.args)).reshape(-1)
        return self._product(x, v)

    def _product(self, x: Array, v: Array) -> Array:
        graph = self._gradient_graph(x)
        if graph is None or graph[2] is None:
            return np.zeros(x.size)
        t, g, needed = graph
        (h,) = backward_pass([(g, self._tensor(v))], [t], False, True, needed)
        return np.zeros(x.size) if h is None else h._data.reshape(-1)

    def hessian(self, x: Array) -> Array:
        """Return the Hessian, row by row over one recorded gradient, symmetric to the last bit."""
        self.nhev += 1
        if self.hess is not None:
            return _array(self.hess(self._tensor(x), *self.args)).reshape(x.size, x.size)
        n = x.size
        rows = np.empty((n, n))
        unit = np.zeros(n)
        for k in range(n):
            unit[k] = 1.0
            rows[k] = self._product(x, unit)
            unit[k] = 0.0
        return (rows + rows.T) / 2

    def hessian_diagonal(self, x: Array) -> Array:
        """Return the diagonal of the Hessian."""
        self.nhev += 1
        unit, found = np.zeros(x.size), np.empty(x.size)
        for k in range(x.size):
            unit[k] = 1.0
            found[k] = self._product(x, unit)[k]
            unit[k] = 0.0
        return found


def _array(value: Any) -> Array:
    return np.asarray(value.detach()._data if isinstance(value, TensorBase) else value, np.float64)
