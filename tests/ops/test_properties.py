"""Every row of the table has every property."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest

import thalweg as tw
import thalweg.ops
from thalweg.core import moves
from thalweg.core.primitive import Primitive
from thalweg.ops._elementwise import elementwise, unary

from . import table
from .table import Row, Sample, floating, gradients, grid, plain, run, tangents

ROWS = table.all_rows()
DIFFERENTIABLE = [r for r in ROWS if r.differentiable]
SECOND = [r for r in DIFFERENTIABLE if r.second]
FORWARD = [r for r in DIFFERENTIABLE if r.forward]
ELEMENTWISE = [r for r in ROWS if r.inputs]


def every(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[r.name for r in rows])


def check_value(row: Row) -> None:
    for call in row.calls():
        _, outs = run(row, call)
        if row.reference is None:
            continue
        known = plain(call)
        expected = list(table.leaves(row.reference(*known.args, **known.kwargs)))
        assert len(outs) == len(expected)
        for out, want in zip(outs, expected, strict=True):
            assert out._data.shape == np.shape(want)
            assert out._data.dtype.kind == np.asarray(want).dtype.kind
            np.testing.assert_allclose(out._data, want, rtol=row.rtol, atol=1e-12)


def check_gradient(row: Row) -> None:
    for call in row.calls():
        xs = floating(call)
        _, found = gradients(row, call)

        def total(values: list[np.ndarray], call: Sample = call) -> float:
            _, outs = run(row, call, values=values)
            smooth = [o for o, k in zip(outs, keep, strict=True) if k]
            return table.weighted([o._data for o in smooth], table.weights(smooth)) if smooth else 0.0

        keep = [o.requires_grad for o in run(row, call, grad=True)[1]]
        assert any(keep), "the result does not require grad"
        compare(found, table.differences(total, xs), row.grad_rtol)


def check_second(row: Row) -> None:
    """Differentiate the result and its gradient together, as a penalty on a gradient does."""
    for call in row.calls():
        xs = floating(call)
        inputs, value, first = table.total_and_gradients(row, call, create_graph=True)
        directions = table.weights(first, 7)
        found = table.backward(value + table.weighted(first, directions), inputs)

        def total(values: list[np.ndarray], call: Sample = call, directions: list[np.ndarray] = directions) -> float:
            _, value, gs = table.total_and_gradients(row, call, values=values)
            return value.item() + table.weighted([g._data for g in gs], directions)

        compare(found, table.differences(total, xs), 10 * row.grad_rtol)


def compare(found: list, expected: list[np.ndarray], rtol: float) -> None:
    for f, e in zip(found, expected, strict=True):
        assert f._data.shape == e.shape
        np.testing.assert_allclose(f._data, e, rtol=rtol, atol=rtol * max(1e-3, np.abs(e).max(initial=0.0)))


@every(ROWS)
def test_value_is_the_reference(row):
    check_value(row)


@every([r for r in ROWS if not r.differentiable])
def test_what_has_no_derivative_requires_no_grad(row):
    for call in row.calls():
        assert not any(o.requires_grad for o in run(row, call, grad=True)[1])


@every(DIFFERENTIABLE)
def test_gradient_is_the_difference_quotient(row):
    check_gradient(row)


@every(SECOND)
def test_second_gradient_is_the_difference_quotient(row):
    check_second(row)


@every(FORWARD)
def test_forward_mode_is_the_transpose_of_reverse_mode(row):
    for call in row.calls():
        xs, outs = run(row, call, grad=True)
        vs = table.weights(xs, 11)
        moved = tangents(lambda duals, call=call: run(row, call, values=duals)[1], xs, vs)
        smooth = [(o, t) for o, t in zip(outs, moved, strict=True) if o.requires_grad]
        ws = table.weights([o for o, _ in smooth])
        for o, t in smooth:
            assert t.shape == o.shape
        forward = sum(float((t._data * w).sum()) for (_, t), w in zip(smooth, ws, strict=True))
        back = table.backward(table.weighted([o for o, _ in smooth], ws), xs)
        reverse = sum(float((g._data * v).sum()) for g, v in zip(back, vs, strict=True))
        np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-12)


@every([r for r in FORWARD if r.second])
def test_forward_over_reverse_is_reverse_over_reverse(row):
    for call in row.calls():
        xs, first = gradients(row, call, create_graph=True)
        vs = table.weights(xs, 11)
        expected = table.backward(table.weighted(first, vs), xs)

        def gradient(duals: list, call: Sample = call) -> list:
            return gradients(row, call, values=duals, create_graph=True)[1]

        plain_xs = [x.detach().requires_grad_() for x in xs]
        compare(tangents(gradient, plain_xs, vs), [e._data for e in expected], 1e-8)


@every([r for r in ROWS if r.keeps_float32])
def test_float32_stays_float32(row):
    single = lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a
    for call in row.calls():
        _, exact = run(row, call)
        xs, outs = run(row, call, grad=row.differentiable, change=single)
        for o, e in zip(outs, exact, strict=True):
            assert o._data.dtype == (np.float32 if e._data.dtype.kind == "f" else e._data.dtype)
            scale = float(np.abs(e._data[np.isfinite(e._data)]).max(initial=0.0)) if e._data.dtype.kind == "f" else 0
            np.testing.assert_allclose(o._data, e._data, rtol=row.rtol32, atol=row.rtol32 * scale)
        smooth = [o for o in outs if o.requires_grad]
        if smooth:
            ws = [w.astype(np.float32) for w in table.weights(smooth)]
            for g in table.backward(table.weighted(smooth, ws), xs):
                assert g.dtype is tw.float32


@every([r for r in ROWS if r.strided])
def test_memory_layout_does_not_matter(row):
    def spread_out(a: np.ndarray) -> np.ndarray:
        if a.ndim == 0:
            return a
        wide = np.zeros([2 * n for n in a.shape[::-1]], a.dtype).transpose()
        strided = wide[tuple(slice(None, None, 2) for _ in a.shape)]
        strided[...] = a
        return strided

    for call in row.calls():
        _, expected = run(row, call)
        xs, outs = run(row, call, grad=row.differentiable, change=spread_out)
        for o, e in zip(outs, expected, strict=True):
            np.testing.assert_allclose(o._data, e._data, rtol=1e-12, atol=1e-13)
        if row.differentiable:
            smooth = [o for o in outs if o.requires_grad]
            _, wanted = gradients(row, call)
            found = table.backward(table.weighted(smooth, table.weights(smooth)), xs)
            compare(found, [w._data for w in wanted], 1e-10)


@every(ELEMENTWISE)
def test_elementwise_broadcasts(row):
    call = row.calls()[0]
    arrays, rest = list(call.args[: row.inputs]), call.args[row.inputs :]
    if row.inputs > 1:
        for k in range(row.inputs):
            mixed = [a[:1] if j == k else a[:, :1] if j == k + 1 else a for j, a in enumerate(arrays)]
            full = [np.broadcast_to(m, (2, 3)).copy() for m in mixed]
            _, expected = run(row, Sample((*full, *rest), call.kwargs))
            xs, outs = run(row, Sample((*mixed, *rest), call.kwargs), grad=row.differentiable)
            np.testing.assert_allclose(outs[0]._data, np.broadcast_to(expected[0]._data, (2, 3)), rtol=1e-12)
            if row.differentiable:
                for x, g in zip(xs, table.backward(outs[0].sum(), xs), strict=True):
                    assert g.shape == x.shape


@every(ELEMENTWISE)
def test_elementwise_takes_0d_and_empty(row):
    call = row.calls()[0]
    rest = call.args[row.inputs :]
    _, whole = run(row, call)
    for pick, shape in ((lambda a: a[0, 1], ()), (lambda a: a[:0], (0, 3))):
        arrays = [np.asarray(pick(a)) for a in call.args[: row.inputs]]
        xs, outs = run(row, Sample((*arrays, *rest), call.kwargs), grad=row.differentiable)
        assert outs[0]._data.shape == shape
        np.testing.assert_allclose(outs[0]._data, pick(whole[0]._data), rtol=1e-12)
        if row.differentiable:
            for x, g in zip(xs, table.backward(outs[0].sum(), xs), strict=True):
                assert g.shape == x.shape


# The table is complete, and its checks can fail


def _primitives() -> dict[str, Primitive]:
    """Those of the operations; the core's own (broadcast, cast, views) have tests of their own."""
    found = {}
    for info in pkgutil.walk_packages(thalweg.ops.__path__, "thalweg.ops."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, Primitive) and not any(value is core for core in vars(moves).values()):
                found.setdefault(value, f"{info.name}.{name}")
    return {name: p for p, name in found.items()}


