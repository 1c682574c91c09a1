"""The device: there is one."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError

__all__ = ["CPU", "checked", "device"]


class device:  # noqa: N801  (PyTorch's name)
    """Where a tensor lies: always ``cpu``; the class exists so that code written for PyTorch runs."""

    __slots__ = ("index",)

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = "cpu", type.index
        name, _, number = str(type).partition(":")
        if name != "cpu" or (number and not number.isdigit()):
            raise _NoSuchDevice(f"device: the only device is 'cpu', got {type!r}.")
        self.index = int(number) if number else index

    @property
    def type(self) -> str:
        """The kind of device."""
        return "cpu"

    def __repr__(self) -> str:
        return "device(type='cpu')" if self.index is None else f"device(type='cpu', index={self.index})"

    def __str__(self) -> str:
        return "cpu" if self.index is None else f"cpu:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and other.index == self.index

    def __hash__(self) -> int:
        return hash(("cpu", self.index))


class _NoSuchDevice(ArgumentError, RuntimeError):
    """PyTorch raises RuntimeError for devices that it does not know."""


CPU = device()


def checked(given: Any) -> device:
    """Return `given` (a device or its name) as a device, or raise."""
    return CPU if given is None else device(given)
