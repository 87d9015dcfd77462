"""The plugin as pytest runs it, with guests that replay recorded output: no kernel is built."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from kseries.lane import Lane
from kseries.session import KernelSession

from . import fakes
from .conftest import ROOT
from .fakes import FIRST, STRAY, make_series, make_tree, write_files

CONFTEST = """\
import pytest
from tests.plugin.fakes import install

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    install(config{changes})
"""
HEAD = """\
import pytest
case = pytest.mark.kernel_case
program = pytest.mark.kernel_program
"""
RING = (
    HEAD
    + """
@case("fixes", reason="the driver drops")
@program("{name}")
@pytest.mark.parametrize("name", ["wake", "fq_codel"])
def test_ring(kernel_run, name):
    kernel_run.check()

@case("keeps", reason="nothing changes")
@program("soak-noqueue.patched")
def test_soak(kernel_run):
    kernel_run.check()

def test_plain():
    pass
"""
)
KEEPS = '@case("keeps", reason="as it was")\n@program("{}")\ndef test_{}(kernel_run):\n    {}\n\n'
FIXES = '@case("fixes", reason="it drops")\n@program("{}")\ndef test_{}(kernel_run):\n    {}\n\n'
CHECK = "kernel_run.check()"


class Project:
    """A project with a tree, a series and tests; `run` is pytest on it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        make_tree(self.path / "linux")
        make_series(self.path / "patches")
        self.replay()

    def replay(self, **changes: dict[str, int]) -> None:
        said = "".join(f", {kernel}={figures!r}" for kernel, figures in changes.items())
        self.pytester.makeconftest(CONFTEST.format(changes=said))

    def tests(self, text: str) -> None:
        self.pytester.makepyfile(test_it=text)

    def run(
        self, *args: str, tree: str | None = "linux", apart: bool = False, **how: bool
    ) -> pytest.RunResult:
        """Run pytest, in this process or `apart` in one of its own."""
        options = [f"--kernel-tree={tree}"] if tree else []
        if apart:
            return self.pytester.runpytest_subprocess(*options, *args, timeout=120)
        return self.pytester.runpytest_inprocess(*options, *args, **how)

    @property
    def report(self) -> Path:
        return self.path / "report"

    def verdict(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.report / "verdict.json").read_text())
        schema = json.loads((ROOT / "docs/verdict.schema.json").read_text())
        jsonschema.validate(data, schema, jsonschema.Draft202012Validator)
        return data

    def words(self) -> dict[str, str]:
        return {case["name"].split("::")[1]: case["verdict"] for case in self.verdict()["cases"]}

    def halves(self, name: str) -> tuple[str | None, str | None]:
        (case,) = [c for c in self.verdict()["cases"] if c["name"].endswith(f"::{name}")]
        stock, patched = (case[k]["outcome"] if case[k] else None for k in ("stock", "patched"))
        return stock, patched


@pytest.fixture
def project(pytester: pytest.Pytester, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.syspath_prepend(str(ROOT))
    return Project(pytester)


def _errors(result: pytest.RunResult) -> list[str]:
    lines = result.stderr.lines + result.stdout.lines
    return [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]


def _infra_free(result: pytest.RunResult) -> None:
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stderr.str()


# Without a tree


def test_without_a_tree_kernel_tests_are_left_out(project: Project) -> None:
    project.tests(RING)
    result = project.run(tree=None)
    result.assert_outcomes(passed=1, deselected=6)
    assert result.ret == 0
    line = (
        "kseries: 6 tests need a kernel and were left out;"
        " run them with --kernel-tree=PATH (or debian, or v6.12.N)"
    )
    assert result.stdout.lines.count(line) == 1
    assert not project.report.exists()
    assert not (project.path / "cache").exists()


def test_without_a_tree_a_failure_stays_a_failure(project: Project) -> None:
    project.tests(RING + "\ndef test_bad():\n    assert False\n")
    assert project.run(tree=None).ret == 1


def test_without_a_tree_and_kernel_tests_nothing_is_said(project: Project) -> None:
    project.tests("def test_plain():\n    pass\n")
    result = project.run(tree=None)
    assert result.ret == 0
    assert "kseries:" not in result.stdout.str()


SESSION_FIXTURES = ["kernel_session", "kernel_tree", "kernel_series"]
OF_THE_TREE = """\
import pytest

@pytest.fixture
def mine({fixture}):
    return {fixture}

def test_direct({fixture}):
    pass

def test_indirect(mine):
    pass

def test_plain():
    pass
"""


@pytest.mark.parametrize("fixture", SESSION_FIXTURES)
def test_without_a_tree_tests_of_its_source_are_left_out(project: Project, fixture: str) -> None:
    project.tests(OF_THE_TREE.format(fixture=fixture))
    result = project.run(tree=None)
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["kseries: 2 tests need a kernel and were left out; *"])


