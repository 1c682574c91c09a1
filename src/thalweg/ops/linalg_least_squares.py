"""What works for matrices of any shape and rank: pseudo-inverse, least squares, rank, condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor
from ._linalg import lapack, matrices, same_type, square
from .linalg_factors import ArgumentFault
from .linalg_norms import matrix_norm
from .linalg_solve import _inv
from .linalg_spectral import svdvals
from .products import matmul
from .return_types import show

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["cond", "lstsq", "matrix_rank", "pinv", "pinverse"]


def _limit(s: Any, shape: Any, atol: Any, rtol: Any) -> Any:
    """Return the bound below which singular values (descending) count as zero, one per matrix."""
    absolute = None if atol is None else _number(atol, s.dtype)
    if rtol is not None:
        relative = _number(rtol, s.dtype)
    else:
        default = np.asarray(np.finfo(s.dtype).eps * max(shape[-2:]), s.dtype)
        relative = default if absolute is None else np.where(absolute > 0, 0, default).astype(s.dtype)
    top = s[..., 0] if s.shape[-1] else np.zeros(s.shape[:-1], s.dtype)
    return relative * top if absolute is None else np.maximum(relative * top, absolute)


def _number(x: Any, dtype: Any) -> Any:
    return np.asarray(x._data if isinstance(x, TensorBase) else x, dtype)


# Pseudo-inverse


def _pinv_forward(a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    if not a.size:
        return np.zeros(a.shape[:-2] + a.shape[:-3:-1], a.dtype)
    if hermitian:
        w, v = lapack.eigh_lo(a)
        top = -np.sort(-np.abs(w), axis=-1)
        keep = np.abs(w) > _limit(top, a.shape, atol, rtol)[..., None]
        return (v * np.where(keep, 1 / np.where(keep, w, 1), 0).astype(a.dtype)[..., None, :]) @ v.mT
    u, s, vh = lapack.svd_s(a)
    keep = s > _limit(s, a.shape, atol, rtol)[..., None]
    return (vh.mT * np.where(keep, 1 / np.where(keep, s, 1), 0).astype(a.dtype)[..., None, :]) @ u.mT


def _pinv_rule(g: Any, a: Any, out: Any) -> Any:
    """Golub and Pereyra (1973): the gradient where the rank stays the same, from products alone."""
    t = out.mT
    left = g.mT @ (out @ t)
    right = (t @ out) @ g.mT
    return left - a @ (out @ left) + right - (right @ out) @ a - t @ g @ t


_pinv: Primitive = Primitive("linalg_pinv", _pinv_forward, [_pinv_rule])


def pinv(A: Any, rtol: Any = None, hermitian: bool = False, *, atol: Any = None, rcond: Any = None) -> Tensor:
    """Pseudo-inverse: singular values not above ``max(atol, rtol * largest)`` count as zero.

    `rtol` is by default ``max(n, m)`` times the rounding unit (0 if `atol` is given). The gradient holds where the
    rank does not change.
    """
    a = square(A, "pinv") if hermitian else matrices(A, "pinv")
    return apply(_pinv, (a,), (atol, rcond if rtol is None else rtol, bool(hermitian)))


def pinverse(input: Any, rcond: Any = 1e-15) -> Tensor:
    """Pseudo-inverse, by its older name and with its older bound."""
    return pinv(input, rcond)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """Number of singular values above ``max(atol, rtol * largest)``, in int64.

    `rtol` is by default ``max(n, m)`` times the rounding unit (0 if `atol` is given).
    """
    a = square(A, "matrix_rank") if hermitian else matrices(A, "matrix_rank")
    if tol is not None:
        atol, rtol = tol, 0.0
    return apply(_rank, (a,), (atol, rtol, bool(hermitian)))


def _rank_forward(a: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
    if not a.size:
        return np.zeros(a.shape[:-2], np.int64)
    s = -np.sort(-np.abs(lapack.eigvalsh_lo(a)), axis=-1) if hermitian else lapack.svd(a)
    return np.asarray((s > _limit(s, a.shape, atol, rtol)[..., None]).sum(axis=-1))


_rank: Primitive = Primitive("linalg_matrix_rank", _rank_forward, arity=1)


# Least squares


def _lstsq_forward(a: Any, b: Any, rcond: float, driver: str) -> Any:
    """Solve one stack after the other with LAPACK's driver of that name; rank and singular values ride along."""
    from scipy.linalg import lapack as routines

    n, m = a.shape[-2:]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    k = b.shape[-1]
    x = np.zeros((*batch, m, k), b.dtype)
    rank = np.zeros(batch, np.int64)
    s = np.zeros((*batch, min(n, m)), b.dtype)
    prefix = "d" if a.dtype == np.float64 else "s"
    solve = getattr(routines, prefix + driver)
    for at in np.ndindex(batch if a.size and k else (0,)):
        tall = np.zeros((max(n, m), k), b.dtype)
        tall[:n] = b[at]
        if driver == "gels":
            _, found, _ = solve(a[at], tall)
        elif driver == "gelsy":
            size = int(getattr(routines, prefix + "gelsy_lwork")(n, m, k, rcond)[0])
            _, found, _, rank[at], _ = solve(a[at], tall, np.zeros((m, 1), np.int32), rcond, size)
        elif driver == "gelsd":
            size, integers, _ = getattr(routines, prefix + "gelsd_lwork")(n, m, k, rcond)
            found, s[at], rank[at], _ = solve(a[at], tall, int(size), integers, rcond)
        else:
            size = int(getattr(routines, prefix + "gelss_lwork")(n, m, k, rcond)[0])
            _, found, s[at], rank[at], _, _ = solve(a[at], tall, rcond, size)
        x[at] = found[:m]
    return x, rank, s


