"""Whether the machine stood still; what comes of it is in test_guest.py and test_outcomes.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kseries import stillness
from kseries.stillness import Threads, Watch, now

from .fakes import write_files

# As Linux 6.18 says them of a thread that runs: its name may hold anything.
STAT = "31401 (CPU 0) TCG) {} 31381 31379 31379 34818 31379 1077936192 109438 0 0 0 9817 412 0 0\n"


def test_the_longest_since_then() -> None:
    watch = Watch()
    start = now()
    assert watch.since(start) == 0
    watch.stood(3.0)
    watch.stood(21.0)
    assert watch.since(start) == 21.0
    assert watch.since(now()) == 0
    watch.stood(2.5)
    assert watch.since(start) == 21.0


def test_a_watch_begins_where_a_wait_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stillness, "LONG_S", 0.1)
    watch, start = Watch(), now()
    time.sleep(0.2)
    watch.begin()
    assert not watch.look()
    assert watch.since(start) == 0
    time.sleep(0.2)
    assert watch.look()
    assert watch.since(start) == pytest.approx(0.2, abs=0.1)


class Time:
    """A thread as /proc tells it, and a clock that goes on by what it is told."""

    def __init__(self, task: Path) -> None:
        self.task = task
        self.at = 100.0
        self.says("S", 1000, 1)

    def says(self, state: str, ran_ns: int, times: int) -> None:
        write_files(self.task, {"stat": STAT.format(state), "schedstat": f"{ran_ns} 523 {times}\n"})

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time(tmp_path / "task")
    monkeypatch.setattr(stillness, "now", clock)
    return clock


def _looks(threads: Threads, clock: Time, seconds: float) -> list[float]:
    """Look every half a second."""
    found = []
    for _ in range(int(seconds * 2)):
        clock.at += 0.5
        found.append(threads.look())
    return found


def test_a_thread_that_is_ready_and_does_not_run(clock: Time) -> None:
    threads = Threads([clock.task])
    assert _looks(threads, clock, 3) == [0] * 6  # it sleeps
    clock.says("R", 1000, 1)
    assert _looks(threads, clock, 2) == [0, 0.5, 1.0, 1.5]
    clock.says("R", 2000, 2)  # it runs at last
    assert _looks(threads, clock, 1) == [0, 0.5]
    clock.says("S", 2000, 2)
    assert _looks(threads, clock, 1) == [0, 0]
    clock.says("R", 2000, 2)
    assert _looks(threads, clock, 1) == [0, 0.5]


def test_the_worst_of_all(clock: Time, tmp_path: Path) -> None:
    other = Time(tmp_path / "other")
    clock.says("R", 1000, 1)
    threads = Threads([other.task, clock.task, tmp_path / "ended"])
    assert _looks(threads, clock, 1.5) == [0, 0.5, 1.0]


def test_not_at_each_event(clock: Time) -> None:
    clock.says("R", 1000, 1)
    threads = Threads([clock.task])
    told = 0
    for _ in range(100):
        clock.at += 0.01
        told += threads.look() > 0
    assert told == 4


@pytest.fixture
def busy() -> Iterator[int]:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


def test_a_real_thread(busy: int) -> None:
    """One that runs has done something since; one that is stopped is not ready."""
    threads = Threads([Path(f"/proc/{busy}/task/{busy}")])
    looks = []
    for _ in range(6):
        time.sleep(0.25)
        looks.append(threads.look())
    assert 0 in looks[1:]
    os.kill(busy, signal.SIGSTOP)
    time.sleep(0.25)
    threads.look()
    time.sleep(0.25)
    assert threads.look() == 0
