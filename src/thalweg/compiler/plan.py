"""Programs too large to unroll."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.inplace import bump
from ..core.tensor import TensorBase
from .interpret import interpret
from .program import Array, Program

__all__ = ["Plan"]


class Plan:
    def __init__(self, program: Program, strict: bool) -> None:
        self.program = program
        self.notes: list[str] = []
        self.source = ""

    def call(self, arrays: list[Array], settings: Array) -> list[Array]:
        given = []
        k = 0
        for i in self.program.inputs:
            if i.kind == "argument": given.append(arrays[i.source])
            elif i.kind == "tensor": given.append(i.source._data)
            elif i.kind == "grad": given.append(i.source._grad._data)
            elif i.kind == "constant": given.append(i.source)
            else:
                given.append(np.array(settings[k])); k += 1
        results, writes = interpret(self.program, given)
        results = [np.array(r) for r in results]
        writes = [None if w is None else np.array(w) for w in writes]
        for w, a in zip(self.program.writes, writes, strict=True):
            if w.kind == "tensor":
                np.copyto(w.source._data, a); bump(w.source)
            else:
                w.source._grad = None if a is None else TensorBase._wrap(a)
        return results
