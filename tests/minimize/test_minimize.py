"""minimize(): every method on functions with known answers, every way to stop, theory's orders, and SciPy."""

import numpy as np
import pytest
from scipy import optimize

import thalweg as tw
from thalweg.errors import ArgumentError, DTypeError, ShapeError
from thalweg.minimize import (
    METHODS,
    OWN_METHODS,
    Armijo,
    Bisection,
    Fixed,
    GoldenSection,
    StrongWolfe,
    bisection,
    golden_section,
    minimize,
)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quadratic(x):
    return 0.1 * x[0] ** 2 + 2 * x[1] ** 2


def beale(x):
    return (
        (1.5 - x[0] + x[0] * x[1]) ** 2 + (2.25 - x[0] + x[0] * x[1] ** 2) ** 2 + (2.625 - x[0] + x[0] * x[1] ** 3) ** 2
    )


def booth(x):
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def matyas(x):
    return 0.26 * (x * x).sum() - 0.48 * x[0] * x[1]


def mccormick(x):
    return (x[0] + x[1]).sin() + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1


def styblinski(x):
    return (x**4 - 16 * x**2 + 5 * x).sum() / 2


def zakharov(x):
    k = tw.arange(1, x.shape[0] + 1, dtype=tw.float64)
    s = (0.5 * k * x).sum()
    return (x * x).sum() + s**2 + s**4


def logsum(x):
    return tw.exp(x).sum().log() + (x * x).sum()


PROBLEMS = [
    (rosenbrock, [-1.2, 1.0]), (rosenbrock, [1.2, 1.0, 0.5, 0.8]), (rosenbrock, [0.0] * 10), (quadratic, [-5.0, -2.0]),
    (beale, [1.0, 1.0]), (booth, [-5.0, 5.0]), (himmelblau, [0.0, 0.0]), (himmelblau, [-3.0, -3.0]), (matyas, [8.0, -6.0]),
    (mccormick, [0.0, 0.0]), (styblinski, [-2.0, -2.0]), (styblinski, [2.0] * 5), (zakharov, [1.0, -1.0]),
    (zakharov, [0.5] * 4), (logsum, [1.0, 2.0, 3.0]), (logsum, [-1.0] * 6),
    (lambda x: ((x - 1) ** 4).sum() + ((x - 1) ** 2).sum(), [3.0, -2.0]), (lambda x: (x * x).sum() + x.cos().sum(), [2.0, 1.0]),
    (lambda x: tw.log(1 + x * x).sum() + 0.1 * (x * x).sum(), [0.7, -0.4]), (lambda x: tw.sqrt(1 + x * x).sum(), [3.0, -4.0]),
]  # fmt: skip


@pytest.mark.parametrize("method", ["bfgs", "l-bfgs-b", "cg-scipy", "newton-cg", "trust-exact"])
@pytest.mark.parametrize("k", range(len(PROBLEMS)))
def test_shared_methods_agree_with_scipy_and_need_fewer_evaluations(method, k):
    fun, x0 = PROBLEMS[k]
    ours = minimize(fun, x0, method=method)

    def value(x):
        return float(fun(tw.tensor(x)).item())

    name = {"cg-scipy": "CG"}.get(method, method)
    if method in ("bfgs", "l-bfgs-b", "cg-scipy"):
        theirs = optimize.minimize(value, x0, method=name)
        assert ours.nfev < theirs.nfev
        assert ours.fun <= theirs.fun + 1e-6
    else:
        exact = optimize.minimize(value, x0, method="BFGS")
        assert ours.fun == pytest.approx(exact.fun, abs=1e-5)


@pytest.mark.parametrize("method", ["newton", "damped-newton", "abs-newton", "cg", "gd"])
@pytest.mark.parametrize("k", [3, 5, 8, 12, 14, 16])
def test_own_methods_reach_the_minimum(method, k):
    fun, x0 = PROBLEMS[k]
    best = minimize(fun, x0, method="bfgs", tol=1e-10)
    r = minimize(fun, x0, method=method, options={"maxiter": 5000})
    assert r.success, r.message
    np.testing.assert_allclose(r.x, best.x, atol=1e-4)


@pytest.mark.parametrize("search", [0.4, "bisection", "golden", "armijo", "wolfe", Fixed(0.3), StrongWolfe(), Armijo()])
def test_searches(search):
    r = minimize(quadratic, [-5.0, -2.0], method="gd", line_search=search, options={"maxiter": 2000, "gtol": 1e-6})
    assert r.success, r.message


