"""The device: there is one."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError

__all__ = ["CPU", "device"]


class device:  # noqa: N801  (PyTorch's name)
    """Where a tensor lies: always ``cpu``; the class exists so that code written for PyTorch runs."""

    __slots__ = ()

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if str(getattr(type, "type", type)).split(":")[0] != "cpu":
            raise ArgumentError(f"device: the only device is 'cpu', got {type!r}.")

    @property
    def type(self) -> str:
        """The kind of device."""
        return "cpu"

    @property
    def index(self) -> None:
        """The number of the device: None."""
        return None

    def __repr__(self) -> str:
        return "device(type='cpu')"

    def __str__(self) -> str:
        return "cpu"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")


CPU = device()
