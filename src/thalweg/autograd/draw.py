"""A picture of a graph: every value and every operation, with names, numbers and shapes.

Boxes with round corners are leaves and the tensors drawn, plain boxes are operations; arrows follow the
computation, from the inputs at the top to the results at the bottom.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..core.engine import edges_of
from ..core.node import BaseNode, Leaf, Node, Output
from ..core.tensor import TensorBase
from ..errors import ArgumentError, DTypeError

__all__ = ["Drawing", "draw"]

_CHAR, _LINE, _PAD, _GAP, _RISE = 7.4, 16.0, 8.0, 24.0, 44.0  # widths and heights of the picture, in pixels
_LIMIT = 2000  # more boxes than this cannot be read, nor laid out in reasonable time
_FILLS = {"leaf": "#d5e8d4", "operation": "#f5f5f5", "result": "#dae8fc"}
_STROKES = {"leaf": "#5f8f4e", "operation": "#777777", "result": "#5a7db0"}


class _Box:
    """One box: its lines of text, its kind, and where it is put."""

    __slots__ = ("above", "height", "key", "kind", "layer", "lines", "width", "x", "y")

    def __init__(self, key: str, kind: str, lines: list[str]) -> None:
        self.key, self.kind, self.lines = key, kind, lines
        self.above: list[_Box] = []  # the boxes that it is computed from
        self.layer = 0
        self.width = max((len(line) for line in lines), default=0) * _CHAR + 2 * _PAD if lines else 2.0
        self.height = len(lines) * _LINE + _PAD
        self.x = self.y = 0.0


class Drawing:
    """A drawn graph: ``svg`` and ``dot`` are texts, ``save(path)`` writes either; a notebook shows it."""

    def __init__(self, boxes: list[_Box]) -> None:
        self._boxes = boxes

    @property
    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        lines = ["digraph {", '  node [shape=box, fontname="monospace", fontsize=10, style=filled];']
        for box in self._boxes:
            label = json.dumps("\n".join(box.lines), ensure_ascii=False)
            style = ', style="filled,rounded"' if box.kind != "operation" else ""
            lines.append(f'  {box.key} [label={label}, fillcolor="{_FILLS[box.kind]}"{style}];')
        lines += [f"  {source.key} -> {box.key};" for box in self._boxes for source in box.above]
        return "\n".join([*lines, "}"]) + "\n"

    @property
    def svg(self) -> str:
        """The graph as a picture."""
        return _picture(self._boxes)

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the picture (``.svg``) or its description (``.dot``, ``.gv``), by the suffix of `path`."""
        target = Path(path)
        if target.suffix not in (".svg", ".dot", ".gv"):
            raise ArgumentError(f"save: a path ending in .svg, .dot or .gv is required, got {target.name!r}.")
        target.write_text(self.svg if target.suffix == ".svg" else self.dot, encoding="utf-8")


def draw(outputs: Any, *, names: Mapping[str, Any] | None = None, values: bool = True, saved: bool = False) -> Drawing:
    """Draw the graph of one tensor or of several.

    `names` gives names to tensors (leaves or results); `values` shows numbers, where there are at most six;
    `saved` lists under every operation the shapes of what it keeps for backward.

    >>> import thalweg as tw
    >>> x = tw.tensor(2.0, requires_grad=True)
    >>> picture = tw.autograd.draw(x * x + 1, names={"x": x})
    >>> print(picture.dot)  # doctest: +ELLIPSIS
    digraph {
    ...
      n1 [label="x = 2.", fillcolor="#d5e8d4", style="filled,rounded"];
    ...
    """
    roots = [outputs] if isinstance(outputs, TensorBase) else list(outputs)
    for t in roots:
        if not isinstance(t, TensorBase):
            raise DTypeError(f"draw: a tensor or several are required, got {type(t).__name__}.")
    named = dict(names or {})
    called: dict[BaseNode, list[tuple[str, Any]]] = {}
    for name, t in named.items():
        node = t._fresh_node() if isinstance(t, TensorBase) else None
        if node is not None and (isinstance(node, Leaf) or not any(t is root for root in roots)):
            called.setdefault(node, []).append((name, t))
    nodes = _collected([n for n in (t._fresh_node() for t in roots) if n is not None])
    boxes: list[_Box] = []
    made: dict[BaseNode, _Box] = {}
    for node in nodes:  # inputs before what is computed from them
        box = _Box(f"n{len(boxes) + 1}", "leaf" if isinstance(node, Leaf) else "operation", [])
        box.lines = _lines(node, called.get(node, []), values, saved)
        sources = [_end(edge) for edge in edges_of(node)]
        box.above = [made[e] for e in sources if e is not None and e in made]
        made[node] = _sized(box)
        boxes.append(box)
    for t in roots:
        node = t._fresh_node()
        given = next((name for name, other in named.items() if other is t), "")
        if isinstance(node, Leaf):
            continue
        box = _sized(_Box(f"n{len(boxes) + 1}", "result", [_described(given, t, values)]))
        end = _end(node)
        box.above = [made[end]] if end is not None else []
        boxes.append(box)
    if len(boxes) > _LIMIT:
        raise ArgumentError(
            f"draw: a graph of at most {_LIMIT} boxes is required, got {len(boxes)}; draw a part of it."
        )
    return Drawing(boxes)


