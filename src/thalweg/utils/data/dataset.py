"""Data sets: anything with a length whose items are taken by number."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...ops.random import Generator, randperm
from ...ops.tensor import Tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

T_co = TypeVar("T_co", covariant=True)
Indices = np.ndarray[Any, np.dtype[np.int64]]


class Dataset(Generic[T_co]):
    """Base of data sets: subclasses define ``__getitem__`` and, where they have one, ``__len__``."""

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__}: __getitem__ must be defined by a subclass of Dataset.")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base of data sets that are read in their own order: subclasses define ``__iter__``.

    >>> class Squares(IterableDataset):
    ...     def __iter__(self):
    ...         return (k * k for k in range(5))
    >>> from thalweg.utils.data import DataLoader
    >>> list(DataLoader(Squares(), batch_size=3))
    [tensor([0, 1, 4]), tensor([ 9, 16])]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: __iter__ must be defined by a subclass of IterableDataset.")

    def __add__(self, other: Dataset[T_co]) -> ChainDataset[T_co]:  # type: ignore[override]
        return ChainDataset([self, other])


class _NoIterable(ArgumentError, AssertionError):
    """A part that cannot be chained: PyTorch raises AssertionError."""


class ChainDataset(IterableDataset[T_co]):
    """Several data sets that are read in their own order, one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise _NoIterable(f"ChainDataset: IterableDatasets are required, got {type(part).__name__}.")
            yield from part

    def __len__(self) -> int:
        return sum(len(cast(Any, part)) for part in self.datasets)


class _SizeMismatch(ShapeError, AssertionError):
    """Tensors of different lengths: PyTorch raises AssertionError."""


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Rows of several tensors of equal length: item ``i`` is ``(t[i] for each tensor)``.

    >>> import thalweg as tw
    >>> rows = TensorDataset(tw.tensor([[1.0], [2.0]]), tw.tensor([3.0, 4.0]))
    >>> len(rows), rows[1]
    (2, (tensor([2.]), tensor(4.)))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        sizes = [t.shape[0] if t.ndim else None for t in tensors]
        if not tensors or None in sizes or len(set(sizes)) != 1:
            raise _SizeMismatch(f"TensorDataset: tensors of equal length are required, got lengths {sizes}.")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def _rows(self, indices: Indices) -> list[Tensor]:
        """Return a whole batch by one indexing per tensor."""
        return [t[indices] for t in self.tensors]


class Subset(Dataset[T_co]):
    """The items of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[k] for k in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Several data sets one after the other."""

    datasets: list[Dataset[T_co]]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise _SizeMismatch("ConcatDataset: at least one data set is required, got none.")
        sizes = [len(cast(Any, d)) for d in self.datasets]
        self.cumulative_sizes = [int(k) for k in np.cumsum(sizes)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        n = len(self)
        if not -n <= index < n:
            raise _OutOfRange(f"ConcatDataset: an index in [{-n}, {n - 1}] is required, got {index}.")
        index %= n
        which = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]


class StackDataset(Dataset[Any]):
    """Items of several data sets of one length side by side: a tuple of them, or a dict if they were named.

    >>> StackDataset([1, 2], [3, 4])[1], StackDataset(x=[1, 2], y=[3, 4])[0]
    ((2, 4), {'x': 1, 'y': 3})
    """

    datasets: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and kwargs:
            raise ArgumentError("StackDataset: data sets are given either by position or by name, got both.")
        parts = list(args or kwargs.values())
        if not parts:
            raise ArgumentError("StackDataset: at least one data set is required, got none.")
        sizes = [len(part) for part in parts]
        if len(set(sizes)) != 1:
            raise ArgumentError(f"StackDataset: data sets of equal length are required, got lengths {sizes}.")
        self.datasets = args or kwargs
        self._length = sizes[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple(part[index] for part in self.datasets)

    def __len__(self) -> int:
        return self._length


class _OutOfRange(ArgumentError, IndexError):
    """An index past the end: so that a plain ``for`` over the data set ends."""


def rows_of(dataset: Any, indices: Indices) -> list[Tensor] | None:
    """Return a batch at once where the data set is made of tensors, else None."""
    while isinstance(dataset, Subset):
        indices = np.asarray(dataset.indices, np.int64)[indices]
        dataset = dataset.dataset
    # a subclass may have changed what an item is
    return dataset._rows(indices) if type(dataset) is TensorDataset else None


def _counts(lengths: Sequence[float], n: int) -> list[int]:
    """Return whole numbers for `lengths`, which may be fractions of n that sum to 1."""
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"random_split: lengths >= 0 are required, got {list(lengths)}.")
    if not (math.isclose(sum(lengths), 1.0) and sum(lengths) <= 1.0):
        return [int(length) for length in lengths]
    counts = [math.floor(n * fraction) for fraction in lengths]
    for k in range(n - sum(counts)):  # what rounding left over goes around
        counts[k % len(counts)] += 1
    for k, count in enumerate(counts):
        if count == 0:
            warnings.warn(f"random_split: part {k} is empty.", UserWarning, stacklevel=3)
    return counts


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset[T_co]]:
    """Split at random into parts without overlap; `lengths` are counts, or fractions that sum to 1.

    >>> import thalweg as tw
    >>> rows = TensorDataset(tw.arange(10))
    >>> [len(part) for part in random_split(rows, [0.7, 0.3], tw.Generator().manual_seed(0))]
    [7, 3]
    """
    n = len(cast(Any, dataset))
    counts = _counts(lengths, n)
    if sum(counts) != n:
        raise ArgumentError(f"random_split: lengths that sum to {n} are required, got a sum of {sum(counts)}.")
    order: list[int] = randperm(n, generator=generator).tolist()
    ends = [int(k) for k in np.cumsum(counts)]
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
