"""Rows of creation, random draws, and writes in place: the primitives behind them, and what they compute."""

from __future__ import annotations

import numpy as np

import thalweg as tw

from .table import Row, Sample, grid, pairs, sample


def seeded() -> tw.Generator:
    return tw.Generator().manual_seed(3)


def vector(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.uniform(0.5, 2, 4)), sample(rng.uniform(0.5, 2, 2))]


def two_vectors(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.uniform(-1, 1, 3), rng.uniform(-1, 1, 2)), sample(rng.uniform(-1, 1, 3), np.array(0.5))]


def probabilities(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.uniform(0.1, 0.9, (2, 3))), sample(np.array(0.4)), sample(np.zeros((0, 3)))]


def whole_numbers(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.integers(0, 9, 5)), sample(np.array([], int))]


def in_place(write):
    """Return `write` on a copy, so that it can be differentiated."""
    return lambda x, *others: write(x.clone(), *others)


def piece(x, y):
    """Write into a part of a copy, through a view."""
    whole = x.clone()
    whole[0].copy_(y[1])
    return whole


def _piece(x, y):
    whole = x.copy()
    whole[0] = y[1]
    return whole


def drawn(name, draw):
    """A row of a draw that depends on no tensor: the second time it gives the same."""
    return Row(
        name,
        lambda x: draw(seeded()),
        grid(),
        lambda x: draw(seeded())._data,
        differentiable=False,
        keeps_float32=False,
    )


CREATED = (
    Row("clone", tw.clone, grid(), np.copy),
    Row("meshgrid", tw.meshgrid, two_vectors, lambda x, y: np.meshgrid(x, y, indexing="ij")),
    Row("meshgrid[xy]", lambda x, y: tw.meshgrid(x, y, indexing="xy"), two_vectors, np.meshgrid),
    Row("vander", tw.vander, vector, np.vander),
    Row(
        "vander[increasing]",
        lambda x: tw.vander(x, 3, increasing=True),
        vector,
        lambda x: np.vander(x, 3, increasing=True),
    ),
    Row("zeros_like", tw.zeros_like, grid(), np.zeros_like, differentiable=False),
    Row("ones_like", tw.ones_like, grid(), np.ones_like, differentiable=False),
    Row("full_like", lambda x: tw.full_like(x, 2), grid(), lambda x: np.full_like(x, 2), differentiable=False),
)

RANDOM = (
    drawn("rand", lambda g: tw.rand(2, 3, generator=g)),
    drawn("randn", lambda g: tw.randn(2, 3, generator=g)),
    drawn("randint", lambda g: tw.randint(0, 9, (2, 3), generator=g)),
    drawn("randperm", lambda g: tw.randperm(7, generator=g)),
    drawn("multinomial", lambda g: tw.multinomial(tw.tensor([0.2, 0.3, 0.5]), 2, generator=g)),
    drawn("multinomial[replacement]", lambda g: tw.multinomial(tw.tensor([[0.2, 0.8]]), 5, True, generator=g)),
    Row("bernoulli", lambda p: tw.bernoulli(p, generator=seeded()), probabilities, keeps_float32=False, strided=False),
    Row(
        "normal",
        lambda m, s: tw.normal(m.detach(), s.detach(), generator=seeded()),
        pairs(second=(0.5, 2)),
        differentiable=False,
        keeps_float32=False,
    ),
)

IN_PLACE = (
    Row("Tensor.exp_", in_place(lambda x: x.exp_()), grid(), np.exp),
    Row("Tensor.abs_", in_place(lambda x: x.abs_()), grid(avoid=(0.0,)), np.abs),
    Row("Tensor.sigmoid_", in_place(lambda x: x.sigmoid_()), grid(), lambda x: 1 / (1 + np.exp(-x))),
    Row("Tensor.add_", in_place(lambda x, y: x.add_(y, alpha=2)), pairs(), lambda x, y: x + 2 * y),
    Row("Tensor.mul_", in_place(lambda x, y: x.mul_(y)), pairs(), np.multiply),
    Row("Tensor.div_", in_place(lambda x, y: x.div_(y)), pairs(avoid=(0.0,)), np.true_divide),
    Row("Tensor.pow_", in_place(lambda x: x.pow_(3)), grid(), lambda x: x**3),
    Row("Tensor.addcmul_", in_place(lambda x, y: x.addcmul_(y, y, value=0.5)), pairs(), lambda x, y: x + y * y / 2),
    Row("Tensor.lerp_", in_place(lambda x, y: x.lerp_(y, 0.25)), pairs(), lambda x, y: x + (y - x) / 4),
    Row("Tensor.clamp_", in_place(lambda x: x.clamp_(-1, 1)), grid(avoid=(-1, 1)), lambda x: x.clip(-1, 1)),
    Row("Tensor.mvlgamma_", in_place(lambda x: x.mvlgamma_(2)), grid(1.5, 3)),
    Row("Tensor.copy_", in_place(lambda x, y: x.copy_(y)), pairs(), lambda x, y: y),
    Row("Tensor.copy_[view]", piece, pairs(), _piece),
    Row("Tensor.fill_", in_place(lambda x: x.fill_(2)), grid(), lambda x: np.full_like(x, 2)),
    Row("Tensor.bitwise_not_", in_place(lambda x: x.bitwise_not_()), whole_numbers, np.invert, differentiable=False),
)

ROWS = (*CREATED, *RANDOM, *IN_PLACE)
