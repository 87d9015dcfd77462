"""plots/: SVG files of what was measured; marks, dashes and hatches tell, not colour.

matplotlib is imported where something was measured: it takes a second, and most sessions measure
nothing.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .. import cache
from ..rows import Panel, Plot, X
from ..throughput import EXACT, Comparison, allowed
from ..verdict import PATCHED, STOCK, Case, Verdict
from . import measured
from . import table as cases_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = "plots"
# Axes that span more than this are logarithmic.
_WIDE = 8.0
_WIDTH_IN = 8.0
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "kseries",  # else each run would have other ids in its files
    "svg.fonttype": "none",  # text stays text: to be searched, read aloud and compared
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "hatch.linewidth": 0.5,
}
# The look of a kernel. Lines of one kernel differ by their marks, kernels by fill and dashes.
_LOOKS: dict[str, dict[str, Any]] = {
    STOCK: {"color": "#b34700", "linestyle": (0, (4, 2)), "markerfacecolor": "white"},
    PATCHED: {"color": "#00508c", "linestyle": "-"},
}
_MARKS = "os^Dv<>p"
# How far lines are set apart along x, in parts of the axis, so that their bars do not hide.
_APART = 0.006


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Write FOLDER/plots/*.svg anew; nothing of an older run stays."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    names: set[str] = set()
    for case in verdict.cases:
        if case.comparison and _are_pairs(case):
            _save(_pairs(case, case.comparison), folder, _name(cases_table.short(case), names))
    for plot in verdict.rows.plots:
        for how, lines in _lines(plot, verdict.cases).items():
            _save(_over_x(plot, how, lines), folder, _name(plot.title, names))
    return [f"{FOLDER}/ ({len(names)} SVG)"] if names else []


def _are_pairs(case: Case) -> bool:
    counts = [len(half.samples) if half else 0 for half in (case.stock, case.patched)]
    return counts[0] == counts[1] > 0


def _name(title: str, taken: set[str]) -> str:
    """Make a file's name that no other plot has."""
    stem = re.sub(r"[^\w.-]+", "-", title, flags=re.ASCII).strip("-.") or "plot"
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name)
    return name


def _save(draw: Callable[[], Figure], folder: Path, name: str) -> None:
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        text = io.BytesIO()
        draw().savefig(text, format="svg", metadata={"Date": None, "Title": name})
    cache.replace(folder / FOLDER / f"{name}.svg", text.getvalue())


def _pairs(case: Case, comparison: Comparison) -> Callable[[], Figure]:
    """Draw the pairs: the metric on both kernels, and the ratios beside estimate and threshold."""
    assert case.stock
    assert case.patched
    stock, patched = case.stock.samples, case.patched.samples
    title = f"{cases_table.short(case)}\n{case.word}; {measured.how(case)}"

    def draw() -> Figure:
        from matplotlib.figure import Figure

        height = 2.4 + 0.17 * len(stock)
        figure = Figure(figsize=(_WIDTH_IN, height), layout="constrained")
        figure.suptitle(title, fontsize=9.5)
        left, right = figure.subplots(1, 2, sharey=True)
        places = range(1, len(stock) + 1)
        for place, before, after in zip(places, stock, patched, strict=True):
            left.plot([before, after], [place, place], color="0.6", linewidth=0.8, zorder=1)
        for kernel, values, mark in ((STOCK, stock, "o"), (PATCHED, patched, "s")):
            look = _LOOKS[kernel] | {"linestyle": "none", "gid": kernel}
            left.plot(values, places, marker=mark, markersize=5, label=kernel, **look)
        _scale(left, "x", [*stock, *patched])
        name = measured.metric(comparison.metric)
        left.set_xlabel(f"{name}{' per second' if measured.is_rate(comparison.metric) else ''}")
        left.set_ylabel("pair")
        left.set_yticks(list(places) if len(stock) <= 20 else list(places)[::5])
        left.set_ylim(len(stock) + 0.7, -0.9)
        _legend(left)
        _ratios(right, [b / a for a, b in zip(stock, patched, strict=True)], comparison)
        return figure

    return draw


def _ratios(axes: Axes, ratios: Sequence[float], comparison: Comparison) -> None:
    most = allowed(comparison.threshold, comparison.worse)
    wide = _is_wide([*ratios, comparison.low, comparison.high, 1 / most, most])

    def at(ratio: float) -> float:
        return ratio if wide else (ratio - 1) * 100

    axes.axvspan(
        at(1 / most),
        at(most),
        facecolor="0.95",
        edgecolor="0.75",
        hatch="//",
        linewidth=0,
        zorder=0,
        label=f"within {comparison.threshold * 100:g} %",
        gid="threshold",
    )
    axes.axvline(at(1), color="black", linewidth=0.8, zorder=1)
    axes.plot(
        list(map(at, ratios)),
        range(1, len(ratios) + 1),
        linestyle="none",
        marker="D",
        markersize=4,
        color="0.35",
        markerfacecolor="white",
        label="a pair",
        gid="ratios",
    )
    low, center, high = map(at, (comparison.low, comparison.ratio, comparison.high))
    axes.errorbar(
        center,
        0,
        xerr=[[center - low], [high - center]],
        marker="D",
        markersize=7,
        color="black",
        linewidth=2.5,
        capsize=5,
        label=f"estimate, {comparison.confidence * 100:.0f} % interval",
        gid="estimate",
    )
    better = "less" if comparison.worse == "more" else "more"
    if wide:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_times if wide else _percent)
    axes.set_xlabel(f"patched against stock ({better} is better)")
    _legend(axes)


