"""The protocol of a race: held-out rows, equal tuning, fresh seeds, one conclusion, resumption from anywhere."""

import csv
import io
import json
import math

import numpy as np
import pytest

from thalweg import data, lab, problems
from thalweg.cli import output
from thalweg.errors import ArgumentError, DataError
from thalweg.lab import race
from thalweg.lab.config import held_out
from thalweg.lab.contender import distinct
from thalweg.lab.splits import HeldOut, split_rows
from thalweg.lab.store import Store
from thalweg.lab.trial import run_trial, still_rising
from thalweg.lab.tuning import FIRST_SEED, Candidate, Tuned, Tuner, sobol, space_of
from thalweg.optim import space


def config(*texts, problem="wine", seeds=2, trials=4, **more):
    spec = lab.resolve_problem(problem)
    shares = (0.2, 0.2) if spec.load().rows else (0.0, 0.0)
    loaded = held_out(spec, *shares, 0)
    chosen = tuple(distinct([lab.parse_contender(text, loaded) for text in texts]))
    budget = lab.Budget(epochs=2) if loaded.rows else lab.Budget(steps=30)
    rules = {"validation": shares[0], "test": shares[1], "trials_each": trials, "tuning_seeds": 2} | more
    return lab.RaceConfig(spec, chosen, budget, seeds, **rules)


def raced(folder, what, **more):
    more = {"pictures": False, "explain": False} | more
    return lab.run_race(Store.create(folder, what), command=["thalweg", "race"], **more)


# Held-out rows


@pytest.mark.parametrize("classes", [None, np.repeat([0, 1, 2], [50, 30, 20])])
def test_parts_are_disjoint_complete_and_of_one_size(classes):
    sizes = set()
    for seed in range(20):
        parts = split_rows(np.random.default_rng(seed), 100, 20, 25, classes)
        sizes.add(tuple(map(len, parts)))
        assert sorted(np.concatenate(parts)) == list(range(100))
        if classes is not None:
            for part in parts:
                shares = np.bincount(classes[part], minlength=3) / len(part)
                np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=1.01 / len(part))
    assert sizes == {(55, 20, 25)}


def test_seeds_have_splits_of_their_own_that_contenders_share():
    spec = lab.resolve_problem("wine")
    one, two = (HeldOut(spec.load(), 0.2, 0.2, 0) for _ in "ab")
    assert (one.at(3).rows == two.at(3).rows).all()
    assert not (one.at(3).rows == one.at(4).rows).all()
    assert not (one.at(3).rows == HeldOut(spec.load(), 0.2, 0.2, 1).at(3).rows).all()
    assert one.rows == len(one.at(0).rows) == one.at(0).train.rows


@pytest.mark.parametrize("make", [
    lambda: problems.LinearRegression("diabetes", data.diabetes()),
    lambda: problems.LogisticRegression("breast_cancer", data.breast_cancer()),
    lambda: problems.LogisticRegression("wine", data.wine()),
    lambda: problems.networks.multilayer("iris", data.iris(), (5,)),
    lambda: problems.networks.multilayer("diabetes", data.diabetes(), (4, 3)),
], ids=["linear", "two classes", "classes", "perceptron", "perceptron of numbers"])  # fmt: skip
def test_losses_and_metrics_by_hand(make):
    """What held_out says of a part, against the model's own predictions on these rows."""
    problem = make()
    rows = np.arange(0, problem.rows, 3)
    part = problem.restricted(rows)
    rng = np.random.default_rng(1)
    instance = problem.instance(rng)
    points = instance.values() + 0.3 * rng.standard_normal((2, problem.dimension))
    losses, metric = part.held_out(points)
    for k, point in enumerate(points):
        instance.put(point)
        said = np.asarray(
            instance.predict(problems.base.tensor_of(problem.arrays[0][rows])).detach().numpy(), np.float64
        )
        y = problem.arrays[1][rows]
        if problem.metric == "R2":
            assert losses[k] == pytest.approx(((said - y) ** 2).mean() / 2, rel=1e-4)
            assert metric[k] == pytest.approx(1 - ((said - y) ** 2).mean() / y.var(), rel=1e-4)
        else:
            logits = said if said.ndim == 2 else np.stack([np.zeros_like(said), said], 1)
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            assert losses[k] == pytest.approx(-logs[np.arange(len(y)), y.astype(int)].mean(), rel=1e-4)
            assert metric[k] == pytest.approx((logits.argmax(1) == y).mean())