def _end(node: BaseNode | None) -> BaseNode | None:
    """Return the node that is drawn for an edge: past implicit casts and broadcasts, the operation of an output."""
    while isinstance(node, Output) or (isinstance(node, Node) and node.primitive.implicit):
        node = node.node if isinstance(node, Output) else node.edges[0]
    return node


def _collected(starts: list[BaseNode]) -> list[BaseNode]:
    seen: dict[BaseNode, None] = {}
    todo = [_end(n) for n in starts]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen[node] = None
            todo.extend(_end(e) for e in edges_of(node))
    # Leaves in order of making, then operations in order of recording (their numbers fall).
    return sorted(seen, key=lambda n: (not isinstance(n, Leaf), n.order if isinstance(n, Leaf) else -n.order))


def _number(v: float) -> str:
    text = f"{v:.4g}"
    return text if any(c in text for c in ".en") else text + "."


def _described(name: str, t: TensorBase, values: bool) -> str:
    data = t._data
    start = f"{name} = " if name else ""
    if values and data.size <= 6 and data.ndim <= 1:
        numbers = [_number(v) if data.dtype.kind == "f" else str(v) for v in data.ravel().tolist()]
        return start + (numbers[0] if data.ndim == 0 else "[" + ", ".join(numbers) + "]")
    return f"{name}{' ' if name else ''}{t.dtype.name} {tuple(data.shape)}"


def _lines(node: BaseNode, called: list[tuple[str, Any]], values: bool, saved: bool) -> list[str]:
    if isinstance(node, Leaf):
        t = node.variable
        if t is None:
            return ["leaf (gone)"]
        lines = [_described(called[0][0] if called else "", t, values)]
        if t._grad is not None and values:
            lines.append("grad " + _described("", t._grad, values))
        return lines
    name = node.name()
    lines = [name.split("Backward")[0] or name]
    lines += [_described(label, t, values) for label, t in called]
    if saved and isinstance(node, Node) and node.values is not None:
        kept = [v.shape for v in node.values if isinstance(v, np.ndarray)]
        lines.append("keeps " + ", ".join(str(shape) for shape in kept) if kept else "keeps nothing")
    return lines


def _sized(box: _Box) -> _Box:
    box.width = max(len(line) for line in box.lines) * _CHAR + 2 * _PAD
    box.height = len(box.lines) * _LINE + _PAD
    return box


# Layout: layers by the longest way from an input, long arrows through stand-ins, order by averages of neighbours.


def _layers(boxes: list[_Box]) -> list[list[_Box]]:
    for box in boxes:
        box.layer = 1 + max((b.layer for b in box.above), default=-1)
    for box in reversed(boxes):  # an input sits just above the first operation that uses it
        below = [b.layer for b in boxes if box in b.above] if box.kind == "leaf" else []
        if below:
            box.layer = min(below) - 1
    layers: list[list[_Box]] = [[] for _ in range(1 + max((b.layer for b in boxes), default=0))]
    for box in boxes:
        layers[box.layer].append(box)
    return layers


