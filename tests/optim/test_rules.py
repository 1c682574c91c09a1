"""Our own methods against plain statements of their papers in NumPy; every optimizer has a row."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.optim.classic import _normal_draw

from .table import BY_NAME, OWN, ROWS, params_of, run, start

pytestmark = pytest.mark.usefixtures("float64_default")


def test_every_optimizer_has_a_row():
    public = {
        name
        for name, value in vars(optim).items()
        if inspect.isclass(value)
        and issubclass(value, optim.Optimizer)
        and not issubclass(value, (optim.Wrapper, optim.Partition))
    }
    assert public - {"Optimizer"} == set(BY_NAME)


# Each reference returns the parameter after `steps` steps from x, with gradient(x, k).


def adam_like(x, grads, s, second):
    """Adam's frame, with the second moment given by ``second(v, g, m, b2)``."""
    (b1, b2), v0 = s["betas"], s.get("initial_accumulator_value", 0.0)
    m, v = np.full_like(x, v0), np.full_like(x, v0)
    for t, gradient in enumerate(grads, 1):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        if s["weight_decay"] and s["decoupled_weight_decay"]:
            x = x - s["lr"] * s["weight_decay"] * x
        else:
            g = g + s["weight_decay"] * x
        m = b1 * m + (1 - b1) * g
        v, used = second(v, g, m, b2)
        x = x - s["lr"] * (m / (1 - b1**t)) / (np.sqrt(used / (1 - b2**t)) + s["eps"])
    return x


def amsgrad(x, grads, s):
    top = [np.zeros_like(x)]

    def second(v, g, m, b2):
        v = b2 * v + (1 - b2) * g**2
        top[0] = np.maximum(top[0], v)
        return v, top[0]

    return adam_like(x, grads, s, second)


def yogi(x, grads, s):
    def second(v, g, m, b2):
        v = v - (1 - b2) * np.sign(v - g**2) * g**2
        return v, v

    return adam_like(x, grads, s, second)


def adabelief(x, grads, s):
    def second(v, g, m, b2):
        v = b2 * v + (1 - b2) * (g - m) ** 2 + s["eps"]
        return v, v

    return adam_like(x, grads, s, second)


def lion(x, grads, s):
    m, (b1, b2) = np.zeros_like(x), s["betas"]
    for gradient in grads:
        g = gradient(x) * (-1 if s["maximize"] else 1)
        x = x - s["lr"] * (np.sign(b1 * m + (1 - b1) * g) + s["weight_decay"] * x)
        m = b2 * m + (1 - b2) * g
    return x


def lamb(x, grads, s):
    m, v, (b1, b2) = np.zeros_like(x), np.zeros_like(x), s["betas"]
    for t, gradient in enumerate(grads, 1):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        d = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + s["eps"]) + s["weight_decay"] * x
        a, b = np.sqrt((x**2).sum()), np.sqrt((d**2).sum())
        x = x - s["lr"] * (a / b if a > 0 and b > 0 else 1.0) * d
    return x


def lars(x, grads, s):
    v = np.zeros_like(x)
    for gradient in grads:
        g = gradient(x) * (-1 if s["maximize"] else 1)
        a, b = np.sqrt((x**2).sum()), np.sqrt((g**2).sum())
        trust = s["trust_coefficient"] * a / (b + s["weight_decay"] * a + s["eps"]) if a > 0 and b > 0 else 1.0
        v = s["momentum"] * v + s["lr"] * trust * (g + s["weight_decay"] * x)
        x = x - v
    return x


def free_sgd(y, grads, s):
    z, x, total = y.copy(), y.copy(), 0.0
    for t, gradient in enumerate(grads, 1):
        lr = s["lr"] * (min(1.0, t / s["warmup_steps"]) if s["warmup_steps"] else 1.0)
        z = z - lr * (gradient(y) * (-1 if s["maximize"] else 1) + s["weight_decay"] * y)
        total += lr**2
        x = x + (lr**2 / total) * (z - x)
        y = s["momentum"] * x + (1 - s["momentum"]) * z
    return y