def _lstsq_rule_a(g: Any, a: Any, b: Any, a_shape: Any, rcond: float) -> Any:
    return sum_to(_pinv_rule(g[0] @ b.mT, a, _pinv(a, None, rcond, False)), a_shape)


def _lstsq_rule_b(g: Any, a: Any, b_shape: Any, rcond: float) -> Any:
    return sum_to(_pinv(a, None, rcond, False).mT @ g[0], b_shape)


_lstsq: Primitive = Primitive(
    "linalg_lstsq",
    _lstsq_forward,
    [_lstsq_rule_a, _lstsq_rule_b],
    outputs=("x", "rank", "s"),
)


class LstSq(NamedTuple):
    """Solution, sums of squared residuals, rank and singular values; empty where the driver does not give them."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


class linalg_lstsq(LstSq):  # noqa: N801
    """What :func:`lstsq` returns."""

    __slots__ = ()
    __repr__ = show


def lstsq(A: Any, B: Any, rcond: float | None = None, *, driver: str | None = None) -> linalg_lstsq:
    """Solution X of least ``‖A X - B‖`` (and of least norm among those, but for driver "gels").

    `driver`: "gels" (A of full rank), "gelsy" (the default), "gelsd", "gelss", as LAPACK names them; the last two
    also give singular values. Residuals are given where A has more rows than columns and full rank.
    """
    a: Any = matrices(A, "lstsq")
    b: Any = as_tensor(B)
    same_type(a, b, "lstsq")
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ArgumentFault(f"lstsq: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}.")
    vector = b.ndim == a.ndim - 1 and b._data.shape == a._data.shape[:-1]
    b = b.unsqueeze(-1) if vector else b
    n, m = a._data.shape[-2:]
    if b.ndim < 2 or b._data.shape[-2] != n:
        raise ShapeError(f"lstsq: shapes {a._data.shape} and {b._data.shape} do not fit A X = B.")
    bound = np.finfo(a._data.dtype).eps * max(n, m) if rcond is None else rcond
    x, rank, s = apply(_lstsq, (a, b), (bound, driver or "gelsy"))
    rank._told("lstsq")  # whether there are residuals depends on values
    full = driver == "gels" or bool((rank._data == min(n, m)).all())
    none = TensorBase._wrap(np.empty((0,), a._data.dtype))
    residuals = none
    if n > m and full and driver not in (None, "gelsy"):
        left = matmul(a, x) - b
        residuals = (left * left).sum(-2)
    return linalg_lstsq(
        x.squeeze(-1) if vector else x,
        residuals,
        TensorBase._wrap(np.empty((0,), np.int64)) if driver == "gels" else rank,
        s.detach() if driver in ("gelsd", "gelss") else none,
    )


# Condition


def cond(A: Any, p: Any = None) -> Tensor:
    """Condition number ``‖A‖ ‖A⁻¹‖`` in the norm `p` of :func:`matrix_norm` (None: the ratio of singular values).

    Infinite for singular matrices where the norm needs an inverse.
    """
    a = matrices(A, "cond")
    if p is None or p in (2, -2):
        s = svdvals(a)
        if not s._data.shape[-1]:
            return TensorBase._wrap(np.zeros(a._data.shape[:-2], a._data.dtype))  # type: ignore[return-value]
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    a = square(A, "cond")
    if not a._data.size:
        return TensorBase._wrap(np.zeros(a._data.shape[:-2], a._data.dtype))  # type: ignore[return-value]
    return matrix_norm(a, p) * matrix_norm(apply(_inv_or_inf, (a,)), p)


def _inv_or_inf_forward(a: Any) -> Any:
    out = lapack.inv(a)
    return np.where(np.isnan(out) & np.isfinite(a).all(axis=(-2, -1))[..., None, None], np.inf, out).astype(a.dtype)


_inv_or_inf: Primitive = Primitive("linalg_inv", _inv_or_inf_forward, [_inv.vjps[0]], backward="LinalgInvExBackward0")
