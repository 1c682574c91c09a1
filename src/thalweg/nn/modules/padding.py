"""Padding as modules."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _PadNd(Module):
    """How far to pad: one width for all sides, or (before, after) from the last dim on."""

    _k: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self._k) if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    """Padding with one value."""

    _mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """The last dim padded with one value."""

    _k = 1


class ConstantPad2d(_ConstantPadNd):
    """The last two dims padded with one value."""

    _k = 2


class ConstantPad3d(_ConstantPadNd):
    """The last three dims padded with one value."""

    _k = 3


class _ZeroPadNd(_ConstantPadNd):
    """Padding with 0."""

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd):
    """The last dim padded with 0."""

    _k = 1


class ZeroPad2d(_ZeroPadNd):
    """The last two dims padded with 0."""

    _k = 2


class ZeroPad3d(_ZeroPadNd):
    """The last three dims padded with 0."""

    _k = 3


class ReflectionPad1d(_PadNd):
    """The last dim padded by its reflection, without the edge."""

    _k, _mode = 1, "reflect"


class ReflectionPad2d(_PadNd):
    """The last two dims padded by their reflection, without the edge."""

    _k, _mode = 2, "reflect"


class ReflectionPad3d(_PadNd):
    """The last three dims padded by their reflection, without the edge."""

    _k, _mode = 3, "reflect"


class ReplicationPad1d(_PadNd):
    """The last dim padded by its edge."""

    _k, _mode = 1, "replicate"


class ReplicationPad2d(_PadNd):
    """The last two dims padded by their edge."""

    _k, _mode = 2, "replicate"


class ReplicationPad3d(_PadNd):
    """The last three dims padded by their edge."""

    _k, _mode = 3, "replicate"


class CircularPad1d(_PadNd):
    """The last dim padded by its other side."""

    _k, _mode = 1, "circular"


class CircularPad2d(_PadNd):
    """The last two dims padded by their other side."""

    _k, _mode = 2, "circular"


class CircularPad3d(_PadNd):
    """The last three dims padded by their other side."""

    _k, _mode = 3, "circular"
