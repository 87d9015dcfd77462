"""Judge the designs that patches/designs/ re-implements: each fault must be named by a red case.

Usage: designs.py TREE [PYTEST OPTION ...]

patches/designs/NAME is a series of its own. Its file `faults` says what is wrong with it: a line
for each fault, with a word that names it, what the node ids of the cases that show it have in them
(parts with commas between), and pytest options if those cases need a run of their own, such as
another kernel config.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.judge import PATCHES, TOP, NotJudged, judge, red


@dataclass(frozen=True)
class Fault:
    """A fault, what the node ids of the cases that show it contain, and the run they need."""

    name: str
    parts: tuple[str, ...]
    options: tuple[str, ...]

    def shown_by(self, case: str) -> bool:
        """Tell whether a red case of this name shows the fault."""
        return all(part in case for part in self.parts)


def main() -> int:
    """Return 1 when a fault shows in no case, or when a design could not be judged."""
    tree, *options = sys.argv[1:]
    missed = 0
    for design in sorted(path.parent for path in (PATCHES / "designs").glob("*/faults")):
        print(f"{design.name}:", flush=True)
        missed += _judge(design, tree, options)
    return int(missed > 0)


def _judge(design: Path, tree: str, options: list[str]) -> int:
    """Run what the faults of a design need, print what names each; return how many nothing does."""
    faults = _faults(design / "faults")
    missed = 0
    explained: set[str] = set()
    bad: set[str] = set()
    for number, extra in enumerate(dict.fromkeys(fault.options for fault in faults)):
        report = TOP / "report/designs" / f"{design.name}-{number}"
        here = [fault for fault in faults if fault.options == extra]
        try:
            sentence, found = _run(design, tree, report, [*options, *extra])
        except NotJudged as error:
            print(f"  not judged: {error}", flush=True)
            missed += len(here)
            continue
        print(f"  {shlex.join(extra) or 'all tests'}: {sentence}", flush=True)
        bad.update(found)
        for fault in here:
            named = [case for case in found if fault.shown_by(case)]
            explained.update(named)
            missed += not named
            what = f"{len(named):3} cases, such as {named[0]}" if named else "none"
            print(f"  {'named ' if named else 'MISSED'} {fault.name:24} {what}", flush=True)
    for case in sorted(bad - explained):
        print(f"  also red: {case}", flush=True)
    return missed


def _faults(path: Path) -> list[Fault]:
    lines = (line.partition("#")[0].split(None, 2) for line in path.read_text().splitlines())
    return [
        Fault(
            words[0],
            tuple(words[1].split(",")),
            tuple(shlex.split(words[2])) if len(words) > 2 else (),
        )
        for words in lines
        if words
    ]


def _run(design: Path, tree: str, report: Path, options: list[str]) -> tuple[str, list[str]]:
    """Run the tests on a design: the verdict's sentence, and the names of the red cases."""
    verdict = judge(design, tree, report, ["tests/series", *options])
    if verdict["infra_only"] or verdict["findings"]:
        raise NotJudged(verdict["sentence"])
    return verdict["sentence"], red(verdict)


if __name__ == "__main__":
    sys.exit(main())
