"""The tools run pytest as a program of its own, and end it as they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.judge import TOP

# A stand-in for pytest that, like the plugin, takes its time to end its guests.
SLOW = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)
folder = pathlib.Path(sys.argv[1])
try:
    (folder / "began").touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    (folder / "ended").touch()
"""
TOOL = """
import pathlib, sys
from tools import judge
folder = pathlib.Path(sys.argv[1])
with (folder / "log").open("w") as log:
    judge.run([sys.executable, str(folder / "slow.py"), str(folder)], log)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    # A group of its own, as from a terminal; what a shell runs beside itself would ignore SIGINT.
    tool = subprocess.Popen(
        [sys.executable, "-c", TOOL, str(tmp_path)],
        cwd=TOP,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "began").exists():
        assert tool.poll() is None
        time.sleep(0.01)
    os.killpg(tool.pid, number)
    said = tool.communicate(timeout=30)[1]
    assert (tmp_path / "ended").exists()
    assert said == "interrupted: its guests are ended first\n"
    assert tool.returncode == 130
