"""The table stock | patched | verdict, in rows that every format shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..verdict import Case, Half, Verdict


@dataclass(frozen=True)
class Row:
    """The cases of one test function with one kind."""

    test: str
    kind: str
    cases: int
    stock: str
    patched: str
    verdict: str


def short(case: Case) -> str:
    """Name a case without its file: test_no_drops[tap-read-fq_codel-64]."""
    return case.name.rpartition("::")[2]


def rows(verdict: Verdict) -> list[Row]:
    """Group the cases by test function and kind, in the order they ran."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in verdict.cases:
        groups.setdefault((short(case).partition("[")[0], case.kind.value), []).append(case)
    return [
        Row(
            test,
            kind,
            len(cases),
            _tally([case.stock for case in cases]),
            _tally([case.patched for case in cases]),
            _count(case.word.value for case in cases),
        )
        for (test, kind), cases in groups.items()
    ]


def case_row(case: Case) -> Row:
    """Make the row of a single case."""
    halves = [half.outcome.value if half else "not run" for half in (case.stock, case.patched)]
    return Row(short(case), case.kind.value, 1, halves[0], halves[1], case.word.value)


def text(table: Sequence[Row], *, width: int = 0) -> list[str]:
    """Lay rows out as plain text; `width` 0 is as wide as it needs, else names are cut to fit."""
    head = ("test", "kind", "stock", "patched", "verdict")
    cells = [head] + [(r.test, r.kind, r.stock, r.patched, r.verdict) for r in table]
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    if width:
        spare = width - sum(widths[1:]) - 2 * 4
        widths[0] = max(12, min(widths[0], spare))
    return [
        "  ".join(cell[:w].ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def first_line(case: Case) -> str:
    """Say in one line what is wrong with a bad case."""
    for half in (case.patched, case.stock):
        if half and half.message:
            return half.message.splitlines()[0]
    return {
        "unproven": "it passed on stock: it shows nothing",
        "incomplete": "its other half did not run in this session",
    }.get(case.word.value, case.word.value)


def _tally(halves: Sequence[Half | None]) -> str:
    return _count(half.outcome.value if half else "not run" for half in halves)


def _count(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{n} {word}" for word, n in counts.most_common())
