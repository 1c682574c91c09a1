"""Random numbers from a counter: a draw depends on the seed and on how many draws came before, on nothing else.

Each call takes the next stream of a Philox generator (Salmon et al. 2011), so a draw is a pure function of
(seed, call). That makes runs reproducible across threads and lets compiled code draw the same numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, shape_of

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Generator", "default_generator", "get_rng_state", "initial_seed", "manual_seed", "rand", "rand_like", "randint", "randn",
    "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip


class _Stream(threading.local):
    """One bit generator per thread, set to the wanted place before each draw."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(0)
        self.numpy = np.random.Generator(self.bits)

    def at(self, seed: int, call: int) -> np.random.Generator:
        zero = np.uint64(0)
        self.bits.state = {
            "bit_generator": "Philox",
            "state": {
                "counter": np.array([zero, zero, call & 0xFFFFFFFFFFFFFFFF, call >> 64], np.uint64),
                "key": np.array([seed & 0xFFFFFFFFFFFFFFFF, 0], np.uint64),
            },
            "buffer": np.zeros(4, np.uint64),
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self.numpy


_stream = _Stream()


class Generator:
    """A source of random numbers: a seed and a count of the draws made.

    >>> import thalweg as tw
    >>> g = tw.Generator().manual_seed(0)
    >>> a = tw.rand(3, generator=g); state = g.get_state(); b = tw.rand(3, generator=g)
    >>> g.set_state(state).call, bool((tw.rand(3, generator=g) == b).all())
    (1, True)
    """

    __slots__ = ("_lock", "call", "seed_value")

    def __init__(self, device: Any = "cpu") -> None:
        self.seed_value = 67280421310721  # any fixed number: a fresh generator is reproducible, as in PyTorch
        self.call = 0
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """Always ``cpu``."""
        return "cpu"

    def manual_seed(self, seed: int) -> Generator:
        """Start over from `seed`; return the generator."""
        if not isinstance(seed, (int, np.integer)):
            raise DTypeError(f"manual_seed: an integer is required, got {type(seed).__name__}.")
        self.seed_value = int(seed) & 0xFFFFFFFFFFFFFFFF
        self.call = 0
        return self

    def seed(self) -> int:
        """Start over from a seed taken from the system; return it."""
        found = int.from_bytes(np.random.SeedSequence().generate_state(2, np.uint32).tobytes(), "little")
        self.manual_seed(found)
        return self.seed_value

    def initial_seed(self) -> int:
        """Return the seed."""
        return self.seed_value

    def get_state(self) -> Tensor:
        """Return the state as a tensor of bytes."""
        packed = np.array([self.seed_value, self.call], np.uint64)
        return TensorBase._wrap(packed.view(np.uint8).copy())  # type: ignore[return-value]

    def set_state(self, state: Any) -> Generator:
        """Continue from a state; return the generator."""
        data = np.ascontiguousarray(as_tensor(state)._data)
        if data.dtype != np.uint8 or data.shape != (16,):
            raise ArgumentError(f"set_state: 16 bytes (uint8) are required, got {data.dtype} of shape {data.shape}.")
        self.seed_value, self.call = (int(k) for k in data.view(np.uint64))
        return self

    def clone_state(self) -> Generator:
        """Return another generator at the same place."""
        twin = Generator()
        twin.seed_value, twin.call = self.seed_value, self.call
        return twin

    def next_call(self) -> tuple[int, int]:
        """Return (seed, call) of the next draw and count it."""
        with self._lock:
            self.call += 1
            return self.seed_value, self.call - 1

    def numpy(self) -> np.random.Generator:
        """Return a NumPy generator of its own for one use, and count it as a draw."""
        seed, call = self.next_call()
        bits = np.random.Philox(key=seed, counter=call << 128)
        return np.random.Generator(bits)

    def __getstate__(self) -> tuple[int, int]:
        return self.seed_value, self.call

    def __setstate__(self, state: tuple[int, int]) -> None:
        self.seed_value, self.call = state
        self._lock = threading.Lock()


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default generator over from `seed`."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator over from a seed taken from the system; return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Return the state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Continue the default generator from a state."""
    default_generator.set_state(state)


def _uniform(shape: tuple[int, ...], dtype: Any, seed: int, call: int) -> Any:
    return _stream.at(seed, call).random(shape, dtype)


def _normal(shape: tuple[int, ...], dtype: Any, seed: int, call: int) -> Any:
    return _stream.at(seed, call).standard_normal(shape, dtype)


def _integers(shape: tuple[int, ...], low: int, high: int, seed: int, call: int) -> Any:
    return _stream.at(seed, call).integers(low, high, shape, np.int64)


def _permutation(n: int, seed: int, call: int) -> Any:
    return _stream.at(seed, call).permutation(n)


# Draws are primitives without inputs, so that a compiler sees them; `seed` and `call` are their last settings.
_uniform_draw: Primitive = Primitive("rand", _uniform, (), arity=0)
_normal_draw: Primitive = Primitive("randn", _normal, (), arity=0)
_integer_draw: Primitive = Primitive("randint", _integers, (), arity=0)
_permutation_draw: Primitive = Primitive("randperm", _permutation, (), arity=0)


def draw(primitive: Primitive, params: tuple[Any, ...], generator: Generator | None) -> Tensor:
    """Draw from `generator`, or the default one."""
    return apply(primitive, (), (*params, *(generator or default_generator).next_call()))


def _float_type(dtype: Any, who: str) -> Any:
    target = _dtype.default_float() if dtype is None else _dtype.as_dtype(dtype)
    if target.rank != 2:
        raise _NotFloating(f"{who}: a floating-point type is required, got {target}.")
    return target.np


class _NotFloating(DTypeError):
    """Random floating-point numbers were asked for in an integer type."""


def _finished(t: Tensor, requires_grad: bool) -> Tensor:
    return t.requires_grad_() if requires_grad else t


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Numbers uniform on [0, 1)."""
    params = (shape_of(size, "rand"), _float_type(dtype, "rand"))
    return _finished(draw(_uniform_draw, params, generator), requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Numbers from the standard normal distribution.

    >>> import thalweg as tw
    >>> g = tw.Generator().manual_seed(1)
    >>> tw.randn(2, 3, generator=g).shape
    thalweg.Size([2, 3])
    """
    params = (shape_of(size, "randn"), _float_type(dtype, "randn"))
    return _finished(draw(_normal_draw, params, generator), requires_grad)


def rand_like(
    input: Any, *, dtype: Any = None, generator: Generator | None = None, requires_grad: bool = False
) -> Tensor:
    """Uniform numbers with the shape and type of `input`."""
    x = as_tensor(input)
    return rand(x._data.shape, generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


def randn_like(
    input: Any, *, dtype: Any = None, generator: Generator | None = None, requires_grad: bool = False
) -> Tensor:
    """Standard normal numbers with the shape and type of `input`."""
    x = as_tensor(input)
    return randn(x._data.shape, generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Integers from `low` up to, not including, `high`; ``randint(high, size)`` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    if not isinstance(size, (tuple, list)):
        raise DTypeError(f"randint: size must be a tuple of integers, got {size!r}.")
    if high <= low:
        raise _EmptyRange(f"randint: low < high is required, got {low} and {high}.")
    result = draw(_integer_draw, (shape_of((size,), "randint"), int(low), int(high)), generator)
    if dtype is not None:
        from .reduce import converted

        result = converted(result, dtype)  # type: ignore[assignment]
    return _finished(result, requires_grad)


class _EmptyRange(ShapeError):
    """Nothing to draw from: PyTorch raises RuntimeError."""


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """The integers 0 … n - 1 in random order."""
    if n < 0:
        raise _EmptyRange(f"randperm: n >= 0 is required, got {n}.")
    result = draw(_permutation_draw, (int(n),), generator)
    if dtype is not None:
        from .reduce import converted

        result = converted(result, dtype)  # type: ignore[assignment]
    return _finished(result, requires_grad)
