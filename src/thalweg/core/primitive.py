"""A primitive: what one operation computes on arrays and how it is differentiated; and its application.

A rule is an ordinary function of the incoming gradient ``g`` and of any of the names that the forward
declares: its inputs, its settings, the result (``out``, or the names in `outputs`), and the shape of an input
(``x_shape``). What a rule names is what a node saves. A rule is written with operators and with primitives,
which take arrays as well as tensors, so the same line serves an ordinary backward (on arrays), derivatives of
any order, forward mode and capture (on tensors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ..errors import AnomalyError, GraphError
from .modes import DEFAULT, Modes, about_to_be_written, current, enter, modes_of, restore, silence
from .node import NOTHING, SEVERAL, BaseNode, Node, Output, Saved, next_order
from .origin import user_line
from .tensor import TensorBase, View

__all__ = ["Primitive", "Rule", "apply"]

Rule = Callable[..., Any]
_new = object.__new__
_ndarray = np.ndarray


class Primitive:
    """One differentiable operation.

    Parameters
    ----------
    name
        Its name in snake case; the node is called after it, unless `backward` says otherwise.
    forward
        ``forward(*inputs, *params)`` on NumPy arrays. The first `arity` parameters are the inputs; a variadic
        primitive (``arity=-1``) takes one list of inputs first.
    vjps
        One rule per input (None: not differentiable in it). A variadic primitive has a single rule, which
        may also name ``i`` (which input), ``xs`` (all inputs) and ``shapes``.
    outputs
        The names of the results. With more than one, rules get a tuple of gradients as ``g``. Empty: as many as
        the forward returns (a split), of which none can be saved.
    linear
        Whether it is linear in each differentiable input by itself: then forward mode applies it to tangents.
    diagonal
        Whether its Jacobian is diagonal (elementwise): then forward mode uses the reverse rules.
    view
        Whether the result may share memory with the first input.
    kernel
        The scalar expression of an elementwise operation for the compiler, with ``{0}``, ``{1}`` as inputs.
    implicit
        Whether the user never wrote it (a broadcast, a cast); ``next_functions`` looks through it.
    """

    __slots__ = (
        "_plans",
        "arity",
        "backward",
        "calls",
        "diagonal",
        "forward",
        "getters",
        "implicit",
        "kernel",
        "linear",
        "lone",
        "name",
        "names",
        "outputs",
        "single",
        "takes",
        "view",
        "vjps",
    )

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        vjps: Sequence[Rule | None] = (),
        *,
        arity: int | None = None,
        outputs: tuple[str, ...] = ("out",),
        linear: bool = False,
        diagonal: bool = False,
        view: bool = False,
        kernel: str | None = None,
        backward: str | None = None,
        implicit: bool = False,
        names: tuple[str, ...] | None = None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.vjps = tuple(vjps)
        self.arity = len(self.vjps) if arity is None else arity
        self.outputs = outputs
        self.single = len(outputs) == 1
        self.linear = linear
        self.diagonal = diagonal
        self.view = view
        self.kernel = kernel
        self.implicit = implicit
        self.backward = backward
        if names is None:
            names = _parameters(forward)
        n = 1 if self.arity < 0 else self.arity
        inputs, params = names[:n], names[n:]
        layout = [*inputs, *outputs, *params]
        layout += ["shapes", "i"] if self.arity < 0 else [f"{x}_shape" for x in inputs]
        if self.arity < 0:
            layout[0] = "xs"
        self.names = tuple(layout)
        self.takes: list[tuple[int, ...]] = []
        self.getters: list[Callable[[Any], tuple[Any, ...]]] = []
        self.calls: list[tuple[Rule | None, int]] = []  # each rule, with the place of the only value that it takes
        for rule in self.vjps:
            wanted = () if rule is None else _parameters(rule)[1:]
            unknown = [w for w in wanted if w not in layout]
            if unknown:
                raise TypeError(f"{name}: a rule names {unknown[0]!r}; it may name {', '.join(layout)}.")
            at = tuple(layout.index(w) for w in wanted)
            self.takes.append(at)
            self.getters.append(_getter(at))
            self.calls.append((rule, NOTHING if not at else at[0] if len(at) == 1 else SEVERAL))
        self._plans: dict[Any, tuple[tuple[int, ...], tuple[int, ...], bool]] = {}
        self.lone: tuple[bool, bool, bool] | None = None  # one input, one output: saves input, output, shape?
        if self.arity == 1 and self.single and len(self.vjps) <= 1:
            keep_in, keep_out, shapes = self.plan((True,)) if self.vjps else ((), (), False)
            self.lone = (bool(keep_in), bool(keep_out), shapes)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __call__(self, *args: Any) -> Any:
        """Apply to arrays (giving an array) or to tensors (giving a tensor): the language of the rules."""
        n = self.arity
        if n == 1 and type(args[0]) is _ndarray:
            return self.forward(*args)
        inputs = tuple(args[0]) if n < 0 else args[:n]
        for x in inputs:
            if isinstance(x, TensorBase):
                return self.bind(inputs, args[1:] if n < 0 else args[n:])
        if not self.diagonal and n > 0:  # NumPy's scalars come out of arithmetic on 0-d arrays
            args = tuple(np.asarray(x) if isinstance(x, np.generic) else x for x in args)
        return self.forward(*args)

    def bind(self, inputs: tuple[Any, ...], params: tuple[Any, ...] = ()) -> Any:
        """Apply to tensors."""
        return apply(self, inputs, params)

    def backward_name(self) -> str:
        """Return the name of its node: CamelCase, ``Backward``, and PyTorch's overload number."""
        if self.backward is not None:
            return self.backward
        return "".join(part.capitalize() for part in self.name.split("_")) + "Backward0"

    def plan(self, mask: Any) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        """Return which inputs and outputs must be saved, and whether shapes, when `mask` says who needs a gradient."""
        found = self._plans.get(mask)
        if found is None:
            n, m = (1 if self.arity < 0 else self.arity), len(self.outputs)
            rules = self.takes if self.arity < 0 else [t for t, need in zip(self.takes, mask, strict=True) if need]
            wanted = {at for take in rules for at in take}
            shapes_from = len(self.names) - (2 if self.arity < 0 else n)
            found = (
                tuple(sorted(at for at in wanted if at < n)),
                tuple(sorted(at - n for at in wanted if n <= at < n + m)),
                any(at >= shapes_from for at in wanted),
            )
            self._plans[mask] = found
        return found

    def vjp(self, i: int, g: Any, values: tuple[Any, ...]) -> Any:
        """Return the gradient with respect to input `i`."""
        if self.arity < 0:
            rule = self.vjps[0]
            values = (*values, i)
            return rule(g, *self.getters[0](values)) if rule is not None else None
        rule = self.vjps[i]
        return rule(g, *self.getters[i](values)) if rule is not None else None


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's parameters, from its code: inspect.signature would double the import's time."""
    code = getattr(function, "__code__", None)
    if code is None:
        import inspect

        return tuple(inspect.signature(function).parameters)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _getter(at: tuple[int, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if not at:
        return lambda values: ()
    if len(at) == 1:
        only = at[0]
        return lambda values: (values[only],)
    return itemgetter(*at)


def apply(primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...] = ()) -> Any:
    """Apply `primitive` to tensors (or arrays and numbers, taken as constants) and record it where needed."""
    modes = current()
    if modes.special:
        return _apply_special(primitive, inputs, params, modes)
    if primitive.lone is not None and isinstance(inputs[0], TensorBase):
        return _lone(primitive, inputs[0], params, modes)
    arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
    outs = run(primitive, arrays, params)
    if primitive.single:
        return _one(primitive, inputs, arrays, params, outs, modes)
    return _several(primitive, inputs, arrays, params, outs, modes)


def _lone(primitive: Primitive, x: TensorBase, params: tuple[Any, ...], modes: Modes) -> TensorBase:
    """Apply to one tensor (the frequent case of :func:`_one`, written out)."""
    a = x._data
    if primitive.view:
        out = primitive.forward(a, *params)
    else:
        token = silence()
        try:
            out = primitive.forward(a, *params)
        finally:
            restore(token)
        if type(out) is not _ndarray:
            out = np.asarray(out)
    t = _new(TensorBase._class)
    t._data = out
    t._node = t._grad = t._tangents = None
    memory = out.base
    if primitive.view and memory is not None and (memory is a or memory is a.base):  # as share_memory does
        counter = x._version_list
        known = x._view
        view = _new(View)
        view.parent, view.step = known, (primitive, params)
        if known is None:
            view.base, view.kind = x, "" if modes.grad else "no_grad"
        else:
            view.base, view.kind = known.base, known.kind if modes.grad else "no_grad"
        view.seen = view.felt = 0 if counter is None else counter[0]
        t._view = view
        t._version_list = counter
    else:
        t._view = None
        t._version_list = [0]
        if primitive.view:
            share_memory(t, x, primitive, params, modes)
    if modes.grad and primitive.vjps:
        edge = x._node if x._view is None else x._fresh_node()
        if edge is not None and out.dtype.kind == "f":
            keep_x, keep_out, shape = primitive.lone  # type: ignore[misc]
            versions: Any = ()
            if keep_x or keep_out:
                versions = []
                if keep_x:
                    _note_version(x, versions)
                if keep_out:
                    _note_version(t, versions)
                versions = tuple(versions)
            node = _new(Node)
            node.order = next_order()
            node.hooks = None
            node.primitive = primitive
            node.edges = (edge,)
            if shape:
                node.values = (a if keep_x else None, out if keep_out else None, *params, a.shape)
            else:
                node.values = (a if keep_x else None, out if keep_out else None, *params)
            node.versions = versions
            t._node = node
    return t


def run(primitive: Primitive, arrays: list[Any], params: tuple[Any, ...]) -> Any:
    """Compute on arrays, silently where NaN or infinity comes out."""
    token = silence()
    try:
        if primitive.arity < 0:
            return primitive.forward(arrays, *params)
        return primitive.forward(*arrays, *params)
    finally:
        restore(token)


def _edges(inputs: tuple[Any, ...], modes: Modes) -> tuple[BaseNode | None, ...] | None:
    """Return the nodes of the inputs, or None when nothing is to be recorded."""
    if not modes.grad:
        return None
    edges: list[BaseNode | None] = []
    some = False
    for x in inputs:
        node = None
        if isinstance(x, TensorBase):
            node = x._node if x._view is None else x._fresh_node()
            if node is not None:
                some = True
        edges.append(node)
    return tuple(edges) if some else None


def _one(
    primitive: Primitive, inputs: tuple[Any, ...], arrays: list[Any], params: tuple[Any, ...], out: Any, modes: Modes
) -> TensorBase:
    if type(out) is not np.ndarray:
        out = np.asarray(out)
    result = TensorBase._wrap(out)
    if primitive.view:
        share_memory(result, inputs[0], primitive, params, modes)
    if primitive.vjps and out.dtype.kind == "f":
        edges = _edges(inputs, modes)
        if edges is not None:
            result._node = _record(primitive, edges, inputs, arrays, params, (result,))
    return result


def _several(
    primitive: Primitive, inputs: tuple[Any, ...], arrays: list[Any], params: tuple[Any, ...], outs: Any, modes: Modes
) -> tuple[TensorBase, ...]:
    results = tuple(TensorBase._wrap(out if type(out) is np.ndarray else np.asarray(out)) for out in outs)
    if primitive.view:
        for k, result in enumerate(results):
            share_memory(result, inputs[0], primitive, (*params, k), modes)
    edges = _edges(inputs, modes) if primitive.vjps else None
    if edges is not None:
        node = _record(primitive, edges, inputs, arrays, params, results)
        node.shapes = tuple((r._data.shape, r._data.dtype) for r in results)
        for k, result in enumerate(results):
            if result._data.dtype.kind == "f":
                result._node = Output(node, k)
    return results


def share_memory(
    result: TensorBase, source: TensorBase, primitive: Primitive, params: tuple[Any, ...], modes: Modes
) -> None:
    """Make `result` a view of `source`, if its memory is: same version counter, same base."""
    if not isinstance(source, TensorBase):
        return
    memory = result._data.base
    if memory is not None and type(memory) is not _ndarray:
        memory = getattr(memory, "base", memory)  # NumPy's as_strided puts an object of its own between
        if type(memory) is _ndarray and memory is not source._data and memory.base is not None:
            memory = memory.base
    data = source._data
    if memory is not data and (memory is None or memory is not data.base):
        return
    result._version_list = source._version_list
    kind = "output" if not primitive.single else "" if modes.grad else "no_grad"
    view = source._view
    if view is None:
        result._view = View(source, None, (primitive, params), kind, source._version_list)
    else:
        result._view = View(view.base, view, (primitive, params), kind or view.kind, source._version_list)


def _record(
    primitive: Primitive,
    edges: tuple[BaseNode | None, ...],
    inputs: tuple[Any, ...],
    arrays: list[Any],
    params: tuple[Any, ...],
    outs: tuple[TensorBase, ...],
) -> Node:
    variadic = primitive.arity < 0
    mask = None if variadic else tuple(edge is not None for edge in edges)
    keep_in, keep_out, shapes = primitive.plan(mask)
    versions: list[Any] = []
    slots = outs if primitive.outputs else ()
    values: list[Any] = [None] * ((1 if variadic else len(arrays)) + len(slots))
    if variadic and keep_in:
        values[0] = tuple(arrays)
        for x in inputs:
            _note_version(x, versions)
    elif not variadic:
        for k in keep_in:
            values[k] = arrays[k]
            _note_version(inputs[k], versions)
    first_out = len(values) - len(slots)
    for k in keep_out:
        values[first_out + k] = outs[k]._data
        _note_version(outs[k], versions)
    values += params
    if shapes:
        own = tuple(getattr(a, "shape", ()) for a in arrays)
        values += [own] if variadic else own
    return Node(primitive, edges, tuple(values), tuple(versions))


def _note_version(x: Any, versions: list[Any]) -> None:
    if isinstance(x, TensorBase):
        counter = x._version_list
        if counter is None:
            raise GraphError(
                "an inference tensor cannot be saved for backward; clone it outside inference_mode() to get a normal one."
            )
        versions += (counter, counter[0])


# Everything below happens only while a mode other than no_grad is in force.


def _apply_special(primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], modes: Modes) -> Any:
    level = top_level(inputs, modes) if modes.levels else 0
    if level:
        return apply_dual(primitive, inputs, params, level)
    arrays = [x._data if isinstance(x, TensorBase) else x for x in inputs]
    outs = run(primitive, arrays, params)
    finish = _one if primitive.single else _several
    results = finish(primitive, inputs, arrays, params, outs, modes)
    several: tuple[TensorBase, ...] = (results,) if primitive.single else results  # type: ignore[assignment]
    special_record(primitive, inputs, params, several, modes)
    return results


def special_record(
    primitive: Primitive, inputs: tuple[Any, ...], params: tuple[Any, ...], outs: tuple[TensorBase, ...], modes: Modes
) -> None:
    """Do what the special modes ask for after an operation: mark, check, pack, tell."""
    node = outs[0]._node if outs else None
    if isinstance(node, Output):
        node = node.node  # type: ignore[assignment]
    if not isinstance(node, Node) or node.primitive is not primitive:
        node = None
    if modes.inference:
        for out in outs:
            if out._view is None or out._view.base._version_list is None:
                out._version_list = None
    if modes.anomaly:
        line = user_line()
        if node is not None:
            node.origin = line
        if modes.check_nan:
            _check_finite(primitive.name, outs, inputs, line)
    if modes.saved_hooks and node is not None and node.values is not None:
        pack, unpack = modes.saved_hooks[-1]
        _pack(node, inputs, outs, pack, unpack)
    if modes.recorder is not None:
        modes.recorder.operation(primitive, inputs, params, outs)


def _check_finite(name: str, outs: tuple[TensorBase, ...], inputs: tuple[Any, ...], line: str) -> None:
    for out in outs:
        data = out._data
        if data.dtype.kind == "f" and not np.isfinite(data).all():
            before = [x._data for x in inputs if isinstance(x, TensorBase) and x._data.dtype.kind == "f"]
            if all(np.isfinite(b).all() for b in before):
                what = "a NaN" if np.isnan(data).any() else "an infinity"
                raise AnomalyError(f"{name}: the forward gave {what} (shape {data.shape}) at {line}.")


def _pack(node: Node, inputs: tuple[Any, ...], outs: tuple[TensorBase, ...], pack: Any, unpack: Any) -> None:
    assert node.values is not None
    n = 1 if node.primitive.arity < 0 else node.primitive.arity
    values = list(node.values)
    target = about_to_be_written()
    outer = enter(DEFAULT)
    try:
        for k in range(n + len(node.primitive.outputs)):
            value = values[k]
            if isinstance(value, np.ndarray):
                source = inputs[k] if k < n else outs[k - n]
                if target is not None and isinstance(source, TensorBase) and source._data is target._data:
                    value = value.copy()
                shown = TensorBase._wrap(value)
                if isinstance(source, TensorBase):
                    shown._version_list = source._version_list
                values[k] = Saved(pack(shown), None, unpack)
            elif isinstance(value, tuple) and k < n:
                values[k] = tuple(
                    Saved(pack(TensorBase._wrap(v)), None, unpack) if isinstance(v, np.ndarray) else v for v in value
                )
    finally:
        enter(modes_of(outer))
    node.values = tuple(values)
    if not node.versions:
        return
    # A packed value has no version to check; the mark makes the walk unpack.
    node.versions = (None, 0)


# Forward mode applies primitives and their rules to tangents, so it needs what is above.
from .tangents import apply_dual, top_level  # noqa: E402
