"""Runs the tests of the series on some other series, and reads the verdict. For the other tools."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

TOP = Path(__file__).resolve().parent.parent
PATCHES = TOP / "patches"
RED = ("broken", "unfixed", "regressed")


class NotJudged(Exception):
    """A run came to no verdict, or to none about the series."""


@contextmanager
def on_top(patch: Path) -> Iterator[Path]:
    """Give a folder with the bundled series and one patch more."""
    with tempfile.TemporaryDirectory(prefix="kseries-on-top-") as folder:
        series = Path(folder) / "patches"
        others = shutil.ignore_patterns("mutants", "designs", "trials")
        shutil.copytree(PATCHES, series, ignore=others)
        shutil.copy(patch, series)
        with (series / "series").open("a") as order:
            order.write(f"{patch.name}\n")
        yield series


def judge(series: Path, tree: str, report: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """Run pytest with `arguments` on `series`; return its verdict.json. Its output is REPORT.log.

    Raises NotJudged when there is no verdict.
    """
    command = [sys.executable, "-m", "pytest", f"--kernel-tree={tree}"]
    command += [f"--kernel-series={series}", f"--kernel-report={report}", *arguments]
    log = report.with_suffix(".log")
    # A verdict of an earlier run must not stand for one that came to none.
    shutil.rmtree(report, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        status = run(command, out)
    try:
        verdict: dict[str, Any] = json.loads((report / "verdict.json").read_text())
    except OSError:
        raise NotJudged(f"exit status {status}, no verdict: {log}") from None
    return verdict


def run(command: Sequence[str], out: TextIO) -> int:
    """Run a command to its end; return its exit status.

    ctrl-C and SIGTERM reach it as SIGTERM, once, and end the tool when it has ended:
    subprocess.run() would kill it after a quarter of a second, and its guests would stay.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, cwd=TOP, stdout=out, stderr=out, start_new_session=True)
        try:
            return process.wait()
        except KeyboardInterrupt:
            print("interrupted: its guests are ended first", file=sys.stderr, flush=True)
            process.terminate()
            process.wait()
            raise SystemExit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def red(verdict: dict[str, Any]) -> list[str]:
    """Return what is bad for the series, without its folder: file::test[case].

    These are cases, and tests that need no kernel.
    """
    names = [case["name"] for case in verdict["cases"] if case["verdict"] in RED]
    plain = [f["message"] for f in verdict["findings"] if f["kind"] == "test"]
    names += [message.partition(" failed: ")[0] for message in plain]
    return [name.rpartition("/")[2] for name in names]