def _with_stand_ins(layers: list[list[_Box]]) -> list[tuple[_Box, list[_Box], _Box]]:
    """Put a stand-in into every layer that an arrow crosses; return arrows as (from, stand-ins, to)."""
    arrows = []
    for layer in [list(layer) for layer in layers]:
        for box in layer:
            for source in box.above:
                way: list[_Box] = []
                for k in range(source.layer + 1, box.layer):
                    stand_in = _Box("", "", [])
                    stand_in.layer = k
                    layers[k].append(stand_in)
                    way.append(stand_in)
                arrows.append((source, way, box))
    return arrows


def _ordered(layers: list[list[_Box]], arrows: list[tuple[_Box, list[_Box], _Box]]) -> None:
    """Order every layer by the mean position of its neighbours, down and up a few times; then place."""
    up: dict[_Box, list[_Box]] = {}
    down: dict[_Box, list[_Box]] = {}
    for source, way, box in arrows:
        chain = [source, *way, box]
        for a, b in pairwise(chain):
            down.setdefault(a, []).append(b)
            up.setdefault(b, []).append(a)
    for layer in layers:
        _spread(layer)
    for turn in range(12):
        neighbours = up if turn % 2 == 0 else down
        for layer in layers if turn % 2 == 0 else reversed(layers):
            for box in layer:
                others = neighbours.get(box)
                if others:
                    box.x = sum(o.x for o in others) / len(others)
            layer.sort(key=lambda b: b.x)
            _spread(layer)


def _spread(layer: list[_Box]) -> None:
    """Move boxes apart that overlap, keeping their order and their common centre."""
    if not layer:
        return
    wished = [b.x for b in layer]
    for left, right in pairwise(layer):
        right.x = max(right.x, left.x + (left.width + right.width) / 2 + _GAP)
    shift = sum(w - b.x for w, b in zip(wished, layer, strict=True)) / len(layer)
    for b in layer:
        b.x += shift


def _picture(boxes: list[_Box]) -> str:
    layers = _layers(boxes)
    arrows = _with_stand_ins(layers)
    _ordered(layers, arrows)
    y = _PAD
    for layer in layers:
        tall = max((b.height for b in layer), default=0.0)
        for b in layer:
            b.y = y + tall / 2
        y += tall + _RISE
    every = [b for layer in layers for b in layer]
    left = min((b.x - b.width / 2 for b in every), default=0.0) - _PAD
    width = max((b.x + b.width / 2 for b in every), default=0.0) + _PAD - left
    height = max(y - _RISE + _PAD, 2 * _PAD)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} 0 {width:.1f} {height:.1f}" font-family="DejaVu Sans Mono, Menlo, monospace" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555555"/></marker></defs>',
        f'<rect x="{left:.1f}" y="0" width="{width:.1f}" height="{height:.1f}" fill="white"/>',
    ]
    parts += [_arrow(source, way, box) for source, way, box in arrows]
    parts += [_rectangle(b) for b in boxes]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _arrow(source: _Box, way: list[_Box], box: _Box) -> str:
    points = [(source.x, source.y + source.height / 2), *((w.x, w.y) for w in way), (box.x, box.y - box.height / 2)]
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        path += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return f'<path d="{path}" fill="none" stroke="#555555" stroke-width="1.2" marker-end="url(#tip)"/>'


def _rectangle(b: _Box) -> str:
    round_corner = 0 if b.kind == "operation" else 7
    shape = (
        f'<rect x="{b.x - b.width / 2:.1f}" y="{b.y - b.height / 2:.1f}" width="{b.width:.1f}" height="{b.height:.1f}" '
        f'rx="{round_corner}" fill="{_FILLS[b.kind]}" stroke="{_STROKES[b.kind]}"/>'
    )
    top = b.y - b.height / 2 + _PAD / 2 + _LINE * 0.72
    texts = [
        f'<text x="{b.x:.1f}" y="{top + k * _LINE:.1f}" text-anchor="middle">{html.escape(line)}</text>'
        for k, line in enumerate(b.lines)
    ]
    return "\n".join([shape, *texts])
