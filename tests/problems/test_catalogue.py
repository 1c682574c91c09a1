"""Every named problem is what it says: gradients, values, eigenvalues, critical points, curvature of the data."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import thalweg as tw
from thalweg import data, problems
from thalweg.analysis import classify
from thalweg.problems import PROBLEMS, NoisyProblem, find, with_replacement
from thalweg.problems.function import FunctionProblem

AIRFOIL = Path(__file__).resolve().parents[3] / "shared" / "data"
FUNCTIONS = [e.name for e in PROBLEMS if e.kind == "function"]
DATA = [e.name for e in PROBLEMS if e.kind == "data" and e.name not in ("airfoil", "lenet")]
CUSPS = ("ackley", "bbob_f13", "bbob_f14", "bbob_f13_d5", "bbob_f14_d5")  # not differentiable at the minimiser

# minimum, condition number and largest stable rate, computed with 30 digits
KNOWN = {
    "sphere": (0, 1, 1), "booth": (0, 9, 0.1111111), "matyas": (0, 25, 2), "rosenbrock": (0, 2508.01, 0.001996804),
    "beale": (0, 162.4733, 0.04083317), "himmelblau": (0, 3.199764, 0.02430598),
    "styblinski_tang": (-78.33233141, 1, 0.05783178), "rastrigin": (0, 1, 0.005040524),
    "three_hump_camel": (0, 2.783612, 0.4530818), "six_hump_camel": (-1.031628453, 2.146922, 0.1212621),
    "goldstein_price": (3, 2.395965, 0.002072176), "mccormick": (-1.913222955, 2.309401, 0.5),
    "branin": (0.3978873577, 25.87564, 0.08971933), "freudenstein_roth": (0, 1285.705, 0.0005363225),
    "dixon_price": (0, 20.51375, 0.05519725), "levy13": (0, 89.82644, 0.01113258), "zakharov": (0, 2.25, 0.4444444),
    "griewank": (0, 1.999, 1.999), "easom": (-1, 1, 0.6666667),
}  # fmt: skip


def made(name):
    problem = find(name).make()
    assert isinstance(problem, FunctionProblem)
    return problem


def gradient(problem, x):
    instance = problem.at(x)
    instance.loss().backward()
    return instance.parameters[0].grad.numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_its_minimisers_and_values(name):
    problem = made(name)
    assert problem.name == name
    assert problem.minimisers
    for x in problem.minimisers:
        value = problem.at(x).loss().item()
        assert value == pytest.approx(problem.optimum, abs=1e-11)
        assert problem.evaluate(np.array(x)[:, None])[0] == pytest.approx(value, abs=1e-11)
        if name not in CUSPS:
            assert np.abs(gradient(problem, x)).max() < 1e-8
        assert all(low <= v <= high for v, (low, high) in zip(x, problem.domain, strict=True))
    for x in problem.starts:
        assert problem.at(x).loss().item() >= problem.optimum
    if problem.eigenvalues and name != "powell_badly_scaled":
        found = np.linalg.eigvalsh(problem._hessian(np.array(problem.minimisers[0])))
        np.testing.assert_allclose(found, problem.eigenvalues, rtol=1e-6, atol=1e-15 * found[-1])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_points_at_once_are_points_one_by_one(name):
    problem = made(name)
    low, high = np.array(problem.domain).T
    points = (low + (high - low) * np.random.default_rng(1).random((4, problem.dimension))).T
    one_by_one = [problem.at(x).loss().item() for x in points.T]
    np.testing.assert_allclose(problem.evaluate(points), one_by_one, rtol=1e-10)
    assert (problem.evaluate(points) >= problem.optimum - 1e-9).all()


@pytest.mark.parametrize("name", KNOWN)
def test_minimum_condition_number_and_stable_rate(name):
    problem = made(name)
    smallest, condition, limit = KNOWN[name]
    assert problem.optimum == pytest.approx(smallest, abs=1e-8)
    assert problem.curvature().condition == pytest.approx(condition, rel=1e-6)
    assert problem.curvature().limit == pytest.approx(limit, rel=1e-6)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if find(n).make().critical])
def test_listed_critical_points_are_of_their_kind(name):
    problem = made(name)
    for point in problem.critical:
        assert np.abs(gradient(problem, point.x)).max() < 1e-8
        assert classify(problem.function, point.x).kind == point.kind
        if point.value is not None:
            assert problem.at(point.x).loss().item() == pytest.approx(point.value, abs=1e-7)
        if point.eigenvalues:
            np.testing.assert_allclose(
                np.linalg.eigvalsh(problem._hessian(np.array(point.x))), point.eigenvalues, rtol=1e-6
            )


def test_what_cannot_be_seen_in_double_precision_is_known():
    assert made("powell_badly_scaled").curvature().condition == pytest.approx(6.881097e17, rel=1e-6)
    assert made("brown_badly_scaled").curvature().condition == pytest.approx(1e12, rel=1e-3)


def test_a_cusp_is_measured_where_the_function_has_a_hessian():
    for name in ("ackley", "bbob_f14", "bbob_f2"):
        curvature = made(name).curvature()
        assert curvature.where == "at a start"
        assert curvature.largest > 0
    unmeasurable = problems.expression("sqrt(x1**2 + x2**2)", start=(0.0, 0.0), domain=((-1e-320, 0.0),) * 2)
    assert not unmeasurable.curvature().largest > 0


@pytest.mark.parametrize("condition", [1, 10, 1e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("d", [2, 10, 100])
def test_quadratics_of_any_condition_number(condition, d):
    problem = problems.quadratic(np.geomspace(1, condition, d), seed=d)
    assert problem.curvature().limit == pytest.approx(2 / condition, rel=1e-6)
    if d <= 64:
        assert problem.curvature().condition == pytest.approx(condition, rel=1e-6)
    assert np.abs(gradient(problem, np.zeros(d))).max() == 0


# largest eigenvalue, smallest positive one, condition number of (X 1)ᵀ(X 1)/n, features standardised
TABLES = {
    "diabetes": (data.diabetes, 4.02421, 0.008561, 470.1, 0.49699),
    "wine": (data.wine, 4.70585, 0.1034, 45.52, 0.425),
    "breast_cancer": (data.breast_cancer, 13.2816, 0.000133, 9.98e4, 0.15058),
    "digits": (data.digits, 7.34069, 0.05035, 145.8, 0.27245),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_curvature_of_standardised_data(name):
    make, largest, smallest, condition, limit = TABLES[name]
    table = make()
    numbers = data.Table(name, table.X, table.y.astype(np.float64))
    curvature = problems.LinearRegression(name, numbers).curvature()
    assert curvature.largest == pytest.approx(largest, rel=1e-4)
    assert curvature.smallest == pytest.approx(smallest, rel=1e-2)
    assert curvature.condition == pytest.approx(condition, rel=1e-2)
    assert curvature.limit == pytest.approx(limit, rel=1e-4)
    if table.task == "classification":
        logistic = find(name).make()
        bound = 0.25 if logistic.outputs == 1 else 0.5
        assert logistic.smoothness() == pytest.approx(bound * largest + logistic.l2, rel=1e-4)


def test_the_curvature_of_raw_data():
    for make, scale, largest, condition in (
        (data.diabetes, 1, 73592.4, 5.24e7), (data.wine, 1, 6.66e5, 4.59e8), (data.breast_cancer, 1, 1.67e6, 2.377e12),
        (data.digits, 16, 11.4435, 7.1e6),
    ):  # fmt: skip
        table = make()
        raw = data.Table("raw", table.X / scale, table.y.astype(np.float64))
        curvature = problems.LinearRegression("raw", raw, standardize=False).curvature()
        assert curvature.largest == pytest.approx(largest, rel=1e-2)
        assert curvature.condition == pytest.approx(condition, rel=1e-2)


def test_the_curvature_of_airfoil(monkeypatch):
    if not (AIRFOIL / "airfoil_self_noise.dat").exists():
        pytest.skip("the airfoil data are not here")
    monkeypatch.setenv("THALWEG_DATA", str(AIRFOIL))
    problem = problems.airfoil()
    assert problem.curvature().limit == pytest.approx(0.953, abs=5e-4)
    assert problem.curvature().condition == pytest.approx(12.08, abs=5e-3)
    assert problem.optimum == pytest.approx(0.241688, abs=5e-7)
    np.testing.assert_allclose(problem.gram_eigenvalues, [0.1737, 0.6665, 0.9181, 1.0, 1.1262, 2.0985], atol=6e-5)


@pytest.mark.parametrize("name", DATA)
def test_a_data_problem_has_a_loss_that_batches_share(name):
    problem = find(name).make()
    one, two = (problem.instance(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.values(), two.values())
    assert sum(p.numel() for p in one.parameters) == problem.dimension
    whole = one.loss(*(tw.tensor(a) for a in problem.arrays))
    assert whole.item() == pytest.approx(problem.value(one), rel=1e-5)
    whole.backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in one.parameters)
    half = problem.rows // 2
    parts = [(one.loss(*(tw.tensor(a[k]) for a in problem.arrays)).item()) for k in (slice(0, half), slice(half, None))]
    mean = (parts[0] * half + parts[1] * (problem.rows - half)) / problem.rows
    assert mean == pytest.approx(problem.value(one), rel=1e-5)


def test_quadratic_deep_has_its_spectrum_and_its_minimum():
    problem = problems.QuadraticDeep()
    values = problem.eigenvalues
    assert (values[:90] < 1).all()
    assert ((values[90:] > 30) & (values[90:] < 60)).all()
    np.testing.assert_allclose(np.linalg.eigvalsh(problem.matrix), values, atol=1e-12)
    instance = problem.instance(np.random.default_rng(0))
    assert (instance.values() == 1).all()
    with tw.no_grad():
        instance.parameters[0].copy_(tw.tensor(problem.minimiser))
    assert problem.value(instance) == problem.optimum
    loss = instance.loss(*(tw.tensor(a) for a in problem.arrays))
    loss.backward()
    assert loss.item() == pytest.approx(problem.optimum)
    assert np.abs(instance.parameters[0].grad.numpy()).max() < 1e-12


def test_networks_start_from_their_generator_and_leave_the_librarys_alone():
    problem = problems.perceptron()
    assert problem.dimension == 64 * 32 + 32 + 32 * 10 + 10
    tw.manual_seed(5)
    expected = tw.rand(3).tolist()
    tw.manual_seed(5)
    problem.instance(np.random.default_rng(0))
    assert tw.rand(3).tolist() == expected
    assert problem.curvature().where == "at a start, over 256 rows"
    assert 0.1 < problem.curvature().largest < 100


def test_lenet(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
    labels = np.arange(40) % 10
    monkeypatch.setattr(
        data, "fashion_mnist", lambda: data.Table("fashion_mnist", images, labels, "classification", source="made")
    )
    problem = problems.lenet(20)
    assert problem.dimension == 61706
    assert [a.shape for a in problem.arrays] == [(20, 1, 28, 28), (20,)]
    assert problem.value(problem.instance(np.random.default_rng(0))) == pytest.approx(np.log(10), rel=0.02)
    with pytest.raises(ValueError, match="rows must be"):
        problems.lenet(41)


def test_noise_is_added_to_gradients_and_not_to_values():
    plain, noisy = problems.valley(), NoisyProblem(problems.valley(), 0.5)
    a, b = plain.instance(np.random.default_rng(2)), noisy.instance(np.random.default_rng(2))
    np.testing.assert_array_equal(a.values(), b.values())
    a.loss().backward()
    exact = a.parameters[0].grad.numpy()
    draws = []
    for _ in range(400):
        b.parameters[0].grad = None
        loss = b.loss()
        loss.backward()
        assert loss.item() == plain.value(a)
        draws.append(b.parameters[0].grad.numpy() - exact)
    draws = np.array(draws)
    assert np.abs(draws.mean(0)).max() < 4 * 0.5 / 20
    np.testing.assert_allclose(draws.std(0), 0.5, rtol=0.15)
    assert noisy.value(b) == plain.value(a)
    assert noisy.curvature() == plain.curvature()
    assert (noisy.smoothness(), noisy.scale()) == (plain.smoothness(), plain.scale())
    assert noisy.dimension == 2
    with pytest.raises(ValueError, match="noise must be a number > 0"):
        NoisyProblem(plain, 0.0)


def test_noise_on_data_and_sampling_with_replacement():
    problem = problems.LinearRegression("diabetes", data.diabetes())
    noisy = NoisyProblem(with_replacement(problem), 0.1)
    assert noisy.replacement
    assert not problem.replacement
    instance = noisy.instance(np.random.default_rng(0))
    assert noisy.value(instance) == problem.value(problem.instance(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="a function has none"):
        with_replacement(problems.valley())


@pytest.mark.skipif(importlib.util.find_spec("click") is None, reason="the laboratory is not installed")
def test_batches_with_and_without_replacement():
    from thalweg.lab.trial import Batches

    rows = (np.arange(100.0),)
    without = Batches(rows, 10, np.random.default_rng(0))
    seen = np.concatenate([without.next()[0].numpy() for _ in range(10)])
    assert sorted(seen) == list(range(100))
    with_ = Batches(rows, 10, np.random.default_rng(0), True)
    draws = np.concatenate([with_.next()[0].numpy() for _ in range(10)])
    assert len(draws) == 100
    assert 50 < len(set(draws)) < 80  # 63.4 are expected


def test_the_catalogue_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "problems.md").read_text()
    assert [e.name for e in PROBLEMS if f"`{e.name}`" not in page] == []
    for row in (line for line in page.splitlines() if line.startswith("| `")):
        name, *cells = (c.strip() for c in row.strip("|").split("|"))
        if len(cells) == 7:
            curvature = made(name.strip("`")).curvature()
            assert cells[5].removesuffix(" (start)") == f"{curvature.limit:.6g}"


def test_the_index_names_every_page():
    docs = Path(__file__).parents[2] / "docs"
    index = (docs / "README.md").read_text()
    assert [p.name for p in docs.glob("*.md") if p.name != "README.md" and f"({p.name})" not in index] == []
