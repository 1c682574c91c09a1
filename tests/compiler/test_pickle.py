"""Compiled functions are pickled by name and copied without their programs."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import thalweg as tw


@tw.compile
def doubled(x: Any) -> Any:
    return x * 2


class Scaled:
    def __init__(self, by: float) -> None:
        self.by = by

    @tw.compile
    def run(self, x: Any) -> Any:
        return x * self.by


def test_a_decorated_function_is_pickled_by_its_name() -> None:
    assert doubled(tw.ones(2)).tolist() == [2.0, 2.0]
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    assert doubled.__name__ == "doubled"


def test_a_decorated_method_is_pickled_with_its_object() -> None:
    scaled = Scaled(3.0)
    assert scaled.run(tw.ones(2)).tolist() == [3.0, 3.0]
    again = pickle.loads(pickle.dumps(scaled.run))
    assert again(tw.ones(2)).tolist() == [3.0, 3.0]
    whole = pickle.loads(pickle.dumps(scaled))
    whole.by = 5.0
    assert whole.run(tw.ones(2)).tolist() == [5.0, 5.0]
    assert scaled.run(tw.ones(2)).tolist() == [3.0, 3.0]


def test_what_has_no_name_says_so() -> None:
    with pytest.raises(pickle.PicklingError, match="pickled by its name"):
        pickle.dumps(tw.compile(lambda x: x + 1))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_captures_for_itself(how: Any) -> None:
    one = tw.compile(lambda x: x + 1)
    one(tw.ones(2))
    two = how(one)
    assert two(tw.ones(2)).tolist() == [2.0, 2.0]
    assert two is not one
    assert two._versions is not one._versions
