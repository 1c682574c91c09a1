"""What the table of properties cannot say: random masks, running statistics, what is refused, names of nodes."""

from __future__ import annotations

import numpy as np
import pytest

import thalweg as tw
from thalweg import nn
from thalweg.nn import functional as F


def test_dropout_keeps_the_mean_and_the_share():
    g = tw.Generator().manual_seed(0)
    y = F.dropout(tw.ones(20000), 0.3, generator=g).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < 0.02
    channels = F.dropout2d(tw.ones(50, 40, 3, 3), 0.5, generator=g).numpy().reshape(2000, 9)
    assert (channels == channels[:, :1]).all()
    assert abs((channels[:, 0] == 0).mean() - 0.5) < 0.05


def test_alpha_dropout_keeps_mean_and_variance():
    x = tw.randn(100000, generator=tw.Generator().manual_seed(0))
    y = F.alpha_dropout(x, 0.3, training=True, generator=tw.Generator().manual_seed(1)).numpy()
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02


def test_dropout_at_its_ends():
    x = tw.ones(3)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 1.0).tolist() == [0, 0, 0]
    assert nn.Dropout(0.5).eval()(x) is x
    y = tw.ones(100)
    F.dropout(y, 0.5, inplace=True)
    assert 0 < (y.numpy() == 0).sum() < 100
    tw.manual_seed(1)
    a = F.dropout(tw.ones(50), 0.5)
    tw.manual_seed(1)
    np.testing.assert_array_equal(a.numpy(), F.dropout(tw.ones(50), 0.5).numpy())


def test_batch_norm_moves_its_statistics_in_training_only():
    layer = nn.BatchNorm1d(2, momentum=0.5).double()
    x = tw.tensor([[1.0, 10.0], [3.0, 30.0]], dtype=tw.float64)
    layer(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), [1, 10])
    np.testing.assert_allclose(layer.running_var.numpy(), [1.5, 100.5])
    assert layer.num_batches_tracked.item() == 1
    layer.eval()(x)
    assert layer.num_batches_tracked.item() == 1
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0]


def test_max_norm_shortens_rows_in_place():
    w = tw.tensor([[3.0, 4.0], [0.3, 0.4]])
    F.embedding(tw.tensor([0]), w, max_norm=1.0)
    np.testing.assert_allclose(w.numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)


def test_the_padding_row_gets_no_gradient():
    layer = nn.Embedding(3, 2, padding_idx=-1)
    assert not layer.weight.detach().numpy()[2].any()
    layer(tw.tensor([0, 2, 2])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0]]
    kept = nn.Embedding.from_pretrained(tw.ones(3, 2))
    assert not kept.weight.requires_grad


def test_a_query_that_may_attend_to_nothing_gives_zero():
    q = tw.randn(2, 3, requires_grad=True)
    out = F.scaled_dot_product_attention(q, q, q, tw.tensor([[True, False], [False, False]]))
    assert not out.detach().numpy()[1].any()
    out.sum().backward()
    assert np.isfinite(q.grad.numpy()).all()


