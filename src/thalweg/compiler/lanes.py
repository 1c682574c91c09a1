"""The function of a small program for many runs: an inner loop over *lanes*, runs side by side, becomes vector instructions.

What does not differ between runs is computed once per step, before that loop.
"""

from __future__ import annotations

from collections.abc import Callable

from .names import Evaluator, Writer, written
from .program import Program
from .scalars import suffix
from .straight import Builder, Shape

__all__ = ["LANES", "SideBySide"]

LANES = 32
_TURN = "from thalweg.compiler.kernels.lanes import turn\n\n"
WIDTH = {4: 8, 8: 4}  # elements of a vector of rows, by the bytes of one
_AHEAD = 8  # steps whose rows are looked up together


class SideBySide(Builder):
    """Puts the parts of the function together for runs in lanes."""

    def __init__(self, program: Program, shape: Shape) -> None:
        super().__init__(program, shape)
        self.crossing: dict[str, int] = {}  # how many values of each type the first loop over lanes hands to the second
        if shape.own_order:
            self.pack_rows()

    def pack_rows(self) -> None:
        """Put the rows of the arguments of one type side by side, filled up to whole vectors."""
        for given in self.program.of_kind("argument"):
            kind = suffix(given.value.dtype)
            if kind not in ("f4", "f8"):
                self.layout.loose.append(given)
                continue
            width, parts = self.layout.packed.get(kind, (0, []))
            self.layout.packed[kind] = (width + self.row_size(given), [*parts, (given, width)])
        for kind, (width, parts) in self.layout.packed.items():
            n = WIDTH[int(kind[1])]
            self.layout.packed[kind] = (-(-width // n) * n, parts)

    def text(self, writer: Writer, evaluator: Evaluator) -> list[str]:
        """Return a function for the runs of some chunks of lanes.

        Its arguments: the common states at the start and (``E_kind``) at the end, ``V_kind`` [chunk, place, lane] for those that differ, the settings,
        ``W`` [chunk, step or 0, place, lane] for those that differ, the order ([run, step, row] if each run has
        its own), data, ``B`` [chunk, place, lane] scratch for gathered rows, ``P`` for running powers, results
        [chunk, step, place, lane], the chunks and the steps. Arrays with lanes are flat, so that every place is a
        known distance from every other, which is what lets the loops over lanes become vector instructions.
        """
        kinds = list(self.layout.sizes)
        head = [
            *(f"S_{k}" for k in kinds),
            *(f"E_{k}" for k in kinds),
            *(f"V_{k}" for k in kinds),
            "H",
            "W",
            "order",
            *self.data_names(),
        ]
        head += [f"{letter}_{kind}" for kind in self.layout.packed for letter in "ZB"]
        head += [*(f"B{i.source}" for i in self.layout.loose), "P", *self.result_names()]
        head += ["first", "last", "steps", "runs"]
        lines = [f"def run({', '.join(head)}):"]
        body = self.lane_steps(writer, evaluator)
        for kind, count in self.crossing.items():
            lines.append(f"    q_{kind} = np.empty({count * LANES}, {kind})")
        if self.shape.own_order:
            lines.append(f"    q_o = np.empty({_AHEAD * self.rows() * LANES}, i8)")
        lines = [*lines, "    for c in range(first, last):", *body]
        return [_TURN, *lines] if self.layout.packed else lines

    def lane_steps(self, writer: Writer, evaluator: Evaluator) -> list[str]:
        """Return the body of the loop over chunks."""
        varies: Callable[[str], bool] = lambda name: name in writer.varying
        lines = [f"        {x}" for x in self.pieces()]
        for given in self.layout.states:
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"        {kind}_{at + n} = S_{kind}[{at + n}]" for n in range(given.value.size)]
        lines += self.fixed_settings("        ")
        lines += self.start_powers("        ", lambda name: not varies(name))
        lane_powers = [k for k in range(len(self.powers)) if varies(f"w{k}")]
        if lane_powers:
            lines += self.start_lane_powers(lane_powers)
        lines.append("        for s in range(steps):")
        inner = "            "
        if self.shape.own_order:
            lines += [f"{inner}{x}" for x in self.gather()]
        else:
            lines += [f"{inner}{x}" for x in self.loads()]
        common = [*self.step_settings(), *self.step_powers(lambda name: not varies(name)), *written(writer.common)]
        lines += [f"{inner}{x}" for x in common]
        lines += [f"{inner}{x}" for x in self.lane_loops(writer, evaluator, lane_powers)]
        fixed = [x for x in self.replace(evaluator) if x.split(" = ")[0].removeprefix("n_") in self.common_places()]
        lines += [f"{inner}{x}" for x in fixed]
        for given, _ in self.moved(evaluator):
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                lines += [f"        E_{kind}[{at + n}] = {kind}_{at + n}" for n in range(given.value.size)]
        return lines

    def common_places(self) -> set[str]:
        """Return the names of the states that all lanes share."""
        found = set()
        for given in self.layout.states:
            if id(given) not in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                found |= {f"{kind}_{at + n}" for n in range(given.value.size)}
        return found

    def pieces(self) -> list[str]:
        """Return the lines that cut out what belongs to one chunk."""
        lines = []
        width = len(self.shape.swept) * LANES
        for kind, count in self.layout.sizes.items():
            n = count * LANES
            lines.append(f"v_{kind} = V_{kind}[c * {n} : c * {n} + {n}]")
        if width and not self.shape.stepped & self.shape.swept:
            lines.append(f"w = W[c * {width} : c * {width} + {width}]")
        if self.powers:
            n = len(self.powers) * LANES
            lines.append(f"p = P[c * {n} : c * {n} + {n}]")
        for given in self.layout.loose:
            n = given.value.size * LANES
            lines.append(f"b{given.source} = B{given.source}[c * {n} : c * {n} + {n}]")
        for kind, (width, _) in self.layout.packed.items():
            n = width * self.rows() * LANES
            lines.append(f"b_{kind} = B_{kind}[c * {n} : c * {n} + {n}]")
        return lines

    def start_lane_powers(self, places: list[int]) -> list[str]:
        """Return the statements that begin the running powers that differ between lanes."""
        lines = []
        if self.shape.stepped & self.shape.swept:
            lines.append(f"        w = W[c * steps * {len(self.shape.swept) * LANES} :]")
        lines.append(f"        for l in range({LANES}):")
        pairs = list(self.powers.values())
        for n, k in enumerate(places):
            base, counter = pairs[k]
            b = self.setting_of(base)
            kind, at = self.layout.places[id(counter)]
            start = f"v_{kind}[{at * LANES} + l]" if id(counter) in self.layout.varying else f"S_{kind}[{at}]"
            factor = f"w[{sorted(self.shape.swept).index(b) * LANES} + l]" if b in self.shape.swept else f"H[0, {b}]"
            lines.append(f"            p[{n * LANES} + l] = pow_f8({factor}, f8({start}))")
        return lines

    def gather(self) -> list[str]:
        """Return the lines that copy each lane's rows side by side."""
        rows = self.rows()
        lines = [
            f"if s & {_AHEAD - 1} == 0:",  # the orders of a few steps at once: each lane's lie far from the next one's
            f"    ahead = min({_AHEAD}, steps - s)",
            f"    for l in range({LANES}):",
            f"        r = min(c * {LANES} + l, runs - 1)",
            "        for k in range(ahead):",
            f"            for b in range({rows}):",
            f"                q_o[(k * {rows} + b) * {LANES} + l] = order[r, s + k, b] & 0x7FFFFFFFFFFFFFFF",
            f"for b in range({rows}):",
            f"    at = ((s & {_AHEAD - 1}) * {rows} + b) * {LANES}",
        ]
        for kind, (width, _) in self.layout.packed.items():
            lines.append(f"    turn(Z_{kind}, {width}, q_o, at, b_{kind}, b * {width * LANES}, {LANES})")
        if self.layout.loose:
            lines += [f"    q = cut(q_o, at, {LANES})", f"    for l in range({LANES}):", "        o = q[l]"]
        for given in self.layout.loose:
            size = self.row_size(given)
            name = given.source
            lines += [f"        b{name}[(b * {size} + {n}) * {LANES} + l] = X{name}[o, {n}]" for n in range(size)]
        return lines

    def lane_loops(self, writer: Writer, evaluator: Evaluator, powers: list[int]) -> list[str]:
        """Return the loops over lanes of one step.

        What is in double precision before it meets single (settings and what follows from them) has a loop of its
        own, since the widest type of a loop decides how many lanes go into a register.
        """
        source = self.lane_inputs(writer, powers)
        ends: list[tuple[str, str]] = []  # place, name
        for k, value in enumerate(self.program.results):
            ends += [(f"r{k}[{n * LANES} + l]", name) for n, name in enumerate(evaluator.names[value].flat)]
        for given, new in self.moved(evaluator):
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                ends += [(f"v_{kind}[{(at + n) * LANES} + l]", name) for n, name in enumerate(new.flat)]
        early = self.early(writer, source)
        lines = []
        width = len(self.shape.swept) * LANES
        if self.shape.stepped & self.shape.swept:
            lines.append(f"w = W[(c * steps + s) * {width} : (c * steps + s) * {width} + {width}]")
        for k, value in enumerate(self.program.results):
            n = value.size * LANES
            lines.append(f"r{k} = R{k}[(c * steps + s) * {n} : (c * steps + s) * {n} + {n}]")
        first = [x for x in writer.lane if x.name in early]
        rest = [x for x in writer.lane if x.name not in early]
        late_use = {name for x in rest for name in x.inputs} | {name for _, name in ends}
        if first or powers:
            lines.append(f"for l in range({LANES}):")
            used = {name for x in first for name in x.inputs} | {f"w{k}" for k in powers}
            bases = [base for base, _ in self.powers.values()]
            used |= {f"h{self.setting_of(bases[k])}" for k in powers}
            lines += [
                f"    {name} = {text}" for name, text in source.items() if name in used and not name.startswith("w")
            ]
            for n, k in enumerate(powers):
                lines += [
                    f"    w{k} = p[{n * LANES} + l] * h{self.setting_of(bases[k])}",
                    f"    p[{n * LANES} + l] = w{k}",
                ]
            lines += [f"    {x}" for x in written(first)]
            count: dict[str, int] = {}
            for x in first:
                if x.name in late_use:
                    at = count.setdefault(x.kind, 0)
                    count[x.kind] += 1
                    lines.append(f"    q_{x.kind}[{at * LANES} + l] = {x.name}")
                    source[x.name] = f"q_{x.kind}[{at * LANES} + l]"
            self.crossing = count
        for k in powers:
            source[f"w{k}"] = f"p[{powers.index(k) * LANES} + l]"
        lines.append(f"for l in range({LANES}):")
        lines += [f"    {name} = {text}" for name, text in source.items() if name in late_use]
        lines += [f"    {x}" for x in written(rest)]
        lines += [f"    {place} = {name}" for place, name in ends]
        return lines if rest or ends else [*lines, "    pass"]

    def lane_inputs(self, writer: Writer, powers: list[int]) -> dict[str, str]:
        """Return where a lane finds what differs: name and place."""
        found = {}
        for given in self.layout.states:
            if id(given) in self.layout.varying:
                kind, at = self.layout.places[id(given)]
                for n in range(given.value.size):
                    found[f"{kind}_{at + n}"] = f"v_{kind}[{(at + n) * LANES} + l]"
        for n, k in enumerate(sorted(self.shape.swept)):
            found[f"h{k}"] = f"w[{n * LANES} + l]"
        for given in self.layout.loose:
            for n in range(given.value.size):
                found[f"x{given.source}_{n}"] = f"b{given.source}[{n * LANES} + l]"
        for kind, (width, parts) in self.layout.packed.items():
            for given, first in parts:
                size = self.row_size(given)
                for n in range(given.value.size):
                    place = (n // size * width + first + n % size) * LANES
                    found[f"x{given.source}_{n}"] = f"b_{kind}[{place} + l]"
        for k in powers:
            found[f"w{k}"] = ""
        return found

    def early(self, writer: Writer, source: dict[str, str]) -> set[str]:
        """Return the statements that depend on double-precision settings alone, in programs of single precision."""
        if "f4" not in {x.kind for x in writer.lane}:
            return set()
        early: set[str] = set()
        for x in writer.lane:
            wide = all(
                name in early or name not in writer.varying or (name in source and name[0] in "hw") for name in x.inputs
            )
            if wide:
                early.add(x.name)
        return early
