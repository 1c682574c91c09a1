"""Operations of one's own: a forward and a backward as static methods of a class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.inplace import bump, check_write, rebase, written_below
from ..core.modes import current, enter
from ..core.moves import ALIAS, CAST, sum_to
from ..core.node import BaseNode, Hooks, Output, next_order, visible
from ..core.origin import user_line
from ..core.tangents import top_level, without_tangent
from ..core.tensor import TensorBase, View
from ..errors import DTypeError, GraphError, InPlaceError, ShapeError

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class _NotDefined(GraphError, NotImplementedError):
    """A method that this use of a Function needs is missing."""


class FunctionCtx(BaseNode):
    """What forward leaves for backward; it is also the node of the graph, so attributes may be set freely."""

    needs_input_grad: tuple[bool, ...] = ()
    origin: str = ""

    def __init__(self, function: type[Function], inputs: tuple[Any, ...]) -> None:
        self.order: int = next_order()
        self.hooks: Hooks | None = None
        self.function = function
        self.edges: tuple[BaseNode | None, ...] = ()
        self.shapes: tuple[tuple[tuple[int, ...], Any] | None, ...] = ()
        self.materialize = True
        self._forms = tuple((x._data.shape, x._data.dtype) if isinstance(x, TensorBase) else None for x in inputs)
        self._to_save: tuple[Any, ...] = ()
        self._for_forward: tuple[Any, ...] | None = None
        self._saved: tuple[_Kept | None, ...] | None = ()
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()

    def name(self) -> str:
        """Return the class's name with ``Backward``."""
        return self.function.__name__ + "Backward"

    @property
    def next_functions(self) -> tuple[tuple[BaseNode | None, int], ...]:
        """The nodes of the inputs, with the output of each that was used; None where no gradient is needed."""
        return tuple(visible(edge) for edge in self.edges)

    # What forward (or setup_context) says

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs or outputs, or None) for backward, guarded against writes in place."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``."""
        self._for_forward = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which inputs forward has written in place; each must also be returned."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which outputs are not to require grad."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether backward gets zeros (the default) or None for outputs that received no gradient."""
        self.materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What :meth:`save_for_backward` kept."""
        if self._saved is None:
            raise GraphError(
                f"{self.name()}: its saved tensors are read a second time, and the first backward freed them; give "
                "retain_graph=True to the first."
            )
        return tuple(None if s is None else s.tensor(self) for s in self._saved)

    # What the walk calls

    def run(self, gs: tuple[Any, ...], walk: Any) -> list[Any]:
        """Return the gradients of the inputs."""
        grads = []
        for g, form in zip(gs, self.shapes, strict=True):
            if g is None and form is not None and self.materialize:
                g = np.zeros(*form)
            grads.append(g if g is None or isinstance(g, TensorBase) else TensorBase._wrap(np.asarray(g)))
        found = self.function.backward(self, *grads)
        if not walk.keep:
            self._saved = None if self._saved else self._saved
        parts = list(found) if isinstance(found, (tuple, list)) else [found]
        n = len(self.edges)
        while len(parts) > n and parts[-1] is None:
            parts.pop()
        if len(parts) != n:
            raise GraphError(
                f"{self.name()}: backward must return one gradient (or None) per input of forward, {n}, got {len(parts)}."
            )
        return [walk.native(self._fitted(k, p)) if self.edges[k] is not None else None for k, p in enumerate(parts)]

    def _fitted(self, k: int, part: Any) -> Any:
        if part is None:
            return None
        if not isinstance(part, TensorBase):
            raise DTypeError(f"{self.name()}: gradient {k} must be a tensor or None, got {type(part).__name__}.")
        shape, dtype = self._forms[k]  # type: ignore[misc]
        given = part._data.shape
        if given != shape:
            extra = len(given) - len(shape)
            if extra < 0 or any(m not in (1, n) for m, n in zip(shape, given[extra:], strict=True)):
                raise ShapeError(
                    f"{self.name()}: gradient {k} must have shape {shape}, that of its input, got {given}."
                )
            part = sum_to(part, shape)
        return CAST(part, dtype, part._data.dtype) if part._data.dtype != dtype else part


