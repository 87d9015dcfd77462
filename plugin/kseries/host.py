"""What is under a measurement in real time: a machine, alone on it and quiet, and a kernel."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from .errors import InfraError
from .progress import Progress

# A host is quiet when others use less than this part of one CPU, for this many seconds.
QUIET_CPU, QUIET_S = 0.15, 1.0
# Then it is measured all the same, and the report says how busy it was.
QUIET_WAIT_S = 60.0
_LOCK_WAIT_S = 3600.0
# What of the measured kernel's config decides what a copy to user space or a call costs.
_COSTLY = ("HARDENED_USERCOPY", "CPU_MITIGATIONS", "INIT_ON_ALLOC_DEFAULT_ON", "DEBUG_KERNEL")
_LOAD = "load_average"
_GOVERNORS = "cpu[0-9]*/cpufreq/scaling_governor"
_CPUS = Path("/sys/devices/system/cpu")


class MachineLock:
    """The lock of the whole machine: guests share it, a measurement in real time is alone.

    The kernel drops it when the process ends, however that ends.
    """

    def __init__(self) -> None:
        self._fd: int | None = None

    def share(self, progress: Progress) -> None:
        """Take it with others, unless it is held; waits while another run measures."""
        if self._fd is None:
            self._take(fcntl.LOCK_SH, progress)

    def alone(self, progress: Progress) -> None:
        """Take it alone; waits for the guests of other runs to end."""
        self.release()
        self._take(fcntl.LOCK_EX, progress)

    def release(self) -> None:
        """Give it back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _take(self, how: int, progress: Progress) -> None:
        # Not in the cache folder: every user and every cache of this machine must meet here.
        path = Path(tempfile.gettempdir()) / "pytest-kseries.lock"
        try:
            fd = _opened(path)
        except OSError as error:
            raise InfraError(f"the machine's lock {path}: {error}") from error
        end = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(fd, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(fd)
                    raise InfraError(
                        f"waited {_LOCK_WAIT_S:.0f} s for {path}: another run measures, or holds"
                        " guests"
                    ) from None
                progress.step("waiting for other runs on this machine")
                time.sleep(0.2)
            else:
                self._fd = fd
                return


def _opened(path: Path) -> int:
    """Open a file that any user may have made; with O_CREAT fs.protected_regular refuses that."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)


def wait_quiet(progress: Progress, limit_s: float = QUIET_WAIT_S) -> float:
    """Wait until others leave the CPUs alone; return the part of one CPU that they last used."""
    end = time.monotonic() + limit_s
    while True:
        used = _used_cpus(QUIET_S)
        if used < QUIET_CPU or time.monotonic() > end:
            return used
        progress.step(f"waiting for a quiet host: others use {used:.1f} CPUs")


def _used_cpus(seconds: float) -> float:
    busy, began = _busy_ticks(), time.monotonic()
    time.sleep(seconds)
    ticks = _busy_ticks() - busy
    return ticks / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)


def _busy_ticks() -> int:
    """All CPUs' time but idle and iowait; guest time is part of user time already (proc(5))."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]


def circumstances(config: Path) -> dict[str, str]:
    """Describe the host, as far as it tells, and the kernels, whose `config` is the same.

    That is what a figure in real time depends on.
    """
    options = config.read_text().splitlines()
    found = {
        "host_kernel": os.uname().release,
        "host_cpu": _cpu_model(),
        "host_cpus": str(len(os.sched_getaffinity(0))),
        "governor": " ".join(sorted({_text(file) for file in _CPUS.glob(_GOVERNORS)})),
        "smt": _text(_CPUS / "smt/active"),
        _LOAD: " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for name in _COSTLY:
        found[f"kernel_{name.lower()}"] = "y" if f"CONFIG_{name}=y" in options else "n"
    for file in sorted((_CPUS / "vulnerabilities").glob("*")):
        found[f"mitigation_{file.name}"] = _text(file)
    return {name: value for name, value in found.items() if value}


def must_be_as(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise InfraError where the machine is not what it was; its load may change."""
    differing = [
        f"    {name}: {before.get(name, 'none')} at first, {now.get(name, 'none')} now"
        for name in sorted((before.keys() | now.keys()) - {_LOAD})
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise InfraError(
            "the machine changed while it was being measured, so that boots cannot be compared:\n"
            + "\n".join(differing)
        )


def _cpu_model() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