def test_every_primitive_is_in_a_row():
    def everything() -> None:
        for row in ROWS:
            for call in row.calls():
                if row.differentiable:
                    xs, first = gradients(row, call, create_graph=row.second)
                    if row.second:
                        table.backward(table.weighted(first, table.weights(first, 7)), xs)
                else:
                    run(row, call)

    seen = table.watched(everything)
    missing = sorted(name for name, p in _primitives().items() if p not in seen)
    assert not missing, f"no row exercises {', '.join(missing)}"


def test_every_row_has_the_name_of_something_public():
    for row in ROWS:
        at = tw
        for part in row.name.split("[")[0].split("."):
            assert hasattr(at, part), f"{row.name}: there is no {part}"
            at = getattr(at, part)


def _wrong(vjp) -> Row:
    p = elementwise("wrong", np.sin, [vjp])
    return Row("sin", lambda x: unary(p, x), grid(), np.sin, inputs=1)


def test_the_checks_catch_a_wrong_rule():
    check_gradient(_wrong(lambda g, x: g * tw.cos(x) if isinstance(x, tw.Tensor) else g * np.cos(x)))
    with pytest.raises(AssertionError):
        check_gradient(_wrong(lambda g, x: g * 1.001))
    with pytest.raises(AssertionError):  # right at first order, constant where it should depend on x
        check_second(_wrong(lambda g, x: g * np.cos(x._data if isinstance(x, tw.Tensor) else x)))
    with pytest.raises(AssertionError):
        check_value(dataclasses.replace(_wrong(lambda g: g), reference=np.cos))
