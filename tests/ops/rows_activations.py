"""Rows of the activation functions."""

from __future__ import annotations

import numpy as np
from scipy import special as sp

import thalweg as tw
from thalweg.ops import activations as act

from .table import Row, Sample, grid, sample

LEFT = (0.0,)


def _prelu(rng: np.random.Generator) -> list[Sample]:
    x = grid(avoid=LEFT)(rng)[0].args[0]
    return [sample(x, np.array(0.3)), sample(x, np.array([0.1, 0.2, 0.3])), sample(x, np.array([0.25]))]


def _glu(rng: np.random.Generator) -> list[Sample]:
    return [sample(rng.uniform(-2, 2, (2, 4)))]


def _row(name, function, samples, reference):
    return Row(f"nn.functional.{name}", function, samples, reference, inputs=1)


def _selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))


ROWS = (
    _row("relu6", act.relu6, grid(-2, 8, (0, 6)), lambda x: x.clip(0, 6)),
    _row("leaky_relu", lambda x: act.leaky_relu(x, 0.2), grid(avoid=LEFT), lambda x: np.where(x > 0, x, 0.2 * x)),
    Row("nn.functional.prelu", act.prelu, _prelu, lambda x, w: np.where(x > 0, x, w * x)),
    _row("rrelu", act.rrelu, grid(avoid=LEFT), lambda x: np.where(x > 0, x, 11 / 48 * x)),
    _row(
        "rrelu[training]",
        lambda x: act.rrelu(x, 0.2, 0.2, training=True, generator=tw.Generator().manual_seed(0)),
        grid(avoid=LEFT),
        lambda x: np.where(x > 0, x, 0.2 * x),
    ),
    _row("elu", lambda x: act.elu(x, 0.7), grid(avoid=LEFT), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    _row("selu", act.selu, grid(avoid=LEFT), _selu),
    _row("celu", lambda x: act.celu(x, 0.7), grid(avoid=LEFT), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    _row("gelu", act.gelu, grid(), lambda x: x * sp.ndtr(x)),
    _row(
        "gelu[tanh]",
        lambda x: act.gelu(x, approximate="tanh"),
        grid(),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    _row("silu", act.silu, grid(), lambda x: x * sp.expit(x)),
    _row("mish", act.mish, grid(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    _row(
        "softplus",
        lambda x: act.softplus(x, 2, 3),
        grid(avoid=(1.5,)),
        lambda x: np.where(x > 1.5, x, np.log1p(np.exp(2 * x)) / 2),
    ),
    _row("softsign", act.softsign, grid(avoid=LEFT), lambda x: x / (1 + abs(x))),
    _row("logsigmoid", act.logsigmoid, grid(-5, 5, avoid=LEFT), sp.log_expit),
    _row("hardtanh", act.hardtanh, grid(avoid=(-1, 1)), lambda x: x.clip(-1, 1)),
    _row("hardsigmoid", act.hardsigmoid, grid(-5, 5, (-3, 3)), lambda x: (x + 3).clip(0, 6) / 6),
    _row("hardswish", act.hardswish, grid(-5, 5, (-3, 3)), lambda x: x * (x + 3).clip(0, 6) / 6),
    _row("hardshrink", act.hardshrink, grid(avoid=(-0.5, 0.5)), lambda x: np.where(abs(x) <= 0.5, 0, x)),
    _row("softshrink", act.softshrink, grid(avoid=(-0.5, 0.5)), lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0)),
    _row("tanhshrink", act.tanhshrink, grid(), lambda x: x - np.tanh(x)),
    _row("threshold", lambda x: act.threshold(x, 0.1, 5), grid(avoid=(0.1,)), lambda x: np.where(x > 0.1, x, 5)),
    Row("nn.functional.glu", act.glu, _glu, lambda x: x[:, :2] * sp.expit(x[:, 2:])),
)
