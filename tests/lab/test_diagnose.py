"""Diagnosis: curvature, stable rates, noise and advice."""

import numpy as np
import pytest

from thalweg import data, problems
from thalweg.lab.diagnose import diagnose


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


@pytest.fixture
def as_theory_says(monkeypatch):
    """Take theory's rates for those of runs, which take seconds."""
    monkeypatch.setattr("thalweg.analysis.stability_by_run", lambda gradient, x, theory, **settings: theory)


@pytest.mark.usefixtures("as_theory_says")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (problems.sphere, "Plain gradient descent will do"),
        (problems.rosenbrock, "Use momentum"),
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
            "root", "sqrt", lambda x: (abs(x) ** 0.5).sum(0), ((-1.0, 1.0),), minimisers=((0.0,),)
        ))  # fmt: skip
