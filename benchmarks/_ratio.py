"""Measuring ratios on noisy machines: both sides alternate in one process; the median of repeats and its spread."""

import statistics
import time
from collections.abc import Callable
from typing import Any


def ratio(
    ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int = 15, number: int = 1, pause: float = 0.0
) -> dict[str, float]:
    """Return the median of ours/theirs over alternating repeats, its quartiles, and the median times in seconds.

    `pause` seconds before each side, and a call that is not counted, keep the threads of one side, which may wait
    busily for some milliseconds after their work, out of the other's way.
    """
    ours(), theirs()
    found: list[float] = []
    mine: list[float] = []
    other: list[float] = []
    for _ in range(repeats):
        for side, times in ((ours, mine), (theirs, other)):
            if pause:
                time.sleep(pause)
                side()
            start = time.perf_counter()
            for _ in range(number):
                side()
            times.append((time.perf_counter() - start) / number)
        found.append(mine[-1] / other[-1])
    low, _, high = statistics.quantiles(found, n=4)
    return {
        "ratio": statistics.median(found),
        "low": low,
        "high": high,
        "ours_s": statistics.median(mine),
        "theirs_s": statistics.median(other),
    }


def line(name: str, found: dict[str, float], limit: float | None = None) -> str:
    """Return one line of a table."""
    asked = f"  asked <= {limit:g}" if limit is not None else ""
    return (
        f"{name:46} {found['ratio']:6.3f}  ({found['low']:.3f} to {found['high']:.3f})  "
        f"{found['ours_s'] * 1e3:9.3f} ms against {found['theirs_s'] * 1e3:9.3f} ms{asked}"
    )
