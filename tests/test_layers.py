"""Imports go one way, and importing the library stays light: both are properties of the source, so tested as such."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg

ROOT = Path(thalweg.__file__).parent
ROOMS = {
    "errors": 0, "_typing": 0, "typing": 0,
    "core": 1,
    "ops": 2,
    "autograd": 3, "func": 3, "linalg": 3, "serialization": 3,
    "optim": 4, "minimize": 4, "nn": 4, "constraints": 4, "analysis": 4, "compiler": 4, "data": 4, "utils": 4,
    "problems": 5,
    "lab": 6,
    "cli": 7,
}  # fmt: skip

# Lazy imports at a call that go upwards or sideways, each with the reason it needs.
ALLOWED = {
    ("ops", "compiler"): "eager convolutions and large optimizer steps use the compiler's kernels where they win",
    ("optim", "compiler"): "large optimizer steps use the compiler's kernels where they win",
    ("nn", "compiler"): "eager convolutions use the compiler's kernels where they win",
    ("minimize", "compiler"): "paths that differ only in numbers run side by side",
    ("autograd", "utils"): "checkpointing is public under both names",
    ("minimize", "constraints"): "projected and penalty methods",
    ("constraints", "minimize"): "augmented Lagrangian rounds are minimizations",
    ("analysis", "minimize"): "critical points are found by minimization",
    ("analysis", "optim"): "stability limits are found by running the methods",
    ("analysis", "nn"): "reports per layer of a module",
    ("optim", "nn"): "averaged models are modules",
    ("compiler", "optim"): "hyperparameters of optimizers are inputs of a captured step",
    ("compiler", "nn"): "parameters of modules are state of a captured step",
}


def imports():
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = parts[0]
        package = ["thalweg", *parts[:-1]]
        tree = ast.parse(path.read_text())
        top = {id(n) for n in tree.body}
        typing_only = {
            id(n)
            for b in ast.walk(tree)
            if isinstance(b, ast.If) and "TYPE_CHECKING" in ast.dump(b.test)
            for n in ast.walk(b)
        }
        for node in ast.walk(tree):
            if id(node) in typing_only:
                continue
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                names = [*base, *(node.module.split(".") if node.module else [])]
                targets = [[*names, a.name] for a in node.names] if names == ["thalweg"] else [names]
            elif isinstance(node, ast.Import):
                targets = [a.name.split(".") for a in node.names]
            else:
                continue
            for target in targets:
                if target[0] == "thalweg" and len(target) > 1:
                    yield path, node.lineno, room, target[1], id(node) in top


def test_imports_go_downwards():
    wrong = []
    for path, line, room, target, at_top in imports():
        if room in ("__init__", "__main__") or target == room or target not in ROOMS:
            continue
        if {room, target} == {"autograd", "func"}:
            continue  # one room: transforms of functions, and gradients of results
        assert room in ROOMS, f"{path} lies in a room that the picture does not know"
        if ROOMS[target] < ROOMS[room]:
            continue
        if (room, target) in ALLOWED and not (at_top and ROOMS[target] > ROOMS[room]):
            continue
        wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["scipy", "numba", "matplotlib", "sklearn", "click", "rich"])
def test_import_is_light(name):
    code = f"import sys, thalweg; sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_the_compiler_imports_numba_and_only_plots_import_matplotlib():
    homes = {"numba": ("compiler",), "matplotlib": ("lab",)}
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                top = name.split(".")[0]
                if top in homes and room not in homes[top]:
                    wrong.append(f"{path}:{node.lineno} imports {top}")
    assert not wrong, "\n".join(wrong)


def test_core_knows_no_operation():
    for path, line, room, target, _ in imports():
        if room == "core":
            assert target in ("core", "errors"), f"{path}:{line} imports {target}"
