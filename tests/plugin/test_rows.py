"""The file of tables and plots: each key checked, and what is wrong named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kseries.errors import UsageProblem
from kseries.rows import Panel, Plot, Row, Rows, Table, load

from .projects import CHECK, HEAD, KEEPS, ROOT, Project

FILE = r"""
[[table]]
title = "T"
unit = "Kpps"
scale = 1000
whole = ["sent", "lost"]
source = "S"
[[table.row]]
label = "L"
case = "test_x[a-*]"
figures = ["sent", "lost"]
counts = ["stops"]
stock = "1 / 2"
patched = "3"
[[table.row]]
label = "M"
case = "test_y"
figures = ["sent"]
scale = 4000
[[table]]
title = "R"
unit = "%"
scale = 0.01
per = "sent"
source = "S"
[[table.row]]
label = "L"
case = "test_y"
figures = ["stops"]
[[plot]]
title = "P"
x = "X"
cases = 'test_x\[(?P<x>\d+)'
[[plot.y]]
label = "Y"
figure = "lost"
whole = ["sent", "lost"]
"""


def _load(tmp_path: Path, text: str) -> Rows:
    path = tmp_path / "rows.toml"
    path.write_text(text)
    return load(path)


def test_a_file(tmp_path: Path) -> None:
    first = Row("L", "test_x[a-*]", ("sent", "lost"), ("stops",), "1 / 2", "3", 1000.0)
    second = Row("M", "test_y", ("sent",), scale=4000.0)
    ratio = Row("L", "test_y", ("stops",), scale=0.01)
    assert _load(tmp_path, FILE) == Rows(
        (
            Table("T", "Kpps", "S", (first, second), ("sent", "lost")),
            Table("R", "%", "S", (ratio,), per="sent"),
        ),
        (Plot("P", "X", r"test_x\[(?P<x>\d+)", (Panel("Y", "lost", 1.0, ("sent", "lost")),)),),
    )
    assert first.published("stock") == ["1", "2", ""]
    assert second.published("patched") == [""]


def test_an_empty_file(tmp_path: Path) -> None:
    assert _load(tmp_path, "# nothing\n") == Rows()


@pytest.mark.parametrize(
    ("name", "matches"),
    [("test_x[a-1]", True), ("test_x[a-]", True), ("test_xa", False), ("test_x[b-1]", False)],
)
def test_brackets_of_a_pattern_are_themselves(name: str, matches: bool) -> None:
    assert Row("L", "test_x[a-*]", ("sent",)).matches(name) is matches


@pytest.mark.parametrize(
    ("given", "instead", "said"),
    [
        ('title = "T"', "", "table 1: title is missing"),
        ('title = "T"', "title = 1", "table 1: title has to be text, not 1"),
        ("scale = 1000", "scale = 0", "table 1: scale has to be a number above 0, not 0"),
        ("scale = 1000", "scale = true", "table 1: scale has to be a number above 0, not True"),
        ('source = "S"', 'sources = "S"', "table 1: no such key: sources; there are title, unit"),
        ('per = "sent"', "per = []", "table 2: per has to be text, not []"),
        ('per = "sent"', 'per = "sent"\nwhole = ["sent"]', "table 2: per and whole exclude each"),
        ('label = "L"', 'label = ""', "table 1, row 1: label has to be text, not ''"),
        ('figures = ["sent"]', "figures = []", "table 1, row 2: figures has to be a list of texts"),
        ('figures = ["sent"]', 'figures = "sent"', "table 1, row 2: figures has to be a list"),
        ('"1 / 2"', '"1 / 2 / 3 / 4"', 'table 1, row 1: stock has more words between " / "'),
        ("(?P<x>", "(?P<y>", "plot 1: cases has to be a regular expression with the group"),
        ("(?P<x>", "((?P<x>", "plot 1: cases has to be a regular expression with the group"),
        ("'test_x", "1 #", "plot 1: cases has to be a regular expression with the group"),
        ('figure = "lost"', "", "plot 1, y 1: figure is missing"),
        ('figure = "lost"', "figures = 1", "plot 1, y 1: no such key: figures"),
        ("[[plot.y]]", "[[plot.z]]", "plot 1: no such key: z; there are title, x, cases, y"),
        ("[[table]]", "[[tables]]", "no such key: tables; there are table, plot"),
        ("[[table]]", "[table]", "table has to be [[table]] tables"),
        ("[[plot]]", "[[plot", "not to be read as TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, given: str, instead: str, said: str) -> None:
    assert given in FILE
    text = FILE.replace(given, instead)
    if instead == "[table]":
        text = text.partition("[[table.row]]")[0]
    with pytest.raises(UsageProblem, match=rf"rows\.toml: .*{re.escape(said)}"):
        _load(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"rows\.toml: not to be read as TOML"):
        load(tmp_path / "rows.toml")


def test_the_projects_own_file() -> None:
    rows = load(ROOT / "tests/throughput/rows.toml")
    assert len(rows.tables) > 5
    assert len({plot.title for plot in rows.plots}) == len(rows.plots) > 1


def test_a_bad_file_stops_the_run(project: Project) -> None:
    project.pytester.makeini("[pytest]\nkseries_rows = rows.toml\n")
    (project.path / "rows.toml").write_text("tables = 1\n")
    project.tests(HEAD + KEEPS.format("wake.patched", "goes_on", CHECK))
    assert project.run().ret == pytest.ExitCode.USAGE_ERROR


def test_in_a_run_the_verdict_has_them(project: Project) -> None:
    project.pytester.makeini("[pytest]\nkseries_rows = rows.toml\n")
    (project.path / "rows.toml").write_text(FILE)
    project.tests(HEAD + KEEPS.format("wake.patched", "goes_on", CHECK))
    assert project.run().ret == 0
    assert [table["title"] for table in project.verdict()["tables"]] == ["T", "R"]
    assert [plot["panels"][0]["figure"] for plot in project.verdict()["plots"]] == ["lost"]
