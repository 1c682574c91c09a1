"""NumPy's functions that join, split, move, pad and pick, answered by the library's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.tensor import TensorBase
from ..errors import ShapeError
from . import arithmetic, arrange, create, extremes, gather, join, reduce, scan, shape, sort, statistics
from ._coerce import as_tensor

__all__ = ["SHAPES"]


def given(x: Any) -> Any:
    """Return an argument as a tensor; lists and numbers have NumPy's types."""
    return x if isinstance(x, TensorBase) else as_tensor(np.asarray(x))


def _several(xs: Any) -> list[Any]:
    return [given(x) for x in xs]


def _concatenate(arrays: Any, axis: Any = 0) -> Any:
    parts = _several(arrays)
    return join.cat([shape.ravel(x) for x in parts], 0) if axis is None else join.cat(parts, axis)


def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    return _concatenate((arr, values), axis)


def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    x = given(ary)
    if isinstance(indices_or_sections, (int, np.integer)):
        return list(join.tensor_split(x, int(indices_or_sections), axis))
    return list(join.tensor_split(x, [int(k) for k in indices_or_sections], axis))


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    size = given(ary).shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)) and size % int(indices_or_sections):
        raise ShapeError(f"np.split: {indices_or_sections} equal parts of a size of {size} are not possible.")
    return _array_split(ary, indices_or_sections, axis)


def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return _split(ary, indices_or_sections, 1 if given(ary).ndim > 1 else 0)


def _at_least(function: Callable[[Any], Any]) -> Callable[..., Any]:
    def answer(*arys: Any) -> Any:
        found = tuple(function(given(x)) for x in arys)
        return found[0] if len(found) == 1 else found

    return answer


def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return shape.movedim(a, axis, start - 1 if axis < start else start)


def _chosen(x: Any, axis: int, places: Any) -> Any:
    return x[(slice(None),) * axis + (places,)]


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    x = given(array)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    values = np.broadcast_to(np.asarray(constant_values), (x.ndim, 2))
    for axis, (before, after) in enumerate(widths):
        if not (before or after):
            continue
        size = x.shape[axis]
        if mode != "constant":
            x = _chosen(x, axis, np.pad(np.arange(size), (before, after), mode))  # type: ignore[call-overload]
            continue
        ends = []
        for width, value in zip((before, after), values[axis], strict=True):
            sizes = (*x.shape[:axis], width, *x.shape[axis + 1 :])
            ends.append(create.full(sizes, value.item(), dtype=x.dtype))
        x = join.cat([ends[0], x, ends[1]], axis)
    return x