def free_adamw(y, grads, s):
    z, x, v, total, (b1, b2) = y.copy(), y.copy(), np.zeros_like(y), 0.0, s["betas"]
    for t, gradient in enumerate(grads, 1):
        lr = s["lr"] * (min(1.0, t / s["warmup_steps"]) if s["warmup_steps"] else 1.0)
        g = gradient(y) * (-1 if s["maximize"] else 1)
        v = b2 * v + (1 - b2) * g**2
        z = z - lr * (g / (np.sqrt(v / (1 - b2**t)) + s["eps"]) + s["weight_decay"] * y)
        total += lr**2
        x = x + (lr**2 / total) * (z - x)
        y = b1 * x + (1 - b1) * z
    return y


def signum(x, grads, s):
    m = 0.0
    for gradient in grads:
        g = gradient(x) * (-1 if s["maximize"] else 1)
        m = s["momentum"] * m + (1 - s["momentum"]) * g
        x = x - s["lr"] * np.sign(m) - s["lr"] * s["weight_decay"] * x
    return x


def adopt(x, grads, s):
    m, v, (b1, b2) = np.zeros_like(x), None, s["betas"]
    for step, gradient in enumerate(grads):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        if not s["decouple"]:
            g = g + s["weight_decay"] * x
        if step == 0:
            v = g**2
            continue
        if s["decouple"]:
            x = x - s["lr"] * s["weight_decay"] * x
        m = b1 * m + (1 - b1) * np.clip(g / np.maximum(np.sqrt(v), s["eps"]), -(step**0.25), step**0.25)
        x = x - s["lr"] * m
        v = b2 * v + (1 - b2) * g**2
    return x


def ademamix(x, grads, s):
    m, n, v, (b1, b2, b3) = 0.0, 0.0, 0.0, s["betas"]
    for t, gradient in enumerate(grads, 1):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        m, n, v = b1 * m + (1 - b1) * g, b3 * n + (1 - b3) * g, b2 * v + (1 - b2) * g**2
        step = (m / (1 - b1**t) + s["alpha"] * n) / (np.sqrt(v / (1 - b2**t)) + s["eps"])
        x = x - s["lr"] * (step + s["weight_decay"] * x)
    return x


def dog(x, grads, s):
    x0, total, rbar = x, 0.0, s["reps_rel"] * (1 + np.linalg.norm(x))
    for gradient in grads:
        g = gradient(x) * (-1 if s["maximize"] else 1) + s["weight_decay"] * x
        rbar, total = max(rbar, np.linalg.norm(x - x0)), total + (g**2).sum()
        x = x - s["lr"] * rbar / np.sqrt(total + 1e-8) * g
    return x


def prodigy(x, grads, s):
    x0, (b1, b2), d = x, s["betas"], s["d0"]
    b3 = np.sqrt(b2) if s["beta3"] is None else s["beta3"]
    m, v, sums, r, top = 0.0, 0.0, 0.0, 0.0, d
    for gradient in grads:
        g, lr = gradient(x) * (-1 if s["maximize"] else 1), s["lr"] * d
        if not s["decouple"]:
            g = g + s["weight_decay"] * x
        r = b3 * r + d / s["d0"] * lr * (g @ (x0 - x))
        sums = b3 * sums + d / s["d0"] * (d if s["safeguard_warmup"] else lr) * g
        m, v = b1 * m + d * (1 - b1) * g, b2 * v + d**2 * (1 - b2) * g**2
        guess = s["d_coef"] * r / np.abs(sums).sum()
        if d == s["d0"]:
            d = max(d, guess)
        top = max(top, guess)
        d = min(top, d * s["growth_rate"])
        if s["decouple"]:
            x = x - lr * s["weight_decay"] * x
        x = x - lr * m / (np.sqrt(v) + d * s["eps"])
    return x


