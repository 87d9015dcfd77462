"""The KTAP parser, on what programs printed in real guests (data/README.md) and on any text."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kseries.ktap import Parser, Report, Result, Status, parse, telling

from .fakes import recorded


def _parse(text: str) -> Report:
    return parse(text.splitlines())


def _recorded(name: str) -> Report:
    return parse(recorded(name)[0])


def test_recorded_pass() -> None:
    report = _recorded("wake.patched")
    assert report.status is Status.PASSED
    assert report.missing == 0
    assert len(report.results) == 6
    assert report.results[3] == Result("the reader gets all that waits", Status.PASSED)
    assert report.figures["first_wake"] == 16
    assert report.figures["guest_time"] == 424105
    assert report.units == {"guest_time": "us"}
    assert report.diagnostics == []


def test_recorded_fail() -> None:
    report = _recorded("fq_codel.stock")
    assert report.status is Status.FAILED
    assert [failure.name for failure in report.failures()] == [
        "no FULL_RING drop while filling: 96",
        "tx_dropped stays 0: 96",
        "the qdisc holds all but the ring's 64: 0 of 160 sent",
        "a packet tap saw the ring's frames once: 160, 0 repeated",
        "each frame once and in order: 64 of 160, 0 missing, 0 repeated, 0 foreign",
        "no driver drop while draining: 96",
    ]


def test_recorded_skips_do_not_skip_the_run() -> None:
    report = _recorded("soak-noqueue.patched")
    assert report.status is Status.PASSED
    assert report.results[2] == Result(
        "the driver dropped nothing", Status.SKIPPED, "noqueue drops, as in stock"
    )
    assert report.diagnostics == ["reader on CPU 1, 1 senders on 1 others, seed 1"]
    assert report.units["accepted"] == "frames"


def test_recorded_cut_off() -> None:
    report = _recorded("cut-off.patched")
    assert report.status is Status.CUT_OFF
    assert report.missing == 5


def test_recorded_bail_out() -> None:
    report = _recorded("usage.stock")
    assert report.status is Status.BAILED_OUT
    assert report.bailed_out == "no device kind nosuch"


@pytest.mark.parametrize("lines", range(2, 12))
def test_recorded_pass_cut_anywhere(lines: int) -> None:
    whole, _ = recorded("fq_codel.patched")
    report = parse(whole[:lines])
    assert report.status is (Status.PASSED if lines == 12 else Status.CUT_OFF)
    assert report.missing == 12 - lines


@pytest.mark.parametrize("name", ["noqueue", "parity", "wake", "fq_codel"])
@pytest.mark.parametrize("side", ["stock", "patched"])
def test_recorded_figures_are_all_there(name: str, side: str) -> None:
    lines, _ = recorded(f"{name}.{side}")
    figures = [line.split()[2:4] for line in lines if line.startswith("# figure")]
    assert _recorded(f"{name}.{side}").figures == {name: int(value) for name, value in figures}


@pytest.mark.parametrize("head", ["KTAP version 1", "TAP version 13", "TAP version 14"])
def test_version_lines_are_no_diagnostics(head: str) -> None:
    report = _parse(f"{head}\n1..1\nok 1 a\n")
    assert (report.status, report.diagnostics) == (Status.PASSED, [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ok 1", Result("test 1", Status.PASSED)),
        ("ok 1 a", Result("a", Status.PASSED)),
        ("ok 1 - a", Result("a", Status.PASSED)),
        ("not ok 1 - a b", Result("a b", Status.FAILED)),
        ("ok 1 a # SKIP no device", Result("a", Status.SKIPPED, "no device")),
        ("ok 1 # SKIP no device", Result("test 1", Status.SKIPPED, "no device")),
        ("ok 1 a # SKIP", Result("a", Status.SKIPPED)),
        ("ok 1 a #SKIP", Result("a", Status.SKIPPED)),
        ("not ok 1 a # TIMEOUT 45 seconds", Result("a", Status.FAILED, "45 seconds")),
        ("not ok 1 a # ERROR: no memory", Result("a", Status.FAILED, "no memory")),
        ("ok 1 a # 12 ms", Result("a", Status.PASSED)),
        ("ok 1 a   ", Result("a", Status.PASSED)),
    ],
)
def test_result_lines(line: str, expected: Result) -> None:
    assert _parse(f"1..1\n{line}\n").results == [expected]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", Status.CUT_OFF),
        ("hello\n", Status.CUT_OFF),
        ("1..2\nok 1 a\n", Status.CUT_OFF),
        ("1..2\nnot ok 1 a\n", Status.CUT_OFF),
        ("ok 1 a\n", Status.CUT_OFF),  # no plan: nobody can tell that the end came
        ("ok 1 a\nok 2 b\n1..2\n", Status.CUT_OFF),  # nor from a plan that comes last
        ("1..0 # SKIP no such device\n", Status.SKIPPED),
        ("1..0\n", Status.SKIPPED),
        ("1..2\nok 1 a # SKIP x\nok 2 b # SKIP x\n", Status.SKIPPED),
        ("1..2\nok 1 a # SKIP x\nok 2 b\n", Status.PASSED),
        ("1..2\nok 1 a # SKIP x\nnot ok 2 b\n", Status.FAILED),
        ("1..1\nBail out!\n", Status.BAILED_OUT),
        ("1..1\nok 1 a\nBail out! late\n", Status.BAILED_OUT),
    ],
)
def test_status_of_a_run(text: str, status: Status) -> None:
    assert _parse(text).status is status


def test_the_order_of_severity() -> None:
    assert Status.BAILED_OUT > Status.CUT_OFF > Status.FAILED > Status.SKIPPED > Status.PASSED


def test_a_skipped_plan_says_why() -> None:
    assert _parse("1..0 # SKIP no such device\n").results[0].detail == "no such device"
    assert _parse("1..0\n").results[0].detail == "the program planned no test"


NESTED = """\
KTAP version 1
1..2
  KTAP version 1
  1..2
    KTAP version 1
    1..2
    ok 1 x
    not ok 2 y
  not ok 1 deep
  ok 2 flat
