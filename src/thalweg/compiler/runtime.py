"""Functions that LLVM calls by itself, and that a process may lack: it ends the process where it does not find one.

``pow(x, float(k))`` with a whole number k becomes ``__powidf2(x, k)``, which is in the compiler's own library; that is linked
into few programs, and Python is none of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["complete"]

_POWERS = {"__powisf2": "float", "__powidf2": "double"}
_POWER = """
define {real} @thalweg{name}({real} %x, i32 %k) {{
start:
  br label %loop
loop:
  %base = phi {real} [ %x, %start ], [ %square, %next ]
  %left = phi i32 [ %k, %start ], [ %half, %next ]
  %made = phi {real} [ 1.0, %start ], [ %more, %next ]
  %bit = and i32 %left, 1
  %odd = icmp ne i32 %bit, 0
  %product = fmul {real} %made, %base
  %more = select i1 %odd, {real} %product, {real} %made
  %half = sdiv i32 %left, 2
  %done = icmp eq i32 %half, 0
  br i1 %done, label %end, label %next
next:
  %square = fmul {real} %base, %base
  br label %loop
end:
  %negative = icmp slt i32 %k, 0
  %inverse = fdiv {real} 1.0, %more
  %result = select i1 %negative, {real} %inverse, {real} %more
  ret {real} %result
}}
"""


@cache
def complete(engine: Any) -> None:
    """Define what is missing, with code that the engine makes; the engine must live as long as the process."""
    import llvmlite.binding as llvm

    missing = {name: real for name, real in _POWERS.items() if not llvm.address_of_symbol(name)}
    if missing:
        text = "".join(_POWER.format(name=name, real=real) for name, real in missing.items())
        engine.add_module(llvm.parse_assembly(text))
        engine.finalize_object()
        for name in missing:
            llvm.add_symbol(name, engine.get_function_address(f"thalweg{name}"))
