"""The two forms of convolution and pooling agree: NumPy's, and the kernels with the batch innermost."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler import threads
from thalweg.nn import functional as F
from thalweg.ops import _conv_arrays, _pool_arrays

CONVOLUTIONS = [  # channels, outputs, kernel, sizes, stride, padding, dilation, groups
    (3, 4, (3,), (9,), (1,), (1,), (1,), 1),
    (2, 13, (4,), (150,), (1,), (0,), (3,), 1),
    (2, 3, (2,), (70,), (3,), (5,), (1,), 1),
    (1, 6, (5, 5), (8, 7), (1, 1), (2, 2), (1, 1), 1),
    (1, 1, (3, 3), (6, 80), (1, 1), (1, 0), (1, 1), 1),
    (4, 6, (3, 2), (7, 6), (2, 1), (0, 1), (1, 2), 2),
    (3, 3, (1, 1), (4, 5), (1, 2), (0, 0), (1, 1), 3),
    (4, 8, (2, 2), (5, 4), (1, 1), (4, 3), (1, 1), 4),
    (2, 7, (3, 3), (9, 9), (3, 3), (2, 2), (2, 2), 1),
    (2, 2, (2, 3, 2), (4, 5, 4), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
    (2, 5, (2, 1, 3), (3, 2, 40), (1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
]
SAMPLES = (1, 15, 16, 17, 256)


def _arrays(case, n, dtype):
    """Return the input, the weight, the bias, a gradient of the output, its sizes and the settings."""
    channels, outs, kernel, sizes, *settings, groups = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels, *sizes)).astype(dtype)
    w = rng.standard_normal((outs, channels // groups, *kernel)).astype(dtype)
    b = rng.standard_normal(outs).astype(dtype)
    out = tuple(_conv_arrays.out_size(*a) for a in zip(sizes, kernel, *settings, strict=True))
    g = rng.standard_normal((n, outs, *out)).astype(dtype)
    return x, w, b, g, out, (*settings, groups)


def _three(x, w, b, g, out, settings):
    """Return a convolution and its two transposes."""
    return (
        _conv_arrays.conv(x, w, b, out, settings),
        _conv_arrays.conv_input(g, w, x.shape[2:], settings),
        _conv_arrays.conv_weight(g, x, w.shape[2:], settings),
    )


def _inner(a):
    """Return the same elements with the samples innermost."""
    return np.moveaxis(np.moveaxis(a, 0, -1).copy(), -1, 0)


def _sliced(a):
    """Return the same elements, neither contiguous nor to be written."""
    twice = np.repeat(a, 2, axis=-1)[..., ::2]
    twice.flags.writeable = False
    return twice


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
    for n in SAMPLES:
        x, w, b, g, out, settings = _arrays(case, n, dtype)
        first, second = _both(monkeypatch, lambda given=(x, w, b, g, out, settings): _three(*given))
        _agree(first, second, dtype)
        for laid in (_inner, _sliced):
            _agree(second, _three(laid(x), w, b, laid(g), out, settings), dtype)
    if dtype == np.float64:  # the three are each other's transposes
        out, back, weight = first
        shift = (b * g.reshape(*g.shape[:2], -1).sum((0, 2))).sum()
        np.testing.assert_allclose((g * out).sum() - shift, (x * back).sum())
        np.testing.assert_allclose((w * weight).sum(), (x * back).sum())


@pytest.mark.parametrize("n", SAMPLES)
@pytest.mark.parametrize("case", CONVOLUTIONS[1:6], ids=str)
def test_convolutions_do_not_depend_on_the_number_of_threads(monkeypatch, case, n):
    monkeypatch.setattr(_conv_arrays, "ENOUGH", 0)
    given = _arrays(case, n, np.float32)
    before = threads.get_num_threads()
    found = []
    try:
        for count in (1, 2, 3, 5):
            threads.set_num_threads(count)
            found.append(_three(*given))
    finally:
        threads.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [1, 17, 256])
@pytest.mark.parametrize("case", CONVOLUTIONS[:7], ids=str)
def test_both_forms_of_convolution_have_the_same_infinities(monkeypatch, case, n):
    x, w, b, g, out, settings = _arrays(case, n, np.float64)
    for k in range(3):
        parts = [a.copy() for a in (x, w, g)]
        parts[k].reshape(-1)[[0, -1]] = np.nan, np.inf
        given = (parts[0], parts[1], b, parts[2], out, settings)
        with np.errstate(all="ignore"):
            first, second = _both(monkeypatch, lambda given=given: _three(*given))
        for form, a, z in zip(("conv", "input", "weight"), first, second, strict=True):
            np.testing.assert_array_equal(np.isfinite(a), np.isfinite(z), err_msg=form)
            np.testing.assert_array_equal(np.isnan(a), np.isnan(z), err_msg=form)


POOLINGS = [
    ("window", (6, 8), (2, 2), (2, 2), (0, 0), (1, 1), (3, 4)),  # each place in one window
    ("window", (7, 6), (2, 2), (2, 2), (0, 0), (1, 1), (3, 3)),  # a place in none
    ("window", (7, 6), (3, 2), (2, 2), (1, 1), (1, 1), (4, 4)),  # places in several
    ("window", (9,), (2,), (1,), (1,), (2,), (9,)),
    ("window", (3, 4, 5), (2, 1, 3), (1, 2, 1), (0, 0, 1), (1, 1, 1), (2, 2, 5)),
    ("window", (18, 17), (17, 16), (1, 1), (0, 0), (1, 1), (2, 2)),  # more places than a byte numbers
    ("adaptive", (7, 5), (3, 2)),
]


@pytest.mark.parametrize("n", [16, 17, 33])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("plan", POOLINGS, ids=str)
def test_both_forms_of_max_pooling_agree(monkeypatch, plan, dtype, n):
    x = np.random.default_rng(0).standard_normal((n, 3, *plan[1])).astype(dtype).round(1)
    x[0, 0].reshape(-1)[7] = np.nan
    x[1, 1] = -np.inf
    g = np.random.default_rng(1).standard_normal((n, 3, *plan[-1])).astype(dtype)

    def call():
        found = []
        for floor in (-np.inf, 0.0):
            best, which = _pool_arrays.largest(x, plan, floor)
            found += [best, _pool_arrays.put(g, which, plan), _pool_arrays.places(which, plan)]
        return found

    first, second = _both(monkeypatch, call)
    laid = x
    for x in (_inner(laid), _sliced(laid)):
        for a, b in zip(second, call(), strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype
        if a.dtype == dtype:
            _agree([a], [b], dtype)
        else:
            np.testing.assert_array_equal(a, b)


def test_max_pooling_does_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr(_pool_arrays, "ENOUGH", 0)
    before = threads.get_num_threads()
    for plan in POOLINGS[:3]:
        x = np.random.default_rng(0).standard_normal((19, 5, *plan[1]))
        found = []
        try:
            for count in (1, 2, 3):
                threads.set_num_threads(count)
                best, which = _pool_arrays.largest(x, plan)
                found.append((best, which, _pool_arrays.put(best, which, plan)))
        finally:
            threads.set_num_threads(before)
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


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
