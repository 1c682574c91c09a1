"""Hooks, registration and state of modules, each case run on PyTorch and here: equal results, or an error of its type."""

# ruff: noqa: E741, F841

from __future__ import annotations

import copy
import importlib
import warnings
from collections import namedtuple
from typing import Any

import pytest

import thalweg
from thalweg.errors import ThalwegError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.conformance

R: list[Any] = []


def case(f: Any) -> Any:
    R.append(f)
    return f


def show(v: Any) -> Any:
    """Return results in a form that both libraries share, floats rounded to float32's accuracy."""
    if isinstance(v, (list, tuple)):
        return [show(x) for x in v]
    if hasattr(v, "detach"):
        return show(v.detach().numpy().tolist())
    return float(f"{v:.5g}") if isinstance(v, float) else v


@case
def mse_double(t):
    x = t.ones(1, requires_grad=True)
    y = t.zeros(1)
    f = t.nn.MSELoss()
    n = [0]
    f.register_full_backward_hook(lambda m, gi, go: n.__setitem__(0, n[0] + 1))
    (g,) = t.autograd.grad(f(x, y), x, create_graph=True)
    a = n[0]
    t.autograd.grad(g, x)
    return a, n[0]


@case
def lin_double(t):
    x = t.ones(1, 2, requires_grad=True)
    f = t.nn.Linear(2, 2)
    n = []
    f.register_full_backward_hook(lambda m, gi, go: n.append(("b", len(gi), gi[0] is None, go[0] is None)))
    f.register_full_backward_pre_hook(lambda m, go: n.append(("p", go[0] is None)))
    (g,) = t.autograd.grad((f(x) ** 2).sum(), x, create_graph=True)
    n.append("--")
    (g**2).sum().backward()
    return n


@case
def tanh_double(t):
    x = t.ones(1, 2, requires_grad=True)
    f = t.nn.Tanh()
    n = []
    f.register_full_backward_hook(lambda m, gi, go: (n.append(("b", show(gi), show(go))), (gi[0] * 2,))[1])
    f.register_full_backward_pre_hook(lambda m, go: (n.append(("p", show(go))), (go[0] * 3,))[1])
    (g,) = t.autograd.grad((f(x) ** 2).sum(), x, create_graph=True)
    n.append("--")
    (g**2).sum().backward()
    return [n, show(g), show(x.grad)]


@case
def extra(t):
    class M(t.nn.Module):
        def forward(self, non, x):
            return x * 2, non

    m = M()
    r = []
    m.register_full_backward_hook(
        lambda m, gi, go: r.append((len(gi), len(go), [g is None for g in gi], [g is None for g in go]))
    )
    o, _ = m(object(), t.ones(2, requires_grad=True))
    o.sum().backward()
    return r


@case
def badlen(t):
    m = t.nn.Linear(2, 2)
    m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    m(t.ones(1, 2, requires_grad=True)).sum().backward()


@case
def badlen2(t):
    m = t.nn.Linear(2, 2)
    m.register_full_backward_pre_hook(lambda m, go: (go[0], go[0]))
    m(t.ones(1, 2, requires_grad=True)).sum().backward()


@case
def dict_out(t):
    class M(t.nn.Module):
        def forward(self, x):
            return {"a": x * 2}

    m = M()
    r = []
    m.register_full_backward_hook(lambda m, gi, go: r.append(1))
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        m(t.ones(1, requires_grad=True))["a"].sum().backward()
    return len(w), r


@case
def nt(t):
    N = namedtuple("N", "a b")

    class M(t.nn.Module):
        def forward(self, x):
            return N(x * 2, x * 3)

    m = M()
    m.register_full_backward_hook(lambda m, gi, go: None)
    o = m(t.ones(1, requires_grad=True))
    return type(o).__name__


@case
def noreq(t):
    m = t.nn.Linear(2, 2)
    r = []
    m.register_full_backward_hook(lambda m, gi, go: (None,))
    m(t.ones(1, 2)).sum().backward()
    return "ok"


@case
def order(t):
    M = importlib.import_module(t.__name__ + ".nn.modules.module")
    r = []
    hs = [
        M.register_module_forward_hook(lambda *a: r.append("gf")),
        M.register_module_forward_pre_hook(lambda *a: r.append("gp")),
        M.register_module_full_backward_hook(lambda *a: r.append("gb")),
        M.register_module_full_backward_pre_hook(lambda *a: r.append("gbp")),
    ]
    m = t.nn.Tanh()
    m.register_forward_hook(lambda *a: r.append("f"))
    m.register_forward_pre_hook(lambda *a: r.append("p"))
    m.register_full_backward_hook(lambda *a: r.append("b"))
    m.register_full_backward_pre_hook(lambda *a: r.append("bp"))
    m(t.ones(1, requires_grad=True)).sum().backward()
    for h in hs:
        h.remove()
    m(t.ones(1, requires_grad=True)).sum().backward()
    return r


