"""How alike two vectors are, and attention, which mixes values by how alike their keys are to a query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, one_dim
from .dropout import dropout
from .linalg_norms import vector_norm
from .reduce import converted
from .softmax import softmax

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["cosine_similarity", "pairwise_distance", "pdist", "scaled_dot_product_attention"]


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x₁·x₂ / (max(‖x₁‖, eps) max(‖x₂‖, eps))`` along `dim`.

    >>> import thalweg as tw
    >>> tw.nn.functional.cosine_similarity(tw.tensor([1.0, 0.0]), tw.tensor([3.0, 4.0]), dim=0)
    tensor(0.6000)
    """
    x, y = _common(x1, x2, "cosine_similarity")
    axis = one_dim(dim, max(x.ndim, y.ndim), "cosine_similarity")
    x, y = _broadcast(x, y, "cosine_similarity")
    return (_unit(x, axis, eps) * _unit(y, axis, eps)).sum(axis)  # type: ignore[no-any-return]


def _unit(x: Any, axis: int, eps: float) -> Any:
    """Return x divided by its length, or by eps where that is larger (its gradient goes through the length even then)."""
    length: Any = vector_norm(x, 2, axis, True)
    plain = length.detach()
    return x / (length + (plain.clamp_min(eps) - plain))


def _common(x1: Any, x2: Any, who: str) -> tuple[Any, Any]:
    x, y = as_tensor(x1), as_tensor(x2)
    common = _dtype.promote(x._data, y._data)
    if common.rank != 2:
        raise DTypeError(f"{who}: floating-point tensors are required, got {x.dtype} and {y.dtype}.")
    return converted(x, common), converted(y, common)


def _broadcast(x: Any, y: Any, who: str) -> tuple[Any, Any]:
    try:
        shape = np.broadcast_shapes(x._data.shape, y._data.shape)
    except ValueError:
        raise ShapeError(
            f"{who}: shapes that broadcast together are required, got {x._data.shape} and {y._data.shape}."
        ) from None
    return x.expand(*shape), y.expand(*shape)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """``‖x₁ - x₂ + eps‖_p`` over the last dim."""
    x: Any = as_tensor(x1)
    return vector_norm(x - x2 + eps, p, -1, keepdim)


def pdist(input: Any, p: float = 2.0) -> Tensor:
    """Distances between all pairs of rows of [n, d]: the n (n - 1) / 2 above the diagonal."""
    x: Any = as_tensor(input)
    if x.ndim != 2:
        raise ShapeError(f"pdist: a matrix [n, d] is required, got shape {x._data.shape}.")
    rows, columns = np.triu_indices(x._data.shape[0], 1)
    return vector_norm(x[rows] - x[columns], p, -1)


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(q kᵀ scale + mask) v`` (Vaswani et al. 2017), with scale 1 / √d by default.

    `query` [*, l, d], `key` [*, s, d], `value` [*, s, e] give [*, l, e]. The mask is added, or, if it holds truth values,
    says what may be attended to; a query that may attend to nothing gets 0. `is_causal` hides what comes later.
    `enable_gqa` lets several heads of the query share one of key and value.
    """
    q, k, v = (as_tensor(t) for t in (query, key, value))
    if min(q.ndim, k.ndim, v.ndim) < 2 or q._data.shape[-1] != k._data.shape[-1]:
        raise ShapeError(
            f"scaled_dot_product_attention: [*, l, d], [*, s, d] and [*, s, e] are required, got {q._data.shape}, "
            f"{k._data.shape} and {v._data.shape}."
        )
    if not q._data.dtype == k._data.dtype == v._data.dtype:
        raise DTypeError(
            f"scaled_dot_product_attention: tensors of one dtype are required, got {q.dtype}, {k.dtype} and {v.dtype}."
        )
    if is_causal and attn_mask is not None:
        raise _Both("scaled_dot_product_attention: attn_mask and is_causal exclude each other.")
    if enable_gqa:
        k = k.repeat_interleave(q._data.shape[-3] // k._data.shape[-3], -3)  # type: ignore[attr-defined]
        v = v.repeat_interleave(q._data.shape[-3] // v._data.shape[-3], -3)  # type: ignore[attr-defined]
    factor = 1 / math.sqrt(max(q._data.shape[-1], 1)) if scale is None else scale
    scores: Any = (q * factor) @ k.transpose(-2, -1)  # type: ignore[operator, attr-defined]
    if is_causal:
        later = np.triu(np.ones(scores._data.shape[-2:], bool), 1)
        scores = scores.masked_fill(TensorBase._wrap(later), -math.inf)
    weights = _weights(scores, attn_mask)
    return dropout(weights, dropout_p) @ v if dropout_p > 0 else weights @ v  # type: ignore[operator, no-any-return]


def _weights(scores: Any, mask: Any) -> Any:
    """Return the softmax of the scores under a mask."""
    if mask is None:
        return softmax(scores, -1)
    m: Any = as_tensor(mask)
    if m._data.dtype.kind != "b":
        empty = (m == -math.inf).all(-1, keepdim=True)
        return softmax(scores + m.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)  # type: ignore[attr-defined]
    hidden = m.logical_not()
    empty = hidden.all(-1, keepdim=True)  # such rows are left open first, so that no NaN enters their gradient
    weights: Any = softmax(scores.masked_fill(hidden.logical_and(empty.logical_not()), -math.inf), -1)
    return weights.masked_fill(empty, 0.0)


class _Both(ArgumentError, RuntimeError):
    """Two settings that exclude each other: PyTorch raises RuntimeError."""
