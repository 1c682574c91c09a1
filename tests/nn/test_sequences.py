"""Sequences of different lengths: padded, packed, and run through recurrent networks."""

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn.utils.rnn import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)

LENGTHS = [2, 5, 1, 5]


def rows(lengths=LENGTHS):
    rng = np.random.default_rng(0)
    return [tw.tensor(rng.normal(size=(n, 3))) for n in lengths]


def test_sequences_are_padded_on_either_side_and_come_back():
    given = rows()
    for batch_first in (False, True):
        padded = pad_sequence(given, batch_first, padding_value=-1.0)
        assert padded.shape == ((4, 5, 3) if batch_first else (5, 4, 3))
        for row, found in zip(given, unpad_sequence(padded, tw.tensor(LENGTHS), batch_first), strict=True):
            assert tw.equal(row, found)
    left = pad_sequence([tw.tensor([1, 2, 3]), tw.tensor([4])], True, 9, padding_side="left")
    assert left.tolist() == [[1, 2, 3], [9, 9, 4]]


@pytest.mark.parametrize("batch_first", [False, True])
def test_what_is_packed_comes_back(batch_first):
    packed = pack_sequence(rows(), enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [4, 3, 2, 2, 2]
    for row, found in zip(rows(), unpack_sequence(packed), strict=True):
        assert tw.equal(row, found)
    padded, lengths = pad_packed_sequence(packed, batch_first, padding_value=7.0, total_length=6)
    assert lengths.tolist() == LENGTHS
    assert tw.equal(padded[:5] if not batch_first else padded[:, :5], pad_sequence(rows(), batch_first, 7.0))
    assert invert_permutation(tw.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    assert packed.to(tw.float32).data.dtype is tw.float32


def test_gradients_go_through_packing():
    x = tw.arange(6.0).reshape(3, 2).requires_grad_()
    padded, _ = pad_packed_sequence(pack_padded_sequence(x, [3, 1]))
    (padded * 2).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [2.0, 0.0], [2.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pack_sequence(rows()), RuntimeError, "descending order"),
        (lambda: pack_padded_sequence(tw.zeros(3, 2), [4, 1]), RuntimeError, "2 lengths from 1 to 3"),
        (lambda: pack_padded_sequence(tw.zeros(3, 2), [1, 0]), RuntimeError, "2 lengths from 1 to 3"),
        (lambda: pad_packed_sequence(pack_sequence(rows([3])), total_length=2), ValueError, "at least 3"),
        (lambda: pad_sequence([]), TypeError, "one or more tensors"),
        (lambda: pad_sequence(3), TypeError, "a list of tensors"),
        (lambda: pad_sequence([tw.zeros(2, 1), tw.zeros(2, 2)]), RuntimeError, "differ only in their first dim"),
        (lambda: pad_sequence([tw.zeros(2)], padding_side="top"), ValueError, "padding_side"),
        (lambda: nn.LSTM(2, 4)(pack_sequence(rows([3]))), RuntimeError, "last dim is 2"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


NETWORKS = {
    "RNN": {"num_layers": 2, "bidirectional": True},
    "LSTM": {"num_layers": 2, "bidirectional": True, "proj_size": 3},
    "GRU": {"bias": False},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_packed_sequences_run_as_each_alone(name):
    net = getattr(nn, name)(3, 4, **NETWORKS[name]).double()
    out, last = net(pack_sequence(rows(), enforce_sorted=False))
    assert isinstance(out, PackedSequence)
    for k, (row, found) in enumerate(zip(rows(), unpack_sequence(out), strict=True)):
        wanted, ends = net(row)
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-12)
        pairs = zip(last, ends, strict=True) if name == "LSTM" else [(last, ends)]
        for mine, end in pairs:
            np.testing.assert_allclose(mine[:, k].detach().numpy(), end.detach().numpy(), rtol=1e-12)


@pytest.mark.conformance
@pytest.mark.parametrize("name", NETWORKS)
def test_packed_sequences_run_as_in_pytorch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    weights = None
    found = []
    for lib in (tw, torch):
        utils = __import__(f"{lib.__name__}.nn.utils.rnn", fromlist=["rnn"])
        net = getattr(lib.nn, name)(3, 4, **NETWORKS[name]).double()
        weights = weights or {n: rng.normal(size=tuple(p.shape)) for n, p in net.named_parameters()}
        net.load_state_dict({n: lib.tensor(a) for n, a in weights.items()})
        x = [lib.tensor(r.numpy()).requires_grad_() for r in rows()]
        count = 4 if NETWORKS[name].get("bidirectional") else 1
        start = lib.arange(count * 4 * (3 if name == "LSTM" else 4), dtype=lib.float64).reshape(count, 4, -1) / 50
        hx = (start, lib.ones(count, 4, 4, dtype=lib.float64)) if name == "LSTM" else start
        packed = utils.pack_sequence(x, enforce_sorted=False)
        out, last = net(packed, hx)
        padded, lengths = utils.pad_packed_sequence(out, batch_first=True)
        ((padded**2).sum() + sum(s.sum() for s in (last if name == "LSTM" else [last]))).backward()
        found.append(
            [padded.detach(), lengths, packed.data.detach(), packed.batch_sizes, packed.sorted_indices]
            + [s.detach() for s in (last if name == "LSTM" else [last])]
            + [r.grad for r in x]
            + [p.grad for p in net.parameters()]
        )
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)