def test_exact_line_search_zigzags_as_theory_says():
    gamma = 10.0

    def f(x):
        return (x[0] ** 2 + gamma * x[1] ** 2) / 2

    for search in (Bisection(1e-14), GoldenSection(1e-10)):
        r = minimize(f, [gamma, 1.0], method="gd", line_search=search, options={"maxiter": 5, "return_all": True})
        np.testing.assert_allclose(r.allvecs[-1], (3.66647832, -0.36664783), atol=1e-5)
        assert len(r.allvecs) == 6


def test_line_searches_alone():
    star = (np.log(2) - 3) / 3
    x, steps = bisection(lambda t: np.exp(t) - 2 * np.exp(-2 * t - 3), -5, 5)
    assert x == pytest.approx(star, abs=1e-10)
    assert steps == pytest.approx(np.log2(10 / 1e-12), abs=3)
    y, more = golden_section(lambda t: np.exp(t) + np.exp(-2 * t - 3), -5, 5)
    assert y == pytest.approx(-0.768950939813, abs=1e-6)
    assert more > steps


def ratios(errors, order):
    e = np.abs(np.array(errors))
    return e[1:] / e[:-1] ** order


def path(fun, x0, steps, **more):
    r = minimize(fun, [x0], method="newton", options={"maxiter": steps, "gtol": 0.0, "return_all": True}, **more)
    return np.array(r.allvecs)[:, 0]


def test_newton_orders():
    w = 0.15 * np.pi

    def wave(x):
        return (x * (w * x).cos()).sum()

    xs = path(wave, 7.0, 4)
    star = path(wave, 7.27, 20)[-1]
    assert star == pytest.approx(7.269388, abs=1e-6)
    assert ratios(xs[:4] - star, 2)[-1] == pytest.approx(0.117532, rel=0.05)
    cosh = path(lambda x: (0.5 * x).cosh().sum(), 1.0, 4)
    assert ratios(cosh[:4], 3)[-1] == pytest.approx(1 / 12, rel=0.02)
    damped = path(wave, 7.2, 12, line_search=0.5)
    assert ratios(damped - star, 1)[-1] == pytest.approx(0.5, rel=0.02)


def test_newton_on_the_nonconvex_wave_goes_where_the_book_says():
    w = 0.15 * np.pi

    def wave(x):
        return (x * (w * x).cos()).sum()

    assert path(wave, 10.0, 10)[-1] == pytest.approx(26.834133, abs=1e-5)
    assert path(wave, 10.0, 10, line_search=0.5)[-1] == pytest.approx(7.26986, abs=1e-5)
    down = minimize(wave, [10.0], method="abs-newton", line_search="armijo")
    assert down.success
    assert down.fun <= -6.97


def test_diagonal_scaling_helps_only_along_the_axes():
    steps = {}
    for name, f in (("axes", quadratic), ("turned", lambda x: 0.1 * (x[0] + x[1]) ** 2 + 2 * (x[0] - x[1]) ** 2)):
        r = minimize(f, [-5.0, -2.0], method="diagonal-abs-newton", line_search=0.9, options={"maxiter": 500})
        steps[name] = r.nit
        assert r.success
    assert steps["turned"] > 5 * steps["axes"]


def test_saddle_attracts_newton_and_repels_its_absolute_form():
    def saddle(x):
        return x[0] ** 2 - x[1] ** 2 + x[1] ** 4

    assert np.abs(minimize(saddle, [1.0, 0.1], method="newton").x).max() < 1e-6
    r = minimize(saddle, [1.0, 0.1], method="abs-newton")
    np.testing.assert_allclose(np.abs(r.x), [0, 0.5**0.5], atol=1e-6)


def residuals(x):
    return tw.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])


@pytest.mark.parametrize("method", ["gauss-newton", "levenberg-marquardt"])
def test_least_squares(method):
    r = minimize(residuals, [-1.2, 1.0], method=method, options={"return_all": True})
    assert r.success, r.message
    np.testing.assert_allclose(r.x, [1, 1], atol=1e-7)
    t = np.linspace(0, 2, 15)
    y = 1.3 * np.exp(-0.7 * t) + 0.2

    def fit(p):
        return p[0] * tw.exp(p[1] * t) + p[2] - y

    r = minimize(fit, [1.0, -1.0, 0.0], method=method)
    np.testing.assert_allclose(r.x, [1.3, -0.7, 0.2], atol=1e-6)
    assert r.residuals.shape == (15,)


