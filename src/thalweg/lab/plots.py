"""Pictures, by matplotlib's objects and without its global state: equal data give equal bytes.

Each method has one colour everywhere (from the palettes of Okabe and Ito 2008 and of Tol 2021, which colour-blind
readers can tell apart); methods that scale each coordinate by itself are dashed.
"""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingExtra
from ..problems.base import Array
from .statistics import FEW
from .store import write
from .trial import Record

if TYPE_CHECKING:
    from ..problems.function import FunctionProblem
    from .race import Result
    from .suite import SuiteResult
    from .trace import Path as Trace

__all__ = ["colour", "profile_picture", "race_pictures", "save", "style", "trace_picture"]

COLOURS = {
    "gd": "#000000",
    "sgd": "#E69F00",
    "minibatch": "#56B4E9",
    "momentum": "#0072B2",
    "nesterov": "#332288",
    "adagrad": "#009E73",
    "rmsprop": "#999933",
    "adadelta": "#AA4499",
    "adam": "#D55E00",
    "yogi": "#CC79A7",
    "adamw": "#882255",
    "amsgrad": "#661100",
}
OTHERS = ("#117733", "#44AA99", "#6699CC", "#997700", "#994455", "#004488", "#CC6677", "#555555")
SOLID = ("gd", "sgd", "minibatch", "momentum", "nesterov")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (6, 1, 1, 1)), (0, (2, 1)))
WIDTH, HEIGHT = 6.6, 4.1  # inches
BAND_RESAMPLES = 400
CURVES = 16  # in a picture
DRAWN_POINTS = 90  # of a curve; all are in curves.csv.gz
SETTINGS = {
    "svg.hashsalt": "thalweg",
    "font.size": 9,
    "font.family": ["DejaVu Sans"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "lines.linewidth": 1.5,
    "path.simplify": False,
    "figure.dpi": 100,
}


def colour(method: str) -> str:
    """Return the colour of a method: the same in every picture."""
    return COLOURS.get(method) or OTHERS[zlib.crc32(method.encode()) % len(OTHERS)]


def style(method: str, repeat: int = 0) -> dict[str, Any]:
    """Return how the lines of a method are drawn; `repeat` counts contenders of the same method."""
    first = 0 if method in SOLID else 1
    return {"color": colour(method), "linestyle": DASHES[(first + repeat) % len(DASHES)]}


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("pictures need matplotlib, which is not installed; pip install 'thalweg[lab]'.") from None
    return matplotlib


def save(figure: Any, stem: Path, formats: Sequence[str] = ("png", "svg"), *, dpi: int = 150) -> list[Path]:
    """Write a figure in several formats; return the files."""
    nothing = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
    paths = []
    for kind in formats:
        out = io.BytesIO()
        with _matplotlib().rc_context(SETTINGS):
            figure.savefig(out, format=kind, dpi=dpi, metadata=nothing.get(kind))
        paths.append(stem.with_name(f"{stem.name}.{kind}"))
        write(paths[-1], out.getvalue())
    return paths


def _figure(width: float = WIDTH, height: float = HEIGHT) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _labels(result: Result) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the contenders that are drawn, the best where there are many: label, text of the legend, and how."""
    best = {s.contender for s in sorted(result.summaries, key=lambda s: s.final)[:CURVES]}
    drawn = [c for c in result.config.contenders if c.label in best]
    many = Counter(c.method for c in drawn)
    seen: Counter[str] = Counter()
    found = []
    for contender in drawn:
        method = contender.method
        repeat, n = seen[method], many[method]
        seen[method] += 1
        look = style(method, repeat) if n <= len(DASHES) else {"color": _shade(colour(method), repeat / (n - 1))}
        rate = dict(contender.settings).get("lr") if re.search(r"-lr\d+$", contender.label) else None
        found.append((contender.label, contender.label if rate is None else f"{method} lr={rate:.3g}", look))
    return found


def _shade(own: str, at: float) -> tuple[float, ...]:
    """Return a colour between a light one (at 0), `own`, and a dark one (at 1): more lines than kinds of dashes."""
    rgb = np.array([int(own[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    middle = np.maximum(rgb, 0.4) if rgb.max() < 0.4 else rgb  # of black there is nothing darker
    light, dark = middle + 0.65 * (1 - middle), 0.25 * rgb
    mixed = light + (middle - light) * 2 * at if at < 0.5 else middle + (dark - middle) * (2 * at - 1)
    return tuple(float(x) for x in mixed)


def _band(losses: Array) -> tuple[Array, Array]:
    """Return the 95% interval of the median at each point, over runs [n, points]."""
    n = len(losses)
    picks = np.random.default_rng(0).integers(0, n, (BAND_RESAMPLES, n))
    medians = np.sort(np.median(losses[picks], axis=1), axis=0)
    return medians[round(0.025 * (BAND_RESAMPLES - 1))], medians[round(0.975 * (BAND_RESAMPLES - 1))]


def _curves(records: Sequence[Record], x_of: Callable[[Record], Sequence[float]]) -> tuple[Array, Array]:
    """Return x and the losses [n, points] of the runs, as far as the shortest one goes."""
    points = min(len(r.steps) for r in records)
    x = np.median([x_of(r)[:points] for r in records], axis=0)
    return x, np.array([r.losses[:points] for r in records])


def _spread(x: Array, log_x: bool) -> Array:
    """Return which points to draw: all, or so many that noise stays readable, evenly spread over the axis."""
    shown = np.flatnonzero(x > 0) if log_x else np.arange(len(x))
    if len(shown) <= DRAWN_POINTS:
        return shown
    scale = np.log(x[shown]) if log_x else x[shown]
    wanted = np.linspace(scale[0], scale[-1], DRAWN_POINTS)
    return shown[np.unique(np.clip(np.searchsorted(scale, wanted), 0, len(shown) - 1))]


def _loss_axis(result: Result) -> tuple[float, str, bool]:
    """Return what is taken off the losses, the axis' label, and whether it is logarithmic."""
    finite = [x for r in result.records for x in r.losses if np.isfinite(x)]
    optimum = result.problem.optimum
    if optimum is not None:
        name = f"loss above the smallest possible, {optimum:.5g}" if optimum else "loss (the smallest possible is 0)"
        return optimum, name, True
    return 0.0, "loss", min(finite, default=0.0) > 0


def _loss_picture(result: Result, x_of: Callable[[Record], Sequence[float]], x_name: str, log_x: bool) -> Any:
    figure, axes = _figure()
    below, y_name, log_y = _loss_axis(result)
    seeds = result.config.seeds
    positive = [x - below for r in result.records for x in r.losses if np.isfinite(x) and x > below]
    start = max((r.losses[0] - below for r in result.records), default=1.0)
    ceiling = 20 * start
    floor = max(min(positive, default=0.0) / 2, 1e-16 * start)  # below it rounding is all there is
    for label, text, look in _labels(result):
        records = result.of(label)
        x, losses = _curves(records, x_of)
        y = np.maximum(losses - below, floor) if log_y else losses
        y = np.where(np.isfinite(y), np.minimum(y, 1e300), np.nan)
        kept = _spread(x, log_x)
        if not np.isfinite(np.median(y, axis=0)[kept]).any():
            continue  # nothing of it can be drawn
        failed = sum(r.status == "diverged" for r in records)
        name = f"{text} ({failed} of {len(records)} diverged)" if failed else text
        if len(records) >= FEW:
            low, high = _band(y)
            axes.fill_between(x[kept], low[kept], high[kept], color=look["color"], alpha=0.13, linewidth=0)
            axes.plot(x[kept], np.median(y, axis=0)[kept], label=name, **look)
        else:
            for k, run in enumerate(y):
                axes.plot(x[kept], run[kept], label=name if k == 0 else None, alpha=0.85, **{**look, "linewidth": 1.1})
    if log_y and axes.lines:
        axes.set_yscale("log")
        top = axes.get_ylim()[1]
        axes.set_ylim(floor, min(top, ceiling))
    if log_x and axes.lines:
        axes.set_xscale("log")
    axes.set_xlabel(x_name)
    axes.set_ylabel(y_name)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    how = f"median of {seeds} runs, 95% band" if seeds >= FEW else f"{seeds} run{'s' if seeds > 1 else ''} each"
    if len(result.summaries) > CURVES:
        how = f"best {CURVES} of {len(result.summaries)}\n{how}"
    title = result.problem.name if len(result.problem.name) < 60 else result.problem.name[:57] + "…"
    axes.set_title(title)
    if axes.lines:
        look = {"frameon": False, "alignment": "left", "fontsize": 8, "title_fontsize": 8}
        figure.legend(loc="outside right upper", title=how, **look)
    return figure


def race_pictures(result: Result, folder: Path) -> list[Path]:
    """Draw loss against step, epoch and time; return the files."""
    matplotlib = _matplotlib()
    counts = {r.steps[-1] for r in result.records if r.status != "diverged"}
    uneven = len(counts) > 1 and max(counts) > 5 * min(counts)
    kinds: list[tuple[str, Callable[[Record], Sequence[float]], str, bool]] = [
        ("loss-step", lambda r: r.steps, "step", uneven),
        ("loss-time", lambda r: r.seconds, "time of gradients and updates (s; a step's time is measured apart)", True),
    ]
    rows = result.problem.rows
    x_name = "epoch (pass over the rows)" if rows else "epoch (one step each: a function has no rows)"
    kinds.insert(1, ("loss-epoch", lambda r: r.epochs, x_name, False))
    files: list[Path] = []
    with matplotlib.rc_context(SETTINGS):
        for name, x_of, x_label, log_x in kinds:
            files += save(_loss_picture(result, x_of, x_label, log_x), folder / name)
        if _rates(result):
            files += save(_rate_picture(result), folder / "loss-lr")
        if result.tuned is not None and any(len(t.candidates) > 1 for t in result.tuned):
            files += save(_tuning_picture(result), folder / "tuning")
    if result.why:
        from .explain import picture

        files += picture(result.why).save(folder / "why")
    return files


def profile_picture(found: SuiteResult) -> Any:
    """Draw the performance profiles of several problems."""
    with _matplotlib().rc_context(SETTINGS):
        figure, axes = _figure()
        tau = np.geomspace(1, 16, 200)
        for label in found.order:
            y = [found.profiles.rho(label, t) for t in tau]
            axes.plot(tau, y, label=f"{label} ({found.profiles.score[label]:.2f})", **style(label))
        axes.set_xscale("log", base=2)
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("gradients to the goal, over the smallest of any contender")
        axes.set_ylabel("share of problems")
        axes.set_title(f"{len(found.profiles.problems)} problems")
        axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8, title="score", title_fontsize=8)
    return figure


