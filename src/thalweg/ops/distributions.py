"""Draws from distributions given by tensors or numbers, and random numbers written into a tensor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.inplace import check_write
from ..core.primitive import Primitive
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from ._coerce import as_tensor, need_tensor
from ._elementwise import Elementwise, apply, elementwise, zeros
from .inplace import copy_
from .pointwise import log1p
from .random import Generator, _normal_draw, _of_type, _stream, _uniform_draw, draw, rand, randint, randn

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["bernoulli", "multinomial", "normal"]


class _BadParameter(ArgumentError, RuntimeError):
    """A parameter that no distribution has: PyTorch raises RuntimeError."""


# PyTorch's draws pass a gradient of 0 to their parameters.
_bernoulli: Elementwise = elementwise(
    "bernoulli",
    lambda x, u: (u < x).astype(x.dtype),
    [zeros, None],
    kernel="(1.0 if {1} < {0} else 0.0)",
    kind="keep",
    least=2,
)
_shifted: Elementwise = elementwise(
    "normal",
    lambda mean, std, z: mean + std * z,
    [zeros, zeros, None],
    kernel="({0} + {1} * {2})",
    kind="keep",
    backward="NormalBackward3",
)


def bernoulli(input: Any, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that `input` holds, else 0; or with probability `p`, in the shape of `input`."""
    x = need_tensor(input, "bernoulli")
    if p is not None:
        chosen = rand(size=x._data.shape, generator=generator) < _probability(p)
        return _of_type(chosen, x.dtype)  # type: ignore[arg-type]
    if x._data.dtype.kind != "f":
        raise DTypeError(f"bernoulli: floating-point probabilities are required, got {x.dtype}.")
    _check_probabilities(x)
    return apply(_bernoulli, (x, rand(size=x._data.shape, generator=generator, dtype=x.dtype)))


def _probability(p: Any) -> float:
    if not 0 <= p <= 1:
        raise _BadParameter(f"bernoulli: p must be a number in [0, 1], got {p}.")
    return float(p)


def _check_probabilities(x: TensorBase) -> None:
    if not ((x._data >= 0) & (x._data <= 1)).all():
        raise _BadParameter("bernoulli: probabilities in [0, 1] are required.")


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Numbers from normal distributions with means and standard deviations given by tensors or numbers.

    With two numbers, `size` is required.

    >>> import thalweg as tw
    >>> g = tw.Generator().manual_seed(0)
    >>> tw.normal(tw.tensor([0.0, 100.0]), 0.0, generator=g)
    tensor([  0., 100.])
    """
    _check_std(std)
    tensors = [as_tensor(x)._data for x in (mean, std) if not isinstance(x, (int, float))]
    if not tensors:
        if size is None:
            raise DTypeError("normal: size is required when mean and std are both numbers.")
        made = randn(size=size, generator=generator, dtype=dtype, device=device) * std + mean
        return made.requires_grad_() if requires_grad else made
    if size is not None:
        raise DTypeError("normal: size is given by the tensors; leave it out.")
    try:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        raise ShapeError(f"normal: shapes that broadcast are required, got {[t.shape for t in tensors]}.") from None
    kind = np.result_type(*tensors)
    z = randn(size=shape, generator=generator, dtype=kind if kind.kind == "f" else None)
    return apply(_shifted, (mean, std, z))


def _check_std(std: Any) -> None:
    if np.any(np.less(std._data if isinstance(std, TensorBase) else std, 0)):
        raise _BadParameter("normal: std must be >= 0 everywhere.")


def _picked(x: Any, n: int, replacement: bool, seed: int, call: int) -> Any:
    source = _stream.at(seed, call)
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    if replacement:
        ends = np.cumsum(rows, axis=1)
        at = source.random((len(rows), n)) * ends[:, -1:]
        found = np.stack([np.searchsorted(e, a, side="right") for e, a in zip(ends, at, strict=True)])
        # rounding must not choose a category of weight 0 at the end
        found = np.minimum(found, rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, axis=1)[:, None])
    else:
        # The largest of w / e with e exponential are a draw without replacement (Efraimidis, Spirakis 2006).
        keys = rows / np.maximum(source.standard_exponential(rows.shape), np.finfo(np.float64).tiny)
        found = np.argsort(-keys, axis=1, kind="stable")[:, :n]
    return found.astype(np.int64).reshape((*x.shape[:-1], n))


_multinomial: Primitive = Primitive("multinomial", _picked, (), arity=1)


def multinomial(
    input: Any, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`num_samples` indices, drawn with the weights that each row of `input` holds."""
    x = need_tensor(input, "multinomial")
    w = x._data
    if w.ndim not in (1, 2):
        raise ShapeError(f"multinomial: one or two dims are required, got shape {w.shape}.")
    if w.dtype.kind != "f":
        raise DTypeError(f"multinomial: floating-point weights are required, got {x.dtype}.")
    if num_samples < 1:
        raise _BadParameter(f"multinomial: num_samples must be an integer >= 1, got {num_samples}.")
    if not replacement and num_samples > w.shape[-1]:
        raise _BadParameter(
            f"multinomial: {num_samples} draws without replacement from {w.shape[-1]} categories are not possible."
        )
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise _BadParameter("multinomial: weights >= 0, all finite, are required.")
    least = 1 if replacement else num_samples
    if w.size and (np.count_nonzero(w, axis=-1) < least).any():
        raise _BadParameter(f"multinomial: at least {least} weights > 0 are required in each row.")
    return draw(_multinomial, (int(num_samples), bool(replacement)), generator, (x,))


