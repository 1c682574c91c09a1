"""PyTorch's own samples, name by name. ``python -m tests.conformance.opdb NAME`` shows what fails."""

import importlib.util

import pytest

from .catalogue import CATALOGUE

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        any(importlib.util.find_spec(m) is None for m in ("torch", "expecttest")),
        reason="PyTorch with its test package is not installed",
    ),
]


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=f"{family}-{name}") for family, names in CATALOGUE.items() for name in names]
)
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_pytorch(name: str) -> None:
    from . import opdb

    tally = opdb.check(name)
    assert tally.present, f"{name} is not there"
    shown = "\n".join(f"{case}\n    {said}" for case, said in tally.failures[:8])
    assert not tally.failures, f"{tally.line()}\n{shown}"


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from thalweg.core.primitive import Primitive
    from thalweg.ops.pointwise import tanh

    from . import opdb

    rules = opdb.thalweg.ops.pointwise._tanh
    monkeypatch.setattr(rules, "vjps", (lambda g, out: g,))
    assert isinstance(rules, Primitive)
    assert tanh is opdb.thalweg.tanh
    assert any(case.kind == "gradient" for case, _ in opdb.check("tanh").failures)
    opdb.TALLIES.pop("tanh")
