"""Turning recording off and on, per thread: context managers that also decorate functions and generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..core.modes import Modes, current, enter

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """A change of modes as a context manager and a decorator."""

    _before: list[Modes]

    def __init__(self) -> None:
        self._before = []

    def _changed(self, modes: Modes) -> Modes:
        raise NotImplementedError

    def _fresh(self) -> _Mode:
        return type(self)()

    def __enter__(self) -> None:
        modes = current()
        self._before.append(modes)
        enter(self._changed(modes))

    def __exit__(self, *exc: object) -> None:
        enter(self._before.pop())

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return _around_generator(self, function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def _around_generator(mode: _Mode, function: Callable[..., Any]) -> Callable[..., Any]:
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
                except BaseException as error:
                    with mode._fresh():
                        item = generator.throw(error)
                else:
                    with mode._fresh():
                        item = generator.send(sent)
        except StopIteration as stop:
            return stop.value

    return wrapped


class no_grad(_Mode):  # noqa: N801  (PyTorch's names)
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


class enable_grad(_Mode):  # noqa: N801
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


class set_grad_enabled(_Mode):  # noqa: N801
    """Turn recording on or off, from the call on or within a ``with``."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._mode = bool(mode)
        self._outer = current()
        enter(self._outer.with_grad(self._mode))

    def _changed(self, modes: Modes) -> Modes:
        return modes.with_grad(self._mode)

    def _fresh(self) -> _Mode:
        return set_grad_enabled(self._mode)

    def __enter__(self) -> None:
        self._before.append(self._outer)
        enter(current().with_grad(self._mode))

    def __call__(self, function: F) -> F:
        enter(self._outer)  # as a decorator it acts only within the function
        return super().__call__(function)


class inference_mode(_Mode):  # noqa: N801
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
        return modes.replace(inference=self._mode, grad=modes.grad and not self._mode)

    def _fresh(self) -> _Mode:
        return inference_mode(self._mode)


def is_grad_enabled() -> bool:
    """Return whether operations are recorded now."""
    return current().grad


def is_inference_mode_enabled() -> bool:
    """Return whether :class:`inference_mode` is in force."""
    return current().inference
