"""Ctrl-C at a time when it does no harm: between two steps, two slices, two functions to be compiled.

Python answers Ctrl-C between any two of its instructions, so also while half of the parameters have their new elements.
In a block ``with held():`` it is noted instead, and answered by the next :func:`pause` or at the block's end; in
``with answered():``, which is for the user's own function, it is answered at once again. Signals reach the main thread
alone, so elsewhere these do nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

try:  # the public functions wrap these, and take ten times as long
    import _signal as _signals  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # pragma: no cover  (a Python that keeps them elsewhere)
    _signals = signal

__all__ = ["answered", "held", "pause"]

_get_ident = threading.get_ident
_handler_of, _set_handler = _signals.getsignal, _signals.signal
_SIGINT = int(signal.SIGINT)
_present: list[held] = []  # the block that is in force in the main thread, if any
_main = [threading.main_thread().ident]


def _forked() -> None:
    """Take note, in a child of this process, that the thread that forked is its main one."""
    me = _get_ident()
    if _main[0] != me and _present:  # the block of a thread that is not there any more
        _set_handler(_SIGINT, _present.pop().handler)
    _main[0] = me


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class held:  # noqa: N801  (read as a statement: with held():)
    """Context in which Ctrl-C waits for :func:`pause`, or for the end."""

    __slots__ = ("before", "handler", "inner", "lent", "open", "waiting")
    open: bool

    def __enter__(self) -> held:
        self.handler: Callable[..., Any] | None = None
        self.inner: held | None = None
        if _get_ident() != _main[0]:
            return self
        if _present:  # a block within a block: the outer one keeps Ctrl-C, even where it answered at once
            self.inner = outer = _present[0]
            self.before, outer.open = outer.open, False
            return self
        handler = _handler_of(_SIGINT)
        if not callable(handler):  # the system's own: Python never raises
            return self
        self.waiting: list[tuple[Any, Any]] = []
        self.open = self.lent = False
        self.handler = handler
        try:
            _set_handler(_SIGINT, self.note)
        except ValueError:  # another interpreter of this process has the signals
            self.handler = None
        else:
            _present.append(self)
        return self

    def __exit__(self, *raised: Any) -> None:
        if self.inner is not None:
            self.inner.open = self.before
            if self.before:
                self.inner.deliver()
        elif self.handler is not None:
            _present.clear()
            if not self.lent or _handler_of(_SIGINT) == self.note:  # the user's own function may have set another
                _set_handler(_SIGINT, self.handler)
            if self.waiting:
                self.deliver()

    def note(self, number: int, frame: Any) -> None:
        """Take the place of the handler."""
        self.waiting.append((number, frame))
        if self.open:
            self.deliver()

    def deliver(self) -> None:
        """Let the handler answer what waits; most raise KeyboardInterrupt."""
        if self.waiting and self.handler is not None:
            given = self.waiting[0]
            self.waiting.clear()
            was, self.open = self.open, False  # what runs because of this error is not interrupted again
            self.handler(*given)
            self.open = was


class answered:  # noqa: N801
    """Context, within a :class:`held` one, in which Ctrl-C is answered at once: the user's own function runs."""

    __slots__ = ("block",)

    def __enter__(self) -> None:
        self.block = _present[0] if _present and _get_ident() == _main[0] else None
        if self.block is not None:
            self.block.open = self.block.lent = True
            self.block.deliver()

    def __exit__(self, *raised: Any) -> None:
        if self.block is not None:
            self.block.open = False


def pause() -> None:
    """Answer a Ctrl-C that waits."""
    if _present and _present[0].waiting and _get_ident() == _main[0]:
        _present[0].deliver()
