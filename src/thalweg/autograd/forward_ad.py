"""Forward mode: tangents travel with the values, so J·t costs about one more evaluation, whatever the outputs.

>>> import thalweg as tw
>>> from thalweg.autograd import forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(tw.tensor(3.0), tw.tensor(1.0))
...     forward_ad.unpack_dual(x**3).tangent
tensor(27.)
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

from ..core.modes import current, enter
from ..core.moves import ALIAS
from ..core.tangents import without_tangent
from ..core.tensor import TensorBase
from ..errors import DTypeError, GraphError, ShapeError
from ..ops.tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "level", "make_dual", "unpack_dual",
]  # fmt: skip

_levels = itertools.count(1)  # a number is never used twice, so a stale tangent is never mistaken for a live one
_open: list[int] = []  # the level of this module's own functions; transforms open theirs with `level`


class level:  # noqa: N801  (used like a function)
    """Opens a level of forward mode and closes it again; levels nest, the innermost is differentiated first."""

    def __enter__(self) -> int:
        self._outer = current()
        number = next(_levels)
        enter(self._outer.replace(levels=(*self._outer.levels, number)))
        return number

    def __exit__(self, *exc: object) -> None:
        enter(self._outer)


def with_tangent(x: Any, tangent: Any, number: int) -> Any:
    """Return `x` with a tangent at a level."""
    dual = ALIAS.bind((x,)) if x.requires_grad or x._tangents else x._alias()
    dual._version_list = x._version_list
    dual._tangents = {**(dual._tangents or {}), number: tangent}
    return dual


class UnpackedDualTensor(NamedTuple):
    """A value and its tangent, None where it has none."""

    primal: Any
    tangent: Any


class dual_level:  # noqa: N801  (PyTorch's name)
    """Within it tensors may carry tangents, which are forgotten at its end."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def enter_dual_level() -> int:
    """Begin forward mode; return 0, PyTorch's number of the only level."""
    modes = current()
    if any(number in modes.levels for number in _open):
        raise GraphError("enter_dual_level: a level is open already and there is only one; nest with thalweg.func.jvp.")
    number = next(_levels)
    _open.append(number)
    enter(modes.replace(levels=(*modes.levels, number)))
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """End forward mode."""
    number = _present("exit_dual_level")
    modes = current()
    _open.remove(number)
    enter(modes.replace(levels=tuple(n for n in modes.levels if n != number)))


def _present(who: str) -> int:
    modes = current()
    for number in reversed(_open):
        if number in modes.levels:
            return number
    raise GraphError(f"{who}: no level of forward mode is open; use it within dual_level().")


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """`tensor` with `tangent`, the direction in which everything computed from it is differentiated."""
    number = _present("make_dual")
    for what, x in (("tensor", tensor), ("tangent", tangent)):
        if not isinstance(x, TensorBase):
            raise DTypeError(f"make_dual: {what} must be a tensor, got {type(x).__name__}.")
        if x._data.dtype.kind != "f":
            raise _NotFloating(f"make_dual: {what} must be floating-point, got {x.dtype}.")
    if number in (tensor._fresh_tangents() or {}):
        raise GraphError("make_dual: this tensor has a tangent already.")
    if tangent._data.shape != tensor._data.shape:
        raise ShapeError(f"make_dual: a tangent of shape {tensor._data.shape} is required, got {tangent._data.shape}.")
    if tangent._data.dtype != tensor._data.dtype:
        raise GraphError(f"make_dual: a tangent of {tensor.dtype} is required, got {tangent.dtype}.")
    return with_tangent(tensor, tangent, number)


class _NotFloating(DTypeError, ValueError):
    """PyTorch raises ValueError here."""


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a tensor."""
    modes = current()
    numbers = [number for number in _open if number in modes.levels]
    if not numbers:
        return UnpackedDualTensor(tensor, None)
    tangent = (tensor._fresh_tangents() or {}).get(numbers[-1])
    return UnpackedDualTensor(without_tangent(tensor, numbers[-1]), tangent)
