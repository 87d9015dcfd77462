"""Options, marks and tools that are wrong or missing: one message, the status of bad usage."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .projects import CHECK, HEAD, KEEPS, RING, Project, errors, infra_free

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
    said = errors(result) if name != "lane" else [result.stderr.str().replace("\n", " ")]
    assert len(said) == 1
    assert re.match(expected, said[0])
    infra_free(result)
    assert not project.report.exists()


def test_no_series_at_all(project: Project) -> None:
    project.tests(RING)
    shutil.rmtree(project.path / "patches")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert errors(result) == [
        f"no series: --kernel-series=DIR|MBOX|A..B, or a patches/ folder in {project.path}"
    ]


def test_a_bad_lane_in_the_ini_file(project: Project) -> None:
    project.tests(RING)
    project.pytester.makeini("[pytest]\nkseries_lane = warp\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert errors(result) == ["kseries_lane=warp: no such lane; one of auto, kvm, tcg, exact"]


def test_real_time_where_kvm_does_not_work(project: Project) -> None:
    project.tests(RING)
    result = project.run("--kernel-wall=kvm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert errors(result) == ["--kernel-wall=kvm: replayed"]


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "three"])
def test_minutes_of_real_time(project: Project, minutes: str) -> None:
    project.tests(RING)
    result = project.run(f"--kernel-wall-minutes={minutes}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert errors(result) == [f"--kernel-wall-minutes={minutes}: a number above 0"]
    project.pytester.makeini(f"[pytest]\nkseries_wall_minutes = {minutes}\n")
    assert errors(project.run()) == [f"kseries_wall_minutes={minutes}: a number above 0"]


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_that_is_none(project: Project, seed: str) -> None:
    project.tests(RING)
    result = project.run(f"--kernel-wall-seed={seed}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert errors(result) == [f"--kernel-wall-seed={seed}: a whole number"]


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
    (said,) = errors(result)
    assert tool in said
    assert "missing" in said
    assert "make setup" in said
    assert not project.report.exists()


def test_a_case_without_a_kind(project: Project) -> None:
    project.tests(HEAD + f'@program("wake")\ndef test_x(kernel_run):\n    {CHECK}\n')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = errors(result)
    assert said.startswith("test_it.py::test_x[stock] uses a kernel but says no kind: mark it")
    assert not project.report.exists()


@pytest.mark.parametrize("kind", ['"mends"', '"measures"'])
def test_a_case_of_no_known_kind(project: Project, kind: str) -> None:
    project.tests(HEAD + f'@case({kind})\n@program("wake")\ndef test_x(kernel_run):\n    {CHECK}\n')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = errors(result)
    assert "kernel_case takes one of fixes, keeps, same, changes, not" in said


BAD_MARKS = {
    "kernel_case()": "missing 1 required positional argument: 'kind'",
    'kernel_case("keeps", why="as it was")': "unexpected keyword argument 'why'",
    "kernel_program(deadline_s=5)": "it names no program",
    'kernel_program("wake", deadline_s="long")': "could not convert string to float: 'long'",
    'kernel_program("wake", deadline_s=0)': "deadline_s=0: a number of seconds above 0",
    'kernel_program("wake", deadline_s=float("inf"))': "deadline_s=inf: a number of seconds",
    'throughput("cost", 0.1)': "takes from 0 to 1 positional arguments but 2 were given",
    'throughput("cost", max_growth=0.1)': "unexpected keyword argument 'max_growth'",
}


@pytest.mark.parametrize("mark", BAD_MARKS)
def test_a_mark_with_other_arguments_than_it_takes(project: Project, mark: str) -> None:
    kind = "" if "_case" in mark or "throughput" in mark else '@case("keeps")\n'
    project.tests(HEAD + f"{kind}@pytest.mark.{mark}\ndef test_x(kernel_run):\n    {CHECK}\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = errors(result)
    name = mark.partition("(")[0]
    assert said.startswith(f"test_it.py::test_x[stock]: @pytest.mark.{name}: ")
    assert BAD_MARKS[mark] in said
    assert "; it takes (" in said
    assert not project.report.exists()


@pytest.mark.parametrize(
    "arguments",
    ['"keeps", reason="as it was"', '"keeps", "as it was"', 'kind="keeps", reason="as it was"'],
)
def test_a_mark_takes_its_arguments_as_a_function_does(project: Project, arguments: str) -> None:
    text = f'@case({arguments})\n@program("wake.patched")\ndef test_x(kernel_run):\n    {CHECK}\n'
    project.tests(HEAD + text)
    assert project.run().ret == 0
    (case,) = project.verdict()["cases"]
    assert (case["kind"], case["reason"], case["verdict"]) == ("keeps", "as it was", "kept")


def test_a_program_of_a_parameter_that_the_test_has_not(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake {nope}", "x", CHECK))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "kernel_program wants {nope}, no parameter" in result.stderr.str()
    assert not project.report.exists()


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/none/report"])
def test_a_report_that_cannot_be_written(project: Project, name: str) -> None:
    project.tests(RING)
    (project.path / "file").write_text("mine")
    result = project.run(f"--kernel-report={name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (said,) = errors(result)
    assert said.startswith("--kernel-report=")
    assert "cannot be written" in said
    assert (project.path / "file").read_text() == "mine"


def test_a_report_that_is_not_whole(project: Project) -> None:
    project.tests(RING)
    (project.report / "junit.xml").mkdir(parents=True)
    result = project.run()
    infra_free(result)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["test_ring *", "the report in */report is not whole: *junit.xml*"])


def test_a_run_that_comes_to_no_verdict_leaves_none(project: Project) -> None:
    project.tests(RING)
    project.run()
    assert project.verdict()["good"]
    conftest = (project.path / "conftest.py").read_text()
    project.pytester.makeconftest(
        conftest + "\ndef pytest_runtest_setup(item):\n    raise pytest.UsageError('no')\n"
        "\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol():\n    raise OSError\n"
    )
    assert project.run().ret == pytest.ExitCode.INTERNAL_ERROR
    assert not (project.report / "verdict.json").exists()
