"""Files of state: written and read by us and by PyTorch, with no code in them."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn

pytest.importorskip("safetensors")


def lenet(lib):
    return lib.nn.Sequential(
        lib.nn.Conv2d(1, 6, 5, padding=2), lib.nn.ReLU(), lib.nn.MaxPool2d(2),
        lib.nn.Conv2d(6, 16, 5), lib.nn.ReLU(), lib.nn.MaxPool2d(2),
        lib.nn.Flatten(), lib.nn.Linear(400, 120), lib.nn.ReLU(), lib.nn.Linear(120, 84), lib.nn.ReLU(),
        lib.nn.Linear(84, 10),
    )  # fmt: skip


def test_state_comes_back_from_a_file(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    path = tmp_path / "net.safetensors"
    nn.save(net.state_dict(), path, {"note": "a test"})
    state = nn.load(path)
    assert set(state) == set(net.state_dict())
    assert state["1.num_batches_tracked"].dtype is tw.int64
    assert state["0.weight"].dtype is tw.float64
    twin = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    twin.load_state_dict(state)
    x = tw.randn(4, 2, dtype=tw.float64)
    np.testing.assert_array_equal(net.eval()(x).detach().numpy(), twin.eval()(x).detach().numpy())


def test_views_are_stored_with_their_own_elements(tmp_path):
    x = tw.arange(6.0).reshape(2, 3)
    nn.save({"t": x.t(), "row": x[1]}, tmp_path / "x.safetensors")
    state = nn.load(tmp_path / "x.safetensors")
    assert state["t"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert state["row"].tolist() == [3, 4, 5]


def test_what_is_no_state_or_no_file_is_refused(tmp_path):
    with pytest.raises(TypeError):
        nn.save([tw.ones(1)], tmp_path / "a")
    with pytest.raises(TypeError, match="'n'"):
        nn.save({"n": 3}, tmp_path / "a")
    (tmp_path / "b").write_bytes(b"not a file of tensors")
    with pytest.raises(ValueError, match="no readable safetensors"):
        nn.load(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "c")


def _images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 10, 64)
    images = rng.standard_normal((64, 1, 28, 28)).astype(np.float32)
    images[np.arange(64), 0, classes * 2] += 2  # something to learn
    return images, classes


def _trained(lib, steps: int = 10):
    lib.manual_seed(0)
    images, classes = _images()
    net = lenet(lib)
    x, y = lib.tensor(images), lib.tensor(classes)
    for _ in range(steps):
        net.zero_grad()
        loss = lib.nn.CrossEntropyLoss()(net(x), y)
        loss.backward()
        with lib.no_grad():
            for p in net.parameters():
                p -= 0.05 * p.grad
    return net


@pytest.mark.conformance
def test_a_lenet_trained_in_pytorch_predicts_the_same_here(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    theirs = _trained(torch)
    save_file(theirs.state_dict(), tmp_path / "lenet.safetensors")
    ours = lenet(tw)
    ours.load_state_dict(nn.load(tmp_path / "lenet.safetensors"))
    images, _ = _images()
    a, b = ours(tw.tensor(images)).detach().numpy(), theirs(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(a.argmax(1), b.argmax(1))


@pytest.mark.conformance
def test_a_lenet_trained_here_predicts_the_same_in_pytorch(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    ours = _trained(tw)
    nn.save(ours.state_dict(), tmp_path / "lenet.safetensors")
    theirs = lenet(torch)
    theirs.load_state_dict(load_file(tmp_path / "lenet.safetensors"))
    images, _ = _images()
    a, b = ours(tw.tensor(images)).detach().numpy(), theirs(torch.tensor(images)).detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(a.argmax(1), b.argmax(1))