def dadapt(x, grads, s):
    (b1, b2), d, b = s["betas"], s["d0"], np.sqrt(s["betas"][1])
    m, v, sums, r = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x), 0.0
    for gradient in grads:
        g, lr = gradient(x) * (-1 if s["maximize"] else 1), s["lr"] * d
        if not s["decouple"]:
            g = g + s["weight_decay"] * x
        r = b * r + (1 - b) * lr * (g @ (sums / (np.sqrt(v) + s["eps"])))
        m, v = b1 * m + (1 - b1) * lr * g, b2 * v + (1 - b2) * g**2
        sums = b * sums + (1 - b) * lr * g
        d = max(d, min(r / ((1 - b) * np.abs(sums).sum()), d * s["growth_rate"]))
        if s["decouple"]:
            x = x - lr * s["weight_decay"] * x
        x = x - m / (np.sqrt(v) + s["eps"])
    return x


def mars(x, grads, s):
    m, v, last, (b1, b2) = 0.0, 0.0, 0.0, s["betas"]
    for t, gradient in enumerate(grads, 1):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        c = g + s["gamma"] * b1 / (1 - b1) * (g - last)
        c = c / max(1.0, np.sqrt((c**2).sum()))
        last, m, v = g, b1 * m + (1 - b1) * c, b2 * v + (1 - b2) * c**2
        x = x - s["lr"] * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + s["eps"]) + s["weight_decay"] * x)
    return x


def along(x, matrices):
    """Multiply every dimension of x by its matrix."""
    for i, a in enumerate(matrices):
        if a is not None:
            x = np.moveaxis(np.tensordot(a, x, (1, i)), 0, i)
    return x


def grams(g):
    axes = range(g.ndim)
    return [np.tensordot(g, g, [[a for a in axes if a != i]] * 2) for i in axes]


def shampoo(x, grads, s):
    shape, x = x.shape, np.atleast_1d(x)
    sums = [s["eps"] * np.eye(n) for n in x.shape]
    for gradient in grads:
        g = gradient(x) * (-1 if s["maximize"] else 1) + s["weight_decay"] * x
        sums = [a + b for a, b in zip(sums, grams(g), strict=True)]
        powers = []
        for a in sums:
            u, w, vt = np.linalg.svd(a, hermitian=True)
            powers.append(u @ np.diag(w ** (-1 / (2 * g.ndim))) @ vt)
        x = x - s["lr"] * along(g, powers)
    return x.reshape(shape)


def soap(x, grads, s):
    (b1, b2), m, v, sums, q = s["betas"], 0.0, np.zeros_like(x), None, None
    used = [x.ndim > 1 and n <= s["max_dim"] for n in x.shape]
    for step, gradient in enumerate(grads):
        g = gradient(x) * (-1 if s["maximize"] else 1)
        if step:
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * along(g, [None if a is None else a.T for a in q]) ** 2
            d = along(m, [None if a is None else a.T for a in q]) / (np.sqrt(v) + s["eps"])
            x = x - s["lr"] * np.sqrt(1 - b2**step) / (1 - b1**step) * along(d, q)
            x = x - s["lr"] * s["weight_decay"] * x
        sums = [b2 * a + (1 - b2) * c for a, c in zip(sums or [0.0] * x.ndim, grams(g), strict=True)]
        if not step:
            q = [np.linalg.eigh(a)[1][:, ::-1] if on else None for a, on in zip(sums, used, strict=True)]
        elif step % s["frequency"] == 0:
            for i, on in enumerate(used):
                if on:
                    order = np.argsort(-np.sum(q[i] * (sums[i] @ q[i]), 0), kind="stable")
                    q[i], v = np.linalg.qr((sums[i] @ q[i])[:, order])[0], np.take(v, order, i)
    return x


JOINT = {"DAdaptAdam": dadapt, "DoG": dog, "Prodigy": prodigy}  # of all parameters at once, as one vector
REFERENCES = {
    "AMSGrad": amsgrad, "MARS": mars, "Shampoo": shampoo, "SOAP": soap, "Yogi": yogi, "AdaBelief": adabelief, "Lion": lion, "Signum": signum, "ADOPT": adopt, "AdEMAMix": ademamix, "LAMB": lamb, "LARS": lars,
    "ScheduleFreeSGD": free_sgd, "ScheduleFreeAdamW": free_adamw,
}  # fmt: skip


