"""Gradients on request, transforms, forward mode, checking, checkpointing, drawing, exchange."""

import copy
import pickle
import xml.dom.minidom
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.autograd import forward_ad, functional, gradcheck, gradgradcheck
from thalweg.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

X = tw.tensor([1.0, 2.0, 3.0], dtype=tw.float64)


def f(x: Any) -> Any:
    return (x**3).sum() * x[0].sin() + x.tanh().prod()


H = tw.func.jacrev(tw.func.jacrev(f))(X)


@pytest.mark.parametrize(
    "second",
    [
        tw.func.hessian(f),
        tw.func.jacfwd(tw.func.jacfwd(f)),
        tw.func.jacrev(tw.func.jacfwd(f)),
        lambda x: functional.hessian(f, x),
        lambda x: functional.hessian(f, x, outer_jacobian_strategy="forward-mode"),
        lambda x: tw.func.vmap(lambda v: functional.hvp(f, x, v)[1])(tw.eye(3, dtype=tw.float64)),
        lambda x: tw.func.vmap(lambda v: functional.vhp(f, x, v)[1])(tw.eye(3, dtype=tw.float64)),
        lambda x: tw.func.vmap(lambda v: tw.func.jvp(tw.func.grad(f), (x,), (v,))[1])(tw.eye(3, dtype=tw.float64)),
        lambda x: tw.func.vmap(tw.func.linearize(tw.func.grad(f), x)[1])(tw.eye(3, dtype=tw.float64)),
        lambda x: tw.func.vmap(lambda v: tw.func.grad(lambda y: (tw.func.grad(f)(y) * v).sum())(x))(
            tw.eye(3, dtype=tw.float64)
        ),
    ],
)
def test_every_way_to_a_hessian_agrees(second: Any) -> None:
    assert np.allclose(second(X).numpy(), H.numpy(), rtol=1e-12, atol=1e-12)


def test_the_hessian_agrees_with_differences() -> None:
    assert gradgradcheck(f, X.clone().requires_grad_(), check_fwd_over_rev=True)


def test_perturbations_are_not_confused() -> None:
    # d/dx [x * d/dy (x + y)] = 1, where confusing the two would give 2.
    for inner in (tw.func.grad, lambda g: lambda y: tw.func.jvp(g, (y,), (tw.ones_like(y),))[1]):
        for outer in (tw.func.grad, lambda g: lambda y: tw.func.jvp(g, (y,), (tw.ones_like(y),))[1]):
            at = tw.tensor(2.0)
            assert outer(lambda x, inner=inner: x * inner(lambda y: x + y)(tw.tensor(1.0)))(at).item() == 1.0


def test_trees_and_auxiliary_results() -> None:
    parameters = {"w": X, "rest": [X * 2, (X * 3,)]}

    def loss(p: Any, scale: float = 1.0) -> Any:
        return (p["w"] * p["rest"][0] * p["rest"][1][0]).sum() * scale, {"seen": p["w"]}

    gradient, aux = tw.func.grad(loss, has_aux=True)(parameters, scale=2.0)
    assert gradient["rest"][1][0].tolist() == (4 * X * X).tolist()
    assert not aux["seen"].requires_grad
    (value, _), _ = tw.func.value_and_grad(loss, has_aux=True)(parameters)
    assert value.item() == loss(parameters)[0].item()


def test_results_stay_differentiable_in_what_is_outside() -> None:
    w = tw.tensor([2.0, 3.0, 4.0], dtype=tw.float64, requires_grad=True)
    tw.func.grad(lambda x: (x * x * w).sum())(X).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [2.0, 4.0, 6.0]
    assert not tw.func.grad(lambda x: (x * x).sum())(X).requires_grad
    y = X.clone().requires_grad_()
    with tw.no_grad():
        assert tw.func.grad(lambda x: (x * x).sum())(y).tolist() == [2.0, 4.0, 6.0]


def test_forward_mode() -> None:
    with forward_ad.dual_level():
        x = forward_ad.make_dual(X, tw.ones_like(X))
        _, tangent = forward_ad.unpack_dual((x * x).reshape(3, 1))
        assert tangent.tolist() == [[2.0], [4.0], [6.0]]
        assert forward_ad.unpack_dual(x.detach()).tangent is None
        assert "tangent=" in repr(x)
        y = tw.zeros(3, dtype=tw.float64)
        y[1:] = x[:2] * 3
        assert forward_ad.unpack_dual(y).tangent.tolist() == [0.0, 3.0, 3.0]
        with pytest.raises(RuntimeError, match="already"):
            forward_ad.make_dual(x, X)
        with pytest.raises(RuntimeError, match="only one"):
            forward_ad.enter_dual_level()
    assert forward_ad.unpack_dual(x).tangent is None
    with pytest.raises(RuntimeError, match="no level"):
        forward_ad.make_dual(X, X)


def test_a_graph_built_in_forward_mode_is_walked_outside_of_it() -> None:
    x = X.clone().requires_grad_()
    y, t = tw.func.jvp(lambda x: x.exp(), (x,), (tw.ones_like(X),))
    y.sum().backward(retain_graph=True)
    t.sum().backward()
    assert x.grad is not None
    assert np.allclose(x.grad.numpy(), 2 * np.exp(X.numpy()))


