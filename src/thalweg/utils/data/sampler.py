"""Samplers: in which order, and how often, the items of a data set are visited.

Each draws from a NumPy generator that counts as one draw of a :class:`thalweg.Generator`, so an order depends on
the seed and on how many draws came before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import chain
from typing import Any, Generic, TypeVar

import numpy as np

from ...core.tensor import TensorBase
from ...errors import ArgumentError, DTypeError
from ...ops.random import Generator, default_generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)
Indices = np.ndarray[Any, np.dtype[np.int64]]


class Sampler(Generic[T_co]):
    """Base of samplers: an iterable over indices (or over lists of them)."""

    def __init__(self, data_source: Any = None) -> None:
        """`data_source` is accepted and not needed."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: __iter__ must be defined by a subclass of Sampler.")


PIECE = 1 << 20  # indices drawn at a time where a pass may be longer than memory


class _ArraySampler(Sampler[int]):
    """A sampler whose order is drawn as arrays."""

    def order(self) -> Indices:
        """Draw the order of one pass."""
        return np.concatenate([*self.pieces()])

    def pieces(self) -> Iterator[Indices]:
        """Draw the order of one pass in pieces; the generator is asked at the call, the pieces are drawn when needed."""
        return iter([self.order()])

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(piece.tolist() for piece in self.pieces())


def _numpy(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy()


def _sizes(total: int, each: int) -> Iterator[int]:
    """Return the sizes of the pieces of a whole, all but the last equal."""
    return (min(each, total - start) for start in range(0, total, each))


def _count(value: Any, who: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ArgumentError(f"{who}: an integer > 0 is required, got {value!r}.")
    return int(value)


def _truth(value: Any, who: str) -> bool:
    if not isinstance(value, bool):
        raise _NotBool(f"{who}: True or False is required, got {value!r}.")
    return value


class _NotBool(DTypeError, ValueError):
    """A flag of another type: PyTorch raises TypeError or ValueError, by sampler."""


class SequentialSampler(_ArraySampler):
    """0, 1, … n - 1."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def order(self) -> Indices:
        """Return the order of one pass."""
        return np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(_ArraySampler):
    """All indices in random order, or `num_samples` drawn with replacement.

    Without replacement, more samples than items continue with another permutation.

    >>> import thalweg as tw
    >>> g = tw.Generator().manual_seed(0)
    >>> sorted(RandomSampler(range(4), generator=g))
    [0, 1, 2, 3]
    >>> len(list(RandomSampler(range(4), replacement=True, num_samples=9, generator=g)))
    9
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = _truth(replacement, "RandomSampler: replacement")
        self._num_samples = None if num_samples is None else _count(num_samples, "RandomSampler: num_samples")
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many indices one pass has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def pieces(self) -> Iterator[Indices]:
        """Draw the order of one pass in pieces."""
        n, wanted = len(self.data_source), self.num_samples
        if n == 0:
            return iter([np.arange(0)])
        rng = _numpy(self.generator)
        if self.replacement:
            return (rng.integers(0, n, size) for size in _sizes(wanted, PIECE))
        return (rng.permutation(n)[:size] for size in _sizes(wanted, n))

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(_ArraySampler):
    """The given indices in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def order(self) -> Indices:
        """Draw the order of one pass."""
        return _numpy(self.generator).permutation(np.asarray(self.indices, np.int64))

    def __len__(self) -> int:
        return len(self.indices)


class _TooFew(ArgumentError, RuntimeError):
    """More draws without replacement than items: PyTorch raises RuntimeError."""


class WeightedRandomSampler(_ArraySampler):
    """Indices drawn with probability proportional to `weights`.

    Without replacement the draws are successive: those of the smallest Eᵢ/wᵢ with independent exponential Eᵢ
    (Efraimidis and Spirakis 2006).
    """

    def __init__(
        self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        values = np.asarray(weights.numpy() if isinstance(weights, TensorBase) else weights, np.float64)
        if values.ndim != 1:
            raise ArgumentError(f"WeightedRandomSampler: weights must have one dim, got shape {values.shape}.")
        if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
            raise _TooFew("WeightedRandomSampler: finite weights >= 0, not all 0, are required.")
        self.weights = values
        self.num_samples = _count(num_samples, "WeightedRandomSampler: num_samples")
        self.replacement = _truth(replacement, "WeightedRandomSampler: replacement")
        self.generator = generator

    def pieces(self) -> Iterator[Indices]:
        """Draw the order of one pass in pieces."""
        rng = _numpy(self.generator)
        if self.replacement:
            ends = np.cumsum(self.weights)
            return (
                np.searchsorted(ends, rng.random(size) * ends[-1], side="right")
                for size in _sizes(self.num_samples, PIECE)
            )
        possible = np.count_nonzero(self.weights)
        if self.num_samples > possible:
            raise _TooFew(
                f"WeightedRandomSampler: without replacement num_samples must be at most {possible}, the number of "
                f"positive weights, got {self.num_samples}."
            )
        waits = np.full(len(self.weights), np.inf)
        np.divide(rng.standard_exponential(len(waits)), self.weights, out=waits, where=self.weights > 0)
        return iter([np.argsort(waits, kind="stable")[: self.num_samples]])

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of `sampler` in lists of `batch_size`; the last, shorter one is left out with `drop_last`.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = _count(batch_size, "BatchSampler: batch_size")
        self.drop_last = _truth(drop_last, "BatchSampler: drop_last")

    def arrays(self) -> Iterator[Indices]:
        """Yield the batches as arrays."""
        sampler = self.sampler
        if isinstance(sampler, _ArraySampler) and type(sampler).__iter__ is _ArraySampler.__iter__:
            rest = np.arange(0)
            for piece in sampler.pieces():
                order = np.concatenate([rest, piece]) if rest.size else piece
                end = len(order) - len(order) % self.batch_size
                for k in range(0, end, self.batch_size):
                    yield order[k : k + self.batch_size]
                rest = order[end:]
            if rest.size and not self.drop_last:
                yield rest
            return
        batch: list[int] = []
        for index in sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield np.asarray(batch)
                batch = []
        if batch and not self.drop_last:
            yield np.asarray(batch)

    def __iter__(self) -> Iterator[list[int]]:
        for indices in self.arrays():
            yield indices.tolist()

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
