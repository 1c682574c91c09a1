"""The protocol of custom functions and of gradients kept or made up, case by case."""

import pytest

import thalweg as tw
from thalweg import autograd
from thalweg.autograd import Function, forward_ad, gradcheck, gradgradcheck


def test_missing_tangents_are_zeros_for_floats_and_none_otherwise():
    class F(Function):
        @staticmethod
        def forward(ctx, word, x, count, y):
            return x * count + y * 3

        @staticmethod
        def jvp(ctx, word, xt, count, yt):
            assert word is None
            assert count is None
            return xt * 2 + yt * 3

    with forward_ad.dual_level():
        x = forward_ad.make_dual(tw.tensor([1.0, 2.0]), tw.tensor([1.0, 10.0]))
        moved = forward_ad.unpack_dual(F.apply("word", x, 2, tw.ones(2))).tangent
    assert moved.tolist() == [2.0, 20.0]


def test_vjp_is_another_name_of_backward():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vjp(ctx, g):
            return g * 2

    x = tw.ones(1, requires_grad=True)
    F.apply(x).backward()
    assert x.grad.tolist() == [2.0]

    class Both(F):
        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="one of backward and vjp"):
        Both.apply(x).backward()


def test_setup_context_sees_the_defaults_of_forward():
    class F(Function):
        @staticmethod
        def forward(x, w=2, v=5):
            return x * w

        @staticmethod
        def setup_context(ctx, inputs, output):
            seen.append(inputs[1:])
            ctx.w = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.w, None, None

    seen = []
    x = tw.ones(1, requires_grad=True)
    for y in (F.apply(x), F.apply(x, 3), F.apply(x, v=4)):
        y.backward()
    assert seen == [(2, 5), (3, 5), (2, 4)]
    assert x.grad.tolist() == [7.0]


def test_an_input_returned_as_it_is_and_saved():
    class F(Function):
        @staticmethod
        def forward(x):
            return x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="returns as it is cannot be saved"):
        F.apply(tw.ones(1, requires_grad=True))


def test_one_tensor_returned_twice_is_one_tensor():
    class F(Function):
        @staticmethod
        def forward(ctx, x):
            out = x * 2
            return out, out

        @staticmethod
        def backward(ctx, first, last):
            return first * 2 + last * 3

    x = tw.tensor([1.0], requires_grad=True)
    a, b = F.apply(x)
    assert a is b
    (a + b).sum().backward()
    assert x.grad.tolist() == [6.0]


def test_gradients_made_up_stay_differentiable():
    x, a = tw.tensor(0.5, requires_grad=True), tw.tensor(1.0, requires_grad=True)
    d = autograd.grad(x * a, x, create_graph=True)
    d2 = autograd.grad(d, x, create_graph=True, materialize_grads=True)
    assert d2[0].requires_grad
    assert autograd.grad(d2, x, materialize_grads=True)[0].item() == 0


@pytest.mark.parametrize("dtype", [tw.int64, tw.bool])
def test_data_of_a_tensor_that_requires_grad_stay_floating(dtype):
    x = tw.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="floating-point data are required"):
        x.data = tw.ones(1, dtype=dtype)
    plain = tw.ones(1)
    plain.data = tw.ones(1, dtype=dtype)
    assert plain.dtype is dtype


def test_a_kept_gradient_follows_the_value_through_writes():
    base = tw.tensor([1.0], requires_grad=True).clone()
    v, sibling = base[:], base[:]
    for t in (base, v, sibling):
        t.retain_grad()
    v.mul_(2)
    (v + 3 * sibling).sum().backward()
    assert [t.grad.tolist() for t in (v, sibling, base)] == [[1.0], [3.0], [4.0]]


@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"check_batched_grad": True}])
def test_checks_of_functions_that_return_what_they_were_given(options):
    x, y = (tw.tensor([0.5, 2.0], dtype=tw.float64, requires_grad=True) for _ in range(2))
    assert gradcheck(lambda x: x, x, check_forward_ad=True, **options)
    assert gradcheck(lambda x: (x * 2, x), x, **options)
    assert gradgradcheck(lambda x, y: x + y, (x, y), check_fwd_over_rev=True, **options)
    assert gradgradcheck(lambda x: x, x, **options)
    assert gradcheck(lambda x: x.argmax(), x)
    assert not gradcheck(lambda x: x.detach(), x, raise_exception=False, **options)
