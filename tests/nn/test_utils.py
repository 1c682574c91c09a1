"""Clipping, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)


def _with_gradients(*gradients: list) -> list:
    params = []
    for g in gradients:
        p = nn.Parameter(tw.zeros(len(g), dtype=tw.float64))
        p.grad = tw.tensor(g, dtype=tw.float64)
        params.append(p)
    return params


def _norm(params: list, p: float = 2) -> float:
    return float(np.linalg.norm(np.concatenate([q.grad.numpy() for q in params]), p))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_the_norm_is_clipped_exactly(p):
    params = _with_gradients([3.0, -4.0], [12.0])
    before = _norm(params, p)
    assert clip_grad_norm_(params, 1.0, p).item() == pytest.approx(before, rel=1e-15)
    assert _norm(params, p) == pytest.approx(1.0, rel=1e-15)


def test_inside_the_ball_nothing_changes():
    params = _with_gradients([0.6, 0.8])
    clip_grad_norm_(params, 1.0)
    assert params[0].grad.tolist() == [0.6, 0.8]
    clip_grad_norm_(params[0], 2.0)
    assert params[0].grad.tolist() == [0.6, 0.8]
    assert clip_grad_norm_([nn.Parameter(tw.zeros(1))], 1.0).item() == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_not_finite(bad):
    params = _with_gradients([1.0], [bad])
    with pytest.raises(RuntimeError, match="nothing was changed"):
        clip_grad_norm_(params, 1.0)
    clip_grad_norm_(params, 1.0, error_if_nonfinite=False)
    assert params[0].grad.tolist() == [1.0]
    clip_grad_norm_(params, 1.0, nonfinite="skip")
    assert [p.grad.tolist() for p in params] == [[0.0], [0.0]]
    with pytest.raises(ValueError, match="nonfinite"):
        clip_grad_norm_(params, 1.0, nonfinite="maybe")


def test_values_are_clipped():
    params = _with_gradients([3.0, -4.0, 0.5])
    clip_grad_value_(params, 1.0)
    assert params[0].grad.tolist() == [1.0, -1.0, 0.5]
    with pytest.raises(ValueError):
        clip_grad_value_(params, -1.0)


def test_total_norm():
    assert get_total_norm([]).item() == 0
    assert get_total_norm([tw.tensor([3.0]), tw.tensor([4.0])]).item() == 5


def test_parameters_as_a_vector_and_back():
    net = nn.Linear(2, 3)
    v = parameters_to_vector(net.parameters())
    assert v.shape == (9,)
    v.sum().backward()
    assert net.weight.grad.numpy().all()
    vector_to_parameters(tw.arange(9.0), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert net.bias.tolist() == [6, 7, 8]
    assert net.weight.is_leaf
    with pytest.raises(ValueError):
        vector_to_parameters(tw.zeros(8), net.parameters())
    with pytest.raises(TypeError):
        vector_to_parameters([0.0] * 9, net.parameters())


@pytest.mark.conformance
def test_factor_agrees_with_pytorch_to_its_fuzz():
    torch = pytest.importorskip("torch")
    p = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    p.grad = torch.tensor([3.0, -4.0, 12.0], dtype=torch.float64)
    torch.nn.utils.clip_grad_norm_([p], 1.0)
    ours = _with_gradients([3.0, -4.0, 12.0])
    clip_grad_norm_(ours, 1.0)
    np.testing.assert_allclose(ours[0].grad.numpy(), p.grad.numpy(), rtol=1e-6)