# Written into a tensor


def _numbers(who: str, **given: Any) -> None:
    for name, value in given.items():
        if not isinstance(value, (int, float, np.generic)):
            raise DTypeError(f"{who}: {name} must be a number, got {type(value).__name__}.")


def _drawn(input: TensorBase, primitive: Primitive, generator: Generator | None) -> Tensor:
    """Draw floating-point numbers with the shape and type of `input`."""
    check_write(input)
    kind = input._data.dtype if input._data.dtype.kind == "f" else np.dtype(np.float32)
    return draw(primitive, (input._data.shape, kind), generator)


def _float_only(input: TensorBase, who: str) -> None:
    if input._data.dtype.kind != "f":
        raise DTypeError(f"{who}: a floating-point tensor is required, got {input.dtype}.")


def bernoulli_(input: TensorBase, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Write 1 with probability `p` (a number, or a tensor of its shape), else 0."""
    if isinstance(p, TensorBase):
        _check_probabilities(p)
    else:
        p = _probability(p)
    return copy_(input, _drawn(input, _uniform_draw, generator) < p)


def uniform_(
    input: TensorBase, low: float = 0.0, to: float = 1.0, *, generator: Generator | None = None, **bounds: float
) -> Tensor:
    """Write numbers uniform on [`from`, `to`)."""
    low = bounds.get("from", low)
    _float_only(input, "uniform_")
    _numbers("uniform_", low=low, to=to)
    if low > to:
        raise _BadParameter(f"uniform_: from <= to is required, got {low} and {to}.")
    return copy_(input, _drawn(input, _uniform_draw, generator) * (to - low) + low)


def normal_(input: TensorBase, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Write numbers from a normal distribution."""
    _float_only(input, "normal_")
    _numbers("normal_", mean=mean, std=std)
    _check_std(std)
    return copy_(input, _drawn(input, _normal_draw, generator) * std + mean)


def log_normal_(
    input: TensorBase, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None
) -> Tensor:
    """Write numbers whose logarithm has a normal distribution."""
    _float_only(input, "log_normal_")
    _numbers("log_normal_", mean=mean, std=std)
    _check_std(std)
    return copy_(input, (_drawn(input, _normal_draw, generator) * std + mean).exp())


def exponential_(input: TensorBase, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Write numbers with density ``lambd * exp(-lambd * x)``."""
    _float_only(input, "exponential_")
    if not lambd > 0:
        raise _BadParameter(f"exponential_: lambd must be a number > 0, got {lambd}.")
    return copy_(input, log1p(-_drawn(input, _uniform_draw, generator)) / -lambd)


def cauchy_(
    input: TensorBase, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None
) -> Tensor:
    """Write numbers from a Cauchy distribution."""
    _float_only(input, "cauchy_")
    if not sigma > 0:
        raise _BadParameter(f"cauchy_: sigma must be a number > 0, got {sigma}.")
    u = _drawn(input, _uniform_draw, generator)
    return copy_(input, ((u - 0.5) * math.pi).tan() * sigma + median)


def geometric_(input: TensorBase, p: float, *, generator: Generator | None = None) -> Tensor:
    """Write the number of trials up to the first success, each with probability `p`."""
    if not 0 < p < 1:
        raise _BadParameter(f"geometric_: p must be a number in (0, 1), got {p}.")
    u = log1p(-_drawn(input, _uniform_draw, generator)) / math.log1p(-p)
    return copy_(input, u.floor() + 1)


def random_(
    input: TensorBase,
    low: int | None = None,
    to: int | None = None,
    *,
    generator: Generator | None = None,
    **bounds: int,
) -> Tensor:
    """Write integers: ``random_(to)`` from 0, ``random_(from, to)``, or all that the type holds exactly."""
    low = bounds.get("from", low)
    check_write(input)
    if low is None and to is None:
        kind = input._data.dtype
        to = 2 if kind.kind == "b" else 2 ** (np.finfo(kind).nmant + 1) if kind.kind == "f" else np.iinfo(kind).max
    elif to is None:
        low, to = 0, low
    return copy_(input, randint(low or 0, to, tuple(input._data.shape), generator=generator))
