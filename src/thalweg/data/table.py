"""A table of numbers: features, a target, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core import dtype as _dtype
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DataError
from ..ops.random import Generator, default_generator
from ..ops.tensor import Tensor

__all__ = ["Array", "Table"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Table:
    """Features ``X`` [n, d] (or images [n, height, width]) with a target ``y`` [n], as arrays.

    `task` is ``"regression"`` (y are numbers) or ``"classification"`` (y are classes 0 … k - 1).

    >>> table = Table("two rows", np.array([[1.0], [3.0]]), np.array([0.0, 4.0]))
    >>> table.standardized().X.ravel(), table.standardized().y
    (array([-1.,  1.]), array([-1.,  1.]))
    """

    name: str
    X: Array
    y: Array
    task: str = "regression"
    features: tuple[str, ...] = ()
    target: str = "y"
    classes: tuple[str, ...] = ()
    source: str = ""
    dropped: tuple[str, ...] = field(default=())  # features without any spread, left out by standardized()

    def __post_init__(self) -> None:
        if len(self.X) != len(self.y):
            raise DataError(f"{self.name}: as many rows as targets are required, got {len(self.X)} and {len(self.y)}.")

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"<{self.name}: {' x '.join(map(str, self.X.shape))}, {self.task} of {self.target}>"

    def standardized(self, target: bool = True) -> Table:
        """Shift and scale each feature to mean 0 and (population) standard deviation 1 over all rows.

        So is the target of a regression, unless `target` is False. Features that are constant are left out.
        """
        X = self.X.reshape(len(self.X), -1).astype(np.float64)
        spread = X.std(0)
        kept = spread > 1e-12 * np.maximum(1.0, np.abs(X).max(0, initial=0.0))
        X = (X[:, kept] - X[:, kept].mean(0)) / spread[kept]
        y = self.y
        if target and self.task == "regression":
            if y.std() == 0:
                raise DataError(f"{self.name}: the target {self.target} is constant; there is nothing to learn.")
            y = (y - y.mean()) / y.std()
        names = self.features or tuple(f"x{k + 1}" for k in range(len(kept)))
        return replace(
            self,
            X=X,
            y=y,
            features=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
            dropped=tuple(name for name, keep in zip(names, kept, strict=True) if not keep),
        )

    def split(self, test: float = 0.2, *, generator: Generator | None = None) -> tuple[Table, Table]:
        """Split the rows at random into a part to train on and one to test on, the fraction `test` of them."""
        if not 0 < test < 1:
            raise ArgumentError(f"split: test must lie between 0 and 1, got {test}.")
        order = (default_generator if generator is None else generator).numpy().permutation(len(self))
        n = max(1, min(len(self) - 1, round(len(self) * test)))
        return self.rows(order[n:]), self.rows(order[:n])

    def rows(self, which: Any) -> Table:
        """Return the table of some rows: a slice or an array of row numbers."""
        return replace(self, X=self.X[which], y=self.y[which])

    def tensors(self, dtype: _dtype.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Return (X, y) as tensors: floating point, and int64 for classes."""
        kind = (dtype or _dtype.default_float()).np
        X = TensorBase._wrap(np.array(self.X, kind, order="C"))
        y = TensorBase._wrap(np.array(self.y, np.int64 if self.task == "classification" else kind))
        return X, y  # type: ignore[return-value]
