"""Making the programs of a race in another process, while the race goes on: they are left on disk.

python -m thalweg.lab.prepare CONFIG.toml LABEL …
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .config import RaceConfig
from .sweeps import compile_for

__all__ = ["Helper", "main"]

START = "import sys; from thalweg.lab.prepare import main; main(sys.argv[1:])"


class Helper:
    """A process that makes the programs of some contenders."""

    def __init__(self, config: Path, labels: Sequence[str]) -> None:
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(config), *labels],
            stdin=nothing, stdout=nothing, stderr=nothing,
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until it is done; how it ended does not matter, since what is missing is made again."""
        self.process.wait()

    def stop(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()


def main(arguments: Sequence[str]) -> None:
    """Make the programs of the contenders named after the configuration."""
    from .stages import expected_trials, first_round, tuning_budget  # which begins with helpers

    config = RaceConfig.from_toml(Path(arguments[0]))
    budget = tuning_budget(config) if config.trials_each else config.budget
    compile_for(
        config.load(),
        first_round(config),
        budget,
        config.entropy,
        config.compiled,
        arguments[1:],
        expected_trials(config),
    )
