"""Trials side by side: the same records as one by one, kept, resumed, and told of."""

import json
import math
import sys

import numpy as np
import pytest

pytest.importorskip("numba")

from thalweg import data, lab, nn
from thalweg.cli import output
from thalweg.errors import ArgumentError
from thalweg.lab import plots, prepare, race, store, sweeps
from thalweg.lab.contender import at_rates, rates
from thalweg.lab.sweeps import run_trials
from thalweg.ops.losses import cross_entropy, mse_loss
from thalweg.problems import LinearRegression, LogisticRegression, ModelProblem, expression, valley
from thalweg.problems.stochastic import NoisyProblem, with_replacement


def table(rows, task="regression", columns=2):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(rows, columns))
    y = X @ np.arange(1, columns + 1) + 0.1 * rng.normal(size=rows)
    if task == "classification":
        y = (y > 0).astype(np.int64)
    return data.Table("small", X, y, task=task)


def line(rows=9):
    return LinearRegression("line", table(rows), standardize=False)


def classes():
    return LogisticRegression("classes", table(9, "classification"), standardize=False)


def net():
    def make(generator):
        layer = nn.Linear(2, 1)
        rng = np.random.default_rng(generator.initial_seed())
        for p in layer.parameters():
            p._data[...] = rng.normal(size=p.shape)
        return layer

    return ModelProblem(
        "net", table(8), make, lambda out, y: mse_loss(out[:, 0], y), formula="a line", standardize=False
    )


def contenders(problem, *texts):
    return [
        lab.Contender(f"{c.method}-{k}", c.method, c.settings, c.batch)
        for k, c in enumerate(lab.parse_contender(text, problem) for text in texts)
    ]


def both(problem, texts, seeds=2, **budget):
    """Run trials one by one and in sweeps; return the records of each by contender and seed."""
    trials = [(c, seed) for c in contenders(problem, *texts) for seed in range(seeds)]
    runs = [run_trials(problem, trials, lab.Budget(**budget), 3, compiled=how) for how in (False, True)]
    return [{(r.contender, r.seed): r for r in found} for found in runs]


def same(one, two, rtol):
    assert one.keys() == two.keys()
    for key, a in one.items():
        b = two[key]
        for name in ("status", "steps", "epochs", "gradients", "total_steps"):
            assert getattr(a, name) == getattr(b, name), (key, name)
        assert len(a.seconds) == len(b.seconds)
        assert b.seconds == sorted(b.seconds)
        np.testing.assert_allclose(b.losses, a.losses, rtol=rtol, err_msg=str(key))


CASES = [
    (valley, ("adam:lr=0.3", "adam:lr=0.1,betas=0.8/0.99", "gd:lr=0.4", "gd:lr=0.51"), {"steps": 30}, 1e-9),
    (lambda: expression("x1**4 + x1*x2 + x2**2"), ("rprop", "momentum:lr=0.01"), {"steps": 20}, 1e-9),
    (line, ("momentum:batch=4,lr=0.02", "momentum:batch=4,lr=0.05,momentum=0.5"), {"epochs": 4}, 1e-5),
    (lambda: with_replacement(line()), ("adagrad:batch=3,lr=0.1", "adagrad:batch=3,lr=0.2"), {"steps": 12}, 1e-5),
    (classes, ("rmsprop:batch=9,lr=0.01", "rmsprop:batch=9,lr=0.1"), {"steps": 8}, 1e-5),
    (net, ("schedulefreesgd:batch=4,lr=0.01", "schedulefreesgd:batch=4,lr=0.02"), {"epochs": 3}, 1e-5),
]


@pytest.mark.parametrize(("make", "texts", "budget", "rtol"), CASES)
def test_swept_records_are_those_of_runs_one_by_one(make, texts, budget, rtol):
    one, two = both(make(), texts, **budget)
    same(one, two, rtol)
    assert all(r.sweep > 1 and not r.alone for r in two.values())
    assert all(not r.sweep and r.alone == "as asked" for r in one.values())


