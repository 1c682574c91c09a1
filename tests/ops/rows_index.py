"""Rows of what picks and places by an index or a mask."""

from __future__ import annotations

import numpy as np

import thalweg as tw

from .table import Row, Sample, Samples, sample

KEYS = {
    "int": 1,
    "slice": slice(1, None),
    "steps": (slice(None), slice(0, 3, 2)),
    "none": (None, Ellipsis, 0),
    "all": Ellipsis,
    "list": [2, 0, 2],
    "two": ([0, 2, 2], [1, 1, 3]),
    "apart": ([0, 2], slice(None), None),
    "columns": (slice(None), [3, 0, 0]),
    "mask": np.array([True, False, True]),
}


def at(key):
    return lambda rng: [sample(rng.uniform(-1, 1, (3, 4)))]


GETITEM = tuple(
    Row(f"Tensor.__getitem__[{n}]", lambda x, k=k: x[k], at(k), lambda x, k=k: x[k]) for n, k in KEYS.items()
)


def written(x, value, key):
    out = x.copy() if isinstance(x, np.ndarray) else x.clone()
    out[key] = value
    return out


def picked(shape: tuple[int, ...], *indices: np.ndarray) -> Samples:
    return lambda rng: [sample(rng.uniform(-1, 1, shape), *indices)]


def placed(shape: tuple[int, ...], src: tuple[int, ...], *indices: np.ndarray) -> Samples:
    return lambda rng: [sample(rng.uniform(0.2, 1.2, shape), rng.uniform(1.3, 2.5, src), *indices)]


I2 = np.array([[0, 2], [1, 1], [2, 0]])  # along dim 1 of [3, 3]
MASK = np.array([[True, False, True], [False, True, False]])


def scattered(x, src, index, add=False):
    out = x.copy()
    for k in np.ndindex(index.shape):
        at = (k[0], index[k])
        out[at] = out[at] + src[k] if add else src[k]
    return out


def reduction(how, include):
    return lambda x, s, i: tw.scatter_reduce(x, 1, i, s, how, include_self=include)


def apart(rng: np.random.Generator) -> list[Sample]:
    x = (rng.permutation(15) * 0.21 + 0.1).reshape(3, 5)
    return [sample(x[:, :3].copy(), x[:, 3:].copy(), I2)]


def zeros_inside(rng: np.random.Generator) -> list[Sample]:
    x, s = rng.uniform(0.5, 1.5, (3, 3)), rng.uniform(0.5, 1.5, (3, 2))
    x[0, 0] = s[1, 1] = 0.0
    return [sample(x, s, I2)]


def put_rows(x, s, i, add=False):
    out = x.copy()
    if add:
        np.add.at(out, i, s)
    else:
        out[i] = s
    return out


ROWS3 = np.array([2, 0])
TWICE = np.array([2, 0, 2])

PICK = (
    Row("gather", lambda x, i: tw.gather(x, 1, i), picked((3, 3), I2), lambda x, i: np.take_along_axis(x, i, 1)),
    Row(
        "gather[fewer]", lambda x, i: tw.gather(x, 0, i), picked((3, 3), I2[:1, :]), lambda x, i: x[i[0], [0, 1]][None]
    ),
    Row(
        "take_along_dim",
        lambda x, i: tw.take_along_dim(x, i, 0),
        picked((3, 2), I2 - 2),
        lambda x, i: np.take_along_axis(x, i, 0),
    ),
    Row("index_select", lambda x, i: tw.index_select(x, 1, i), picked((2, 3), TWICE), lambda x, i: x[:, i]),
    Row("index_select[rows]", lambda x, i: tw.index_select(x, 0, i), picked((3, 2), TWICE), lambda x, i: x[i]),
    Row("take", tw.take, picked((2, 3), np.array([[5, -1], [0, 2]])), np.take),
    Row("masked_select", tw.masked_select, picked((2, 3), MASK), lambda x, m: x[m]),
    Row("nonzero", tw.nonzero, lambda rng: [sample(MASK)], np.argwhere, differentiable=False, keeps_float32=False),
    Row("argwhere", tw.argwhere, lambda rng: [sample(MASK)], np.argwhere, differentiable=False, keeps_float32=False),
)

