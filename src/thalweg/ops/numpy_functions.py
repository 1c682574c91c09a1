"""NumPy's functions on tensors: ``np.sin(t)`` and ``array * t`` are the library's own operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import arithmetic, pointwise, products

__all__ = ["ufunc_call"]

_UFUNCS: dict[np.ufunc, Any] = {
    np.add: arithmetic.add,
    np.subtract: arithmetic.sub,
    np.multiply: arithmetic.mul,
    np.true_divide: arithmetic.div,
    np.power: arithmetic.pow,
    np.negative: pointwise.neg,
    np.exp: pointwise.exp,
    np.log: pointwise.log,
    np.sqrt: pointwise.sqrt,
    np.sin: pointwise.sin,
    np.cos: pointwise.cos,
    np.tanh: pointwise.tanh,
    np.absolute: pointwise.abs,
    np.sign: pointwise.sign,
    np.square: pointwise.square,
    np.reciprocal: pointwise.reciprocal,
    np.maximum: arithmetic.maximum,
    np.minimum: arithmetic.minimum,
    np.equal: arithmetic.eq,
    np.not_equal: arithmetic.ne,
    np.less: arithmetic.lt,
    np.less_equal: arithmetic.le,
    np.greater: arithmetic.gt,
    np.greater_equal: arithmetic.ge,
    np.matmul: products.matmul,
}


def ufunc_call(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a ufunc met on a tensor."""
    function = _UFUNCS.get(ufunc)
    if method != "__call__" or kwargs or function is None:
        return NotImplemented
    return function(*inputs)
