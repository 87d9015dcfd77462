"""A project of a user, and pytest on it, with guests that replay recorded output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .fakes import make_series, make_tree

ROOT = Path(__file__).resolve().parents[2]
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


def errors(result: pytest.RunResult) -> list[str]:
    """Return what was said to be an error, a line each."""
    lines = result.stderr.lines + result.stdout.lines
    return [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]


def infra_free(result: pytest.RunResult) -> None:
    """Fail if it ended with a trace of its own rather than with a message."""
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stderr.str()
