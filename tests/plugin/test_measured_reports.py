"""Tables and plots of what was measured: what is shown, what is left out, what is never said."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from kseries.report import cover, measured, plots, review
from kseries.rows import Row, Rows, Table
from kseries.verdict import Case, Half, Kind, Outcome, Verdict

from .fake_measurements import FRAMES, ROWS, measured_case, measured_cases

PAIRS = [((6000, 54000, 6000), (6010, 0, 6000)), ((6100, 54000, 6100), (6010, 0, 6200))]


def _verdict(*cases: Case, rows: Rows = ROWS) -> Verdict:
    return Verdict(
        series="patches",
        tree="/src/linux",
        dirty=False,
        lane="tcg",
        lane_reason="no KVM",
        cpus=2,
        qemu="QEMU emulator version 7.2.0",
        command="pytest",
        patches=["ring: wake"],
        cases=list(cases),
        rows=rows,
    )


def _one_row(case: str, rows: int = 1) -> Rows:
    row = Row("row", case, FRAMES, (), "1 / 2", "3", 1000)
    return Rows((Table("T", "Kpps", "S", (row,) * rows, ("transmitted", "lost")),))


def _texts(path: Path) -> list[str]:
    return [
        "".join(element.itertext())
        for element in ElementTree.parse(path).iter()
        if _is_text(element)
    ]


def _is_text(element: ElementTree.Element) -> bool:
    return element.tag.endswith("}text")


def _has(path: Path, gid: str) -> bool:
    return any(element.get("id") == gid for element in ElementTree.parse(path).iter())


def test_rows_that_did_not_run_and_tables_without_rows_are_left_out() -> None:
    blocks = measured.blocks(_verdict(*measured_cases()))
    titles = [block.table.title for block in blocks]
    assert titles == ["A sender through a ring"] * 3 + ["Nobody's figures"]
    assert not any(row.label == "did not run" for block in blocks for row in block.rows)


def test_lanes_and_emulation_do_not_stand_together() -> None:
    cases = [
        measured_case("test_rate[1]", "wall", PAIRS),
        measured_case("test_rate[2]", "exact", PAIRS),
        measured_case("test_rate[3]", "wall", PAIRS, guest="kvm"),
    ]
    blocks = measured.blocks(_verdict(*cases, rows=_one_row("test_rate[*]")))
    assert [block.how.partition(",")[0] for block in blocks] == [
        "wall lane: real time",
        "exact lane: emulated CPUs on a clock that counts instructions",
        "wall lane: real time",
    ]
    assert "emulated CPUs (tcg)" in blocks[0].how
    assert "emulated" not in blocks[2].how


def test_real_time_is_a_rate_and_counted_instructions_are_a_share() -> None:
    cases = [
        measured_case("test_rate[1]", "wall", PAIRS),
        measured_case("test_rate[2]", "exact", PAIRS),
    ]
    wall, exact = measured.blocks(_verdict(*cases, rows=_one_row("test_rate[*]")))
    assert wall.unit == "Kpps"
    assert wall.rows[0].joined("stock") == "12.1 / 108 / 12.1"
    assert wall.rows[0].joined("patched") == "12.0 / 0 / 12.2"
    assert exact.unit == "% of transmitted + lost"
    assert exact.rows[0].joined("stock") == "10.1 / 89.9 / 10.1 / 41325"
    assert exact.rows[0].lines[-1].name == "guest instructions per packet"


@pytest.mark.parametrize("lane", ["wall", "exact"])
def test_a_ratio_is_one_in_any_lane(lane: str) -> None:
    case = measured_case("test_rate[1]", lane, PAIRS)
    row = Row("row", "test_rate[1]", ("lost", "branch_misses"), ("stops",), scale=0.01)
    table = Table("T", "% of received", "S", (row,), per="received")
    (block,) = measured.blocks(_verdict(case, rows=Rows((table,))))
    assert block.unit == "% of received"
    lost, misses, stops = block.rows[0].lines[:3]
    assert (lost.stock, lost.patched) == ("893", "0")
    assert (misses.stock, misses.patched) == ("-", "-")
    assert (stops.stock, stops.patched) == ("0", "7.00")


def test_nothing_is_over_what_was_not_counted() -> None:
    runs = [{"miss": 1, "branch": 0}, {"miss": 1}, {"branch": 4}, {"miss": 1, "branch": 4}]
    assert measured.ratios(runs, "miss", "branch", 0.01) == [25]


@pytest.mark.parametrize("name", ["review.txt", "review.md"])
def test_the_exact_lane_never_speaks_of_a_rate(name: str) -> None:
    case = measured_case("test_rate[1]", "exact", PAIRS)
    rows = _one_row("test_rate[*]")
    rows = Rows(
        (replace(rows.tables[0], rows=(replace(rows.tables[0].rows[0], stock="", patched=""),)),)
    )
    verdict = _verdict(case, rows=rows)
    text = review.render(verdict, name) + "\n".join(cover.letter(measured.blocks(verdict)[0]))
    said = (
        text.replace("\n", " ")
        .replace("not throughput", "")
        .replace("Real-time throughput: not measured", "")
    )
    assert "throughput" not in said
    assert "Kpps" not in said
    assert "per second" not in said


def test_reported_figures_stand_beside_theirs_and_only_there() -> None:
    (block,) = measured.blocks(
        _verdict(measured_case("test_rate[1]", "wall", PAIRS), rows=_one_row("test_rate[1]"))
    )
    assert [
        (line.name, line.stock_elsewhere, line.patched_elsewhere) for line in block.rows[0].lines
    ] == [("transmitted", "1", "3"), ("lost", "2", ""), ("received", "", "")]
    lines = cover.letter(block)
    (head,) = [line for line in lines if "measured here" in line]
    at = head.rindex("|")
    assert "reported elsewhere" in head[at:]
    (transmitted,) = [line for line in lines if line.strip().startswith("transmitted")]
    assert transmitted[at:].split() == ["|", "1", "3"]


def test_a_table_that_nobody_reported_has_no_such_columns() -> None:
    *_, block = measured.blocks(_verdict(*measured_cases()))
    assert "reported elsewhere" not in "\n".join(cover.letter(block))


def test_several_cases_of_a_row_are_told_apart() -> None:
    cases = [measured_case(f"test_rate[{n}]", "wall", PAIRS) for n in (1, 2)]
    (block,) = measured.blocks(_verdict(*cases, rows=_one_row("test_rate[*]")))
    assert [row.label for row in block.rows] == ["row [1]", "row [2]"]


def test_a_case_without_figures_keeps_its_word() -> None:
    *_, broken = measured_cases()
    (block,) = measured.blocks(_verdict(broken))
    (row,) = block.rows
    assert (row.word, row.change, row.joined("stock")) == ("infra", "QEMU is gone", "")


@pytest.mark.parametrize(
    ("lane", "how"),
    [
        ("exact", "exact lane"),
        ("tcg", "wall lane: real time, emulated CPUs"),
        ("kvm", "wall lane: real time, KVM"),
    ],
)
def test_a_case_without_figures_stands_in_its_lane(lane: str, how: str) -> None:
    case = Case("test_rate[broken]", Kind.MEASURES)
    case.stock = Half("stock", "", Outcome.CRASHED, lane=lane)
    case.patched = Half("patched", "", Outcome.INFRA)
    (block,) = measured.blocks(_verdict(case))
    assert block.how.startswith(how)


def test_a_case_that_had_no_guest_is_left_out() -> None:
    case = Case("test_rate[broken]", Kind.MEASURES)
    case.stock = Half("stock", "", Outcome.INFRA, "QEMU is gone")
    assert measured.blocks(_verdict(case)) == []


def test_nothing_of_an_older_run_stays(tmp_path: Path) -> None:
    full, empty = _verdict(*measured_cases()), _verdict()
    assert cover.write(full, tmp_path) == ["cover.txt"]
    assert plots.write(full, tmp_path) == ["plots/ (8 SVG)"]
    assert cover.write(empty, tmp_path) == plots.write(empty, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_cover_has_the_columns_of_a_mail() -> None:
    for block in measured.blocks(_verdict(*measured_cases())):
        assert max(map(len, cover.letter(block))) <= 80


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0001, "<0.001"),
        (0.0123, "0.012"),
        (2.2, "2.20"),
        (71.25, "71.2"),
        (99.97, "100"),
        (1154.4, "1154"),
    ],
)
def test_a_number(value: float, text: str) -> None:
    assert measured.number(value) == text


def test_a_large_change_is_a_factor() -> None:
    case = measured_case("test_rate[1]", "wall", [((2, 9, 2), (1000, 0, 1000))] * 2)
    assert case.comparison
    assert measured.change(case.comparison) == (
        "received 500 times [485, 515], 99 % interval of 2 pairs; a change below 3.00 % could not"
        " be seen"
    )


def test_each_plot_has_a_name_of_its_own(tmp_path: Path) -> None:
    cases = [measured_case(name, "wall", PAIRS) for name in ("test_a[x-1]", "test_a[x/1]", "..")]
    plots.write(_verdict(*cases), tmp_path)
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["plot.svg", "test_a-x-1-2.svg", "test_a-x-1.svg"]


def test_the_same_verdict_makes_the_same_plots(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        plots.write(_verdict(*measured_cases()), tmp_path / folder)
    paths = sorted((tmp_path / "a/plots").iterdir())
    assert len(paths) == 8
    for path in paths:
        assert path.read_bytes() == (tmp_path / "b/plots" / path.name).read_bytes()


def test_a_plot_of_pairs(tmp_path: Path) -> None:
    plots.write(_verdict(measured_case("test_cost[1]", "exact", PAIRS, "inconclusive")), tmp_path)
    (path,) = (tmp_path / "plots").iterdir()
    texts = _texts(path)
    assert {"stock", "patched", "within 5 %", "a pair", "estimate, 95 % interval"} <= set(texts)
    assert any(text.startswith("inconclusive; exact lane") for text in texts)
    assert "guest instructions per packet" in texts
    assert "patched against stock (less is better)" in texts
    assert all(_has(path, gid) for gid in ("stock", "patched", "ratios", "threshold"))


def test_a_plot_over_an_axis(tmp_path: Path) -> None:
    plots.write(_verdict(*measured_cases()), tmp_path)
    path = tmp_path / "plots/Rate-over-ring-length.svg"
    texts = _texts(path)
    assert {"read, stock", "read, patched", "vhost, stock", "vhost, patched"} <= set(texts)
    assert {"received (Kpps)", "lost (%)", "ring length", "1", "64"} <= set(texts)
    assert "no such figure" not in texts
    assert any("emulated CPUs (tcg)" in text for text in texts)


def test_kernels_differ_without_colour(tmp_path: Path) -> None:
    looks = plots._LOOKS
    assert looks["stock"]["linestyle"] != looks["patched"]["linestyle"]
    assert looks["stock"]["markerfacecolor"] == "white"
    assert "markerfacecolor" not in looks["patched"]


def test_the_exact_lane_has_no_rate_over_an_axis(tmp_path: Path) -> None:
    plots.write(_verdict(measured_case("test_rings[8-read]", "exact", PAIRS)), tmp_path)
    texts = _texts(tmp_path / "plots/Rate-over-ring-length.svg")
    assert "lost (%)" in texts
    assert "received (Kpps)" not in texts


def test_half_a_pair_is_not_drawn(tmp_path: Path) -> None:
    case = measured_case("test_cost[1]", "exact", PAIRS)
    assert case.patched
    case.patched.samples = []
    assert plots.write(_verdict(case), tmp_path) == []


def test_nothing_measured_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert plots.write(_verdict(), tmp_path) == []
    with pytest.raises(ImportError):
        plots.write(_verdict(*measured_cases()), tmp_path)
