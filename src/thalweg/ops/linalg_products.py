"""Powers, chains and exponentials of matrices, and matrices of powers."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.primitive import Primitive, apply
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor
from ._linalg import eye_like, lapack, square, type_of
from .linalg_solve import inv
from .products import matmul

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["linalg_vander", "matrix_exp", "matrix_power", "multi_dot"]


_zeroth_power: Primitive = Primitive(
    "linalg_matrix_power",
    lambda a: np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape).copy(),
    [lambda g: g * 0],
)


def matrix_power(A: Any, n: int) -> Tensor:
    """Square matrices to the whole power `n`, by repeated squaring; the inverse's power where n < 0."""
    a: Any = as_tensor(A)
    shape = a._data.shape
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"matrix_power: square matrices are required, got shape {shape}.")
    if not isinstance(n, (int, np.integer)):
        raise DTypeError(f"matrix_power: n must be an integer, got {n!r}.")
    if n == 0:
        return apply(_zeroth_power, (a,))
    base = inv(a) if n < 0 else a
    n, out = abs(int(n)), None
    while n:
        if n & 1:
            out = base if out is None else matmul(out, base)
        n >>= 1
        if n:
            base = matmul(base, base)
    return out.clone() if out is a else out  # type: ignore[return-value]


# Chains


def _best_splits(sizes: list[int]) -> list[list[int]]:
    """Return where to split each part of a chain of matrices for the fewest multiplications.

    Cormen et al., Introduction to Algorithms, section "Matrix-chain multiplication".
    """
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return split


def multi_dot(tensors: Any) -> Tensor:
    """Product of matrices in the order of least work; the first and the last may be vectors."""
    xs: list[Any] = [as_tensor(x) for x in tensors]
    if len(xs) < 2:
        raise ShapeError(f"multi_dot: at least two tensors are required, got {len(xs)}.")
    first, last = xs[0].ndim == 1, xs[-1].ndim == 1
    if xs[0].ndim not in (1, 2) or xs[-1].ndim not in (1, 2) or any(x.ndim != 2 for x in xs[1:-1]):
        raise ShapeError("multi_dot: matrices are required (the first and the last may be vectors), got shapes "
                         f"{', '.join(str(x._data.shape) for x in xs)}.")  # fmt: skip
    if first:
        xs[0] = xs[0].unsqueeze(0)
    if last:
        xs[-1] = xs[-1].unsqueeze(-1)
    for x, y in pairwise(xs):
        if x._data.shape[1] != y._data.shape[0]:
            raise ShapeError(f"multi_dot: shapes {x._data.shape} and {y._data.shape} cannot be multiplied.")
    split = _best_splits([xs[0]._data.shape[0], *(x._data.shape[1] for x in xs)])

    def product(i: int, j: int) -> Any:
        return xs[i] if i == j else matmul(product(i, split[i][j]), product(split[i][j] + 1, j))

    out = product(0, len(xs) - 1)
    shape = out._data.shape
    return out.reshape([] if first and last else shape[1:] if first else shape[:1] if last else shape)


# The exponential


# Coefficients of the diagonal Padé approximant of degree 13, divided by the first, and the norm up to which it is
# exact to double precision: Higham, "The scaling and squaring method for the matrix exponential revisited" (2005).
_PADE = tuple(
    b / 64764752532480000
    for b in (
        64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
        670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
    )
)  # fmt: skip
_PADE_NORM = 5.371920351148152


def _exp_forward(a: Any) -> Any:
    """Scale, approximate, square; SciPy's function takes ten times as long on small matrices beside busy cores."""
    if not a.size:
        return a.copy()
    norm = np.abs(a).sum(axis=-2).max(axis=-1)
    times = np.ceil(np.log2(np.maximum(np.where(np.isfinite(norm), norm, 0), _PADE_NORM) / _PADE_NORM)).astype(int)
    x = a * np.exp2(-times)[..., None, None].astype(a.dtype)
    one = eye_like(a)
    b = _PADE
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = x @ (x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one)
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + one
    out = lapack.solve(even - odd, even + odd)
    for k in range(int(times.max())):
        out = np.where((times > k)[..., None, None], out @ out, out)
    return out


def _exp_rule(g: Any, a: Any) -> Any:
    """Mathias (1996): the derivative is the corner of the exponential of [[Aᵀ, g], [0, Aᵀ]]."""
    n = a.shape[-1]
    dtype = type_of(a)
    first, second = np.eye(n, 2 * n, dtype=dtype), np.eye(n, 2 * n, n, dtype=dtype)
    down = a.mT
    block = first.T @ (down @ first + g @ second) + second.T @ (down @ second)
    return _matrix_exp(block)[..., :n, n:]


_matrix_exp: Primitive = Primitive("linalg_matrix_exp", _exp_forward, [_exp_rule])


def matrix_exp(input: Any) -> Tensor:
    """Exponential of square matrices, ``Σ Aᵏ / k!``."""
    return apply(_matrix_exp, (square(input, "matrix_exp"),))


# Powers of numbers


def _powers_rule(g: Any, x: Any, n: int) -> Any:
    if n < 2:
        return x * 0
    return (g[..., 1:] * _powers(x, n - 1) * np.arange(1, n, dtype=type_of(x))).sum(-1)


_powers: Primitive = Primitive(
    "linalg_vander", lambda x, n: x[..., None] ** np.arange(n, dtype=x.dtype), [_powers_rule], names=("x", "n")
)


def linalg_vander(x: Any, *, N: int | None = None) -> Tensor:
    """Powers 0 to N - 1 of the elements of vectors [..., n], as rows: the Vandermonde matrix [..., n, N]."""
    t: Any = as_tensor(x)
    t = t if t.ndim else t.reshape(1)
    count = t._data.shape[-1] if N is None else N
    if N is not None and N <= 1:
        raise ShapeError(f"vander: N must be > 1, got {N}.")
    if t._data.dtype.kind == "b":
        t = t.long()
    return apply(_powers, (t,), (count,))
