"""Pictures beyond races and paths: curves, surfaces, schedules, weights, spectra, stability regions, histograms.

A :class:`Picture` is a figure with the data it shows, which it can write as CSV beside the picture. Equal data give
equal bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..problems.base import Array
from .plots import OTHERS, SETTINGS, _figure, _matplotlib, save
from .store import write

__all__ = [
    "Picture", "bands", "convergence", "gradient_histograms", "lines", "panels", "schedules", "spectrum", "stability_region", "surface",
    "training", "weights",
]  # fmt: skip

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#000000", *OTHERS)
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (6, 1, 1, 1)))


@dataclass(frozen=True)
class Picture:
    """A figure and the columns of numbers that it shows."""

    figure: Any
    data: Mapping[str, Array]

    def save(self, stem: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
        """Write the picture in several formats; return the files."""
        return save(self.figure, stem, formats)

    def csv(self, path: Path) -> Path:
        """Write the data as CSV, one column a name; shorter columns end early."""
        columns = [np.ravel(v) for v in self.data.values()]
        out = io.StringIO()
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(self.data)
        for k in range(max((len(c) for c in columns), default=0)):
            rows.writerow([repr(float(c[k])) if k < len(c) else "" for c in columns])
        write(path, out.getvalue().encode())
        return path


def _drawn(draw: Callable[[], tuple[Any, Mapping[str, Array]]]) -> Picture:
    with _matplotlib().rc_context(SETTINGS):
        figure, data = draw()
    return Picture(figure, data)


def _legend(figure: Any, count: int) -> None:
    if count > 1:
        figure.legend(loc="outside lower left", frameon=False, ncols=min(count, 4), fontsize=8)


def lines(
    series: Mapping[str, tuple[Any, Any]], *, x: str, y: str, title: str = "", log_y: bool = False, log_x: bool = False,
    marks: Mapping[str, tuple[float, float]] | None = None, points: bool = False,
) -> Picture:  # fmt: skip
    """Several named curves (x values, y values) in one frame; `marks` are named points on them."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        figure, axes = _figure(6.2, 4.0)
        data: dict[str, Array] = {}
        for k, (name, (a, b)) in enumerate(series.items()):
            a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
            colour, dash = LINE_COLOURS[k % len(LINE_COLOURS)], DASHES[k % len(DASHES)]
            axes.plot(a, b, color=colour, linestyle=dash, label=name, marker="o" if points else None, markersize=3)
            data[f"{name}: {x}"], data[f"{name}: {y}"] = a, b
        for name, (a, b) in (marks or {}).items():
            axes.plot(a, b, "o", color="#222222", markersize=5, zorder=5)
            axes.annotate(name, (a, b), textcoords="offset points", xytext=(6, 8), fontsize=8)
        if log_y:
            axes.set_yscale("log")
        if log_x:
            axes.set_xscale("log")
        axes.margins(x=0.02, y=0.1)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(title)
        _legend(figure, len(series))
        return figure, data

    return _drawn(draw)


def panels(
    parts: Mapping[str, Mapping[str, tuple[Any, Any]]], *, x: str, log_y: Sequence[str] = (),
    lines_at: Mapping[str, float] | None = None,
) -> Picture:  # fmt: skip
    """Several quantities against the same `x`, a panel each, with the same curve in the same colour in every panel."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 2.9 * -(-len(parts) // 2)), layout="constrained")
        every = figure.subplots(-(-len(parts) // 2), 2, squeeze=False).ravel()
        names = list(dict.fromkeys(name for curves in parts.values() for name in curves))
        data: dict[str, Array] = {}
        handles: dict[str, Any] = {}
        for axes, (title, curves) in zip(every, parts.items(), strict=False):
            for name, (a, b) in curves.items():
                k = names.index(name)
                a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
                look = {"color": LINE_COLOURS[k % len(LINE_COLOURS)], "linestyle": DASHES[k % len(DASHES)]}
                (handles[name],) = axes.plot(a, b, marker="o", markersize=2.5, label=name, **look)
                data |= {f"{title}: {name}: {x}": a, f"{title}: {name}": b}
            if title in (lines_at or {}):
                axes.axhline((lines_at or {})[title], color="#222222", linewidth=0.8, linestyle=(0, (2, 2)))
            if title in log_y and all((np.asarray(b) > 0).any() for _, b in curves.values()):
                axes.set_yscale("log")
            axes.set_title(title)
            axes.set_xlabel(x)
        for axes in every[len(parts) :]:
            axes.set_axis_off()
        if len(handles) > 1:
            figure.legend(handles.values(), handles, loc="outside lower left", frameon=False, ncols=4, fontsize=8)
        return figure, data

    return _drawn(draw)


def convergence(series: Mapping[str, Any], *, y: str = "distance to the minimum", title: str = "") -> Picture:
    """Positive quantities against the step, on a logarithmic scale."""
    return lines(
        {n: (np.arange(len(v)), np.asarray(v)) for n, v in series.items()}, x="step", y=y, title=title, log_y=True
    )


def bands(
    series: Mapping[str, Any], *, x: str = "step", y: str = "loss", title: str = "", log_y: bool = True
) -> Picture:
    """Medians over seeds with the band that holds the middle half: each series is [seeds, steps]."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        figure, axes = _figure(6.2, 4.0)
        data: dict[str, Array] = {}
        for k, (name, rows) in enumerate(series.items()):
            values = np.asarray(rows, np.float64)
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
            steps = np.arange(values.shape[1])
            colour = LINE_COLOURS[k % len(LINE_COLOURS)]
            axes.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
            label = f"{name} (n = {len(values)})"
            axes.plot(steps, middle, color=colour, linestyle=DASHES[k % len(DASHES)], label=label)
            data |= {f"{name}: {x}": steps, f"{name}: 25%": low, f"{name}: median": middle, f"{name}: 75%": high}
        if log_y:
            axes.set_yscale("log")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(title)
        _legend(figure, 2)
        return figure, data

    return _drawn(draw)


