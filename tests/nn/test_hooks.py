"""Hooks of modules, and that they come in PyTorch's order with PyTorch's arguments."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn


def test_forward_hooks_may_replace_arguments_and_results():
    layer = nn.Identity()
    seen = []
    first = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    layer.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True)
    last = layer.register_forward_hook(lambda m, args, out: out * 10)
    assert layer(tw.tensor(1.0)).item() == 20
    assert seen == ["first"]
    first.remove()
    last.remove()
    assert layer(tw.tensor(1.0)).item() == 1

    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda m, args, kwargs: (args, {}), with_kwargs=True)
    layer.register_forward_hook(lambda m, args, kwargs, out: out + len(kwargs), with_kwargs=True)
    assert layer(tw.tensor(1.0)).item() == 1
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pair"):
        layer(tw.tensor(1.0))


def test_always_called_hooks_run_when_forward_raises():
    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    seen = []
    module = Broken()
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    module.register_forward_hook(lambda m, args, out: seen.append("not this"))
    with pytest.raises(KeyError):
        module(1)
    assert seen == [None]


def _events(lib) -> list:
    lib.manual_seed(0)
    events: list = []
    layer = lib.nn.Linear(2, 3)
    net = lib.nn.Sequential(layer, lib.nn.Tanh())
    for name, module in (("linear", layer), ("net", net)):
        module.register_forward_pre_hook(lambda m, args, name=name: events.append((name, "pre")))
        module.register_forward_hook(lambda m, args, out, name=name: events.append((name, "post")))
        module.register_full_backward_pre_hook(
            lambda m, go, name=name: events.append((name, "before", tuple(go[0].shape)))
        )
        module.register_full_backward_hook(
            lambda m, gi, go, name=name: events.append(
                (name, "back", [None if g is None else tuple(g.shape) for g in gi], tuple(go[0].shape))
            )
        )
    x = lib.ones(4, 2, requires_grad=True)
    net(x).sum().backward()
    net(lib.ones(4, 2)).sum().backward()
    return events


def test_order_of_all_hooks():
    assert _events(tw) == [
        ("net", "pre"), ("linear", "pre"), ("linear", "post"), ("net", "post"),
        ("net", "before", (4, 3)), ("linear", "before", (4, 3)),
        ("linear", "back", [(4, 2)], (4, 3)), ("net", "back", [(4, 2)], (4, 3)),
        ("net", "pre"), ("linear", "pre"), ("linear", "post"), ("net", "post"),
        ("net", "before", (4, 3)), ("net", "back", [None], (4, 3)),
        ("linear", "before", (4, 3)), ("linear", "back", [None], (4, 3)),
    ]  # fmt: skip


@pytest.mark.conformance
@pytest.mark.filterwarnings("ignore")
def test_order_is_pytorchs():
    assert _events(tw) == _events(pytest.importorskip("torch"))


def test_backward_hooks_may_replace_gradients():
    net = nn.Identity()
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    net.register_full_backward_hook(lambda m, gi, go: (gi[0] + 1,))
    x = tw.ones(2, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_backward_hooks_see_several_inputs_and_outputs():
    class Both(nn.Module):
        def forward(self, a, b, n):
            return a * b, a + b * n

    seen = []
    both = Both()
    both.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = tw.tensor(2.0, requires_grad=True), tw.tensor(3.0, requires_grad=True)
    p, q = both(a, b, 5)
    (p + 2 * q).backward()
    gi, go = seen[0]
    assert [g if g is None else g.item() for g in gi] == [5, 12, None]
    assert [g.item() for g in go] == [1, 2]
    assert (a.grad.item(), b.grad.item()) == (5, 12)
