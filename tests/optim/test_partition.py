"""Several optimizers as one: the same steps as apart, in checkpoints, schedules and compiled functions too."""

from itertools import pairwise

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn, optim
from thalweg.errors import ArgumentError, DTypeError


def network(seed=0):
    tw.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def parts(net, **muon):
    hidden, rest = optim.hidden_matrices(net.parameters())
    return optim.Muon(hidden, lr=0.02, **muon), optim.AdamW(rest, lr=1e-2)


X = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((20, 2)).astype(np.float32)


def trained(net, *optimizers, steps=5):
    x, y = tw.tensor(X), tw.tensor(Y)
    for _ in range(steps):
        for o in optimizers:
            o.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        for o in optimizers:
            o.step()
    return [p.detach().numpy().copy() for p in net.parameters()]


def same(a, b):
    return all((p == q).all() for p, q in zip(a, b, strict=True))


def test_it_steps_as_its_parts_do():
    one, two = network(), network()
    assert same(trained(one, optim.Partition(*parts(one))), trained(two, *parts(two)))


@pytest.mark.parametrize("sizes", [(3,), (3, 2), (3, 8, 2), (3, 8, 8, 2)])
def test_every_parameter_has_one_owner(sizes):
    net = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes))) if len(sizes) > 1 else nn.BatchNorm1d(3)
    hidden, rest = optim.hidden_matrices(net.parameters())
    assert len(hidden) == max(0, len(sizes) - 3)
    assert {id(p) for p in (*hidden, *rest)} == {id(p) for p in net.parameters()}
    optimizer = optim.MuonAdamW(net.parameters(), lr=0.01)
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(list(net.parameters()))


def test_it_goes_on_from_a_checkpoint_bit_for_bit():
    whole = network()
    expected = trained(whole, optim.Partition(*parts(whole)), steps=9)
    net = network()
    first = optim.Partition(*parts(net))
    trained(net, first, steps=4)
    saved = first.state_dict()
    again = optim.Partition(*parts(net))
    again.load_state_dict(saved)
    assert same(trained(net, again, steps=5), expected)
    with pytest.raises(ArgumentError, match="with 2 parts is required, got none"):
        again.load_state_dict(optim.SGD(net.parameters(), lr=0.1).state_dict())


def test_schedulers_see_every_group():
    net = network()
    optimizer = optim.Partition(*parts(net))
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    trained(net, optimizer, steps=1)
    schedule.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.01, 0.005]


def test_it_is_compiled():
    pytest.importorskip("numba")
    eager, net = network(), network()
    expected = trained(eager, optim.MuonAdamW(eager.parameters(), lr=0.01), steps=4)
    optimizer = optim.MuonAdamW(net.parameters(), lr=0.01)

    @tw.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(4):
        step(tw.tensor(X), tw.tensor(Y))
    for p, q in zip(net.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q, rtol=2e-2, atol=2e-4)  # Newton-Schulz in bfloat16


def test_what_is_refused():
    net = network()
    with pytest.raises(ArgumentError, match="one is in several"):
        optim.Partition(optim.SGD(net.parameters(), lr=0.1), optim.SGD(net.parameters(), lr=0.1))
    with pytest.raises(ArgumentError, match="at least one optimizer"):
        optim.Partition()
    with pytest.raises(DTypeError, match="optimizers are required, got str"):
        optim.Partition("adam")
    with pytest.raises(ArgumentError, match=r"one of \.optimizers"):
        optim.Partition(*parts(net)).add_param_group({"params": []})
