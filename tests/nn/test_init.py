"""Starting values: distributions, bounds, reproducibility."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import thalweg as tw
from thalweg import nn
from thalweg.nn import init

N = 4000


def _drawn(function, *shape: int, **settings) -> np.ndarray:
    t = tw.empty(*shape)
    assert function(t, generator=tw.Generator().manual_seed(1), **settings) is t
    again = function(tw.empty(*shape), generator=tw.Generator().manual_seed(1), **settings)
    np.testing.assert_array_equal(t.numpy(), again.numpy())
    return t.numpy().ravel().astype(float)


UNIFORM = [
    (init.uniform_, (N,), {"a": -2.0, "b": 3.0}, (-2, 3)),
    (init.xavier_uniform_, (100, 40), {"gain": 2.0}, 2 * math.sqrt(6 / 140)),
    (init.kaiming_uniform_, (100, 40), {"a": math.sqrt(5)}, 1 / math.sqrt(40)),
    (init.kaiming_uniform_, (10, 40, 10), {"mode": "fan_out", "nonlinearity": "relu"}, math.sqrt(6 / 100)),
]
NORMAL = [
    (init.normal_, (N,), {"mean": 1.0, "std": 3.0}, 1, 3),
    (init.xavier_normal_, (100, 40), {}, 0, math.sqrt(2 / 140)),
    (init.kaiming_normal_, (100, 40), {"nonlinearity": "tanh"}, 0, 5 / 3 / math.sqrt(40)),
]


@pytest.mark.parametrize(("function", "shape", "settings", "bound"), UNIFORM)
def test_uniform(function, shape, settings, bound):
    low, high = bound if isinstance(bound, tuple) else (-bound, bound)
    x = _drawn(function, *shape, **settings)
    assert low <= x.min()
    assert x.max() <= high
    assert stats.kstest(x, "uniform", (low, high - low)).pvalue > 0.01


@pytest.mark.parametrize(("function", "shape", "settings", "mean", "std"), NORMAL)
def test_normal(function, shape, settings, mean, std):
    assert stats.kstest(_drawn(function, *shape, **settings), "norm", (mean, std)).pvalue > 0.01


def test_truncated_normal():
    x = _drawn(init.trunc_normal_, N, mean=1.0, std=2.0, a=0.0, b=2.5)
    assert stats.kstest(x, stats.truncnorm(-0.5, 0.75, 1, 2).cdf).pvalue > 0.01


def test_fixed_values():
    assert init.constant_(tw.empty(2), 3).tolist() == [3, 3]
    assert init.ones_(tw.empty(2)).tolist() == [1, 1]
    assert init.zeros_(tw.empty(2)).tolist() == [0, 0]
    assert init.eye_(tw.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = tw.randn(1, 4, 5)
    w = init.dirac_(tw.empty(4, 2, 3), groups=2)
    np.testing.assert_allclose(nn.functional.conv1d(x, w, padding=1, groups=2).numpy(), x.numpy())


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2)])
def test_orthogonal(shape):
    flat = init.orthogonal_(tw.empty(*shape), gain=2.0).numpy().reshape(shape[0], -1)
    small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_sparse():
    x = init.sparse_(tw.empty(10, 5), sparsity=0.25).numpy()
    assert ((x == 0).sum(0) == 3).all()


def test_gains_and_errors():
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    assert init.calculate_gain("selu") == 0.75
    for wrong in (
        lambda: init.calculate_gain("swish"),
        lambda: init.calculate_gain("leaky_relu", "steep"),
        lambda: init.xavier_uniform_(tw.empty(3)),
        lambda: init.kaiming_normal_(tw.empty(3, 3), mode="sideways"),
        lambda: init.eye_(tw.empty(3)),
        lambda: init.dirac_(tw.empty(3, 3)),
        lambda: init.dirac_(tw.empty(3, 3, 3), groups=2),
        lambda: init.orthogonal_(tw.empty(3)),
        lambda: init.sparse_(tw.empty(3), 0.1),
        lambda: init.uniform_(tw.empty(3), 1, 0),
        lambda: init.normal_(tw.empty(3), std=-1),
    ):
        with pytest.raises(ValueError):
            wrong()


def test_layers_start_as_pytorchs_do_and_by_the_seed():
    tw.manual_seed(3)
    a = nn.Conv2d(4, 8, 3)
    tw.manual_seed(3)
    b = nn.Conv2d(4, 8, 3)
    np.testing.assert_array_equal(a.weight.detach().numpy(), b.weight.detach().numpy())
    bound = 1 / math.sqrt(36)
    for p in a.parameters():
        assert np.abs(p.detach().numpy()).max() <= bound
    assert not nn.MultiheadAttention(4, 2).in_proj_bias.detach().numpy().any()
    assert abs(nn.Embedding(100, 40).weight.detach().numpy().std() - 1) < 0.05


def test_filling_is_outside_the_graph_but_counted():
    p = nn.Parameter(tw.ones(3))
    y = (p * p).sum()
    init.zeros_(p)
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()
