"""Derivatives of functions at a point: Jacobians, Hessians and their products with vectors.

The inputs are one tensor or a tuple of them, and results have the same form. Without `create_graph` results are
outside every graph; with it they stay differentiable in the inputs. With `strict`, an output that does not depend
on an input is an error instead of a zero. :mod:`thalweg.func` has the same as transforms that nest.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import func as transforms
from ..core.modes import current, enter
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, GraphError, ShapeError
from ..func import Pullback

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _several(given: Any, who: str, what: str) -> tuple[tuple[Any, ...], bool]:
    """Return tensors as a tuple, and whether they came as one."""
    alone = not isinstance(given, (tuple, list))
    values = (given,) if alone else tuple(given)
    for k, x in enumerate(values):
        if not isinstance(x, TensorBase):
            raise DTypeError(f"{who}: {what} must be a tensor or a tuple of tensors, got {type(x).__name__} at {k}.")
    return values, not alone


def _finished(values: Any, several: bool, create_graph: bool) -> Any:
    done = values if create_graph else tuple(x.detach() for x in values)
    return tuple(done) if several else done[0]


def _directions(v: Any, like: tuple[Any, ...], who: str, why: str) -> list[Any]:
    """Check the vector of a product, or make the only one there is."""
    if v is None:
        if len(like) != 1 or like[0]._data.size != 1:
            raise GraphError(f"{who}: v may be left out only for {why} of one element.")
        return [TensorBase._wrap(np.ones(like[0]._data.shape, like[0]._data.dtype))]
    given, _ = _several(v, who, "v")
    if len(given) != len(like):
        raise GraphError(f"{who}: v must have {len(like)} tensors, got {len(given)}.")
    for k, (a, x) in enumerate(zip(given, like, strict=True)):
        if a._data.shape != x._data.shape:
            raise ShapeError(f"{who}: v must have shape {x._data.shape} at {k}, got {a._data.shape}.")
    return list(given)


def _recording(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let `function` record where it is asked for a graph, whatever the caller's mode and inputs are."""

    @functools.wraps(function)
    def wrapped(
        func: Callable[..., Any], inputs: Any, *args: Any, create_graph: bool | None = None, **kwargs: Any
    ) -> Any:
        if create_graph is None:
            create_graph = bool(args[at]) if len(args) > at else False
        else:
            kwargs["create_graph"] = create_graph
        if not create_graph:
            return function(func, inputs, *args, **kwargs)
        modes = current()
        enter(modes.with_grad(True))
        try:
            return function(func, _tracked(inputs), *args, **kwargs)
        finally:
            enter(modes)

    def _tracked(inputs: Any) -> Any:
        if isinstance(inputs, (tuple, list)):
            return tuple(_tracked(x) for x in inputs)
        if not isinstance(inputs, TensorBase) or inputs.requires_grad or inputs._data.dtype.kind != "f":
            return inputs
        return inputs.detach().requires_grad_()

    at = list(inspect.signature(function).parameters).index("create_graph") - 2
    return wrapped


def _checked(outputs: tuple[Any, ...], strict: bool, who: str) -> None:
    for k, y in enumerate(outputs):
        if strict and not y.requires_grad:
            raise GraphError(f"{who}: with strict every output must depend on the inputs, and output {k} does not.")


@_recording
def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``func(*inputs)`` and vᵀJ.

    >>> import thalweg as tw
    >>> tw.autograd.functional.vjp(lambda x: x * x, tw.tensor([1.0, 2.0]), tw.tensor([1.0, 10.0]))[1]
    tensor([ 2., 40.])
    """
    xs, several = _several(inputs, "vjp", "inputs")
    back = Pullback("vjp", func, xs, tuple(range(len(xs))))
    outputs, many = _several(back.result, "vjp", "the result of the function")
    _checked(outputs, strict, "vjp")
    seeds = _directions(v, outputs, "vjp", "an output")
    found = back.pull(list(outputs), seeds, False, "vjp" if strict else "")
    return _finished([back.outward(y) for y in outputs], many, create_graph), _finished(found, several, create_graph)


@_recording
def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``func(*inputs)`` and J·v, in forward mode."""
    xs, _ = _several(inputs, "jvp", "inputs")
    moves = _directions(v, xs, "jvp", "an input")
    values, tangents = transforms.jvp(func, xs, tuple(moves), strict=strict)
    outputs, many = _several(values, "jvp", "the result of the function")
    moved, _ = _several(tangents, "jvp", "the result of the function")
    return _finished(outputs, many, create_graph), _finished(moved, many, create_graph)


