"""Eigenvalues of symmetric matrices and singular values, of matrices and of stacks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ._linalg import eye_like, lapack, matrices, quotient, refuse, square, type_of
from .linalg_factors import ArgumentFault
from .return_types import show

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["eigh", "eigvalsh", "svd", "svdvals"]


def _apart(differences: Any, values: Any) -> Any:
    """Return differences of `values`, with those that rounding cannot tell from 0 set to exactly 0."""
    eps = float(np.finfo(type_of(values)).eps) * values.shape[-1]
    size = (values * values).sum(-1)[..., None, None] ** 0.5
    return differences * (abs(differences) > size * eps)


# Symmetric eigenproblems. Where eigenvalues coincide, only functions that are the same for every basis of the common
# eigenspace have a gradient, and for those the antisymmetric part divided below is 0 over 0, which is taken as 0.


def _eigh_forward(a: Any, uplo: str) -> Any:
    w, v = lapack.eigh_lo(a) if uplo == "L" else lapack.eigh_up(a)
    if w.size:
        first = w[..., 0]
        if np.any(first != first):
            refuse(first != first, "eigh", "has NaN or infinite elements, or its iteration did not converge")
    return w, v


def _eigh_rule(g: Any, w: Any, v: Any) -> Any:
    gw, gv = g
    gap = _apart(w[..., None, :] - w[..., :, None], w)
    inside = quotient(v.mT @ gv, gap) + gw[..., None] * eye_like(v)
    return v @ inside @ v.mT


_eigh: Primitive = Primitive(
    "linalg_eigh", _eigh_forward, [_eigh_rule], outputs=("w", "v"), backward="LinalgEighBackward0"
)


def _eigvalsh_rule(g: Any, a: Any, uplo: str) -> Any:
    _, v = _eigh(a, uplo)
    return (v * g[..., None, :]) @ v.mT


def _eigvalsh_forward(a: Any, uplo: str) -> Any:
    w = lapack.eigvalsh_lo(a) if uplo == "L" else lapack.eigvalsh_up(a)
    if w.size:
        first = w[..., 0]
        if np.any(first != first):
            refuse(first != first, "eigvalsh", "has NaN or infinite elements, or its iteration did not converge")
    return w


# The vectors are computed only when a gradient is asked for.
_eigvalsh: Primitive = Primitive("linalg_eigvalsh", _eigvalsh_forward, [_eigvalsh_rule], backward="LinalgEighBackward0")


class Eigh(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class linalg_eigh(Eigh):  # noqa: N801
    """What :func:`eigh` returns."""

    __slots__ = ()
    __repr__ = show


def _triangle(UPLO: Any, who: str) -> str:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ArgumentFault(f"{who}: UPLO must be 'L' or 'U', got {UPLO!r}.")
    return UPLO.upper()


def eigh(A: Any, UPLO: str = "L") -> linalg_eigh:
    """Eigenvalues (ascending) and orthonormal eigenvectors (columns) of symmetric matrices; one triangle is read.

    Gradients are finite where eigenvalues coincide: the turning of vectors within their common space counts as 0,
    which is exact for functions of the eigenvalues and of the space.

    >>> import thalweg as tw
    >>> tw.linalg.eigh(tw.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return linalg_eigh(*apply(_eigh, (square(A, "eigh"),), (_triangle(UPLO, "eigh"),)))


def eigvalsh(A: Any, UPLO: str = "L") -> Tensor:
    """Eigenvalues (ascending) of symmetric matrices; one triangle is read."""
    return apply(_eigvalsh, (square(A, "eigvalsh"),), (_triangle(UPLO, "eigvalsh"),))


# Singular values


def _svd_forward(a: Any, full: bool) -> Any:
    u, s, vh = lapack.svd_f(a) if full else lapack.svd_s(a)
    if s.size:
        first = s[..., 0]
        if np.any(first != first):
            refuse(first != first, "svd", "has NaN or infinite elements, or its iteration did not converge")
    return u, s, vh


def _svd_rule(g: Any, u: Any, s: Any, vh: Any, a_shape: Any) -> Any:
    """U (½ (X+Y)/(sⱼ-sᵢ) + ½ (X-Y)/(sⱼ+sᵢ) + diag gₛ) Vᵀ, with X and Y the turnings of U and V, and what leaves them.

    Written with sums and differences of X and Y, so that functions that do not tell equal singular values apart
    (the polar factor, say) keep their exact gradient there.
    """
    gu, gs, gvh = g
    n, m = a_shape[-2:]
    k = min(n, m)
    u, gu, vh, gvh = u[..., :, :k], gu[..., :, :k], vh[..., :k, :], gvh[..., :k, :]
    x, y = u.mT @ gu, vh @ gvh.mT
    x, y = x - x.mT, y - y.mT
    row, column = s[..., :, None], s[..., None, :]
    inside = quotient(x + y, _apart(column - row, s)) + quotient(x - y, column + row)
    out = u @ (inside / 2 + gs[..., None] * eye_like(inside)) @ vh
    if n > k:
        w = quotient(gu, column)
        out = out + (w - u @ (u.mT @ w)) @ vh
    if m > k:
        w = quotient(gvh, row)
        out = out + u @ (w - (w @ vh.mT) @ vh)
    return out


_svd: Primitive = Primitive("linalg_svd", _svd_forward, [_svd_rule], outputs=("u", "s", "vh"))


def _svdvals_forward(a: Any) -> Any:
    s = lapack.svd(a)
    if s.size:
        first = s[..., 0]
        if np.any(first != first):
            refuse(first != first, "svdvals", "has NaN or infinite elements, or its iteration did not converge")
    return s


def _svdvals_rule(g: Any, a: Any) -> Any:
    u, _, vh = _svd(a, False)
    return (u * g[..., None, :]) @ vh


# The vectors are computed only when a gradient is asked for.
_svdvals: Primitive = Primitive("linalg_svdvals", _svdvals_forward, [_svdvals_rule], backward="LinalgSvdBackward0")


class SVD(NamedTuple):
    """Left singular vectors (columns), singular values in descending order, right singular vectors (rows)."""

    U: Any
    S: Any
    Vh: Any


class linalg_svd(SVD):  # noqa: N801
    """What :func:`svd` returns."""

    __slots__ = ()
    __repr__ = show


class LegacySVD(NamedTuple):
    """Left singular vectors, singular values, right singular vectors, both as columns."""

    U: Any
    S: Any
    V: Any


def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> linalg_svd:
    """``A = U diag(S) Vh`` with orthonormal columns of U and rows of Vh, and S descending.

    U and Vh are square if `full_matrices`, else [n, k] and [k, m] with k = min(n, m). Gradients are finite where
    singular values coincide or vanish: the turning of vectors within their common space counts as 0.
    """
    return linalg_svd(*apply(_svd, (matrices(A, "svd"),), (bool(full_matrices),)))


def svdvals(A: Any, *, driver: str | None = None) -> Tensor:
    """Singular values in descending order."""
    return apply(_svdvals, (matrices(A, "svdvals"),))


def svd_legacy(input: Any, some: bool = True, compute_uv: bool = True) -> LegacySVD:
    """Singular value decomposition by its older signature: V instead of Vh; zeros for U and V unless `compute_uv`."""
    x = matrices(input, "svd")
    if not compute_uv:
        (n, m), batch, dtype = x._data.shape[-2:], x._data.shape[:-2], x._data.dtype
        zeros = [TensorBase._wrap(np.zeros((*batch, size, size), dtype)) for size in (n, m)]
        return LegacySVD(zeros[0], svdvals(x), zeros[1])
    u, s, vh = svd(x, not some)
    return LegacySVD(u, s, vh.mT)
