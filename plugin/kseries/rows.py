"""Tables and plots that a project wants filled with what was measured.

A table has the figures that somebody reported elsewhere beside its own. Nothing here is judged:
that is throughput.py's.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import tomlfile
from .errors import UsageProblem

# What separates the published words of a row's figures.
SEPARATOR = " / "
# The named group of a plot's pattern that is the place on the x axis.
X = "x"


@dataclass(frozen=True)
class Row:
    """The figures of the cases that `case` matches; `*` and `?` are special in it, `[` is not.

    `figures` are shown as rates, of which `scale` a second are one of the table's unit, as ratios
    or as shares; `counts` as what a run counted. The words in `stock` and `patched` belong to the
    figures, then the counts, in this order.
    """

    label: str
    case: str
    figures: tuple[str, ...]
    counts: tuple[str, ...] = ()
    stock: str = ""
    patched: str = ""
    scale: float = 1.0

    def matches(self, name: str) -> bool:
        """Whether a case's short name belongs into this row."""
        return fnmatch.fnmatchcase(name, self.case.replace("[", "[[]"))

    def published(self, kernel: str) -> list[str]:
        """Return a word for each figure and count, "" where nothing was reported."""
        said = self.stock if kernel == "stock" else self.patched
        words = said.split(SEPARATOR) if said else []
        return words + [""] * (len(self.figures) + len(self.counts) - len(words))


@dataclass(frozen=True)
class Table:
    """Rows of one unit and one source.

    With `per` a figure is shown over that one, in any lane. Else of a figure that is no rate, its
    share of the sum of the figures in `whole` is shown.
    """

    title: str
    unit: str
    source: str
    rows: tuple[Row, ...]
    whole: tuple[str, ...] = ()
    note: str = ""
    per: str = ""


@dataclass(frozen=True)
class Panel:
    """A y axis: the rate of a figure, or, where `whole` is given, its share of that in percent."""

    label: str
    figure: str
    scale: float = 1.0
    whole: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plot:
    """Panels over one x axis; `cases` is searched in cases' short names for the group x.

    Other named groups of it tell lines from each other.
    """

    title: str
    x: str
    cases: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Rows:
    """What a file holds."""

    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()


@dataclass(frozen=True)
class _Key:
    """A key of a TOML table: what it has to hold, in words and as a check."""

    words: str
    good: Callable[[Any], bool]
    needed: bool = True


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_word, value))


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _is_pattern(value: Any) -> bool:
    try:
        return X in re.compile(value).groupindex
    except (TypeError, re.error):
        return False


_WORD = _Key("text", _is_word)
_WORDS = _Key("a list of texts", _is_words)
_MAYBE_WORD = _Key("text", _is_word, needed=False)
_MAYBE_WORDS = _Key("a list of texts", _is_words, needed=False)
_SCALE = _Key("a number above 0", _is_positive, needed=False)
_ROW = {
    "label": _WORD,
    "case": _WORD,
    "figures": _WORDS,
    "counts": _MAYBE_WORDS,
    "stock": _MAYBE_WORD,
    "patched": _MAYBE_WORD,
    "scale": _SCALE,
}
_TABLE = {
    "title": _WORD,
    "unit": _WORD,
    "source": _WORD,
    "row": _Key("[[table.row]] tables", _is_tables),
    "scale": _SCALE,
    "whole": _MAYBE_WORDS,
    "note": _MAYBE_WORD,
    "per": _MAYBE_WORD,
}
_PANEL = {"label": _WORD, "figure": _WORD, "scale": _SCALE, "whole": _MAYBE_WORDS}
_PLOT = {
    "title": _WORD,
    "x": _WORD,
    "cases": _Key("a regular expression with the group (?P<x>...)", _is_pattern),
    "y": _Key("[[plot.y]] tables", _is_tables),
}
_FILE = {
    "table": _Key("[[table]] tables", _is_tables, needed=False),
    "plot": _Key("[[plot]] tables", _is_tables, needed=False),
}


def load(path: Path) -> Rows:
    """Read a file of [[table]] and [[plot]]. Raises UsageProblem that names file and key."""
    data = tomlfile.read(path)
    _check(f"{path}", data, _FILE)
    tables = [_table(f"{path}: table {n}", table) for n, table in _numbered(data, "table")]
    plots = [_plot(f"{path}: plot {n}", plot) for n, plot in _numbered(data, "plot")]
    return Rows(tuple(tables), tuple(plots))


def _numbered(data: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    return list(enumerate(data.get(key, []), 1))


def _check(where: str, table: Mapping[str, Any], keys: Mapping[str, _Key]) -> None:
    unknown = sorted(table.keys() - keys.keys())
    if unknown:
        raise UsageProblem(f"{where}: no such key: {unknown[0]}; there are {', '.join(keys)}")
    for name, key in keys.items():
        if name not in table and key.needed:
            raise UsageProblem(f"{where}: {name} is missing: {key.words}")
        if name in table and not key.good(table[name]):
            raise UsageProblem(f"{where}: {name} has to be {key.words}, not {table[name]!r}")


def _table(where: str, table: dict[str, Any]) -> Table:
    _check(where, table, _TABLE)
    if "per" in table and "whole" in table:
        raise UsageProblem(f"{where}: per and whole exclude each other: a ratio or a share")
    scale = float(table.get("scale", 1))
    rows = [_row(f"{where}, row {n}", row, scale) for n, row in _numbered(table, "row")]
    return Table(
        title=table["title"],
        unit=table["unit"],
        source=table["source"],
        rows=tuple(rows),
        whole=tuple(table.get("whole", ())),
        note=table.get("note", ""),
        per=table.get("per", ""),
    )


def _row(where: str, table: dict[str, Any], scale: float) -> Row:
    _check(where, table, _ROW)
    row = Row(
        label=table["label"],
        case=table["case"],
        figures=tuple(table["figures"]),
        counts=tuple(table.get("counts", ())),
        stock=table.get("stock", ""),
        patched=table.get("patched", ""),
        scale=float(table.get("scale", scale)),
    )
    most = len(row.figures) + len(row.counts)
    for kernel, words in (("stock", row.stock), ("patched", row.patched)):
        if len(words.split(SEPARATOR)) > most:
            raise UsageProblem(
                f'{where}: {kernel} has more words between "{SEPARATOR}" than the row has figures'
                f" and counts, {most}: {words!r}"
            )
    return row


def _plot(where: str, table: dict[str, Any]) -> Plot:
    _check(where, table, _PLOT)
    panels = []
    for n, panel in _numbered(table, "y"):
        _check(f"{where}, y {n}", panel, _PANEL)
        panels.append(
            Panel(
                label=panel["label"],
                figure=panel["figure"],
                scale=float(panel.get("scale", 1)),
                whole=tuple(panel.get("whole", ())),
            )
        )
    return Plot(table["title"], table["x"], table["cases"], tuple(panels))