def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Return the differences that NumPy returns: they are linear in `f`, each a product with a fixed matrix."""
    x = given(f)
    axes = range(x.ndim) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    axes = [int(k) % x.ndim for k in axes]
    steps = varargs if len(varargs) > 1 else (varargs or (1.0,)) * len(axes)
    found = []
    for k, step in zip(axes, steps, strict=True):
        where = (step,) if np.ndim(step) else (float(step),)
        matrix = np.gradient(np.eye(x.shape[k]), *where, axis=0, edge_order=edge_order)
        turned = shape.swapaxes(x, k, -1)
        product: Any = turned @ TensorBase._wrap(matrix.T.astype(x._data.dtype))  # type: ignore[operator]
        found.append(shape.swapaxes(product, k, -1))
    return found[0] if len(found) == 1 else tuple(found)


def _partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect") -> Any:
    x = shape.ravel(a) if axis is None else a
    axis = -1 if axis is None else axis
    x._told("np.partition")
    return gather.take_along_dim(x, TensorBase._wrap(np.argpartition(x._data, kth, axis)), axis)


def _take(a: Any, indices: Any, axis: Any = None) -> Any:
    x, at = given(a), indices._data if isinstance(indices, TensorBase) else np.asarray(indices)
    return shape.ravel(x)[at] if axis is None else _chosen(x, axis % x.ndim, at)


def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    return gather.take_along_dim(given(arr), given(indices), axis)


def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    return arrange.rot90(m, k, axes)


def _sort(a: Any, axis: Any = -1) -> Any:
    return sort.sort(shape.ravel(a), 0).values if axis is None else sort.sort(a, axis).values


def _argsort(a: Any, axis: Any = -1) -> Any:
    return sort.argsort(shape.ravel(a), 0) if axis is None else sort.argsort(a, axis)


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    x = given(a)
    ends = [None if e is None else given(e) for e in (prepend, append)]
    for k, end in enumerate(ends):
        if end is not None and end.ndim == 0:
            sizes = list(x.shape)
            sizes[axis] = 1
            ends[k] = shape.broadcast_to(end, tuple(sizes))
    return scan.diff(x, n, axis, ends[0], ends[1])


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    x = given(a)
    if weights is None:
        found: Any = reduce.mean(x, axis, keepdims)
        total: Any = create.full_like(found, float(x.numel() / max(found.numel(), 1)))
    else:
        w = given(weights)
        if w.ndim != x.ndim:
            w = shape.movedim(shape.reshape(w, (*(1,) * (x.ndim - 1), -1)), -1, axis)  # type: ignore[arg-type]
        w = shape.broadcast_to(w, x.shape)
        total = reduce.sum(w, axis, keepdims)
        found = reduce.sum(arithmetic.mul(x, w), axis, keepdims) / total
    return (found, total) if returned else found


def _ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    dims = () if axis is None else axis
    return arithmetic.sub(extremes.amax(a, dims, keepdims), extremes.amin(a, dims, keepdims))


def _linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Any:
    first, last = given(start), given(stop)
    t = TensorBase._wrap(np.linspace(0.0, 1.0, num, endpoint=endpoint))
    t = t.reshape(-1, *(1,) * max(first.ndim, last.ndim))  # type: ignore[attr-defined]
    return first + (last - first) * t


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    found = given(default)
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = arithmetic.where(given(condition), given(choice), found)
    return found


def _meshgrid(*xi: Any, indexing: str = "xy") -> list[Any]:
    return list(create.meshgrid(*_several(xi), indexing=indexing))


def _astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    return reduce.converted(x, np.dtype(dtype))


def _angle(z: Any, deg: bool = False) -> Any:
    half = 180.0 if deg else float(np.pi)
    return arithmetic.mul(reduce.converted(arithmetic.lt(z, 0), z.dtype), half)


def _block(arrays: Any) -> Any:
    if not isinstance(arrays, list):
        return given(arrays)
    inner = [_block(part) for part in arrays]
    levels = 1
    probe = arrays[0]
    while isinstance(probe, list):
        levels, probe = levels + 1, probe[0]
    ndim = max(levels, *(x.ndim for x in inner))
    lifted = [shape.reshape(x, (*(1,) * (ndim - x.ndim), *x.shape)) for x in inner]
    return join.cat(lifted, -levels)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    x: Any = shape.ravel(arr) if axis is None else given(arr)
    k = 0 if axis is None else axis % x.ndim
    return _chosen(x, k, np.delete(np.arange(x.shape[k]), obj))


SHAPES: dict[Any, Callable[..., Any]] = {
    np.concatenate: _concatenate,
    np.append: _append,
    np.array_split: _array_split,
    np.split: _split,
    np.hsplit: _hsplit,
    np.vsplit: lambda ary, indices_or_sections: _split(ary, indices_or_sections, 0),
    np.dsplit: lambda ary, indices_or_sections: _split(ary, indices_or_sections, 2),
    np.stack: lambda arrays, axis=0: join.stack(_several(arrays), axis),
    np.hstack: lambda tup: join.hstack(_several(tup)),
    np.vstack: lambda tup: join.vstack(_several(tup)),
    np.dstack: lambda tup: join.dstack(_several(tup)),
    np.column_stack: lambda tup: join.column_stack(_several(tup)),
    np.block: _block,
    np.atleast_1d: _at_least(shape.atleast_1d),
    np.atleast_2d: _at_least(shape.atleast_2d),
    np.atleast_3d: _at_least(shape.atleast_3d),
    np.rollaxis: _rollaxis,
    np.pad: _pad,
    np.gradient: _gradient,
    np.partition: _partition,
    np.take: _take,
    np.take_along_axis: _take_along_axis,
    np.delete: _delete,
    np.rot90: _rot90,
    np.flipud: lambda m: arrange.flip(m, 0),
    np.fliplr: lambda m: arrange.flip(m, 1),
    np.sort: _sort,
    np.argsort: _argsort,
    np.diff: _diff,
    np.average: _average,
    np.ptp: _ptp,
    np.linspace: _linspace,
    np.select: _select,
    np.meshgrid: _meshgrid,
    np.broadcast_arrays: lambda *args: tuple(shape.broadcast_tensors(*_several(args))),
    np.astype: _astype,
    np.real: lambda val: create.clone(val),
    np.imag: lambda val: create.zeros_like(val),
    np.angle: _angle,
    np.cov: lambda m, ddof=1: statistics.cov(given(m), correction=ddof),
    np.corrcoef: lambda x: statistics.corrcoef(given(x)),
}
