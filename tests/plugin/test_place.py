"""Emulated CPUs get CPUs of the host: tried on a QEMU that only waits."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kseries import place
from kseries.lane import QEMU, Lane, qemu_arguments

ALLOWED = sorted(os.sched_getaffinity(0))


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "pid"
    line = [QEMU, *qemu_arguments(Lane.TCG), "-name", "debug-threads=on", "-smp", "2", "-S"]
    line += ["-nodefaults", "-display", "none", "-pidfile", str(file)]
    qemu = subprocess.Popen(line, stdin=subprocess.DEVNULL)
    try:
        yield file
    finally:
        qemu.kill()
        qemu.wait()


def placed(pid_file: Path, pin: int, cpus: int) -> dict[str, set[int]]:
    """Wait until all CPUs have their places; return each thread's."""
    end = time.monotonic() + 20
    while not place.side_by_side(pid_file, pin, cpus):
        assert time.monotonic() < end
        time.sleep(0.01)
    tasks = Path(f"/proc/{int(pid_file.read_text())}/task")
    return {
        (t / "comm").read_text()[:5]: os.sched_getaffinity(int(t.name)) for t in tasks.iterdir()
    }


@pytest.mark.skipif(len(ALLOWED) < 2, reason="the host has one CPU")
@pytest.mark.parametrize("pin", [0, 1, 12345])
def test_each_cpu_has_its_own(pid_file: Path, pin: int) -> None:
    threads = placed(pid_file, pin, 2)
    assert threads.pop("CPU 0") == {ALLOWED[pin % len(ALLOWED)]}
    assert threads.pop("CPU 1") == {ALLOWED[(pin + 1) % len(ALLOWED)]}
    assert all(cpus == set(ALLOWED) for cpus in threads.values())


def test_more_cpus_than_the_host_has_stay_where_they_are(pid_file: Path) -> None:
    while not pid_file.exists():
        time.sleep(0.01)
    threads = placed(pid_file, 0, len(ALLOWED) + 1)
    assert all(cpus == set(ALLOWED) for cpus in threads.values())


def test_a_qemu_that_is_not_there_yet_or_has_ended(tmp_path: Path) -> None:
    assert not place.side_by_side(tmp_path / "pid", 0, 1)
    (tmp_path / "pid").write_text("")
    assert not place.side_by_side(tmp_path / "pid", 0, 1)
    (tmp_path / "pid").write_text(str(1 << 22))  # above pid_max
    assert not place.side_by_side(tmp_path / "pid", 0, 1)
