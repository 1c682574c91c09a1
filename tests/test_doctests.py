"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import thalweg

SKIP = {"thalweg.__main__"}
MODULES = sorted(m.name for m in pkgutil.walk_packages(thalweg.__path__, "thalweg.") if m.name not in SKIP)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    thalweg.manual_seed(0)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0
