"""A fuzzer of the compiler: random programs as source text, run as written and compiled, and compared in all they leave.

``python -m tests.compiler.fuzz --seeds 0..1000`` runs seeds through the interpreter of generated sources (their Python,
without machine code), ``--machine`` through machine code, ``--kinds state,aliasing`` adds the kinds named. A program that
differs is made smaller and printed as a script.
"""

from __future__ import annotations

import argparse
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import thalweg as tw

HEAD = """\
import numpy as np
import thalweg as tw
from thalweg import nn, optim
from thalweg.nn import functional as F


def build(wrap):
    tw.manual_seed(7)
    float_type = tw.{width}
    tw.set_default_dtype(float_type)
    net = nn.Sequential({layers})
    buffer = tw.zeros(4)
    scale = tw.ones(4, requires_grad=True)
    params = [scale, *net.parameters()]
    optimizer = {optimizer}
    scheduler = {scheduler}
    history, box = [], {{"n": 0, "k": 0.5}}
{setup}
    @wrap
    def step(x, y):
        h = x
{body}
{end}

    def state():
        arrays = [p.detach().numpy() for p in params] + [b.numpy() for b in net.buffers()] + [buffer.numpy()]
        arrays += [p.grad.numpy() if p.grad is not None else np.zeros(0) for p in params]
        arrays += [v.detach().numpy() for p in params for v in optimizer.state.get(p, {{}}).values() if hasattr(v, "detach")]
        arrays += [tw.rand(2).numpy(), np.array([len(history), box["n"]]), np.array([g["lr"] for g in optimizer.param_groups])]
        return arrays + [np.asarray(v) for v in history]

    return step, state


def inputs(call, rows, special):
    random = np.random.default_rng(call)
    x, y = random.standard_normal((rows, 4)).astype("{width}"), random.standard_normal((rows, 4)).astype("{width}")
    if special is not None and rows:
        x[0, call % 4] = special
    return tw.from_numpy(x), tw.from_numpy(y)


CALLS = [{calls}]
"""
SCRIPT = """

if __name__ == "__main__":
    from tests.compiler.fuzz import compared, outcomes
    print(compared(outcomes(globals(), lambda f: f), outcomes(globals(), tw.compile)))
"""

