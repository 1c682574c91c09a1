"""Products and linear algebra as methods."""

from __future__ import annotations

from .. import products


class Products:
    """Products."""

    __slots__ = ()

    matmul = products.matmul
    mm = products.mm
    mv = products.mv
    bmm = products.bmm
    dot = products.dot
    outer = products.outer
