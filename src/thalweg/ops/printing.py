"""The printed form of a tensor: PyTorch's, to the character."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..errors import ArgumentError

__all__ = ["set_printoptions", "tensor_text"]


class _Options:
    """How tensors are printed."""

    __slots__ = ("edgeitems", "linewidth", "precision", "sci_mode", "threshold")

    def __init__(self) -> None:
        self.precision = 4  # digits after the point
        self.threshold: float = 1000  # more elements than this are summarized
        self.edgeitems = 3  # elements shown at either end of a summarized dim
        self.linewidth = 80
        self.sci_mode: bool | None = None  # None: chosen from the values


_options = _Options()
_PROFILES: dict[str, tuple[int, float, int, int]] = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, math.inf, 3, 80),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; `profile` is ``"default"``, ``"short"`` or ``"full"``, changed by the others.

    `sci_mode` forces the scientific form (True) or forbids it (False); every call without it goes back to
    choosing by the values.

    >>> import thalweg as tw
    >>> tw.set_printoptions(precision=2)
    >>> tw.tensor([1.2345, 2.0])
    tensor([1.23, 2.00])
    >>> tw.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ArgumentError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}.")
        _options.precision, _options.threshold, _options.edgeitems, _options.linewidth = _PROFILES[profile]
    if precision is not None:
        _options.precision = precision
    if threshold is not None:
        _options.threshold = threshold
    if edgeitems is not None:
        _options.edgeitems = edgeitems
    if linewidth is not None:
        _options.linewidth = linewidth
    _options.sci_mode = sci_mode


def tensor_text(t: Any) -> str:
    """Return the printed form: the elements, then what cannot be seen from them."""
    name = type(t).__name__
    prefix = ("tensor" if name in ("Tensor", "TensorBase", "Parameter") else name) + "("
    data = t._data
    tails = []
    default = t.dtype is _dtype.default_float()
    if data.size == 0:
        body = "[]"
        if data.ndim != 1:
            tails.append(f"size={tuple(data.shape)}")
    else:
        body = _body(data, len(prefix))
        default = default or data.dtype.kind == "b" or t.dtype is _dtype.int64
    if not default:
        tails.append(f"dtype={t.dtype!r}")
    if t.grad_fn is not None:
        tails.append(f"grad_fn={t.grad_fn!r}")
    elif t.requires_grad:
        tails.append("requires_grad=True")
    tangent = _live_tangent(t)
    if tangent is not None:
        tails.append(f"tangent={tensor_text(tangent)}")
    return _with_tails(prefix + body, tails, len(prefix)) + ")"


def _live_tangent(t: Any) -> Any:
    if t._tangents is None:
        return None
    from ..core.modes import current

    live = [number for number in current().levels if number in t._tangents]
    return t._tangents[live[-1]] if live else None


def _with_tails(text: str, tails: list[str], indent: int) -> str:
    """Append each tail to the last line, or to a new one where it would pass the line width."""
    used = len(text) - text.rfind("\n") + 1
    for tail in tails:
        if used + len(tail) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + tail
            used = indent + len(tail)
        else:
            text += ", " + tail
            used += len(tail) + 2
    return text


def _body(data: np.ndarray[Any, Any], indent: int) -> str:
    summarize = data.size > _options.threshold
    shown = _edges(data) if summarize else data
    show, width = _element_form(shown)
    if data.ndim == 0:
        return show(data.item())
    return _nested(data, indent, summarize, show, width)


def _edges(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the elements that a summary shows."""
    n = _options.edgeitems
    for axis, size in enumerate(data.shape):
        if size > 2 * n:
            data = np.take(data, [*range(n), *range(size - n, size)], axis=axis)
    return data


def _nested(data: np.ndarray[Any, Any], indent: int, summarize: bool, show: Callable[[Any], str], width: int) -> str:
    n = _options.edgeitems
    cut = summarize and data.shape[0] > 2 * n
    rows = [*range(n), *range(data.shape[0] - n, data.shape[0])] if cut else range(data.shape[0])
    if data.ndim == 1:
        items = [show(data[k].item()) for k in rows]
        if cut:
            items.insert(n, " ...")
        per_line = max(1, (_options.linewidth - indent) // (width + 2))
        lines = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = [_nested(data[k], indent + 1, summarize, show, width) for k in rows]
    if cut:
        parts.insert(n, "...")
    return "[" + ("," + "\n" * (data.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _element_form(data: np.ndarray[Any, Any]) -> tuple[Callable[[Any], str], int]:
    """Return how to print one element, and the width that all of them share."""
    if data.dtype.kind != "f":
        width = max((len(str(v)) for v in data.ravel().tolist()), default=0)
        return lambda v: str(v).rjust(width), width
    digits = _options.precision
    values = data[np.isfinite(data) & (data != 0)].astype(np.float64)
    whole = bool(np.all(values == np.ceil(values)))
    scientific = False
    width = 1
    if values.size:
        magnitudes = np.abs(values)
        largest, smallest = float(magnitudes.max()), float(magnitudes.min())
        scientific = largest / smallest > 1000 or largest > 1e8 or (not whole and smallest < 1e-4)
        if _options.sci_mode is not None:
            scientific = _options.sci_mode
        form = f".{digits}e" if scientific else ".0f" if whole else f".{digits}f"
        width = max(len(format(v, form)) for v in values.tolist()) + (1 if whole and not scientific else 0)

    def show(v: float) -> str:
        if scientific:
            text = format(v, f".{digits}e")
        elif whole:
            text = format(v, ".0f") + ("." if math.isfinite(v) else "")
        else:
            text = format(v, f".{digits}f")
        return text.rjust(width)

    return show, width
