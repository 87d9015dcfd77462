"""Measurements of both lanes from plain figures, and tables and plots that want them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from kseries.rows import Panel, Plot, Row, Rows, Table
from kseries.throughput import Comparison
from kseries.verdict import Case, Half, Kind, Outcome

FRAMES = ("transmitted", "lost", "received")
ROWS = Rows(
    tables=(
        Table(
            title="A sender through a ring",
            unit="Kpps",
            source="somebody's mail, a machine with real CPUs",
            whole=("transmitted", "lost"),
            note="There, one core was idle.",
            rows=(
                Row("one sender", "test_rate[1]", FRAMES, (), "452 / 1154", "454 / 0", 1000),
                Row("a ring of one", "test_rate[small]", FRAMES, ("stops",), "0.7", "19245", 1000),
                Row("a|b", "test_cost[?]", FRAMES, (), "452 / 1154", "454 / 0", 1000),
                Row("did not run", "test_rate[9]", FRAMES, (), "1", "2"),
                Row("no figures", "test_rate[broken]", FRAMES, (), "3", "4"),
            ),
        ),
        Table("Nobody's figures", "/s", "nobody", (Row("waits", "test_rate[1]", ("stops",)),)),
        Table("Nothing ran", "/s", "nobody", (Row("left out", "test_other*", ("stops",)),)),
    ),
    plots=(
        Plot(
            title="Rate over ring length",
            x="ring length",
            cases=r"test_rings\[(?P<x>\d+)-(?P<reader>\w+)",
            panels=(
                Panel("received (Kpps)", "received", 1000),
                Panel("lost (%)", "lost", whole=("transmitted", "lost")),
                Panel("no such figure", "nothing"),
            ),
        ),
        Plot("Nothing over x", "x", r"test_other\[(?P<x>\d+)", (Panel("y", "lost"),)),
    ),
)
_SECOND = 1_000_000_000


def measured_case(
    name: str,
    lane: str,
    pairs: Sequence[tuple[tuple[int, int, int], tuple[int, int, int]]],
    word: str = "ok",
    guest: str = "tcg",
) -> Case:
    """Make a case of pairs of FRAMES that took half a second each; its interval is half as wide."""
    case = Case(f"tests/test_rate.py::{name}", Kind.MEASURES)
    for side, kernel in enumerate(("stock", "patched")):
        ran = "exact" if lane == "exact" else guest
        half = Half(kernel, f"tests/test_rate.py::{kernel}", Outcome.PASSED, lane=ran)
        half.runs = [
            dict(zip(FRAMES, pair[side], strict=True))
            | {"elapsed_ns": _SECOND // 2, "delivered": pair[side][2], "stops": 7 * side}
            for pair in pairs
        ]
        half.samples = [
            run["elapsed_ns"] / 2 / run["delivered"] if lane == "exact" else run["received"] * 2.0
            for run in half.runs
        ]
        setattr(case, kernel, half)
    assert case.stock
    assert case.patched
    stock, patched = case.stock.samples, case.patched.samples
    ratio = fmean(patched) / fmean(stock)
    case.comparison = Comparison(
        metric="instructions_per_packet" if lane == "exact" else "received_per_second",
        lane=lane,
        worse="more" if lane == "exact" else "less",
        stock=fmean(stock),
        patched=fmean(patched),
        ratio=ratio,
        low=ratio * 0.97,
        high=ratio * 1.03,
        confidence=0.95 if lane == "exact" else 0.99,
        pairs=len(pairs),
        threshold=0.05,
        threshold_reason="so much is noise",
        word=word,
    )
    return case


def measured_cases() -> list[Case]:
    """Return cases of each lane and word, and one that has no figures."""
    one = [((6000 + n, 54000, 6000 + n), (6010 + n, 0, 6020 - n)) for n in range(0, 90, 10)]
    small = [((2, 90000, 2), (9000 + n, 0, 9000 + n)) for n in range(4)]
    broken = Case("tests/test_rate.py::test_rate[broken]", Kind.MEASURES)
    broken.stock = Half("stock", "", Outcome.INFRA, "QEMU is gone\n    its log: x", lane="tcg")
    return [
        measured_case("test_rate[1]", "wall", one),
        measured_case("test_rate[small]", "wall", small, "improved", "kvm"),
        measured_case("test_cost[1]", "exact", one, "inconclusive"),
        measured_case("test_cost[2]", "exact", one),
        measured_case("test_rings[1-read]", "wall", small, "improved"),
        measured_case("test_rings[64-read]", "wall", one),
        measured_case("test_rings[64-vhost]", "wall", one),
        broken,
    ]
