"""Sequences of different lengths: side by side with padding, or packed without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError, ShapeError
from ...ops._coerce import as_tensor
from ...ops.create import full, tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """Sequences, longest first, as the elements of step 0 of all, then of step 1 of those that have one, and so on.

    `batch_sizes` counts the sequences that have each step; `sorted_indices` are the numbers of the sequences, longest
    first (None if that is the order they came in), and `unsorted_indices` puts them back.
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with other elements, as ``Tensor.to`` converts them."""
        return self._replace(data=self.data.to(*args, **kwargs))


class _Lengths(ArgumentError, RuntimeError):
    """Lengths that cannot be packed: PyTorch raises RuntimeError."""


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes `permutation`; None for None."""
    if permutation is None:
        return None
    return tensor(np.argsort(_numbers(permutation)))


def _numbers(values: Any) -> Any:
    """Return lengths or indices as an array of integers."""
    return np.asarray(values._data if isinstance(values, TensorBase) else values, np.int64)


def _places(sizes: Any) -> tuple[Any, Any]:
    """Return the step and the sequence of each packed element."""
    step = np.repeat(np.arange(len(sizes)), sizes)
    ends = np.cumsum(sizes)
    return step, np.arange(len(step)) - np.repeat(ends - sizes, sizes)


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that lie side by side with padding, [L, N, ...] (or [N, L, ...]); `lengths` says how long each is.

    Without `enforce_sorted` they may come in any order.

    >>> import thalweg as tw
    >>> packed = pack_padded_sequence(tw.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))
    """
    x: Any = as_tensor(input)
    x = x.transpose(0, 1) if batch_first else x
    sizes = _numbers(lengths)
    if sizes.shape != (x.shape[1],) or sizes.min(initial=1) < 1 or sizes.max(initial=1) > x.shape[0]:
        raise _Lengths(
            f"pack_padded_sequence: {x.shape[1]} lengths from 1 to {x.shape[0]} are required, got {sizes.tolist()}."
        )
    order = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise _Lengths(
                f"pack_padded_sequence: lengths in descending order are required, got {sizes.tolist()}; "
                "give enforce_sorted=False for any order."
            )
    else:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    counts = (sizes > np.arange(sizes.max(initial=0))[:, None]).sum(1)
    step, which = _places(counts)
    data = x[tensor(step), tensor(which if order is None else order[which])]
    sorted_indices = None if order is None else tensor(order)
    return PackedSequence(data, tensor(counts), sorted_indices, invert_permutation(sorted_indices))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """Return packed sequences side by side with padding, [L, N, ...] (or [N, L, ...]), and their lengths.

    >>> import thalweg as tw
    >>> packed = pack_sequence([tw.tensor([1, 2]), tw.tensor([3])])
    >>> pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2],
            [3, 0]]), tensor([2, 1]))
    """
    data, sizes = sequence.data, _numbers(sequence.batch_sizes)
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ShapeError(
            f"pad_packed_sequence: total_length must be at least {len(sizes)}, the longest sequence, got {steps}."
        )
    step, which = _places(sizes)
    blank: Any = full((steps, int(sizes[0]), *data.shape[1:]), padding_value, dtype=data.dtype)
    out = blank.index_put((tensor(step), tensor(which)), data)
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    if sequence.unsorted_indices is not None:
        back = _numbers(sequence.unsorted_indices)
        out, lengths = out.index_select(1, tensor(back)), lengths[back]
    return (out.transpose(0, 1) if batch_first else out), tensor(lengths)


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences [Lᵢ, ...] side by side, [L, N, ...] (or [N, L, ...]), filled up to the longest with `padding_value`.

    >>> import thalweg as tw
    >>> pad_sequence([tw.tensor([1, 2, 3]), tw.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if padding_side not in ("left", "right"):
        raise ArgumentError(f"pad_sequence: padding_side must be 'left' or 'right', got {padding_side!r}.")
    if not isinstance(sequences, Iterable):
        raise DTypeError(f"pad_sequence: a list of tensors is required, got {type(sequences).__name__}.")
    rows = list(sequences)
    if not rows or any(not isinstance(r, TensorBase) for r in rows):
        raise DTypeError(f"pad_sequence: a list of one or more tensors is required, got {rows!r:.80}.")
    first: Any = rows[0]
    if any(r.ndim == 0 or r.shape[1:] != first.shape[1:] for r in rows):
        raise _Rows(
            "pad_sequence: tensors that differ only in their first dim are required, got shapes "
            f"{[tuple(r.shape) for r in rows]}."
        )
    longest = max(len(r) for r in rows)
    out: Any = full((len(rows), longest, *first.shape[1:]), padding_value, dtype=first.dtype)
    for k, row in enumerate(rows):
        n = len(row)
        out[k, longest - n if padding_side == "left" else 0 : longest if padding_side == "left" else n] = row
    return out if batch_first else out.transpose(0, 1)


class _Rows(ShapeError):
    """Sequences that do not fit beside each other: PyTorch raises RuntimeError."""


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch, each of its own length."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(rows, _numbers(lengths), strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences [Lᵢ, ...], which come longest first unless `enforce_sorted` is False."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences that were packed, in the order they came in."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
