"""The table stock | patched | verdict, in rows that every format shares."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..verdict import Case, Half, Outcome, Verdict, Word

# Leaves 44 of a mail's 72 columns for the counts.
_LONGEST_NAME = 26


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


def patches(verdict: Verdict) -> str:
    """Say how many patches the series has."""
    return f"{len(verdict.patches)} patch{'es' if len(verdict.patches) != 1 else ''}"


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


def text(table: Sequence[Row], *, narrow: bool = False) -> list[str]:
    """Lay rows out as plain text; `narrow` for a mail: a count a line, long names on their own."""
    head = ("test", "kind", "stock", "patched", "verdict")
    rows = [head] + [(r.test, r.kind, r.stock, r.patched, r.verdict) for r in table]
    cells = [[cell.split(", ") if narrow else [cell] for cell in row] for row in rows]
    longest = _LONGEST_NAME if narrow else max(len(row[0]) for row in rows)
    widths = [max(len(piece) for row in cells for piece in row[column]) for column in range(5)]
    widths[0] = min(widths[0], longest)
    gap = " " if narrow else "  "
    lines = []
    for row in cells:
        if len(row[0][0]) > longest:
            lines.append(row[0][0])
            row[0] = [""]
        for pieces in itertools.zip_longest(*row, fillvalue=""):
            padded = (piece.ljust(width) for piece, width in zip(pieces, widths, strict=True))
            lines.append(gap.join(padded).rstrip())
    return lines


def first_line(case: Case) -> str:
    """Say in one line what is wrong with a bad case."""
    if case.word is Word.INCOMPLETE and case.comparison is None:
        return "its other half did not run in this session"
    told = [case.patched, case.stock]
    if case.word is Word.STOCK_FAILS:
        told.reverse()
    if case.word is Word.INFRA:  # the other half may be as it must be
        told.sort(key=lambda half: half is None or half.outcome is not Outcome.INFRA)
    for half in told:
        if half and half.message:
            return half.message.splitlines()[0]
    if case.word is Word.UNPROVEN:
        return "it passed on stock: it shows nothing"
    return case.word.value


def _tally(halves: Sequence[Half | None]) -> str:
    return _count(half.outcome.value if half else "not run" for half in halves)


def _count(words: Iterable[str]) -> str:
    counts = Counter(words)
    return ", ".join(f"{n} {word}" for word, n in counts.most_common())
