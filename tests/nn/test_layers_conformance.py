"""Every layer against PyTorch: printed form, state, outputs and gradients from the same parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore::UserWarning")]

R = np.random.default_rng(0)


def _x(*shape: int) -> np.ndarray:
    return R.standard_normal(shape)


def _classes(*shape: int, n: int = 4) -> np.ndarray:
    return R.integers(0, n, shape)


def _signs(*shape: int) -> np.ndarray:
    return R.choice([-1.0, 1.0], shape)


def _unit(*shape: int) -> np.ndarray:
    return R.uniform(0.1, 0.9, shape)


# (name, arguments, settings, inputs)
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], list[np.ndarray]]] = [
    ("Identity", (), {}, [_x(3, 2)]),
    ("Linear", (3, 2), {}, [_x(5, 3)]),
    ("Linear", (3, 2), {"bias": False}, [_x(4, 5, 3)]),
    ("Bilinear", (3, 2, 4), {}, [_x(5, 3), _x(5, 2)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1}, [_x(2, 4, 9)]),
    ("Conv1d", (4, 6, 4), {"padding": "same"}, [_x(2, 4, 9)]),
    ("Conv2d", (4, 6, 3), {"dilation": 2, "groups": 2}, [_x(2, 4, 9, 8)]),
    ("Conv2d", (4, 6, (3, 2)), {"padding": (1, 2), "padding_mode": "circular"}, [_x(2, 4, 5, 6)]),
    ("Conv2d", (1, 6, 5), {"padding": 2, "bias": False}, [_x(1, 6, 6)]),
    ("Conv3d", (2, 3, 2), {"padding": "valid"}, [_x(1, 2, 4, 4, 3)]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "output_padding": 1}, [_x(2, 4, 5)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, [_x(2, 4, 5, 4)]),
    ("ConvTranspose3d", (2, 3, 2), {}, [_x(1, 2, 3, 3, 2)]),
    ("MaxPool1d", (3,), {"stride": 2}, [_x(2, 3, 9)]),
    ("MaxPool2d", (2,), {"ceil_mode": True}, [_x(2, 3, 5, 7)]),
    ("MaxPool2d", (3,), {"padding": 1, "dilation": 2, "stride": 1}, [_x(2, 3, 7, 7)]),
    ("MaxPool3d", (2,), {}, [_x(1, 2, 4, 5, 4)]),
    ("AvgPool1d", (3,), {"padding": 1}, [_x(2, 3, 9)]),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, [_x(2, 3, 6, 5)]),
    ("AvgPool3d", (2,), {}, [_x(1, 2, 4, 5, 4)]),
    ("LPPool1d", (2, 3), {}, [_x(2, 3, 9)]),
    ("LPPool2d", (2, 2), {}, [_x(2, 3, 6, 6)]),
    ("AdaptiveAvgPool1d", (3,), {}, [_x(2, 3, 7)]),
    ("AdaptiveAvgPool2d", ((3, None),), {}, [_x(2, 3, 7, 4)]),
    ("AdaptiveAvgPool3d", (2,), {}, [_x(1, 2, 5, 4, 3)]),
    ("AdaptiveMaxPool1d", (3,), {}, [_x(2, 3, 7)]),
    ("AdaptiveMaxPool2d", ((3, 2),), {}, [_x(2, 3, 7, 5)]),
    ("AdaptiveMaxPool3d", (2,), {}, [_x(1, 2, 5, 4, 3)]),
    ("BatchNorm1d", (3,), {}, [_x(5, 3)]),
    ("BatchNorm1d", (3,), {"momentum": None}, [_x(5, 3, 4)]),
    ("BatchNorm2d", (3,), {"affine": False}, [_x(5, 3, 2, 2)]),
    ("BatchNorm3d", (3,), {"track_running_stats": False}, [_x(5, 3, 2, 2, 1)]),
    ("InstanceNorm1d", (3,), {}, [_x(2, 3, 6)]),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, [_x(2, 3, 4, 4)]),
    ("InstanceNorm3d", (3,), {}, [_x(2, 3, 2, 2, 3)]),
    ("LayerNorm", (6,), {}, [_x(4, 6)]),
    ("LayerNorm", ((3, 2),), {"elementwise_affine": False}, [_x(4, 3, 2)]),
    ("GroupNorm", (2, 6), {}, [_x(3, 6, 4)]),
    ("RMSNorm", (6,), {}, [_x(4, 6)]),
    ("LocalResponseNorm", (3,), {}, [_x(2, 6, 3, 3)]),
    ("Dropout", (), {"p": 0.0}, [_x(3, 2)]),
    ("Dropout2d", (), {"p": 0.0, "inplace": False}, [_x(3, 2, 2, 2)]),
    ("AlphaDropout", (), {"p": 0.0}, [_x(3, 2)]),
    ("Embedding", (5, 3), {"padding_idx": 1}, [_classes(2, 4, n=5)]),
    ("ReLU", (), {}, [_x(3, 4)]),
    ("ReLU6", (), {}, [_x(3, 4) * 5]),
    ("Sigmoid", (), {}, [_x(3, 4)]),
    ("Hardsigmoid", (), {}, [_x(3, 4) * 3]),
    ("Tanh", (), {}, [_x(3, 4)]),
    ("SiLU", (), {}, [_x(3, 4)]),
    ("Mish", (), {}, [_x(3, 4)]),
    ("Hardswish", (), {}, [_x(3, 4) * 3]),
    ("ELU", (0.7,), {}, [_x(3, 4)]),
    ("CELU", (0.7,), {}, [_x(3, 4)]),
    ("SELU", (), {}, [_x(3, 4)]),
    ("GLU", (), {}, [_x(3, 4)]),
    ("GELU", (), {}, [_x(3, 4)]),
    ("GELU", ("tanh",), {}, [_x(3, 4)]),
    ("Hardshrink", (), {}, [_x(3, 4)]),
    ("LeakyReLU", (0.2,), {}, [_x(3, 4)]),
    ("LogSigmoid", (), {}, [_x(3, 4)]),
    ("Softplus", (2,), {}, [_x(3, 4)]),
    ("Softshrink", (), {}, [_x(3, 4)]),
    ("PReLU", (4,), {}, [_x(3, 4)]),
    ("Softsign", (), {}, [_x(3, 4)]),
    ("Tanhshrink", (), {}, [_x(3, 4)]),
    ("Threshold", (0.1, 20), {}, [_x(3, 4)]),
    ("Hardtanh", (-0.5, 0.5), {}, [_x(3, 4)]),
    ("RReLU", (0.2, 0.2), {}, [_x(3, 4)]),
    ("Softmin", (1,), {}, [_x(3, 4)]),
    ("Softmax", (1,), {}, [_x(3, 4)]),
    ("Softmax2d", (), {}, [_x(2, 3, 2, 2)]),
    ("LogSoftmax", (-1,), {}, [_x(3, 4)]),
    ("Flatten", (), {}, [_x(3, 4, 2)]),
    ("Unflatten", (1, (2, 2)), {}, [_x(3, 4)]),
    ("PixelShuffle", (2,), {}, [_x(2, 8, 3, 3)]),
    ("PixelUnshuffle", (2,), {}, [_x(2, 2, 4, 6)]),
    ("ChannelShuffle", (2,), {}, [_x(2, 4, 2, 2)]),
    ("Upsample", (), {"scale_factor": 2}, [_x(2, 3, 3, 3)]),
    ("Upsample", (), {"size": (5, 4), "mode": "bilinear"}, [_x(2, 3, 3, 3)]),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}, [_x(2, 3, 3, 3)]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [_x(2, 3, 3, 3)]),
    ("Unfold", (2,), {"stride": 2}, [_x(2, 3, 4, 6)]),
    ("Fold", ((4, 6), 2), {"stride": 2}, [_x(2, 12, 6)]),
    ("ConstantPad1d", (2, 1.5), {}, [_x(2, 3, 4)]),
    ("ConstantPad2d", ((1, 2, 0, 1), 1.5), {}, [_x(2, 3, 4, 4)]),
    ("ZeroPad2d", (1,), {}, [_x(2, 3, 4, 4)]),
    ("ReflectionPad1d", (2,), {}, [_x(2, 3, 4)]),
    ("ReflectionPad2d", ((1, 2, 0, 1),), {}, [_x(2, 3, 4, 4)]),
    ("ReplicationPad2d", (1,), {}, [_x(2, 3, 4, 4)]),
    ("CircularPad2d", (1,), {}, [_x(2, 3, 4, 4)]),
    ("CosineSimilarity", (), {}, [_x(3, 4), _x(3, 4)]),
    ("PairwiseDistance", (), {}, [_x(3, 4), _x(3, 4)]),
    ("RNN", (3, 4), {"num_layers": 2, "bidirectional": True}, [_x(5, 2, 3)]),
    ("RNN", (3, 4), {"nonlinearity": "relu", "batch_first": True}, [_x(2, 5, 3), _x(1, 2, 4)]),
    ("LSTM", (3, 4), {"num_layers": 2, "bidirectional": True, "dropout": 0.0}, [_x(5, 2, 3)]),
    ("LSTM", (3, 4), {"proj_size": 2, "bias": False}, [_x(5, 2, 3)]),
    ("GRU", (3, 4), {"batch_first": True, "num_layers": 2}, [_x(2, 5, 3)]),
    ("GRU", (3, 4), {}, [_x(5, 3)]),
    ("RNNCell", (3, 4), {}, [_x(2, 3)]),
    ("LSTMCell", (3, 4), {}, [_x(2, 3)]),
    ("GRUCell", (3, 4), {"bias": False}, [_x(2, 3), _x(2, 4)]),
    ("MultiheadAttention", (6, 2), {}, [_x(4, 2, 6), _x(5, 2, 6), _x(5, 2, 6)]),
    (
        "MultiheadAttention",
        (6, 2),
        {"batch_first": True, "kdim": 3, "vdim": 4},
        [_x(2, 4, 6), _x(2, 5, 3), _x(2, 5, 4)],
    ),
    ("MultiheadAttention", (6, 2), {"add_bias_kv": True, "add_zero_attn": True}, [_x(4, 2, 6)] * 3),
    ("Transformer", (6, 2, 1, 2, 8), {"dropout": 0.0, "norm_first": True}, [_x(4, 2, 6), _x(3, 2, 6)]),
    ("Transformer", (6, 2, 1, 1, 8), {"dropout": 0.0, "batch_first": True}, [_x(2, 4, 6), _x(2, 3, 6)]),
    ("TransformerEncoderLayer", (6, 2, 8), {"dropout": 0.0}, [_x(4, 2, 6)]),
    ("TransformerEncoderLayer", (6, 2, 8), {"dropout": 0.0, "norm_first": True, "activation": "gelu"}, [_x(4, 2, 6)]),
    ("TransformerDecoderLayer", (6, 2, 8), {"dropout": 0.0}, [_x(4, 2, 6), _x(3, 2, 6)]),
    ("MSELoss", (), {}, [_x(3, 4), _x(3, 4)]),
    ("L1Loss", (), {"reduction": "sum"}, [_x(3, 4), _x(3, 4)]),
    ("SmoothL1Loss", (), {"beta": 0.5}, [_x(3, 4), _x(3, 4)]),
    ("HuberLoss", (), {"delta": 0.5}, [_x(3, 4), _x(3, 4)]),
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1}, [_x(3, 4), _classes(3)]),
    ("NLLLoss", (), {"ignore_index": 1}, [_x(3, 4, 2), _classes(3, 2)]),
    ("BCELoss", (), {}, [_unit(3, 4), _unit(3, 4)]),
    ("BCEWithLogitsLoss", (), {"reduction": "none"}, [_x(3, 4), _unit(3, 4)]),
    ("KLDivLoss", (), {"reduction": "batchmean"}, [_x(3, 4), _unit(3, 4)]),
    ("PoissonNLLLoss", (), {"full": True}, [_x(3, 4), _unit(3, 4) * 9]),
    ("GaussianNLLLoss", (), {"full": True}, [_x(3, 4), _x(3, 4), _unit(3, 4)]),
    ("HingeEmbeddingLoss", (), {}, [_x(3, 4), _signs(3, 4)]),
    ("MarginRankingLoss", (), {"margin": 0.1}, [_x(3), _x(3), _signs(3)]),
    ("SoftMarginLoss", (), {}, [_x(3, 4), _signs(3, 4)]),
    ("MultiMarginLoss", (), {"p": 2}, [_x(3, 4), _classes(3)]),
    ("MultiLabelMarginLoss", (), {}, [_x(2, 4), np.array([[3, 0, -1, 1], [1, -1, 2, 0]])]),
    ("MultiLabelSoftMarginLoss", (), {}, [_x(3, 4), _classes(3, 4, n=2).astype(float)]),
    ("TripletMarginLoss", (), {"swap": True}, [_x(3, 4), _x(3, 4), _x(3, 4)]),
    ("CosineEmbeddingLoss", (), {"margin": 0.1}, [_x(3, 4), _x(3, 4), _signs(3)]),
]


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [v for part in value for v in _flat(part)]
    return [] if value is None else [value]


def _pair(name: str, args: tuple, settings: dict) -> tuple[Any, Any]:
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **settings).double()
    ours = getattr(tw.nn, name)(*args, **settings).double()
    state = {k: tw.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(state)
    return ours, theirs


# PyTorch rounds a constant of theirs to single precision.
ROUNDED = {"CELU", "Hardsigmoid"}


def _close(a: Any, b: Any, rounded: bool = False) -> None:
    assert tuple(a.shape) == tuple(b.shape)
    tolerance = 1e-7 if rounded else 1e-9
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance / 10)


@pytest.mark.parametrize(
    ("name", "args", "settings", "inputs"), LAYERS, ids=[f"{k}-{r[0]}" for k, r in enumerate(LAYERS)]
)
@pytest.mark.parametrize("training", [True, False])
def test_layer(name: str, args: tuple, settings: dict, inputs: list[np.ndarray], training: bool) -> None:
    ours, theirs = _pair(name, args, settings)
    assert repr(ours) == repr(theirs)
    ours.train(training)
    theirs.train(training)
    differentiable = [x.dtype.kind == "f" and (k == 0 or not name.endswith("Loss")) for k, x in enumerate(inputs)]
    xs = [tw.tensor(x, requires_grad=d) for x, d in zip(inputs, differentiable, strict=True)]
    ys = [torch.tensor(x, requires_grad=d) for x, d in zip(inputs, differentiable, strict=True)]
    for _ in range(2):  # the second call sees moved statistics
        a, b = _flat(ours(*xs)), _flat(theirs(*ys))
        assert len(a) == len(b)
        for p, q in zip(a, b, strict=True):
            _close(p, q, name in ROUNDED)
    if not b[0].requires_grad:
        return
    weights = [np.random.default_rng(1).standard_normal(tuple(p.shape)) for p in a]
    sum((p * tw.tensor(w)).sum() for p, w in zip(a, weights, strict=True)).backward()
    sum((q * torch.tensor(w)).sum() for q, w in zip(b, weights, strict=True)).backward()
    pairs = [*zip(xs, ys, strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    for p, q in pairs:
        if q.grad is None:
            assert p.grad is None or not p.grad.numpy().any()
        else:
            _close(p.grad, q.grad, name in ROUNDED)
    for p, q in zip(ours.buffers(), theirs.buffers(), strict=True):
        _close(p, q)
