"""The compiled step, loop and sweep against PyTorch and JAX: `python benchmarks/compiled.py [name …]`.

All sides of a row alternate in one process, several rounds; the figure of each is its median, the spread the
quartiles of the rounds' ratios. Beside PyTorch there is a pause before each side, since its threads wait busily for some
milliseconds after their work and would take a processor from the side that follows; the first call after the pause is
not counted. Rows whose other side is not installed are left out and named.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import nn, optim

ROUNDS = 15
PAUSE = 0.03


def alternate(sides: dict[str, Callable[[], Any]], each: int = 1, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Return the seconds per call of every side, round by round."""
    for run in sides.values():
        run()
        run()
    found: dict[str, list[float]] = {name: [] for name in sides}
    spins = any("orch" in name for name in sides)
    for _ in range(rounds):
        for name, run in sides.items():
            times = []
            if spins:
                time.sleep(PAUSE)
                run()
            for _ in range(each):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
            found[name].append(statistics.median(times))
    return found


def row(title: str, found: dict[str, list[float]], limit: float, ours: str = "thalweg") -> None:
    """Print one row: medians, the ratio to the fastest other side, and its quartiles."""
    medians = {name: statistics.median(times) for name, times in found.items()}
    others = {name: t for name, t in medians.items() if name != ours}
    best = min(others, key=lambda name: others[name])
    ratios = sorted(a / b for a, b in zip(found[ours], found[best], strict=True))
    quarter = len(ratios) // 4
    shown = ", ".join(f"{name} {seconds(t)}" for name, t in medians.items())
    ratio = statistics.median(ratios)
    mark = "holds" if ratio <= limit else "MISSED"
    print(
        f"{title}\n    {shown}\n    {ratio:.3f}× {best} [{ratios[quarter]:.3f}, {ratios[-1 - quarter]:.3f}], "
        f"at most {limit}: {mark}",
        flush=True,
    )


def seconds(t: float) -> str:
    """Return a time with a fitting unit."""
    return f"{t * 1e6:.1f} µs" if t < 1e-3 else f"{t * 1e3:.2f} ms" if t < 1 else f"{t:.2f} s"


