"""Compare the library with PyTorch on PyTorch's own samples.

    python -m tests.conformance.opdb mul sum            # some names
    python -m tests.conformance.opdb "linear algebra"   # a family
    python -m tests.conformance.opdb                    # everything

For every name: values, dtypes and shapes; gradients and second derivatives in float64 from a fixed random seed
gradient; forward mode; the in-place and the method form; and the inputs that PyTorch refuses, by exception type.
"""

from __future__ import annotations

import itertools
import sys
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

import thalweg
from thalweg.core.engine import backward_pass
from thalweg.core.tensor import TensorBase

from .catalogue import CATALOGUE, OTHER_NAME, UNDEFINED_VALUES, UP_TO_GAUGE
from .differences import allowed
from .samples import OWN

KINDS = ("values", "gradient", "second", "forward", "inplace", "method", "error")
DTYPES = {"float64": 40, "float32": 12, "int64": 12, "bool": 8}  # how many samples of each
LARGEST = 100_000  # elements of a sample's inputs
MOST_DIMS = 64  # what a NumPy array can have
TOLERANCE = {"float64": (1e-7, 1e-8), "float32": (2e-4, 2e-5)}
SEED = 20


class Unsupported(Exception):
    """A sample that asks for what the library leaves out: complex and half types, sparse layouts, and the like."""


@dataclass
class Case:
    """One comparison, as the list of allowed differences sees it."""

    name: str
    kind: str
    dtype: str
    index: int
    variant: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def __str__(self) -> str:
        variant = f"[{self.variant}]" if self.variant else ""
        said = ", ".join([*map(brief, self.args), *(f"{k}={brief(v)}" for k, v in self.kwargs.items())])
        return f"{self.name}{variant} {self.kind} {self.dtype} #{self.index} ({said})"


@dataclass
class Tally:
    """What became of one name."""

    name: str
    present: bool = True
    sampled: bool = True
    run: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    excused: list[tuple[Case, str]] = field(default_factory=list)
    failures: list[tuple[Case, str]] = field(default_factory=list)

    def line(self) -> str:
        if not self.present:
            return f"{self.name}: not there"
        if not self.sampled:
            return f"{self.name}: no samples"
        parts = [f"{k} {self.passed[k]}/{self.run[k]}" for k in KINDS if self.run[k]]
        return f"{self.name}: {', '.join(parts)}" + (f" ({len(self.excused)} allowed)" if self.excused else "")


TALLIES: dict[str, Tally] = {}


@cache
def torch_module() -> Any:
    """Import PyTorch, quietly and on one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from torch.testing._internal import common_methods_invocations as found

    torch.set_num_threads(1)
    return torch, found


@cache
def infos(name: str) -> tuple[Any, ...]:
    """Return PyTorch's descriptions of an operation that hold samples for `name`."""
    _, found = torch_module()
    wanted = OTHER_NAME.get(name, name.removeprefix("Tensor."))
    if name.startswith("Tensor.") and wanted.endswith("_") and not wanted.endswith("__"):
        wanted = {"zero_": "zero_"}.get(wanted, wanted[:-1])
    return tuple(op for op in found.op_db if op.name == wanted and _plain(op))


def _plain(op: Any) -> bool:
    names = {str(d)[6:] for d in op.dtypes}
    return "jiterator" not in op.name and bool(names & set(DTYPES))


# From PyTorch's arguments to ours


