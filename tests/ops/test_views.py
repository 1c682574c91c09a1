"""What shares memory, what that means for writes and gradients, and changes of shape in place."""

import numpy as np
import pytest

import thalweg as tw

VIEWS = {
    "index": lambda x: x[0],
    "slice": lambda x: x[1:, ::2],
    "none": lambda x: x[None],
    "select": lambda x: x.select(1, 2),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "view": lambda x: x.view(12),
    "reshape": lambda x: x.reshape(2, 6),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "ravel": lambda x: x.ravel(),
    "t": lambda x: x.t(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x: x.transpose(0, 1),
    "permute": lambda x: x.permute(1, 0),
    "movedim": lambda x: x.movedim(0, 1),
    "squeeze": lambda x: x.squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "diagonal": lambda x: x.diagonal(),
    "unfold": lambda x: x.unfold(1, 2, 2),
    "as_strided": lambda x: x.as_strided((2, 2), (4, 1), 1),
    "chain": lambda x: x.t()[1:].reshape(3, 3, 1).squeeze(-1)[:, 0],
}
SEVERAL = {
    "unbind": lambda x: x.unbind(1),
    "split": lambda x: x.split(2),
    "split_with_sizes": lambda x: x.split([1, 2]),
    "chunk": lambda x: x.chunk(2, 1),
}
COPIES = {
    "list": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > 0],
    "flip": lambda x: x.flip(0),
    "roll": lambda x: x.roll(1),
    "repeat": lambda x: x.repeat(1, 1),
    "transposed and joined": lambda x: x.t().reshape(12),
    "index_select": lambda x: x.index_select(0, tw.tensor([0])),
    "diag": lambda x: x[:3, :3].diag(),
}


def twelve(requires_grad: bool = False) -> tw.Tensor:
    return tw.arange(12.0).reshape(3, 4).clone().requires_grad_(requires_grad)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_shares_memory_and_version(name):
    x = twelve()
    v = VIEWS[name](x)
    assert v._base is x
    v.zero_()
    assert x._version == v._version == 1
    assert (x == 0).sum() >= v.numel() or name == "unfold"


@pytest.mark.parametrize("name", VIEWS)
def test_a_write_through_a_view_reaches_the_base(name):
    w = twelve(requires_grad=True)
    x = w * 1
    VIEWS[name](x).mul_(3)
    factor = tw.ones(3, 4)
    VIEWS[name](factor).mul_(3)
    assert x.grad_fn.name() == "CopySlices"
    x.sum().backward()
    assert w.grad.tolist() == factor.tolist()


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_of_a_leaf_is_not_written(name):
    with pytest.raises(RuntimeError):
        VIEWS[name](twelve(requires_grad=True)).zero_()


@pytest.mark.parametrize("name", SEVERAL)
def test_several_views_refuse_recorded_writes(name):
    x = twelve(requires_grad=True) * 1
    part = SEVERAL[name](x)[0]
    assert part._base is x
    with pytest.raises(RuntimeError, match="several views"):
        part.zero_()
    plain = twelve()
    SEVERAL[name](plain)[0].fill_(-1)
    assert (plain == -1).any()


@pytest.mark.parametrize("name", SEVERAL)
def test_several_views_share_one_node(name):
    x = twelve(requires_grad=True)
    parts = SEVERAL[name](x)
    assert len({p.grad_fn for p in parts}) == 1
    parts[-1].sum().backward()
    expected = tw.zeros(3, 4)
    SEVERAL[name](expected)[-1].fill_(1)
    assert x.grad.tolist() == expected.tolist()


@pytest.mark.parametrize("name", COPIES)
def test_copies_share_nothing(name):
    x = twelve()
    copy = COPIES[name](x)
    assert copy._base is None
    copy.fill_(-5)
    assert x._version == 0
    assert x.min() == 0