def schedules(rates: Mapping[str, Callable[[float], float]], epochs: int = 30) -> Picture:
    """Learning rates by epoch."""
    t = np.arange(epochs)
    return lines(
        {n: (t, [r(float(k)) for k in t]) for n, r in rates.items()}, x="epoch", y="learning rate", points=epochs <= 60
    )


def weights(decays: Sequence[float], length: int = 40, *, normalised: bool = False, title: str = "") -> Picture:
    """The weight of a gradient by its age: βᵗ, or (1-β)βᵗ where `normalised`."""
    t = np.arange(length)
    series = {f"β = {b:g}": (t, (1 - b if normalised else 1.0) * np.power(float(b), t)) for b in decays}
    return lines(series, x="age (steps)", y="weight", title=title)


def spectrum(eigenvalues: Any, *, title: str = "eigenvalues of the Hessian") -> Picture:
    """The eigenvalues by size; negative ones hollow."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        figure, axes = _figure(6.2, 3.8)
        values = np.sort(np.asarray(eigenvalues, np.float64))[::-1]
        rank = np.arange(1, len(values) + 1)
        size = np.abs(values)
        floor = size.max(initial=1e-300) * 1e-16
        for chosen, face, name in ((values >= 0, "#0072B2", "positive"), (values < 0, "none", "negative (size shown)")):
            if chosen.any():
                shown = np.maximum(size[chosen], floor)
                axes.plot(rank[chosen], shown, "o", markersize=4, color="#0072B2", markerfacecolor=face, label=name)
        axes.set_yscale("log")
        axes.set_xlabel("rank")
        axes.set_ylabel("eigenvalue")
        axes.set_title(title)
        _legend(figure, 2 if (values < 0).any() else 1)
        return figure, {"rank": rank, "eigenvalue": values}

    return _drawn(draw)


def stability_region(
    eigenvalues: Sequence[float],
    runs: Sequence[tuple[float, float]] = (),
    *,
    method: str = "heavy_ball",
    points: int = 161,
) -> Picture:
    """The contraction rate of heavy ball or Nesterov over (rate, momentum), its limit, and the runs' own settings."""
    from ..analysis import largest_stable_lr, spectral_radius

    def draw() -> tuple[Any, Mapping[str, Array]]:
        figure, axes = _figure(6.2, 4.4)
        top = max(eigenvalues)
        lr = np.linspace(0, largest_stable_lr(top, "heavy_ball", 0.99) * 1.05, points)
        beta = np.linspace(0, 0.99, points)
        grid = np.array(
            [[max(spectral_radius(a, b, e, method) for e in (min(eigenvalues), top)) for a in lr] for b in beta]
        )
        levels = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0])
        axes.contourf(lr, beta, np.minimum(grid, 1.0), levels=[0, *levels], cmap="Greys_r", alpha=0.6)
        marks = axes.contour(lr, beta, grid, levels=levels[:-1], colors="#555555", linewidths=0.6)
        axes.clabel(marks, fontsize=7, fmt="%g")
        limit = np.array([largest_stable_lr(top, method, float(b)) for b in beta])
        axes.plot(limit, beta, color="#D55E00", label="limit of stability")
        for k, (a, b) in enumerate(runs):
            axes.plot(a, b, "o", color="#0072B2", markersize=7, label="this run" if not k else None)
        axes.set_xlim(lr[0], lr[-1])
        axes.set_ylim(0, 0.99)
        axes.set_xlabel("learning rate")
        axes.set_ylabel("momentum")
        axes.set_title(f"contraction per step, {method.replace('_', ' ')}")
        _legend(figure, 2)
        return figure, {"momentum": beta, "largest stable rate": limit}

    return _drawn(draw)


