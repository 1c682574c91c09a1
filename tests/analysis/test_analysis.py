"""Analysis against theory and against problems whose curvature is known."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import analysis as a
from thalweg.errors import ArgumentError
from thalweg.problems import bbob, classic, functions, least_squares
from thalweg.problems.function import quadratic

PROBLEMS = [getattr(m, n)() for m in (functions, classic, least_squares) for n in m.__all__]
SMOOTH = [p for p in PROBLEMS if p.name != "ackley"]


@pytest.mark.parametrize("p", SMOOTH, ids=lambda p: p.name)
def test_minimisers(p):
    f = tw.minimize.objective.Objective(p.function, (p.dimension,))
    for x in p.minimisers:
        x = np.array(x)
        scale = max(1.0, np.abs(f.hessian(x)).max())
        assert np.abs(f.grad(x)).max() < 1e-8 * scale
        assert f.value(x) == pytest.approx(p.optimum, abs=1e-8)


@pytest.mark.parametrize("p", [p for p in SMOOTH if p.eigenvalues], ids=lambda p: p.name)
def test_eigenvalues(p):
    values = a.spectrum(p.function, p.minimisers[0])
    np.testing.assert_allclose(values, sorted(p.eigenvalues), rtol=1e-6, atol=1e-15 * max(p.eigenvalues))
    assert a.largest_stable_lr(values[-1]) == pytest.approx(2 / max(p.eigenvalues), rel=1e-6)
    kappa = max(p.eigenvalues) / min(p.eigenvalues)
    if kappa < 1e8:  # beyond, rounding decides the smallest
        assert a.condition_number(values) == pytest.approx(kappa, rel=1e-6)


def test_the_cusp_has_its_value():
    p = classic.ackley()
    assert p.evaluate(np.zeros((2, 1)))[0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("p", SMOOTH, ids=lambda p: p.name)
def test_critical_points_are_what_they_are_said_to_be(p):
    for c in p.critical:
        assert a.classify(p.function, c.x).kind == c.kind
        if c.value is not None:
            assert p.evaluate(np.array(c.x)[:, None])[0] == pytest.approx(c.value, rel=1e-8, abs=1e-8)
        if c.eigenvalues:
            np.testing.assert_allclose(a.spectrum(p.function, c.x), sorted(c.eigenvalues), rtol=1e-6)
    if p.eigenvalues and min(p.eigenvalues) > 1e-6 * max(p.eigenvalues):
        assert a.classify(p.function, p.minimisers[0]).kind == "minimum"


@pytest.mark.parametrize("p", PROBLEMS, ids=lambda p: p.name)
def test_arrays_and_tensors_agree(p):
    x = np.random.default_rng(0).uniform(0.1, 1, size=(p.dimension, 3))
    np.testing.assert_allclose(p.function(tw.tensor(x)).numpy(), p.evaluate(x), rtol=1e-12)


@pytest.mark.parametrize("d", [2, 5, 20])
@pytest.mark.parametrize("number", bbob.TITLES)
def test_bbob(number, d):
    p = bbob.bbob(number, d)
    x = np.array(p.minimisers[0])
    assert (np.abs(x) <= 5).all()
    assert p.evaluate(x[:, None])[0] == pytest.approx(p.optimum, abs=1e-6)
    near = x[:, None] + 0.3 * np.random.default_rng(0).normal(size=(d, 200))
    assert (p.evaluate(near) >= p.optimum - 1e-9).all()
    assert bbob.bbob(number, d).optimum == p.optimum
    assert bbob.bbob(number, d, 2).minimisers != p.minimisers


def test_himmelblau_has_nine_critical_points():
    found = a.critical_points(functions.himmelblau().function, [-5, -5], [5, 5])
    assert sorted(p.kind for p in found) == ["maximum"] + ["minimum"] * 4 + ["saddle"] * 4
    top = found[-1]
    np.testing.assert_allclose(top.x, (-0.2708445907, -0.9230385565), atol=1e-6)
    np.testing.assert_allclose(top.eigenvalues, (-45.605, -16.066), atol=1e-3)


def test_degenerate_points_are_not_guessed():
    assert a.classify(lambda x: (x**4).sum(), [0.0]).kind == "degenerate"
    assert a.classify(lambda x: x[0] ** 2 + 0 * x[1], [0.0, 1.0]).kind == "degenerate"
    assert a.classify(lambda x: (x * x).sum(), [1.0]).kind == "not critical"


@pytest.mark.parametrize("kappa", [1, 10, 100, 1e4])
@pytest.mark.parametrize("d", [2, 10, 100])
def test_quadratics_of_chosen_spectrum(kappa, d):
    values = np.geomspace(1, kappa, d)
    p = quadratic(values, seed=3)
    np.testing.assert_allclose(a.spectrum(p.function, np.ones(d)), values, rtol=1e-8)
    assert a.largest_stable_lr(a.spectrum(p.function, np.ones(d))[-1]) == pytest.approx(2 / kappa, rel=0.01)
    if kappa in (10, 100) and d == 2:
        report = a.stability_report(p.function, np.zeros(d), momentum=0.5)
        for r in report:
            assert r.run == pytest.approx(r.theory, rel=0.01), str(r)


def test_lanczos_finds_both_ends():
    rng = np.random.default_rng(0)
    m = rng.normal(size=(80, 80))
    m = m + m.T
    values = np.linalg.eigvalsh(m)
    r = a.lanczos(lambda v: m @ v, 80)
    np.testing.assert_allclose([r.smallest, r.largest], values[[0, -1]], rtol=1e-9)
    few = a.lanczos(lambda v: m @ v, 80, steps=30)
    assert few.products == 30
    assert abs(few.largest - values[-1]) <= few.residuals[-1] + 1e-9


def test_lanczos_on_a_network_agrees_with_its_dense_hessian():
    tw.manual_seed(0)
    model = tw.nn.Sequential(tw.nn.Linear(12, 8), tw.nn.Tanh(), tw.nn.Linear(8, 4)).double()
    x = tw.tensor(np.random.default_rng(1).normal(size=(40, 12)))
    y = tw.tensor(np.random.default_rng(2).integers(0, 4, 40))
    last = list(model.parameters())[2:]
    product, n = a.hessian_product(lambda: tw.nn.functional.cross_entropy(model(x), y), last)
    dense = np.array([product(row) for row in np.eye(n)])
    np.testing.assert_allclose(dense, dense.T, atol=1e-10)
    values = np.linalg.eigvalsh(dense)
    r = a.lanczos(product, n)
    np.testing.assert_allclose([r.smallest, r.largest], values[[0, -1]], atol=1e-6)


@pytest.mark.parametrize(
    ("lr", "beta", "radii"),
    [(0.4, 0.5, (0.774, 0.707)), (0.6, 0.5, (0.707, 0.707)), (0.6, 0.25, (0.828, 0.859)), (0.6, 0.0, (0.880, 1.400))],
)
def test_spectral_radii(lr, beta, radii):
    found = [a.spectral_radius(lr, beta, e) for e in (0.2, 4.0)]
    np.testing.assert_allclose(found, radii, atol=5e-4)


def test_best_settings():
    gd = a.best_settings(0.2, 4.0)
    assert (round(gd["lr"], 6), round(gd["rate"], 6)) == (0.47619, 0.904762)
    assert a.best_settings(0.2, 4.0, "nesterov")["rate"] == pytest.approx(0.776393, abs=1e-6)
    hb = a.best_settings(0.2, 4.0, "heavy_ball")
    worst = max(a.spectral_radius(hb["lr"], hb["momentum"], e) for e in (0.2, 4.0))
    assert worst == pytest.approx(hb["rate"], abs=1e-6)


def test_convergence_orders():
    linear = 0.7 ** np.arange(40)
    assert a.convergence_order(linear).rate == pytest.approx(0.7)
    e = [0.3]
    for _ in range(5):
        e.append(0.9 * e[-1] ** 2)
    assert a.convergence_order(e).order == pytest.approx(2, abs=0.02)
    e = [0.5]
    for _ in range(4):
        e.append(e[-1] ** 3)
    assert a.convergence_order(e).order == pytest.approx(3, abs=0.02)


def test_jensen():
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert a.jensen_gap(lambda v: v.exp().sum(), x) > 0
    assert a.jensen_gap(lambda v: -(v * v).sum(), x) < 0
    assert a.jensen_gap(lambda v: 3 * v.sum() + 1, x) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ArgumentError, match="weights"):
        a.jensen_gap(lambda v: v.sum(), x, np.ones(50))


def test_gradient_noise_scale():
    """Gradient of ½(w - x)² with x ~ N(0, s²): mean w, variance s² a sample."""
    rng = np.random.default_rng(0)
    w = tw.tensor([2.0], dtype=tw.float64, requires_grad=True)
    batches = [tw.tensor(rng.normal(scale=3.0, size=8)) for _ in range(4000)]
    noise = a.gradient_noise(lambda b: ((w - b) ** 2).mean() / 2, [w], batches, 8)
    assert noise.norm == pytest.approx(2.0, rel=0.03)
    assert noise.scale == pytest.approx(9 / 4, rel=0.1)


def test_vanishing_gradients():
    tw.manual_seed(0)
    layers = []
    for _ in range(12):
        layers += [tw.nn.Linear(10, 10), tw.nn.Sigmoid()]
    deep = tw.nn.Sequential(*layers)
    x = tw.ones(4, 10)
    report = a.vanishing_gradients(deep, lambda: (deep(x) ** 2).mean())
    assert report[0].verdict == "vanishing"
    assert report[-1].verdict == "ok"
    shallow = tw.nn.Linear(10, 1)
    assert all(r.verdict == "ok" for r in a.vanishing_gradients(shallow, lambda: (shallow(x) ** 2).mean()))


def test_slices_put_everything_back():
    tw.manual_seed(0)
    model = tw.nn.Linear(3, 2)
    before = [p.detach().numpy().copy() for p in model.parameters()]
    x = tw.ones(5, 3)

    def loss():
        return (model(x) ** 2).mean()

    s = a.loss_slice(loss, list(model.parameters()), points=5)
    assert s.values[2] == pytest.approx(loss().item(), rel=1e-6)
    plane = a.loss_plane(loss, list(model.parameters()), points=3)
    assert plane.values.shape == (3, 3)

    def fails():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        a.loss_slice(fails, list(model.parameters()))
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), old)


def test_gershgorin_and_scaling():
    d = a.gershgorin([[4.0, 1.0], [1.0, 3.0]])
    assert (d.low, d.high) == (2.0, 5.0)
    turned = a.diagonal_preconditioning([[4.2, -3.8], [-3.8, 4.2]])
    assert turned["after"] == pytest.approx(20.0)
    with pytest.raises(ArgumentError, match="square"):
        a.gershgorin(np.ones((2, 3)))


def test_lanczos_may_stop_when_one_end_is_known():
    values = np.geomspace(1e-3, 50, 100)
    both = a.lanczos(lambda v: values * v, 100, tol=1e-6)
    for end, place in (("largest", -1), ("smallest", 0)):
        one = a.lanczos(lambda v: values * v, 100, tol=1e-6, end=end)
        assert one.values[place] == pytest.approx(values[place], abs=50e-6)
        assert one.products <= both.products
    with pytest.raises(ValueError, match="end must be"):
        a.lanczos(lambda v: v, 3, end="left")


def test_lanczos_on_the_last_layer_of_lenet_agrees_with_its_dense_hessian():
    from thalweg.problems.networks import lenet_module

    tw.manual_seed(0)
    model = lenet_module()
    rng = np.random.default_rng(0)
    x = tw.tensor(rng.random((32, 1, 28, 28), dtype=np.float32))
    y = tw.tensor(rng.integers(0, 10, 32))
    body, head = model[:-1].double(), model[-1].double()
    with tw.no_grad():
        seen = body(x.double())
    product, n = a.hessian_product(lambda: tw.nn.functional.cross_entropy(head(seen), y), list(head.parameters()))
    values = np.linalg.eigvalsh(np.array([product(row) for row in np.eye(n)]))
    found = a.lanczos(product, n, steps=200)
    np.testing.assert_allclose([found.smallest, found.largest], values[[0, -1]], atol=1e-6)