def optional(name: str) -> Any:
    """Return a module, or None."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, jax = optional("torch"), optional("jax")


# Linear regression


def regression_data() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 5)).astype(np.float32)
    y = (x @ np.arange(5, dtype=np.float32)[:, None] + 0.1 * rng.standard_normal((1500, 1))).astype(np.float32)
    return x, y, rng.permutation(1500).reshape(150, 10)


def regression_step() -> Any:
    w = tw.zeros(5, 1, requires_grad=True)
    b = tw.zeros(1, requires_grad=True)
    optimizer = optim.Adam([w, b], lr=0.05)

    @tw.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = ((x @ w + b - y) ** 2).mean() / 2
        loss.backward()
        optimizer.step()
        return loss

    return step


def jax_loop(loss_of: Any) -> Any:
    """Return training by Adam, the loop in one scan."""
    jnp = jax.numpy

    def train(p: Any, x: Any, y: Any, order: Any, lr: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, p)

        def body(carry: Any, rows: Any) -> Any:
            p, m, v, t = carry
            loss, g = jax.value_and_grad(loss_of)(p, x[rows], y[rows])
            t = t + 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            p = jax.tree.map(
                lambda p, m, v: p - lr * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v
            )
            return (p, m, v, t), loss

        return jax.lax.scan(body, (p, zeros, zeros, 0.0), order)

    return train


def jax_training() -> Any:
    jnp = jax.numpy

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return ((x @ p[0] + p[1] - y) ** 2).mean() / 2

    return jax_loop(loss_of), (jnp.zeros((5, 1)), jnp.zeros(1))


def regression_loop() -> None:
    x, y, order = regression_data()
    step = regression_step()
    sides: dict[str, Callable[[], Any]] = {"thalweg": lambda: step.loop(x, y, order=order)}
    if jax is not None:
        train, p = jax_training()
        fast = jax.jit(train)
        given = [jax.numpy.asarray(a) for a in (x, y, order)]
        sides["JAX scan"] = lambda: jax.block_until_ready(fast(p, *given, 0.05))
    found = alternate(sides, each=20)
    row("linear regression 1500×5, batch 10, Adam, one epoch", found, 0.25)
    if torch is not None:
        torch.set_num_threads(2)
        tx, ty, rows = torch.tensor(x), torch.tensor(y), torch.tensor(order)
        w, b = torch.zeros(5, 1, requires_grad=True), torch.zeros(1, requires_grad=True)
        opt = torch.optim.Adam([w, b], lr=0.05)

        def eager() -> None:
            for k in range(len(rows)):
                opt.zero_grad()
                loss = ((tx[rows[k]] @ w + b - ty[rows[k]]) ** 2).mean() / 2
                loss.backward()
                opt.step()

        row(
            "    the same against PyTorch eager",
            alternate({"thalweg": sides["thalweg"], "PyTorch": eager}, each=5, rounds=5),
            0.003,
        )


def regression_sweep(own: bool) -> None:
    x, y, order = regression_data()
    rng = np.random.default_rng(1)
    lrs = np.geomspace(1e-3, 0.3, 400)
    two = np.concatenate([order, order])
    if own:
        two = np.stack([np.concatenate([rng.permutation(1500).reshape(150, 10) for _ in range(2)]) for _ in range(400)])
    step = regression_step()
    sides: dict[str, Callable[[], Any]] = {"thalweg": lambda: step.sweep(x, y, order=two, lr=lrs)}
    if jax is not None:
        train, p = jax_training()
        fast = jax.jit(jax.vmap(train, (None, None, None, 0 if own else None, 0)))
        given = [jax.numpy.asarray(a) for a in (x, y, two, lrs)]
        sides["JAX vmap of scan"] = lambda: jax.block_until_ready(fast(p, *given))
    what = "an order per run" if own else "a shared order"
    row(f"400 such trainings of two epochs, {what}", alternate(sides, each=5), 0.4)


def network_sweep() -> None:
    """Sweep small networks: too large to be written out element by element, too small for calls from Python."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1500, 10)).astype(np.float32), rng.integers(0, 3, 1500)
    order = np.concatenate([rng.permutation(1500).reshape(30, 50) for _ in range(4)])
    rates = np.geomspace(1e-4, 1e-1, 64)
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 3))
    step = tw.compile(network_step(model, optim.Adam(model.parameters()), nn.functional.cross_entropy))
    sides: dict[str, Callable[[], Any]] = {"thalweg": lambda: step.sweep(x, y, order=order, lr=rates)}
    if jax is not None:
        jnp = jax.numpy
        p = [jnp.asarray(q.detach().numpy()) for q in model.parameters()]

        def loss_of(p: Any, x: Any, y: Any) -> Any:
            z = x
            for k in range(0, len(p), 2):
                z = z @ p[k].T + p[k + 1]
                z = jnp.tanh(z) if k + 2 < len(p) else z
            return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()

        fast = jax.jit(jax.vmap(jax_loop(loss_of), (None, None, None, None, 0)))
        given = [jnp.asarray(a) for a in (x, y, order, rates)]
        sides["JAX vmap of scan"] = lambda: jax.block_until_ready(fast(p, *given))
    row("64 trainings of a perceptron 10-32-32-3, batch 50, Adam, 120 steps", alternate(sides, each=1), 1.0)


# Networks


def lenet_of(kit: Any) -> Any:
    return kit.Sequential(
        kit.Conv2d(1, 6, 5), kit.ReLU(), kit.MaxPool2d(2), kit.Conv2d(6, 16, 5), kit.ReLU(), kit.MaxPool2d(2), kit.Flatten(),
        kit.Linear(256, 120), kit.ReLU(), kit.Linear(120, 84), kit.ReLU(), kit.Linear(84, 10),
    )  # fmt: skip


def network_step(model: Any, optimizer: Any, loss_of: Any) -> Any:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def images(shape: tuple[int, ...]) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(shape).astype(np.float32), rng.integers(0, 10, shape[0])


