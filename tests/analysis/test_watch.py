"""What is measured along a run: against eigenvalues, known limits and known noise."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import analysis, optim
from thalweg.errors import ArgumentError

EIGENVALUES = np.array([0.2, 1.0, 4.0])


def quadratic(x):
    return 0.5 * (tw.tensor(EIGENVALUES) * x * x).sum()


def watched(make, steps=30, start=(1.0, -1.0, 1.0), **more):
    x = tw.tensor(list(start), dtype=tw.float64, requires_grad=True)
    optimizer = make([x])

    def step():
        optimizer.zero_grad()
        quadratic(x).backward()
        optimizer.step()

    return analysis.watch(step, optimizer, lambda: quadratic(x), steps, **more), optimizer, x


SGD_LIMITS = [
    ({"lr": 0.1}, 20.0),
    ({"lr": 0.1, "momentum": 0.5}, 30.0),
    ({"lr": 0.1, "momentum": 0.5, "dampening": 0.5}, 60.0),
    ({"lr": 0.1, "momentum": 0.5, "nesterov": True}, 15.0),
]


@pytest.mark.parametrize(("settings", "limit"), SGD_LIMITS)
def test_gradient_descent_and_momentum_against_their_limits(settings, limit):
    seen, _, _ = watched(lambda p: optim.SGD(p, **settings))
    assert seen.late("sharpness") == pytest.approx(4.0)
    assert seen.late("limit") == pytest.approx(limit)
    assert seen.late("share") == pytest.approx(4.0 / limit)


RULES = [
    lambda p, f: optim.SGD(p, lr=0.5 * f),
    lambda p, f: optim.SGD(p, lr=0.5 * f, momentum=0.5),
    lambda p, f: optim.SGD(p, lr=0.5 * f, momentum=0.5, dampening=0.2),
    lambda p, f: optim.SGD(p, lr=0.5 * f, momentum=0.6, nesterov=True),
    lambda p, f: optim.Adagrad(p, lr=0.5 * f, initial_accumulator_value=1e12, eps=0.0),
    lambda p, f: optim.RMSprop(p, lr=0.5 * f, alpha=1.0, eps=1.0),
    lambda p, f: optim.RMSprop(p, lr=0.5 * f, alpha=1.0, eps=1.0, momentum=0.5),
    lambda p, f: optim.Adadelta(p, lr=0.5 * f, rho=1.0, eps=1e-3),
    lambda p, f: optim.Adam(p, lr=0.5 * f, betas=(0.5, 0.0), eps=1e9),
]


@pytest.mark.parametrize("make", RULES)
def test_the_limit_is_where_runs_begin_to_grow(make):
    """With the scaling held (nearly) fixed, steps shrink just below the limit that the method names, and grow above."""
    seen, _, _ = watched(lambda p: make(p, 1.0), steps=2)
    factor = 1 / seen.moments[-1].share  # at this multiple of the rate the run is at the edge

    def growth(f):  # from so near that the scaling does not feel it
        x = tw.tensor([1e-12, -1e-12, 1e-12], dtype=tw.float64, requires_grad=True)
        optimizer = make([x], f)
        for _ in range(400):
            optimizer.zero_grad()
            quadratic(x).backward()
            optimizer.step()
        return abs(x[2].item()) / 1e-12

    assert growth(0.97 * factor) < 1.0
    assert growth(1.03 * factor) > 2.0


def test_adam_scales_the_hessian():
    seen, optimizer, x = watched(lambda p: optim.Adam(p, lr=0.01), steps=50)
    state = optimizer.state[x]
    assert seen.moments[0].step == 0
    assert math.isnan(seen.moments[0].scaled)  # no second moment yet
    scale = np.sqrt(state["exp_avg_sq"].numpy()) / math.sqrt(1 - 0.999 ** float(state["step"])) + 1e-8
    assert seen.moments[-1].scaled == pytest.approx((EIGENVALUES / scale).max(), rel=0.02)  # one step earlier
    assert seen.late("limit") == pytest.approx(2 * 1.9 / 0.1 / 0.01)


def test_groups_with_rates_of_their_own():
    a = tw.tensor([1.0], dtype=tw.float64, requires_grad=True)
    b = tw.tensor([1.0], dtype=tw.float64, requires_grad=True)
    optimizer = optim.SGD([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.01}])

    def loss():
        return (2.0 * a * a + 50.0 * b * b).sum() / 2  # eigenvalues 2 and 50: 0.1 and 0.25 of their limits

    def step():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    assert analysis.watch(step, optimizer, loss, 8).late("share") == pytest.approx(0.25)


def test_wrappers_are_looked_through_and_other_methods_have_no_limit():
    seen, _, _ = watched(lambda p: optim.EMA(optim.ClipNorm(optim.SGD(p, lr=0.1), 100.0)))
    assert seen.late("share") == pytest.approx(0.2)
    seen, _, _ = watched(lambda p: optim.Lion(p, lr=0.01))
    assert math.isnan(seen.late("share"))
    assert "no stability limit of this method is known" in seen.sentences()[0]


@pytest.mark.parametrize(
    ("lr", "words"),
    [
        (0.49, "at the edge of stability"),
        (0.3, "below the edge"),
        (0.02, "far below the edge"),
        (0.02, "25 times the learning rate"),
    ],
)
def test_what_is_said_of_the_rate(lr, words):
    seen, _, _ = watched(lambda p: optim.SGD(p, lr=lr))
    assert words in seen.sentences()[0]
    assert seen.sentences()[1].startswith("Every step used the whole objective")


def noisy(batch, spread, rows=4096, lr=0.05):
    """A mean to be found: the gradient of one row is x - row, so the noise scale is spread² / |x - mean|²."""
    rng = np.random.default_rng(0)
    data = 3.0 + spread * rng.standard_normal(rows)
    x = tw.tensor([2.0], dtype=tw.float64, requires_grad=True)
    optimizer = optim.SGD([x], lr=lr)

    def of(picked):
        return 0.5 * ((x - tw.tensor(data[picked])) ** 2).mean()

    def step():
        optimizer.zero_grad()
        of(rng.integers(0, rows, batch)).backward()
        optimizer.step()

    def batches():
        return [lambda k=rng.integers(0, rows, batch): of(k) for _ in range(24)]

    return analysis.watch(step, optimizer, lambda: of(slice(None)), 12, batches=batches, batch=batch, rows=rows)


@pytest.mark.parametrize(
    ("batch", "spread", "words"),
    [(8, 5.0, "limited by noise"), (256, 0.2, "limited by curvature"), (16, 200.0, "any batch")],
)
def test_what_is_said_of_the_noise(batch, spread, words):
    assert words in noisy(batch, spread).sentences()[1]


def test_the_noise_scale_is_that_of_the_data():
    first = noisy(64, 2.0).moments[0]
    assert first.noise_scale == pytest.approx(4.0, rel=0.7)
    assert 0 < first.length < 0.1


def test_steps_of_gradient_descent_point_downhill():
    seen, _, _ = watched(lambda p: optim.SGD(p, lr=0.01))
    assert all(m.cosine == pytest.approx(1.0) for m in seen.moments)
    assert seen.moments[0].length == pytest.approx(0.01 * np.linalg.norm(EIGENVALUES) / math.sqrt(3))


def test_a_run_that_diverges_ends_the_measurements():
    seen, _, _ = watched(lambda p: optim.SGD(p, lr=1e80), steps=20)
    assert len(seen.moments) < 8
    assert isinstance(seen.sentences()[0], str)


def test_watching_changes_nothing():
    _, _, x = watched(lambda p: optim.Adam(p, lr=0.05), steps=20)
    y = tw.tensor([1.0, -1.0, 1.0], dtype=tw.float64, requires_grad=True)
    optimizer = optim.Adam([y], lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        quadratic(y).backward()
        optimizer.step()
    assert x.tolist() == y.tolist()


def test_what_is_refused():
    with pytest.raises(ArgumentError, match="at least one step"):
        watched(lambda p: optim.SGD(p, lr=0.1), steps=0)


def test_lanczos_goes_on_from_a_vector():
    a = np.diag(np.linspace(1, 2, 200))
    cold = analysis.lanczos(lambda v: a @ v, 200, tol=1e-6, end="largest")
    warm = analysis.lanczos(lambda v: a @ v, 200, tol=1e-6, end="largest", start=cold.vector)
    assert warm.largest == pytest.approx(2.0)
    assert warm.products < cold.products / 4
    with pytest.raises(ArgumentError, match="start must be a vector of length 200"):
        analysis.lanczos(lambda v: a @ v, 200, start=np.zeros(200))
