"""Elementwise operations, compiled over every element type and special value, give what they give as written."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import elements, python_kernels

CALLS = list(elements.calls())
PARTS = 13  # shares no factor with the six types and their pairs, so that every part has all of them


def check(name: str, function: Callable[..., Any], arrays: list[np.ndarray[Any, Any]]) -> str:
    """Return how a call differs when it is compiled, or nothing."""
    want = elements.outcome(function, arrays)
    compiled = tw.compile(lambda *given: function(*given))
    elements.outcome(compiled, arrays)
    found = elements.difference(elements.outcome(compiled, arrays), want)
    return f"{name}: {found}" if found else ""


def arrays_of(types: tuple[str, ...], size: int) -> list[np.ndarray[Any, Any]]:
    return [np.resize(elements.special(t, 5 * k), size) for k, t in enumerate(types)]


@pytest.mark.parametrize("part", [pytest.param(k, marks=pytest.mark.slow) if k > 3 else k for k in range(PARTS)])
def test_generated_sources(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    sizes = itertools.cycle((10, 10, 700, 0))
    wrong = [check(n, f, arrays_of(t, size)) for (n, f, t), size in zip(CALLS[part::PARTS], sizes, strict=False)]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("part", range(3))
def test_a_sample_of_machine_code(part: int) -> None:
    wrong = [check(n, f, arrays_of(t, 10 if k % 2 else 2560)) for k, (n, f, t) in enumerate(CALLS[part * 61 :: 661])]
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.slow
@pytest.mark.parametrize("size", [10, 2560])
@pytest.mark.parametrize("part", range(PARTS))
def test_machine_code(part: int, size: int) -> None:
    wrong = [check(n, f, arrays_of(t, size)) for n, f, t in CALLS[part::PARTS]]
    assert not any(wrong), "\n".join(filter(None, wrong))
