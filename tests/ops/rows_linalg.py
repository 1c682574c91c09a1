"""Rows of products and linear algebra."""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg as sl
from scipy.spatial import distance

import thalweg as tw
from thalweg.ops._linalg import quotient

from .table import Constant, Row, Sample, sample

LA = tw.linalg


def arrays(*shapes, **kwargs):
    """One call with random arrays of these shapes."""
    return lambda rng: [sample(*(rng.uniform(-1, 1, s) for s in shapes), **kwargs)]


def several(*calls):
    """Several calls, each given by its shapes."""
    return lambda rng: [sample(*(rng.uniform(-1, 1, s) for s in shapes)) for shapes in calls]


def good(*shapes, rest=()):
    """Square matrices far from singular, and further arrays."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        return [
            sample(rng.uniform(-1, 1, s) + 2 * np.eye(s[-1]), *(rng.uniform(-1, 1, r) for r in rest)) for s in shapes
        ]

    return samples


def positive(a):
    """A positive-definite matrix from any."""
    return a @ a.mT + (a * 0 + 1) * np.eye(a.shape[-1], dtype=a._data.dtype if isinstance(a, tw.Tensor) else a.dtype)


def symmetric(a):
    return a + a.mT


def triangles(rng: np.random.Generator) -> list[Sample]:
    return [
        sample(rng.uniform(1, 2, (3, 3)), rng.uniform(-1, 1, (3, 2)), upper=False),
        sample(rng.uniform(1, 2, (2, 3, 3)), rng.uniform(-1, 1, (2, 3)), upper=True, left=False),
        sample(rng.uniform(1, 2, (3, 3)), rng.uniform(-1, 1, (2, 3, 1)), upper=True, unitriangular=True),
    ]


def triangle_reference(a, b, upper, left=True, unitriangular=False):
    if not left:
        return triangle_reference(a.mT, b.mT, not upper, True, unitriangular).mT
    a = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        a = a - a * np.eye(3) + np.eye(3)
    return np.linalg.solve(a, b)


def ordered(rng: np.random.Generator) -> list[Sample]:
    return [sample(np.array([[0.5, -2.0, 1.0], [3.0, -0.25, 1.5]]), p) for p in (2, 1, 3, math.inf, -math.inf, 0.5)]


def distances(rng: np.random.Generator) -> list[Sample]:
    x, y = rng.uniform(-1, 1, (3, 2)), rng.uniform(1.5, 2.5, (2, 2))
    return [sample(x, y, p) for p in (2.0, 1.0, 3.0)] + [sample(rng.uniform(-1, 1, (27, 1)), y[:1, :1], 2.0)]


PRODUCTS = (
    Row("mm", tw.mm, several(((2, 3), (3, 2)), ((0, 3), (3, 2))), np.matmul),
    Row("mv", tw.mv, arrays((2, 3), (3,)), np.matmul),
    Row("bmm", tw.bmm, arrays((2, 2, 3), (2, 3, 2)), np.matmul),
    Row("dot", tw.dot, arrays((4,), (4,)), np.dot),
    Row("vdot", tw.vdot, arrays((4,), (4,)), np.vdot),
    Row("inner", tw.inner, several(((2, 3), (3,)), ((2, 3), (2, 3)), ((3,), (3,)), ((2, 3), ())), np.inner),
    Row("outer", tw.outer, arrays((3,), (2,)), np.outer),
    Row(
        "matmul",
        tw.matmul,
        several(
            ((2, 3), (3, 2)),
            ((3,), (3, 2)),
            ((2, 3), (3,)),
            ((2, 2, 3), (3, 2)),
            ((3,), (2, 3, 2)),
            ((2, 3), (2, 3, 1)),
            ((2, 1, 2, 3), (2, 3, 2)),
            ((3,), (3,)),
        ),
        np.matmul,
    ),
    Row("addmm", tw.addmm, arrays((2, 2), (2, 3), (3, 2), beta=0.5, alpha=2), lambda x, a, b, **_: 0.5 * x + 2 * a @ b),
    Row("addmm[bias]", tw.addmm, arrays((2,), (3, 3), (3, 2)), lambda x, a, b: x + a @ b),
    Row("addmv", tw.addmv, arrays((2,), (2, 3), (3,), beta=0.5), lambda x, a, b, **_: 0.5 * x + a @ b),
    Row("addr", tw.addr, arrays((2, 3), (2,), (3,), alpha=3), lambda x, a, b, **_: x + 3 * np.outer(a, b)),
    Row("baddbmm", tw.baddbmm, arrays((2, 1), (2, 2, 3), (2, 3, 2), beta=2), lambda x, a, b, **_: 2 * x + a @ b),
    Row("addbmm", tw.addbmm, arrays((2, 2), (2, 2, 3), (2, 3, 2)), lambda x, a, b: x + (a @ b).sum(0)),
    Row("chain_matmul", tw.chain_matmul, arrays((2, 3), (3, 1), (1, 2)), lambda *xs: np.linalg.multi_dot(xs)),
    Row(
        "linalg.multi_dot",
        lambda *xs: LA.multi_dot(xs),
        several(((3,), (3, 2), (2, 2), (2,)), ((2, 3), (3, 2))),
        lambda *xs: np.linalg.multi_dot(xs),
    ),
    Row("linalg.vecdot", LA.vecdot, arrays((2, 3), (3,)), lambda x, y: (x * y).sum(-1)),
    Row("kron", tw.kron, several(((2, 2), (1, 3)), ((2,), (2, 2))), np.kron),
    Row(
        "cross",
        tw.cross,
        several(((2, 3), (2, 3)), ((3, 2), (3, 1))),
        lambda x, y: np.cross(x.T, y.T).T if x.shape[0] == 3 else np.cross(x, y),
    ),
    Row("linalg.cross", LA.cross, arrays((2, 3), (1, 3)), np.cross),
    Row("tensordot", tw.tensordot, several(((2, 3), (2, 3))), lambda x, y: np.tensordot(x, y, 2)),
    Row(
        "tensordot[dims]",
        lambda x, y: tw.tensordot(x, y, ([0, 2], [1, 0])),
        arrays((2, 2, 3), (3, 2)),
        lambda x, y: np.tensordot(x, y, ([0, 2], [1, 0])),
    ),
)


def summed(equation, *shapes):
    return Row(
        f"einsum[{equation}]",
        lambda *xs: tw.einsum(equation, *xs),
        arrays(*shapes),
        lambda *xs: np.einsum(equation, *xs),
    )


EINSUM = (
    summed("ij,jk->ik", (2, 3), (3, 2)),
    summed("ij,jk", (2, 3), (3, 2)),
    summed("ii", (3, 3)),
    summed("ii->i", (3, 3)),
    summed("iij->ji", (2, 2, 3)),
    summed("i,j->ij", (2,), (3,)),
    summed("bij,bjk->bik", (2, 2, 2), (2, 2, 1)),
    summed("...ij,jk->...ik", (2, 2, 3), (3, 1)),
    summed("i...->...", (2, 3)),
    summed("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
    summed("ij,ij->", (2, 3), (2, 3)),
    summed("ij,k->k", (2, 2), (3,)),
    summed("bi,oij,bj->bo", (2, 2), (1, 2, 3), (2, 3)),
    Row(
        "einsum[lists]",
        lambda x, y: tw.einsum(x, [0, 1], y, [1, ...], [..., 0]),
        arrays((2, 3), (3, 2)),
        lambda x, y: np.einsum("ij,jk->ki", x, y),
    ),
)

FACTORS = (
    Row(
        "linalg.cholesky",
        lambda a: LA.cholesky(positive(a)),
        several(((3, 3),), ((2, 2, 2),)),
        lambda a: np.linalg.cholesky(positive(a)),
    ),
    Row(
        "linalg.cholesky[upper]",
        lambda a: LA.cholesky(positive(a), upper=True),
        arrays((3, 3)),
        lambda a: np.linalg.cholesky(positive(a), upper=True),
    ),
    Row(
        "cholesky_solve",
        lambda b, a: tw.cholesky_solve(b, LA.cholesky(positive(a))),
        arrays((3, 2), (3, 3)),
        lambda b, a: np.linalg.solve(positive(a), b),
    ),
    Row(
        "cholesky_inverse",
        lambda a: tw.cholesky_inverse(LA.cholesky(positive(a))),
        arrays((3, 3)),
        lambda a: np.linalg.inv(positive(a)),
    ),
    Row("linalg.lu_factor", lambda a: LA.lu_factor(a).LU, good((3, 3)), lambda a: sl.lu_factor(a)[0]),
    Row("linalg.lu_factor[wide]", lambda a: LA.lu_factor(a).LU, arrays((2, 3))),
    Row("linalg.lu_factor[tall]", lambda a: LA.lu_factor(a).LU, arrays((2, 3, 2))),
    Row("linalg.lu", lambda a: LA.lu(a), good((3, 3)), sl.lu),
    Row(
        "linalg.lu_solve", lambda a, b: LA.lu_solve(*LA.lu_factor(a), b), good((3, 3), rest=((3, 2),)), np.linalg.solve
    ),
    Row("linalg.qr", lambda a: tuple(LA.qr(a)), several(((3, 2),), ((2, 3, 3),), ((2, 3),)), np.linalg.qr, rtol=1e-9),
)

SYSTEMS = (
    Row("linalg.solve", LA.solve, good((3, 3), rest=((3,),)), np.linalg.solve),
    Row("linalg.solve[batches]", LA.solve, good((2, 2, 2), (2, 2), rest=((2, 2, 1),)), np.linalg.solve),
    Row(
        "linalg.solve[right]",
        lambda a, b: LA.solve(a, b, left=False),
        good((3, 3), rest=((2, 3),)),
        lambda a, b: b @ np.linalg.inv(a),
    ),
    Row("linalg.solve_triangular", LA.solve_triangular, triangles, triangle_reference),
    Row(
        "triangular_solve",
        lambda b, a: tw.triangular_solve(b, a, transpose=True).solution,
        arrays((3, 2), (3, 3)),
        lambda b, a: np.linalg.solve(np.triu(a).T, b),
        rtol=1e-8,
    ),
    Row("linalg.inv", LA.inv, good((3, 3), (2, 2, 2)), np.linalg.inv),
    Row(
        "linalg.tensorinv",
        lambda a: LA.tensorinv(a, ind=1),
        lambda rng: [sample((rng.uniform(-1, 1, (4, 4)) + 2 * np.eye(4)).reshape(4, 2, 2))],
        lambda a: np.linalg.tensorinv(a, ind=1),
        rtol=1e-8,
    ),
    Row(
        "linalg.tensorsolve",
        LA.tensorsolve,
        lambda rng: [sample((rng.uniform(-1, 1, (4, 4)) + 2 * np.eye(4)).reshape(2, 2, 4), rng.uniform(-1, 1, (2, 2)))],
        np.linalg.tensorsolve,
        rtol=1e-8,
    ),
    Row("linalg.det", LA.det, good((3, 3), (2, 2, 2), (1, 1)), np.linalg.det),
    Row(
        "linalg.det[singular]",
        LA.det,
        lambda rng: [sample(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.5, -1.0, 2.0]]))],
    ),
    Row("linalg.slogdet", lambda a: LA.slogdet(a).logabsdet, good((3, 3)), lambda a: np.linalg.slogdet(a)[1]),
    Row("logdet", lambda a: tw.logdet(positive(a)), arrays((3, 3)), lambda a: np.linalg.slogdet(positive(a))[1]),
    Row(
        "linalg.lstsq",
        lambda a, b: LA.lstsq(a, b).solution,
        several(((4, 2), (4, 1)), ((2, 3), (2, 2)), ((3, 2), (3,))),
        lambda a, b: np.linalg.lstsq(a, b)[0],
    ),
    Row(
        "linalg.lstsq[residuals]",
        lambda a, b: LA.lstsq(a, b, driver="gelsd")[:2],
        arrays((4, 2), (4, 2)),
        lambda a, b: np.linalg.lstsq(a, b)[:2],
    ),
    Row("linalg.pinv", LA.pinv, several(((3, 2),), ((2, 2, 3),)), np.linalg.pinv),
    Row(
        "linalg.pinv[hermitian]",
        lambda a: LA.pinv(symmetric(a), hermitian=True),
        arrays((3, 3)),
        lambda a: np.linalg.pinv(symmetric(a)),
        rtol=1e-8,
    ),
    Row("linalg.cond", LA.cond, good((3, 3)), np.linalg.cond),
    Row("linalg.cond[1]", lambda a: LA.cond(a, 1), good((3, 3)), lambda a: np.linalg.cond(a, 1)),
    Row(
        "linalg.matrix_rank",
        LA.matrix_rank,
        lambda rng: [sample(Constant(np.ones((3, 2)))), sample(Constant(np.eye(3)))],
        lambda a: np.asarray(np.linalg.matrix_rank(a)),
        differentiable=False,
    ),
)

SPECTRA = (
    Row(
        "linalg.eigh",
        lambda a: (lambda r: (r[0], r[1] ** 2))(LA.eigh(symmetric(a))),
        several(((3, 3),), ((2, 2, 2),)),
        lambda a: (lambda r: (r[0], r[1] ** 2))(np.linalg.eigh(symmetric(a))),
        rtol=1e-9,
        rtol32=1e-4,
    ),
    Row(
        "linalg.eigh[upper]",
        lambda a: LA.eigh(symmetric(a), "U")[0],
        arrays((3, 3)),
        lambda a: np.linalg.eigh(symmetric(a))[0],
        rtol=1e-9,
    ),
    Row(
        "linalg.eigvalsh",
        lambda a: LA.eigvalsh(symmetric(a)),
        arrays((3, 3)),
        lambda a: np.linalg.eigvalsh(symmetric(a)),
        rtol=1e-9,
    ),
    Row("linalg.svdvals", LA.svdvals, several(((3, 2),), ((2, 2, 2),)), lambda a: np.linalg.svd(a, compute_uv=False)),
    Row(
        "linalg.svd",
        lambda a: (lambda u, s, vh: (u**2, s, vh**2, u[..., :1] @ vh[..., :1, :]))(*LA.svd(a, False)),
        several(((3, 2),), ((2, 3),), ((2, 2, 2),)),
        lambda a: (lambda u, s, vh: (u**2, s, vh**2, u[..., :1] @ vh[..., :1, :]))(*np.linalg.svd(a, False)),
        rtol=1e-9,
        rtol32=1e-4,
    ),
    Row("linalg.svd[full]", lambda a: LA.svd(a)[1], arrays((3, 2)), lambda a: np.linalg.svd(a)[1]),
    Row(
        "svd",
        lambda a: (lambda u, s, v: (s, u @ v.mT))(*tw.svd(a)),
        arrays((3, 2)),
        lambda a: (lambda u, s, vh: (s, u @ vh))(*np.linalg.svd(a, False)),
        rtol=1e-9,
    ),
)

NORMS = (
    Row("linalg.vector_norm", LA.vector_norm, ordered, lambda x, p: np.linalg.norm(x.ravel(), p)),
    Row(
        "linalg.vector_norm[dim]",
        lambda x: LA.vector_norm(x, 2, -1, True),
        arrays((2, 3)),
        lambda x: np.linalg.norm(x, axis=-1, keepdims=True),
    ),
    Row("linalg.vector_norm[0]", lambda x: LA.vector_norm(x, 0), arrays((2, 3)), lambda x: np.float64(x.size)),
    *(
        Row(
            f"linalg.matrix_norm[{p}]",
            lambda a, p=p: LA.matrix_norm(a, p),
            arrays((2, 3)),
            lambda a, p=p: np.linalg.norm(a, p),
            rtol=1e-9,
        )
        for p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    ),
    Row("linalg.norm", LA.norm, several(((3,),), ((2, 3),)), np.linalg.norm),
    Row("cdist", tw.cdist, distances, lambda x, y, p: distance.cdist(x, y, "minkowski", p=p), rtol=1e-9),
    Row(
        "linalg.norm[quotient]",
        lambda x, y: quotient(x, y),
        lambda rng: [sample(rng.uniform(-1, 1, (2, 3)), rng.uniform(1, 2, (2, 3)))],
        np.divide,
        inputs=2,
    ),
)

POWERS = (
    Row(
        "linalg.matrix_power",
        LA.matrix_power,
        lambda rng: [sample(rng.uniform(-1, 1, (2, 2)) + 2 * np.eye(2), n) for n in (0, 1, 2, 5, -2)],
        np.linalg.matrix_power,
    ),
    Row("matrix_exp", tw.matrix_exp, several(((3, 3),), ((2, 2, 2),)), sl.expm),
    Row(
        "matrix_exp[large]",
        tw.matrix_exp,
        lambda rng: [sample(rng.uniform(-1, 1, (2, 2, 2)) * np.array([9.0, 0.1])[:, None, None])],
        sl.expm,
        rtol32=2e-4,
    ),
    Row("linalg.vander", LA.vander, arrays((2, 3)), lambda x: x[..., None] ** np.arange(3)),
    Row("linalg.vander[N]", lambda x: LA.vander(x, N=4), arrays((2,)), lambda x: np.vander(x, 4, increasing=True)),
)

ROWS = (*PRODUCTS, *EINSUM, *FACTORS, *SYSTEMS, *SPECTRA, *NORMS, *POWERS)
