"""Machine code called by its address, kept on disk as object code and loaded without the compiler that made it.

Every function takes three whole numbers, of which the first is the address of a table, and returns one. Numba compiles
them; what comes out is put into one object file for all functions of a source, named after the digest of everything
that decides what it compiles to. Loading one takes milliseconds and needs LLVM alone. What is wrong with a file or its
folder (``store.py``) costs time and nothing else.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from . import store
from .cache import HEAD, circumstances, no_collection
from .interrupts import held, pause
from .runtime import complete
from .turns import COMPILING

__all__ = ["Function", "address", "engine", "generated", "kernel"]

_ELF = b"\x7fELF\x02\x01"
_SIGNATURE = "int64(int64, int64, int64)"
Function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_known: dict[str, dict[str, int]] = {}


@cache
def address(file: str, function: str) -> int:
    """Return where a function of a file of ``kernels/`` lies."""

    def functions() -> list[Any]:
        module = importlib.import_module(f"{__package__}.kernels.{file}")
        return [_compiled(getattr(module, function), getattr(module, "FAST", False))]

    return next(iter(_addresses(f"kernels/{file}.py {function}", functions).values()))


@cache
def kernel(file: str, function: str) -> Callable[[int, int, int], int]:
    """Return a function of a file of ``kernels/`` for Python, which runs it without the interpreter's lock."""
    return Function(address(file, function))


def generated(text: str, names: tuple[str, ...]) -> dict[str, int]:
    """Return the addresses of the functions `names` of a generated source."""

    def functions() -> list[Any]:
        from .kernels.scalar import FAST

        space: dict[str, Any] = {"__name__": "thalweg_compiled"}
        exec(compile(HEAD + text, "<compiled by thalweg>", "exec"), space)
        return [_compiled(space[name], FAST) for name in names]

    return _addresses(text, functions)


def _compiled(function: Any, fast: Any) -> Any:
    import numba

    make: Any = numba.njit  # its published types lack some of its options
    pause()
    engine()  # defines what LLVM may call, before Numba links
    with no_collection():
        return make(
            _SIGNATURE, fastmath=fast, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
        )(function)


def _addresses(what: str, functions: Callable[[], list[Any]]) -> dict[str, int]:
    """Return what is loaded, on disk, or else compiled now and put there."""
    digest = hashlib.sha256(what.encode() + circumstances()).hexdigest()[:32]
    with held(), COMPILING:
        if digest not in _known:
            found = _from_disk(digest)
            _known[digest] = _make(digest, functions()) if found is None else found
        return _known[digest]


def _target() -> Any:
    """Return LLVM's description of this machine; an engine takes the one that it is given for its own."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="default", codemodel="jitdefault"
    )


@cache
def engine() -> Any:
    """Return what links and runs object code: one for the process, with all that LLVM calls by itself."""
    import llvmlite.binding as llvm

    made = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    # Threads may still be in its code when the interpreter takes itself apart, so nothing ever lets go of it.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    complete(made)
    return made


def _linked(code: bytes, names: dict[str, str], needs: list[str]) -> dict[str, int] | None:
    """Load object code; return the addresses of the symbols that the functions have in it, None if it needs others."""
    import llvmlite.binding as llvm

    linker = engine()
    if not all(llvm.address_of_symbol(name) for name in needs):
        return None
    linker.add_object_file(llvm.ObjectFileRef.from_data(code))
    linker.finalize_object()
    return {name: linker.get_function_address(symbol) for name, symbol in names.items()}


def _from_disk(digest: str) -> dict[str, int] | None:
    whole = store.read(f"{digest}.o")
    if whole is None:
        return None
    length = int.from_bytes(whole[:8], "little")
    head = json.loads(whole[8 : 8 + length])
    return _linked(whole[8 + length :], head["names"], head["needs"])


def _make(digest: str, made: list[Any]) -> dict[str, int]:
    """Join compiled functions in one object file, put it on disk, and load it."""
    import llvmlite.binding as llvm

    joined = llvm.parse_assembly("")
    joined.triple = llvm.get_process_triple()
    target = _target()
    joined.data_layout = str(target.target_data)
    names: dict[str, str] = {}
    for function in made:
        symbol = names[function.__name__] = f"thalweg_{digest}_{function.__name__}"
        inner = next(iter(function.overloads.values())).fndesc.llvm_func_name
        module = llvm.parse_assembly(next(iter(function.inspect_llvm().values())))
        module.link_in(llvm.parse_assembly(_plain(symbol, inner)))
        for part in module.functions:
            if part.name != symbol and not part.is_declaration:
                part.linkage = "internal"
        joined.link_in(module)
    code = target.emit_object(joined)
    declared = [f.name for f in joined.functions if f.is_declaration and not f.name.startswith("llvm.")]
    needs = _undefined(code) if code[:6] == _ELF else declared
    head = json.dumps({"names": names, "needs": needs}).encode()
    store.write(f"{digest}.o", len(head).to_bytes(8, "little") + head + code)
    found = _linked(code, names, needs)
    if found is None:
        from .scalars import NoKernel

        raise NoKernel(f"its machine code needs functions that are missing in this process, among {needs}")
    return found


def _undefined(code: bytes) -> list[str]:
    """Return the names that an object file of the ELF kind (64 bits, little end first) leaves for others to define.

    They are more than those that the program calls: LLVM itself calls functions for operations that a processor lacks,
    and ends the process where one is missing.
    """
    (start,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    sections = [struct.unpack_from("<IIQQQQII", code, start + k * size) for k in range(count)]
    names = []
    for _, kind, _, _, at, length, link, _ in sections:
        if kind != 2:  # not the table of symbols
            continue
        for symbol in range(at, at + length, 24):
            name, _, _, section = struct.unpack_from("<IBBH", code, symbol)
            if name and not section:
                first = sections[link][4] + name
                names.append(code[first : code.index(b"\0", first)].decode())
    return [name for name in names if name != "_GLOBAL_OFFSET_TABLE_"]


def _plain(symbol: str, inner: str) -> str:
    """Return a function that calls one of Numba's, which has its result and its state written somewhere.

    It returns -1 where that has raised an exception.
    """
    from llvmlite import ir

    whole, state, address = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
    module = ir.Module()
    module.triple, module.data_layout = "", ""
    theirs = ir.Function(
        module, ir.FunctionType(state, [whole.as_pointer(), address.as_pointer(), whole, whole, whole]), inner
    )
    ours = ir.Function(module, ir.FunctionType(whole, [whole] * 3), symbol)
    builder = ir.IRBuilder(ours.append_basic_block())
    result, error = builder.alloca(whole), builder.alloca(address)
    raised = builder.icmp_signed("!=", builder.call(theirs, [result, error, *ours.args]), state(0))
    builder.ret(builder.select(raised, whole(-1), builder.load(result)))
    return str(module)
