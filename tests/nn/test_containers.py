"""Sequential, lists and dictionaries of modules and parameters."""

from __future__ import annotations

import pytest

import thalweg as tw
from thalweg import nn


def test_sequential_is_a_list_that_applies():
    net = nn.Sequential({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    assert net.a is net[0]
    assert net[-1] is net.b
    assert net(tw.ones(1, 2)).shape == (1, 3)
    net.append(nn.Linear(3, 1))
    assert len(net) == 3
    assert len(net[1:]) == 2
    net[1] = nn.Tanh()
    assert isinstance(net.b, nn.Tanh)
    net.insert(0, nn.Identity())
    assert isinstance(net[0], nn.Identity)
    last = net.pop(-1)
    assert isinstance(last, nn.Linear)
    del net[0]
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh"]
    assert len(net + nn.Sequential(nn.ReLU())) == 3
    net += nn.Sequential(nn.ReLU())
    assert len(net) == 3
    with pytest.raises(IndexError):
        net[3]
    with pytest.raises(AssertionError):
        net.insert(0, 3)
    with pytest.raises(ValueError):
        net + 3


def test_module_list():
    layers = nn.ModuleList(nn.Linear(1, 1) for _ in range(3))
    assert len(layers) == 3
    assert len(layers[:2]) == 2
    layers.insert(1, nn.ReLU())
    assert isinstance(layers[1], nn.ReLU)
    layers[0] = nn.Tanh()
    del layers[1]
    assert [type(m).__name__ for m in layers] == ["Tanh", "Linear", "Linear"]
    layers += [nn.ReLU()]
    assert isinstance(layers.pop(), nn.ReLU)
    assert len(layers + nn.ModuleList([nn.ReLU()])) == 4
    with pytest.raises(TypeError):
        layers.extend(3)


def test_module_dict():
    table = nn.ModuleDict({"a": nn.ReLU()})
    table["b"] = nn.Tanh()
    table.update([("c", nn.Identity())])
    assert list(table) == ["a", "b", "c"]
    assert "b" in table
    assert isinstance(table.pop("b"), nn.Tanh)
    del table["c"]
    assert list(table.keys()) == ["a"]
    assert [type(m).__name__ for m in table.values()] == ["ReLU"]
    assert dict(table.items())["a"] is table["a"]
    table.clear()
    assert len(table) == 0
    with pytest.raises(TypeError):
        table.update(3)


def test_parameter_list_and_dict():
    values = nn.ParameterList([tw.zeros(2), "text"])
    values.append(tw.ones(1))
    values[0] = tw.ones(3)
    assert [type(v).__name__ for v in values] == ["Parameter", "str", "Parameter"]
    assert len(list(values.parameters())) == 2
    assert len(values[1:]) == 2
    with pytest.raises(TypeError):
        values.extend(tw.zeros(1))
    table = nn.ParameterDict({"w": tw.zeros(2)})
    table["n"] = 3
    assert list(table.items())[1] == ("n", 3)
    assert table.get("none", 5) == 5
    assert isinstance(table["w"], nn.Parameter)
    assert list(table.state_dict()) == ["w"]
    assert table.pop("n") == 3
    del table["w"]
    assert not list(table.parameters())
    table.update({"v": tw.zeros(1)})
    table.clear()
    assert len(table) == 0


@pytest.mark.conformance
def test_lists_of_parameters_are_printed_as_pytorch_prints_them():
    torch = pytest.importorskip("torch")
    for n in (1, 2):
        texts = [
            repr(lib.nn.Sequential(lib.nn.ParameterList([lib.nn.Parameter(lib.ones(2)) for _ in range(n)])))
            for lib in (tw, torch)
        ]
        assert texts[0].replace("thalweg.", "") == texts[1].replace("torch.", "")
    assert repr(tw.nn.ParameterDict({"a": tw.nn.Parameter(tw.ones(2))})).startswith("ParameterDict(  (a): Parameter")
