"""Convolution, pooling, padding and interpolation with random settings: PyTorch's values and gradients, or its errors."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import thalweg
from tests.conformance import geometry
from thalweg.errors import ThalwegError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance


def _outcome(library: Any, arrays: Any, f: Any) -> Any:
    given = [None if a is None else library.tensor(a, dtype=library.float64).requires_grad_(True) for a in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = f(library, *given)
        except Exception as error:  # noqa: BLE001 - both libraries' errors are compared
            return error
        several = out if isinstance(out, tuple) else (out,)
        try:
            found = [t.detach().numpy() for t in several]
            if several[0].requires_grad:
                several[0].backward(library.tensor(np.linspace(1, 2, found[0].size).reshape(found[0].shape)))
        except Exception as error:  # noqa: BLE001 - both libraries' errors are compared
            return ("backward", error)
    return found + [None if t is None or t.grad is None else t.grad.numpy() for t in given]


def _lenient(call: Any) -> bool:
    """Return whether PyTorch's behaviour is one that we do not follow, for a reason."""
    kind, k, shape = call[:3]
    if kind == "aavg":  # any number of dims, if all output sizes are 1; here the dims must fit
        return len(shape) not in (k + 1, k + 2)
    if kind == "convmod":  # a tuple of the wrong length is spread over the dims by padding modes
        return (
            any(isinstance(v, tuple) and len(v) != k for v in (*call[3], *call[4].values()))
            or call[4]["padding"] == "same"
        )
    return kind in ("unpool", "convT", "conv", "pad") and 0 in shape  # no rows and nothing in them


def _differences(seed: int, n: int) -> Iterator[str]:
    geometry.R.seed(seed)
    for _ in range(n):
        call, arrays, f = geometry.case()
        theirs, ours = _outcome(torch, arrays, f), _outcome(thalweg, arrays, f)
        raw = isinstance(ours, tuple) or (isinstance(ours, Exception) and not isinstance(ours, ThalwegError))
        if raw:
            yield f"{call}: a raw error {ours!r}"
        elif isinstance(theirs, (TypeError, IndexError, tuple)) or _lenient(call):
            continue
        elif isinstance(theirs, Exception):
            if not isinstance(ours, type(theirs)):
                yield f"{call}: PyTorch raises {theirs!r}, got {ours!r}"
        elif isinstance(ours, Exception):
            yield f"{call}: PyTorch gives a result, got {ours!r}"
        elif 0 in theirs[0].shape:  # PyTorch gives some of them a gradient that is not zero
            if theirs[0].shape != ours[0].shape:
                yield f"{call}: another shape"
        elif call[0] == "interp" and len(call[2]) == 3 and call[3] == "nearest":  # its gradient does not fit its result
            if not np.array_equal(theirs[0], ours[0]):
                yield f"{call}: other values"
        else:
            for a, b in zip(theirs, ours, strict=True):
                if (a is None) != (b is None):
                    yield f"{call}: a gradient on one side only"
                elif a is not None and not (a.shape == b.shape and np.allclose(a, b, 1e-9, 1e-11, equal_nan=True)):
                    yield f"{call}: other values"


@pytest.mark.parametrize("seed", range(4))
def test_geometry(seed: int) -> None:
    assert not list(_differences(seed, 300))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 105))
def test_geometry_at_length(seed: int) -> None:
    assert not list(_differences(seed, 2000))
