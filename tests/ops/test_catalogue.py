"""Every name of the catalogue exists, as a function, and as the method that PyTorch has of it."""

import pytest

import thalweg as tw
from tests.conformance.catalogue import CATALOGUE

NAMES = [(family, name) for family, names in CATALOGUE.items() for name in names]
NO_METHODS = {"create", "nn.functional"}
FUNCTIONS_ALONE = {
    "rsub", "broadcast_tensors", "cat", "stack", "hstack", "vstack", "dstack", "column_stack", "atleast_1d", "atleast_2d",
    "atleast_3d", "block_diag", "cartesian_prod", "combinations", "std_mean", "var_mean", "trapezoid",
    "cumulative_trapezoid", "searchsorted", "bucketize", "isin", "einsum", "tensordot", "cdist",
}  # fmt: skip


@pytest.mark.parametrize(("family", "name"), NAMES, ids=[f"{f}-{n}" for f, n in NAMES])
def test_exists(family, name):
    at = tw
    for part in name.split("."):
        at = getattr(at, part)
    assert callable(at) or isinstance(at, property)


@pytest.mark.parametrize(("family", "name"), NAMES, ids=[f"{f}-{n}" for f, n in NAMES])
def test_is_a_method(family, name):
    if family not in NO_METHODS and "." not in name and name not in FUNCTIONS_ALONE:
        assert callable(getattr(tw.Tensor, name))
