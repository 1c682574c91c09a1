"""Sums of products by index notation, and the products that are such sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.moves import sum_to
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ShapeError
from ._coerce import as_tensor, one_dim
from .arithmetic import mul
from .products import _pair, matmul

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["cross", "einsum", "kron", "tensordot"]

Labels = tuple[Any, ...]  # letters; numbers in a list of subscripts; ("...", k) for the dims of an ellipsis


# Reading the notation


def _subscripts(text: str, who: str) -> list[Any]:
    """Return the labels of one operand, the ellipsis as ``...``."""
    found: list[Any] = []
    text = text.replace(" ", "")
    k = 0
    while k < len(text):
        if text.startswith("...", k):
            found.append(...)
            k += 3
        elif text[k].isascii() and text[k].isalpha():
            found.append(text[k])
            k += 1
        else:
            raise ShapeError(f"{who}: subscripts are letters and one '...', got {text!r}.")
    return found


def _from_lists(args: Sequence[Any]) -> tuple[list[Any], list[list[Any]], list[Any] | None]:
    """Return operands, their labels and the labels of the result, from operands and lists in turn."""
    output = list(args[-1]) if len(args) % 2 else None
    pairs = args[: len(args) - len(args) % 2]
    operands, lists = list(pairs[::2]), [list(p) for p in pairs[1::2]]
    for labels in [*lists, output or []]:
        for k in labels:
            if k is not ... and not (isinstance(k, (int, np.integer)) and 0 <= k < 52):
                raise ShapeError(f"einsum: a subscript in a list is a number from 0 to 51 or an ellipsis, got {k!r}.")
    return operands, lists, output


def _spelled_out(labels: list[Any], shape: tuple[int, ...], wide: int) -> Labels:
    """Return labels with the ellipsis replaced by one label per dim, aligned at the right of `wide` dims."""
    if labels.count(...) > 1:
        raise ShapeError("einsum: an operand's subscripts hold one '...' at most.")
    if ... not in labels:
        if len(labels) != len(shape):
            raise ShapeError(f"einsum: one subscript per dim is required, got {len(labels)} for shape {shape}.")
        return tuple(labels)
    at = labels.index(...)
    n = len(shape) - len(labels) + 1
    if n < 0:
        raise ShapeError(f"einsum: more subscripts than dims, for shape {shape}.")
    return (*labels[:at], *(("...", k) for k in range(wide - n, wide)), *labels[at + 1 :])


def _parsed(args: tuple[Any, ...]) -> tuple[list[Any], list[Labels], Labels]:
    """Return operands, the labels of each, and the labels of the result."""
    if isinstance(args[0], str):
        equation, operands = args[0], list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        left, arrow, right = equation.partition("->")
        lists = [_subscripts(part, "einsum") for part in left.split(",")]
        output = _subscripts(right, "einsum") if arrow else None
    else:
        operands, lists, output = _from_lists(args)
    operands = [as_tensor(x) for x in operands]
    if not operands or len(operands) != len(lists):
        raise ShapeError(
            f"einsum: one list of subscripts per operand is required, got {len(lists)} and {len(operands)}."
        )
    shapes = [tuple(x._data.shape) for x in operands]
    wide = max((len(s) - len(found) + 1 for found, s in zip(lists, shapes, strict=True) if ... in found), default=0)
    inputs = [_spelled_out(found, s, wide) for found, s in zip(lists, shapes, strict=True)]
    dots = tuple(("...", k) for k in range(wide))
    if output is None:
        counts = Counter(label for labels in inputs for label in labels if not isinstance(label, tuple))
        return operands, inputs, (*dots, *sorted(k for k, n in counts.items() if n == 1))
    if output.count(...) > 1:
        raise ShapeError("einsum: the result's subscripts hold one '...' at most.")
    at = output.index(...) if ... in output else None
    result = tuple(output) if at is None else (*output[:at], *dots, *output[at + 1 :])
    known = {label for labels in inputs for label in labels}
    for label in result:
        if result.count(label) > 1 or label not in known:
            raise ShapeError(
                f"einsum: each subscript of the result is one of an operand's and occurs once, got {label!r}."
            )
    return operands, inputs, result


# Summing


def _sizes(operands: list[Any], inputs: list[Labels]) -> dict[Any, int]:
    """Return the size of each label; 1 gives way to any other."""
    sizes: dict[Any, int] = {}
    for x, labels in zip(operands, inputs, strict=True):
        for label, n in zip(labels, x._data.shape, strict=True):
            known = sizes.setdefault(label, n)
            if known == 1:
                sizes[label] = n
            elif n not in (1, known):
                raise ShapeError(
                    f"einsum: subscript {label!r} stands for sizes {known} and {n}, which do not broadcast."
                )
    return sizes


def _reduced(x: Any, labels: Labels, sizes: dict[Any, int], wanted: set[Any]) -> tuple[Any, Labels]:
    """Return an operand with repeated labels as diagonals, and without dims that only it has or that broadcast."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = x.diagonal(0, first, second)
            labels = (*(k for at, k in enumerate(labels) if at not in (first, second)), label)
    summed = tuple(at for at, label in enumerate(labels) if label not in wanted)
    ones = tuple(at for at, label in enumerate(labels) if x._data.shape[at] == 1 and sizes[label] != 1)
    if summed:
        x = x.sum(summed, keepdim=True)
    gone = set(summed) | set(ones)
    kept = [at for at in range(len(labels)) if at not in gone]
    if gone:
        x = x.reshape([x._data.shape[at] for at in kept])
    return x, tuple(labels[at] for at in kept)