def test_losses_at_their_edges():
    x = tw.tensor([0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, tw.tensor([1.0, 1.0]), reduction="none")
    assert loss.tolist() == [100, 0]
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    z = tw.zeros(1, requires_grad=True)
    F.binary_cross_entropy_with_logits(z, tw.tensor([1.0])).backward()
    assert z.grad.tolist() == [-0.5]
    assert np.isnan(F.cross_entropy(tw.zeros(2, 3), tw.tensor([-100, -100])).item())
    assert F.cross_entropy(tw.full((1, 2), 1e4), tw.tensor([0])).item() == pytest.approx(np.log(2))


def test_nodes_have_pytorchs_names():
    x = tw.ones(2, 3, 8, 8, requires_grad=True)
    w = tw.ones(4, 3, 3, 3, requires_grad=True)
    y = F.conv2d(x, w)
    assert y.grad_fn.name() == "ConvolutionBackward0"
    assert F.conv_transpose2d(y, w).grad_fn.name() == "ConvolutionBackward0"
    assert F.max_pool2d(y, 2).grad_fn.name() == "MaxPool2DWithIndicesBackward0"
    assert F.avg_pool2d(y, 2).grad_fn.name() == "AvgPool2DBackward0"
    assert F.softmax(y, 1).grad_fn.name() == "SoftmaxBackward0"
    assert F.log_softmax(y, 1).grad_fn.name() == "LogSoftmaxBackward0"
    assert F.linear(x, tw.ones(5, 8)).grad_fn.name() == "ViewBackward0"
    assert F.linear(x[0, 0], tw.ones(5, 8), tw.ones(5)).grad_fn.name() == "AddmmBackward0"
    assert F.cross_entropy(x[:, :, 0, 0], tw.tensor([0, 1])).grad_fn.name() == "NllLossBackward0"
    assert F.embedding(tw.tensor([0]), w[0, 0]).grad_fn.name() == "EmbeddingBackward0"


REFUSED = [
    (lambda: F.linear(tw.ones(2, 3), tw.ones(4, 2)), RuntimeError, r"\(2, 3\) and \(4, 2\)"),
    (lambda: F.linear(tw.ones(2, 3), tw.ones(4, 3, dtype=tw.float64)), RuntimeError, "one dtype"),
    (lambda: F.conv2d(tw.ones(1, 3, 4, 4), tw.ones(2, 2, 3, 3)), RuntimeError, "input channels"),
    (lambda: F.conv2d(tw.ones(1, 2, 2, 2), tw.ones(2, 2, 3, 3)), RuntimeError, "fit"),
    (lambda: F.conv2d(tw.ones(1, 2, 4), tw.ones(2, 2, 3)), RuntimeError, "dims"),
    (lambda: F.conv1d(tw.ones(1, 1, 4), tw.ones(1, 1, 3), stride=0), RuntimeError, "stride"),
    (lambda: F.conv1d(tw.ones(1, 1, 4), tw.ones(1, 1, 3), padding="full"), RuntimeError, "padding"),
    (lambda: F.conv1d(tw.ones(1, 1, 4), tw.ones(1, 1, 3), padding="same", stride=2), RuntimeError, "stride 1"),
    (lambda: F.max_pool2d(tw.ones(1, 1, 4, 4), 2, padding=2), RuntimeError, "half"),
    (lambda: F.avg_pool2d(tw.ones(1, 1, 2, 2), 3), RuntimeError, "fit"),
    (lambda: F.batch_norm(tw.ones(1, 2), None, None, training=True), ValueError, "more than one"),
    (lambda: F.layer_norm(tw.ones(2, 3), (4,)), RuntimeError, "last dims"),
    (lambda: F.group_norm(tw.ones(2, 3), 2), ValueError, "num_groups"),
    (lambda: F.dropout(tw.ones(2), 1.5), ValueError, r"\[0, 1\]"),
    (lambda: F.embedding(tw.tensor([3]), tw.ones(3, 2)), IndexError, r"\[0, 2\]"),
    (lambda: F.embedding(tw.ones(1), tw.ones(3, 2)), TypeError, "integers"),
    (lambda: F.cross_entropy(tw.ones(2, 3), tw.tensor([0, 3])), IndexError, r"\[0, 2\]"),
    (lambda: F.cross_entropy(tw.ones(2, 3), tw.tensor([0])), ValueError, r"\[N, \*\]"),
    (lambda: F.mse_loss(tw.ones(2), tw.ones(3)), RuntimeError, "broadcast"),
    (lambda: F.mse_loss(tw.ones(2), tw.ones(2), reduction="avg"), ValueError, "reduction"),
    (lambda: F.binary_cross_entropy(tw.ones(2) * 2, tw.ones(2)), RuntimeError, r"\[0, 1\]"),
    (lambda: F.pad(tw.ones(1, 2, 3), (1,)), RuntimeError, "even"),
    (lambda: F.pad(tw.ones(1, 2, 3), (3, 0), mode="reflect"), RuntimeError, "at most 2"),
    (lambda: F.interpolate(tw.ones(1, 2, 3)), ValueError, "size or scale_factor"),
    (lambda: F.interpolate(tw.ones(1, 2, 3), size=2, mode="bilinear"), NotImplementedError, "dims"),
    (lambda: F.one_hot(tw.tensor([3]), 2), RuntimeError, "< 2"),
    (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "groups"),
    (lambda: nn.LSTM(2, 3)(tw.ones(4, 2, 3)), RuntimeError, "last dim"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_is_refused_with_a_reason(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_target_that_only_broadcasts_is_warned_of():
    with pytest.warns(UserWarning, match="broadcast"):
        F.mse_loss(tw.ones(3, 1), tw.ones(3))
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(tw.zeros(2), tw.ones(2) / 2)


def test_gradients_of_a_whole_network_are_right():
    tw.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    ).double()  # fmt: skip
    x, y = tw.randn(5, 1, 4, 4, dtype=tw.float64), tw.tensor([0, 1, 2, 0, 1])
    net.zero_grad()
    F.cross_entropy(net(x), y).backward()
    for p in net.parameters():
        for at in [(0,) * p.ndim, tuple(n - 1 for n in p.shape)]:
            values = []
            for h in (1e-5, -1e-5):
                p._data[at] += h
                values.append(F.cross_entropy(net(x), y).item())
                p._data[at] -= h
            assert p.grad.numpy()[at] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "call",
    [lambda x: F.relu(x, inplace=True), F.relu_, F.elu_, F.selu_, F.celu_, F.leaky_relu_, F.hardtanh_, F.rrelu_,
     lambda x: F.threshold_(x, 0.0, 0.5)],
)  # fmt: skip
def test_activations_in_place_write_and_hand_gradients_through(call):
    x = tw.tensor([-2.0, 0.5], requires_grad=True)
    y = x * 1
    assert call(y) is y
    y.sum().backward()
    assert y[1].item() == pytest.approx(0.5, rel=0.06)
    assert y[0].item() != -2.0
    assert x.grad[1] > 0.9


def test_gumbel_softmax_picks_in_proportion():
    tw.manual_seed(0)
    logits = tw.tensor([0.2, 0.3, 0.5]).log().expand(20000, 3).clone().requires_grad_()
    picked = F.gumbel_softmax(logits, hard=True)
    assert set(np.unique(picked.detach().numpy().round(5))) == {0.0, 1.0}
    np.testing.assert_allclose(picked.detach().mean(0).numpy(), [0.2, 0.3, 0.5], atol=0.015)
    picked[:, 0].sum().backward()
    assert logits.grad[:, 0].sum() > 0
    soft = F.gumbel_softmax(tw.zeros(4, 5), tau=0.5, dim=0)
    np.testing.assert_allclose(soft.sum(0).numpy(), 1.0, rtol=1e-6)
    with pytest.raises(ValueError, match="tau must be"):
        F.gumbel_softmax(tw.zeros(2), tau=0)


AT_THE_TOP = {
    "conv1d": [(1, 2, 5), (3, 2, 2)], "conv2d": [(1, 2, 5, 5), (3, 2, 2, 2)], "conv3d": [(1, 1, 3, 3, 3), (2, 1, 2, 2, 2)],
    "conv_transpose1d": [(1, 3, 5), (3, 2, 2)], "conv_transpose2d": [(1, 3, 4, 4), (3, 2, 2, 2)],
    "conv_transpose3d": [(1, 2, 3, 3, 3), (2, 1, 2, 2, 2)], "bilinear": [(2, 3), (2, 4), (5, 3, 4)],
    "group_norm": [(2, 4, 3), 2], "layer_norm": [(2, 4), [4]], "rms_norm": [(2, 4), [4]],
    "adaptive_avg_pool1d": [(1, 2, 6), 3], "avg_pool1d": [(1, 2, 6), 2], "max_pool1d": [(1, 2, 6), 2],
    "max_pool2d": [(1, 2, 6, 6), 2], "max_pool3d": [(1, 1, 4, 4, 4), 2], "cosine_similarity": [(2, 3), (2, 3)],
    "pairwise_distance": [(2, 3), (2, 3)], "pdist": [(4, 3)], "channel_shuffle": [(1, 4, 2, 2), 2],
    "pixel_shuffle": [(1, 4, 2, 2), 2], "pixel_unshuffle": [(1, 1, 4, 4), 2],
}  # fmt: skip


@pytest.mark.conformance
@pytest.mark.parametrize("name", AT_THE_TOP)
def test_what_pytorch_has_at_the_top_is_there(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=a) if isinstance(a, tuple) else a for a in AT_THE_TOP[name]]
    mine, theirs = (
        getattr(lib, name)(*(lib.tensor(a) if isinstance(a, np.ndarray) else a for a in arrays)) for lib in (tw, torch)
    )
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)


