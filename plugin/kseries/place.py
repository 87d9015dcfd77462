"""Which CPUs of the host a guest's threads run on, and before whom.

All stay in pytest's session. A session is a group to the host's scheduler (sched(7), autogroup),
which first divides a CPU among groups: niceness counts for nothing between two, and Linux 6.18 let
one wait for up to 20 seconds where the threads of the others, on two CPUs each, came and went.
`make series` took 235 and 392 s so, and 173 s where autogroups were switched off, in turn.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# What a guest of the exact lane yields (nice(2)): no figure of it depends on when it runs, and
# another guest's time out may. Still 1/10 of a CPU beside one other thread (sched(7)).
_BEHIND = 10
# How QEMU calls an emulated CPU's thread, with -name debug-threads=on.
_CPU_THREAD = "CPU "


def on_one_cpu(pin: int) -> None:
    """Keep this process, a QEMU to be, on one CPU of the host: its threads take turns, too.

    And behind others. When all of the guest's CPUs are idle, the thread of the CPUs restarts the
    timer by which they take turns, unless QEMU's main loop was faster and has ended the idleness
    (rr_wait_io_event() and icount_start_warp_timer()). With threads side by side on a busy host
    one of 200 runs differed from the others. Which CPU does not matter.
    """
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[pin % len(allowed)]})
    os.nice(_BEHIND)


def side_by_side(pid_file: Path, pin: int, cpus: int) -> bool:
    """Keep each emulated CPU of a booted QEMU to one CPU of the host; returns whether they are.

    A CPU that wakes another does so with that one's runqueue locked, and the woken one spins for
    the lock. Where the host has both take turns on one CPU, that goes on for the rest of a turn:
    three test files took 44.7 and 44.3 s so, 29.3 and 34.4 s with places of their own (in turn).

    Not where more would be kept so than the host has CPUs, over all workers of pytest-xdist: a
    thread that is ready then waits although another CPU is idle. With six guests and other load
    on two CPUs, kernels came to spin for 20 seconds, and so one with KCSAN did with four.
    """
    allowed = sorted(os.sched_getaffinity(0))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if cpus * workers > len(allowed):
        return False
    with contextlib.suppress(OSError, ValueError):  # it has ended: whoever listens finds out
        names = {int(t.name): (t / "comm").read_text() for t in threads(pid_file)}
        numbered = sorted((n, t) for t, n in names.items() if n.startswith(_CPU_THREAD))
        for at, (_, thread) in enumerate(numbered):
            os.sched_setaffinity(thread, {allowed[(pin + at) % len(allowed)]})
        return len(numbered) == cpus
    return False


def anywhere(pid_file: Path) -> None:
    """Undo that: on a host with much else to do."""
    with contextlib.suppress(OSError, ValueError):
        for thread in threads(pid_file):
            os.sched_setaffinity(int(thread.name), os.sched_getaffinity(0))


def threads(pid_file: Path) -> list[Path]:
    """Return the folders in /proc of a QEMU's threads; raises OSError or ValueError without one."""
    return list(Path(f"/proc/{int(pid_file.read_text())}/task").iterdir())
