"""ReLU inside poolings: the same numbers, NaN and infinity included, with masks and sums over fewer elements."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler import pooling
from thalweg.nn import functional as F
from thalweg.ops import _conv_arrays as convs


def _step(w, b, pool, extra):
    @tw.compile
    def step(x, g):
        w.grad = b.grad = None
        h = F.relu(F.conv2d(x, w, b))
        y = pool(h)
        loss = (y * g).sum() + (h.sum() if extra else 0)
        loss.backward()
        return loss, y, w.grad, b.grad

    return step


POOLS = [lambda h: F.max_pool2d(h, 2), lambda h: F.max_pool2d(h, 3, 2, 1)]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("special", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("extra", [False, True])
@pytest.mark.parametrize("pool", POOLS)
def test_compiled_equals_eager(pool, extra, special, joined, monkeypatch):
    if joined:
        monkeypatch.setattr(pooling, "_ENOUGH", 0)
        monkeypatch.setattr(convs, "ENOUGH", 0)
    rng = np.random.default_rng(0)
    w = tw.tensor(rng.standard_normal((5, 2, 3, 3)), requires_grad=True)
    b = tw.tensor(rng.standard_normal(5) - 2.0, requires_grad=True)  # many windows are 0 throughout
    x = rng.standard_normal((40, 2, 14, 14))
    g = rng.standard_normal(pool(F.conv2d(tw.tensor(x), w)).shape)
    if special:
        x[0, 0, 3, 3] = special
        g[1, 2, 1, 1] = special
    step = _step(w, b, pool, extra)
    first = [np.array(t.detach().numpy()) for t in step(x, g)]  # the first call runs without the compiler
    again = [np.array(t.detach().numpy()) for t in step(x, g)]
    for a, c in zip(first, again, strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(c))
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)
    text = str(step.program)
    assert ("), 0.0)" in text) != extra  # elsewhere the rectified elements are needed as they are
    assert ("relu" in text) == extra
    assert ("convolution_max_pool" in text) == (joined and not extra)
    assert ("convolution_weight_pool_put" in text) == (joined and not extra)


def test_indices_that_are_returned_keep_their_meaning():
    x = np.random.default_rng(0).standard_normal((20, 3, 8, 8))

    def run(x):
        return F.max_pool2d(F.relu(x), 2, return_indices=True)

    compiled = tw.compile(run, strict=True)
    compiled(x)
    for a, b in zip(compiled(x), run(tw.tensor(x)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