def test_the_precision_of_products_is_the_highest():
    tw.set_float32_matmul_precision("high")
    assert tw.get_float32_matmul_precision() == "highest"
    with pytest.raises(ValueError, match="'highest', 'high' or 'medium'"):
        tw.set_float32_matmul_precision("low")
    assert tw.zeros(2)[:, tw.newaxis].shape == (2, 1)


def test_other_processors_are_not_there_and_their_switches_change_nothing():
    for backend in (tw.backends.mps, tw.backends.cudnn, tw.backends.cuda):
        assert not backend.is_available()
        assert not backend.is_built()
    tw.backends.cudnn.benchmark = True
    tw.backends.cuda.matmul.allow_tf32 = True
    assert not tw.backends.mps.benchmark


def test_a_transformer_sees_no_later_step():
    net = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0)
    mask = net.generate_square_subsequent_mask(3)
    assert mask.tolist() == [[0.0, -np.inf, -np.inf], [0.0, 0.0, -np.inf], [0.0, 0.0, 0.0]]
    src, tgt = tw.randn(4, 2, 8), tw.randn(3, 2, 8, requires_grad=True)
    net(src, tgt, tgt_mask=mask)[0].sum().backward()
    assert (tgt.grad[1:] == 0).all()
    with pytest.raises(RuntimeError, match="a last dim of 8"):
        net(tw.zeros(4, 2, 6), tgt)
    with pytest.raises(RuntimeError, match="of one batch"):
        net(tw.zeros(4, 3, 8), tgt)
