"""Diagnosis: curvature, stable rates, noise and advice."""

import numpy as np
import pytest

from thalweg import data, problems
from thalweg.lab.advice import round_down
from thalweg.lab.contender import Contender
from thalweg.lab.diagnose import diagnose
from thalweg.lab.statistics import steps_to
from thalweg.lab.sweeps import run_trials


def test_a_valley_is_known_and_its_rates_come_out_by_run():
    found = diagnose(problems.valley())
    np.testing.assert_allclose(found.eigenvalues, [0.2, 4.0])
    assert found.complete
    assert (found.where, found.kind) == ("at the minimiser", "bent upwards")
    assert found.condition == pytest.approx(20)
    assert found.after_scaling == pytest.approx(1)
    assert found.noise is None
    expected = {"gd": 0.5, "heavy_ball": 3.8 / 4, "nesterov": (2 + 1.8) / (1 + 1.8) / 4}
    for rate in found.rates:
        assert rate.theory == pytest.approx(expected[rate.method])
        assert rate.run == pytest.approx(rate.theory, rel=1e-2)
    assert "scales each coordinate" in found.advice[0]
    assert "below 0.5" in found.advice[1]
    assert found.tried is not None
    assert found.tried.diverged == 0
    assert found.tried.reached == found.tried.seeds


@pytest.fixture
def as_theory_says(monkeypatch):
    """Take theory's rates for those of runs, which take seconds."""
    monkeypatch.setattr("thalweg.analysis.stability_by_run", lambda gradient, x, theory, **settings: theory)


@pytest.mark.usefixtures("as_theory_says")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (problems.sphere, "Plain gradient descent will do"),
        (problems.rosenbrock, "Momentum helps"),
        (lambda: problems.expression("x1**2 - x2**2", start=(0.0, 0.0)), "negative eigenvalues"),
        (lambda: problems.expression("x1**4 + x2**4", start=(0.0, 0.0)), "flat here"),
    ],
)
def test_the_advice_names_its_reason(make, words):
    assert words in diagnose(make()).advice[0]


@pytest.mark.usefixtures("as_theory_says")
def test_a_minimum_is_found_where_none_is_known():
    found = diagnose(problems.expression("(x1 - 1)**2 + 4*(x2 + 2)**2"))
    assert found.where.startswith("at a minimum found from the start, (1, -2)")
    np.testing.assert_allclose(found.eigenvalues, [2, 8])


def test_a_table_has_noise_and_the_rates_of_its_curvature():
    found = diagnose(problems.LinearRegression("diabetes", data.diabetes()))
    assert found.size == "442 rows, 11 parameters"
    assert found.rates[0].theory == pytest.approx(0.49699, rel=1e-3)
    assert found.rates[0].run == pytest.approx(found.rates[0].theory, rel=0.02)
    assert found.condition == pytest.approx(470.1, rel=0.01)
    assert found.noise is not None
    assert found.noise.scale > 0


@pytest.mark.usefixtures("as_theory_says")
def test_equal_seeds_give_equal_diagnoses():
    problem = problems.LinearRegression("iris", data.Table("t", data.iris().X, data.iris().X[:, 0]))
    one, two = diagnose(problem, seed=3), diagnose(problem, seed=3)
    assert one.noise == two.noise
    assert one.rates == two.rates


def test_what_has_no_curvature_is_refused():
    with pytest.raises(ValueError, match="is not finite"):
        diagnose(problems.FunctionProblem(
            "root", "sqrt", lambda x: (abs(x) ** 0.5).sum(0), ((-1.0, 1.0),), minimisers=((0.0,),), fixed_start=(0.0,)
        ))  # fmt: skip


def test_what_is_not_finite_at_the_minimiser_is_measured_at_the_start():
    found = diagnose(problems.find("ackley").make())
    assert found.where.startswith("at the start")
    assert "since the Hessian is not finite at the minimiser" in found.where
    assert np.isfinite(found.eigenvalues).all()


NAMED = [
    "diabetes",
    "wine",
    "valley",
    "rosenbrock",
    "beale",
    "goldstein_price",
    "brown_badly_scaled",
    "bbob_f2",
    "ill_conditioned",
]
EVERY = [e.name for e in problems.PROBLEMS if e.name not in ("lenet", "airfoil", *NAMED)]


@pytest.mark.usefixtures("as_theory_says")
@pytest.mark.parametrize("name", [*NAMED, *(pytest.param(n, marks=pytest.mark.slow) for n in EVERY)])
def test_the_advice_holds_on_seeds_that_it_was_not_made_with(name):
    """It never diverges, and reaches the goal where gradient descent at the best of many rates does."""
    problem = problems.find(name).make()
    tried = diagnose(problem).tried
    assert tried is not None
    seeds = range(500, 506)

    def reached(contender):
        trials = [(contender, seed) for seed in seeds]
        with np.errstate(all="ignore"):
            records = list(run_trials(problem, trials, tried.budget, 0, compiled=False))
        return records, sum(np.isfinite(steps_to(r, tried.goal)) for r in records)

    records, hits = reached(tried.contender)
    assert not any(r.status == "diverged" for r in records)
    L = problem.curvature().largest
    rates = [f * 2 / L for f in (0.9, 0.3, 0.1, 0.03, 0.01, 0.001, 3.0, 10.0)] if L > 0 else [1.0, 0.1, 0.01]
    best = max(reached(Contender("gd", "gd", (("lr", lr),), problem.rows))[1] for lr in rates)
    if best == len(seeds):
        assert hits >= len(seeds) - 1


@pytest.mark.parametrize(
    ("x", "digits", "down"), [(0.49699, 2, 0.49), (0.5, 2, 0.5), (1999.6, 3, 1990.0), (3e-13, 1, 3e-13)]
)
def test_rates_are_rounded_down(x, digits, down):
    assert round_down(x, digits) == down
    assert round_down(x, digits) <= x
