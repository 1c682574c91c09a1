"""Checking derivatives against differences of values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..core import engine
from ..core.modes import current, enter
from ..core.moves import ALIAS
from ..core.tensor import TensorBase
from ..errors import ArgumentError, GraphError
from ..ops.create import zeros_like
from .forward_ad import level, with_tangent
from .gradients import grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(GraphError):
    """A derivative differs from the differences of the function."""


Tensors = TensorBase | Iterable[Any]


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensors,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the derivatives of `func` at `inputs` agree with (f(x + eps) - f(x - eps)) / 2 eps.

    The Jacobian is compared element by element, for every floating-point output and every input that requires
    grad; `fast_mode` compares uᵀJv for one random pair u, v instead. Inputs should be float64: in float32 the
    differences are mostly rounding. On disagreement the exception names the output, the input and both values,
    unless `raise_exception` is False.

    >>> import thalweg as tw
    >>> x = tw.tensor([0.5, 2.0], dtype=tw.float64, requires_grad=True)
    >>> tw.autograd.gradcheck(lambda x: x * x.sin(), x)
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise ArgumentError("gradcheck: check_forward_ad or check_backward_ad must be True, got False for both.")
    if check_batched_forward_grad and not check_forward_ad:
        raise ArgumentError("gradcheck: check_batched_forward_grad needs check_forward_ad.")
    if check_batched_grad and not check_backward_ad:
        raise ArgumentError("gradcheck: check_batched_grad needs check_backward_ad.")
    xs = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)
    check = _Check(func, xs, eps, atol, rtol)
    try:
        check.outputs_fit()
        if check_backward_ad:
            if fast_mode:
                check.backward_along_one_direction()
            else:
                check.backward(check_grad_dtypes)
            check.repeatable(nondet_tol)
            if check_undefined_grad:
                check.outputs_alone()
            if check_batched_grad:
                check.batched()
        if check_forward_ad:
            check.forward(fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


class _Check:
    def __init__(self, func: Callable[..., Any], xs: tuple[Any, ...], eps: float, atol: float, rtol: float) -> None:
        self.func, self.xs, self.eps, self.atol, self.rtol = func, xs, eps, atol, rtol
        self.wanted = [k for k, x in enumerate(xs) if isinstance(x, TensorBase) and x.requires_grad]
        if not self.wanted:
            raise ArgumentError("gradcheck: at least one input that requires grad is required, got none.")
        for k in self.wanted:
            if xs[k]._data.dtype != np.float64:
                warnings.warn(
                    f"gradcheck: input {k} requires grad and is {xs[k].dtype}; in less than float64 the differences are "
                    "mostly rounding.",
                    UserWarning,
                    stacklevel=3,
                )
            if xs[k]._data.size > 1 and 0 in xs[k]._data.strides:
                raise GraphError(f"gradcheck: input {k} has several elements at one place in memory; clone it.")
        self.random = np.random.default_rng(0)
        self.outputs = self.evaluate()

    def evaluate(self) -> list[Any]:
        result = self.func(*self.xs)
        several = list(result) if isinstance(result, (tuple, list)) else [result]
        tensors = [y for y in several if isinstance(y, TensorBase)]
        self.returned = len(tensors)
        # An input returned as it is stands for its identity: an alias of it has a place of its own in the graph.
        return [ALIAS.bind((y,)) if any(y is x for x in self.xs) else y for y in tensors if y._data.dtype.kind == "f"]

    def values(self) -> list[np.ndarray[Any, Any]]:
        return [y._data.copy() for y in self.evaluate()]

    def outputs_fit(self) -> None:
        if not self.returned:
            raise GradcheckError("gradcheck: the function must return at least one tensor, got none.")

    def differences(self, k: int) -> list[np.ndarray[Any, Any]]:
        """Return the Jacobian of every output in input `k`, [output elements, input elements], by central differences."""
        data = self.xs[k]._data
        columns: list[list[Any]] = [[] for _ in self.outputs]
        for at in np.ndindex(*data.shape):
            before = data[at]
            try:
                data[at] = before + self.eps
                above = self.values()
                data[at] = before - self.eps
                below = self.values()
            finally:
                data[at] = before
            for column, a, b in zip(columns, above, below, strict=True):
                column.append(((a - b) / (2 * self.eps)).ravel())
        return [
            np.stack(column, axis=1) if column else np.zeros((y._data.size, 0))
            for column, y in zip(columns, self.outputs, strict=True)
        ]

    def pulled(self, y: Any, g: Any) -> list[Any]:
        """Return the gradients in the inputs for the seed `g` of output `y`."""
        inputs = [self.xs[k] for k in self.wanted]
        if not y.requires_grad:
            return [None] * len(inputs)
        return list(grad(y, inputs, TensorBase._wrap(g), retain_graph=True, allow_unused=True))  # type: ignore[arg-type]

    def rows(self, j: int) -> list[np.ndarray[Any, Any]]:
        """Return the Jacobian of output `j` in every input, row by row in reverse mode."""
        y = self.outputs[j]
        found = [np.zeros((y._data.size, self.xs[k]._data.size)) for k in self.wanted]
        for row, at in enumerate(np.ndindex(*y._data.shape)):
            seed = np.zeros(y._data.shape, y._data.dtype)
            seed[at] = 1
            for jacobian, k, g in zip(found, self.wanted, self.pulled(y, seed), strict=True):
                if g is not None:
                    if g._data.shape != self.xs[k]._data.shape:
                        raise GradcheckError(
                            f"gradcheck: the gradient of output {j} in input {k} has shape {g._data.shape}, the input "
                            f"{self.xs[k]._data.shape}."
                        )
                    jacobian[row] = g._data.ravel()
        return found

    def backward(self, check_types: bool) -> None:
        numeric = [self.differences(k) for k in self.wanted]
        for j in range(len(self.outputs)):
            for n, k, analytic in zip(range(len(self.wanted)), self.wanted, self.rows(j), strict=True):
                self.compare("backward", j, k, analytic, numeric[n][j])
        if check_types:
            for j, y in enumerate(self.outputs):
                for k, g in zip(self.wanted, self.pulled(y, np.ones_like(y._data)), strict=True):
                    if g is not None and g.dtype is not self.xs[k].dtype:
                        raise GradcheckError(
                            f"gradcheck: the gradient of output {j} in input {k} is {g.dtype}, the input {self.xs[k].dtype}."
                        )

    def compare(self, mode: str, j: int, k: int, analytic: Any, numeric: Any) -> None:
        if np.allclose(analytic, numeric, self.rtol, self.atol, equal_nan=True):
            return
        gap = np.abs(analytic - numeric) - self.atol - self.rtol * np.abs(numeric)
        at = np.unravel_index(int(np.nanargmax(gap)) if not np.isnan(gap).all() else 0, gap.shape)
        raise GradcheckError(
            f"gradcheck: the {mode} derivative of output {j} in input {k} must agree with differences, and at element "
            f"{tuple(int(i) for i in at)} of the Jacobian (output, input) it is {analytic[at]:.6g} instead of "
            f"{numeric[at]:.6g}.\nby differentiation:\n{analytic}\nby differences:\n{numeric}"
        )

    def backward_along_one_direction(self) -> None:
        for k in self.wanted:
            data = self.xs[k]._data
            v = self.random.standard_normal(data.shape)
            before = data.copy()
            try:
                data[...] = before + self.eps * v
                above = self.values()
                data[...] = before - self.eps * v
                below = self.values()
            finally:
                data[...] = before
            for j, y in enumerate(self.outputs):
                u = self.random.standard_normal(y._data.shape)
                numeric = np.sum(u * ((above[j] - below[j]) / (2 * self.eps)))
                g = self.pulled(y, u.astype(y._data.dtype))[self.wanted.index(k)]
                analytic = np.sum(v * g._data) if g is not None else 0.0
                self.compare("backward", j, k, np.asarray([[analytic]]), np.asarray([[numeric]]))

    def repeatable(self, tolerance: float) -> None:
        for j, y in enumerate(self.outputs):
            seed = self.random.standard_normal(y._data.shape).astype(y._data.dtype)
            for a, b in zip(self.pulled(y, seed), self.pulled(y, seed), strict=True):
                if a is not None and b is not None and a._data.size and np.abs(a._data - b._data).max() > tolerance:
                    raise GradcheckError(f"gradcheck: two backward passes from output {j} must agree, and they do not.")

    def outputs_alone(self) -> None:
        """Gradients of a sum of outputs are the sums of gradients: so none is lost where others receive no seed."""
        live = [y for y in self.outputs if y.requires_grad]
        if len(live) < 2:
            return
        inputs = [self.xs[k] for k in self.wanted]
        pairs: list[tuple[TensorBase, Any]] = [(y, TensorBase._wrap(np.ones_like(y._data))) for y in live]
        together = engine.backward_pass(pairs, inputs, False, True)
        apart = [self.pulled(y, np.ones_like(y._data)) for y in live]
        for n, k in enumerate(self.wanted):
            total = sum((g[n]._data for g in apart if g[n] is not None), np.zeros(self.xs[k]._data.shape))
            found = together[n]
            if not np.allclose(total, 0.0 if found is None else found._data, self.rtol, self.atol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: the gradients of the outputs one by one must add up in input {k}, and do not."
                )

    def batched(self) -> None:
        for j, y in enumerate(self.outputs):
            seeds = self.random.standard_normal((2, *y._data.shape)).astype(y._data.dtype)
            inputs = [self.xs[k] for k in self.wanted]
            both = grad(y, inputs, TensorBase._wrap(seeds), True, allow_unused=True, is_grads_batched=True)  # type: ignore[arg-type]
            for row in range(2):
                for a, b in zip(both, self.pulled(y, seeds[row]), strict=True):
                    if b is not None and not np.allclose(a._data[row], b._data, self.rtol, self.atol, equal_nan=True):
                        raise GradcheckError(f"gradcheck: batched gradients of output {j} must equal those one by one.")

    def pushed(self, k: int, direction: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
        """Return J·direction for every output, in forward mode."""
        with level() as number:
            dual = with_tangent(self.xs[k], TensorBase._wrap(direction), number)
            result = self.func(*self.xs[:k], dual, *self.xs[k + 1 :])
        several = list(result) if isinstance(result, (tuple, list)) else [result]
        found = []
        for y in several:
            if isinstance(y, TensorBase) and y._data.dtype.kind == "f":
                t = y._tangents.get(number) if y._tangents is not None else None
                found.append(np.zeros_like(y._data) if t is None else t._data)
        return found

    def forward(self, fast: bool) -> None:
        for k in self.wanted:
            data = self.xs[k]._data
            numeric = self.differences(k)
            if fast:
                v = self.random.standard_normal(data.shape).astype(data.dtype)
                for j, t in enumerate(self.pushed(k, v)):
                    self.compare("forward", j, k, t.reshape(-1, 1), numeric[j] @ v.reshape(-1, 1))
                continue
            columns = []
            for at in np.ndindex(*data.shape):
                unit = np.zeros(data.shape, data.dtype)
                unit[at] = 1
                columns.append(self.pushed(k, unit))
            for j in range(len(self.outputs)):
                if columns:
                    self.compare("forward", j, k, np.stack([c[j].ravel() for c in columns], axis=1), numeric[j])


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second derivatives of `func` agree with differences of its first, in the inputs and in the seeds.

    The seeds are `grad_outputs`, or random.

    >>> import thalweg as tw
    >>> x = tw.tensor([0.5, 2.0], dtype=tw.float64, requires_grad=True)
    >>> tw.autograd.gradgradcheck(lambda x: x**3, x)
    True
    """
    xs = (inputs,) if isinstance(inputs, TensorBase) else tuple(inputs)

    def outputs_of(args: tuple[Any, ...]) -> list[Any]:
        result = func(*args)
        several = list(result) if isinstance(result, (tuple, list)) else [result]
        return [y for y in several if isinstance(y, TensorBase) and y.requires_grad]

    if grad_outputs is None:
        random = np.random.default_rng(1)
        seeds = []
        for y in outputs_of(xs):
            shape = y._data.shape
            values = (
                random.standard_normal((*shape, 2))[..., 0]
                if gen_non_contig_grad_outputs
                else random.standard_normal(shape)
            )
            seed = TensorBase._wrap(np.asarray(values, y._data.dtype))
            seed.requires_grad = True
            seeds.append(seed)
    else:
        seeds = [grad_outputs] if isinstance(grad_outputs, TensorBase) else list(grad_outputs)
    n = len(seeds)

    def gradient(*args: Any) -> tuple[Any, ...]:
        ours, given = args[: len(args) - n], args[len(args) - n :]
        wanted: Any = [x for x in ours if isinstance(x, TensorBase) and x.requires_grad]
        modes = current()
        enter(modes.with_grad(True))
        try:
            found = grad(outputs_of(ours), wanted, given, create_graph=True, allow_unused=True)
            return tuple(zeros_like(x.detach()) * x if g is None else g for g, x in zip(found, wanted, strict=True))
        finally:
            enter(modes)

    return gradcheck(
        gradient, (*xs, *seeds), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, masked=masked,
    )  # fmt: skip
