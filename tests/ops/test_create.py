"""Creation: values, types, and what is refused."""

import numpy as np
import pytest

import thalweg as tw

SAME_AS_NUMPY = [
    (tw.arange(5), np.arange(5)),
    (tw.arange(1, 2, 0.25), np.arange(1, 2, 0.25, np.float32)),
    (tw.arange(5, 0, -2), np.arange(5, 0, -2)),
    (tw.arange(0, 3.1, dtype=tw.int64), np.arange(3)),
    (tw.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32)),
    (tw.linspace(3, 7, 1), np.array([3], np.float32)),
    (tw.logspace(0, 2, 3), np.array([1, 10, 100], np.float32)),
    (tw.logspace(0, 3, 4, base=2, dtype=tw.float64), np.array([1.0, 2, 4, 8])),
    (tw.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
    (tw.full((2,), 7), np.array([7, 7])),
    (tw.full((), True), np.array(True)),
    (tw.zeros(2, 0), np.zeros((2, 0), np.float32)),
    (tw.ones(size=(2, 3), dtype=bool), np.ones((2, 3), bool)),
    (tw.scalar_tensor(3), np.array(3, np.float32)),
    (tw.tril_indices(3, 4, -1), np.stack(np.tril_indices(3, -1, 4))),
    (tw.triu_indices(3, 4, 1), np.stack(np.triu_indices(3, 1, 4))),
    (tw.vander(tw.tensor([1, 2, 3]), 2), np.vander([1, 2, 3], 2)),
    (tw.tensor([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
    (tw.tensor([1, 2.5]), np.array([1, 2.5], np.float32)),
    (tw.tensor([True, 2]), np.array([1, 2])),
    (tw.tensor([]), np.array([], np.float32)),
    (tw.tensor([tw.tensor(1), tw.tensor(2)]), np.array([1, 2])),
    (tw.tensor(np.float64(0.5)), np.array(0.5)),
    (tw.tensor(range(3)), np.arange(3)),
    (tw.tensor(3.7, dtype=tw.int32), np.array(3, np.int32)),
    (tw.as_tensor([1, 2], dtype=tw.float64), np.array([1.0, 2.0])),
    (tw.asarray([1.5]), np.array([1.5], np.float32)),
    (tw.ones(2).new_full((2, 2), 3), np.full((2, 2), 3, np.float32)),
    (tw.ones(2, dtype=tw.int64).new_zeros(2), np.zeros(2, np.int64)),
]


@pytest.mark.parametrize(("found", "expected"), SAME_AS_NUMPY)
def test_values_and_types(found, expected):
    assert found.numpy().dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_memory_is_shared_or_copied():
    a = np.zeros(3)
    assert np.shares_memory(tw.from_numpy(a).numpy(), a)
    assert np.shares_memory(tw.as_tensor(a).numpy(), a)
    assert np.shares_memory(tw.from_dlpack(a).numpy(), a)
    assert not np.shares_memory(tw.tensor(a).numpy(), a)
    assert not np.shares_memory(tw.as_tensor(a, dtype=tw.float32).numpy(), a)
    assert not np.shares_memory(tw.asarray(a, copy=True).numpy(), a)
    t = tw.tensor([1.0])
    assert tw.as_tensor(t) is t


def test_the_default_type():
    tw.set_default_dtype(tw.float64)
    try:
        assert tw.get_default_dtype() is tw.float64
        assert {tw.zeros(1).dtype, tw.tensor(1.0).dtype, (tw.tensor([1]) / 2).dtype, tw.rand(1).dtype} == {tw.float64}
    finally:
        tw.set_default_dtype(tw.float32)
    with pytest.raises(TypeError):
        tw.set_default_dtype(tw.int64)


def test_types_by_name():
    assert tw.finfo(tw.float32).max == np.finfo(np.float32).max
    assert tw.finfo().eps == np.finfo(np.float32).eps
    assert (tw.iinfo(tw.uint8).min, tw.iinfo(tw.uint8).max, tw.iinfo(tw.int32).bits) == (0, 255, 32)
    assert tw.promote_types(tw.uint8, tw.float32) is tw.float32
    assert tw.result_type(tw.tensor([1.0]), tw.tensor(1.0, dtype=tw.float64)) is tw.float32
    assert tw.can_cast(tw.bool, tw.int64)
    assert not tw.can_cast(tw.float32, tw.int64)
    assert tw.is_floating_point(tw.ones(1))
    assert tw.numel(tw.ones(2, 3)) == 6
    assert not tw.is_nonzero(tw.tensor(0))


def test_the_device():
    assert tw.ones(1, device="cpu").device == tw.device("cpu")
    assert (str(tw.device("cpu", 0)), repr(tw.device("cpu"))) == ("cpu:0", "device(type='cpu')")
    assert not tw.cuda.is_available()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: tw.zeros(-1), RuntimeError),
        (lambda: tw.zeros(), TypeError),
        (lambda: tw.zeros(1.5), TypeError),
        (lambda: tw.full(3, 1), TypeError),
        (lambda: tw.tensor([[1], [1, 2]]), ValueError),
        (lambda: tw.tensor("a"), TypeError),
        (lambda: tw.tensor([1j]), TypeError),
        (lambda: tw.tensor([1], requires_grad=True), RuntimeError),
        (lambda: tw.arange(0, 1, 0), RuntimeError),
        (lambda: tw.arange(0, 1, -1), RuntimeError),
        (lambda: tw.arange(0, float("inf")), RuntimeError),
        (lambda: tw.linspace(0, 1, -1), RuntimeError),
        (lambda: tw.eye(-1), RuntimeError),
        (lambda: tw.meshgrid(tw.ones(2), tw.ones(2, 2)), RuntimeError),
        (lambda: tw.meshgrid(tw.ones(2), indexing="ab"), RuntimeError),
        (lambda: tw.vander(tw.ones(2, 2)), RuntimeError),
        (lambda: tw.from_numpy([1]), TypeError),
        (lambda: tw.ones(1, device="cuda"), RuntimeError),
        (lambda: tw.finfo(tw.int64), TypeError),
        (lambda: tw.iinfo(tw.float32), TypeError),
        (lambda: tw.numel(3), TypeError),
        (lambda: tw.broadcast_shapes((2,), (3,)), RuntimeError),
    ],
)
def test_refusals(call, error):
    with pytest.raises(error):
        call()
