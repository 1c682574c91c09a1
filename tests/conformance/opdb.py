"""Compare the library with PyTorch on PyTorch's own samples.

    python -m tests.conformance.opdb mul sum            # some names
    python -m tests.conformance.opdb "linear algebra"   # a family
    python -m tests.conformance.opdb                    # everything

For every name: values, dtypes and shapes; gradients and second derivatives in float64 from a fixed random seed
gradient; forward mode; the in-place and the method form; and the inputs that PyTorch refuses, by exception type.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import thalweg

from .bridge import Unsupported, infos, leaves, ours, pair, present, reach, rebound, torch_module
from .catalogue import CATALOGUE, UNDEFINED_VALUES, UP_TO_GAUGE
from .compare import SEED, attempt, brief, check_forward, check_gradients, check_values, first_line, same_exception
from .differences import DIFFERENCES, allowed
from .samples import OWN

KINDS = ("values", "gradient", "second", "forward", "inplace", "method", "error")
DTYPES = {"float64": 40, "float32": 12, "int64": 12, "bool": 8}  # how many samples of each


@dataclass
class Case:
    """One comparison, as the list of allowed differences sees it."""

    name: str
    kind: str
    dtype: str
    index: int
    variant: str = ""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def __str__(self) -> str:
        variant = f"[{self.variant}]" if self.variant else ""
        said = ", ".join([*map(brief, self.args), *(f"{k}={brief(v)}" for k, v in self.kwargs.items())])
        return f"{self.name}{variant} {self.kind} {self.dtype} #{self.index} ({said})"


@dataclass
class Tally:
    """What became of one name."""

    name: str
    present: bool = True
    sampled: bool = True
    run: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    left_out: int = 0  # samples with complex or half types, sparse layouts, other memory formats
    excused: list[tuple[Case, str]] = field(default_factory=list)
    failures: list[tuple[Case, str]] = field(default_factory=list)

    def line(self) -> str:
        if not self.present:
            return f"{self.name}: not there"
        if not self.sampled:
            return f"{self.name}: no samples"
        parts = [f"{k} {self.passed[k]}/{self.run[k]}" for k in KINDS if self.run[k]]
        return f"{self.name}: {', '.join(parts)}" + (f" ({len(self.excused)} allowed)" if self.excused else "")


TALLIES: dict[str, Tally] = {}


# One name


def check(name: str, only: str | None = None) -> Tally:
    """Run every check of one name."""
    tally = Tally(name, present=present(name))
    TALLIES[name] = tally
    if not tally.present:
        return tally
    in_place = name.startswith("Tensor.") and name.endswith("_") and not name.endswith("__")
    found = infos(name)
    for op in found:
        if in_place:
            _run_in_place(tally, op, name)
        else:
            _run_op(tally, op, name)
    _run_own(tally, name)
    tally.sampled = bool(found) or name in OWN
    return tally


def note(tally: Tally, case: Case, said: str | None) -> None:
    """Count one comparison."""
    tally.run[case.kind] += 1
    if said is None:
        tally.passed[case.kind] += 1
        return
    row = allowed(case)
    if row is not None:
        tally.excused.append((case, row.reason))
    else:
        tally.failures.append((case, said))


def samples(op: Any, dtype: str, grad: bool, limit: int) -> Iterator[tuple[int, Any]]:
    """Yield up to `limit` of PyTorch's samples, evenly spread over all, with their numbers."""
    torch, _ = torch_module()
    torch.manual_seed(SEED)
    np.random.seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = list(itertools.islice(op.sample_inputs("cpu", getattr(torch, dtype), requires_grad=grad), 400))
    n = len(drawn)
    chosen = range(n) if n <= limit else sorted({int(k) for k in np.linspace(0, n - 1, limit)})
    for k in chosen:
        if not {"out"} & set(drawn[k].kwargs):
            yield k, drawn[k]


def _run_op(tally: Tally, op: Any, name: str) -> None:
    torch, _ = torch_module()
    mine, theirs = pair(op, name)
    if mine is None:
        tally.present = False
        return
    names = {str(d)[6:] for d in op.dtypes}
    for dtype, limit in DTYPES.items():
        if dtype not in names:
            continue
        grad = dtype == "float64" and op.supports_autograd
        for k, sample in samples(op, dtype, grad, limit):
            case = Case(name, "values", dtype, k, op.variant_test_name, (sample.input, *sample.args), sample.kwargs)
            try:
                _run_sample(tally, op, mine, theirs, sample, case, grad)
            except Unsupported:
                tally.left_out += 1
            except Exception as error:  # noqa: BLE001  (one sample must not stop the others)
                note(tally, case, f"could not be compared: {first_line(error)}")
    if op.error_inputs_func is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(SEED)
            errors = attempt(lambda: list(op.error_inputs(torch.device("cpu"))))[0] or []
        for k, wrong in enumerate(errors):
            _run_error(tally, mine, theirs, wrong.sample_input, name, k, op.variant_test_name)


