"""The sizes of tiles, for the code that computes them and for what prepares its tables, which does not need the compiler."""

from __future__ import annotations

__all__ = ["BITS", "BYTES", "TALL", "TAPS"]

BITS = 256  # of one vector; where the machine's are shorter LLVM takes several
BYTES = 64  # of the neighbouring samples, or elements of a row, in one tile: sixteen or eight
TALL = 6  # output channels in one tile of a convolution: with two vectors each, twelve totals of sixteen registers
TAPS = 3  # taps in one tile of a weight gradient, times up to four output channels
