"""The two forms of operations on large arrays agree: NumPy's, and the compiler's kernels."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.ops import _kernels, reduce, softmax

pytest.importorskip("numba")

DTYPES = [np.float32, np.float64]
SHAPES = [((7, 130), 1), ((7, 130), 0), ((3, 5, 200), 1), ((2, 3, 4), 2), ((300,), 0), ((1, 1), 0), ((2, 1100), 1)]


def both(monkeypatch, call):
    """Return what `call` gives with NumPy's form and with the kernels."""
    found = []
    for enough in (1 << 60, 0):
        monkeypatch.setattr(_kernels, "ENOUGH", enough)
        with np.errstate(all="ignore"):
            found.append(call())
    return found


def close(monkeypatch, call):
    first, second = (np.asarray(f) for f in both(monkeypatch, call))
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    tolerance = 5e-6 if first.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance)
    return first


def spoiled(shape, dtype):
    """Return random arrays: finite, with NaN, with infinities, all -inf, and one that is not contiguous."""
    x = (np.random.default_rng(0).standard_normal(shape) * 5).astype(dtype)
    yield x
    for value in (np.nan, np.inf, -np.inf):
        with_one = x.copy()
        with_one.flat[min(3, x.size - 1)] = value
        yield with_one
    yield np.full(shape, -np.inf, dtype)
    yield np.repeat(x, 2, -1)[..., ::2]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_softmax(monkeypatch, shape, axis, dtype):
    g = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    for x in spoiled(shape, dtype):
        y = close(monkeypatch, lambda x=x: softmax._softmax_forward(x, axis))
        close(monkeypatch, lambda y=y: softmax._softmax_rule(g, y, axis))
        y = close(monkeypatch, lambda x=x: softmax._log_softmax_forward(x, axis))
        close(monkeypatch, lambda y=y: softmax._log_softmax_rule(g, y, axis))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_logsumexp(monkeypatch, shape, axis, dtype):
    for x in spoiled(shape, dtype):
        for axes in {(axis,), tuple(range(len(shape))), (0, len(shape) - 1)}:
            axes = tuple(sorted(set(axes)))
            for keepdim in (False, True):
                y = close(monkeypatch, lambda x=x, a=axes, k=keepdim: reduce._logsumexp_forward(x, a, k))
            g = np.full(y.shape, 0.7, dtype)
            close(monkeypatch, lambda x=x, y=y, g=g, a=axes: reduce._logsumexp_rule(g, x, y, a))


def test_derivatives_of_any_order_go_the_same_way(monkeypatch):
    x = tw.tensor(np.random.default_rng(0).standard_normal((4, 9)), requires_grad=True)

    def call():
        first = tw.autograd.grad((tw.log_softmax(x, -1) * tw.softmax(x, 0)).sum(), x, create_graph=True)[0]
        (second,) = tw.autograd.grad((first * first).sum() + tw.logsumexp(x, 1).sum(), x)
        return second.numpy()

    close(monkeypatch, call)


def test_other_types_and_few_elements_stay_with_numpy(monkeypatch):
    monkeypatch.setattr(_kernels, "ENOUGH", 10)
    assert _kernels.rows(np.zeros(10, np.float32)) is not None
    for x in (np.zeros(9), np.zeros(10, np.float16), np.zeros(10, np.int64)):
        assert _kernels.rows(x) is None
    monkeypatch.setattr(_kernels, "ENOUGH", 0)
    assert _kernels.rows(np.zeros(())) is None
    assert tw.softmax(tw.zeros(0, 3), 1).shape == (0, 3)
    assert tw.softmax(tw.zeros(3, 0), 1).shape == (3, 0)
    np.testing.assert_array_equal(tw.logsumexp(tw.zeros(0, 3), 1).numpy(), np.zeros(0, np.float32))
