"""Products of matrices and vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import check_write, write
from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor
from ._elementwise import NotDefined
from .arithmetic import mul

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "dot", "ger", "inner", "matmul", "mm", "mv",
    "outer", "vdot",
]  # fmt: skip

_mm: Primitive = Primitive(
    "mm", np.matmul, [lambda g, y: _mm(g, y.T), lambda g, x: _mm(x.T, g)], linear=True, names=("x", "y")
)
_mv: Primitive = Primitive(
    "mv",
    np.matmul,
    [lambda g, y: _outer(g, y), lambda g, x: _mv(x.T, g)],
    linear=True,
    names=("x", "y"),
)
_outer: Primitive = Primitive(
    "outer", lambda x, y: x[:, None] * y, [lambda g, y: _mv(g, y), lambda g, x: _mv(g.T, x)], linear=True
)
_dot: Primitive = Primitive("dot", np.matmul, [lambda g, y: g * y, lambda g, x: g * x], linear=True, names=("x", "y"))
_bmm: Primitive = Primitive(
    "bmm",
    np.matmul,
    [
        lambda g, y, x_shape: sum_to(_bmm(g, y.mT), x_shape),
        lambda g, x, y_shape: sum_to(_bmm(x.mT, g), y_shape),
    ],
    linear=True,
    names=("x", "y"),
)


# A product added to something, beta * x + alpha * (a times b): one node, and one pass over the result.


def _plus(name: str, product: Any, rule_a: Any, rule_b: Any) -> Primitive:
    """Define ``beta * x + alpha * product(a, b)`` from the product and its two rules."""

    def forward(x: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
        out = product(a, b)
        if alpha != 1:
            out = out * alpha
        if beta == 0:  # then even a NaN in x is left out
            return out.astype(x.dtype, copy=False)
        if beta == 1 and out.ndim:
            out += x  # no second array
            return out
        return out + x * beta

    return Primitive(
        name,
        forward,
        [
            lambda g, x_shape, beta: sum_to(g if beta == 1 else g * beta, x_shape),
            lambda g, b, alpha: rule_a(g if alpha == 1 else g * alpha, b),
            lambda g, a, alpha: rule_b(g if alpha == 1 else g * alpha, a),
        ],
    )


_addmm: Primitive = _plus("addmm", np.matmul, _mm.vjps[0], _mm.vjps[1])
_addmv: Primitive = _plus("addmv", np.matmul, _mv.vjps[0], _mv.vjps[1])
_addr: Primitive = _plus("addr", _outer.forward, _outer.vjps[0], _outer.vjps[1])
_baddbmm: Primitive = _plus("baddbmm", np.matmul, lambda g, b: _bmm(g, b.mT), lambda g, a: _bmm(a.mT, g))
_addbmm: Primitive = _plus(
    "addbmm", lambda a, b: np.matmul(a, b).sum(axis=0), lambda g, b: _bmm(g, b.mT), lambda g, a: _bmm(a.mT, g)
)


def _pair(input: Any, other: Any, who: str) -> tuple[TensorBase, TensorBase]:
    x, y = as_tensor(input), as_tensor(other)
    if x._data.dtype != y._data.dtype:
        raise _MixedTypes(f"{who}: tensors of one dtype are required, got {x.dtype} and {y.dtype}.")
    if x._data.dtype.kind == "b":
        raise NotDefined(f"{who}: numbers are required, got {x.dtype}.")
    return x, y


class _MixedTypes(DTypeError):
    """Operands of different types."""


def _need(good: bool, x: TensorBase, y: TensorBase, who: str) -> None:
    if not good:
        raise ShapeError(f"{who}: shapes {x._data.shape} and {y._data.shape} cannot be multiplied.")


def mm(input: Any, mat2: Any) -> Tensor:
    """Product of two matrices: [n, m] times [m, p]."""
    x, y = _pair(input, mat2, "mm")
    _need(x.ndim == 2 and y.ndim == 2 and x._data.shape[1] == y._data.shape[0], x, y, "mm")
    return apply(_mm, (x, y))


def mv(input: Any, vec: Any) -> Tensor:
    """Product of a matrix [n, m] and a vector [m]."""
    x, y = _pair(input, vec, "mv")
    _need(x.ndim == 2 and y.ndim == 1 and x._data.shape[1] == y._data.shape[0], x, y, "mv")
    return apply(_mv, (x, y))


def dot(input: Any, tensor: Any) -> Tensor:
    """Inner product of two vectors."""
    x, y = _pair(input, tensor, "dot")
    _need(x.ndim == 1 and y.ndim == 1 and x._data.shape == y._data.shape, x, y, "dot")
    return apply(_dot, (x, y))


def outer(input: Any, vec2: Any) -> Tensor:
    """Outer product of two vectors: [n] and [m] give [n, m]."""
    x, y = as_tensor(input), as_tensor(vec2)
    _need(x.ndim == 1 and y.ndim == 1, x, y, "outer")
    return mul(x.reshape(-1, 1), y)  # type: ignore[attr-defined]


ger = outer


def vdot(input: Any, other: Any) -> Tensor:
    """Inner product of two vectors; for real numbers the same as :func:`dot`."""
    return dot(input, other)


def inner(input: Any, other: Any) -> Tensor:
    """Inner products over the last dims: [..., n] and [+++, n] give [..., +++]; a scalar multiplies."""
    x, y = as_tensor(input), as_tensor(other)
    if not x.ndim or not y.ndim:
        return mul(x, y)
    x, y = _pair(x, y, "inner")
    a, b = x._data.shape, y._data.shape
    _need(a[-1] == b[-1], x, y, "inner")
    if len(a) == 1 and len(b) == 1:
        return apply(_dot, (x, y))
    flat = apply(_mm, (_rows(x), _rows(y).t()))  # type: ignore[attr-defined]
    return flat.reshape((*a[:-1], *b[:-1]))


def _rows(x: TensorBase) -> Any:
    """Return `x` as a matrix of its last dim's vectors."""
    shape = x._data.shape
    n = 1
    for k in shape[:-1]:
        n *= k
    return x.reshape(n, shape[-1])  # type: ignore[attr-defined]