def test_a_wide_program_goes_from_evaluation_to_evaluation(monkeypatch):
    monkeypatch.setattr(sweeps, "TRACED", 1)
    monkeypatch.setattr(sweeps, "WIDE_BLOCK", 3)
    one, two = both(line(8), ("momentum:batch=4,lr=0.02", "momentum:batch=4,lr=0.05"), steps=9)
    same(one, two, 1e-5)
    assert sorted(r.sweep for r in two.values()) == [1, 3, 3, 3]


def test_a_run_in_slices_is_the_whole_run(monkeypatch):
    problem, texts = valley(), ("adam:lr=0.3", "adam:lr=0.1")
    _, whole = both(problem, texts, steps=30)
    monkeypatch.setattr(sweeps, "MEMORY", 32 * 2 * 7)  # seven steps
    _, sliced = both(problem, texts, steps=30)
    same(whole, sliced, 1e-12)


@pytest.mark.parametrize("traced", [True, False])
def test_a_first_step_with_a_rule_of_its_own(traced, monkeypatch):
    if not traced:
        monkeypatch.setattr(sweeps, "TRACED", 1)
    monkeypatch.setattr(sweeps, "MEMORY", 32 * 2 * 7)
    texts = [f"sgd:momentum=0.5,dampening=0.3,batch=4,lr={lr}" for lr in (0.02, 0.05)]
    one, two = both(line(8), texts, steps=9)
    same(one, two, 1e-5)
    assert all(r.sweep > 1 and not r.alone for r in two.values())


def test_many_learning_rates_share_the_rows_of_a_seed():
    problem = line()
    many = at_rates(contenders(problem, "gd:batch=4"), rates("1e-3..20:17"))
    trials = [(c, seed) for c in many for seed in range(2)]
    one, two = (
        {(r.contender, r.seed): r for r in run_trials(problem, trials, lab.Budget(epochs=6), 0, compiled=c)}
        for c in (False, True)
    )
    same(one, two, 2e-4)  # rates near the limit amplify rounding
    assert {r.sweep for r in two.values()} == {17}
    states = [r.status for r in two.values()]
    assert 0 < states.count("diverged") < len(states)
    shorter = [len(r.steps) for r in two.values() if r.status == "diverged"]
    assert min(shorter) < max(len(r.steps) for r in two.values())  # it stops when it is far away


def how_it_ran(problem, *texts, compiled=None, **budget):
    trials = [(c, seed) for c in contenders(problem, *texts) for seed in range(2)]
    return sweeps.How.of(list(run_trials(problem, trials, lab.Budget(**budget), 0, compiled=compiled)))


def test_what_cannot_be_swept_runs_alone_and_says_why(monkeypatch):
    problem = valley()
    found = how_it_ran(problem, "sgld:lr=0.01", compiled=True, steps=4)
    assert found == sweeps.How(0, 0, {"the method draws random numbers": ["sgld-0"]})
    noisy = how_it_ran(NoisyProblem(problem, 0.1), "gd", compiled=True, steps=4)
    assert list(noisy.alone) == ["the loss draws random numbers"]
    branching = expression("x1**2 + x2**2")
    object.__setattr__(
        branching, "function", lambda x: x.sum() if isinstance(x, np.ndarray) or x[0] > 0 else (x * x).sum()
    )
    (reason,) = how_it_ran(branching, "gd", compiled=True, steps=4).alone
    assert reason.startswith("not captured: sweep: the function would run as written, since bool was asked of a value")
    monkeypatch.setitem(sys.modules, "thalweg.compiler", None)
    (reason,) = how_it_ran(problem, "gd", compiled=True, steps=4).alone
    assert reason == "the compiler needs Numba, which is not installed"


def test_a_program_that_is_not_the_step_is_noticed(monkeypatch):
    problem = valley()
    plain = sweeps.run_trial

    def otherwise(*args, **more):
        record = plain(*args, **more)
        record.losses = [1.5 * x for x in record.losses]
        return record

    monkeypatch.setattr(sweeps, "run_trial", otherwise)
    (reason,) = how_it_ran(problem, "gd:lr=0.1", compiled=True, steps=6).alone
    assert reason == "the compiled step gave other numbers"


