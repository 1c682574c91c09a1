"""Sub-gradients at kinks and edges, one row each: the table of the documentation."""

import math

import numpy as np
import pytest

import thalweg as tw
import thalweg.nn.functional as F

INF, NAN = math.inf, math.nan

ONE = [
    ("abs", tw.abs, 0.0, 0.0),
    ("sign", tw.sign, 0.0, 0.0),
    ("relu", tw.relu, 0.0, 0.0),
    ("sqrt", tw.sqrt, 0.0, INF),
    ("log", tw.log, 0.0, INF),
    ("x**0", lambda x: x**0, 0.0, 0.0),
    ("x**0 at NaN", lambda x: x**0, NAN, 0.0),
    ("x**1 at 0", lambda x: x**1, 0.0, 1.0),
    ("0**y at 0", lambda y: 0.0**y, 0.0, 0.0),
    ("0**y above", lambda y: 0.0**y, 2.0, 0.0),
    ("0**y below", lambda y: 0.0**y, -1.0, -INF),
    ("(-1)**y", lambda y: (-1.0) ** y, 2.0, NAN),
    ("clamp at the lower bound", lambda x: tw.clamp(x, 0, 1), 0.0, 1.0),
    ("clamp at the upper bound", lambda x: tw.clamp(x, 0, 1), 1.0, 1.0),
    ("clamp beyond", lambda x: tw.clamp(x, 0, 1), 2.0, 0.0),
    ("clamp of NaN", lambda x: tw.clamp(x, 0, 1), NAN, 0.0),
    ("clamp min only", lambda x: tw.clamp(x, min=0), 0.0, 1.0),
    ("clamp with min > max", lambda x: tw.clamp(x, 1, 0), 0.5, 0.0),
    ("nan_to_num of NaN", tw.nan_to_num, NAN, 0.0),
    ("nan_to_num of infinity", tw.nan_to_num, INF, 0.0),
    ("sinc", tw.sinc, 0.0, 0.0),
    ("floor", tw.floor, 1.0, 0.0),
    ("round", tw.round, 0.5, 0.0),
    ("logit beyond", tw.logit, 2.0, NAN),
    ("logit with eps, at eps", lambda x: tw.logit(x, 0.25), 0.25, 1 / (0.25 * 0.75)),
    ("logit with eps, beyond", lambda x: tw.logit(x, 0.25), 0.1, 0.0),
    ("xlogy at 0, 0", lambda x: tw.xlogy(x, 0.0), 0.0, 0.0),
    ("relu6 at 0", F.relu6, 0.0, 0.0),
    ("relu6 at 6", F.relu6, 6.0, 0.0),
    ("hardtanh at 1", F.hardtanh, 1.0, 0.0),
    ("hardsigmoid at -3", F.hardsigmoid, -3.0, 0.0),
    ("hardswish at -3", F.hardswish, -3.0, 0.0),
    ("hardswish at 3", F.hardswish, 3.0, 1.0),
    ("hardshrink at 0.5", F.hardshrink, 0.5, 0.0),
    ("softshrink at 0.5", F.softshrink, 0.5, 0.0),
    ("leaky_relu", F.leaky_relu, 0.0, 0.01),
    ("elu", lambda x: F.elu(x, 0.5), 0.0, 0.5),
    ("selu", F.selu, 0.0, 1.0507009873554805 * 1.6732632423543772),
    ("threshold at the threshold", lambda x: F.threshold(x, 0, 5), 0.0, 0.0),
    ("softsign", F.softsign, 0.0, 1.0),
    ("i1", tw.special.i1, 0.0, 0.5),
]