def test_a_long_chain_of_views_is_linear():
    y = x = tw.ones(2, 3, requires_grad=True)
    for _ in range(3000):
        y = y.t()
    y.sum().backward()
    assert x.grad.tolist() == [[1.0] * 3] * 2
    z = x * 1
    view = z
    for _ in range(50):
        view = view.t()
    view.mul_(2)
    z.sum().backward()
    assert x.grad.tolist() == [[3.0] * 3] * 2


def test_expanded_memory_is_not_written():
    with pytest.raises(RuntimeError):
        tw.zeros(1).expand(3).add_(1)


SHAPE_IN_PLACE = {
    "t_": lambda x: x.t_(),
    "transpose_": lambda x: x.transpose_(0, 1),
    "swapaxes_": lambda x: x.swapaxes_(0, 1),
    "unsqueeze_": lambda x: x.unsqueeze_(0),
    "squeeze_": lambda x: x.squeeze_(),
    "as_strided_": lambda x: x.as_strided_((2, 2), (1, 1)),
}


@pytest.mark.parametrize("name", SHAPE_IN_PLACE)
def test_changes_of_its_own_shape(name):
    plain = name[:-1]
    expected = {"as_strided": lambda x: x.as_strided((2, 2), (1, 1)), "swapaxes": lambda x: x.swapaxes(0, 1)}.get(
        plain, lambda x: getattr(x, plain)(*{"transpose": (0, 1), "unsqueeze": (0,)}.get(plain, ()))
    )
    w = twelve(requires_grad=True)
    x = w * 1
    assert SHAPE_IN_PLACE[name](x) is x
    y = expected(w * 1)
    assert x.tolist() == y.tolist()
    seed = tw.arange(float(y.numel())).reshape(y.shape)
    (x * seed).sum().backward()
    (w2,) = tw.autograd.grad((y * seed).sum(), [w])
    assert w.grad.tolist() == w2.tolist()
    with pytest.raises(RuntimeError):
        SHAPE_IN_PLACE[name](twelve(requires_grad=True))


def test_indices_that_are_refused():
    x = tw.arange(6).reshape(2, 3)
    for key in (2, -3, (0, 3), (0, 0, 0), [2], (0, [5]), "a", 1.0, tw.tensor([0.5]), tw.tensor([True, False, True])):
        with pytest.raises(IndexError):
            x[key]
    with pytest.raises(ValueError):
        x[::-1]
    with pytest.raises(RuntimeError):
        x[0] = tw.zeros(2)
    with pytest.raises(IndexError):
        tw.tensor(1.0)[0]


def test_named_results_print_and_unpack():
    found = tw.tensor([[1.0, 3.0], [4.0, 2.0]]).max(1)
    values, indices = found
    assert values is found.values
    assert indices is found.indices
    assert repr(found) == "thalweg.return_types.max(\nvalues=tensor([3., 4.]),\nindices=tensor([1, 0]))"
    low, high = tw.aminmax(tw.tensor([2.0, 5.0]))
    assert (low.item(), high.item()) == (2.0, 5.0)


