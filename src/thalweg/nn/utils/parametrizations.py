"""Parametrisations of weights: by length and direction, of largest singular value 1, with orthonormal columns."""

from __future__ import annotations

from functools import partial
from typing import Any

from ...autograd.modes import no_grad
from ...core.tensor import TensorBase
from ...errors import ArgumentError
from ...linalg import matrix_exp, qr, solve
from ...ops.create import eye, zeros_like
from ...ops.join import cat
from ...ops.random import randn
from .. import functional as F
from ..modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..modules.module import Module
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _length(v: Any, dim: int | None) -> Any:
    """Return the norm over all dims but `dim` (over all, for None), with the dims kept."""
    others = tuple(k for k in range(v.ndim) if dim is None or k != dim % v.ndim)
    return v.norm(dim=others, keepdim=True) if dim is not None else v.norm()


class _WeightNorm(Module):
    """``g · v/‖v‖``."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Any, v: Any) -> Any:
        return v * (g / _length(v, self.dim))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Return the length and the direction of a weight."""
        return _length(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as its length and its direction: ``w = g · v/‖v‖`` (Salimans, Kingma 2016); return the module.

    There is one length for each index of `dim`, or one for all with None.

    >>> import thalweg as tw
    >>> layer = weight_norm(tw.nn.Linear(3, 2))
    >>> {name: tuple(p.shape) for name, p in layer.named_parameters()}
    {'bias': (2,), 'parametrizations.weight.original0': (2, 1), 'parametrizations.weight.original1': (2, 3)}
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(partial(_from_older, name))
    return module


def _from_older(name: str, state: Any, prefix: str, *rest: Any) -> None:
    """Rename the entries that nn.utils.weight_norm made."""
    for old, new in (("_g", "original0"), ("_v", "original1")):
        if f"{prefix}{name}{old}" in state:
            state[f"{prefix}parametrizations.{name}.{new}"] = state.pop(f"{prefix}{name}{old}")


def matrix_of(weight: Any, dim: int) -> Any:
    """Return a weight as a matrix whose rows are the slices along `dim`."""
    if dim != 0:
        weight = weight.permute(dim, *(k for k in range(weight.ndim) if k != dim))
    return weight.flatten(1)


def default_dim(module: Module) -> int:
    """Return which dim of a module's weight counts its outputs."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


class _SpectralNorm(Module):
    """``W / σ(W)``, with the largest singular value from a power iteration that goes on in training."""

    def __init__(self, weight: Any, n_power_iterations: int, eps: float, dim: int) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise _Dim(f"spectral_norm: dim must lie in [{-weight.ndim}, {weight.ndim - 1}], got {dim}.")
        if n_power_iterations <= 0:
            raise ArgumentError(f"spectral_norm: n_power_iterations must be > 0, got {n_power_iterations}.")
        self.dim = dim % weight.ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            matrix = matrix_of(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                self.register_buffer(name, F.normalize(randn(size, dtype=weight.dtype), dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Any, n: int) -> None:
        with no_grad():
            for _ in range(n):
                self._u.copy_(F.normalize(matrix @ self._v, dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.mT @ self._u, dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = matrix_of(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        sigma = self._u.clone() @ (matrix @ self._v.clone())
        return weight / sigma

    def right_inverse(self, value: Any) -> Any:
        """Return the value: one of norm 1 stays as it is."""
        return value


class _Dim(ArgumentError, IndexError):
    """A dim out of range: PyTorch raises IndexError."""


def _tensor_of(module: Module, name: str, who: str) -> Any:
    weight = getattr(module, name, None)
    if not isinstance(weight, TensorBase):
        raise ArgumentError(f"{who}: {type(module).__name__} has no parameter or buffer {name!r}.")
    return weight


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value (Miyato et al. 2018); return the module.

    The weight counts as a matrix whose rows are the slices along `dim` (default: the outputs). Each use in training makes
    `n_power_iterations` steps of the power iteration.

    >>> import thalweg as tw
    >>> layer = spectral_norm(tw.nn.Linear(3, 4))
    >>> for _ in range(100):
    ...     _ = layer.weight
    >>> round(tw.linalg.matrix_norm(layer.weight, 2).item(), 4)
    1.0
    """
    weight = _tensor_of(module, name, "spectral_norm")
    chosen = default_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, eps, chosen))


