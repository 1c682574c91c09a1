"""Running unrolled programs: one call, a loop, a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .cache import Kernel, load
from .interrupts import pause
from .program import Array, Program, Write
from .scalars import NoKernel
from .threads import EACH, get_num_threads, in_slices, run_parts
from .unroll import LANES, Layout, Shape, unroll

__all__ = ["SmallProgram"]

_DTYPES = {"f4": np.float32, "f8": np.float64, "i8": np.int64, "i4": np.int32, "u1": np.uint8, "b1": np.bool_}
_SLICE = 1 << 14  # steps between two looks at Ctrl-C
_FLAT = np.zeros((1, 1), np.int64)


class _Frame:
    """The memory of one run: the packed states, and where each tensor's elements lie in them."""

    __slots__ = ("grads", "packed", "reads", "writes")

    def __init__(self, program: Program, layout: Layout) -> None:
        packed: dict[str, Array] = {kind: np.zeros(size, _DTYPES[kind]) for kind, size in layout.sizes.items()}
        self.packed = tuple(packed.values())
        places = {(i.kind, id(i.source)): (i, place) for i, place in layout.views(packed)}
        known = {id(i) for i in program.inputs}
        read = [(i, place) for i, place in places.values() if id(i) in known]
        self.reads = [(i.source, place) for i, place in read if i.kind == "tensor"]
        self.grads = [(i.source, place) for i, place in read if i.kind == "grad"]
        self.writes: list[tuple[Write, Array]] = []
        for write in program.writes:
            if write.value is not None:
                self.writes.append((write, places[write.kind, id(write.source)][1]))


class _Loop:
    """The function of one shape of loop, and memory of runs that are over."""

    __slots__ = ("frames", "kernel", "layout")

    def __init__(self, kernel: Kernel, layout: Layout) -> None:
        self.kernel = kernel
        self.layout = layout
        self.frames: list[_Frame] = []


