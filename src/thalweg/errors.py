"""The exceptions of the library.

    ThalwegError
    ├── ShapeError      (ValueError, RuntimeError)      shapes that do not fit
    ├── DTypeError      (TypeError, RuntimeError)       element types that do not fit
    ├── ArgumentError   (ValueError)                    a setting outside its range
    ├── GraphError      (RuntimeError)                  the graph cannot be walked or built
    │   └── InPlaceError                                a write that would make a gradient wrong
    ├── LinAlgError     (ValueError, RuntimeError)      a matrix without the inverse or factor that was asked for
    ├── AnomalyError    (RuntimeError, FloatingPointError)  NaN or infinity under detect_anomaly
    ├── CaptureError    (RuntimeError)                  code that cannot be compiled
    ├── DataError       (ValueError, OSError)           data missing, damaged or of the wrong form
    └── MissingExtra    (ImportError)                   an optional dependency is not installed

Each class is also the builtin one that PyTorch (or Python) raises in the same place, so code written
against either keeps working. Ordinary failure of a run, such as divergence, is a status and no exception.
"""

__all__ = [
    "AnomalyError",
    "ArgumentError",
    "CaptureError",
    "DTypeError",
    "DataError",
    "GraphError",
    "InPlaceError",
    "LinAlgError",
    "MissingExtra",
    "ShapeError",
    "ThalwegError",
]


class ThalwegError(Exception):
    """Base of every exception that the library raises on purpose."""


class ShapeError(ThalwegError, ValueError, RuntimeError):
    """Shapes do not fit together."""


class DTypeError(ThalwegError, TypeError, RuntimeError):
    """An element type is not accepted here."""


class ArgumentError(ThalwegError, ValueError):
    """An argument is outside its range."""


class GraphError(ThalwegError, RuntimeError):
    """The graph cannot be built or walked as asked."""


class InPlaceError(GraphError):
    """A write in place would make, or has made, a gradient wrong."""


class LinAlgError(ThalwegError, ValueError, RuntimeError):
    """A matrix has no such inverse or factor, or an iteration for it did not converge."""


class AnomalyError(ThalwegError, RuntimeError, FloatingPointError):
    """A NaN or an infinity appeared while anomalies are being detected."""


class CaptureError(ThalwegError, RuntimeError):
    """A function cannot be compiled as it is written."""


class DataError(ThalwegError, ValueError, OSError):
    """Data are missing, damaged, or not of the form they must have."""


class MissingExtra(ThalwegError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""
