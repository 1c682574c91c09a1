"""The printed form of tensors is PyTorch's, to the character, but for the library's name."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import thalweg

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

PROFILES = [
    {"profile": "default"},
    {"profile": "short"},
    {"profile": "full", "linewidth": 120},
    {"precision": 2, "threshold": 20, "edgeitems": 2},
    {"precision": 8, "linewidth": 40, "threshold": 5, "edgeitems": 1},
    {"profile": "default", "sci_mode": True},
    {"profile": "default", "sci_mode": False, "threshold": 100, "edgeitems": 4},
]


@pytest.fixture(params=PROFILES, ids=str)
def options(request: pytest.FixtureRequest) -> Iterator[None]:
    for library in (thalweg, torch):
        library.set_printoptions(profile="default")
        library.set_printoptions(**request.param)
    yield
    for library in (thalweg, torch):
        library.set_printoptions(profile="default")


def _arrays(rng: Any, n: int) -> Iterator[Any]:
    for _ in range(n):
        ndim = rng.integers(0, 5)
        sizes = [0, 1, 2, 3, 5, 9, 30] if ndim < 4 else [1, 2, 4, 7]
        shape = tuple(int(rng.choice(sizes)) for _ in range(ndim))
        kind = rng.choice(["f4", "f4", "f8", "i8", "i4", "u1", "?"])
        if kind == "?":
            yield rng.random(shape) < 0.5
        elif kind[0] != "f":
            low = 0 if kind == "u1" else -(10 ** int(rng.integers(1, 7)))
            yield rng.integers(low, int(rng.choice([10, 200])), shape).astype(kind)
        else:
            yield _floats(rng, shape).astype(kind)


def _floats(rng: Any, shape: tuple[int, ...]) -> Any:
    a = np.asarray(rng.normal(size=shape) * 10.0 ** rng.choice([-6, -4, -3, 0, 0, 2, 4, 9]))
    if rng.random() < 0.2:
        a = np.round(a)
    elif rng.random() < 0.3:
        a = a * 10.0 ** rng.integers(-3, 3, shape)
    flat = np.asarray(a).reshape(-1)
    for special in (0.0, -0.0, np.nan, np.inf, -np.inf):
        if flat.size and rng.random() < 0.1:
            flat[rng.integers(0, flat.size)] = special
    return flat.reshape(shape)


def _told(text: str) -> str:
    """The text with PyTorch's name replaced; a longer name may move what follows to the next line."""
    return re.sub(r",\s+(dtype|grad_fn|requires_grad|size)", r", \1", text.replace("torch.", "thalweg."))


@pytest.mark.usefixtures("options")
def test_random_tensors() -> None:
    rng = np.random.default_rng(0)
    for array in _arrays(rng, 400):
        ours, theirs = thalweg.tensor(array), torch.tensor(array)
        if array.dtype.kind == "f" and rng.random() < 0.4:
            ours.requires_grad_()
            theirs.requires_grad_()
            if rng.random() < 0.5:
                ours, theirs = ours * 1, theirs * 1
        a, b = repr(ours), repr(theirs)
        if "dtype" in b:
            a, b = _told(a), _told(b)
        assert a == b
