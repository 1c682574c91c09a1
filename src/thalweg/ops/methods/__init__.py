"""The operations as methods: each name is the function itself, which is where it is defined."""

from .conversions import Conversions
from .indexing import Indexing
from .inplace import InPlace
from .linear import Products
from .pointwise import Elementwise
from .reductions import Reductions
from .shapes import Shapes

__all__ = ["Methods"]


class Methods(Conversions, Elementwise, Reductions, Shapes, Indexing, Products, InPlace):
    """All of them."""

    __slots__ = ()
