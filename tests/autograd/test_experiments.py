"""The worked examples of two lecture notes come out as printed there."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

import thalweg as tw

PRINTED = {
    e["id"]: e["printed"]
    for e in json.loads((Path(__file__).parent.parent / "data/autograd_experiments.json").read_text())
}


def _square() -> tuple[Any, Any, Any]:
    x = tw.tensor(1.0, requires_grad=True)
    y = x**2
    return x, y, y + 1


def _pair() -> tuple[Any, Any]:
    x = tw.ones(2, requires_grad=True)
    return x, x * x


def test_values_and_nodes() -> None:
    x, y, z = _square()
    assert repr(x) == PRINTED["autograd-01"]
    assert repr(y) == PRINTED["autograd-02"]
    assert x.grad_fn is None  # autograd-03
    assert repr(z) == PRINTED["autograd-04"]


def test_a_backward_fills_the_leaf_and_frees_the_graph() -> None:
    x, _, z = _square()
    assert x.grad is None
    z.backward()
    assert repr(x.grad) == PRINTED["autograd-05"]
    with pytest.raises(RuntimeError, match="second backward"):
        z.backward()


def test_a_backward_from_the_middle_frees_its_part() -> None:
    x, y, z = _square()
    y.backward()
    assert repr(x.grad) == PRINTED["autograd-06"] == PRINTED["autograd-08"]
    for again in (y, z):
        with pytest.raises(RuntimeError, match="second backward"):
            again.backward()
    with pytest.warns(UserWarning, match="no leaf"):
        assert y.grad is None


def test_intermediate_gradients_are_kept_on_request() -> None:
    x, y, _ = _square()
    z = y**2
    z.backward()
    assert repr(x.grad) == PRINTED["autograd-07"]
    x, y, _ = _square()
    y.retain_grad()
    (y**2).backward()
    assert f"y.grad {y.grad!r}, x.grad {x.grad!r}" == PRINTED["autograd-09"]


def test_ways_out_of_the_graph() -> None:
    _, y, _ = _square()
    with tw.no_grad():
        z = y**2
    assert f"{z!r} / requires_grad {z.requires_grad} / y {y!r}" == PRINTED["autograd-10"]
    y1 = y.detach()
    assert f"y1 {y1!r}, z {y1**2!r}" == PRINTED["autograd-11"]


def test_leaves() -> None:
    x, y, _ = _square()
    assert ", ".join(str(t.is_leaf) for t in (x, y, tw.tensor([1]), y.detach())) == PRINTED["autograd-12"]


def test_vectors() -> None:
    x = tw.ones(2)
    assert f"{x!r} {x.requires_grad}" == PRINTED["autograd-13"]
    x.requires_grad_(True)
    assert f"{x!r} {x.requires_grad}" == PRINTED["autograd-14"]
    x, y = _pair()
    assert repr(y) == PRINTED["autograd-15"]
    total = y.sum()
    before, done = x.grad, total.backward()
    shown = f"{total!r}; x.grad {before}; y.backward() {done}; x.grad {x.grad!r}"
    assert shown == PRINTED["autograd-16"]
    with tw.no_grad():
        quiet = (x * x).sum()
    assert f"{(x * x).sum()!r} then {quiet!r} {quiet.grad_fn}" == PRINTED["autograd-17"]


def test_writes_behind_the_back_of_the_graph() -> None:
    x = tw.ones(1, requires_grad=True)
    shown = f"x.data {x.data!r}; requires_grad {x.data.requires_grad}; "
    y = 2 * x
    x.data *= 100
    y.backward()
    assert shown + f"x {x!r}; x.grad {x.grad!r}" == PRINTED["autograd-18"]
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        x *= 100


def test_attributes_of_leaf_and_result() -> None:
    x = tw.ones(2, requires_grad=True)
    y = x * x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = f"{x.grad}; {x.grad_fn} {y.grad}; None; {x.is_leaf} {y.is_leaf}; {x.grad_fn} {y.grad_fn}"
    assert shown == PRINTED["autograd-19"]


def test_gradients_accumulate() -> None:
    x, y = _pair()
    y.sum().backward()
    once = repr(x.grad)
    (x * x).sum().backward()
    twice = repr(x.grad)
    assert x.grad is not None
    x.grad.data.zero_()
    (x * x).sum().backward()
    assert f"{once}; {twice}; after grad.data.zero_() {x.grad!r}" == PRINTED["autograd-20"]
