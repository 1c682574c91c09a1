"""Several optimizers as one, each over its own parameters: hidden matrices to one method, everything else to another."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from ..autograd.modes import enable_grad
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError
from .adam import AdamW
from .matrix import Muon
from .optimizer import Optimizer, Params
from .space import Log, OneMinus, Pair, Space

__all__ = ["MuonAdamW", "Partition", "hidden_matrices"]


def hidden_matrices(params: Iterable[TensorBase]) -> tuple[list[TensorBase], list[TensorBase]]:
    """Return the hidden matrices of a network, and all its other parameters, in their order.

    Hidden are the parameters of two dimensions but the first and the last of them, which are the layers of the inputs
    and of the outputs (Jordan et al. 2024 leave embeddings and heads to AdamW).

    >>> import thalweg as tw
    >>> net = tw.nn.Sequential(tw.nn.Linear(3, 8), tw.nn.Linear(8, 8), tw.nn.Linear(8, 2))
    >>> [[tuple(p.shape) for p in part] for part in hidden_matrices(net.parameters())]
    [[(8, 8)], [(8, 3), (8,), (8,), (2, 8), (2,)]]
    """
    every = list(params)
    matrices = [k for k, p in enumerate(every) if p._data.ndim == 2][1:-1]
    return [every[k] for k in matrices], [p for k, p in enumerate(every) if k not in matrices]


class Partition(Optimizer):
    """Step several optimizers, each over its own parameters, as one; schedulers and checkpoints take it as any other.

    >>> import thalweg as tw
    >>> net = tw.nn.Sequential(tw.nn.Linear(3, 8), tw.nn.Linear(8, 8), tw.nn.Linear(8, 2))
    >>> hidden, rest = hidden_matrices(net.parameters())
    >>> optimizer = Partition(tw.optim.Muon(hidden, lr=0.02), tw.optim.AdamW(rest, lr=1e-3))
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.02, 0.001]
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        if not optimizers:
            raise ArgumentError(f"{self._name()}: at least one optimizer is required, got none.")
        for each in optimizers:
            if not isinstance(each, Optimizer):
                raise DTypeError(f"{self._name()}: optimizers are required, got {type(each).__name__}.")
        owned = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
        if len(set(owned)) < len(owned):
            raise ArgumentError(
                f"{self._name()}: each parameter may belong to one of the optimizers, and one is in several."
            )
        self.optimizers = tuple(optimizers)
        self._make_hooks()

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]  # a view, where Optimizer has an attribute
        """The groups of all optimizers, in their order."""
        return [group for o in self.optimizers for group in o.param_groups]

    @property
    def state(self) -> Any:  # type: ignore[override]  # as above
        """The state of all optimizers by parameter."""
        return ChainMap(*(o.state for o in self.optimizers))

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]  # as above
        """The defaults of the first optimizer."""
        return self.optimizers[0].defaults

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refuse: a group belongs to one of the optimizers."""
        raise ArgumentError(f"{self._name()}: add the group to one of .optimizers.")

    def _run(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for each in self.optimizers:
            each.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state dicts of all optimizers under ``parts``."""
        return {"parts": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a :meth:`state_dict`; everything is copied."""
        parts = state_dict.get("parts")
        if not isinstance(parts, list) or len(parts) != len(self.optimizers):
            raise ArgumentError(
                f"{self._name()}: a state dict with {len(self.optimizers)} parts is required, got "
                f"{'none' if not isinstance(parts, list) else len(parts)}."
            )
        for each, part in zip(self.optimizers, parts, strict=True):
            each.load_state_dict(part)

    def __repr__(self) -> str:
        return f"{self._name()}({', '.join(map(repr, self.optimizers))})"


class MuonAdamW(Partition):
    """:class:`Muon` for the hidden matrices of a network and :class:`AdamW` for everything else, as Muon's authors do.

    `lr` is Muon's rate, matched to AdamW's root mean square (Liu et al. 2025) so that one rate serves both, unless
    `adam_lr` gives AdamW its own. Without hidden matrices it is AdamW.
    """

    space: ClassVar[Space] = {"lr": Log(1e-5, 1.0), "betas": Pair((0.9, 0.95), 0, OneMinus(0.03, 0.5))}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float = 0.0,
        *,
        adam_lr: float | None = None,
    ) -> None:
        hidden, rest = hidden_matrices(_tensors(params, self._name()))
        parts: list[Optimizer] = []
        if hidden:
            parts.append(
                Muon(hidden, lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if rest:
            rate = lr if adam_lr is None else adam_lr
            parts.append(AdamW(rest, lr=rate, betas=betas, weight_decay=weight_decay))
        super().__init__(*parts)


def _tensors(params: Any, who: str) -> list[TensorBase]:
    found = list(params)
    if not found or not all(isinstance(p, TensorBase) for p in found):
        raise DTypeError(f"{who}: an iterable of tensors is required, without groups or names.")
    return found
