"""Finding where a NaN or an infinity comes from."""

from __future__ import annotations

from ..core.modes import Modes, current
from .modes import Immediate, Mode

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly"]


class detect_anomaly(Mode):  # noqa: N801  (PyTorch's name)
    """Within it the first operation that makes a NaN or an infinity, forward or backward, raises and is named.

    The error names the user's line that made the operation. An operation whose inputs hold NaN or infinity
    already is not blamed. It also makes errors about writes in place name the line that wrote. With
    ``check_nan=False`` only the lines are remembered.

    >>> import thalweg as tw
    >>> x = tw.tensor(0.0, requires_grad=True)
    >>> with tw.autograd.detect_anomaly():
    ...     tw.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    thalweg.errors.AnomalyError: log: the forward gave an infinity (shape ()) at ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__()
        self._check = check_nan

    def _changed(self, modes: Modes) -> Modes:
        return modes.replace(anomaly=True, check_nan=self._check)

    def _restored(self, modes: Modes, before: Modes) -> Modes:
        return modes.replace(anomaly=before.anomaly, check_nan=before.check_nan)

    def _fresh(self) -> Mode:
        return detect_anomaly(self._check)


class set_detect_anomaly(Immediate):  # noqa: N801
    """Turn anomaly detection on or off, from the call on or within a ``with``."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._settings = (bool(mode), check_nan)
        super().__init__()

    def _changed(self, modes: Modes) -> Modes:
        on, check = self._settings
        return modes.replace(anomaly=on, check_nan=check)

    def _restored(self, modes: Modes, before: Modes) -> Modes:
        return modes.replace(anomaly=before.anomaly, check_nan=before.check_nan)

    def _fresh(self) -> Mode:
        return set_detect_anomaly(*self._settings)


def is_anomaly_enabled() -> bool:
    """Return whether anomalies are being detected."""
    return current().anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Return whether detecting anomalies includes looking for NaN and infinity."""
    return current().check_nan