TIES = {
    "max": (lambda x: x.max(), [0.5, 0.0, 0.5]),
    "amax": (lambda x: x.amax(0), [0.5, 0.0, 0.5]),
    "max(dim)": (lambda x: x.max(0).values, [1.0, 0.0, 0.0]),
    "median": (lambda x: x.median(), [0.5, 0.0, 0.5]),
    "norm": (lambda x: (x - x.detach()).norm(), [0.0, 0.0, 0.0]),
    "norm inf": (lambda x: x.norm(float("inf")), [0.5, 0.0, 0.5]),
    "std": (lambda x: (x - x.detach()).std(), [0.0, 0.0, 0.0]),
    "prod": (lambda x: (x - tw.tensor([0.0, 1.0, 0.0])).prod(), [0.0, 4.0, 0.0]),
    "cummax": (lambda x: x.cummax(0).values.sum(), [2.0, 0.0, 1.0]),
    "sort": (lambda x: x.sort().values[-1], [0.0, 0.0, 1.0]),
    "topk": (lambda x: x.topk(1).values.sum(), [1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("name", TIES)
def test_gradients_at_ties(name):
    function, expected = TIES[name]
    x = tw.tensor([2.0, 1.0, 2.0], requires_grad=True)
    function(x).backward()
    assert x.grad.tolist() == expected


def test_what_is_saved_decides_about_a_second_walk():
    x = twelve(requires_grad=True)
    for keeps_nothing in (x.sum(0), x.mean(), x[0], x.reshape(12), x.t(), x.cumsum(0), x.flip(0), x.unbind()[0]):
        seed = tw.ones_like(keeps_nothing.detach())
        keeps_nothing.backward(seed)
        keeps_nothing.backward(seed)
    for keeps in (x.prod(), x.amax(), x.max(0).values, x.logsumexp(0), x[[0, 1]], x.sort().values, x.std()):
        seed = tw.ones_like(keeps.detach())
        keeps.backward(seed)
        with pytest.raises(RuntimeError):
            keeps.backward(seed)


def test_sorting_keeps_the_order_of_equal_elements():
    rng = np.random.default_rng(3)
    for dtype in (tw.float32, tw.float64, tw.int64, tw.int32, tw.uint8):
        data = rng.integers(0, 5, (3, 50)).astype(dtype.np)
        if dtype.is_floating_point:
            data[0, 7] = data[2, 3] = np.nan
            data[1, 4] = -0.0
        x = tw.from_numpy(data)
        assert (x.sort(stable=True).indices._data == np.argsort(data, kind="stable")).all()
        down = x.sort(descending=True).indices._data
        expected = 49 - np.argsort(data[:, ::-1], kind="stable")[:, ::-1]
        assert (down == expected).all()


def test_long_running_sums_are_those_of_numpy():
    rng = np.random.default_rng(4)
    for shape in ((20_000,), (40, 1000), (20, 1009)):
        data = rng.standard_normal(shape)
        x = tw.from_numpy(data).requires_grad_()
        y = x.cumsum(-1)
        np.testing.assert_allclose(y.detach(), np.cumsum(data, -1), rtol=1e-9, atol=1e-9)
        y.backward(tw.from_numpy(data))
        np.testing.assert_allclose(x.grad, np.cumsum(data[..., ::-1], -1)[..., ::-1], rtol=1e-9, atol=1e-9)
    data = np.ones(20_000)
    data[70] = np.inf
    assert np.array_equal(tw.from_numpy(data).cumsum(0)._data, np.cumsum(data))


@pytest.mark.parametrize("made", ["view", "result"])
def test_contiguous_puts_the_elements_in_row_major_order(made):
    x = tw.arange(24.0).reshape(2, 3, 4)
    turned = x.transpose(0, 1) if made == "view" else (x * 1).transpose(0, 1) + 0
    rows = turned.contiguous()
    assert rows.is_contiguous()
    assert rows.stride() == (8, 4, 1)
    assert rows.view(-1).tolist() == turned.reshape(-1).tolist()
    assert x.contiguous() is x
    assert turned.clone().stride() == turned.stride()
    assert turned.clone(memory_format=tw.contiguous_format).stride() == (8, 4, 1)
    assert turned.contiguous(memory_format=tw.contiguous_format).stride() == (8, 4, 1)


def test_contiguous_hands_gradients_through():
    x = tw.arange(6.0).reshape(2, 3).requires_grad_()
    (x.t().contiguous().view(6) * tw.arange(6.0)).sum().backward()
    assert x.grad.tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


@pytest.mark.parametrize(
    "call",
    [lambda x: x.contiguous(memory_format=tw.preserve_format), lambda x: x.clone(memory_format="rows")],
)
def test_a_memory_format_that_is_not_there_is_named(call):
    with pytest.raises(RuntimeError, match="memory_format must be"):
        call(tw.zeros(2, 2))
