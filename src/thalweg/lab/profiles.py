"""Several problems at once: performance profiles, never a mean of raw losses.

A solver's cost on a problem (steps or seconds to the target; infinite where it was missed) is divided by the smallest
cost of any solver on it. The profile of a solver is the share of problems on which that ratio is at most τ (Dolan &
Moré 2002). Its score is the mean of the profile over 1 ≤ τ ≤ 4, as AlgoPerf counts it (Dahl et al. 2023). The order
of all but the best can change when a solver is taken away (Gould & Scott 2016), so profiles of each pair stand beside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError

__all__ = ["R_MAX", "Profiles", "performance_profiles"]

Floats = npt.NDArray[np.float64]

R_MAX = 4.0


@dataclass(frozen=True, eq=False)
class Profiles:
    """The ratios of all solvers on all problems that at least one of them solved."""

    solvers: tuple[str, ...]
    problems: tuple[str, ...]
    dropped: tuple[str, ...]  # nobody solved them
    costs: Floats  # [problems, solvers]

    @cached_property
    def ratios(self) -> Floats:
        """Each cost over the smallest on its problem, [problems, solvers]."""
        return _ratios(self.costs)

    def rho(self, solver: str, tau: float) -> float:
        """Return the share of problems on which the solver costs at most `tau` times the cheapest."""
        mine = self.ratios[:, self.solvers.index(solver)]
        return float((mine <= tau).mean()) if len(mine) else math.nan

    @cached_property
    def score(self) -> dict[str, float]:
        """Mean of each profile over 1 ≤ τ ≤ 4: 1 for a solver that is cheapest everywhere, 0 for one never within 4."""
        return dict(zip(self.solvers, _scores(self.ratios).tolist(), strict=True))

    @cached_property
    def pairwise(self) -> dict[tuple[str, str], tuple[float, float]]:
        """The scores of the two solvers of each pair when only these are profiled, on what at least one of them solved."""
        found = {}
        for i, a in enumerate(self.solvers):
            for j in range(i + 1, len(self.solvers)):
                two = self.costs[:, [i, j]]
                first, second = _scores(_ratios(two[np.isfinite(two).any(axis=1)]))
                found[a, self.solvers[j]] = float(first), float(second)
        return found


def _ratios(costs: Floats) -> Floats:
    smallest = costs.min(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = costs / smallest
    return np.where(costs == smallest, 1.0, ratios)


def _scores(ratios: Floats) -> Floats:
    if not len(ratios):
        return np.full(ratios.shape[1], math.nan)
    return np.asarray((np.maximum(R_MAX - ratios, 0.0) / (R_MAX - 1)).mean(axis=0), np.float64)


def performance_profiles(costs: Mapping[str, Mapping[str, float]]) -> Profiles:
    """Return the profiles of solvers, given their cost by problem and solver: infinite where the target was missed.

    >>> profiles = performance_profiles({"p": {"a": 1.0, "b": 2.0}, "q": {"a": 3.0, "b": float("inf")}})
    >>> profiles.score["a"], round(profiles.score["b"], 3), profiles.rho("b", 2)
    (1.0, 0.333, 0.5)
    """
    if not costs:
        raise ArgumentError("performance_profiles: at least one problem is required, got none.")
    solvers = tuple(next(iter(costs.values())))
    for problem, row in costs.items():
        if set(row) != set(solvers) or not solvers:
            raise ArgumentError(
                f"performance_profiles: every problem needs a cost of every solver ({', '.join(solvers)}), "
                f"{problem} has {', '.join(row) or 'none'}."
            )
    table = np.array([[float(row[s]) for s in solvers] for row in costs.values()])
    table = np.where(np.isnan(table), np.inf, table)
    if (table < 0).any():
        raise ArgumentError(f"performance_profiles: costs must be >= 0, got {table.min():g}.")
    solved = np.isfinite(table).any(axis=1)
    names = np.array(list(costs), dtype=object)
    return Profiles(solvers, tuple(names[solved]), tuple(names[~solved]), table[solved])
