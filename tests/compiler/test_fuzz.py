"""Random programs of the fuzzer: compiled, they give and leave what they do as written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compiler import fuzz, python_kernels

KINDS = (*fuzz.DEFAULT, "state", "aliasing")


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_through_the_interpreter(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    for seed in range(first, first + 10):
        each = fuzz.program(seed, KINDS)
        assert not fuzz.difference(each), fuzz.shrunk(each).text() + fuzz.SCRIPT


@pytest.mark.parametrize("seed", range(100, 106))
def test_through_machine_code(seed: int) -> None:
    each = fuzz.program(seed, KINDS)
    assert not fuzz.difference(each), each.text() + fuzz.SCRIPT


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 4000, 100))
def test_thousands_through_the_interpreter(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    for seed in range(first, first + 100):
        each = fuzz.program(seed, KINDS)
        assert not fuzz.difference(each), fuzz.shrunk(each).text() + fuzz.SCRIPT


@pytest.mark.slow
@pytest.mark.parametrize("first", range(4000, 5000, 50))
def test_a_thousand_through_machine_code(first: int) -> None:
    for seed in range(first, first + 50):
        each = fuzz.program(seed, KINDS)
        assert not fuzz.difference(each), each.text() + fuzz.SCRIPT


def test_draws_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    python_kernels.use(monkeypatch)
    lines = ("h = h + tw.rand(4) * 0.1", "h = h + tw.randn_like(h) * 0.1", "h = h + tw.rand(4) * 0.1")
    each = replace(fuzz.program(0), body=lines, train=False, calls=((3, 1, "None"), (4, 1, "None")))
    assert not fuzz.difference(each)


def test_the_fuzzer_finds_and_shrinks_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sine that is wrong in compiled code is found, and all that has nothing to do with it is left out."""
    python_kernels.use(monkeypatch)
    namespace = python_kernels._namespace
    monkeypatch.setattr(
        python_kernels, "_namespace", lambda: namespace() | {f"sin_{k}": lambda x: x * 0 for k in ("f4", "f8")}
    )
    calls = tuple((n, 5, "None") for n in range(4))
    each = replace(fuzz.program(0), body=("h = h * 1", "h = tw.sin(h) * h", "h = h.flip(1)"), train=False, calls=calls)
    assert fuzz.difference(each)
    small = fuzz.shrunk(each)
    assert small.body == ("h = tw.sin(h) * h",)
    assert len(small.calls) == 2
    compile(small.text() + fuzz.SCRIPT, "script", "exec")