ELEMENTWISE = (
    "tw.tanh(h)", "tw.sin(h) * h", "F.gelu(h)", "F.silu(h)", "F.elu(h, 0.7)", "F.softplus(h)", "tw.maximum(h, -h * 0.1)", "h.clamp(-1, 0.5)",
    "h % 0.7", "tw.fmod(h, 0.3)", "tw.floor_divide(h, 0.4) * 0.1 + h", "tw.where(h > 0, h, h * 0.2)", "tw.nan_to_num(h, 0.5, 2.0, -2.0)",
    "h.abs() ** 0.5", "(h * h + 1) ** -0.5", "tw.exp(-h.abs())", "h / (1 + h.abs())", "h * 1", "-h", "h.sign() * 0.5 + h", "tw.hypot(h, h + 1)",
    "tw.log1p(h * h)", "h.round() * 0.1 + h", "tw.atan2(h, h * h + 1)", "h.relu() + 0.1 * h", "tw.erf(h)", "tw.square(h) * 0.1", "h * True",
)  # fmt: skip
KINDS: dict[str, tuple[str, ...]] = {
    "elementwise": tuple(f"h = {e}" for e in ELEMENTWISE),
    "modules": (
        "h = net(h)", "h = F.layer_norm(h, (4,))", "h = F.softmax(h, -1)", "h = F.log_softmax(h, -1) * 0.2", "h = h * scale", "h = net(h) + net(h * 0.5)",
        "h = h @ net[0].weight", "h = F.linear(h, net[0].weight.t())",
    ),
    "reductions": (
        "h = h - h.sum(1, keepdim=True) * 0.1", "h = h / (1 + h.abs().amax(1, keepdim=True))", "h = h + h.mean()", "h = h - h.cumsum(1) * 0.1",
        "h = h * (1 + h.std(1, keepdim=True))", "h = h + tw.logsumexp(h, 1, keepdim=True) * 0.1", "h = h + h.var() * 0.1", "h = h + h.amin() * 0.1",
        "h = h / (1 + tw.linalg.vector_norm(h))",
    ),
    "views": (
        "h = h.t().contiguous().t()", "h = h[:, [1, 0, 3, 2]]", "h = h.reshape(-1).view(h.shape)", "h = tw.cat([h[:, 2:], h[:, :2]], 1)",
        "h = h.flip(1)", "h = h.unsqueeze(0).transpose(1, 2).squeeze(0).t()", "h = tw.stack([h, h * 2]).sum(0)", "h = h.expand(3, *h.shape)[1]",
        "h = tw.where(tw.triu(tw.ones(4, 4)).bool()[:1], h, 0.0)", "h = tw.roll(h, 1, 1)",
    ),
    "in place": (
        "h = h.clone(); h[:, 0] = 2.0", "h = h.clone(); h.mul_(1.5)", "h = h.clone(); h[:, 1:3] += 0.25", "h = h.clone(); h.clamp_(-1, 1)",
        "h = h.clone(); h.t()[2].add_(1.0)", "h = h.clone(); v = h.view(-1); v.mul_(0.5)",
        "with tw.no_grad(): buffer.mul_(0.5).add_(h.detach().sum(0).nan_to_num(0.0, 1.0, -1.0))", "h = h + buffer",
        "with tw.no_grad(): buffer[1:3] = 0.25", "h = h.clone(); h.masked_fill_(h > 0.5, 0.1)",
    ),
    "types": (
        "h = (h > 0).to(tw.int32).to(h.dtype) + h", "k = (h > 0).to(tw.uint8); h = h * (k - 1 + k * k).to(h.dtype)", "m = h > 0; h = h * (m & ~tw.roll(m, 1, 1))",
        "h = (h.double() * 0.5).to(h.dtype)", "h = (h.float() * 0.5).to(h.dtype)", "k = tw.arange(4, dtype=tw.int32); h = h.abs() ** k",
        "k = tw.arange(4); h = h + k % 3 - k // 2", "m = tw.minimum(h > 0, h < 1); h = h * m", "k = tw.arange(4, dtype=tw.int32).clone().clamp_(1, 2); h = h * k",
        "h = h + tw.isnan(h).sum(1, keepdim=True)", "h = h * (h > 0).any(1, keepdim=True)", "h = h + h.argmax(1, keepdim=True) * 0.1" ,
    ),
    "random": ("h = F.dropout(h, 0.3)", "h = h + tw.rand(4) * 0.1", "h = h + tw.randn_like(h) * 0.1"),
    "nested": ("h = inner(h)", "h = inner(h * 0.5) + inner(h)"),
    "exceptions": (
        "if x.shape[0] == 3: raise ValueError('three rows')", "if x.shape[0] == 1: h = h.view(7)", "h = h * 2 if x.shape[0] > 2 else h",
    ),
    "state": (
        "box['n'] += 1", "h = h * box['k']; box['k'] = box['k'] * 0.9", "history.append(float(x.shape[0]))", "box['last'] = h.detach(); h = h + box.get('old', 0.0); box['old'] = 0.1",
    ),
    "aliasing": ("x.mul_(0.5); h = h + y", "y.add_(x); h = h + y", "h = h + y; x[:, :1] = y[:, 1:2]"),
}  # fmt: skip
#: kinds that every run has; "state" and "aliasing" depend on guards and on arguments that share memory
DEFAULT = ("elementwise", "modules", "reductions", "views", "in place", "types", "random", "nested", "exceptions")