def ours(value: Any, memo: dict[int, Any], grad: bool = False) -> Any:
    """Return an argument of PyTorch's as one of ours."""
    torch, _ = torch_module()
    if isinstance(value, torch.Tensor):
        if id(value) in memo:
            return memo[id(value)]
        if value.layout != torch.strided or str(value.dtype)[6:] not in ALLOWED_TYPES:
            raise Unsupported(str(value.dtype))
        if value.numel() > LARGEST or value.ndim > MOST_DIMS:
            raise Unsupported("size")
        data = value.detach().resolve_neg().numpy(force=True)
        t = TensorBase._wrap(np.array(data, order="K") if data.ndim else np.array(data))
        if grad and value.requires_grad:
            t.requires_grad_()
        memo[id(value)] = t
        return t
    if isinstance(value, torch.dtype):
        name = str(value)[6:]
        if name not in ALLOWED_TYPES:
            raise Unsupported(name)
        return thalweg.bool if name == "bool" else getattr(thalweg, name)
    if isinstance(value, (torch.layout, torch.memory_format, torch.Generator)) or value in (torch.chalf,):
        raise Unsupported(str(value))
    if isinstance(value, torch.device):
        if value.type != "cpu":
            raise Unsupported(str(value))
        return "cpu"
    if isinstance(value, complex):
        raise Unsupported("complex")
    if isinstance(value, (tuple, list)):
        parts = [ours(v, memo, grad) for v in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, slice):
        return slice(*(ours(v, memo, grad) for v in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return {k: ours(v, memo, grad) for k, v in value.items()}
    return value


ALLOWED_TYPES = {"float64", "float32", "int64", "int32", "uint8", "bool"}


def leaves(value: Any, torch: Any) -> Iterator[Any]:
    """Yield the tensors of an argument that ask for a gradient."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad:
            yield value
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from leaves(v, torch)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()), torch)


def rebound(function: Any, cells: bool = True) -> Any:
    """Return a function of PyTorch's test package that calls us where it calls ``torch``."""
    if not isinstance(function, types.FunctionType):
        return function
    cells_of = tuple(
        types.CellType(rebound(c.cell_contents)) if _ours_to_rebind(c.cell_contents) else c
        for c in function.__closure__ or ()
    )
    scope = {**function.__globals__, "torch": thalweg, "Tensor": thalweg.Tensor}
    if "wrapper_set_seed" in scope:
        scope["wrapper_set_seed"] = lambda op, *args, **kwargs: op(*args, **kwargs)
    copy = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells_of)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _ours_to_rebind(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and "torch.testing" in (value.__module__ or "")


def reach(root: Any, path: str) -> Any:
    """Return what a dotted name means, or None."""
    for part in path.split("."):
        root = getattr(root, part, None)
        if root is None:
            return None
    return root


def present(name: str) -> bool:
    """Whether the library has `name`."""
    return reach(thalweg, name) is not None


def pair(op: Any, name: str) -> tuple[Callable[..., Any] | None, Callable[..., Any]]:
    """Return what to call on our side and on PyTorch's for an operation under one of its names."""
    torch, _ = torch_module()
    function = op.op
    kind = type(function).__name__
    if name in ("Tensor.__getitem__",):
        return (lambda x, key: x[key]), (lambda x, key: x[key])
    if isinstance(function, types.FunctionType) and "torch.testing" in (function.__module__ or ""):
        return rebound(function), function
    if name in OTHER_NAME and not name.startswith("Tensor."):
        return reach(thalweg, name), reach(torch, name)
    if kind in ("method_descriptor", "wrapper_descriptor") or function.__module__ == "torch._tensor":
        return getattr(thalweg.Tensor, function.__name__, None), function
    found = reach(thalweg, op.name) or getattr(thalweg.Tensor, op.name, None)
    return found, function


# Comparing


def flat(value: Any) -> list[Any]:
    """Return results as a flat list."""
    if isinstance(value, (tuple, list)) and type(value).__name__ != "Size":
        return [leaf for v in value for leaf in flat(v)]
    return [value]


def compare(mine: Any, theirs: Any, values: bool = True) -> str | None:
    """Return what differs between two results, or None."""
    torch, _ = torch_module()
    fields = [f for f in getattr(type(theirs), "__match_args__", ()) if isinstance(theirs, tuple)]
    missing = [f for f in fields if not hasattr(mine, f)]
    if missing:
        return f"the result has no field {missing[0]!r}"
    a, b = flat(mine), flat(theirs)
    if len(a) != len(b):
        return f"{len(a)} results instead of {len(b)}"
    for k, (x, y) in enumerate(zip(a, b, strict=True)):
        said = _compare_one(x, y, values, torch)
        if said:
            return said if len(a) == 1 else f"result {k}: {said}"
    return None


def _compare_one(x: Any, y: Any, values: bool, torch: Any) -> str | None:
    if not isinstance(y, torch.Tensor):
        if isinstance(y, torch.dtype):
            return None if str(y)[6:] == getattr(x, "name", None) else f"{x} instead of {y}"
        if isinstance(x, TensorBase):
            return f"a tensor instead of {type(y).__name__}"
        if isinstance(y, float):
            same = isinstance(x, float) and np.isclose(x, y, equal_nan=True)
            return None if same or not values else f"{x!r} instead of {y!r}"
        return None if x == y and (type(x) is type(y) or not isinstance(y, (bool, int))) else f"{x!r} instead of {y!r}"
    if not isinstance(x, TensorBase):
        return f"{type(x).__name__} instead of a tensor"
    return compare_arrays(x, y, values)


def compare_arrays(x: Any, y: Any, values: bool = True) -> str | None:
    """Return how a tensor of ours differs from one of PyTorch's, or None."""
    kind = str(y.dtype)[6:]
    if kind not in ALLOWED_TYPES:
        raise Unsupported(kind)
    if x.dtype.name != kind:
        return f"dtype {x.dtype.name} instead of {kind}"
    b = y.detach().resolve_neg().numpy(force=True)
    a = x._data
    if a.shape != b.shape:
        return f"shape {a.shape} instead of {b.shape}"
    if not values or not a.size:
        return None
    if kind not in TOLERANCE:
        wrong = a != b
    else:
        rtol, atol = TOLERANCE[kind]
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(a, b, rtol=rtol, atol=atol * max(1.0, _scale(b)), equal_nan=True)
    if not wrong.any():
        return None
    at = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {a.size} values differ, first at {at}: {a[at]!r} instead of {b[at]!r}"


def _scale(b: Any) -> float:
    finite = np.abs(b[np.isfinite(b)])
    return float(finite.max()) if finite.size else 0.0


def brief(value: Any) -> str:
    """Return an argument in a few characters."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = str(value.dtype).split(".")[-1]
        return f"{kind}{list(value.shape)}" if len(value.shape) or getattr(value, "requires_grad", 0) else f"{kind}[]"
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(brief, value[:6])) + (", …" if len(value) > 6 else "")
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "…"


# The checks. Each takes a case and returns what is wrong, or None.


def attempt(call: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return a call's result and its exception, one of which is None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call(), None
        except Unsupported:
            raise
        except Exception as error:  # noqa: BLE001  (whatever it is, it is what we compare)
            return None, error


def first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text[:160]}"


def same_exception(mine: BaseException | None, theirs: BaseException) -> str | None:
    """Return what is wrong with the exception on our side, given PyTorch's."""
    if mine is None:
        return f"accepted; PyTorch raises {first_line(theirs)}"
    wanted: Any = type(theirs)
    if wanted.__module__.startswith("torch"):
        wanted = reach(thalweg, "linalg.LinAlgError") or RuntimeError
    if isinstance(mine, wanted) and not (wanted is RuntimeError and isinstance(mine, NotImplementedError)):
        return None
    if isinstance(mine, RuntimeError) and isinstance(theirs, NotImplementedError):
        return None
    return f"raises {first_line(mine)}; PyTorch {first_line(theirs)}"


def random_like(arrays: list[Any], seed: int) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.normal(size=tuple(a.shape)), np.float64) for a in arrays]


