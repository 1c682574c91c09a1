"""Reductions, scans, order and indexing on a million elements, and on ten, against PyTorch.

    python -m benchmarks.eager_reductions            # everything
    python -m benchmarks.eager_reductions sum index  # what contains one of these words
    python -m benchmarks.eager_reductions --cpu      # processor time on one thread each: fit for a busy machine

Both libraries alternate in one process with two threads each; a line gives the median of ours/theirs over the
repeats, with its quartiles. On ten elements fifty operations are chained before one backward, because a single
backward of PyTorch is mostly the waking of its thread.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ._ratio import line, ratio

N = 1_000_000
LIMIT = 1.5
Case = Callable[[Any, dict[str, Any]], Any]

LARGE: dict[str, Case] = {
    "sum": lambda lib, d: d["x"].sum(),
    "sum(0)": lambda lib, d: d["m"].sum(0),
    "sum(1)": lambda lib, d: d["m"].sum(1),
    "mean": lambda lib, d: d["x"].mean(),
    "mean(0)": lambda lib, d: d["m"].mean(0),
    "prod(1)": lambda lib, d: d["m"].prod(1),
    "amax(1)": lambda lib, d: d["m"].amax(1),
    "max": lambda lib, d: d["x"].max(),
    "max(0).values": lambda lib, d: d["m"].max(0)[0],
    "max(1).values": lambda lib, d: d["m"].max(1)[0],
    "argmax(1)": lambda lib, d: d["m"].argmax(1),
    "all": lambda lib, d: d["mask"].all(),
    "var": lambda lib, d: d["x"].var(),
    "std(0)": lambda lib, d: d["m"].std(0),
    "std(1)": lambda lib, d: d["m"].std(1),
    "logsumexp(0)": lambda lib, d: lib.logsumexp(d["m"], 0),
    "logsumexp(1)": lambda lib, d: lib.logsumexp(d["m"], 1),
    "softmax(0)": lambda lib, d: lib.softmax(d["m"], 0),
    "softmax(1)": lambda lib, d: lib.softmax(d["m"], 1),
    "log_softmax(0)": lambda lib, d: lib.log_softmax(d["m"], 0),
    "log_softmax(1)": lambda lib, d: lib.log_softmax(d["m"], 1),
    "cross_entropy": lambda lib, d: lib.nn.functional.cross_entropy(d["m"], d["rows"]),
    "norm": lambda lib, d: d["x"].norm(),
    "median": lambda lib, d: d["x"].median(),
    "cumsum": lambda lib, d: d["x"].cumsum(0),
    "cumsum(1)": lambda lib, d: d["m"].cumsum(1),
    "cumprod(1)": lambda lib, d: d["m"].cumprod(1),
    "sort": lambda lib, d: d["x"].sort()[0],
    "sort(1)": lambda lib, d: d["m"].sort(1)[0],
    "topk(10)": lambda lib, d: d["x"].topk(10)[0],
    "x[rows]": lambda lib, d: d["m"][d["rows"]],
    "x[index]": lambda lib, d: d["x"][d["index"]],
    "x[i, j]": lambda lib, d: d["m"][d["i"], d["j"]],
    "x[mask]": lambda lib, d: d["x"][d["mask"]],
    "x[:, ::2]": lambda lib, d: d["m"][:, ::2] * 1.0,
    "gather(1)": lambda lib, d: d["m"].gather(1, d["columns"]),
    "scatter_add(0)": lambda lib, d: d["x"].scatter_add(0, d["index"], d["x"]),
    "index_select(0)": lambda lib, d: d["m"].index_select(0, d["rows"]),
    "index_add(0)": lambda lib, d: d["m"].index_add(0, d["rows"], d["m"]),
    "masked_fill": lambda lib, d: d["x"].masked_fill(d["mask"], 0.0),
    "cat": lambda lib, d: lib.cat([d["m"], d["m"]], 1),
    "stack": lambda lib, d: lib.stack([d["x"], d["x"]]),
    "flip": lambda lib, d: d["m"].flip(0),
    "tril": lambda lib, d: d["m"].tril(),
    "repeat": lambda lib, d: d["x"].repeat(2),
    "diff": lambda lib, d: d["x"].diff(),
}

SMALL: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda lib, y: y.unsqueeze(0).sum(0),
    "mean": lambda lib, y: y.unsqueeze(0).mean(0),
    "x[0]": lambda lib, y: y[None][0],
    "x[a:b]": lambda lib, y: y[0:10],
    "reshape": lambda lib, y: y.reshape(2, 5).reshape(10),
    "transpose": lambda lib, y: y.view(2, 5).t().reshape(10),
    "cat": lambda lib, y: lib.cat([y[:5], y[5:]]),
    "stack": lambda lib, y: lib.stack([y, y])[0],
    "max(0)": lambda lib, y: y.unsqueeze(0).max(0)[0],
}


def data(lib: Any) -> dict[str, Any]:
    """Return the same inputs for either library; the floating ones require grad."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(N).astype(np.float32)
    side = int(N**0.5)
    found = {
        "rows": rng.integers(0, side, side),
        "index": rng.integers(0, N, N),
        "i": rng.integers(0, side, N),
        "j": rng.integers(0, side, N),
        "columns": rng.integers(0, side, (side, side)),
        "mask": x > 0,
    }
    d = {name: lib.tensor(a) for name, a in found.items()}
    d["x"] = lib.tensor(x, requires_grad=True)
    d["m"] = lib.tensor(x.reshape(side, side), requires_grad=True)
    return d


