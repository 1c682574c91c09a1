"""Reductions, scans, statistics and order as methods."""

from __future__ import annotations

from .. import distances, extremes, reduce, scan, softmax, statistics
from .. import sort as order


class Reductions:
    """Reductions, scans, statistics and order."""

    __slots__ = ()

    sum = reduce.sum
    log_softmax = softmax.log_softmax
    softmax = softmax.softmax
    mean = reduce.mean
    nansum = reduce.nansum
    nanmean = reduce.nanmean
    prod = reduce.prod
    logsumexp = reduce.logsumexp
    all = reduce.all
    any = reduce.any
    count_nonzero = reduce.count_nonzero
    amax = extremes.amax
    amin = extremes.amin
    aminmax = extremes.aminmax
    max = extremes.max
    min = extremes.min
    argmax = extremes.argmax
    argmin = extremes.argmin
    cumsum = scan.cumsum
    cumprod = scan.cumprod
    cummax = scan.cummax
    cummin = scan.cummin
    logcumsumexp = scan.logcumsumexp
    diff = scan.diff
    var = statistics.var
    std = statistics.std
    median = statistics.median
    nanmedian = statistics.nanmedian
    quantile = statistics.quantile
    nanquantile = statistics.nanquantile
    cov = statistics.cov
    corrcoef = statistics.corrcoef
    norm = distances.norm
    dist = distances.dist
    histc = distances.histc
    bincount = distances.bincount
    sort = order.sort
    argsort = order.argsort
    msort = order.msort
    topk = order.topk
    kthvalue = order.kthvalue
    mode = order.mode
    unique = order.unique
    unique_consecutive = order.unique_consecutive
