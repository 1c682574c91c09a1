"""Choosing by bits gives what NumPy's where gives, to the sign of zero and the payload of NaN."""

import numpy as np
import pytest

from thalweg.ops._elementwise import choose

RNG = np.random.default_rng(0)
MASK = RNG.random((64, 64)) > 0.5


def _cases(kind):
    x, y = RNG.standard_normal((2, 64, 64)).astype(kind)
    if kind != "int64":
        x[0, 0], y[1], x[2] = np.nan, np.inf, -0.0
    scalar = np.asarray(3, kind)
    return [
        (x, y), (x, 0.0), (0.0, y), (x, 0), (x, 2.0), (1, y), (x.T, y), (x, y[0]), (x, y[:, :1]), (x[::-1], scalar),
        (x, -0.0), (-0.0, y), (np.inf, y), (0.0, 1.0), (np.stack([x, y]), y),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["float32", "float64", "int64"])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_choose_is_where(kind):
    for x, y in _cases(kind):
        found, expected = choose(MASK, x, y), np.where(MASK, x, y)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        if kind != "int64":
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
