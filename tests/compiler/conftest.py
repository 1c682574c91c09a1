"""The buffers of planned programs have fences in a part of the tests: what writes beside its own is named."""

from __future__ import annotations

import pytest

FENCED = {"test_memory", "test_pooling", "test_training", "test_wrappers"}


@pytest.fixture(autouse=True)
def fences(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the debug mode of memory on in some files of tests."""
    if request.module.__name__.rpartition(".")[2] in FENCED:
        monkeypatch.setenv("THALWEG_DEBUG_MEMORY", "1")
