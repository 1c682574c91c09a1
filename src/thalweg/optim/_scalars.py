"""The functions that update rules are written with: on Python numbers, arrays and tensors alike.

A scalar of a rule (a bias correction, a step length) is a Python number in an eager step and a 0-d tensor in a
differentiable or captured one; the elements are arrays or tensors. Python numbers stay Python numbers here,
because NumPy lets them take the element type of the array they meet.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from ..ops.arithmetic import _maximum, _minimum, _where
from ..ops.logic import _isfinite
from ..ops.pointwise import _abs, _sign, _sqrt
from ..ops.reduce import _sum, converted
from ..ops.rounding import _round

__all__ = [
    "absolute", "as_number", "check", "descent_gradient", "is_finite", "is_multiple", "is_on", "largest", "mean_square", "minus",
    "norm", "plus", "root", "sign", "smallest", "square", "total", "where",
]  # fmt: skip


def is_on(setting: Any) -> bool:
    """Return whether a setting is anything but the number 0; a tensor is on, whatever it holds."""
    return not (type(setting) in (int, float) and setting == 0)


def as_number(x: Any) -> float:
    """Return a number, or the only element of a tensor, as a Python float or int."""
    if isinstance(x, TensorBase):
        return x._data.item()
    return x.item() if isinstance(x, np.generic) else x


def check(good: bool, who: str, name: str, required: str, given: Any) -> None:
    """Refuse a setting, in one sentence."""
    if not good:
        shown = as_number(given) if isinstance(given, TensorBase) and given._data.size == 1 else given
        raise ArgumentError(f"{who}: {name} must be {required}, got {shown}.")


def one_element(x: Any, who: str, name: str) -> Any:
    """Check that a setting is a number, or a tensor of one element; return it as a number for comparisons."""
    if isinstance(x, TensorBase):
        check(x._data.size == 1, who, name, "a number or a tensor of one element", f"shape {x._data.shape}")
        return x._data.item()
    if not isinstance(x, (int, float, np.generic)):
        raise DTypeError(f"{who}: {name} must be a number, got {type(x).__name__}.")
    return x


def _is_number(x: Any) -> bool:
    return isinstance(x, (float, int)) and not isinstance(x, np.generic)


def root(x: Any) -> Any:
    """Square root; NaN below 0."""
    if _is_number(x):
        return math.sqrt(x) if x >= 0 else math.nan
    return _sqrt(x)


def absolute(x: Any) -> Any:
    """Absolute value."""
    return abs(x) if _is_number(x) else _abs(x)


def sign(x: Any) -> Any:
    """-1, 0 or 1."""
    return _sign(x)


def largest(x: Any, y: Any) -> Any:
    """Larger of two; NaN if either is."""
    if _is_number(x) and _is_number(y):
        return y if y > x or y != y else x
    return _maximum(x, y)


def smallest(x: Any, y: Any) -> Any:
    """Smaller of two; NaN if either is."""
    if _is_number(x) and _is_number(y):
        return y if y < x or y != y else x
    return _minimum(x, y)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Choose `x` where the condition holds, else `y`."""
    if isinstance(condition, (bool, np.bool_)):
        return x if condition else y
    return _where(condition, x, y)


def total(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    """Sum of all elements, or over `axes`, which are kept with length 1."""
    if axes is None:
        return _sum(x, tuple(range(x.ndim)), False)
    return _sum(x, axes, True)


def square(x: Any) -> Any:
    """Sum of the squares of all elements."""
    if _is_number(x):
        return x * x
    return float(np.vdot(x, x)) if isinstance(x, np.ndarray) else total(x * x)


def is_finite(x: Any) -> Any:
    """Return whether no element is NaN or infinite."""
    if _is_number(x):
        return math.isfinite(x)
    if isinstance(x, TensorBase):
        return total(_where(_isfinite(x), 0.0, 1.0)) == 0  # counted, because loops have sums, and no `all`
    return np.isfinite(x).all()


def is_multiple(n: Any, of: int) -> Any:
    """Return whether an integer is a multiple of another."""
    if not isinstance(n, TensorBase):
        return n % of == 0
    exact: Any = converted(n, _dtype.float64)
    return _round(exact / of) * of == exact


def norm(x: Any) -> Any:
    """Euclidean norm of all elements."""
    return _sqrt(total(x * x))


def size(x: Any) -> int:
    """Return the number of elements of an array or a tensor."""
    return int(math.prod(x.shape))


def mean_square(x: Any) -> Any:
    """Root of the mean of the squares."""
    return norm(x) / max(size(x), 1) ** 0.5


def plus(fresh: Any, y: Any) -> Any:
    """Return ``fresh + y``, in the memory of `fresh` where that is an array nobody else has."""
    if type(fresh) is np.ndarray and type(y) is np.ndarray and fresh.dtype is y.dtype and fresh.shape == y.shape:
        return np.add(fresh, y, out=fresh)
    return fresh + y


def minus(x: Any, fresh: Any) -> Any:
    """Return ``x - fresh``, in the memory of `fresh` where that is an array nobody else has."""
    if type(fresh) is np.ndarray and type(x) is np.ndarray and fresh.dtype is x.dtype and fresh.shape == x.shape:
        return np.subtract(x, fresh, out=fresh)
    return x - fresh


def descent_gradient(x: Any, g: Any, s: Any) -> Any:
    """Return the gradient of what is minimised: the sign turned by `maximize`, the coupled decay added."""
    if s.maximize:
        g = -g
    return g + s.weight_decay * x if is_on(s.weight_decay) else g
