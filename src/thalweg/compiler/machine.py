"""Machine code called by its address, kept on disk as object code and loaded without the compiler that made it.

Every function takes three whole numbers, of which the first is the address of a table, and returns one. Numba compiles
them; what comes out is put into one object file for all functions of a source, named after the digest of everything
that decides what it compiles to. Loading one takes milliseconds and needs LLVM alone. Files appear whole or not at all,
begin with a digest of themselves, and a folder that cannot be written, or holds rubbish, costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import json
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .cache import HEAD, cache_folder, circumstances, no_collection, provide_symbols, write_whole

__all__ = ["Function", "address", "generated", "kernel"]

_SIGNATURE = "int64(int64, int64, int64)"
Function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_lock = threading.RLock()
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
    with no_collection():
        return make(
            _SIGNATURE, fastmath=fast, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False
        )(function)


def _addresses(what: str, functions: Callable[[], list[Any]]) -> dict[str, int]:
    """Return what is loaded, on disk, or else compiled now and put there."""
    digest = hashlib.sha256(what.encode() + circumstances()).hexdigest()[:32]
    with _lock:
        if digest not in _known:
            found = _from_disk(digest)
            _known[digest] = _make(digest, functions()) if found is None else found
        return _known[digest]


def _path(digest: str) -> Path:
    return cache_folder() / "compiled" / f"{digest}.o"


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
def _engine() -> Any:
    import llvmlite.binding as llvm

    target = _target()
    provide_symbols()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)


def _linked(code: bytes, names: dict[str, str], needs: list[str]) -> dict[str, int] | None:
    """Load object code; return the addresses of the symbols that the functions have in it, None if it needs others."""
    import llvmlite.binding as llvm

    engine = _engine()
    if not all(llvm.address_of_symbol(name) for name in needs):
        return None
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return {name: engine.get_function_address(symbol) for name, symbol in names.items()}


def _from_disk(digest: str) -> dict[str, int] | None:
    try:
        whole = _path(digest).read_bytes()
    except OSError:
        return None
    if len(whole) < 40 or hashlib.sha256(whole[32:]).digest() != whole[:32]:
        return None
    length = int.from_bytes(whole[32:40], "little")
    head = json.loads(whole[40 : 40 + length])
    return _linked(whole[40 + length :], head["names"], head["needs"])


#: intrinsics of LLVM that become calls of functions which a process need not have
_BECOMES = {"llvm.powi.f64": "__powidf2", "llvm.powi.f32": "__powisf2"}


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
    declared = [f.name for f in joined.functions if f.is_declaration]
    needs = [name for name in declared if not name.startswith("llvm.")]
    needs += [symbol for intrinsic, symbol in _BECOMES.items() if any(name.startswith(intrinsic) for name in declared)]
    head = json.dumps({"names": names, "needs": needs}).encode()
    body = len(head).to_bytes(8, "little") + head + code
    with contextlib.suppress(OSError):
        write_whole(_path(digest), hashlib.sha256(body).digest() + body)
    found = _linked(code, names, needs)
    if found is None:
        from .scalars import NoKernel

        raise NoKernel(f"its machine code needs functions that are missing in this process, among {needs}")
    return found


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
