"""How a guest executes: kvm, tcg or exact, and whether kvm works here at all."""

from __future__ import annotations

import contextlib
import enum
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache as once
from pathlib import Path

from . import cache
from .errors import UsageProblem

QEMU = "qemu-system-x86_64"
_KVM_DEVICE = Path("/dev/kvm")


class Lane(enum.StrEnum):
    """See docs/reference.md: `kvm` real CPUs, `tcg` emulated in parallel, `exact` in turn."""

    KVM = "kvm"
    TCG = "tcg"
    EXACT = "exact"


def qemu_arguments(lane: Lane) -> list[str]:
    """Return the QEMU arguments that make a guest execute in `lane`."""
    if lane is Lane.KVM:
        return []  # virtme-ng asks for it itself
    if lane is Lane.TCG:
        return ["-accel", "tcg,thread=multi"]
    # One thread runs the CPUs in turn on a clock that counts instructions: shift=1 makes each
    # take 2 ns. Entropy and the date come from nowhere outside, so that runs repeat.
    return [
        *("-accel", "tcg,thread=single"),
        *("-icount", "shift=1,sleep=off"),
        *("-rtc", "clock=vm,base=2026-01-01T00:00:00"),
        *("-cpu", "max,-rdrand,-rdseed"),
    ]


# From -icount's shift above: guest nanoseconds per instruction, over all CPUs together.
NS_PER_INSTRUCTION = 2


@once
def qemu_version() -> str:
    """Return QEMU's version line; UsageProblem when there is no QEMU."""
    found = shutil.which(QEMU)
    if found is None:
        raise UsageProblem(
            f"{QEMU} is missing: `make setup` installs it (Debian, Ubuntu: apt-get install"
            " qemu-system-x86)"
        )
    done = subprocess.run([found, "--version"], capture_output=True, text=True)
    return (done.stdout or done.stderr).splitlines()[0]


def why_no_kvm() -> str | None:
    """Say why /dev/kvm cannot even be tried, or None."""
    if not _KVM_DEVICE.exists():
        return f"{_KVM_DEVICE} does not exist"
    if not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        return f"{_KVM_DEVICE} may not be opened by this user"
    return None


def choose(wanted: str, probe: Callable[[], str | None]) -> tuple[Lane, str]:
    """Choose the lane of functional cases: (lane, why).

    `wanted` is the option's word. `probe` boots a guest with KVM and returns what went wrong, or
    None. What a probe found is kept until the machine, /dev/kvm or QEMU changes.
    Raises UsageProblem when kvm is asked for and does not work.
    """
    if wanted in ("tcg", "exact"):
        return Lane.TCG, f"--kernel-lane={wanted}"
    trouble = why_no_kvm() or _remembered(probe)
    if trouble is None:
        return Lane.KVM, "a probe guest booted with KVM"
    if wanted == "kvm":
        raise UsageProblem(f"--kernel-lane=kvm: {trouble}")
    return Lane.TCG, f"no KVM: {trouble}"


def _remembered(probe: Callable[[], str | None]) -> str | None:
    device = _KVM_DEVICE.stat()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    facts = (boot, device.st_mode, device.st_ctime_ns, qemu_version(), os.getuid())
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    kept = cache.root() / f"kvm-probe-{key}.json"
    with cache.locked("kvm-probe"):
        with contextlib.suppress(OSError, ValueError):  # not there, or damaged: found out anew
            known: str | None = json.loads(kept.read_text())
            return known
        trouble = probe()
        cache.replace(kept, json.dumps(trouble).encode())
        return trouble
