"""Linear systems, inverses and determinants of square matrices and of stacks of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor
from ._linalg import eye_like, floating, lapack, mask_like, refuse, same_type, square, type_of
from .arithmetic import _where, where
from .return_types import show

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "det", "inv", "inv_ex", "logdet", "slogdet", "solve", "solve_ex", "solve_triangular", "tensorinv", "tensorsolve",
    "triangular_solve",
]  # fmt: skip


# Triangular systems. BLAS reads one triangle only and divides by zero where the diagonal is zero, as PyTorch does.


@cache
def _trsm(dtype: Any) -> Any:
    from scipy.linalg import blas

    return blas.dtrsm if dtype == np.float64 else blas.strsm


def _triangular_one(a: Any, b: Any, upper: bool, left: bool, unit: bool) -> Any:
    """Solve with one matrix. BLAS counts columns first, so the transposed system is handed over."""
    if not b.size:
        return np.empty(b.shape, b.dtype)
    solved = _trsm(b.dtype)
    if a.flags.f_contiguous:
        return solved(1.0, a, b.T, side=int(left), lower=int(not upper), trans_a=1, diag=int(unit)).T
    return solved(1.0, a.T, b.T, side=int(left), lower=int(upper), diag=int(unit)).T


def _triangular_forward(a: Any, b: Any, upper: bool, left: bool, unit: bool) -> Any:
    if a.ndim == 2 and b.ndim == 2:
        return _triangular_one(a, b, upper, left, unit)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, batch + a.shape[-2:])
    b = np.broadcast_to(b, batch + b.shape[-2:])
    out = np.empty(b.shape, b.dtype)
    for at in np.ndindex(batch):
        out[at] = _triangular_one(a[at], b[at], upper, left, unit)
    return out


def _triangular_rule_a(g: Any, a: Any, out: Any, a_shape: Any, upper: bool, left: bool, unit: bool) -> Any:
    gb = _solve_triangular(a.mT, g, not upper, left, unit)
    ga = -(gb @ out.mT) if left else -(out.mT @ gb)
    return sum_to(ga * mask_like(ga, ("strict " if unit else "") + ("triu" if upper else "tril")), a_shape)


_solve_triangular: Primitive = Primitive(
    "linalg_solve_triangular",
    _triangular_forward,
    [
        _triangular_rule_a,
        lambda g, a, b_shape, upper, left, unit: sum_to(_solve_triangular(a.mT, g, not upper, left, unit), b_shape),
    ],
    names=("a", "b", "upper", "left", "unit"),
)


def solve_triangular(A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """Solution X of ``A X = B`` (``X A = B`` unless `left`) for a triangular A, of which one triangle is read.

    A zero on the diagonal gives infinity or NaN, no error.
    """
    a, b = square(A, "solve_triangular"), as_tensor(B)
    same_type(a, b, "solve_triangular")
    _need_rows(a, b, left, "solve_triangular")
    return apply(_solve_triangular, (a, b), (bool(upper), bool(left), bool(unitriangular)))


def _need_rows(a: TensorBase, b: TensorBase, left: bool, who: str) -> None:
    """Refuse right-hand sides that do not fit the matrix."""
    p, q = a._data.shape, b._data.shape
    if len(q) < 2 or q[-2 if left else -1] != p[-1]:
        raise ShapeError(f"{who}: shapes {p} and {q} do not fit {'A X = B' if left else 'X A = B'}.")
    try:
        np.broadcast_shapes(p[:-2], q[:-2])
    except ValueError:
        raise ShapeError(f"{who}: batch dims that broadcast together are required, got {p} and {q}.") from None


class TriangularSolve(NamedTuple):
    """A solution, and a copy of the matrix."""

    solution: Any
    cloned_coefficient: Any


class triangular_solve_result(TriangularSolve):  # noqa: N801
    """What :func:`triangular_solve` returns."""

    __slots__ = ()
    __repr__ = show


def triangular_solve(
    b: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> triangular_solve_result:
    """Solution of ``A X = b`` for a triangular A, and a copy of A: the older form of ``linalg.solve_triangular``."""
    a, y = square(A, "triangular_solve"), as_tensor(b)
    same_type(a, y, "triangular_solve")
    _need_rows(a, y, True, "triangular_solve")
    x = apply(_solve_triangular, (a.mT if transpose else a, y), (bool(upper) != bool(transpose), True, unitriangular))
    shape = np.broadcast_shapes(a._data.shape[:-2], y._data.shape[:-2]) + a._data.shape[-2:]
    return triangular_solve_result(x, a.expand(shape).clone())


# Square systems


def _solve_forward(a: Any, b: Any) -> Any:
    out = lapack.solve(a, b)
    if out.size:
        _refuse_singular(out, a, "solve")
    return out


def _refuse_singular(out: Any, a: Any, who: str) -> None:
    first = out[..., 0, 0]
    bad = first != first
    if np.any(bad):  # NaN in the matrix gives NaN; NaN from finite numbers is LAPACK's failure
        bad = np.asarray(bad) & np.isfinite(a).all(axis=(-2, -1))
        refuse(bad, who, "is singular")


_solve: Primitive = Primitive(
    "linalg_solve",
    _solve_forward,
    [
        lambda g, a, out, a_shape: sum_to(-(_solve(a.mT, g) @ out.mT), a_shape),
        lambda g, a, b_shape: sum_to(_solve(a.mT, g), b_shape),
    ],
    backward="LinalgSolveExBackward0",
)


def solve(A: Any, B: Any, *, left: bool = True) -> Tensor:
    """Solution X of ``A X = B`` (``X A = B`` unless `left`) for square A.

    B is a vector [n] (or a batch [..., n] of A's batch shape), or a matrix [..., n, k]. A singular A is an error.

    >>> import thalweg as tw
    >>> tw.linalg.solve(tw.tensor([[2.0, 0.0], [0.0, 4.0]]), tw.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    a: Any = square(A, "solve")
    b: Any = as_tensor(B)
    same_type(a, b, "solve")
    if _is_vector(a, b):
        _need_rows(a, b.unsqueeze(-1), True, "solve")
        return apply(_solve, (a if left else a.mT, b.unsqueeze(-1))).squeeze(-1)
    _need_rows(a, b, left, "solve")
    if left:
        return apply(_solve, (a, b))
    return apply(_solve, (a.mT, b.mT)).mT


def _is_vector(a: TensorBase, b: TensorBase) -> bool:
    p, q = a._data.shape, b._data.shape
    return len(q) == 1 or (len(p) - 1 == len(q) and q == p[:-1])


class SolveEx(NamedTuple):
    """A solution and, per matrix, 0 or the number of the pivot that is zero."""

    result: Any
    info: Any


def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """Solution as :func:`solve` gives it, and LAPACK's code per matrix instead of an error: 0 where all went well."""
    a = square(A, "solve_ex")
    info = _lu_info(a._data)
    if check_errors or not info.any():
        return SolveEx(solve(A, B, left=left), TensorBase._wrap(info))
    safe = where((info != 0)[..., None, None], np.full((), np.nan, a._data.dtype), a)
    return SolveEx(solve(safe, B, left=left), TensorBase._wrap(info))


class InvEx(NamedTuple):
    """An inverse and, per matrix, 0 or the number of the pivot that is zero."""

    inverse: Any
    info: Any


def inv_ex(A: Any, *, check_errors: bool = False) -> InvEx:
    """Inverse as :func:`inv` gives it, and LAPACK's code per matrix instead of an error: 0 where all went well."""
    a = square(A, "inv_ex")
    info = _lu_info(a._data)
    if check_errors or not info.any():
        return InvEx(inv(A), TensorBase._wrap(info))
    safe = where((info != 0)[..., None, None], np.full((), np.nan, a._data.dtype), a)
    return InvEx(apply(_inv, (safe,)), TensorBase._wrap(info))


def _lu_info(a: Any) -> Any:
    """Return LAPACK's code of the LU factorization of each matrix."""
    from scipy.linalg import lapack as routines

    factor = routines.dgetrf if a.dtype == np.float64 else routines.sgetrf
    info = np.zeros(a.shape[:-2], np.int32)
    if a.size:
        for at in np.ndindex(a.shape[:-2]):
            info[at] = factor(a[at])[2]
    return info


def _inv_forward(a: Any) -> Any:
    out = lapack.inv(a)
    if out.size:
        _refuse_singular(out, a, "inv")
    return out


_inv: Primitive = Primitive(
    "linalg_inv", _inv_forward, [lambda g, out: -(out.mT @ g @ out.mT)], backward="LinalgInvExBackward0"
)


def inv(A: Any) -> Tensor:
    """Inverse of square matrices [..., n, n]. A singular one is an error."""
    return apply(_inv, (square(A, "inv"),))


def tensorinv(A: Any, ind: int = 2) -> Tensor:
    """Inverse of `A` as the linear map from its last dims to its first `ind`.

    The first `ind` sizes of A and the others must have the same product; the result has shape
    ``A.shape[ind:] + A.shape[:ind]``.
    """
    a = floating(A, "tensorinv")
    if ind <= 0:
        raise ShapeError(f"tensorinv: ind must be > 0, got {ind}.")
    shape = tuple(a._data.shape)
    n, m = _count(shape[:ind]), _count(shape[ind:])
    if n != m:
        raise ShapeError(f"tensorinv: dims whose sizes multiply to the same are required, got {shape} with ind={ind}.")
    return inv(a.reshape(n, m)).reshape(shape[ind:] + shape[:ind])


def tensorsolve(A: Any, B: Any, dims: Any = None) -> Tensor:
    """Solution X of ``tensordot(A, X, X.ndim) = B``; `dims` of A are moved to its end first."""
    a, b = floating(A, "tensorsolve"), floating(B, "tensorsolve")
    if dims is not None:
        last = [d % a.ndim for d in dims]
        a = a.permute(*[d for d in range(a.ndim) if d not in last], *last)
    shape = tuple(a._data.shape)
    split = b.ndim
    n, m = _count(shape[:split]), _count(shape[split:])
    if n != m or b._data.size != n:
        raise ShapeError(f"tensorsolve: shapes {shape} and {tuple(b._data.shape)} do not make a square system.")
    return solve(a.reshape(n, m), b.reshape(-1)).reshape(shape[split:])


def _count(shape: tuple[int, ...]) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


# Determinants


def _cofactors(a: Any, out: Any) -> Any:
    """Return the matrix of cofactors, det(A) A⁻ᵀ, which is a polynomial: it exists for singular matrices too."""
    values, determinant = (a._data, out._data) if isinstance(a, TensorBase) else (a, out)
    with np.errstate(all="ignore"):
        inverse = lapack.inv(values)
    largest = np.abs(inverse).max(initial=0) * np.abs(values).max(initial=0)
    regular = largest * np.finfo(values.dtype).eps < 1e-6 and np.all(determinant)  # a NaN compares as False
    if regular:
        return out[..., None, None] * (_inv(a) if values is not a else inverse).mT
    # Faddeev and LeVerrier: the adjugate from products and traces alone, hence differentiable any number of times.
    n = values.shape[-1]
    one = eye_like(a)
    part = one + a * 0
    for k in range(1, n):
        moved = a @ part
        trace = (moved * one).sum(axis=(-2, -1))
        part = moved - (trace / k)[..., None, None] * one
    return part.mT if n % 2 else -part.mT


_det: Primitive = Primitive(
    "linalg_det",
    lambda a: _nan_kept(lapack.det(a), a, 0),
    [lambda g, a, out: g[..., None, None] * _cofactors(a, out)],
    backward="LinalgDetBackward0",
)


def det(A: Any) -> Tensor:
    """Determinant of square matrices [..., n, n]; its gradient is the matrix of cofactors, also where that is singular."""
    return apply(_det, (square(A, "det"),))


def _nan_kept(out: Any, a: Any, singular: float) -> Any:
    """Return determinants with NaN for matrices that hold NaN: LAPACK finds no pivot there and calls them singular."""
    found = out == singular
    return np.where(found & np.isnan(a).any(axis=(-2, -1)), out.dtype.type(np.nan), out) if found.any() else out


def _slogdet_forward(a: Any) -> Any:
    sign, value = lapack.slogdet(a)
    return _nan_kept(sign, a, 0), _nan_kept(value, a, -np.inf)


def _slogdet_slope(a: Any) -> Any:
    """Return A⁻ᵀ; of a singular matrix its cofactors divided by 0, as PyTorch: infinite, or NaN where both are 0."""
    values = a._data if isinstance(a, TensorBase) else a
    singular = np.asarray(lapack.slogdet(values)[0] == 0)[..., None, None]
    if not singular.any():
        return _inv(a).mT
    one, safe = eye_like(a), _where(singular, 0.0, a)
    regular = _inv(safe + _where(singular, one, 0.0)).mT
    nothing = _signed_zeros(values)
    cofactors = _cofactors(a, nothing if values is a else TensorBase._wrap(nothing))
    return _where(singular, cofactors / nothing[..., None, None], regular)


def _signed_zeros(values: Any) -> Any:
    """Return zeros with the signs of the matrices' pivots, which decide the signs of what is divided by them."""
    from scipy.linalg.lapack import dgetrf

    found = np.zeros(values.shape[:-2], values.dtype)
    for at in np.ndindex(found.shape):
        factors, pivots, _ = dgetrf(values[at])
        swaps = np.count_nonzero(pivots != np.arange(len(pivots)))
        found[at] = np.copysign(0.0, (-1) ** (swaps + np.count_nonzero(np.signbit(np.diag(factors)))))
    return found


_slogdet: Primitive = Primitive(
    "linalg_slogdet",
    _slogdet_forward,
    [lambda g, a: g[1][..., None, None] * _slogdet_slope(a)],
    outputs=("sign", "logabsdet"),
)


class Slogdet(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


class linalg_slogdet(Slogdet):  # noqa: N801
    """What :func:`slogdet` returns."""

    __slots__ = ()
    __repr__ = show


def slogdet(A: Any) -> linalg_slogdet:
    """Sign of the determinant and logarithm of its absolute value; 0 and -inf where the matrix is singular."""
    return linalg_slogdet(*apply(_slogdet, (square(A, "slogdet"),)))


def logdet(input: Any) -> Tensor:
    """Logarithm of the determinant: -inf where that is 0, NaN where it is negative."""
    sign, value = slogdet(input)
    return where(sign == -1, np.full((), np.nan, type_of(value)), value)
