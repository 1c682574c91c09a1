"""Schedules, warm-up and averages as options of a contender: the same in sweeps as step by step, tuned and run again."""

import math

import numpy as np
import pytest

from thalweg import lab, optim
from thalweg.errors import ArgumentError
from thalweg.lab import options
from thalweg.lab.methods import all_methods
from thalweg.lab.store import Store

SPEC = lab.resolve_problem("diabetes")
WIDE = lab.resolve_problem("diabetes", model="mlp:48")


def contenders(spec, *texts):
    problem = spec.load()
    return lab.contender.distinct([lab.parse_contender(text, problem) for text in texts])


def test_no_method_has_a_setting_of_the_name_of_an_option():
    for method in all_methods().values():
        assert not set(method.defaults()) & set(options.OPTIONS), method.name


@pytest.mark.parametrize("schedule", options.SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 10, 301])
def test_factors_rise_to_one_and_never_vanish(schedule, warmup, steps):
    found = options.factors({"schedule": schedule, "warmup": warmup}, steps)
    if schedule == "constant" and not warmup:
        assert found is None
        return
    first = math.ceil(warmup * steps)
    assert found.shape == (steps,)
    assert (found > 0).all()
    assert found.max() == pytest.approx(1.0)
    assert (np.diff(found[:first]) > 0).all()
    assert (np.diff(found[first:]) <= 0).all()


def test_factors_are_those_of_the_schedules_of_the_library():
    steps = 40
    cosine = [optim.schedules.cosine(t, 1.0, steps) for t in range(steps)]
    linear = [optim.schedules.polynomial(t, 1.0, steps) for t in range(steps)]
    np.testing.assert_allclose(options.factors({"schedule": "cosine"}, steps), cosine)
    np.testing.assert_allclose(options.factors({"schedule": "linear"}, steps), linear)
    wsd = options.factors({"schedule": "wsd"}, steps)
    np.testing.assert_allclose(wsd[:33], 1)
    np.testing.assert_allclose(wsd[32:], np.arange(8, 0, -1) / 8)


def test_a_scheduled_run_is_the_run_with_its_rates_set_by_hand():
    problem = SPEC.load()
    (contender,) = contenders(SPEC, "gd:lr=0.3,schedule=cosine,warmup=0.25")
    record = lab.trial.run_trial(problem, contender, 0, lab.Budget(steps=8), 0)
    instance = problem.instance(lab.trial.streams(0, 0)[0])
    optimizer = optim.SGD(instance.parameters, lr=0.3)
    losses = [problem.value(instance)]
    for factor in options.factors({"schedule": "cosine", "warmup": 0.25}, 8).tolist():
        optimizer.param_groups[0]["lr"] = 0.3 * factor
        optimizer.zero_grad()
        instance.loss(*[lab.trial.tensor_of(a) for a in problem.arrays]).backward()
        optimizer.step()
        losses.append(problem.value(instance))
    assert record.losses == losses


def test_an_averaged_run_is_judged_by_its_average():
    problem = SPEC.load()
    plain, mean = contenders(SPEC, "gd:lr=0.3", "gd:lr=0.3,ema=0.5")
    first, second = (lab.trial.run_trial(problem, c, 0, lab.Budget(steps=1), 0) for c in (plain, mean))
    assert first.losses[0] == second.losses[0]
    assert first.losses[1] < second.losses[1] < first.losses[0]  # half of the way, on a quadratic


@pytest.mark.parametrize(
    ("spec", "texts"),
    [
        (SPEC, ["adam:schedule=cosine,warmup=0.1", "adam:schedule=wsd,lr=0.05"]),
        (SPEC, ["momentum:schedule=linear,warmup=0.05,ema=0.9", "momentum:schedule=cosine,ema=0.9"]),
        (SPEC, ["muon:lr=0.01", "muon:lr=0.02"]),  # without hidden matrices: AdamW alone
        (WIDE, ["adam:schedule=cosine,ema=0.8", "adam:schedule=wsd,ema=0.8,lr=0.02"]),
    ],
)
def test_sweeps_give_what_single_runs_give(spec, texts):
    pytest.importorskip("numba")
    problem, budget = spec.load(), lab.Budget(steps=30)
    trials = [(c, seed) for c in contenders(spec, *texts) for seed in range(2)]
    swept = list(lab.run_trials(problem, trials, budget, 0, compiled=True))
    assert {r.sweep for r in swept} == {4}
    for record in swept:
        contender = next(c for c, _ in trials if c.label == record.contender)
        single = lab.trial.run_trial(problem, contender, record.seed, budget, 0)
        np.testing.assert_allclose(record.losses, single.losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adam:schedule=cosin", "schedule must be constant, cosine, linear or wsd, got 'cosin'"),
        ("adam:warmup=1", "warmup must be a share of the steps in"),
        ("adam:ema=1", "ema must be a decay in"),
        ("adam:ema=-0.1", "ema must be a decay in"),
        ("adam:emma=0.9", "Did you mean 'ema'"),
    ],
)
def test_wrong_options_are_refused(text, message):
    with pytest.raises(ArgumentError, match=message):
        lab.parse_contender(text, SPEC.load())


def test_options_are_kept_through_tuning_and_files(tmp_path):
    (contender,) = contenders(SPEC, "adam:schedule=wsd,warmup=0.1,ema=0.9")
    config = lab.RaceConfig(
        SPEC,
        (contender,),
        lab.Budget(steps=6),
        2,
        trials_each=3,
        tuning_seeds=1,
        validation=0.2,
        test=0.2,
        compiled=False,
    )
    result = lab.run_race(Store.create(tmp_path / "out", config), command=["thalweg"], pictures=False, explain=True)
    assert lab.RaceConfig.from_toml(tmp_path / "out" / "config.toml") == config
    chosen = dict(result.config.contenders[0].settings)
    assert {key: chosen[key] for key in options.OPTIONS} == {"schedule": "wsd", "warmup": 0.1, "ema": 0.9}
