"""The loader: a data set, visited in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, Generic, TypeVar, cast

import numpy as np

from ...core import dtype as _dtype
from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError
from ...ops.create import tensor
from ...ops.join import stack
from ...ops.random import Generator
from .dataset import Dataset, IterableDataset, rows_of
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)


def default_collate(batch: Sequence[Any]) -> Any:
    """Join the items of a batch along a new first dim: tensors, arrays, numbers, and containers of them.

    >>> import thalweg as tw
    >>> default_collate([(tw.tensor([1.0]), 2), (tw.tensor([3.0]), 4)])
    [tensor([[1.],
            [3.]]), tensor([2, 4])]
    """
    first = batch[0]
    if isinstance(first, TensorBase):
        return stack(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        return tensor(np.stack([np.asarray(item) for item in batch]))
    if isinstance(first, bool):
        return tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=_dtype.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(part) for part in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(item) != len(first) for item in batch):
            raise _Uneven("default_collate: items of equal length are required in a batch.")
        return [default_collate(part) for part in zip(*batch, strict=True)]
    raise DTypeError(
        "default_collate: tensors, arrays, numbers, text, mappings or sequences are required, "
        f"got {type(first).__name__}; give the loader a collate_fn."
    )


class _Uneven(ArgumentError, RuntimeError):
    """Items of different length: PyTorch raises RuntimeError."""


def default_convert(data: Any) -> Any:
    """The same with arrays as tensors, within containers too; what is no array stays as it is."""
    if isinstance(data, (np.ndarray, np.generic)):
        return tensor(np.asarray(data)) if data.dtype.kind in "fiub" else data
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(part) for part in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return [default_convert(part) for part in data]
    return data


def get_worker_info() -> None:
    """None: batches are made in this process, by no worker."""


class _Endless(Sampler[int]):
    """The sampler of an iterable data set, which has its own order."""

    def __iter__(self) -> Iterator[int]:
        return repeat(0)


class DataLoader(Generic[T_co]):
    """Iterate over `dataset` in batches.

    `shuffle` takes a fresh random order in each pass, from `generator` or the default one; a `sampler` or a
    `batch_sampler` decides the order instead. ``batch_size=None`` gives single items. An ``IterableDataset`` is read in
    its own order. Batches are made in this process: `num_workers` and what belongs to workers and pinned memory are
    accepted and change nothing.

    >>> import thalweg as tw
    >>> from thalweg.utils.data import TensorDataset
    >>> rows = TensorDataset(tw.arange(5), tw.arange(5) * 10)
    >>> for x, y in DataLoader(rows, batch_size=3):
    ...     print(x.tolist(), y.tolist())
    [0, 1, 2] [0, 10, 20]
    [3, 4] [30, 40]
    """

    dataset: Dataset[T_co]
    batch_size: int | None
    sampler: Iterable[Any]
    batch_sampler: Iterable[Any] | None

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ArgumentError(f"DataLoader: num_workers must be an integer >= 0, got {num_workers}.")
        if isinstance(dataset, IterableDataset):
            given = {"shuffle": shuffle or None, "sampler": sampler, "batch_sampler": batch_sampler}
            wrong = next((name for name, value in given.items() if value is not None), None)
            if wrong is not None:
                raise ArgumentError(f"DataLoader: an IterableDataset has its own order; leave out {wrong}.")
        if sampler is not None and shuffle:
            raise ArgumentError("DataLoader: either a sampler or shuffle is allowed, got both.")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ArgumentError(
                    "DataLoader: with a batch_sampler, none of batch_size, shuffle, sampler and drop_last is allowed."
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ArgumentError("DataLoader: drop_last needs a batch_size, got None.")
        if isinstance(dataset, IterableDataset):
            sampler = _Endless()
        elif sampler is None:
            rows = cast(Any, dataset)
            # PyTorch accepts an empty data set with shuffle too: nothing is drawn
            sampler = RandomSampler(rows, generator=generator) if shuffle else SequentialSampler(rows)
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self._given_collate = collate_fn

    @property
    def collate_fn(self) -> Callable[[list[Any]], Any]:
        """What joins the items of a batch; without batches, what is done to each item."""
        return self._given_collate or (default_convert if self.batch_sampler is None else default_collate)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._read(iter(self.dataset))
        batches = self.batch_sampler
        if batches is None:
            return self._single_items()
        return self._batches(batches.arrays() if type(batches) is BatchSampler else iter(batches))

    def _single_items(self) -> Iterator[Any]:
        convert: Callable[[Any], Any] = self.collate_fn
        for index in self.sampler:
            yield convert(self.dataset[index])

    def _read(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items of an iterable data set, in batches if there are any."""
        join: Callable[[Any], Any] = self.collate_fn
        if self.batch_size is None:
            yield from map(join, items)
            return
        while batch := list(islice(items, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield join(batch)

    def _batches(self, batches: Iterator[Any]) -> Iterator[Any]:
        dataset = self.dataset
        collate = self._given_collate
        for indices in batches:
            if collate is None:
                rows = rows_of(dataset, np.asarray(indices, np.int64))
                if rows is not None:
                    yield rows
                    continue
            chosen = indices.tolist() if isinstance(indices, np.ndarray) else indices
            yield (collate or default_collate)([dataset[k] for k in chosen])

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            n = len(cast(Any, self.dataset))
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
