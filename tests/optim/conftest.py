"""Fixtures of the optimizer tests."""

import pytest

import thalweg as tw
from thalweg.core import dtype as _dtype


@pytest.fixture
def float64_default():
    """Let Python floats, and the scalars that optimizers keep, be float64."""
    before = _dtype.default_float()
    _dtype.set_default_float(tw.float64)
    yield
    _dtype.set_default_float(before)