@pytest.mark.parametrize("fixture", SESSION_FIXTURES)
def test_tests_of_the_trees_source_build_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, fixture: str
) -> None:
    monkeypatch.setattr(KernelSession, "prepare", lambda _: pytest.fail("it prepares"))
    project.tests(OF_THE_TREE.format(fixture=fixture))
    result = project.run()
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    assert not (project.report / "verdict.json").exists()


def test_a_failing_test_of_the_trees_source_fails_the_run(project: Project) -> None:
    project.tests("def test_bad(kernel_tree):\n    assert not kernel_tree\n")
    assert project.run().ret == 1
    assert not (project.report / "verdict.json").exists()


def test_the_tree_can_come_from_the_ini_file(project: Project) -> None:
    project.tests(RING)
    project.pytester.makeini("[pytest]\nkseries_tree = linux\nkseries_report = out\n")
    assert project.run(tree=None).ret == 0
    assert (project.path / "out/verdict.json").exists()


def test_the_marks_are_registered(project: Project) -> None:
    project.tests(RING)
    result = project.run("--strict-markers", "-W", "error", tree=None)
    assert result.ret == 0
    result = project.run("--markers", tree=None)
    result.stdout.fnmatch_lines(["@pytest.mark.kernel_case(*", "@pytest.mark.kernel_program(*"])


def test_an_argument_called_kernel_is_left_alone(project: Project) -> None:
    project.tests(
        "import pytest\n"
        '@pytest.mark.parametrize("kernel", ["rbf", "linear"])\n'
        "def test_svm(kernel):\n    pass\n"
    )
    project.run(tree=None).assert_outcomes(passed=2)


def test_a_fixture_called_kernel_is_left_alone(project: Project) -> None:
    project.tests(
        "import pytest\n@pytest.fixture\ndef kernel():\n    return 3\n"
        "def test_filter(kernel):\n    assert kernel == 3\n"
    )
    project.run(tree=None).assert_outcomes(passed=1)


def test_an_id_called_stock_is_left_alone(project: Project) -> None:
    project.tests(
        "import pytest\n"
        '@pytest.mark.parametrize("where", ["stock", "shop"])\n'
        "def test_goods(where):\n    pass\n"
    )
    project.run().assert_outcomes(passed=2)


# Bad options


