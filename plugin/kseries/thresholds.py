"""What measurements are held to: each test's mark, and one file that a maintainer can change."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import marks, tomlfile
from .errors import UsageProblem
from .lane import Lane
from .throughput import EXACT, INSTRUCTIONS_PER_PACKET, LESS, MORE, WALL, Threshold

# The limit's name says which way is worse.
_LIMITS = {"max_increase": MORE, "max_decrease": LESS}
_WORDS = ("case", "metric", "reason")
# Where a figure is made: on a clock that counts instructions, or in real time by CPUs of two kinds.
LANES = (EXACT, Lane.KVM.value, Lane.TCG.value)


@dataclass(frozen=True)
class Entry:
    """A [[threshold]] of the file: for the `metric` of cases that fit `case`, in one lane or any.

    `lane` is "exact", or in real time "kvm" or "tcg"; None is any.
    """

    case: str
    metric: str
    lane: str | None
    limit: float
    worse: str
    reason: str


def fits(pattern: str, name: str) -> bool:
    """Whether a case's name fits a pattern; "*" alone is special, since names have brackets."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def load(path: Path) -> tuple[Entry, ...]:
    """Read a file of [[threshold]] tables. Raises UsageProblem for one that is not whole."""
    tables = tomlfile.tables(path, "threshold")
    return tuple(_entry(path, number, table) for number, table in enumerate(tables, 1))


def _entry(path: Path, number: int, table: dict[str, Any]) -> Entry:
    limit = _limit(table)
    words = [name for name in _WORDS if not isinstance(table.get(name), str)]
    unknown = sorted(table.keys() - {*_WORDS, "lane", *_LIMITS})
    unknown += ["lane"] if table.get("lane") not in (None, *LANES) else []
    if limit is None or words or unknown:
        wrong = ", ".join([*words, *unknown] or _LIMITS)
        raise UsageProblem(
            f"{path}: entry {number} wants {', '.join(_WORDS)}, one of {' and '.join(_LIMITS)}"
            f" (above 0), perhaps a lane ({', '.join(LANES)}), and nothing else: see {wrong}"
        )
    return Entry(table["case"], table["metric"], table.get("lane"), *limit, table["reason"])


def _limit(given: Mapping[str, Any]) -> tuple[float, str] | None:
    """Return (limit, what is worse), or None unless just one is given and it can be.

    Above 0, and a decrease below 1: then there is nothing left.
    """
    limits = [(given[name], worse) for name, worse in _LIMITS.items() if name in given]
    if len(limits) != 1 or type(limits[0][0]) not in (int, float):  # True is an int as well
        return None
    if not 0 < limits[0][0] < math.inf:
        return None
    limit, worse = limits[0]
    return None if worse == LESS and limit >= 1 else (float(limit), worse)


def threshold_of(item: pytest.Item, case: str, entries: Sequence[Entry], lane: str) -> Threshold:
    """Return what a measurement is held to: the file's last entry that fits, else its mark's own.

    `lane` is one of LANES.

    Raises UsageError where neither gives a limit with a reason.
    """
    said = marks.measurement(item)
    metric = said.metric if said else INSTRUCTIONS_PER_PACKET
    name = case.rpartition("::")[2]
    for entry in reversed(entries):
        if fits(entry.case, name) and entry.metric == metric and entry.lane in (None, lane):
            return Threshold(metric, entry.limit, entry.reason, entry.worse)
    limit = _limit(said.limits) if said else None
    if limit is None or not said or not said.reason:
        raise pytest.UsageError(
            f"{item.nodeid}: throughput(metric, max_increase=... or max_decrease=..., reason=...)"
            " needs all three, or an entry in the file that kseries_thresholds names"
        )
    return Threshold(metric, limit[0], said.reason, limit[1])


def lane_of(item: pytest.Item) -> str | None:
    """Return the lane that a test is measured in, "exact" or "wall"; None for no measurement."""
    said = marks.measurement(item)
    if said is not None and said.lane not in (EXACT, WALL):
        raise pytest.UsageError(f"{item.nodeid}: throughput(lane={said.lane!r}): {EXACT} or {WALL}")
    return said.lane if said else None
