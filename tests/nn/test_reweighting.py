"""Weights divided by their norms or kept orthogonal: as parametrisations, and in PyTorch's older form."""

import copy
import pickle
import warnings

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn.utils import parametrizations, parametrize

SHAPES = [(3, 3), (4, 2), (2, 4), (5, 1), (1, 5)]
MAPS = ["matrix_exp", "cayley", "householder", None]


def _gram(w):
    return w @ w.T if w.shape[0] < w.shape[1] else w.T @ w


def _layer(lib, w):
    layer = lib.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=lib.float64)
    with lib.no_grad():
        layer.weight.copy_(lib.tensor(w))
    return layer


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_weights_stay_orthogonal(shape, kind, trivial):
    layer = _layer(tw, np.random.RandomState(0).randn(*shape))
    parametrizations.orthogonal(layer, orthogonal_map=kind, use_trivialization=trivial)
    optimizer = tw.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        np.testing.assert_allclose(_gram(layer.weight.detach().numpy()), np.eye(min(shape)), atol=1e-10)
        (layer.weight**3).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    q = np.linalg.qr(np.random.RandomState(1).randn(max(shape), min(shape)))[0]
    q = q.T if shape[0] < shape[1] else q
    householder = kind == "householder" or (kind is None and shape[0] != shape[1])
    if trivial or householder:
        layer.weight = tw.tensor(q.copy())
        np.testing.assert_allclose(layer.weight.detach().numpy(), q, atol=1e-10)
    else:
        with pytest.raises(NotImplementedError, match="householder"):
            layer.weight = tw.tensor(q.copy())


def test_orthogonal_refuses_vectors_and_other_maps():
    with pytest.raises(ValueError, match="matrix"):
        parametrizations.orthogonal(nn.Linear(2, 2), "bias")
    with pytest.raises(ValueError, match="'cayley'"):
        parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="polar")


def test_spectral_norm_becomes_one_and_stands_still_in_evaluation():
    for make in (parametrizations.spectral_norm, nn.utils.spectral_norm):
        layer = make(nn.Conv2d(2, 3, 3))
        for _ in range(60):
            layer(tw.ones(1, 2, 4, 4))
        assert np.linalg.norm(layer.weight.detach().numpy().reshape(3, -1), 2) == pytest.approx(1, abs=1e-5)
        layer.eval()
        first = layer.weight.detach().clone()
        layer(tw.ones(1, 2, 4, 4))
        assert tw.equal(first, layer.weight)
    with pytest.raises(IndexError):
        parametrizations.spectral_norm(nn.Linear(2, 2), dim=4)
    with pytest.raises(ValueError, match="n_power_iterations"):
        parametrizations.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueError, match="no parameter"):
        parametrizations.spectral_norm(nn.Linear(2, 2), "nothing")


@pytest.mark.parametrize("kind", ["weight", "spectral"])
def test_older_forms_compute_learn_copy_and_go(kind):
    make, remove = getattr(nn.utils, f"{kind}_norm"), getattr(nn.utils, f"remove_{kind}_norm")
    layer = make(nn.Linear(3, 2))
    layer(tw.ones(1, 3)).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    with pytest.raises(RuntimeError, match="already"):
        make(layer) if kind == "weight" else make(layer, "weight")
    layer.eval()
    want = layer(tw.ones(1, 3)).detach()
    with tw.no_grad():
        layer(tw.ones(1, 3))
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert tw.allclose(twin(tw.ones(1, 3)), want)
    remove(layer)
    assert sorted(n for n, _ in layer.named_parameters()) == ["bias", "weight"]
    assert tw.allclose(layer(tw.ones(1, 3)), want)
    with pytest.raises(ValueError, match="has none"):
        remove(layer)


def test_older_names_load_into_the_parametrisation():
    old, new = nn.utils.weight_norm(nn.Linear(3, 2)), parametrizations.weight_norm(nn.Linear(3, 2))
    new.load_state_dict(old.state_dict())
    assert tw.allclose(new(tw.ones(1, 3)), old(tw.ones(1, 3)))
    assert tw.equal(copy.deepcopy(new).weight, new.weight)


def test_parametrizations_are_transferred_with_their_originals():
    source = parametrizations.weight_norm(nn.Linear(3, 2))
    target = parametrize.transfer_parametrizations_and_params(source, nn.Linear(3, 2))
    assert tw.equal(target.weight, source.weight)
    assert target.parametrizations.weight.original0 is source.parametrizations.weight.original0
    plain = nn.Linear(3, 2)
    assert parametrize.transfer_parametrizations_and_params(nn.Linear(3, 2), plain) is plain


def test_a_right_inverse_must_return_tensors_of_the_same_type():
    class Bad(nn.Module):
        def __init__(self, found):
            super().__init__()
            self.found = found

        def forward(self, *x):
            return x[0]

        def right_inverse(self, w):
            return self.found(w)

    for found in (lambda w: 5, lambda w: [w, 5], lambda w: w.double()):
        layer = nn.Linear(2, 2)
        with pytest.raises(ValueError, match="right_inverse"):
            parametrize.register_parametrization(layer, "weight", Bad(found))
        assert not parametrize.is_parametrized(layer)


def test_parametrizations_follow_the_mode_of_the_module():
    layer = nn.Linear(2, 2).eval()
    parametrizations.weight_norm(layer)
    assert not layer.parametrizations.weight[0].training


@pytest.mark.conformance
@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shape", SHAPES)
def test_orthogonal_is_pytorchs(shape, kind, trivial):
    torch = pytest.importorskip("torch")
    found = []
    w = np.random.RandomState(2).randn(*shape)
    for lib in (tw, torch):
        layer = _layer(lib, w)
        lib.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=kind, use_trivialization=trivial)
        (layer.weight**3).sum().backward()
        found.append((layer.weight.detach().numpy(), layer.parametrizations.weight.original.grad.numpy()))
    if trivial and shape[0] != shape[1]:
        return  # the base has a random completion
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.conformance
@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("layer", ["Linear", "Conv2d", "ConvTranspose2d"])
def test_spectral_norm_is_pytorchs(layer, older):
    torch = pytest.importorskip("torch")
    found = []
    for lib in (torch, tw):
        made = getattr(lib.nn, layer)(*((3, 2) if layer == "Linear" else (3, 2, 2)), dtype=lib.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lib.nn.utils.spectral_norm(made) if older else lib.nn.utils.parametrizations.spectral_norm(made)
        if found:
            made.load_state_dict({k: tw.tensor(a) for k, a in found[0].items()})
        else:
            found.append({k: v.detach().numpy().copy() for k, v in made.state_dict().items()})
        x = lib.ones(*((2, 3) if layer == "Linear" else (2, 3, 4, 4)), dtype=lib.float64)
        (made(x) ** 2).sum().backward()
        found.append({k: p.grad.numpy() for k, p in made.named_parameters()})
    for name, gradient in found[1].items():
        np.testing.assert_allclose(found[2][name], gradient, rtol=1e-7, atol=1e-9)
