"""The printed form of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["tensor_text"]


def tensor_text(t: Any) -> str:
    """Return the printed form."""
    body = np.array2string(t._data, separator=", ", precision=4)
    tail = f", grad_fn={t.grad_fn!r}" if t.grad_fn is not None else ", requires_grad=True" if t.requires_grad else ""
    return f"tensor({body}{tail})"
