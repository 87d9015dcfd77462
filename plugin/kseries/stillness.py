"""Whether the machine stood still: it was suspended, its virtual machine paused, or we starved."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Whoever waits for a guest looks five times a second. This many seconds without a look are less
# than any wait of a program in the guest, and than the 20 s of a kernel's soft lockup.
LONG_S = 2.0
# Seconds between two looks at a guest's threads.
_LOOK_S = 0.2


class Watch:
    """What all guests of a process share: where one was not looked at, none was.

    It sees what lies between two looks of one wait.
    """

    def __init__(self) -> None:
        self._looked = now()
        self._stood: list[tuple[float, float]] = []  # when it went on, and seconds that it stood

    def begin(self) -> None:
        """Begin a wait."""
        self._looked = now()

    def look(self) -> bool:
        """Look; returns whether the machine has just stood still."""
        before, self._looked = self._looked, now()
        return self.stood(self._looked - before)

    def stood(self, seconds: float) -> bool:
        """Note that it did until now, if that is long; returns whether it is."""
        if seconds <= LONG_S:
            return False
        self._stood.append((now(), seconds))
        return True

    def since(self, when: float) -> float:
        """Return for how many seconds at most it has stood still since then, 0 for never."""
        return max((seconds for end, seconds in self._stood if end >= when), default=0.0)


class Threads:
    """A guest's threads, and whether the host lets one of them wait for a CPU for long.

    To the guest that is a CPU, or a clock, that stands still. Linux 6.18 let threads wait for up to
    14 seconds for others in groups of their own (sched(7), autogroup).
    """

    def __init__(self, tasks: Iterable[Path]) -> None:
        at = now()
        self._since = dict.fromkeys(tasks, ("", at))  # what each had done, and since when
        self._looked = at

    def look(self) -> float:
        """Return for how many seconds the worst of them has been ready and not run, so far."""
        at = now()
        if at - self._looked < _LOOK_S:
            return 0.0
        self._looked = at
        worst = 0.0
        for task, (did, since) in self._since.items():
            does = _done(task)
            if does and does == did:
                worst = max(worst, at - since)
            else:
                self._since[task] = (does, at)
        return worst


def _done(task: Path) -> str:
    """Return what a thread that is ready to run has done by now, "" for one that is not."""
    with suppress(OSError):
        if (task / "stat").read_text().rpartition(") ")[2].startswith("R"):
            ran_ns, _, times = (task / "schedstat").read_text().split()
            return f"{ran_ns} {times}"
    return ""


def now() -> float:
    """Return seconds of a clock that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