def _householder(a: Any) -> Any:
    """Return the columns of H₁ H₂ … with Hᵢ = 1 - 2 v vᵀ / vᵀv, v the i-th column of the unit lower triangle of `a`."""
    n, k = a.shape[-2:]
    q = eye(n, dtype=a.dtype)[:, :k].expand(*a.shape[:-2], n, k)
    lower = a.tril(-1) + eye(n, dtype=a.dtype)[:, :k]
    for i in reversed(range(k)):
        v = lower[..., i : i + 1]
        q = q - v * (2.0 / (v * v).sum(-2, keepdim=True)) @ (v.mT @ q)
    return q


def _orthonormal(a: Any) -> Any:
    """Return the orthogonal factor of a matrix, with the signs that make the other factor's diagonal positive."""
    q, r = qr(a)
    d = r.diagonal(dim1=-2, dim2=-1).sign()
    return q * d.unsqueeze(-2)


class _Orthogonal(Module):
    """A matrix with orthonormal columns (or rows, if it is wide), from one without constraints."""

    def __init__(self, weight: Any, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = _householder(x) * x.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)
        else:
            lower = x.tril()
            if n != k:
                lower = cat([lower, zeros_like(lower[..., :1]).expand(*lower.shape[:-1], n - k)], -1)
            skew: Any = lower - lower.mT
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(skew)
            else:
                one = eye(n, dtype=x.dtype)
                q = solve(one - skew * 0.5, one + skew * 0.5)
            q = q[..., :k]
        if getattr(self, "base", None) is not None:
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Any) -> Any:
        """Return the unconstrained matrix for an orthogonal one; another value is first made orthogonal."""
        if tuple(q.shape) != self.shape:
            raise ArgumentError(f"orthogonal: a value of shape {self.shape} is required, got {tuple(q.shape)}.")
        wide = q.shape[-2] < q.shape[-1]
        tall = q.mT if wide else q
        n, k = tall.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise _NoAssignment(
                    "orthogonal: with use_trivialization=False a value can be assigned for householder only."
                )
            a = _reflections(_orthonormal(tall))
            return a.mT if wide else a
        if n == k:
            gap = (tall.mT @ tall - eye(k, dtype=q.dtype)).abs().max().item()
            base = tall.clone() if gap < 10 * k * F_EPS[str(q.dtype).rpartition(".")[2]] else _orthonormal(tall)
        else:
            base = _orthonormal(cat([tall, randn(*tall.shape[:-2], n, n - k, dtype=q.dtype)], -1))
        self.base = base
        start = zeros_like(q)
        start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)  # type: ignore[attr-defined]
        return start


F_EPS = {"float32": 1.2e-7, "float64": 2.3e-16}


def _reflections(q: Any) -> Any:
    """Return the matrix from which :func:`_householder` and the signs on its diagonal give `q`."""
    k = q.shape[-1]
    rest, out = q.clone(), zeros_like(q)
    for i in range(k):
        column = rest[..., i:, i]
        head = column[..., 0]
        sign = (head >= 0).to(q.dtype) * 2 - 1
        v = column.clone()
        v[..., 0] += sign * column.norm(dim=-1)
        v = v / v[..., :1]
        out[..., i:, i] = v
        out[..., i, i] = -sign  # H maps the column to -sign times the unit vector
        scale = 2.0 / (v * v).sum(-1, keepdim=True).unsqueeze(-1)
        w = v.unsqueeze(-1)
        rest[..., i:, :] = rest[..., i:, :] - w * scale @ (w.mT @ rest[..., i:, :])
    return out


class _NoAssignment(ArgumentError, NotImplementedError):
    """PyTorch raises NotImplementedError here."""


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keep a matrix (or a batch of them) orthogonal: QᵀQ = 1, or QQᵀ = 1 if it is wide; return the module.

    `orthogonal_map`: ``'matrix_exp'`` (of a skew matrix; the default for square ones), ``'cayley'`` or ``'householder'``
    (a product of reflections; the default for others). With `use_trivialization` the map is multiplied by a constant
    orthogonal matrix, the value at registration (Lezcano-Casado 2019), and a value can be assigned.

    >>> import thalweg as tw
    >>> layer = orthogonal(tw.nn.Linear(4, 2))
    >>> tw.allclose(layer.weight @ layer.weight.mT, tw.eye(2), atol=1e-5)
    True
    """
    weight = _tensor_of(module, name, "orthogonal")
    if weight.ndim < 2:
        raise ArgumentError(f"orthogonal: a matrix or a batch of matrices is required, got {weight.ndim} dims.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ArgumentError(
            f"orthogonal: orthogonal_map must be 'matrix_exp', 'cayley' or 'householder', got {orthogonal_map!r}."
        )
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
