"""Sums, means, products and truth over some or all dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.moves import CAST, EXPAND
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError
from ._blocks import each_block
from ._coerce import as_tensor, one_dim, reduced_dims
from ._kernels import rows

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["all", "any", "count_nonzero", "logsumexp", "mean", "nanmean", "nansum", "prod", "sum"]

_add_reduce: Any = np.add.reduce
_maximum_reduce: Any = np.maximum.reduce
_multiply_reduce: Any = np.multiply.reduce
_SMALL = 4096  # up to this many elements copying a gradient is cheaper than broadcasting it


def kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` with 1 in place of the reduced dims."""
    if len(axes) == len(shape):
        return (1,) * len(axes)
    return tuple([1 if k in axes else n for k, n in enumerate(shape)])


def restored(g: Any, axes: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    """Spread a reduced gradient over the elements it came from."""
    if type(g) is np.ndarray and _count(x_shape) <= _SMALL:
        out = np.empty(x_shape, g.dtype)
        out[...] = g.reshape(kept(x_shape, axes))
        return out
    return EXPAND(g.reshape(kept(x_shape, axes)), x_shape)


def _count(shape: tuple[int, ...]) -> int:
    n = 1
    for k in shape:
        n *= k
    return n


def reduced_count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """Return how many elements fall together."""
    n = 1
    for k in axes:
        n *= shape[k]
    return n


def options(
    input: Any, dim: Any, keepdim: Any, axis: Any, keepdims: Any, who: str
) -> tuple[TensorBase, tuple[int, ...], bool]:
    """Return the tensor, the dims to reduce and whether they are kept, from PyTorch's or NumPy's names."""
    x = input if isinstance(input, TensorBase) else as_tensor(input)
    return x, reduced_dims(dim if axis is None else axis, x._data.ndim, who), bool(keepdim or keepdims)


def converted(x: TensorBase, dtype: Any) -> TensorBase:
    """Return `x` with elements of `dtype`, itself if it has them."""
    if dtype is None:
        return x
    target = _dtype.as_dtype(dtype).np
    if x._data.dtype == target:
        return x
    return apply(CAST, (x,), (target, x._data.dtype))


def as_float(x: TensorBase) -> TensorBase:
    """Return `x` with floating-point elements: integers and truth values in the default type."""
    return x if x._data.dtype.kind == "f" else converted(x, _dtype.default_float())


def need_float(x: TensorBase, who: str) -> None:
    """Refuse integers where PyTorch does."""
    if x._data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {x.dtype}; convert it with float().")


# Sums and means


ROW = 1024  # elements that are added up in one row
MANY = 1 << 17  # elements from which a sum is worth another walk


def total(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    """Return the sum of floating-point numbers over some dims.

    NumPy's reduction adds neighbours one by one; its einsum adds them side by side, twice as fast, here in rows that
    are short enough to lose nothing.
    """
    if x.size < MANY or not x.flags.c_contiguous or x.dtype.itemsize < 4:
        return _add_reduce(x, axes, None, None, keepdim)
    if len(axes) == x.ndim:
        line = x.reshape(-1)
        whole = line.size - line.size % ROW
        found = _add_reduce(np.einsum("ij->i", line[:whole].reshape(-1, ROW))) + _add_reduce(line[whole:])
        return found.reshape(kept(x.shape, axes)) if keepdim else found
    if axes == (x.ndim - 1,) and 64 <= x.shape[-1] <= 4 * ROW:
        found = np.einsum("ij->i", x.reshape(-1, x.shape[-1]))
        return found.reshape(kept(x.shape, axes) if keepdim else x.shape[:-1])
    return _add_reduce(x, axes, None, None, keepdim)


def _sum_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    if x.dtype.kind == "f":
        return total(x, axes, keepdim)
    return _add_reduce(x, axes, np.int64, None, keepdim)


_sum: Primitive = Primitive("sum", _sum_forward, [lambda g, axes, x_shape: restored(g, axes, x_shape)], linear=True)
_sum_dim: Primitive = Primitive("sum", _sum_forward, _sum.vjps, linear=True, backward="SumBackward1")


def sum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Sum over `dim` (one, several, or None for all); integers and truth values add up in int64.

    >>> import thalweg as tw
    >>> tw.sum(tw.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "sum")
    if dtype is not None:
        x = converted(x, dtype)
        if x._data.dtype.kind != "f" and x._data.dtype != np.int64:
            return converted(apply(_sum, (x,), (axes, keep)), dtype)  # type: ignore[return-value]
    return apply(_sum if dim is None and axis is None else _sum_dim, (x,), (axes, keep))


def _mean_rule(g: Any, axes: tuple[int, ...], x_shape: tuple[int, ...]) -> Any:
    n = reduced_count(x_shape, axes)
    return restored(g / n, axes, x_shape) if n else restored(g, axes, x_shape)


def _mean_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return total(x, axes, keepdim) / x.dtype.type(reduced_count(x.shape, axes))


_mean: Primitive = Primitive("mean", _mean_forward, [_mean_rule], linear=True)
_mean_dim: Primitive = Primitive("mean", _mean_forward, [_mean_rule], linear=True, backward="MeanBackward1")


def mean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Mean over `dim` (one, several, or None for all) of a floating-point tensor; NaN over nothing.

    >>> import thalweg as tw
    >>> tw.mean(tw.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1, keepdim=True)
    tensor([[1.5000],
            [3.5000]])
    """
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "mean")
    if dtype is not None:
        x = converted(x, dtype)
    if x._data.dtype.kind != "f":
        need_float(x, "mean")
    return apply(_mean if dim is None and axis is None else _mean_dim, (x,), (axes, keep))


def _nansum_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _add_reduce(np.where(np.isnan(x), x.dtype.type(0), x), axes, None, None, keepdim)


def _nansum_rule(g: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return restored(g, axes, x.shape) * (x == x)


_nansum: Primitive = Primitive("nansum", _nansum_forward, [_nansum_rule])


def nansum(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Sum over `dim` with every NaN taken as 0; no gradient reaches a NaN."""
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "nansum")
    x = converted(x, dtype)
    if x._data.dtype.kind != "f":
        return sum(x, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims)
    return apply(_nansum, (x,), (axes, keep))


def nanmean(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Mean over `dim` of the elements that are not NaN.

    >>> import thalweg as tw
    >>> tw.nanmean(tw.tensor([1.0, float("nan"), 3.0]))
    tensor(2.)
    """
    x = as_tensor(input)
    need_float(x, "nanmean")
    counted = sum(x == x, dim, keepdim, axis=axis, keepdims=keepdims)
    return nansum(x, dim, keepdim, dtype=dtype, axis=axis, keepdims=keepdims) / counted


# Products: the derivative is the product of the others, and exact where elements are 0.


def _prod_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    return _multiply_reduce(x, axes, x.dtype if x.dtype.kind == "f" else np.int64, None, keepdim)


def _prod_rule(g: Any, x: Any, out: Any, axes: tuple[int, ...]) -> Any:
    from .scan import product_of_others

    if type(x) is np.ndarray and (x != 0).all():
        return (g * out).reshape(kept(x.shape, axes)) / x
    if len(axes) == 1:
        return product_of_others(x, axes[0]) * g.reshape(kept(x.shape, axes))
    return product_of_others(x.reshape((-1,)), 0).reshape(x.shape) * g.reshape(kept(x.shape, axes))


_prod: Primitive = Primitive("prod", _prod_forward, [_prod_rule])
_prod_dim: Primitive = Primitive("prod", _prod_forward, [_prod_rule], backward="ProdBackward1")


def prod(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: Any = None
) -> Tensor:
    """Product over one `dim`, or of all elements; its derivative is exact where elements are 0.

    >>> import thalweg as tw
    >>> x = tw.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> tw.prod(x).backward(); x.grad
    tensor([0., 6., 0.])
    """
    x = converted(as_tensor(input), dtype)
    dim = dim if axis is None else axis
    axes = reduced_dims(None, x.ndim, "prod") if dim is None else _single(dim, x.ndim, "prod")
    out = apply(_prod if dim is None else _prod_dim, (x,), (axes, bool(keepdim or keepdims)))
    return converted(out, dtype)  # type: ignore[return-value]


def _single(dim: Any, ndim: int, who: str) -> tuple[int, ...]:
    return (one_dim(dim, ndim, who),) if ndim else (one_dim(dim, ndim, who),)[:0]


# The logarithm of a sum of exponentials, shifted by the largest so that nothing overflows.


def _neighbours(axes: tuple[int, ...]) -> bool:
    return bool(axes) and axes == tuple(range(axes[0], axes[-1] + 1))


def _logsumexp_forward(x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
    if not axes:
        return x.copy()
    if not x.size:
        return np.log(_add_reduce(x, axes, None, None, keepdim))
    kernels = rows(x) if _neighbours(axes) else None
    if kernels is not None:
        found = kernels.logsumexp(x, axes[0], axes[-1])
        return found.reshape(kept(x.shape, axes)) if keepdim else found
    total = np.empty(kept(x.shape, axes), x.dtype)

    def work(block: slice) -> None:
        part = x[block] if x.ndim else x
        top = _maximum_reduce(part, axes, None, None, True)
        top = np.where(np.isfinite(top), top, x.dtype.type(0))
        shifted = np.asarray(part - top)
        np.exp(shifted, out=shifted)
        total[block if x.ndim else ...] = np.log(_add_reduce(shifted, axes, None, None, True)) + top

    each_block(x, axes, work)
    return total if keepdim else total.reshape(tuple(n for k, n in enumerate(x.shape) if k not in axes))


def _logsumexp_rule(g: Any, x: Any, out: Any, axes: tuple[int, ...]) -> Any:
    from .pointwise import _exp

    shape = kept(x.shape, axes)
    out = out.reshape(shape)
    if (
        x.ndim and not isinstance(g, TensorBase) and not isinstance(x, TensorBase)
    ):  # without temporary arrays, which cost more than the sums
        g = g.reshape(shape)
        kernels = rows(x) if _neighbours(axes) else None
        if kernels is not None:
            return kernels.logsumexp_back(g, x, out, axes[0], axes[-1])
        found = np.empty(x.shape, x.dtype)

        def work(block: slice) -> None:
            z = np.subtract(x[block], out[block], out=found[block])
            np.exp(z, out=z)
            z *= g[block]

        each_block(x, axes, work)
        return found
    return g.reshape(shape) * _exp(x - out)  # NaN where both are infinite, as in PyTorch


_logsumexp: Primitive = Primitive("logsumexp", _logsumexp_forward, [_logsumexp_rule])


def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """``log(sum(exp(input)))`` over `dim`, without overflow."""
    x, axes, keep = options(input, dim, keepdim, axis, keepdims, "logsumexp")
    return apply(_logsumexp, (as_float(x),), (axes, keep))


# Truth and counts: not differentiable.

_all: Primitive = Primitive("all", lambda x, axes, keepdim: np.logical_and.reduce(x, axes, keepdims=keepdim), arity=1)
_any: Primitive = Primitive("any", lambda x, axes, keepdim: np.logical_or.reduce(x, axes, keepdims=keepdim), arity=1)
_count_nonzero: Primitive = Primitive(
    "count_nonzero", lambda x, axes: np.asarray(np.count_nonzero(x, axis=axes), np.int64), arity=1
)


def all(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Whether every element over `dim` is true (non-zero); uint8 stays uint8."""
    return _truth(_all, *options(input, dim, keepdim, axis, keepdims, "all"))


def any(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: Any = None) -> Tensor:
    """Whether some element over `dim` is true (non-zero); uint8 stays uint8."""
    return _truth(_any, *options(input, dim, keepdim, axis, keepdims, "any"))


def _truth(primitive: Primitive, x: TensorBase, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    found = apply(primitive, (x,), (axes, keepdim))
    return converted(found, _dtype.uint8) if x._data.dtype == np.uint8 else found  # type: ignore[return-value]


def count_nonzero(input: Any, dim: Any = None, *, axis: Any = None) -> Tensor:
    """How many elements over `dim` are not zero."""
    x = as_tensor(input)
    return apply(_count_nonzero, (x,), (reduced_dims(dim if axis is None else axis, x.ndim, "count_nonzero"),))
