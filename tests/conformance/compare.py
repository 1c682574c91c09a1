"""Comparing a call of ours with one of PyTorch's: values, exceptions, derivatives; each check returns what is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import thalweg
from thalweg.core.engine import backward_pass
from thalweg.core.tensor import TensorBase

from .bridge import ALLOWED_TYPES, Unsupported, ours, reach, torch_module
from .catalogue import UNDEFINED_VALUES

TOLERANCE = {"float64": (1e-7, 1e-8), "float32": (2e-4, 2e-5)}
SEED = 20


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
    return [v for v in flat(values) if isinstance(v, kind) and v.requires_grad]


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
    if len(outs) != len(outs_t):  # results without elements may be cut off from the graph
        outs, outs_t = ([o for o in some if o.numel()] for some in (outs, outs_t))
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
