"""A streaming parser of KTAP, the kernel's test output, as programs in a guest print it.

The format: Documentation/dev-tools/ktap.rst of the kernel tree. Nested tests are two spaces
deeper; a parent's own result line comes after its subtests.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_VERSION = re.compile(r"^(?:KTAP version 1|TAP version 1[34])$")
_PLAN = re.compile(r"^1\.\.(\d+)(?:\s*#\s*SKIP\s*(?P<why>.*))?$", re.IGNORECASE)
_RESULT = re.compile(
    r"^(?P<not>not )?ok (?P<number>\d+)(?: -)?(?: (?P<name>[^#]*?))?"
    r"(?:\s*# ?(?P<directive>SKIP|TODO|XFAIL|TIMEOUT|ERROR)\b:?\s*(?P<why>.*))?(?:\s*#.*)?$"
)
_BAIL_OUT = re.compile(r"^Bail out!\s*(.*)$")
_FIGURE = re.compile(r"^# figure (?P<name>[a-z][a-z0-9_]*) (?P<value>-?\d+)(?: (?P<unit>\S+))?$")


class Status(enum.IntEnum):
    """How a test ended. The order is severity: the worst of a run is its status."""

    PASSED = 0
    SKIPPED = 1
    FAILED = 2
    CUT_OFF = 3  # the plan promised more results than came, or fewer
    BAILED_OUT = 4  # the program said that it could not even start


@dataclass(frozen=True)
class Result:
    """One result line. `name` holds the path of a nested test, joined by " / "."""

    name: str
    status: Status
    detail: str = ""


@dataclass
class Report:
    """What one program said: `figures` are its "# figure NAME INTEGER" lines."""

    results: list[Result] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    diagnostics: list[str] = field(default_factory=list)
    bailed_out: str | None = None
    missing: int = 0
    unplanned: int = 0

    @property
    def status(self) -> Status:
        """The worst of the results; CUT_OFF when they are not as many as planned, or none came."""
        if self.bailed_out is not None:
            return Status.BAILED_OUT
        if self.not_whole:
            return Status.CUT_OFF
        worst = max(result.status for result in self.results)
        if worst is Status.SKIPPED and any(r.status is Status.PASSED for r in self.results):
            return Status.PASSED  # one skipped subtest does not make a run skipped
        return worst

    @property
    def not_whole(self) -> str:
        """Say how the results are not those that were planned; "" when they are."""
        if self.missing:
            return f"its output is cut off: {self.missing} result(s) missing"
        if self.unplanned:
            return f"it printed {self.unplanned} result(s) more than it planned"
        return "" if self.results else "it printed no result"

    def failures(self) -> list[Result]:
        """The results that are "not ok"."""
        return [result for result in self.results if result.status is Status.FAILED]


class Parser:
    """Fed line by line; `report` is true at any moment, so that a cut-off run tells what it can."""

    def __init__(self) -> None:
        self.report = Report()
        self._plans: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._pending: list[tuple[int, Result]] = []

    def feed(self, line: str) -> None:
        """Take one line, without its newline."""
        text = line.rstrip()
        depth = (len(text) - len(text.lstrip(" "))) // 2
        text = text.strip()
        if match := _RESULT.match(text):
            self._result(depth, match)
        elif match := _PLAN.match(text):
            self._plan(depth, match)
        elif match := _BAIL_OUT.match(text):
            self.report.bailed_out = match[1] or "no reason given"
        elif match := _FIGURE.match(text):
            self.report.figures[match["name"]] = int(match["value"])
            if match["unit"]:
                self.report.units[match["name"]] = match["unit"]
        elif text and not _VERSION.match(text):
            self.report.diagnostics.append(text.removeprefix("# "))

    def close(self) -> Report:
        """Say that no more lines come; what the plans promised and did not come is missing."""
        for _, orphan in self._pending:
            self.report.results.append(orphan)
        self._pending.clear()
        self.report.missing = sum(
            max(0, count - self._seen.get(depth, 0)) for depth, count in self._plans.items()
        )
        self.report.unplanned = max(0, self._seen.get(0, 0) - self._plans.get(0, 0))
        if not self._plans and self.report.results:
            self.report.missing = 1  # without a plan nobody can tell that the end came
        return self.report

    def _plan(self, depth: int, match: re.Match[str]) -> None:
        self._plans[depth] = int(match[1])
        self._seen[depth] = 0
        if match[1] == "0":
            why = match["why"] or "the program planned no test"
            self._add(depth, Result("all", Status.SKIPPED, why))

    def _result(self, depth: int, match: re.Match[str]) -> None:
        self._seen[depth] = self._seen.get(depth, 0) + 1
        status = Status.FAILED if match["not"] else Status.PASSED
        if match["directive"] == "SKIP":
            status = Status.SKIPPED
        name = (match["name"] or "").strip() or f"test {match['number']}"
        self._settle(depth + 1)
        nested = [(d, r) for d, r in self._pending if d > depth]
        self._pending = [(d, r) for d, r in self._pending if d <= depth]
        if not nested:
            self._add(depth, Result(name, status, match["why"] or ""))
            return
        children = [Result(f"{name} / {r.name}", r.status, r.detail) for _, r in nested]
        if status is Status.FAILED and all(c.status is not Status.FAILED for c in children):
            children.append(Result(name, status, match["why"] or ""))
        for child in children:
            self._add(depth, child)

    def _settle(self, depth: int) -> None:
        """Close a nested plan: what it still owes is a failure of its own."""
        owed = self._plans.pop(depth, 0) - self._seen.pop(depth, 0)
        if owed > 0:
            lost = Result(f"{owed} result(s) that did not come", Status.FAILED)
            self._pending.append((depth, lost))

    def _add(self, depth: int, result: Result) -> None:
        if depth:
            self._pending.append((depth, result))
        else:
            self.report.results.append(result)


def parse(lines: Iterable[str]) -> Report:
    """Parse a whole recorded output."""
    parser = Parser()
    for line in lines:
        parser.feed(line)
    return parser.close()


def telling(lines: Sequence[str], most: int = 25) -> list[str]:
    """Return the lines that tell most of a program's output: the last ones, at most `most`.

    Where that is not all, results that are good are left out first: what explains the bad one may
    be far in front of them.
    """
    if len(lines) > most:
        lines = [line for line in lines if not line.lstrip().startswith("ok ")]
    return list(lines[-most:])
