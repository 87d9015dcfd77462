"""Whether the machine stood still: it was suspended, its virtual machine paused, or we starved."""

from __future__ import annotations

import time

# Whoever waits for a guest looks five times a second. This many seconds without a look are less
# than any wait of a program in the guest, and than the 20 s of a kernel's soft lockup.
LONG_S = 2.0


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
        if self._looked - before <= LONG_S:
            return False
        self._stood.append((self._looked, self._looked - before))
        return True

    def since(self, when: float) -> float:
        """Return for how many seconds at most it has stood still since then, 0 for never."""
        return max((seconds for end, seconds in self._stood if end >= when), default=0.0)


def now() -> float:
    """Return seconds of a clock that goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
