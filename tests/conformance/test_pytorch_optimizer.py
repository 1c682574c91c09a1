"""Twenty steps of the methods that PyTorch lacks, against the package pytorch_optimizer where it is installed.

Not compared: DoG, which it lacks; MARS and AdEMAMix, where it scales eps by the bias corrections or has no plain form;
Signum, which it decays before the step. Those have references of their own in tests/optim/test_rules.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import optim
from thalweg.core import dtype as _dtype

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("pytorch_optimizer")
pytestmark = pytest.mark.conformance

SHAPES = ((3, 4), (4,), (2, 2))
# Ours, its name there, settings here, settings there, relative tolerance: some of its numbers are float32, such as d.
# Its ADOPT counts the first step, which only sets v, into the bound; the authors do not.
CASES = {
    "Prodigy": (optim.Prodigy, "Prodigy", {"lr": 1.0, "d0": 1e-3, "weight_decay": 0.1}, {"weight_decouple": True}, 1e-4),
    "DAdaptAdam": (optim.DAdaptAdam, "DAdaptAdam", {"lr": 1.0, "d0": 1e-3}, {}, 1e-4),
    "ADOPT": (optim.ADOPT, "ADOPT", {"lr": 0.05}, {"clip_lambda": lambda t: (t - 1) ** 0.25}, 1e-9),
    "SOAP": (optim.SOAP, "SOAP", {"lr": 0.05, "weight_decay": 0.1}, {"precondition_frequency": 10}, 1e-4),
    "Shampoo": (optim.Shampoo, "Shampoo", {"lr": 0.05}, {"matrix_eps": 1e-4}, 1e-6),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _float64():
    before, ours = torch.get_default_dtype(), _dtype.default_float()
    torch.set_default_dtype(torch.float64)
    _dtype.set_default_float(tw.float64)
    yield
    torch.set_default_dtype(before)
    _dtype.set_default_float(ours)


@pytest.mark.parametrize("name", sorted(CASES))
def test_twenty_steps(name):
    cls, there, settings, more, rtol = CASES[name]
    rng = np.random.default_rng(3)
    starts = [rng.normal(size=shape) for shape in SHAPES]
    a = [tw.tensor(x, requires_grad=True) for x in starts]
    b = [torch.tensor(x, requires_grad=True) for x in starts]
    one, other = cls(a, **settings), getattr(theirs, there)(b, **settings, **more)
    for k in range(20):
        for i, (p, q) in enumerate(zip(a, b, strict=True)):
            g = np.sin(2 * starts[i] + 0.3 * k + i) + 0.5 * p.detach().numpy()
            p.grad, q.grad = tw.tensor(g), torch.tensor(g)
        one.step(), other.step()
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=rtol, atol=rtol)
