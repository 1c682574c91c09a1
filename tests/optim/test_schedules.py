"""The schedules as functions, their classes, the range test, and the averaging of models."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.optim import lr_scheduler as lrs
from thalweg.optim import schedules, swa_utils

from .table import params_of

PRINTED = {
    "square root": (lambda t: schedules.square_root(t, 0.1),
                    {0: 0.1, 1: 0.070711, 2: 0.057735, 3: 0.05, 10: 0.030151, 29: 0.018257}),
    "factor": (lambda t: schedules.factor(t, 2.0, 0.9, 0.01),
               {0: 1.8, 1: 1.62, 9: 0.697357, 24: 0.14358, 48: 0.011453, 49: 0.010308, 50: 0.01}),
    "multi-step": (lambda t: schedules.multi_step(t, 0.5, [15, 30], 0.5), {0: 0.5, 14: 0.5, 15: 0.25, 29: 0.25}),
    "cosine": (lambda t: schedules.cosine(t, 0.3, 20, 0.01),
               {0: 0.3, 1: 0.298215, 5: 0.25753, 10: 0.155, 15: 0.05247, 19: 0.011785, 20: 0.01, 29: 0.01}),
    "warm-up": (lambda t: schedules.warmup(t, 0.3, 5, lambda u: schedules.cosine(u, 0.3, 15, 0.01)),
                {0: 0.0, 1: 0.06, 4: 0.24, 5: 0.3, 6: 0.296831, 12: 0.170157, 13: 0.139843, 20: 0.01, 29: 0.01}),
    "exponential": (lambda t: schedules.exponential(t, 0.2, 0.3), {0: 0.2, 10: round(0.2 * math.exp(-3), 6)}),
    "inverse polynomial": (lambda t: schedules.inverse_polynomial(t, 0.2, 0.5, 2.0), {0: 0.2, 2: 0.05}),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_printed_values(name):
    function, values = PRINTED[name]
    assert {t: round(function(t), 6) for t in values} == values


CLASSES = {
    "square root": (0.1, lrs.SquareRootLR),
    "factor": (2.0, lambda o: lrs.FactorLR(o, 0.9, 0.01)),
    "multi-step": (0.5, lambda o: lrs.MultiStepLR(o, [15, 30], 0.5)),
    "cosine": (0.3, lambda o: lrs.CosineLR(o, 20, 0.01)),
    "warm-up": (0.3, lambda o: lrs.SequentialLR(o, [lrs.WarmupLR(o, 5), lrs.CosineLR(o, 15, 0.01)], [5])),
    "exponential": (0.2, lambda o: lrs.ExponentialLR(o, math.exp(-0.3))),
    "inverse polynomial": (0.2, lambda o: lrs.InversePolynomialLR(o, 0.5, 2.0)),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_shells_over_the_functions(name):
    """Step t of the class, counted from 0, is the function's."""
    base, build = CLASSES[name]
    optimizer = optim.SGD(params_of([np.zeros(1)]), lr=base)
    scheduler = build(optimizer)
    for t in range(40):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(PRINTED[name][0](t), rel=1e-9, abs=1e-15)
        optimizer.step()
        scheduler.step()


def test_warm_up_before_any_schedule():
    """Also before a plateau, and with the restarts of another sequence."""
    optimizer = optim.SGD(params_of([np.zeros(1)]), lr=1.0)
    plateau = lrs.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    scheduler = lrs.SequentialLR(optimizer, [lrs.WarmupLR(optimizer, 2), plateau], [2])
    seen = []
    for metric in (5.0, 5.0, 5.0, 5.0, 4.0):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(metric)
    assert seen == [0.0, 0.5, 0.5, 0.25, 0.125]


def test_a_metric_is_asked_for():
    optimizer = optim.SGD(params_of([np.zeros(1)]), lr=1.0)
    chain = lrs.ChainedScheduler([lrs.ExponentialLR(optimizer, 0.5), lrs.ReduceLROnPlateau(optimizer)])
    optimizer.step()
    with pytest.raises(TypeError, match="needs the metric"):
        chain.step()
    chain.step(tw.tensor(1.0))


def test_lr_range_test():
    (x,) = params_of([np.array([1.0, 1.0])])
    optimizer = optim.SGD([x], lr=0.123, momentum=0.0)

    def closure():
        optimizer.zero_grad()
        loss = (x**2).sum() + 1.0
        loss.backward()
        return loss

    found = lrs.lr_range_test(optimizer, closure, 1e-3, 100.0, steps=60, smoothing=0.0)
    assert x.tolist() == [1.0, 1.0]
    assert optimizer.param_groups[0]["lr"] == 0.123
    assert 0.01 < found.suggestion < 0.5
    assert 1.0 < found.diverged_at < 10.0  # beyond the limit 1 of this quadratic
    assert found.losses[0] == 3.0
    assert len(found.lrs) == len(found.losses) < 60
    with pytest.raises(ValueError, match="start_lr must be"):
        lrs.lr_range_test(optimizer, closure, 1.0, 0.1)


def test_averaged_model():
    model = tw.nn.Linear(2, 1)
    plain = swa_utils.AveragedModel(model)
    smooth = swa_utils.AveragedModel(model, avg_fn=swa_utils.get_ema_avg_fn(0.5))
    listed = swa_utils.AveragedModel(model, multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match="got both"):
        swa_utils.AveragedModel(model, avg_fn=max, multi_avg_fn=max)
    for value in (1.0, 2.0, 6.0):
        with tw.no_grad():
            for p in model.parameters():
                p.fill_(value)
        for averaged in (plain, smooth, listed):
            averaged.update_parameters(model)
    assert plain.module.weight.tolist() == [[3.0, 3.0]]
    assert listed.module.weight.tolist() == [[3.0, 3.0]]
    assert smooth.module.weight.tolist() == [[3.75, 3.75]]
    assert plain.n_averaged.item() == 3
    assert plain(tw.ones(1, 2)).tolist() == [[9.0]]


@pytest.mark.conformance
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 5])
def test_swalr(strategy, epochs):
    torch = pytest.importorskip("torch")
    ours = optim.SGD(params_of([np.zeros(1)]), lr=0.3)
    theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    mine = swa_utils.SWALR(ours, 0.05, epochs, strategy)
    other = torch.optim.swa_utils.SWALR(theirs, 0.05, epochs, strategy)
    for _ in range(9):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9)
        ours.step(), theirs.step(), mine.step(), other.step()