def test_the_penalty_gives_separable_data_an_optimum():
    table = data.Table("apart", np.array([[-1.0], [1.0]] * 5), np.array([0, 1] * 5), task="classification")
    problem = problems.LogisticRegression("apart", table)
    assert "l2=0.001" in problem.describe()
    w = np.linspace(0, 50, 2000)
    values = problem.values(np.stack([w, np.zeros_like(w)], 1))
    assert 0 < values.argmin() < 1999
    assert problem.held_out(np.array([[50.0, 0.0]]))[0] < 1e-9  # the penalty is no part of what is reported
    H = problem.curvature()
    assert H.largest == pytest.approx(0.25 + 1e-3, rel=1e-6)


def test_a_table_with_too_few_rows_is_refused():
    table = data.Table("few", np.arange(10.0)[:, None], np.arange(10.0))
    with pytest.raises(ArgumentError, match="at least 5 rows are required to train on"):
        HeldOut(problems.LinearRegression("few", table), 0.2, 0.2, 0)


@pytest.mark.parametrize(
    ("losses", "rising"),
    [
        ([1.0, 0.5, 0.2], False),
        ([1.0, 1.2, 1.1], False),  # noise a little above the start
        ([1.0, 1.5, 2.5], True),
        ([1.0, 9.0, 2.5, 2.2, 3.0], True),
        ([1.0, 9.0, 8.0, 7.0, 2.2], False),  # far above, and on its way down
        ([-1.0, -5.0, 1.0], False),  # no more above the start than it fell below it
        ([-1.0, -5.0, 9.0], True),
        ([0.0, 0.0], False),
    ],
)
def test_what_has_diverged(losses, rising):
    assert still_rising(losses) is rising


def test_trials_run_in_sweeps_and_alone_to_the_same_held_out_losses(tmp_path):
    pytest.importorskip("numba")
    what = config("adam:batch=10", "gd", problem="diabetes", trials=3)
    alone = raced(tmp_path / "a", lab.RaceConfig(**{**vars(what), "compiled": False}))
    swept = raced(tmp_path / "b", lab.RaceConfig(**{**vars(what), "compiled": True}))
    assert swept.how.swept == 4
    for one, two in zip(alone.records, swept.records, strict=True):
        assert one.losses == pytest.approx(two.losses, rel=1e-4)
        assert (one.validation, one.test) == pytest.approx((two.validation, two.test), rel=1e-3)
        assert one.metrics == pytest.approx(two.metrics, rel=1e-2)


# Tuning


def test_every_contender_has_the_same_budget_and_the_same_points():
    problem = held_out(lab.resolve_problem("diabetes"), 0.2, 0.2, 0)
    found = {}
    for name in ("gd", "momentum", "adam", "rmsprop", "yogi"):
        tuner = Tuner(lab.parse_contender(name, problem), 24, 5)
        first = tuner.first()
        assert first[0].settings == tuner.contender.settings  # the default comes first
        second = tuner.second([Candidate(c, (float(k),)) for k, c in enumerate(first)])
        assert len(first) + len(second) == 24
        assert len({c.label for c in (*first, *second)}) == 24
        lr = tuner.space["lr"]
        found[name] = [math.log(dict(c.settings)["lr"] / lr.low) / math.log(lr.high / lr.low) for c in first[1:]]
    for name, places in found.items():
        assert places == pytest.approx(found["gd"], abs=1e-4), name
    assert (sobol(8, 0) == sobol(24, 0)[:8]).all()


def test_given_settings_are_left_alone():
    problem = held_out(lab.resolve_problem("diabetes"), 0.2, 0.2, 0)
    tuner = Tuner(lab.parse_contender("adam:lr=0.02", problem), 6, 0)
    assert {dict(c.settings)["lr"] for c in tuner.first()} == {0.02}
    assert len({dict(c.settings).get("betas") for c in tuner.first()}) == 4
    assert len(Tuner(lab.parse_contender("gd:lr=0.1", problem), 6, 0).first()) == 1
    assert "momentum" in space_of(lab.parse_contender("momentum", problem))
    assert "momentum" not in space_of(lab.parse_contender("gd", problem))
    assert space.OrZero(space.OneMinus(0.01, 0.5)).at(0.0) == 0.0
    assert 0.0 not in {
        dict(c.settings)["momentum"] for c in Tuner(lab.parse_contender("nesterov", problem), 24, 0).first()
    }


