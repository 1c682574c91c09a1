"""Descent under constraints reaches the known solutions, with the right multipliers, and says how it ended."""

import numpy as np
import pytest

from thalweg import constraints as c
from thalweg.errors import ArgumentError

RNG = np.random.default_rng(0)
M = RNG.normal(size=(8, 5))
B = RNG.normal(size=8)


def least_squares(x):
    r = M @ x - B
    return (r * r).sum() / 2


@pytest.mark.parametrize("accelerated", [False, True])
@pytest.mark.parametrize("lr", [None, 0.02])
def test_projected_gradient_satisfies_its_variational_inequality(accelerated, lr):
    s = c.Simplex(1.0)
    r = c.projected_gradient(least_squares, np.zeros(5), s, accelerated=accelerated, lr=lr, max_iter=20_000, tol=1e-13)
    assert r.success, r.message
    assert s.contains(r.x)
    corners = np.eye(5)
    assert ((corners - r.x) @ r.grad).min() > -1e-6


@pytest.mark.parametrize("accelerated", [False, True])
def test_proximal_gradient_solves_the_lasso(accelerated):
    t = 0.7
    r = c.proximal_gradient(
        least_squares, np.zeros(5), lambda v, lr: c.prox_l1(v, t * lr), regularizer=lambda x: x.abs().sum() * t,
        accelerated=accelerated, max_iter=20_000, tol=1e-13,
    )  # fmt: skip
    assert r.success
    on = np.abs(r.x) > 1e-9
    np.testing.assert_allclose(r.grad[on], -t * np.sign(r.x[on]), atol=1e-5)
    assert (np.abs(r.grad[~on]) <= t + 1e-6).all()
    assert r.fun == pytest.approx(0.5 * ((M @ r.x - B) ** 2).sum() + t * np.abs(r.x).sum())


def test_acceleration_takes_fewer_steps():
    steps = [
        c.projected_gradient(least_squares, np.zeros(5), c.L2Ball(0.3), accelerated=a, max_iter=50_000, tol=1e-12).nit
        for a in (False, True)
    ]
    assert steps[1] <= steps[0]


a, b = np.array([1.0, 2.0, -1.0]), 3.0


def half_square(x):
    return (x * x).sum() / 2


def test_quadratic_penalty_leaves_the_violation_that_theory_says():
    for mu in (1.0, 10.0, 100.0):
        x = np.linalg.solve(np.eye(3) + mu * np.outer(a, a), mu * b * a)

        def total(t, mu=mu):
            return half_square(t) + c.quadratic_penalty((t * a).sum() - b, mu)

        from thalweg.minimize import minimize

        found = minimize(total, np.zeros(3), method="newton").x
        np.testing.assert_allclose(found, x, atol=1e-9)
        assert b - a @ found == pytest.approx(b / (1 + mu * a @ a))


def test_l1_penalty_is_exact_beyond_the_multiplier():
    multiplier = b / (a @ a)
    x_star = multiplier * a
    for weight, exact in ((multiplier * 1.1, True), (multiplier * 0.9, False)):
        line = np.linspace(0, 1.2, 1201)[:, None] * x_star
        values = [float(half_square(p) + weight * abs(a @ p - b)) for p in line]
        assert bool(abs(line[int(np.argmin(values))] - x_star).max() < 1e-2) is exact


def test_augmented_lagrangian_contracts_the_multiplier_error():
    mu, star = 2.0, -b / (a @ a)
    seen = []

    def inner(total, x):
        from thalweg.minimize import minimize

        return minimize(total, x, method="newton")

    nu = 0.0
    for _ in range(4):
        x = np.linalg.solve(np.eye(3) + mu * np.outer(a, a), (mu * b - nu) * a)
        nu += mu * (a @ x - b)
        seen.append(abs(nu - star))
    ratios = np.array(seen[1:]) / np.array(seen[:-1])
    np.testing.assert_allclose(ratios, 1 / (1 + mu * a @ a), rtol=1e-9)
    r = c.augmented_lagrangian(half_square, np.zeros(3), eq=lambda x: (x * a).sum() - b, weight=mu, inner=inner)
    assert r.success
    np.testing.assert_allclose(r.x, b * a / (a @ a), atol=1e-7)
    np.testing.assert_allclose(r.multipliers_eq, [star], atol=1e-6)


def test_inequalities_report_active_and_slack_multipliers():
    def c_in(x):
        return x - np.array([1.0, 5.0])  # x1 <= 1 is active, x2 <= 5 is not

    r = c.augmented_lagrangian(lambda x: ((x - 2) ** 2).sum(), np.zeros(2), ineq=c_in)
    assert r.success
    np.testing.assert_allclose(r.x, [1, 2], atol=1e-6)
    np.testing.assert_allclose(r.multipliers_ineq, [2, 0], atol=1e-5)
    d = c.lagrangian(lambda x: ((x - 2) ** 2).sum(), np.zeros(2), ineq=c_in, lr=0.1)
    assert d.success
    np.testing.assert_allclose(d.multipliers_ineq, [2, 0], atol=1e-5)


def test_log_barrier():
    import thalweg as tw

    x = tw.tensor([0.5], requires_grad=True)
    v = c.log_barrier(x - 1, 2.0)
    v.backward()
    assert v.item() == pytest.approx(-2 * np.log(0.5), rel=1e-6)
    assert x.grad.item() == pytest.approx(4.0)
    assert c.log_barrier(tw.tensor([0.0])).item() == np.inf


def test_endings_and_misuse():
    r = c.lagrangian(lambda x: -(x * x).sum(), np.ones(2), eq=lambda x: x[0] - 3, lr=10.0)
    assert r.status == 2
    assert "Diverged" in r.message
    r = c.projected_gradient(least_squares, np.zeros(5), c.Box(), lr=1e-6, max_iter=3)
    assert (r.status, r.nit, r.success) == (1, 3, False)
    with pytest.raises(ArgumentError, match="at least one of eq"):
        c.augmented_lagrangian(half_square, np.zeros(3))
    with pytest.raises(ArgumentError, match="lr"):
        c.projected_gradient(half_square, np.zeros(3), c.Box(), lr=-1)
    with pytest.raises(ArgumentError, match="'eq'"):
        c.quadratic_penalty(np.ones(2), kind="le")
