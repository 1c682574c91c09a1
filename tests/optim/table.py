"""One row per optimizer: random settings, and what the properties need to know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import optim


@dataclass(frozen=True)
class Row:
    cls: Any
    settings: Callable[[np.random.Generator], dict[str, Any]]  # random ones, all allowed
    invalid: tuple[dict[str, Any], ...]  # each refused
    shapes: tuple[tuple[int, ...], ...] = ((3, 4), (4,), (), (2, 3, 2))
    torch: bool = True  # PyTorch has it too
    closure: bool = False  # step calls a closure again
    hyper: tuple[str, ...] = ("lr",)  # settings to differentiate by
    smooth: bool = True  # the update is differentiable almost everywhere in them

    @property
    def name(self) -> str:
        return self.cls.__name__


def _one_of(rng: np.random.Generator, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _u(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _flag(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))


def _decay(rng: np.random.Generator) -> float:
    return _one_of(rng, 0, _u(rng, 0.001, 0.3))


def _betas(rng: np.random.Generator) -> tuple[float, float]:
    return _u(rng, 0, 0.99), _u(rng, 0.05, 0.9999)


def _sgd(rng):
    momentum = _one_of(rng, 0, _u(rng, 0.1, 0.99))
    nesterov = momentum > 0 and _flag(rng)
    return {
        "lr": _u(rng, 1e-3, 0.5), "momentum": momentum, "nesterov": nesterov, "weight_decay": _decay(rng),
        "dampening": 0 if nesterov else _one_of(rng, 0, _u(rng, 0, 0.9)), "maximize": _flag(rng),
    }  # fmt: skip


def _adagrad(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "lr_decay": _one_of(rng, 0, _u(rng, 0, 0.5)), "weight_decay": _decay(rng),
        "initial_accumulator_value": _one_of(rng, 0, _u(rng, 0, 1)), "eps": 10 ** _u(rng, -10, -3),
        "maximize": _flag(rng),
    }  # fmt: skip


def _rmsprop(rng):
    return {
        "lr": _u(rng, 1e-3, 0.1), "alpha": _u(rng, 0.5, 0.999), "eps": 10 ** _u(rng, -10, -3),
        "weight_decay": _decay(rng), "momentum": _one_of(rng, 0, _u(rng, 0, 0.9)), "centered": _flag(rng),
        "maximize": _flag(rng),
    }  # fmt: skip


def _adadelta(rng):
    return {
        "lr": _u(rng, 0.1, 2), "rho": _u(rng, 0.5, 0.99), "eps": 10 ** _u(rng, -8, -3), "weight_decay": _decay(rng),
        "maximize": _flag(rng),
    }  # fmt: skip


def _moments(*more: str):
    def settings(rng):
        found = {
            "lr": _u(rng, 1e-3, 0.1), "betas": _betas(rng), "eps": 10 ** _u(rng, -10, -3),
            "weight_decay": _decay(rng), "maximize": _flag(rng),
        }  # fmt: skip
        for key in more:
            found[key] = _flag(rng) if key != "momentum_decay" else _u(rng, 0, 0.1)
        return found

    return settings


def _rprop(rng):
    return {
        "lr": _u(rng, 1e-3, 0.1), "etas": (_u(rng, 0.1, 0.9), _u(rng, 1.05, 2)),
        "step_sizes": (10 ** _u(rng, -8, -3), _u(rng, 0.1, 5)), "maximize": _flag(rng),
    }  # fmt: skip


def _asgd(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "lambd": _u(rng, 0, 0.1), "alpha": _u(rng, 0, 1), "t0": _one_of(rng, 0, 2, 1e6),
        "weight_decay": _decay(rng), "maximize": _flag(rng),
    }  # fmt: skip


def _adafactor(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "beta2_decay": -_u(rng, 0.1, 1), "eps": (_one_of(rng, None, 1e-6), 10 ** _u(rng, -6, -1)),
        "d": _u(rng, 1, 2), "weight_decay": _decay(rng), "maximize": _flag(rng),
    }  # fmt: skip


def _muon(rng):
    return {
        "lr": _u(rng, 1e-3, 0.1), "momentum": _u(rng, 0, 0.99), "weight_decay": _decay(rng), "nesterov": _flag(rng),
        "ns_steps": int(rng.integers(1, 7)), "adjust_lr_fn": _one_of(rng, None, "original", "match_rms_adamw"),
    }  # fmt: skip


def _lbfgs(rng):
    return {
        "lr": _u(rng, 0.1, 1), "max_iter": int(rng.integers(1, 8)), "history_size": int(rng.integers(1, 6)),
        "line_search_fn": _one_of(rng, None, "strong_wolfe"), "tolerance_grad": 10 ** _u(rng, -9, -5),
    }  # fmt: skip


def _lion(rng):
    return {"lr": _u(rng, 1e-3, 0.1), "betas": _betas(rng), "weight_decay": _decay(rng), "maximize": _flag(rng)}


def _lars(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "momentum": _u(rng, 0, 0.95), "weight_decay": _decay(rng),
        "trust_coefficient": _u(rng, 0.01, 1), "eps": _one_of(rng, 0, 1e-6), "maximize": _flag(rng),
    }  # fmt: skip


def _yogi(rng):
    return _moments("decoupled_weight_decay")(rng) | {"initial_accumulator_value": _one_of(rng, 0, 1e-6, 0.1)}


def _sgld(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "temperature": _u(rng, 0.1, 2), "weight_decay": _decay(rng), "maximize": _flag(rng),
        "generator": tw.Generator().manual_seed(int(rng.integers(1000))),
    }  # fmt: skip


def _free_sgd(rng):
    return {
        "lr": _u(rng, 1e-3, 0.5), "momentum": _u(rng, 0, 0.95), "weight_decay": _decay(rng),
        "warmup_steps": _one_of(rng, 0, 3), "maximize": _flag(rng),
    }  # fmt: skip


def _signum(rng):
    return {
        "lr": _u(rng, 1e-3, 0.1),
        "momentum": _one_of(rng, 0, 0.5, 0.9),
        "weight_decay": _decay(rng),
        "maximize": _flag(rng),
    }


def _adopt(rng):
    found = _moments()(rng)
    return {k: found[k] for k in ("lr", "betas", "eps", "weight_decay", "maximize")} | {"decouple": _flag(rng)}


def _ademamix(rng):
    found = _moments()(rng)
    kept = {k: found[k] for k in ("lr", "eps", "weight_decay", "maximize")}
    return kept | {"betas": (*found["betas"], _u(rng, 0.9, 0.9999)), "alpha": _u(rng, 0, 8)}


def _dog(rng):
    return {
        "lr": _u(rng, 0.3, 2), "reps_rel": 10 ** _u(rng, -4, -1), "weight_decay": _decay(rng), "maximize": _flag(rng)
    }  # fmt: skip


def _dadapt(rng):
    found = _moments()(rng)
    return {k: found[k] for k in ("betas", "eps", "weight_decay", "maximize")} | {
        "lr": _u(rng, 0.3, 2), "d0": 10 ** _u(rng, -4, -2), "decouple": _flag(rng),
        "growth_rate": _one_of(rng, float("inf"), 1.5),
    }  # fmt: skip


def _mars(rng):
    return _moments()(rng) | {"gamma": _u(rng, 0, 0.1)}


def _shampoo(rng):
    return {"lr": _u(rng, 1e-3, 0.5), "eps": 10 ** _u(rng, -4, -1), "weight_decay": _decay(rng), "maximize": _flag(rng)}


def _soap(rng):
    return _moments()(rng) | {"frequency": _one_of(rng, 1, 2, 10), "max_dim": _one_of(rng, 3, 100)}


def _prodigy(rng):
    found = _moments()(rng)
    return {k: found[k] for k in ("betas", "eps", "weight_decay", "maximize")} | {
        "lr": _u(rng, 0.3, 2), "d0": 10 ** _u(rng, -4, -2), "d_coef": _u(rng, 0.5, 2), "decouple": _flag(rng),
        "safeguard_warmup": _flag(rng), "beta3": _one_of(rng, None, 0.9), "growth_rate": _one_of(rng, float("inf"), 1.5),
    }  # fmt: skip


def _free_adamw(rng):
    return _moments()(rng) | {"warmup_steps": _one_of(rng, 0, 3)}


LR = ({"lr": -0.1}, {"lr": -1e-12}, {"lr": tw.tensor([0.1, 0.2])})
EPS, DECAY = ({"eps": -1e-8},), ({"weight_decay": -0.1},)
BETAS = ({"betas": (1.0, 0.9)}, {"betas": (0.9, 1.0)}, {"betas": (-0.1, 0.9)}, {"betas": (0.9, -0.1)})
NAN = ({"lr": float("nan")},)
ADAM = (*LR, *NAN, *EPS, *DECAY, *BETAS)
MIXED = ({"betas": (0.9, tw.tensor(0.99))}, {"betas": (0, 0)}, {"lr": tw.tensor(0.1), "foreach": True})

ROWS = (
    Row(optim.SGD, _sgd, (*LR, {"momentum": -0.5}, *DECAY, {"nesterov": True},
                          {"nesterov": True, "momentum": 0.9, "dampening": 0.1}), hyper=("lr", "momentum")),
    Row(optim.Adagrad, _adagrad, (*LR, *NAN, *EPS, *DECAY, {"lr_decay": -0.5}, {"initial_accumulator_value": -1})),
    Row(optim.RMSprop, _rmsprop, (*LR, *NAN, *EPS, *DECAY, {"momentum": -1.0}, {"alpha": -0.1}),
        hyper=("lr", "alpha")),
    Row(optim.Adadelta, _adadelta, (*LR, *NAN, *EPS, *DECAY, {"rho": 1.1}, {"rho": -0.1}), hyper=("lr", "rho")),
    Row(optim.Adam, _moments("amsgrad", "decoupled_weight_decay"), (*ADAM, *MIXED), hyper=("lr", "betas")),
    Row(optim.AdamW, _moments("amsgrad"), (*ADAM, *MIXED), hyper=("lr", "betas")),
    Row(optim.NAdam, _moments("decoupled_weight_decay", "momentum_decay"), (*ADAM, {"momentum_decay": -0.2})),
    Row(optim.RAdam, _moments("decoupled_weight_decay"), ADAM, hyper=("lr", "betas")),
    Row(optim.Adamax, _moments(), ADAM),
    Row(optim.Rprop, _rprop, (*LR, *NAN, {"etas": (1.0, 0.5)}, {"etas": (0.0, 1.2)})),
    Row(optim.ASGD, _asgd, (*LR, *NAN, *DECAY)),
    Row(optim.LBFGS, _lbfgs, (*LR, *NAN), closure=True, hyper=()),
    Row(optim.Adafactor, _adafactor,
        (*LR, *NAN, *DECAY, {"d": 0.5}, {"beta2_decay": 0.1}, {"eps": (-1.0, 1e-3)}, {"eps": (None, -1e-3)})),
    Row(optim.Muon, _muon, (*LR, *NAN, *DECAY, {"momentum": -0.1}, {"adjust_lr_fn": "arbitrary"}),
        shapes=((3, 4), (5, 2), (1, 6))),
    Row(optim.AMSGrad, _moments("decoupled_weight_decay"), ADAM, torch=False),
    Row(optim.Yogi, _yogi, (*ADAM, {"initial_accumulator_value": -1}), torch=False),
    Row(optim.AdaBelief, _moments("decoupled_weight_decay"), ADAM, torch=False),
    Row(optim.Lion, _lion, (*LR, *NAN, *DECAY, *BETAS), torch=False),
    Row(optim.Signum, _signum, (*LR, *NAN, *DECAY, {"momentum": 1.0}, {"momentum": -0.1}), torch=False),
    Row(optim.ADOPT, _adopt, (*ADAM, {"clip_exponent": 0}), torch=False),
    Row(optim.AdEMAMix, _ademamix, (*LR, *NAN, *EPS, *DECAY, {"betas": (0.9, 0.99)}, {"alpha": -1}), torch=False),
    Row(optim.DoG, _dog, (*LR, *NAN, *EPS, *DECAY, {"reps_rel": 0}), torch=False),
    Row(optim.DAdaptAdam, _dadapt, (*ADAM, {"d0": 0}, {"growth_rate": 0.5}), torch=False),
    Row(optim.MARS, _mars, (*ADAM, {"gamma": -0.1}), torch=False),
    Row(optim.Shampoo, _shampoo, (*LR, *NAN, {"eps": 0}, *DECAY), torch=False),
    Row(optim.SOAP, _soap, (*ADAM, {"frequency": 0}, {"max_dim": 0}), torch=False),
    Row(optim.Prodigy, _prodigy,
        (*ADAM, {"beta3": 1.0}, {"d0": 0}, {"d_coef": 0}, {"growth_rate": 0.5}), torch=False),
    Row(optim.LAMB, _moments(), ADAM, torch=False),
    Row(optim.LARS, _lars, (*LR, *NAN, *EPS, *DECAY, {"momentum": -1}, {"trust_coefficient": 0}), torch=False,
        hyper=("lr", "momentum")),
    Row(optim.SGLD, _sgld, (*LR, *NAN, *DECAY, {"temperature": -1}), torch=False),
    Row(optim.ScheduleFreeSGD, _free_sgd, (*LR, {"lr": 0}, *DECAY, {"momentum": 1.0}, {"warmup_steps": -1}),
        torch=False, hyper=("lr", "momentum")),
    Row(optim.ScheduleFreeAdamW, _free_adamw, (*ADAM, {"lr": 0}, {"warmup_steps": -1}), torch=False),
)  # fmt: skip
BY_NAME = {row.name: row for row in ROWS}
SHARED = tuple(row for row in ROWS if row.torch)
OWN = tuple(row for row in ROWS if not row.torch)


def start(row: Row, rng: np.random.Generator) -> list[np.ndarray]:
    """Return where the parameters start."""
    return [rng.normal(size=shape) for shape in row.shapes]


def params_of(arrays: list[np.ndarray]) -> list[Any]:
    """Return float64 parameters of ours over copies."""
    return [tw.tensor(a.copy(), requires_grad=True) for a in arrays]


def gradient(arrays: list[np.ndarray], k: int) -> list[np.ndarray]:
    """Return the gradient of a fixed smooth function at `arrays`, different in each step."""
    return [np.sin(2 * a + i + 0.3 * k) + 0.5 * a for i, a in enumerate(arrays)]


def run(optimizer: Any, params: list[Any], steps: int, first: int = 0) -> None:
    """Make some steps on the fixed function."""
    for k in range(first, first + steps):

        def closure(k: int = k) -> Any:
            for p, g in zip(params, gradient([p.detach().numpy() for p in params], k), strict=True):
                p.grad = tw.tensor(g)
            values = [p.detach().numpy() for p in params]
            return sum(float((0.25 * a * a - 0.5 * np.cos(2 * a + i + 0.3 * k)).sum()) for i, a in enumerate(values))

        if isinstance(optimizer, (optim.LBFGS, optim.SAM)):
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()
