"""The verdict: stock against patched, case by case. Every report format is made of this alone."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .baseline import SCHEMA_VERSION, Against
from .rows import Rows
from .throughput import Comparison

STOCK, PATCHED = "stock", "patched"
KERNELS = (STOCK, PATCHED)


class Kind(enum.StrEnum):
    """What a case claims; see docs/reference.md."""

    FIXES = "fixes"
    KEEPS = "keeps"
    SAME = "same"
    CHANGES = "changes"
    MEASURES = "measures"


class Outcome(enum.StrEnum):
    """How one half of a case ended.

    `failed` is the guest program's own "not ok", the test's word on its figures, or on patched a
    program that could not do the work it did on stock.
    """

    PASSED = "passed"
    FAILED = "failed"
    CRASHED = "crashed"
    SKIPPED = "skipped"
    INFRA = "infra"


class Word(enum.StrEnum):
    """The verdict of a case or a measurement."""

    FIXED = "fixed"
    KEPT = "kept"
    CHANGED = "changed"
    BROKEN = "broken"
    UNFIXED = "unfixed"
    UNPROVEN = "unproven"
    STOCK_FAILS = "stock-fails"
    INCOMPLETE = "incomplete"
    SKIPPED = "skipped"
    INFRA = "infra"
    OK = "ok"
    REGRESSED = "regressed"
    IMPROVED = "improved"
    INCONCLUSIVE = "inconclusive"


GOOD = frozenset({Word.FIXED, Word.KEPT, Word.CHANGED, Word.OK, Word.IMPROVED})
# Neither good nor a finding on the series: said, but no reason for a red exit status.
NEUTRAL = frozenset({Word.SKIPPED, Word.INCONCLUSIVE})


@dataclass
class Half:
    """One half of a case: a test on one kernel, as its worker reported it."""

    kernel: str
    nodeid: str
    outcome: Outcome
    message: str = ""
    command: str = ""
    lane: str = ""
    console: str = ""
    guest_ms: int = 0
    duration_s: float = 0.0
    figures: dict[str, int] = field(default_factory=dict)
    subtests: list[dict[str, str]] = field(default_factory=list)
    splats: list[dict[str, Any]] = field(default_factory=list)
    # Of a measurement: what its guest had run by then, in the exact lane; its metric, and all
    # figures, for each variation or boot.
    history: str = ""
    samples: list[float] = field(default_factory=list)
    runs: list[dict[str, int]] = field(default_factory=list)
    functions: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Case:
    """A case with its halves. `comparison` stands for a measurement only."""

    name: str
    kind: Kind
    reason: str = ""
    stock: Half | None = None
    patched: Half | None = None
    comparison: Comparison | None = None
    # The same against an earlier version of the series, where the run was given one.
    against: Against | None = None

    @property
    def word(self) -> Word:
        """The verdict of this case: worse than the earlier version is regressed, too."""
        word = judge(self.kind, self.stock, self.patched, self.comparison)
        worse = self.against is not None and self.against.word == Word.REGRESSED
        return Word.REGRESSED if worse and word in GOOD | NEUTRAL else word

    def half(self, kernel: str) -> Half | None:
        """The half on `kernel`, or None where it did not run."""
        return self.stock if kernel == STOCK else self.patched


def judge(
    kind: Kind, stock: Half | None, patched: Half | None, comparison: Comparison | None = None
) -> Word:
    """Judge a case by its halves' outcomes: the table in docs/how-it-works.md, row by row."""
    outcomes = {half.outcome for half in (stock, patched) if half}
    if Outcome.INFRA in outcomes:
        return Word.INFRA
    if stock is None or patched is None:
        return Word.INCOMPLETE
    before, after = stock.outcome, patched.outcome
    if before is Outcome.CRASHED:
        return Word.STOCK_FAILS
    if before is Outcome.SKIPPED and after in (Outcome.FAILED, Outcome.CRASHED):
        return Word.BROKEN  # a skip on one side hides nothing of the other
    if Outcome.SKIPPED in outcomes:
        return Word.SKIPPED
    if kind is Kind.FIXES:
        if after is Outcome.PASSED:
            return Word.FIXED if before is Outcome.FAILED else Word.UNPROVEN
        if after is Outcome.CRASHED or before is Outcome.PASSED:
            return Word.BROKEN
        return Word.UNFIXED
    if before is Outcome.FAILED:
        return Word.STOCK_FAILS
    if after is not Outcome.PASSED and comparison is None:
        return Word.BROKEN
    if kind is Kind.MEASURES:
        return Word(comparison.word) if comparison else Word.INCOMPLETE
    return Word.CHANGED if kind is Kind.CHANGES else Word.KEPT


@dataclass
class Kernel:
    """What one side was: its image and what it was made of."""

    name: str
    release: str
    key: str
    compiler: str
    image: str
    config: str
    patches: list[str]
    consoles: list[str] = field(default_factory=list)


@dataclass
class Finding:
    """What ended the run before or beside the cases: does not apply, does not compile, infra …"""

    kind: str
    message: str
    patch: str | None = None

    @property
    def infra(self) -> bool:
        """Whether the machinery is to blame, not the series."""
        return self.kind == "infra"


