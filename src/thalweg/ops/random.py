"""Random numbers from a counter: a draw depends on the seed and on how many draws came before, on nothing else.

Each call takes the next stream of a Philox generator (Salmon et al. 2011), so a draw is a pure function of
(seed, call). That makes runs reproducible across threads and lets compiled code draw the same numbers.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import dtype as _dtype
from ..core.modes import current
from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, shape_of
from .device import checked

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "rand", "rand_like", "randint",
    "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
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
        checked(device)
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
        slices = _slices.get()
        if slices is not None:
            slices.about_to_draw(self)
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


class Slices:
    """Used by transforms that evaluate a function once per slice: what a draw inside means.

    With ``"error"`` a draw is refused, with ``"same"`` every slice draws the same numbers, with ``"different"`` each
    goes on where the one before it stopped. :meth:`one` surrounds the evaluation of one slice.
    """

    def __init__(self, who: str, randomness: str) -> None:
        if randomness not in ("error", "same", "different"):
            raise ArgumentError(f"{who}: randomness must be 'error', 'same' or 'different', got {randomness!r}.")
        self.who, self.randomness = who, randomness
        self.before: dict[int, tuple[Generator, int, int]] = {}  # where each generator stood before its first draw
        self.outer: Slices | None = None
        self.fresh: set[int] = set()  # those that have drawn in the present slice

    def about_to_draw(self, source: Generator) -> None:
        """Refuse the draw, or let it start where the first slice did."""
        if self.randomness == "error":
            raise RandomnessError(
                f"{self.who}: the function draws random numbers, and randomness='error' (the default) refuses that; give "
                "'same' or 'different'."
            )
        if self.outer is not None:
            self.outer.about_to_draw(source)
        key = id(source)
        if self.randomness == "same" and key not in self.fresh:
            self.fresh.add(key)
            _, source.seed_value, source.call = self.before.setdefault(key, (source, source.seed_value, source.call))

    @contextmanager
    def one(self) -> Iterator[None]:
        """Surround the evaluation of one slice."""
        self.outer = _slices.get()
        self.fresh.clear()
        token = _slices.set(self)
        try:
            yield
        finally:
            _slices.reset(token)


class RandomnessError(ArgumentError, RuntimeError):
    """A draw where a transform was told that there is none."""


_slices: ContextVar[Slices | None] = ContextVar("thalweg.slices", default=None)


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


@contextmanager
def fork_rng(devices: Any = (), enabled: bool = True) -> Iterator[None]:
    """Draw within without moving the default generator on for what comes after."""
    place = default_generator.seed_value, default_generator.call
    try:
        yield
    finally:
        if enabled:
            default_generator.seed_value, default_generator.call = place


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


def draw(
    primitive: Primitive, params: tuple[Any, ...], generator: Generator | None, inputs: tuple[Any, ...] = ()
) -> Tensor:
    """Draw from `generator`, or the default one; `inputs` are the tensors that the primitive takes, if any."""
    source = generator or default_generator
    recorder = current().recorder
    if recorder is not None:
        recorder.draws(source)
    return apply(primitive, inputs, (*params, *source.next_call()))


def _float_type(dtype: Any, who: str) -> Any:
    target = _dtype.default_float() if dtype is None else _dtype.as_dtype(dtype)
    if target.rank != 2:
        raise _NotFloating(f"{who}: a floating-point type is required, got {target}.")
    return target.np


class _NotFloating(DTypeError):
    """Random floating-point numbers were asked for in an integer type."""


def _finished(t: Tensor, requires_grad: bool, device: Any = None) -> Tensor:
    if device is not None:
        checked(device)
    return t.requires_grad_() if requires_grad else t


def _sizes(shape: tuple[Any, ...], size: Any, who: str) -> tuple[int, ...]:
    sizes = shape_of(shape if size is None else (size,), who)
    if any(k < 0 for k in sizes):
        raise ShapeError(f"{who}: sizes >= 0 are required, got {sizes}.")
    return sizes


def rand(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Numbers uniform on [0, 1)."""
    params = (_sizes(shape, size, "rand"), _float_type(dtype, "rand"))
    return _finished(draw(_uniform_draw, params, generator), requires_grad, device)


def randn(
    *shape: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Numbers from the standard normal distribution.

    >>> import thalweg as tw
    >>> g = tw.Generator().manual_seed(1)
    >>> tw.randn(2, 3, generator=g).shape
    thalweg.Size([2, 3])
    """
    params = (_sizes(shape, size, "randn"), _float_type(dtype, "randn"))
    return _finished(draw(_normal_draw, params, generator), requires_grad, device)


def rand_like(
    input: Any,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    device: Any = None,
    memory_format: Any = None,
) -> Tensor:
    """Uniform numbers with the shape and type of `input`."""
    x = as_tensor(input)
    return rand(size=x._data.shape, generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


def randn_like(
    input: Any,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    device: Any = None,
    memory_format: Any = None,
) -> Tensor:
    """Standard normal numbers with the shape and type of `input`."""
    x = as_tensor(input)
    return randn(size=x._data.shape, generator=generator, dtype=dtype or x.dtype, requires_grad=requires_grad)


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Integers from `low` up to, not including, `high`; ``randint(high, size)`` starts at 0.

    >>> import thalweg as tw
    >>> bool((tw.randint(3, (100,)) < 3).all())
    True
    """
    if size is None and isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise DTypeError(f"randint: size must be a tuple of integers, got {size!r}.")
    if high <= low:
        raise _EmptyRange(f"randint: low < high is required, got {low} and {high}.")
    result = draw(_integer_draw, (_sizes((), size, "randint"), int(low), int(high)), generator)
    return _finished(_of_type(result, dtype), requires_grad, device)


def randint_like(
    input: Any,
    low: Any,
    high: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
    memory_format: Any = None,
) -> Tensor:
    """Integers from `low` up to, not including, `high`, with the shape and type of `input`."""
    if high is None:
        low, high = 0, low
    x = as_tensor(input)
    made = randint(low, high, tuple(x._data.shape), generator=generator, dtype=dtype or x.dtype)
    return _finished(made, requires_grad, device)


def _of_type(t: Tensor, dtype: Any) -> Tensor:
    if dtype is None:
        return t
    from .reduce import converted

    return converted(t, dtype)  # type: ignore[return-value]


class _EmptyRange(ShapeError):
    """Nothing to draw from: PyTorch raises RuntimeError."""


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """The integers 0 … n - 1 in random order."""
    if n < 0:
        raise _EmptyRange(f"randperm: n >= 0 is required, got {n}.")
    return _finished(_of_type(draw(_permutation_draw, (int(n),), generator), dtype), requires_grad, device)
