"""gradcheck and gradgradcheck over the whole table of operations, out of place and in place, in every mode they have.

What they check is checked elsewhere by other means (tests/ops/test_properties.py); here the checkers themselves must
accept every operation: slow and fast, reverse and forward, batched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.ops.table import Sample, all_rows, floating, leaves, run
from thalweg.autograd import gradcheck, gradgradcheck

ROWS = [row for row in all_rows() if row.differentiable]
IDS = [row.name for row in ROWS]
pytestmark = pytest.mark.filterwarnings("ignore")


def _first(row: Any) -> Sample | None:
    """Return the first call with few differentiable numbers, or None."""
    for call in row.calls():
        size = sum(a.size for a in floating(call))
        if 0 < size <= 40:
            return call
    return None


def _function(row: Any, call: Sample) -> tuple[Any, tuple[Any, ...]]:
    inputs = tuple(tw.tensor(np.array(a), requires_grad=True) for a in floating(call))

    def function(*xs: Any) -> Any:
        outs = [o for o in run(row, call, values=list(xs))[1] if isinstance(o, tw.Tensor) and o.is_floating_point()]
        return tuple(o for o in outs if o.requires_grad) or tuple(outs)

    return function, inputs


def _scaled(function: Any) -> Any:
    """Return the function times 1.5, so that no gradient is the incoming one itself."""

    def scaled(*xs: Any) -> Any:
        outs = function(*xs)
        return tuple(o * 1.5 for o in outs) if isinstance(outs, tuple) else outs * 1.5

    return scaled


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_out_of_place(row):
    call = _first(row)
    if call is None:
        pytest.skip("its inputs are larger than a quick check takes")
    function, inputs = _function(row, call)
    assert gradcheck(_scaled(function), inputs, fast_mode=True, check_forward_ad=row.forward, rtol=1e-2, atol=1e-4)
    if sum(x.numel() for x in inputs) <= 8:
        assert gradcheck(_scaled(function), inputs, rtol=1e-2, atol=1e-4)
    if row.second:
        assert gradgradcheck(_scaled(function), inputs, fast_mode=True, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_out_of_place_slowly_and_batched(row):
    call = _first(row)
    if call is None:
        pytest.skip("its inputs are larger than a quick check takes")
    function, inputs = _function(row, call)
    assert gradcheck(_scaled(function), inputs, check_forward_ad=row.forward, rtol=1e-2, atol=1e-4)
    if row.inputs:
        assert gradcheck(_scaled(function), inputs, check_batched_grad=True, rtol=1e-2, atol=1e-4)
    if row.second:
        assert gradgradcheck(_scaled(function), inputs, check_fwd_over_rev=row.forward, rtol=1e-2, atol=1e-4)


IN_PLACE = [
    row
    for row in ROWS
    if "[" not in row.name and row.name != "bernoulli" and hasattr(tw.Tensor, row.name.rpartition(".")[2] + "_")
]


def _writing(row: Any, call: Sample) -> tuple[Any, tuple[Any, ...]]:
    write = getattr(tw.Tensor, row.name.rpartition(".")[2] + "_")
    inputs = tuple(tw.tensor(np.array(a), requires_grad=True) for a in floating(call))

    def function(*xs: Any) -> Any:
        given = iter(xs)
        changed = [next(given) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in call.args]
        return write(changed[0].clone(), *changed[1:], **call.kwargs)

    return function, inputs


@pytest.mark.parametrize("row", IN_PLACE, ids=[row.name for row in IN_PLACE])
def test_in_place(row):
    call = _first(row)
    arrays = [] if call is None else list(leaves(call.args))
    plain = all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays) and arrays
    if not plain or len(arrays) != len(floating(call)) or any(isinstance(a, (list, tuple)) for a in call.args[:1]):
        pytest.skip("its first call is no write into one tensor")
    function, inputs = _writing(row, call)
    try:
        function(*(x.detach() for x in inputs))
    except (TypeError, RuntimeError):
        pytest.skip("the form in place takes other arguments")
    for fast in (True, False):
        assert gradcheck(_scaled(function), inputs, fast_mode=fast, check_forward_ad=row.forward, rtol=1e-2, atol=1e-4)
    if row.second:
        assert gradgradcheck(_scaled(function), inputs, fast_mode=True, rtol=1e-2, atol=1e-4)


def test_a_wrong_rule_is_noticed():
    class Wrong(tw.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = tw.ones(2, dtype=tw.float64, requires_grad=True)
    for fast in (True, False):
        assert not gradcheck(Wrong.apply, (x,), fast_mode=fast, raise_exception=False)
