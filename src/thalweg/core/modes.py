"""What a thread is doing besides computing: the modes, one immutable value per context.

Reading the present modes is a single call into C. A new thread starts with the defaults, and entering a
mode replaces the value and puts the old one back, whatever happens in between.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .recorder import Recorder

__all__ = [
    "DEFAULT",
    "Modes",
    "about_to_be_written",
    "announce_write",
    "current",
    "enter",
    "modes_of",
    "restore",
    "silence",
]


class Modes:
    """The modes in force: immutable; :meth:`replace` gives a changed copy."""

    __slots__ = (
        "_twin", "anomaly", "check_nan", "enabled", "grad", "inference", "levels", "recorder", "saved_hooks", "special",
    )  # fmt: skip

    def __init__(
        self,
        grad: bool = True,
        inference: bool = False,
        anomaly: bool = False,
        check_nan: bool = True,
        levels: tuple[int, ...] = (),
        recorder: Recorder | None = None,
        saved_hooks: tuple[tuple[Callable[[Any], Any], Callable[[Any], Any]], ...] = (),
    ) -> None:
        self.enabled = grad  # what the user asked for
        self.grad = grad and not inference  # whether to record
        self.inference = inference
        self.anomaly = anomaly
        self.check_nan = check_nan
        self.levels = levels
        self.recorder = recorder
        self.saved_hooks = saved_hooks
        self._twin: Modes | None = None
        self.special = bool(inference or anomaly or levels or recorder is not None or saved_hooks)

    def replace(self, **changes: Any) -> Modes:
        """Return a copy with some modes changed."""
        fields = {name: getattr(self, name) for name in Modes.__slots__ if name not in ("_twin", "grad", "special")}
        fields["grad"] = fields.pop("enabled")
        return Modes(**(fields | changes))

    def with_grad(self, grad: bool) -> Modes:
        """Return these modes with recording on or off (the frequent change, hence remembered)."""
        if self.enabled == grad:
            return self
        if self._twin is None:
            twin = DEFAULT if grad and not self.special else self.replace(grad=grad)
            if twin is not DEFAULT:
                twin._twin = self
            self._twin = twin
        return self._twin


DEFAULT = Modes()
_present: ContextVar[Modes] = ContextVar("thalweg.modes", default=DEFAULT)

current = _present.get
enter = _present.set


_target: ContextVar[Any] = ContextVar("thalweg.target", default=None)


def announce_write(tensor: Any) -> None:
    """Say which tensor the operation that comes next computes new elements of: what it saves of the old is copied."""
    _target.set(None if tensor is None else weakref.ref(tensor))


def about_to_be_written() -> Any:
    """Return the tensor that :func:`announce_write` named, or None."""
    found = _target.get()
    return None if found is None else found()


def modes_of(token: Any) -> Modes:
    """Return the modes that were in force before an :func:`enter`."""
    old = token.old_value
    return DEFAULT if old is token.MISSING else old


try:  # np.errstate costs more than a small operation; its context variable can be set directly
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _SILENT = _make_extobj(all="ignore")
    _set_errors = _extobj_contextvar.set

    def silence() -> Any:
        """Turn NumPy's floating-point warnings off in this context: NaN and infinity are ordinary values."""
        return _set_errors(_SILENT)

    restore: Callable[[Any], None] = _extobj_contextvar.reset
except ImportError:  # pragma: no cover  (a NumPy that keeps its error state elsewhere)

    def silence() -> Any:
        """Turn NumPy's floating-point warnings off in this context: NaN and infinity are ordinary values."""
        state = np.errstate(all="ignore")
        state.__enter__()
        return state

    def restore(token: Any) -> None:
        """Put back what :func:`silence` changed."""
        token.__exit__(None, None, None)
