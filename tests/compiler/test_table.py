"""Every row of the operation table: captured, checked, optimised, interpreted, fused and unrolled, all equal to eager."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.compiler import python_kernels
from tests.ops.table import Constant, Row, Sample, all_rows, leaves, mapped
from thalweg.compiler import plan, small
from thalweg.compiler.capture import capture
from thalweg.compiler.interpret import interpret
from thalweg.compiler.passes import optimize
from thalweg.compiler.program import check
from thalweg.compiler.scalars import NoKernel
from thalweg.errors import CaptureError

# Their shapes, or Python's decisions in them, depend on the elements.
READ_VALUES = {
    "linalg.lstsq", "linalg.lstsq[residuals]", "Tensor.__getitem__[mask]", "Tensor.__setitem__[mask]", "masked_select", "nonzero",
    "argwhere", "masked_scatter", "bincount", "bincount[weights]", "unique", "unique_consecutive", "nn.functional.multilabel_margin_loss", "repeat_interleave[counts]",
}  # fmt: skip
ROWS = [row for row in all_rows() if row.name not in READ_VALUES]


@pytest.mark.parametrize("row", [r for r in all_rows() if r.name in READ_VALUES], ids=lambda row: row.name)
def test_what_depends_on_data_is_refused(row: Row) -> None:
    for call in row.calls()[:1]:
        tensors, function = called(row, call, False)
        with pytest.raises(CaptureError, match=r"rows_|test_table"):
            capture(function, tuple(tensors), tensors)


def called(row: Row, call: Sample, single: bool) -> tuple[list[Any], Any]:
    """Return the tensors of a call and a function of them: the results, and their gradients where there are some."""
    tensors: list[Any] = []

    def made(a: Any) -> Any:
        data = a.array if isinstance(a, Constant) else a
        floating = data.dtype.kind == "f"
        t = tw.from_numpy(np.array(data, np.float32 if single and floating else data.dtype))
        if floating and row.differentiable and not isinstance(a, Constant):
            t.requires_grad_()
        tensors.append(t)
        return Constant(t)

    args, kwargs = mapped(call.args, made), mapped(call.kwargs, made)

    def function(*given: Any) -> list[Any]:
        by_id = dict(zip(map(id, tensors), given, strict=True))
        take = lambda c: by_id[id(c.array)]
        outs = [
            o for o in leaves(row.function(*mapped(args, take), **mapped(kwargs, take))) if isinstance(o, tw.Tensor)
        ]
        smooth = [o for o in outs if o.requires_grad]
        wanted = [t for t in given if t.requires_grad]
        if smooth and wanted:
            found = tw.autograd.grad([(o * o).sum() for o in smooth], wanted, allow_unused=True)
            outs += [g for g in found if g is not None]
        return outs

    return tensors, function


@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_compiled_equals_eager(row: Row, single: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if single and not row.keeps_float32:
        pytest.skip("the row is not defined in single precision")
    python_kernels.use(monkeypatch)
    # Some gradients cancel from elements near 1 down to 1e-4, hence the absolute part.
    tolerance = {"rtol": 1e-5, "atol": 4e-6} if single else {"rtol": 1e-12, "atol": 1e-12}
    for call in row.calls():
        tensors, function = called(row, call, single)
        state = tw.get_rng_state()
        want = [o._data for o in function(*tensors)]

        def agrees(got: Any, want: Any = want, state: Any = state) -> None:
            for a, b in zip(want, got, strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                np.testing.assert_allclose(b, a, equal_nan=True, **tolerance)
            tw.set_rng_state(state)

        tw.set_rng_state(state)
        captured, _ = capture(function, tuple(tensors), tensors)
        tw.set_rng_state(state)
        raw = check(captured.program)
        if any(op.draws and op.params[-1].generator is not tw.default_generator for op in raw.operations):
            continue  # its generator has moved on
        program = optimize(raw, checked=True)
        arrays = [t._data for t in tensors]
        for each in (raw, program):
            given = [
                arrays[i.source] if i.kind == "argument" else getattr(i.source, "_data", i.source) for i in each.inputs
            ]
            agrees(interpret(each, given)[0])
        agrees(plan.Plan(program).call(arrays, np.zeros(0)))
        try:
            unrolled = small.SmallProgram(program)
        except NoKernel:
            continue
        rows = [a.reshape(1, -1) for a in arrays]
        agrees([o[0] for o in unrolled.run(rows, None, 1, np.zeros((1, 0)), lambda left, done: None)])
