"""Cholesky, LU and QR factors of matrices and of stacks of them, and the solutions that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, GraphError, ShapeError
from ._coerce import as_tensor
from ._linalg import eye_like, floating, lapack, mask_like, matrices, refuse, same_type, square, type_of
from .linalg_solve import _need_rows, _solve_triangular
from .return_types import show

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "cholesky", "cholesky_ex", "cholesky_inverse", "cholesky_solve", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "qr",
]  # fmt: skip


# Cholesky


def _cholesky_forward(a: Any, upper: bool) -> Any:
    out = lapack.cholesky_up(a) if upper else lapack.cholesky_lo(a)
    if out.size:
        first = out[..., 0, 0]
        if np.any(first != first):
            refuse(first != first, "cholesky", "is not positive definite")
    return out


def _cholesky_rule(g: Any, out: Any, upper: bool) -> Any:
    """Murray, "Differentiation of the Cholesky decomposition" (2016): ½ L⁻ᵀ (P + Pᵀ) L⁻¹, P the lower half of LᵀG."""
    lower, gl = (out.mT, g.mT) if upper else (out, g)
    p = (lower.mT @ gl) * mask_like(out, "half tril")
    p = _solve_triangular(lower.mT, p + p.mT, True, True, False)
    return _solve_triangular(lower, p, False, False, False) / 2


_cholesky: Primitive = Primitive(
    "linalg_cholesky", _cholesky_forward, [_cholesky_rule], backward="LinalgCholeskyExBackward0"
)


def cholesky(A: Any, *, upper: bool = False) -> Tensor:
    """The lower triangular L with ``L Lᵀ = A`` (the upper U with ``Uᵀ U = A`` if `upper`) of a positive-definite A.

    One triangle of A is read. A matrix that is not positive definite is an error.

    >>> import thalweg as tw
    >>> tw.linalg.cholesky(tw.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    return apply(_cholesky, (square(A, "cholesky"),), (bool(upper),))


def cholesky_legacy(input: Any, upper: bool = False) -> Tensor:
    """Cholesky factor, by its older name."""
    return cholesky(input, upper=upper)


class CholeskyEx(NamedTuple):
    """A factor and, per matrix, 0 or the order of the first leading minor that is not positive."""

    L: Any
    info: Any


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """Cholesky factor, and LAPACK's code per matrix instead of an error: 0 where all went well."""
    from scipy.linalg import lapack as routines

    a = square(A, "cholesky_ex")
    data = a._data
    factor = routines.dpotrf if data.dtype == np.float64 else routines.spotrf
    info = np.zeros(data.shape[:-2], np.int32)
    if data.size:
        for at in np.ndindex(info.shape):
            info[at] = factor(data[at], lower=not upper)[1]
    if check_errors or not info.any():
        return CholeskyEx(cholesky(a, upper=upper), TensorBase._wrap(info))
    with np.errstate(all="ignore"):
        raw = lapack.cholesky_up(data) if upper else lapack.cholesky_lo(data)
    return CholeskyEx(TensorBase._wrap(raw), TensorBase._wrap(info))


def cholesky_solve(B: Any, L: Any, upper: bool = False) -> Tensor:
    """Solution X of ``A X = B`` from the Cholesky factor of A."""
    b, factor = floating(B, "cholesky_solve"), square(L, "cholesky_solve")
    same_type(b, factor, "cholesky_solve")
    _need_rows(factor, b, True, "cholesky_solve")
    lower = factor.mT if upper else factor
    half = apply(_solve_triangular, (lower, b), (False, True, False))
    return apply(_solve_triangular, (lower.mT, half), (True, True, False))


def cholesky_inverse(L: Any, upper: bool = False) -> Tensor:
    """Inverse of A from its Cholesky factor."""
    factor = square(L, "cholesky_inverse")
    one = TensorBase._wrap(np.broadcast_to(eye_like(factor), factor._data.shape))
    return cholesky_solve(one, factor, upper)


# LU


def _lu_forward(a: Any, strict: bool) -> tuple[Any, Any, Any]:
    from scipy.linalg import lapack as routines

    factor = routines.dgetrf if a.dtype == np.float64 else routines.sgetrf
    k = min(a.shape[-2:])
    out = np.empty(a.shape, a.dtype)
    pivots = np.empty((*a.shape[:-2], k), np.int32)
    info = np.zeros(a.shape[:-2], np.int32)
    if a.size:
        for at in np.ndindex(info.shape):
            out[at], found, info[at] = factor(a[at])
            pivots[at] = found + 1  # counted from 1, as LAPACK and PyTorch do
    if strict:
        refuse(info != 0, "lu_factor", "has a zero pivot")
    return out, pivots, info


def _permutation_forward(pivots: Any, n: int, dtype: Any) -> Any:
    order = np.empty((*pivots.shape[:-1], n), np.int64)
    for at in np.ndindex(pivots.shape[:-1]):
        rows = list(range(n))
        for k, p in enumerate(pivots[at]):
            rows[k], rows[p - 1] = rows[p - 1], rows[k]
        order[at] = rows
    return np.eye(n, dtype=dtype)[order]


# The matrices P with P A = L U, from row exchanges in sequence.
_permutation: Primitive = Primitive("lu_permutation", _permutation_forward, arity=1)


def _parts(lu: Any) -> tuple[Any, Any]:
    """Return the unit lower and the upper factor that share one matrix."""
    n, m = lu.shape[-2:]
    k = min(n, m)
    lower, upper = lu[..., :, :k], lu[..., :k, :]
    return lower * mask_like(lower, "strict tril") + eye_like(lower), upper * mask_like(upper, "triu")


def _lu_rule(g: Any, lu: Any, pivots: Any) -> Any:
    """Gradient through ``P A = L U``; what lies outside the leading square is eliminated first."""
    n, m = lu.shape[-2:]
    k = min(n, m)
    lower, upper = _parts(lu)
    gl, gu = g[0][..., :, :k], g[0][..., :k, :]
    gl, gu = gl * mask_like(gl, "strict tril"), gu * mask_like(gu, "triu")
    l1, u1, gl1, gu1 = lower[..., :k, :], upper[..., :, :k], gl[..., :k, :], gu[..., :, :k]
    rest = None
    if m > n:
        rest = _solve_triangular(l1.mT, gu[..., :, k:], True, True, True)
        gl1 = gl1 - rest @ upper[..., :, k:].mT
    elif n > m:
        rest = _solve_triangular(u1.mT, gl[..., k:, :], False, False, False)
        gu1 = gu1 - lower[..., k:, :].mT @ rest
    inner = (l1.mT @ gl1) * mask_like(l1, "strict tril") + (gu1 @ u1.mT) * mask_like(u1, "triu")
    inner = _solve_triangular(u1.mT, inner, False, False, False)
    out = _solve_triangular(l1.mT, inner, True, True, True)
    dtype = type_of(lu)
    if m > n:
        out = out @ np.eye(n, m, dtype=dtype) + rest @ np.eye(m - k, m, k, dtype=dtype)
    elif n > m:
        out = np.eye(n, m, dtype=dtype) @ out + np.eye(n, n - k, -k, dtype=dtype) @ rest
    return _permutation(pivots, n, dtype).mT @ out


_lu: Primitive = Primitive(
    "linalg_lu_factor",
    _lu_forward,
    [_lu_rule],
    outputs=("lu", "pivots", "info"),
    backward="LinalgLuFactorExBackward0",
)


class LUFactor(NamedTuple):
    """Both factors in one matrix, and the row exchanges, counted from 1."""

    LU: Any
    pivots: Any


class LUFactorEx(NamedTuple):
    """Both factors in one matrix, the row exchanges, and LAPACK's code per matrix."""

    LU: Any
    pivots: Any
    info: Any


class LU(NamedTuple):
    """A permutation, a unit lower and an upper triangular matrix."""

    P: Any
    L: Any
    U: Any


def _pivoted(pivot: bool, who: str) -> None:
    if not pivot:
        raise ArgumentFault(f"{who}: pivot=False is not available on the CPU; leave it out.")


class ArgumentFault(ArgumentError, RuntimeError):
    """A setting that PyTorch refuses with RuntimeError."""


def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """LU factors as :func:`lu_factor` gives them, and LAPACK's code per matrix: k where pivot k is zero."""
    _pivoted(pivot, "lu_factor_ex")
    return LUFactorEx(*apply(_lu, (matrices(A, "lu_factor_ex"),), (bool(check_errors),)))


def lu_factor(A: Any, *, pivot: bool = True) -> LUFactor:
    """``P A = L U`` by elimination with row exchanges: L below, U on and above the diagonal; the exchanges."""
    _pivoted(pivot, "lu_factor")
    factors, pivots, _ = apply(_lu, (matrices(A, "lu_factor"),), (True,))
    return LUFactor(factors, pivots)


def lu(A: Any, *, pivot: bool = True) -> LU:
    """``A = P L U``: a permutation, a unit lower triangular and an upper triangular matrix."""
    _pivoted(pivot, "lu")
    factors, pivots, _ = apply(_lu, (matrices(A, "lu"),), (False,))
    order = _permutation(pivots, factors._data.shape[-2], factors._data.dtype)
    lower, upper = _parts(factors)
    return LU(order.mT, lower, upper)


def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """Solution X of ``A X = B`` (``X A = B`` unless `left`; with Aᵀ if `adjoint`) from the LU factors of A."""
    factors, b = square(LU, "lu_solve"), floating(B, "lu_solve")
    exchanges = as_tensor(pivots)
    same_type(factors, b, "lu_solve")
    if exchanges._data.dtype != np.int32:
        raise DTypeError(f"lu_solve: pivots of dtype int32 are required, got {exchanges.dtype}.")
    if exchanges._data.shape != factors._data.shape[:-1]:
        raise ShapeError(
            f"lu_solve: pivots of shape {factors._data.shape[:-1]} are required, got {exchanges._data.shape}."
        )
    _need_rows(factors, b, left, "lu_solve")
    if not left:  # X A = B is Aᵀ Xᵀ = Bᵀ
        b, adjoint = b.mT, not adjoint
    order = _permutation(exchanges, factors._data.shape[-1], factors._data.dtype)
    if adjoint:
        half = apply(_solve_triangular, (factors.mT, b), (False, True, False))
        x = order.mT @ apply(_solve_triangular, (factors.mT, half), (True, True, True))
    else:
        half = apply(_solve_triangular, (factors, order @ b), (False, True, True))
        x = apply(_solve_triangular, (factors, half), (True, True, False))
    return x if left else x.mT


def lu_solve_legacy(b: Any, LU_data: Any, LU_pivots: Any) -> Tensor:
    """Solution of ``A X = b`` from LU factors, by its older name and order."""
    return lu_solve(LU_data, LU_pivots, b)


# QR


def _qr_forward(a: Any, mode: str) -> Any:
    if mode == "r":
        return np.empty((0,), a.dtype), np.linalg.qr(a, mode="r")
    return tuple(np.linalg.qr(a, mode=mode))  # type: ignore[call-overload]


def _qr_rule(g: Any, q: Any, r: Any, mode: str, a_shape: Any) -> Any:
    """Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (2010), and the wide case by parts."""
    n, m = a_shape[-2:]
    if mode == "r":
        raise GraphError("qr: with mode='r' there is no Q, which the gradient needs; use mode='reduced'.")
    if mode == "complete" and n > m:
        raise GraphError(f"qr: no gradient for mode='complete' of a tall matrix ({n} by {m}); use mode='reduced'.")
    gq, gr = g
    if n >= m:
        return _qr_square(gq, gr, q, r)
    left, right = r[..., :, :n], r[..., :, n:]
    out = _qr_square(gq + q @ (right @ gr[..., :, n:].mT), gr[..., :, :n], q, left)
    dtype = type_of(r)
    return out @ np.eye(n, m, dtype=dtype) + (q @ gr[..., :, n:]) @ np.eye(m - n, m, n, dtype=dtype)


def _qr_square(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    w = r @ gr.mT - gq.mT @ q
    w = w * mask_like(w, "tril") + (w * mask_like(w, "strict tril")).mT
    return _solve_triangular(r.mT, gq + q @ w, False, False, False)


_qr: Primitive = Primitive("linalg_qr", _qr_forward, [_qr_rule], outputs=("q", "r"))


class QR(NamedTuple):
    """An orthogonal and an upper triangular matrix."""

    Q: Any
    R: Any


class linalg_qr(QR):  # noqa: N801
    """What :func:`qr` returns."""

    __slots__ = ()
    __repr__ = show


def qr(A: Any, mode: str = "reduced") -> linalg_qr:
    """``A = Q R``: orthonormal columns times an upper triangular matrix.

    `mode`: "reduced" (Q has min(n, m) columns), "complete" (Q is square) or "r" (R alone, Q is empty).
    """
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentFault(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}.")
    return linalg_qr(*apply(_qr, (matrices(A, "qr"),), (mode,)))


def qr_legacy(input: Any, some: bool = True) -> linalg_qr:
    """QR factors, by their older signature."""
    return qr(input, "reduced" if some else "complete")
