"""Products and linear algebra as methods."""

from __future__ import annotations

from .. import einsum, linalg_factors, linalg_least_squares, linalg_products, linalg_solve, linalg_spectral, products


class Products:
    """Products and linear algebra."""

    __slots__ = ()

    matmul = products.matmul
    mm = products.mm
    mv = products.mv
    bmm = products.bmm
    dot = products.dot
    outer = ger = products.outer
    vdot = products.vdot
    inner = products.inner
    addmm = products.addmm
    addmv = products.addmv
    addr = products.addr
    baddbmm = products.baddbmm
    addbmm = products.addbmm
    addmm_ = products.addmm_
    addmv_ = products.addmv_
    addr_ = products.addr_
    baddbmm_ = products.baddbmm_
    addbmm_ = products.addbmm_
    kron = einsum.kron
    cross = einsum.cross
    inverse = linalg_solve.inv
    det = linalg_solve.det
    logdet = linalg_solve.logdet
    slogdet = linalg_solve.slogdet
    triangular_solve = linalg_solve.triangular_solve
    cholesky = linalg_factors.cholesky_legacy
    cholesky_inverse = linalg_factors.cholesky_inverse
    cholesky_solve = linalg_factors.cholesky_solve
    lu_solve = linalg_factors.lu_solve_legacy
    qr = linalg_factors.qr_legacy
    svd = linalg_spectral.svd_legacy
    pinverse = linalg_least_squares.pinverse
    matrix_exp = linalg_products.matrix_exp
    matrix_power = linalg_products.matrix_power