TWO = [
    ("maximum at a tie", tw.maximum, (1.0, 1.0), (0.5, 0.5)),
    ("minimum at a tie", tw.minimum, (1.0, 1.0), (0.5, 0.5)),
    ("maximum with NaN", tw.maximum, (NAN, 1.0), (1.0, 1.0)),
    ("fmax at a tie", tw.fmax, (1.0, 1.0), (1.0, 0.0)),
    ("fmax with NaN", tw.fmax, (NAN, 1.0), (0.0, 1.0)),
    ("fmin with NaN", tw.fmin, (1.0, NAN), (1.0, 0.0)),
    ("clamp_min at a tie", tw.clamp_min, (1.0, 1.0), (1.0, 0.0)),
    ("clamp_max at a tie", tw.clamp_max, (1.0, 1.0), (1.0, 0.0)),
    ("atan2 at the origin", tw.atan2, (0.0, 0.0), (0.0, 0.0)),
    ("hypot at the origin", tw.hypot, (0.0, 0.0), (NAN, NAN)),
    ("copysign of 0", tw.copysign, (0.0, -1.0), (0.0, 0.0)),
    ("pow(0, 0)", tw.pow, (0.0, 0.0), (0.0, 0.0)),
    ("pow(0, 1)", tw.pow, (0.0, 1.0), (1.0, 0.0)),
    ("pow(0, -1)", tw.pow, (0.0, -1.0), (-INF, -INF)),
    ("pow(-1, 2)", tw.pow, (-1.0, 2.0), (-2.0, NAN)),
    ("xlogy", tw.xlogy, (0.0, 2.0), (math.log(2), 0.0)),
    ("logaddexp of infinities", tw.logaddexp, (INF, INF), (NAN, NAN)),
    ("where, the branch not taken", lambda x, y: tw.where(x > 0, x, tw.log(y)), (1.0, 0.0), (1.0, NAN)),
    ("where, a constant infinity", lambda x, y: tw.where(x > 0, x, y * 0 + INF), (1.0, 0.0), (1.0, 0.0)),
    ("prelu", F.prelu, (0.0, 0.3), (0.3, 0.0)),
    ("remainder at a multiple", tw.remainder, (4.0, 2.0), (1.0, -2.0)),
]


@pytest.mark.parametrize(("name", "function", "x", "expected"), ONE, ids=[row[0] for row in ONE])
def test_of_one_value(name, function, x, expected):
    t = tw.tensor([x], dtype=tw.float64, requires_grad=True)
    function(t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), [expected])


@pytest.mark.parametrize(("name", "function", "xs", "expected"), TWO, ids=[row[0] for row in TWO])
def test_of_two_values(name, function, xs, expected):
    ts = [tw.tensor([x], dtype=tw.float64, requires_grad=True) for x in xs]
    function(*ts).sum().backward()
    np.testing.assert_allclose([t.grad.item() for t in ts], expected)


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "function", "x", "expected"), ONE, ids=[row[0] for row in ONE])
def test_pytorch_says_the_same_of_one_value(name, function, x, expected, monkeypatch):
    torch = pytest.importorskip("torch")
    _as_pytorch(monkeypatch, torch)
    t = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    _again(function, torch)(t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), [expected], rtol=1e-6)


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "function", "xs", "expected"), TWO, ids=[row[0] for row in TWO])
def test_pytorch_says_the_same_of_two_values(name, function, xs, expected, monkeypatch):
    torch = pytest.importorskip("torch")
    _as_pytorch(monkeypatch, torch)
    ts = [torch.tensor([x], dtype=torch.float64, requires_grad=True) for x in xs]
    _again(function, torch)(*ts).sum().backward()
    np.testing.assert_allclose([t.grad.item() for t in ts], expected)


def _as_pytorch(monkeypatch, torch):
    """Let the lambdas of the tables mean PyTorch."""
    monkeypatch.setitem(globals(), "tw", torch)
    monkeypatch.setitem(globals(), "F", torch.nn.functional)


def _again(function, torch):
    """The function of the same name in PyTorch; lambdas find it by themselves."""
    if function.__name__ == "<lambda>":
        return function
    for place in (torch, torch.nn.functional, torch.special):
        if hasattr(place, function.__name__):
            return getattr(place, function.__name__)
    raise AssertionError(function.__name__)