OPTIMIZERS = (
    "optim.SGD(params, lr=0.05, momentum=0.9)", "optim.Adam(params, lr=0.01)", "optim.AdamW(params, lr=0.01)", "optim.RMSprop(params, lr=0.01)",
    "optim.Adagrad(params, lr=0.05)", "optim.Accumulate(optim.SGD(params, lr=0.05), 2)", "optim.ClipNorm(optim.SGD(params, lr=0.05), 0.5, nonfinite='skip')",
    "optim.SkipNonFinite(optim.Adam(params, lr=0.01))", "optim.EMA(optim.SGD(params, lr=0.05), 0.9)", "optim.Lookahead(optim.Adam(params, lr=0.01), 0.5, 2)",
    "optim.NAdam(params, lr=0.01)", "optim.Lion(params, lr=0.01)", "optim.Rprop(params, lr=0.01)", "optim.ASGD(params, lr=0.05)",
)  # fmt: skip
SCHEDULERS = (
    "None", "None", "optim.lr_scheduler.StepLR(optimizer, 2, 0.5)", "optim.lr_scheduler.ExponentialLR(optimizer, 0.9)",
    "optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)",
)  # fmt: skip
LAYERS = (
    "nn.Linear(4, 4)", "nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)", "nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU()", "nn.Linear(4, 4), nn.BatchNorm1d(4)",
)  # fmt: skip
TRAIN = """\
        loss = (h - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        return loss, h.detach()"""
FORWARD = """\
        return h.detach(), (h * y).sum().detach()"""


@dataclass(frozen=True)
class Program:
    """One random program: what it is made of, so that it can be made smaller."""

    width: str
    layers: str
    optimizer: str
    scheduler: str
    setup: tuple[str, ...]
    body: tuple[str, ...]
    train: bool
    calls: tuple[tuple[int, int, str], ...] = field(default=())

    def text(self) -> str:
        """Return the source of the program, and of how it is called."""
        body = "\n".join(f"        {line}" for line in self.body) or "        pass"
        setup = "\n".join(f"    {line}" for line in self.setup)
        calls = ", ".join(f"({n}, {rows}, {special})" for n, rows, special in self.calls)
        end = TRAIN if self.train else FORWARD
        return HEAD.format(
            width=self.width, layers=self.layers, optimizer=self.optimizer, scheduler=self.scheduler, setup=setup, body=body, end=end, calls=calls,
        )  # fmt: skip


def program(seed: int, kinds: tuple[str, ...] = DEFAULT) -> Program:
    """Return the program of a seed."""
    rng = random.Random(seed)
    lines = [rng.choice(KINDS[rng.choice(kinds)]) for _ in range(rng.randint(1, 6))]
    train = rng.random() < 0.6
    rows = [rng.choice((0, 1, 2, 3, 5, 5, 5, 600)) for _ in range(2)]
    calls = tuple(
        (n, rng.choice(rows), rng.choice(("None",) * 5 + ("np.nan", "np.inf", "-np.inf", "1e30", "-0.0")))
        for n in range(5)
    )
    inner = f"inner = wrap(lambda h: {rng.choice(ELEMENTWISE)})"
    setup = [inner, "net.train()" if rng.random() < 0.7 else "net.eval()"]
    if rng.random() < 0.3:
        setup.append("net[-1].weight = net[0].weight" if rng.random() < 0.5 else "net[0].weight.requires_grad_(False)")
    layers = rng.choice(LAYERS)
    if "LayerNorm" in layers or "Norm1d" in layers:
        setup = setup[:2]
    return Program(
        rng.choice(("float32", "float64")), layers, rng.choice(OPTIMIZERS), rng.choice(SCHEDULERS), tuple(setup), tuple(lines), train, calls,
    )  # fmt: skip


def outcomes(space: dict[str, Any], wrap: Callable[[Any], Any]) -> list[Any]:
    """Return what each call gives (its arrays, or the type of its exception) and the state that each leaves."""
    before = tw.get_default_dtype()
    found: list[Any] = []
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            step, state = space["build"](wrap)
            for call in space["CALLS"]:
                try:
                    found.append([r.detach().numpy().copy() for r in step(*space["inputs"](*call))])
                except Exception as error:  # noqa: BLE001  (any exception is an outcome)
                    found.append(type(error).__name__)
            found.append([np.array(a) for a in state()])
    finally:
        tw.set_default_dtype(before)
    return found


