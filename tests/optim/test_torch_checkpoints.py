"""Checkpoints to and from PyTorch's optimizers, through safetensors."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.core import dtype as _dtype

from .table import BY_NAME, SHARED, gradient, params_of, start

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.conformance


@pytest.fixture(autouse=True)
def _float64():
    before, ours = torch.get_default_dtype(), _dtype.default_float()
    torch.set_default_dtype(torch.float64)
    _dtype.set_default_float(tw.float64)
    yield
    torch.set_default_dtype(before)
    _dtype.set_default_float(ours)


def step(optimizer, params, make, k):
    def closure():
        for p, g in zip(params, gradient([p.detach().numpy() for p in params], k), strict=True):
            p.grad = make(g)
        return make(np.array(1.0 / (k + 1)))

    optimizer.step(closure)


@pytest.mark.parametrize("name", [row.name for row in SHARED])
@pytest.mark.parametrize("direction", ["to", "from"])
def test_checkpoints_cross(name, direction, tmp_path):
    row, path = BY_NAME[name], tmp_path / "state.safetensors"
    arrays = start(row, np.random.default_rng(0))
    settings = row.settings(np.random.default_rng(1))
    if name == "LBFGS":
        settings["line_search_fn"] = None
    ours, theirs = params_of(arrays), [torch.tensor(a, requires_grad=True) for a in arrays]
    mine, other = row.cls(ours, **settings), getattr(torch.optim, name)(theirs, **settings)
    left, right = (mine, ours, tw.tensor), (other, theirs, torch.tensor)
    first = left if direction == "to" else right
    for k in range(3):
        step(*first, k)
    optim.save_state(first[0].state_dict(), path)
    if direction == "to":
        theirs[:] = [torch.tensor(p.detach().numpy().copy(), requires_grad=True) for p in ours]
        other = getattr(torch.optim, name)(theirs)
        other.load_state_dict(optim.load_state(path, make=lambda a: torch.from_numpy(np.array(a))))
    else:
        ours[:] = params_of([p.detach().numpy() for p in theirs])
        mine = row.cls(ours)
        mine.load_state_dict(optim.load_state(path))
    for k in range(3, 6):
        step(mine, ours, tw.tensor, k)
        step(other, theirs, torch.tensor, k)
    for p, q in zip(ours, theirs, strict=True):
        atol = 0.02 * settings["lr"] if name == "Muon" else 1e-12
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-9, atol=atol)
