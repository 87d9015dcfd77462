"""Judge the mutants of the bundled series: each is the series with one known bug.

Usage: mutants.py TREE [--only NAME ...] [--whole] [PYTEST OPTION ...]

Each patches/mutants/NAME.patch is put on top of the series in a folder of its own, and the tests
that its header names (or with --whole all tests of the series) run on it as on any other series.
A mutant that comes out good has survived.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tools.judge import PATCHES, TOP, NotJudged, judge, on_top, red


@dataclass(frozen=True)
class Mutant:
    """What the `# Key: value` lines at the top of a mutant say."""

    path: Path
    points: tuple[int, ...]  # of the list of requirements, which patches/README.md answers
    tests: tuple[str, ...]  # pytest arguments: what must turn red
    config: str | None  # a kernel config by name, where only such a kernel can tell

    @property
    def name(self) -> str:
        """The file's name, without its suffix."""
        return self.path.stem


def read(path: Path) -> Mutant:
    """Read the header of a mutant; ValueError when it does not say what it must."""
    lines = path.read_text().splitlines()
    said = {m[1]: m[2] for line in lines if (m := re.match(r"# (\w+): +(\S.*)", line))}
    if said.get("Mutant") != path.stem or not {"Point", "Tests"} <= said.keys():
        raise ValueError(
            f"{path}: needs '# Mutant: {path.stem}', '# Point: N' (or none) and '# Tests: …'"
        )
    points = tuple(int(number) for number in said["Point"].split(",") if number != "none")
    return Mutant(path, points, tuple(shlex.split(said["Tests"])), said.get("Config"))


def read_all() -> list[Mutant]:
    """Return all mutants, by name."""
    return [read(path) for path in sorted((PATCHES / "mutants").glob("*.patch"))]


def main() -> int:
    """Return 1 when a mutant survives or could not be judged."""
    parser = argparse.ArgumentParser(description="Judge the mutants of the bundled series.")
    parser.add_argument("tree")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants, not all")
    parser.add_argument("--whole", action="store_true", help="all tests, not the named ones")
    args, options = parser.parse_known_args()
    mutants = read_all()
    if args.only:
        unknown = set(args.only) - {mutant.name for mutant in mutants}
        if unknown:
            parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
        mutants = [mutant for mutant in mutants if mutant.name in args.only]
    survivors = 0
    for mutant in mutants:
        began = time.monotonic()
        word, killers = _judge(mutant, args.tree, args.whole, options)
        survivors += word != "killed"
        print(f"{word:8} {mutant.name:28} {time.monotonic() - began:5.0f} s  {killers}", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants killed")
    return int(survivors > 0)


def _judge(mutant: Mutant, tree: str, whole: bool, options: list[str]) -> tuple[str, str]:
    """Run tests on one mutant: (killed, SURVIVED or broken; by which tests)."""
    with on_top(mutant.path) as series:
        report = TOP / "report/mutants" / mutant.name
        arguments = ["tests/series"] if whole else [*mutant.tests]
        arguments += options
        arguments += [f"--kernel-config={mutant.config}"] if mutant.config else []
        try:
            verdict = judge(series, tree, report, arguments)
        except NotJudged as error:
            return "broken", str(error)
    if verdict["good"]:
        return "SURVIVED", f"see {report.with_suffix('.log')}"
    tests = Counter(case.rpartition("::")[2].partition("[")[0] for case in red(verdict))
    if not tests:
        return "broken", verdict["sentence"]
    return "killed", ", ".join(f"{name} ({count})" for name, count in tests.items())


if __name__ == "__main__":
    sys.exit(main())
