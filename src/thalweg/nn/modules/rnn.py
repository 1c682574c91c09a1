"""Recurrent networks: plain, LSTM (Hochreiter, Schmidhuber 1997) and GRU (Cho et al. 2014), and single cells."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError, ShapeError
from ...ops.create import empty, zeros
from ...ops.join import cat, stack
from ...ops.pointwise import relu, sigmoid, tanh
from .. import functional as F
from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


def _plain_step(gates: Any, back: Any, state: tuple[Any, ...], nonlinearity: Any) -> tuple[Any, ...]:
    return (nonlinearity(gates + back),)


def _lstm_step(gates: Any, back: Any, state: tuple[Any, ...], _: Any) -> tuple[Any, ...]:
    total = gates + back
    n = total.shape[-1] // 4
    i, f = sigmoid(total[..., :n]), sigmoid(total[..., n : 2 * n])
    g, o = tanh(total[..., 2 * n : 3 * n]), sigmoid(total[..., 3 * n :])
    c = f * state[1] + i * g
    return o * tanh(c), c  # type: ignore[operator]


def _gru_step(gates: Any, back: Any, state: tuple[Any, ...], _: Any) -> tuple[Any, ...]:
    n = gates.shape[-1] // 3
    both: Any = sigmoid(gates[..., : 2 * n] + back[..., : 2 * n])
    r, z = both[..., :n], both[..., n:]
    new: Any = tanh(gates[..., 2 * n :] + r * back[..., 2 * n :])
    return ((state[0] - new) * z + new,)


class _RNNBase(Module):
    """Layers of one kind of cell, run over a sequence, perhaps in both directions."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        if hidden_size <= 0 or num_layers <= 0:
            raise ArgumentError(f"{who}: hidden_size and num_layers must be > 0, got {hidden_size} and {num_layers}.")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ArgumentError(f"{who}: dropout must be a number in [0, 1], got {dropout}.")
        if not 0 <= proj_size < hidden_size:
            raise ArgumentError(f"{who}: proj_size must lie in [0, hidden_size), got {proj_size}.")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates = {"LSTM": 4, "GRU": 3}.get(mode, 1) * hidden_size
        out = proj_size or hidden_size
        for layer in range(num_layers):
            size = input_size if layer == 0 else out * (2 if bidirectional else 1)
            for end in self._ends(layer):
                self.register_parameter(f"weight_ih{end}", Parameter(empty(gates, size, dtype=dtype)))
                self.register_parameter(f"weight_hh{end}", Parameter(empty(gates, out, dtype=dtype)))
                if bias:
                    self.register_parameter(f"bias_ih{end}", Parameter(empty(gates, dtype=dtype)))
                    self.register_parameter(f"bias_hh{end}", Parameter(empty(gates, dtype=dtype)))
                if proj_size:
                    self.register_parameter(f"weight_hr{end}", Parameter(empty(proj_size, hidden_size, dtype=dtype)))
        self.reset_parameters()

    def _ends(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def reset_parameters(self) -> None:
        """Start over: uniformly on ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """Do nothing: there is no packed form of the weights."""

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += f", bias={self.bias}"
        if self.batch_first:
            text += f", batch_first={self.batch_first}"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += f", bidirectional={self.bidirectional}"
        return text

    def _own(self, name: str) -> Any:
        """Return a weight, which may be computed; None if there is none of that name."""
        found = self._parameters.get(name)
        return getattr(self, name, None) if found is None else found

    def _run(self, x: Any, end: str, state: tuple[Any, ...], backwards: bool) -> tuple[Any, tuple[Any, ...]]:
        """Run one layer in one direction over [time, batch, size]; return all its results and the last state."""
        step = {"LSTM": _lstm_step, "GRU": _gru_step}.get(self.mode, _plain_step)
        bend = relu if self.mode == "RNN_RELU" else tanh
        gates: Any = F.linear(
            x, self._own(f"weight_ih{end}"), self._own(f"bias_ih{end}")
        )  # of all steps in one product
        w, b, r = (self._own(f"{name}{end}") for name in ("weight_hh", "bias_hh", "weight_hr"))
        times = range(x.shape[0])
        outs: list[Any] = []
        for t in reversed(times) if backwards else times:
            state = step(gates[t], F.linear(state[0], w, b), state, bend)
            if r is not None:
                state = (F.linear(state[0], r), *state[1:])
            outs.append(state[0])
        return stack(outs[::-1] if backwards else outs), state

    def _run_packed(
        self, x: Any, end: str, state: tuple[Any, ...], backwards: bool, sizes: list[int]
    ) -> tuple[Any, tuple[Any, ...]]:
        """Run one layer in one direction over packed sequences [elements, size], of which `sizes` have each step."""
        step = {"LSTM": _lstm_step, "GRU": _gru_step}.get(self.mode, _plain_step)
        bend = relu if self.mode == "RNN_RELU" else tanh
        gates: Any = F.linear(x, self._own(f"weight_ih{end}"), self._own(f"bias_ih{end}"))
        w, b, r = (self._own(f"{name}{end}") for name in ("weight_hh", "bias_hh", "weight_hr"))
        parts = gates.split(sizes)
        outs: list[Any] = []
        for part in reversed(parts) if backwards else parts:
            n = len(part)
            old = tuple(s[:n] for s in state)
            new = step(part, F.linear(old[0], w, b), old, bend)
            if r is not None:
                new = (F.linear(new[0], r), *new[1:])
            outs.append(new[0])
            # sequences without this step keep the state that they ended with, or still have to start from
            state = tuple(cat([k, s[n:]]) if n < len(s) else k for k, s in zip(new, state, strict=True))
        return cat(outs[::-1] if backwards else outs), state

    def _packed(self, input: PackedSequence, hx: Any) -> Any:
        """Run over packed sequences; the result is packed as they are."""
        x, sizes = input.data, input.batch_sizes.tolist()
        if hx is not None and input.sorted_indices is not None:
            parts = hx if self.mode == "LSTM" else (hx,)
            sorted_ = tuple(p.index_select(1, input.sorted_indices) for p in parts)
            hx = sorted_ if self.mode == "LSTM" else sorted_[0]
        x, last = self._layers(x, self._start(sizes[0], x.dtype, hx, True), sizes)
        if input.unsorted_indices is not None:
            last = [s.index_select(1, input.unsorted_indices) for s in last]
        return input._replace(data=x), tuple(last) if self.mode == "LSTM" else last[0]

    def _start(self, n: int, dtype: Any, given: Any, batched: bool) -> list[Any]:
        """Return the start of each part of the state, [layers * directions, batch, size], for `n` sequences."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.mode == "LSTM" else [])
        if given is None:
            return [zeros(count, n, size, dtype=dtype) for size in sizes]
        parts = list(given) if self.mode == "LSTM" else [given]
        found = [p if batched else p.unsqueeze(1) for p in parts]
        for part, size in zip(found, sizes, strict=True):
            if tuple(part.shape) != (count, n, size):
                raise _State(
                    f"{type(self).__name__}: a state of shape {(count, n, size)} is required, got {tuple(part.shape)}."
                )
        return found

    def _layers(self, x: Any, start: list[Any], sizes: list[int] | None) -> tuple[Any, list[Any]]:
        """Run all layers, each way; return the results of the last and the last states, stacked."""
        ends: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            results = []
            for way, end in enumerate(self._ends(layer)):
                state = tuple(s[len(ends)] for s in start)
                if sizes is None:
                    result, state = self._run(x, end, state, way == 1)
                else:
                    result, state = self._run_packed(x, end, state, way == 1, sizes)
                results.append(result)
                ends.append(state)
            x = results[0] if len(results) == 1 else cat(results, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, [stack([e[k] for e in ends]) for k in range(len(start))]

    def forward(self, input: Any, hx: Any = None) -> Any:
        packed = isinstance(input, PackedSequence)
        shape = tuple(input.data.shape if packed else input.shape)
        if not packed and len(shape) not in (2, 3):
            raise ShapeError(f"{type(self).__name__}: an input of 2 or 3 dims is required, got {shape}.")
        if shape[-1] != self.input_size:
            raise _State(
                f"{type(self).__name__}: an input whose last dim is {self.input_size} is required, got {shape}."
            )
        if packed:
            return self._packed(input, hx)
        batched = input.ndim == 3
        x = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        x, last = self._layers(x, self._start(x.shape[1], x.dtype, hx, batched), None)
        out = (x.transpose(0, 1) if self.batch_first else x) if batched else x.squeeze(1)
        if not batched:
            last = [s.squeeze(1) for s in last]
        return out, tuple(last) if self.mode == "LSTM" else last[0]


class _State(ShapeError):
    """A shape that does not fit: PyTorch raises RuntimeError."""


class RNN(_RNNBase):
    """``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` (or relu) over a sequence [L, N, input_size].

    Returns the results of all steps [L, N, hidden_size] and the last state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}.")
        mode = "RNN_TANH" if nonlinearity == "tanh" else "RNN_RELU"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity


class LSTM(_RNNBase):
    """Long short-term memory over a sequence [L, N, input_size]: gates i, f, g, o; ``c = f c + i g``, ``h = o tanh(c)``.

    Returns the results of all steps and the last (h, c).

    >>> import thalweg as tw
    >>> out, (h, c) = tw.nn.LSTM(3, 4)(tw.zeros(5, 2, 3))
    >>> out.shape, h.shape
    (thalweg.Size([5, 2, 4]), thalweg.Size([1, 2, 4]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )


class GRU(_RNNBase):
    """Gated recurrent unit over a sequence [L, N, input_size]: gates r, z, n; ``h = (1 - z) n + z h``.

    Returns the results of all steps and the last state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


class _RNNCellBase(Module):
    """The weights of one step."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self.weight_ih = Parameter(empty(chunks * hidden_size, input_size, dtype=dtype))
        self.weight_hh = Parameter(empty(chunks * hidden_size, hidden_size, dtype=dtype))
        if bias:
            self.bias_ih = Parameter(empty(chunks * hidden_size, dtype=dtype))
            self.bias_hh = Parameter(empty(chunks * hidden_size, dtype=dtype))
        else:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start over: uniformly on ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"

    def _step(self, input: Any, state: Any, step: Any, bend: Any = None) -> tuple[Any, ...]:
        if input.ndim not in (1, 2):
            raise _CellInput(f"{type(self).__name__}: an input of 1 or 2 dims is required, got {tuple(input.shape)}.")
        if state is None:
            blank = zeros(*input.shape[:-1], self.hidden_size, dtype=input.dtype)
            state = (blank, blank)
        for part in state:
            if part.ndim != input.ndim or (part.ndim == 2 and part.shape[0] != input.shape[0]):
                raise _CellInput(
                    f"{type(self).__name__}: an input of shape {tuple(input.shape)} requires a hidden state of as many dims "
                    f"and the same batch size, got {tuple(part.shape)}."
                )
        gates = F.linear(input, self.weight_ih, self.bias_ih)
        return step(gates, F.linear(state[0], self.weight_hh, self.bias_hh), state, bend)  # type: ignore[no-any-return]


class _CellInput(ShapeError):
    """PyTorch raises ValueError here."""


class RNNCell(_RNNCellBase):
    """One step of :class:`RNN`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}.")
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        bend = tanh if self.nonlinearity == "tanh" else relu
        return self._step(input, None if hx is None else (hx,), _plain_step, bend)[0]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class LSTMCell(_RNNCellBase):
    """One step of :class:`LSTM`: takes and returns (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(input, hx, _lstm_step)


class GRUCell(_RNNCellBase):
    """One step of :class:`GRU`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(input, None if hx is None else (hx,), _gru_step)[0]