def lenet(threads: int) -> None:
    x, y = images((256, 1, 28, 28))
    tw.set_num_threads(threads)
    model = lenet_of(nn)
    step = tw.compile(network_step(model, optim.SGD(model.parameters(), lr=0.05), nn.functional.cross_entropy))
    sides: dict[str, Callable[[], Any]] = {"thalweg": lambda: step(x, y)}
    missing = ""
    if torch is not None:
        torch.set_num_threads(threads)
        tx, ty = torch.tensor(x), torch.tensor(y)

        def torch_side(compiled: bool) -> Callable[[], Any]:
            theirs = lenet_of(torch.nn)
            loss_of = lambda scores, y: torch.nn.functional.cross_entropy(scores, y)
            whole = torch.compile(lambda x, y: loss_of(theirs(x), y)) if compiled else None
            opt = torch.optim.SGD(theirs.parameters(), lr=0.05)

            def run() -> Any:
                opt.zero_grad()
                loss = whole(tx, ty) if whole is not None else loss_of(theirs(tx), ty)
                loss.backward()
                opt.step()
                return loss

            return run

        sides["PyTorch"] = torch_side(False)
        if any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
            sides["torch.compile"] = torch_side(True)
        else:
            missing = "\n    torch.compile: not measured, no C++ compiler"
    found = alternate(sides, each=5)
    row(f"LeNet, batch 256, SGD, {threads} thread{'s' * (threads > 1)}{missing}", found, 0.35)
    t = statistics.median(found["thalweg"])
    work, moved = lenet_work(256)
    print(
        f"    {work / t / 1e9:.0f} Gflop/s of {matmul_rate(threads):.0f} Gflop/s that a product of matrices reaches\n"
        f"    {moved / t / 1e9:.1f} GB/s of {copy_rate():.1f} GB/s that copying reaches, if each activation and each gradient "
        "of one is written and read once"
    )
    tw.set_num_threads(2)


def lenet_work(batch: int) -> tuple[float, float]:
    """Return the floating-point operations and the bytes of activations of one training step of LeNet.

    A layer multiplies once for its output, once for the gradient of its weights and once for that of its input, which
    the first one does not need; each multiplication comes with an addition.
    """
    first, others = 6 * 25 * 24 * 24, (16 * 6 * 25 * 8 * 8, 256 * 120, 120 * 84, 84 * 10)
    elements = 28 * 28 + 6 * 24 * 24 + 6 * 12 * 12 + 16 * 8 * 8 + 16 * 4 * 4 + 120 + 84 + 10
    return 2 * batch * (2 * first + 3 * sum(others)), batch * elements * 4 * 4


def perceptron() -> None:
    x, y = images((256, 784))
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    step = tw.compile(network_step(model, optim.Adam(model.parameters()), nn.functional.cross_entropy))
    sides: dict[str, Callable[[], Any]] = {"thalweg": lambda: step(x, y)}
    if torch is not None:
        torch.set_num_threads(2)
        kit = torch.nn
        theirs = kit.Sequential(kit.Linear(784, 256), kit.ReLU(), kit.Linear(256, 10))
        eager = network_step(theirs, torch.optim.Adam(theirs.parameters()), kit.functional.cross_entropy)
        tx, ty = torch.tensor(x), torch.tensor(y)
        sides["PyTorch"] = lambda: eager(tx, ty)
    if jax is not None:
        sides["JAX"] = jax_perceptron(x, y)
    row("perceptron 784-256-10, batch 256, Adam", alternate(sides, each=10), 0.6)


def jax_perceptron(x: Any, y: Any) -> Callable[[], Any]:
    jnp = jax.numpy
    rng = np.random.default_rng(0)
    shapes = ((784, 256), (256,), (256, 10), (10,))
    p = [jnp.asarray(rng.standard_normal(s).astype(np.float32) * 0.03) for s in shapes]

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        z = jnp.maximum(x @ p[0] + p[1], 0) @ p[2] + p[3]
        return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()

    def one(state: Any, x: Any, y: Any) -> Any:
        p, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(p, x, y)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        p = jax.tree.map(lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), p, m, v)
        return (p, m, v, t), loss

    fast = jax.jit(one, donate_argnums=0)
    zeros = lambda: [jnp.zeros(s) for s in shapes]
    held = [(p, zeros(), zeros(), 0.0)]
    jx, jy = jnp.asarray(x), jnp.asarray(y)

    def run() -> None:
        held[0], loss = fast(held[0], jx, jy)
        jax.block_until_ready((held[0], loss))

    return run


def large_adam() -> None:
    n = 8_000_000
    g = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    p = tw.tensor(g, requires_grad=True)
    optimizer = optim.Adam([p])
    p.grad = tw.tensor(g)

    @tw.compile
    def step() -> None:
        optimizer.step()

    sides: dict[str, Callable[[], Any]] = {"thalweg": step}
    if torch is not None:
        torch.set_num_threads(2)
        q = torch.tensor(g, requires_grad=True)
        q.grad = torch.tensor(g)
        sides["PyTorch fused"] = torch.optim.Adam([q], fused=True).step
    found = alternate(sides, each=3)
    row("one Adam step over 8 million float32", found, 1.0)
    rate = 7 * 4 * n / statistics.median(found["thalweg"]) / 1e9
    print(
        f"    {rate:.1f} GB/s of {update_rate():.1f} GB/s that additions alone reach over the same memory (four arrays read, "
        f"three of them written in place), and of {copy_rate():.1f} GB/s that copying reaches"
    )


