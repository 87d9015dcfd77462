"""cover.txt: the project's tables in the layout of a cover letter."""

from __future__ import annotations

from pathlib import Path

from .. import cache
from ..verdict import Verdict
from . import measured
from .measured import Block, Filled, Line
from .review import render, wrap

_NAME = "cover.txt"
_LEAST_NAME, _LEAST_FIGURE = 26, 8
# For a mail: a table is not wrapped, and has to survive being quoted.
_COLUMNS = 76


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Write FOLDER/cover.txt where a row of a table was measured; else no older one stays."""
    blocks = measured.blocks(verdict)
    if not blocks:
        (folder / _NAME).unlink(missing_ok=True)
        return []
    text = render(verdict, _NAME, letters=[letter(block) for block in blocks])
    cache.replace(folder / _NAME, text.encode(errors="replace"))
    return [_NAME]


def letter(block: Block) -> list[str]:
    """Lay a block out: its title, how it was measured, who reported what, and the grid."""
    lines = wrap(block.table.title).splitlines()
    lines += wrap(f"Measured here: {block.how}; mean of the runs.").splitlines()
    if block.elsewhere:
        lines += wrap(f"Reported elsewhere: {block.table.source}").splitlines()
    if block.table.note:
        lines += wrap(block.table.note).splitlines()
    return [*lines, "", *_Grid(block).lines()]


class _Grid:
    """Columns of a block: a figure's name, two measured, and two that were reported elsewhere."""

    def __init__(self, block: Block) -> None:
        self._block = block
        rows = [line for row in block.rows for line in row.lines]
        self._name = max(_LEAST_NAME, *(2 + len(line.name) for line in rows))
        here = self._width([line.stock for line in rows] + [line.patched for line in rows])
        there = self._width(
            [line.stock_elsewhere for line in rows] + [line.patched_elsewhere for line in rows]
        )
        # A pair of columns is as wide as its heading, at least.
        self._here = max(here, (len(block.unit) - 1) // 2, len("measured here") // 2)
        self._there = max(there, len("reported elsewhere") // 2, len(block.table.unit) // 2)

    @staticmethod
    def _width(words: list[str]) -> int:
        return max(_LEAST_FIGURE, *map(len, words))

    def lines(self) -> list[str]:
        here, there = 2 * self._here + 1, 2 * self._there + 1
        rule = f"{'-' * self._name}-+-{'-' * here}-"
        lines = [
            self._three("", "measured here".center(here), "reported elsewhere".center(there)),
            self._three("", self._block.unit.center(here), self._block.table.unit.center(there)),
            self._five("", "stock", "patched", "stock", "patched"),
            rule + (f"+-{'-' * there}" if self._block.elsewhere else ""),
        ]
        for number, row in enumerate(self._block.rows):
            lines += [""] * bool(number) + self._row(row)
        return lines

    def _row(self, row: Filled) -> list[str]:
        change = wrap(f"{row.word}: {row.change}", "    ", _COLUMNS).splitlines()
        return [row.label, *map(self._figure, row.lines), *change]

    def _figure(self, line: Line) -> str:
        return self._five(
            f"  {line.name}",
            line.stock,
            line.patched,
            line.stock_elsewhere,
            line.patched_elsewhere,
        )

    def _five(self, name: str, *words: str) -> str:
        here = " ".join(word.rjust(self._here) for word in words[:2])
        there = " ".join(word.rjust(self._there) for word in words[2:])
        return self._three(name, here, there)

    def _three(self, name: str, here: str, there: str) -> str:
        line = f"{name.ljust(self._name)} | {here}"
        return (f"{line} | {there}" if self._block.elsewhere else line).rstrip()
