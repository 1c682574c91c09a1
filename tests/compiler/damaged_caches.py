"""Damage copies of a cache of compiled code in a seeded way, and run a program on each, in a process of its own.

    python -m tests.compiler.damaged_caches [count] [seed]

prints how many of the processes ended badly or gave other numbers; tests run it with few copies.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import thalweg as tw
from thalweg.compiler.kernels import scalar

Damage = Callable[[Path, random.Random, list[Path]], None]


def workload() -> list[float]:
    """Return what a small program, a planned one and a loop of a planned one give; all from machine code."""
    tw.set_num_threads(2)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 9, 60)).astype(np.float32)
    weight = tw.tensor(rng.standard_normal((60, 50)).astype(np.float32))
    small = tw.compile(lambda x: (x * 3 + 1).sin().sum())
    large = tw.compile(lambda x: (x @ weight).tanh().mean())
    with tw.no_grad():
        found = [float(small(x[0, :2, :2])) for _ in range(2)] + [float(large(x[k])) for k in range(3)]
        return [*found, *large.loop(x[np.arange(6_000) % 6])[-3:].numpy().tolist()]


def _flip(path: Path, rng: random.Random, files: list[Path]) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 8, 200))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _swap(path: Path, rng: random.Random, files: list[Path]) -> None:
    other = rng.choice(files)
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def _folder(path: Path, rng: random.Random, files: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path, rng: random.Random, files: list[Path]) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def _pipe(path: Path, rng: random.Random, files: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Damage] = {
    "cut": lambda p, rng, _: p.write_bytes(p.read_bytes()[: rng.randrange(p.stat().st_size)]) and None,
    "flip": _flip,
    "swap": _swap,
    "empty": lambda p, rng, _: p.write_bytes(b"") and None,
    "rubbish": lambda p, rng, _: p.write_bytes(rng.randbytes(rng.randrange(1, 5000))) and None,
    "longer": lambda p, rng, _: p.write_bytes(p.read_bytes() + rng.randbytes(9)) and None,
    "gone": lambda p, rng, _: p.unlink(),
    "folder": _folder,
    "link": _link,
    "pipe": _pipe,
    "writable": lambda p, rng, _: p.chmod(0o666),
    "unreadable": lambda p, rng, _: p.chmod(0),
}


def in_child(folder: Path, want: list[float] | None) -> int:
    """Run the program on a cache in a child of this process; return its status: 0, 3 for other numbers, or a signal's."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 4
    try:
        os.environ["THALWEG_CACHE"] = str(folder)
        warnings.simplefilter("ignore")
        status = 0 if np.allclose(workload(), want if want is not None else plainly(), rtol=1e-5) else 3
    finally:
        os._exit(status)


def plainly() -> list[float]:
    """Return what the same program gives without the compiler."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 9, 60)).astype(np.float32)
    weight = rng.standard_normal((60, 50)).astype(np.float32)
    small, large = float(np.sin(x[0, :2, :2] * 3 + 1).sum()), [float(np.tanh(a @ weight).mean()) for a in x]
    return [small, small, *large[:3], *large[3:]]


def main(count: int, seed: int) -> int:
    """Damage `count` copies; return how many did not survive."""
    assert scalar.FAST  # Numba is imported here, once for all children
    want, bad = plainly(), 0
    with tempfile.TemporaryDirectory() as home:
        whole = Path(home) / "whole"
        if in_child(whole, want):
            raise RuntimeError("the program fails without any damage")
        rng = random.Random(seed)
        for k in range(count):
            copy = Path(home) / "copy"
            shutil.copytree(whole, copy)
            files = sorted((copy / "compiled").iterdir())
            kind = rng.choice(list(DAMAGES))
            path = rng.choice(files)
            DAMAGES[kind](path, rng, files)
            status = in_child(copy, want)
            if status or in_child(copy, want):
                bad += 1
                print(f"damage {k}: {kind} of {path.name}: status {status}", flush=True)
            shutil.rmtree(copy)
    print(f"damaged {count}, bad {bad}")
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500, int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