@case
def reg(t):
    M = importlib.import_module(t.__name__ + ".nn.modules.module")
    r = []
    hs = [
        M.register_module_parameter_registration_hook(lambda m, n, p: r.append((type(m).__name__, n, p is None))),
        M.register_module_buffer_registration_hook(lambda m, n, p: r.append((type(m).__name__, n))),
        M.register_module_module_registration_hook(lambda m, n, p: r.append((type(m).__name__, n))),
    ]
    t.nn.Sequential(t.nn.Linear(1, 1), t.nn.BatchNorm1d(2))
    m = t.nn.Module()
    m.a = t.nn.Linear(1, 1, bias=False)
    m.b = t.nn.Parameter(t.ones(1))
    m.b = t.nn.Parameter(t.ones(1))
    m.b = None
    m.a = None
    for h in hs:
        h.remove()
    t.nn.Linear(1, 1)
    return r


@case
def always(t):
    r = []

    class M(t.nn.Module):
        def forward(s, x):
            raise KeyError("x")

    m = M()
    m.register_forward_hook(lambda m, a, o: 1 / 0, always_call=True)
    m.register_forward_hook(lambda m, a, k, o: r.append((o, k)), always_call=True, with_kwargs=True)
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        try:
            m(1)
        except KeyError:
            r.append("k")
    return r, len(w)


@case
def always2(t):
    r = []
    m = t.nn.Identity()
    m.register_forward_hook(lambda m, a, o: 1 / 0)
    m.register_forward_hook(lambda m, a, o: r.append(o), always_call=True)
    try:
        m(1)
    except ZeroDivisionError:
        r.append("k")
    return r


@case
def old(t):
    r = []
    m = t.nn.Tanh()
    m.register_backward_hook(lambda m, gi, go: (r.append((show(gi), show(go))), (gi[0] * 2,))[1])
    x = t.zeros(1, requires_grad=True)
    with warnings.catch_warnings(record=True) as w:
        warnings.simplefilter("always")
        m(x).sum().backward()
    return [x.grad.tolist(), len(w)]


@case
def mixed(t):
    m = t.nn.Tanh()
    m.register_backward_hook(lambda *a: None)
    m.register_full_backward_hook(lambda *a: None)


@case
def badpre(t):
    m = t.nn.Tanh()
    m.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    m(t.ones(1))


for n in ("name.x", "", 5):
    for reg_ in ("register_parameter", "register_buffer", "add_module", "register_module"):

        def f(t, n=n, reg_=reg_):
            getattr(t.nn.Module(), reg_)(n, None)

        f.__name__ = f"{reg_}{n!r}"
        R.append(f)
for reg_ in ("register_parameter", "register_buffer", "add_module"):

    def f(t, reg_=reg_):
        m = t.nn.Module()
        m.attr = 3
        getattr(m, reg_)("attr", None)

    f.__name__ = f"over {reg_}"
    R.append(f)

    def f(t, reg_=reg_):
        m = t.nn.Module()
        m.b = t.nn.Linear(1, 1)
        getattr(m, reg_)("b", None)

    f.__name__ = f"overm {reg_}"
    R.append(f)

    def f(t, reg_=reg_):
        m = t.nn.Linear(1, 1)
        getattr(m, reg_)("weight", 3)

    f.__name__ = f"type {reg_}"
    R.append(f)

    def f(t, reg_=reg_):
        m = t.nn.Linear(1, 1)
        getattr(m, reg_)("forward", None)

    f.__name__ = f"forward {reg_}"
    R.append(f)


@case
def setattrs(t):
    m = t.nn.Module()
    m.x = 3
    m.x = t.nn.Parameter(t.ones(1))
    a = list(m._parameters)
    m.x = t.nn.Linear(1, 1)
    return a, list(m._parameters), list(m._modules)


@case
def setattrs2(t):
    m = t.nn.Module()
    m.x = t.nn.Buffer(t.ones(1))
    a = list(m._buffers)
    m.x = t.nn.Parameter(t.ones(1))
    return a, list(m._parameters), list(m._buffers)


@case
def init_args(t):
    t.nn.Module(3)


