"""Where in the user's own code we are."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["user_line"]

_PACKAGE = str(Path(__file__).resolve().parent.parent)


def user_line() -> str:
    """Return ``file:line: source`` of the innermost frame that is not in this library."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_PACKAGE):
            import linecache

            source = linecache.getline(name, frame.f_lineno).strip()
            return f"{name}:{frame.f_lineno}" + (f": {source}" if source else "")
        frame = frame.f_back  # type: ignore[assignment]
    return "an unknown line"
