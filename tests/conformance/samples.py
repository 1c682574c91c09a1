"""Our own samples, for names of the catalogue that PyTorch's test package has none for.

A sample is a function of the package (ours or PyTorch's, called ``lib``) and of tensors made from `arrays`;
float64 arrays take part in the comparison of gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Own = tuple[Callable[..., Any], list[np.ndarray[Any, Any]]]


def _numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).normal(size=shape)


def _written(key: Any, value: Any) -> Callable[..., Any]:
    def call(lib: Any, x: Any, *more: Any) -> Any:
        y = x.clone()
        y[key] = more[0] if more else value
        return y

    return call


def _copied(lib: Any, x: Any, y: Any) -> Any:
    return x.clone().copy_(y)


def _seeded(lib: Any) -> Any:
    lib.manual_seed(3)
    a = lib.rand(4)
    state = lib.get_rng_state()
    b = lib.rand(4)
    lib.set_rng_state(state)
    return (a, (b == lib.rand(4)).all().item())


def _generated(lib: Any) -> Any:
    g = lib.Generator()
    g.manual_seed(5)
    a = lib.rand(3, generator=g)
    g.manual_seed(5)
    return (lib.rand(3, generator=g) == a).all().item(), g.initial_seed()


OWN: dict[str, list[Own]] = {
    "tensor": [
        (lambda lib: lib.tensor(1), []),
        (lambda lib: lib.tensor(2.5), []),
        (lambda lib: lib.tensor(True), []),
        (lambda lib: lib.tensor([]), []),
        (lambda lib: lib.tensor([[1, 2], [3, 4]]), []),
        (lambda lib: lib.tensor([[1, 2.5], [3, 4]]), []),
        (lambda lib: lib.tensor([True, False]), []),
        (lambda lib: lib.tensor([True, 2]), []),
        (lambda lib: lib.tensor([1, 2], dtype=lib.float64), []),
        (lambda lib: lib.tensor(np.arange(3)), []),
        (lambda lib: lib.tensor(np.ones((2, 3), np.float32)), []),
        (lambda lib: lib.tensor([lib.tensor(1.0), lib.tensor(2.0)]), []),
        (lambda lib: lib.tensor([[1.0, 2.0], [3.0]]), []),
        (lambda lib: lib.tensor(None), []),
        (lambda lib: lib.tensor("text"), []),
    ],
    "as_tensor": [
        (lambda lib: lib.as_tensor([1, 2]), []),
        (lambda lib: lib.as_tensor([1.5, 2]), []),
        (lambda lib: lib.as_tensor(np.arange(4.0)), []),
        (lambda lib: lib.as_tensor(np.arange(4.0), dtype=lib.float32), []),
        (lambda lib, x: lib.as_tensor(x), [_numbers(3)]),
    ],
    "from_numpy": [
        (lambda lib: lib.from_numpy(np.arange(6).reshape(2, 3)), []),
        (lambda lib: lib.from_numpy(np.ones(3, np.float32)), []),
        (lambda lib: lib.from_numpy([1, 2]), []),
    ],
    "rand": [
        (lambda lib: lib.rand(3), []),
        (lambda lib: lib.rand(2, 3, dtype=lib.float64), []),
        (lambda lib: lib.rand((2, 0)), []),
        (lambda lib: lib.rand(()), []),
        (lambda lib: lib.rand(-1), []),
    ],
    "randperm": [
        (lambda lib: lib.randperm(5), []),
        (lambda lib: lib.randperm(0), []),
        (lambda lib: lib.randperm(4, dtype=lib.int32), []),
        (lambda lib: lib.randperm(6).sort().values, []),
        (lambda lib: lib.randperm(-1), []),
    ],
    "manual_seed": [(_seeded, [])],
    "get_rng_state": [(_seeded, [])],
    "set_rng_state": [(_seeded, [])],
    "Generator": [(_generated, [])],
    "vander": [
        (lambda lib, x: lib.vander(x), [_numbers(4)]),
        (lambda lib, x: lib.vander(x, N=3), [_numbers(4)]),
        (lambda lib, x: lib.vander(x, 3, increasing=True), [_numbers(4)]),
        (lambda lib, x: lib.vander(x, N=0), [_numbers(4)]),
        (lambda lib, x: lib.vander(x, N=-1), [_numbers(4)]),
        (lambda lib: lib.vander(lib.tensor([1, 2, 3])), []),
    ],
    "Tensor.__setitem__": [
        (_written(0, 1.5), [_numbers(3, 4)]),
        (_written((slice(None), 1), 2), [_numbers(3, 4)]),
        (_written((Ellipsis, None, -1), 0.0), [_numbers(3, 4)]),
        (_written((slice(0, 2), slice(None, None, 2)), None), [_numbers(3, 4), _numbers(2, 2)]),
        (_written(([0, 2], [1, 3]), None), [_numbers(3, 4), _numbers(2)]),
        (_written(([0, 2], slice(None)), None), [_numbers(3, 4), _numbers(4)]),
        (_written((slice(None), [[0], [2]]), None), [_numbers(3, 4), _numbers(3, 2, 1)]),
        (_written([True, False, True], None), [_numbers(3, 4), _numbers(2, 4)]),
        (_written((Ellipsis,), None), [_numbers(3, 4), _numbers(4)]),
        (_written(7, 1.0), [_numbers(3, 4)]),
        (_written((0, 0, 0), 1.0), [_numbers(3, 4)]),
        (_written(0, None), [_numbers(3, 4), _numbers(3)]),
    ],
    "nn.functional.fold": [
        (lambda lib, x: lib.nn.functional.fold(x, (4, 5), (2, 2)), [_numbers(2, 12, 12)]),
        (lambda lib, x: lib.nn.functional.fold(x, (4, 4), 2, stride=2), [_numbers(2, 8, 4)]),
        (lambda lib, x: lib.nn.functional.fold(x, (4, 4), 3, padding=1), [_numbers(9, 16)]),
        (lambda lib, x: lib.nn.functional.fold(x, (5, 5), 2, dilation=2), [_numbers(1, 4, 9)]),
        (lambda lib, x: lib.nn.functional.fold(x, (4, 4), 2), [_numbers(2, 7, 9)]),
        (lambda lib, x: lib.nn.functional.fold(x, (4, 4), 2), [_numbers(2, 8, 4)]),
    ],
    "Tensor.copy_": [
        (_copied, [_numbers(3, 4), _numbers(3, 4)]),
        (_copied, [_numbers(3, 4), _numbers(4)]),
        (_copied, [_numbers(3, 4), _numbers(3, 1).astype(np.float32)]),
        (_copied, [_numbers(3, 4), np.arange(4)]),
        (_copied, [_numbers(3), _numbers(4)]),
    ],
    "Tensor.random_": [
        (lambda lib, x: x.detach().random_(), [_numbers(5)]),
        (lambda lib, x: x.detach().random_(3), [_numbers(5)]),
        (lambda lib, x: x.detach().random_(2, 3), [_numbers(5)]),
    ],
}
