"""Small programs, element by element: every array becomes scalars, the whole loop one function.

The program is evaluated on arrays of names (``names.py``), and the straight-line code that is left goes into a loop over
steps for one run (``straight.py``) or for many side by side (``lanes.py``).
"""

from __future__ import annotations

from . import names
from .fuse import is_view
from .lanes import LANES, SideBySide
from .program import Program
from .scalars import NoKernel
from .straight import Builder, Layout, Shape, Unrolled

__all__ = ["LANES", "Layout", "Shape", "Unrolled", "unroll"]


def unroll(program: Program, shape: Shape) -> Unrolled:
    """Return the source of a function that runs the program for many steps, or raise :class:`NoKernel`."""
    if any(op.draws for op in program.operations):
        raise NoKernel("a random draw")
    sizes = [v.size for op in program.operations if not is_view(op) for v in op.outputs]
    sizes += [i.value.size for i in program.inputs if i.kind != "setting"]
    if max(sizes, default=0) > names.LIMIT:  # each element would have a name: that takes long to find out
        raise NoKernel(f"more than {names.LIMIT} operands of scalar statements")
    if any(w.kind == "argument" for w in program.writes):
        raise NoKernel("a write to an argument")
    return (SideBySide if shape.lanes else Builder)(program, shape).build()
