"""Checkpoints: a tree of tensors and plain values goes to a file and comes back."""

import io
from collections import OrderedDict

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import ArgumentError, DataError

pytest.importorskip("safetensors")


def there_and_back(value, path=None):
    place = io.BytesIO() if path is None else path
    tw.save(value, place)
    if path is None:
        place.seek(0)
    return tw.load(place)


@pytest.mark.parametrize(
    "value",
    [
        3,
        None,
        [],
        {},
        {"a": 1, "b": [1.5, "x", (None, True)], 3: float("inf")},
        [[], {}, ()],
        OrderedDict(b=1, a=2),
        np.float64(0.5),
        np.int64(7),
    ],
)
def test_plain_values_come_back(value):
    found = there_and_back(value)
    assert found == value
    assert isinstance(found, type(value)) or isinstance(value, np.generic)


@pytest.mark.parametrize("dtype", [tw.float32, tw.float64, tw.int32, tw.int64, tw.uint8, tw.bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_come_back_with_type_and_shape(dtype, shape, tmp_path):
    x = tw.ones(shape, dtype=dtype)
    found = there_and_back({"x": x, "t": x.T if x.ndim == 2 else x}, tmp_path / "x.pt")
    for name in ("x", "t"):
        assert found[name].dtype is dtype
    assert tw.equal(found["x"], x)


def test_names_that_meet_are_kept_apart():
    found = there_and_back({"a.b": tw.ones(1), "a": {"b": tw.zeros(1)}})
    assert found["a.b"].item() == 1
    assert found["a"]["b"].item() == 0


def training(seed):
    tw.manual_seed(seed)
    net = tw.nn.Sequential(tw.nn.Linear(3, 4), tw.nn.BatchNorm1d(4), tw.nn.ReLU(), tw.nn.Linear(4, 1))
    optimizer = tw.optim.Adam(net.parameters(), lr=0.01)
    return net, optimizer, tw.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)


def run(net, optimizer, schedule, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (net(tw.randn(8, 3)) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
    return loss.item()


def test_a_training_goes_on_from_a_checkpoint(tmp_path):
    parts = training(1)
    run(*parts, 3)
    names = ("model", "optimizer", "schedule")
    state = {name: part.state_dict() for name, part in zip(names, parts, strict=True)}
    tw.save({**state, "epoch": 3, "rng": tw.get_rng_state()}, tmp_path / "checkpoint.pt")
    ahead = run(*parts, 4)
    others = training(2)
    found = tw.load(tmp_path / "checkpoint.pt", map_location="cpu", weights_only=True)
    for name, part in zip(names, others, strict=True):
        part.load_state_dict(found[name])
    tw.set_rng_state(found["rng"])
    assert found["epoch"] == 3
    assert run(*others, 4) == ahead


def test_what_cannot_be_stored_is_named_and_nothing_is_written(tmp_path):
    path = tmp_path / "x.pt"
    with pytest.raises(DataError, match=r"save: model is of type Linear, which cannot be stored; store its state_dict"):
        tw.save({"model": tw.nn.Linear(1, 1)}, path)
    with pytest.raises(DataError, match="keys must be text or numbers"):
        tw.save({(1, 2): 3}, path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        tw.load(tmp_path / "nothing.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match="no readable safetensors file"):
        tw.load(tmp_path / "text.pt")
    with pytest.raises(ArgumentError, match="map_location"):
        tw.load(tmp_path / "text.pt", map_location="cuda:0")
    with pytest.raises(OSError):
        tw.save(1, tmp_path / "no" / "folder.pt")


def test_any_safetensors_file_is_read(tmp_path):
    tw.nn.save({"w": tw.ones(2)}, tmp_path / "w.safetensors")
    assert tw.load(tmp_path / "w.safetensors")["w"].tolist() == [1.0, 1.0]
    tw.optim.save_state({"lr": 0.1}, tmp_path / "o.safetensors")
    assert tw.load(tmp_path / "o.safetensors") == {"lr": 0.1}


@pytest.mark.conformance
def test_a_checkpoint_of_pytorch_is_named(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"torch\.save"):
        tw.load(tmp_path / "w.pt")
