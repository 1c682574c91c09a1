"""The two forms of convolution and pooling agree: NumPy's, and the kernels with the batch innermost."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn import functional as F
from thalweg.ops import _conv_arrays, _pool_arrays

CONVOLUTIONS = [  # dims, channels, outputs, kernel, sizes, stride, padding, dilation, groups
    (1, 3, 4, (3,), (9,), (1,), (1,), (1,), 1),
    (2, 1, 6, (5, 5), (8, 7), (1, 1), (2, 2), (1, 1), 1),
    (2, 4, 6, (3, 2), (7, 6), (2, 1), (0, 1), (1, 2), 2),
    (2, 3, 3, (1, 1), (4, 5), (1, 2), (0, 0), (1, 1), 3),
    (2, 2, 7, (3, 3), (9, 9), (3, 3), (2, 2), (2, 2), 1),
    (3, 2, 2, (2, 3, 2), (4, 5, 4), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
]


N = 256  # with a stride, the kernels' rows are as long as the batch


def _both(monkeypatch, call):
    pytest.importorskip("numba")
    results = []
    for enough in (1 << 60, 0):
        monkeypatch.setattr(_conv_arrays, "ENOUGH", enough)
        monkeypatch.setattr(_pool_arrays, "ENOUGH", enough)
        results.append(call())
    return results


def _agree(a, b, dtype) -> None:
    tolerance = 1e-11 if dtype == np.float64 else 2e-4
    for x, y in zip(a, b, strict=True):
        assert x.dtype == y.dtype == dtype
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_both_forms_of_convolution_agree(monkeypatch, case, dtype):
    _, channels, outs, kernel, sizes, *settings, groups = case
    settings = (*settings, groups)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, channels, *sizes)).astype(dtype)
    w = rng.standard_normal((outs, channels // groups, *kernel)).astype(dtype)
    b = rng.standard_normal(outs).astype(dtype)
    out = tuple(_conv_arrays.out_size(*a) for a in zip(sizes, kernel, *settings[:3], strict=True))
    g = rng.standard_normal((N, outs, *out)).astype(dtype)

    def call():
        return (
            _conv_arrays.conv(x, w, b, out, settings),
            _conv_arrays.conv_input(g, w, sizes, settings),
            _conv_arrays.conv_weight(g, x, kernel, settings),
        )

    first, second = _both(monkeypatch, call)
    _agree(first, second, dtype)
    if dtype == np.float64:  # the three are each other's transposes
        out, back, weight = first
        shift = (b * g.reshape(N, outs, -1).sum((0, 2))).sum()
        np.testing.assert_allclose((g * out).sum() - shift, (x * back).sum())
        np.testing.assert_allclose((w * weight).sum(), (x * back).sum())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_both_forms_of_max_pooling_agree(monkeypatch, dtype):
    x = np.random.default_rng(0).standard_normal((32, 3, 7, 6)).astype(dtype)
    x[0, 0, 2, 2] = np.nan
    x[1, 1] = -np.inf
    plan = ("window", (7, 6), (3, 2), (2, 2), (1, 1), (1, 1), (4, 4))

    def call():
        best, at = _pool_arrays.largest(x, plan)
        return best, _pool_arrays.put(best, at, (7, 6)), at.astype(dtype)

    first, second = _both(monkeypatch, call)
    for a, b in zip(first[:2], second[:2], strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(np.delete(first[2], 0, 0), np.delete(second[2], 0, 0))


def test_results_do_not_depend_on_repetition(monkeypatch):
    x = tw.randn(64, 2, 8, 8, generator=tw.Generator().manual_seed(0))
    w = tw.randn(4, 2, 3, 3, generator=tw.Generator().manual_seed(1)).requires_grad_()
    monkeypatch.setattr(_conv_arrays, "ENOUGH", 0)
    found = []
    for _ in range(3):
        w.grad = None
        F.conv2d(x, w).square().sum().backward()
        found.append(w.grad.numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_results_of_kernels_can_be_viewed_and_written(monkeypatch):
    monkeypatch.setattr(_conv_arrays, "ENOUGH", 0)
    x, w = tw.randn(64, 1, 4, 4), tw.randn(2, 1, 3, 3).requires_grad_()
    y = F.relu(F.conv2d(x, w))
    flat = y.view(64, -1)
    assert np.shares_memory(flat.detach().numpy(), y.detach().numpy())
    np.testing.assert_array_equal(flat.detach().numpy(), y.reshape(64, 8).detach().numpy())
    flat.sum().backward()
    assert w.grad.shape == w.shape


def test_second_derivatives_and_forward_mode_go_through_the_kernels(monkeypatch):
    monkeypatch.setattr(_conv_arrays, "ENOUGH", 0)
    rng = np.random.default_rng(0)
    x = tw.tensor(rng.standard_normal((64, 2, 5, 5)), requires_grad=True)
    w = tw.tensor(rng.standard_normal((3, 2, 3, 3)), requires_grad=True)

    def second():
        y = F.conv2d(x, w, padding=1)
        (gx,) = tw.autograd.grad((y**3).sum(), [x], create_graph=True)
        return [g.numpy() for g in tw.autograd.grad((gx**2).sum(), [x, w])]

    fast = second()
    monkeypatch.setattr(_conv_arrays, "ENOUGH", 1 << 60)
    for a, b in zip(fast, second(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