def test_every_own_method_has_a_reference():
    assert set(REFERENCES) | set(JOINT) | {"SGLD"} == {row.name for row in OWN}


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_against_the_paper(name):
    row, rng = BY_NAME[name], np.random.default_rng(7)
    for k in range(60):
        settings = row.settings(rng)
        starts = start(row, np.random.default_rng(k))
        params = params_of(starts)
        run(row.cls(params, **settings), params, 5)
        for i, (p, x) in enumerate(zip(params, starts, strict=True)):
            grads = [lambda a, k=k, i=i: np.sin(2 * a + i + 0.3 * k) + 0.5 * a for k in range(5)]
            np.testing.assert_allclose(p.detach().numpy(), REFERENCES[name](x, grads, settings), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(JOINT))
def test_against_the_paper_over_all_parameters(name):
    row, rng = BY_NAME[name], np.random.default_rng(7)
    for k in range(60):
        settings = row.settings(rng)
        starts = start(row, np.random.default_rng(k))
        params = params_of(starts)
        run(row.cls(params, **settings), params, 8)
        x, at = (
            np.concatenate([np.ravel(v) for v in values])
            for values in (starts, [np.full(a.shape, i) for i, a in enumerate(starts)])
        )
        grads = [lambda a, k=k, at=at: np.sin(2 * a + at + 0.3 * k) + 0.5 * a for k in range(8)]
        found = np.concatenate([p.detach().numpy().ravel() for p in params])
        np.testing.assert_allclose(found, JOINT[name](x, grads, settings), rtol=1e-7, atol=1e-11)


def test_sgld_against_the_paper():
    """The noise is the generator's; without temperature it is half a gradient step."""
    row, rng = BY_NAME["SGLD"], np.random.default_rng(7)
    for k in range(20):
        settings = row.settings(rng)
        starts = start(row, np.random.default_rng(k))
        params = params_of(starts)
        optimizer = row.cls(params, **settings)
        seed = optimizer.generator.initial_seed()
        run(optimizer, params, 4)
        xs, call = [x.copy() for x in starts], 0
        for t in range(4):
            for i, x in enumerate(xs):
                g = (np.sin(2 * x + i + 0.3 * t) + 0.5 * x) * (-1 if settings["maximize"] else 1)
                g = g + settings["weight_decay"] * x
                noise = _normal_draw.forward(x.shape, x.dtype, seed, call)
                xs[i] = x - settings["lr"] / 2 * g + np.sqrt(settings["lr"] * settings["temperature"]) * noise
                call += 1
        for p, x in zip(params, xs, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-9)


@pytest.mark.parametrize("row", [r for r in OWN], ids=lambda r: r.name)
def test_refused(row):
    p = tw.tensor(np.ones((2, 2)), requires_grad=True)
    for kwargs in row.invalid:
        with pytest.raises(ValueError, match=rf"^{row.name}: .*\.$"):
            row.cls([p], **kwargs)


@pytest.mark.parametrize("row", [r for r in ROWS if not r.closure], ids=lambda r: r.name)
def test_float32_stays_float32_and_0d_and_empty_work(row):
    shapes = [(2, 2)] if row.name == "Muon" else [(2, 2), (), (0,), (3,)]
    params = [tw.tensor(np.ones(s, np.float32), requires_grad=True) for s in shapes]
    memory = [p._data for p in params]
    optimizer = row.cls(params)
    for _ in range(3):
        for p in params:
            p.grad = tw.tensor(np.full(p.shape, 0.5, np.float32))
        optimizer.step()
    for p, data in zip(params, memory, strict=True):
        assert p._data is data  # written in place
        assert p.dtype == tw.float32
        assert np.isfinite(p.detach().numpy()).all()
        for key, value in optimizer.state[p].items():
            assert value.dtype == (tw.float64 if key in row.cls.scalars else tw.float32), key


