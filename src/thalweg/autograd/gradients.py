"""Gradients on demand: ``backward`` fills ``.grad``, ``grad`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import engine
from ..core.modes import current, enter
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, GraphError, ShapeError
from ..ops.create import zeros_like
from ..ops.join import stack
from ..ops.tensor import Tensor
from .graph import GradientEdge

__all__ = ["backward", "grad"]

Tensors = Tensor | Sequence[Tensor]


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Tensors | None = None,
    inputs: Tensors | None = None,
) -> None:
    """Add to the ``.grad`` of every leaf the gradient of the sum over i of <grad_tensors[i], tensors[i]>.

    A seed may be None where the tensor has one element. With `inputs`, only these receive a gradient.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> tw.autograd.backward([x * x, 2 * x]); x.grad
    tensor(8.)
    """
    roots = _tuple(tensors)
    if grad_variables is not None:
        if grad_tensors is not None:
            raise GraphError("backward: give grad_tensors or its old name grad_variables, not both.")
        grad_tensors = grad_variables
    seeds = _seeds(roots, grad_tensors, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    pairs = [(root, engine.seed_for(root, seed)) for root, seed in zip(roots, seeds, strict=True)]
    del seeds  # a seed that only the walk holds can become a gradient without a copy
    if inputs is None:
        engine.backward_pass(pairs, None, create_graph, keep)
    else:
        engine.backward_into(pairs, inputs, create_graph, keep)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients, with respect to each input, of the sum over i of <grad_outputs[i], outputs[i]>; no ``.grad`` changes.

    `create_graph` records the computation, for derivatives of any order. An input that the outputs do not
    depend on is an error, unless `allow_unused` (then its gradient is None) or `materialize_grads` (then zeros).
    With `is_grads_batched` every seed has one more dim in front, and so does every gradient.

    >>> import thalweg as tw
    >>> x = tw.tensor(3.0, requires_grad=True)
    >>> (dy,) = tw.autograd.grad(x**3, x, create_graph=True)
    >>> (d2y,) = tw.autograd.grad(dy, x)
    >>> dy.item(), d2y.item()
    (27.0, 18.0)
    """
    roots, wanted = _tuple(outputs), _tuple(inputs)
    if materialize_grads and allow_unused is False:
        raise ArgumentError("grad: materialize_grads=True needs allow_unused=True, or left out; got False.")
    if not wanted:
        raise GraphError("grad: at least one input is required, got none.")
    for k, x in enumerate(wanted):
        if isinstance(x, GradientEdge):
            continue
        if not isinstance(x, TensorBase):
            raise DTypeError(f"grad: input {k} must be a tensor, got {type(x).__name__}.")
        if not x.requires_grad:
            raise GraphError(
                f"grad: input {k} (shape {x._data.shape}) does not require grad; call requires_grad_() on it before "
                "computing the outputs."
            )
    seeds = _seeds(roots, grad_outputs, "grad")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        found = _batched(roots, wanted, seeds, keep, create_graph)
    else:
        pairs = [(root, engine.seed_for(root, seed, "grad")) for root, seed in zip(roots, seeds, strict=True)]
        del seeds
        found = engine.backward_pass(pairs, wanted, create_graph, keep)
    if materialize_grads:
        if any(g is None and isinstance(x, GradientEdge) for g, x in zip(found, wanted, strict=True)):
            raise GraphError("grad: materialize_grads cannot make zeros for a GradientEdge, whose shape is unknown.")
        return tuple(
            zeros_like(x.detach()).requires_grad_(create_graph) if g is None else g
            for g, x in zip(found, wanted, strict=True)
        )
    if not allow_unused:
        for k, g in enumerate(found):
            if g is None:
                raise GraphError(
                    f"grad: the outputs do not depend on input {k} ({_named(wanted[k])}); give "
                    "allow_unused=True to get None for it, or materialize_grads=True to get zeros."
                )
    return tuple(found)


def _batched(
    roots: tuple[Tensor, ...], wanted: tuple[Tensor, ...], seeds: tuple[Any, ...], keep: bool, create_graph: bool
) -> list[Any]:
    """One walk per row of the seeds, stacked."""
    sizes = {s._data.shape[0] for s in seeds if s is not None and s._data.ndim}
    if len(sizes) != 1 or any(s is None for s in seeds):
        raise ShapeError(
            "grad: with is_grads_batched every seed needs one more dim in front, of one and the same size."
        )
    n = sizes.pop()
    rows = []
    for k in range(n):
        pairs = [(root, engine.seed_for(root, seed[k], "grad")) for root, seed in zip(roots, seeds, strict=True)]
        rows.append(engine.backward_pass(pairs, wanted, create_graph, keep or k < n - 1))
    outer = current()
    enter(outer.with_grad(create_graph))
    try:
        return [None if column[0] is None else stack(column) for column in zip(*rows, strict=True)]
    finally:
        enter(outer)


def _named(x: Any) -> str:
    return f"shape {x._data.shape}" if isinstance(x, TensorBase) else repr(x.node)


def _tuple(given: Any) -> tuple[Any, ...]:
    return (given,) if isinstance(given, (TensorBase, GradientEdge)) else tuple(given)


def _seeds(roots: tuple[Any, ...], given: Any, who: str) -> tuple[Any, ...]:
    for k, root in enumerate(roots):
        if not isinstance(root, TensorBase):
            raise DTypeError(f"{who}: output {k} must be a tensor, got {type(root).__name__}.")
    if given is None:
        return (None,) * len(roots)
    seeds = _tuple(given)
    if len(seeds) != len(roots):
        raise GraphError(f"{who}: one seed per output is required, got {len(seeds)} for {len(roots)}.")
    return seeds
