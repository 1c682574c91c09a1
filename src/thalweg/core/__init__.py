"""The core: tensors, the graph they leave behind, the walk back through it. It knows no operation."""

from . import moves as moves  # first: its modules need each other, and are loaded in the order that this begins
from .engine import measure

measure()
