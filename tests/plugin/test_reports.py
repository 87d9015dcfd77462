"""Each report format against a golden file, for each outcome of a run.

After a change that is meant: KSERIES_GOLDEN=write pytest tests/plugin/test_reports.py, and read
the difference in git.
"""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import jsonschema
import pytest
from kseries.errors import GuestCrashed, GuestTestFailed, InfraError
from kseries.progress import Silent
from kseries.report import REPORTS, table, terminal
from kseries.run import run_program
from kseries.session import KernelSession
from kseries.settings import Settings
from kseries.throughput import Threshold, compare
from kseries.verdict import (
    GOOD,
    NEUTRAL,
    Case,
    Finding,
    Half,
    Kernel,
    Kind,
    Outcome,
    Verdict,
    Word,
)

from .fake_measurements import ROWS, measured_cases
from .fakes import ReplayedSession, replay
from .projects import ROOT

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = ROOT / "docs/verdict.schema.json"
SUBJECTS = ["ring: keep what does not fit", "ring: add a wake and drop the old file", "ring: wake"]
LONG = (
    "test_wake_after_consume_with_a_reader_that_polls_and_a_qdisc_that_holds_what_the_ring_cannot"
)


def _session() -> ReplayedSession:
    here = Path("/project")
    settings = Settings(
        tree="linux",
        tree_base=here,
        series="patches",
        series_base=here,
        lane="auto",
        cpus=2,
        fragments=(),
        report=here / "report",
        programs=(),
    )
    return replay(KernelSession(settings, Silent(), ""), {})


def _half(
    session: ReplayedSession, kernel: str, nodeid: str, program: str, stock: Half | None
) -> Half:
    """Run a recorded program as the fixtures do, and take down its half."""
    worked = stock is not None and stock.outcome in (Outcome.PASSED, Outcome.FAILED)
    half = Half(kernel, nodeid, Outcome.PASSED, command=program, lane="tcg", duration_s=1.5)
    try:
        run = run_program(session, session.guest(kernel), [program], 60, worked)
        half.console, half.guest_ms, half.figures = run.console_log, run.guest_ms, run.figures
        half.subtests = [
            {"name": r.name, "status": r.status.name.lower(), "detail": r.detail}
            for report in run.reports
            for r in report.results
        ]
        half.splats = [
            {"kind": s.kind, "title": s.title, "functions": s.functions[:8]} for s in run.splats
        ]
        run.check()
    except (GuestTestFailed, GuestCrashed, InfraError) as error:
        outcomes = {GuestTestFailed: Outcome.FAILED, GuestCrashed: Outcome.CRASHED}
        half.outcome = outcomes.get(type(error), Outcome.INFRA)
        half.message = str(error)
    return half


def _case(name: str, kind: Kind, stock: str | None, patched: str | None) -> Case:
    session = _session()
    test, _, params = name.partition("[")
    case = Case(f"tests/test_ring.py::{name}", kind, "the driver drops what the ring cannot hold")
    for kernel, program in (("stock", stock), ("patched", patched)):
        if program is not None:
            nodeid = f"tests/test_ring.py::{test}[{kernel}{'-' if params else ']'}{params}"
            setattr(case, kernel, _half(session, kernel, nodeid, program, case.stock))
    return case


def _measured(name: str, ratio: float) -> Case:
    case = _case(name, Kind.MEASURES, "fq_codel.patched", "fq_codel.patched")
    assert case.stock
    assert case.patched
    case.stock.samples = [40000.0, 41000.0, 43000.0]
    case.patched.samples = [40000.0 * ratio, 41000.0 * ratio, 43010.0 * ratio]
    limit = Threshold("instructions_per_packet", 0.25, "stock drops what patched waits for")
    case.comparison = compare(case.stock.samples, case.patched.samples, limit)
    if case.comparison.word == "regressed":
        case.patched.outcome, case.patched.message = Outcome.FAILED, "patched: regressed"
    return case


