"""Averages of whole models, under PyTorch's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..core.inplace import bump
from ..core.tensor import TensorBase
from ..errors import ArgumentError
from ..nn.modules.module import Module
from ._scalars import as_number, check
from .lr_scheduler.base import LRScheduler, cut_of, per_group
from .optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], Any]:
    """Return ``(average, x, n) -> decay · average + (1-decay) · x``."""
    check(0 <= decay <= 1, "get_ema_avg_fn", "decay", "a number from 0 to 1", decay)
    return partial(_exponential, decay)


def get_swa_avg_fn() -> Callable[[Any, Any, Any], Any]:
    """Return ``(average, x, n) -> average + (x - average) / (n + 1)``, the plain mean."""
    return _mean


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[list[Any], list[Any], Any], None]:
    """Return :func:`get_ema_avg_fn` over lists, in place."""
    return _over_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[[list[Any], list[Any], Any], None]:
    """Return :func:`get_swa_avg_fn` over lists, in place."""
    return _over_lists(get_swa_avg_fn())


def _exponential(decay: float, average: Any, x: Any, n: Any) -> Any:
    return decay * average + (1 - decay) * x


def _mean(average: Any, x: Any, n: Any) -> Any:
    return average + (x - average) / (as_number(n) + 1)


def _over_lists(one: Callable[[Any, Any, Any], Any]) -> Callable[[list[Any], list[Any], Any], None]:
    return partial(_several, one)  # a function of this module: a model that holds it can be pickled


def _several(one: Callable[[Any, Any, Any], Any], averages: list[Any], values: list[Any], n: Any) -> None:
    for average, x in zip(averages, values, strict=True):
        _put(average, one(average, x, n))


class AveragedModel(Module):
    """A copy of a model whose parameters are averages over the calls of :meth:`update_parameters`.

    The first call copies; `avg_fn` says how further ones enter (default: the plain mean). With `use_buffers` buffers are
    averaged too, else copied. Izmailov et al. 2018.
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[[Any, Any, Any], Any] | None = None,
        multi_avg_fn: Callable[[list[Any], list[Any], Any], None] | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", TensorBase._wrap(np.array(0, np.int64)))
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: one of avg_fn and multi_avg_fn may be given, got both.")
        self.avg_fn = get_swa_avg_fn() if avg_fn is None else avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Let the parameters of `model` enter the averages."""
        with no_grad():
            self._enter(model)

    def _enter(self, model: Module) -> None:
        n = self.n_averaged
        pairs = list(zip(self.module.parameters(), model.parameters(), strict=True))
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        averaged = pairs + [b for b in buffers if self.use_buffers]
        if self.multi_avg_fn is not None and as_number(n) > 0:
            floating = [(a.detach(), x.detach()) for a, x in averaged if a._data.dtype.kind == "f"]
            self.multi_avg_fn([a for a, _ in floating], [x for _, x in floating], n)
            averaged = [(a, x) for a, x in averaged if a._data.dtype.kind != "f"]
        for average, x in averaged:
            taken = as_number(n) == 0 or average._data.dtype.kind != "f"
            value = x.detach() if taken else self.avg_fn(average.detach(), x.detach(), n)
            _put(average, value)
        if not self.use_buffers:
            for average, x in buffers:
                _put(average, x.detach())
        n._data += 1


def _put(target: Any, value: Any) -> None:
    np.copyto(target._data, value._data)
    bump(target)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Recompute the running statistics of batch normalization by one pass over the data."""
    layers = [m for m in model.modules() if getattr(m, "running_mean", None) is not None]
    if not layers:
        return
    momenta = [m.momentum for m in layers]
    training = model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    try:
        model.train()
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the present rate to `swa_lr` in `anneal_epochs` steps, by a cosine or a line, and constant from there on."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list[float], anneal_epochs: int = 10, anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        who = type(self).__name__
        good = anneal_strategy in ("cos", "linear")
        check(good, who, "anneal_strategy", "'cos' or 'linear'", repr(anneal_strategy))
        whole: Any = anneal_epochs
        check(isinstance(whole, int) and whole >= 0, who, "anneal_epochs", "an integer >= 0", anneal_epochs)
        for group, lr in zip(optimizer.param_groups, per_group(swa_lr, optimizer, who, "swa_lr"), strict=True):
            group["swa_lr"] = lr
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    writes = ("lr", "initial_lr", "plateau_cut", "swa_lr")

    def _share(self, t: int) -> float:
        """Return how far the rate has gone by step `t`, from 0 to 1."""
        x = max(0.0, min(1.0, t / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * x)) / 2 if self.anneal_strategy == "cos" else x

    def get_lr(self) -> list[float]:
        """Return the rates of step `last_epoch`: where they started is read off where they are."""
        self._only_inside()
        t = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        now, before = self._share(t), self._share(t - 1)
        found = []
        for group in self.optimizer.param_groups:
            lr, target = as_number(group["lr"]), group["swa_lr"] * cut_of(group)
            start = target if before == 1 else (lr - before * target) / (1 - before)
            found.append(now * target + (1 - now) * start)
        return found
