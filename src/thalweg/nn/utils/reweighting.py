"""PyTorch's older forms of weight and spectral normalization: a hook computes the weight before each forward."""

from __future__ import annotations

from typing import Any

from ...autograd.modes import no_grad
from ...errors import ArgumentError, GraphError
from ...ops.random import randn
from .. import functional as F
from ..modules.module import Module
from ..parameter import Parameter
from .parametrizations import _length, _tensor_of, default_dim, matrix_of

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _Reweighting:
    """A forward pre-hook that sets the weight of that name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compute(self, module: Module) -> Any:
        """Return the weight."""
        raise NotImplementedError

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module))


class _WeightNorm(_Reweighting):
    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Module) -> Any:
        v = getattr(module, f"{self.name}_v")
        return v * (getattr(module, f"{self.name}_g") / _length(v, self.dim))


class _SpectralNorm(_Reweighting):
    def __init__(self, name: str, steps: int, dim: int, eps: float) -> None:
        super().__init__(name)
        self.steps, self.dim, self.eps = steps, dim, eps

    def compute(self, module: Module) -> Any:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = matrix_of(weight, self.dim)
        if module.training:
            with no_grad():
                for _ in range(self.steps):
                    v.copy_(F.normalize(matrix.mT @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
        return weight / (u.clone() @ (matrix @ v.clone()))


def _hooks(module: Module, kind: type[_Reweighting], name: str) -> list[int]:
    table = module._hook_table().before
    return [key for key, (hook, *_) in table.items() if isinstance(hook, kind) and hook.name == name]


def _placed(module: Module, hook: _Reweighting, who: str) -> None:
    if _hooks(module, type(hook), hook.name):
        raise GraphError(f"{who}: {type(module).__name__}.{hook.name} has it already.")
    del module._parameters[hook.name]


def _removed(module: Module, kind: type[_Reweighting], name: str, parts: tuple[str, ...], who: str) -> Module:
    found = _hooks(module, kind, name)
    if not found:
        raise ArgumentError(f"{who}: {type(module).__name__}.{name} has none.")
    table = module._hook_table().before
    with no_grad():
        value = table[found[0]][0].compute(module).detach()
    del table[found[0]]
    delattr(module, name)
    for part in parts:
        delattr(module, f"{name}_{part}")
    setattr(module, name, Parameter(value))
    return module


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as ``weight_g`` and ``weight_v`` (PyTorch's older form of ``parametrizations.weight_norm``)."""
    weight = _tensor_of(module, name, "weight_norm")
    hook = _WeightNorm(name, dim)
    _placed(module, hook, "weight_norm")
    module.register_parameter(f"{name}_g", Parameter(_length(weight.detach(), dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter again."""
    return _removed(module, _WeightNorm, name, ("g", "v"), "remove_weight_norm")


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value (PyTorch's older form of ``parametrizations.spectral_norm``)."""
    if n_power_iterations <= 0:
        raise ArgumentError(f"spectral_norm: n_power_iterations must be > 0, got {n_power_iterations}.")
    weight = _tensor_of(module, name, "spectral_norm")
    hook = _SpectralNorm(name, n_power_iterations, default_dim(module) if dim is None else dim, eps)
    _placed(module, hook, "spectral_norm")
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for part, size in zip(("u", "v"), matrix_of(weight.detach(), hook.dim).shape, strict=True):
        module.register_buffer(f"{name}_{part}", F.normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a plain parameter again."""
    return _removed(module, _SpectralNorm, name, ("orig", "u", "v"), "remove_spectral_norm")