@_recording
def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Jacobian: for each output and each input a tensor of shape output + input.

    `vectorize` is accepted and changes nothing; `strategy` chooses reverse (row by row) or forward mode (column
    by column).

    >>> import thalweg as tw
    >>> tw.autograd.functional.jacobian(lambda x: x * x, tw.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    xs, several = _several(inputs, "jacobian", "inputs")
    places = tuple(range(len(xs)))
    if strategy not in ("forward-mode", "reverse-mode"):
        raise ArgumentError(f"jacobian: strategy must be 'forward-mode' or 'reverse-mode', got {strategy!r}.")
    if strategy == "forward-mode" and strict:
        raise GraphError("jacobian: strict needs strategy='reverse-mode'.")
    if strategy == "reverse-mode":
        back = Pullback("jacobian", func, xs, places)
        outputs, many = _several(back.result, "jacobian", "the result of the function")
        _checked(outputs, strict, "jacobian")
        rows = [back.jacobian(y, "jacobian" if strict else "") for y in outputs]
    else:
        rows = transforms.jacfwd(func, places)(*xs)
        many = bool(rows) and not isinstance(rows[0], TensorBase)
        rows = rows if many else [rows]
    done = [_finished(row, several, create_graph) for row in rows]
    return tuple(done) if many else done[0]


@_recording
def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Hessian of a function with one element as its result: for inputs i and j a tensor of shape i + j.

    >>> import thalweg as tw
    >>> tw.autograd.functional.hessian(lambda x: (x**3).sum(), tw.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    xs, several = _several(inputs, "hessian", "inputs")
    gradient = _gradient(func, len(xs), strict, "hessian")
    rows = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return rows if several else rows[0][0]


def _gradient(func: Callable[..., Any], n: int, strict: bool, who: str) -> Callable[..., tuple[Any, ...]]:
    def scalar(*args: Any) -> Any:
        values, many = _several(func(*args), who, "the result of the function")
        if many or values[0]._data.size != 1:
            what = f"a tuple of {len(values)}" if many else f"shape {values[0]._data.shape}"
            raise GraphError(f"{who}: the function must return one tensor of one element, got {what}.")
        (value,) = values
        _checked((value,), strict, who)
        return value.reshape(())

    return transforms.grad(scalar, tuple(range(n)))


@_recording
def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and vᵀH, by reverse over reverse."""
    return _product(func, inputs, v, create_graph, strict, "vhp")


@_recording
def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of `func` and H·v, by forward over reverse.

    >>> import thalweg as tw
    >>> tw.autograd.functional.hvp(lambda x: (x**3).sum(), tw.tensor([1.0, 2.0]), tw.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _product(func, inputs, v, create_graph, strict, "hvp")


def _product(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, who: str
) -> tuple[Any, Any]:
    xs, several = _several(inputs, who, "inputs")
    moves = _directions(v, xs, who, "an input")
    value: Any = None

    def kept(*args: Any) -> Any:
        nonlocal value
        value = func(*args)
        return value

    gradient = _gradient(kept, len(xs), strict, who)
    if who == "hvp":
        _, found = transforms.jvp(gradient, xs, tuple(moves), strict=strict)
    else:
        back = Pullback(who, gradient, xs, tuple(range(len(xs))))
        _checked(back.result, strict, who)
        found = back.pull(list(back.result), moves, False, who if strict else "")
    shown = func(*xs) if create_graph else value.detach()
    return shown, _finished(found, several, create_graph)
