"""Runners: the cells of the lessons, whose printed forms are the expectation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...autograd.modes import no_grad
from ...ops.create import ones, tensor

__all__ = ["notebook"]


def notebook(cell: str) -> dict[str, str]:
    """Run one cell and return what it prints, by name."""
    return _CELLS[cell]()


def _leaf() -> Any:
    return tensor(1.0, requires_grad=True)


def _error(call: Callable[[], Any]) -> str:
    try:
        call()
    except RuntimeError:
        return "RuntimeError"
    return "no error"


def _printed_leaf() -> dict[str, str]:
    return {"x": str(_leaf())}


def _square() -> dict[str, str]:
    return {"y": str(_leaf() ** 2)}


def _leaf_node() -> dict[str, str]:
    return {"x.grad_fn": str(_leaf().grad_fn)}


def _plus_one() -> dict[str, str]:
    return {"z": str(_leaf() ** 2 + 1)}


def _backward_sum() -> dict[str, str]:
    x = _leaf()
    z = x**2 + 1
    before = str(x.grad)
    z.backward()
    return {"before": before, "x.grad": str(x.grad), "again": _error(z.backward)}


def _backward_inner() -> dict[str, str]:
    x = _leaf()
    y = x**2
    z = y + 1
    y.backward()
    found = {"x.grad": str(x.grad), "again": _error(y.backward)}
    _error(z.backward)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found["y.grad"] = f"{y.grad}" + (" with a warning" if seen else "")
    return found


def _fourth() -> dict[str, str]:
    x = _leaf()
    ((x**2) ** 2).backward()
    return {"x.grad": str(x.grad)}


def _backward_square() -> dict[str, str]:
    x = _leaf()
    (x**2).backward()
    return {"x.grad": str(x.grad)}


def _retain() -> dict[str, str]:
    x = _leaf()
    y = x**2
    y.retain_grad()
    (y**2).backward()
    return {"y.grad": str(y.grad), "x.grad": str(x.grad)}


def _without() -> dict[str, str]:
    y = _leaf() ** 2
    with no_grad():
        z = y**2
    return {"z": str(z), "z.requires_grad": str(z.requires_grad), "y": str(y)}


def _detached() -> dict[str, str]:
    y1 = (_leaf() ** 2).detach()
    return {"y1": str(y1), "z": str(y1**2)}


def _leaves() -> dict[str, str]:
    x = _leaf()
    y = x**2
    return {"leaves": ", ".join(str(t.is_leaf) for t in (x, y, tensor([1]), y.detach()))}


def _ones() -> dict[str, str]:
    x = ones(2)
    return {"line": f"{x} {x.requires_grad}"}


def _switch_on() -> dict[str, str]:
    x = ones(2)
    x.requires_grad_(True)
    return {"line": f"{x} {x.requires_grad}"}


def _product() -> dict[str, str]:
    x = ones(2, requires_grad=True)
    return {"y": str(x * x)}


def _summed() -> dict[str, str]:
    x: Any = ones(2, requires_grad=True)
    y = (x * x).sum()
    before = str(x.grad)
    nothing: Any = y.backward()  # type: ignore[func-returns-value]
    return {"y": str(y), "before": before, "backward": str(nothing), "x.grad": str(x.grad)}


def _summed_without() -> dict[str, str]:
    x: Any = ones(2, requires_grad=True)
    y = (x * x).sum()
    with no_grad():
        inside = (x * x).sum()
    return {"y": str(y), "inside": f"{inside} {inside.grad_fn}"}


def _through_data() -> dict[str, str]:
    x: Any = ones(1, requires_grad=True)
    found = {"x.data": str(x.data), "requires_grad": str(x.data.requires_grad)}
    y = 2 * x
    x.data *= 100
    y.backward()
    found["x"], found["x.grad"] = str(x), str(x.grad)
    found["in place"] = _error(lambda: x.mul_(100))
    return found


def _nodes() -> dict[str, str]:
    x: Any = ones(2, requires_grad=True)
    y = x * x
    return {"x": f"{x.grad_fn} {x.is_leaf}", "y": f"<{y.grad_fn.name()}> {y.is_leaf}"}


def _accumulate() -> dict[str, str]:
    x: Any = ones(2, requires_grad=True)
    seen = []
    for _ in range(2):
        (x * x).sum().backward()
        seen.append(str(x.grad))
    x.grad.data.zero_()
    (x * x).sum().backward()
    seen.append(str(x.grad))
    return {"grads": "; ".join(seen)}


def _line(steps: int) -> dict[str, str]:
    """Fit a and b of a line to (1, 2) and (3, 4) by the squared error, in float32."""
    a: Any = tensor(0.0, requires_grad=True)
    b: Any = tensor(0.0, requires_grad=True)
    for k in range(steps + 1):
        error = (2 - a - b) ** 2 + (4 - 3 * a - b) ** 2
        a.grad = b.grad = None
        error.backward()
        if k < steps:
            with no_grad():
                a -= 0.01 * a.grad
                b -= 0.01 * b.grad
    return {
        "a": f"{a.item():.4f}",
        "b": f"{b.item():.4f}",
        "sse": str(error.detach()),
        "grads": f"({a.grad}, {b.grad})",
    }


_CELLS: dict[str, Callable[[], dict[str, str]]] = {
    "leaf": _printed_leaf,
    "square": _square,
    "leaf_node": _leaf_node,
    "plus_one": _plus_one,
    "backward_sum": _backward_sum,
    "backward_inner": _backward_inner,
    "fourth": _fourth,
    "backward_square": _backward_square,
    "square_gradient": _backward_square,
    "retain": _retain,
    "without": _without,
    "detached": _detached,
    "leaves": _leaves,
    "ones": _ones,
    "switch_on": _switch_on,
    "product": _product,
    "summed": _summed,
    "summed_without": _summed_without,
    "through_data": _through_data,
    "nodes": _nodes,
    "accumulate": _accumulate,
    "line_start": lambda: _line(0),
    "line_step": lambda: _line(1),
    "line_two_steps": lambda: _line(2),
}