@pytest.mark.parametrize(("optimum", "widened"), [(1e3, "up"), (1e-5, "down"), (0.05, "")])
def test_a_best_rate_at_the_end_of_its_space_widens_it(optimum, widened):
    problem = held_out(lab.resolve_problem("diabetes"), 0.2, 0.2, 0)
    tuner = Tuner(lab.parse_contender("adagrad", problem), 24, 0)

    def score(c):
        return Candidate(c, (abs(math.log10(dict(c.settings)["lr"] / optimum)),))

    tried = [score(c) for c in tuner.first()]
    tried += [score(c) for c in tuner.second(tried)]
    found = Tuned(tuner.contender, tuple(tried), tuner.widened)
    assert found.widened == widened
    before = min(c.score for c in tried[:16])
    if widened:
        assert found.best.score < before - 0.5
    else:
        assert found.best.score <= before < 0.3
        assert not found.at_the_edge


def test_where_every_rate_diverges_smaller_ones_are_tried():
    tuner = Tuner(lab.parse_contender("gd", held_out(lab.resolve_problem("wine"), 0.2, 0.2, 0)), 9, 0)
    first = [Candidate(c, (math.inf,)) for c in tuner.first()]
    second = tuner.second(first)
    assert max(dict(c.settings)["lr"] for c in second) < 0.06 * dict(tuner.contender.settings)["lr"]
    assert Tuned(tuner.contender, tuple(first)).chosen == tuner.contender


def test_what_is_chosen_is_the_best_on_held_out_rows_of_tuning_seeds(tmp_path):
    result = raced(tmp_path / "r", config("adam", "gd", trials=5))
    problem = result.problem
    for tuned in result.tuned:
        for candidate in tuned.candidates:
            seeds = [FIRST_SEED, FIRST_SEED + 1]
            records = [run_trial(problem, candidate.contender, s, result.config.budget, 0) for s in seeds]
            n, m = problem.counts[1:]
            expected = [(n * r.validation + m * r.test) / (n + m) for r in records]
            assert candidate.losses == pytest.approx(expected, rel=1e-3)
        assert tuned.chosen.settings == min(tuned.candidates, key=lambda c: np.mean(c.losses)).contender.settings
    assert {r.seed for r in result.records} == {0, 1}
    assert {c.label for c in result.config.contenders} == {"adam", "gd"}


def test_halving_runs_fewer_and_keeps_what_it_pruned(tmp_path):
    whole = raced(tmp_path / "a", config("adam", trials=8, tuning_seeds=3))
    halved = raced(tmp_path / "b", config("adam", trials=8, tuning_seeds=3, halving=True))
    assert halved.tuning_runs < whole.tuning_runs == 24
    pruned = [c for c in halved.tuned[0].candidates if c.pruned]
    assert pruned
    assert not halved.tuned[0].best.pruned
    rows = list(csv.DictReader(io.StringIO((tmp_path / "b" / "tuning.csv").read_text())))
    assert len(rows) == 8
    assert sum("pruned" in row.values() for row in rows) == len(pruned)


def test_given_rates_are_the_settings_that_are_tried(tmp_path):
    what = config("gd", "adam", problem="x1**2 + 3*x2**2", trials=3, rates=(0.01, 0.1, 0.2))
    result = raced(tmp_path / "r", what)
    for tuned in result.tuned:
        assert [dict(c.contender.settings)["lr"] for c in tuned.candidates] == [0.01, 0.1, 0.2]
    assert dict(result.config.contenders[0].settings)["lr"] in (0.1, 0.2)


# The result


def test_the_same_words_everywhere(tmp_path, capsys):
    result = raced(tmp_path / "r", config("gd", "adam", "gd:lr=1e-6", seeds=8), explain=True, pictures=True)
    output.print_race(result)
    text = " ".join(capsys.readouterr().out.split())
    found = json.loads(json.dumps(output._finite(output.race_data(result))))
    for sentence in found["conclusion"]:
        assert sentence in text
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert manifest["conclusion"]["best"] == found["best"] == result.best
    assert [c["contender"] for c in found["contenders"]] == ["gd-1", "adam", "gd-2"]
    for c in found["contenders"]:
        assert {"settings", "final_loss", "validation_loss", "test_loss", "metrics", "default", "tuning"} <= set(c)
        assert set(c["metrics"]) == {"train accuracy", "validation accuracy", "test accuracy"}
        assert 0 <= c["metrics"]["test accuracy"] <= 1
    assert found["contenders"][2]["tuning"]["settings_tried"] == 1
    assert "seeds_to_separate" in found
    assert "gd-2" not in found["best"]
    assert any(d["contenders"][1] == "gd-2" and d["interval"][1] < 0 for d in found["differs"])
    assert {"why.png", "tuning.png", "tuning.csv", "tuning-curves.csv"} <= {p.name for p in (tmp_path / "r").iterdir()}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r" / "results.csv").read_text())))
    assert {row["role"] for row in rows} <= {"result", "default"}
    assert float(rows[0]["test_loss"]) == result.records[0].test


