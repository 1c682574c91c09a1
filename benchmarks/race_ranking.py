"""Is the order that a race finds the order that an expensive search finds? And do races from other seeds agree?

python -m benchmarks.race_ranking [TABLE ...] [--rates 200] [--seeds 8]

For each table: the default race (24 settings of each contender); the same contenders at 200 learning rates each, of which
the best runs from fresh seeds, with splits, starts and orders of rows that the first race never saw; and Kendall's τ
between the two orders, over the pairs that the second separates. Then the default race from several seeds: whether the
sets of winners of any two of them overlap.
"""

from __future__ import annotations

import argparse
import itertools
import math
import tempfile
from pathlib import Path

import numpy as np

from thalweg import lab
from thalweg.lab.config import DEFAULT_HELD_OUT, DEFAULT_TRIALS, default_budget, held_out
from thalweg.lab.store import Store

TABLES = ("airfoil", "diabetes", "breast_cancer", "wine", "digits")
OTHER_SEED = 1000  # of the expensive search
LOWEST, HIGHEST = 1e-5, 1e2


def race(table: str, seed: int, rates: int | None = None, tuning_seeds: int | None = None) -> lab.Result:
    """Return the result of a default race, or of one over so many learning rates."""
    spec = lab.resolve_problem(table)
    problem = held_out(spec, DEFAULT_HELD_OUT, DEFAULT_HELD_OUT, seed)
    grid = None if rates is None else tuple(np.geomspace(LOWEST, HIGHEST, rates).tolist())
    more = {} if tuning_seeds is None else {"tuning_seeds": tuning_seeds}
    config = lab.RaceConfig(
        spec, tuple(lab.default_contenders(problem)), default_budget(problem.rows), entropy=seed,
        trials_each=DEFAULT_TRIALS if rates is None else rates, rates=grid, validation=DEFAULT_HELD_OUT,
        test=DEFAULT_HELD_OUT, **more,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "race", config)
        return lab.run_race(store, command=["benchmark"], pictures=False, explain=False)


def kendall(found: lab.Result, expected: lab.Result) -> tuple[float, int]:
    """Return τ over the pairs that `expected` separates, and how many these are."""
    rank = {name: k for k, name in enumerate(found.comparison.order)}
    order = expected.comparison.order
    pairs = [(a, b) for a, b in itertools.combinations(order, 2) if expected.comparison.differs(a, b)]
    agree = sum(1 if rank[a] < rank[b] else -1 for a, b in pairs)
    return (agree / len(pairs) if pairs else math.nan), len(pairs)


def main() -> None:
    """Print a line per table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--rates", type=int, default=200)
    parser.add_argument("--tuning-seeds", type=int, help="of the expensive search; by default those of a race")
    parser.add_argument("--seeds", type=int, default=8)
    given = parser.parse_args()
    for table in given.tables:
        races = [race(table, seed) for seed in range(given.seeds)]
        apart = [
            (a, b) for a, b in itertools.combinations(range(len(races)), 2) if not {*races[a].best} & {*races[b].best}
        ]
        winners = "overlap" if not apart else f"do not overlap for seeds {apart}"
        print(f"{table}: winners of {given.seeds} races {winners}; {[len(r.best) for r in races]} in each", flush=True)
        if given.rates:
            grid = race(table, OTHER_SEED, given.rates, given.tuning_seeds)
            taus = [kendall(each, grid) for each in races]
            print(
                f"{table}: tau {', '.join(f'{tau:.2f}' for tau, _ in taus)} over {taus[0][1]} separated pairs",
                flush=True,
            )


if __name__ == "__main__":
    main()