# Paths of optimizers


def paths() -> None:
    makers = (
        lambda p: optim.SGD(p, lr=0.05), lambda p: optim.SGD(p, lr=0.05, momentum=0.9), lambda p: optim.Adagrad(p, lr=0.5),
        lambda p: optim.RMSprop(p, lr=0.05), lambda p: optim.Adam(p, lr=0.3),
    )  # fmt: skip
    points = [tw.tensor([-5.0, -2.0], requires_grad=True) for _ in makers]
    optimizers = [make([p]) for make, p in zip(makers, points, strict=True)]

    @tw.compile
    def step() -> Any:
        for p, optimizer in zip(points, optimizers, strict=True):
            optimizer.zero_grad()
            (0.1 * p[0] ** 2 + 2 * p[1] ** 2).backward()
            optimizer.step()
        return tw.stack(points)

    found = alternate({"thalweg": lambda: step.loop(steps=20)}, each=20)
    t = statistics.median(found["thalweg"]) / len(makers)
    print(
        f"20-step paths of five optimizers\n    {seconds(t)} a path, at most 50 µs: {'holds' if t < 50e-6 else 'MISSED'}"
    )


# What the machine can do


def matmul_rate(threads: int) -> float:
    from thalweg.compiler.threads import blas_threads

    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    before = blas_threads(threads)
    times = alternate({"product": lambda: a @ a}, each=3, rounds=5)["product"]
    blas_threads(before or threads)
    return 2 * 1.024**3 / min(times)


def copy_rate() -> float:
    from thalweg.compiler.threads import run_parts

    a = np.ones(8_000_000, np.float32)
    b = np.empty_like(a)
    copy = lambda: run_parts(lambda i, j: np.copyto(b[i:j], a[i:j]), len(a))
    return 2 * a.nbytes / min(alternate({"copy": copy}, each=3, rounds=5)["copy"]) / 1e9


def update_rate() -> float:
    """Return the bytes per second of the cheapest loop that reads four arrays and writes three of them."""
    import numba

    from thalweg.compiler.threads import run_parts

    @numba.njit(nogil=True)
    def add(g: Any, p: Any, m: Any, v: Any, first: int, last: int) -> None:
        g, p, m, v = g[first:last], p[first:last], m[first:last], v[first:last]
        for j in range(len(p)):
            p[j] += g[j]
            m[j] += g[j]
            v[j] += g[j]

    n = 8_000_000
    arrays = [np.ones(n, np.float32) for _ in range(4)]
    update = lambda: run_parts(lambda i, j: add(*arrays, i, j), n)
    return 7 * 4 * n / min(alternate({"update": update}, each=3, rounds=5)["update"]) / 1e9


def first_calls() -> None:
    """Time the first call of the compiled LeNet step in fresh processes: an empty cache, then a filled one."""
    import subprocess
    import tempfile

    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import compiled as c; x, y = c.images((256, 1, 28, 28)); m = c.lenet_of(c.nn);"
        "s = c.tw.compile(c.network_step(m, c.optim.SGD(m.parameters(), lr=0.05), c.nn.functional.cross_entropy));"
        "t = time.perf_counter(); s(x, y); print(time.perf_counter() - t)"
    )
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for _ in range(2):
            env = {**os.environ, "THALWEG_CACHE": folder, "NUMBA_CACHE_DIR": folder + "/numba"}
            done = subprocess.run(
                [sys.executable, "-c", code, os.path.dirname(os.path.abspath(__file__))],
                env=env,
                capture_output=True,
                text=True,
                check=True,
            )
            times.append(float(done.stdout))
    print(
        f"first call of the LeNet step\n    cold {seconds(times[0])} (at most 10 s), from the disk {seconds(times[1])} (at most 1 s)"
    )


ROWS: dict[str, Callable[[], None]] = {
    "loop": regression_loop,
    "sweep": lambda: regression_sweep(False),
    "orders": lambda: regression_sweep(True),
    "networks": network_sweep,
    "lenet": lambda: lenet(2),
    "lenet1": lambda: lenet(1),
    "perceptron": perceptron,
    "adam": large_adam,
    "paths": paths,
    "first": first_calls,
}


def main() -> None:
    missing = [name for name, module in (("PyTorch", torch), ("JAX", jax)) if module is None]
    if missing:
        print(f"not installed, hence left out: {', '.join(missing)}")
    for name in sys.argv[1:] or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main()
