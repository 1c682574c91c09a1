"""A hundred small linear-algebra calls, forward and backward, against PyTorch: `python benchmarks/eager_linalg.py [1]`.

8 x 8 matrices in float64 and float32; each row is a hundred calls with their gradients, both sides alternating in one
process, on two threads, or on as many as the argument says. (Beside other work PyTorch's triangular solves wait for
their second thread; its figures on one thread are then the fair ones.) Needs PyTorch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import thalweg as tw

sys.path.insert(0, str(Path(__file__).parent))
from _ratio import line, ratio

CALLS = 100
N = 8


def eigen(lib: Any, a: Any, b: Any) -> Any:
    w, v = lib.linalg.eigh(a)
    return (w * b[0]).sum() + (v * v * b).sum()


def decomposed(lib: Any, a: Any, b: Any) -> Any:
    u, s, vh = lib.linalg.svd(a, full_matrices=False)
    return (s * b[0]).sum() + (u * u * b).sum() + (vh * vh * b).sum()


ROWS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "solve": lambda lib, a, b: lib.linalg.solve(a, b).sum(),
    "cholesky": lambda lib, a, b: lib.linalg.cholesky(a).sum(),
    "eigh": eigen,
    "inv": lambda lib, a, b: lib.linalg.inv(a).sum(),
    "det": lambda lib, a, b: lib.linalg.det(a),
    "slogdet": lambda lib, a, b: lib.linalg.slogdet(a)[1],
    "svd": decomposed,
    "qr": lambda lib, a, b: (lib.linalg.qr(a)[1] * b).sum(),
    "solve_triangular": lambda lib, a, b: lib.linalg.solve_triangular(a, b, upper=False).sum(),
    "norm": lambda lib, a, b: lib.linalg.norm(a),
    "pinv": lambda lib, a, b: lib.linalg.pinv(a).sum(),
    "matrix_exp": lambda lib, a, b: lib.linalg.matrix_exp(a).sum(),
    "einsum ij,jk->ik": lambda lib, a, b: lib.einsum("ij,jk->ik", a, b).sum(),
    "matmul": lambda lib, a, b: (a @ b).sum(),
}


def work(lib: Any, function: Callable[[Any, Any, Any], Any], arrays: list[Any]) -> Callable[[], None]:
    a, b = (lib.from_numpy(x.copy()).requires_grad_() for x in arrays)

    def run() -> None:
        for _ in range(CALLS):
            a.grad = b.grad = None
            function(lib, a, b).backward()

    return run


def together(lib: Any, arrays: list[Any]) -> Callable[[], None]:
    """The asked-for mix: a hundred calls of solve, cholesky and eigh in turn."""
    a, b = (lib.from_numpy(x.copy()).requires_grad_() for x in arrays)
    functions = [ROWS[name] for name in ("solve", "cholesky", "eigh")]

    def run() -> None:
        for k in range(CALLS):
            a.grad = b.grad = None
            functions[k % 3](lib, a, b).backward()

    return run


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, N))
    for dtype in (np.float64, np.float32):
        arrays = [(x @ x.T / N + np.eye(N)).astype(dtype), rng.normal(size=(N, N)).astype(dtype)]
        name = np.dtype(dtype).name
        print(line(f"solve, cholesky, eigh, {name}", ratio(together(tw, arrays), together(torch, arrays)), 1.0))
        for row, function in ROWS.items():
            found = ratio(work(tw, function, arrays), work(torch, function, arrays))
            print(line(f"  {row}, {name}", found))


if __name__ == "__main__":
    main()
