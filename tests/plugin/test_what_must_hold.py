"""docs/what-must-hold.md names tests and mutants that exist, for all the points there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.judge import PATCHES
from tools.mutants import Mutant, read_all

TOP = Path(__file__).resolve().parents[2]
ROWS = re.findall(
    r"^\| (\d+) \|([^|]*)\|([^|]*)\|([^|]*)\|$",
    (TOP / "docs/what-must-hold.md").read_text(),
    re.M,
)
TESTS = {
    name
    for path in (TOP / "tests/series").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.M)
}
# Those that hold no point, as the document says above the table.
NO_POINT = {"test_same_bytes", "test_by_hand", "test_prefix_compiles", "test_late_frees"}
MUTANTS = {mutant.name: mutant for mutant in read_all()}


def test_every_point() -> None:
    answered = re.findall(r"^(\d+)\. \*\*", (PATCHES / "README.md").read_text(), re.M)
    assert [int(number) for number, *_ in ROWS] == [int(n) for n in answered] != []


def test_every_test_is_named() -> None:
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[2])}
    assert named | NO_POINT >= TESTS, TESTS - named - NO_POINT


@pytest.mark.parametrize(("point", "tests", "edits"), [(r[0], r[2], r[3]) for r in ROWS])
def test_what_it_names_exists(point: str, tests: str, edits: str) -> None:
    named = set(re.findall(r"`(\w+)`", tests))
    assert named
    assert named <= TESTS, named - TESTS
    mutants = set(re.findall(r"`([\w-]+)`", edits))
    assert mutants == {name for name, m in MUTANTS.items() if int(point) in m.points}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: str(mutant.name))
def test_mutant_names_its_tests(mutant: Mutant) -> None:
    files = [word for word in mutant.tests if word.startswith("tests/")]
    assert files
    assert all((TOP / file).is_file() for file in files)
