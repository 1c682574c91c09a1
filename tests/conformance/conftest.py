"""Print the counts per family at the end of a run."""

import sys
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    opdb = sys.modules.get("tests.conformance.opdb")
    if opdb is not None and opdb.TALLIES:
        terminalreporter.section("agreement with PyTorch")
        for line in opdb.summary(opdb.TALLIES):
            terminalreporter.write_line(line)
