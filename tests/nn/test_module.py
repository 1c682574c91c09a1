"""The module: names, walks, modes, types, state, printed form."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.scale = nn.Parameter(tw.ones(3))
        self.register_buffer("count", tw.zeros(1))
        self.register_buffer("scratch", tw.zeros(2), persistent=False)

    def forward(self, x):
        return self.linear(x) * self.scale


def _net() -> nn.Sequential:
    return nn.Sequential(Block(), nn.ReLU(), Block())


def test_parameters_and_buffers_are_found_by_name_and_once():
    net = _net()
    assert [n for n, _ in net.named_parameters()] == [
        "0.scale", "0.linear.weight", "0.linear.bias", "2.scale", "2.linear.weight", "2.linear.bias",
    ]  # fmt: skip
    assert [n for n, _ in net.named_buffers()] == ["0.count", "0.scratch", "2.count", "2.scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "0", "0.linear", "1", "2", "2.linear"]
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"]
    net[2].linear.weight = net[0].linear.weight
    assert len(list(net.parameters())) == 5
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert len(list(net[0].parameters(recurse=False))) == 1
    assert dict(net.named_parameters(prefix="p"))["p.0.scale"] is net[0].scale


def test_getting_by_dotted_name():
    net = _net()
    assert net.get_submodule("0.linear") is net[0].linear
    assert net.get_submodule("") is net
    assert net.get_parameter("0.linear.weight") is net[0].linear.weight
    assert net.get_buffer("2.count") is net[2].count
    net.set_submodule("0.linear", nn.Identity())
    assert isinstance(net[0].linear, nn.Identity)
    for get, name in ((net.get_submodule, "0.no"), (net.get_parameter, "0.no"), (net.get_buffer, "0.scale")):
        with pytest.raises(AttributeError):
            get(name)


def test_assignment_keeps_kinds_apart():
    block = Block()
    with pytest.raises(TypeError):
        block.scale = tw.ones(3)
    with pytest.raises(TypeError):
        block.linear = 3
    with pytest.raises(TypeError):
        block.count = "many"
    block.scale = None
    assert block.scale is None
    assert "scale" not in dict(block.named_parameters())
    block.note = "free"
    assert block.note == "free"
    del block.linear
    with pytest.raises(AttributeError, match="no attribute 'linear'"):
        _ = block.linear
    assert "count" in dir(block)


def test_registering_checks_names_and_values():
    block = Block()
    with pytest.raises(KeyError, match="without a dot"):
        block.register_buffer("a.b", tw.zeros(1))
    with pytest.raises(KeyError, match="exists"):
        block.register_buffer("linear", tw.zeros(1))
    with pytest.raises(KeyError):
        block.add_module("", nn.ReLU())
    with pytest.raises(TypeError):
        block.register_parameter("w", tw.zeros(1))
    with pytest.raises(TypeError):
        block.add_module("m", 3)
    with pytest.raises(TypeError):
        block.register_buffer("b", 3)
    with pytest.raises(ValueError, match="leaf"):
        block.register_parameter("w", _result())

    class Early(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(tw.zeros(1))

    with pytest.raises(AttributeError, match="super"):
        Early()


def _result() -> nn.Parameter:
    p = nn.Parameter(tw.ones(1))
    p._node = (tw.ones(1, requires_grad=True) * 2)._node
    return p


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_modes_and_gradients_reach_everything():
    net = _net()
    net.eval()
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    with pytest.raises(ValueError):
        net.train("yes")
    net[0](tw.ones(4, 2)).sum().backward()
    assert net[0].scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert not net[0].scale.grad.numpy().any()
    net.zero_grad()
    assert net[0].scale.grad is None
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_types_change_for_floating_point_only():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net(tw.ones(3, 2)).sum().backward()
    kept = [id(p) for p in net.parameters()]
    net.double()
    assert kept == [id(p) for p in net.parameters()]
    assert {p.dtype for p in net.parameters()} == {tw.float64}
    assert net[0].weight.grad.dtype is tw.float64
    assert net[1].num_batches_tracked.dtype is tw.int64
    assert net[1].running_mean.dtype is tw.float64
    assert net.to("cpu") is net
    assert next(net.to(tw.float32).parameters()).dtype is tw.float32
    assert next(net.to(dtype=tw.float64).parameters()).dtype is tw.float64
    with pytest.raises(TypeError):
        net.to(tw.int64)
    assert next(net.float().parameters()).dtype is tw.float32


def test_apply_goes_inside_first():
    seen = []
    _net().apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Block", "ReLU", "Linear", "Block", "Sequential"]


def test_state_goes_out_and_in():
    a, b = _net(), _net()
    state = a.state_dict()
    assert list(state) == [
        "0.scale", "0.count", "0.linear.weight", "0.linear.bias", "2.scale", "2.count", "2.linear.weight", "2.linear.bias",
    ]  # fmt: skip
    assert not any(v.requires_grad for v in state.values())
    assert a.state_dict(keep_vars=True)["0.scale"] is a[0].scale
    assert repr(b.load_state_dict(state)) == "<All keys matched successfully>"
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
        assert not np.shares_memory(p.detach().numpy(), q.detach().numpy())
    b.load_state_dict(state, assign=True)
    assert np.shares_memory(b[0].linear.weight.detach().numpy(), a[0].linear.weight.detach().numpy())
    assert b[0].linear.weight.requires_grad


def test_a_state_that_does_not_fit_is_reported_in_full_and_changes_nothing():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    bad = {"0.weight": tw.zeros(3, 2), "0.bias": tw.zeros(4), "1.weight": 5, "extra": tw.zeros(1)}
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(bad)
    text = str(caught.value)
    for part in (
        "Missing key(s): 1.bias",
        "Unexpected key(s): extra",
        "size mismatch for 0.bias: shape (3,) is required, got (4,)",
        "1.weight: a tensor",
    ):
        assert part in text
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k])
    good = {"0.weight": tw.ones(3, 2), "extra": tw.zeros(1)}
    found = net.load_state_dict(good, strict=False)
    assert found.missing_keys == ["0.bias", "1.weight", "1.bias"]
    assert found.unexpected_keys == ["extra"]
    assert net[0].weight.numpy(force=True).all()
    with pytest.raises(RuntimeError, match="shape"):
        net.load_state_dict({"0.weight": tw.ones(1, 2)}, strict=False)
    with pytest.raises(TypeError):
        net.load_state_dict([1])


def test_loading_counts_as_a_write():
    layer = nn.Linear(2, 1)
    x = tw.ones(1, 2, requires_grad=True)
    y = layer(x).sum()
    layer.load_state_dict(nn.Linear(2, 1).state_dict())
    with pytest.raises(RuntimeError, match="written in place"):
        y.backward()


def test_copies_are_deep_and_pickles_come_back():
    net = _net()
    x = tw.ones(2, 2)
    twin = copy.deepcopy(net)
    back = pickle.loads(pickle.dumps(net[0].linear))
    assert twin[0].linear.weight is not net[0].linear.weight
    assert isinstance(back.weight, nn.Parameter)
    np.testing.assert_array_equal(back(x).detach().numpy(), net[0].linear(x).detach().numpy())


def test_printed_form_nests():
    net = nn.Sequential(nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU()]), nn.ParameterList([tw.zeros(2)]))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): ModuleList(\n"
        "    (0-1): 2 x Linear(in_features=1, out_features=1, bias=True)\n"
        "    (2): ReLU()\n"
        "  )\n"
        "  (1): ParameterList(  (0): Parameter containing: [thalweg.float32 of size 2])\n"
        ")"
    )


def test_parameters_print_and_stay_leaves():
    p = nn.Parameter(tw.tensor([1.0]))
    assert repr(p) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    assert type(p * 2) is tw.Tensor
    assert isinstance(copy.deepcopy(p), nn.Parameter)
    assert nn.Parameter(tw.ones(1), requires_grad=False).requires_grad is False
    module = nn.Module()
    module.kept = nn.Buffer(tw.zeros(2))
    module.passing = nn.Buffer(tw.zeros(2), persistent=False)
    assert list(module.state_dict()) == ["kept"]
    assert [n for n, _ in module.named_buffers()] == ["kept", "passing"]
