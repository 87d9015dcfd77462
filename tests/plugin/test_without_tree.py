"""Without a kernel tree: what needs one is left out, and what is the user's own is left alone."""

from __future__ import annotations

import pytest
from kseries.session import KernelSession

from .projects import RING, Project


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
    assert not project.verdict()["good"]


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
