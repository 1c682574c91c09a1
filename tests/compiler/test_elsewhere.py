"""What only one system or processor has may be absent: the results are the same, and nothing is said about it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from thalweg.compiler import team, threads
from thalweg.compiler.team import Team

pytest.importorskip("numba")

# What Windows, macOS or a small Linux lacks; taken away before the library is imported.
WITHOUT = {
    "as here": "",
    "placement": "for name in ('sched_setaffinity', 'sched_getaffinity'): vars(os).pop(name, None)",
    "symbols of the process": "import ctypes\nfor kind in (ctypes.CDLL, ctypes.PyDLL): kind.__init__ = named(kind.__init__)",
    "users and forks": "for name in ('geteuid', 'fork', 'register_at_fork', 'link', 'fchmod', 'O_NOFOLLOW', "
    "'O_NONBLOCK', 'O_CLOEXEC'): vars(os).pop(name, None)",
    "fast signals": "import signal\nsys.modules['_signal'] = None",
    "a BLAS that can be called": "from pathlib import Path\nPath.glob = lambda self, pattern: iter(())",
    "vectors": "import llvmlite.binding as llvm\nllvm.get_host_cpu_name = lambda: 'x86-64'\n"
    "llvm.get_host_cpu_features = lambda: type('Features', (), {'flatten': lambda self: ''})()",
}
PROGRAM = """
import json, os, sys
def named(plain):
    def init(self, name, *args, **more):
        if name is None:
            raise TypeError("a name of a library is required")
        plain(self, name, *args, **more)
    return init
{without}
import numpy as np, thalweg as tw
from thalweg import nn, optim
tw.set_num_threads(3)
tw.manual_seed(0)
rng = np.random.default_rng(0)
found = []
def trained(model, x, y, calls):
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    @tw.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    found.extend(step(x, y).item() for _ in range(calls))
    return step
x, y = rng.standard_normal((96, 64)).astype(np.float32), rng.integers(0, 10, 96)
trained(nn.Sequential(nn.Linear(64, 80), nn.Tanh(), nn.Linear(80, 10)), x, y, 5)
pictures = rng.standard_normal((32, 1, 20, 20)).astype(np.float32)
trained(nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)), pictures, y[:32], 4)
small = trained(nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 3)), x[:4, :3], y[:4] % 3, 3)
many = np.repeat(x[None, :4, :3], 20, 0), np.repeat(y[None, :4] % 3, 20, 0)
found.append(small.loop(*many).numpy()[-1].item())
found.extend(small.sweep(*many, lr=[0.1, 0.2, 0.3]).outputs.numpy()[:, -1].tolist())
large = tw.tensor(rng.standard_normal((600, 200)).astype(np.float32))
found.append(large.softmax(1).square().sum().item())
found.append(large.exp().cumsum(0).sum().item())
print(json.dumps(found))
"""


def numbers(case: str, folder: Path) -> list[float]:
    """Return what the program gives where something is missing; nothing else may be printed."""
    env = {**os.environ, "THALWEG_CACHE": str(folder), "PYTHONWARNINGS": "default"}
    if case == "vectors":
        env |= {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": ""}
    program = PROGRAM.replace("{without}", WITHOUT[case])
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    found: list[float] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all but those that compile other code."""
    return tmp_path_factory.mktemp("cache") / "all"


ALL = "all of these at once"
WITHOUT[ALL] = "\n".join(code for case, code in WITHOUT.items() if case != "vectors")
SINGLE = [pytest.param(case, marks=pytest.mark.slow) for case in WITHOUT if case not in ("as here", ALL)]


@pytest.mark.parametrize("case", [ALL, *SINGLE])
def test_the_results_are_the_same(case: str, shared: Path, tmp_path: Path) -> None:
    if case == "vectors" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("another processor")
    want = numbers("as here", shared)
    found = numbers(case, tmp_path / "own" if case in ("vectors", "users and forks", ALL) else shared)
    np.testing.assert_allclose(found, want, rtol=2e-4)


