"""Small random programs, run in two libraries of the same interface, with everything observable written down.

A program is a list of starts (tensors) and a list of steps (operation, three numbers, a mode). The numbers choose
registers and settings modulo what there is, so every program can be run, and a shorter one is always a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SHAPES = [(), (3,), (2, 3), (3, 1), (1,), (2, 1, 3), (3, 3), (0, 3)]
DTYPES = ["float64", "float32", "int64", "bool"]


@dataclass(frozen=True)
class Start:
    """A tensor that a program begins with."""

    shape: int
    dtype: int
    requires_grad: bool
    seed: int

    def array(self) -> Any:
        rng = np.random.default_rng(self.seed)
        values = rng.integers(-12, 13, SHAPES[self.shape]) / 8
        name = DTYPES[self.dtype]
        return (values * 3).astype(name) if name == "int64" else values.astype(name)


@dataclass(frozen=True)
class Step:
    """One operation on registers `a` and `b` with the setting `k`."""

    name: str
    a: int
    b: int
    k: int
    no_grad: bool = False


def _get(regs: list[Any], i: int) -> Any:
    return regs[i % len(regs)]


SCALARS = [2, 0.5, -1, 3.0, True]
# Each takes (library, x, y, k) and returns a tensor to keep.
VALUES = {
    "add": lambda T, x, y, k: x + y,
    "sub": lambda T, x, y, k: x - y,
    "mul": lambda T, x, y, k: x * y,
    "div": lambda T, x, y, k: x / (y * y + 1),
    "add_number": lambda T, x, y, k: x + SCALARS[k % 5],
    "rsub_number": lambda T, x, y, k: SCALARS[k % 4] - x,
    "mul_number": lambda T, x, y, k: SCALARS[k % 5] * x,
    "div_number": lambda T, x, y, k: x / SCALARS[k % 4],
    "alpha": lambda T, x, y, k: T.add(x, y, alpha=2),
    "power": lambda T, x, y, k: x ** [2, 3, 1, 0][k % 4],
    "maximum": lambda T, x, y, k: T.maximum(x, y),
    "minimum": lambda T, x, y, k: T.minimum(x, y),
    "where": lambda T, x, y, k: T.where(x > y, x, y),
    "compare": lambda T, x, y, k: [x < y, x == y, x >= y][k % 3],
    "neg": lambda T, x, y, k: -x,
    "sin": lambda T, x, y, k: x.sin(),
    "tanh": lambda T, x, y, k: x.tanh(),
    "exp": lambda T, x, y, k: x.tanh().exp(),
    "sigmoid": lambda T, x, y, k: x.sigmoid(),
    "abs": lambda T, x, y, k: x.abs(),
    "sign": lambda T, x, y, k: x.sign(),
    "relu": lambda T, x, y, k: x.relu(),
    "square": lambda T, x, y, k: x.square(),
    "sqrt": lambda T, x, y, k: (x * x + 1).sqrt(),
    "log": lambda T, x, y, k: (x * x + 1).log(),
    "clone": lambda T, x, y, k: x.clone(),
    "sum": lambda T, x, y, k: [lambda: x.sum(), lambda: x.sum(0), lambda: x.sum(-1, keepdim=True)][k % 3](),
    "mean": lambda T, x, y, k: [lambda: x.mean(), lambda: x.mean(0), lambda: x.mean(-1, keepdim=True)][k % 3](),
    "amax": lambda T, x, y, k: x.amax(-1) if k % 2 else x.amax(),
    "matmul": lambda T, x, y, k: (x.double() @ y.double()).clone(),
    "cast": lambda T, x, y, k: [x.double, x.float, x.long, x.bool][k % 4](),
    "cat": lambda T, x, y, k: T.cat([x, y, x], [0, -1][k % 2]),
    "stack": lambda T, x, y, k: T.stack([x, y], -(k % 2)),
    "gather": lambda T, x, y, k: x if not x.numel() else x[[0, 1, 0]] if k % 2 else x[..., [0, 0]],
    "mask": lambda T, x, y, k: x[x > 0],
    "data": lambda T, x, y, k: x.data,
    "detach": lambda T, x, y, k: x.detach(),
}
# Those that give views. They are not run under no_grad, where PyTorch's views claim to require grad.
VIEWS = {
    "reshape": lambda T, x, y, k: x.reshape(-1),
    "view": lambda T, x, y, k: x.view(-1),
    "view_to": lambda T, x, y, k: x.view(tuple(y.shape)),
    "transpose": lambda T, x, y, k: x.transpose(0, -1),
    "permute": lambda T, x, y, k: x.permute(tuple(range(x.ndim)[::-1])),
    "unsqueeze": lambda T, x, y, k: x.unsqueeze([0, -1, 1][k % 3]),
    "squeeze": lambda T, x, y, k: x.squeeze(),
    "expand": lambda T, x, y, k: x.expand(2, *x.shape),
    "first": lambda T, x, y, k: x[0],
    "last": lambda T, x, y, k: x[..., -1],
    "tail": lambda T, x, y, k: x[1:],
    "every_second": lambda T, x, y, k: x[..., ::2],
    "flatten": lambda T, x, y, k: x.flatten(),
    "new_axis": lambda T, x, y, k: x[None],
    "unbind": lambda T, x, y, k: x.unbind(0)[k % 2],
    "split": lambda T, x, y, k: x.split(2)[0],
}


def _fit(x: Any, y: Any) -> Any:
    """A value to write: a float that requires grad written into integers gives PyTorch integers that require grad."""
    return y if x.is_floating_point() else y.detach()


# Those that write; they return None, or the tensor written.
WRITES = {
    "add_": lambda T, x, y, k: x.add_(y),
    "sub_": lambda T, x, y, k: x.sub_(y, alpha=2),
    "mul_": lambda T, x, y, k: x.mul_(y),
    "mul_number_": lambda T, x, y, k: x.mul_(SCALARS[k % 5]),
    "div_": lambda T, x, y, k: x.div_(2),
    "tanh_": lambda T, x, y, k: x.tanh_(),
    "sin_": lambda T, x, y, k: x.sin_(),
    "copy_": lambda T, x, y, k: x.copy_(_fit(x, y)),
    "zero_": lambda T, x, y, k: x.zero_(),
    "fill_": lambda T, x, y, k: x.fill_(SCALARS[k % 4]),
    "set_first": lambda T, x, y, k: x.__setitem__(0, _fit(x, y)),
    "set_last": lambda T, x, y, k: x.__setitem__((Ellipsis, -1), SCALARS[k % 5]),
    "set_slice": lambda T, x, y, k: x.__setitem__(slice(1, None), _fit(x, y)),
    "set_mask": lambda T, x, y, k: x.__setitem__(x > 0, 0.5),
    "set_list": lambda T, x, y, k: x.__setitem__([0, -1] if x.shape[:1] > (1,) else [0], _fit(x, y).to(x.dtype)),
    "augmented": lambda T, x, y, k: x.__iadd__(y),
}


def _backward(T: Any, x: Any, y: Any, k: int) -> None:
    (x * x).sum().backward(retain_graph=bool(k % 2))


def _backward_seeded(T: Any, x: Any, y: Any, k: int) -> None:
    x.backward(T.ones_like(x) * 2, retain_graph=bool(k % 2))


def _retain(T: Any, x: Any, y: Any, k: int) -> None:
    x.retain_grad()


def _require(T: Any, x: Any, y: Any, k: int) -> None:
    x.requires_grad_()


def _forget(T: Any, x: Any, y: Any, k: int) -> None:
    x.grad = None


def _gradient(T: Any, x: Any, y: Any, k: int) -> Any:
    return T.autograd.grad(x.sum(), y, create_graph=bool(k % 2), retain_graph=True)[0].detach().clone()


ACTIONS = {
    "backward": _backward, "backward_seeded": _backward_seeded, "retain_grad": _retain, "require": _require,
    "forget": _forget, "gradient": _gradient,
}  # fmt: skip
STEPS = {**VALUES, **VIEWS, **WRITES, **ACTIONS}


def run(T: Any, starts: list[Start], steps: list[Step]) -> list[tuple[str, Any]]:
    """Run a program; return what was seen, in order: (what, value)."""
    seen: list[tuple[str, Any]] = []
    regs = []
    for start in starts:
        t = T.tensor(start.array())
        if start.requires_grad and DTYPES[start.dtype].startswith("float"):
            t.requires_grad_()
        regs.append(t)
    leaves = [t for t in regs if t.requires_grad]
    for n, step in enumerate(steps):
        x, y = _get(regs, step.a), _get(regs, step.b)
        if step.name == "require" and (x._is_view() or any(r._base is x for r in regs)):
            continue  # PyTorch's views claim to require grad as soon as their base does
        try:
            if step.no_grad and step.name not in VIEWS:
                with T.no_grad():
                    result = STEPS[step.name](T, x, y, step.k)
            else:
                result = STEPS[step.name](T, x, y, step.k)
        except Exception as error:  # noqa: BLE001  (the type is what is compared)
            seen.append((f"{n} {step.name} raises", error))
            continue
        if result is not None and len(regs) < 12:
            seen.append((f"{n} {step.name}", _state(result)))
            if not any(result is r for r in regs):
                regs.append(result)
        for i, r in enumerate(regs):
            seen.append((f"{n} {step.name}: register {i}", _flags(r)))
    seen += [(f"end: register {i}", _state(r)) for i, r in enumerate(regs)]
    seen += [(f"end: grad of register {i}", _grad_of(r)) for i, r in enumerate(regs)]
    seen += _derivatives(T, regs, leaves)
    return seen


def _flags(t: Any) -> Any:
    try:
        return (t._version, t.requires_grad, t.is_leaf)
    except RuntimeError:
        return "a view without a place in the graph"


def _state(t: Any) -> Any:
    return (str(t.dtype).split(".")[-1], tuple(t.shape), _flags(t), t.detach().numpy(force=True).copy())


def _grad_of(t: Any) -> Any:
    try:
        g = t.grad
    except RuntimeError:
        return "a view without a place in the graph"
    return None if g is None else (str(g.dtype).split(".")[-1], g.detach().numpy(force=True).copy(), g.requires_grad)


def _derivatives(T: Any, regs: list[Any], leaves: list[Any]) -> list[tuple[str, Any]]:
    """First and second derivatives of a function of all results, with respect to the starts."""
    seen: list[tuple[str, Any]] = []
    total = None
    for i, r in enumerate(regs):
        try:
            if r.requires_grad and not any(r is leaf for leaf in leaves):
                part = (r * (1 + i / 7)).sum().double()
                total = part if total is None else total + part
        except RuntimeError as error:
            seen.append((f"use of register {i} raises", error))
    if total is None or not leaves:
        return seen
    try:
        first = T.autograd.grad(total, leaves, create_graph=True, allow_unused=True)
    except Exception as error:  # noqa: BLE001
        return [*seen, ("first derivatives raise", error)]
    seen += [
        (f"first derivative {i}", None if g is None else _state(g)[:2] + _state(g)[3:]) for i, g in enumerate(first)
    ]
    # A derivative that is constant may or may not say so by requires_grad; the second derivative is 0 either way.
    parts = [(g * g).sum().double() for g in first if g is not None and g.requires_grad]
    second = [None] * len(leaves)
    if parts:
        try:
            second = T.autograd.grad(sum(parts[1:], parts[0]), leaves, allow_unused=True)
        except Exception as error:  # noqa: BLE001
            return [*seen, ("second derivatives raise", error)]
    return seen + [
        (f"second derivative {i}", _state(T.zeros_like(x) if g is None else g)[3])
        for i, (g, x) in enumerate(zip(second, leaves, strict=True))
    ]


def differ(ours: list[tuple[str, Any]], theirs: list[tuple[str, Any]]) -> str | None:
    """Return the first difference, in words, or None."""
    for (what, a), (other, b) in zip(ours, theirs, strict=False):
        if isinstance(b, RuntimeError) and "single memory location" in str(b):
            return None  # PyTorch refuses where the operands overlap; the rest of the program has nothing to compare
        if isinstance(a, RuntimeError) and "lie at one place in memory" in str(a):
            return None  # and we refuse every write into an expanded tensor
        if what != other:
            return f"ours: {what} {_short(a)}; theirs: {other} {_short(b)}"
        if isinstance(a, Exception):
            if not isinstance(a, type(b)):
                return f"{what}: ours {type(a).__name__} ({a}), theirs {type(b).__name__} ({b})"
        elif not _same(a, b):
            return f"{what}: ours {a}, theirs {b}"
    return None if len(ours) == len(theirs) else "one saw more than the other"


def _short(a: Any) -> str:
    return f"{type(a).__name__} ({str(a)[:200]})" if isinstance(a, Exception) else ""


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(p, q) for p, q in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        # float64 too may have come through float32 on its way.
        rtol, atol = (2e-4, 2e-5) if a.dtype == np.float32 else (1e-5, 1e-6)
        return a.shape == b.shape and np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    return type(a) is type(b) and bool(a == b)