def _verdict(*cases: Case, **changes: object) -> Verdict:
    kernels = [
        Kernel(
            name=name,
            release="6.12.99",
            key=key * 16,
            compiler="gcc 12.2.0",
            image=f"/cache/images/{key * 16}/bzImage",
            config=f"/cache/images/{key * 16}/config",
            patches=patches,
            consoles=[f"/project/report/logs/console-{name}-1.log"],
        )
        for name, key, patches in [("stock", "0", []), ("patched", "1", ["0001.patch"])]
        if any(case.half(name) for case in cases)
    ]
    verdict = Verdict(
        series="patches",
        tree="/src/linux (6.12.99, commit 0123456789ab)",
        dirty=False,
        lane="tcg",
        lane_reason="no KVM: /dev/kvm does not exist",
        cpus=2,
        qemu="QEMU emulator version 7.2.0",
        command="pytest tests --kernel-tree=/src/linux",
        patches=SUBJECTS,
        kernels=kernels,
        cases=list(cases),
        duration_s=61.25,
    )
    return replace(verdict, **changes)  # type: ignore[arg-type]


def _all_good() -> Verdict:
    return _verdict(
        _case("test_no_drops[fq_codel]", Kind.FIXES, "fq_codel", "fq_codel"),
        _case("test_wake", Kind.FIXES, "wake", "wake"),
        _case("test_no_drops[noqueue]", Kind.SAME, "noqueue", "noqueue"),
        _case("test_stuck_reader", Kind.CHANGES, "parity", "parity"),
        _case("test_soak[noqueue]", Kind.KEEPS, "soak-noqueue.patched", "soak-noqueue"),
        _measured("test_cost[read]", 1.1),
    )


def _broken() -> Verdict:
    return _verdict(
        _case("test_no_drops[fq_codel]", Kind.FIXES, "fq_codel", "fq_codel.stock"),
        _case("test_wake", Kind.FIXES, "wake", "wake"),
        _case(f"{LONG}[a|b]", Kind.KEEPS, "wake.patched", "wake.stock"),
        _case("test_crash", Kind.KEEPS, "wake.patched", "oops"),
        _case("test_parity", Kind.KEEPS, "parity", "usage"),
        dirty=True,
    )


def _unproven() -> Verdict:
    return _verdict(
        _case("test_no_drops[fq_codel]", Kind.FIXES, "fq_codel.patched", "fq_codel"),
        _case("test_wake", Kind.FIXES, "wake", None),
        _case("test_parity", Kind.KEEPS, "fq_codel.stock", "parity"),
    )


def _does_not_apply() -> Verdict:
    message = (
        'patch 2/3 of patches, "ring: add a wake and drop the old file" (0002.patch),'
        " does not apply:\n    error: patch failed: drivers/net/old.c:1\n"
        "    error: drivers/net/old.c: patch does not apply\n"
        "    Rebase it on this tree, or name the tree it was made for with --kernel-tree."
    )
    return _verdict(findings=[Finding("DoesNotApply", message, "0002.patch")])


def _infra() -> Verdict:
    return _verdict(
        _case("test_no_drops[fq_codel]", Kind.FIXES, "usage", "fq_codel"),
        _case("test_wake", Kind.FIXES, "cut-off.patched", "cut-off"),
        _case("test_parity", Kind.KEEPS, "parity", None),
    )


def _interrupted() -> Verdict:
    return _verdict(_case("test_wake", Kind.FIXES, "wake", None), interrupted=True)


def _regressed() -> Verdict:
    return _verdict(
        _case("test_wake", Kind.FIXES, "wake", "wake"),
        _measured("test_cost[read]", 1.3),
        _measured("test_cost[vhost]", 0.7),
        _measured("test_cost[poll]", 1.0),
    )


def _measured_run() -> Verdict:
    return _verdict(*measured_cases(), rows=ROWS)


RUNS: dict[str, Callable[[], Verdict]] = {
    "all-good": _all_good,
    "broken": _broken,
    "unproven": _unproven,
    "does-not-apply": _does_not_apply,
    "infra": _infra,
    "interrupted": _interrupted,
    "regressed": _regressed,
    "measured": _measured_run,
}
EVERY_RUN = pytest.mark.parametrize("name", RUNS)


