"""A convolution and the max pooling of its result in one kernel, and their gradients: the same numbers as one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from thalweg.ops import _conv_arrays as convs
from thalweg.ops import _pool_arrays as pools

CHOICES = [  # channels, groups, size, kernel, stride, padding, and the kernel, stride and padding of the pooling
    ((2, 6), 1, (14, 13), (5, 5), 1, 0, (2, 2, 0)),
    ((4, 6), 2, (12, 12), (3, 3), 1, 1, (3, 2, 1)),
    ((3, 7), 1, (21, 9), (3, 2), 2, 1, (2, 1, 0)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [16, 37, 64])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_convolution_and_its_pooling_in_one_kernel(choice, n, dtype, monkeypatch):
    channels, groups, sizes, kernel, stride, padding, (k, step, around) = choice
    monkeypatch.setattr(convs, "ENOUGH", 0)
    settings = ((stride,) * 2, (padding,) * 2, (1, 1), groups)
    out = tuple(convs.out_size(s, q, stride, padding, 1) for s, q in zip(sizes, kernel, strict=True))
    pooled = tuple((s + 2 * around - k) // step + 1 for s in out)
    plan = ("window", out, (k, k), (step, step), (around, around), (1, 1), pooled)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels[0], *sizes)).astype(dtype)
    w = rng.standard_normal((channels[1], channels[0] // groups, *kernel)).astype(dtype)
    b = rng.standard_normal(channels[1]).astype(dtype)
    for floor in (-np.inf, 0.0):
        found, which = pools.conv_largest(x, w, b, out, settings, plan, floor)
        best, at = pools.largest(convs.conv(x, w, b, out, settings), plan, floor)
        np.testing.assert_array_equal(found, best)
        np.testing.assert_array_equal(which, at)
    g = rng.standard_normal(best.shape).astype(dtype)
    whole = pools.put(g, at, plan)
    near = {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    choice = pools._choice(g, at, plan)
    for tried, joined, plain in (
        (
            convs.try_input(choice, w, sizes, settings),
            pools.input_put(g, at, w, plan, sizes, settings),
            convs.conv_input(whole, w, sizes, settings),
        ),
        (
            convs.try_weight(choice, x, kernel, settings),
            pools.weight_put(g, at, x, plan, kernel, settings),
            convs.conv_weight(whole, x, kernel, settings),
        ),
    ):
        np.testing.assert_allclose(joined, plain, **near)
        assert tried is not None or n == 37  # where samples do not fill tiles, rows may cost less
        if tried is not None:
            np.testing.assert_array_equal(joined, tried)


def test_an_infinite_weight_meets_the_zeros_of_a_pooling_gradient(monkeypatch):
    monkeypatch.setattr(convs, "ENOUGH", 0)
    settings = ((1, 1), (0, 0), (1, 1), 1)
    plan = ("window", (4, 4), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2))
    w = np.ones((1, 1, 3, 3))
    w[0, 0, 1, 1] = np.inf
    g, at = np.ones((16, 1, 2, 2)), np.zeros((16, 1, 2, 2), np.uint8)
    with np.errstate(invalid="ignore"):
        found = pools.input_put(g, at, w, plan, (6, 6), settings)
        expected = convs.conv_input(pools.put(g, at, plan), w, (6, 6), settings)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found).any()