PLACE = (
    Row(
        "scatter",
        lambda x, s, i: tw.scatter(x, 1, i, s),
        placed((3, 3), (3, 2), np.array([[0, 2], [1, 0], [2, 0]])),
        scattered,
    ),
    Row(
        "scatter[value]",
        lambda x, i: tw.scatter(x, 1, i, 2.5),
        picked((3, 3), I2),
        lambda x, i: scattered(x, np.full((3, 2), 2.5), i),
    ),
    Row(
        "scatter_add",
        lambda x, s, i: tw.scatter_add(x, 1, i, s),
        placed((3, 3), (3, 2), I2),
        lambda x, s, i: scattered(x, s, i, True),
    ),
    Row("scatter_reduce[sum]", reduction("sum", False), placed((3, 3), (3, 2), I2)),
    Row("scatter_reduce[mean]", reduction("mean", True), placed((3, 3), (3, 2), I2)),
    Row("scatter_reduce[prod]", reduction("prod", True), placed((3, 3), (3, 2), I2)),
    Row("scatter_reduce[prod of zeros]", reduction("prod", True), zeros_inside),
    Row("scatter_reduce[amax]", reduction("amax", True), apart),
    Row("scatter_reduce[amin]", reduction("amin", False), apart),
    Row(
        "index_add",
        lambda x, s, i: tw.index_add(x, 0, i, s, alpha=1),
        placed((3, 2), (3, 2), TWICE),
        lambda x, s, i: put_rows(x, s, i, True),
    ),
    Row(
        "index_add[columns]",
        lambda x, s, i: tw.index_add(x, 1, i, s),
        placed((2, 3), (2, 3), TWICE),
        lambda x, s, i: put_rows(x.T, s.T, i, True).T,
    ),
    Row("index_copy", lambda x, s, i: tw.index_copy(x, 0, i, s), placed((3, 2), (2, 2), ROWS3), put_rows),
    Row(
        "index_fill", lambda x, i: tw.index_fill(x, 0, i, 2.5), picked((3, 2), TWICE), lambda x, i: put_rows(x, 2.5, i)
    ),
    Row("index_fill[tensor]", lambda x, v, i: tw.index_fill(x, 0, i, v), placed((3, 2), (), TWICE), put_rows),
    Row("masked_fill", lambda x, m: tw.masked_fill(x, m, 2.5), picked((2, 3), MASK), lambda x, m: np.where(m, 2.5, x)),
    Row(
        "masked_fill[tensor]",
        lambda x, v, m: tw.masked_fill(x, m, v),
        placed((2, 3), (), MASK),
        lambda x, v, m: np.where(m, v, x),
    ),
    Row(
        "masked_scatter",
        lambda x, s, m: tw.masked_scatter(x, m, s),
        placed((2, 3), (4,), MASK),
        lambda x, s, m: put_rows(x, s[:3], m),
    ),
    Row(
        "Tensor.put",
        lambda x, s, i: x.put(i, s),
        placed((2, 3), (2,), np.array([5, -6])),
        lambda x, s, i: put_rows(x.ravel(), s, i).reshape(2, 3),
    ),
    Row("Tensor.put[accumulate]", lambda x, s, i: x.put(i, s, True), placed((2, 3), (3,), np.array([5, 0, -1]))),
    Row("index_put", lambda x, s, i: tw.index_put(x, (i,), s), placed((3, 2), (2, 2), ROWS3), put_rows),
    Row(
        "index_put[accumulate]",
        lambda x, s, i: tw.index_put(x, (i,), s, True),
        placed((3, 2), (2,), TWICE),
        lambda x, s, i: put_rows(x, s, i, True),
    ),
    Row(
        "Tensor.__setitem__",
        lambda x, s: written(x, s, (slice(None), 1)),
        placed((3, 2), (3,)),
        lambda x, s: written(x, s, (slice(None), 1)),
    ),
    Row("Tensor.__setitem__[mask]", lambda x, s, m: written(x, s, m), placed((2, 3), (3,), MASK), written),
    Row(
        "Tensor.__setitem__[list]",
        lambda x, s: written(x, s, [2, 0]),
        placed((3, 2), (2,)),
        lambda x, s: written(x, s, [2, 0]),
    ),
    Row(
        "select_scatter",
        lambda x, s: tw.select_scatter(x, s, 0, 1),
        placed((3, 2), (2,)),
        lambda x, s: written(x, s, 1),
    ),
    Row(
        "slice_scatter",
        lambda x, s: tw.slice_scatter(x, s, 0, 1),
        placed((3, 2), (2, 2)),
        lambda x, s: written(x, s, slice(1, 3)),
    ),
    Row(
        "diagonal_scatter", tw.diagonal_scatter, placed((2, 2), (2,)), lambda x, s: x - np.diag(np.diag(x)) + np.diag(s)
    ),
)

ROWS = (*GETITEM, *PICK, *PLACE)