def compared(want: list[Any], got: list[Any]) -> str:
    """Return where the outcomes of a compiled program differ from those of the program as written, or nothing."""
    for n, (a, b) in enumerate(zip(want, got, strict=True)):
        where = f"call {n}" if n + 1 < len(want) else "state"
        if isinstance(a, str) or isinstance(b, str):
            if a is not b and a != b:
                return f"{where}: {b if isinstance(b, str) else 'a result'}, eager {a if isinstance(a, str) else 'gives one'}"
            continue
        if len(a) != len(b):
            return f"{where}: {len(b)} arrays, eager {len(a)}"
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            if (x.shape, x.dtype) != (y.shape, y.dtype):
                return f"{where}, array {k}: {y.dtype}{y.shape}, eager {x.dtype}{x.shape}"
            size = np.abs(x[np.isfinite(x)]).max(initial=1e-3) if x.dtype.kind == "f" else 0
            rough = (2e-3 if x.dtype == np.float32 else 1e-8) * float(size)
            with np.errstate(all="ignore"):
                wrong = ~np.isclose(x, y, rtol=1e-3 if x.dtype == np.float32 else 1e-8, atol=rough, equal_nan=True)
            if wrong.any():
                return f"{where}, array {k}: {y[wrong][:3]}, eager {x[wrong][:3]}"
    return ""


def difference(each: Program) -> str:
    """Return how a program's compiled run differs from the run as written, or nothing."""
    space: dict[str, Any] = {"__name__": "fuzzed"}
    exec(compile(each.text(), "<fuzzed>", "exec"), space)
    try:
        want = outcomes(space, lambda f: f)
    except Exception:  # noqa: BLE001  (a program that cannot be built says nothing about the compiler)
        return ""
    try:
        return compared(want, outcomes(space, tw.compile))
    except Exception as error:  # noqa: BLE001
        return f"building it compiled raises {type(error).__name__}: {error}"


def shrunk(each: Program, differs: Callable[[Program], Any] = difference) -> Program:
    """Return the smallest program found that still differs: calls, statements and settings are left out in turn."""
    changed = True
    while changed:
        changed = False
        smaller = [replace(each, calls=each.calls[:k] + each.calls[k + 1 :]) for k in range(len(each.calls))]
        smaller += [replace(each, body=each.body[:k] + each.body[k + 1 :]) for k in range(len(each.body))]
        smaller += [replace(each, setup=each.setup[:k] + each.setup[k + 1 :]) for k in range(1, len(each.setup))]
        smaller += [
            replace(each, scheduler="None"), replace(each, optimizer=OPTIMIZERS[0]), replace(each, layers=LAYERS[0]), replace(each, train=False),
            replace(each, calls=tuple((n, rows, "None") for n, rows, _ in each.calls)),
        ]  # fmt: skip
        for candidate in smaller:
            if candidate != each and differs(candidate):
                each, changed = candidate, True
                break
    return each


def main() -> None:
    """Run the seeds given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0..100", help="first..last")
    parser.add_argument("--machine", action="store_true", help="through machine code")
    parser.add_argument("--kinds", default="", help="kinds to add: state, aliasing")
    given = parser.parse_args()
    if not given.machine:
        from tests.compiler import python_kernels

        python_kernels.use(_Setter())
    first, last = map(int, given.seeds.split(".."))
    kinds = DEFAULT + tuple(k for k in given.kinds.split(",") if k)
    wrong = 0
    for seed in range(first, last):
        found = difference(program(seed, kinds))
        if found:
            wrong += 1
            small = shrunk(program(seed, kinds))
            print(f"# seed {seed}: {difference(small) or found}\n{small.text()}{SCRIPT}", flush=True)
    print(f"tried {last - first}, differences {wrong}", flush=True)


class _Setter:
    """Stands where pytest's monkeypatch would."""

    setattr = staticmethod(setattr)


if __name__ == "__main__":
    main()
