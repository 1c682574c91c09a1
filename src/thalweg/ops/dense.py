"""Affine and bilinear maps of the last dim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import DTypeError, ShapeError
from ._coerce import as_tensor
from .products import _mm

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["bilinear", "linear"]


def _linear_forward(bias: Any, x: Any, w: Any) -> Any:
    out = np.matmul(x, w.T)
    out += bias
    return out


# Primitives of their own, not a product with a transposed view: the gradient of the weight comes out in the weight's own
# order in memory, which took 15% off a step of a 784-256-10 perceptron.
_linear: Primitive = Primitive(
    "linear",
    _linear_forward,
    [lambda g, bias_shape: sum_to(g, bias_shape), lambda g, w: _mm(g, w), lambda g, x: _mm(g.T, x)],
    backward="AddmmBackward0",
)
_linear_plain: Primitive = Primitive(
    "linear",
    lambda x, w: np.matmul(x, w.T),
    [lambda g, w: _mm(g, w), lambda g, x: _mm(g.T, x)],
    linear=True,
    backward="MmBackward0",
)


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias`` over the last dim: [*, n] with weight [m, n] gives [*, m].

    >>> import thalweg as tw
    >>> tw.nn.functional.linear(tw.tensor([1.0, 2.0]), tw.tensor([[3.0, 4.0]]), tw.tensor([5.0]))
    tensor([16.])
    """
    x, w = as_tensor(input), as_tensor(weight)
    b = None if bias is None else as_tensor(bias)
    shape, sizes = x._data.shape, w._data.shape
    if not shape or len(sizes) not in (1, 2) or shape[-1] != sizes[-1]:
        raise ShapeError(f"linear: an input [*, n] and a weight [m, n] are required, got {shape} and {sizes}.")
    if w._data.dtype != x._data.dtype or (b is not None and b._data.dtype != x._data.dtype):
        types = ", ".join(str(t.dtype) for t in (x, w, b) if t is not None)
        raise DTypeError(f"linear: tensors of one dtype are required, got {types}.")
    if b is not None and (b.ndim > 1 or (b.ndim == 1 and len(sizes) == 2 and b._data.shape[0] not in (1, sizes[0]))):
        raise ShapeError(f"linear: a bias of shape ({sizes[0]},) is required, got {b._data.shape}.")
    if len(sizes) == 1:
        flat = x @ w  # type: ignore[operator]
        return flat if b is None else flat + b
    if len(shape) == 2:
        return _affine(x, w, b)
    rows = x.reshape(-1, shape[-1]) if x._data.size else x.reshape(_rows(shape), shape[-1])  # type: ignore[attr-defined]
    return _affine(rows, w, b).reshape(*shape[:-1], sizes[0])


def _rows(shape: tuple[int, ...]) -> int:
    n = 1
    for k in shape[:-1]:
        n *= k
    return n


def _affine(x: TensorBase, w: TensorBase, b: TensorBase | None) -> Tensor:
    return apply(_linear_plain, (x, w)) if b is None else apply(_linear, (b, x, w))


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """``x₁ᵀ W_k x₂ + b_k`` for each k: [*, n], [*, m] and weight [o, n, m] give [*, o]."""
    x, y, w = as_tensor(input1), as_tensor(input2), as_tensor(weight)
    a, b, s = x._data.shape, y._data.shape, w._data.shape
    if len(s) != 3 or not a or not b or a[:-1] != b[:-1] or a[-1] != s[1] or b[-1] != s[2]:
        raise ShapeError(f"bilinear: inputs [*, n], [*, m] and a weight [o, n, m] are required, got {a}, {b} and {s}.")
    n = _rows(a)
    left: Any = x.reshape(n, a[-1])  # type: ignore[attr-defined]
    right: Any = y.reshape(n, 1, b[-1])  # type: ignore[attr-defined]
    turned = w.permute(1, 0, 2).reshape(s[1], s[0] * s[2])  # type: ignore[attr-defined]
    out = ((left @ turned).reshape(n, s[0], s[2]) * right).sum(-1)
    if bias is not None:
        out = out + bias
    return out.reshape(*a[:-1], s[0])  # type: ignore[no-any-return]
