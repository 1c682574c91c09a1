"""LeNet trained on Fashion-MNIST, compiled and eager from the same start, and the time of an epoch beside PyTorch's.

    python -m benchmarks.lenet_epochs [--epochs 10] [--seeds 0] [--lr 0.05] [--every 1] [--threads 2] [--cpu] [--without-torch]

SGD with momentum 0.9, batches of 256, the rate going to 0 along a cosine; float32. All sides have the same start and see the same
batches in the same order, epoch by epoch in turn. Roundings differ, so the weights drift apart; what is asked is that the
accuracies do not: 0.3 points at most after the last epoch. Seconds are for the training of an epoch, without the test;
with --cpu they are processor seconds, which others at work on the machine disturb less.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import data, nn, optim

from .compiled import lenet_of, optional

BATCH = 256
torch = optional("torch")


def pictures(split: str, every: int) -> tuple[Any, Any]:
    """Return pictures between 0 and 1 and their labels."""
    table = data.fashion_mnist(split)
    x = np.ascontiguousarray(table.X[::every], np.float32).reshape(-1, 1, 28, 28)
    return x / 255 if x.max() > 2 else x, np.ascontiguousarray(table.y[::every], np.int64)


class Ours:
    """Training with this library, compiled or eager."""

    def __init__(self, start: list[Any], compiled: bool) -> None:
        self.name = "compiled" if compiled else "eager"
        self.model = lenet_of(nn)
        for p, value in zip(self.model.parameters(), start, strict=True):
            p._data[...] = value
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

        def step(x: Any, y: Any) -> Any:
            self.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            return loss

        self.step = tw.compile(step) if compiled else step

    def epoch(self, x: Any, y: Any, order: Any, lr: float) -> float:
        """Return the mean loss of one epoch."""
        self.optimizer.param_groups[0]["lr"] = lr
        return statistics.mean(float(self.step(tw.tensor(x[rows]), tw.tensor(y[rows])).item()) for rows in order)

    def accuracy(self, x: Any, y: Any) -> float:
        """Return the share of right answers."""
        with tw.no_grad():
            found = [self.model(tw.tensor(x[k : k + 1000])).numpy().argmax(1) for k in range(0, len(x), 1000)]
        return float((np.concatenate(found) == y).mean())


class Theirs:
    """The same training in PyTorch, eager."""

    name = "PyTorch"

    def __init__(self, start: list[Any]) -> None:
        self.model = lenet_of(torch.nn)
        with torch.no_grad():
            for p, value in zip(self.model.parameters(), start, strict=True):
                p.copy_(torch.tensor(value))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def epoch(self, x: Any, y: Any, order: Any, lr: float) -> float:
        """Return the mean loss of one epoch."""
        self.optimizer.param_groups[0]["lr"] = lr
        losses = []
        for rows in order:
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(torch.from_numpy(x[rows])), torch.from_numpy(y[rows]))
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return statistics.mean(losses)

    def accuracy(self, x: Any, y: Any) -> float:
        """Return the share of right answers."""
        with torch.no_grad():
            found = [self.model(torch.from_numpy(x[k : k + 1000])).numpy().argmax(1) for k in range(0, len(x), 1000)]
        return float((np.concatenate(found) == y).mean())


def train(seed: int, given: Any, train_data: tuple[Any, Any], test: tuple[Any, Any]) -> None:
    """Train all sides from one seed and print each epoch."""
    x, y = train_data
    tw.manual_seed(seed)
    start = [p.detach().numpy().copy() for p in lenet_of(nn).parameters()]
    sides: list[Any] = [Ours(start, True), Ours(start, False)]
    if torch is not None and not given.without_torch:
        sides.append(Theirs(start))
    rng = np.random.default_rng(seed)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for epoch in range(given.epochs):
        order = rng.permutation(len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH)
        lr = given.lr * (1 + math.cos(math.pi * epoch / given.epochs)) / 2
        shown, right = [], {}
        for side in sides:
            clock = time.process_time if given.cpu else time.perf_counter
            begun = clock()
            loss = side.epoch(x, y, order, lr)
            seconds[side.name].append(clock() - begun)
            right[side.name] = 100 * side.accuracy(*test)
            shown.append(f"{side.name}: loss {loss:.4f}, test {right[side.name]:.2f} %, {seconds[side.name][-1]:.1f} s")
        apart = abs(right["compiled"] - right["eager"])
        print(
            f"seed {seed}, epoch {epoch + 1}: {'; '.join(shown)}; compiled and eager {apart:.2f} points apart",
            flush=True,
        )
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    print(
        f"seed {seed}: an epoch takes {', '.join(f'{t:.1f} s {name}' for name, t in middle.items())} (medians); in the end "
        f"{apart:.2f} points apart, at most 0.3: {'holds' if apart <= 0.3 else 'MISSED'}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="LeNet on Fashion-MNIST, compiled, eager and in PyTorch.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--every", type=int, default=1, help="take every k-th picture")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--without-torch", action="store_true")
    given = parser.parse_args()
    tw.set_num_threads(given.threads)
    if torch is not None:
        torch.set_num_threads(given.threads)
    train_data, test = pictures("train", given.every), pictures("test", given.every)
    for seed in given.seeds:
        train(seed, given, train_data, test)


if __name__ == "__main__":
    main()
