"""Every in-place operation, on a base, a view and a view of a view, in every mode: the derivatives of the pure program.

The pure program computes the same elements out of place and puts them where they belong. A view made before the write
(`early`) must see the write, in reverse mode, forward mode and forward over reverse alike, with saved-tensor hooks or
without.
"""

from contextlib import nullcontext

import numpy as np
import pytest

import thalweg as tw
from thalweg import func
from thalweg.autograd import Function
from thalweg.autograd.graph import saved_tensors_hooks


class Tripled(Function):
    """A custom function that writes its input."""

    @staticmethod
    def forward(ctx, x):
        x.mul_(3)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return 3 * g

    @staticmethod
    def jvp(ctx, t):
        return 3 * t


# name: (in place, out of place), of the elements t and another tensor o
OPERATIONS = {
    "add_": (lambda t, o: t.add_(o, alpha=2), lambda t, o: t + 2 * o),
    "sub_": (lambda t, o: t.sub_(o), lambda t, o: t - o),
    "mul_": (lambda t, o: t.mul_(o), lambda t, o: t * o),
    "div_": (lambda t, o: t.div_(o), lambda t, o: t / o),
    "pow_": (lambda t, o: t.pow_(3), lambda t, o: t**3),
    "pow_ tensor": (lambda t, o: t.pow_(o), lambda t, o: t**o),
    "exp_": (lambda t, o: t.exp_(), lambda t, o: t.exp()),
    "sin_": (lambda t, o: t.sin_(), lambda t, o: t.sin()),
    "tanh_": (lambda t, o: t.tanh_(), lambda t, o: t.tanh()),
    "sigmoid_": (lambda t, o: t.sigmoid_(), lambda t, o: t.sigmoid()),
    "sqrt_": (lambda t, o: t.sqrt_(), lambda t, o: t.sqrt()),
    "reciprocal_": (lambda t, o: t.reciprocal_(), lambda t, o: 1 / t),
    "neg_": (lambda t, o: t.neg_(), lambda t, o: -t),
    "clamp_": (lambda t, o: t.clamp_(0.9, 1.6), lambda t, o: t.clamp(0.9, 1.6)),
    "copy_": (lambda t, o: t.copy_(o), lambda t, o: o * 1),
    "zero_": (lambda t, o: t.zero_(), lambda t, o: t * 0),
    "fill_": (lambda t, o: t.fill_(2.0), lambda t, o: t * 0 + 2),
    "masked_fill_": (
        lambda t, o: t.masked_fill_(tw.tensor([True, False]).expand(t.shape), 0.5),
        lambda t, o: t.masked_fill(tw.tensor([True, False]).expand(t.shape), 0.5),
    ),
    "addcmul_": (lambda t, o: t.addcmul_(o, o, value=0.5), lambda t, o: t + 0.5 * o * o),
    "lerp_": (lambda t, o: t.lerp_(o, 0.3), lambda t, o: t + 0.3 * (o - t)),
    "setitem": (lambda t, o: t.__setitem__(slice(None), o * 2), lambda t, o: o * 2),
    "cumsum_": (lambda t, o: t.cumsum_(-1), lambda t, o: t.cumsum(-1)),
    "a custom function": (lambda t, o: Tripled.apply(t), lambda t, o: 3 * t),
}
# which of the six elements (as [3, 2]) are written, and how the target is cut out of the base
TARGETS = {
    "base": (slice(0, 6), lambda y: y),
    "view": (slice(2, 6), lambda y: y[1:]),
    "view of a view": (slice(4, 6), lambda y: y[1:][1:].reshape(1, 2)),
}
HOOKS = {
    "no hooks": nullcontext,
    "identity": lambda: saved_tensors_hooks(lambda t: t, lambda t: t),
    "clone": lambda: saved_tensors_hooks(lambda t: t.clone(), lambda t: t),
}
X = np.array([[0.7, 1.3], [1.1, 0.8], [1.5, 1.2]])
WEIGHTS = np.arange(1.0, 7.0).reshape(3, 2)