def check_values(mine: Any, theirs: Any, name: str) -> tuple[str | None, bool]:
    """Compare two calls; return what is wrong, and whether both gave a result."""
    torch, _ = torch_module()
    torch.manual_seed(SEED)
    expected, refused = attempt(theirs)
    got, error = attempt(mine)
    if refused is not None:
        return same_exception(error, refused), False
    if error is not None:
        return f"raises {first_line(error)}", False
    return compare(got, expected, name not in UNDEFINED_VALUES), True


def differentiable(values: Any, kind: Any) -> list[Any]:
    return [v for v in flat(values) if isinstance(v, kind) and v.requires_grad and v.numel()]


def check_gradients(
    mine: Callable[[], Any],
    theirs: Callable[[], Any],
    inputs: list[Any],
    theirs_inputs: list[Any],
    second: bool,
) -> Iterator[tuple[str, str | None]]:
    """Compare gradients, then second derivatives; yield (kind, what is wrong)."""
    torch, _ = torch_module()
    outs_t = differentiable(theirs(), torch.Tensor)
    if not outs_t or not theirs_inputs or any(str(o.dtype)[6:] not in TOLERANCE for o in outs_t):
        return
    result, error = attempt(mine)
    if error is not None:
        yield "gradient", f"raises {first_line(error)}"
        return
    outs = differentiable(result, TensorBase)
    if len(outs) != len(outs_t):
        yield "gradient", f"{len(outs)} results require grad instead of {len(outs_t)}"
        return
    seeds = [s.astype(o._data.dtype) for s, o in zip(random_like(outs_t, SEED), outs, strict=True)]
    seeds_t = [torch.from_numpy(s.copy()) for s in seeds]
    grads_t, refused = attempt(
        lambda: torch.autograd.grad(outs_t, theirs_inputs, seeds_t, create_graph=second, allow_unused=True)
    )
    grads, error = attempt(lambda: _grad(outs, seeds, inputs, second))
    if refused is not None:
        yield "gradient", same_exception(error, refused)
        return
    said = f"raises {first_line(error)}" if error is not None else _compare_gradients(grads, grads_t)
    yield "gradient", said
    if not second or said is not None:
        return
    known = [k for k, g in enumerate(grads_t) if g is not None and g.requires_grad]
    if not known:
        return
    seeds2 = random_like([grads_t[k] for k in known], SEED + 1)
    seconds_t, refused = attempt(
        lambda: torch.autograd.grad(
            [grads_t[k] for k in known],
            theirs_inputs,
            [torch.from_numpy(s.astype(str(grads_t[k].dtype)[6:])) for s, k in zip(seeds2, known, strict=True)],
            allow_unused=True,
        )
    )
    if refused is not None:
        return
    held = [
        (s, grads[k]) for s, k in zip(seeds2, known, strict=True) if grads[k] is not None and grads[k].requires_grad
    ]
    seconds, error = attempt(lambda: _grad([g for _, g in held], [s for s, _ in held], inputs, False))
    yield "second", f"raises {first_line(error)}" if error is not None else _compare_gradients(seconds, seconds_t)


