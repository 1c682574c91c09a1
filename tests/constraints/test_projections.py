"""Projections and proximal operators: golden values, and the properties that make them what they are."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import constraints as c
from thalweg.errors import ArgumentError, ShapeError

GOLDEN = [
    ("l1", (3, -4), 1, (0, -1)),
    ("l1", (0.5, 0.5, 0.5), 1, (1 / 3, 1 / 3, 1 / 3)),
    ("l1", (2, 2), 1, (0.5, 0.5)),
    ("l1", (0.4, -0.3, 0.1), 1, (0.4, -0.3, 0.1)),
    ("l1", (1, 2, 3), 2, (0, 0.5, 1.5)),
    ("l1", (1, -1, 1, -1), 2, (0.5, -0.5, 0.5, -0.5)),
    ("simplex", (0.4, -0.3, 0.1), 1, (0.65, 0, 0.35)),
    ("l2", (3, 4), 1, (0.6, 0.8)),
    ("l2", (3, 4), 10, (3, 4)),
]
BY_NAME = {"l1": c.project_l1_ball, "l2": c.project_l2_ball, "simplex": c.project_simplex}


@pytest.mark.parametrize(("name", "x", "radius", "expected"), GOLDEN)
def test_golden_values(name, x, radius, expected):
    found = BY_NAME[name](np.array(x, float), radius)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


A = np.array([[1.0, 1, 0, 0, 0, 0], [0, 1, -1, 2, 0, 0]])
SETS = {
    "box": c.Box(-0.5, 1.0),
    "l2": c.L2Ball(1.3),
    "l2 moved": c.L2Ball(0.7, center=np.arange(6.0) / 6),
    "l1": c.L1Ball(1.5),
    "simplex": c.Simplex(2.0),
    "hyperplane": c.Hyperplane(np.arange(1.0, 7.0), 0.5),
    "halfspace": c.HalfSpace(np.arange(1.0, 7.0), -0.5),
    "affine": c.Affine(A, [0.3, -1.0]),
    "intersection": c.Intersection(c.L2Ball(1.0), c.HalfSpace(np.ones(6), 0.2), c.Box(-0.4, 0.9)),
}


def points(n, seed=0, scale=2.0):
    return np.random.default_rng(seed).normal(scale=scale, size=(n, 6))


@pytest.mark.parametrize("name", SETS)
def test_idempotent_non_expansive_and_nearest(name):
    s = SETS[name]
    x, y = points(40), points(40, 1)
    px, py = (np.array([s.project(row).numpy() for row in rows]) for rows in (x, y))
    for row in px:
        np.testing.assert_allclose(s.project(row).numpy(), row, atol=1e-6)
    assert (np.linalg.norm(px - py, axis=1) <= np.linalg.norm(x - y, axis=1) + 1e-9).all()
    # Nearest: the angle to every other point of a convex set is not acute.
    gaps = np.einsum("ik,ijk->ij", x - px, py[None] - px[:, None])
    assert gaps.max() <= 1e-6


@pytest.mark.parametrize("name", [n for n in SETS if n != "intersection"])
def test_batches_equal_rows(name):
    x = points(12).reshape(3, 4, 6)
    together = SETS[name].project(x).numpy()
    alone = np.array([[SETS[name].project(row).numpy() for row in rows] for rows in x])
    np.testing.assert_allclose(together, alone, atol=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_derivative(name):
    x = tw.tensor(points(1, 5)[0], requires_grad=True)
    assert tw.autograd.gradcheck(SETS[name].project, (x,), atol=1e-5)


@pytest.mark.parametrize("name", ["l1", "simplex"])
@pytest.mark.parametrize("n", [65, 1000])
def test_long_vectors_agree_with_sorting(name, n):
    x = np.random.default_rng(n).normal(size=n)
    long = BY_NAME[name](x, 3.0).numpy()
    by_sorting = BY_NAME[name](x[None], 3.0).numpy()[0]
    np.testing.assert_allclose(long, by_sorting, atol=1e-12)


@pytest.mark.parametrize("name", ["l1", "l2", "simplex"])
def test_edges(name):
    project = BY_NAME[name]
    with pytest.raises(ArgumentError, match=">= 0"):
        project(np.ones(3), -1.0)
    with pytest.raises(ShapeError):
        project(2.0, 1.0)
    np.testing.assert_array_equal(project(np.array([3.0, -1.0, 2.0]), 0.0).numpy(), np.zeros(3))
    np.testing.assert_allclose(np.abs(project(np.array([1e9, 1e9]), 1.0).numpy()).sum(), {"l2": 2**0.5}.get(name, 1.0))
    assert project(np.array([3, 1]), 1.0).dtype == tw.float32  # integers become the default type
    ties = project(np.array([2.0, 2.0, 2.0]), 1.0).numpy()
    assert np.ptp(ties) == 0
    zero = tw.zeros(3, requires_grad=True)
    project(zero, 1.0).sum().backward()
    assert np.isfinite(zero.grad.numpy()).all()


def test_entries_of_minus_infinity_go_to_zero_on_the_simplex():
    np.testing.assert_allclose(c.project_simplex(np.array([0.2, -np.inf, 0.4])).numpy(), [0.4, 0, 0.6])


def test_psd():
    m = np.random.default_rng(0).normal(size=(4, 4))
    p = c.PSD().project(m).numpy()
    np.testing.assert_allclose(p, p.T)
    assert np.linalg.eigvalsh(p).min() > -1e-10
    w, v = np.linalg.eigh((m + m.T) / 2)
    np.testing.assert_allclose(p, (v * np.maximum(w, 0)) @ v.T, atol=1e-10)


def test_gradient_clipping_is_the_projection_onto_a_ball():
    g = points(1)[0]
    theta = 0.7
    np.testing.assert_allclose(c.project_l2_ball(g, theta).numpy(), g * min(1, theta / np.linalg.norm(g)))


def test_affine_accepts_redundant_rows_and_refuses_contradictions():
    np.testing.assert_allclose(c.project_affine(np.zeros(2), [[1.0, 1], [2, 2]], [1.0, 2.0]).numpy(), [0.5, 0.5])
    with pytest.raises(ArgumentError, match="contradict"):
        c.project_affine(np.zeros(2), [[1.0, 1], [2, 2]], [1.0, 3.0])


def test_dykstra_finds_the_nearest_point_where_alternating_finds_some():
    x = np.array([2.0, 1.0])
    sets = [c.L2Ball(1.0), c.HalfSpace([0.0, 1.0], 0.0)]
    nearest = c.dykstra(x, sets).numpy()
    np.testing.assert_allclose(nearest, [1, 0], atol=1e-7)
    apart = [c.Hyperplane([1.0, 0], 0.0), c.Hyperplane([1.0, 0], 1.0)]
    with pytest.raises(ArgumentError, match="intersect"):
        c.dykstra(x, apart, max_rounds=50)


PROX = {
    "l1": (lambda x: c.prox_l1(x, 0.6), lambda u: 0.6 * np.abs(u).sum()),
    "l2": (lambda x: c.prox_l2(x, 0.6), lambda u: 0.6 * np.linalg.norm(u)),
    "squared": (lambda x: c.prox_squared_l2(x, 0.6), lambda u: 0.3 * u @ u),
    "group": (
        lambda x: c.prox_group(x, [[0, 2], [1, 5]], 0.6),
        lambda u: 0.6 * (np.hypot(u[0], u[2]) + np.hypot(u[1], u[5])),
    ),
}


@pytest.mark.parametrize("name", PROX)
def test_prox_minimises(name):
    prox, regularizer = PROX[name]
    rng = np.random.default_rng(3)
    for x in points(10, 2):
        u = prox(x).numpy()

        def objective(v, x=x):
            return regularizer(v) + 0.5 * ((v - x) ** 2).sum()

        best = objective(u)
        assert all(
            objective(u + rng.normal(scale=s, size=6)) >= best - 1e-12 for s in (1e-3, 0.1, 1.0) for _ in range(20)
        )


def test_moreau():
    """x = prox of t‖·‖₁ + projection onto the dual norm's ball of radius t; likewise for ‖·‖₂."""
    for x in points(20, 4):
        np.testing.assert_allclose(c.prox_l1(x, 0.8).numpy() + c.project_box(x, -0.8, 0.8).numpy(), x, atol=1e-12)
        np.testing.assert_allclose(c.prox_l2(x, 0.8).numpy() + c.project_l2_ball(x, 0.8).numpy(), x, atol=1e-12)


