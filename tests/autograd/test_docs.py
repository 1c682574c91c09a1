"""The page on differentiation runs as written, and its table of kinks is what the library does."""

import doctest
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "autograd.md"


@pytest.mark.parametrize("page", ["autograd.md", "hooks.md"])
def test_examples(page: str) -> None:
    assert doctest.testfile(str(DOCS / page), module_relative=False).failed == 0


def _zeros(x: Any) -> Any:
    return tw.zeros_like(x)


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (lambda x: x.abs(), [0.0], [0.0]),
        (lambda x: x.sign(), [0.0], [0.0]),
        (lambda x: x.relu(), [0.0], [0.0]),
        (lambda x: tw.maximum(x, _zeros(x)), [0.0], [0.5]),
        (lambda x: tw.minimum(x, _zeros(x)), [0.0], [0.5]),
        (lambda x: x.max(), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: x.amax(0), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        (lambda x: x.max(0)[0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]),
        (lambda x: x.sqrt(), [0.0], [math.inf]),
        (lambda x: x.norm(), [0.0, 0.0], [0.0, 0.0]),
        (lambda x: tw.where(x > 0, x, x * 2), [1.0, -1.0], [1.0, 2.0]),
        (lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
        (lambda x: tw.pow(_zeros(x), x), [0.0, 1.0, 2.0], [0.0, 0.0, 0.0]),
        (lambda x: x.prod(), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        (lambda x: x.clamp(0, 1), [0.0, 1.0, 2.0], [1.0, 1.0, 0.0]),
        (lambda x: x.nan_to_num(), [math.nan, math.inf, 1.0], [0.0, 0.0, 1.0]),
    ],
)
def test_kinks(function: Callable[[Any], Any], at: list[float], expected: list[float]) -> None:
    x = tw.tensor(at, requires_grad=True)
    (g,) = tw.autograd.grad(function(x).sum(), x)
    assert g.tolist() == expected