def _grad(outs: list[Any], seeds: list[Any], inputs: list[Any], create_graph: bool) -> list[Any]:
    if not outs:
        return [None] * len(inputs)
    roots = [(o, TensorBase._wrap(np.asarray(s, o._data.dtype))) for o, s in zip(outs, seeds, strict=True)]
    return backward_pass(roots, inputs, create_graph, create_graph)


def _compare_gradients(mine: Any, theirs: Any) -> str | None:
    """Compare gradients; one that is None on one side counts as zero."""
    torch, _ = torch_module()
    for k, (x, y) in enumerate(zip(mine, theirs, strict=True)):
        if x is None and y is None:
            continue
        if y is None:
            y = torch.zeros(x._data.shape, dtype=getattr(torch, x.dtype.name))
        if x is None:
            x = TensorBase._wrap(np.zeros(tuple(y.shape), str(y.dtype)[6:]))
        said = compare_arrays(x, y)
        if said:
            return f"of input {k}: {said}"
    return None


def check_forward(call: Callable[..., Any], call_t: Callable[..., Any], inputs: list[Any]) -> str | None:
    """Compare Jacobian times a random vector, where ``func.jvp`` is there."""
    torch, _ = torch_module()
    tangents = random_like(inputs, SEED + 2)
    primals = tuple(x.detach() for x in inputs)
    moved_t, refused = attempt(
        lambda: torch.func.jvp(
            lambda *xs: tuple(v for v in flat(call_t(*xs)) if isinstance(v, torch.Tensor) and v.is_floating_point()),
            primals,
            tuple(torch.from_numpy(s.astype(str(p.dtype)[6:])) for s, p in zip(tangents, primals, strict=True)),
        )[1]
    )
    if refused is not None:
        return None
    moved, error = attempt(
        lambda: thalweg.func.jvp(  # type: ignore[attr-defined]
            lambda *xs: tuple(v for v in flat(call(*xs)) if isinstance(v, TensorBase) and v._data.dtype.kind == "f"),
            tuple(ours(p, {}) for p in primals),
            tuple(TensorBase._wrap(s.astype(str(p.dtype)[6:])) for s, p in zip(tangents, primals, strict=True)),
        )[1]
    )
    if error is not None:
        return f"raises {first_line(error)}"
    return compare(moved, moved_t)


