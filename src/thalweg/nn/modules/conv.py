"""Convolutions, and transposed ones."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError
from ...ops.conv import per_dim
from ...ops.create import empty
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvNd(Module):
    """What all convolutions have: channels, a window, a weight and a bias, started uniformly on ±1/√fan_in."""

    def __init__(
        self,
        k: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        dtype: Any,
        output_padding: Any = 0,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if groups <= 0 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{who}: groups must be > 0 and divide in_channels and out_channels, got {groups}, {in_channels} and "
                f"{out_channels}."
            )
        modes = ("zeros",) if transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ArgumentError(f"{who}: padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}.")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ArgumentError(f"{who}: padding must be integers, 'same' or 'valid', got {padding!r}.")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_dim(kernel_size, k, "kernel_size", who)
        self.stride = per_dim(stride, k, "stride", who)
        self.padding = padding if isinstance(padding, str) else per_dim(padding, k, "padding", who)
        self.dilation = per_dim(dilation, k, "dilation", who)
        if padding == "same" and any(s != 1 for s in self.stride):
            raise ArgumentError(f"{who}: padding='same' requires stride 1, got {stride}.")
        self.transposed = transposed
        self.output_padding = per_dim(output_padding, k, "output_padding", who)
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start over."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            if fan_in:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if any(d != 1 for d in self.dilation):
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    def _around(self, input: Any) -> tuple[Any, Any]:
        """Return the input padded as `padding_mode` says, and the zeros still to be added."""
        if self.padding_mode == "zeros":
            return input, self.padding
        widths: list[int] = []
        for size, d, p in zip(self.kernel_size[::-1], self.dilation[::-1], _numbers(self)[::-1], strict=True):
            total = d * (size - 1)
            widths += [total // 2, total - total // 2] if self.padding == "same" else [p, p]
        return F.pad(input, widths, self.padding_mode), 0


def _numbers(module: _ConvNd) -> tuple[int, ...]:
    return (0,) * len(module.kernel_size) if isinstance(module.padding, str) else module.padding


class Conv1d(_ConvNd):
    """Cross-correlation over one dim: [N, in_channels, L] gives [N, out_channels, L']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            1, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype
        )

    def forward(self, input: Any) -> Any:
        x, padding = self._around(input)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_ConvNd):
    """Cross-correlation over two dims: [N, in_channels, H, W] gives [N, out_channels, H', W'].

    >>> import thalweg as tw
    >>> tw.nn.Conv2d(1, 6, 5, padding=2)(tw.zeros(4, 1, 28, 28)).shape
    thalweg.Size([4, 6, 28, 28])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            2, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype
        )

    def forward(self, input: Any) -> Any:
        x, padding = self._around(input)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_ConvNd):
    """Cross-correlation over three dims: [N, in_channels, D, H, W] gives [N, out_channels, D', H', W']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            3, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype
        )

    def forward(self, input: Any) -> Any:
        x, padding = self._around(input)
        return F.conv3d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _ConvTransposeNd(_ConvNd):
    """What the transposed convolutions add: the choice among output sizes that fit."""

    def _extra(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """Return the output padding that gives `output_size`."""
        if output_size is None:
            return self.output_padding
        k = len(self.kernel_size)
        sizes = input.shape[-k:]
        wanted = tuple(output_size)[-k:]
        least = [
            (n - 1) * s - 2 * p + d * (w - 1) + 1
            for n, s, p, d, w in zip(sizes, self.stride, _numbers(self), self.dilation, self.kernel_size, strict=True)
        ]
        extra = tuple(w - n for w, n in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise ArgumentError(
                f"{type(self).__name__}: an output_size between {least} and {most} is possible for an input of "
                f"{tuple(sizes)}, got {wanted}."
            )
        return extra


class ConvTranspose1d(_ConvTransposeNd):
    """Transpose of :class:`Conv1d`: [N, in_channels, L] gives [N, out_channels, L']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            1, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype,
            output_padding, True,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        extra = self._extra(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    """Transpose of :class:`Conv2d`: [N, in_channels, H, W] gives [N, out_channels, H', W']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            2, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype,
            output_padding, True,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        extra = self._extra(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTransposeNd):
    """Transpose of :class:`Conv3d`: [N, in_channels, D, H, W] gives [N, out_channels, D', H', W']."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            3, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype,
            output_padding, True,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        extra = self._extra(input, output_size)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )
