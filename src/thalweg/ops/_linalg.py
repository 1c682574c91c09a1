"""What the linear-algebra files share: LAPACK on stacks of matrices, checks, and small parts of rules.

NumPy's generalized LAPACK functions do whole stacks of matrices in one call and cost two microseconds on a small
one, a quarter of their public wrappers. They fill the matrices they fail on with NaN, which is looked for here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg as lapack  # type: ignore[attr-defined]

from ..core.tensor import TensorBase
from ..errors import DTypeError, LinAlgError, ShapeError
from ._coerce import as_tensor
from ._elementwise import Elementwise, elementwise

__all__ = [
    "batch_element",
    "eye_like",
    "floating",
    "lapack",
    "mask_like",
    "matrices",
    "quotient",
    "refuse",
    "same_type",
    "square",
    "type_of",
]

# Masks and identities that rules multiply by, made once per size and type.


@lru_cache(maxsize=256)
def _mask(kind: str, n: int, m: int, dtype: Any) -> Any:
    if kind == "eye":
        made = np.eye(n, m, dtype=dtype)
    elif kind == "tril":
        made = np.tri(n, m, dtype=dtype)
    elif kind == "strict tril":
        made = np.tri(n, m, -1, dtype=dtype)
    elif kind == "triu":
        made = 1 - np.tri(n, m, -1, dtype=dtype)
    elif kind == "strict triu":
        made = 1 - np.tri(n, m, dtype=dtype)
    else:  # the lower triangle with half the diagonal
        made = np.tri(n, m, dtype=dtype) - np.eye(n, m, dtype=dtype) / 2
    made.flags.writeable = False
    return made


def type_of(x: Any) -> Any:
    """Return the NumPy element type of an array or a tensor."""
    return x._data.dtype if isinstance(x, TensorBase) else x.dtype


def mask_like(x: Any, kind: str) -> Any:
    """Return the 0-1 matrix ("tril", "strict tril", "triu", "strict triu", "half tril") of the size of `x`."""
    n, m = x.shape[-2:]
    return _mask(kind, n, m, type_of(x))


def eye_like(x: Any) -> Any:
    """Return the identity of the size and type of a matrix."""
    n, m = x.shape[-2:]
    return _mask("eye", n, m, type_of(x))


def _quotient(x: Any, y: Any) -> Any:
    return np.where(y == 0, 0, x / np.where(y == 0, 1, y)).astype(np.result_type(x, y), copy=False)


# x / y, and 0 where y is 0: the gradient of a norm at 0, or of a vector that turns within its eigenspace.
quotient: Elementwise = elementwise(
    "quotient",
    _quotient,
    [lambda g, y: quotient(g, y), lambda g, y, out: -quotient(g * out, y)],
    kernel="({0} / {1} if {1} != 0 else 0.0)",
    arity=2,
)


# Checks


def matrices(input: Any, who: str) -> Any:
    """Return a stack of matrices of floating-point numbers."""
    x = input if isinstance(input, TensorBase) else as_tensor(input)
    data = x._data
    if data.ndim < 2:
        raise ShapeError(f"{who}: a matrix, or a batch of them, is required, got shape {data.shape}.")
    if data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {x.dtype}; convert it with float().")
    return x


def square(input: Any, who: str) -> Any:
    """Return a stack of square matrices of floating-point numbers."""
    x = matrices(input, who)
    shape = x._data.shape
    if shape[-1] != shape[-2]:
        raise ShapeError(f"{who}: square matrices are required, got shape {shape}.")
    return x


def floating(input: Any, who: str) -> Any:
    """Return a tensor of floating-point numbers."""
    x = as_tensor(input)
    if x._data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {x.dtype}; convert it with float().")
    return x


def same_type(x: TensorBase, y: TensorBase, who: str) -> None:
    """Refuse operands of different element types."""
    if x._data.dtype != y._data.dtype:
        raise DTypeError(f"{who}: tensors of one dtype are required, got {x.dtype} and {y.dtype}.")


def batch_element(bad: Any) -> str:
    """Return the words that name the first matrix of a stack for which `bad` holds."""
    at = np.argwhere(bad)
    if not at.size or not at.shape[1]:
        return "the matrix"
    where = ", ".join(str(int(k)) for k in at[0])
    return f"matrix {where} of the batch"


def refuse(bad: Any, who: str, what: str) -> None:
    """Raise when a stack has matrices that LAPACK failed on."""
    if np.any(bad):
        raise LinAlgError(f"{who}: {batch_element(np.asarray(bad))} {what}.")
