"""Rows of the reductions, the scans, the statistics and the orders."""

from __future__ import annotations

import numpy as np
from scipy import special as sp

import thalweg as tw

from .table import Row, Sample, Samples, sample


def distinct(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers far enough apart that no difference quotient changes their order."""
    n = int(np.prod(shape))
    return (rng.permutation(n) * 0.37 - 0.171 * n).reshape(shape)


def over(*calls: tuple, low: float | None = None) -> Samples:
    """A sampler: a 2 × 3 array (distinct numbers, or uniform ones above `low`) with each of the arguments given."""

    def samples(rng: np.random.Generator) -> list[Sample]:
        make = lambda: distinct(rng, 2, 3) if low is None else rng.uniform(low, low + 2, (2, 3))
        return [sample(make(), *args) for args in calls]

    return samples


ALL = ((), (0,), (-1, True), ((0, 1),))
ONE = ((0,), (-1, True))


def keep(f):
    """NumPy's function with PyTorch's ``(dim, keepdim)``."""
    return lambda x, dim=None, keepdim=False: f(x, axis=dim, keepdims=keepdim)


def with_zeros(rng: np.random.Generator) -> list[Sample]:
    return [
        sample(np.array([[0.5, 0.0, -1.2], [2.0, 1.5, 0.3]]), 1),
        sample(np.array([[0.5, 0.0, 0.0], [2.0, 1.5, 0.3]]), 0),
        sample(np.array([0.5, 0.0, -1.2, 1.1])),
    ]


def cumprod_with_zeros(rng: np.random.Generator) -> list[Sample]:
    return [sample(np.array([[0.5, 0.0, -1.2, 1.4], [2.0, 1.5, 0.3, -0.7]]), 1), sample(rng.uniform(0.5, 2, (3, 2)), 0)]


def with_nan(*calls: tuple) -> Samples:
    def samples(rng: np.random.Generator) -> list[Sample]:
        x = distinct(rng, 3, 3)
        return [sample(np.array(x), *args) for args in calls]

    return samples


def numbers(*args, **kwargs) -> Samples:
    return lambda rng: [sample(rng.integers(0, 5, 12), *args, **kwargs)]


def logcumsumexp(x, dim):
    return np.logaddexp.accumulate(x, axis=dim)


def fixed(name, function, samples, reference, **more):
    """A row without derivatives."""
    return Row(name, function, samples, reference, differentiable=False, keeps_float32=False, **more)


REDUCTIONS = (
    Row("sum", tw.sum, over(*ALL), keep(np.sum)),
    Row("mean", tw.mean, over(*ALL), keep(np.mean)),
    Row("nansum", tw.nansum, over(*ALL), keep(np.nansum)),
    Row("nanmean", tw.nanmean, over(*ALL), keep(np.nanmean)),
    Row("prod", tw.prod, over((), (0,), (-1, True), low=0.3), keep(np.prod)),
    Row("prod[zeros]", tw.prod, with_zeros, keep(np.prod)),
    Row("logsumexp", tw.logsumexp, over((0,), (-1, True), ((0, 1),)), keep(sp.logsumexp)),
    Row("amax", tw.amax, over(*ALL), keep(np.max)),
    Row("amin", tw.amin, over(*ALL), keep(np.min)),
    Row("aminmax", lambda x: tw.aminmax(x, dim=1), over(()), lambda x: (x.min(1), x.max(1))),
    Row("max", lambda x, *a: tw.max(x, *a)[0] if a else tw.max(x), over((), *ONE), keep(np.max)),
    Row("min", lambda x, *a: tw.min(x, *a)[0] if a else tw.min(x), over((), *ONE), keep(np.min)),
    fixed("argmax", tw.argmax, over((), *ONE), keep(np.argmax)),
    fixed("argmin", tw.argmin, over((), *ONE), keep(np.argmin)),
    fixed("all", tw.all, lambda rng: [sample(rng.random((2, 3)) < 0.8, 1)], keep(np.all)),
    fixed("any", tw.any, lambda rng: [sample(rng.random((2, 3)) < 0.2, 1)], keep(np.any)),
    fixed("count_nonzero", tw.count_nonzero, numbers(), np.count_nonzero),
    Row("norm", tw.norm, over((), (2, 0), (1, 1), (3.5, 0), (float("inf"), 1)), None),
    Row(
        "dist",
        tw.dist,
        lambda rng: [sample(distinct(rng, 4), distinct(rng, 4) + 5)],
        lambda x, y: np.linalg.norm(x - y),
    ),
)

SCANS = (
    Row("cumsum", tw.cumsum, over((0,), (-1,)), np.cumsum),
    Row("cumsum[long]", tw.cumsum, lambda rng: [sample(rng.uniform(-1, 1, (4, 6)), 1)], np.cumsum),
    Row("cumprod", tw.cumprod, cumprod_with_zeros, np.cumprod),
    Row("cummax", lambda x, d: tw.cummax(x, d)[0], over((0,), (-1,)), np.maximum.accumulate),
    Row("cummin", lambda x, d: tw.cummin(x, d)[0], over((0,), (-1,)), np.minimum.accumulate),
    Row("logcumsumexp", tw.logcumsumexp, over((0,), (-1,)), logcumsumexp),
    Row("diff", tw.diff, over((), (2,), (1, 0)), lambda x, n=1, dim=-1: np.diff(x, n, axis=dim)),
    Row("trapezoid", tw.trapezoid, lambda rng: [sample(distinct(rng, 2, 4), distinct(rng, 4))], np.trapezoid),
    Row("cumulative_trapezoid", tw.cumulative_trapezoid, over(()), None),
)

STATISTICS = (
    Row("var", tw.var, over(*ALL[:3]), lambda x, dim=None, k=False: np.var(x, axis=dim, ddof=k if dim else 1)),
    Row("std", lambda x, d=None: tw.std(x, d), over((), (0,), (1,)), lambda x, d=None: np.std(x, axis=d, ddof=1)),
    Row("var_mean", lambda x: tw.var_mean(x, 1), over(()), lambda x: (x.var(1, ddof=1), x.mean(1))),
    Row("std_mean", lambda x: tw.std_mean(x, 1), over(()), lambda x: (x.std(1, ddof=1), x.mean(1))),
    Row("median", tw.median, lambda rng: [sample(distinct(rng, 5))], np.median),
    Row("median[dim]", lambda x: tw.median(x, 1)[0], over(()), lambda x: np.median(x, 1)),
    Row("nanmedian", tw.nanmedian, lambda rng: [sample(distinct(rng, 5))], np.nanmedian),
    Row("nanmedian[dim]", lambda x: tw.nanmedian(x, 1)[0], over(()), lambda x: np.nanmedian(x, 1)),
    Row("quantile", tw.quantile, over((0.3,), (0.6, 1)), lambda x, q, d=None: np.quantile(x, q, axis=d)),
    Row("nanquantile", tw.nanquantile, over((0.3,), (0.6, 1)), lambda x, q, d=None: np.nanquantile(x, q, axis=d)),
    Row("cov", tw.cov, over(()), np.cov),
    Row("corrcoef", tw.corrcoef, lambda rng: [sample(rng.uniform(-1, 1, (2, 4)))], np.corrcoef, rtol32=1e-4),
    fixed("histc", lambda x: tw.histc(x, 4, -1, 1), over(()), lambda x: np.histogram(x, 4, (-1, 1))[0].astype(float)),
    fixed("bincount", tw.bincount, numbers(), np.bincount),
    fixed("bincount[weights]", tw.bincount, lambda rng: [sample(rng.integers(0, 4, 6), rng.random(6))], np.bincount),
)


def keys(rng: np.random.Generator) -> list[Sample]:
    return [sample(np.array([-1.0, 0.0, 2.0, 2.0]), np.array([-2.0, 0.0, 2.0, 5.0]))]


ORDERS = (
    Row("sort", lambda x, d: tw.sort(x, d)[0], over((0,), (-1,)), np.sort),
    Row("sort[descending]", lambda x: tw.sort(x, descending=True)[0], over(()), lambda x: -np.sort(-x)),
    Row("sort[long]", lambda x: tw.sort(x)[0], lambda rng: [sample(distinct(rng, 20))], np.sort),
    fixed("argsort", tw.argsort, over(()), np.argsort),
    Row("msort", tw.msort, over(()), lambda x: np.sort(x, 0)),
    Row("topk", lambda x: tw.topk(x, 2)[0], over(()), lambda x: -np.sort(-x)[:, :2]),
    Row("kthvalue", lambda x: tw.kthvalue(x, 2)[0], over(()), lambda x: np.sort(x)[:, 1]),
    Row("mode", lambda x: tw.mode(x)[0], over(()), lambda x: x.min(1)),
    fixed("unique", tw.unique, numbers(), np.unique),
    fixed("unique_consecutive", tw.unique_consecutive, lambda rng: [sample(np.array([1, 1, 2, 1]))], lambda x: x[1:]),
    fixed("searchsorted", tw.searchsorted, keys, np.searchsorted),
    fixed("bucketize", lambda b, x: tw.bucketize(x, b), keys, np.searchsorted),
    fixed("isin", tw.isin, keys, np.isin),
)

ROWS = (*REDUCTIONS, *SCANS, *STATISTICS, *ORDERS)
