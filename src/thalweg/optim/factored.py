"""Methods that precondition every dimension of a parameter with a matrix: Shampoo, SOAP."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core.tensor import TensorBase
from ..ops.linalg_factors import qr
from ..ops.linalg_spectral import eigh
from ._scalars import check, descent_gradient, is_finite, is_multiple, is_on, largest, one_element, root, total, where
from .adam import check_betas
from .optimizer import Optimizer, Params, State
from .space import Log, OneMinus, Pair, Space

__all__ = ["SOAP", "Shampoo"]


def _eigen(a: Any) -> tuple[Any, Any]:
    """Return eigenvalues and eigenvectors, which are NaN where the matrix is not finite: a run may diverge."""
    fine = is_finite(a)
    if isinstance(a, TensorBase):
        w, v = eigh(where(fine, a, 0.0))
    else:
        w, v = np.linalg.eigh(a if fine else np.zeros_like(a))
    poison = where(fine, 1.0, math.nan)
    return w * poison, v * poison


def _orthonormal(a: Any) -> Any:
    return qr(a)[0] if isinstance(a, TensorBase) else np.linalg.qr(a)[0]


def _along(x: Any, k: int, change: Callable[[Any, int], Any]) -> Any:
    """Return `x` after ``change(matrix, k)`` of its unfolding along every dimension k, one after another."""
    shape = x.shape if k else (1,)
    for i in range(max(k, 1)):
        first, rest = shape[0], shape[1:]
        x = change(x.reshape((first, math.prod(rest))), i).T.reshape((*rest, first))
        shape = (*rest, first)
    return x if k else x.reshape(())


def _grams(g: Any) -> list[Any]:
    """Return the unfolding times its transpose, for every dimension."""
    found = []

    def keep(m: Any, i: int) -> Any:
        found.append(m @ m.T)
        return m

    _along(g, g.ndim, keep)
    return found


class ShampooSettings(NamedTuple):
    """The settings of :class:`Shampoo`."""

    lr: Any
    eps: Any
    weight_decay: Any
    maximize: bool


class Shampoo(Optimizer):
    """Divide by a matrix for each dimension: ``L += g gᵀ``, ``R += gᵀ g``, ``x -= lr L^-¼ g R^-¼``; both start at eps I.

    With k dimensions the power is ``-1/(2k)``. Gupta, Koren & Singer 2018, without momentum; a vector's is full-matrix
    Adagrad. The roots are computed anew in every step.

    >>> import thalweg as tw
    >>> x = tw.tensor([[3.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> optimizer = tw.optim.Shampoo([x], lr=0.5)
    >>> (x * x).sum().backward(); optimizer.step(); x.round(decimals=3)
    tensor([[2.5000, 0.0000],
            [0.0000, 0.5000]], grad_fn=<RoundBackward1>)
    """

    Settings = ShampooSettings
    space: ClassVar[Space] = {"lr": Log(1e-4, 10.0)}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 0.1,
        eps: float = 1e-4,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check(eps > 0, who, "eps", "a number > 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        defaults = {
            "lr": lr, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start every matrix at eps times the identity."""
        return {f"gram{i}": settings.eps * np.eye(n, dtype=param.dtype) for i, n in enumerate(param.shape or (1,))}

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return ``x - lr`` times the gradient with every dimension multiplied by its matrix's root."""
        g = descent_gradient(x, g, s)
        new = {f"gram{i}": state[f"gram{i}"] + gram for i, gram in enumerate(_grams(g))}
        power = -1 / (2 * max(g.ndim, 1))

        def rooted(m: Any, i: int) -> Any:
            w, v = _eigen(new[f"gram{i}"])
            return (v * largest(w, s.eps) ** power) @ (v.T @ m)  # no eigenvalue is below eps, but for rounding

        return x - s.lr * _along(g, g.ndim, rooted), new


class SOAPSettings(NamedTuple):
    """The settings of :class:`SOAP`."""

    lr: Any
    betas: Any
    eps: Any
    weight_decay: Any
    frequency: int
    max_dim: int
    maximize: bool


class SOAP(Optimizer):
    """Adam in the eigenbasis of Shampoo's matrices, which follows them by one power iteration every `frequency` steps.

    ``x -= lr Q (Qᵀm / (√v + eps))`` with ``v`` the mean of ``(Qᵀg)²``, for every dimension of at most `max_dim`; vectors
    have no basis. The first step only finds the bases. The decay is decoupled. Vyas et al. 2024.
    """

    Settings = SOAPSettings
    static = ("frequency", "max_dim")
    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "betas": Pair((0.95, 0.95), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float | TensorBase = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        frequency: int = 10,
        max_dim: int = 10000,
        *,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        who = self._name()
        check(one_element(lr, who, "lr") >= 0, who, "lr", "a number >= 0", lr)
        check_betas(betas, who)
        check(eps >= 0, who, "eps", "a number >= 0", eps)
        check(weight_decay >= 0, who, "weight_decay", "a number >= 0", weight_decay)
        check(frequency >= 1, who, "frequency", "an integer >= 1", frequency)
        check(max_dim >= 1, who, "max_dim", "an integer >= 1", max_dim)
        defaults = {
            "lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "frequency": frequency,
            "max_dim": max_dim, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def init(param: Any, settings: Any) -> State:
        """Start both moments, the matrices and the bases at 0."""
        state = {"exp_avg": np.zeros_like(param), "exp_avg_sq": np.zeros_like(param)}
        for i, n in enumerate(param.shape if param.ndim > 1 else ()):
            if n <= settings.max_dim:
                state[f"gram{i}"], state[f"basis{i}"] = (np.zeros((n, n), param.dtype) for _ in range(2))
        return state

    @staticmethod
    def update(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
        """Return the first step's bases, or Adam's step in the bases and what follows from it."""
        g = -g if s.maximize else g
        b = s.betas[1]
        grams = {f"gram{i}": m for i, m in enumerate(_grams(g)) if f"gram{i}" in state} if g.ndim > 1 else {}
        grams = {key: b * state[key] + (1 - b) * m for key, m in grams.items()}
        keys = list(state)

        def first() -> list[Any]:
            bases = {"basis" + key[4:]: _first_basis(m) for key, m in grams.items()}
            new = {**state, **grams, **bases}
            return [x * 1, *(new[key] for key in keys)]

        def later() -> list[Any]:
            moved, new = _adam_in_bases(x, g, state, s, t)
            new = {**new, **grams}
            new = {**new, **dict(zip(keys, _chosen(
                is_multiple(t - 1, s.frequency), lambda: [_turned(new, key, g.ndim) for key in keys],
                lambda: [new[key] for key in keys]), strict=True))}  # fmt: skip
            return [moved, *(new[key] for key in keys)]

        x, *values = _chosen(t == 1, first, later)
        return x, dict(zip(keys, values, strict=True))


def _chosen(condition: Any, work: Callable[[], list[Any]], otherwise: Callable[[], list[Any]]) -> list[Any]:
    """Return what one of two computes; in a captured step compute both and select."""
    if isinstance(condition, TensorBase):
        return [a if a is b else where(condition, a, b) for a, b in zip(work(), otherwise(), strict=True)]
    return work() if condition else otherwise()


def _in_bases(x: Any, state: State, back: bool) -> Any:
    def change(m: Any, i: int) -> Any:
        q = state.get(f"basis{i}")
        return m if q is None else (q if back else q.T) @ m

    return _along(x, x.ndim, change)


def _adam_in_bases(x: Any, g: Any, state: State, s: Any, t: Any) -> tuple[Any, State]:
    beta1, beta2 = s.betas
    n = largest(t - 1, 1.0)
    h = _in_bases(g, state, False)
    m = beta1 * state["exp_avg"] + (1 - beta1) * g
    v = beta2 * state["exp_avg_sq"] + (1 - beta2) * (h * h)
    d = _in_bases(_in_bases(m, state, False) / (root(v) + s.eps), state, True)
    x = x - s.lr * (root(1 - beta2**n) / (1 - beta1**n)) * d
    if is_on(s.weight_decay):
        x = x * (1 - s.lr * s.weight_decay)
    return x, {**state, "exp_avg": m, "exp_avg_sq": v}


def _descending(values: Any, like: Any) -> Any:
    """Return the permutation matrix that puts the columns of a matrix in the order of falling `values`."""
    n = values.shape[0]
    column, row = values.reshape((n, 1)), values.reshape((1, n))
    ones = like * 0 + 1
    at: Any = np.arange(n)
    before: Any = np.tril(np.ones((n, n)), -1)
    if isinstance(values, TensorBase):
        at, before = TensorBase._wrap(at), TensorBase._wrap(before)
    rank = total(where(row > column, ones, where(row == column, ones * before, 0.0)), (1,))
    return where(rank == at.reshape((1, n)), ones, 0.0)


def _first_basis(gram: Any) -> Any:
    w, v = _eigen(gram)
    return v @ _descending(w, gram)


def _turned(state: State, key: str, ndim: int) -> Any:
    """Return a piece of the state after the power iteration that turns the bases, which sorts them and `exp_avg_sq`."""
    if key.startswith("basis"):
        power = state["gram" + key[5:]] @ state[key]
        return _orthonormal(power @ _order(state, key[5:]))
    if key != "exp_avg_sq":
        return state[key]

    def change(m: Any, i: int) -> Any:
        return _order(state, str(i)).T @ m if f"basis{i}" in state else m

    return _along(state[key], ndim, change)


def _order(state: State, i: str) -> Any:
    gram, q = state["gram" + i], state["basis" + i]
    n = q.shape[0]
    return _descending(total(q * (gram @ q), (0,)).reshape((n,)), gram)