def _contracted(x: Any, xs: Labels, y: Any, ys: Labels, wanted: set[Any]) -> tuple[Any, Labels]:
    """Return the product of two operands, summed over what both have and nobody wants: one (batched) matrix product."""
    size = dict(zip(xs, x._data.shape, strict=True)) | dict(zip(ys, y._data.shape, strict=True))
    both = [k for k in xs if k in ys]
    batch, inner = [k for k in both if k in wanted], [k for k in both if k not in wanted]
    left, right = [k for k in xs if k not in ys], [k for k in ys if k not in xs]

    def count(labels: list[Any]) -> int:
        n = 1
        for k in labels:
            n *= size[k]
        return n

    x = x.permute([xs.index(k) for k in (*batch, *left, *inner)])
    y = y.permute([ys.index(k) for k in (*batch, *inner, *right)])
    shape = [size[k] for k in (*batch, *left, *right)]
    labels = (*batch, *left, *right)
    if not inner:
        x = x.reshape([size[k] for k in (*batch, *left)] + [1] * len(right))
        y = y.reshape([size[k] for k in batch] + [1] * len(left) + [size[k] for k in right])
        return mul(x, y), labels
    n, m, p = count(left), count(inner), count(right)
    lead = [count(batch)] if batch else []
    return matmul(x.reshape([*lead, n, m]), y.reshape([*lead, m, p])).reshape(shape), labels


def _order(inputs: list[Labels], sizes: dict[Any, int], result: Labels) -> list[tuple[int, ...]]:
    """Return which operands to multiply next, again and again, for the least work (found greedily)."""
    number = {label: k for k, label in enumerate(sizes)}
    said: list[Any] = []
    for labels in inputs:
        said += [np.broadcast_to(0.0, [sizes[k] for k in labels]), [number[k] for k in labels]]
    path = np.einsum_path(*said, [number[k] for k in result], optimize="greedy")[0]
    return [tuple(step) for step in path[1:]]  # type: ignore[arg-type]


def einsum(*args: Any) -> Tensor:
    """Sum of products, said with subscripts: ``einsum("ij,jk->ik", a, b)`` is the product of two matrices.

    Equal letters run together; letters left out of the result are summed; ``...`` stands for any further dims, which
    broadcast; without ``->`` the result has the letters that occur once, in alphabetical order. Operands and lists of
    numbers in turn say the same: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    >>> import thalweg as tw
    >>> tw.einsum("ii", tw.eye(3))
    tensor(3.)
    """
    if not args or (isinstance(args[0], str) and len(args) == 1):
        raise _NoOperands("einsum: at least one operand is required, got none.")
    operands, inputs, result = _parsed(args)
    sizes = _sizes(operands, inputs)
    steps = _order(inputs, sizes, result) if len(operands) > 2 else [(0, 1)] if len(operands) == 2 else []
    held = [
        _reduced(x, k, sizes, _elsewhere(inputs, i, result))
        for i, (x, k) in enumerate(zip(operands, inputs, strict=True))
    ]
    for step in steps:
        taken = [held.pop(at) for at in sorted(step, reverse=True)]
        while len(taken) > 1:
            (y, ys), (x, xs) = taken.pop(-2), taken.pop(-1)
            wanted = set(result).union(*(labels for _, labels in held), *(labels for _, labels in taken))
            taken.append(_contracted(x, xs, y, ys, wanted))
        held.append(taken[0])
    x, labels = held[0]
    x, labels = _reduced(x, labels, sizes, set(result))
    missing = [k for k in result if k not in labels]  # every operand had size 1 there, or broadcast it away
    if missing:
        x = x.reshape([*x._data.shape] + [1] * len(missing))
        labels = (*labels, *missing)
    return x.permute([labels.index(k) for k in result]) if labels != result else x


class _NoOperands(ShapeError):
    """No operands: PyTorch raises ValueError, which a ShapeError is."""