class SmallProgram:
    """A program small enough to be unrolled, with its functions for the shapes of loops that were asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._made: dict[Shape, tuple[Kernel, Layout]] = {}
        self._loops: dict[tuple[bool, frozenset[int]], _Loop] = {}
        self.sources: dict[Shape, str] = {}
        self.statements = 0
        self.prepare(Shape(gathered=False))  # raises NoKernel if it cannot be
        self.results = [(v.shape, v.dtype, v.size) for v in program.results]

    def prepare(self, shape: Shape) -> tuple[Kernel, Layout]:
        """Return the function for one shape of loop."""
        made = self._made.get(shape)
        if made is None:
            if (
                shape.gathered
                and len({i.value.shape[0] if i.value.shape else -1 for i in self.program.of_kind("argument")}) > 1
            ):
                raise NoKernel("arguments with different numbers of rows")
            done = unroll(self.program, shape)
            self.sources[shape] = done.source
            self.statements = max(self.statements, done.statements)
            made = self._made[shape] = (load(done.source)["run"], done.layout)
        return made

    def pack(self, layout: Layout, env: dict[int, Array]) -> dict[str, Array]:
        """Gather the elements of all states, by type."""
        packed: dict[str, Array] = {kind: np.zeros(size, _DTYPES[kind]) for kind, size in layout.sizes.items()}
        for given in layout.states:
            array = env.get(id(given))
            if array is not None:
                kind, at = layout.places[id(given)]
                packed[kind][at : at + array.size] = array.reshape(-1)
        return packed

    def single(self, gathered: bool, stepped: frozenset[int]) -> _Loop:
        """Return the loop of one run."""
        loop = self._loops.get((gathered, stepped))
        if loop is None:
            made = self.prepare(Shape(gathered=gathered, stepped=stepped))
            loop = self._loops[gathered, stepped] = _Loop(*made)
        return loop

    def run(
        self,
        data: Sequence[Array],
        order: Array | None,
        steps: int,
        settings: Array,
        leave: Callable[[list[tuple[Write, Array]], int], None],
        stepped: frozenset[int] = frozenset(),
    ) -> list[Array]:
        """Run `steps` steps; return the results of each, and hand what the last leaves behind to `leave`.

        An interrupt arrives between two slices of steps, and then what the last complete slice left is handed over.

        `data` are matrices, of rows to be gathered by `order` or with one
        row per step; `settings` has one row, or one per step for those in `stepped`.
        """
        loop = self.single(order is not None, stepped)
        kernel, frames = loop.kernel, loop.frames
        frame = frames.pop() if frames else _Frame(self.program, loop.layout)
        for tensor, place in frame.reads:
            place[...] = tensor._data
        for tensor, place in frame.grads:
            place[...] = tensor._grad._data
        outs = [np.empty((steps, size), dtype) for _, dtype, size in self.results]
        args = (*frame.packed, settings, _FLAT if order is None else order, *data, *outs)
        done = 0
        try:
            while done < steps:
                last = min(done + _SLICE, steps)
                kernel(*args, done, last)
                done = last
                if done < steps:
                    pause()
        finally:
            if done:
                leave(frame.writes, done)
                frames.append(frame)
        return [out.reshape((steps, *form)) for out, (form, _, _) in zip(outs, self.results, strict=True)]

    def sweep(
        self,
        env: dict[int, Array],
        varied: dict[int, Array],
        data: Sequence[Array],
        order: Array | None,
        runs: int,
        steps: int,
        settings: Array,
        swept: dict[int, Array],
        stepped: frozenset[int],
    ) -> tuple[list[Array], dict[tuple[str, int], Array]]:
        """Run `runs` trainings side by side; `varied` ([run, …]) are starts, `swept` ([run, step or 1]) settings.

        Return the results [run, step, …] and what each run leaves behind [run, …].
        """
        tensors = self.program.of_kind("tensor")
        places = frozenset(k for k, i in enumerate(tensors) if id(i) in varied)
        own = order is not None and order.ndim == 3
        shape = Shape(order is not None, True, own, frozenset(swept), places, stepped)
        kernel, layout = self.prepare(shape)
        packed = self.pack(layout, env)
        chunks = -(-runs // LANES)
        lanes: dict[str, Array] = {k: np.empty((chunks, size, LANES), _DTYPES[k]) for k, size in layout.sizes.items()}
        for kind, array in lanes.items():
            array[:] = packed[kind][None, :, None]
        which = np.minimum(np.arange(chunks * LANES), runs - 1)
        for given in tensors:
            if id(given) in varied:
                kind, at = layout.places[id(given)]
                n = given.value.size
                rows = varied[id(given)].reshape(runs, n)[which].reshape(chunks, LANES, n)
                lanes[kind][:, at : at + n] = rows.transpose(0, 2, 1)
        width = steps if stepped & set(swept) else 1
        weights = np.empty((chunks, width, max(len(swept), 1), LANES))
        for n, k in enumerate(sorted(swept)):
            rows = swept[k][which]  # [lane, step or 1]
            weights[:, :, n, :] = rows.reshape(chunks, LANES, -1).transpose(0, 2, 1)
        scratch = []
        for width, parts in layout.packed.values():  # rows side by side, and memory for those of a step, turned
            dtype = parts[0][0].value.dtype
            rows = np.zeros((max(len(a) for a in data), width), dtype)
            for given, first in parts:
                table = data[given.source]
                rows[: len(table), first : first + table.shape[1]] = table
            scratch += [rows, np.empty((chunks, width * parts[0][0].value.shape[0], LANES), dtype)]
        scratch += [np.empty((chunks, i.value.size, LANES), i.value.dtype) for i in layout.loose]
        powers = np.empty((chunks, max(layout.powers, 1), LANES))
        ends = {kind: array.copy() for kind, array in packed.items()}
        outs = [np.empty((chunks, steps, size, LANES), dtype) for _, dtype, size in self.results]
        flat = [a.reshape(-1) for a in (*lanes.values(), *scratch, powers, *outs)]
        n = len(lanes)
        picked = _FLAT if order is None else order
        args = (*packed.values(), *ends.values(), *flat[:n], settings, weights.reshape(-1), picked, *data, *flat[n:])
        kernel(*args, 0, 0, steps, runs)  # compiles before threads start
        in_slices(
            lambda done, until: run_parts(
                lambda first, last: kernel(*args, done + first, done + last, steps, runs), until - done, each=EACH
            ),
            chunks,
            8 * get_num_threads(),
        )
        shaped = []
        for out, (form, _, _) in zip(outs, self.results, strict=True):
            rows = out.transpose(0, 3, 1, 2).reshape(chunks * LANES, steps, -1)[:runs]
            shaped.append(rows.reshape((runs, steps, *form)))
        return shaped, self.finals(layout, lanes, ends, runs)

    def finals(
        self, layout: Layout, lanes: dict[str, Array], packed: dict[str, Array], runs: int
    ) -> dict[tuple[str, int], Array]:
        """Return what each run leaves behind."""
        found = {}
        by_source = {(i.kind, id(i.source)): i for i in layout.states}
        for write in self.program.writes:
            if write.value is None:
                continue
            given = by_source[write.kind, id(write.source)]
            kind, at = layout.places[id(given)]
            n = given.value.size
            if id(given) in layout.varying:
                block = lanes[kind][:, at : at + n].transpose(0, 2, 1).reshape(-1, n)[:runs]
            else:
                block = np.broadcast_to(packed[kind][at : at + n], (runs, n))
            found[write.kind, id(write.source)] = np.array(block).reshape((runs, *given.value.shape))
        return found