def _tuning_picture(result: Result) -> Any:
    """Draw the expected best of k tuning runs: what each contender costs to tune."""
    figure, axes = _figure()
    tuned = {t.default.label: t for t in result.tuned or ()}
    for label, text, look in _labels(result):
        curve = tuned[label].curve
        y = np.where(np.isfinite(curve.median), curve.median, np.nan)
        if np.isfinite(y).any():
            axes.plot(curve.runs, y, label=text, **look)
            low, high = (np.where(np.isfinite(v), v, np.nan) for v in (curve.low, curve.high))
            axes.fill_between(curve.runs, low, high, color=look["color"], alpha=0.06, linewidth=0)
    ends = [y for line in axes.lines for y in line.get_ydata()[-3:] if np.isfinite(y)]
    starts = [y for line in axes.lines for y in line.get_ydata()[2:3] if np.isfinite(y)]
    if ends:
        axes.set_ylim(min(ends) - 0.05 * abs(min(ends)), max(*ends, *starts) + 0.1 * (max(ends) - min(ends) + 1e-12))
    axes.set_xlabel("settings tried")
    axes.set_ylabel("median loss of the chosen run" + (", test rows" if result.config.test else ""))
    axes.set_title(_shortened(result.problem.name))
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    if axes.lines:
        look = {"frameon": False, "alignment": "left", "fontsize": 8, "title_fontsize": 8}
        figure.legend(loc="outside right upper", title="best of k settings,\n10% to 90% of choices", **look)
    return figure


