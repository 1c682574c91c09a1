"""Differences from PyTorch that are meant, as data: each row allows the checks it matches to fail, with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One allowed difference.

    `name` is a catalogue name, or "*"; `kind` one of values, gradient, second, forward, inplace, method, error,
    or "*"; `where(case)` narrows it down: a case has `name`, `kind`, `dtype`, `index`, `args` and `kwargs` (PyTorch's,
    the input first) and `error` (what PyTorch said, for error inputs).
    """

    name: str
    kind: str
    reason: str
    where: Callable[[Any], bool] = lambda case: True


_TIES = "which of several equal elements an index names is left open, and PyTorch's choice follows no rule"
_WIDER = "the sample is a view into a larger storage, which the comparison does not carry over"

DIFFERENCES: tuple[Difference, ...] = (
    Difference("sort", "values", _TIES, lambda case: case.dtype == "bool" and not case.kwargs.get("stable")),
    Difference("argsort", "values", _TIES, lambda case: case.dtype == "bool" and not case.kwargs.get("stable")),
    Difference("topk", "values", _TIES, lambda case: case.dtype == "int64"),
    Difference("kthvalue", "values", _TIES, lambda case: case.dtype == "int64"),
    Difference("mode", "values", _TIES, lambda case: case.dtype in ("int64", "bool")),
    Difference("as_strided", "*", _WIDER, lambda case: case.variant == "partial_views"),
    Difference(
        "logcumsumexp",
        "forward",
        "PyTorch's forward mode is rounded to seven digits here; ours agrees with difference quotients",
    ),
    Difference("max", "error", "numbers are taken as tensors of no dims", lambda case: case.variant == "binary"),
    Difference("min", "error", "numbers are taken as tensors of no dims", lambda case: case.variant == "binary"),
    Difference("asinh", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("Tensor.asinh_", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("acosh", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("Tensor.acosh_", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("atanh", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("Tensor.atanh_", "inplace", "PyTorch has no derivative of the form in place; here there is one"),
    Difference("vander", "gradient", "PyTorch writes over what its own derivative needs; here it is differentiable"),
    Difference(
        "nn.functional.scaled_dot_product_attention",
        "*",
        "attention weights are dropped at random, by another generator than PyTorch's",
        lambda case: case.kwargs.get("dropout_p", 0.0) > 0,
    ),
    Difference(
        "Tensor.addbmm_",
        "inplace",
        "PyTorch resizes the written tensor; here a write in place never changes a shape",
        lambda case: case.args[0].ndim < 2,
    ),
    Difference(
        "addbmm",
        "inplace",
        "PyTorch resizes the written tensor; here a write in place never changes a shape",
        lambda case: case.args[0].ndim < 2,
    ),
    Difference(
        "cholesky_inverse",
        "forward",
        "PyTorch's forward mode disagrees with difference quotients here, ours agrees with them",
        lambda case: case.kwargs.get("upper", False) is False,
    ),
    Difference(
        "linalg.norm",
        "second",
        "the second derivative of a norm at 0 is taken as 0, where PyTorch gives NaN",
        lambda case: case.variant == "subgradients_at_zero",
    ),
)


def allowed(case: Any) -> Difference | None:
    """Return the row that allows `case` to differ, if there is one."""
    for row in DIFFERENCES:
        if row.name in (case.name, "*") and row.kind in (case.kind, "*") and row.where(case):
            return row
    return None
