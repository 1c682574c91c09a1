"""Methods that search along lines: counted evaluations, decreasing losses, and their equations on a quadratic."""

import itertools

import numpy as np
import pytest

from thalweg import lab, optim, problems
from thalweg.errors import ArgumentError
from thalweg.lab import searches
from thalweg.lab.store import Store
from thalweg.lab.trial import run_trial
from thalweg.problems.base import Instance, tensor_of

NAMES = ("linesearch", "lbfgs", "newton")
KINDS = (searches.LineSearchGD, searches.LineSearchLBFGS, searches.NewtonCG)


def begun(name, seed=0):
    problem = lab.resolve_problem(name).load()
    return problem, problem.instance(np.random.default_rng(seed)), tuple(tensor_of(a) for a in problem.arrays)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["diabetes", "wine", "rosenbrock", "beale"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 60])
def test_losses_decrease_and_no_more_evaluations_are_taken_than_allowed(kind, name, limit):
    problem, instance, batch = begun(name)
    calls = []
    counted = Instance(instance.parameters, lambda *rows: calls.append(1) or instance.loss(*rows))
    evaluations = searches.Evaluations(counted, batch, limit)
    visited = searches.search(kind(instance.parameters), evaluations)
    counts = [count for count, _ in visited]
    losses = [problem.values(point[None])[0] for _, point in visited]
    assert evaluations.count <= limit
    assert counts == sorted(set(counts))
    assert all(b <= a * (1 + 1e-6) for a, b in itertools.pairwise(losses))
    if kind is not searches.NewtonCG:  # whose products are counted too
        assert len(calls) == evaluations.count
    if limit == 60:
        assert losses[-1] < 0.6 * losses[0]


def quadratic(seed=3, n=6):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.geomspace(1.0, 20.0, n)
    return problems.quadratic(values, name="q"), turn


def test_a_newton_step_solves_a_quadratic():
    problem, _ = quadratic()
    instance = problem.instance(np.random.default_rng(1))
    optimizer = searches.NewtonCG(instance.parameters)
    searches.search(optimizer, searches.Evaluations(instance, (), 400))
    assert problem.value(instance) - problem.optimum < 1e-12


def test_a_hessian_product_is_the_product_and_counts_as_two_evaluations():
    problem, _ = quadratic()
    instance = problem.instance(np.random.default_rng(1))
    evaluations = searches.Evaluations(instance, (), 100)
    product = evaluations.products()
    H = np.stack([product(e) for e in np.eye(problem.dimension)])
    assert evaluations.count == 2 * problem.dimension
    np.testing.assert_allclose(np.linalg.eigvalsh((H + H.T) / 2)[-1], problem.curvature().largest, rtol=1e-8)


def test_a_line_search_step_is_the_first_length_that_decreases_enough():
    problem, instance, _ = begun("rosenbrock")
    x = instance.values().copy()
    value, step = problem.value(instance), 1e-5 * np.ones_like(x)
    g = np.array([(problem.values((x + h)[None])[0] - problem.values((x - h)[None])[0]) / 2e-5 for h in np.diag(step)])
    searches.LineSearchGD(instance.parameters).step(searches.Evaluations(instance, (), 100))
    length = 2.0
    while problem.values((x - length * g)[None])[0] > value - 1e-4 * length * g @ g:
        length /= 2
    np.testing.assert_allclose(instance.values(), x - length * g, rtol=1e-5)


def test_lbfgs_walks_as_the_optimizer_does_in_one_long_step():
    problem, instance, batch = begun("wine")
    visited = searches.search(searches.LineSearchLBFGS(instance.parameters), searches.Evaluations(instance, batch, 12))
    _, other, _ = begun("wine")
    whole = optim.LBFGS(
        other.parameters, max_iter=len(visited) - 1, max_eval=1000, tolerance_grad=0, tolerance_change=0, history_size=10,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        whole.zero_grad()
        loss = other.loss(*batch)
        loss.backward()
        return loss

    whole.step(closure)
    np.testing.assert_allclose(other.values(), visited[-1][1], rtol=1e-3, atol=1e-5)
    assert problem.value(other) == pytest.approx(problem.values(visited[-1][1][None])[0], rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_after_a_step_is_that_of_the_point_which_so_many_evaluations_reached(name):
    problem = lab.resolve_problem("diabetes").load()
    contender = lab.parse_contender(name, problem)
    long = run_trial(problem, contender, 0, lab.Budget(steps=20), 0)
    assert long.steps == list(range(21))
    for steps in (1, 4, 9):
        short = run_trial(problem, contender, 0, lab.Budget(steps=steps), 0)
        assert short.losses == long.losses[: steps + 1]


@pytest.mark.parametrize("option", ["ema=0.9", "warmup=0.1", "schedule=cosine", "batch=10"])
@pytest.mark.parametrize("name", NAMES)
def test_what_a_search_cannot_do_is_refused(name, option):
    with pytest.raises(ArgumentError, match=r"by itself; leave \w+ out|needs all rows"):
        lab.parse_contender(f"{name}:{option}", lab.resolve_problem("wine").load())


def test_noise_is_refused():
    with pytest.raises(ArgumentError, match="no noise"):
        lab.parse_contender("lbfgs", lab.resolve_problem("wine", noise=0.1).load())


def test_searches_race_beside_the_others(tmp_path):
    spec = lab.resolve_problem("wine")
    config = lab.RaceConfig(
        spec, tuple(lab.parse_contender(n, spec.load()) for n in (*NAMES, "gd")), lab.Budget(steps=8), 2, trials_each=3,
        tuning_seeds=1, compiled=True,
    )  # fmt: skip
    result = lab.run_race(Store.create(tmp_path / "out", config), command=["thalweg"], pictures=True)
    assert {s.diverged for s in result.summaries} == {0}
    reasons = {r.contender: r.alone for r in result.records}
    assert all(reasons[name] == "the method searches along lines" for name in NAMES)
