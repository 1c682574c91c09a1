"""NumPy's products, and numpy.linalg, answered by the library's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DTypeError
from . import arithmetic, diagonals, einsum, products, shape
from . import linalg_factors as factors
from . import linalg_least_squares as squares
from . import linalg_norms as norms
from . import linalg_products as powers
from . import linalg_solve as solves
from . import linalg_spectral as spectral
from .numpy_shapes import given

__all__ = ["ALGEBRA"]


def _einsum(*operands: Any, optimize: Any = False) -> Any:
    if isinstance(operands[0], str):
        return einsum.einsum(operands[0], *(given(x) for x in operands[1:]))
    return einsum.einsum(*(given(x) if k % 2 == 0 and k < len(operands) - 1 else x for k, x in enumerate(operands)))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if not isinstance(axes, (int, np.integer)):
        axes = [[int(k)] if np.ndim(k) == 0 else [int(i) for i in k] for k in axes]
    return einsum.tensordot(given(a), given(b), axes)


def _dot(a: Any, b: Any) -> Any:
    x, y = given(a), given(b)
    if x.ndim == 0 or y.ndim == 0:
        return arithmetic.mul(x, y)
    if y.ndim <= 2:
        return products.matmul(x, y)
    return einsum.tensordot(x, y, [[x.ndim - 1], [y.ndim - 2]])


def _inner(a: Any, b: Any) -> Any:
    x, y = given(a), given(b)
    if x.ndim == 0 or y.ndim == 0:
        return arithmetic.mul(x, y)
    return einsum.tensordot(x, y, [[x.ndim - 1], [y.ndim - 1]])


def _outer(a: Any, b: Any) -> Any:
    return products.outer(shape.ravel(given(a)), shape.ravel(given(b)))


def _vdot(a: Any, b: Any) -> Any:
    return products.matmul(shape.ravel(given(a)), shape.ravel(given(b)))


def _kron(a: Any, b: Any) -> Any:
    return einsum.kron(given(a), given(b))


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = shape.movedim(given(a), axisa, -1), shape.movedim(given(b), axisb, -1)
    return shape.movedim(einsum.cross(x, y, dim=-1), -1, axisc)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    t = given(x)
    if axis is None and (ord is None or t.ndim == 1):
        dims = tuple(range(t.ndim))
        return norms.vector_norm(t, 2 if ord is None else ord, dims, keepdims)
    if axis is None:
        if t.ndim != 2:
            raise DTypeError(
                f"np.linalg.norm: with ord, axis or an input of 1 or 2 dims is required, got {t.ndim} dims."
            )
        axis = (0, 1)
    if isinstance(axis, (int, np.integer)):
        return norms.vector_norm(t, 2 if ord is None else ord, int(axis), keepdims)
    dims = tuple(int(k) for k in axis)
    if len(dims) == 1:
        return norms.vector_norm(t, 2 if ord is None else ord, dims, keepdims)
    return norms.matrix_norm(t, "fro" if ord is None else ord, dims, keepdims)


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    return spectral.svd(a, full_matrices) if compute_uv else spectral.svdvals(a)


def _qr(a: Any, mode: str = "reduced") -> Any:
    found = factors.qr(a, mode)
    return found[1] if mode == "r" else found


def _solve(a: Any, b: Any) -> Any:
    return solves.solve(given(a), given(b))


def _cholesky(a: Any, *, upper: bool = False) -> Any:
    return factors.cholesky(a, upper=upper)


def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Any:
    limit = rcond if rtol is None else rtol
    return squares.pinv(a, hermitian=hermitian) if limit is None else squares.pinv(a, rtol=limit, hermitian=hermitian)


def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    found: Any = diagonals.diagonal(given(a), offset, axis1, axis2)
    return found.sum(-1)


ALGEBRA: dict[Any, Callable[..., Any]] = {
    np.einsum: _einsum,
    np.tensordot: _tensordot,
    np.dot: _dot,
    np.inner: _inner,
    np.outer: _outer,
    np.vdot: _vdot,
    np.kron: _kron,
    np.cross: _cross,
    np.trace: _trace,
    np.linalg.norm: _norm,
    np.linalg.svd: _svd,
    np.linalg.svdvals: lambda x: spectral.svdvals(x),
    np.linalg.eigh: lambda a, UPLO="L": spectral.eigh(a, UPLO),
    np.linalg.eigvalsh: lambda a, UPLO="L": spectral.eigvalsh(a, UPLO),
    np.linalg.qr: _qr,
    np.linalg.cholesky: _cholesky,
    np.linalg.solve: _solve,
    np.linalg.inv: lambda a: solves.inv(a),
    np.linalg.det: lambda a: solves.det(a),
    np.linalg.slogdet: lambda a: solves.slogdet(a),
    np.linalg.pinv: _pinv,
    np.linalg.matrix_power: lambda a, n: powers.matrix_power(a, n),
    np.linalg.multi_dot: lambda arrays: powers.multi_dot([given(a) for a in arrays]),
    np.linalg.tensorinv: lambda a, ind=2: solves.tensorinv(a, ind),
    np.linalg.tensorsolve: lambda a, b, axes=None: solves.tensorsolve(given(a), given(b), axes),
    np.linalg.vector_norm: lambda x, axis=None, keepdims=False, ord=2: norms.vector_norm(x, ord, axis, keepdims),
    np.linalg.matrix_norm: lambda x, keepdims=False, ord="fro": norms.matrix_norm(x, ord, (-2, -1), keepdims),
    np.linalg.trace: lambda x, offset=0: _trace(x, offset, -2, -1),
    np.linalg.diagonal: lambda x, offset=0: diagonals.diagonal(x, offset, -2, -1),
    np.linalg.matmul: lambda x1, x2: products.matmul(given(x1), given(x2)),
    np.linalg.outer: _outer,
    np.linalg.tensordot: lambda x1, x2, axes=2: _tensordot(x1, x2, axes),
    np.linalg.cross: lambda x1, x2, axis=-1: _cross(x1, x2, axis=axis),
    np.linalg.matrix_transpose: lambda x: shape.swapaxes(x, -2, -1),
    np.matrix_transpose: lambda x: shape.swapaxes(x, -2, -1),
}
