"""Linear algebra where it is delicate: coinciding and vanishing values, singular and empty matrices, batches."""

import numpy as np
import pytest

import thalweg as tw

LA = tw.linalg


def gradient(function, array):
    x = tw.from_numpy(np.array(array, np.float64)).requires_grad_()
    function(x).backward()
    return x.grad.numpy()


def hessian(function, array):
    return tw.func.hessian(function)(tw.from_numpy(np.array(array, np.float64))).numpy()


B = np.random.default_rng(3).normal(size=(3, 3))


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (lambda a: (LA.eigvalsh(a) ** 2).sum(), np.eye(3), 2 * np.eye(3)),
        (lambda a: LA.svdvals(a).sum(), np.eye(3), np.eye(3)),
        (lambda a: (LA.svdvals(a) ** 2).sum(), 0 * np.eye(3), 0 * np.eye(3)),
        (lambda a: LA.norm(a, "nuc"), np.diag([2.0, 2.0, 1.0]), np.eye(3)),
        (lambda a: LA.norm(a), np.zeros((3, 3)), np.zeros((3, 3))),
        (lambda a: LA.vector_norm(a, 1), np.zeros((3, 3)), np.zeros((3, 3))),
        (lambda a: LA.det(a), np.diag([0.0, 2.0, 3.0]), np.diag([6.0, 0.0, 0.0])),
        (lambda a: LA.det(a), np.diag([0.0, 0.0, 3.0]), np.zeros((3, 3))),
        (lambda a: LA.pinv(a).sum(), 2 * np.eye(3), np.full((3, 3), -0.25)),
    ],
    ids=["eigvalsh", "svdvals", "svdvals-zero", "nuclear", "norm-zero", "norm-1-zero", "det", "det-rank-1", "pinv"],
)
def test_gradients_where_values_coincide_or_vanish(function, at, expected):
    np.testing.assert_allclose(gradient(function, at), expected, atol=1e-12)


def test_the_polar_factor_has_its_exact_gradient_where_singular_values_coincide():
    def polar(a):
        u, _, vh = LA.svd(a, full_matrices=False)
        return ((u @ vh) * B).sum()

    # The polar factor of I + E is I plus half the antisymmetric part of 2E, to first order: E - Eᵀ, halved.
    np.testing.assert_allclose(gradient(polar, np.eye(3)), (B - B.T) / 2, atol=1e-12)


def test_a_projector_on_a_space_of_coinciding_eigenvalues_has_a_gradient():
    def projected(a):
        v = LA.eigh(a).eigenvectors[:, :2]
        return ((v @ v.mT) * B).sum()

    at = np.diag([1.0, 1.0, 3.0])
    g = gradient(projected, at)
    e = np.random.default_rng(0).normal(size=(3, 3))
    e = (e + e.T) / 2
    h = 1e-5
    value = lambda a: projected(tw.from_numpy(a)).item()
    np.testing.assert_allclose((g * e).sum(), (value(at + h * e) - value(at - h * e)) / (2 * h), rtol=1e-6)


def test_second_derivatives_of_a_singular_determinant():
    at = np.array([[1.0, 2.0], [2.0, 4.0]])
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_allclose(hessian(LA.det, at), expected, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: LA.inv(tw.zeros(2, 2)),
        lambda: LA.solve(tw.ones(2, 2), tw.ones(2)),
        lambda: LA.cholesky(-tw.eye(2)),
        lambda: LA.lu_factor(tw.zeros(2, 2)),
        lambda: LA.eigh(tw.tensor([[float("nan"), 0.0], [0.0, 1.0]])),
    ],
    ids=["inv", "solve", "cholesky", "lu_factor", "eigh"],
)
def test_what_has_no_answer_is_a_linalg_error(call):
    with pytest.raises(LA.LinAlgError, match="matrix") as info:
        call()
    assert isinstance(info.value, RuntimeError)
    assert isinstance(info.value, tw.errors.ThalwegError)


def test_the_error_names_the_matrix_of_the_batch():
    stack = tw.stack([tw.eye(2), tw.zeros(2, 2)])
    with pytest.raises(LA.LinAlgError, match="matrix 1 of the batch is singular"):
        LA.inv(stack)


def test_codes_instead_of_errors():
    stack = tw.stack([tw.eye(2), -tw.eye(2)])
    assert LA.cholesky_ex(stack).info.tolist() == [0, 1]
    assert LA.inv_ex(tw.zeros(2, 2)).info.item() == 1
    assert LA.solve_ex(2 * tw.eye(2), tw.ones(2)).result.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0)])
def test_empty_matrices(shape):
    a = tw.zeros(*shape)
    for function in (LA.inv, LA.cholesky, LA.eigvalsh, LA.pinv, tw.matrix_exp):
        assert 0 in function(a).shape
    assert (LA.det(a) == 1).all()
    assert LA.matrix_rank(a).sum() == 0


def test_a_tall_stack_of_systems_broadcasts():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(3, 3)) + 3 * np.eye(3), rng.normal(size=(4, 3, 2))
    x = tw.from_numpy(a).requires_grad_()
    LA.solve(x, tw.from_numpy(b)).sum().backward()
    inverse = np.linalg.inv(a)
    expected = -sum(inverse.T @ np.ones((3, 2)) @ (inverse @ k).T for k in b)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (lambda a: LA.solve(a, a), "LinalgSolveExBackward0"),
        (lambda a: LA.inv(a), "LinalgInvExBackward0"),
        (lambda a: LA.cholesky(a), "LinalgCholeskyExBackward0"),
        (lambda a: LA.eigh(a)[0], "LinalgEighBackward0"),
        (lambda a: LA.svdvals(a), "LinalgSvdBackward0"),
        (lambda a: LA.qr(a)[0], "LinalgQrBackward0"),
        (lambda a: LA.det(a), "LinalgDetBackward0"),
        (lambda a: LA.slogdet(a)[1], "LinalgSlogdetBackward0"),
        (lambda a: LA.vector_norm(a), "LinalgVectorNormBackward0"),
        (lambda a: tw.matrix_exp(a), "LinalgMatrixExpBackward0"),
        (lambda a: tw.addmm(a, a, a), "AddmmBackward0"),
        (lambda a: a @ a, "MmBackward0"),
    ],
)
def test_nodes_have_the_known_names(value, name):
    assert value(tw.eye(2).requires_grad_()).grad_fn.name() == name


def test_einsum_refuses_what_it_cannot_read():
    x = tw.ones(2, 3)
    for args in (("ij->ik", x), ("i", x), ("ij,", x), ("ij->ii", x), ("i1", x), ("ij,jk", x, x)):
        with pytest.raises(RuntimeError, match="einsum"):
            tw.einsum(*args)
    with pytest.raises(ValueError, match="at least one operand"):
        tw.einsum("ij")


def test_a_chain_of_matrices_is_multiplied_in_the_cheapest_order():
    from thalweg.ops.linalg_products import _best_splits

    assert _best_splits([10, 100, 5, 50])[0][2] == 1  # (AB)C: 7,500 multiplications; A(BC) takes 75,000
