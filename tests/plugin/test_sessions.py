"""Whole runs: findings on the series, exit statuses, and other options of pytest."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal

import pytest

from .fakes import FIRST, STRAY, make_series, write_files
from .projects import CHECK, FIXES, HEAD, KEEPS, RING, Project, infra_free


def test_a_series_that_does_not_apply(project: Project) -> None:
    shutil.rmtree(project.path / "patches")
    make_series(project.path / "patches", [STRAY])
    project.tests(RING)
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes()
    first = 'patch 1/1 of patches, "ring: lose what does not fit" (0001.patch), does not apply:'
    assert result.stdout.lines.count(first) == 1
    verdict = project.verdict()
    (finding,) = verdict["findings"]
    assert (finding["kind"], finding["patch"]) == ("DoesNotApply", "0001.patch")
    assert finding["message"].startswith(first)
    assert (verdict["good"], verdict["infra_only"], verdict["cases"]) == (False, False, [])
    assert verdict["sentence"] == f"The series is not good: {first.rstrip(':')}."
    infra_free(result)


def test_a_tree_that_arrives_damaged_is_infra(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "linux-6.12.99.tar.xz"
    mirror = {f"v6.x/{name}": "damaged", "v6.x/sha256sums.asc": f"{'1' * 64}  {name}\n"}
    write_files(project.path / "mirror", mirror)
    monkeypatch.setenv("KSERIES_MIRROR", (project.path / "mirror").as_uri())
    project.tests(RING)
    result = project.run(tree="v6.12.99")
    assert result.ret == 1
    data = json.loads((project.report / "verdict.json").read_text())
    assert [finding["kind"] for finding in data["findings"]] == ["infra"]
    assert data["infra_only"] is True
    result.stdout.fnmatch_lines(["report: *: infra: the machinery failed, not the series"])


@pytest.mark.parametrize(
    "how",
    [
        "raise KeyboardInterrupt",
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
        "os.kill(os.getpid(), signal.SIGHUP); time.sleep(9)",
    ],
)
def test_interrupted(project: Project, how: str) -> None:
    text = KEEPS.format("wake.patched", "x", CHECK) + f"def test_y():\n    {how}\n"
    project.tests("import os, signal, time\n" + HEAD + text)
    result = project.run(no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    verdict = project.verdict()
    assert (verdict["interrupted"], verdict["good"], verdict["infra_only"]) == (True, False, False)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_nohup(project: Project) -> None:
    project.tests(
        "import os, signal\n"
        + HEAD
        + KEEPS.format("wake.patched", "x", CHECK)
        + "def test_y():\n    os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert project.run(no_reraise_ctrlc=True).ret == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_plain_test_that_fails_fails_the_run(project: Project) -> None:
    project.tests(RING + "\ndef test_bad():\n    assert False\n")
    assert project.run().ret == 1
    assert project.verdict()["good"] is True


def test_exitfirst(project: Project) -> None:
    text = FIXES.format("wake", "a", CHECK) + KEEPS.format("wake.stock", "b", CHECK)
    project.tests(HEAD + text + KEEPS.format("wake.patched", "c", CHECK))
    result = project.run("-x")
    result.assert_outcomes(failed=1, passed=1, xfailed=1)
    assert result.ret == 1
    assert project.words() == {"test_a": "fixed", "test_b": "incomplete"}


@pytest.mark.parametrize("where", [[], ["."]])
def test_last_failed_runs_both_halves(project: Project, where: list[str]) -> None:
    text = KEEPS.format("wake.patched", "a", CHECK) + KEEPS.format("wake.patched|oops", "b", CHECK)
    project.tests(HEAD + text)
    assert project.run().ret == 1
    project.tests(HEAD + text.replace("wake.patched|oops", "wake.patched"))
    result = project.run("--lf", *where)
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    assert project.words() == {"test_b": "kept"}


def test_last_failed_in_a_file_that_is_named(project: Project) -> None:
    text = KEEPS.format("wake.patched", "a", CHECK) + KEEPS.format("wake.patched|oops", "b", CHECK)
    project.tests(HEAD + text)
    assert project.run().ret == 1
    result = project.run("--lf", "test_it.py")
    result.assert_outcomes(passed=1, failed=1, deselected=3)
    assert project.words() == {"test_b": "broken"}


def test_never_from_an_earlier_run(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.patched", "a", CHECK))
    project.run()
    project.tests(HEAD + KEEPS.format("wake.patched", "b", CHECK))
    project.run()
    assert project.words() == {"test_b": "kept"}


def test_pytests_own_junit(project: Project) -> None:
    project.tests(RING)
    project.run("--junitxml=own.xml")
    text = (project.path / "own.xml").read_text()
    assert 'failures="0"' in text
    assert 'message="fails on stock, as it must: the driver drops"' in text
    assert 'name="test_ring[patched-wake]"' in text


def test_two_workers(project: Project) -> None:
    text = """
import pytest
case = pytest.mark.kernel_case
program = pytest.mark.kernel_program

def test_plain():  # an odd one: chunks of tests then split cases, where only their number counts
    pass

@case("fixes", reason="the driver drops")
@program("wake")
@pytest.mark.parametrize("number", range(6))
def test_ring(kernel_run, number, worker_id):
    with open(f"{worker_id}.txt", "a") as file:
        print(f"{number}-{kernel_run.kernel}", file=file)
    kernel_run.check()

@case("keeps", reason="as it was")
@program("wake.patched|oops")
def test_crash(kernel_run):
    kernel_run.check()
"""
    project.tests(text)
    result = project.run("-n", "2", apart=True)
    result.assert_outcomes(passed=8, xfailed=6, failed=1)
    assert result.ret == 1
    files = sorted(project.path.glob("gw*.txt"))
    assert len(files) == 2
    for file in files:
        ran = file.read_text().split()
        assert {line[2:] for line in ran} == {"stock", "patched"}
        numbers = [line[0] for line in ran]
        assert all(numbers.count(number) == 2 for number in numbers)
    words = project.words()
    assert words.pop("test_crash") == "broken"
    assert set(words.values()) == {"fixed"}
    assert len(words) == 6
    result.stdout.fnmatch_lines(["test_ring   fixes  6 failed  6 passed   6 fixed"])


def test_without_xdist(project: Project) -> None:
    project.tests(RING)
    result = project.run("-p", "no:xdist")
    assert result.ret == 0
    infra_free(result)


def test_a_series_given_on_the_command_line(project: Project) -> None:
    make_series(project.path / "elsewhere/mine", [FIRST])
    project.tests(RING)
    assert project.run("--kernel-series=elsewhere/mine", "-k", "soak").ret == 0
    verdict = project.verdict()
    assert (verdict["series"], verdict["patches"]) == (
        "elsewhere/mine",
        ["ring: keep what does not fit"],
    )


def test_options_start_with_kernel(project: Project) -> None:
    result = project.run("--help", tree=None)
    text = result.stdout.str()
    group = text.partition("kernel series (pytest-kseries):")[2].partition("\n\n")[0]
    options = re.findall(r"^  (--\S+?)[= ]", group, re.M)
    assert {"--kernel-tree", "--kernel-series", "--kernel-lane", "--kernel-config"} <= set(options)
    assert all(option.startswith("--kernel-") for option in options)
    assert os.sep not in "".join(options)
