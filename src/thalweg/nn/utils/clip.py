"""Clipping gradients before a step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ...core.modes import current, enter
from ...core.tensor import TensorBase
from ...errors import ArgumentError
from ...ops.create import zeros
from ...ops.inplace import clamp_, mul_
from ...ops.join import stack
from ...ops.linalg_norms import vector_norm

__all__ = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm"]


class _NonFinite(ArgumentError, RuntimeError):
    """A gradient that is not finite: PyTorch raises RuntimeError where it checks."""


def _gradients(parameters: Any) -> list[Any]:
    given: Iterable[Any] = [parameters] if isinstance(parameters, TensorBase) else parameters
    return [p._grad for p in given if p._grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float | str = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Norm of all elements of all tensors, as if they were one vector."""
    given = [tensors] if isinstance(tensors, TensorBase) else list(tensors)
    if not given:
        return zeros(())
    order = float(norm_type)  # 'inf' is accepted as PyTorch does
    norms = [vector_norm(t, order) for t in given]
    total: Any = norms[0] if len(norms) == 1 else vector_norm(stack(norms), order)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise _nonfinite(total.item())
    return total


def _nonfinite(value: float) -> _NonFinite:
    return _NonFinite(
        f"clip_grad_norm_: a finite norm of the gradients is required, got {value}; nothing was changed "
        "(nonfinite='skip' sets such gradients to zero, so that the step changes nothing by them)."
    )


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = True,
    foreach: bool | None = None,
    *,
    nonfinite: str = "error",
) -> Any:
    """Multiply the gradients by ``min(1, max_norm / ‖g‖)``, in place; return ‖g‖, the norm of all of them together.

    This is exactly the projection onto the ball of radius `max_norm`: a gradient on or inside it does not change. (PyTorch
    divides by ‖g‖ + 1e-6.) A norm that is not finite is an error, before anything is changed; with ``nonfinite='skip'``
    the gradients become zero instead, and with ``error_if_nonfinite=False`` they are left as they are.

    >>> import thalweg as tw
    >>> p = tw.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = tw.tensor([3.0, 4.0])
    >>> tw.nn.utils.clip_grad_norm_([p], 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    if nonfinite not in ("error", "skip"):
        raise ArgumentError(f"clip_grad_norm_: nonfinite must be 'error' or 'skip', got {nonfinite!r}.")
    gradients = _gradients(parameters)
    outer = current()
    enter(outer.with_grad(False))
    try:
        total = get_total_norm(gradients, norm_type)
        if not gradients:
            return total
        if outer.recorder is not None:  # the norm is not known while a compiler watches
            factor = (max_norm / total).clamp_max(1.0)
            for g in gradients:
                mul_(g, factor.to(g.dtype))
            return total
        value = total.item()
        if not math.isfinite(value):
            if nonfinite == "skip":
                for g in gradients:
                    g.zero_()
            elif error_if_nonfinite:
                raise _nonfinite(value)
        elif value > max_norm:
            for g in gradients:
                mul_(g, max_norm / value)
        return total
    finally:
        enter(outer)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Keep every element of the gradients within [-clip_value, clip_value], in place."""
    if not clip_value >= 0:
        raise ArgumentError(f"clip_grad_value_: clip_value must be a number >= 0, got {clip_value}.")
    outer = current()
    enter(outer.with_grad(False))
    try:
        for g in _gradients(parameters):
            clamp_(g, -clip_value, clip_value)
    finally:
        enter(outer)
