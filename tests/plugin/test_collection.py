"""Which halves are collected, in which order, and without building anything."""

from __future__ import annotations

import pytest

from .projects import RING, Project


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


def test_the_patches_can_be_asked_for_without_the_tree(project: Project) -> None:
    project.tests(
        """
        from kseries.session import KEY

        def pytest_generate_tests(metafunc):
            series = metafunc.config.stash[KEY].series
            metafunc.parametrize("prefix", series.changing(["drivers/net/ring.c"]))

        def test_prefix(kernel_series, prefix):
            pass
        """
    )
    result = project.run("--collect-only", "-q", tree="nowhere")
    assert _ids(result) == ["test_prefix[1]", "test_prefix[3]"]


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
