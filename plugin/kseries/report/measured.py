"""The project's tables, filled with what was measured: data for every format that shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ..rows import SEPARATOR, Row, Table
from ..throughput import (
    EXACT,
    INSTRUCTIONS_PER_PACKET,
    PER_SECOND,
    WALL,
    Comparison,
    smallest_seen,
)
from ..verdict import PATCHED, STOCK, Case, Verdict
from . import table as cases_table

_NS_PER_S = 1e9
# From here on a change is said as a factor: 50,000 % tells nobody anything.
_LARGE = 3.0
NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """One figure: as measured on both kernels, and as reported elsewhere; "" is nothing."""

    name: str
    stock: str
    patched: str
    stock_elsewhere: str = ""
    patched_elsewhere: str = ""


@dataclass(frozen=True)
class Filled:
    """A row with its figures, what changed in words, and the verdict's word on which metric."""

    label: str
    lines: tuple[Line, ...]
    change: str
    word: str
    metric: str = ""

    def joined(self, attribute: str) -> str:
        """Join one attribute of all lines, without what is missing at the end."""
        words = [getattr(line, attribute) or NOTHING for line in self.lines]
        while words and words[-1] == NOTHING:
            words.pop()
        return SEPARATOR.join(words)


@dataclass(frozen=True)
class Block:
    """The rows of a table that were measured in one lane, the only ones that may stand together."""

    table: Table
    unit: str
    how: str
    rows: tuple[Filled, ...]

    @property
    def elsewhere(self) -> bool:
        """Whether any row has figures that were reported elsewhere."""
        return any(
            line.stock_elsewhere or line.patched_elsewhere
            for row in self.rows
            for line in row.lines
        )

    @property
    def names(self) -> str:
        """The figures' names where all rows have the same, else ""."""
        names = {row.joined("name") for row in self.rows}
        return names.pop() if len(names) == 1 else ""


def blocks(verdict: Verdict) -> list[Block]:
    """Fill the tables; a row whose case did not run is left out, and a table without rows."""
    found = []
    for table in verdict.rows.tables:
        by_how: dict[tuple[str, str], list[Filled]] = {}
        for row in table.rows:
            cases = [case for case in verdict.cases if row.matches(cases_table.short(case))]
            places = [(lane(case), how(case)) for case in cases]
            for case, place in zip(cases, places, strict=True):
                if place[0]:
                    filled = _fill(table, row, case, alone=places.count(place) == 1)
                    by_how.setdefault(place, []).append(filled)
        for (lane_, how_), rows in by_how.items():
            found.append(Block(table, _unit(table, lane_), how_, tuple(rows)))
    return found


def lane(case: Case) -> str:
    """Name the lane a case was measured in; "" where it had no guest at all."""
    if case.comparison:
        return case.comparison.lane
    lanes = {half.lane for half in (case.stock, case.patched) if half and half.lane}
    return EXACT if EXACT in lanes else WALL if lanes else ""


def how(case: Case) -> str:
    """Say how a case was measured, so that nobody takes emulation for hardware."""
    if lane(case) == EXACT:
        return (
            "exact lane: emulated CPUs on a clock that counts instructions, which tells cost,"
            " not throughput"
        )
    lanes = {half.lane for half in (case.stock, case.patched) if half}
    cpus = "emulated CPUs (tcg)" if "tcg" in lanes else "KVM"
    return f"wall lane: real time, {cpus}"


def rates(runs: Iterable[Mapping[str, int]], figure: str, scale: float) -> list[float]:
    """Return a figure per second over `scale` for each run that has it."""
    return ratios(runs, figure, "elapsed_ns", scale / _NS_PER_S)


def ratios(runs: Iterable[Mapping[str, int]], figure: str, per: str, scale: float) -> list[float]:
    """Return a figure over `per` and `scale` for each run that has both."""
    return [run[figure] / run[per] / scale for run in runs if figure in run and run.get(per)]