BAD_OPTIONS = {
    "lane": (["--kernel-lane=warp"], r".*--kernel-lane: invalid choice: 'warp'.*"),
    "cpus": (["--kernel-cpus=9"], r"--kernel-cpus=9: a guest has 1 to 8 CPUs"),
    "no number": (["--kernel-cpus=two"], r"--kernel-cpus=two: a guest has 1 to 8 CPUs"),
    "tree": (["--kernel-tree=patches"], r"--kernel-tree=patches: .* is no kernel source tree .*"),
    "no tree": (["--kernel-tree=nowhere"], r"--kernel-tree=nowhere: .*/nowhere is no folder .*"),
    "series": (["--kernel-series=gone"], r"--kernel-series=gone: no such folder or mbox.*"),
    "config": (["--kernel-config=slow"], r"--kernel-config=slow: .* debug, kcsan, lockdep$"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_bad_option_is_a_usage_error(project: Project, name: str) -> None:
    args, expected = BAD_OPTIONS[name]
    project.tests(RING)
    result = project.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = _errors(result) if name != "lane" else [result.stderr.str().replace("\n", " ")]
    assert len(said) == 1
    assert re.match(expected, said[0])
    _infra_free(result)
    assert not project.report.exists()


def test_no_series_at_all(project: Project) -> None:
    project.tests(RING)
    shutil.rmtree(project.path / "patches")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert _errors(result) == [
        f"no series: --kernel-series=DIR|MBOX|A..B, or a patches/ folder in {project.path}"
    ]


def test_a_bad_lane_in_the_ini_file(project: Project) -> None:
    project.tests(RING)
    project.pytester.makeini("[pytest]\nkseries_lane = warp\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert _errors(result) == ["kseries_lane=warp: no such lane; one of auto, kvm, tcg, exact"]


def test_real_time_where_kvm_does_not_work(project: Project) -> None:
    project.tests(RING)
    result = project.run("--kernel-wall=kvm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert _errors(result) == ["--kernel-wall=kvm: replayed"]


def test_the_number_of_cpus(project: Project) -> None:
    project.tests(RING)
    project.pytester.makeini("[pytest]\nkseries_cpus = 3\n")
    result = project.run()
    assert result.ret == 0
    assert project.verdict()["cpus"] == 3
    result.stdout.fnmatch_lines(["lane:   tcg, 3 CPUs (replayed); *"])
    project.run("--kernel-cpus=1")
    assert project.verdict()["cpus"] == 1


@pytest.mark.parametrize("tool", ["qemu-system-x86_64", "flex"])
def test_a_missing_tool(
    project: Project, tools: Path, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    project.tests(RING)
    for name in ("git", "tar"):
        (tools / name).symlink_to(shutil.which(name) or "")
    (tools / tool).unlink()
    monkeypatch.setenv("PATH", str(tools))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = _errors(result)
    assert tool in said
    assert "missing" in said
    assert "make setup" in said
    assert not project.report.exists()


def test_a_case_without_a_kind(project: Project) -> None:
    project.tests(HEAD + f'@program("wake")\ndef test_x(kernel_run):\n    {CHECK}\n')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = _errors(result)
    assert said.startswith("test_it.py::test_x[stock] uses a kernel but says no kind: mark it")
    assert not project.report.exists()


@pytest.mark.parametrize("kind", ['"mends"', '"measures"', ""])
def test_a_case_of_no_known_kind(project: Project, kind: str) -> None:
    project.tests(HEAD + f'@case({kind})\n@program("wake")\ndef test_x(kernel_run):\n    {CHECK}\n')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = _errors(result)
    assert "kernel_case takes one of fixes, keeps, same, changes, not" in said


# Collection


def _ids(result: pytest.RunResult) -> list[str]:
    return [line.removeprefix("test_it.py::") for line in result.stdout.lines if "::" in line]


def test_collect_only_builds_nothing_and_shows_halves_side_by_side(project: Project) -> None:
    project.tests(RING)
    result = project.run("--collect-only", "-q")
    assert result.ret == 0
    assert _ids(result) == [
        *("test_ring[stock-wake]", "test_ring[patched-wake]"),
        *("test_ring[stock-fq_codel]", "test_ring[patched-fq_codel]"),
        *("test_soak[stock]", "test_soak[patched]"),
        "test_plain",
    ]
    assert not project.report.exists()
    assert not (project.path / "cache").exists()


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        (["-k", "patched and wake"], ["test_ring[stock-wake]", "test_ring[patched-wake]"]),
        (["-k", "stock and soak"], ["test_soak[stock]", "test_soak[patched]"]),
        (["-k", "plain"], ["test_plain"]),
        (["test_it.py::test_soak[patched]"], ["test_soak[stock]", "test_soak[patched]"]),
        (
            ["test_it.py::test_ring[stock-fq_codel]"],
            ["test_ring[stock-fq_codel]", "test_ring[patched-fq_codel]"],
        ),
        (["test_it.py::test_plain"], ["test_plain"]),
        (
            ["--deselect", "test_it.py::test_soak[patched]", "-k", "soak"],
            ["test_soak[stock]", "test_soak[patched]"],
        ),
    ],
)
def test_the_other_half_is_brought_in(project: Project, args: list[str], ids: list[str]) -> None:
    project.tests(RING)
    assert _ids(project.run("--collect-only", "-q", *args)) == ids


def test_only_plain_tests_need_no_kernel(project: Project) -> None:
    project.tests(RING)
    result = project.run("-k", "plain")
    result.assert_outcomes(passed=1, deselected=6)
    assert result.ret == 0
    assert not (project.report / "verdict.json").exists()


def test_nothing_ran(project: Project) -> None:
    project.tests(RING)
    result = project.run("-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not (project.report / "verdict.json").exists()


# Verdicts


def test_all_good(project: Project) -> None:
    project.tests(RING)
    result = project.run()
    result.assert_outcomes(passed=5, xfailed=2)
    assert result.ret == 0
    assert project.words() == {
        "test_ring[wake]": "fixed",
        "test_ring[fq_codel]": "fixed",
        "test_soak": "kept",
    }
    verdict = project.verdict()
    assert verdict["good"] is True
    assert verdict["sentence"] == (
        "The series does what it claims and nothing it touches broke: 2 fixed, 1 kept."
    )
    assert verdict["qemu"] == "QEMU emulator version 7.2.0"
    assert (verdict["lane_reason"], verdict["cpus"]) == ("replayed", 2)
    assert [kernel["patches"] for kernel in verdict["kernels"]] == [
        ["0001.patch", "0002.patch", "0003.patch"],
        [],
    ]
    assert sorted(path.name for path in project.report.iterdir()) == [
        *("junit.xml", "review.md", "review.txt", "verdict.json"),
    ]
    result.stdout.fnmatch_lines(
        [
            "*= kernel series =*",
            "test       kind   stock     patched   verdict",
            "test_ring  fixes  2 failed  2 passed  2 fixed",
            "test_soak  keeps  1 passed  1 passed  1 kept",
            verdict["sentence"],
            "again:  pytest --kernel-tree=linux",
            "report: report/ (verdict.json, junit.xml, review.txt, review.md): good",
        ]
    )


def test_what_stock_said_is_in_the_verdict(project: Project) -> None:
    project.tests(RING)
    project.run("-k", "wake")
    (case,) = project.verdict()["cases"]
    stock = case["stock"]
    assert case["reason"] == "the driver drops"
    assert stock["nodeid"] == "test_it.py::test_ring[stock-wake]"
    assert stock["command"] == "wake"
    assert stock["message"].startswith("stock kernel, wake: not ok: the queue stops as the last")
    assert stock["figures"]["driver_drops"] == 104
    assert [s["status"] for s in stock["subtests"]].count("failed") == 5
    assert (stock["guest_ms"], stock["lane"]) == (700, "tcg")


def test_pytests_own_words_for_a_fixes_case(project: Project) -> None:
    project.tests(RING)
    result = project.run("-k", "wake", "-v", "-rx")
    result.stdout.fnmatch_lines(
        [
            "*test_ring?stock-wake? XFAIL*",
            "*test_ring?patched-wake? PASSED*",
            "XFAIL *test_ring?stock-wake? - fails on stock, as it must: the driver drops*",
        ]
    )


def test_unproven(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.patched", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*fails on stock, as it must: it drops*"])
    assert result.ret == 1
    assert project.words() == {"test_x": "unproven"}


def test_unfixed(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.stock", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, xfailed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "unfixed"}


def test_broken(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.patched|wake.stock", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "broken"}
    assert project.verdict()["sentence"] == "The series is not good: 1 broken."


def test_stock_fails(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.stock|wake.patched", "x", CHECK))
    assert project.run().ret == 1
    assert project.words() == {"test_x": "stock-fails"}


SAME = (
    HEAD
    + """
@case("same", reason="noqueue", figures=({}))
@program("noqueue")
def test_x(kernel_run):
    kernel_run.check()
"""
)


def test_same(project: Project) -> None:
    project.tests(SAME.format('"sent", "driver_drops"'))
    assert project.run().ret == 0
    assert project.words() == {"test_x": "kept"}


def test_same_with_a_figure_that_differs(project: Project) -> None:
    project.replay(patched={"driver_drops": 95})
    project.tests(SAME.format('"sent", "driver_drops", "tx_dropped"'))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert project.words() == {"test_x": "broken"}
    message = project.verdict()["cases"][0]["patched"]["message"].splitlines()[0]
    assert message == ("patched: must be as on stock, but driver_drops: stock 96, patched 95")


def test_same_does_not_look_at_other_figures(project: Project) -> None:
    project.replay(patched={"driver_drops": 95})
    project.tests(SAME.format('"sent",'))
    assert project.run().ret == 0


def test_same_with_a_figure_that_nobody_prints(project: Project) -> None:
    project.tests(SAME.format('"sent", "colour"'))
    assert project.run().ret == 1
    assert "colour: stock None, patched None" in (project.report / "verdict.json").read_text()


def test_same_without_figures(project: Project) -> None:
    project.tests(SAME.format(""))
    result = project.run()
    assert result.ret != 0
    assert "names no figure" in result.stdout.str()


def test_changes(project: Project) -> None:
    text = """
@case("changes", reason="a stuck reader now blocks")
@program("parity")
def test_x(kernel_image, kernel_run):
    kernel_run.check()
    if kernel_run.figures["backlog"] != (0 if kernel_image.kernel == "stock" else 40):
        kernel_run.fail("the backlog is another")
"""
    project.tests(HEAD + text)
    assert project.run().ret == 0
    assert project.words() == {"test_x": "changed"}


@pytest.mark.parametrize("splat", ["panic", "oops", "soft-lockup", "warning", "rcu-stall"])
def test_a_crash_never_satisfies_a_fixes_case(project: Project, splat: str) -> None:
    project.tests(HEAD + FIXES.format(f"{splat}|wake.patched", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    assert project.halves("test_x") == ("crashed", "passed")
    assert project.words() == {"test_x": "stock-fails"}


def test_a_hang_never_satisfies_a_fixes_case(project: Project) -> None:
    project.tests(HEAD + FIXES.format("timeout|wake.patched", "x", CHECK))
    project.run().assert_outcomes(failed=1, passed=1)
    assert project.halves("test_x") == ("crashed", "passed")
    assert "did not end after 60.0 guest seconds" in (project.report / "verdict.json").read_text()


def test_a_crash_on_patched_is_broken(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.stock|oops", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, xfailed=1)
    assert project.words() == {"test_x": "broken"}
    (case,) = project.verdict()["cases"]
    assert case["patched"]["splats"][0]["kind"] == "oops"
    assert case["patched"]["message"].startswith(
        "patched kernel, oops while running wake.stock|oops"
    )


def test_a_splat_that_stock_has_too_does_not_count(project: Project) -> None:
    text = KEEPS.format("warning", "x", CHECK) + KEEPS.format("wake.patched|warning", "y", CHECK)
    project.tests(HEAD + text + KEEPS.format("wake.patched|rcu-stall", "z", CHECK))
    assert project.run().ret == 1
    assert project.halves("test_x") == ("crashed", "passed")
    assert project.halves("test_y") == ("passed", "passed")
    assert project.halves("test_z") == ("passed", "crashed")


@pytest.mark.parametrize("trouble", ["usage", "cut-off"])
@pytest.mark.parametrize("half", ["stock", "patched"])
def test_infra_is_an_error_and_no_failure(project: Project, trouble: str, half: str) -> None:
    bad = f"{trouble}.patched"
    both = f"{bad}|wake.patched" if half == "stock" else f"wake.stock|{bad}"
    project.tests(HEAD + FIXES.format(both, "x", CHECK))
    result = project.run()
    if half == "stock":
        result.assert_outcomes(errors=1, passed=1)
    else:
        result.assert_outcomes(errors=1, xfailed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "infra"}
    verdict = project.verdict()
    assert (verdict["infra_only"], verdict["good"]) == (True, False)
    result.stdout.fnmatch_lines(["report: *: infra: the machinery failed, not the series"])


def test_a_test_that_never_checks_shows_nothing(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.patched", "x", "pass"))
    result = project.run()
    assert result.ret == 1
    assert project.words() == {"test_x": "infra"}
    assert "never called kernel_run.check()" in result.stdout.str()


def test_a_test_that_names_no_program(project: Project) -> None:
    project.tests(HEAD + '@case("keeps")\ndef test_x(kernel_run):\n    kernel_run.check()\n')
    result = project.run()
    assert result.ret == 1
    assert "no @pytest.mark.kernel_program(NAME ARGS ...)" in result.stdout.str()


def test_a_test_may_use_the_guest_itself(project: Project) -> None:
    text = """
@case("keeps", reason="as it was")
def test_x(kernel_guest, kernel_tree, kernel_series):
    assert kernel_guest.run(["wake.patched"], 1000).ended.number == 0
    assert len(kernel_series.patches) == 3
    assert kernel_tree.name.endswith("(6.12.99)")
"""
    project.tests(HEAD + text)
    assert project.run().ret == 0
    assert project.words() == {"test_x": "kept"}


def test_a_conftest_may_override_a_fixture(project: Project) -> None:
    conftest = CONFTEST.format(changes="") + (
        "\n@pytest.fixture\ndef kernel_guest(kernel_guest):\n"
        "    kernel_guest.changes = {'patched': {'sent': 1}}\n    return kernel_guest\n"
    )
    project.pytester.makeconftest(conftest)
    project.tests(SAME.format('"sent",'))
    assert project.run().ret == 1
    assert project.words() == {"test_x": "broken"}


COST = (
    HEAD
    + """
@pytest.mark.throughput("cost", max_increase=0.25, reason="it waits")
@program("{}", variations=("one", "two", "three"))
def test_cost(kernel_run):
    kernel_run.check()
"""
)


@pytest.mark.parametrize(
    ("patched", "word", "ret"), [(110, "ok", 0), (130, "regressed", 1), (60, "improved", 0)]
)
def test_a_measurement(project: Project, patched: int, word: str, ret: int) -> None:
    project.replay(stock={"first_wake": 100}, patched={"first_wake": patched})
    project.tests(COST.replace('"cost"', '"first_wake"').format("wake.patched"))
    assert project.run().ret == ret
    assert project.words() == {"test_cost": word}
    (case,) = project.verdict()["cases"]
    assert case["stock"]["samples"] == [100.0] * 3
    assert case["patched"]["samples"] == [float(patched)] * 3
    assert case["comparison"]["ratio"] == pytest.approx(patched / 100)
    assert case["patched"]["lane"] == "exact"


def test_a_crash_ends_a_batch_and_not_the_measurements_after_it(project: Project) -> None:
    text = COST.replace('"cost"', '"first_wake"').format("wake.patched|oops")
    more = text.removeprefix(HEAD).replace("wake.patched|oops", "wake.patched")
    project.tests(text + more.replace("test_cost", "test_more"))
    result = project.run()
    result.assert_outcomes(passed=3, failed=1)
    assert project.words() == {"test_cost": "broken", "test_more": "ok"}
    logs = [case["patched"]["console"].rpartition("/")[2] for case in project.verdict()["cases"]]
    assert len(set(logs)) == 2


@pytest.mark.parametrize("program", ["wake.patched", "oops|wake.patched"])
def test_both_kernels_are_measured_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    calls = []

    class Noted(fakes.Replay):
        def start_batch(self, plan: Mapping[str, Sequence[Sequence[str]]]) -> None:
            calls.append(f"{self.image.kernel} starts")
            super().start_batch(plan)

        def close(self) -> None:
            if self.lane is Lane.EXACT:
                calls.append(f"{self.image.kernel} ends")
            super().close()

    monkeypatch.setattr(fakes, "Replay", Noted)
    project.tests(COST.replace('"cost"', '"first_wake"').format(program))
    # A crash of stock's leaves nobody to ask for patched's.
    project.run("-x")
    assert calls == ["stock starts", "patched starts", "stock ends", "patched ends"]


def test_a_series_that_does_not_boot(project: Project) -> None:
    project.replay(patched={"dead": 1})
    project.tests(RING)
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes()
    (finding,) = project.verdict()["findings"]
    assert finding["kind"] == "DoesNotBoot"
    assert finding["message"].startswith("the series does not boot: patched kernel: panic while")
    assert project.verdict()["infra_only"] is False


def test_a_stock_kernel_that_does_not_boot_is_infra(project: Project) -> None:
    project.replay(stock={"dead": 1})
    project.tests(RING)
    assert project.run().ret == 1
    (finding,) = project.verdict()["findings"]
    assert finding["kind"] == "infra"
    assert finding["message"].startswith("the stock kernel does not boot: ")
    assert project.verdict()["infra_only"] is True


# Findings on the series, exit statuses, other options of pytest


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
    _infra_free(result)


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
    "how", ["raise KeyboardInterrupt", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)"]
)
def test_interrupted(project: Project, how: str) -> None:
    text = KEEPS.format("wake.patched", "x", CHECK) + f"def test_y():\n    {how}\n"
    project.tests("import os, signal, time\n" + HEAD + text)
    result = project.run(no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    verdict = project.verdict()
    assert (verdict["interrupted"], verdict["good"], verdict["infra_only"]) == (True, False, False)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


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
    _infra_free(result)


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
