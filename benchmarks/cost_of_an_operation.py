"""How many lines an operation costs, counted on the sources: `python benchmarks/cost_of_an_operation.py`.

Lines of code: without blank lines, comments and docstrings. What an operation shares with others is counted once more
for each, in a column of its own.
"""

from __future__ import annotations

import ast
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "src" / "thalweg"

# operation: {part: {file: definitions}}
PARTS: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {
    "exp": {
        "definition": {"ops/pointwise.py": ("_exp",)},
        "public": {"ops/pointwise.py": ("exp",)},
    },
    "matmul": {
        "definition": {"ops/products.py": ("_mm", "_mv", "_outer", "_dot", "_bmm")},
        "public": {"ops/products.py": ("matmul", "_batched")},
        "shared": {"ops/products.py": ("_pair", "_need", "_rows")},
    },
    "cholesky": {
        "definition": {"ops/linalg_factors.py": ("_cholesky_forward", "_cholesky_rule", "_cholesky")},
        "public": {"ops/linalg_factors.py": ("cholesky",)},
        "shared": {
            "ops/_linalg.py": ("_mask", "mask_like", "matrices", "square", "refuse", "batch_element"),
            "ops/linalg_solve.py": ("_solve_triangular", "_triangular_forward", "_triangular_one", "_triangular_rule_a"),
        },
    },
    "conv2d": {
        "definition": {
            "ops/conv.py": ("_conv", "_conv_bias", "_conv_input", "_conv_weight", "_bias_rule"),
            "ops/_conv_arrays.py": (
                "conv", "conv_input", "conv_weight", "out_size", "_padded", "_windows", "_blocks", "_inner", "_rows", "_form",
                "_full", "_rounded", "_correlated", "_surrounded", "_worth", "kernels",
            ),
            "ops/_conv_tables.py": ("*",),
            "compiler/kernels/conv.py": ("*",),
            "compiler/convolve.py": ("correlate", "inner", "weight_gradient", "_tiled"),
        },
        "public": {"ops/conv.py": ("conv2d", "_convolved", "_checked", "_settings", "_named_padding", "per_dim")},
        "shared": {"compiler/kernels/vectors.py": ("*",), "compiler/convolve.py": ("_table", "_kernel", "_number")},
    },
}  # fmt: skip


def defined(node: ast.stmt) -> str | None:
    """Return the name that a statement at the top of a file defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return node.name
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def docstrings(node: ast.AST) -> set[int]:
    """Return the line numbers of docstrings."""
    found: set[int] = set()
    for part in ast.walk(node):
        body = getattr(part, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
        ):
            found |= set(range(body[0].lineno, (body[0].end_lineno or body[0].lineno) + 1))
    return found


def lines(file: str, names: tuple[str, ...]) -> int:
    """Return how many lines of code the definitions take."""
    text = (SOURCES / file).read_text()
    rows = text.splitlines()
    total = 0
    missing = set(names) - {"*"}
    for node in ast.parse(text).body:
        name = defined(node)
        missing.discard(name or "")
        if name is None or (name not in names and "*" not in names):
            continue
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        left_out = docstrings(node)
        for k in range(start, (node.end_lineno or start) + 1):
            row = rows[k - 1].strip()
            total += bool(row) and not row.startswith("#") and k not in left_out
    if missing:
        raise SystemExit(f"{file} has no {', '.join(sorted(missing))}")
    return total


def main() -> None:
    print(f"{'':10} {'definition':>10} {'public':>8} {'shared':>8}")
    for operation, parts in PARTS.items():
        counts = {k: sum(lines(f, n) for f, n in v.items()) for k, v in parts.items()}
        print(f"{operation:10} {counts['definition']:>10} {counts['public']:>8} {counts.get('shared', 0):>8}")


if __name__ == "__main__":
    main()
