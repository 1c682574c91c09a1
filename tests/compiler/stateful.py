"""Small random programs that carry state in Python, and what changes between their calls; for comparison with eager."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import nn, optim

SETUP = """
class Box:
    kind = 2.0
    def __init__(self):
        self.lam = 0.5; self.n = 0; self.h = T([0.5, 0.5]); self.log = []; self.deep = {"a": [1.0, 2.0]}
    @property
    def rate(self):
        return self.lam * 2
    def scaled(self, x):
        return x * self.lam + self.kind
class Slotted:
    __slots__ = ("v",)
class Dynamic:
    def __init__(self): self.store = {"z": 1.5}
    def __getattr__(self, name): return self.__dict__["store"][name]
class Net(nn.Module):
    def __init__(self):
        super().__init__(); self.inner = nn.Linear(2, 2, dtype=F); self.gain = 1.0; self.calls = 0
    def forward(self, x): return self.inner(x) * self.gain
def helper(x, scale=[1.0]): return x * scale[0] + G
G = 1.0; W = T([1.0, 2.0]); box = Box(); slot = Slotted(); slot.v = 2.0; dyn = Dynamic()
items = [1.0, T([1.0, -1.0]), 3]; table = {"p": 2, "w": T([2.0, 1.0])}; array = np.array([1.0, 2.0])
net = Net(); drop = nn.Sequential(nn.LeakyReLU(0.1), nn.Dropout(0.0)); norm = nn.LayerNorm(2, dtype=F)
theta = T([1.0, -1.0]).requires_grad_(True); opt = optim.SGD([theta], lr=0.1, momentum=0.5)
rng = random.Random(3); nrng = np.random.RandomState(2); ticks = iter(range(1, 1000)); flags = {1}; seen = []
"""
READS = (
    "x = x * G", "x = x + helper(x)", "x = x * box.lam", "x = box.scaled(x)", "x = x * box.rate", "x = x + box.h",
    "x = x * slot.v", "x = x * dyn.z", "x = x * items[0]", "x = x + items[1]", "x = x + sum(i for i in items if type(i) is int)",
    "x = x * len(items)", "x = x ** table['p']", "x = x * table['w']", "x = x + tw.tensor(array)", "x = x * float(array[0])",
    "x = x * box.deep['a'][1]", "x = x if G < 2 else -x", "x = x * cell", "x = x * fixed[0]", "x = net(x)", "x = drop(x)",
    "x = norm(x)", "x = x * getattr(box, 'l' + 'am')", "x = x * W", "x = x + len(flags)", "x = x - nn.functional.relu(x) * box.n",
    "for k in range(table['p']): x = x + k", "x = x * sum(box.deep['a'])", "x = x * opt.param_groups[0]['lr']",
    "opt.zero_grad(); ((theta * x.detach()) ** 2).sum().backward(); opt.step(); x = x + theta.detach()",
)  # fmt: skip
STORES = (
    "box.n += 1; x = x * box.n", "box.h = box.h * 0.5 + x.detach(); x = x + box.h", "seen.append(x.detach()); x = x + seen[0]",
    "items[0] += 1", "table['q'] = table.get('q', 0) + 1; x = x * table['q']", "nonlocal cell; cell = cell + 1; x = x * cell",
    "global G; G = G + 1; x = x * G", "x = x * next(ticks)", "x = x * rng.random()", "x = x + float(nrng.rand())", "net.calls += 1",
    "array[0] += 1", "flags.add(len(flags) + 5)", "box.log += [1]; x = x * len(box.log)", "items[1] = items[1] + x.detach()",
    "opt.param_groups[0]['lr'] = 0.2", "x = -x if x.sum() > 0 else x", "box.deep['a'].reverse()", "slot.v = slot.v + 1",
    "fixed[0] = fixed[0] * 2", "x = x * random.random()", "dyn.store['z'] += 1", "opt.state.clear()", "setattr(box, 'lam', box.lam + 1)",
)  # fmt: skip
CHANGES = (
    "pass", "global G; G = {v}", "box.lam = {v}", "Box.kind = {v}", "box.h = T([{v}, 1.0])", "slot.v = {v}", "dyn.store['z'] = {v}",
    "items[0] = {v}", "items.append({i})", "items.pop()", "table['p'] = {i}", "table['w'] = T([{v}, 3.0])", "array[:] = {v}",
    "box.deep['a'][1] = {v}", "helper.__defaults__[0][0] = {v}", "helper.__defaults__ = ([{v}],)", "global helper; helper = lambda x: x * {v}",
    "cells(c={v})", "net.gain = {v}", "net.inner = nn.Linear(2, 2, dtype=F)", "net.forward = lambda x: x * {v}", "drop.eval()",
    "drop[0].negative_slope = {v}", "drop[1].p = 1.0", "norm.eps = {v}", "global W; W = T([{v}, {v}])", "W.add_({v})", "flags.add({i})",
    "net.register_forward_hook(lambda m, a, o: o * {v})", "opt.param_groups[0]['lr'] = {v}", "opt.state.clear()", "box.n = {i}",
    "opt.param_groups[0]['momentum'] = 0.0", "theta.requires_grad_(False)", "opt.register_step_post_hook(lambda *a: theta.data.fill_({v}))",
    "box.deep = {{'a': [{v}, {v}]}}", "net.__dict__['gain'] = {v}", "G = 1", "Box.scaled = lambda s, x: x * {v}", "box.scaled = lambda x: x * {v}",
    "theta.register_hook(lambda g: g * {v})", "nn.init.constant_(net.inner.weight, {v})",
)  # fmt: skip


def program(seed: int, stores: bool | None = None) -> tuple[str, list[str]]:
    """Return the source of one program and what is done after each of its calls."""
    draw = random.Random(seed)
    lines = draw.sample(READS, draw.randint(1, 4))
    if draw.random() < 0.4 if stores is None else stores:
        lines += draw.sample(STORES, draw.randint(1, 2))
    draw.shuffle(lines)
    declared = [p for line in lines for p in line.split("; ") if p.startswith(("global", "nonlocal"))]
    body = [p for line in lines for p in ([line] if line.startswith("for") else line.split("; ")) if p not in declared]
    source = SETUP + "def make():\n    cell = 1.5; fixed = [2.0]\n    def step(x):\n        "
    source += "\n        ".join([*declared, *body, "return x"])
    source += "\n    def cells(c):\n        nonlocal cell\n        cell = c; fixed[0] = c\n    return step, cells\nstep, cells = make()\n"
    changes = [
        draw.choice(CHANGES).format(v=draw.choice((0.5, -1.0, 2.0, 3.0, 0.0)), i=draw.randint(1, 4)) for _ in range(5)
    ]
    return source, changes


def outcome(source: str, changes: Iterable[str], compiled: bool) -> list[Any]:
    """Return what the calls of a program return, or how one fails."""
    tw.manual_seed(0)
    random.seed(0)
    space: dict[str, Any] = {"tw": tw, "nn": nn, "optim": optim, "np": np, "random": random, "F": tw.float64}
    space["T"] = lambda v: tw.tensor(v, dtype=tw.float64)
    exec(source, space)
    step = tw.compile(space["step"]) if compiled else space["step"]
    x, found = space["T"]([0.5, -1.5]), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for change in ["pass", *changes]:
            try:
                exec(f"def change():\n    {change}\nchange()", space)
                found.append(step(x).detach().numpy().copy())
            except Exception as error:  # noqa: BLE001  (eager and compiled must fail alike)
                found.append(type(error).__name__)
    return found


def differs(seed: int, stores: bool | None = None) -> str | None:
    """Return a runnable account of a program whose compiled results are not the eager ones, or None."""
    source, changes = program(seed, stores)
    want, got = outcome(source, changes, False), outcome(source, changes, True)
    for k, (a, b) in enumerate(zip(want, got, strict=True)):
        same = a == b if isinstance(a, str) or isinstance(b, str) else np.allclose(a, b, rtol=1e-9, equal_nan=True)
        if not same:
            body = source.split("def step(x):")[1].split("def cells")[0]
            return f"seed {seed}, call {k}, after {changes[:k]}:\n{body}\neager {a}\ncompiled {b}"
    return None
