"""Rows of nn.functional: layers, pooling, normalisation, attention, losses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import signal
from scipy import special as sp

import thalweg as tw
from thalweg.nn import functional as F

from .table import Constant, Row, Sample, sample


def _normal(*shapes: tuple[int, ...], **settings: Any) -> Callable[[np.random.Generator], list[Sample]]:
    return lambda rng: [Sample(tuple(rng.standard_normal(s) for s in shapes), settings)]


def _row(name: str, samples: Any, reference: Any = None, function: Any = None, **more: Any) -> Row:
    return Row(f"nn.functional.{name}", function or getattr(F, name.split("[")[0]), samples, reference, **more)


# References


def _conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    k = x.ndim - 2
    x = np.pad(x, [(0, 0)] * 2 + [(padding, padding)] * k)
    wide = np.zeros((*w.shape[:2], *(dilation * (n - 1) + 1 for n in w.shape[2:])))
    wide[(slice(None), slice(None), *(slice(None, None, dilation),) * k)] = w
    per, each = w.shape[1], w.shape[0] // groups
    outs = []
    for n, o in itertools.product(range(len(x)), range(w.shape[0])):
        first = o // each * per
        full = sum(signal.correlate(x[n, first + c], wide[o, c], "valid") for c in range(per))
        outs.append(full[(slice(None, None, stride),) * k] + (0 if b is None else b[o]))
    return np.array(outs).reshape(len(x), w.shape[0], *outs[0].shape)


def _windows(x, size, stride, padding, value, reduce):
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], constant_values=value)
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))
    return reduce(view[:, :, ::stride, ::stride], (-1, -2))


def _standard(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def _attention(q, k, v):
    return sp.softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -1) @ v


def _nll(logp, target, weight=None, reduction="mean", ignore_index=-100):
    keep = target != ignore_index
    at = np.where(keep, target, 0)
    w = (np.ones(logp.shape[1]) if weight is None else weight)[at] * keep
    loss = -np.take_along_axis(logp, np.expand_dims(at, 1), 1).squeeze(1) * w
    return loss if reduction == "none" else loss.sum() / (w.sum() if reduction == "mean" else 1)


def _classes(rng, *shape: int, n: int = 4) -> Any:
    return rng.integers(0, n, shape)


def _class_samples(*shape: int) -> Callable[[np.random.Generator], list[Sample]]:
    def samples(rng: np.random.Generator) -> list[Sample]:
        x = rng.standard_normal((shape[0], 4, *shape[1:]))
        y, w = _classes(rng, *shape), Constant(rng.uniform(0.5, 2, 4))
        z = y.copy()
        z.flat[0] = -100
        return [
            sample(x, y),
            sample(x, y, w),
            sample(x, z, w, reduction="sum"),
            sample(x, z, reduction="none"),
        ]

    return samples


def _signed(*shapes: tuple[int, ...], sign: tuple[int, ...] = (6,), **settings: Any) -> Any:
    def samples(rng: np.random.Generator) -> list[Sample]:
        xs = [rng.standard_normal(s) for s in shapes]
        return [Sample((*xs, Constant(rng.choice([-1.0, 1.0], sign))), settings)]

    return samples


def _seeded(function: Callable[..., Any], *more: Any) -> Callable[..., Any]:
    return lambda x: function(x, *more, training=True, generator=tw.Generator().manual_seed(3))


def _cos(x, y):
    return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


LAYERS = (
    _row("linear", _normal((3, 4), (2, 4), (2,)), lambda x, w, b: x @ w.T + b),
    _row("linear[plain]", _normal((2, 2, 3), (2, 3)), lambda x, w: x @ w.T),
    _row(
        "bilinear",
        _normal((3, 2), (3, 3), (2, 2, 3), (2,)),
        lambda x, y, w, b: np.einsum("ni,kij,nj->nk", x, w, y) + b,
    ),
    _row("conv1d", _normal((2, 2, 5), (2, 2, 3), (2,), stride=2, padding=1), _conv),
    _row("conv2d", _normal((1, 2, 4, 4), (2, 1, 2, 2), groups=2, dilation=2), _conv),
    _row("conv2d[bias]", _normal((1, 2, 4, 3), (2, 2, 2, 2), (2,)), _conv),
    _row("conv3d", _normal((1, 1, 3, 3, 2), (1, 1, 2, 2, 2)), _conv),
    _row("conv_transpose1d", _normal((2, 2, 3), (2, 1, 3), (1,), stride=2, padding=1, output_padding=1)),
    _row("conv_transpose2d", _normal((1, 2, 2, 3), (2, 1, 2, 2), groups=2, stride=2)),
    _row("conv_transpose3d", _normal((1, 1, 2, 2, 1), (1, 2, 2, 1, 2))),
    _row("unfold", _normal((1, 2, 3, 4), kernel_size=2, padding=1, stride=2)),
    _row("fold", _normal((1, 8, 2), output_size=(2, 3), kernel_size=2)),
    _row("pad", _normal((2, 3), pad=(1, -1), value=2.0), lambda x, pad, value: np.pad(x, ((0, 0), (1, 0)), constant_values=2)[:, :-1]),
    _row("pad[reflect]", _normal((1, 2, 3), pad=(2, 1), mode="reflect"), lambda x, pad, mode: np.pad(x, ((0, 0), (0, 0), (2, 1)), "reflect")),
    _row("pad[circular]", _normal((1, 2, 3), pad=(2, 1), mode="circular"), lambda x, pad, mode: np.pad(x, ((0, 0), (0, 0), (2, 1)), "wrap")),
    _row("interpolate", _normal((1, 1, 3), size=5, mode="linear"), lambda x, size, mode: np.array([[[x[0, 0] @ c for c in _linear_columns()]]])),
    _row("interpolate[nearest]", _normal((1, 2, 2), scale_factor=2), lambda x, scale_factor: x.repeat(2, -1)),
    _row("interpolate[bicubic]", _normal((1, 1, 3, 2), size=(4, 3), mode="bicubic", align_corners=True)),
    _row("pixel_shuffle", _normal((1, 4, 1, 2), upscale_factor=2)),
    _row("pixel_unshuffle", _normal((1, 1, 2, 4), downscale_factor=2)),
    _row("channel_shuffle", _normal((1, 4, 2), groups=2)),
    _row("embedding", lambda rng: [sample(_classes(rng, 2, 3), rng.standard_normal((4, 2)))], lambda i, w: w[i]),
    _row("embedding[squared]", lambda rng: [sample(_classes(rng, 5), rng.standard_normal((4, 2)))], lambda i, w: w[i] ** 2,
         lambda i, w: F.embedding(i, w) ** 2),
    _row("one_hot", lambda rng: [sample(_classes(rng, 2, 3), 5)], lambda i, n: np.eye(n, dtype=int)[i], differentiable=False),
)  # fmt: skip


def _linear_columns() -> list[np.ndarray]:
    columns = []
    for k in range(5):
        at = max((k + 0.5) * 3 / 5 - 0.5, 0)
        low = min(int(at), 2)
        c = np.zeros(3)
        c[low] += 1 - (at - low)
        c[min(low + 1, 2)] += at - low
        columns.append(c)
    return columns


POOLS = (
    _row("max_pool1d", _normal((1, 2, 6), kernel_size=2)),
    _row(
        "max_pool2d",
        _normal((1, 1, 4, 4), kernel_size=3, stride=2, padding=1),
        lambda x, kernel_size, stride, padding: _windows(x, 3, 2, 1, -np.inf, np.max),
    ),
    _row("max_pool2d[twice]", _normal((1, 1, 4, 4), kernel_size=2), None, lambda x, **k: F.max_pool2d(x, **k) ** 2),
    _row(
        "max_pool2d[indices]",
        lambda rng: [sample(rng.permutation(40).reshape(1, 2, 4, 5) / 8, kernel_size=2, stride=1)],  # no near ties
        None,
        lambda x, **k: F.max_pool2d(x, return_indices=True, **k),
    ),
    _row(
        "max_unpool2d[twice]",
        lambda rng: [sample(rng.standard_normal((1, 1, 1, 2)), np.array([[[[1, 6]]]]), 2)],
        None,
        lambda x, at, k: F.max_unpool2d(x, at, k) ** 2,
    ),
    _row("max_pool3d", _normal((1, 1, 2, 3, 4), kernel_size=2, ceil_mode=True)),
    _row(
        "max_unpool2d",
        lambda rng: [sample(rng.standard_normal((1, 1, 1, 2)), np.array([[[[1, 6]]]]), 2)],
        lambda x, at, k: np.array([[[[0, x.flat[0], 0, 0], [0, 0, x.flat[1], 0]]]]),
    ),
    _row("avg_pool1d", _normal((1, 2, 5), kernel_size=3, padding=1, count_include_pad=False)),
    _row(
        "avg_pool2d",
        _normal((1, 1, 4, 4), kernel_size=3, stride=2, padding=1),
        lambda x, kernel_size, stride, padding: _windows(x, 3, 2, 1, 0, np.mean),
    ),
    _row("avg_pool3d", _normal((1, 1, 2, 3, 4), kernel_size=2, ceil_mode=True, divisor_override=3)),
    _row("adaptive_avg_pool1d", _normal((1, 2, 5), output_size=3)),
    _row(
        "adaptive_avg_pool2d",
        _normal((1, 1, 4, 6), output_size=2),
        lambda x, output_size: x.reshape(1, 1, 2, 2, 2, 3).mean((3, 5)),
    ),
    _row("adaptive_avg_pool3d", _normal((1, 1, 3, 2, 2), output_size=(2, 1, 2))),
    _row("adaptive_max_pool1d", _normal((1, 2, 5), output_size=3)),
    _row("adaptive_max_pool2d", _normal((1, 1, 3, 4), output_size=2)),
    _row("adaptive_max_pool3d", _normal((1, 1, 3, 2, 2), output_size=(2, 1, 2))),
    _row("lp_pool1d", lambda rng: [sample(rng.uniform(1, 2, (1, 2, 5)), 3.0, 2)]),
    _row("lp_pool2d", lambda rng: [sample(rng.uniform(1, 2, (1, 1, 4, 2)), 2.0, 2)]),
)

NORMS = (
    _row(
        "batch_norm",
        _normal((4, 2, 2), (2,), (2,)),
        lambda x, w, b: _standard(x, (0, 2)) * w[:, None] + b[:, None],
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    ),
    _row(
        "batch_norm[evaluation]",
        lambda rng: [sample(rng.standard_normal((4, 2)), Constant(rng.standard_normal(2)), Constant(rng.uniform(1, 2, 2)))],
        lambda x, m, v: (x - m) / np.sqrt(v + 1e-5),
    ),
    _row("instance_norm", _normal((2, 2, 4)), lambda x: _standard(x, 2)),
    _row("layer_norm", _normal((3, 4), (4,), (4,)), lambda x, w, b: _standard(x, -1) * w + b,
         lambda x, w, b: F.layer_norm(x, (4,), w, b)),
    _row("group_norm", _normal((2, 4, 2)), lambda x: _standard(x.reshape(2, 2, 4), 2).reshape(2, 4, 2),
         lambda x: F.group_norm(x, 2)),
    _row("rms_norm", _normal((3, 4), (4,)), lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-3) * w,
         lambda x, w: F.rms_norm(x, (4,), w, 1e-3)),
    _row("local_response_norm", _normal((1, 4, 3), size=2, alpha=0.3)),
    _row("normalize", _normal((3, 4)), lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
    _row("softmax", _normal((2, 3), dim=-1), lambda x, dim: sp.softmax(x, dim)),
    _row("log_softmax", _normal((2, 3), dim=0), lambda x, dim: sp.log_softmax(x, dim)),
    _row("softmin", _normal((2, 3), dim=-1), lambda x, dim: sp.softmax(-x, dim)),
    _row("dropout", _normal((3, 4)), None, _seeded(F.dropout, 0.4), keeps_float32=False),
    _row("dropout1d", _normal((2, 3, 2)), None, _seeded(F.dropout1d, 0.4), keeps_float32=False),
    _row("dropout2d", _normal((2, 2, 2, 1)), None, _seeded(F.dropout2d, 0.4), keeps_float32=False),
    _row("dropout3d", _normal((2, 2, 1, 2, 1)), None, _seeded(F.dropout3d, 0.4), keeps_float32=False),
    _row("alpha_dropout", _normal((3, 4)), None, _seeded(F.alpha_dropout, 0.4), keeps_float32=False),
    _row("feature_alpha_dropout", _normal((2, 3, 2)), None, _seeded(F.feature_alpha_dropout, 0.4), keeps_float32=False),
    _row("cosine_similarity", _normal((3, 4), (3, 4)), _cos),
    _row("pairwise_distance", _normal((3, 4), (3, 4)), lambda x, y: np.linalg.norm(x - y + 1e-6, axis=-1)),
    _row("pdist", _normal((4, 2)), lambda x: np.array([np.linalg.norm(a - b) for a, b in itertools.combinations(x, 2)])),
    _row("scaled_dot_product_attention", _normal((2, 3, 2), (2, 4, 2), (2, 4, 3)), _attention),
    _row(
        "scaled_dot_product_attention[mask]",
        lambda rng: [sample(*(rng.standard_normal((3, 2)) for _ in range(3)), np.array([[True, False, True]] * 2 + [[False] * 3]))],
    ),
)  # fmt: skip

LOSSES = (
    _row("mse_loss", _normal((3, 4), (3, 4)), lambda x, y: ((x - y) ** 2).mean()),
    _row("l1_loss", _normal((3, 4), (3, 4), reduction="sum"), lambda x, y, reduction: abs(x - y).sum(), second=False),
    _row("smooth_l1_loss", _normal((3, 4), (3, 4), beta=0.3)),
    _row("huber_loss", _normal((3, 4), (3, 4), delta=0.4)),
    _row("nll_loss", _class_samples(3), _nll),
    _row("nll_loss[images]", _class_samples(2, 2), _nll),
    _row("cross_entropy", _class_samples(3), lambda x, *more, **settings: _nll(sp.log_softmax(x, 1), *more, **settings)),
    _row("cross_entropy[smoothing]", lambda rng: [sample(rng.standard_normal((3, 4)), _classes(rng, 3), label_smoothing=0.2)],
         lambda x, y, label_smoothing: -(((0.8 * np.eye(4)[y]) + 0.05) * sp.log_softmax(x, 1)).sum(1).mean()),
    _row("cross_entropy[probabilities]", lambda rng: [sample(rng.standard_normal((3, 4)), rng.dirichlet(np.ones(4), 3))],
         lambda x, y: -(y * sp.log_softmax(x, 1)).sum(1).mean()),
    _row("binary_cross_entropy", lambda rng: [sample(rng.uniform(0.1, 0.9, (2, 3)), rng.uniform(0.1, 0.9, (2, 3)))],
         lambda x, y: -(y * np.log(x) + (1 - y) * np.log(1 - x)).mean()),
    _row("binary_cross_entropy_with_logits", lambda rng: [sample(rng.standard_normal((2, 3)), rng.uniform(0, 1, (2, 3)), pos_weight=Constant(np.array([1.0, 2.0, 3.0])))],
         lambda x, y, pos_weight: -(pos_weight * y * sp.log_expit(x) + (1 - y) * sp.log_expit(-x)).mean()),
    _row("kl_div", lambda rng: [sample(rng.standard_normal((2, 3)), rng.uniform(0.1, 0.9, (2, 3)), reduction="batchmean")],
         lambda x, y, reduction: (y * (np.log(y) - x)).sum() / 2),
    _row("poisson_nll_loss", lambda rng: [sample(rng.standard_normal((2, 3)), rng.uniform(2, 5, (2, 3)), full=True)],
         lambda x, y, full: (np.exp(x) - y * x + y * np.log(y) - y + np.log(2 * np.pi * y) / 2).mean()),
    _row("gaussian_nll_loss", lambda rng: [sample(rng.standard_normal((2, 3)), rng.standard_normal((2, 3)), rng.uniform(1, 2, (2, 3)))],
         lambda x, y, v: (np.log(v) + (x - y) ** 2 / v).mean() / 2),
    _row("hinge_embedding_loss", _signed((6,)), lambda x, y: np.where(y == 1, x, np.maximum(0, 1 - x)).mean(), second=False),
    _row("margin_ranking_loss", _signed((6,), (6,), margin=0.1), lambda a, b, y, margin: np.maximum(0, -y * (a - b) + margin).mean(), second=False),
    _row("soft_margin_loss", _signed((6,)), lambda x, y: np.log1p(np.exp(-y * x)).mean()),
    _row("multi_margin_loss", lambda rng: [sample(rng.standard_normal((3, 4)), _classes(rng, 3), 2)]),
    _row("multilabel_margin_loss", lambda rng: [sample(rng.standard_normal((2, 4)), np.array([[3, 0, -1, 1], [1, -1, 2, 0]]))], second=False),
    _row("multilabel_soft_margin_loss", lambda rng: [sample(rng.standard_normal((2, 3)), Constant(rng.integers(0, 2, (2, 3)).astype(float)))],
         lambda x, y: -(y * sp.log_expit(x) + (1 - y) * sp.log_expit(-x)).mean()),
    _row("triplet_margin_loss", _normal((2, 3), (2, 3), (2, 3), swap=True)),
    _row("triplet_margin_with_distance_loss", _normal((2, 3), (2, 3), (2, 3))),
    _row("cosine_embedding_loss", _signed((3, 4), (3, 4), sign=(3,)),
         lambda x, z, y: np.where(y == 1, 1 - _cos(x, z), np.maximum(0, _cos(x, z))).mean()),
)  # fmt: skip

ROWS = (*LAYERS, *POOLS, *NORMS, *LOSSES)
