"""Transforms of functions: gradients, Jacobians, Hessians and their products, nested to any depth.

Arguments and results may be tuples, lists and dicts of tensors, nested. A transform differentiates with respect
to fresh stand-ins for its arguments, so nothing that is computed outside is confused with them; results stay
differentiable in whatever else they depend on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .autograd._tree import leaves_of, tree_map, unflatten
from .autograd.forward_ad import level, with_tangent
from .autograd.stateless import functional_call as functional_call
from .autograd.stateless import stack_module_state as stack_module_state
from .core.engine import backward_pass, edges_of
from .core.modes import current, enter
from .core.moves import ALIAS
from .core.node import BaseNode, Leaf
from .core.tangents import without_tangent
from .core.tensor import TensorBase
from .errors import ArgumentError, DTypeError, GraphError, ShapeError
from .ops.create import zeros_like
from .ops.join import stack

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "stack_module_state", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

Argnums = int | tuple[int, ...]


# Reverse mode


class Pullback:
    """Used by this module and by ``autograd.functional``: a function evaluated on stand-ins of some arguments, ready to be walked back any number of times."""

    def __init__(self, who: str, func: Callable[..., Any], args: tuple[Any, ...], at: tuple[int, ...], **kwargs: Any):
        self.modes = current()
        self.inputs = [_checked(x, who) for k in at for x in leaves_of(args[k])]
        self.own: set[BaseNode] = set()
        enter(self.modes.replace(inference=False, grad=True))
        try:
            shown = [self._stand_in(x) for x in self.inputs]
            self.probes = [x._alias() for x in shown]
            replaced = dict(zip(at, unflatten([args[k] for k in at], shown), strict=True))
            self.result = func(*(replaced.get(k, a) for k, a in enumerate(args)), **kwargs)
        finally:
            enter(self.modes)

    def _stand_in(self, x: TensorBase) -> TensorBase:
        shown: TensorBase = ALIAS.bind((x,))
        if shown._node is None:
            leaf = shown._node = Leaf(shown)
            self.own.add(leaf)
        shown._version_list = x._version_list
        return shown

    def outlives(self, tensors: list[Any]) -> bool:
        """Return whether `tensors` can be differentiated with respect to more than our own stand-ins."""
        if not self.modes.grad:
            return False
        seen: set[BaseNode] = set()
        todo = [t._fresh_node() for t in tensors if isinstance(t, TensorBase)]
        while todo:
            node = todo.pop()
            if node is None or node in seen or node in self.own:
                continue
            if isinstance(node, Leaf):
                return True
            seen.add(node)
            todo.extend(edges_of(node))
        return False

    def outward(self, x: Any) -> Any:
        """Return a result as the caller may see it: cut off, if nothing is behind it but our stand-ins."""
        if not isinstance(x, TensorBase) or not x.requires_grad or self.outlives([x]):
            return x
        enter(self.modes.with_grad(False))
        try:
            plain: TensorBase = ALIAS.bind((x,))
        finally:
            enter(self.modes)
        plain._version_list = x._version_list
        return plain

    def pull(self, outputs: list[Any], seeds: list[Any], keep: bool, strict: str = "") -> list[Any]:
        """Return the gradients of the inputs, zeros where nothing depends on them (an error by `strict`)."""
        found: list[Any] = [None] * len(self.probes)
        pairs = [(y, s) for y, s in zip(outputs, seeds, strict=True) if y.requires_grad]
        if pairs:
            create = self.outlives([*outputs, *seeds])
            found = backward_pass(pairs, self.probes, create, keep or create)
        if strict and any(g is None for g in found):
            k = next(k for k, g in enumerate(found) if g is None)
            raise GraphError(f"{strict}: with strict the outputs must depend on every input, and not on input {k}.")
        return [
            zeros_like(x.detach()) if g is None else self.outward(g) for g, x in zip(found, self.inputs, strict=True)
        ]

    def jacobian(self, y: Any, strict: str = "") -> list[Any]:
        """Return the derivative of an output in each input, of shape output + input."""
        rows = [self.pull([y], [_unit(y, k)], True, strict) for k in range(y._data.size)]
        columns: Any = zip(*rows, strict=True) if rows else [()] * len(self.inputs)
        return [
            _piled(column, (*y._data.shape, *x._data.shape), x) for column, x in zip(columns, self.inputs, strict=True)
        ]


def _checked(x: Any, who: str) -> TensorBase:
    if not isinstance(x, TensorBase):
        raise DTypeError(f"{who}: tensors are required as arguments to differentiate, got {type(x).__name__}.")
    if x._data.dtype.kind != "f":
        raise DTypeError(f"{who}: floating-point tensors are required, got {x.dtype}.")
    return x


def _outputs(result: Any, who: str) -> list[Any]:
    leaves = leaves_of(result)
    for y in leaves:
        if not isinstance(y, TensorBase):
            raise DTypeError(f"{who}: the function must return tensors, got {type(y).__name__}.")
    return leaves


def _split_aux(result: Any, has_aux: bool, who: str) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise DTypeError(f"{who}: with has_aux the function must return (output, aux), got {type(result).__name__}.")
    return result


def _places(argnums: Argnums, n: int, who: str) -> tuple[int, ...]:
    given = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    places = []
    for k in given:
        if not isinstance(k, int):
            raise DTypeError(f"{who}: argnums must be integers, got {k!r}.")
        if not -n <= k < n:
            raise GraphError(f"{who}: argnums must lie in [{-n}, {n - 1}] for {n} arguments, got {k}.")
        places.append(k % n)
    if not given or len(set(places)) != len(places):
        raise GraphError(f"{who}: argnums must name different arguments, at least one, got {argnums!r}.")
    return tuple(places)


def value_and_grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that returns the value of `func` (one element) and its gradient.

    >>> import thalweg as tw
    >>> tw.func.value_and_grad(lambda x: (x * x).sum())(tw.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        at = _places(argnums, len(args), "grad")
        back = Pullback("grad", func, args, at, **kwargs)
        value, aux = _split_aux(back.result, has_aux, "grad")
        if not isinstance(value, TensorBase) or value._data.size != 1 or value._data.ndim:
            what = f"shape {value._data.shape}" if isinstance(value, TensorBase) else type(value).__name__
            raise GraphError(f"grad: the function must return one tensor without dims, got {what}.")
        if value._data.dtype.kind != "f":
            raise GraphError(f"grad: the function must return a floating-point tensor, got {value.dtype}.")
        found = back.pull([value], [_ones(value)], False)
        result = unflatten(args[at[0]] if isinstance(argnums, int) else [args[k] for k in at], found)
        gradient = result if isinstance(argnums, int) else tuple(result)
        shown = back.outward(value)
        return (shown, (gradient, tree_map(back.outward, aux))) if has_aux else (shown, gradient)

    def rearranged(*args: Any, **kwargs: Any) -> Any:
        value, (gradient, aux) = transformed(*args, **kwargs)
        return (value, aux), gradient

    return functools.wraps(func)(rearranged) if has_aux else transformed


def _ones(x: TensorBase) -> TensorBase:
    return TensorBase._wrap(np.ones(x._data.shape, x._data.dtype))


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of `func`, a function with one element as its result, in the arguments `argnums`.

    >>> import thalweg as tw
    >>> tw.func.grad(tw.func.grad(lambda x: x**3))(tw.tensor(2.0))
    tensor(12.)
    """
    with_value = value_and_grad(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that returns the gradient of `func` and its value, in PyTorch's order."""
    with_value = value_and_grad(func, argnums, has_aux)

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        value, gradient = with_value(*args, **kwargs)
        return gradient, value

    return transformed


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)`` and the function g ↦ Jᵀg, which may be called any number of times.

    >>> import thalweg as tw
    >>> y, pull = tw.func.vjp(lambda x: x * x, tw.tensor([1.0, 2.0]))
    >>> pull(tw.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    if not primals:
        raise ArgumentError("vjp: at least one argument is required, got none.")
    back = Pullback("vjp", func, primals, tuple(range(len(primals))))
    result, aux = _split_aux(back.result, has_aux, "vjp")
    outputs = _outputs(result, "vjp")

    def pull(*cotangents: Any) -> tuple[Any, ...]:
        """Return Jᵀg, one tree for each argument."""
        given = cotangents[0] if len(cotangents) == 1 and not isinstance(result, tuple) else cotangents
        if len(cotangents) == 1 and isinstance(result, tuple) and isinstance(cotangents[0], tuple):
            given = cotangents[0]
        seeds = leaves_of(given)
        if len(seeds) != len(outputs):
            raise GraphError(
                f"vjp: one cotangent for each of the {len(outputs)} outputs is required, got {len(seeds)}."
            )
        for y, s in zip(outputs, seeds, strict=True):
            if s._data.shape != y._data.shape:
                raise ShapeError(f"vjp: a cotangent of shape {y._data.shape} is required, got {s._data.shape}.")
        return tuple(unflatten(primals, back.pull(outputs, seeds, True)))

    shown = tree_map(back.outward, result)
    return (shown, pull, tree_map(back.outward, aux)) if has_aux else (shown, pull)


# Forward mode


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False,
    has_aux: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """``func(*primals)`` and J·tangents, in one evaluation.

    With `strict`, a result that does not depend on the arguments is an error instead of having tangent 0.

    >>> import thalweg as tw
    >>> tw.func.jvp(lambda x: x * x, (tw.tensor([1.0, 2.0]),), (tw.tensor([1.0, 10.0]),))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    if not isinstance(primals, tuple) or not primals:
        raise GraphError(f"jvp: primals must be a tuple of arguments, got {type(primals).__name__}.")
    points = [_checked(x, "jvp") for x in leaves_of(tuple(primals))]
    moves = leaves_of(tuple(tangents))
    if len(points) != len(moves):
        raise GraphError(f"jvp: one tangent per argument is required, got {len(moves)} for {len(points)}.")
    for x, t in zip(points, moves, strict=True):
        if x._data.shape != t._data.shape:
            raise ShapeError(f"jvp: a tangent of shape {x._data.shape} is required, got {t._data.shape}.")
    with level() as number:
        duals = [with_tangent(x, t, number) for x, t in zip(points, moves, strict=True)]
        result, aux = _split_aux(func(*unflatten(tuple(primals), duals)), has_aux, "jvp")
    outputs = _outputs(result, "jvp")
    moved = []
    for y in outputs:
        t = (y._fresh_tangents() or {}).get(number)
        if t is None and strict:
            raise GraphError("jvp: with strict every output must depend on the arguments, and one does not.")
        moved.append(zeros_like(y.detach()) if t is None else t)

    def plain(x: Any) -> Any:
        return without_tangent(x, number)

    found = (unflatten(result, [plain(y) for y in outputs]), unflatten(result, moved))
    return (*found, tree_map(plain, aux)) if has_aux else found


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``func(*primals)`` and the linear function t ↦ J·t, which evaluates `func` no more.

    The reverse walk is itself linear in its seed; the map returned is the transpose of that walk.

    >>> import thalweg as tw
    >>> y, push = tw.func.linearize(lambda x: x * x, tw.tensor([1.0, 2.0]))
    >>> push(tw.tensor([1.0, 10.0]))
    tensor([ 2., 40.])
    """
    back = Pullback("linearize", func, primals, tuple(range(len(primals))))
    outputs = _outputs(back.result, "linearize")
    linked = [y for y in outputs if y.requires_grad]
    enter(back.modes.replace(inference=False, grad=True))
    try:
        seeds = [zeros_like(y.detach()).requires_grad_() for y in linked]
    finally:
        enter(back.modes)
    pairs = list(zip(linked, seeds, strict=True))
    pulled = backward_pass(pairs, back.probes, True, True) if pairs else [None] * len(back.probes)

    def push(*tangents: Any) -> Any:
        """Return J·t."""
        moves = leaves_of(tangents)
        if len(moves) != len(pulled):
            raise GraphError(f"linearize: one tangent per argument is required, got {len(moves)} for {len(pulled)}.")
        for x, t in zip(back.inputs, moves, strict=True):
            if t._data.shape != x._data.shape:
                raise ShapeError(f"linearize: a tangent of shape {x._data.shape} is required, got {t._data.shape}.")
        roots = [(p, t) for p, t in zip(pulled, moves, strict=True) if p is not None and p.requires_grad]
        create = back.modes.grad and (back.outlives(linked) or any(t.requires_grad for t in moves))
        found = iter(backward_pass(roots, seeds, create, True) if roots else [None] * len(seeds))
        rows = [next(found) if y.requires_grad else None for y in outputs]
        return unflatten(
            back.result,
            [zeros_like(y.detach()) if r is None else back.outward(r) for r, y in zip(rows, outputs, strict=True)],
        )

    return tree_map(back.outward, back.result), push


# Jacobians: one product per unit vector


def _unit(x: TensorBase, k: int) -> TensorBase:
    e = np.zeros(x._data.shape, x._data.dtype)
    e.reshape(-1)[k] = 1
    return TensorBase._wrap(e)


def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """The Jacobian of `func`, row by row in reverse mode: for each output leaf, of shape output + input.

    >>> import thalweg as tw
    >>> tw.func.jacrev(lambda x: x * x)(tw.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if chunk_size is not None and chunk_size < 1:
        raise ArgumentError(f"jacrev: chunk_size must be an integer >= 1, or None, got {chunk_size}.")

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        at = _places(argnums, len(args), "jacrev")
        back = Pullback("jacrev", func, args, at, **kwargs)
        result, aux = _split_aux(back.result, has_aux, "jacrev")
        outputs = _outputs(result, "jacrev")
        form = args[at[0]] if isinstance(argnums, int) else tuple(args[k] for k in at)
        found = unflatten(result, [unflatten(form, back.jacobian(y)) for y in outputs])
        return (found, tree_map(back.outward, aux)) if has_aux else found

    return transformed


def _piled(pieces: Any, shape: tuple[int, ...], model: TensorBase) -> Any:
    """Return the pieces stacked in `shape`."""
    if not pieces:
        return TensorBase._wrap(np.zeros(shape, model._data.dtype))
    return stack(list(pieces)).reshape(shape)


def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """The Jacobian of `func`, column by column in forward mode; the same result as :func:`jacrev`.

    >>> import thalweg as tw
    >>> tw.func.jacfwd(lambda x: x * x)(tw.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        at = _places(argnums, len(args), "jacfwd")
        chosen = tuple(args[k] for k in at)
        inputs = [_checked(x, "jacfwd") for x in leaves_of(chosen)]
        still = [TensorBase._wrap(np.zeros(x._data.shape, x._data.dtype)) for x in inputs]

        def of_chosen(*moved: Any) -> Any:
            replaced = dict(zip(at, moved, strict=True))
            result, aux = _split_aux(
                func(*(replaced.get(k, a) for k, a in enumerate(args)), **kwargs), has_aux, "jacfwd"
            )
            return result, aux

        result: Any = None
        aux: Any = None
        columns: list[list[list[Any]]] = []  # [input][element][output]
        for j, x in enumerate(inputs):
            columns.append([])
            for k in range(x._data.size):
                direction = unflatten(chosen, [*still[:j], _unit(x, k), *still[j + 1 :]])
                result, moved, aux = jvp(of_chosen, chosen, direction, has_aux=True)
                columns[-1].append(_outputs(moved, "jacfwd"))
        if result is None:
            result, aux = of_chosen(*chosen)
        outputs = _outputs(result, "jacfwd")
        form = args[at[0]] if isinstance(argnums, int) else chosen
        blocks = [
            unflatten(form, [_sides([c[i] for c in columns[j]], y, x) for j, x in enumerate(inputs)])
            for i, y in enumerate(outputs)
        ]
        found = unflatten(result, blocks)
        return (found, aux) if has_aux else found

    return transformed


def _sides(pieces: list[Any], y: TensorBase, x: TensorBase) -> Any:
    """Return columns, each of the shape of `y`, side by side: shape y + x."""
    shape = (*y._data.shape, *x._data.shape)
    if not pieces:
        return TensorBase._wrap(np.zeros(shape, y._data.dtype))
    return stack(pieces, -1).reshape(shape)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The Hessian of `func`: forward over reverse.

    >>> import thalweg as tw
    >>> tw.func.hessian(lambda x: (x**3).sum())(tw.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# One call per element of a batch


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """The function applied to every slice of its arguments along `in_dims`, results stacked along `out_dims`.

    It loops over the slices and stacks: right for every function and differentiable, but not faster than a loop.
    None in `in_dims` hands the argument whole to every call.

    >>> import thalweg as tw
    >>> tw.func.vmap(lambda x, y: (x * y).sum(), in_dims=(0, None))(tw.eye(2), tw.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """

    @functools.wraps(func)
    def transformed(*args: Any, **kwargs: Any) -> Any:
        leaves = leaves_of(args)
        dims = _spread_dims(in_dims, args)
        sizes = set()
        for x, d in zip(leaves, dims, strict=True):
            if d is None:
                continue
            if not isinstance(x, TensorBase) or not -x._data.ndim <= d < x._data.ndim:
                raise ArgumentError(f"vmap: in_dims has {d} for an argument without such a dim.")
            sizes.add(x._data.shape[d])
        if len(sizes) != 1:
            raise ShapeError(f"vmap: mapped dims of one and the same size are required, got sizes {sorted(sizes)}.")
        n = sizes.pop()
        if n == 0:
            raise ShapeError("vmap: a batch of at least one element is required, got none.")
        results = []
        for k in range(n):
            picked = [x if d is None else _row(x, d, k) for x, d in zip(leaves, dims, strict=True)]
            results.append(func(*unflatten(args, picked), **kwargs))
        columns = list(zip(*(_outputs(r, "vmap") for r in results), strict=True))
        ends = _spread_dims(out_dims, results[0])
        return unflatten(
            results[0],
            [c[0] if d is None else stack(list(c), d) for c, d in zip(columns, ends, strict=True)],
        )

    return transformed


def _row(x: Any, d: int, k: int) -> Any:
    return x[(slice(None),) * (d % x.ndim) + (k,)]


def _spread_dims(dims: Any, tree: Any) -> list[Any]:
    """Return a dim (or None) for each leaf: `dims` is one for all, or a tree with one for each branch."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(leaves_of(tree))
    if isinstance(tree, dict) and isinstance(dims, dict):
        return [d for key, branch in tree.items() for d in _spread_dims(dims[key], branch)]
    if not isinstance(tree, (tuple, list)) or not isinstance(dims, (tuple, list)) or len(dims) != len(tree):
        raise ArgumentError(f"vmap: dims {dims!r} do not have the form of the arguments.")
    return [d for sub, branch in zip(dims, tree, strict=True) for d in _spread_dims(sub, branch)]
