"""Rows of the shapes: other shapes over the same elements, joining and taking apart."""

from __future__ import annotations

import numpy as np
import scipy.linalg

import thalweg as tw

from .table import Row, Sample, Samples, sample


def on(*shape: int) -> Samples:
    return lambda rng: [sample(rng.uniform(-1, 1, shape))]


def two(*shape: int) -> Samples:
    return lambda rng: [sample(rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape))]


def row(name, shape, function, reference=None, **more):
    """A row of one array; PyTorch's and NumPy's function are often called alike."""
    return Row(name, function, on(*shape), reference or function, **more)


SHAPES = (
    row("reshape", (2, 3), lambda x: x.reshape(3, 2)),
    Row("Tensor.reshape_as", lambda x, y: x.reshape_as(y), two(2, 3), lambda x, y: x),
    row("Tensor.view", (2, 3), lambda x: x.view(6), np.ravel, strided=False),
    Row("Tensor.view_as", lambda x, y: x.view_as(y), two(2, 3), lambda x, y: x, strided=False),
    Row(
        "Tensor.view[dtype]",
        lambda x: x.view(tw.int64),
        on(2, 3),
        lambda x: x.view(np.int64),
        differentiable=False,
        keeps_float32=False,
        strided=False,
    ),
    row("flatten", (2, 3, 2), lambda x: tw.flatten(x, 1), lambda x: x.reshape(2, 6)),
    row("unflatten", (2, 6), lambda x: tw.unflatten(x, 1, (3, -1)), lambda x: x.reshape(2, 3, 2)),
    row("ravel", (2, 3), tw.ravel, np.ravel),
    row("squeeze", (2, 1, 3), tw.squeeze, np.squeeze),
    row("squeeze[dim]", (2, 1, 3), lambda x: tw.squeeze(x, 1), np.squeeze),
    row("squeeze[dims]", (2, 1, 1), lambda x: tw.squeeze(x, (1, 2)), np.squeeze),
    row("unsqueeze", (2, 3), lambda x: tw.unsqueeze(x, -1), lambda x: x[..., None]),
    row("transpose", (2, 3, 2), lambda x: tw.transpose(x, 0, 1), lambda x: x.swapaxes(0, 1)),
    row("swapaxes", (2, 3), lambda x: tw.swapaxes(x, 0, 1), np.transpose),
    row("swapdims", (2, 3), lambda x: tw.swapdims(x, 0, 1), np.transpose),
    row("t", (2, 3), tw.t, np.transpose),
    row("Tensor.T", (2, 3), lambda x: x.T),
    row("Tensor.mT", (2, 3, 2), lambda x: x.mT),
    row("permute", (2, 3, 2), lambda x: tw.permute(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    row("movedim", (2, 3, 2), lambda x: tw.movedim(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    row("Tensor.expand", (2, 1), lambda x: x.expand(3, 2, 2), lambda x: np.broadcast_to(x, (3, 2, 2))),
    Row("Tensor.expand_as", lambda x, y: x.expand_as(y), two(2, 3), lambda x, y: x),
    row("broadcast_to", (2, 1), lambda x: tw.broadcast_to(x, (2, 3)), lambda x: np.broadcast_to(x, (2, 3))),
    Row(
        "broadcast_tensors",
        tw.broadcast_tensors,
        lambda rng: [sample(rng.random((2, 1)), rng.random(3))],
        np.broadcast_arrays,
    ),
    row("atleast_1d", (), tw.atleast_1d, np.atleast_1d),
    row("atleast_2d", (3,), tw.atleast_2d, np.atleast_2d),
    row("atleast_3d", (2, 3), tw.atleast_3d, np.atleast_3d),
    row("Tensor.contiguous", (2, 3), lambda x: x.T.contiguous(), np.transpose),
)


def swapped(rng: np.random.Generator) -> list[Sample]:
    return [sample([rng.random((2, 3)), rng.random((2, 1)), rng.random((2, 2))], 1)]


def lists(*shapes: tuple[int, ...]) -> Samples:
    return lambda rng: [sample([rng.random(s) for s in shapes])]


JOINS = (
    Row("cat", tw.cat, swapped, np.concatenate),
    Row("concat", tw.concat, swapped, np.concatenate),
    Row("stack", lambda xs: tw.stack(xs, 1), lists((2, 3), (2, 3)), lambda xs: np.stack(xs, 1)),
    Row("hstack", tw.hstack, lists((2, 3), (2, 1)), np.hstack),
    Row("vstack", tw.vstack, lists((2, 3), (3,)), np.vstack),
    Row("dstack", tw.dstack, lists((2, 3), (2, 3)), np.dstack),
    Row("column_stack", tw.column_stack, lists((2,), (2, 3)), np.column_stack),
    Row("block_diag", lambda xs: tw.block_diag(*xs), lists((2, 2), (1, 3)), lambda xs: scipy.linalg.block_diag(*xs)),
    Row("cartesian_prod", lambda xs: tw.cartesian_prod(*xs), lists((2,), (3,)), None),
    row("combinations", (4,), tw.combinations, lambda x: x[[[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]]),
    row("split", (5, 2), lambda x: tw.split(x, 2), lambda x: (x[:2], x[2:4], x[4:])),
    row("split_with_sizes", (2, 4), lambda x: tw.split_with_sizes(x, [1, 3], 1), lambda x: (x[:, :1], x[:, 1:])),
    row("chunk", (5, 2), lambda x: tw.chunk(x, 2), lambda x: (x[:3], x[3:])),
    row("tensor_split", (5, 2), lambda x: tw.tensor_split(x, 3), lambda x: np.array_split(x, 3)),
    row("hsplit", (2, 4), lambda x: tw.hsplit(x, 2), lambda x: np.hsplit(x, 2)),
    row("vsplit", (4, 2), lambda x: tw.vsplit(x, [1, 3]), lambda x: np.vsplit(x, [1, 3])),
    row("dsplit", (1, 2, 4), lambda x: tw.dsplit(x, 2), lambda x: np.dsplit(x, 2)),
    row("unbind", (3, 2), lambda x: tw.unbind(x, 1), lambda x: (x[:, 0], x[:, 1])),
)

ORDER = (
    row("flip", (2, 3), lambda x: tw.flip(x, (0, 1)), lambda x: x[::-1, ::-1]),
    row("fliplr", (2, 3), tw.fliplr, np.fliplr),
    row("flipud", (2, 3), tw.flipud, np.flipud),
    row("roll", (2, 3), lambda x: tw.roll(x, 1), lambda x: np.roll(x, 1)),
    row("roll[dims]", (2, 3), lambda x: tw.roll(x, (1, -1), (0, 1)), lambda x: np.roll(x, (1, -1), (0, 1))),
    row("rot90", (2, 3), lambda x: tw.rot90(x, 3), lambda x: np.rot90(x, 3)),
    row("Tensor.repeat", (2, 3), lambda x: x.repeat(2, 1, 2), lambda x: np.tile(x, (2, 1, 2))),
    row("tile", (2, 3), lambda x: tw.tile(x, (2,)), lambda x: np.tile(x, 2)),
    row("repeat_interleave", (2, 3), lambda x: tw.repeat_interleave(x, 2, 1), lambda x: np.repeat(x, 2, 1)),
    Row(
        "repeat_interleave[counts]",
        lambda x, n: tw.repeat_interleave(x, n, 0),
        lambda rng: [sample(rng.random((3, 2)), np.array([2, 0, 1]))],
        lambda x, n: np.repeat(x, n, 0),
    ),
)

DIAGONALS = (
    row("diag", (3, 3), lambda x: tw.diag(x, 1), lambda x: np.diag(x, 1)),
    row("diag[vector]", (3,), tw.diag, np.diag),
    row("diagflat", (2, 2), tw.diagflat, np.diagflat),
    row("diagonal", (2, 3, 3), lambda x: tw.diagonal(x, -1, 1, 2), lambda x: np.diagonal(x, -1, 1, 2)),
    row("diag_embed", (2, 2), tw.diag_embed, lambda x: np.stack([np.diag(r) for r in x])),
    row("tril", (3, 3), lambda x: tw.tril(x, 1), lambda x: np.tril(x, 1)),
    row("triu", (2, 3, 3), tw.triu, np.triu),
    row("trace", (2, 3), tw.trace, np.trace),
    row("narrow", (4, 2), lambda x: tw.narrow(x, 0, 1, 2), lambda x: x[1:3]),
    row("select", (4, 2), lambda x: tw.select(x, 0, -1), lambda x: x[-1]),
    row("Tensor.unfold", (6,), lambda x: x.unfold(0, 3, 2), lambda x: np.stack([x[:3], x[2:5]])),
    row(
        "as_strided",
        (6,),
        lambda x: tw.as_strided(x, (2, 3), (1, 2)),
        lambda x: np.stack([x[::2], x[1::2]]),
        strided=False,
    ),
    row(
        "as_strided[overlapping]",
        (4,),
        lambda x: tw.as_strided(x, (3, 2), (1, 1)),
        lambda x: np.stack([x[:2], x[1:3], x[2:]]),
        strided=False,
    ),
)

ROWS = (*SHAPES, *JOINS, *ORDER, *DIAGONALS)
