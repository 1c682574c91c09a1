"""Modules called with other tensors in the place of their own."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.errors import ArgumentError
from thalweg.func import functional_call, grad, stack_module_state, vmap


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2, bias=False)
        self.b = nn.Linear(2, 2, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(self.a(x))


X = tw.ones(1, 2)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ({"weight": X, "bias": tw.zeros(1)}, 2.0),
        (({"weight": X}, {"bias": tw.ones(1)}), 3.0),
        ([{"weight": X, "bias": tw.ones(1), "other": X}], 3.0),
    ],
)
def test_the_state_given_is_used_and_the_own_is_kept(state, wanted):
    layer = nn.Linear(2, 1)
    before = dict(layer.named_parameters())
    assert functional_call(layer, state, X).item() == wanted
    assert functional_call(layer, state, (X,)).item() == wanted
    assert functional_call(layer, state, None, {"input": X}).item() == wanted
    with pytest.raises(RuntimeError):
        functional_call(layer, state, tw.ones(1, 3))
    after = dict(layer.named_parameters())
    assert all(after[name] is p for name, p in before.items())


def test_tied_tensors_are_replaced_together():
    net = Tied()
    assert functional_call(net, {"a.weight": 2 * tw.eye(2)}, X).tolist() == [[4.0, 4.0]]
    assert functional_call(net, {"b.weight": 2 * tw.eye(2)}, X, strict=True).tolist() == [[4.0, 4.0]]
    both = {"a.weight": 2 * tw.eye(2), "b.weight": 3 * tw.eye(2)}
    assert functional_call(net, both, X, tie_weights=False).tolist() == [[6.0, 6.0]]
    with pytest.raises(ValueError, match="are one tensor in Tied"):
        functional_call(net, both, X)


@pytest.mark.parametrize(
    ("state", "options", "error", "message"),
    [
        ({"nope": X}, {"strict": True}, RuntimeError, "missing .*'bias', 'weight'.*extra .*'nope'"),
        (({"weight": X}, {"weight": X}), {}, ValueError, "'weight' is in two dicts"),
        ({"weight": 3}, {}, TypeError, "must be a tensor, got int"),
        ({"a.weight": X}, {}, AttributeError, "Linear has no module 'a'"),
        (3, {}, ValueError, "a dict of tensors by name"),
    ],
)
def test_what_does_not_fit_is_refused(state, options, error, message):
    with pytest.raises(error, match=message):
        functional_call(nn.Linear(2, 1), state, X, **options)


def test_buffers_given_take_the_updates():
    norm, mean = nn.BatchNorm1d(2), tw.zeros(2)
    functional_call(norm, {"running_mean": mean}, tw.ones(3, 2))
    np.testing.assert_allclose(mean.numpy(), 0.1)
    assert norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.num_batches_tracked.item() == 1


def test_gradients_of_each_sample():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    state = {name: p.detach() for name, p in net.named_parameters()}
    x, y = tw.randn(5, 3), tw.randn(5, 1)

    def loss(state, x, y):
        return ((functional_call(net, state, (x,)) - y) ** 2).sum()

    each = vmap(grad(loss), in_dims=(None, 0, 0))(state, x, y)
    loss_of_all = ((net(x) - y) ** 2).sum()
    loss_of_all.backward()
    for name, p in net.named_parameters():
        assert each[name].shape == (5, *p.shape)
        np.testing.assert_allclose(each[name].sum(0).numpy(), p.grad.numpy(), rtol=2e-5, atol=1e-6)


def test_an_ensemble_is_stacked():
    nets = [nn.BatchNorm1d(2).eval() for _ in range(3)]
    params, buffers = stack_module_state(nets)
    assert params["weight"].shape == (3, 2)
    assert params["weight"].is_leaf
    assert params["weight"].requires_grad
    assert buffers["running_var"].shape == (3, 2)
    x = tw.randn(4, 2)
    out = vmap(lambda p, b: functional_call(nets[0], (p, b), x))(params, buffers)
    np.testing.assert_allclose(out[1].detach().numpy(), nets[1](x).detach().numpy())
    for models, message in (([], "at least one"), ([nn.Linear(1, 1), nn.ReLU()], "one class")):
        with pytest.raises(RuntimeError, match=message):
            stack_module_state(models)
    with pytest.raises(ArgumentError, match="training mode"):
        stack_module_state([nn.ReLU(), nn.ReLU().eval()])


@pytest.mark.conformance
def test_results_and_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    state = {"weight": rng.normal(size=(2, 3)), "bias": rng.normal(size=2)}
    x = rng.normal(size=(4, 3))
    found = []
    for lib in (tw, torch):
        layer = lib.nn.Linear(3, 2)
        given = {name: lib.tensor(a) for name, a in state.items()}

        def loss(given, x, lib=lib, layer=layer):
            return (lib.func.functional_call(layer, given, (x,)) ** 3).sum()

        found.append(lib.vmap(lib.func.grad(loss), in_dims=(None, 0))(given, lib.tensor(x)))
    for name in state:
        np.testing.assert_allclose(found[0][name].numpy(), found[1][name].numpy(), rtol=1e-12)