def test_a_race_killed_anywhere_goes_on_to_the_same_numbers(tmp_path):
    what = config("gd", "adam", seeds=3, trials=5)
    whole = raced(tmp_path / "whole", what)
    total = whole.tuning_runs + len(list((tmp_path / "whole" / "runs").iterdir()))
    for at in (1, 7, 11, 19, 21, total - 1):
        folder = tmp_path / f"cut-{at}"

        def stop(record, done, total, at=at):
            if done == at:
                raise KeyboardInterrupt

        with pytest.raises(race.Interrupted):
            raced(folder, what, progress=stop)
        resumed = lab.run_race(Store.open(folder), command=[], pictures=False, explain=False)
        for name in ("curves.csv.gz", "tuning.csv", "tuning-curves.csv"):
            one, two = ((f / name).read_bytes() for f in (tmp_path / "whole", folder))
            assert name == "curves.csv.gz" or one == two
        assert [r.losses for r in resumed.records] == [r.losses for r in whole.records]
        assert [r.test for r in resumed.records] == [r.test for r in whole.records]
        assert resumed.comparison.to_json() == whole.comparison.to_json()


def test_a_configuration_with_its_protocol_is_read_back(tmp_path):
    what = config("gd:lr=0.1", "adam", rates=(0.1, 0.2), trials=2, halving=True)
    store = Store.create(tmp_path / "r", what)
    assert Store.open(store.path).config == what


def test_damaged_tuning_is_named(tmp_path):
    store = Store.create(tmp_path / "r", config("gd"))
    (tmp_path / "r" / "tuning").mkdir()
    (tmp_path / "r" / "tuning" / "gd-1.json").write_text('[{"x": 1}]')
    with pytest.raises(DataError, match=r"gd-1\.json is damaged"):
        lab.run_race(store, command=[], pictures=False)


# Several problems, and other models


def test_several_problems_are_profiled(tmp_path, capsys):
    from thalweg.lab.suite import common, run_suite

    what = {
        name: config("gd", "adam", "yogi", problem=name, trials=3, seeds=6)
        for name in ("valley", "booth", "x1**2 + x2**4")
    }
    what = dict(zip(("valley", "booth", "typed"), common(list(what.values())), strict=True))
    found = run_suite(what, tmp_path, command=[], pictures=True)
    assert set(found.results) == {"valley", "booth", "typed"}
    assert {"profiles.json", "profiles.png", "valley", "booth", "typed"} <= {p.name for p in tmp_path.iterdir()}
    assert set(found.profiles.score) == {"gd", "adam", "yogi"}
    again = run_suite(what, tmp_path, command=[], pictures=False)  # everything is there already
    assert json.dumps(again.to_json()) == json.dumps(found.to_json())
    output.print_suite(found)
    text = " ".join(capsys.readouterr().out.split())
    assert "Score: the profile's mean from 1 to 4 times" in text


def test_perceptrons_race_on_any_table(tmp_path):
    spec = lab.resolve_problem("wine", model="mlp:8,4")
    problem = held_out(spec, 0.2, 0.2, 0)
    assert "perceptron 13-8-4-3" in problem.describe()
    what = lab.RaceConfig(
        spec, (lab.parse_contender("adam", problem),), lab.Budget(epochs=1), 2, trials_each=2, tuning_seeds=1,
        validation=0.2, test=0.2,
    )  # fmt: skip
    result = raced(tmp_path / "r", what)
    assert 0 <= result.summaries[0].metrics["test accuracy"] <= 1
    assert Store.open(tmp_path / "r").config == what


@pytest.mark.parametrize(
    ("text", "model", "words"),
    [
        ("wine", "mlp:", "widths of hidden layers"),
        ("wine", "cnn:3", "widths of hidden layers"),
        ("x1**2", "mlp:8", "is a function"),
        ("perceptron", "mlp:8", "has a model of its own"),
        ("valley", "mlp:8", "has a model of its own"),
    ],
)
def test_models_that_are_refused(text, model, words):
    with pytest.raises(ArgumentError, match=words):
        lab.resolve_problem(text, model=model)
