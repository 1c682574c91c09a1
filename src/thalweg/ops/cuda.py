"""What programs written for PyTorch ask about graphics processors (`thalweg.cuda`): there are none."""

from __future__ import annotations

__all__ = ["device_count", "is_available", "manual_seed", "manual_seed_all"]


def is_available() -> bool:
    """Whether a graphics processor can be used: never."""
    return False


def device_count() -> int:
    """How many graphics processors can be used: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed no generator, as PyTorch does without a graphics processor."""


def manual_seed_all(seed: int) -> None:
    """Seed no generator, as PyTorch does without a graphics processor."""