@dataclass
class Verdict:
    """The whole of a run."""

    series: str
    tree: str
    dirty: bool | None
    lane: str
    lane_reason: str
    cpus: int
    qemu: str
    command: str
    patches: list[str]
    kernels: list[Kernel] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    rows: Rows = field(default_factory=Rows)
    findings: list[Finding] = field(default_factory=list)
    interrupted: bool = False
    # What was measured in real time depends on; empty where nothing was.
    circumstances: dict[str, str] = field(default_factory=dict)
    # What figures of the exact lane depend on beside the series; others are never compared.
    measured_with: dict[str, str] = field(default_factory=dict)
    # The verdict.json of an earlier version, which measurements were held against.
    baseline: str = ""
    duration_s: float = 0.0

    def counts(self) -> Counter[Word]:
        """How many cases have each word."""
        return Counter(case.word for case in self.cases)

    def bad(self) -> list[Case]:
        """The cases that are neither good nor neutral, worst kind of word first."""
        order = list(Word)
        found = [case for case in self.cases if case.word not in GOOD | NEUTRAL]
        return sorted(found, key=lambda case: (order.index(case.word), case.name))

    @property
    def only_infra(self) -> bool:
        """Whether something is bad, and all of it is the machinery's fault."""
        words = {case.word for case in self.bad()}
        blameless = words <= {Word.INFRA, Word.INCOMPLETE} and all(f.infra for f in self.findings)
        return bool(words or self.findings) and blameless

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        shown = any(case.word in GOOD for case in self.cases)
        return shown and not self.findings and not self.bad() and not self.interrupted

    @property
    def guests(self) -> str:
        """The lane of the functional cases and the CPUs of a guest there."""
        return f"{self.lane}, {self.cpus} CPU{'s' * (self.cpus > 1)}"

    def cross_table(self) -> dict[tuple[str, str], int]:
        """The whole table stock x patched: how often each pair of outcomes came."""
        table: Counter[tuple[str, str]] = Counter()
        for case in self.cases:
            pair = [
                half.outcome.value if half else "not run" for half in (case.stock, case.patched)
            ]
            table[pair[0], pair[1]] += 1
        return dict(table)

    def sentence(self) -> str:
        """The verdict in one sentence."""
        if self.findings:
            finding = self.findings[0]
            blame = "could not be judged" if finding.infra else "is not good"
            return f"The series {blame}: {finding.message.splitlines()[0].rstrip(':')}."
        if self.interrupted:
            return "Interrupted: what ran until then is no verdict."
        counts = self.counts()
        total = ", ".join(f"{n} {word}" for word, n in _sorted(counts))
        if not self.cases:
            return "No case of the series ran: no verdict."
        if self.good:
            return f"The series does what it claims and nothing it touches broke: {total}."
        if not self.bad():
            return f"Nothing was shown of the series: {total}."
        if self.only_infra:
            return f"The series could not be judged, the machinery failed: {total}."
        return f"The series is not good: {total}."

    def speed_sentence(self) -> str:
        """What was measured of its cost; never throughput from instruction counts."""
        cost = self._measured("exact")
        real = self._measured("wall")
        emulated = self.circumstances.get("lane") == "tcg"
        where = "under emulation, which says little of real CPUs" if emulated else "with KVM"
        return (
            (f"Cost against stock in {cost}." if cost else "Cost: not measured here.")
            + " Real-time throughput"
            + (f" {where}, {real}." if real else ": not measured here.")
        )

    def _measured(self, lane: str) -> str:
        """Say what was measured in a lane: "METRIC: 3 ok"; "" for nothing."""
        found = [case for case in self.cases if case.comparison and case.comparison.lane == lane]
        metrics = {case.comparison.metric: "" for case in found if case.comparison}
        names = ", ".join(name.replace("instructions", "guest instructions") for name in metrics)
        words = ", ".join(f"{n} {word}" for word, n in _sorted(Counter(c.word for c in found)))
        return f"{names.replace('_', ' ')}: {words}" if found else ""

    def to_json(self) -> dict[str, Any]:
        """The content of verdict.json; its schema is docs/verdict.schema.json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "sentence": self.sentence(),
            "speed_sentence": self.speed_sentence(),
            "good": self.good,
            "infra_only": self.only_infra and not self.interrupted,
            "interrupted": self.interrupted,
            "series": self.series,
            "patches": self.patches,
            "tree": self.tree,
            "dirty": self.dirty,
            "lane": self.lane,
            "lane_reason": self.lane_reason,
            "cpus": self.cpus,
            "qemu": self.qemu,
            "command": self.command,
            "circumstances": self.circumstances,
            "measured_with": self.measured_with,
            "baseline": self.baseline,
            "duration_s": round(self.duration_s, 1),
            "kernels": [asdict(kernel) for kernel in self.kernels],
            "findings": [asdict(finding) for finding in self.findings],
            "counts": {word.value: n for word, n in _sorted(self.counts())},
            "cross_table": [
                {"stock": stock, "patched": patched, "cases": n}
                for (stock, patched), n in sorted(self.cross_table().items())
            ],
            "cases": [_case_json(case) for case in self.cases],
            "tables": [asdict(table) for table in self.rows.tables],
            "plots": [asdict(plot) for plot in self.rows.plots],
        }


def _sorted(counts: Counter[Word]) -> list[tuple[Word, int]]:
    order = list(Word)
    return sorted(counts.items(), key=lambda item: order.index(item[0]))


def _case_json(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "kind": case.kind.value,
        "reason": case.reason,
        "verdict": case.word.value,
        "stock": asdict(case.stock) if case.stock else None,
        "patched": asdict(case.patched) if case.patched else None,
        "comparison": asdict(case.comparison) if case.comparison else None,
        "against": asdict(case.against) if case.against else None,
    }


def assemble(
    halves: Iterable[tuple[str, Kind, str, Half, Comparison | None, Against | None]],
) -> list[Case]:
    """Put halves together by their case's name; the comparisons come with the patched half."""
    cases: dict[str, Case] = {}
    for name, kind, reason, half, comparison, against in halves:
        case = cases.setdefault(name, Case(name, kind, reason))
        if half.kernel == STOCK:
            case.stock = half
        else:
            case.patched = half
        case.comparison = comparison or case.comparison
        case.against = against or case.against
    return list(cases.values())