def _times(value: float, _: float) -> str:
    return f"{value:,g} x"


def _percent(value: float, _: float) -> str:
    return f"{value:+g} %" if value else "0 %"


def _plain(value: float, _: float) -> str:
    """Write a tick as a person would: 0.1, 40,616, 2M."""
    for least, sign in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= least:
            return f"{value / (1e3 if sign == 'k' else least):,g}{sign}"
    return f"{value:,g}"


@dataclass
class _Series:
    """A line's points on one kernel: for each place on the x axis the runs of its cases."""

    runs: dict[float, list[Mapping[str, int]]] = field(default_factory=dict)


# By how it was measured, then by the line's name and kernel.
_Lines = dict[str, dict[tuple[str, str], _Series]]


def _lines(plot: Plot, cases: Sequence[Case]) -> _Lines:
    """Sort the runs of the cases that a plot wants; what was measured otherwise is not mixed."""
    found: _Lines = {}
    for case in cases:
        match = re.search(plot.cases, cases_table.short(case))
        if not match or not case.comparison:
            continue
        others = [text for name, text in match.groupdict().items() if name != X and text]
        try:
            place = float(match[X])
        except (TypeError, ValueError):
            continue
        for half in (case.stock, case.patched):
            if half and half.runs:
                key = " ".join(others), half.kernel
                lines = found.setdefault(measured.how(case), {})
                lines.setdefault(key, _Series()).runs.setdefault(place, []).extend(half.runs)
    return {how: lines for how, lines in found.items() if _panels(plot, how, lines)}


def _panels(plot: Plot, how: str, lines: Mapping[tuple[str, str], _Series]) -> list[Panel]:
    """Return the panels that have something to show; a clock of instructions gives no rate."""
    exact = how.startswith(EXACT)
    every = [runs for series in lines.values() for runs in series.runs.values()]
    return [
        panel
        for panel in plot.panels
        if (panel.whole or not exact) and any(_values(panel, runs) for runs in every)
    ]


def _over_x(plot: Plot, how: str, lines: Mapping[tuple[str, str], _Series]) -> Callable[[], Figure]:
    """Draw the panels of a plot one below the other."""
    panels = _panels(plot, how, lines)

    def draw() -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(_WIDTH_IN, 1.1 + 2.6 * len(panels)), layout="constrained")
        figure.suptitle(f"{plot.title}\n{how}\nmean; bars from least to most of the runs")
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        places = sorted({place for series in lines.values() for place in series.runs})
        for axes, panel in zip(every, panels, strict=True):
            _panel(axes, panel, lines)
        _scale(every[-1], "x", places, ticks=places)
        every[-1].set_xlabel(plot.x)
        _legend(every[0])
        return figure

    return draw


def _panel(axes: Axes, panel: Panel, lines: Mapping[tuple[str, str], _Series]) -> None:
    names = sorted({name for name, _ in lines})
    drawn: list[float] = []
    order = sorted(lines, key=lambda line: (line[0], line[1] != STOCK))
    shift = _shift([place for series in lines.values() for place in series.runs])
    for number, (name, kernel) in enumerate(order):
        series = lines[name, kernel]
        points = [
            (place, values)
            for place, runs in sorted(series.runs.items())
            if (values := _values(panel, runs))
        ]
        means = [fmean(values) for _, values in points]
        if not points:
            continue  # a figure that only some cases have
        drawn += means
        lows = [mean - min(values) for mean, (_, values) in zip(means, points, strict=True)]
        highs = [max(values) - mean for mean, (_, values) in zip(means, points, strict=True)]
        axes.errorbar(
            [shift(place, number - (len(order) - 1) / 2) for place, _ in points],
            means,
            yerr=[lows, highs],
            marker=_MARKS[names.index(name) % len(_MARKS)],
            markersize=6,
            capsize=3,
            linewidth=1.3,
            elinewidth=0.8,
            label=f"{name}, {kernel}" if name else kernel,
            gid=f"{panel.figure}-{kernel}",
            **_LOOKS[kernel],
        )
    if not _scale(axes, "y", drawn):
        axes.set_ylim(bottom=0)
    axes.set_ylabel(panel.label)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _values(panel: Panel, runs: Sequence[Mapping[str, int]]) -> list[float]:
    if panel.whole:
        return measured.shares(runs, panel.figure, panel.whole)
    return measured.rates(runs, panel.figure, panel.scale)


def _scale(
    axes: Axes, which: str, values: Sequence[float], ticks: Sequence[float] | None = None
) -> bool:
    """Make an axis logarithmic where its values need that; ticks in plain figures."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    wide = _is_wide(values)
    if wide:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(5))
    axis.set_major_formatter(_plain)
    if ticks is not None:
        axis.set_major_locator(NullLocator())
        axis.set_ticks(list(ticks), [f"{tick:,g}" for tick in ticks])
        axis.set_minor_locator(NullLocator())
    return wide


def _is_wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > _WIDE


def _shift(places: Sequence[float]) -> Callable[[float, float], float]:
    """Make the function that sets a place on the x axis so many steps aside."""
    low, high = min(places), max(places)
    if _is_wide(places):
        return lambda place, steps: place * float((high / low) ** (_APART * steps))
    return lambda place, steps: place + (high - low) * _APART * steps


def _legend(axes: Axes) -> None:
    """Put the legend over its axes, where it hides nothing."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
