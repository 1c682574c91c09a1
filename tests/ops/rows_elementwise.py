"""Rows of the elementwise operations."""

from __future__ import annotations

import numpy as np
from scipy import special as sp

import thalweg as tw

from .table import Row, grid, pairs

ROWS = (
    Row("exp", tw.exp, grid(), np.exp, inputs=1),
    Row("log", tw.log, grid(0.3, 3), np.log, inputs=1),
    Row("sigmoid", tw.sigmoid, grid(), sp.expit, inputs=1),
    Row("add", tw.add, pairs(), np.add, inputs=2),
    Row("mul", tw.mul, pairs(), np.multiply, inputs=2),
    Row("div", tw.div, pairs(avoid=(0.0,)), np.true_divide, inputs=2),
)
