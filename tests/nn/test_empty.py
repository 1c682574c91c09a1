"""Networks on nothing: a size of 0 in any dim of any operation gives a result of the right shape, or the library's error."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from tests.nn.empties import emptied
from thalweg.errors import ThalwegError

pytestmark = pytest.mark.filterwarnings("ignore")
CASES = emptied()
NOT_ROWS = (
    "RNN",
    "LSTM",
    "GRU",
    "mha",
    "enc",
    "ctc",
    "softmax0",
    "glu0",
    "log_softmax0",
    "softmin0",
    "pad_seq",
    "cdist",
)


def _run(f, shape):
    x = tw.tensor(np.random.RandomState(0).rand(*shape)).requires_grad_(True)
    out = f(tw, x)
    first = out[0] if isinstance(out, tuple) else out
    if first.requires_grad:
        first.sum().backward()
        assert x.grad is None or x.grad.shape == x.shape
    return first


@pytest.mark.parametrize(("name", "full", "shape", "f"), CASES, ids=[c[0] for c in CASES])
def test_a_size_of_zero(name, full, shape, f):
    try:
        out = _run(f, shape)
    except ThalwegError:
        out = None
    rows_first = name.endswith("-0") and full[0] != 4 and not name.startswith(NOT_ROWS)
    if rows_first and not name.startswith(("unb", "AdaptiveAvgPool", "AdaptiveMaxPool")):
        assert out is not None, "an empty batch must have a result"
        like = _run(f, full)
        if like.ndim and like.shape[0] == full[0]:
            assert tuple(out.shape) == (0, *like.shape[1:])
            assert out.dtype == like.dtype


def test_weights_of_an_empty_batch_get_zero_gradients():
    for layer, shape in ((tw.nn.Conv2d(2, 3, 3), (0, 2, 5, 5)), (tw.nn.ConvTranspose1d(2, 3, 3), (0, 2, 5))):
        layer(tw.ones(*shape)).sum().backward()
        assert all(p.grad.shape == p.shape and not p.grad.numpy().any() for p in layer.parameters())


def test_statistics_stay_where_a_batch_is_empty():
    norm = tw.nn.BatchNorm1d(2)
    norm(tw.ones(0, 2))
    assert norm.running_mean.tolist() == [0, 0]
    assert norm.running_var.tolist() == [1, 1]
