"""Turning recording off and on, per thread: context managers that also decorate functions and generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..core.modes import Modes, current, enter

__all__ = [
    "Immediate",
    "Mode",
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])


class Mode:
    """A change of modes as a context manager and a decorator; leaving it takes back its own change alone."""

    def __init__(self) -> None:
        self._stack: list[tuple[Modes, Modes]] = []

    def _changed(self, modes: Modes) -> Modes:
        raise NotImplementedError

    def _restored(self, modes: Modes, before: Modes) -> Modes:
        return modes.with_grad(before.enabled)

    def _fresh(self) -> Mode:
        return type(self)()

    def __enter__(self) -> None:
        before = current()
        within = self._changed(before)
        self._stack.append((before, within))
        enter(within)

    def __exit__(self, *exc: object) -> None:
        before, within = self._stack.pop()
        now = current()
        enter(before if now is within else self._restored(now, before))

    def __call__(self, function: F) -> F:
        """Return `function`, a plain one or a generator, running within this mode."""
        if inspect.isgeneratorfunction(function):
            return _around_generator(self, function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class Immediate(Mode):
    """A mode that acts from its construction on, and until then as a context manager or within a decorated function."""

    def __init__(self) -> None:
        before = current()
        self._stack = [(before, self._changed(before))]
        enter(self._stack[0][1])

    def __enter__(self) -> None:
        if not self._stack:
            super().__enter__()

    def __call__(self, function: F) -> F:
        """Return `function` running within this mode, which acts nowhere else."""
        self.__exit__()
        return super().__call__(function)


def _around_generator(mode: Mode, function: Callable[..., Any]) -> Callable[..., Any]:
    """Put the mode around each resumption, so that it never leaks to the caller between two items."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with mode._fresh():
            generator = function(*args, **kwargs)
        try:
            with mode._fresh():
                item = generator.send(None)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with mode._fresh():
                        generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001  (whatever was thrown in is the generator's to handle)
                    with mode._fresh():
                        item = generator.throw(error)
                else:
                    with mode._fresh():
                        item = generator.send(sent)
        except StopIteration as stop:
            return stop.value

    return wrapped


class no_grad(Mode):  # noqa: N801  (PyTorch's names)
    """Within it nothing is recorded.

    >>> import thalweg as tw
    >>> x = tw.tensor(1.0, requires_grad=True)
    >>> with tw.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __new__(cls, function: Any = None) -> Any:
        """Return the mode, or `function` decorated with it (``@no_grad`` without parentheses)."""
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)

    def _changed(self, modes: Modes) -> Modes:
        return modes.with_grad(False)


class enable_grad(Mode):  # noqa: N801
    """Within it operations are recorded, also inside :class:`no_grad`."""

    def __new__(cls, function: Any = None) -> Any:
        """Return the mode, or `function` decorated with it."""
        mode = super().__new__(cls)
        if function is None:
            return mode
        mode.__init__()  # type: ignore[misc]
        return mode(function)

    def _changed(self, modes: Modes) -> Modes:
        return modes.with_grad(True)


class set_grad_enabled(Immediate):  # noqa: N801
    """Turn recording on or off, from the call on or within a ``with``."""

    def __init__(self, mode: bool) -> None:
        self._mode = bool(mode)
        super().__init__()

    def _changed(self, modes: Modes) -> Modes:
        return modes.with_grad(self._mode)

    def _fresh(self) -> Mode:
        return set_grad_enabled(self._mode)


class inference_mode(Mode):  # noqa: N801
    """Within it nothing is recorded and no versions are kept; its tensors cannot enter a graph later."""

    def __new__(cls, mode: Any = True) -> Any:
        """Return the mode, or a function decorated with it."""
        made = super().__new__(cls)
        if isinstance(mode, bool):
            return made
        made.__init__(True)  # type: ignore[misc]
        return made(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = mode

    def _changed(self, modes: Modes) -> Modes:
        return modes.replace(inference=self._mode, grad=not self._mode)

    def _restored(self, modes: Modes, before: Modes) -> Modes:
        return modes.replace(inference=before.inference, grad=before.enabled)

    def _fresh(self) -> Mode:
        return inference_mode(self._mode)


def is_grad_enabled() -> bool:
    """Return whether operations are recorded now."""
    return current().enabled


def is_inference_mode_enabled() -> bool:
    """Return whether :class:`inference_mode` is in force."""
    return current().inference
