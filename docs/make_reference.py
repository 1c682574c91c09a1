"""Write the reference pages, docs/reference/*.md, one per family, from the docstrings: ``python docs/make_reference.py``."""

import importlib
import inspect
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent / "reference"
FAMILIES = {
    "creation": ("Creating tensors, and random ones", ["ops.create", "ops.random", "ops.distributions"]),
    "elementwise": (
        "Elementwise functions",
        ["ops.arithmetic", "ops.combine", "ops.pointwise", "ops.rounding", "ops.logic", "ops.special", "ops.activations"],
    ),
    "reductions": (
        "Reductions and scans",
        ["ops.reduce", "ops.extremes", "ops.statistics", "ops.scan", "ops.distances", "ops.softmax"],
    ),
    "shapes": ("Shapes", ["ops.shape", "ops.join", "ops.arrange", "ops.diagonals", "ops.strided"]),
    "indexing": ("Indexing and sorting", ["ops.index", "ops.gather", "ops.scatter_reduce", "ops.masks", "ops.sort"]),
    "linear-algebra": (
        "Linear algebra",
        ["ops.products", "ops.einsum", "ops.linalg_solve", "ops.linalg_factors", "ops.linalg_spectral",
         "ops.linalg_least_squares", "ops.linalg_norms", "ops.linalg_products"],
    ),
    "in-place": ("In place", ["ops.inplace", "ops.inplace_pointwise", "ops.inplace_shapes"]),
    "functional": (
        "nn.functional",
        ["ops.dense", "ops.conv", "ops.pool", "ops.unpool", "ops.fractional", "ops.padding", "ops.windows", "ops.resize", "ops.norms", "ops.dropout",
         "ops.embedding", "ops.similarity", "ops.losses", "ops.nll", "ops.likelihoods", "ops.margins"],
    ),
    "autograd": (
        "Differentiation",
        ["autograd.gradients", "autograd.modes", "autograd.function", "autograd.functional", "autograd.forward_ad",
         "autograd.gradcheck", "autograd.anomaly", "autograd.draw", "autograd.graph", "func", "autograd.stateless",
         "utils.checkpoint", "serialization"],
    ),
    "optim": (
        "Optimizers and schedules",
        ["optim.sgd", "optim.adam", "optim.adaptive", "optim.moments", "optim.classic", "optim.layerwise", "optim.matrix", "optim.recent",
         "optim.variance", "optim.distance", "optim.factored", "optim.lbfgs", "optim.schedule_free", "optim.wrappers", "optim.careful", "optim.schedules"],
    ),
    "methods": (
        "Minimization, constraints, analysis",
        ["minimize.api", "minimize.line_search", "constraints.projections", "constraints.prox", "constraints.penalties",
         "constraints.methods", "constraints.sets", "analysis.spectrum", "analysis.stability", "analysis.critical",
         "analysis.convexity", "analysis.convergence", "analysis.layers", "analysis.landscape"],
    ),
}  # fmt: skip


def public(name):
    """Return a module's public functions and classes in the order of their source."""
    module = importlib.import_module(f"thalweg.{name}")
    names = getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")])
    found = [(n, getattr(module, n)) for n in names if callable(getattr(module, n, None))]
    own = [(n, f) for n, f in found if getattr(f, "__module__", None) == module.__name__]
    return sorted(
        {id(f): (n, f) for n, f in reversed(own)}.values(), key=lambda pair: inspect.getsourcelines(pair[1])[1]
    )


def entry(name, thing):
    """Return the lines of one entry: its signature, and its docstring with examples as code."""
    try:
        signature = re.sub(r": (Any|'Any')|'", "", str(inspect.signature(thing))).replace("thalweg.ops.tensor.", "")
    except (TypeError, ValueError):
        signature = "(…)"
    text = inspect.getdoc(thing) or ""
    out, code = [f"### `{name}{signature}`", ""], False
    for line in text.splitlines():
        example = line.startswith((">>>", "...")) or (code and line.strip() != "")
        if example != code:
            out.append("```python" if example else "```")
            code = example
        out.append(line.replace("``", "`") if not code else line)
    if code:
        out.append("```")
    return [*out, ""]


def main():
    """Write every page."""
    HERE.mkdir(exist_ok=True)
    index = ["# Reference", "", "Made from the docstrings by `docs/make_reference.py`.", ""]
    for page, (title, modules) in FAMILIES.items():
        lines = [f"# {title}", ""]
        count = 0
        for module in modules:
            found = public(module)
            if found:
                doc = (inspect.getdoc(importlib.import_module(f"thalweg.{module}")) or "").splitlines()[0]
                lines += [f"## {doc.rstrip('.')}", ""]
            for name, thing in found:
                lines += entry(name, thing)
                count += 1
        (HERE / f"{page}.md").write_text("\n".join(lines).rstrip() + "\n")
        index.append(f"- [{title}]({page}.md): {count} entries")
    (HERE / "README.md").write_text("\n".join(index) + "\n")


if __name__ == "__main__":
    main()
