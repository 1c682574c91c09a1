"""Random programs give the same values, derivatives, versions and kinds of errors as in PyTorch."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import thalweg

from . import programs
from .programs import STEPS, Start, Step

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.conformance, pytest.mark.filterwarnings("ignore")]

STARTS = st.lists(
    st.builds(
        Start,
        shape=st.integers(0, len(programs.SHAPES) - 1),
        dtype=st.sampled_from([0, 0, 0, 1, 1, 2, 3]),
        requires_grad=st.booleans(),
        seed=st.integers(0, 50),
    ),
    min_size=1,
    max_size=4,
)


def _steps(names: list[str], most: int) -> st.SearchStrategy[list[Step]]:
    number = st.integers(0, 11)
    return st.lists(
        st.builds(
            Step, name=st.sampled_from(names), a=number, b=number, k=number,
            no_grad=st.sampled_from([False, False, False, False, False, True]),
        ),
        min_size=1, max_size=most,
    )  # fmt: skip


def _compare(starts: list[Start], steps: list[Step]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = programs.run(thalweg, starts, steps), programs.run(torch, starts, steps)
    difference = programs.differ(ours, theirs)
    assert difference is None, difference


_settings = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
)


@settings(_settings, max_examples=1000)
@given(STARTS, _steps(list(STEPS), 12))
def test_programs_of_every_kind(starts: list[Start], steps: list[Step]) -> None:
    _compare(starts, steps)


@settings(_settings, max_examples=800)
@given(STARTS, _steps([*programs.VIEWS, *programs.WRITES, "mul", "square", "sin", "detach", "clone", "backward"], 9))
def test_programs_of_views_and_writes(starts: list[Start], steps: list[Step]) -> None:
    _compare(starts, steps)


@settings(_settings, max_examples=400)
@given(STARTS, _steps([*programs.ACTIONS, "mul", "sin", "add_number", "sum", "power", "tanh_", "reshape", "tail"], 10))
def test_programs_of_backward_passes(starts: list[Start], steps: list[Step]) -> None:
    _compare(starts, steps)
