"""The operations of networks and an input for each: (name, shape, function of the library and the input)."""

# ruff: noqa: E741, RUF005

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def rows() -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Yield the table."""
    yield "conv1d", (2, 4, 7), lambda t, x: t.nn.functional.conv1d(x, t.ones(6, 4, 3, dtype=x.dtype))
    yield "conv1dL", (2, 4, 7), lambda t, x: t.nn.Conv1d(4, 6, 3, padding=1)(x.float()) * 0
    yield "conv2dL", (2, 4, 7, 6), lambda t, x: t.nn.Conv2d(4, 6, 3)(x.float()) * 0
    yield "conv2dLg", (2, 4, 7, 6), lambda t, x: t.nn.Conv2d(4, 6, 3, groups=2, stride=2, padding=1)(x.float()) * 0
    yield "conv2dLr", (2, 4, 7, 6), lambda t, x: t.nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect")(x.float()) * 0
    yield "conv2dLc", (2, 4, 7, 6), lambda t, x: t.nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular")(x.float()) * 0
    yield "conv2dLs", (2, 4, 7, 6), lambda t, x: t.nn.Conv2d(4, 6, 3, padding="same")(x.float()) * 0
    yield "conv3dL", (2, 4, 5, 5, 5), lambda t, x: t.nn.Conv3d(4, 6, 3)(x.float()) * 0
    for d in (1, 2, 3):
        yield (
            f"convT{d}",
            (2, 4) + (5,) * d,
            lambda t, x, d=d: getattr(t.nn, f"ConvTranspose{d}d")(4, 6, 3, stride=2, padding=1)(x.float()) * 0,
        )
        for p in ("MaxPool", "AvgPool"):
            yield f"{p}{d}", (2, 4) + (5,) * d, lambda t, x, d=d, p=p: getattr(t.nn, f"{p}{d}d")(2)(x)
            yield (
                f"{p}{d}ceil",
                (2, 4) + (5,) * d,
                lambda t, x, d=d, p=p: getattr(t.nn, f"{p}{d}d")(3, 2, 1, ceil_mode=True)(x),
            )
        yield (
            f"maxidx{d}",
            (2, 4) + (5,) * d,
            lambda t, x, d=d: getattr(t.nn, f"MaxPool{d}d")(2, return_indices=True)(x),
        )
        yield f"unbmax{d}", (4,) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"MaxPool{d}d")(2)(x)
        yield f"unbconv{d}", (4,) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"Conv{d}d")(4, 6, 3)(x.float()) * 0
        for a in ("AdaptiveAvgPool", "AdaptiveMaxPool"):
            yield f"{a}{d}", (2, 4) + (5,) * d, lambda t, x, d=d, a=a: getattr(t.nn, f"{a}{d}d")(3)(x)
            yield f"{a}{d}z", (2, 4) + (5,) * d, lambda t, x, d=d, a=a: getattr(t.nn, f"{a}{d}d")(0)(x)
        yield f"LPPool{d}", (2, 4) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"LPPool{d}d")(2, 2)(x)
        yield (
            f"MaxUnpool{d}",
            (2, 4) + (5,) * d,
            lambda t, x, d=d: getattr(t.nn, f"MaxUnpool{d}d")(2)(x, t.zeros(x.shape, dtype=t.int64)),
        )
        yield f"BN{d}", (2, 4) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"BatchNorm{d}d")(4)(x.float())
        yield f"BN{d}e", (2, 4) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"BatchNorm{d}d")(4).eval()(x.float())
        yield f"IN{d}", (2, 4) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"InstanceNorm{d}d")(4)(x.float())
        for m in ("nearest", {1: "linear", 2: "bilinear", 3: "trilinear"}[d], "area"):
            yield (
                f"interp{d}{m}",
                (2, 4) + (5,) * d,
                lambda t, x, m=m: t.nn.functional.interpolate(x, scale_factor=2, mode=m),
            )
            yield f"interpsz{d}{m}", (2, 4) + (5,) * d, lambda t, x, m=m: t.nn.functional.interpolate(x, size=4, mode=m)
        for pm in ("Reflection", "Replication", "Circular", "Constant", "Zero"):
            a = (1,) if pm != "Constant" else (1, 0.0)
            yield f"{pm}Pad{d}", (2, 4) + (5,) * d, lambda t, x, d=d, pm=pm, a=a: getattr(t.nn, f"{pm}Pad{d}d")(*a)(x)
        yield f"Dropout{d}", (2, 4) + (5,) * d, lambda t, x, d=d: getattr(t.nn, f"Dropout{d}d")()(x) * 0
    yield "bicubic", (2, 4, 5, 5), lambda t, x: t.nn.functional.interpolate(x, scale_factor=2, mode="bicubic")
    yield "unfold", (2, 4, 5, 5), lambda t, x: t.nn.functional.unfold(x, 2)
    yield "fold", (2, 8, 12), lambda t, x: t.nn.functional.fold(x, (5, 4), 2)
    yield "BN1-2d", (3, 4), lambda t, x: t.nn.BatchNorm1d(4)(x.float())
    yield "GN", (2, 4, 5), lambda t, x: t.nn.GroupNorm(2, 4)(x.float())
    yield "GN2", (2, 4), lambda t, x: t.nn.GroupNorm(4, 4)(x.float())
    yield "LN", (2, 4, 5), lambda t, x: t.nn.functional.layer_norm(x, x.shape[-1:])
    yield "LN2", (2, 4, 5), lambda t, x: t.nn.functional.layer_norm(x, x.shape[1:])
    yield "RMS", (2, 4, 5), lambda t, x: t.nn.functional.rms_norm(x, x.shape[-1:])
    yield "LRN", (2, 4, 5), lambda t, x: t.nn.LocalResponseNorm(2)(x)
    yield "Linear", (2, 4), lambda t, x: t.nn.Linear(4, 3)(x.float()) * 0
    yield "Bilinear", (2, 4), lambda t, x: t.nn.Bilinear(4, 4, 3)(x.float(), x.float()) * 0
    for r in ("RNN", "LSTM", "GRU"):
        yield r, (3, 2, 4), lambda t, x, r=r: getattr(t.nn, r)(4, 3)(x.float())[0] * 0
        yield (
            r + "b",
            (3, 2, 4),
            lambda t, x, r=r: getattr(t.nn, r)(4, 3, batch_first=True, bidirectional=True)(x.float())[0] * 0,
        )
        yield r + "u", (3, 4), lambda t, x, r=r: getattr(t.nn, r)(4, 3)(x.float())[0] * 0
        yield (
            r + "Cell",
            (2, 4),
            lambda t, x, r=r: (lambda o: (o[0] if isinstance(o, tuple) else o) * 0)(
                getattr(t.nn, r + "Cell")(4, 3)(x.float())
            ),
        )
    for l in (
        "l1_loss",
        "mse_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "kl_div",
        "poisson_nll_loss",
        "multilabel_soft_margin_loss",
    ):
        for red in ("mean", "sum", "none"):
            yield l + red, (3, 4), lambda t, x, l=l, red=red: getattr(t.nn.functional, l)(x, x.clone(), reduction=red)
    for red in ("mean", "sum", "none"):
        yield (
            "ce" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.cross_entropy(x, t.zeros(x.shape[:1], dtype=t.int64), reduction=red),
        )
        yield (
            "ce3" + red,
            (3, 4, 2),
            lambda t, x, red=red: t.nn.functional.cross_entropy(
                x, t.zeros(x.shape[:1] + x.shape[2:], dtype=t.int64), reduction=red
            ),
        )
        yield "ceprob" + red, (3, 4), lambda t, x, red=red: t.nn.functional.cross_entropy(x, x.clone(), reduction=red)
        yield (
            "nll" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.nll_loss(x, t.zeros(x.shape[:1], dtype=t.int64), reduction=red),
        )
        yield (
            "mm" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.multi_margin_loss(
                x, t.zeros(x.shape[:1], dtype=t.int64), reduction=red
            ),
        )
        yield (
            "mlm" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.multilabel_margin_loss(
                x, t.zeros(x.shape, dtype=t.int64), reduction=red
            ),
        )
        yield (
            "trip" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.triplet_margin_loss(x, x + 1, x + 2, reduction=red),
        )
        yield (
            "cosemb" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.cosine_embedding_loss(x, x + 1, t.ones(x.shape[:1]), reduction=red),
        )
        yield (
            "mrl" + red,
            (3,),
            lambda t, x, red=red: t.nn.functional.margin_ranking_loss(x, x + 1, t.ones(x.shape), reduction=red),
        )
        yield (
            "gnll" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.gaussian_nll_loss(x, x + 1, t.ones(x.shape), reduction=red),
        )
        yield (
            "hinge" + red,
            (3, 4),
            lambda t, x, red=red: t.nn.functional.hinge_embedding_loss(x, t.ones(x.shape), reduction=red),
        )
    yield "cos", (3, 4), lambda t, x: t.nn.functional.cosine_similarity(x, x)
    yield "pd", (3, 4), lambda t, x: t.nn.functional.pairwise_distance(x, x)
    yield "cdist", (3, 4), lambda t, x: t.cdist(x, x)
    yield "emb", (3, 4), lambda t, x: t.nn.Embedding(5, 2)(x.long()) * 0
    yield "onehot", (3, 4), lambda t, x: t.nn.functional.one_hot(x.long(), 5)
    for a in ("softmax", "log_softmax", "softmin", "glu"):
        yield a, (3, 4), lambda t, x, a=a: getattr(t.nn.functional, a)(x, -1)
        yield a + "0", (4, 3), lambda t, x, a=a: getattr(t.nn.functional, a)(x, 0)
    for a in (
        "relu",
        "elu",
        "gelu",
        "silu",
        "softplus",
        "hardtanh",
        "logsigmoid",
        "selu",
        "mish",
        "tanhshrink",
        "softsign",
    ):
        yield a, (3, 4), lambda t, x, a=a: getattr(t.nn.functional, a)(x)
    yield "prelu", (3, 4), lambda t, x: t.nn.PReLU(4)(x.float())
    yield "normalize", (3, 4), lambda t, x: t.nn.functional.normalize(x)
    yield "pixshuf", (2, 4, 3, 3), lambda t, x: t.nn.functional.pixel_shuffle(x, 2)
    yield "pixunshuf", (2, 4, 4, 4), lambda t, x: t.nn.functional.pixel_unshuffle(x, 2)
    yield "chshuf", (2, 4, 3, 3), lambda t, x: t.nn.functional.channel_shuffle(x, 2)
    yield "mha", (3, 2, 4), lambda t, x: t.nn.MultiheadAttention(4, 2)(x.float(), x.float(), x.float())[0] * 0
    yield "sdpa", (2, 3, 4), lambda t, x: t.nn.functional.scaled_dot_product_attention(x, x, x)
    yield "enc", (3, 2, 4), lambda t, x: t.nn.TransformerEncoderLayer(4, 2, 8).eval()(x.float()) * 0
    yield "flatten", (2, 3, 4), lambda t, x: t.nn.Flatten()(x)
    yield "unflatten", (2, 4, 3), lambda t, x: t.nn.Unflatten(1, (2, 2))(x)
    yield "dropout", (2, 3), lambda t, x: t.nn.Dropout()(x)
    yield "pad_seq", (2, 3), lambda t, x: t.nn.utils.rnn.pad_sequence([x, x])
    yield "gumbel", (2, 3), lambda t, x: t.nn.functional.gumbel_softmax(x) * 0


def emptied() -> list[tuple[str, tuple[int, ...], tuple[int, ...], Any]]:
    """Return (name, full shape, shape with one size of 0, function) for every dim of every row."""
    return [
        (f"{name}-{k}", shape, shape[:k] + (0,) + shape[k + 1 :], f)
        for name, shape, f in rows()
        for k in range(len(shape))
    ]
