"""Complaints of a kernel that a project knows and allows: each with a reason, and until a day."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import console, tomlfile
from .console import Splat
from .errors import UsageProblem


@dataclass(frozen=True)
class Allowed:
    """A complaint by its signature: the kind, and the functions that tell it from others."""

    kind: str
    functions: tuple[str, ...]
    reason: str
    expires: datetime.date

    def matches(self, splat: Splat) -> bool:
        """Whether the splat is this complaint, expired or not."""
        return splat.signature == (self.kind, *self.functions)


def load(path: Path) -> tuple[Allowed, ...]:
    """Read a file of [[allow]] tables. Raises UsageProblem for one that is not whole."""
    tables = tomlfile.tables(path, "allow")
    return tuple(_entry(path, number, table) for number, table in enumerate(tables, 1))


def split(
    splats: Sequence[Splat], entries: Sequence[Allowed], today: datetime.date
) -> tuple[list[Splat], list[Splat]]:
    """Split splats into those that nothing allows on this day, and those that are allowed.

    What the guest cannot go on after is never allowed.
    """
    valid = [entry for entry in entries if today <= entry.expires]
    refused: list[Splat] = []
    allowed: list[Splat] = []
    for splat in splats:
        known = not splat.fatal and any(entry.matches(splat) for entry in valid)
        (allowed if known else refused).append(splat)
    return refused, allowed


def _entry(path: Path, number: int, table: dict[str, object]) -> Allowed:
    wanted = {"kind": str, "functions": list, "reason": str, "expires": datetime.date}
    wrong = [
        name
        for name, kind in wanted.items()
        if not isinstance(table.get(name), kind) or not table[name]
    ] + sorted(table.keys() - wanted.keys())
    # A date with a time is a date to Python, and cannot be compared with one.
    wrong += ["expires"] if isinstance(table.get("expires"), datetime.datetime) else []
    wrong += ["kind"] if not wrong and table["kind"] not in console.KINDS else []
    if wrong:
        raise UsageProblem(
            f"{path}: entry {number} wants a kind, functions (a list), a reason and expires (a"
            f" date), and nothing else: see {', '.join(wrong)}"
        )
    functions = table["functions"]
    assert isinstance(functions, list)
    assert isinstance(table["expires"], datetime.date)
    return Allowed(
        str(table["kind"]), tuple(map(str, functions)), str(table["reason"]), table["expires"]
    )
