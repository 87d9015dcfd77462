"""Try the measuring itself: does it find what is there, and nothing where there is nothing?

Usage: trials.py TREE [--same N] [--slower N] [--dearer] [PYTEST OPTION ...]

In the wall lane N comparisons of stock with a kernel that is the same (patches/trials/same), then N
with one whose reader is 10 % slower (patches/trials/slower), both held to 5 %. Comparisons of a
session share its boots; each session draws another order of them.

With --dearer alone, in the exact lane: the bundled series, then the same with some twenty
instructions more for each frame (patches/trials/dearer.patch), which --kernel-baseline has to find
and to name.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kseries.baseline import LEAST_NET

from tests.throughput.trials import TRIALS
from tools.judge import PATCHES, TOP, NotJudged, judge, on_top

# What is asked of them, as parts of all comparisons: a difference that is not there in so few,
# one that is there in so many.
FALSE_MOST, FOUND_LEAST = 3 / 40, 8 / 10
# Where the instructions were added, and what measures them.
DEARER, MEASURES = "tun_net_xmit", "tests/series/test_throughput.py"


def main() -> int:
    """Return 1 where too many differences are found, or too few, or one of 10 % is called ok.

    With --dearer, where a measurement does not find the instructions that were added.
    """
    parser = argparse.ArgumentParser(
        description="Try measuring on kernels of which the difference is known."
    )
    parser.add_argument("tree")
    parser.add_argument("--same", type=int, default=40, help="comparisons without a difference")
    parser.add_argument("--slower", type=int, default=10, help="comparisons with 10 %% less")
    parser.add_argument(
        "--dearer", action="store_true", help="only the exact lane, on a series that is dearer"
    )
    given, options = parser.parse_known_args()
    try:
        if given.dearer:
            return int(not _dearer_is_found(given.tree, options))
        same = _trials("same", given.same, given.tree, options)
        slower = _trials("slower", given.slower, given.tree, options)
    except NotJudged as error:
        print(f"not judged: {error}", flush=True)
        return 1
    print(f"the same:    {_said(same)}", flush=True)
    print(f"10 % slower: {_said(slower)}", flush=True)
    different = sum(map(_differs, same))
    found = sum(one["word"] == "regressed" for one in slower)
    missed = sum(one["word"] == "ok" for one in slower)
    few, enough = FALSE_MOST * len(same), FOUND_LEAST * len(slower)
    return int(different > few or found < enough or missed > 0)


def _dearer_is_found(tree: str, options: list[str]) -> bool:
    """Whether each measurement says that the dearer series regressed, and where."""
    bundled, dearer = _new("bundled"), _new("dearer")
    judge(PATCHES, tree, bundled, [MEASURES, *options])
    baseline = f"--kernel-baseline={bundled / 'verdict.json'}"
    with on_top(PATCHES / "trials/dearer.patch") as series:
        verdict = judge(series, tree, dearer, [MEASURES, baseline, *options])
    found = []
    for case in verdict["cases"]:
        against = case["against"]
        if against is None:
            raise NotJudged(f"{case['name']}: not compared, see {dearer}.log")
        names = {cost["name"]: cost["after"] - cost["before"] for cost in against["functions"]}
        said = ", ".join(f"{name} {change:+.1f}" for name, change in names.items())
        print(f"{case['name'].rpartition('::')[2]}: {against['word']}, {said}", flush=True)
        found.append(against["word"] == "regressed" and names.get(DEARER, 0) > LEAST_NET)
    print(f"dearer: found and named in {sum(found)} of {len(found)}", flush=True)
    return bool(found) and all(found)


def _differs(found: dict[str, Any]) -> bool:
    """Whether the interval says that the two differ, however little."""
    return not found["low"] <= 1 <= found["high"]


def _trials(kind: str, wanted: int, tree: str, options: list[str]) -> list[dict[str, Any]]:
    """Return the comparisons of as many sessions as it takes; each has TRIALS."""
    comparisons = []
    for _ in range(-(-wanted // TRIALS)):
        began = time.monotonic()
        report = _new(kind)
        arguments = ["tests/throughput/trials.py", *options]
        verdict = judge(PATCHES / "trials" / kind, tree, report, arguments)
        if verdict["findings"] or len(verdict["cases"]) < TRIALS:
            raise NotJudged(f"{verdict['sentence']} See {report}.log")
        for case in verdict["cases"]:
            found = case["comparison"]
            if found is None:
                raise NotJudged(f"{case['name']}: {case['verdict']}, see {report}.log")
            comparisons.append(found)
            print(
                f"{report.name}: {found['word']} {found['ratio']:.3f}"
                f" [{found['low']:.3f}, {found['high']:.3f}], {found['pairs']} pairs",
                flush=True,
            )
        print(f"{report.name}: {time.monotonic() - began:.0f} s", flush=True)
    return comparisons


def _new(kind: str) -> Path:
    """Return where the next session's report goes; those of earlier calls stay as they are."""
    reports = (TOP / "report/trials" / f"{kind}-{number}" for number in itertools.count())
    return next(report for report in reports if not report.exists())


def _said(comparisons: list[dict[str, Any]]) -> str:
    words = Counter(found["word"] for found in comparisons).most_common()
    if not words:
        return "not tried"
    said = ", ".join(f"{count} {word}" for word, count in words)
    return f"{said}; {sum(map(_differs, comparisons))} of the intervals are without 1"


if __name__ == "__main__":
    sys.exit(main())
