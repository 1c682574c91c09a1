"""Search spaces of settings: how a number in [0, 1] becomes a value worth trying.

A method declares in `space`, beside its rule, which of its settings are worth tuning and over which range. A tuner
maps the coordinates of quasi-random points through :meth:`Dimension.at`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError

__all__ = ["Choice", "Dimension", "Linear", "Log", "OneMinus", "OrZero", "Pair", "Space"]


class Dimension:
    """The range of one setting."""

    def at(self, u: float) -> Any:
        """Return the value at the coordinate `u` in [0, 1]."""
        raise NotImplementedError


Space = Mapping[str, Dimension]  # by setting, the most important first


@dataclass(frozen=True)
class Log(Dimension):
    """Uniform in the logarithm, from `low` to `high`.

    >>> Log(1e-4, 1e-2).at(0.5)
    0.001
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ArgumentError(f"Log: 0 < low < high is required, got {self.low:g} and {self.high:g}.")

    def at(self, u: float) -> float:
        """Return ``low · (high / low)ᵘ``, to six significant digits."""
        return float(f"{self.low * (self.high / self.low) ** u:.6g}")

    def widened(self, decades: float, *, below: bool = False, above: bool = False) -> Log:
        """Return the range longer by so many decades at the chosen ends."""
        factor = 10.0**decades
        return Log(self.low / factor if below else self.low, self.high * factor if above else self.high)


@dataclass(frozen=True)
class Linear(Dimension):
    """Uniform from `low` to `high`."""

    low: float
    high: float

    def at(self, u: float) -> float:
        """Return ``low + u (high - low)``, to six significant digits."""
        return float(f"{self.low + u * (self.high - self.low):.6g}")


@dataclass(frozen=True)
class OneMinus(Dimension):
    """One minus a number that is uniform in the logarithm: decay rates of averages near 1.

    >>> OneMinus(1e-3, 1e-1).at(0.5)
    0.99
    """

    low: float
    high: float

    def at(self, u: float) -> float:
        """Return ``1 - low · (high / low)ᵘ``."""
        return float(f"{1 - Log(self.low, self.high).at(u):.8g}")


@dataclass(frozen=True)
class OrZero(Dimension):
    """Exactly 0 for the first `share` of the coordinates, and another range for the rest.

    >>> momentum = OrZero(OneMinus(0.01, 0.5))
    >>> momentum.at(0.1), momentum.at(1.0)
    (0.0, 0.5)
    """

    rest: Dimension
    share: float = 0.2

    def at(self, u: float) -> Any:
        """Return 0 or a value of the rest."""
        return 0.0 if u < self.share else self.rest.at((u - self.share) / (1 - self.share))


@dataclass(frozen=True)
class Choice(Dimension):
    """One of several values, equally often."""

    options: tuple[Any, ...]

    def at(self, u: float) -> Any:
        """Return the option whose share of [0, 1] holds `u`."""
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]


@dataclass(frozen=True)
class Pair(Dimension):
    """A setting that is a tuple, of which one place is searched and the others stay: ``betas``.

    >>> Pair((0.9, 0.999), 0, OneMinus(0.01, 0.5)).at(1.0)
    (0.5, 0.999)
    """

    default: tuple[Any, ...]
    place: int
    rest: Dimension

    def at(self, u: float) -> Any:
        """Return the tuple with the searched place set."""
        return (*self.default[: self.place], self.rest.at(u), *self.default[self.place + 1 :])
