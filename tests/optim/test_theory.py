"""What theory says about the methods: contraction, stability, stationary noise, first steps, counterexamples."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

from .table import params_of

pytestmark = pytest.mark.usefixtures("float64_default")


def quadratic(eigenvalues, start=None):
    """Return a parameter on ``½ Σ λ x²`` and a function that takes one step of an optimizer there."""
    lam = np.asarray(eigenvalues, float)
    (x,) = params_of([np.ones_like(lam) if start is None else np.asarray(start, float)])

    def step(optimizer):
        x.grad = tw.tensor(lam * x.detach().numpy())
        optimizer.step()
        return x.detach().numpy()

    return x, step


def rate(eigenvalues, steps=400, **settings):
    """Return the asymptotic factor per step of SGD on a quadratic."""
    x, step = quadratic(eigenvalues)
    optimizer = optim.SGD([x], **settings)
    for _ in range(steps):
        step(optimizer)
    middle = np.linalg.norm(x.detach().numpy())
    for _ in range(steps):
        step(optimizer)
    end = np.linalg.norm(x.detach().numpy())
    return (end / middle) ** (1 / steps) if middle > 0 else 0.0


def test_gradient_descent_contracts_by_one_minus_lr_lambda():
    x, step = quadratic([0.1, 1, 10, 19], np.ones(4))
    optimizer = optim.SGD([x], lr=0.1)
    for t in range(1, 21):
        np.testing.assert_allclose(step(optimizer), [0.99**t, 0.9**t, 0.0, (-0.9) ** t], atol=1e-12)


def grows(eigenvalue, **settings):
    x, step = quadratic([eigenvalue])
    optimizer = optim.SGD([x], **settings)
    sizes = [abs(float(step(optimizer)[0])) for _ in range(3000)]
    return max(sizes[-50:]) > max(sizes[:50])


@pytest.mark.parametrize("lam", [0.2, 4.0])
def test_stability_limits(lam):
    """0.99 of the limit converges, 1.01 diverges: gradient descent 2, heavy ball 2+2β, Nesterov (2+2β)/(1+2β)."""
    for beta in (0.0, 0.5, 0.9):
        heavy = (2 + 2 * beta) / lam
        assert not grows(lam, lr=0.99 * heavy, momentum=beta)
        assert grows(lam, lr=1.01 * heavy, momentum=beta)
        if beta:
            ahead = (2 + 2 * beta) / (1 + 2 * beta) / lam
            assert not grows(lam, lr=0.99 * ahead, momentum=beta, nesterov=True)
            assert grows(lam, lr=1.01 * ahead, momentum=beta, nesterov=True)


def test_best_parameters_give_the_best_rates():
    mu, big = 0.2, 4.0
    kappa = big / mu
    assert rate([mu, big], lr=2 / (mu + big)) == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-6)
    root = math.sqrt(kappa)
    beta = ((root - 1) / (root + 1)) ** 2
    best = (2 / (math.sqrt(big) + math.sqrt(mu))) ** 2
    assert (best, beta) == (pytest.approx(0.667907, abs=1e-6), pytest.approx(0.402605, abs=1e-6))
    # the roots coincide there, so the factor approaches its limit only like t^(1/t)
    assert rate([mu, big], lr=best, momentum=beta) == pytest.approx((root - 1) / (root + 1), abs=4e-3)
    nesterov = (root - 1) / (root + 1)
    assert rate([mu, big], lr=1 / big, momentum=nesterov, nesterov=True) == pytest.approx(1 - 1 / root, abs=4e-3)


def test_spectral_radii_of_heavy_ball():
    """Two runs from independent starts give the matrix of the iteration; its radius is the printed one."""
    table = {
        (0.4, 0.5): (0.774, 0.707),
        (0.6, 0.5): (0.707, 0.707),
        (0.6, 0.25): (0.828, 0.859),
        (0.6, 0.0): (0.880, 1.400),
    }
    for (lr, beta), expected in table.items():
        for lam, radius in zip((0.2, 4.0), expected, strict=True):
            columns = []
            for v, x in ((1.0, 0.0), (0.0, 1.0)):
                state = {"momentum_buffer": np.array(v)}
                settings = optim.SGD.Settings(lr, beta or 1e-300, 0, 0, False, False, "lr_outside")
                x, new = optim.SGD.update(np.array(x), np.array(lam * x), state, settings, 0)
                columns.append([float(new["momentum_buffer"]), float(x)])
            found = np.abs(np.linalg.eigvals(np.array(columns).T)).max()
            assert found == pytest.approx(radius, abs=6e-4)


def test_nesterov_is_narrower_than_heavy_ball():
    x, step = quadratic([0.2, 4.0], [-5, -2])
    optimizer = optim.SGD([x], lr=0.4, momentum=0.5, nesterov=True)
    for _ in range(20):
        end = step(optimizer)
    np.testing.assert_allclose(end, [-0.109296, -44.663927], atol=5e-7)


def test_stationary_noise_of_sgd():
    """On x1² + 2 x2² with noise of variance 1 and lr .1, the standard deviations are 1/6 and 1/8."""
    rng, lam, n = np.random.default_rng(0), np.array([2.0, 4.0]), 20000
    (x,) = params_of([np.zeros((n, 2))])
    optimizer = optim.SGD([x], lr=0.1)
    for _ in range(60):
        x.grad = tw.tensor(lam * x.detach().numpy() + rng.normal(size=(n, 2)))
        optimizer.step()
    np.testing.assert_allclose(x.detach().numpy().std(axis=0), [1 / 6, 1 / 8], rtol=0.02)
    np.testing.assert_allclose(np.sqrt(0.1 / (lam * (2 - 0.1 * lam))), [1 / 6, 1 / 8], rtol=1e-3)


def test_stationary_noise_of_sgld():
    """On λx²/2 the variance is 1/(λ(1 - lr λ/4))."""
    for lam, lr in ((1.0, 0.5), (2.0, 0.3)):
        (x,) = params_of([np.zeros(40000)])
        optimizer = optim.SGLD([x], lr=lr, generator=tw.Generator().manual_seed(1))
        for _ in range(60):
            x.grad = tw.tensor(lam * x.detach().numpy())
            optimizer.step()
        assert x.detach().numpy().var() == pytest.approx(1 / (lam * (1 - lr * lam / 4)), rel=0.03)


@pytest.mark.parametrize("g", [1e-6, 0.3, -40.0])
def test_first_steps(g):
    def first(cls, **settings):
        (x,) = params_of([np.array(0.0)])
        x.grad = tw.tensor(g)
        cls([x], **settings).step()
        return abs(x.item())

    a = abs(g)
    assert first(optim.Adam, lr=0.1) == pytest.approx(0.1 * a / (a + 1e-8), rel=1e-6)
    assert first(optim.RMSprop, lr=0.1, eps=0) == pytest.approx(0.1 / math.sqrt(1 - 0.99), rel=1e-9)
    assert first(optim.Adagrad, lr=0.1, eps=0) == pytest.approx(0.1, rel=1e-9)
    if a > 0.1:
        assert first(optim.Adadelta) == pytest.approx(math.sqrt(1e-6 / (1 - 0.9)), rel=1e-3)


def test_adagrad_steps_like_one_over_root_t():
    (x,) = params_of([np.array(0.0)])
    optimizer, before = optim.Adagrad([x], lr=0.3, eps=0), 0.0
    for t in range(1, 20):
        x.grad = tw.tensor(2.0)
        optimizer.step()
        assert before - x.item() == pytest.approx(0.3 / math.sqrt(t), rel=1e-9)
        before = x.item()


def test_adam_diverges_where_yogi_and_amsgrad_converge():
    """On [-1, 1] with gradient 3 every third step and -1 else, the best point is -1. Reddi et al. 2018."""
    ends = {}
    for cls, settings in ((optim.Adam, {}), (optim.Yogi, {}), (optim.AMSGrad, {})):
        (x,) = params_of([np.array(0.0)])
        inner = cls([x], lr=0.5, betas=(0.0, 0.1), **settings)
        optimizer = optim.Constrain(inner, lambda p: p.clip(-1, 1))
        schedule = optim.lr_scheduler.InversePolynomialLR(inner, beta=1.0, alpha=0.5)
        for t in range(1, 6001):
            x.grad = tw.tensor(3.0 if t % 3 == 1 else -1.0)
            optimizer.step()
            schedule.step()
        ends[cls] = x.item()
    assert ends[optim.Adam] > 0.99
    assert ends[optim.Yogi] < -0.98
    assert ends[optim.AMSGrad] < -0.98


def test_exponential_average_weights():
    """Weights (1-β)βⁱ sum to 1-βᵗ, which is what Adam's correction divides by."""
    for beta in (0.5, 0.9, 0.999):
        settings = optim.Adam.Settings(0.0, (beta, 0.5), 0.0, 0, False, False, False)
        state = optim.Adam.init(np.array(0.0), settings)
        for t in range(1, 30):
            _, state = optim.Adam.update(np.array(0.0), np.array(1.0), state, settings, float(t))
            assert state["exp_avg"] == pytest.approx(1 - beta**t, rel=1e-12)


def test_clipping_is_the_projection_onto_the_ball():
    """Exactly: a norm above the radius becomes the radius, one below stays as it is."""
    (x,) = params_of([np.zeros(2)])
    optimizer = optim.ClipNorm(optim.SGD([x], lr=1.0), 1.0)
    x.grad = tw.tensor([3.0, 4.0])
    optimizer.step()
    np.testing.assert_allclose(x.detach().numpy(), [-0.6, -0.8], rtol=2e-16)
    assert x.grad.tolist() == [3.0, 4.0]
    assert optimizer.last_norm == 5.0