ENDINGS = [
    ("gtol", "gd", {}, 0.4, 0), ("xtol", "gd", {"xtol": 1e-3, "gtol": 0}, 0.1, 1), ("ftol", "gd", {"ftol": 1e-3, "gtol": 0}, 0.1, 2),
    ("target", "gd", {"target": 1.0, "gtol": 0}, 0.1, 3), ("maxiter", "gd", {"maxiter": 3}, 0.1, 4),
    ("maxfev", "gd", {"maxfev": 5}, 0.1, 5), ("diverged", "gd", {"maxiter": 10**4}, 10.0, 8),
]  # fmt: skip


@pytest.mark.parametrize(("why", "method", "options", "search", "status"), ENDINGS)
def test_every_way_to_stop(why, method, options, search, status):
    r = minimize(quadratic, [-5.0, -2.0], method=method, options=options, line_search=search)
    assert r.status == status, r.message
    assert r.success == (status < 4)
    assert r.message.endswith(".")


def test_the_other_ways_to_stop():
    r = minimize(lambda x: tw.log(x).sum(), [1e-3], method="gd", line_search=1.0)
    assert r.status == 7
    r = minimize(lambda x: (x**3).sum() * 0 + x.sum(), [1.0], method="newton")
    assert r.status == 9
    assert "singular" in r.message
    r = minimize(lambda x: x.abs().sum() + 0 * x.sum(), [0.5, 0.25], method="cg", options={"maxiter": 50})
    assert r.status in (0, 1, 4, 6)
    seen = []
    r = minimize(
        quadratic, [1.0, 1.0], method="gd", callback=lambda x: seen.append(x) or len(seen) == 2, line_search=0.1
    )
    assert (r.status, r.nit, len(seen)) == (99, 2, 2)

    def by_name(intermediate_result):
        raise StopIteration

    assert minimize(quadratic, [1.0, 1.0], method="gd", callback=by_name).status == 99
    assert minimize(quadratic, [1.0, 1.0], method="bfgs", callback=lambda x: True).nit == 1


def test_given_derivatives_are_used():
    calls = []

    def jac(x):
        calls.append("jac")
        return np.array([0.2, 4.0]) * x.numpy()

    r = minimize(quadratic, [1.0, 1.0], method="newton", jac=jac, hess=lambda x: np.diag([0.2, 4.0]))
    assert r.success
    assert calls


def test_shapes_and_bounds():
    r = minimize(lambda x: ((x - tw.eye(2, dtype=tw.float64)) ** 2).sum(), np.zeros((2, 2)), method="newton")
    assert r.x.shape == r.jac.shape == (2, 2)
    r = minimize(quadratic, [3.0, 3.0], bounds=[(1, 4), (2, 4)])
    np.testing.assert_allclose(r.x, [1, 2])
    assert r.method == "l-bfgs-b"
    r = minimize(quadratic, [3.0, 3.0], constraints={"type": "eq", "fun": lambda x: x[0] + x[1] - 1})
    assert r.x.sum() == pytest.approx(1)


MISUSE = [
    (lambda: minimize(quadratic, [1.0, 1.0], method="newtno"), ArgumentError, "Did you mean 'newton'"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="gd", options={"gtl": 1}), ArgumentError, "gtol"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="gd", options={"gtol": -1}), ArgumentError, ">= 0"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="gd", line_search="exact"), ArgumentError, "line_search"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="bfgs", line_search=0.1), ArgumentError, "SciPy"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="gd", bounds=[(0, 1)] * 2), ArgumentError, "bounds"),
    (lambda: minimize(lambda x: x, [1.0, 1.0], method="gd"), ShapeError, "one element"),
    (lambda: minimize(lambda x: "no", [1.0, 1.0], method="gd"), DTypeError, "tensor"),
    (lambda: minimize(quadratic, ["a"], method="gd"), DTypeError, "x0"),
    (lambda: minimize(quadratic, [1.0, 1.0], method="momentum", options={"momentum": 1.5}), ArgumentError, r"\[0, 1\)"),
]


@pytest.mark.parametrize("k", range(len(MISUSE)))
def test_misuse(k):
    call, kind, match = MISUSE[k]
    with pytest.raises(kind, match=match):
        call()


def test_every_own_method_is_run_here_and_described():
    assert set(OWN_METHODS) < set(METHODS)
    for name in OWN_METHODS:
        fun = residuals if name in ("gauss-newton", "levenberg-marquardt") else quadratic
        lr = 0.1 if name in ("momentum", "nesterov") else None
        r = minimize(fun, [-1.0, 1.0], method=name, line_search=lr, options={"maxiter": 2000})
        assert r.success, (name, r.message)