def _elsewhere(inputs: list[Labels], i: int, result: Labels) -> set[Any]:
    """Return the labels that the result or another operand has."""
    return set(result).union(*(labels for k, labels in enumerate(inputs) if k != i))


def tensordot(a: Any, b: Any, dims: Any = 2) -> Tensor:
    """Sum of products over `dims`: that many last dims of `a` with the first of `b`, or two lists of dims, pair by pair."""
    x: Any
    y: Any
    x, y = _pair(a, b, "tensordot")
    if isinstance(dims, TensorBase):
        dims = dims.tolist()
    if isinstance(dims, (int, np.integer)):
        if dims < 0 or dims > min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot: dims must lie in [0, {min(x.ndim, y.ndim)}] for these tensors, got {dims}.")
        over_x, over_y = list(range(x.ndim - dims, x.ndim)), list(range(dims))
    else:
        over_x = [one_dim(d, x.ndim, "tensordot") for d in _listed(dims[0])]
        over_y = [one_dim(d, y.ndim, "tensordot") for d in _listed(dims[1])]
    if len(over_x) != len(over_y):
        raise ShapeError(f"tensordot: as many dims of one as of the other are required, got {dims}.")
    for k, j in zip(over_x, over_y, strict=True):
        n, m = x._data.shape[k], y._data.shape[j]
        if n != m and 1 not in (n, m):
            raise ShapeError(f"tensordot: contracted dims of equal size are required, got {n} and {m}.")
        if n != m:
            x, y = (x.sum(k, keepdim=True), y) if m == 1 else (x, y.sum(j, keepdim=True))
    free_x = [k for k in range(x.ndim) if k not in over_x]
    free_y = [k for k in range(y.ndim) if k not in over_y]
    shape = [x._data.shape[k] for k in free_x] + [y._data.shape[k] for k in free_y]
    n, m, p = (
        int(np.prod(found, dtype=np.int64))
        for found in (
            [x._data.shape[k] for k in free_x],
            [x._data.shape[k] for k in over_x],
            [y._data.shape[k] for k in free_y],
        )
    )
    return matmul(x.permute([*free_x, *over_x]).reshape(n, m), y.permute([*over_y, *free_y]).reshape(m, p)).reshape(
        shape
    )


def _listed(dims: Any) -> list[int]:
    return [int(dims)] if isinstance(dims, (int, np.integer)) else list(dims)


def kron(input: Any, other: Any) -> Tensor:
    """Kronecker product: each element of `input` times all of `other`, laid out in blocks."""
    x: Any = as_tensor(input)
    y: Any = as_tensor(other)
    n = max(x.ndim, y.ndim)
    a = (1,) * (n - x.ndim) + tuple(x._data.shape)
    b = (1,) * (n - y.ndim) + tuple(y._data.shape)
    left = [k for size in a for k in (size, 1)]
    right = [k for size in b for k in (1, size)]
    return mul(x.reshape(left), y.reshape(right)).reshape([p * q for p, q in zip(a, b, strict=True)])


# The vector product


def _cross_forward(x: Any, y: Any, axis: int) -> Any:
    x, y = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
    parts = (x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0])
    return np.stack(parts, axis=axis)


_cross: Primitive = Primitive(
    "linalg_cross",
    _cross_forward,
    [
        lambda g, y, x_shape, axis: sum_to(_cross(y, g, axis), x_shape),
        lambda g, x, y_shape, axis: sum_to(_cross(g, x, axis), y_shape),
    ],
    linear=True,
)


def linalg_cross(input: Any, other: Any, *, dim: int = -1) -> Tensor:
    """Vector product of vectors of three elements along `dim`; other dims broadcast."""
    x, y = as_tensor(input), as_tensor(other)
    if x.ndim != y.ndim:
        raise ShapeError(f"cross: as many dims of one as of the other are required, got {x.ndim} and {y.ndim}.")
    axis = one_dim(dim, x.ndim, "cross")
    if not x.ndim or x._data.shape[axis] != 3 or y._data.shape[axis] != 3:
        raise ShapeError(
            f"cross: three elements along dim {dim} are required, got {x._data.shape} and {y._data.shape}."
        )
    try:
        np.broadcast_shapes(x._data.shape, y._data.shape)
    except ValueError:
        raise ShapeError(f"cross: shapes {x._data.shape} and {y._data.shape} do not broadcast together.") from None
    return apply(_cross, (x, y), (axis,))


def cross(input: Any, other: Any, dim: int | None = None) -> Tensor:
    """Vector product along `dim`, by default the first dim of size 3."""
    x = as_tensor(input)
    if dim is None:
        found = [k for k, n in enumerate(x._data.shape) if n == 3]
        if not found:
            raise ShapeError(f"cross: a dim of size 3 is required, got shape {x._data.shape}.")
        dim = found[0]
    return linalg_cross(x, other, dim=dim)
