"""Writes in place: what is refused, what is counted, and how history follows.

A write computes its result as an ordinary operation, copies it into the memory, raises the version counter
that every tensor over this memory shares, and moves the history: a plain tensor takes over the result's node;
a write through a view gives the *base* a node that puts the piece back, and views make their nodes anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InPlaceError, ShapeError
from . import dtype as _dtype
from .modes import Modes, announce_write, current
from .moves import COPY_SLICES, IMPLICIT_CAST
from .node import Leaf, Node, Saved
from .origin import user_line
from .primitive import Primitive, apply
from .tensor import TensorBase, View

__all__ = ["apply_inplace", "bump", "check_write", "rebase", "write", "written_below"]


def apply_inplace(
    primitive: Primitive, target: TensorBase, others: tuple[Any, ...], params: tuple[Any, ...] = ()
) -> Any:
    """Replace the elements of `target` by those of ``primitive(target, *others)``; return `target`."""
    check_write(target, others)
    return write(target, primitive.bind((target, *others), params), primitive.name)


def check_write(target: TensorBase, others: tuple[Any, ...] = ()) -> None:
    """Refuse a write that would lose or corrupt a gradient, before anything is touched."""
    modes = current()
    if target._version_list is None and not modes.inference:
        raise InPlaceError("in place: an inference tensor can only be written under inference_mode(); clone it first.")
    if modes.saved_hooks:  # they are handed memory, which the write then changes
        announce_write(target)
    if not modes.grad:
        return
    view = target._view
    base = target if view is None else view.base
    if not (
        base.requires_grad or target.requires_grad or any(isinstance(x, TensorBase) and x.requires_grad for x in others)
    ):
        return
    if isinstance(target._node, Leaf):
        raise InPlaceError(
            "in place: a leaf that requires grad cannot be written while gradients are recorded; do it under no_grad(), "
            "or on its .data."
        )
    if view is None:
        return
    if isinstance(base._node, Leaf):
        raise InPlaceError(
            "in place: this is a view of a leaf that requires grad, which cannot be written while gradients are recorded."
        )
    if view.kind:
        raise InPlaceError(f"in place: {WHY_NOT[view.kind].format(view.steps[-1][0].name)}")


WHY_NOT = {
    "output": "this is one of several views made by {0}, which cannot be written while gradients are recorded; clone it, "
    "or index the base instead.",
    "no_grad": "this view was made under no_grad() or inference_mode(), so a write to it cannot be recorded; make the view "
    "outside, or write under no_grad().",
    "function": "this output of a custom Function shares memory with an input, so a write to it cannot be recorded; clone "
    "it first.",
}


def write(target: TensorBase, value: Any, who: str = "copy_") -> Any:
    """Copy `value` into the memory of `target` (which :func:`check_write` passed) and move the history."""
    modes = current()
    data, new = target._data, value._data
    if new.shape != data.shape:
        if np.broadcast_shapes(new.shape, data.shape) != data.shape:
            raise ShapeError(f"{who}: the result has shape {new.shape}, which cannot be written into {data.shape}.")
        raise ShapeError(f"{who}: shape {data.shape} is required, got {new.shape}.")
    node = value._node
    if new.dtype != data.dtype:
        source, into = _dtype.of_array(new), _dtype.of_array(data)
        if not _dtype.can_cast(source, into):
            raise InPlaceError(f"{who}: a result of {source} cannot be written into a tensor of {into}.")
        value = apply(IMPLICIT_CAST, (value,), (data.dtype, new.dtype))
        new = value._data
    if not data.flags.writeable and data.size:
        raise InPlaceError(
            f"{who}: several elements of this tensor lie at one place in memory (it was expanded), or the memory is "
            "read-only; clone it first."
        )
    if isinstance(node, Node) and node.values is not None:
        _keep_what_was_saved(node, target, value)
    if modes.recorder is not None:
        modes.recorder.write(target, value)
    if data.size:
        np.copyto(data, new)
    bump(target, modes)
    if modes.saved_hooks:
        announce_write(None)
    if modes.levels or target._tangents is not None:
        target._tangents = value._tangents
        if target._view is not None:
            _tangents_through(target._view, value)
            target._view.felt = target._version_list[0] if target._version_list is not None else 0
    if modes.grad and (node is not None or target.requires_grad):
        rebase(target, value)
    return target


def written_below(target: TensorBase, value: TensorBase) -> TensorBase:
    """Give `target` the history and the tangents of an alias of it that was written in its place; return `target`."""
    if value._node is not None or target.requires_grad:
        bump(target)
        rebase(target, value)
    target._tangents = value._tangents
    if target._view is not None:
        _tangents_through(target._view, value)
        target._view.felt = target._version_list[0] if target._version_list is not None else 0
    return target


def _tangents_through(view: View, value: TensorBase) -> None:
    """Give the base the tangents of what was written into one of its views."""
    base, written = view.base, value._tangents or {}
    moved = dict(base._tangents or {})
    for level in {*moved, *written}:
        below, part = moved.get(level), written.get(level)
        below = TensorBase._wrap(np.zeros_like(base._data)) if below is None else below
        part = TensorBase._wrap(np.zeros_like(value._data)) if part is None else part
        moved[level] = apply(COPY_SLICES, (below, part), (view.steps,))
    base._tangents = moved or None


def bump(target: TensorBase, modes: Modes | None = None) -> None:
    """Count a write."""
    counter = target._version_list
    if counter is not None:
        counter[0] += 1
        if modes is not None and modes.anomaly:
            counter[1:] = [user_line()]  # type: ignore[list-item]


def _keep_what_was_saved(node: Node, target: TensorBase, value: TensorBase) -> None:
    """Let the node keep the old elements of the input written, and the memory itself where it saved its result.

    Where it saved the same tensor as another input too (``x.mul_(x)``), that one counts as written since, as in
    PyTorch.
    """
    data, counter = target._data, target._version_list
    values = list(node.values or ())
    versions = list(node.versions)
    changed = False
    for k, entry in enumerate(values):
        dual = isinstance(entry, Saved) and entry.unpack is None  # in forward mode it carries tangents
        saved = entry.data if dual else entry
        first = 2 if versions and versions[0] is None else 0  # after the mark that tangents leave
        if k == 0 and isinstance(saved, np.ndarray) and first < len(versions) and versions[first] is counter:
            if saved is data:  # else it was converted, which copied it
                copy = data.copy()
                values[k] = Saved(copy, entry.tangents, None) if dual else copy
                recorder = current().recorder
                if recorder is not None:
                    recorder.copied(data, copy)
            versions[first], versions[first + 1] = [0], 0
            changed = True
        elif saved is value._data:
            values[k] = Saved(data, entry.tangents, None) if dual else data
            for at in range(0, len(versions), 2):
                if versions[at] is value._version_list and counter is not None:
                    versions[at], versions[at + 1] = counter, counter[0] + 1
            changed = True
    if changed:
        node.values, node.versions = tuple(values), tuple(versions)


def rebase(target: TensorBase, value: TensorBase) -> None:
    """Give `target` the history of `value`; through a view, give it to the base."""
    view = target._view
    retained = target.retains_grad
    if retained:  # the gradient kept is that of the present value
        old = target._node._hooks()  # type: ignore[union-attr]
        old.retain = [ref for ref in old.retain if ref() is not target]
    if view is None:
        target._node = value._node
    else:
        _write_through(view, target, value)
    if retained:
        target.retain_grad()


def _write_through(view: View, target: TensorBase, value: TensorBase) -> None:
    base = view.base
    edge = base._node if base._view is None else base._fresh_node()
    if edge is not None or value._node is not None:
        shapes = (base._data.shape, target._data.shape)
        # The mark lets it be walked once only, as in PyTorch, although it saves no tensor.
        base._node = Node(COPY_SLICES, (edge, value._node), (None, None, None, view.steps, *shapes), (None, 0))
