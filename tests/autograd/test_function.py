"""Operations of one's own, hooks, modes and anomalies."""

from typing import Any

import pytest

import thalweg as tw
from thalweg.autograd import Function
from thalweg.autograd.function import once_differentiable


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3 * x**2

    @staticmethod
    def jvp(ctx: Any, t: Any) -> Any:
        (x,) = ctx.saved_tensors
        return t * 3 * x**2


class Split(Function):
    """Two outputs, with setup_context."""

    @staticmethod
    def forward(x: Any, k: int) -> Any:
        return x * k, x + k

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.k = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        return g * ctx.k + h, None


def _x() -> Any:
    return tw.tensor([1.0, 2.0], dtype=tw.float64, requires_grad=True)


def test_first_second_and_forward_derivatives() -> None:
    x = _x()
    assert repr(Cube.apply(x)) == "tensor([1., 8.], dtype=thalweg.float64, grad_fn=<CubeBackward>)"
    assert tw.autograd.gradcheck(Cube.apply, x, check_forward_ad=True)
    assert tw.autograd.gradgradcheck(Cube.apply, x)
    assert tw.func.hessian(lambda t: Cube.apply(t).sum())(x.detach()).tolist() == [[6.0, 0.0], [0.0, 12.0]]


def test_several_outputs_and_missing_gradients() -> None:
    x = _x()
    first, second = Split.apply(x, 3)
    assert first.grad_fn is second.grad_fn
    first.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("returned", "error", "words"),
    [
        (lambda g: (g, g), RuntimeError, "one gradient"),
        (lambda g: 3, TypeError, "must be a tensor or None, got int"),
        (lambda g: g[:1][0], RuntimeError, "must have shape"),
        (lambda g: tw.ones(3), RuntimeError, "must have shape"),
    ],
)
def test_what_backward_may_not_return(returned: Any, error: type[Exception], words: str) -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return returned(g)

    with pytest.raises(error, match=words):
        Wrong.apply(_x()).sum().backward()


def test_what_backward_may_return() -> None:
    class Generous(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return tw.stack([g, g]), None, None

    x = _x()
    Generous.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_dirty_and_constant_outputs() -> None:
    class Twice(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.mul_(2)
            ctx.mark_dirty(x)
            sign = x.sign()
            ctx.mark_non_differentiable(sign)
            return x, sign

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g * 2

    x = _x()
    base = x * 1
    piece = base[1:]
    written, sign = Twice.apply(piece)
    assert written is piece
    assert not sign.requires_grad
    base.sum().backward()
    assert base.tolist() == [1.0, 4.0]
    assert x.grad.tolist() == [1.0, 2.0]
    with pytest.raises(RuntimeError, match="leaf that requires grad"):
        Twice.apply(_x())


def test_an_output_that_is_an_input_refuses_writes() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 3

    x = _x()
    y = Same.apply(x)
    assert y is not x
    assert y.data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="in place"):
        y.mul_(2)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0]

    x, g = _x(), tw.ones(2, dtype=tw.float64, requires_grad=True)
    (first,) = tw.autograd.grad(Once.apply(x), x, g, create_graph=True)
    assert first.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_saved_tensors_are_guarded_and_freed() -> None:
    x = _x() * 1
    y = Cube.apply(x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="written in place"):
        y.sum().backward()
    y = Cube.apply(_x())
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second"):
        y.sum().backward()


def test_hooks_run_in_order_and_may_replace() -> None:
    x = _x()
    log: list[Any] = []
    y = x * 2
    y.retain_grad()
    handle = y.register_hook(lambda g: log.append("never"))
    y.register_hook(lambda g: (log.append(("tensor", g.tolist())), g * 2)[1])
    y.grad_fn.register_prehook(lambda gs: log.append(("before", gs[0].tolist())))
    y.grad_fn.register_hook(lambda gi, go: log.append(("after", gi[0].tolist(), go[0].tolist())))
    x.register_post_accumulate_grad_hook(lambda t: log.append(("done", t.grad.tolist())))
    handle.remove()
    handle.remove()
    y.sum().backward()
    assert log == [
        ("tensor", [1.0, 1.0]),
        ("before", [2.0, 2.0]),
        ("after", [4.0, 4.0], [2.0, 2.0]),
        ("done", [4.0, 4.0]),
    ]
    assert y.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(("result", "error"), [(3, TypeError), (tw.ones(3), RuntimeError), (tw.ones(2), RuntimeError)])
def test_hooks_must_return_what_fits(result: Any, error: type[Exception]) -> None:
    y = _x() * 2
    y.register_hook(lambda g: result)
    with pytest.raises(error, match="must be returned"):
        y.sum().backward()


def test_anomalies_forward_and_backward_name_operation_and_line() -> None:
    x = tw.tensor([0.0, 1.0], requires_grad=True)
    with tw.autograd.detect_anomaly():
        with pytest.raises(RuntimeError, match=r"log: the forward gave an infinity.*test_function\.py.*tw\.log\(x\)"):
            tw.log(x)
        y = tw.sqrt(x)
        with pytest.raises(RuntimeError, match=r"SqrtBackward0 \(made at .*test_function\.py.*tw\.sqrt\(x\).*infinity"):
            y.sum().backward()
    assert not tw.is_anomaly_enabled()
    tw.log(x)


def test_anomaly_mode_names_the_line_of_a_fatal_write() -> None:
    with tw.autograd.set_detect_anomaly(True):
        y = _x() * 1
        z = y * y
        y.add_(1)
        with pytest.raises(RuntimeError, match=r"written in place.*y\.add_\(1\)"):
            z.sum().backward()


def test_modes_around_generators_and_exceptions() -> None:
    @tw.no_grad()
    def items() -> Any:
        yield tw.is_grad_enabled()
        yield tw.is_grad_enabled()

    seen = []
    for enabled in items():
        seen.append((enabled, tw.is_grad_enabled()))
    assert seen == [(False, True), (False, True)]
    with pytest.raises(ZeroDivisionError), tw.inference_mode():
        raise ZeroDivisionError
    assert tw.is_grad_enabled()
    assert not tw.is_inference_mode_enabled()
    mode = tw.set_grad_enabled(False)
    assert not tw.is_grad_enabled()
    mode.__exit__()
    assert tw.is_grad_enabled()
    assert tw.set_grad_enabled(False)(tw.is_grad_enabled)() is False
    assert tw.is_grad_enabled()


def test_inference_tensors() -> None:
    x = _x()
    with tw.inference_mode():
        n = tw.ones(2, dtype=tw.float64)
        view = x[:1]
    assert n.is_inference()
    assert not view.is_inference()
    for use in (lambda: n.add_(1), lambda: n._version, lambda: n * x, lambda: n.requires_grad_(), lambda: view.mul_(2)):
        with pytest.raises(RuntimeError):
            use()
    assert (n + x).requires_grad
    assert not n.clone().is_inference()