# One name


def check(name: str, only: str | None = None) -> Tally:
    """Run every check of one name."""
    tally = Tally(name, present=present(name))
    TALLIES[name] = tally
    if not tally.present:
        return tally
    in_place = name.startswith("Tensor.") and name.endswith("_") and not name.endswith("__")
    found = infos(name)
    for op in found:
        if in_place:
            _run_in_place(tally, op, name)
        else:
            _run_op(tally, op, name)
    _run_own(tally, name)
    tally.sampled = bool(found) or name in OWN
    return tally


def note(tally: Tally, case: Case, said: str | None) -> None:
    """Count one comparison."""
    tally.run[case.kind] += 1
    if said is None:
        tally.passed[case.kind] += 1
        return
    row = allowed(case)
    if row is not None:
        tally.excused.append((case, row.reason))
    else:
        tally.failures.append((case, said))


def samples(op: Any, dtype: str, grad: bool, limit: int) -> Iterator[tuple[int, Any]]:
    """Yield up to `limit` of PyTorch's samples, evenly spread over all, with their numbers."""
    torch, _ = torch_module()
    torch.manual_seed(SEED)
    np.random.seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = list(itertools.islice(op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=grad), 400))
    n = len(drawn)
    chosen = range(n) if n <= limit else sorted({int(k) for k in np.linspace(0, n - 1, limit)})
    for k in chosen:
        if not {"out"} & set(drawn[k].kwargs):
            yield k, drawn[k]


def _run_op(tally: Tally, op: Any, name: str) -> None:
    torch, _ = torch_module()
    mine, theirs = pair(op, name)
    if mine is None:
        tally.present = False
        return
    names = {str(d)[6:] for d in op.dtypes}
    for dtype, limit in DTYPES.items():
        if dtype not in names:
            continue
        grad = dtype == "float64" and op.supports_autograd
        for k, sample in samples(op, dtype, grad, limit):
            case = Case(name, "values", dtype, k, op.variant_test_name, (sample.input, *sample.args), sample.kwargs)
            try:
                _run_sample(tally, op, mine, theirs, sample, case, grad)
            except Unsupported:
                continue
            except Exception as error:  # noqa: BLE001  (one sample must not stop the others)
                note(tally, case, f"could not be compared: {first_line(error)}")
    if op.error_inputs_func is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(SEED)
            errors = attempt(lambda: list(op.error_inputs(torch.device("cpu"))))[0] or []
        for k, wrong in enumerate(errors):
            _run_error(tally, mine, theirs, wrong.sample_input, name, k, op.variant_test_name)