def _run_sample(tally: Tally, op: Any, mine: Any, theirs: Any, sample: Any, case: Case, grad: bool) -> None:
    torch, _ = torch_module()
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo, grad) for v in (sample.input, sample.args, sample.kwargs))
    kwargs_t = sample.kwargs
    # Vectors are unique up to sign or rotation in some factorizations; then what PyTorch's samples make of them counts.
    fixed_t = sample.output_process_fn_grad if case.name in UP_TO_GAUGE else _itself
    fixed = rebound(fixed_t)
    said, fine = check_values(
        lambda: fixed(mine(input, *args, **kwargs)),
        lambda: fixed_t(theirs(sample.input, *sample.args, **kwargs_t)),
        case.name,
    )
    note(tally, case, said)
    if not fine:
        return
    if grad and case.name not in UNDEFINED_VALUES:
        post_t = sample.output_process_fn_grad
        post = rebound(post_t)
        wrap_t = op.gradcheck_wrapper or _as_it_is  # symmetrizes, say, what a function reads one triangle of
        wrap = rebound(wrap_t)
        theirs_inputs = list(dict.fromkeys(leaves([sample.input, sample.args, sample.kwargs], torch)))
        inputs = [memo[id(t)] for t in theirs_inputs]
        for kind, wrong in check_gradients(
            lambda: post(wrap(mine, input, *args, **kwargs)),
            lambda: post_t(wrap_t(theirs, sample.input, *sample.args, **kwargs_t)),
            inputs,
            theirs_inputs,
            bool(op.supports_gradgrad),
        ):
            note(tally, _as(case, kind), wrong)
        if op.supports_forward_ad and reach(thalweg, "func.jvp") and theirs_inputs and case.index % 3 == 0:
            at = {id(t): i for i, t in enumerate(theirs_inputs)}
            note(
                tally,
                _as(case, "forward"),
                check_forward(
                    lambda *xs: post(wrap(mine, *_put(xs, at, memo, sample)[0], **_put(xs, at, memo, sample)[1])),
                    lambda *xs: post_t(wrap_t(theirs, *_put(xs, at, None, sample)[0], **_put(xs, at, None, sample)[1])),
                    theirs_inputs,
                ),
            )
    base = op.name.split(".")[-1]
    if case.dtype == "float64" and case.index < 12 and isinstance(sample.input, torch.Tensor):
        if op.method_variant is not None and base.isidentifier() and not base.startswith("_"):
            _run_method(tally, base, sample, case)
        if op.inplace_variant is not None and hasattr(torch.Tensor, base + "_") and not base.endswith("_"):
            _run_written(tally, base + "_", sample, case)


def _itself(value: Any) -> Any:
    return value


def _as_it_is(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _put(xs: tuple[Any, ...], at: dict[int, int], memo: dict[int, Any] | None, sample: Any) -> Any:
    """Return the arguments with the tensors to be differentiated replaced by `xs`."""
    torch, _ = torch_module()

    def walk(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return xs[at[id(value)]] if id(value) in at else value if memo is None else memo[id(value)]
        if isinstance(value, (list, tuple)):
            return type(value)(walk(v) for v in value)
        return value if memo is None else ours(value, {})

    return (walk(sample.input), *map(walk, sample.args)), {k: walk(v) for k, v in sample.kwargs.items()}


def _as(case: Case, kind: str) -> Case:
    return Case(case.name, kind, case.dtype, case.index, case.variant, case.args, case.kwargs)


def _run_method(tally: Tally, method: str, sample: Any, case: Case) -> None:
    torch, _ = torch_module()
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo) for v in (sample.input, sample.args, sample.kwargs))
    if not callable(getattr(torch.Tensor, method, None)):
        return
    said, _ = check_values(
        lambda: getattr(input, method)(*args, **kwargs),
        lambda: getattr(sample.input.detach(), method)(*sample.args, **sample.kwargs),
        case.name,
    )
    note(tally, _as(case, "method"), said)


def _run_written(tally: Tally, method: str, sample: Any, case: Case) -> None:
    """Write into a copy of the input; compare the copy, that it is what is returned, and the gradients."""
    torch, _ = torch_module()
    case = _as(case, "inplace")
    memo: dict[int, Any] = {}
    input, args, kwargs = (ours(v, memo, True) for v in (sample.input, sample.args, sample.kwargs))

    def theirs() -> Any:
        x = sample.input.clone()
        return getattr(x, method)(*sample.args, **sample.kwargs)

    def mine() -> Any:
        x = input.clone()
        y = getattr(x, method)(*args, **kwargs)
        if y is not x:
            raise TypeError(f"{method} did not return its tensor")
        return y

    said, fine = check_values(mine, theirs, case.name if case.name in UNDEFINED_VALUES else "")
    if fine and said is None and case.name not in UNDEFINED_VALUES:
        theirs_inputs = list(dict.fromkeys(leaves([sample.input, sample.args, sample.kwargs], torch)))
        inputs = [memo[id(t)] for t in theirs_inputs]
        for _, wrong in check_gradients(mine, theirs, inputs, theirs_inputs, False):
            said = said or wrong
    note(tally, case, said)


