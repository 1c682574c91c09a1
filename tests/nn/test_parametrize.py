"""Parameters computed from others."""

import copy
import pickle

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn.utils import parametrize
from thalweg.nn.utils.parametrizations import weight_norm


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT


class Positive(nn.Module):
    def forward(self, x):
        return x.exp()

    def right_inverse(self, y):
        return y.log()


class First(nn.Module):
    def forward(self, x):
        return x[0]


def test_a_weight_is_computed_and_its_original_is_learned():
    layer = nn.Linear(3, 3)
    optimizer = tw.optim.SGD(layer.parameters(), lr=0.1)
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert tw.equal(layer.weight, layer.weight.T)
    before = layer.parametrizations.weight.original.detach().clone()
    layer(tw.ones(2, 3)).sum().backward()
    optimizer.step()
    assert not tw.equal(before, layer.parametrizations.weight.original)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert tw.equal(twin.weight, layer.weight)


def test_a_value_is_assigned_through_the_inverse():
    layer = nn.Linear(2, 2)
    with tw.no_grad():
        layer.weight.fill_(2.0)
    parametrize.register_parametrization(layer, "weight", Positive())
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2.0, rtol=1e-6)
    layer.weight = tw.full((2, 2), 3.0)
    np.testing.assert_allclose(layer.parametrizations.weight.original.detach().numpy(), np.log(3.0), rtol=1e-6)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    with pytest.raises(RuntimeError, match="Symmetric has no right_inverse"):
        layer.weight = tw.ones(2, 2)


@pytest.mark.parametrize("leave", [True, False])
def test_a_removed_parametrization_leaves_a_plain_parameter(leave):
    layer = nn.Linear(2, 2)
    original, value = layer.weight, layer.weight.detach().exp()
    parametrize.register_parametrization(layer, "weight", nn.Sequential(Positive()), unsafe=True)
    assert parametrize.is_parametrized(layer)
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=leave)
    assert layer.weight is original
    assert not parametrize.is_parametrized(layer)
    if leave:
        np.testing.assert_allclose(original.detach().numpy(), value.numpy(), rtol=1e-6)


def test_what_does_not_fit_is_refused_and_nothing_changes():
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    for name, module, message in (("nope", Symmetric(), "no parameter or buffer"), ("weight", First(), "must stay")):
        with pytest.raises(ValueError, match=message):
            parametrize.register_parametrization(layer, name, module)
    with pytest.raises(ValueError, match="has no parametrization"):
        parametrize.remove_parametrizations(layer, "weight")
    assert tw.equal(layer.weight, before)
    with pytest.raises(ValueError, match="no original"):
        parametrize.remove_parametrizations(weight_norm(layer), "weight", leave_parametrized=False)


def test_within_cached_a_tensor_is_computed_once():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_recurrent_weights_and_plain_tensors_take_the_place_of_parameters():
    net = nn.GRU(2, 3)
    x = tw.randn(4, 1, 2)
    wanted = net(x)[0]
    weight_norm(net, "weight_hh_l0")
    np.testing.assert_allclose(net(x)[0].detach().numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-6)
    layer = nn.Linear(2, 1, bias=False)
    del layer.weight
    layer.weight = tw.tensor([[2.0, 3.0]])
    assert layer(tw.ones(2)).item() == 5.0


@pytest.mark.conformance
@pytest.mark.parametrize("dim", [0, 1, -1, None])
def test_lengths_and_directions_are_those_of_pytorch(dim):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=(4, 3))
    found, texts = [], []
    for lib in (tw, torch):
        layer = lib.nn.Linear(3, 2).double()
        layer.load_state_dict({"weight": lib.tensor(w), "bias": lib.tensor(b)})
        if dim == -1 and lib is torch:
            lib.nn.utils.parametrizations.weight_norm(layer, dim=1)
        else:
            lib.nn.utils.parametrizations.weight_norm(layer, dim=dim)
        (layer(lib.tensor(x)) ** 2).sum().backward()
        found.append({n: (p.detach().numpy(), p.grad.numpy()) for n, p in layer.named_parameters()})
        texts.append(repr(layer))
        lib.nn.utils.parametrize.remove_parametrizations(layer, "weight")
        np.testing.assert_allclose(layer.weight.detach().numpy(), w)
    assert texts[0] == texts[1]
    assert list(found[0]) == list(found[1])
    for name, pair in found[0].items():
        for mine, theirs in zip(pair, found[1][name], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
