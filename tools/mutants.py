"""Judge every mutant of the bundled series: the series with one known bug must not come out good.

Usage: mutants.py TREE [PYTEST OPTION ...]

Each patches/mutants/NAME.patch is put on top of the series in a folder of its own, and the
tests of the series run on it as on any other: those of its line "# Tests:" where it has one, with
the --kernel-config of its line "# Config:". A mutant that comes out good has survived.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return 1 when a mutant survives or could not be judged."""
    tree, *options = sys.argv[1:]
    survivors = 0
    for mutant in sorted((TOP / "patches/mutants").glob("*.patch")):
        began = time.monotonic()
        word, killers = _judge(mutant, tree, options)
        survivors += word != "killed"
        print(f"{word:8} {mutant.stem:28} {time.monotonic() - began:5.0f} s  {killers}", flush=True)
    return int(survivors > 0)


def _judge(mutant: Path, tree: str, options: list[str]) -> tuple[str, str]:
    """Run the tests on one mutant: (killed, survived or broken; by which tests)."""
    with tempfile.TemporaryDirectory(prefix="kseries-mutant-") as folder:
        series = Path(folder) / "patches"
        shutil.copytree(
            TOP / "patches", series, ignore=shutil.ignore_patterns("mutants", "designs")
        )
        shutil.copy(mutant, series)
        with (series / "series").open("a") as order:
            order.write(f"{mutant.name}\n")
        report = TOP / "report/mutants" / mutant.stem
        header = dict(re.findall(r"^# (\w+): (.*)$", mutant.read_text(), re.M))
        command = [sys.executable, "-m", "pytest", f"--kernel-tree={tree}"]
        command += shlex.split(header.get("Tests", "tests/series"))
        if "Config" in header:
            command += [f"--kernel-config={header['Config']}"]
        command += [f"--kernel-series={series}", f"--kernel-report={report}", *options]
        log = report.with_suffix(".log")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as out:
            status = subprocess.run(command, cwd=TOP, stdout=out, stderr=out).returncode
        try:
            verdict = json.loads((report / "verdict.json").read_text())
        except OSError:
            return "broken", f"exit status {status}, no verdict: {log}"
    if verdict["good"]:
        return "SURVIVED", f"see {log}"
    found = {finding["kind"] for finding in verdict["findings"]}
    if verdict["infra_only"] or found - {"leak"}:
        return "broken", verdict["sentence"]
    tests = {"a look for leaks": 1} if found else {}
    for case in verdict["cases"]:
        if case["verdict"] in ("broken", "unfixed", "regressed"):
            name = case["name"].rpartition("::")[2].partition("[")[0]
            tests[name] = tests.get(name, 0) + 1
    return "killed", ", ".join(f"{name} ({count})" for name, count in tests.items())


if __name__ == "__main__":
    sys.exit(main())