def gradient_histograms(gradients: Mapping[str, Any], *, bins: int = 60, title: str = "gradients by layer") -> Picture:
    """The distribution of log10 |gradient| for each layer, first layer on top."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        figure, axes = _figure(6.2, 0.7 + 0.55 * max(len(gradients), 3))
        sizes = {n: np.abs(np.ravel(np.asarray(g, np.float64))) for n, g in gradients.items()}
        logs = {n: np.log10(s[s > 0]) for n, s in sizes.items()}
        every = np.concatenate([v for v in logs.values() if v.size] or [np.zeros(1)])
        edges = np.linspace(every.min() - 0.1, every.max() + 0.1, bins + 1)
        data: dict[str, Array] = {"log10 size": (edges[:-1] + edges[1:]) / 2}
        for k, (name, values) in enumerate(reversed(logs.items())):
            counts = np.histogram(values, edges)[0] / max(values.size, 1)
            height = counts / max(counts.max(initial=0.0), 1e-12) * 0.85
            axes.stairs(k + height, edges, baseline=k, fill=True, color=LINE_COLOURS[0], alpha=0.35)
            axes.stairs(k + height, edges, baseline=k, color=LINE_COLOURS[0], linewidth=0.8)
            data[name] = counts
        axes.set_yticks(np.arange(len(logs)), list(reversed(logs)))
        axes.set_xlabel("log10 |gradient|")
        axes.set_title(title)
        return figure, data

    return _drawn(draw)


def surface(
    function: Callable[[Array], Array], x: tuple[float, float], y: tuple[float, float], path: Any = None, *, title: str = "",
    points: int = 101,
) -> Picture:  # fmt: skip
    """A surface over two variables, its contours on the floor, and a path in front of both."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.2, 4.8), layout="constrained")
        axes: Any = figure.add_subplot(projection="3d", computed_zorder=False)
        grid = np.meshgrid(np.linspace(*x, points), np.linspace(*y, points))
        values = np.asarray(function(np.stack([g.ravel() for g in grid]))).reshape(grid[0].shape)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        floor = low - 0.45 * (high - low)
        axes.contour(*grid, values, levels=14, zdir="z", offset=floor, cmap="Greys", linewidths=0.7, zorder=1)
        axes.plot_surface(*grid, values, cmap="cividis", alpha=0.75, linewidth=0, rstride=2, cstride=2, zorder=2)
        data: dict[str, Array] = {"x1": grid[0], "x2": grid[1], "f": values}
        if path is not None:
            p = np.asarray(path, np.float64)
            height = np.asarray(function(p.T))
            axes.plot(p[:, 0], p[:, 1], np.full(len(p), floor), "-", color="#D55E00", linewidth=1, zorder=3)
            axes.plot(p[:, 0], p[:, 1], height, "-o", color="#D55E00", markersize=3, linewidth=1.4, zorder=4)
            data |= {"path x1": p[:, 0], "path x2": p[:, 1], "path f": height}
        axes.set_zlim(floor, high)
        axes.locator_params(nbins=5)
        axes.set_xlabel("x1")
        axes.set_ylabel("x2")
        axes.set_zlabel("f")
        axes.set_title(title)
        return figure, data

    return _drawn(draw)


def training(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Picture:
    """Training loss, and training and test accuracy, of several runs by epoch, side by side."""

    def draw() -> tuple[Any, Mapping[str, Array]]:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        data: dict[str, Array] = {}
        for k, (name, run) in enumerate(curves.items()):
            colour = LINE_COLOURS[k % len(LINE_COLOURS)]
            epoch = np.arange(1, len(run["loss"]) + 1)
            left.plot(epoch, run["loss"], color=colour, label=name)
            right.plot(epoch, run["train accuracy"], color=colour, linestyle=(0, (1, 1)), linewidth=1.0)
            right.plot(epoch, run["test accuracy"], color=colour)
            data |= {f"{name}: {q}": np.asarray(v) for q, v in run.items() if q != "seconds"}
        left.set_xlabel("epoch")
        left.set_ylabel("training loss")
        left.set_yscale("log")
        right.set_xlabel("epoch")
        right.set_ylabel("accuracy")
        right.set_title("test (solid), training (dotted)")
        figure.legend(loc="outside lower center", frameon=False, ncols=3, fontsize=8)
        return figure, data

    return _drawn(draw)
