"""Hooks over several gradients, edges of the graph, and contexts of saved tensors."""

import pytest

import thalweg as tw
from thalweg import autograd
from thalweg.autograd import graph


def test_multi_grad_hook_counts_per_walk():
    x, y, z = (tw.tensor(float(k), requires_grad=True) for k in (2, 3, 4))
    seen, first = [], []
    handle = graph.register_multi_grad_hook(
        (x, y, z), lambda gs: seen.append([None if g is None else g.item() for g in gs])
    )
    other = graph.register_multi_grad_hook((x, y), lambda g: first.append(g.item()), mode="any")
    (x * y).backward()
    (x * z + y).backward()
    autograd.grad(x * y, [y])
    assert seen == [[3.0, 2.0, None], [4.0, 1.0, 2.0], [None, 2.0, None]]
    assert len(first) == 3
    handle.remove()
    other.remove()
    (x * y).backward()
    assert len(seen) == len(first) == 3
    with pytest.raises(ValueError, match="mode must be"):
        graph.register_multi_grad_hook((x,), print, mode="some")


def test_edges_are_inputs_of_grad():
    x = tw.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    low, high = y.split(1)
    edges = [graph.get_gradient_edge(t) for t in (x, y, high)]
    assert [edge.output_nr for edge in edges] == [0, 0, 1]
    found = autograd.grad((low + high * high).sum(), edges)
    assert [g.tolist() for g in found] == [[3.0, 36.0], [1.0, 12.0], [12.0]]
    with pytest.raises(RuntimeError, match="that requires grad"):
        graph.get_gradient_edge(tw.ones(1))


@pytest.mark.parametrize("context", [graph.save_on_cpu, graph.allow_mutation_on_saved_tensors])
def test_saved_values_survive_writes(context):
    w = tw.tensor(3.0, requires_grad=True)
    with context():
        x = w.clone()
        y = x * x * x
        x.zero_()
    (g,) = autograd.grad(y, w, create_graph=True)
    assert g.item() == 27.0
    assert autograd.grad(g, w)[0].item() == 18.0


def test_disabled_saved_tensors_hooks():
    with (
        graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
        graph.save_on_cpu(),
    ):
        pass
    with (
        graph.save_on_cpu(),
        pytest.raises(RuntimeError, match="not now"),
        graph.disable_saved_tensors_hooks("not now"),
    ):
        pass
    with graph.save_on_cpu():
        pass
