"""Numbers that an integer type cannot hold are refused, not wrapped; truth values are no numbers."""

import math

import pytest

import thalweg as tw

MASK = tw.tensor([True, False])
WRITES = {
    "fill_": lambda x, v: x.fill_(v),
    "masked_fill_": lambda x, v: x.masked_fill_(MASK, v),
    "masked_fill": lambda x, v: x.masked_fill(MASK, v),
    "index_fill_": lambda x, v: x.index_fill_(0, tw.tensor([0]), v),
    "index_fill": lambda x, v: x.index_fill(0, tw.tensor([0]), v),
    "setitem": lambda x, v: x.__setitem__(0, v) or x,
    "full": lambda x, v: tw.full((2,), v, dtype=x.dtype),
    "full_like": lambda x, v: tw.full_like(x, v),
}


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    ("dtype", "value"),
    [(tw.uint8, 300), (tw.uint8, -256), (tw.int32, 2**31), (tw.int64, math.nan), (tw.int64, math.inf)],
)
def test_refused(name, dtype, value):
    with pytest.raises(RuntimeError, match="is required for"):
        WRITES[name](tw.zeros(2, dtype=dtype), value)


@pytest.mark.parametrize("name", WRITES)
def test_what_fits_is_written(name):
    assert WRITES[name](tw.zeros(2, dtype=tw.uint8), 255)[0].item() == 255
    assert WRITES[name](tw.zeros(2, dtype=tw.int64), 1.5)[0].item() == 1
    assert math.isnan(WRITES[name](tw.zeros(2), math.nan)[0].item())


@pytest.mark.parametrize("made", [tw.linspace, tw.logspace])
def test_no_spaces_of_truth_values(made):
    with pytest.raises(NotImplementedError, match="a type of numbers is required"):
        made(0, 1, 3, dtype=tw.bool)


def test_a_list_with_a_slice_is_an_index_of_several_parts():
    x = tw.zeros(3, 3)
    x[[slice(None), 1]] = 2
    assert x.tolist() == [[0.0, 2.0, 0.0]] * 3
    assert x[[slice(None), 1]].tolist() == [2.0] * 3
    assert x[[None, 1]].shape == (1, 3)


def test_the_median_of_nothing():
    assert math.isnan(tw.tensor([]).median().item())
    assert tw.tensor([], dtype=tw.int64).median().item() == -(2**63)
