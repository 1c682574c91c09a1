"""The scalar expressions that the compiler prints agree with what the operations compute."""

import math

import numpy as np
import pytest

from thalweg.ops._elementwise import Elementwise

from . import table
from .table import run

NAMES = {
    "math": math,
    "np": np,
    "abs": abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "round": np.rint,
}
ROWS = [r for r in table.all_rows() if r.inputs]


class Catcher(table.Watcher):
    """Remembers every application of an elementwise primitive that has a kernel."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def operation(self, primitive, inputs, params, outputs):
        if isinstance(primitive, Elementwise) and primitive.kernel is not None and not params:
            arrays = [x._data.copy() if hasattr(x, "_data") else x for x in inputs]
            self.calls.append((primitive, arrays, outputs[0]._data.copy()))


@pytest.mark.parametrize("row", ROWS, ids=[r.name for r in ROWS])
def test_kernels_agree(row):
    catcher = Catcher()
    for call in row.calls():
        table.watched(lambda call=call: run(row, call), catcher)
    for primitive, inputs, out in catcher.calls:
        code = compile(primitive.kernel.format(*"abcd"), primitive.name, "eval")
        spread = [np.broadcast_to(x, out.shape) for x in inputs]
        for at in np.ndindex(out.shape):
            values = {name: x[at] for name, x in zip("abcd", spread, strict=False)}
            found = eval(code, NAMES, values)
            np.testing.assert_allclose(
                found, out[at], rtol=1e-9, atol=1e-12, err_msg=f"{primitive.name}: {primitive.kernel}"
            )