@case
def csi(t):
    class Mx:
        def __init__(s, *a, **k):
            super().__init__(*a, **k)
            s.mixin = True

    class M(t.nn.Module, Mx):
        call_super_init = True

    return hasattr(M(), "mixin")


@case
def tocopy(t):
    t.nn.Linear(1, 1).to("cpu", copy=True)


@case
def deepc(t):
    r = []
    m = t.nn.Tanh()
    h = m.register_forward_hook(lambda *a: r.append(1))
    n = copy.deepcopy(m)
    h.remove()
    n(t.ones(1))
    m(t.ones(1))
    return r


@case
def statehooks(t):
    r = []
    m = t.nn.Sequential(t.nn.Linear(1, 1))
    m[0].register_state_dict_pre_hook(lambda m, p, k: r.append(("sp", p, k)))
    m.register_state_dict_post_hook(lambda m, s, p, l: r.append(("so", list(s), p, dict(l))))
    m[0]._register_state_dict_hook(lambda m, s, p, l: r.append(("old", p)))
    m[0].register_load_state_dict_pre_hook(
        lambda m, s, p, l, st, mk, uk, e: r.append(("lp", list(s), p, dict(l), st, mk[:], uk[:], e[:]))
    )
    m[0]._register_load_state_dict_pre_hook(lambda s, p, *a: r.append(("lpo", p)))
    m.register_load_state_dict_post_hook(
        lambda m, k: (r.append(("lo", k.missing_keys[:], k.unexpected_keys[:])), k.missing_keys.clear(), None)[2]
    )
    s = m.state_dict()
    r.append(dict(s._metadata))
    del s["0.bias"]
    s["q"] = t.ones(1)
    r.append(str(m.load_state_dict(s, strict=False)))
    m.load_state_dict(m.state_dict())
    return r


@case
def posthook_ret(t):
    m = t.nn.Linear(1, 1)
    m.register_state_dict_post_hook(lambda *a: {})
    m.state_dict()


@case
def sd_replace(t):
    m = t.nn.Linear(1, 1)
    m._register_state_dict_hook(lambda m, s, p, l: {"x": 3})
    return m.state_dict()


@case
def extra_missing(t):
    class E(t.nn.Module):
        def get_extra_state(s):
            return 3

        def set_extra_state(s, v):
            s.n = v

    return (
        str(E().load_state_dict({}, strict=False)),
        str(t.nn.Module().load_state_dict({"_extra_state": 3}, strict=False)),
        str(t.nn.Sequential(E()).load_state_dict({"0._extra_state": 7})),
    )


@case
def extra_only_get(t):
    class E(t.nn.Module):
        def get_extra_state(s):
            return 3

    m = E()
    m.load_state_dict(m.state_dict())


@case
def bn_old(t):
    return str(t.nn.BatchNorm1d(2, affine=False).load_state_dict({"running_mean": t.ones(2), "running_var": t.ones(2)}))


@case
def sd_post_pre(t):
    m = t.nn.Linear(1, 1)
    h = lambda *a: None
    m.register_state_dict_post_hook(h)
    m._register_state_dict_hook(h)


@case
def load0d(t):
    m = t.nn.Module()
    m.p = t.nn.Parameter(t.tensor(1.0))
    m.load_state_dict({"p": t.tensor([3.0])})
    return m.p


@case
def load0d3(t):
    m = t.nn.Module()
    m.p = t.nn.Parameter(t.tensor(1.0))
    m.load_state_dict({"p": t.tensor([3.0, 4.0])})
    return m.p


@case
def assign(t):
    m = t.nn.Linear(1, 1)
    w = t.nn.Parameter(t.ones(1, 1), requires_grad=False)
    b = t.ones(1)
    m.load_state_dict({"weight": w, "bias": b}, assign=True)
    return m.weight is w, w.requires_grad, type(m.bias).__name__


@case
def shared(t):
    l = t.nn.Linear(1, 1)
    m = t.nn.Sequential(l, l)
    return list(m.state_dict()), str(m.load_state_dict(m.state_dict()))


def _outcome(f: Any, library: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(show(f(library)))
    except Exception as error:  # noqa: BLE001 - both libraries' errors are compared
        return error


@pytest.mark.parametrize("f", R, ids=lambda f: f.__name__)
def test_module(f: Any) -> None:
    theirs, ours = _outcome(f, torch), _outcome(f, thalweg)
    if isinstance(theirs, Exception):
        assert isinstance(ours, ThalwegError), f"PyTorch raises {theirs!r}, got {ours!r}"
        assert isinstance(ours, type(theirs))
    else:
        assert ours == theirs
