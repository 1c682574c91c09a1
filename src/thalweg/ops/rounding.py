"""Rounding, fractions, and the replacement of what is not a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ._coerce import as_tensor
from ._elementwise import Elementwise, NotDefined, apply, binary, elementwise, unary, zeros
from .arithmetic import _where
from .logic import _isfinite

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["ceil", "fix", "floor", "frac", "nan_to_num", "round", "trunc"]


def _step(name: str, ufunc: Any, kernel: str) -> Elementwise:
    return elementwise(
        name,
        lambda x: ufunc(x) if x.dtype.kind == "f" else x.copy(),
        [zeros],
        kernel=f"{kernel}({{0}})",
        kind="keep",
        least=1,
    )


_floor, _ceil = _step("floor", np.floor, "np.floor"), _step("ceil", np.ceil, "np.ceil")
_trunc, _round = _step("trunc", np.trunc, "np.trunc"), _step("round", np.rint, "round")
_frac: Elementwise = elementwise(
    "frac", lambda x: x - np.trunc(x), [lambda g: g], kernel="({0} - np.trunc({0}))", kind="keep", least=2
)


def _round_to(x: Any, decimals: int) -> Any:
    factor = x.dtype.type(10.0 ** math.fabs(decimals))
    return np.rint(x * factor) / factor if decimals > 0 else np.rint(x / factor) * factor


_round_decimals: Elementwise = elementwise(
    "round",
    _round_to,
    [zeros, None],
    kernel="(round({0} * 10.0 ** {1}) / 10.0 ** {1} if {1} > 0 else round({0} / 10.0 ** -{1}) * 10.0 ** -{1})",
    kind="keep",
    least=2,
    backward="RoundBackward1",
)


def floor(input: Any) -> Tensor:
    """Largest integer not above each element."""
    return unary(_floor, as_tensor(input))


def ceil(input: Any) -> Tensor:
    """Smallest integer not below each element."""
    return unary(_ceil, as_tensor(input))


def trunc(input: Any) -> Tensor:
    """Each element rounded towards 0."""
    return unary(_trunc, as_tensor(input))


def round(input: Any, *, decimals: int = 0) -> Tensor:
    """Each element rounded to `decimals` places, halves to the even neighbour.

    >>> import thalweg as tw
    >>> tw.round(tw.tensor([0.5, 1.5, 2.4]))
    tensor([0., 2., 2.])
    """
    x = as_tensor(input)
    if decimals == 0:
        return unary(_round, x)
    if x._data.dtype.kind != "f":
        raise NotDefined(f"round: floating-point numbers are required with decimals={decimals}, got {x.dtype}.")
    return binary(_round_decimals, x, int(decimals))


def frac(input: Any) -> Tensor:
    """What each element has behind the point, with its sign."""
    return apply(_frac, (as_tensor(input),))


def _filled(x: Any, nan: float, posinf: float, neginf: float) -> Any:
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


_nan_to_num: Elementwise = elementwise(
    "nan_to_num",
    _filled,
    [lambda g, x: _where(_isfinite(x), g, 0.0), None, None, None],
    kernel="({1} if {0} != {0} else {2} if {0} == math.inf else {3} if {0} == -math.inf else {0})",
    kind="keep",
)


def nan_to_num(input: Any, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN, +infinity and -infinity replaced, by default by 0 and by the largest and smallest finite numbers.

    No gradient goes to what was replaced.
    """
    x = as_tensor(input)
    if x._data.dtype.kind != "f":
        from .create import clone

        return clone(x)
    ends = np.finfo(x._data.dtype)
    return apply(
        _nan_to_num,
        (
            x,
            0.0 if nan is None else float(nan),
            float(ends.max) if posinf is None else float(posinf),
            float(ends.min) if neginf is None else float(neginf),
        ),
    )


fix = trunc
