"""Whose turn it is: a compiled function has one memory, so one thread runs it at a time.

After a fork the child has one thread, and what another held is free there.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import CaptureError

__all__ = ["COMPILING", "Turn", "in_child"]

# Held while machine code is made or loaded: neither Numba nor LLVM is to be asked by two threads for the same thing, and a
# process that forks waits for it, since the child could never finish what another thread had begun.
COMPILING = threading.RLock()

_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


class Turn:
    """The lock of one compiled function, and the thread that has it (0: none)."""

    __slots__ = ("__weakref__", "lock", "owner")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner = 0
        _turns.add(self)

    def refuse(self, me: int, who: str) -> None:
        """Raise CaptureError if this thread has the turn already: there is no other memory for a second loop."""
        if self.owner == me:
            raise CaptureError(f"{who}: this compiled function is running already, and called {who}() on itself.")


def _free() -> None:
    """Free, in a child, what threads held that are not there any more."""
    COMPILING.release()
    me = threading.get_ident()
    for turn in _turns:
        if turn.owner != me:
            turn.lock, turn.owner = threading.Lock(), 0


def in_child(work: Callable[[], Any]) -> None:
    """Let `work` be called in each process that this one forks, where processes can."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=work)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=COMPILING.acquire, after_in_parent=COMPILING.release, after_in_child=_free)
