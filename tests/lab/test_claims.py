"""The error rates of what a race claims, by simulation through the public functions."""

import math

import numpy as np
import pytest

from thalweg import lab
from thalweg.errors import ArgumentError, ShapeError

K = 10
NAMES = [f"c{k}" for k in range(K)]
MEDIANS = {"normal": 0.0, "lognormal": 1.0, "student": 0.0, "by seed": 0.0}


def finals(kind, rng, n, k=K):
    if kind == "lognormal":
        return np.exp(rng.standard_normal((n, k)))
    if kind == "student":
        return rng.standard_t(3, (n, k))
    x = rng.standard_normal((n, k))
    return x + 2 * rng.standard_normal((n, 1)) if kind == "by seed" else x


def compared(x):
    return lab.compare(dict(zip(NAMES, x.T, strict=False)))


def claims_any(found):
    k = len(found.names)
    return len(found.best) < k or any(found.differs(a, b) for a in found.names for b in found.names)


def limit(p, races, deviations=3.0):
    """Return the largest share that a rate of `p` gives in so many races, but for chance."""
    return p + deviations * math.sqrt(p * (1 - p) / races)


def false_claims(kind, n, races):
    rng = np.random.default_rng([n, len(kind)])
    return sum(claims_any(compared(finals(kind, rng, n))) for _ in range(races)) / races


@pytest.mark.parametrize("kind", MEDIANS)
@pytest.mark.parametrize("n", [6, 10, 20])
def test_equal_contenders_are_seldom_told_apart(kind, n):
    assert false_claims(kind, n, 100) <= limit(0.05, 100)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEDIANS)
@pytest.mark.parametrize("n", [6, 10, 20])
def test_equal_contenders_are_told_apart_in_a_twentieth_of_races(kind, n):
    assert false_claims(kind, n, 1000) <= limit(0.05, 1000, 2.5)