class _Kept:
    """One saved tensor: its memory, version and place in the graph, but never an output itself (no cycle)."""

    __slots__ = ("counter", "data", "edge", "index", "place", "tangents", "unpack", "version")

    def __init__(self, x: TensorBase, edge: BaseNode | None, index: int | None, place: int | None = None) -> None:
        self.counter = x._version_list
        self.version = self.counter[0] if self.counter is not None else 0
        self.edge = edge
        self.index = index  # which output it is, if one
        self.place = place  # which input it is, if one
        self.tangents = x._fresh_tangents()
        hooks = current().saved_hooks
        self.unpack: Callable[[Any], Any] | None = hooks[-1][1] if hooks else None
        self.data: Any = hooks[-1][0](x.detach()) if hooks else x._data

    def tensor(self, node: FunctionCtx) -> TensorBase:
        counter = self.counter
        if counter is not None and counter[0] != self.version and self.unpack is None:
            raise InPlaceError(
                f"{node.name()}: a tensor that it saved was written in place since (version {counter[0]}, saved at "
                f"{self.version})."
            )
        found: TensorBase = TensorBase._wrap(self.data if self.unpack is None else self.unpack(self.data)._data)
        found._version_list = counter
        found._tangents = self.tangents
        if self.index is None:
            found._node = self.edge
        elif found._data.dtype.kind == "f":
            found._node = Output(node, self.index) if len(node.shapes) > 1 else node
        return found


class Function:
    """An operation of one's own.

    A subclass defines ``forward(ctx, *args)`` and ``backward(ctx, *grads)`` as static methods, or ``forward(*args)``
    with ``setup_context(ctx, inputs, output)``; optionally ``jvp(ctx, *tangents)`` for forward mode. It is used by
    ``apply``, never by an instance.

    >>> import thalweg as tw
    >>> class Cube(tw.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x**2
    >>> x = tw.tensor(2.0, requires_grad=True)
    >>> y = Cube.apply(x); y
    tensor(8., grad_fn=<CubeBackward>)
    >>> y.backward(); x.grad
    tensor(12.)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise GraphError(
            f"{type(self).__name__}: a Function is used by {type(self).__name__}.apply(...), not by an instance."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute; nothing in it is recorded."""
        raise _NotDefined("Function: a static method forward(ctx, *args) is required.")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Save for backward what it needs; where this is defined, forward takes no ctx."""
        raise _NotDefined("Function: setup_context is not defined.")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        """Return one gradient, or None, per argument of forward."""
        raise _NotDefined("Function: a static method backward(ctx, *grads) is required to differentiate through it.")

    vjp = backward

    @staticmethod
    def jvp(ctx: FunctionCtx, *grad_inputs: Any) -> Any:
        """Return one tangent, or None, per output; an argument without tangent gives None."""
        raise _NotDefined("Function: a static method jvp(ctx, *tangents) is required for forward mode.")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute and record."""
        modes = current()
        number = top_level(args, modes) if modes.levels else 0
        if number:
            return cls._apply_dual(args, number)
        return cls._applied(args)[0]

    @classmethod
    def _applied(cls, args: tuple[Any, ...]) -> tuple[Any, FunctionCtx]:
        modes = current()
        ctx = FunctionCtx(cls, args)
        edges = tuple(x._fresh_node() if isinstance(x, TensorBase) else None for x in args)
        ctx.needs_input_grad = tuple(edge is not None for edge in edges)
        enter(modes.with_grad(False))
        try:
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        finally:
            enter(modes)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        if modes.grad and any(ctx.needs_input_grad):
            ctx.edges = edges
            if modes.anomaly:
                ctx.origin = user_line()
        shown = _connected(ctx, args, outputs)
        ctx._saved = _kept(cls.__name__, ctx._to_save, args, edges, outputs, ctx._dirty)
        ctx._to_save = ctx._constant = ctx._dirty = ()
        return (tuple(shown) if isinstance(result, (tuple, list)) else shown[0]), ctx

    @classmethod
    def _apply_dual(cls, args: tuple[Any, ...], number: int) -> Any:
        """Apply below one level of forward mode, then hand the tangents to ``jvp``."""
        plain = tuple(without_tangent(x, number) for x in args)
        tangents = [(x._fresh_tangents() or {}).get(number) if isinstance(x, TensorBase) else None for x in args]
        result, ctx = cls._applied(plain)
        outputs = list(result) if isinstance(result, tuple) else [result]
        kept = ctx._saved
        if ctx._for_forward is not None:
            ctx._saved = _kept(cls.__name__, ctx._for_forward, plain, (None,) * len(plain), outputs, ())
        moved = cls.jvp(ctx, *tangents)
        ctx._saved = kept
        several = list(moved) if isinstance(moved, (tuple, list)) else [moved]
        if len(several) != len(outputs):
            raise GraphError(
                f"{cls.__name__}: jvp must return one tangent per output, {len(outputs)}, got {len(several)}."
            )
        for k, (y, t) in enumerate(zip(outputs, several, strict=True)):
            if t is not None and isinstance(y, TensorBase):
                if t._data.shape != y._data.shape:
                    raise ShapeError(f"{cls.__name__}: jvp must return the shape {y._data.shape}, got {t._data.shape}.")
                y._tangents = {**(y._tangents or {}), number: t}
            given = next((x for x, p in zip(args, plain, strict=True) if p is y and x is not p), None)
            if given is not None:  # written in place, below this level
                outputs[k] = written_below(given, y)
        result = tuple(outputs) if isinstance(result, tuple) else outputs[0]
        for saved in kept or ():  # a backward inside this level must see them move
            if saved is not None and saved.index is not None:
                saved.tangents = outputs[saved.index]._tangents
            elif saved is not None and saved.place is not None:
                saved.tangents = args[saved.place]._tangents
        return result


