"""Curvature: the Hessian's eigenvalues, all of them or the ends by Lanczos, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.modes import enable_grad
from ..core.engine import backward_pass, reaching
from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ..minimize.objective import Objective
from ..minimize.objective import start as start_of
from ..ops.tensor import Tensor

__all__ = [
    "GershgorinDiscs",
    "LanczosResult",
    "condition_number",
    "diagonal_preconditioning",
    "gershgorin",
    "hessian",
    "hessian_product",
    "lanczos",
    "spectrum",
]

Array = np.ndarray[Any, Any]
Fun = Callable[[Any], Any]


def hessian(fun: Fun, x: Any) -> Array:
    """Return the Hessian of `fun` at `x`, as a matrix over the flattened point, symmetric to the last bit.

    >>> hessian(lambda x: 0.1 * x[0] ** 2 + 2 * x[1] ** 2, [1.0, 1.0])
    array([[0.2, 0. ],
           [0. , 4. ]])
    """
    point = start_of(x, "hessian")
    return Objective(fun, point.shape, who="hessian").hessian(point.reshape(-1))


def spectrum(fun: Fun, x: Any) -> Array:
    """Return the eigenvalues of the Hessian of `fun` at `x`, ascending."""
    return np.linalg.eigvalsh(hessian(fun, x))


def condition_number(eigenvalues: Any, *, rtol: float = 1e-12) -> float:
    """Return κ = L/μ of a positive semidefinite spectrum, μ its smallest eigenvalue above ``rtol·L``; inf if indefinite.

    >>> round(condition_number([0.2, 4.0]), 9)
    20.0
    """
    values = np.sort(np.asarray(eigenvalues, np.float64).reshape(-1))
    largest = values[-1]
    if not largest > 0 or values[0] < -rtol * largest:
        return float("inf")
    return float(largest / values[values > rtol * largest][0])


def hessian_product(loss: Callable[[], Any], params: Sequence[Any]) -> tuple[Callable[[Array], Array], int]:
    """Return ``v ↦ H v`` for a loss over several parameters, and their number of elements; the loss runs once.

    The vector runs over the parameters one after the other, each flattened.
    """
    wanted = [p for p in params if p.requires_grad]
    if not wanted:
        raise ArgumentError("hessian_product: parameters that require grad are required, got none.")
    with enable_grad():
        value = loss()
        one = Tensor._wrap(np.ones(value._data.shape, value._data.dtype))
        grads = backward_pass([(value, one)], wanted, True, True)
    live = [(g, p) for g, p in zip(grads, wanted, strict=True) if g is not None and g.requires_grad]
    needed = reaching([g for g, _ in live], wanted)
    sizes = [p._data.size for p in wanted]
    ends = np.cumsum(sizes)
    places = {id(p): slice(end - size, end) for p, end, size in zip(wanted, ends, sizes, strict=True)}

    def product(v: Array) -> Array:
        roots = [(g, Tensor._wrap(np.asarray(v[places[id(p)]].reshape(p._data.shape), p._data.dtype))) for g, p in live]
        found = backward_pass(roots, wanted, False, True, needed) if roots else [None] * len(wanted)
        return np.concatenate(
            [
                np.zeros(n) if h is None else h._data.reshape(-1).astype(np.float64)
                for h, n in zip(found, sizes, strict=True)
            ]
        )

    return product, int(ends[-1])


@dataclass(frozen=True)
class LanczosResult:
    """Ritz values, ascending, their residual bounds, and how many products were used."""

    values: Array
    residuals: Array
    products: int
    vector: Array  # of the largest Ritz value: where a run can begin the next time

    @property
    def smallest(self) -> float:
        """The smallest Ritz value: an upper bound of the smallest eigenvalue."""
        return float(self.values[0])

    @property
    def largest(self) -> float:
        """The largest Ritz value: a lower bound of the largest eigenvalue."""
        return float(self.values[-1])


def lanczos(
    product: Callable[[Array], Array],
    n: int,
    *,
    steps: int = 100,
    tol: float = 1e-10,
    seed: int = 0,
    end: str = "both",
    start: Any = None,
) -> LanczosResult:
    """Find the ends of the spectrum of a symmetric operator by Lanczos with full reorthogonalisation.

    Stops early once the Ritz values at both ends (or at the one that `end` names, ``"largest"`` or ``"smallest"``)
    have residuals below `tol` times the largest in size. Each residual bounds the distance to a true eigenvalue.
    Memory: `steps` vectors of length `n`. It begins at `start`, by default a random vector from `seed`; near an
    eigenvector of a similar operator a few steps are enough.

    >>> a = np.diag([1.0, 2.0, 10.0])
    >>> r = lanczos(lambda v: a @ v, 3)
    >>> round(r.smallest, 9), round(r.largest, 9)
    (1.0, 10.0)
    """
    if n < 1 or steps < 1:
        raise ArgumentError(f"lanczos: n and steps must be >= 1, got {n} and {steps}.")
    which = {"both": [0, -1], "largest": [-1], "smallest": [0]}.get(end)
    if which is None:
        raise ArgumentError(f"lanczos: end must be 'both', 'largest' or 'smallest', got {end!r}.")
    q = np.random.default_rng(seed).normal(size=n) if start is None else np.asarray(start, np.float64).reshape(-1)
    if q.size != n or not np.linalg.norm(q) > 0:
        raise ArgumentError(f"lanczos: start must be a vector of length {n} that is not 0, got shape {q.shape}.")
    basis = [q / np.linalg.norm(q)]
    diagonal: list[float] = []
    beside: list[float] = []
    values, bound, vectors = np.zeros(1), np.zeros(1), np.ones((1, 1))
    for k in range(min(steps, n)):
        w = np.asarray(product(basis[k]), np.float64)
        diagonal.append(float(basis[k] @ w))
        q_matrix = np.array(basis)
        for _ in range(2):  # twice is enough
            w = w - q_matrix.T @ (q_matrix @ w)
        size = float(np.linalg.norm(w))
        values, bound, vectors = _ritz(diagonal, beside, size)
        scale = float(np.abs(values).max())
        if size <= 1e-13 * max(scale, 1e-300) or (k > 2 and bound[which].max() <= tol * scale):
            break
        beside.append(size)
        basis.append(w / size)
    return LanczosResult(values, bound, len(diagonal), vectors[:, -1] @ np.array(basis[: len(vectors)]))


def _ritz(diagonal: list[float], beside: list[float], size: float) -> tuple[Array, Array, Array]:
    t = np.diag(diagonal)
    k = len(diagonal) - 1
    if k:
        t += np.diag(beside[:k], 1) + np.diag(beside[:k], -1)
    values, vectors = np.linalg.eigh(t)
    return values, np.abs(size * vectors[-1]), vectors


@dataclass(frozen=True)
class GershgorinDiscs:
    """Centres and radii of the discs, and the interval that they say holds every eigenvalue."""

    centers: Array
    radii: Array
    low: float
    high: float


def gershgorin(matrix: Any) -> GershgorinDiscs:
    """Return Gershgorin's discs of a square matrix: each eigenvalue lies in one of them.

    >>> d = gershgorin([[2.0, 0.1], [0.1, 3.0]])
    >>> d.low, d.high
    (1.9, 3.1)
    """
    m = np.asarray(matrix._data if isinstance(matrix, TensorBase) else matrix, np.float64)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ArgumentError(f"gershgorin: a square matrix is required, got shape {m.shape}.")
    centers = np.diag(m).copy()
    radii = np.abs(m).sum(axis=1) - np.abs(centers)
    return GershgorinDiscs(centers, radii, float((centers - radii).min()), float((centers + radii).max()))


def diagonal_preconditioning(matrix: Any) -> dict[str, float]:
    """Return κ of a positive definite Hessian before and after scaling by its diagonal, ``D^-½ H D^-½``.

    >>> diagonal_preconditioning([[0.2, 0.0], [0.0, 4.0]])
    {'before': 20.0, 'after': 1.0}
    """
    m = np.asarray(matrix._data if isinstance(matrix, TensorBase) else matrix, np.float64)
    d = np.diag(m)
    before = condition_number(np.linalg.eigvalsh(m))
    if not (d > 0).all():
        return {"before": round(before, 12), "after": float("inf")}
    scale = 1 / np.sqrt(d)
    after = condition_number(np.linalg.eigvalsh(m * np.outer(scale, scale)))
    return {"before": round(before, 12), "after": round(after, 12)}