def programs(operation, target):
    inplace, pure = OPERATIONS[operation]
    rows, cut = TARGETS[target]

    def written(x):
        y = (x * x).sin()
        early, t = y[0:, :1], cut(y)
        inplace(t, cut(x + 0.5))
        late = y[:, 1:]
        return (y * tw.tensor(WEIGHTS)).sum() + (early**2).sum() + (late**3).sum() + (t * t).sum()

    def plain(x):
        y = (x * x).sin()
        mask = np.zeros(6, bool)
        mask[rows] = True
        new = pure(cut(y), cut(x + 0.5))
        kept = [y.reshape(6)[: rows.start], new.reshape(-1)]
        y = tw.cat(kept).reshape(3, 2)
        t = cut(y)
        return (y * tw.tensor(WEIGHTS)).sum() + (y[:, :1] ** 2).sum() + (y[:, 1:] ** 3).sum() + (t * t).sum()

    return written, plain


def reverse(f, x):
    leaf = x.clone().requires_grad_()
    f(leaf).backward()
    return leaf.grad


MODES = {
    "reverse": reverse,
    "forward": lambda f, x: func.jacfwd(f)(x),
    "reverse twice": lambda f, x: func.jacrev(func.jacrev(f))(x),
    "forward over reverse": lambda f, x: func.jacfwd(func.jacrev(f))(x),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_write_in_place_has_the_derivatives_of_the_pure_program(operation, target):
    written, plain = programs(operation, target)
    x = tw.tensor(X)
    for name, mode in MODES.items():
        if operation == "a custom function" and name != "reverse" and name != "forward":
            continue  # its backward and jvp are written for one order
        expected = mode(plain, x)
        for how, hooks in HOOKS.items():
            with hooks():
                found = mode(written, x)
            np.testing.assert_allclose(
                found.numpy(), expected.numpy(), rtol=1e-10, atol=1e-12, err_msg=f"{name}, {how}"
            )


def test_a_view_made_before_sees_what_is_written_to_its_base_in_forward_mode():
    def f(x):
        y = x * 1
        v = y[:2]
        y.mul_(x)
        return (v**2).sum()

    x = tw.tensor([1.0, 2.0, 3.0])
    assert func.hessian(f)(x).diagonal().tolist() == [12.0, 48.0, 0.0]
    buffer = tw.zeros(3)
    before = buffer[:2]

    def g(x):
        buffer.copy_(x)
        return (before * 2).sum()

    assert func.jvp(g, (x,), (x,))[1].item() == 6.0


def test_hooks_of_a_leafs_node():
    x = tw.tensor([2.0], requires_grad=True)
    node = (x * 1).grad_fn.next_functions[0][0]
    seen = []
    handles = [
        node.register_prehook(lambda gs: (10 * gs[0],)),
        node.register_hook(lambda inputs, outputs: seen.append((inputs, outputs[0].item()))),
    ]
    (x * 3).sum().backward()
    assert x.grad.tolist() == [30.0]
    assert seen == [((), 30.0)]
    for handle in handles:
        handle.remove()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [33.0]


def test_a_post_accumulate_hook_returns_nothing():
    x = tw.tensor([2.0], requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda t: t.grad)
    with pytest.raises(RuntimeError, match="must return None"):
        (x * 3).sum().backward()


def test_anomaly_mode_can_leave_nan_alone():
    x = tw.tensor([0.0], requires_grad=True)
    with tw.autograd.detect_anomaly(check_nan=False):
        (x.sqrt() * 0).sum().backward()
    assert x.grad.isnan().all()


@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_has_at_least_one_row(size):
    with pytest.raises(ValueError, match="chunk_size must be an integer >= 1"):
        func.jacrev(lambda x: x * x, chunk_size=size)(tw.tensor([1.0, 2.0]))