def _run_in_place(tally: Tally, op: Any, name: str) -> None:
    method = name.removeprefix("Tensor.")
    names = {str(d)[6:] for d in op.dtypes}
    for dtype in ("float64", "int64", "bool"):
        if dtype not in names:
            continue
        for k, sample in samples(op, dtype, dtype == "float64" and op.supports_autograd, 10):
            case = Case(name, "inplace", dtype, k, op.variant_test_name, (sample.input, *sample.args), sample.kwargs)
            try:
                _run_written(tally, method, sample, case)
            except Unsupported:
                tally.left_out += 1
            except Exception as error:  # noqa: BLE001  (one sample must not stop the others)
                note(tally, case, f"could not be compared: {first_line(error)}")


def _run_error(tally: Tally, mine: Any, theirs: Any, sample: Any, name: str, k: int, variant: str) -> None:
    _, refused = attempt(lambda: theirs(sample.input, *sample.args, **sample.kwargs))
    if refused is None:
        return
    case = Case(name, "error", "", k, variant, (sample.input, *sample.args), sample.kwargs, first_line(refused))
    try:
        input, args, kwargs = (ours(v, {}, True) for v in (sample.input, sample.args, sample.kwargs))
    except Unsupported:
        return
    if "out" in kwargs:
        return
    _, error = attempt(lambda: mine(input, *args, **kwargs))
    note(tally, case, same_exception(error, refused))


def _run_own(tally: Tally, name: str) -> None:
    torch, _ = torch_module()
    for k, (call, arrays) in enumerate(OWN.get(name, ())):
        case = Case(name, "values", "own", k, args=tuple(arrays))
        theirs_inputs = [torch.tensor(a, requires_grad=a.dtype == np.float64) for a in arrays]
        inputs = [ours(t, {}, True) for t in theirs_inputs]
        said, fine = check_values(
            lambda c=call, xs=inputs: c(thalweg, *xs), lambda c=call, xs=theirs_inputs: c(torch, *xs), name
        )
        note(tally, case, said)
        held = [(x, t) for x, t in zip(inputs, theirs_inputs, strict=True) if t.requires_grad]
        if fine and held:
            for kind, wrong in check_gradients(
                lambda c=call, xs=inputs: c(thalweg, *xs),
                lambda c=call, xs=theirs_inputs: c(torch, *xs),
                [x for x, _ in held],
                [t for _, t in held],
                True,
            ):
                note(tally, _as(case, kind), wrong)


# The report


def summary(tallies: dict[str, Tally]) -> list[str]:
    """Return one line per family: names present of names asked, samples passed of samples run."""
    lines = []
    every: Counter[str] = Counter()
    for family, names in CATALOGUE.items():
        known = [tallies[n] for n in names if n in tallies]
        if not known:
            continue
        count: Counter[str] = Counter(asked=len(known), present=sum(t.present for t in known))
        for t in known:
            count["excused"] += len(t.excused)
            count["left out"] += t.left_out
            for kind in KINDS:
                group = "errors" if kind == "error" else "samples"
                count[group] += t.run[kind]
                count[group + " passed"] += t.passed[kind]
        every += count
        lines.append(_family_line(family, count))
    lines.append(_family_line("all", every))
    return lines


def _family_line(family: str, count: Counter[str]) -> str:
    return (
        f"{family}: {count['present']} of {count['asked']} names, "
        f"{count['samples passed']} of {count['samples']} samples, "
        f"{count['errors passed']} of {count['errors']} error inputs, {count['excused']} allowed differences, "
        f"{count['left out']} samples left out"
    )


def names_of(words: list[str]) -> list[str]:
    """Return the names that command-line words stand for: names, their last parts, or families."""
    everything = [n for names in CATALOGUE.values() for n in names]
    if not words:
        return everything
    chosen = []
    for word in words:
        found = list(CATALOGUE.get(word, ())) or [n for n in everything if word in (n, n.split(".")[-1])]
        if not found:
            close = [n for n in everything if word in n]
            raise SystemExit(f"{word}: no name or family of the catalogue. Near: {', '.join(close) or 'nothing'}.")
        chosen += found
    return chosen


def main(words: list[str]) -> int:
    """Print the failing samples of the names asked for, and the counts."""
    most = 12
    for name in names_of(words):
        tally = check(name)
        print(tally.line(), flush=True)
        for case, said in tally.failures[:most]:
            print(f"    {case}\n        {said}")
        if len(tally.failures) > most:
            print(f"    … and {len(tally.failures) - most} more")
    print(*summary(TALLIES), sep="\n")
    if not words:
        used = {reason for t in TALLIES.values() for _, reason in t.excused}
        for row in DIFFERENCES:
            if row.reason not in used:
                print(f"no longer needed in differences.py: {row.name}, {row.kind}")
    return int(any(t.failures or not t.present for t in TALLIES.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
