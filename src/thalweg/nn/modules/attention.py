"""Attention of several heads (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core.tensor import TensorBase
from ...errors import ArgumentError, ShapeError
from ...ops.create import empty, zeros
from ...ops.join import cat
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .linear import Linear
from .module import Module

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer under the name that PyTorch prints for the output projection of attention."""


def _additive(mask: Any, dtype: Any) -> Any:
    """Return a mask (truth values: True hides; or numbers) as numbers to add to the scores."""
    if mask is None or mask._data.dtype.kind == "f":
        return mask
    if mask._data.dtype.kind != "b":
        raise _BadMask(f"MultiheadAttention: a mask of truth or floating-point values is required, got {mask.dtype}.")
    return zeros(mask.shape, dtype=dtype).masked_fill(mask, -math.inf)  # type: ignore[attr-defined]


class _BadMask(ArgumentError, RuntimeError):
    """PyTorch raises AssertionError or RuntimeError here."""


class _Width(ShapeError, AssertionError):
    """An embedding of another width: PyTorch raises AssertionError."""


class MultiheadAttention(Module):
    """Attention in `num_heads` subspaces of [L, N, E] (or [N, L, E] with `batch_first`, or [L, E]).

    Returns the result and, with `need_weights`, the weights, averaged over heads unless `average_attn_weights` is False.
    """

    bias_k: Any
    bias_v: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise _Heads(
                f"MultiheadAttention: embed_dim and num_heads must be > 0, embed_dim divisible by num_heads, got "
                f"{embed_dim} and {num_heads}."
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self._qkv_same_embed_dim:
            self.in_proj_weight = Parameter(empty(3 * embed_dim, embed_dim, dtype=dtype))
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = Parameter(empty(embed_dim, embed_dim, dtype=dtype))
            self.k_proj_weight = Parameter(empty(embed_dim, self.kdim, dtype=dtype))
            self.v_proj_weight = Parameter(empty(embed_dim, self.vdim, dtype=dtype))
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = Parameter(empty(3 * embed_dim, dtype=dtype))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        for name in ("bias_k", "bias_v"):
            setattr(self, name, Parameter(empty(1, 1, embed_dim, dtype=dtype)) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            for w in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(w)
        if self._parameters["in_proj_bias"] is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        e = self.embed_dim
        if query.shape[-1] != e:
            raise _Width(
                f"MultiheadAttention: a query of embedding dimension {e} is required, got {tuple(query.shape)}."
            )
        if self._qkv_same_embed_dim:
            weights = [self.in_proj_weight[k * e : (k + 1) * e] for k in range(3)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        b: Any = self._parameters["in_proj_bias"]
        biases = [None] * 3 if b is None else [b[k * e : (k + 1) * e] for k in range(3)]
        return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]

    def _heads(self, x: Any) -> Any:
        """Return [length, batch, embed_dim] as [batch, heads, length, head_dim]."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).permute(1, 2, 0, 3)

    def _mask(self, attn_mask: Any, padding: Any, n: int, shape: tuple[int, int], dtype: Any, extra: int) -> Any:
        """Return the masks, summed, in a shape that broadcasts over [batch, heads, target, source], or None."""
        mask = _additive(attn_mask, dtype)
        if mask is not None:
            good: tuple[int, ...] = shape if mask.ndim == 2 else (n * self.num_heads, *shape)
            if tuple(mask.shape) != good:
                raise ShapeError(
                    f"MultiheadAttention: attn_mask must have shape {shape} or {(n * self.num_heads, *shape)}, got "
                    f"{tuple(mask.shape)}."
                )
            mask = mask if mask.ndim == 2 else mask.reshape(n, self.num_heads, *shape)
        hidden = _additive(padding, dtype)
        if hidden is not None:
            if tuple(hidden.shape) != (n, shape[1]):
                raise ShapeError(
                    f"MultiheadAttention: key_padding_mask must have shape {(n, shape[1])}, got {tuple(hidden.shape)}."
                )
            hidden = hidden.reshape(n, 1, 1, shape[1])
            mask = hidden if mask is None else mask + hidden
        if mask is not None and extra:
            mask = F.pad(mask, (0, extra))
        return mask

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
            raise ShapeError(
                "MultiheadAttention: query, key and value of 2 or 3 dims each are required, got shapes "
                f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}."
            )
        if is_causal and attn_mask is None and need_weights:
            raise _BadMask("MultiheadAttention: is_causal needs attn_mask too, of which it is only a hint.")
        if not batched:
            query, key, value = (x.unsqueeze(1) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        n = query.shape[1]
        lengths = (query.shape[0], key.shape[0])
        if is_causal and attn_mask is None:
            attn_mask = TensorBase._wrap(np.triu(np.ones(lengths, bool), 1))
        q, k, v = self._projected(query, key, value)
        extra = 0
        if self.bias_k is not None:
            k = cat([k, self.bias_k.expand(1, n, -1)])
            v = cat([v, self.bias_v.expand(1, n, -1)])
            extra = 1
        if self.add_zero_attn:
            blank = zeros(1, n, self.embed_dim, dtype=k.dtype)
            k, v = cat([k, blank]), cat([v, blank])
            extra += 1
        mask = self._mask(attn_mask, key_padding_mask, n, lengths, q.dtype, extra)
        drop = self.dropout if self.training else 0.0
        out, weights = _attend(self._heads(q), self._heads(k), self._heads(v), mask, drop, need_weights)
        out = self.out_proj(out.permute(2, 0, 1, 3).reshape(lengths[0], n, self.embed_dim))
        if weights is not None and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            return out.squeeze(1), None if weights is None else weights.squeeze(0)
        return out.transpose(0, 1) if self.batch_first else out, weights


def _attend(q: Any, k: Any, v: Any, mask: Any, drop: float, need_weights: bool) -> tuple[Any, Any]:
    if not need_weights:
        return F.scaled_dot_product_attention(q, k, v, mask, drop), None
    scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.transpose(-2, -1)
    weights: Any = F.softmax(scores if mask is None else scores + mask, -1)
    if drop > 0:
        weights = F.dropout(weights, drop)
    return weights @ v, weights


class _Heads(ArgumentError, AssertionError):
    """PyTorch raises AssertionError (or ValueError) here."""
