"""Wrappers: what each does to gradients and parameters, alone and together."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim

from .table import params_of
from .test_resume import WRAPPERS

pytestmark = pytest.mark.usefixtures("float64_default")


def with_grads(*grads):
    params = params_of([np.zeros_like(np.asarray(g, float)) for g in grads])
    for p, g in zip(params, grads, strict=True):
        p.grad = tw.tensor(np.asarray(g, float))
    return params


def stepped(wrap, *grads):
    """Return by how much each parameter moved with lr 1: the gradient that was used."""
    params = with_grads(*grads)
    optimizer = wrap(optim.SGD(params, lr=1.0))
    optimizer.step()
    return [-p.detach().numpy() for p in params], optimizer


def test_every_wrapper_has_a_row():
    public = {n for n, v in vars(optim).items() if inspect.isclass(v) and issubclass(v, optim.Wrapper)}
    assert public - {"Wrapper"} == set(WRAPPERS)


def test_clip_value():
    (g,), _ = stepped(lambda o: optim.ClipValue(o, 0.5), [-2.0, 0.1, 3.0])
    np.testing.assert_array_equal(g, [-0.5, 0.1, 0.5])


def test_clip_norm_is_global():
    (a, b), _ = stepped(lambda o: optim.ClipNorm(o, 2.5), [3.0, 0.0], [[4.0]])
    np.testing.assert_allclose(a, [1.5, 0.0])
    np.testing.assert_allclose(b, [[2.0]])
    (c,), _ = stepped(lambda o: optim.ClipNorm(o, 2.5), [0.0, 0.0])
    np.testing.assert_array_equal(c, [0.0, 0.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clip_norm_and_values_that_are_not_finite(bad):
    with pytest.raises(FloatingPointError, match="norm of the gradients"):
        stepped(lambda o: optim.ClipNorm(o, 1.0), [bad, 1.0])
    (g,), optimizer = stepped(lambda o: optim.ClipNorm(o, 1.0, nonfinite="skip"), [bad, 1.0])
    assert g.tolist() == [0.0, 0.0]
    assert optimizer.skipped == 1


def test_clip_adaptive():
    (x,) = params_of([np.array([[3.0, 4.0], [0.0, 0.0]])])
    x.grad = tw.tensor([[30.0, 40.0], [0.0, 1.0]])
    optim.ClipAdaptive(optim.SGD([x], lr=1.0), clipping=0.1, eps=1e-3).step()
    np.testing.assert_allclose(x.detach().numpy(), [[3.0 - 0.3, 4.0 - 0.4], [0.0, -1e-4]])


def test_skip_non_finite():
    (x,) = with_grads([1.0])
    optimizer = optim.SkipNonFinite(optim.SGD([x], lr=1.0))
    for g in (1.0, np.nan, np.inf, 2.0):
        x.grad = tw.tensor([g])
        optimizer.step()
    assert x.item() == -3.0
    assert optimizer.skipped == 2


def test_accumulate_steps_with_the_mean():
    (x,) = with_grads([0.0])
    optimizer = optim.Accumulate(optim.SGD([x], lr=1.0), 3)
    seen = []
    for g in (1.0, 2.0, 6.0, 5.0, 5.0, 5.0):
        optimizer.zero_grad()
        x.grad = tw.tensor([g])
        optimizer.step()
        seen.append(x.item())
    assert seen == [0, 0, -3, -3, -3, -8]


def test_averages():
    (x,) = with_grads([0.0])
    ema = optim.EMA(optim.SGD([x], lr=1.0), 0.5)
    swa = optim.SWA(ema, start=1, every=2)
    for _ in range(5):
        x.grad = tw.tensor([-1.0])
        swa.step()  # x is 1, 2, 3, 4, 5
    assert ema.averages[0].item() == pytest.approx(sum(0.5 ** (6 - k) * k for k in range(1, 6)))
    assert swa.averages[0].item() == pytest.approx((3 + 5) / 2)
    with swa.averaged():
        assert x.item() == 4.0
    assert x.item() == 5.0
    ema.copy_averages()
    assert x.item() == ema.averages[0].item()


def test_lookahead():
    (x,) = with_grads([0.0])
    optimizer = optim.Lookahead(optim.SGD([x], lr=1.0), alpha=0.5, every=2)
    seen = []
    for _ in range(4):
        x.grad = tw.tensor([-1.0])
        optimizer.step()
        seen.append(x.item())
    assert seen == [1, 1, 2, 2]


def test_constrain():
    (x,) = with_grads([-5.0, 0.2])
    optim.Constrain(optim.SGD([x], lr=1.0), lambda p: p.clip(-1, 1)).step()
    assert x.tolist() == [1.0, -0.2]


def test_they_nest_and_schedulers_take_them():
    (x,) = with_grads([3.0, 4.0])
    optimizer = optim.EMA(optim.ClipNorm(optim.SGD([x], lr=1.0), 1.0), 0.9)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    calls = []
    optimizer.register_step_post_hook(lambda *a: calls.append(1))
    optimizer.step()
    scheduler.step()
    assert optimizer.inner.inner.param_groups[0]["lr"] == 0.5
    (y,) = params_of([np.ones(1)])
    optimizer.add_param_group({"params": [y]})
    assert len(optimizer.averages) == 2
    assert calls == [1]
    assert "EMA(decay=0.9) of ClipNorm(radius=1.0" in repr(optimizer)


def test_closures_run_once():
    (x,) = with_grads([0.0])
    for name, wrap in WRAPPERS.items():
        optimizer, calls = wrap(optim.SGD([x], lr=0.1)), []

        def closure(optimizer=optimizer, calls=calls):
            calls.append(1)
            optimizer.zero_grad()
            loss = ((x - 1) ** 2).sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() >= 0
        assert calls == [1] * (2 if name == "SAM" else 1)


def test_cautious_leaves_out_what_goes_uphill():
    (x,) = with_grads([0.0, 0.0, 0.0, 0.0])
    optimizer = optim.Cautious(optim.SGD([x], lr=0.1, momentum=0.5))
    v, expected = np.zeros(4), np.zeros(4)
    for g in ([1.0, 1.0, 1.0, -1.0], [-0.1, 1.0, 0.0, 2.0], [-3.0, -0.1, 0.1, 0.1]):
        x.grad = tw.tensor(g)
        optimizer.step()
        v = 0.5 * v + np.asarray(g)
        mask = (v * np.asarray(g) > 0).astype(float)
        expected = expected - 0.1 * v * mask / max(mask.mean(), 1e-3)
        np.testing.assert_allclose(x.detach().numpy(), expected, rtol=1e-12)


def test_cautious_climbs_with_maximize():
    (x,) = with_grads([1.0, -2.0])
    optim.Cautious(optim.SGD([x], lr=0.1, maximize=True)).step()
    np.testing.assert_allclose(x.detach().numpy(), [0.1, -0.2])


@pytest.mark.parametrize("compiled", [False, True])
def test_sam_steps_with_the_gradient_uphill(compiled):
    x, y = params_of([np.array([1.0, -2.0]), np.array([[0.5]])])
    optimizer = optim.SAM(optim.SGD([x, y], lr=0.1), rho=0.3)

    def step():
        def closure():
            optimizer.zero_grad()
            loss = (x**4).sum() + (y**3).sum() * x.sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    def slope(x, y):
        return 4 * x**3 + (y**3).sum(), 3 * y**2 * x.sum()

    run = tw.compile(step) if compiled else step
    a, b = x.detach().numpy().copy(), y.detach().numpy().copy()
    for _ in range(4):
        value = (a**4).sum() + (b**3).sum() * a.sum()
        assert run().item() == pytest.approx(value)
        g, h = slope(a, b)
        length = np.sqrt((g**2).sum() + (h**2).sum())
        g, h = slope(a + 0.3 * g / length, b + 0.3 * h / length)
        a, b = a - 0.1 * g, b - 0.1 * h
        np.testing.assert_allclose(x.detach().numpy(), a, rtol=1e-9)
        np.testing.assert_allclose(y.detach().numpy(), b, rtol=1e-9)
    with pytest.raises(ValueError, match="a closure is required"):
        optimizer.step()


def test_refused():
    (x,) = with_grads([0.0])
    inner = optim.SGD([x], lr=0.1)
    for make in (
        lambda: optim.ClipValue(inner, 0), lambda: optim.ClipNorm(inner, -1), lambda: optim.ClipNorm(inner, 1, nonfinite="x"),
        lambda: optim.ClipAdaptive(inner, 0), lambda: optim.Accumulate(inner, 0), lambda: optim.EMA(inner, 1.0),
        lambda: optim.SWA(inner, -1), lambda: optim.SWA(inner, 0, 0), lambda: optim.Lookahead(inner, 0),
        lambda: optim.Lookahead(inner, 0.5, 0), lambda: optim.SAM(inner, 0),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"must be .*, got .*\."):
            make()
    with pytest.raises(TypeError, match="an optimizer is required"):
        optim.EMA([x])
    with pytest.raises(TypeError, match="must be a function"):
        optim.Constrain(inner, 3)