def large(lib: Any, case: Case) -> Callable[[], None]:
    """Return one forward and, where there is a gradient, backward."""
    d = data(lib)
    out = case(lib, d)
    seed = lib.ones_like(out.detach()) if out.requires_grad else None

    def run() -> None:
        out = case(lib, d)
        if seed is not None:
            out.backward(seed)
            d["x"].grad = d["m"].grad = None

    return run


def small(lib: Any, step: Callable[[Any, Any], Any]) -> Callable[[], None]:
    """Return fifty operations on ten elements, and one backward."""

    def run() -> None:
        y = x = lib.ones(10, requires_grad=True)
        for _ in range(50):
            y = step(lib, y)
        y.sum().backward()
        x.grad = None

    return run


def least(run: Callable[[], None], repeats: int = 7) -> float:
    """Return the least processor time of `repeats` runs, in seconds."""
    run()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def processor_time(torch: Any, thalweg: Any, asked: Callable[[str], bool]) -> None:
    """Print the ratio of processor times on one thread; PyTorch on two takes between half and all of its own."""
    torch.set_num_threads(1)
    cases = {**{n: (large, c) for n, c in LARGE.items()}, **{f"{n} of ten": (small, c) for n, c in SMALL.items()}}
    for name, (make, case) in cases.items():
        if asked(name):
            ours, theirs = least(make(thalweg, case)), least(make(torch, case))  # type: ignore[operator]
            print(f"{name:24} {ours / theirs:6.2f}  {ours * 1e3:8.2f} ms against {theirs * 1e3:8.2f} ms", flush=True)


def main(words: list[str]) -> None:
    """Print one line per case whose name contains one of `words`."""
    import torch

    import thalweg

    cpu = "--cpu" in words
    words = [w for w in words if w != "--cpu"]
    torch.set_num_threads(2)

    def asked(name: str) -> bool:
        return not words or any(w in name for w in words)

    if cpu:
        processor_time(torch, thalweg, asked)
        return
    print("a million elements, forward and backward")
    for name, case in LARGE.items():
        if asked(name):
            print(line(name, ratio(large(thalweg, case), large(torch, case), repeats=9, pause=0.03), LIMIT), flush=True)
    print("ten elements, fifty in a chain, forward and backward")
    for name, step in SMALL.items():
        if asked(name):
            print(line(name, ratio(small(thalweg, step), small(torch, step), repeats=15), 0.8), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
