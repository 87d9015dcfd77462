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


def booted(pid_file: Path) -> None:
    """Wait until the threads of both CPUs are there."""
    end = time.monotonic() + 20
    while sum(name.startswith("CPU ") for name in threads(pid_file)) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)


def threads(pid_file: Path) -> dict[str, set[int]]:
    """Return the CPUs that each thread may use."""
    if not pid_file.exists() or not pid_file.read_text():
        return {}
    tasks = Path(f"/proc/{int(pid_file.read_text())}/task")
    return {
        (t / "comm").read_text()[:5]: os.sched_getaffinity(int(t.name)) for t in tasks.iterdir()
    }


def free(pid_file: Path) -> bool:
    return all(cpus == set(ALLOWED) for cpus in threads(pid_file).values())


@pytest.mark.skipif(len(ALLOWED) < 2, reason="the host has one CPU")
@pytest.mark.parametrize("pin", [0, 1, 12345])
def test_each_cpu_has_its_own(pid_file: Path, pin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    booted(pid_file)
    assert place.side_by_side(pid_file, pin, 2)
    found = threads(pid_file)
    assert found.pop("CPU 0") == {ALLOWED[pin % len(ALLOWED)]}
    assert found.pop("CPU 1") == {ALLOWED[(pin + 1) % len(ALLOWED)]}
    assert all(cpus == set(ALLOWED) for cpus in found.values())
    place.anywhere(pid_file)
    assert free(pid_file)


def test_not_more_than_the_host_has(pid_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "1")
    booted(pid_file)
    assert not place.side_by_side(pid_file, 0, len(ALLOWED) + 1)
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(len(ALLOWED)))
    assert not place.side_by_side(pid_file, 0, 2)
    assert free(pid_file)


def test_a_qemu_that_is_not_there_yet_or_has_ended(tmp_path: Path) -> None:
    for said in ("", "no number", str(1 << 22)):  # the last is above pid_max
        assert not place.side_by_side(tmp_path / "pid", 0, 1)
        place.anywhere(tmp_path / "pid")
        (tmp_path / "pid").write_text(said)
    assert not place.side_by_side(tmp_path / "pid", 0, 1)