def test_short_races_are_not_compiled():
    problem = valley()
    assert list(how_it_ran(problem, "gd", steps=5).alone) == [sweeps.TOO_SHORT]
    gd = contenders(problem, "gd")[0]
    assert sweeps._pays(problem, 0, lab.Budget(steps=100_000), 1)
    groups, why = sweeps._plan(problem, [(gd, 0)], lab.Budget(steps=100_000), None)
    assert ([g.contenders for g in groups], why) == ([[gd]], {})
    assert sweeps._plan(problem, [(gd, 0)], lab.Budget(steps=100_000), False)[0] == []


def test_what_shares_a_program():
    problem = line()
    texts = ("adam:batch=4", "adam:batch=4,lr=1", "adam:batch=4,amsgrad=true", "adam:batch=3", "adam:batch=4,weight_decay=1",
             "adam:batch=4,betas=0.5/0.6", "adamw:batch=4")  # fmt: skip
    found = contenders(problem, *texts)
    groups, _ = sweeps._plan(problem, [(c, 0) for c in found], lab.Budget(epochs=1), True)
    assert [[c.label for c in g.contenders] for g in groups] == [
        ["adam-0", "adam-1", "adam-5"], ["adam-2"], ["adam-3"], ["adam-4"], ["adamw-6"]
    ]  # fmt: skip
    assert groups[0].names == {"lr", "betas"}


def config(compiled, *texts, lr=None, problem="x1**2 + 3*x2**2", seeds=2, **budget):
    spec = lab.resolve_problem(problem)
    chosen = [lab.parse_contender(text, spec.load()) for text in texts]
    if lr is not None:
        chosen = at_rates(chosen, rates(lr))
    return lab.RaceConfig(spec, tuple(chosen), lab.Budget(**(budget or {"steps": 25})), seeds, compiled=compiled)


def raced(folder, what, **more):
    return lab.run_race(store.Store.create(folder, what), command=["thalweg", "race"], pictures=False, **more)


def losses(result):
    return {(r.contender, r.seed): (r.steps, r.losses) for r in result.records}


def test_a_race_stopped_in_the_middle_of_a_sweep_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "BLOCK", 3)
    what = config(True, "adam", "gd", lr="0.01,0.1,1")
    whole = raced(tmp_path / "whole", what)

    def stop(record, done, total):
        if done == 4:  # the second block is finished, and only the first of its records kept
            raise KeyboardInterrupt

    with pytest.raises(race.Interrupted, match="after 4 of 12"):
        raced(tmp_path / "cut", what, progress=stop)
    resumed = lab.run_race(store.Store.open(tmp_path / "cut"), command=["thalweg"], pictures=False)
    assert losses(resumed) == losses(whole)
    assert resumed.how.swept == whole.how.swept == 12
    assert (tmp_path / "cut" / "curves.csv.gz").stat().st_size
    ran = json.loads((tmp_path / "cut" / "manifest.json").read_text())["ran"]
    assert ran == {"swept": 12, "sweeps": resumed.how.sweeps, "alone": {}}
    rows = (tmp_path / "cut" / "results.csv").read_text().splitlines()
    assert rows[0].endswith(",ran")
    assert rows[1].endswith(",in a sweep of 3")


def test_the_choice_is_part_of_the_configuration(tmp_path):
    for compiled in (None, True, False):
        what = config(compiled, "gd", steps=3)
        (tmp_path / "c.toml").write_text(what.to_toml())
        assert lab.RaceConfig.from_toml(tmp_path / "c.toml") == what


def test_the_report_says_how_trials_ran(tmp_path, capsys):
    output.print_race(raced(tmp_path / "a", config(True, "gd", "sgld", lr="0.01,0.1")))
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "4 trials ran in 1 compiled sweep, 4 one by one (sgld-lr1, sgld-lr2: the method draws random numbers)." in text
    )
    output.print_race(raced(tmp_path / "b", config(None, "gd")))
    assert "sweep" not in capsys.readouterr().out
    output.print_race(raced(tmp_path / "c", config(True, "sgld")))
    assert "All 2 trials ran one by one (sgld: the method draws random numbers)." in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_best_of_many_contenders_are_shown(tmp_path, capsys):
    result = raced(tmp_path / "a", config(False, "gd", lr="0.001..10:40", steps=5))
    output.print_race(result)
    text = capsys.readouterr().out
    assert "These are the best 30 of 40 contenders; results.csv has all." in text
    table = text[: text.index("These are the best 30")]
    assert sum(row.startswith("gd-lr") for row in table.splitlines()) == 30
    shown = plots._labels(result)
    assert len(shown) == plots.CURVES
    assert shown[0][1].startswith("gd lr=")
    assert len({look["color"] for _, _, look in shown}) == plots.CURVES
    (curve,) = plots._rate_picture(result).axes[0].lines
    assert len(curve.get_xdata()) == 40
    assert plots._rates(raced(tmp_path / "b", config(False, "gd", "adam", steps=2))) == {}


