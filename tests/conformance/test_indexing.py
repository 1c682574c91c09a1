"""Every kind of index, read, written and differentiated, is PyTorch's."""

import numpy as np
import pytest

import thalweg as tw

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

MASK4 = np.array([True, False, True, True])
MASK23 = np.array([[True, False, True], [False, False, True]])
KEYS = {
    "int": 0,
    "negative": -1,
    "slice": slice(0, 2),
    "whole": slice(None),
    "step": (slice(None), slice(None, None, 2)),
    "ellipsis": Ellipsis,
    "ellipsis and int": (Ellipsis, 1),
    "none": None,
    "nones": (None, slice(None), None, 0),
    "int, slice, list": (0, slice(None), [1, 2]),
    "list, slice, int": ([0, 1], slice(None), 2),
    "list, int, list": ([0, 1], 2, [1, 3]),
    "slice, int, list": (slice(None), 1, [0, 0]),
    "list, slice, list": ([0, 1], slice(0, 2), [1, 3]),
    "slice, list, list": (slice(None), [0, 2], [1, 3]),
    "list, none, list": ([0, 1], None, [1, 2]),
    "none, list": (None, [0, 1]),
    "array": np.array([[0, 1], [1, 0]]),
    "broadcast": (np.array([[0], [1]]), np.array([0, 2])),
    "int array of no dims": np.array(1),
    "mask of one dim": (Ellipsis, MASK4),
    "none and mask": (Ellipsis, None, MASK4),
    "mask of two dims": MASK23,
    "mask and list": (MASK23, [0, 1, 2]),
    "mask, slice": (MASK23, slice(1, None)),
    "int, mask": (0, slice(None), MASK4),
    "true": True,
    "false": False,
    "true and slice": (True, slice(0, 1)),
    "empty list": [],
    "empty slice": slice(2, 2),
    "range": range(2),
    "uint8 mask": (slice(None), slice(None), MASK4.astype(np.uint8)),
}


def arrays(key, make):
    if isinstance(key, tuple):
        return tuple(arrays(k, make) for k in key)
    return make(key) if isinstance(key, np.ndarray) else key


@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8:UserWarning")
@pytest.mark.parametrize("name", KEYS)
def test_reading(name):
    data = np.random.default_rng(0).standard_normal((2, 3, 4))
    x, y = tw.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    ours, theirs = x[arrays(KEYS[name], tw.tensor)], y[arrays(KEYS[name], torch.tensor)]
    assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours._is_view() == theirs._is_view()
    if ours.numel():
        assert ours.grad_fn.name() == theirs.grad_fn.name()
    ours.cos().sum().backward()
    theirs.cos().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy())


@pytest.mark.parametrize("name", [n for n in KEYS if n != "uint8 mask"])  # which PyTorch does not write by
@pytest.mark.parametrize("value", ["number", "tensor", "row"])
def test_writing(name, value):
    data = np.random.default_rng(0).standard_normal((2, 3, 4))
    found = []
    for lib in (tw, torch):
        key = arrays(KEYS[name], lib.tensor)
        w = lib.tensor(data, requires_grad=True)
        shape = tuple(w[key].shape)
        x = w * 2
        v = lib.tensor(
            np.arange(1.0, 1 + np.prod(shape)).reshape(shape) if value == "tensor" else np.arange(1.0, 2.0),
            requires_grad=True,
        )
        repeated = "list, " in name or name == "array"
        if value == "tensor" and repeated:
            pytest.skip("which of several values stays is left open")
        x[key] = 7.5 if value == "number" else v
        x.cos().sum().backward()
        found.append((x.detach(), w.grad, v.grad if value != "number" else w.grad))
    for ours, theirs in zip(*found, strict=True):
        if theirs is None:
            assert ours is None or not ours.numpy().any()
        else:
            np.testing.assert_allclose(ours.numpy(), theirs.numpy())
