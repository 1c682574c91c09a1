"""Dropout: elements, or whole channels, set to zero at random while training."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..core.inplace import check_write, write
from ..core.tensor import TensorBase
from ..errors import ArgumentError, ShapeError
from ._coerce import as_tensor
from .arithmetic import ge
from .create import zeros_like
from .random import rand
from .reduce import converted

if TYPE_CHECKING:
    from .random import Generator
    from .tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]


def _kept(x: TensorBase, shape: tuple[int, ...], p: float, generator: Generator | None) -> Any:
    """Return 1 where an element stays (with probability 1 - p), else 0, in the type of x."""
    return converted(ge(rand(shape, dtype=x.dtype, generator=generator), p), x.dtype)


def _check(p: float, who: str) -> None:
    if not 0 <= p <= 1:
        raise ArgumentError(f"{who}: p must lie in [0, 1], got {p}.")


def _finish(x: TensorBase, out: Any, inplace: bool, who: str) -> Tensor:
    if not inplace:
        return out  # type: ignore[no-any-return]
    check_write(x)
    return write(x, out, who)


def _dropped(
    x: Any, shape: tuple[int, ...], p: float, training: bool, inplace: bool, generator: Generator | None, who: str
) -> Tensor:
    _check(p, who)
    if not training or p == 0 or x._data.size == 0:
        return x  # type: ignore[no-any-return]
    if p == 1:
        return _finish(x, x * zeros_like(x), inplace, who)
    return _finish(x, x * (_kept(x, shape, p, generator) * (1 / (1 - p))), inplace, who)


def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Each element set to 0 with probability `p`, else divided by 1 - p, while `training` (Srivastava et al. 2014).

    >>> import thalweg as tw
    >>> tw.nn.functional.dropout(tw.ones(3), 0.5, training=False)
    tensor([1., 1., 1.])
    """
    x = as_tensor(input)
    return _dropped(x, x._data.shape, p, training, inplace, generator, "dropout")


def _channels(input: Any, p: float, training: bool, inplace: bool, generator: Generator | None, k: int) -> Tensor:
    """Drop whole channels of [N, C, *] or [C, *]."""
    who = f"dropout{k}d"
    x = as_tensor(input)
    if k == 2 and x.ndim == 2:
        warnings.warn(f"{who}: an input of 2 dims has no channels; use dropout for it.", stacklevel=3)
        return _dropped(x, x._data.shape, p, training, inplace, generator, who)
    if x.ndim not in (k + 1, k + 2):
        raise ShapeError(f"{who}: an input of {k + 1} or {k + 2} dims is required, got shape {x._data.shape}.")
    lead = x.ndim - k
    return _dropped(x, x._data.shape[:lead] + (1,) * k, p, training, inplace, generator, who)


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Whole channels of [N, C, L] or [C, L] dropped."""
    return _channels(input, p, training, inplace, generator, 1)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Whole channels of [N, C, H, W] or [C, H, W] dropped."""
    return _channels(input, p, training, inplace, generator, 2)


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Whole channels of [N, C, D, H, W] or [C, D, H, W] dropped."""
    return _channels(input, p, training, inplace, generator, 3)


LOWEST = -1.7580993408473766  # what selu gives at -inf


def _alpha_dropped(
    x: Any, shape: tuple[int, ...], p: float, training: bool, inplace: bool, generator: Generator | None, who: str
) -> Tensor:
    _check(p, who)
    if not training or p == 0 or x._data.size == 0:
        return x  # type: ignore[no-any-return]
    if p == 1:
        return _finish(x, x * zeros_like(x), inplace, who)
    kept = _kept(x, shape, p, generator)
    a = ((1 - p) * (1 + p * LOWEST**2)) ** -0.5
    out = x * (kept * a) + ((1 - kept) * (a * LOWEST) - a * p * LOWEST)
    return _finish(x, out, inplace, who)


def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Each element replaced by selu's lowest value with probability `p`, then mean 0 and variance 1 restored."""
    x = as_tensor(input)
    return _alpha_dropped(x, x._data.shape, p, training, inplace, generator, "alpha_dropout")


def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, generator: Generator | None = None
) -> Tensor:
    """Whole channels of [N, C, *] treated as :func:`alpha_dropout` treats elements."""
    x = as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(f"feature_alpha_dropout: at least 2 dims are required, got shape {x._data.shape}.")
    shape = x._data.shape[:2] + (1,) * (x.ndim - 2)
    return _alpha_dropped(x, shape, p, training, inplace, generator, "feature_alpha_dropout")
