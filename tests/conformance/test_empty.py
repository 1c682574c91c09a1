"""A size of 0 in any dim of any operation of networks: PyTorch's result, or its error."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.nn.empties import emptied
from thalweg.errors import ThalwegError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

CASES = emptied()
UNSET = ("mmmean-0", "mmsum-0", "mlmmean-0", "mlmsum-0")  # PyTorch returns memory that it never wrote
OTHER_TYPE = ("ce3mean-1", "ce3sum-1", "ce3none-1")  # an IndexError of classes here, a RuntimeError of sizes there


def _outcome(library: Any, f: Any, shape: tuple[int, ...]) -> Any:
    x = library.tensor(np.zeros(shape)).requires_grad_(True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = f(library, x)
        except Exception as error:  # noqa: BLE001 - both libraries' errors are compared
            return error
        several = out if isinstance(out, tuple) else (out,)
        seen = [(tuple(t.shape), str(t.dtype).split(".")[-1], t.detach().numpy().tolist()) for t in several]
        try:
            if several[0].requires_grad:
                several[0].sum().backward()
        except Exception as error:  # noqa: BLE001 - both libraries' errors are compared
            return ("backward", error, seen)
    return seen, None if x.grad is None else tuple(x.grad.shape)


@pytest.mark.parametrize(("name", "full", "shape", "f"), CASES, ids=[c[0] for c in CASES])
def test_a_size_of_zero(name: str, full: Any, shape: tuple[int, ...], f: Any) -> None:
    theirs, ours = _outcome(torch, f, shape), _outcome(thalweg, f, shape)
    if isinstance(theirs, Exception):
        assert isinstance(ours, ThalwegError), f"PyTorch raises {theirs!r}, got {ours!r}"
        assert isinstance(ours, type(theirs)) or name in OTHER_TYPE
    elif theirs[0] == "backward":  # PyTorch refuses the gradient of some empty results; here it has the input's shape
        assert isinstance(ours, ThalwegError) or name.startswith("pixunshuf") or ours[0] == theirs[2]
    elif name in UNSET:
        assert ours[1] == theirs[1]
    else:
        assert str(ours).replace("-0.0", "0.0") == str(theirs).replace("-0.0", "0.0")
