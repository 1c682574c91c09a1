"""The training step that tests of the compiler share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thalweg import nn


def classifier_step(model: Any, optimizer: Any) -> Callable[[Any, Any], Any]:
    """Return one step of a classifier, which returns its loss."""

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step