def _run_sample(tally: Tally, op: Any, mine: Any, theirs: Any, sample: Any, case: Case, grad: bool) -> None:
    torch, _ = torch_module()
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo, grad) for v in (sample.input, sample.args, sample.kwargs))
    kwargs_t = sample.kwargs
    # Vectors are unique up to sign or rotation in some factorizations; then what PyTorch's samples make of them counts.
    fixed_t = sample.output_process_fn_grad if case.name in UP_TO_GAUGE else _itself
    fixed = rebound(fixed_t)
    said, fine = check_values(
        lambda: fixed(mine(input, *args, **kwargs)),
        lambda: fixed_t(theirs(sample.input, *sample.args, **kwargs_t)),
        case.name,
    )
    note(tally, case, said)
    if not fine:
        return
    if grad and case.name not in UNDEFINED_VALUES:
        post_t = sample.output_process_fn_grad
        post = rebound(post_t)
        wrap_t = op.gradcheck_wrapper or _as_it_is  # symmetrizes, say, what a function reads one triangle of
        wrap = rebound(wrap_t)
        theirs_inputs = list(dict.fromkeys(leaves([sample.input, sample.args, sample.kwargs], torch)))
        inputs = [memo[id(t)] for t in theirs_inputs]
        for kind, wrong in check_gradients(
            lambda: post(wrap(mine, input, *args, **kwargs)),
            lambda: post_t(wrap_t(theirs, sample.input, *sample.args, **kwargs_t)),
            inputs,
            theirs_inputs,
            bool(op.supports_gradgrad),
        ):
            note(tally, _as(case, kind), wrong)
        if op.supports_forward_ad and reach(thalweg, "func.jvp") and theirs_inputs and case.index % 3 == 0:
            at = {id(t): i for i, t in enumerate(theirs_inputs)}
            note(
                tally,
                _as(case, "forward"),
                check_forward(
                    lambda *xs: post(wrap(mine, *_put(xs, at, memo, sample)[0], **_put(xs, at, memo, sample)[1])),
                    lambda *xs: post_t(wrap_t(theirs, *_put(xs, at, None, sample)[0], **_put(xs, at, None, sample)[1])),
                    theirs_inputs,
                ),
            )
    base = op.name.split(".")[-1]
    if case.dtype == "float64" and case.index < 12 and isinstance(sample.input, torch.Tensor):
        if op.method_variant is not None and base.isidentifier() and not base.startswith("_"):
            _run_method(tally, base, sample, case)
        if op.inplace_variant is not None and hasattr(torch.Tensor, base + "_") and not base.endswith("_"):
            _run_written(tally, base + "_", sample, case)


def _itself(value: Any) -> Any:
    return value


def _as_it_is(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _put(xs: tuple[Any, ...], at: dict[int, int], memo: dict[int, Any] | None, sample: Any) -> Any:
    """Return the arguments with the tensors to be differentiated replaced by `xs`."""
    torch, _ = torch_module()

    def walk(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return xs[at[id(value)]] if id(value) in at else value if memo is None else memo[id(value)]
        if isinstance(value, (list, tuple)):
            return type(value)(walk(v) for v in value)
        return value if memo is None else ours(value, {})

    return (walk(sample.input), *map(walk, sample.args)), {k: walk(v) for k, v in sample.kwargs.items()}


def _as(case: Case, kind: str) -> Case:
    return Case(case.name, kind, case.dtype, case.index, case.variant, case.args, case.kwargs)


def _run_method(tally: Tally, method: str, sample: Any, case: Case) -> None:
    torch, _ = torch_module()
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo) for v in (sample.input, sample.args, sample.kwargs))
    if not callable(getattr(torch.Tensor, method, None)):
        return
    said, _ = check_values(
        lambda: getattr(input, method)(*args, **kwargs),
        lambda: getattr(sample.input.detach(), method)(*sample.args, **sample.kwargs),
        case.name,
    )
    note(tally, _as(case, "method"), said)


def _run_written(tally: Tally, method: str, sample: Any, case: Case) -> None:
    """Write into a copy of the input; compare the copy, that it is what is returned, and the gradients."""
    torch, _ = torch_module()
    case = _as(case, "inplace")
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo, True) for v in (sample.input, sample.args, sample.kwargs))

    def theirs() -> Any:
        x = sample.input.clone()
        return getattr(x, method)(*sample.args, **sample.kwargs)

    def mine() -> Any:
        x = input.clone()
        y = getattr(x, method)(*args, **kwargs)
        if y is not x:
            raise TypeError(f"{method} did not return its tensor")
        return y

    said, fine = check_values(mine, theirs, case.name if case.name in UNDEFINED_VALUES else "")
    if fine and said is None and case.name not in UNDEFINED_VALUES:
        theirs_inputs = list(dict.fromkeys(leaves([sample.input, sample.args, sample.kwargs], torch)))
        inputs = [memo[id(t)] for t in theirs_inputs]
        for _, wrong in check_gradients(mine, theirs, inputs, theirs_inputs, False):
            said = said or wrong
    note(tally, case, said)


def _run_in_place(tally: Tally, op: Any, name: str) -> None:
    method = name.removeprefix("Tensor.")
    names = {str(d)[6:] for d in op.dtypes}
    for dtype in ("float64", "int64", "bool"):
        if dtype not in names:
            continue
        for k, sample in samples(op, dtype, dtype == "float64" and op.supports_autograd, 10):
            case = Case(name, "inplace", dtype, k, op.variant_test_name, (sample.input, *sample.args), sample.kwargs)
            try:
                _run_written(tally, method, sample, case)
            except Unsupported:
                continue
            except Exception as error:  # noqa: BLE001  (one sample must not stop the others)
                note(tally, case, f"could not be compared: {first_line(error)}")


