"""Convolutions in one, two and three dims, and transposed ones.

Three primitives, each the transpose of another, hence closed under differentiation: the convolution, its transpose in
the input (which is also the transposed convolution), and its transpose in the weight.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from ..core.primitive import Primitive, apply
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError, ShapeError
from . import _conv_arrays as arrays
from ._coerce import as_tensor

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

_NAME = "ConvolutionBackward0"


def _bias_rule(g: Any) -> Any:
    return g.sum(axis=(0, *range(2, g.ndim)))


_conv: Primitive = Primitive(
    "convolution",
    lambda x, w, out_sizes, settings: arrays.conv(x, w, None, out_sizes, settings),
    [
        lambda g, w, settings, x_shape: _conv_input(g, w, x_shape[2:], settings),
        lambda g, x, settings, w_shape: _conv_weight(g, x, w_shape[2:], settings),
    ],
    linear=True,
    backward=_NAME,
)
_conv_bias: Primitive = Primitive(
    "convolution",
    arrays.conv,
    [
        lambda g, w, settings, x_shape: _conv_input(g, w, x_shape[2:], settings),
        lambda g, x, settings, w_shape: _conv_weight(g, x, w_shape[2:], settings),
        _bias_rule,
    ],
    arity=3,
    backward=_NAME,
)
_conv_input: Primitive = Primitive(
    "convolution_input",
    arrays.conv_input,
    [
        lambda gg, w, settings, g_shape: _conv(gg, w, g_shape[2:], settings),
        lambda gg, g, settings, w_shape: _conv_weight(g, gg, w_shape[2:], settings),
    ],
    linear=True,
    backward=_NAME,
)
_conv_weight: Primitive = Primitive(
    "convolution_weight",
    arrays.conv_weight,
    [
        lambda gg, x, settings, g_shape: _conv(x, gg, g_shape[2:], settings),
        lambda gg, g, settings, x_shape: _conv_input(g, gg, x_shape[2:], settings),
    ],
    linear=True,
    backward=_NAME,
)


def per_dim(value: Any, k: int, name: str, who: str) -> tuple[int, ...]:
    """Return a setting given once, or once per dim, as one integer per dim."""
    if isinstance(value, (tuple, list)):
        given = tuple(operator.index(v) for v in value)
        if len(given) == 1:
            given *= k
    else:
        try:
            given = (operator.index(value),) * k
        except TypeError:
            raise DTypeError(f"{who}: {name} must be an integer or {k} of them, got {value!r}.") from None
    if len(given) != k:
        raise ShapeError(f"{who}: {name} must be an integer or {k} of them, got {value!r}.")
    return given


def _checked(x: TensorBase, w: TensorBase, b: TensorBase | None, k: int, who: str) -> Any:
    """Check types and ranks; return the input with a batch dim, and whether it had one."""
    if w.ndim != k + 2 or x.ndim not in (k + 1, k + 2):
        raise ShapeError(
            f"{who}: an input of {k + 1} or {k + 2} dims and a weight of {k + 2} are required, got shapes "
            f"{x._data.shape} and {w._data.shape}."
        )
    if x._data.dtype != w._data.dtype or (b is not None and b._data.dtype != x._data.dtype):
        types = ", ".join(str(t.dtype) for t in (x, w, b) if t is not None)
        raise DTypeError(f"{who}: tensors of one dtype are required, got {types}.")
    batched = x.ndim == k + 2
    return (x if batched else x.unsqueeze(0)), batched  # type: ignore[attr-defined]


def _settings(stride: Any, padding: Any, dilation: Any, groups: int, k: int, who: str) -> arrays.Settings:
    s, d = per_dim(stride, k, "stride", who), per_dim(dilation, k, "dilation", who)
    p = per_dim(padding, k, "padding", who)
    if min(s) < 1 or min(d) < 1 or min(p) < 0 or groups < 1:
        raise _Setting(
            f"{who}: stride, dilation and groups must be > 0 and padding >= 0, got {stride}, {dilation}, {groups} and "
            f"{padding}."
        )
    return s, p, d, int(groups)


class _Setting(ArgumentError, RuntimeError):
    """A setting out of range: PyTorch raises RuntimeError."""


def _convolved(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, k: int
) -> Any:
    who = f"conv{k}d"
    x, w = as_tensor(input), as_tensor(weight)
    b = None if bias is None else as_tensor(bias)
    x, batched = _checked(x, w, b, k, who)
    if isinstance(padding, str):
        x, padding = _named_padding(x, w, padding, stride, dilation, k, who)
    settings = _settings(stride, padding, dilation, groups, k, who)
    sizes, shape = x._data.shape, w._data.shape
    if sizes[1] != shape[1] * groups or shape[0] % groups:
        raise ShapeError(
            f"{who}: with groups {groups} and a weight {shape}, {shape[1] * groups} input channels are required, "
            f"and output channels divisible by groups, got an input {sizes}."
        )
    if b is not None and b._data.shape != (shape[0],):
        raise ShapeError(f"{who}: a bias of shape ({shape[0]},) is required, got {b._data.shape}.")
    outs = tuple(
        arrays.out_size(n, size, t, p, d) for n, size, t, p, d in zip(sizes[2:], shape[2:], *settings[:3], strict=True)
    )
    if min(outs) < 1 or min(shape[2:]) < 1 or min(sizes[2:]) < 1:
        raise ShapeError(
            f"{who}: a window must have elements and fit into the padded input, got an input {sizes}, a weight {shape}, "
            f"padding {settings[1]} and dilation {settings[2]}."
        )
    more = (outs, settings)
    out = apply(_conv, (x, w), more) if b is None else apply(_conv_bias, (x, w, b), more)
    return out if batched else out.squeeze(0)  # type: ignore[attr-defined]


def _named_padding(x: Any, w: TensorBase, padding: str, stride: Any, dilation: Any, k: int, who: str) -> Any:
    """Return the input and padding for ``'valid'`` and ``'same'`` (an odd rest goes to the end)."""
    if padding == "valid":
        return x, 0
    if padding != "same":
        raise _Setting(f"{who}: padding must be integers, 'valid' or 'same', got {padding!r}.")
    if any(s != 1 for s in per_dim(stride, k, "stride", who)):
        raise _Setting(f"{who}: padding='same' requires stride 1, got {stride}.")
    total = [d * (n - 1) for d, n in zip(per_dim(dilation, k, "dilation", who), w._data.shape[2:], strict=True)]
    if any(t % 2 for t in total):
        from .padding import pad

        extra: list[int] = []
        for t in reversed(total):
            extra += [0, t % 2]
        x = pad(x, extra)
    return x, [t // 2 for t in total]


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation over one dim: [N, C, L] with weight [O, C / groups, K] gives [N, O, L']."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation over two dims: [N, C, H, W] with weight [O, C / groups, K₁, K₂] gives [N, O, H', W'].

    `padding` is a number of zeros on each side, ``'valid'`` (none) or ``'same'`` (as many as keep the size).

    >>> import thalweg as tw
    >>> tw.nn.functional.conv2d(tw.ones(1, 1, 3, 3), tw.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 2)


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation over three dims: [N, C, D, H, W] with weight [O, C / groups, K₁, K₂, K₃]."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups, 3)


def _transposed(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, extra: Any, groups: int, dilation: Any, k: int
) -> Any:
    who = f"conv_transpose{k}d"
    x, w = as_tensor(input), as_tensor(weight)
    b = None if bias is None else as_tensor(bias)
    x, batched = _checked(x, w, b, k, who)
    settings = _settings(stride, padding, dilation, groups, k, who)
    more = per_dim(extra, k, "output_padding", who)
    shape = w._data.shape
    if x._data.shape[1] != shape[0] or shape[0] % groups:
        raise ShapeError(
            f"{who}: with a weight {shape} and groups {groups}, {shape[0]} input channels are required, got an input "
            f"{x._data.shape}."
        )
    if b is not None and b._data.shape != (shape[1] * groups,):
        raise ShapeError(f"{who}: a bias of shape ({shape[1] * groups},) is required, got {b._data.shape}.")
    sizes = []
    for n, size, t, p, d, e in zip(x._data.shape[2:], shape[2:], *settings[:3], more, strict=True):
        if e < 0 or (e >= t and e >= d):
            raise _Setting(f"{who}: output_padding must be >= 0 and less than stride or dilation, got {extra}.")
        sizes.append((n - 1) * t - 2 * p + d * (size - 1) + e + 1)
    if min(sizes) < 1 or min(x._data.shape[2:]) < 1:
        raise ShapeError(
            f"{who}: an input {x._data.shape} gives no element; the output would have sizes {tuple(sizes)}; each must be >= 1."
        )
    out: Any = apply(_conv_input, (x, w), (tuple(sizes), settings))
    if b is not None:
        out = out + b.reshape(-1, *(1,) * k)  # type: ignore[attr-defined]
    return out if batched else out.squeeze(0)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of :func:`conv1d`: [N, C, L] with weight [C, O / groups, K]."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of :func:`conv2d`: [N, C, H, W] with weight [C, O / groups, K₁, K₂].

    >>> import thalweg as tw
    >>> tw.nn.functional.conv_transpose2d(tw.ones(1, 1, 1, 1), tw.ones(1, 1, 2, 2), stride=2).shape
    thalweg.Size([1, 1, 2, 2])
    """
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transpose of :func:`conv3d`: [N, C, D, H, W] with weight [C, O / groups, K₁, K₂, K₃]."""
    return _transposed(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)
