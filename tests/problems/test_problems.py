"""Problems and what is known about them."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import data, problems
from thalweg.problems.curvature import largest_eigenvalue

HANDFUL = (
    problems.sphere, problems.valley, problems.booth, problems.matyas, problems.rosenbrock, problems.beale,
    problems.himmelblau,
)  # fmt: skip


def gradient(problem, x):
    instance = problem.at(x)
    instance.loss().backward()
    return instance.parameters[0].grad.numpy()


@pytest.mark.parametrize("make", HANDFUL)
def test_named_functions_have_their_minimisers_values_and_eigenvalues(make):
    problem = make()
    for x in problem.minimisers:
        assert np.abs(gradient(problem, x)).max() < 1e-6
        assert problem.evaluate(np.array(x)[:, None])[0] == pytest.approx(problem.optimum, abs=1e-12)
    eigenvalues = np.linalg.eigvalsh(problem._hessian(np.array(problem.minimisers[0])))
    np.testing.assert_allclose(eigenvalues, problem.eigenvalues, rtol=1e-6)
    curvature = problem.curvature()
    assert curvature.largest == pytest.approx(problem.eigenvalues[-1], rel=1e-6)
    assert curvature.limit == pytest.approx(2 / problem.eigenvalues[-1], rel=1e-6)


@pytest.mark.parametrize("make", HANDFUL[1:])
def test_the_formula_is_the_function(make):
    problem = make()
    f = problems.parse(problem.formula)
    points = np.random.default_rng(0).normal(size=(2, 20))
    np.testing.assert_allclose(f(points), problem.evaluate(points), rtol=1e-12)


def test_a_quadratic_is_known_for_one_and_others_are_not():
    assert problems.booth().curvature().exact
    assert problems.expression("x1**2 + x1*x2 + 4*x2**2").curvature().exact
    assert not problems.rosenbrock().curvature().exact
    assert problems.expression("x**4 + x").curvature().where == "at a start"
    assert problems.expression("2*x").curvature().largest == 0
    assert problems.expression("2*x").curvature().limit == float("inf")


def test_quadratics_of_a_chosen_spectrum():
    problem = problems.quadratic([1.0, 5.0, 100.0], seed=3)
    H = problem._hessian(np.ones(3))
    np.testing.assert_allclose(np.linalg.eigvalsh(H), [1, 5, 100], rtol=1e-12)
    assert abs(H[0, 1]) > 0.01
    assert problem.curvature().condition == pytest.approx(100)
    np.testing.assert_allclose(np.diag(problems.quadratic([1.0, 5.0], seed=None)._hessian(np.ones(2))), [1, 5])


def test_lanczos_finds_the_largest_eigenvalue_of_a_large_quadratic():
    spectrum = np.geomspace(1e-3, 50.0, 100)
    problem = problems.quadratic(spectrum)
    assert problem.curvature().largest == pytest.approx(50.0, rel=1e-6)
    A = np.diag(spectrum)
    assert largest_eigenvalue(lambda v: A @ v, 100) == pytest.approx(50.0, rel=1e-6)


def test_starts_depend_on_the_seed_only_and_lie_near_the_usual_one():
    problem = problems.rosenbrock()
    starts = [problem.instance(np.random.default_rng(k)).values() for k in (0, 0, 1)]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()
    assert np.abs(starts[0] - problem.starts[0]).max() <= 0.05 * 4
    fixed = problems.expression("x1**2 + x2**2", start=(1.0, 2.0))
    assert fixed.instance(np.random.default_rng(0)).values().tolist() == [1, 2]
    assert np.isfinite(problems.expression("log(x)").instance(np.random.default_rng(0)).loss().item())
    with pytest.raises(ValueError, match="no start with a finite value"):
        problems.expression("log(-1 - x**2)").instance(np.random.default_rng(0))
    with pytest.raises(ValueError, match="start of 2 numbers"):
        problems.expression("x1 + x2", start=(1.0,))


def test_linear_regression_knows_its_curvature_and_its_floor():
    problem = problems.LinearRegression("diabetes", data.diabetes())
    curvature = problem.curvature()
    assert curvature.limit == pytest.approx(0.49699, abs=5e-6)
    assert curvature.condition == pytest.approx(470.1, abs=0.05)
    instance = problem.instance(np.random.default_rng(0))
    X, y = (tw.tensor(a) for a in problem.arrays)
    loss = instance.loss(X, y)
    assert loss.item() == pytest.approx(problem.value(instance), rel=1e-6)
    assert problem.value(instance) > problem.optimum
    w, b = instance.parameters
    with tw.no_grad():
        w.copy_(tw.tensor(problem.solution[:-1].astype(np.float32)))
        b.copy_(tw.tensor(problem.solution[-1].astype(np.float32)))
    assert problem.optimum <= problem.value(instance) < problem.optimum + 1e-9


@pytest.mark.parametrize("make", [data.breast_cancer, data.wine])
def test_logistic_regression_against_its_definition(make):
    table = make()
    problem = problems.LogisticRegression("p", table, dtype=tw.float64)
    instance = problem.instance(np.random.default_rng(1))
    for p in instance.parameters:
        with tw.no_grad():
            p.add_(0.3)
    loss = instance.loss(*(tw.tensor(a) for a in problem.arrays))
    assert loss.item() == pytest.approx(problem.value(instance), rel=1e-10)
    with tw.no_grad():
        for p in instance.parameters:
            p.zero_()
    assert problem.value(instance) == pytest.approx(np.log(problem.classes))
    batch = [tw.tensor(a) for a in problem.arrays]
    apply, d = tw.analysis.hessian_product(lambda: instance.loss(*batch), instance.parameters)
    assert d == problem.dimension
    found = largest_eigenvalue(apply, d)
    assert problem.curvature().largest == pytest.approx(found, rel=1e-5)
    assert problem.smoothness() >= problem.curvature().largest * (1 - 1e-12)


def test_any_module_is_a_problem():
    nn = tw.nn

    def make(generator):
        tw.manual_seed(generator.initial_seed())
        return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))

    problem = problems.ModelProblem("mlp", data.iris(), make, nn.functional.cross_entropy, formula="a small network")
    assert problem.dimension == 4 * 5 + 5 + 5 * 3 + 3
    a, b = (problem.instance(np.random.default_rng(0)) for _ in range(2))
    assert problem.value(a) == problem.value(b)
    assert problem.curvature().largest > 0


def test_every_named_problem_can_be_found():
    names = [entry.name for entry in problems.PROBLEMS]
    assert len(set(names)) == len(names)
    assert problems.find("Ill-Conditioned").name == "ill_conditioned"
    assert problems.find("rosenbruck") is None
