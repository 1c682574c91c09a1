"""Arguments as trees: tuples, lists and dicts, nested, with anything else as leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["leaves_of", "tree_map", "unflatten"]


def leaves_of(tree: Any) -> list[Any]:
    """Return the leaves, depth first; dicts in order of insertion."""
    if isinstance(tree, (tuple, list)):
        return [leaf for child in tree for leaf in leaves_of(child)]
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in leaves_of(child)]
    return [] if tree is None else [tree]


def unflatten(tree: Any, leaves: Iterable[Any]) -> Any:
    """Return a tree of the form of `tree` with other leaves."""
    return _rebuilt(tree, iter(leaves))


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the tree with `function` applied to every leaf."""
    return _rebuilt(tree, map(function, leaves_of(tree)))


def _rebuilt(tree: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, (tuple, list)):
        children = [_rebuilt(child, leaves) for child in tree]
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)(*children)
        return type(tree)(children)
    if isinstance(tree, dict):
        return type(tree)((key, _rebuilt(child, leaves)) for key, child in tree.items())
    return None if tree is None else next(leaves)