def test_prox_nuclear():
    m = np.random.default_rng(1).normal(size=(4, 3))
    s = np.linalg.svd(c.prox_nuclear(m, 0.9).numpy(), compute_uv=False)
    np.testing.assert_allclose(s, np.maximum(np.linalg.svd(m, compute_uv=False) - 0.9, 0), atol=1e-10)


@pytest.mark.parametrize("name", ["l1", "l2", "simplex", "affine", "box"])
def test_against_cvxpy(name):
    cp = pytest.importorskip("cvxpy")
    rules = {
        "l1": lambda v: [cp.norm1(v) <= 1.5],
        "l2": lambda v: [cp.norm2(v) <= 1.3],
        "simplex": lambda v: [v >= 0, cp.sum(v) == 2],
        "affine": lambda v: [A @ v == np.array([0.3, -1.0])],
        "box": lambda v: [v >= -0.5, v <= 1],
    }
    for x in points(4, 9):
        v = cp.Variable(6)
        cp.Problem(cp.Minimize(cp.sum_squares(v - x)), rules[name](v)).solve(solver=cp.CLARABEL)
        np.testing.assert_allclose(SETS[name].project(x).numpy(), v.value, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1.0, 1e3, 1e25])
def test_ball_of_any_size_recorded_or_not(scale):
    for x in points(5) * scale:
        plain = c.project_l2_ball(x, scale).numpy()
        recorded = c.project_l2_ball(tw.tensor(x, requires_grad=True), scale).detach().numpy()
        np.testing.assert_allclose(plain, recorded, rtol=1e-14)
        np.testing.assert_allclose(plain, x * min(1, scale / np.linalg.norm(x)), rtol=1e-14)
