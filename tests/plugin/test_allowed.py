"""Complaints that a project allows: each whole, each until its day, none that is fatal."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from kseries.allowed import Allowed, load, split
from kseries.console import Splat
from kseries.errors import UsageProblem

from .projects import CHECK, HEAD, KEEPS, Project

TODAY = datetime.date(2026, 11, 25)
ENTRY = """\
[[allow]]
kind = "{kind}"
functions = ["refcount_warn_saturate", "x64_sys_call", "do_syscall_64"]
reason = "known"
expires = {expires}
"""
WARNING = ENTRY.format(kind="warning", expires="2999-01-01")


def _load(tmp_path: Path, text: str) -> tuple[Allowed, ...]:
    path = tmp_path / "known.toml"
    path.write_text(text)
    return load(path)


def test_an_entry(tmp_path: Path) -> None:
    (entry,) = _load(tmp_path, WARNING)
    assert entry.kind == "warning"
    assert entry.functions == ("refcount_warn_saturate", "x64_sys_call", "do_syscall_64")
    assert (entry.reason, entry.expires) == ("known", datetime.date(2999, 1, 1))


def test_no_entry(tmp_path: Path) -> None:
    assert _load(tmp_path, "# nothing\n") == ()


@pytest.mark.parametrize(
    ("given", "instead", "named"),
    [
        ('reason = "known"', 'reason = ""', "reason"),
        ('reason = "known"', "", "reason"),
        ("expires = 2999-01-01", "", "expires"),
        ("expires = 2999-01-01", 'expires = "2999-01-01"', "expires"),
        ("expires = 2999-01-01", "expires = 2999-01-01T00:00:00", "expires"),
        ('kind = "warning"', 'kind = "bogus"', "kind"),
        ('kind = "warning"', "", "kind"),
        ("functions", "function", "functions, function"),
    ],
)
def test_an_entry_that_is_not_whole(tmp_path: Path, given: str, instead: str, named: str) -> None:
    with pytest.raises(UsageProblem, match=rf"known\.toml: entry 1 wants .*: see {named}$"):
        _load(tmp_path, WARNING.replace(given, instead))


@pytest.mark.parametrize("text", ["allow = 1", "allow = [1, 2]", "[[allowed]]\n", "kind ="])
def test_a_file_of_something_else(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageProblem, match=r"known\.toml: "):
        _load(tmp_path, text)


def test_it_holds_until_its_day_and_for_its_functions() -> None:
    entry = Allowed("kcsan", ("f", "g"), "known", TODAY)
    race = Splat("kcsan", "BUG: KCSAN: data-race in f / g", ["g", "h"])
    other = Splat("kcsan", "BUG: KCSAN: data-race in f / h", ["g", "h"])
    assert split([race, other], [entry], TODAY) == ([other], [race])
    assert split([race], [entry], TODAY + datetime.timedelta(1)) == ([race], [])


def test_nothing_fatal_is_allowed() -> None:
    oops = Splat("oops", "Oops: ", ["f"])
    assert split([oops], [Allowed("oops", ("f",), "known", TODAY)], TODAY) == ([oops], [])


@pytest.mark.parametrize(
    ("kind", "expires", "ret"),
    [("warning", "2999-01-01", 0), ("warning", "2020-01-01", 1), ("kasan", "2999-01-01", 1)],
)
def test_in_a_run(project: Project, kind: str, expires: str, ret: int) -> None:
    project.pytester.makeini("[pytest]\nkseries_allowed = known.toml\n")
    (project.path / "known.toml").write_text(ENTRY.format(kind=kind, expires=expires))
    project.tests(HEAD + KEEPS.format("wake.patched|warning", "warns", CHECK))
    assert project.run().ret == ret
    assert project.words() == {"test_warns": "broken" if ret else "kept"}
    (case,) = project.verdict()["cases"]
    assert [splat["kind"] for splat in case["patched"]["splats"]] == ["warning"]


def test_a_bad_file_stops_the_run(project: Project) -> None:
    project.pytester.makeini("[pytest]\nkseries_allowed = known.toml\n")
    project.tests(HEAD + KEEPS.format("wake.patched", "goes_on", CHECK))
    assert project.run().ret == pytest.ExitCode.USAGE_ERROR