def shares(runs: Iterable[Mapping[str, int]], figure: str, whole: Sequence[str]) -> list[float]:
    """Return a figure in percent of the sum of those in `whole`, for each run that has them."""
    sums = [(run, sum(run.get(name, 0) for name in whole)) for run in runs]
    return [run[figure] * 100 / total for run, total in sums if figure in run and total]


def counts(runs: Iterable[Mapping[str, int]], figure: str) -> list[float]:
    """Return a figure as it is for each run that has it."""
    return [float(run[figure]) for run in runs if figure in run]


def number(value: float) -> str:
    """Write a figure in three digits; one that is not zero never reads as zero."""
    if value == 0 or abs(value) >= 99.95:
        return f"{value:.0f}"
    digits = 1 if abs(value) >= 9.995 else 2 if abs(value) >= 0.0995 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.0005 else "<0.001"


def change(comparison: Comparison) -> str:
    """Say what changed, with its interval: in percent, or as a factor where it is large."""
    ends = comparison.low, comparison.high
    if max(comparison.ratio, 1 / comparison.ratio) >= _LARGE:
        low, high = map(number, ends)
        said = f"{number(comparison.ratio)} times [{low}, {high}]"
    else:
        low, high = (f"{(end - 1) * 100:+.2f}" for end in ends)
        said = f"{(comparison.ratio - 1) * 100:+.2f} % [{low}, {high}]"
    unseen = f"; a change below {smallest_seen(comparison) * 100:.2f} % could not be seen"
    return (
        f"{metric(comparison.metric)} {said}, {comparison.confidence * 100:.0f} % interval of"
        f" {comparison.pairs} pairs{unseen}"
    )


def is_rate(metric_name: str) -> bool:
    """Whether a metric is a figure per second."""
    return metric_name.endswith(PER_SECOND)


def metric(name: str) -> str:
    """Say a metric in words."""
    name = name.removesuffix(PER_SECOND)
    return _words("guest_" + name if name == INSTRUCTIONS_PER_PACKET else name)


def _words(figure: str) -> str:
    return figure.removesuffix("_ns").replace("_", " ")


def _unit(table: Table, lane_: str) -> str:
    if lane_ == WALL or table.per:
        return table.unit
    return f"% of {' + '.join(map(_words, table.whole))}" if table.whole else "counts"


def _fill(table: Table, row: Row, case: Case, *, alone: bool) -> Filled:
    name = cases_table.short(case)
    label = row.label if alone else f"{row.label} [{name.partition('[')[2] or name + ']'}"
    published = zip(row.published(STOCK), row.published(PATCHED), strict=True)
    lines = [
        Line(name, *_measured(table, row, case, figure, count=count), *elsewhere)
        for (figure, name, count), elsewhere in zip(_shown(row), published, strict=True)
    ]
    if case.comparison is None:
        return Filled(label, tuple(lines), cases_table.first_line(case), case.word.value)
    lines += _metric_line(row, case.comparison)
    comparison = case.comparison
    words = change(comparison), case.word.value, metric(comparison.metric)
    return Filled(label, tuple(lines), *words)


def _shown(row: Row) -> list[tuple[str, str, bool]]:
    figures = [(name, _words(name), False) for name in row.figures]
    return figures + [(name, f"{_words(name)} (count)", True) for name in row.counts]


def _measured(table: Table, row: Row, case: Case, figure: str, *, count: bool) -> tuple[str, str]:
    words = []
    for half in (case.stock, case.patched):
        runs = half.runs if half and case.comparison else []
        if count or (lane(case) == EXACT and not (table.whole or table.per)):
            values = counts(runs, figure)
        elif table.per:
            values = ratios(runs, figure, table.per, row.scale)
        elif lane(case) == EXACT:
            values = shares(runs, figure, table.whole)
        else:
            values = rates(runs, figure, row.scale)
        words.append(number(fmean(values)) if values else NOTHING)
    return words[0], words[1]


def _metric_line(row: Row, comparison: Comparison) -> list[Line]:
    """Show what was compared where no line of the row has it, and where it is no rate."""
    name = comparison.metric
    if is_rate(name) or name in row.counts:
        return []
    return [Line(metric(name), number(comparison.stock), number(comparison.patched))]
