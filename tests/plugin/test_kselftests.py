"""What `make -C kselftests run_tests` says of programs that end in each of the ways there are."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kseries import ktap

from tools.judge import TOP

PLAN = 'echo "KTAP version 1"; echo 1..1;'
PROGRAMS = {
    "good": f"{PLAN} echo ok 1 a word",
    "bad": f"{PLAN} echo not ok 1 a word; exit 1",
    "bailed": "echo 'Bail out! no device'; exit 2",
    "skipped": f"{PLAN} echo ok 1 a word '# SKIP no feature'; exit 4",
    "killed": "kill -9 $$",
    "hung": "exec sleep 60",
}


def run(folder: Path, *names: str) -> tuple[int, list[str]]:
    for name in names:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{PROGRAMS[name]}\n")
        program.chmod(0o755)
    done = subprocess.run(
        [TOP / "kselftests/run_tests.sh", folder, "1", *names],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_each_end_has_its_line(tmp_path: Path) -> None:
    status, lines = run(tmp_path, *PROGRAMS)
    assert [line for line in lines if line.startswith(("ok", "not ok"))] == [
        "ok 1 selftests: kseries: good",
        "not ok 2 selftests: kseries: bad # exit=1",
        "not ok 3 selftests: kseries: bailed # exit=2",
        "ok 4 selftests: kseries: skipped # SKIP",
        "not ok 5 selftests: kseries: killed # exit=137",
        "not ok 6 selftests: kseries: hung # TIMEOUT 1 seconds",
    ]
    assert status == 1


def test_good_and_skipped_is_no_failure(tmp_path: Path) -> None:
    status, lines = run(tmp_path, "good", "skipped")
    assert status == 0
    assert ktap.parse(lines).status is ktap.Status.PASSED


def test_what_a_program_said_is_nested(tmp_path: Path) -> None:
    status, lines = run(tmp_path, "bad")
    assert lines == [
        "KTAP version 1",
        "1..1",
        "# selftests: kseries: bad",
        "  KTAP version 1",
        "  1..1",
        "  not ok 1 a word",
        "not ok 1 selftests: kseries: bad # exit=1",
    ]
    assert status == 1
    assert ktap.parse(lines).status is ktap.Status.FAILED