def bmm(input: Any, mat2: Any) -> Tensor:
    """Products of matrices, pair by pair: [b, n, m] times [b, m, p]."""
    x, y = _pair(input, mat2, "bmm")
    a, b = x._data.shape, y._data.shape
    _need(len(a) == 3 and len(b) == 3 and a[0] == b[0] and a[2] == b[1], x, y, "bmm")
    return apply(_bmm, (x, y))


def matmul(input: Any, other: Any) -> Tensor:
    """Product of vectors, matrices or batches of matrices, whose batch dims broadcast.

    >>> import thalweg as tw
    >>> tw.matmul(tw.eye(2), tw.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    x, y = _pair(input, other, "matmul")
    n, m = x.ndim, y.ndim
    if not n or not m:
        raise ShapeError(f"matmul: at least one dim is required, got shapes {x._data.shape} and {y._data.shape}.")
    inner = y._data.shape[-2] if m > 1 else y._data.shape[0]
    _need(x._data.shape[-1] == inner, x, y, "matmul")
    if n == 1 and m == 1:
        return apply(_dot, (x, y))
    if n == 2 and m == 2:
        return apply(_mm, (x, y))
    if n == 2 and m == 1:
        return apply(_mv, (x, y))
    if n == 1:
        return apply(_mv, (y.t(), x)) if m == 2 else _batched(x.reshape(1, -1), y).squeeze(-2)  # type: ignore[attr-defined]
    if m == 1:
        return _batched(x, y.reshape(-1, 1)).squeeze(-1)  # type: ignore[attr-defined]
    return _batched(x, y)


def _batched(x: TensorBase, y: TensorBase) -> Tensor:
    shape = x._data.shape
    if y.ndim == 2:  # one large product instead of many small ones
        return apply(_mm, (_rows(x), y)).reshape((*shape[:-1], y._data.shape[1]))
    try:
        np.broadcast_shapes(shape[:-2], y._data.shape[:-2])
    except ValueError:
        _need(False, x, y, "matmul")
    return apply(_bmm, (x, y))


def chain_matmul(*matrices: Any) -> Tensor:
    """Product of several matrices in the order of least work; the older name of ``linalg.multi_dot``."""
    from .linalg_products import multi_dot

    return multi_dot(list(matrices)) if len(matrices) > 1 else as_tensor(matrices[0])  # type: ignore[return-value]


# Added products


def _operands(
    input: Any, a: Any, b: Any, beta: Any, alpha: Any, ranks: tuple[int, int], who: str
) -> tuple[tuple[TensorBase, TensorBase, TensorBase], tuple[Any, Any]]:
    """Check what is common to the added products; return the tensors and the two factors."""
    x = as_tensor(input)
    y, z = _pair(a, b, who) if ranks != (1, 1) else (as_tensor(a), as_tensor(b))
    _need(y.ndim == ranks[0] and z.ndim == ranks[1], y, z, who)
    if x._data.dtype != y._data.dtype:
        raise _MixedTypes(f"{who}: tensors of one dtype are required, got {x.dtype} and {y.dtype}.")
    beta, alpha = (k.item() if isinstance(k, TensorBase) else k for k in (beta, alpha))
    kind = x._data.dtype.kind
    if kind == "b":
        beta, alpha = bool(beta), bool(alpha)
    elif kind in "iu" and (isinstance(beta, float) or isinstance(alpha, float)):
        if who in ("addmm", "addr"):
            raise DTypeError(f"{who}: integers take integer factors, got beta={beta!r} and alpha={alpha!r}.")
        beta, alpha = int(beta), int(alpha)  # the others cut fractions off, as PyTorch does
    return (x, y, z), (beta, alpha)


def _fits(x: TensorBase, shape: tuple[int, ...], who: str) -> None:
    """Refuse a summand that does not broadcast to the product."""
    given = x._data.shape
    if len(given) > len(shape) or any(n not in (1, m) for n, m in zip(given[::-1], shape[::-1], strict=False)):
        raise ShapeError(f"{who}: an input that broadcasts to {shape} is required, got shape {given}.")


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * mat1 @ mat2``: [n, m] times [m, p], plus what broadcasts to [n, p]."""
    xs, factors = _operands(input, mat1, mat2, beta, alpha, (2, 2), "addmm")
    a, b = xs[1]._data.shape, xs[2]._data.shape
    _need(a[1] == b[0], xs[1], xs[2], "addmm")
    _fits(xs[0], (a[0], b[1]), "addmm")
    return apply(_addmm, xs, factors)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * mat @ vec``: [n, m] times [m], plus what broadcasts to [n]."""
    xs, factors = _operands(input, mat, vec, beta, alpha, (2, 1), "addmv")
    a, b = xs[1]._data.shape, xs[2]._data.shape
    _need(a[1] == b[0], xs[1], xs[2], "addmv")
    _fits(xs[0], a[:1], "addmv")
    return apply(_addmv, xs, factors)


def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``: what broadcasts to [n, m], plus [n] times [m]."""
    xs, factors = _operands(input, vec1, vec2, beta, alpha, (1, 1), "addr")
    _fits(xs[0], xs[1]._data.shape + xs[2]._data.shape, "addr")
    return apply(_addr, xs, factors)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2)``: what broadcasts to [b, n, p], plus [b, n, m] times [b, m, p]."""
    xs, factors = _operands(input, batch1, batch2, beta, alpha, (3, 3), "baddbmm")
    a, b = xs[1]._data.shape, xs[2]._data.shape
    _need(a[0] == b[0] and a[2] == b[1], xs[1], xs[2], "baddbmm")
    _fits(xs[0], (a[0], a[1], b[2]), "baddbmm")
    return apply(_baddbmm, xs, factors)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2).sum(0)``: what broadcasts to [n, p], plus the batch's products."""
    xs, factors = _operands(input, batch1, batch2, beta, alpha, (3, 3), "addbmm")
    a, b = xs[1]._data.shape, xs[2]._data.shape
    _need(a[0] == b[0] and a[2] == b[1], xs[1], xs[2], "addbmm")
    _fits(xs[0], (a[1], b[2]), "addbmm")
    return apply(_addbmm, xs, factors)


def addmm_(input: TensorBase, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``input = beta * input + alpha * mat1 @ mat2``."""
    check_write(input, (mat1, mat2))
    return write(input, addmm(input, mat1, mat2, beta=beta, alpha=alpha), "addmm_")


def addmv_(input: TensorBase, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``input = beta * input + alpha * mat @ vec``."""
    check_write(input, (mat, vec))
    return write(input, addmv(input, mat, vec, beta=beta, alpha=alpha), "addmv_")


def addr_(input: TensorBase, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``input = beta * input + alpha * outer(vec1, vec2)``."""
    check_write(input, (vec1, vec2))
    return write(input, addr(input, vec1, vec2, beta=beta, alpha=alpha), "addr_")


def baddbmm_(input: TensorBase, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``input = beta * input + alpha * bmm(batch1, batch2)``."""
    check_write(input, (batch1, batch2))
    return write(input, baddbmm(input, batch1, batch2, beta=beta, alpha=alpha), "baddbmm_")


def addbmm_(input: TensorBase, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """``input = beta * input + alpha * bmm(batch1, batch2).sum(0)``."""
    check_write(input, (batch1, batch2))
    return write(input, addbmm(input, batch1, batch2, beta=beta, alpha=alpha), "addbmm_")