class Lines:
    """The part of pytest's TerminalReporter that the summary uses."""

    def __init__(self) -> None:
        self.text = ""

    def section(self, title: str) -> None:
        self.text += f"=== {title}\n"

    def write_line(self, line: str, **markup: bool) -> None:
        colours = "".join(f"<{name}>" for name, on in markup.items() if on)
        self.text += f"{colours}{line}\n"


def _summary(verdict: Verdict, folder: Path, *, verbose: bool = False) -> str:
    lines = Lines()
    out = cast(pytest.TerminalReporter, lines)
    files = [name for write in REPORTS for name in write(verdict, folder)]
    terminal.print_summary(verdict, out, folder, files, verbose=verbose)
    return lines.text


def _written(verdict: Verdict, folder: Path) -> dict[str, str]:
    for write in REPORTS:
        write(verdict, folder)
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def _matches(text: str, name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("KSERIES_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


@EVERY_RUN
@pytest.mark.parametrize("file", ["junit.xml", "review.txt", "review.md"])
def test_golden_file(name: str, file: str, tmp_path: Path) -> None:
    _matches(_written(RUNS[name](), tmp_path)[file], f"{name}/{file}")


def test_golden_cover(tmp_path: Path) -> None:
    _matches(_written(_measured_run(), tmp_path)["cover.txt"], "measured/cover.txt")


@EVERY_RUN
def test_golden_terminal(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _matches(_summary(RUNS[name](), tmp_path / "report"), f"{name}/terminal.txt")


def test_golden_terminal_verbose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = _summary(_all_good(), tmp_path / "report", verbose=True)
    _matches(text, "all-good/terminal-verbose.txt")


def test_every_golden_file_is_used() -> None:
    files = ("junit.xml", "review.txt", "review.md", "terminal.txt")
    used = {f"{name}/{file}" for name in RUNS for file in files} | {"measured/cover.txt"}
    there = {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.*")}
    assert there == used | {"all-good/terminal-verbose.txt"}


def test_the_runs_are_what_they_are_called() -> None:
    words = {name: {case.word for case in make().cases} for name, make in RUNS.items()}
    assert words == {
        "all-good": {Word.FIXED, Word.KEPT, Word.CHANGED, Word.OK},
        "broken": {Word.UNFIXED, Word.FIXED, Word.BROKEN},
        "unproven": {Word.UNPROVEN, Word.INCOMPLETE, Word.STOCK_FAILS},
        "does-not-apply": set(),
        "infra": {Word.INFRA, Word.INCOMPLETE},
        "interrupted": {Word.INCOMPLETE},
        "regressed": {Word.FIXED, Word.REGRESSED, Word.IMPROVED, Word.OK},
        "measured": {Word.OK, Word.INCONCLUSIVE, Word.IMPROVED, Word.INFRA},
    }


@EVERY_RUN
def test_the_data_keeps_to_its_schema(name: str, tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text())
    data = json.loads(_written(RUNS[name](), tmp_path)["verdict.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema, jsonschema.Draft202012Validator)


def test_the_schema_knows_every_word() -> None:
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    assert definitions["word"]["enum"] == list(Word)
    assert definitions["outcome"]["enum"] == list(Outcome)


@pytest.mark.parametrize("name", RUNS)
def test_the_review_has_the_columns_of_a_mail(name: str, tmp_path: Path) -> None:
    text, mark, command = _written(RUNS[name](), tmp_path)["review.txt"].partition("To reproduce:")
    assert mark
    assert RUNS[name]().command in command
    long = [line for line in text.splitlines() if len(line) > 72]
    assert [line for line in long if len(line.removeprefix("- ").split()) > 1] == []


@EVERY_RUN
def test_junit_is_red_only_where_the_verdict_is_bad(name: str, tmp_path: Path) -> None:
    verdict = RUNS[name]()
    root = ElementTree.fromstring(_written(verdict, tmp_path)["junit.xml"])
    red = {
        case.get("classname")
        for case in root.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    }
    bad = {case.name for case in verdict.cases if case.word not in GOOD | NEUTRAL}
    groups = {name.replace("/", ".").replace(".py::", ".") for name in bad}
    assert red == groups | ({"series"} if verdict.findings else set())


def test_junit_an_expected_failure_is_skipped(tmp_path: Path) -> None:
    root = ElementTree.fromstring(_written(_all_good(), tmp_path)["junit.xml"])
    (stock,) = [suite for suite in root if suite.get("name") == "stock"]
    said = [s.get("message") for s in stock.iter("skipped")]
    expected = "fails on stock, as it must: the driver drops what the ring cannot hold"
    assert said.count(expected) == 6 + 5  # of fq_codel.stock and wake.stock
    assert stock.get("failures") == stock.get("errors") == "0"


def test_junit_an_expected_failure_is_no_failure_where_patched_had_trouble(tmp_path: Path) -> None:
    case = _case("test_wake", Kind.FIXES, "wake", "wake")
    assert case.patched
    case.patched.outcome, case.patched.message = Outcome.INFRA, "QEMU or virtme-ng ended"
    root = ElementTree.fromstring(_written(_verdict(case), tmp_path)["junit.xml"])
    (stock,) = [suite for suite in root if suite.get("name") == "stock"]
    assert stock.get("failures") == "0"


def test_an_incomplete_case_is_said_to_be_incomplete() -> None:
    case = _case("test_wake", Kind.FIXES, "wake", None)
    assert table.first_line(case) == "its other half did not run in this session"


def test_an_interrupted_run_is_nobodys_fault(tmp_path: Path) -> None:
    assert "machinery failed" not in _summary(_interrupted(), tmp_path)


@pytest.mark.parametrize(
    "stray",
    [
        "\x1bc\x00",
        "\ufffe",
    ],
)
def test_junit_survives_what_xml_cannot_hold(tmp_path: Path, stray: str) -> None:
    verdict = _does_not_apply()
    verdict.findings[0].message = f"<&> {stray}"
    root = ElementTree.fromstring(_written(verdict, tmp_path)["junit.xml"])
    (failure,) = root.iter("failure")
    assert failure.text is not None
    assert failure.text.startswith("<&> ")


def test_markdown_cells_stay_cells(tmp_path: Path) -> None:
    text = _written(_broken(), tmp_path)["review.md"]
    assert f"`{LONG}[a\\|b]`" in text


def test_many_bad_cases_are_counted(tmp_path: Path) -> None:
    cases = [_case(f"test_x[{n}]", Kind.KEEPS, "wake.patched", "wake.stock") for n in range(25)]
    verdict = _verdict(*cases)
    written = _written(verdict, tmp_path / "report")
    assert "- and 15 more" in written["review.txt"]
    assert "and 15 more." in written["review.md"]
    assert "... and 5 more, all in verdict.json" in _summary(verdict, tmp_path / "report")


def test_table_groups_by_test_and_kind() -> None:
    cases = [
        _case("test_x[a]", Kind.FIXES, "wake", "wake"),
        _case("test_x[b]", Kind.FIXES, "wake", "wake.stock"),
        _case("test_x[c]", Kind.KEEPS, "wake.patched", None),
        _case("test_y", Kind.FIXES, "wake", "wake"),
    ]
    rows = table.rows(_verdict(*cases))
    assert [
        (row.test, row.kind, row.cases, row.stock, row.patched, row.verdict) for row in rows
    ] == [
        ("test_x", "fixes", 2, "2 failed", "1 passed, 1 failed", "1 fixed, 1 unfixed"),
        ("test_x", "keeps", 1, "1 passed", "1 not run", "1 incomplete"),
        ("test_y", "fixes", 1, "1 failed", "1 passed", "1 fixed"),
    ]


@pytest.mark.parametrize("narrow", [False, True])
def test_table_columns_line_up(narrow: bool) -> None:
    lines = table.text(table.rows(_broken()), narrow=narrow)
    at = lines[0].index("stock ")
    rows = [line for line in lines if " " in line]
    assert all(line[at - 1] == " " and line[at] != " " for line in rows)
    assert not narrow or max(map(len, rows)) <= 70