def _run_error(tally: Tally, mine: Any, theirs: Any, sample: Any, name: str, k: int, variant: str) -> None:
    _, refused = attempt(lambda: theirs(sample.input, *sample.args, **sample.kwargs))
    if refused is None:
        return
    case = Case(name, "error", "", k, variant, (sample.input, *sample.args), sample.kwargs, first_line(refused))
    try:
        input, args, kwargs = (ours(v, {}, True) for v in (sample.input, sample.args, sample.kwargs))
    except Unsupported:
        return
    if "out" in kwargs:
        return
    _, error = attempt(lambda: mine(input, *args, **kwargs))
    note(tally, case, same_exception(error, refused))


def _run_own(tally: Tally, name: str) -> None:
    torch, _ = torch_module()
    for k, (call, arrays) in enumerate(OWN.get(name, ())):
        case = Case(name, "values", "own", k, args=tuple(arrays))
        theirs_inputs = [torch.tensor(a, requires_grad=a.dtype == np.float64) for a in arrays]
        inputs = [ours(t, {}, True) for t in theirs_inputs]
        said, fine = check_values(
            lambda c=call, xs=inputs: c(thalweg, *xs), lambda c=call, xs=theirs_inputs: c(torch, *xs), name
        )
        note(tally, case, said)
        held = [(x, t) for x, t in zip(inputs, theirs_inputs, strict=True) if t.requires_grad]
        if fine and held:
            for kind, wrong in check_gradients(
                lambda c=call, xs=inputs: c(thalweg, *xs),
                lambda c=call, xs=theirs_inputs: c(torch, *xs),
                [x for x, _ in held],
                [t for _, t in held],
                True,
            ):
                note(tally, _as(case, kind), wrong)


# The report


def summary(tallies: dict[str, Tally]) -> list[str]:
    """Return one line per family: names present of names asked, samples passed of samples run."""
    lines = []
    every: Counter[str] = Counter()
    for family, names in CATALOGUE.items():
        known = [tallies[n] for n in names if n in tallies]
        if not known:
            continue
        count: Counter[str] = Counter(asked=len(known), present=sum(t.present for t in known))
        for t in known:
            count["excused"] += len(t.excused)
            for kind in KINDS:
                group = "errors" if kind == "error" else "samples"
                count[group] += t.run[kind]
                count[group + " passed"] += t.passed[kind]
        every += count
        lines.append(_family_line(family, count))
    lines.append(_family_line("all", every))
    return lines


def _family_line(family: str, count: Counter[str]) -> str:
    return (
        f"{family}: {count['present']} of {count['asked']} names, "
        f"{count['samples passed']} of {count['samples']} samples, "
        f"{count['errors passed']} of {count['errors']} error inputs, {count['excused']} allowed differences"
    )


def names_of(words: list[str]) -> list[str]:
    """Return the names that command-line words stand for: names, their last parts, or families."""
    everything = [n for names in CATALOGUE.values() for n in names]
    if not words:
        return everything
    chosen = []
    for word in words:
        found = list(CATALOGUE.get(word, ())) or [n for n in everything if word in (n, n.split(".")[-1])]
        if not found:
            close = [n for n in everything if word in n]
            raise SystemExit(f"{word}: no name or family of the catalogue. Near: {', '.join(close) or 'nothing'}.")
        chosen += found
    return chosen


def main(words: list[str]) -> int:
    """Print the failing samples of the names asked for, and the counts."""
    most = 12
    for name in names_of(words):
        tally = check(name)
        print(tally.line(), flush=True)
        for case, said in tally.failures[:most]:
            print(f"    {case}\n        {said}")
        if len(tally.failures) > most:
            print(f"    … and {len(tally.failures) - most} more")
    print(*summary(TALLIES), sep="\n")
    return int(any(t.failures or not t.present for t in TALLIES.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
