"""Elementwise functions of a million numbers of float32, against PyTorch: forward, and forward with backward.

python -m benchmarks.eager_functions             # everything, two threads each
python -m benchmarks.eager_functions gelu erf    # what contains one of these words
python -m benchmarks.eager_functions --cpu       # processor time on one thread each: fit for a busy machine
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ._ratio import line, ratio
from .eager_reductions import LIMIT, data, large, least

Function = Callable[[Any, Any], Any]

FUNCTIONS: dict[str, Function] = {
    "exp": lambda lib, x: lib.exp(x),
    "expm1": lambda lib, x: lib.expm1(x),
    "log1p": lambda lib, x: lib.log1p(x * x),
    "erf": lambda lib, x: lib.erf(x),
    "erfc": lambda lib, x: lib.erfc(x),
    "gelu": lambda lib, x: lib.nn.functional.gelu(x),
    "gelu, tanh": lambda lib, x: lib.nn.functional.gelu(x, approximate="tanh"),
    "sigmoid": lambda lib, x: lib.sigmoid(x),
    "tanh": lambda lib, x: lib.tanh(x),
    "softplus": lambda lib, x: lib.nn.functional.softplus(x),
    "silu": lambda lib, x: lib.nn.functional.silu(x),
    "mish": lambda lib, x: lib.nn.functional.mish(x),
    "elu": lambda lib, x: lib.nn.functional.elu(x),
    "logsigmoid": lambda lib, x: lib.nn.functional.logsigmoid(x),
}


def forward(lib: Any, function: Function) -> Callable[[], None]:
    """Return the function's value alone."""
    x = data(lib)["x"].detach()
    return lambda: function(lib, x)


def both(lib: Any, function: Function) -> Callable[[], None]:
    """Return the value and the gradient."""
    return large(lib, lambda lib, d: function(lib, d["x"]))


def main(words: list[str]) -> None:
    """Print two lines per function whose name contains one of `words`."""
    import torch

    import thalweg

    cpu = "--cpu" in words
    words = [w for w in words if w != "--cpu"]
    torch.set_num_threads(1 if cpu else 2)
    for name, function in FUNCTIONS.items():
        if words and not any(w in name for w in words):
            continue
        for what, make in (("forward", forward), ("both ways", both)):
            ours, theirs = make(thalweg, function), make(torch, function)
            if cpu:
                a, b = least(ours), least(theirs)
                print(f"{name + ' ' + what:24} {a / b:6.2f}  {a * 1e3:8.2f} ms against {b * 1e3:8.2f} ms", flush=True)
            else:
                print(line(f"{name} {what}", ratio(ours, theirs, repeats=9, pause=0.03), LIMIT), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