def test_learning_rates_are_read():
    assert rates("0.1") == [0.1]
    assert rates("0.1,0.2") == [0.1, 0.2]
    assert rates("1..1e-2:3") == [1.0, 0.1, 0.01]
    for text in (
        "",
        "fast",
        "0.1,-1",
        "0,1",
        "1..2",
        "1..2:1",
        "0..1:3",
        "1..2:3:4",
        "nan",
        "1..inf:2",
        "1..2:99999999",
    ):
        with pytest.raises(ArgumentError, match="--lr: numbers > 0"):
            rates(text)
    with pytest.raises(ArgumentError, match="may be given once"):
        rates("0.1,0.10")
    (one,) = at_rates(contenders(valley(), "adam"), [0.5])
    assert (one.label, dict(one.settings)["lr"]) == ("adam-0", 0.5)


@pytest.mark.parametrize("make", [line, classes, net, valley, lambda: NoisyProblem(line(), 0.1)])
def test_values_at_many_points_are_the_values_at_each(make):
    problem = make()
    points = np.random.default_rng(0).normal(size=(4, problem.dimension)).astype(problem.dtype.np)
    instance = problem.instance(np.random.default_rng(1))
    expected = []
    for point in points:
        instance.put(point)
        np.testing.assert_array_equal(instance.values(), point)
        expected.append(problem.value(instance))
    np.testing.assert_allclose(problem.values(points), expected, rtol=1e-12)
    assert math.isfinite(expected[0])


def test_several_classes_at_many_points():
    small = table(9, "classification")
    many = LogisticRegression("three", data.Table("t", small.X, np.arange(9) % 3, task="classification"), l2=0.0)
    assert many.dimension == 9
    points = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    logits = many.table.X @ points[0][:6].reshape(2, 3) + points[0][6:]
    expected = cross_entropy(*map(_tensor, (logits, np.arange(9) % 3))).item()
    assert many.values(points)[0] == pytest.approx(expected, rel=1e-6)


def _tensor(array):
    from thalweg.problems.base import tensor_of

    return tensor_of(array)


def test_slow_programs_are_shared_out_and_waited_for(monkeypatch):
    monkeypatch.setattr(sweeps, "SLOW", 0.0)
    monkeypatch.setattr("thalweg.compiler.get_num_threads", lambda: 2)
    told = []

    class Told:
        def __init__(self, labels):
            told.append(labels)

        def wait(self):
            told.append("waited")

        def stop(self):
            told.append("stopped")

    problem = valley()
    trials = [(c, 0) for c in contenders(problem, "gd", "momentum", "adam", "adagrad")]
    found = list(sweeps.swept(problem, trials, lab.Budget(steps=3), 0, compiled=True, prepare=Told))
    assert [r.contender for r in found] == ["gd-0", "momentum-1", "adagrad-3", "adam-2"]
    assert told == [["adam-2"], "waited", "stopped"]


def test_a_helper_makes_the_programs_that_a_race_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    what = config(True, "gd", "adam", problem="x1**2 + 5*x2**2 + x1")
    (tmp_path / "config.toml").write_text(what.to_toml())
    helper = prepare.Helper(tmp_path / "config.toml", ["adam"])
    try:
        helper.wait()
    finally:
        helper.stop()
    made = list((tmp_path / "cache").rglob("*.n"))
    assert made
    prepare.main([str(tmp_path / "config.toml"), "adam"])
    assert list((tmp_path / "cache").rglob("*.n")) == made  # nothing was left to compile