class _SavedType(DTypeError):
    """Something that is no tensor among the saved."""


def _kept(
    who: str, tensors: tuple[Any, ...], args: tuple[Any, ...], edges: tuple[Any, ...], outputs: list[Any],
    dirty: tuple[Any, ...],
) -> tuple[_Kept | None, ...]:  # fmt: skip
    inputs = {id(x): (edge, k) for k, (x, edge) in enumerate(zip(args, edges, strict=True))}
    for x in dirty:
        del inputs[id(x)]
    made = {id(y): k for k, y in enumerate(outputs) if id(y) not in inputs}
    kept: list[_Kept | None] = []
    for k, x in enumerate(tensors):
        if x is None:
            kept.append(None)
        elif not isinstance(x, TensorBase):
            raise _SavedType(f"{who}: save_for_backward takes tensors and None, got {type(x).__name__} at {k}.")
        elif id(x) in made:
            kept.append(_Kept(x, None, made[id(x)]))
        else:
            edge, place = inputs.get(id(x)) or (x._fresh_node(), None)
            kept.append(_Kept(x, edge, None, place))
    return tuple(kept)


def _connected(ctx: FunctionCtx, args: tuple[Any, ...], outputs: list[Any]) -> list[Any]:
    """Return the outputs as the caller sees them, each with its place in the graph."""
    for x in ctx._dirty:
        if not any(x is y for y in outputs):
            raise GraphError(f"{ctx.name()}: forward must return every input that it marks as dirty.")
    recording = any(edge is not None for edge in ctx.edges)
    inputs = [x for x in args if isinstance(x, TensorBase)]
    ctx.shapes = tuple((y._data.shape, y._data.dtype) if isinstance(y, TensorBase) else None for y in outputs)
    shown = []
    for k, y in enumerate(outputs):
        if not isinstance(y, TensorBase):
            shown.append(y)
            continue
        records = recording and y._data.dtype.kind == "f" and not any(y is c for c in ctx._constant)
        node: BaseNode | None = None
        if records:
            node = Output(ctx, k) if len(outputs) > 1 else ctx
        if any(y is d for d in ctx._dirty):
            check_write(y, tuple(inputs))
            value = y._alias()  # before the write counts, so that a view makes its node anew afterwards
            bump(y)
            if records:
                value._node = node
                rebase(y, value)
        elif recording and any(y is x or np.may_share_memory(y._data, x._data) for x in inputs):
            source = next(x for x in inputs if y is x or np.may_share_memory(y._data, x._data))
            y = y._alias()
            y._node = node
            y._view = View(source, None, (ALIAS, ()), "function", y._version_list)
        elif records:
            if y._node is not None or y._view is not None:
                y = y._alias()
            y._node = node
        shown.append(y)
    return shown


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a backward that is not made of recorded operations: differentiating its result is an error."""

    @functools.wraps(backward)
    def wrapped(ctx: FunctionCtx, *grads: Any) -> Any:
        modes = current()
        enter(modes.with_grad(False))
        try:
            found = backward(ctx, *grads)
        finally:
            enter(modes)
        if not modes.grad or not any(isinstance(g, TensorBase) and g.requires_grad for g in grads):
            return found
        several = found if isinstance(found, (tuple, list)) else (found,)
        refused = _Refused(tuple(x._fresh_node() for x in grads if isinstance(x, TensorBase)))
        marked = []
        for part in several:
            if isinstance(part, TensorBase):
                part = part.detach()
                part._node = refused
            marked.append(part)
        return tuple(marked)

    return wrapped


class _Refused(BaseNode):
    """The end of differentiability: walking into it is an error."""

    def __init__(self, edges: tuple[BaseNode | None, ...]) -> None:
        self.order: int = next_order()
        self.hooks: Hooks | None = None
        self.edges = edges

    def name(self) -> str:
        """Return ``Error``, PyTorch's name."""
        return "Error"

    def run(self, gs: tuple[Any, ...], walk: Any) -> list[Any]:
        """Refuse."""
        raise GraphError(
            "backward: a result of a function marked with once_differentiable cannot be differentiated again."
        )
