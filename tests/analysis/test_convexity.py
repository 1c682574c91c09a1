"""Convexity: right where it decides, and never "convex" for a function that is not."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.analysis import convexity
from thalweg.errors import ArgumentError

BOX1, BOX2 = ([-1.0], [1.5]), ([-1.0, -1.0], [1.0, 1.5])

# name: (function, box, whether it is convex there, whether the method can certify it)
FUNCTIONS = {
    "square": (lambda x: (x * x).sum(), BOX2, True, True),
    "fourth power": (lambda x: (x**4).sum(), BOX2, True, True),
    "sixth power": (lambda x: (x**6).sum(), BOX1, True, True),
    "exp": (lambda x: tw.exp(0.5 * x).sum(), BOX1, True, True),
    "exp of minus": (lambda x: tw.exp(-x).sum(), BOX2, True, True),
    "cosh": (lambda x: tw.cosh(x).sum(), BOX1, True, True),
    "linear": (lambda x: 3 * x.sum() + 1, BOX2, True, True),
    "constant": (lambda x: 0 * x.sum() + 2, BOX2, True, True),
    "valley": (lambda x: 0.1 * x[0] ** 2 + 2 * x[1] ** 2, BOX2, True, True),
    "turned square": (lambda x: (x[0] + 2 * x[1]) ** 2, BOX2, True, True),
    "booth": (lambda x: (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2, BOX2, True, True),
    "matyas": (lambda x: 0.26 * (x * x).sum() - 0.48 * x[0] * x[1], BOX2, True, True),
    "minus log": (lambda x: -tw.log(x + 3).sum(), BOX2, True, True),
    "entropy": (lambda x: ((x + 2) * tw.log(x + 2)).sum(), BOX1, True, True),
    "reciprocal": (lambda x: (1 / (x + 3)).sum(), BOX1, True, True),
    "square plus cosine": (lambda x: (2 * x * x + x.cos()).sum(), BOX2, True, True),
    "softplus": (lambda x: tw.log(1 + tw.exp(x)).sum(), BOX1, True, True),
    "minus square root": (lambda x: -tw.sqrt(x + 2).sum(), BOX1, True, True),
    "sum of exps": (lambda x: tw.exp(x[0] + x[1]) + tw.exp(x[0] - x[1]) + (x * x).sum(), BOX2, True, True),
    "three variables": (lambda x: (x * x).sum() + x[0] * x[1] * 0.5, ([-1.0] * 3, [1.0] * 3), True, True),
    "log-sum-exp": (lambda x: tw.log(tw.exp(x).sum()), BOX2, True, False),
    "quadratic over linear": (lambda x: x[0] ** 2 / (x[1] + 3), BOX2, True, False),
    "norm": (lambda x: tw.sqrt((x * x).sum() + 1e-3), BOX2, True, None),
    "absolute value": (lambda x: x.abs().sum(), BOX2, True, False),
    "largest": (lambda x: tw.maximum(x[0], x[1]), BOX2, True, False),
    "positive part": (lambda x: x.relu().sum(), BOX2, True, False),
    "cosine": (lambda x: tw.cos(np.pi * x).sum(), BOX1, False, False),
    "sine": (lambda x: x.sin().sum(), BOX1, False, False),
    "cube": (lambda x: (x**3).sum(), BOX1, False, False),
    "saddle": (lambda x: x[0] ** 2 - x[1] ** 2, BOX2, False, False),
    "product": (lambda x: x[0] * x[1], BOX2, False, False),
    "minus square": (lambda x: -(x * x).sum(), BOX2, False, False),
    "minus absolute": (lambda x: -x.abs().sum(), BOX2, False, False),
    "smaller": (lambda x: tw.minimum(x[0], x[1]), BOX2, False, False),
    "log": (lambda x: tw.log(x + 3).sum(), BOX1, False, False),
    "tanh": (lambda x: x.tanh().sum(), BOX1, False, False),
    "rosenbrock": (lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, BOX2, False, False),
    "wave": (lambda x: (x * (0.15 * np.pi * x).cos()).sum(), ([-10.0], [10.0]), False, False),
    "square with a small dent": (lambda x: (x * x - 0.6 * tw.exp(-50 * (x - 0.3) ** 2)).sum(), BOX1, False, False),
    "barely bent down": (lambda x: x[0] ** 2 - 1e-14 * x[1] ** 2, BOX2, False, None),
    "kink downwards": (lambda x: x[0] ** 2 - 1e-3 * x[1].abs(), BOX2, False, False),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_verdicts(name):
    fun, (low, high), convex, certifiable = FUNCTIONS[name]
    found = convexity(fun, low, high, boxes=300, chords=1500)
    if convex:
        assert found.verdict != "not convex", str(found)
        if certifiable is not None:
            assert (found.verdict == "convex") is certifiable, str(found)
    else:
        assert found.verdict != "convex", str(found)
        if certifiable is False:
            assert found.verdict == "not convex", str(found)
            a, b = found.chord
            values = [fun(tw.tensor(p)).item() for p in (a, b, (a + b) / 2)]
            assert values[2] > (values[0] + values[1]) / 2
    assert found.reason


def test_list_is_long_enough():
    assert len(FUNCTIONS) >= 40


def test_what_python_decides_is_not_certified():
    def branch(x):
        return (x * x).sum() if x[0].item() > 0 else 2 * (x * x).sum()

    assert convexity(branch, *BOX1, chords=10).verdict != "convex"


def test_misuse():
    with pytest.raises(ArgumentError, match="low <= high"):
        convexity(lambda x: x.sum(), [1.0], [0.0])
    with pytest.raises(ArgumentError, match="bounded"):
        convexity(lambda x: x.sum(), [-np.inf], [0.0])