def test_a_rule_that_claims_too_much_is_found_out():
    """The rule of races before: bootstrap the paired differences from the best, pair by pair."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(60):
        x = finals("normal", rng, 10)
        best = x[:, x.mean(axis=0).argmin()]
        picks = rng.integers(0, 10, (400, 10))
        spread = [np.quantile((x[:, k] - best)[picks].mean(axis=1), [0.025, 0.975]) for k in range(K)]
        wrong += any(low > 0 for low, _ in spread)
    assert wrong / 60 > limit(0.05, 60)


@pytest.mark.parametrize("races", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_contender_that_is_better_is_found(races):
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(races):
        x = finals("normal", rng, 20)
        x[:, 3] -= 1.5
        c = compared(x)
        found += c.best == ("c3",) and all(c.differs("c3", name) for name in NAMES if name != "c3")
    assert found / races >= 0.8


@pytest.mark.parametrize("races", [80, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("means", [[0] * 5 + [2] * 5, [0] + [0.7] * 9], ids=["two groups", "one ahead"])
def test_contenders_that_are_equal_beside_others_are_seldom_told_apart(means, races):
    rng = np.random.default_rng(2)
    means = np.array(means)
    lost = apart = 0
    for _ in range(races):
        c = compared(finals("normal", rng, 12) + means)
        lost += any(NAMES[k] not in c.best for k in np.flatnonzero(means == means.min()))
        apart += any(means[i] == means[j] and c.differs(NAMES[i], NAMES[j]) for i in range(K) for j in range(i))
    assert lost / races <= limit(0.05, races)
    assert apart / races <= limit(0.05, races)


@pytest.mark.parametrize("kind", MEDIANS)
@pytest.mark.parametrize(("n", "races"), [(10, 100), (20, 100), pytest.param(10, 1000, marks=pytest.mark.slow)])
def test_intervals_cover(kind, n, races):
    rng = np.random.default_rng([n, 7])
    shifts = np.linspace(0, 3, K)
    together = single = 0.0
    for _ in range(races):
        x = finals(kind, rng, n)
        medians = [lab.median_interval(column) for column in x.T]
        single += np.mean([low <= MEDIANS[kind] <= high for low, high in medians])
        c = compared(x + shifts)
        ends = [(*c.interval(NAMES[i], NAMES[j]), shifts[i] - shifts[j]) for i in range(K) for j in range(i)]
        together += all(low <= d <= high for low, high, d in ends)
    assert together / races >= 0.93 - 2 * math.sqrt(0.06 / races)
    if kind == "by seed":  # medians of one seed go together: fewer independent ones
        assert single / races >= 0.9
    else:
        assert 0.93 <= single / races <= 0.97


def test_below_six_seeds_nothing_is_claimed():
    found = lab.compare({"a": [1.0] * 5, "b": [100.0] * 5})
    assert found.best == ("a", "b")
    assert not found.differs("a", "b")
    assert found.interval("a", "b") is None
    assert found.sentences() == ["No claim: 5 seeds, and at least 6 are needed to tell contenders apart."]


def test_runs_that_diverged():
    rng = np.random.default_rng(3)
    a, b, once = rng.standard_normal((3, 20))
    once[4] = math.nan
    found = lab.compare({"a": a, "gone": [math.inf] * 20, "b": b + 5, "once": once})
    assert found.best == ("a", "once")
    assert found.order[-1] == "gone"
    assert found.differs("gone", "b")
    assert found.interval("gone", "a") == (0.0, math.inf)
    assert found.interval("once", "a") == (-math.inf, math.inf)
    low, high = found.interval("b", "a")
    assert 3 < low < high < 7
    every = lab.compare({"x": [math.inf] * 8, "y": [math.inf] * 8})
    assert every.best == ("x", "y")
    assert every.sentences() == ["Every contender diverged."]


def test_runs_without_chance():
    """Full batches from one start: every seed gives the same."""
    found = lab.compare({"a": [2.0] * 8, "b": [1.0] * 8, "c": [1.0] * 8})
    assert found.best == ("b", "c")
    assert found.differs("a", "b")
    assert not found.differs("b", "c")
    assert found.interval("a", "b") == (1.0, 1.0)
    assert found.seeds_to_separate is None


def test_names_and_their_order_decide_nothing():
    rng = np.random.default_rng(4)
    x = finals("normal", rng, 12, 5) + np.array([0, 0, 1, 3, 3])
    first = lab.compare({n: x[:, k] for k, n in enumerate("abcde")})
    assert lab.compare({n: x[:, k] + 7 for k, n in enumerate("abcde")}).best == first.best
    shuffled = lab.compare({n: x[:, "abcde".index(n)] for n in "dbeca"})
    assert set(shuffled.best) == set(first.best)
    assert shuffled.interval("a", "d") == pytest.approx(first.interval("a", "d"), rel=0.2)
    assert first.interval("d", "a") == pytest.approx([-v for v in reversed(first.interval("a", "d"))])


def test_how_many_seeds_would_separate():
    rng = np.random.default_rng(5)
    found = lab.compare({"a": rng.standard_normal(20), "b": rng.standard_normal(20) + 0.5})
    needed = found.seeds_to_separate
    assert needed > 20
    assert f"About {needed} seeds would separate" in " ".join(found.sentences())
    hits = 0
    for _ in range(60):
        d = found.values[:, 1] - found.values[:, 0]
        more = rng.normal(d.mean(), d.std(ddof=1), needed)
        hits += len(lab.compare({"a": np.zeros(needed), "b": more}).best) == 1
    assert 0.6 <= hits / 60 <= 0.97


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ArgumentError, "at least one contender"),
        ({"a": [1.0, 2.0], "b": [1.0]}, ShapeError, "one number per seed"),
        ({"a": []}, ShapeError, "at least one seed"),
        ({"a": [-math.inf]}, ArgumentError, "-inf"),
    ],
)
def test_what_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        lab.compare(given)


def test_an_unknown_name_is_refused():
    with pytest.raises(ArgumentError, match="'z' is no contender; there are: a, b"):
        lab.compare({"a": [1.0] * 8, "b": [2.0] * 8}).differs("a", "z")


def test_the_same_values_give_the_same_words():
    x = finals("normal", np.random.default_rng(6), 12)
    assert compared(x).to_json() == compared(x.copy()).to_json()


# Tuning curves


def test_expected_best_is_the_mean_over_all_choices():
    from itertools import combinations

    rng = np.random.default_rng(7)
    chosen_by, reported = rng.standard_normal((2, 6))
    curve = lab.expected_best(chosen_by, reported)
    for k in range(1, 7):
        every = [reported[min(pick, key=lambda i: chosen_by[i])] for pick in combinations(range(6), k)]
        assert curve.expected[k - 1] == pytest.approx(np.mean(every))
        for q, band in ((0.1, curve.low), (0.5, curve.median), (0.9, curve.high)):
            assert band[k - 1] == np.quantile(every, q, method="inverted_cdf")


def test_expected_best_with_runs_that_diverged():
    curve = lab.expected_best([1.0, math.inf, 2.0])
    assert curve.expected.tolist() == [math.inf, pytest.approx(4 / 3), 1.0]
    assert curve.median.tolist() == [2.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("rates", "losses", "floor", "decades"),
    [
        ([1.0], [3.0], 0.0, 0.0),
        ([1, 10, 100], [math.inf, 1.0, math.nan], 0.0, 1.0),
        ([100, 1, 10], [1.0, 5.0, 1.0], 0.0, 1.5),
        ([1, 10], [2.1, 2.0], 1.9, 0.5),
    ],
)
def test_sensitivity(rates, losses, floor, decades):
    assert lab.sensitivity(rates, losses, floor) == pytest.approx(decades)


# Performance profiles: three solvers, four problems, one failure, by hand

TABLE = {
    "p": {"a": 1.0, "b": 2.0, "c": 4.0},
    "q": {"a": 6.0, "b": 2.0, "c": 3.0},
    "r": {"a": 5.0, "b": math.inf, "c": 5.0},
    "s": {"a": 1.0, "b": 1.0, "c": 8.0},
    "t": {"a": math.inf, "b": math.inf, "c": math.inf},
}


def test_scores_by_hand():
    found = lab.performance_profiles(TABLE)
    assert found.dropped == ("t",)
    assert found.score["a"] == pytest.approx((1 + 1 / 3 + 1 + 1) / 4)  # ratios 1, 3, 1, 1
    assert found.score["b"] == pytest.approx((2 / 3 + 1 + 0 + 1) / 4)  # 2, 1, ∞, 1
    assert found.score["c"] == pytest.approx((0 + 2.5 / 3 + 1 + 0) / 4)  # 4, 1.5, 1, 8
    assert [found.rho("b", tau) for tau in (1, 1.99, 2, 1e9)] == [0.5, 0.5, 0.75, 0.75]
    assert found.pairwise["b", "c"] == pytest.approx(((1 + 1 + 0 + 1) / 4, (2 / 3 + 2.5 / 3 + 1 + 0) / 4))


def test_scores_do_not_depend_on_the_order_of_names():
    turned = {p: dict(reversed(row.items())) for p, row in reversed(TABLE.items())}
    assert lab.performance_profiles(turned).score == pytest.approx(lab.performance_profiles(TABLE).score)


def test_a_solver_that_solves_nothing_changes_no_score():
    more = {p: {**row, "idle": math.inf} for p, row in TABLE.items()}
    found = lab.performance_profiles(more)
    assert found.score == pytest.approx({**lab.performance_profiles(TABLE).score, "idle": 0.0})
    assert found.pairwise["a", "b"] == lab.performance_profiles(TABLE).pairwise["a", "b"]


def test_profiles_at_zero_cost_and_refusals():
    assert lab.performance_profiles({"p": {"a": 0.0, "b": 1.0}}).score == {"a": 1.0, "b": 0.0}
    with pytest.raises(ArgumentError, match="q has a"):
        lab.performance_profiles({"p": {"a": 1.0, "b": 1.0}, "q": {"a": 1.0}})
    with pytest.raises(ArgumentError, match=">= 0"):
        lab.performance_profiles({"p": {"a": -1.0}})


def test_the_page_prints_what_it_says(capsys):
    import re
    from pathlib import Path

    code = re.search(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "claims.md").read_text(), re.S)[1]
    exec(code, {})
    shown = [line.split("  # ")[1] for line in code.splitlines() if "  # " in line]
    assert capsys.readouterr().out.splitlines() == shown