def test_a_team_without_placement_and_without_a_way_to_offer_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> None:
        raise TypeError("no such library")

    monkeypatch.setattr(team.ctypes, "CDLL", missing)
    monkeypatch.setattr(team.ctypes, "PyDLL", missing)
    assert team._processor() is None
    assert team._offer() == 0
    monkeypatch.delattr(team.os, "sched_setaffinity", raising=False)
    monkeypatch.delattr(team.os, "sched_getaffinity", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert threads._available() == (os.cpu_count() or 1)
    made = Team(2)
    assert made.allowed == set()
    done = np.zeros(100, np.int64)

    def work(first: int, last: int) -> None:
        done[first:last] += 1

    for _ in range(50):
        made.run(work, 100, 7)
    made.leave()
    assert (done == 50).all()


TARGETS = """
import json, sys
import llvmlite.binding as llvm
import numpy as np, thalweg as tw
from thalweg import nn, optim
from thalweg.compiler import machine

host, texts = machine._target, []

class Noted:
    def __init__(self, target):
        self.target, self.target_data = target, target.target_data
    def emit_object(self, module):
        texts.append(str(module))
        return self.target.emit_object(module)

engine = machine.engine()
machine._target = lambda: Noted(host())
tw.set_num_threads(2)
model = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimizer = optim.Adam(model.parameters())

@tw.compile
def step(x, y):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss

x = np.ones((32, 1, 20, 20), np.float32)
for _ in range(2):
    step(x, np.arange(32) % 10)
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
sizes = {}
for triple, processor in json.loads(sys.argv[1]):
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:  # this LLVM was built without it
        continue
    made = target.create_target_machine(cpu=processor, features="", opt=3, reloc="default", codemodel="jitdefault")
    for text in texts:
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = triple, str(made.target_data)
        sizes.setdefault(triple, []).append(len(made.emit_object(module)))
print(json.dumps(sizes))
"""
TRIPLES = [
    ("x86_64-unknown-linux-gnu", "x86-64"), ("aarch64-unknown-linux-gnu", "generic"), ("arm64-apple-macosx13.0", "apple-m1"),
    ("x86_64-apple-macosx13.0", "x86-64"), ("x86_64-pc-windows-msvc", "x86-64"),
]  # fmt: skip


def test_machine_code_is_made_for_processors_and_systems_that_are_not_here(tmp_path: Path) -> None:
    env = {**os.environ, "THALWEG_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", TARGETS, json.dumps(TRIPLES)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sizes = json.loads(done.stdout)
    count = max(map(len, sizes.values()))
    assert count >= 5
    assert all(len(of) == count and min(of) > 100 for of in sizes.values()), sizes


MISSING = """
import ctypes, sys
import llvmlite.binding as llvm
import numpy as np, thalweg as tw
from thalweg.compiler import machine, runtime
machine.engine()
for name, real in (("__powisf2", ctypes.c_float), ("__powidf2", ctypes.c_double)):
    power = ctypes.CFUNCTYPE(real, real, ctypes.c_int)(llvm.address_of_symbol(name))
    for x in (-1.5, 0.0, 1.0, 2.0, np.inf):
        for k in (-31, -2, -1, 0, 1, 2, 3, 7, 30):
            with np.errstate(all="ignore"):
                want = np.array(x, real) ** k
            assert np.isclose(power(x, k), want, rtol=1e-6), (name, x, k, power(x, k), want)
for size in (3, 5000):
    for kind in (tw.float32, tw.float64):
        for whole in (tw.bool, tw.int32):
            for fn in (lambda x, k: x**k, tw.float_power):
                fast, x, k = tw.compile(fn), tw.full((size,), 1.5, dtype=kind), tw.ones(size, dtype=whole)
                with tw.no_grad():
                    fast(x, k)
                    assert np.array_equal(fast(x, k).numpy(), fn(x, k).numpy())
"""


def test_functions_that_llvm_calls_by_itself_are_there(tmp_path: Path) -> None:
    env = {**os.environ, "THALWEG_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", MISSING], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
