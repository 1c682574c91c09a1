"""NumPy on both sides: its values as operands, its functions on tensors."""

import numpy as np
import pytest

import thalweg as tw
from tests.ops.numpy_calls import MORE, SPECTRAL
from thalweg.ops import numpy_functions

X = np.array([[0.3, -0.7, 0.9], [0.2, 0.5, -0.4]])
POSITIVE = {"log", "log2", "log10", "sqrt", "arccosh", "power", "float_power"}
INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift", "ldexp"}


@pytest.mark.parametrize("ufunc", list(numpy_functions._UFUNCS), ids=lambda u: u.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ufuncs_give_tensors_with_the_same_values(ufunc):
    x = np.abs(X) + 1 if ufunc.__name__ in POSITIVE else np.array([[1, 2, 3]]) if ufunc.__name__ in INTEGERS else X
    second = {"matmul": X.T, "vecdot": X}.get(ufunc.__name__, np.abs(x) + (0 if ufunc.__name__ in INTEGERS else 0.5))
    args = (x, second)[: ufunc.nin]
    expected = ufunc(*args)
    for mixed in ([tw.from_numpy(a) for a in args], [tw.from_numpy(args[0]), *args[1:]]):
        found = ufunc(*mixed)
        for f, e in zip(
            found if isinstance(found, tuple) else (found,),
            expected if isinstance(expected, tuple) else (expected,),
            strict=True,
        ):
            assert isinstance(f, tw.Tensor)
            np.testing.assert_allclose(f.numpy(), e, rtol=1e-6 if ufunc.__name__ == "ldexp" else 1e-12)


CALLS = [
    (np.sum, (X,), {"axis": 0}),
    (np.sum, (X, 1), {"keepdims": True}),
    (np.mean, (X,), {}),
    (np.prod, (X,), {"axis": -1}),
    (np.max, (X,), {"axis": 0}),
    (np.min, (X,), {}),
    (np.std, (X,), {"axis": 0, "ddof": 1}),
    (np.var, (X,), {}),
    (np.median, (X,), {"axis": 1}),
    (np.quantile, (X, 0.25), {}),
    (np.all, (X,), {}),
    (np.any, (X,), {"axis": 0}),
    (np.argmax, (X,), {"axis": 1}),
    (np.argmin, (X,), {}),
    (np.count_nonzero, (X,), {}),
    (np.nansum, (X,), {}),
    (np.nanmean, (X,), {}),
    (np.cumsum, (X,), {}),
    (np.cumprod, (X,), {"axis": 1}),
    (np.diff, (X,), {"axis": 0}),
    (np.trapezoid, (X,), {"dx": 0.5}),
    (np.sort, (X,), {"axis": 0}),
    (np.argsort, (X,), {}),
    (np.concatenate, ([X, X],), {"axis": 1}),
    (np.stack, ([X, X],), {}),
    (np.hstack, ([X, X],), {}),
    (np.vstack, ([X, X],), {}),
    (np.dstack, ([X, X],), {}),
    (np.column_stack, ([X, X],), {}),
    (np.where, (X > 0, X, 0.0), {}),
    (np.clip, (X, -0.5, 0.5), {}),
    (np.round, (X, 1), {}),
    (np.nan_to_num, (X,), {}),
    (np.sinc, (X,), {}),
    (np.isclose, (X, X), {}),
    (np.allclose, (X, X), {}),
    (np.array_equal, (X, X + 1), {}),
    (np.reshape, (X, (3, 2)), {}),
    (np.ravel, (X,), {}),
    (np.transpose, (X,), {}),
    (np.swapaxes, (X, 0, 1), {}),
    (np.moveaxis, (X, 0, 1), {}),
    (np.squeeze, (X[None],), {}),
    (np.expand_dims, (X, 1), {}),
    (np.broadcast_to, (X, (2, 2, 3)), {}),
    (np.flip, (X,), {}),
    (np.flip, (X,), {"axis": 1}),
    (np.roll, (X, 1), {"axis": 1}),
    (np.repeat, (X, 2), {"axis": 0}),
    (np.tile, (X, (2, 1)), {}),
    (np.diag, (X[0],), {}),
    (np.diagonal, (X,), {}),
    (np.trace, (X,), {}),
    (np.tril, (X,), {}),
    (np.triu, (X,), {}),
    (np.dot, (X, X.T), {}),
    (np.inner, (X[0], X[1]), {}),
    (np.outer, (X[0], X[1]), {}),
    (np.copy, (X,), {}),
    (np.zeros_like, (X,), {}),
    (np.ones_like, (X,), {}),
    (np.full_like, (X, 2.0), {}),
    (np.shape, (X,), {}),
    (np.ndim, (X,), {}),
    (np.size, (X,), {}),
]


def _tensors(value):
    if isinstance(value, list):
        return [_tensors(v) for v in value]
    return tw.from_numpy(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS, ids=[c[0].__name__ for c in CALLS])
def test_functions_give_the_same_values(function, args, kwargs):
    found = function(*(_tensors(a) for a in args), **kwargs)
    expected = function(*args, **kwargs)
    if isinstance(found, tw.Tensor):
        assert found.shape == np.shape(expected)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    else:
        assert found == expected


def _parts(found):
    return [p for part in found for p in _parts(part)] if isinstance(found, (list, tuple)) else [found]


def _with_tensors(value, leaves):
    if isinstance(value, (list, tuple)):
        return type(value)(_with_tensors(v, leaves) for v in value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        leaves.append(tw.tensor(value, requires_grad=True))
        return leaves[-1]
    return value


def _moved(value, steps):
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(v, steps) for v in value)
    return value + next(steps) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


@pytest.mark.parametrize(("function", "args", "kwargs"), MORE, ids=lambda v: getattr(v, "__name__", ""))
def test_functions_with_keywords_have_numpys_values_and_derivatives(function, args, kwargs):
    fixed = args[1:] if function in (np.gradient, np.select) else ()  # places and choices with their conditions
    varied = args[:1] if fixed and function is np.gradient else args
    fixed = fixed if function is np.gradient else ()
    leaves = []
    found = _parts(function(*_with_tensors(varied, leaves), *fixed, **kwargs))
    expected = _parts(function(*args, **kwargs))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        if isinstance(f, tw.Tensor):
            assert f.shape == np.shape(e)
            np.testing.assert_allclose(f.numpy(force=True), e, rtol=1e-9, atol=1e-12)
        else:
            assert f == e
    floating = [f for f in found if isinstance(f, tw.Tensor) and f.requires_grad]
    if not floating or not any(np.size(e) for e in expected):
        return
    rng = np.random.RandomState(1)
    weights = [rng.randn(*f.shape) for f in floating]
    sum((f * tw.tensor(w)).sum() for f, w in zip(floating, weights, strict=True)).backward()
    steps = [rng.randn(*leaf.shape) * 1e-6 for leaf in leaves]
    if function in (np.linalg.cholesky, np.linalg.eigvalsh):  # of symmetric matrices
        steps = [s + s.T for s in steps]

    def value(sign):
        moved = _moved(varied, iter([sign * s for s in steps]))
        parts = [p for p, f in zip(_parts(function(*moved, *fixed, **kwargs)), found, strict=True) if f.requires_grad]
        return sum(float((p * w).sum()) for p, w in zip(parts, weights, strict=True))

    slope = sum(
        float((leaf.grad.numpy() * s).sum()) for leaf, s in zip(leaves, steps, strict=True) if leaf.grad is not None
    )
    assert slope == pytest.approx((value(1) - value(-1)) / 2, rel=1e-4, abs=1e-11)


@pytest.mark.parametrize(("function", "args", "kwargs"), SPECTRAL, ids=lambda v: getattr(v, "__name__", ""))
def test_factorizations_multiply_to_the_matrix(function, args, kwargs):
    x = tw.tensor(args[0], requires_grad=True)
    found = function(x, **kwargs)
    if function is np.linalg.svd:
        product = found[0] * found[1] @ found[2]
    elif function is np.linalg.eigh:
        product = found[1] * found[0] @ found[1].mT
    else:
        product = found[0] @ found[1]
    np.testing.assert_allclose(product.numpy(force=True), args[0], rtol=1e-9, atol=1e-9)
    product.sum().backward()
    gradient = x.grad.numpy()
    if function is np.linalg.eigh:
        gradient = (gradient + gradient.T) / 2
    np.testing.assert_allclose(gradient, np.ones_like(args[0]), atol=1e-8)


def test_every_function_of_the_table_is_called():
    called = {c[0] for c in (*CALLS, *MORE, *SPECTRAL)} | {np.amax, np.amin}
    assert set(numpy_functions._FUNCTIONS) == called


def test_gradients_flow_through_numpy():
    x = tw.tensor([1.0, 2.0], dtype=tw.float64, requires_grad=True)
    np.sum(np.array([3.0, 4.0]) * np.exp(x) + np.float64(2) * x).backward()
    np.testing.assert_allclose(x.grad.numpy(), np.array([3.0, 4.0]) * np.exp([1.0, 2.0]) + 2)


def test_operators_with_arrays_on_either_side():
    t, a = tw.tensor([1.0, 2.0], dtype=tw.float64), np.array([3.0, 5.0])
    for found, expected in (
        (a + t, [4, 7]),
        (t - a, [-2, -3]),
        (a / t, [3, 2.5]),
        (a**t, [3, 25]),
        (a @ t, 13),
        (a // t, [3, 2]),
        (a > t, [True, True]),
        (np.float32(2) * t, [2, 4]),
    ):
        assert isinstance(found, tw.Tensor)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_what_cannot_be_done_says_so():
    a, t = np.ones(2), tw.ones(2, dtype=tw.float64)
    with pytest.raises(TypeError, match=r"np\.add: .* a = a \+ t"):
        a += t
    with pytest.raises(TypeError, match=r"np\.add\.accumulate: not available"):
        np.add.accumulate(t)
    with pytest.raises(TypeError, match=r"np\.sum: these arguments"):
        np.sum(t, where=a > 0)
    with pytest.raises(RuntimeError, match=r"np\.histogram: no derivative"):
        np.histogram(t.requires_grad_())


def test_other_functions_compute_on_values():
    counts, _ = np.histogram(tw.tensor([1.0, 1.0, 2.0]), bins=2)
    assert counts.tolist() == [2, 1]
    np.testing.assert_array_equal(np.cbrt(tw.tensor([8.0])), [2.0])