not ok 1 first
  1..1
  ok 1 only
ok 2 second
"""


def test_nested_results_are_named_by_their_path() -> None:
    report = _parse(NESTED)
    assert [(r.name, r.status) for r in report.results] == [
        ("first / deep / x", Status.PASSED),
        ("first / deep / y", Status.FAILED),
        ("first / flat", Status.PASSED),
        ("second / only", Status.PASSED),
    ]
    assert report.missing == 0


def test_a_parents_own_failure_is_kept() -> None:
    report = _parse("1..1\n  1..1\n  ok 1 a\nnot ok 1 p\n")
    assert [r.name for r in report.failures()] == ["p"]


def test_a_nested_result_that_did_not_come_is_a_failure() -> None:
    report = _parse("1..1\n  1..3\n  ok 1 a\nok 1 p\n")
    assert [r.name for r in report.failures()] == ["p / 2 result(s) that did not come"]


def test_cut_off_below_a_parent() -> None:
    report = _parse("1..1\n  1..2\n  ok 1 a\n")
    assert report.status is Status.CUT_OFF
    assert [r.name for r in report.results] == ["a"]


def test_more_results_than_planned() -> None:
    report = _parse("1..1\nok 1 a\nok 2 b\n")
    assert (report.status, report.unplanned) == (Status.CUT_OFF, 1)
    assert report.not_whole == "it printed 1 result(s) more than it planned"


def test_nothing_that_is_a_result() -> None:
    report = _parse("hello\n")
    assert report.status is Status.CUT_OFF
    assert report.not_whole == "it printed no result"


def test_the_report_is_true_at_any_moment() -> None:
    parser = Parser()
    for line in ("1..2", "ok 1 a", "# figure sent 7 frames"):
        parser.feed(line)
    assert parser.report.results == [Result("a", Status.PASSED)]
    assert parser.report.figures == {"sent": 7}


def test_what_is_no_figure_is_a_diagnostic() -> None:
    text = "1..1\n# figure sent many\n# figure Sent 1\n# figure sent 1.5\nok 1 a\n"
    report = _parse(text)
    assert report.figures == {}
    assert len(report.diagnostics) == 3


def test_a_negative_figure() -> None:
    assert _parse("1..0\n# figure left -3\n").figures == {"left": -3}


def test_a_directive_has_its_reason() -> None:
    text = "1..3\nok 1 a\nnot ok 2 b # TIMEOUT 9 s\nok 3 c # SKIP none\n"
    assert _parse(text).results == [
        Result("a", Status.PASSED),
        Result("b", Status.FAILED, "9 s"),
        Result("c", Status.SKIPPED, "none"),
    ]


@dataclass
class Node:
    """A result with its subtests, as the round trip makes them up."""

    name: str
    status: Status
    children: list[Node] = field(default_factory=list)


NAMES = st.lists(st.text("ok1_:.,()", min_size=1, max_size=3), min_size=1).map(" ".join)
LEAVES = st.builds(Node, NAMES, st.sampled_from([Status.PASSED, Status.SKIPPED, Status.FAILED]))
NODES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Node, NAMES, st.just(Status.PASSED), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


def _print(nodes: list[Node], depth: int = 0) -> list[str]:
    pad = "  " * depth
    lines = [f"{pad}KTAP version 1", f"{pad}1..{len(nodes)}"]
    for number, node in enumerate(nodes, 1):
        if node.children:
            lines += _print(node.children, depth + 1)
        bad = any(leaf.status is Status.FAILED for _, leaf in _leaves([node]))
        skipped = " # SKIP why" if node.status is Status.SKIPPED else ""
        lines.append(f"{pad}{'not ' if bad else ''}ok {number} {node.name}{skipped}")
    return lines


def _leaves(nodes: list[Node], path: str = "") -> list[tuple[str, Node]]:
    found = []
    for node in nodes:
        name = f"{path}{node.name}"
        found += _leaves(node.children, f"{name} / ") if node.children else [(name, node)]
    return found


@given(st.lists(NODES, min_size=1, max_size=5))
def test_round_trip(nodes: list[Node]) -> None:
    report = parse(_print(nodes))
    assert report.missing == 0
    assert [(r.name, r.status) for r in report.results] == [
        (name, leaf.status) for name, leaf in _leaves(nodes)
    ]


@given(st.lists(NODES, min_size=1, max_size=4), st.data())
def test_a_cut_is_always_seen(nodes: list[Node], data: st.DataObject) -> None:
    lines = _print(nodes)
    kept = data.draw(st.integers(0, len(lines) - 1))
    assert parse(lines[:kept]).status is Status.CUT_OFF


PIECES = st.sampled_from(
    ["ok ", "not ok ", "1", "..", "# ", "SKIP", "TODO", " ", "  ", "-", "Bail out!", "figure ", "a"]
)


@given(st.lists(st.one_of(st.text(), st.lists(PIECES).map("".join))))
def test_any_text_is_survived(lines: list[str]) -> None:
    report = parse(lines)
    assert report.status in Status
    assert all(result.status in Status for result in report.results)


def test_what_explains_a_bad_result_is_told_whatever_comes_after() -> None:
    bad = ["# port 0: No buffer space available", "not ok 2 all flow"]
    good = [f"ok {number} goes on" for number in range(3, 40)]
    lines = ["1..39", "ok 1 opens", *bad, *good, "# figure guest_time 7 us"]
    assert telling(lines) == ["1..39", *bad, "# figure guest_time 7 us"]
    assert telling(lines[:25]) == lines[:25]
    assert telling(["# a"] * 30 + bad, most=3) == ["# a", *bad]
