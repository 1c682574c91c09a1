"""Softmax and its logarithm: primitives, since the largest element is subtracted before anything is exponentiated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..errors import DTypeError
from ._blocks import each_block
from ._coerce import as_tensor, one_dim
from ._kernels import rows
from .pointwise import exp
from .reduce import converted

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["log_softmax", "softmax", "softmin"]


def _shifted(x: Any, axis: int, out: Any) -> Any:
    """Write `x` minus its largest element into `out`; a row of -inf gives NaN, as in PyTorch."""
    return np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True), out=out)


def _softmax_forward(x: Any, axis: int) -> Any:
    if x.ndim == 0:
        return np.ones_like(x)
    kernels = rows(x)
    if kernels is not None:
        return kernels.softmax(x, axis)
    out = np.empty(x.shape, x.dtype)

    def work(block: slice) -> None:
        z = _shifted(x[block], axis, out[block])
        np.exp(z, out=z)
        z /= np.add.reduce(z, axis=axis, keepdims=True)

    if x.size:
        each_block(x, (axis,), work)
    return out


def _log_softmax_forward(x: Any, axis: int) -> Any:
    if x.ndim == 0:
        return np.zeros_like(x)
    kernels = rows(x)
    if kernels is not None:
        return kernels.log_softmax(x, axis)
    out = np.empty(x.shape, x.dtype)

    def work(block: slice) -> None:
        z = _shifted(x[block], axis, out[block])
        z -= np.log(np.add.reduce(np.exp(z), axis=axis, keepdims=True))

    if x.size:
        each_block(x, (axis,), work)
    return out


def _over(g: Any, axis: int) -> Any:
    return g.sum(axis=axis, keepdims=True) if g.ndim else g


def _softmax_rule(g: Any, out: Any, axis: int) -> Any:
    if not (isinstance(g, np.ndarray) and isinstance(out, np.ndarray) and out.ndim):
        return (g - _over(g * out, axis)) * out
    kernels = rows(out)
    if kernels is not None:
        return kernels.softmax_back(g, out, axis)
    found = np.empty(out.shape, out.dtype)

    def work(block: slice) -> None:
        y, z = out[block], found[block]
        np.multiply(g[block], y, out=z)
        total = np.add.reduce(z, axis=axis, keepdims=True)
        np.multiply(np.subtract(g[block], total, out=z), y, out=z)

    each_block(out, (axis,), work)
    return found


def _log_softmax_rule(g: Any, out: Any, axis: int) -> Any:
    if not (isinstance(g, np.ndarray) and isinstance(out, np.ndarray) and out.ndim):
        return g - (np.exp(out) if isinstance(out, np.ndarray) else exp(out)) * _over(g, axis)
    kernels = rows(out)
    if kernels is not None:
        return kernels.log_softmax_back(g, out, axis)
    found = np.empty(out.shape, out.dtype)

    def work(block: slice) -> None:
        z = np.exp(out[block], out=found[block])
        z *= np.add.reduce(g[block], axis=axis, keepdims=True)
        np.subtract(g[block], z, out=z)

    each_block(out, (axis,), work)
    return found


_softmax: Primitive = Primitive("softmax", _softmax_forward, [_softmax_rule])
_log_softmax: Primitive = Primitive("log_softmax", _log_softmax_forward, [_log_softmax_rule])


def _default_dim(ndim: int) -> int:
    """Return the dim PyTorch takes where none is given: 0 for 0, 1 or 3 dims, else 1."""
    return 0 if ndim in (0, 1, 3) else 1


def _prepared(input: Any, dim: int | None, dtype: Any, who: str) -> tuple[Any, int]:
    x = converted(as_tensor(input), dtype)
    if x._data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {x.dtype}; give dtype, or convert it.")
    return x, one_dim(_default_dim(x.ndim) if dim is None else dim, x.ndim, who)


def softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``exp(x) / Σ exp(x)`` along `dim`, without overflow.

    >>> import thalweg as tw
    >>> tw.softmax(tw.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    x, axis = _prepared(input, dim, dtype, "softmax")
    return apply(_softmax, (x,), (axis,))


def log_softmax(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Logarithm of the softmax along `dim`: ``x - log Σ exp(x)``."""
    x, axis = _prepared(input, dim, dtype, "log_softmax")
    return apply(_log_softmax, (x,), (axis,))


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Softmax of ``-x`` along `dim`."""
    return softmax(-as_tensor(input), dim, dtype=dtype)  # type: ignore[operator]