def test_the_checker_finds_a_wrong_rule() -> None:
    class Wrong(tw.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0].cos() * 1.01

    x = X.clone().requires_grad_()
    with pytest.raises(tw.autograd.GradcheckError, match="output 0 in input 0"):
        gradcheck(Wrong.apply, x)
    assert not gradcheck(Wrong.apply, x, raise_exception=False, fast_mode=True)
    with pytest.raises(ValueError, match="requires grad"):
        gradcheck(lambda x: x, X)
    with pytest.warns(UserWarning, match="float32"):
        gradcheck(lambda x: x * 2, tw.ones(2, requires_grad=True), atol=1, rtol=1)


def test_autograd_grad_and_its_arguments() -> None:
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    z = x * 2
    with pytest.raises(RuntimeError, match="do not depend on input 1"):
        tw.autograd.grad(z.sum(), [x, y], retain_graph=True)
    assert tw.autograd.grad(z.sum(), [x, y], allow_unused=True, retain_graph=True)[1] is None
    assert tw.autograd.grad(z.sum(), [x, y], materialize_grads=True, retain_graph=True)[1].tolist() == [0.0] * 3
    (rows,) = tw.autograd.grad(z, x, tw.eye(3, dtype=tw.float64), is_grads_batched=True)
    assert rows.tolist() == (2 * np.eye(3)).tolist()
    z = x * 2
    z.retain_grad()
    tw.autograd.grad(z.sum(), x)
    assert z.grad is not None
    assert x.grad is None
    (x * x).sum().backward(inputs=[x])
    assert x.grad is not None


def test_saved_tensor_hooks() -> None:
    sizes = []

    def pack(t: Any) -> Any:
        sizes.append(tuple(t.shape))
        return t.tolist()

    x = X.clone().requires_grad_()
    with tw.autograd.graph.saved_tensors_hooks(pack, lambda v: tw.tensor(v, dtype=tw.float64)):
        y = (x * x).exp().sum()
    (first,) = tw.autograd.grad(y, x, create_graph=True)
    (second,) = tw.autograd.grad(first.sum(), x)
    a = X.numpy()
    assert sizes == [(3,)] * 3
    assert np.allclose(first.detach().numpy(), 2 * a * np.exp(a * a))
    assert np.allclose(second.numpy(), (2 + 4 * a * a) * np.exp(a * a))


def test_checkpointing_changes_nothing_but_memory() -> None:
    runs = []

    def block(x: Any) -> Any:
        runs.append(1)
        return (x * tw.rand(3, dtype=tw.float64)).tanh() * x

    def gradients(run: Any) -> Any:
        tw.manual_seed(0)
        x = X.clone().requires_grad_()
        (first,) = tw.autograd.grad(run(x).sum(), x, create_graph=True)
        (second,) = tw.autograd.grad(first.sum(), x)
        return first.tolist(), second.tolist()

    plain = gradients(lambda x: block(block(x)))
    assert gradients(lambda x: checkpoint(block, checkpoint(block, x, use_reentrant=False))) == plain
    assert gradients(lambda x: checkpoint_sequential([block, block], 2, x)) == plain
    calls = []

    def fickle(x: Any) -> Any:
        calls.append(1)
        return x * x if len(calls) == 1 else x + x

    y = checkpoint(fickle, X.clone().requires_grad_())
    with pytest.raises(CheckpointError, match="second run"):
        y.sum().backward()


def test_drawing(tmp_path: Path) -> None:
    x = X.clone().requires_grad_()
    y = (x * x[0]).sum() + 1
    picture = tw.autograd.draw(y, names={"x": x, "y<&": y}, saved=True)
    assert 'label="x = [1., 2., 3.]"' in picture.dot
    assert "Mul\\nkeeps" in picture.dot
    for name in ("a.svg", "a.dot"):
        picture.save(tmp_path / name)
    root = xml.dom.minidom.parse(str(tmp_path / "a.svg")).documentElement
    assert root is not None
    assert len(root.getElementsByTagName("path")) > len(root.getElementsByTagName("marker"))
    assert "y&lt;&amp; = 7." in picture._repr_svg_()
    with pytest.raises(ValueError, match="ending in"):
        picture.save(tmp_path / "a.png")


def test_copies_and_pickles() -> None:
    x = X.clone().requires_grad_()
    x.grad = X * 2
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.grad is not None
    assert twin.grad.tolist() == x.grad.tolist()
    assert twin.data_ptr() != x.data_ptr()
    base = tw.arange(6.0).reshape(2, 3)
    whole, part = copy.deepcopy([base, base.t()[1:]])
    whole.add_(10)
    assert part.tolist() == (base.t()[1:] + 10).tolist()
    assert copy.copy(x).data_ptr() == x.data_ptr()
    assert pickle.loads(pickle.dumps(x * 2)).requires_grad
    with pytest.raises(RuntimeError, match="only leaves"):
        copy.deepcopy(x * 2)


def test_exchange_without_copying() -> None:
    array = np.arange(3.0)
    t = tw.from_dlpack(array)
    t.mul_(2)
    assert array.tolist() == [0.0, 2.0, 4.0]
    assert np.shares_memory(np.from_dlpack(t), array)
    assert np.shares_memory(np.asarray(t), array)
    assert tw.utils.dlpack.from_dlpack(tw.utils.dlpack.to_dlpack(t)).data_ptr() == t.data_ptr()
    with pytest.raises(BufferError):
        np.from_dlpack(X.clone().requires_grad_())