def _rates(result: Result) -> dict[str, list[tuple[float, Any]]]:
    """Return learning rates with summaries, by method, of the methods that race at several."""
    found: dict[str, list[tuple[float, Any]]] = {}
    for contender, summary in zip(result.config.contenders, result.summaries, strict=True):
        lr = dict(contender.settings).get("lr")
        if lr:
            found.setdefault(contender.method, []).append((lr, summary))
    return {k: sorted(v, key=lambda pair: pair[0]) for k, v in found.items() if len({lr for lr, _ in v}) > 2}


def _rate_picture(result: Result) -> Any:
    """Draw the median of the last losses against the learning rate; a rate at which half diverged has no point."""
    figure, axes = _figure()
    below, name, log_y = _loss_axis(result)
    for method, pairs in _rates(result).items():
        x = np.array([lr for lr, _ in pairs])
        bounds = [s.interval or (s.final, s.final) for _, s in pairs]
        y, low, high = (
            np.array(v) - below
            for v in zip(*((s.final, *b) for (_, s), b in zip(pairs, bounds, strict=True)), strict=True)
        )
        y, low, high = (np.where(np.isfinite(v) & ((v > 0) | (not log_y)), v, np.nan) for v in (y, low, high))
        if not np.isfinite(y).any():
            continue
        axes.fill_between(x, low, high, color=colour(method), alpha=0.13, linewidth=0)
        axes.plot(x, y, marker="o", markersize=2 if len(x) > 30 else 3.5, label=method, **style(method))
    axes.set_xscale("log")
    if log_y and axes.lines:
        axes.set_yscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"last {name}")
    axes.grid(True, which="major", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(_shortened(result.problem.name))
    if axes.lines:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


Window = tuple[tuple[float, float], tuple[float, float]]


def trace_picture(problem: FunctionProblem, traces: Sequence[Trace], window: Window | None = None) -> Any:
    """Return the figure of paths over contours (two variables, in `window` if given) or on the curve (one)."""
    with _matplotlib().rc_context(SETTINGS):
        return _curve(problem, traces) if problem.dimension == 1 else _contours(problem, traces, window)


def _window(problem: FunctionProblem, traces: Sequence[Trace], axis: int) -> tuple[float, float]:
    """Return the range to show: starts, ends, minimisers, and the paths as far as they stay near these."""
    anchors = []
    for t in traces:
        start, end = t.points[0], t.points[-1]
        far = 3 * max(1.0, float(np.abs(start).max()))
        ends = [end, *map(np.asarray, problem.minimisers)]
        near = [x for x in ends if np.isfinite(x).all() and np.abs(x - start).max() <= far]
        anchors += [start[axis], *(x[axis] for x in near)]
    reach = max(max(anchors) - min(anchors), max(abs(a) for a in anchors), 1e-3)
    values = np.concatenate([t.points[:, axis] for t in traces])
    centre = (max(anchors) + min(anchors)) / 2
    shown = values[np.isfinite(values) & (np.abs(values - centre) <= 1.6 * reach)]
    low, high = min(*anchors, *shown), max(*anchors, *shown)
    margin = 0.12 * max(high - low, 0.3 * reach)
    return low - margin, high + margin


def _name(trace: Trace) -> str:
    return f"{trace.contender.label}  {trace.contender.described(fixed=False)}".strip()


def _looks(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """Return a colour for each path: its method's, and for a method that comes again one that nobody has."""
    seen: set[str] = set()
    others = iter([c for c in OTHERS if c not in {colour(t.contender.method) for t in traces}] * len(traces))
    found = []
    for trace in traces:
        method = trace.contender.method
        found.append({"color": next(others) if method in seen else colour(method)})
        seen.add(method)
    return found


def _marker(points: Array, size: float) -> float:
    """Return the size of the points' marks: small where there are so many that they would hide the path."""
    return size if len(points) <= 60 else 0.0


def _legend(figure: Any, traces: Sequence[Trace]) -> None:
    short = max(len(_name(t)) for t in traces) <= 36
    figure.legend(loc="outside lower left", frameon=False, ncols=2 if short and len(traces) > 3 else 1, fontsize=8)


def _contours(problem: FunctionProblem, traces: Sequence[Trace], window: Window | None = None) -> Any:
    figure, axes = _figure(6.2, 4.6)
    (a, b), (c, d) = window or (_window(problem, traces, 0), _window(problem, traces, 1))
    grid = np.meshgrid(np.linspace(a, b, 241), np.linspace(c, d, 241))
    values = problem.evaluate(np.stack([g.ravel() for g in grid])).reshape(grid[0].shape)
    finite = values[np.isfinite(values)]
    if finite.size and finite.max() > finite.min():
        levels = np.unique(np.quantile(finite, np.linspace(0.004**0.5, 0.985, 16) ** 2))
        if len(levels) > 1:
            masked = np.ma.masked_invalid(values)
            bounds = np.unique([finite.min(), *levels, finite.max()])
            axes.contourf(*grid, masked, levels=bounds, cmap="Greys", alpha=0.35)
            axes.contour(*grid, masked, levels=levels, colors="#8a8a8a", linewidths=0.5)
    for trace, look in zip(traces, _looks(traces), strict=True):
        points = trace.points
        axes.plot(
            *points.T, "-o", markersize=_marker(points, 3), linewidth=1.3, label=_name(trace), clip_on=True, **look
        )
        _mark_exit(axes, points, (a, b, c, d), look["color"])
    axes.plot(*traces[0].points[0], "s", color="#222222", markersize=6, zorder=5)
    for m in problem.minimisers:
        if a <= m[0] <= b and c <= m[1] <= d:
            axes.plot(*m, "*", color="#222222", markersize=10, zorder=5)
    axes.set_xlim(a, b)
    axes.set_ylim(c, d)
    axes.set_xlabel(problem.variables[0])
    axes.set_ylabel(problem.variables[1])
    axes.set_title(_shortened(problem.formula))
    _legend(figure, traces)
    return figure


def _mark_exit(axes: Any, points: Array, box: tuple[float, float, float, float], shade: str) -> None:
    """Put a cross on the frame where a path leaves it for good."""
    a, b, c, d = box
    inside = (points[:, 0] >= a) & (points[:, 0] <= b) & (points[:, 1] >= c) & (points[:, 1] <= d)
    if inside[-1]:
        return
    last = points[np.flatnonzero(inside)[-1]]
    out = np.nan_to_num(points[np.flatnonzero(inside)[-1] + 1], nan=b, posinf=1e12, neginf=-1e12)
    step = out - last
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [(limit - last[k]) / step[k] for k, pair in ((0, (a, b)), (1, (c, d))) for limit in pair]
    part = min((p for p in parts if 0 <= p <= 1), default=1.0)
    axes.plot(*(last + part * step), "X", color=shade, markersize=9, clip_on=False, zorder=6)


def _curve(problem: FunctionProblem, traces: Sequence[Trace]) -> Any:
    figure, axes = _figure(6.2, 4.2)
    a, b = _window(problem, traces, 0)
    x = np.linspace(a, b, 601)
    y = problem.evaluate(x[None, :])
    axes.plot(x, y, color="#999999", linewidth=1.4, zorder=1)
    finite = y[np.isfinite(y)]
    for trace, look in zip(traces, _looks(traces), strict=True):
        at = trace.points[:, 0]
        height = trace.values
        axes.plot(at, height, "-o", markersize=_marker(at, 3.5), linewidth=1.0, label=_name(trace), **look)
        if not a <= at[-1] <= b:
            edge = b if not at[-1] < a else a
            axes.plot([edge], [np.interp(edge, x, y)], "X", color=look["color"], markersize=9, clip_on=False, zorder=6)
    axes.plot(traces[0].points[0, 0], traces[0].values[0], "s", color="#222222", markersize=6, zorder=5)
    axes.set_xlim(a, b)
    if finite.size:
        margin = 0.06 * (finite.max() - finite.min() or 1.0)
        axes.set_ylim(finite.min() - margin, finite.max() + margin)
    axes.set_xlabel(problem.variables[0])
    axes.set_ylabel("f")
    axes.set_title(_shortened(problem.formula))
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    _legend(figure, traces)
    return figure


def _shortened(text: str) -> str:
    return text if len(text) <= 70 else text[:67] + "…"
