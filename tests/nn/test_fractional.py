"""Fractional max pooling: drawn windows, their places and gradients."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn


@pytest.mark.parametrize("k", [2, 3])
def test_the_result_holds_the_elements_at_the_places(k):
    pool = getattr(nn, f"FractionalMaxPool{k}d")(2, output_size=3, return_indices=True)
    x = tw.randn(2, 3, *(7,) * k, dtype=tw.float64).requires_grad_()
    out, at = pool(x)
    assert out.shape == (2, 3, *(3,) * k)
    taken = np.take_along_axis(x.detach().numpy().reshape(2, 3, -1), at.numpy().reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(out.detach().numpy().reshape(2, 3, -1), taken)
    out.sum().backward()
    assert x.grad.sum().item() == out.numel()
    assert pool(tw.ones(0, 3, *(7,) * k))[0].shape == (0, 3, *(3,) * k)
    assert getattr(nn, f"FractionalMaxPool{k}d")(2, output_ratio=0.5)(x[0]).shape == (3, *(3,) * k)


def test_bad_settings_are_refused():
    for settings in ({}, {"output_size": 2, "output_ratio": 0.5}, {"output_ratio": 1.5}):
        with pytest.raises(ValueError, match="output_"):
            nn.FractionalMaxPool2d(2, **settings)
    with pytest.raises(RuntimeError, match="fit"):
        nn.FractionalMaxPool2d(3, output_size=3)(tw.ones(1, 1, 4, 4))
    with pytest.raises(RuntimeError, match="random samples"):
        nn.functional.fractional_max_pool2d(tw.ones(1, 1, 4, 4), 2, 2, _random_samples=tw.ones(1, 1, 3))


@pytest.mark.conformance
@pytest.mark.parametrize("k", [2, 3])
def test_windows_are_pytorchs(k):
    torch = pytest.importorskip("torch")
    rng = np.random.RandomState(0)
    for _ in range(30):
        sizes = tuple(int(n) for n in rng.randint(5, 10, k))
        outs = tuple(int(rng.randint(1, n - 2)) for n in sizes)
        x, draws = rng.randn(2, 3, *sizes), rng.rand(2, 3, k)
        found = []
        for lib in (tw, torch):
            t = lib.tensor(x, requires_grad=True)
            pool = getattr(lib.nn, f"FractionalMaxPool{k}d")
            out, at = pool(2, output_size=outs, return_indices=True, _random_samples=lib.tensor(draws))(t)
            out.sum().backward()
            found.append((out.detach().numpy(), at.numpy(), t.grad.numpy()))
        for mine, theirs in zip(*found, strict=True):
            np.testing.assert_array_equal(mine, theirs)
