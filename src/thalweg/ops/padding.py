"""Padding: more elements around a tensor: a constant, a reflection, the edge, the other side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..errors import ArgumentError, ShapeError
from ._coerce import as_tensor

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["pad"]

Widths = tuple[tuple[int, int], ...]  # (before, after) per dim; negative ones crop


def _padded(x: Any, widths: Widths, value: float) -> Any:
    kept = tuple(slice(max(0, -a), max(0, n + min(0, b))) for n, (a, b) in zip(x.shape, widths, strict=True))
    more = tuple((max(0, a), max(0, b)) for a, b in widths)
    return np.pad(x[kept], more, constant_values=x.dtype.type(value))


def _turned(widths: Widths) -> Widths:
    return tuple((-a, -b) for a, b in widths)


# The transpose of padding is cropping, which is padding with negative widths.
_constant: Primitive = Primitive(
    "constant_pad_nd",
    _padded,
    [lambda g, widths: _constant(g, _turned(widths), 0.0)],
    backward="ConstantPadNdBackward0",
)


def _widths(given: Sequence[int], ndim: int) -> Widths:
    if len(given) % 2:
        raise _BadPad(f"pad: an even number of widths is required, got {len(given)}.")
    if len(given) > 2 * ndim:
        raise _BadPad(f"pad: at most {2 * ndim} widths are possible for {ndim} dims, got {len(given)}.")
    pairs = [(int(given[k]), int(given[k + 1])) for k in range(0, len(given), 2)]
    return tuple([(0, 0)] * (ndim - len(pairs)) + pairs[::-1])


class _BadPad(ShapeError):
    """PyTorch raises RuntimeError here."""


def _source(n: int, before: int, after: int, mode: str) -> Any:
    """Return which element each padded place repeats."""
    if mode == "circular":  # around what is left after cropping
        first, left = max(-before, 0), n - max(-before, 0) - max(-after, 0)
        return first + np.arange(-max(before, 0), left + max(after, 0)) % max(left, 1)
    places = np.arange(-before, n + after)
    if mode == "replicate":
        return np.clip(places, 0, n - 1)
    period = max(2 * (n - 1), 1)
    places = np.abs(places) % period
    return np.where(places >= n, period - places, places)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The tensor with elements added (or, by negative widths, taken away) at the ends of its last dims.

    `pad` lists (before, after) for the last dim, then the one before it, and so on. `mode`: ``'constant'`` (`value`,
    default 0), ``'reflect'`` (without the edge), ``'replicate'`` (the edge) or ``'circular'``.

    >>> import thalweg as tw
    >>> tw.nn.functional.pad(tw.tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    """
    x: Any = as_tensor(input)
    widths = _widths(list(pad), x.ndim)
    if mode == "constant":
        for n, (a, b) in zip(x._data.shape, widths, strict=True):
            if n + a + b < 0 or n + min(a, 0) + min(b, 0) < 0:
                raise _BadPad(f"pad: widths {tuple(pad)} leave a negative size of shape {x._data.shape}.")
        return apply(_constant, (x,), (widths, 0.0 if value is None else value))
    if mode not in ("reflect", "replicate", "circular"):
        raise _NoMode(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}.")
    if value is not None and value != 0:
        raise ArgumentError(f"pad: value is for mode 'constant' only, got {value} with mode {mode!r}.")
    k = len(pad) // 2
    if not (1 <= k <= 3 and x.ndim in (k + 1, k + 2)):
        raise _NoMode(
            f"pad: mode {mode!r} pads the last {k} dims of a tensor of {k + 1} or {k + 2} dims (k = 1, 2, 3), got "
            f"shape {x._data.shape} and widths {tuple(pad)}."
        )
    if mode != "circular" and x._data.size == 0 and 0 in x._data.shape[x.ndim - k - 1 :]:
        raise _BadPad(f"pad: mode {mode!r} needs sizes > 0 in all dims but the batch, got shape {x._data.shape}.")
    if mode != "circular" and all(n + sum(w) < 1 for n, w in zip(x._data.shape[-k:], widths[-k:], strict=True)):
        raise _BadPad(f"pad: mode {mode!r} must leave an element, got shape {x._data.shape} and widths {tuple(pad)}.")
    for axis in range(x.ndim - k, x.ndim):
        x = _repeated(x, axis, *widths[axis], mode)
    return x  # type: ignore[no-any-return]


class _NoMode(ArgumentError, NotImplementedError):
    """PyTorch raises NotImplementedError here."""


def _repeated(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    n = x._data.shape[axis]
    most = n - 1 if mode == "reflect" else n if mode == "circular" else max(before, after)
    if max(before, after) > most or (n == 0 and before + after > 0) or n + before + after < 0:
        raise _BadPad(
            f"pad: mode {mode!r} needs widths of at most {most} for a size of {n}, got {before} and {after} in dim {axis}."
        )
    if before == 0 and after == 0:
        return x
    if mode == "circular" and n + min(before, 0) + min(after, 0) < 1:
        raise _BadPad(f"pad: mode 'circular' needs elements left after cropping, got {before} and {after} for {n}.")
    return x[(slice(None),) * axis + (_source(n, before, after, mode),)]
