"""Random calls of convolution, pooling, padding and interpolation, good and bad, for both libraries."""

# ruff: noqa: RUF005

from __future__ import annotations

import random

import numpy as np

R = random.Random(0)


def arr(shape, rs):
    return rs.rand(*shape) if 0 not in shape else np.zeros(shape)


def per(k, vals, p=0.5):
    return R.choice(vals) if R.random() < p else tuple(R.choice(vals) for _ in range(R.choice([k] * 8 + [1, k + 1])))


def case():
    k = R.choice([1, 1, 2, 2, 3])
    rs = np.random.RandomState(R.randrange(10**6))
    size = lambda: tuple(R.choice([0] + [1, 2, 3, 4, 5, 6] * 3) for _ in range(k))
    lead = R.choice([(2, 4)] * 6 + [(4,)] * 2 + [(0, 4), (2, 0), (2, 3, 4), ()])
    x = arr(lead + size(), rs)
    kind = R.choice(
        ["conv", "convT", "max", "avg", "amax", "aavg", "lp", "unpool", "pad", "interp", "convmod", "maxidx"]
    )
    if kind in ("conv", "convT"):
        g = R.choice([1, 1, 1, 2, 3, 0, -1])
        w = (
            arr(
                (R.choice([6, 4, 6, 5]), R.choice([4, 4, 2, 3]))
                + tuple(R.choice([0] + [1, 2, 3] * 5) for _ in range(k)),
                rs,
            )
            if kind == "conv"
            else arr((R.choice([4, 4, 4, 3]), R.choice([3, 2])) + tuple(R.choice([1, 2, 3]) for _ in range(k)), rs)
        )
        b = R.choice([None, None, arr((w.shape[0],), rs), arr((R.choice([1, 5, 3]),), rs)])
        kw = dict(
            stride=per(k, [1, 1, 2, 3, 0, -1] if R.random() < 0.3 else [1, 2, 3]),
            dilation=per(k, [1, 1, 2, 0] if R.random() < 0.2 else [1, 2]),
            groups=g,
        )
        kw["padding"] = R.choice(
            [per(k, [0, 1, 2, -1] if R.random() < 0.2 else [0, 1, 2])] * 5
            + (["same", "valid", "foo"] if kind == "conv" else [])
        )
        if kind == "convT":
            kw["output_padding"] = per(k, [0, 0, 1, 2, -1] if R.random() < 0.3 else [0, 0, 1])
        f = lambda t, x, w, b: getattr(t.nn.functional, ("conv" if kind == "conv" else "conv_transpose") + f"{k}d")(
            x, w, b, **kw
        )
        return (kind, k, x.shape, w.shape, None if b is None else b.shape, kw), [x, w, b], f
    if kind == "convmod":
        kw = dict(
            padding=R.choice([0, 1, 2, 5]),
            padding_mode=R.choice(["zeros", "reflect", "replicate", "circular", "foo"]),
            stride=per(k, [1, 2]),
            groups=R.choice([1, 2, 3]),
            dilation=per(k, [1, 2]),
            bias=R.random() < 0.5,
        )
        if R.random() < 0.2:
            kw["padding"] = R.choice(["same", "valid", "foo"])
        a = (R.choice([4, 4, 4, 6]), R.choice([6, 6, 4, 5]), per(k, [1, 2, 3]))

        def f(t, x):
            m = getattr(t.nn, f"Conv{k}d")(*a, dtype=t.float64, **kw)
            with t.no_grad():
                for p in m.parameters():
                    p.fill_(0.1)
            return m(x)

        return (kind, k, x.shape, a, kw), [x], f
    if kind in ("max", "avg", "lp", "maxidx"):
        ks = R.choice([1, 2, 3]) if kind == "lp" else per(k, [1, 2, 3, 3, 0, -1] if R.random() < 0.2 else [1, 2, 3])
        st = R.choice([None, per(k, [1, 2, 3, 0, -1] if R.random() < 0.2 else [1, 2, 3]), []])
        kw = dict(ceil_mode=R.random() < 0.5)
        if kind != "lp":
            kw["padding"] = per(k, [0, 0, 1, 2, -1] if R.random() < 0.3 else [0, 1])
        if kind in ("max", "maxidx"):
            kw["dilation"] = per(
                k, [1, 1, 2, 0] if R.random() < 0.2 and not any(np.atleast_1d(kw["padding"]) > 0) else [1]
            )
        if kind == "maxidx":
            kw["return_indices"] = True
        if kind == "avg":
            kw["count_include_pad"] = R.random() < 0.5
            if k > 1 and R.random() < 0.4:
                kw["divisor_override"] = R.choice([None, 2, -3, 0])
        pre = (2,) if kind == "lp" else ()
        f = lambda t, x: getattr(
            t.nn.functional,
            {"max": "max_pool", "maxidx": "max_pool", "avg": "avg_pool", "lp": "lp_pool"}[kind] + f"{k}d",
        )(x, *pre, ks, st, **kw)
        return (kind, k, x.shape, ks, st, kw), [x], f
    if kind in ("amax", "aavg"):
        o = per(k, [1, 2, 3, None, 0, -1] if R.random() < 0.4 else [1, 2, 3, None])
        ri = kind == "amax" and R.random() < 0.5
        if k == 1 and o is None:
            o = 2
        kw = dict(return_indices=True) if ri else {}
        f = lambda t, x: getattr(t.nn, {"amax": "AdaptiveMaxPool", "aavg": "AdaptiveAvgPool"}[kind] + f"{k}d")(o, **kw)(
            x
        )
        return (kind, k, x.shape, o, kw), [x], f
    if kind == "unpool":
        ks = R.choice([2, 3])
        st = R.choice([None, R.choice([1, 2, 3])])
        pd = R.choice([0, 0, 1])
        os_ = R.choice([None, None, tuple(R.choice([4, 6, 7, 8, 9]) for _ in range(R.choice([k, k, k + 1, k + 2])))])
        idx = rs.permutation(max(1, int(np.prod(x.shape[-k:]))) * 3)[: int(np.prod(x.shape[-k:]))].reshape(x.shape[-k:])
        idx = np.broadcast_to(idx, x.shape).copy()
        if R.random() < 0.1:
            idx = idx[..., :1].copy()
        f = lambda t, x: getattr(t.nn.functional, f"max_unpool{k}d")(x, t.tensor(idx), ks, st, pd, os_)
        return (kind, k, x.shape, ks, st, pd, os_), [x], f
    if kind == "pad":
        m = R.choice(["constant", "reflect", "replicate", "circular"])
        n = R.choice([2 * k] * 6 + [2, 1, 2 * k + 2])
        pw = tuple(R.choice([0, 1, 2, 3, 6] if m == "circular" else [0, 1, 2, -1, -2, 3, 6, -6]) for _ in range(n))
        f = lambda t, x: t.nn.functional.pad(x, pw, mode=m)
        return (kind, k, x.shape, pw, m), [x], f
    m = R.choice(
        [
            "nearest",
            "nearest-exact",
            "area",
            {1: "linear", 2: R.choice(["bilinear", "bicubic"]), 3: "trilinear"}[k],
            "linear",
            "bilinear",
        ]
    )
    kw = {}
    if R.random() < 0.5:
        kw["size"] = per(k, [1, 2, 3, 5, 7, 0] if R.random() < 0.2 else [1, 2, 3, 5, 7])
    else:
        kw["scale_factor"] = per(k, [0.5, 2, 1.3, 0.1] if R.random() < 0.2 else [0.5, 2, 1.3])
    if R.random() < 0.1:
        kw = dict(size=2, scale_factor=2)
    if (m.endswith(("linear", "cubic")) and R.random() < 0.6) or R.random() < 0.05:
        kw["align_corners"] = R.random() < 0.5
    if R.random() < 0.1:
        kw["recompute_scale_factor"] = True
    f = lambda t, x: t.nn.functional.interpolate(x, mode=m, **kw)
    return (kind, k, x.shape, m, kw), [x], f