@pytest.mark.parametrize("row", [r for r in ROWS if not r.closure], ids=lambda r: r.name)
def test_updates_are_pure(row):
    """`update` writes nothing, and gives on tensors what it gives on arrays."""
    settings = row.cls.Settings._make(
        {**row.cls(params_of([np.ones((2, 2))])).param_groups[0]}[key] for key in row.cls.Settings._fields
    )
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, 2)), rng.normal(size=(2, 2))
    state = {k: v for k, v in row.cls.init(x, settings).items()}
    extra = {"noise": rng.normal(size=(2, 2))} if row.cls.draws else {}
    before = [np.array(a) for a in (x, g, *state.values())]
    new, after = row.cls.update(x, g, {**state, **extra}, settings, 3.0)
    for a, b in zip((x, g, *state.values()), before, strict=True):
        np.testing.assert_array_equal(a, b)
    on_tensors = {k: v if isinstance(v, float) else tw.tensor(v) for k, v in (state | extra).items()}
    new_t, after_t = row.cls.update(tw.tensor(x), tw.tensor(g), on_tensors, settings, 3.0)
    np.testing.assert_allclose(new_t.numpy(), new, rtol=1e-12)
    assert set(after) == set(after_t)


def test_schedule_free_evaluates_at_the_mean():
    params = params_of([np.array([1.0, -2.0])])
    optimizer = optim.ScheduleFreeSGD(params, lr=0.3)
    run(optimizer, params, 4)
    y = params[0].detach().numpy().copy()
    optimizer.eval()
    np.testing.assert_array_equal(params[0].detach().numpy(), optimizer.state[params[0]]["x"].numpy())
    with pytest.raises(RuntimeError, match="call train"):
        optimizer.step()
    optimizer.train()
    np.testing.assert_allclose(params[0].detach().numpy(), y, rtol=1e-12)


def test_per_group_settings_and_groups_added_later():
    a, b = params_of([np.ones(2), np.ones(2)])
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": b})
    a.grad, b.grad = tw.tensor([1.0, 1.0]), tw.tensor([1.0, 1.0])
    optimizer.step()
    np.testing.assert_allclose([a.tolist(), b.tolist()], [[0.5, 0.5], [0.9, 0.9]])


def test_closure_hooks_and_repr():
    (p,) = params_of([np.ones(2)])
    optimizer = optim.SGD([p], lr=0.1)
    seen = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tw.no_grad():
        assert optimizer.step(closure).item() == 2.0
    before.remove()
    optimizer.step(closure)
    assert seen == ["before", "after", "after"]
    assert repr(optimizer).startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="must return None"):
        optimizer.step(closure)


def test_zero_grad():
    (p,) = params_of([np.ones(2)])
    optimizer = optim.SGD([p])
    p.grad = tw.tensor([1.0, 2.0])
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None


def test_tensor_learning_rate():
    a, b = params_of([np.ones(2), np.ones(2)])
    lr = tw.tensor(0.25)
    left, right = optim.Adam([a], lr=lr), optim.Adam([b], lr=0.25)
    for _ in range(3):
        run(left, [a], 1), run(right, [b], 1)
    np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    lr.fill_(0.0)
    before = a.tolist()
    run(left, [a], 1)
    assert a.tolist() == before


def test_lr_inside_differs_under_a_schedule_only():
    grads = [1.0, 1.0, 1.0]
    for change, equal in ((1.0, True), (0.5, False)):
        ends = []
        for velocity in ("lr_outside", "lr_inside"):
            (p,) = params_of([np.array(0.0)])
            optimizer = optim.SGD([p], lr=0.1, momentum=0.9, velocity=velocity)
            for g in grads:
                p.grad = tw.tensor(g)
                optimizer.step()
                optimizer.param_groups[0]["lr"] *= change
            ends.append(p.item())
        assert (abs(ends[0] - ends[1]) < 1e-12) is equal
